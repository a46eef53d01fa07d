//! One request being answered: the body still to be read, the response on its way out.
//!
//! `worker` begins and ends it, `python` reads and writes in between, without ever seeing the
//! socket. Calls named `try_…` never block; the others block within the socket timeout and are
//! made without the GIL. Holds the rules of framing: how long a response is, what may follow it.

use std::io::Write as _;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use thiserror::Error;

use super::stream::{Interest, Stream};
use crate::proto::request::{Body, Front, Known, Request};
use crate::proto::response::Head;
use crate::proto::{chunked, fastcgi};
use delivery::Rest;
use records::Decoder;

mod delivery;
mod input;
mod records;

pub use delivery::Delivery;

/// Why the request's body can't be read on.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The client closed before all of the body had come.
    #[error("client closed the connection, {left} bytes of the body missing")]
    Closed {
        /// Bytes that never came; 0 where the length was not announced.
        left: u64,
    },
    /// Nothing came within the socket timeout.
    #[error("timeout while reading the body")]
    Timeout,
    /// The chunked coding is broken.
    #[error("bad chunked body")]
    Chunked,
    /// A body without a length is longer than the limit.
    #[error("the body is longer than {0} bytes")]
    TooLong(u64),
    /// The socket failed.
    #[error("error reading the body: {0}")]
    Io(#[from] std::io::Error),
}

impl BodyError {
    /// The status of a request that fails of it.
    fn status(&self) -> &'static str {
        match self {
            Self::Timeout => "408 Request Timeout",
            Self::TooLong(_) => "413 Content Too Large",
            Self::Closed { .. } | Self::Chunked | Self::Io(_) => "400 Bad Request",
        }
    }
}

/// Why the response can't be written on.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The client took nothing within the socket timeout.
    #[error("timeout while writing the response")]
    Timeout,
    /// The client is gone, or the socket failed.
    #[error("write error: {0}")]
    Io(#[from] std::io::Error),
}

/// One step of reading that did not block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many bytes; 0 at the end of the body.
    Read(usize),
    /// Nothing there yet.
    Wait,
}

/// What becomes of the connection after a response.
#[derive(Debug)]
pub enum End {
    /// Nothing unread: close it.
    Close(Stream),
    /// Close it once the client has seen the response: it sent more than was read, and closing
    /// over unread bytes would reset the connection and could destroy the response.
    Drain(Stream),
    /// HTTP: the next request may come; these bytes of it have been read already.
    KeepAlive(Stream, BytesMut),
    /// The client did not take all of a file at once: the rest is sent without this exchange.
    Deliver(Delivery),
}

/// How the request's body ends.
#[derive(Debug)]
enum Input {
    Length(u64),
    /// As the body itself tells.
    Coded(Decoder),
}

/// How the response's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// By closing the connection.
    Close,
    /// After so many more bytes; what the app sends beyond is cut.
    Length(u64),
    /// HTTP chunked coding.
    Chunked,
    /// There is none: HEAD, 204, 304.
    None,
}

