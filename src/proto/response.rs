//! The response head: what the app said, checked, and turned into bytes for the wire.
//!
//! `python` fills it from `start_response`; `net` asks for its bytes when the first chunk leaves.
//! Nothing an app emits gets past here that could break the response's framing.

use thiserror::Error;

/// Why a status or a header can't be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// The status does not start with three digits, or is a 1xx.
    #[error("status {0:?} is not three digits and a reason")]
    Status(String),
    /// A byte that would end the line.
    #[error("{what} {name:?} has a CR, LF or NUL")]
    ControlByte {
        /// `status`, `name of header` or `value of header`.
        what: &'static str,
        /// The header's name, or the status.
        name: String,
    },
    /// A header's name that is no token.
    #[error("{0:?} is not a header name")]
    Name(String),
    /// Content-Length is no number or stands twice with different values.
    #[error("bad Content-Length {0:?}")]
    ContentLength(String),
    /// A header that is the server's to send (RFC 9110, hop-by-hop).
    #[error("{0:?} is for the server to send")]
    HopByHop(String),
    /// The head grew over the limit (uWSGI: `--response-headers-limit`).
    #[error("response head over {0} bytes (`response-headers-limit`)")]
    TooLarge(usize),
}

/// The largest response head, bytes, where nothing else is set.
const LIMIT: usize = 64 * 1024;

/// A response head under construction. A core keeps one and fills it anew.
#[derive(Debug)]
pub struct Head {
    status: Vec<u8>,
    headers: Vec<u8>,
    count: u32,
    code: u16,
    content_length: Option<u64>,
    connection_close: bool,
    limit: usize,
    edits: Edits,
}

/// What the configuration changes of every head (uWSGI: `--add-header`, `--rem-header`).
#[derive(Clone, Debug, Default)]
pub struct Edits {
    added: Vec<u8>,
    added_count: u32,
    removed: Vec<Vec<u8>>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            status: Vec::new(),
            headers: Vec::new(),
            count: 0,
            code: 0,
            content_length: None,
            connection_close: false,
            limit: LIMIT,
            edits: Edits::default(),
        }
    }
}

impl Edits {
    /// Has every response carry a header.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let mut head = Head::default();
        head.header(name, value)?;
        self.added.extend_from_slice(&head.headers);
        self.added_count += head.count;
        Ok(())
    }

    /// Has no response carry headers of this name from its app.
    pub fn remove(&mut self, name: &[u8]) {
        self.removed.push(name.to_vec());
    }
}

impl Head {
    /// What holds for every head that is made here: how many bytes of headers it may have, and what
    /// is added and removed. Stays through [`Head::clear`].
    pub fn govern(&mut self, limit: usize, edits: Edits) {
        (self.limit, self.edits) = (limit, edits);
    }

    /// Forgets status and headers; the memory stays.
    pub fn clear(&mut self) {
        self.status.clear();
        self.headers.clear();
        self.count = 0;
        self.code = 0;
        self.content_length = None;
        self.connection_close = false;
    }

