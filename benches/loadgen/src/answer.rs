//! Reads one answer as it arrives and says whether it is the one expected.
//!
//! Called by `driver` with every piece read from a connection. It never touches a socket, and never keeps a
//! body: bodies are compared as they pass, so a 100 MiB download costs no memory here.

/// The only answer that counts as good: status 200 and this body.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The body, byte for byte.
    pub body: Option<Vec<u8>>,
    /// The length of the body in bytes; implied by `body`.
    pub length: Option<u64>,
}

/// Why an answer is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The status is not 200.
    Status,
    /// The head is not HTTP.
    Head,
    /// The body is not the expected one.
    Body,
    /// The connection ended before the answer did.
    Short,
}

impl Fault {
    /// Name for the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Head => "head",
            Self::Body => "body",
            Self::Short => "short",
        }
    }
}

/// State of the answer being read.
#[derive(Debug)]
pub struct Answer {
    phase: Phase,
    head: Vec<u8>,
    received: u64,
    closes: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Head,
    UntilClose,
    Length(u64),
    ChunkSize(u64),
    ChunkSizeRest(u64),
    ChunkData(u64),
    ChunkEnd,
    Trailer { line: usize },
    Done,
}

/// A head larger than this is a fault.
const HEAD_LIMIT: usize = 64 * 1024;

