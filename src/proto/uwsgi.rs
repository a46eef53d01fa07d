//! The uwsgi packet: four bytes of header, then variables as pairs of length and bytes.
//!
//! Called by `worker` with what has arrived so far. Strict: a length that does not add up is
//! refused, never guessed at. The body behind the packet is not looked at.

use super::{Parsed, refusal::Refusal, request::Body, request::Front, request::Request};

/// Bytes of the packet's header: modifier1, size (two bytes, little endian), modifier2.
pub const HEADER: usize = 4;

/// modifier1 of a WSGI request.
const WSGI: u8 = 0;
/// modifier1 of a WSGI request whose SCRIPT_NAME the front end did not cut off PATH_INFO. Does
/// nothing more than 0 here, as uWSGI on Python 3.
const WSGI_MANAGED: u8 = 30;
/// modifier1 of a ping.
pub const PING: u8 = 100;

/// The answer to a ping: modifier1 100, no bytes, modifier2 1 (uWSGI: `--ping`).
pub const PONG: [u8; HEADER] = [PING, 0, 0, 1];

/// Parses one packet; `buffer_size` bounds its variables (uWSGI: `--buffer-size`).
pub fn parse(bytes: &[u8], buffer_size: usize, request: &mut Request) -> Result<Parsed, Refusal> {
    // HTTP and TLS are recognised by what they start with, before their bytes are taken for a size.
    if let Some(protocol) = foreign_protocol(bytes) {
        return Err(Refusal::WrongProtocol(protocol));
    }
    let Some((&[modifier1, low, high, modifier2], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(Parsed::More);
    };
    let size = usize::from(u16::from_le_bytes([low, high]));
    match modifier1 {
        WSGI | WSGI_MANAGED => {}
        PING => {
            request.clear();
            request.modifier1 = modifier1;
            return Ok(Parsed::Complete(HEADER));
        }
        other => return Err(Refusal::Modifier(other)),
    }
    if size == 0 {
        return Err(Refusal::Empty);
    }
    if size > buffer_size {
        return Err(Refusal::TooLarge { size, limit: buffer_size });
    }
    let Some(block) = rest.get(..size) else {
        return Ok(Parsed::More);
    };
    request.clear();
    request.front = Front::Uwsgi;
    request.modifier1 = modifier1;
    request.modifier2 = modifier2;
    request.head_size = size;
    request.take_block(block);
    let mut at = 0;
    while at < size {
        let key = span(block, at)?;
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        if block[key.clone()].iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Refusal::BadKey);
        }
        let value = span(block, key.end)?;
        at = value.end;
        request.note(key, value)?;
    }
    request.body = Body::Length(request.content_length()?);
    Ok(Parsed::Complete(HEADER + size))
}

/// The bytes that the length at `at` announces.
fn span(block: &[u8], at: usize) -> Result<std::ops::Range<usize>, Refusal> {
    let length = block.get(at..at + 2).ok_or(Refusal::Lengths)?;
    let start = at + 2;
    let end = start + usize::from(u16::from_le_bytes([length[0], length[1]]));
    if end > block.len() { Err(Refusal::Lengths) } else { Ok(start..end) }
}

/// Names the protocol of a client that came to the wrong socket. A uwsgi packet with modifier1
/// `G`, `P`, … would be refused as an unknown modifier anyhow; this says why.
fn foreign_protocol(bytes: &[u8]) -> Option<&'static str> {
    const METHODS: [&[u8]; 8] = [b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"PRI "];
    let start = bytes.get(..4)?;
    if METHODS.contains(&start) {
        return Some("HTTP");
    }
    // A TLS record: handshake, version 3.x.
    (start[0] == 0x16 && start[1] == 3).then_some("TLS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::request::Known;

    fn packet(modifier1: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = vec![modifier1];
        bytes.extend((block.len() as u16).to_le_bytes());
        bytes.push(0);
        bytes.extend(block);
        bytes
    }

    fn block(vars: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        for (key, value) in vars {
            for part in [key, value] {
                block.extend((part.len() as u16).to_le_bytes());
                block.extend(*part);
            }
        }
        block
    }

    fn parse_bytes(bytes: &[u8]) -> Result<(Parsed, Request), Refusal> {
        let mut request = Request::new();
        parse(bytes, 65_535, &mut request).map(|parsed| (parsed, request))
    }

    #[test]
    fn every_piece_short_of_the_whole_needs_more() {
        let mut bytes = packet(0, &block(&[(b"PATH_INFO", b"/x"), (b"CONTENT_LENGTH", b"3"), (b"A", b"")]));
        let head = bytes.len();
        bytes.extend(b"abc");
        for end in 0..head {
            assert_eq!(parse_bytes(&bytes[..end]).unwrap().0, Parsed::More, "{end} bytes");
        }
        let (parsed, request) = parse_bytes(&bytes).unwrap();
        assert_eq!(parsed, Parsed::Complete(head));
        assert_eq!(request.body, Body::Length(3));
        assert_eq!(request.known(Known::PathInfo), Some(&b"/x"[..]));
        assert_eq!(request.vars().last(), Some((&b"A"[..], &b""[..])));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused() {
        let good = block(&[(b"A", b"b")]);
        for bad in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), &[&good[..], &[0, 0]].concat(), &[9, 0, b'x']]
        {
            let refusal = parse_bytes(&packet(0, bad)).unwrap_err();
            assert!(matches!(refusal, Refusal::Lengths | Refusal::EmptyKey), "{bad:?} {refusal:?}");
        }
    }

    #[test]
    fn names_are_not_empty_and_hold_no_control_bytes() {
        assert_eq!(parse_bytes(&packet(0, &block(&[(b"", b"x")]))).unwrap_err(), Refusal::EmptyKey);
        for key in [b"A\0", b"A\r", b"A\n"] {
            assert_eq!(parse_bytes(&packet(0, &block(&[(key, b"x")]))).unwrap_err(), Refusal::BadKey);
        }
    }

    #[test]
    fn size_is_bounded_and_empty_is_refused() {
        assert_eq!(parse_bytes(&packet(0, b"")).unwrap_err(), Refusal::Empty);
        let mut request = Request::new();
        let bytes = packet(0, &block(&[(b"A", &[b'x'; 100])]));
        assert_eq!(parse(&bytes[..4], 64, &mut request), Err(Refusal::TooLarge { size: 105, limit: 64 }));
    }

    #[test]
    fn modifiers_other_than_request_and_ping_are_refused() {
        assert_eq!(parse_bytes(&packet(PING, b"")).unwrap().0, Parsed::Complete(4));
        assert_eq!(parse_bytes(&packet(WSGI_MANAGED, &block(&[(b"A", b"b")]))).unwrap().1.modifier1, 30);
        for modifier in (1..=255).filter(|m| ![WSGI_MANAGED, PING].contains(m)) {
            assert!(parse_bytes(&packet(modifier, b"xxxx")).is_err());
        }
    }

    #[test]
    fn other_protocols_are_named() {
        assert_eq!(parse_bytes(b"GET / HTTP/1.1\r\n").unwrap_err(), Refusal::WrongProtocol("HTTP"));
        assert_eq!(parse_bytes(&[0x16, 3, 1, 2, 0]).unwrap_err(), Refusal::WrongProtocol("TLS"));
    }

    #[test]
    fn many_small_variables_are_taken() {
        let vars: Vec<(&[u8], &[u8])> = vec![(b"A", b""); 13_000];
        assert_eq!(parse_bytes(&packet(0, &block(&vars))).unwrap().1.len(), 13_000);
    }
}