    /// Sets the status, such as `200 OK`; forgets an earlier status and its headers.
    pub fn start(&mut self, status: &[u8]) -> Result<(), HeadError> {
        self.clear();
        let text = || String::from_utf8_lossy(status).into_owned();
        if breaks_line(status) {
            return Err(HeadError::ControlByte { what: "status", name: text() });
        }
        let code = match status {
            [a @ b'2'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']
            | [a @ b'2'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
                [a, b, c].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
            }
            _ => return Err(HeadError::Status(text())),
        };
        self.code = code;
        self.status.extend_from_slice(status);
        if status.len() <= 4 {
            self.status.truncate(3);
            self.status.push(b' ');
            self.status.extend_from_slice(reason(code).as_bytes());
        }
        Ok(())
    }

    /// Adds a header.
    pub fn header(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if breaks_line(name) {
            return Err(HeadError::ControlByte { what: "name of header", name: text(name) });
        }
        if breaks_line(value) {
            return Err(HeadError::ControlByte { what: "value of header", name: text(name) });
        }
        if name.is_empty() || !name.iter().all(|byte| TOKEN[usize::from(*byte)]) {
            return Err(HeadError::Name(text(name)));
        }
        // Framing headers are looked for by length first: most names are neither.
        if name.len() == 14 && name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .map(str::trim)
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse::<u64>().ok());
            match (length, self.content_length) {
                (None, _) => return Err(HeadError::ContentLength(text(value))),
                (Some(new), Some(old)) if new != old => {
                    return Err(HeadError::ContentLength(text(value)));
                }
                (Some(_), Some(_)) => return Ok(()),
                (length, None) => self.content_length = length,
            }
        } else if name.len() == 10 && name.eq_ignore_ascii_case(b"connection") {
            // Whether it stays open is not for the app to promise.
            if !value.eq_ignore_ascii_case(b"close") {
                return Ok(());
            }
            self.connection_close = true;
        } else if self.is_hop_by_hop(name) {
            return Err(HeadError::HopByHop(text(name)));
        }
        if self.headers.len() + name.len() + value.len() + 4 > self.limit {
            return Err(HeadError::TooLarge(self.limit));
        }
        if !self.edits.removed.is_empty() && self.edits.removed.iter().any(|removed| removed.eq_ignore_ascii_case(name))
        {
            return Ok(());
        }
        self.headers.extend_from_slice(name);
        self.headers.extend_from_slice(b": ");
        self.headers.extend_from_slice(value);
        self.headers.extend_from_slice(b"\r\n");
        self.count += 1;
        Ok(())
    }

    /// Whether a header speaks of this connection alone (PEP 3333 forbids them to apps). `Upgrade`
    /// belongs to a 426.
    fn is_hop_by_hop(&self, name: &[u8]) -> bool {
        match name.len() {
            2 => name.eq_ignore_ascii_case(b"te"),
            7 if self.code != 426 && name.eq_ignore_ascii_case(b"upgrade") => true,
            7 => name.eq_ignore_ascii_case(b"trailer"),
            10 => name.eq_ignore_ascii_case(b"keep-alive"),
            16 => name.eq_ignore_ascii_case(b"proxy-connection"),
            17 => name.eq_ignore_ascii_case(b"transfer-encoding"),
            _ => false,
        }
    }

    /// Whether a status was set.
    pub fn is_started(&self) -> bool {
        self.code != 0
    }

    /// The status as a number; 0 before one was set.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// How many headers there are.
    pub fn count(&self) -> u32 {
        self.count + self.edits.added_count
    }

    /// The length the app announced.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the app asked for the connection to be closed.
    pub fn wants_close(&self) -> bool {
        self.connection_close
    }

    /// Whether this response may have a body at all.
    pub fn allows_body(&self) -> bool {
        !matches!(self.code, 204 | 304)
    }

    /// Writes the whole head: status line, the app's headers, then `framing` (complete header
    /// lines of the server's own) and the blank line. Returns the bytes written.
    pub fn write(&self, protocol: &[u8], framing: &[u8], out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.reserve(protocol.len() + self.status.len() + self.headers.len() + framing.len() + 5);
        out.extend_from_slice(protocol);
        out.push(b' ');
        out.extend_from_slice(&self.status);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.headers);
        out.extend_from_slice(&self.edits.added);
        out.extend_from_slice(framing);
        out.extend_from_slice(b"\r\n");
        out.len() - start
    }
}

