//! The HTTP/1.x request head, turned into the variables that a front end would have sent.
//!
//! Called by `worker` with what has arrived so far. The variables are those of uWSGI's
//! `http-socket`, where that loses nothing. Strict: what two readers could understand in two ways
//! is refused. The body behind the head is not looked at.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::Header;

use super::{Parsed, refusal::Refusal, request::Body, request::Front, request::Request};

/// The most header fields of one request.
const HEADERS: usize = 128;

/// What of a request's variables is known by the connection it came on.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// SERVER_NAME (uWSGI: the host's name, whatever `Host` says).
    pub server_name: &'a str,
    /// SERVER_PORT: the port listened on.
    pub server_port: &'a str,
    /// REMOTE_ADDR: the client's address, empty on a UNIX socket.
    pub remote_addr: &'a str,
    /// REMOTE_PORT: the client's port; where it is empty the variable is left out.
    pub remote_port: &'a str,
    /// The connection is encrypted: HTTPS is `on`.
    pub https: bool,
}

/// Parses one head; `limit` bounds its bytes (uWSGI: `--buffer-size`).
pub fn parse(bytes: &[u8], limit: usize, place: &Place<'_>, request: &mut Request) -> Result<Parsed, Refusal> {
    if let Some(reason) = foreign_protocol(bytes) {
        return Err(Refusal::BadHttp(reason));
    }
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS];
    let mut head = httparse::Request::new(&mut []);
    let size = match head.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(size)) if size <= limit => size,
        Ok(httparse::Status::Partial) if bytes.len() < limit => return Ok(Parsed::More),
        // A head that fills the limit without an end is over it, by a byte at least.
        Ok(_) => return Err(Refusal::TooLarge { size: bytes.len().max(limit + 1), limit }),
        Err(error) => return Err(refusal(error, bytes)),
    };
    let (Some(method), Some(target), Some(version)) = (head.method, head.path, head.version) else {
        return Err(Refusal::BadHttp("bad request line"));
    };
    if !lines_end_with_crlf(&bytes[..size], method, head.headers) {
        return Err(Refusal::BadHttp("line without CRLF"));
    }
    let target = Target::parse(method, target)?;
    let framing = Framing::read(head.headers, version)?;

    request.clear();
    request.front = if version == 0 { Front::Http10 } else { Front::Http11 };
    request.body = framing.body;
    request.keep_alive = framing.keep_alive;
    request.expects_continue = framing.expects_continue;
    request.head_size = size;
    let mut vars = Vars::new(request, &bytes[..size]);
    vars.line(method, &target, version)?;
    vars.place(place)?;
    vars.fields(head.headers, &target)?;
    Ok(Parsed::Complete(size))
}

/// Says it where a client of another protocol came to this socket.
fn foreign_protocol(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0, ..] => Some("the client speaks the uwsgi protocol on a socket that speaks HTTP"),
        [0x16, 3, ..] => Some("the client speaks TLS on a socket that speaks plain HTTP"),
        _ => None,
    }
}

/// The parser takes a bare LF as a line's end, too; so what stands in front of each line is looked
/// at, and what the head ends with.
fn lines_end_with_crlf(head: &[u8], method: &str, fields: &[Header<'_>]) -> bool {
    let before = |text: &str| &head[..text.as_ptr() as usize - head.as_ptr() as usize];
    // Empty lines before the request line are read over (RFC 9112, 2.2).
    before(method).chunks(2).all(|line| line == b"\r\n")
        && fields.iter().all(|field| before(field.name).ends_with(b"\r\n"))
        && head.ends_with(b"\r\n\r\n")
}

fn refusal(error: httparse::Error, bytes: &[u8]) -> Refusal {
    // The parser calls anything in the version's place a wrong version.
    let mut words = bytes.trim_ascii_start().split(|byte| *byte == b' ').skip(2);
    match error {
        httparse::Error::Version if words.next().is_some_and(|word| word.starts_with(b"HTTP/")) => Refusal::Version,
        httparse::Error::Version => Refusal::BadHttp("bad request line"),
        httparse::Error::TooManyHeaders => Refusal::TooManyHeaders(HEADERS),
        httparse::Error::HeaderName => Refusal::BadHttp("bad header field name"),
        httparse::Error::HeaderValue => Refusal::BadHttp("bad header field value"),
        httparse::Error::NewLine => Refusal::BadHttp("bad line end"),
        httparse::Error::Token | httparse::Error::Status => Refusal::BadHttp("bad request line"),
    }
}

/// A request target, taken apart.
struct Target<'a> {
    whole: &'a str,
    path: &'a str,
    query: &'a str,
    /// Of the absolute form: it stands above the Host field (RFC 9112, 3.2.2).
    authority: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn parse(method: &str, whole: &'a str) -> Result<Self, Refusal> {
        let (authority, rest) = match whole.as_bytes() {
            // A client that sends its fragment reads its URL in another way than we would.
            bytes if bytes.contains(&b'#') => return Err(Refusal::BadHttp("fragment in the request target")),
            [b'/', ..] => (None, whole),
            b"*" if method == "OPTIONS" => (None, whole),
            _ if method == "CONNECT" => return Err(Refusal::BadHttp("CONNECT, but this is no proxy")),
            _ => {
                let after = after_scheme(whole).ok_or(Refusal::BadHttp("bad request target"))?;
                let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
                if authority.is_empty() || !is_host(authority.as_bytes()) {
                    return Err(Refusal::BadHttp("bad host in the request target"));
                }
                (Some(authority), rest)
            }
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // `http://host` and `http://host?q` mean the root.
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { whole, path, query, authority })
    }
}

