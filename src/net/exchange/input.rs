//! The request's body, read out of the connection as the app asks for it.
//!
//! Part of the exchange: `python` reads through these calls. Knows where the body ends, by its length
//! or its coding, and never reads on into the next request.

use super::*;

impl Exchange {
    /// Bytes of the body still to come; `None` where the client did not say (chunked coding).
    pub fn body_left(&self) -> Option<u64> {
        match &self.input {
            Input::Length(left) => Some(*left),
            Input::Coded(decoder) if decoder.is_done() => Some(0),
            Input::Coded(_) => None,
        }
    }

    /// The status a client deserves whose body could not be read; `None` while it could.
    pub fn body_fault(&self) -> Option<&'static str> {
        self.body_fault
    }

    /// Takes at most so many bytes of a body that did not say its length (uWSGI: `--limit-post`).
    pub fn limit_body(&mut self, limit: u64) {
        self.chunked_limit = (limit, limit);
    }

    /// Reads the body's next bytes without blocking.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> Result<Step, BodyError> {
        self.read_some(buffer).inspect_err(|error| self.body_fault = Some(error.status()))
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<Step, BodyError> {
        if buffer.is_empty() || self.body_left() == Some(0) {
            return Ok(Step::Read(0));
        }
        let Some(stream) = &self.stream else {
            return Ok(Step::Read(0));
        };
        if self.expects_continue {
            self.expects_continue = false;
            if self.ahead.is_empty() && !self.head_sent {
                // Seventeen bytes into an empty send buffer: it fails only with the connection.
                stream.write(b"HTTP/1.1 100 Continue\r\n\r\n", b"")?;
            }
        }
        match &mut self.input {
            Input::Length(left) => {
                let room = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                let count = if self.ahead.is_empty() {
                    match stream.read(&mut buffer[..room])? {
                        None => return Ok(Step::Wait),
                        Some(0) => return Err(BodyError::Closed { left: *left }),
                        Some(count) => count,
                    }
                } else {
                    let count = room.min(self.ahead.len());
                    self.ahead.copy_to_slice(&mut buffer[..count]);
                    count
                };
                *left -= count as u64;
                Ok(Step::Read(count))
            }
            Input::Coded(decoder) => loop {
                let (consumed, produced) = decoder.decode(&self.ahead, buffer).map_err(|_| BodyError::Chunked)?;
                self.ahead.advance(consumed);
                if produced > 0 || decoder.is_done() {
                    let (left, limit) = &mut self.chunked_limit;
                    *left = left.checked_sub(produced as u64).ok_or(BodyError::TooLong(*limit))?;
                    return Ok(Step::Read(produced));
                }
                let held = self.ahead.len();
                self.ahead.resize(held + 16 * 1024, 0);
                let read = stream.read(&mut self.ahead[held..]);
                self.ahead.truncate(held + read.as_ref().ok().copied().flatten().unwrap_or(0));
                match read? {
                    None => return Ok(Step::Wait),
                    Some(0) => return Err(BodyError::Closed { left: 0 }),
                    Some(_) => {}
                }
            },
        }
    }

    /// Blocks until more of the body may be there, at most the socket timeout.
    pub fn wait_input(&mut self) -> Result<(), BodyError> {
        match &self.stream {
            Some(stream) if !stream.wait(Interest::Read, self.timeout)? => {
                self.body_fault = Some(BodyError::Timeout.status());
                Err(BodyError::Timeout)
            }
            _ => Ok(()),
        }
    }
}
