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
    /// The head grew over 64 KiB (uWSGI: `--response-headers-limit`).
    #[error("response head over {0} bytes")]
    TooLarge(usize),
}

/// The largest response head, bytes.
const LIMIT: usize = 64 * 1024;

/// A response head under construction. A core keeps one and fills it anew.
#[derive(Debug, Default)]
pub struct Head {
    status: Vec<u8>,
    headers: Vec<u8>,
    count: u32,
    code: u16,
    content_length: Option<u64>,
    connection_close: bool,
}

impl Head {
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
        if name.is_empty() || name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == b':') {
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
            self.connection_close |= value.eq_ignore_ascii_case(b"close");
        }
        if self.headers.len() + name.len() + value.len() + 4 > LIMIT {
            return Err(HeadError::TooLarge(LIMIT));
        }
        self.headers.extend_from_slice(name);
        self.headers.extend_from_slice(b": ");
        self.headers.extend_from_slice(value);
        self.headers.extend_from_slice(b"\r\n");
        self.count += 1;
        Ok(())
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
        self.count
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
    fn starting_again_forgets_the_first_head() {
        let mut head = head("200 OK", &[("X", "y"), ("Content-Length", "3")]).unwrap();
        head.start(b"500 Oops").unwrap();
        assert_eq!((head.code(), head.count(), head.content_length()), (500, 0, None));
    }
}
