//! The PROXY protocol's header, versions 1 and 2: whom a load balancer took a connection from.
//!
//! Called by `worker` with the first bytes of a connection, where an option says that they are this.
//! Strict, as the specification demands: a header that is not there or not right ends the
//! connection, it is never guessed at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::refusal::Refusal;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header of version 1, line end included.
const LINE: usize = 107;
/// The most bytes behind the sixteen first ones of version 2: addresses, and what else a balancer
/// wants to tell.
const MOST: usize = 4096;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Not complete yet.
    More,
    /// Complete.
    Complete {
        /// Bytes it took.
        size: usize,
        /// The client that the balancer names; `None` for a connection of the balancer's own, or from a
        /// kind of client that has no such address.
        source: Option<SocketAddr>,
    },
}

/// Parses what has come so far of a connection.
pub fn parse(bytes: &[u8]) -> Result<Header, Refusal> {
    let start = bytes.len().min(SIGNATURE.len());
    if bytes[..start] == SIGNATURE[..start] {
        return if start < SIGNATURE.len() { Ok(Header::More) } else { second(bytes) };
    }
    let start = bytes.len().min(6);
    if bytes[..start] == b"PROXY "[..start] {
        return first(bytes);
    }
    Err(Refusal::Proxy("the connection does not begin with one"))
}

/// Version 1, a line of text.
fn first(bytes: &[u8]) -> Result<Header, Refusal> {
    let Some(end) = bytes.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE { Ok(Header::More) } else { Err(Refusal::Proxy("the line has no end")) };
    };
    let line = bytes[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(Refusal::Proxy("the line does not end in CRLF"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    let size = end + 1;
    if family == "UNKNOWN" {
        // What follows has no meaning, whatever it is.
        return Ok(Header::Complete { size, source: None });
    }
    let (Some(source), Some(target), Some(port), Some(target_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Proxy("not six words"));
    };
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => None,
    };
    match (address(source), address(target), number(port), number(target_port)) {
        (Some(source), Some(_), Some(port), Some(_)) => {
            Ok(Header::Complete { size, source: Some(SocketAddr::new(source, port)) })
        }
        _ => Err(Refusal::Proxy("an address or a port that is none")),
    }
}

/// A port, without sign and leading zeros.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// Version 2, binary.
fn second(bytes: &[u8]) -> Result<Header, Refusal> {
    let Some(&[version, family, high, low]) = bytes.get(12..16) else { return Ok(Header::More) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 2 {
        return Err(Refusal::Proxy("neither version 1 nor 2"));
    }
    if length > MOST {
        return Err(Refusal::Proxy("too long"));
    }
    let size = 16 + length;
    let Some(rest) = bytes.get(16..size) else { return Ok(Header::More) };
    let source = match (version & 15, family) {
        // The balancer's own connection, such as a health check.
        (0, _) => return Ok(Header::Complete { size, source: None }),
        (1, 0x11) => rest.first_chunk::<12>().map(|part| {
            let [a, b, c, d, .., high, low, _, _] = *part;
            (12, Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low]))))
        }),
        (1, 0x21) => rest.first_chunk::<36>().map(|part| {
            let mut address = [0; 16];
            address.copy_from_slice(&part[..16]);
            let port = u16::from_be_bytes([part[32], part[33]]);
            (36, Some(SocketAddr::new(Ipv6Addr::from(address).into(), port)))
        }),
        (1, 0x31) => (rest.len() >= 216).then_some((216, None)),
        (1, 0x00) => return Ok(Header::Complete { size, source: None }),
        (1, _) => return Err(Refusal::Proxy("a family or transport that is no stream")),
        _ => return Err(Refusal::Proxy("a command that does not exist")),
    };
    let Some((used, source)) = source else { return Err(Refusal::Proxy("too short for its addresses")) };
    extras_add_up(&rest[used..])?;
    Ok(Header::Complete { size, source })
}

/// What stands behind the addresses: type, length, value, again and again.
fn extras_add_up(mut rest: &[u8]) -> Result<(), Refusal> {
    while !rest.is_empty() {
        let length = rest.get(1..3).map(|length| usize::from(u16::from_be_bytes([length[0], length[1]])));
        let behind = length.and_then(|length| rest.get(3 + length..));
        rest = behind.ok_or(Refusal::Proxy("lengths that don't add up"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8]) -> Option<String> {
        match parse(bytes).unwrap() {
            Header::Complete { size, source } => {
                assert_eq!(size, bytes.len());
                source.map(|source| source.to_string())
            }
            Header::More => panic!("not complete"),
        }
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];

    #[test]
    fn both_versions_name_the_client() {
        assert_eq!(source(b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n").unwrap(), "192.0.2.7:4660");
        assert_eq!(source(b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n").unwrap(), "[2001:db8::7]:1");
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN ffff::1 whatever\r\n"), None);
        assert_eq!(source(&binary(1, 0x11, &FOUR)).unwrap(), "192.0.2.7:4660");
        let mut six = [0; 36];
        six[15] = 1;
        six[33] = 9;
        assert_eq!(source(&binary(1, 0x21, &six)).unwrap(), "[::1]:9");
        assert_eq!(source(&binary(0, 0, b"whatever")), None);
        assert_eq!(source(&binary(1, 0x31, &[0; 216])), None);
        let extra = [&FOUR[..], &[4, 0, 2, b'x', b'y', 1, 0, 0]].concat();
        assert_eq!(source(&binary(1, 0x11, &extra)).unwrap(), "192.0.2.7:4660");
    }

    #[test]
    fn every_piece_short_of_the_whole_needs_more() {
        for whole in [b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n".to_vec(), binary(1, 0x11, &FOUR)] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]), Ok(Header::More), "{end} bytes");
            }
        }
    }

    #[test]
    fn what_is_not_right_is_refused() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "PROXY\r\n",
            "PROXY  TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
            "PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n",
            "proxy tcp4 192.0.2.7 10.0.0.1 1 2\r\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
        assert!(parse(&[b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat()).is_err());
        let mut third = binary(1, 0x11, &FOUR);
        third[12] = 0x31;
        let long = [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat();
        for bytes in [
            third,
            long,
            binary(2, 0x11, &FOUR),
            binary(1, 0x12, &FOUR),
            binary(1, 0x11, &FOUR[..11]),
            binary(1, 0x21, &FOUR),
            binary(1, 0x11, &[&FOUR[..], &[4, 0, 2, b'x']].concat()),
            binary(1, 0x11, &[&FOUR[..], &[4]].concat()),
        ] {
            assert!(matches!(parse(&bytes), Err(Refusal::Proxy(_))), "{bytes:?}");
        }
    }
}
