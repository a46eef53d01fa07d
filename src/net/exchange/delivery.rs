//! Responses that are files, sent by the kernel; and the rest of one, without whoever began it.
//!
//! `worker::offload` takes it from [`End::Deliver`] and moves it on whenever the client takes more.
//! Only [`Exchange::send_file`] waits for the client; all of it may wait for the disk.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::BytesMut;

use super::{End, Exchange, Framing, WriteError};
use crate::net::stream::Stream;

/// The part of a file that is still to be sent.
#[derive(Debug)]
pub(super) struct Rest {
    pub file: File,
    pub offset: i64,
    pub left: u64,
}

/// A response on its way out, and its connection.
#[derive(Debug)]
pub struct Delivery {
    stream: Stream,
    /// What goes in front of the file.
    out: Vec<u8>,
    rest: Rest,
    /// Whether the next request may come afterwards.
    keep_alive: bool,
}

impl Exchange {
    /// Lets [`Exchange::deliver`] leave files to others, which [`End::Deliver`] then hands over.
    pub fn leave_files(&mut self) {
        self.leaves_files = true;
    }

    /// Sends `count` bytes of a file from `offset`, the head before them, without copying them
    /// through this process. Ends early, without error, where the file does.
    pub fn send_file(&mut self, file: BorrowedFd<'_>, mut offset: i64, count: u64) -> Result<(), WriteError> {
        if self.head.content_length().is_none() {
            self.announce(count);
        }
        self.write(b"")?;
        let mut left = match self.framing {
            Framing::None => return Ok(()),
            Framing::Length(left) => count.min(left),
            Framing::Close | Framing::Chunked => count,
        };
        while left > 0 {
            let Some(stream) = &self.stream else { break };
            // One call sends at most what Linux allows in one, and keeps the wait observable.
            let piece = usize::try_from(left.min(1 << 30)).unwrap_or(1 << 30);
            match stream.send_file(file, &mut offset, piece) {
                Ok(Some(0)) => break,
                Ok(Some(sent)) => {
                    self.by_file = true;
                    left -= sent as u64;
                    self.body_bytes += sent as u64;
                    if let Framing::Length(rest) = &mut self.framing {
                        *rest -= sent as u64;
                    }
                }
                Ok(None) => self.wait_output()?,
                Err(error) => {
                    self.broken = true;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Sends `count` bytes of a file from `offset` as the whole rest of the response: what the
    /// client takes at once here, and what it does not later, by whoever ends this exchange. Waits
    /// for the client itself where files may not be left to others, or where the length of the
    /// response is not that of the file.
    pub fn deliver(&mut self, file: File, offset: i64, count: u64) -> Result<(), WriteError> {
        if self.records.is_some() {
            return self.copy_file(&file, offset, count);
        }
        let fits = self.head.content_length().is_none_or(|length| length == count);
        if !self.leaves_files || self.head_sent || !fits {
            return self.send_file(file.as_fd(), offset, count);
        }
        self.announce(count);
        // Bytes of a further request would have to wait with this one.
        self.keep_alive &= self.ahead.is_empty();
        self.queue_head();
        if self.framing == Framing::None {
            return self.write(b"");
        }
        self.push(b"")?;
        let Some(stream) = &self.stream else { return Ok(()) };
        let mut rest = Rest { file, offset, left: count };
        let done = self.out_at == self.out.len() && rest.send(stream).inspect_err(|_| self.broken = true)?;
        self.by_file = true;
        // Counted now: nobody here will know how far it got.
        self.body_bytes += count;
        if let Framing::Length(left) = &mut self.framing {
            *left = 0;
        }
        if !done {
            self.rest = Some(rest);
        }
        Ok(())
    }

    /// What [`Exchange::deliver`] left, with the connection.
    pub(super) fn delivery(&mut self, stream: Stream, keep_alive: bool) -> Result<Delivery, Stream> {
        let Some(rest) = self.rest.take().filter(|_| !self.broken) else { return Err(stream) };
        let out = self.out.split_off(self.out_at);
        self.out.clear();
        self.out_at = 0;
        Ok(Delivery { stream, out, rest, keep_alive })
    }
}

impl Rest {
    /// Sends what the client takes; says whether that was all.
    fn send(&mut self, stream: &Stream) -> io::Result<bool> {
        while self.left > 0 {
            // One call sends at most what Linux allows in one.
            let piece = usize::try_from(self.left.min(1 << 30)).unwrap_or(1 << 30);
            match stream.send_file(self.file.as_fd(), &mut self.offset, piece)? {
                None => return Ok(false),
                // It was cut while it was sent: the client must not take it for whole.
                Some(0) => {
                    stream.reset_on_close();
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Some(sent) => self.left -= sent as u64,
            }
        }
        Ok(true)
    }
}

impl Delivery {
    /// Sends what the client takes now; says whether that was all of it.
    pub fn advance(&mut self) -> io::Result<bool> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out, b"")? {
                None => return Ok(false),
                Some(sent) => drop(self.out.drain(..sent)),
            }
        }
        self.rest.send(&self.stream)
    }

    /// Gives it up: the connection will be reset, so that nobody takes what has left for the whole.
    pub fn abort(&self) {
        self.stream.reset_on_close();
    }

    /// Bytes still to be sent.
    pub fn left(&self) -> u64 {
        self.out.len() as u64 + self.rest.left
    }

    /// Gives the connection back after the last byte.
    pub fn end(self) -> End {
        match self.keep_alive {
            true => End::KeepAlive(self.stream, BytesMut::new()),
            false => End::Drain(self.stream),
        }
    }
}

impl AsFd for Delivery {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