fn after_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}

/// Whether this is a host and perhaps a port (RFC 3986, 3.2.2): a name, an address, or an IPv6
/// address in brackets. An empty one is what a client sends that knows none.
fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            let inner = &rest[..end];
            if inner.is_empty() || !inner.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) {
                return false;
            }
            match &rest[end + 1..] {
                [] => return true,
                [b':', port @ ..] => (&b""[..], port),
                _ => return false,
            }
        }
        _ => match text.iter().position(|byte| *byte == b':') {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (text, &b""[..]),
        },
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    host.iter().all(in_name) && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

/// What the header fields say of the message's end and of the connection.
struct Framing {
    body: Body,
    keep_alive: bool,
    expects_continue: bool,
}

impl Framing {
    fn read(fields: &[Header<'_>], version: u8) -> Result<Self, Refusal> {
        let (mut length, mut chunked, mut hosts, mut expects_continue) = (None, false, 0, false);
        let (mut close, mut keep) = (false, false);
        for field in fields {
            // The length decides first: most fields are none of these.
            match field.name.len() {
                4 if is(field, "host") => {
                    hosts += 1;
                    if !is_host(field.value) {
                        return Err(Refusal::BadHttp("bad Host field"));
                    }
                }
                6 if is(field, "expect") => expects_continue = field.value.eq_ignore_ascii_case(b"100-continue"),
                10 if is(field, "connection") => {
                    for token in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                        close |= token.eq_ignore_ascii_case(b"close");
                        keep |= token.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if is(field, "content-length") => {
                    let value = digits(field.value)?;
                    if length.is_some_and(|earlier| earlier != value) {
                        return Err(Refusal::Duplicate("CONTENT_LENGTH"));
                    }
                    length = Some(value);
                }
                17 if is(field, "transfer-encoding") => {
                    if chunked {
                        return Err(Refusal::BadHttp("more than one Transfer-Encoding field"));
                    }
                    if !field.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(other_coding(field.value));
                    }
                    chunked = true;
                }
                _ => {}
            }
        }
        if hosts > 1 {
            return Err(Refusal::BadHttp("more than one Host field"));
        }
        if hosts == 0 && version == 1 {
            return Err(Refusal::BadHttp("no Host field"));
        }
        let body = match (chunked, length) {
            (true, Some(_)) => return Err(Refusal::BadHttp("both Transfer-Encoding and Content-Length")),
            // A 1.0 hop may have passed the coding on without knowing it (RFC 9112, 6.1).
            (true, None) if version == 0 => return Err(Refusal::BadHttp("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Body::Chunked,
            (false, length) => Body::Length(length.unwrap_or(0)),
        };
        let keep_alive = !close && (version == 1 || keep);
        Ok(Self { body, keep_alive, expects_continue: expects_continue && version == 1 })
    }
}

/// A coding that exists, but not here, is told apart from what another reader may take for none or
/// for chunked (RFC 9112, 6.1).
fn other_coding(value: &[u8]) -> Refusal {
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let known = |name: &[u8]| [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"].contains(&name);
    let last_is_chunked = codings.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    match last_is_chunked && codings.all(|name| known(name.to_ascii_lowercase().as_slice())) {
        true => Refusal::Coding,
        false => Refusal::BadHttp("Transfer-Encoding other than chunked"),
    }
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

fn digits(text: &[u8]) -> Result<u64, Refusal> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLength);
    }
    Ok(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Writes variables into a request. The head as received stands first in its block, so that most
/// values are noted where they are instead of being copied.
struct Vars<'r, 'b> {
    request: &'r mut Request,
    head: &'b [u8],
    /// Bytes of the block so far.
    end: usize,
}

impl<'r, 'b> Vars<'r, 'b> {
    fn new(request: &'r mut Request, head: &'b [u8]) -> Self {
        request.take_block(head);
        Self { request, head, end: head.len() }
    }

    fn line(&mut self, method: &'b str, target: &Target<'b>, version: u8) -> Result<(), Refusal> {
        self.add(b"REQUEST_METHOD", method.as_bytes())?;
        self.path(target.path.as_bytes())?;
        self.add(b"REQUEST_URI", target.whole.as_bytes())?;
        self.add(b"QUERY_STRING", target.query.as_bytes())?;
        self.add(b"SERVER_PROTOCOL", if version == 0 { b"HTTP/1.0" } else { b"HTTP/1.1" })?;
        self.add(b"SCRIPT_NAME", b"")
    }

    fn place(&mut self, place: &Place<'_>) -> Result<(), Refusal> {
        self.add(b"SERVER_NAME", place.server_name.as_bytes())?;
        self.add(b"SERVER_PORT", place.server_port.as_bytes())?;
        self.add(b"REMOTE_ADDR", place.remote_addr.as_bytes())?;
        if !place.remote_port.is_empty() {
            self.add(b"REMOTE_PORT", place.remote_port.as_bytes())?;
        }
        if place.https {
            self.add(b"HTTPS", b"on")?;
        }
        Ok(())
    }

    /// The fields, in their order, each name once.
    fn fields(&mut self, fields: &[Header<'b>], target: &Target<'b>) -> Result<(), Refusal> {
        let mut joined_before = 0_u128;
        let mut has_host = false;
        for (index, field) in fields.iter().enumerate() {
            // A name with `_` would become the same variable as its twin with `-`, which a front
            // end may have cleaned: such fields are dropped, as nginx does by default.
            if joined_before & (1 << index) != 0 || field.name.contains('_') {
                continue;
            }
            let host = is(field, "host");
            has_host |= host;
            let key = self.key(field.name);
            let mut value = match target.authority {
                Some(authority) if host => self.text(authority.as_bytes()),
                _ => self.text(field.value),
            };
            for (later, twin) in fields.iter().enumerate().skip(index + 1) {
                if !is(twin, field.name) {
                    continue;
                }
                joined_before |= 1 << later;
                // Equal lengths are all that comes here of it, and one is enough.
                if !is(twin, "content-length") {
                    value = self.join(value, if is(twin, "cookie") { b"; " } else { b", " }, twin.value);
                }
            }
            self.request.note(key, value)?;
        }
        match target.authority {
            Some(authority) if !has_host => self.add(b"HTTP_HOST", authority.as_bytes()),
            _ => Ok(()),
        }
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let key = self.append(key);
        let value = self.text(value);
        self.request.note(key, value)
    }

    /// PATH_INFO: percent-decoded, not normalised; what is no escape is left as it is.
    fn path(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let key = self.append(b"PATH_INFO");
        let start = self.end;
        let mut rest = path;
        while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
            if let Some(byte) = rest.get(at + 1..at + 3).and_then(escape) {
                if byte == 0 {
                    return Err(Refusal::BadHttp("NUL in the path"));
                }
                self.append(&rest[..at]);
                self.append(&[byte]);
                rest = &rest[at + 3..];
            } else {
                self.append(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
        let value = if rest.len() == path.len() {
            self.text(path)
        } else {
            self.append(rest);
            start..self.end
        };
        self.request.note(key, value)
    }

    /// The variable's name for a header field.
    fn key(&mut self, name: &str) -> Range<usize> {
        let start = self.end;
        if !name.eq_ignore_ascii_case("content-type") && !name.eq_ignore_ascii_case("content-length") {
            self.append(b"HTTP_");
        }
        let mut piece = [0; 64];
        for part in name.as_bytes().chunks(piece.len()) {
            for (to, from) in piece.iter_mut().zip(part) {
                *to = if *from == b'-' { b'_' } else { from.to_ascii_uppercase() };
            }
            self.append(&piece[..part.len()]);
        }
        start..self.end
    }

    fn join(&mut self, first: Range<usize>, between: &[u8], second: &[u8]) -> Range<usize> {
        // The first value stands in the head, or at the block's end where it was joined before.
        let start = if first.end == self.end {
            first.start
        } else {
            let head = self.head;
            self.append(&head[first]).start
        };
        self.append(between);
        self.append(second);
        start..self.end
    }

    /// Where this text stands in the block, which it joins only if it is not part of the head.
    fn text(&mut self, text: &[u8]) -> Range<usize> {
        let start = (text.as_ptr() as usize).wrapping_sub(self.head.as_ptr() as usize);
        match start.checked_add(text.len()) {
            Some(end) if end <= self.head.len() => start..end,
            _ => self.append(text),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        self.request.take_block(bytes);
        let start = self.end;
        self.end += bytes.len();
        start..self.end
    }
}

/// The byte that two hex digits stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests;