impl Answer {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self {
            phase: Phase::Head,
            head: Vec::with_capacity(512),
            received: 0,
            closes: false,
        }
    }

    /// Ready for the next answer, memory kept.
    pub fn reset(&mut self) {
        self.phase = Phase::Head;
        self.head.clear();
        self.received = 0;
        self.closes = false;
    }

    /// True before the first byte.
    pub fn is_untouched(&self) -> bool {
        self.phase == Phase::Head && self.head.is_empty()
    }

    /// True when the answer said that its connection takes no further request.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Takes the next bytes. `Ok(true)`: the answer is complete without the end of the connection.
    pub fn feed(&mut self, bytes: &[u8], expected: &Expected) -> Result<bool, Fault> {
        if self.phase != Phase::Head {
            return self.body(bytes, expected);
        }
        if self.head.is_empty() {
            // Nearly always the whole head is in the first read: parse it where it lies.
            if let Some(end) = head_end(bytes) {
                self.parse(&bytes[..end])?;
                return self.body(&bytes[end..], expected);
            }
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(end) = head_end(&self.head) else {
            return if self.head.len() > HEAD_LIMIT {
                Err(Fault::Head)
            } else {
                Ok(false)
            };
        };
        let head = std::mem::take(&mut self.head);
        let outcome = self.parse(&head[..end]);
        self.head = head;
        outcome?;
        self.body(&bytes[end - before..], expected)
    }

    /// The connection ended. `Ok`: the answer was complete.
    pub fn end(&mut self, expected: &Expected) -> Result<(), Fault> {
        match self.phase {
            Phase::Done => Ok(()),
            Phase::UntilClose => self.complete(expected),
            _ => Err(Fault::Short),
        }
    }

    fn parse(&mut self, head: &[u8]) -> Result<(), Fault> {
        let mut lines = head
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status = lines.next().unwrap_or_default();
        let version_one = match status {
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                minor @ (b'0' | b'1'),
                b' ',
                ..,
            ] => *minor == b'1',
            _ => return Err(Fault::Head),
        };
        if status.get(9..12) != Some(b"200") || !matches!(status.get(12), None | Some(b' ')) {
            return Err(Fault::Status);
        }
        self.closes = !version_one;
        let (mut length, mut chunked) = (None, false);
        for line in lines.filter(|line| !line.is_empty()) {
            let colon = line
                .iter()
                .position(|&byte| byte == b':')
                .ok_or(Fault::Head)?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                let text = std::str::from_utf8(value).map_err(|_| Fault::Head)?;
                length = Some(text.parse::<u64>().map_err(|_| Fault::Head)?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"connection") {
                self.closes = !value.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        self.phase = match (chunked, length) {
            (true, _) => Phase::ChunkSize(0),
            (false, Some(length)) => Phase::Length(length),
            (false, None) => Phase::UntilClose,
        };
        Ok(())
    }

    fn body(&mut self, mut bytes: &[u8], expected: &Expected) -> Result<bool, Fault> {
        loop {
            match self.phase {
                Phase::Length(0) => {
                    self.complete(expected)?;
                    self.phase = Phase::Done;
                }
                Phase::Done => {
                    return if bytes.is_empty() {
                        Ok(true)
                    } else {
                        Err(Fault::Body)
                    };
                }
                _ if bytes.is_empty() => return Ok(false),
                Phase::Head => return Err(Fault::Head),
                Phase::UntilClose => {
                    self.compare(bytes, expected)?;
                    return Ok(false);
                }
                Phase::Length(left) => {
                    let taken = self.take(&mut bytes, left, expected)?;
                    self.phase = Phase::Length(left - taken);
                }
                Phase::ChunkData(left) => {
                    let taken = self.take(&mut bytes, left, expected)?;
                    self.phase = if taken == left {
                        Phase::ChunkEnd
                    } else {
                        Phase::ChunkData(left - taken)
                    };
                }
                _ => {
                    self.chunk_byte(bytes[0], expected)?;
                    bytes = &bytes[1..];
                }
            }
        }
    }

    /// One byte between the data of two chunks.
    fn chunk_byte(&mut self, byte: u8, expected: &Expected) -> Result<(), Fault> {
        self.phase = match (&self.phase, byte) {
            (Phase::ChunkSize(size) | Phase::ChunkSizeRest(size), b'\n') => match size {
                0 => Phase::Trailer { line: 0 },
                _ => Phase::ChunkData(*size),
            },
            (Phase::ChunkSize(size), _) if byte.is_ascii_hexdigit() && *size < 1 << 56 => {
                let digit = (byte as char).to_digit(16).ok_or(Fault::Head)?;
                Phase::ChunkSize(size << 4 | u64::from(digit))
            }
            (Phase::ChunkSize(size), b';' | b'\r') => Phase::ChunkSizeRest(*size),
            (Phase::ChunkSizeRest(size), _) => Phase::ChunkSizeRest(*size),
            (Phase::ChunkEnd, b'\r') => Phase::ChunkEnd,
            (Phase::ChunkEnd, b'\n') => Phase::ChunkSize(0),
            (Phase::Trailer { line: 0 }, b'\n') => {
                self.complete(expected)?;
                Phase::Done
            }
            (Phase::Trailer { .. }, b'\n') => Phase::Trailer { line: 0 },
            (Phase::Trailer { line }, b'\r') => Phase::Trailer { line: *line },
            (Phase::Trailer { line }, _) => Phase::Trailer { line: line + 1 },
            _ => return Err(Fault::Body),
        };
        Ok(())
    }

    fn take(&mut self, bytes: &mut &[u8], left: u64, expected: &Expected) -> Result<u64, Fault> {
        let taken = left.min(bytes.len() as u64);
        let (piece, rest) = bytes.split_at(taken as usize);
        self.compare(piece, expected)?;
        *bytes = rest;
        Ok(taken)
    }

    fn compare(&mut self, piece: &[u8], expected: &Expected) -> Result<(), Fault> {
        if let Some(body) = &expected.body {
            let start = self.received as usize;
            if body.get(start..start + piece.len()) != Some(piece) {
                return Err(Fault::Body);
            }
        }
        self.received += piece.len() as u64;
        Ok(())
    }

    fn complete(&self, expected: &Expected) -> Result<(), Fault> {
        let wanted = expected
            .body
            .as_ref()
            .map(|body| body.len() as u64)
            .or(expected.length);
        if wanted.is_none_or(|wanted| wanted == self.received) {
            Ok(())
        } else {
            Err(Fault::Body)
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|start| start + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(body: &str) -> Expected {
        Expected {
            body: Some(body.as_bytes().to_vec()),
            length: None,
        }
    }

    /// Feeds `text` in pieces of every size; all ways must agree.
    fn read(text: &str, expected: &Expected) -> (Result<bool, Fault>, bool) {
        let whole = read_in(text, expected, text.len());
        for size in 1..text.len() {
            assert_eq!(read_in(text, expected, size), whole, "in pieces of {size}");
        }
        whole
    }

    fn read_in(text: &str, expected: &Expected, size: usize) -> (Result<bool, Fault>, bool) {
        let mut answer = Answer::new();
        let mut done = Ok(false);
        for piece in text.as_bytes().chunks(size) {
            done = answer.feed(piece, expected);
            if done.is_err() {
                break;
            }
        }
        if done == Ok(false) {
            done = answer.end(expected).map(|()| false);
        }
        (done, answer.closes())
    }

    #[test]
    fn good_answers_of_every_framing() {
        let hello = expected("Hello");
        assert_eq!(
            read("HTTP/1.0 200 OK\r\nA: b\r\n\r\nHello", &hello),
            (Ok(false), true)
        );
        assert_eq!(
            read("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHello", &hello),
            (Ok(true), false)
        );
        assert_eq!(
            read(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nHe\r\n03\r\nllo\r\n0\r\nT: u\r\n\r\n",
                &hello
            ),
            (Ok(true), false)
        );
        assert_eq!(
            read(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                &expected("")
            ),
            (Ok(true), true)
        );
    }

    #[test]
    fn faults_are_told_apart() {
        let hello = expected("Hello");
        for (text, fault) in [
            ("HTTP/1.1 500 Oh\r\n\r\nHello", Fault::Status),
            ("HTTP/1.1 2000 OK\r\n\r\nHello", Fault::Status),
            ("SSH-2.0\r\n\r\nHello", Fault::Head),
            ("HTTP/1.1 200 OK\r\n\r\nHallo", Fault::Body),
            ("HTTP/1.1 200 OK\r\n\r\nHell", Fault::Body),
            ("HTTP/1.1 200 OK\r\n\r\nHello!", Fault::Body),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHell",
                Fault::Short,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nHell",
                Fault::Body,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHellox",
                Fault::Body,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n",
                Fault::Short,
            ),
            ("HTTP/1.1 200 OK\r\n", Fault::Short),
            ("", Fault::Short),
        ] {
            assert_eq!(
                read_in(text, &hello, text.len().max(1)).0,
                Err(fault),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_length_alone_can_be_expected() {
        let five = Expected {
            body: None,
            length: Some(5),
        };
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\nabcde", &five).0, Ok(false));
        assert_eq!(
            read_in("HTTP/1.1 200 OK\r\n\r\nabcd", &five, 99).0,
            Err(Fault::Body)
        );
    }
}