/// A whole plain-text answer of the server's own, for requests the app never sees.
pub fn canned(protocol: &[u8], status: &str, text: &str) -> Vec<u8> {
    let body = format!("{text}\n");
    let mut bytes = protocol.to_vec();
    bytes.extend_from_slice(
        format!(
            " {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    );
    bytes
}

/// The letters of a header's name (RFC 9110, token).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        table[byte] = letter.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

fn breaks_line(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

/// The usual reason of a status that came without one (uWSGI fills it in too).
fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: &str, headers: &[(&str, &str)]) -> Result<Head, HeadError> {
        let mut head = Head::default();
        head.start(status.as_bytes())?;
        for (name, value) in headers {
            head.header(name.as_bytes(), value.as_bytes())?;
        }
        Ok(head)
    }

    #[test]
    fn writes_status_headers_and_framing() {
        let head = head("200 OK", &[("Content-Type", "text/plain"), ("Content-Length", "5")]).unwrap();
        let mut out = Vec::new();
        head.write(b"HTTP/1.1", b"Connection: close\r\n", &mut out);
        assert_eq!(
            out,
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        );
        assert_eq!((head.code(), head.count(), head.content_length()), (200, 2, Some(5)));
    }

    #[test]
    fn a_bare_status_gets_its_reason() {
        for (status, line) in [("404", "404 Not Found"), ("599 ", "599 Unknown")] {
            let mut out = Vec::new();
            head(status, &[]).unwrap().write(b"HTTP/1.0", b"", &mut out);
            assert_eq!(out, format!("HTTP/1.0 {line}\r\n\r\n").as_bytes());
        }
    }

    #[test]
    fn refuses_what_could_break_the_framing() {
        for status in ["", "20", "abc", "2000 OK", "100 Continue", "200 OK\r\nX: y", "200\0"] {
            assert!(head(status, &[]).is_err(), "{status:?}");
        }
        for (name, value) in [
            ("X\r\nY", "z"),
            ("X", "a\r\nb"),
            ("X", "a\0"),
            ("", "x"),
            ("a b", "c"),
            ("a:", "b"),
            ("X\x01", "b"),
            ("Z\u{fc}", "b"),
            ("Transfer-Encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("Trailer", "X"),
            ("TE", "trailers"),
            ("Upgrade", "h2c"),
            ("Content-Length", "five"),
            ("Content-Length", "-5"),
            ("content-length", ""),
        ] {
            assert!(head("200 OK", &[(name, value)]).is_err(), "{name:?}: {value:?}");
        }
        assert!(head("200 OK", &[("Content-Length", "5"), ("Content-Length", "6")]).is_err());
        assert!(head("200 OK", &[("X", &"y".repeat(70_000))]).is_err());
    }

    #[test]
    fn what_the_server_says_of_the_connection_is_its_own() {
        assert!(head("426 Upgrade Required", &[("Upgrade", "h2c")]).is_ok());
        let kept = head("200 OK", &[("Connection", "keep-alive"), ("X", "y")]).unwrap();
        assert_eq!((kept.count(), kept.wants_close()), (1, false));
        assert!(head("200 OK", &[("connection", "Close")]).unwrap().wants_close());
    }

    #[test]
    fn heads_are_edited_and_limited() {
        let mut edits = Edits::default();
        edits.add(b"X-Served-By", b"a").unwrap();
        edits.remove(b"server");
        assert!(edits.add(b"X", b"a\r\nb").is_err());
        let mut head = Head::default();
        head.govern(40, edits);
        for _ in 0..2 {
            head.start(b"200 OK").unwrap();
            head.header(b"Server", b"secret").unwrap();
            head.header(b"A", b"b").unwrap();
            let mut out = Vec::new();
            head.write(b"HTTP/1.1", b"", &mut out);
            assert_eq!(out, b"HTTP/1.1 200 OK\r\nA: b\r\nX-Served-By: a\r\n\r\n");
            assert_eq!(head.count(), 2);
        }
        assert_eq!(head.header(b"B", &[b'x'; 40]), Err(HeadError::TooLarge(40)));
    }

    #[test]
    fn starting_again_forgets_the_first_head() {
        let mut head = head("200 OK", &[("X", "y"), ("Content-Length", "3")]).unwrap();
        head.start(b"500 Oops").unwrap();
        assert_eq!((head.code(), head.count(), head.content_length()), (500, 0, None));
    }
}
