//! The SCGI head: a netstring of variables, each name and value ended by NUL.
//!
//! Called by `worker` with what has arrived so far. Strict, as the other parsers. The body behind
//! the head is not looked at.

use super::{Parsed, refusal::Refusal, request::Body, request::Front, request::Request};

/// The most digits of the netstring's length.
const DIGITS: usize = 6;

/// Parses one head; `limit` bounds its bytes (uWSGI: `--buffer-size`).
pub fn parse(bytes: &[u8], limit: usize, request: &mut Request) -> Result<Parsed, Refusal> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(digits) {
        _ if digits > DIGITS => return Err(Refusal::Scgi("a length that is none")),
        None => return Ok(Parsed::More),
        Some(b':') if digits > 0 && (digits == 1 || bytes[0] != b'0') => {}
        Some(_) => return Err(Refusal::Scgi("it does not begin with a length")),
    }
    let size = bytes[..digits].iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if size > limit {
        return Err(Refusal::TooLarge { size, limit });
    }
    let start = digits + 1;
    let Some(block) = bytes.get(start..start + size) else { return Ok(Parsed::More) };
    match bytes.get(start + size) {
        None => return Ok(Parsed::More),
        Some(b',') => {}
        Some(_) => return Err(Refusal::Scgi("it does not end where it says")),
    }
    // The specification's own mark, and its rule that the length comes first.
    if !block.starts_with(b"CONTENT_LENGTH\0") {
        return Err(Refusal::Scgi("CONTENT_LENGTH is not its first variable"));
    }
    request.clear();
    request.front = Front::Scgi;
    request.head_size = start + size + 1;
    request.take_block(block);
    let mut at = 0;
    while at < size {
        let key = word(block, at)?;
        let value = word(block, key.end + 1)?;
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        if block[key.clone()].iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(Refusal::BadKey);
        }
        at = value.end + 1;
        request.note(key, value)?;
    }
    if request.var(b"SCGI") != Some(b"1") {
        return Err(Refusal::Scgi("no `SCGI` variable of `1`"));
    }
    if request.var(b"CONTENT_LENGTH") == Some(b"") {
        return Err(Refusal::ContentLength);
    }
    request.body = Body::Length(request.content_length()?);
    Ok(Parsed::Complete(start + size + 1))
}

/// What stands from `at` to the next NUL.
fn word(block: &[u8], at: usize) -> Result<std::ops::Range<usize>, Refusal> {
    let rest = block.get(at..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == 0).ok_or(Refusal::Scgi("a variable without an end"))?;
    Ok(at..at + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::request::Known;

    fn head(block: &str) -> Vec<u8> {
        format!("{}:{block},", block.len()).into_bytes()
    }

    fn parse_bytes(bytes: &[u8]) -> Result<(Parsed, Request), Refusal> {
        let mut request = Request::new();
        parse(bytes, 65_535, &mut request).map(|parsed| (parsed, request))
    }

    #[test]
    fn every_piece_short_of_the_whole_needs_more() {
        let mut bytes = head("CONTENT_LENGTH\x003\0SCGI\x001\0PATH_INFO\0/x\0EMPTY\0\0");
        let size = bytes.len();
        bytes.extend(b"abc");
        for end in 0..size {
            assert_eq!(parse_bytes(&bytes[..end]).unwrap().0, Parsed::More, "{end} bytes");
        }
        let (parsed, request) = parse_bytes(&bytes).unwrap();
        assert_eq!((parsed, request.body), (Parsed::Complete(size), Body::Length(3)));
        assert_eq!(request.known(Known::PathInfo), Some(&b"/x"[..]));
        assert_eq!(request.vars().last(), Some((&b"EMPTY"[..], &b""[..])));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let good = "CONTENT_LENGTH\x000\0SCGI\x001\0";
        assert!(parse_bytes(&head(good)).is_ok());
        for block in [
            "",
            "SCGI\x001\0CONTENT_LENGTH\x000\0",
            "CONTENT_LENGTH\x000\0",
            "CONTENT_LENGTH\x000\0SCGI\x002\0",
            "CONTENT_LENGTH\0\0SCGI\x001\0",
            "CONTENT_LENGTH\0abc\0SCGI\x001\0",
            "CONTENT_LENGTH\x000\0SCGI\x001\0A",
            "CONTENT_LENGTH\x000\0SCGI\x001\0A\0b",
            "CONTENT_LENGTH\x000\0SCGI\x001\0\0b\0",
            "CONTENT_LENGTH\x000\0SCGI\x001\0A\nB\0b\0",
            "CONTENT_LENGTH\x000\0SCGI\x001\0CONTENT_LENGTH\x005\0",
        ] {
            assert!(parse_bytes(&head(block)).is_err(), "{block:?}");
        }
        for bytes in ["GET / HTTP/1.1\r\n", ":", "024:", "-1:", "9999999:", "2:ab;", " 2:ab,", "99999:"] {
            assert!(parse_bytes(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