/// A request being answered. A core keeps one and begins it anew for each request.
#[derive(Debug)]
pub struct Exchange {
    stream: Option<Stream>,
    serial: u64,
    timeout: Duration,
    // Input.
    input: Input,
    ahead: BytesMut,
    expects_continue: bool,
    body_fault: Option<&'static str>,
    /// How many more bytes of a chunked body are taken, and the limit that was set.
    chunked_limit: (u64, u64),
    // Output.
    front: Front,
    head_only: bool,
    keep_alive: bool,
    protocol: Vec<u8>,
    head: Head,
    head_sent: bool,
    framing: Framing,
    /// Head and chunk frames that have not left yet.
    out: Vec<u8>,
    out_at: usize,
    /// Bytes of the chunk begun that are still to come from the caller.
    frame_left: usize,
    frames: bool,
    /// FastCGI: the request's id, until the answer's end is said.
    records: Option<u16>,
    head_bytes: usize,
    body_bytes: u64,
    surplus: u64,
    broken: bool,
    by_file: bool,
    /// Whether the rest of a file may be left to others, and the one that was.
    leaves_files: bool,
    rest: Option<Rest>,
}

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// An exchange without a connection.
    pub fn new() -> Self {
        Self {
            stream: None,
            serial: 0,
            timeout: Duration::from_secs(4),
            input: Input::Length(0),
            ahead: BytesMut::new(),
            expects_continue: false,
            body_fault: None,
            chunked_limit: (u64::MAX, u64::MAX),
            front: Front::Uwsgi,
            head_only: false,
            keep_alive: false,
            protocol: Vec::with_capacity(16),
            head: Head::default(),
            head_sent: false,
            framing: Framing::Close,
            out: Vec::with_capacity(4096),
            out_at: 0,
            frame_left: 0,
            frames: false,
            records: None,
            head_bytes: 0,
            body_bytes: 0,
            surplus: 0,
            broken: false,
            by_file: false,
            leaves_files: false,
            rest: None,
        }
    }

    /// Begins to answer `request`, which came over `stream`; `ahead` are bytes read behind its
    /// head. `timeout` bounds each wait for the client (uWSGI: `--socket-timeout`).
    pub fn begin(&mut self, stream: Stream, ahead: BytesMut, request: &Request, timeout: Duration) {
        self.stream = Some(stream);
        self.serial += 1;
        self.timeout = timeout;
        let id = match request.front {
            Front::Fastcgi(id) => Some(id),
            _ => None,
        };
        self.records = id;
        self.input = match request.body {
            Body::Length(length) => Input::Length(length),
            Body::Chunked => Input::Coded(Decoder::Chunked(chunked::Decoder::new())),
            Body::Records(length) => Input::Coded(Decoder::Records(fastcgi::Decoder::new(id.unwrap_or(0), length))),
        };
        self.ahead = ahead;
        self.expects_continue = request.expects_continue;
        self.body_fault = None;
        self.chunked_limit = (u64::MAX, u64::MAX);
        self.front = request.front;
        self.head_only = request.known(Known::RequestMethod) == Some(b"HEAD");
        self.keep_alive = request.keep_alive;
        self.protocol.clear();
        self.protocol.extend_from_slice(protocol(request));
        self.head.clear();
        self.head_sent = false;
        self.framing = Framing::Close;
        self.out.clear();
        self.out_at = 0;
        self.frame_left = 0;
        self.frames = false;
        self.head_bytes = 0;
        self.body_bytes = 0;
        self.surplus = 0;
        self.broken = false;
        self.by_file = false;
        self.rest = None;
    }

    /// Counts the requests this exchange was begun for, so that whoever keeps a handle to an
    /// earlier one can tell.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    // ---- the response

    /// The response's head, to be filled until [`Exchange::head_sent`].
    pub fn head(&mut self) -> &mut Head {
        &mut self.head
    }

    /// Whether the head has left, or part of it.
    pub fn head_sent(&self) -> bool {
        self.head_sent
    }

    /// Says that the body will be exactly `length` bytes, where the app did not: HTTP then needs
    /// no chunked coding. Without effect on the uwsgi protocol, where nothing is added.
    pub fn announce(&mut self, length: u64) {
        if !self.head_sent && self.front.is_http() && self.head.content_length().is_none() && self.head.allows_body() {
            let mut digits = [0; 20];
            let mut rest = &mut digits[..];
            if write!(rest, "{length}").is_ok() {
                let used = 20 - rest.len();
                // Digits always make a good header.
                let _ = self.head.header(b"Content-Length", &digits[..used]);
            }
        }
    }

    /// Writes `chunk` as far as the client takes it now, the head before it; returns how many of
    /// its bytes are done with. Call [`Exchange::write`] with the rest.
    pub fn try_write(&mut self, chunk: &[u8]) -> Result<usize, WriteError> {
        self.queue_head();
        let wanted = match self.framing {
            Framing::None => 0,
            Framing::Length(left) => chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            Framing::Close | Framing::Chunked => chunk.len(),
        };
        if self.framing == Framing::Chunked && self.frame_left == 0 && wanted > 0 {
            let before: &str = if self.frames { "\r\n" } else { "" };
            // Writing to memory does not fail.
            let _ = write!(self.out, "{before}{wanted:x}\r\n");
            self.frames = true;
            self.frame_left = wanted;
        }
        let piece = self.in_record(wanted);
        let taken = self.push(&chunk[..piece])?;
        self.body_bytes += taken as u64;
        if self.records.is_some() {
            self.frame_left -= taken;
        }
        match &mut self.framing {
            Framing::Length(left) => *left -= taken as u64,
            Framing::Chunked => self.frame_left -= taken,
            Framing::Close | Framing::None => {}
        }
        if taken < wanted {
            return Ok(taken);
        }
        if self.framing != Framing::None {
            self.surplus += (chunk.len() - wanted) as u64;
        }
        Ok(chunk.len())
    }

    /// Writes all of `chunk`, the head before it, waiting for the client where it must.
    pub fn write(&mut self, mut chunk: &[u8]) -> Result<(), WriteError> {
        loop {
            let taken = self.try_write(chunk)?;
            chunk = &chunk[taken..];
            if chunk.is_empty() && !self.is_pending() {
                return Ok(());
            }
            self.wait_output()?;
        }
    }

    /// Whether the response leaves in chunked coding, which [`Exchange::send_file`] can't frame.
    pub fn is_chunked(&self) -> bool {
        self.head_sent && self.framing == Framing::Chunked
    }

    /// Whether bytes wait for the client to take them.
    pub fn is_pending(&self) -> bool {
        self.out_at < self.out.len() && self.rest.is_none()
    }

    /// Blocks until the client takes more, at most the socket timeout.
    pub fn wait_output(&mut self) -> Result<(), WriteError> {
        let Some(stream) = &self.stream else { return Ok(()) };
        match stream.wait(Interest::Write, self.timeout) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.broken = true;
                Err(WriteError::Timeout)
            }
            Err(error) => {
                self.broken = true;
                Err(error.into())
            }
        }
    }

    /// Ends the response after its last chunk: sends a head that had no body to go with, and the
    /// end of a chunked one. Does not block: what is left over is [`Exchange::is_pending`].
    pub fn try_finish(&mut self) -> Result<(), WriteError> {
        if self.broken || self.rest.is_some() {
            return Ok(());
        }
        if !self.head_sent {
            self.announce(0);
        }
        self.queue_head();
        match self.framing {
            Framing::Chunked => {
                self.out.extend_from_slice(if self.frames { b"\r\n0\r\n\r\n" } else { b"0\r\n\r\n" });
                // The end was said once; a second call only flushes.
                self.framing = Framing::Close;
            }
            // Fewer bytes than announced: the client must not take this for a whole response.
            Framing::Length(left) if left > 0 => self.abort(),
            _ => {}
        }
        self.end_records();
        self.push(b"").map(|_| ())
    }

    /// Gives the response up: the connection will be reset, so that nobody takes what has left
    /// for a whole response.
    pub fn abort(&mut self) {
        self.broken = true;
        if let Some(stream) = &self.stream {
            stream.reset_on_close();
        }
    }

    /// Ends the connection in the middle of its request: the client sees the end of what has left, and
    /// what is still written fails (uWSGI: `uwsgi.disconnect`).
    pub fn disconnect(&mut self) {
        self.broken = true;
        if let Some(stream) = &self.stream {
            stream.shutdown_write();
        }
    }

    /// The connection's descriptor, for apps that wait on it themselves.
    pub fn descriptor(&self) -> Option<std::os::fd::RawFd> {
        use std::os::fd::{AsFd as _, AsRawFd as _};
        self.stream.as_ref().map(|stream| stream.as_fd().as_raw_fd())
    }

    /// Whether the response was given up or the client lost.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether the kernel sent a file as the body, or a part of it.
    pub fn by_file(&self) -> bool {
        self.by_file
    }

    /// Bytes of the head that were made.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    /// Bytes of the body that were sent, framing aside.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Bytes the app sent beyond its Content-Length, which were cut.
    pub fn surplus(&self) -> u64 {
        self.surplus
    }

    /// Takes the connection back after the response.
    pub fn end(&mut self) -> Option<End> {
        let stream = self.stream.take()?;
        let mut ahead = std::mem::take(&mut self.ahead);
        if let Input::Length(left) = &mut self.input {
            // The small rest of a body that came with the head is skipped for free.
            let skipped = ahead.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            ahead.advance(skipped);
            *left -= skipped as u64;
        }
        let unread = self.body_left() != Some(0);
        let keep_alive = self.keep_alive && self.front.is_http() && !unread;
        let stream = match self.delivery(stream, keep_alive) {
            Ok(delivery) => return Some(End::Deliver(delivery)),
            Err(stream) => stream,
        };
        Some(if self.broken {
            End::Close(stream)
        } else if keep_alive && !self.is_pending() {
            End::KeepAlive(stream, ahead)
        } else if unread || !ahead.is_empty() {
            End::Drain(stream)
        } else {
            End::Close(stream)
        })
    }

    /// Decides how the response ends and puts its head in front of what goes out.
    fn queue_head(&mut self) {
        if self.head_sent {
            return;
        }
        self.head_sent = true;
        let http = self.front.is_http();
        self.framing = if self.head_only || !self.head.allows_body() {
            Framing::None
        } else if let Some(length) = self.head.content_length() {
            Framing::Length(length)
        } else if self.front == Front::Http11 {
            Framing::Chunked
        } else {
            Framing::Close
        };
        // A close is the only end of such a body; and a body that nobody read would be taken for
        // the next request.
        let unread = self.body_left().is_none_or(|left| left > self.ahead.len() as u64);
        self.keep_alive &= http && self.framing != Framing::Close && !self.head.wants_close() && !unread;
        let framing: &[u8] = match (http, self.framing, self.keep_alive) {
            (false, ..) => b"",
            (true, Framing::Chunked, true) => b"Transfer-Encoding: chunked\r\n",
            (true, Framing::Chunked, false) if self.head.wants_close() => b"Transfer-Encoding: chunked\r\n",
            (true, Framing::Chunked, false) => b"Transfer-Encoding: chunked\r\nConnection: close\r\n",
            (true, _, true) if self.front == Front::Http10 => b"Connection: keep-alive\r\n",
            (true, _, true) => b"",
            (true, _, false) if self.head.wants_close() => b"",
            (true, _, false) => b"Connection: close\r\n",
        };
        let start = self.out.len();
        self.head_bytes = self.head.write(&self.protocol, framing, &mut self.out);
        self.frame_head(start);
    }

    /// Writes what is queued and then `chunk`; returns how much of `chunk` left.
    fn push(&mut self, chunk: &[u8]) -> Result<usize, WriteError> {
        let queued = self.out.len() - self.out_at;
        if queued == 0 && chunk.is_empty() {
            return Ok(0);
        }
        let Some(stream) = &self.stream else { return Ok(chunk.len()) };
        if self.broken {
            return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
        }
        let sent = match stream.write(&self.out[self.out_at..], chunk) {
            Ok(sent) => sent.unwrap_or(0),
            Err(error) => {
                self.broken = true;
                return Err(error.into());
            }
        };
        if sent < queued {
            self.out_at += sent;
            return Ok(0);
        }
        self.out.clear();
        self.out_at = 0;
        Ok(sent - queued)
    }
}

/// The protocol of the response's status line: the request's own (uWSGI echoes it), as long as it
/// can't break the line.
fn protocol(request: &Request) -> &[u8] {
    match request.front {
        Front::Http11 => b"HTTP/1.1",
        Front::Http10 => b"HTTP/1.0",
        // The CGI way: the front end makes its status line of a header.
        Front::Scgi | Front::Fastcgi(_) => b"Status:",
        Front::Uwsgi => match request.known(Known::ServerProtocol) {
            Some(protocol)
                if !protocol.is_empty() && protocol.len() <= 16 && protocol.iter().all(u8::is_ascii_graphic) =>
            {
                protocol
            }
            _ => b"HTTP/1.0",
        },
    }
}

#[cfg(test)]
mod tests;
