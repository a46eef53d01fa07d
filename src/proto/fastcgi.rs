//! FastCGI records: the head of a request, its body, and the frames that an answer leaves in.
//!
//! Called by `worker` with what has arrived so far, and by `net::exchange` for the bodies. One
//! request a connection, as front ends send them; strict, as the other parsers.

use super::{Parsed, refusal::Refusal, request::Body, request::Front, request::Request};

/// Bytes in front of each record: version, type, id, length, padding, a spare one.
const HEADER: usize = 8;
/// The most bytes of one record.
pub const MOST: usize = 65_535;

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
/// The role of one that answers requests.
const RESPONDER: [u8; 2] = [0, 1];

/// One record's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u8,
    id: u16,
    length: usize,
    padding: usize,
}

impl Header {
    /// The header that `bytes` start with; `None` where more has to come.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Refusal> {
        if bytes.first().is_some_and(|version| *version != 1) {
            return Err(Refusal::Fastcgi("a version other than 1"));
        }
        let Some(&[_, kind, a, b, c, d, padding, _]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let (id, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        Ok(Some(Self { kind, id, length, padding: usize::from(padding) }))
    }
}

/// Parses one head; `limit` bounds the bytes of its variables (uWSGI: `--buffer-size`).
pub fn parse(bytes: &[u8], limit: usize, request: &mut Request) -> Result<Parsed, Refusal> {
    request.clear();
    let (mut at, mut id, mut size) = (0, None, 0);
    loop {
        let Some(header) = Header::read(&bytes[at..])? else { return Ok(Parsed::More) };
        let start = at + HEADER;
        if header.kind == PARAMS && size + header.length > limit {
            return Err(Refusal::TooLarge { size: size + header.length, limit });
        }
        let Some(content) = bytes.get(start..start + header.length) else { return Ok(Parsed::More) };
        let end = start + header.length + header.padding;
        if end > bytes.len() {
            return Ok(Parsed::More);
        }
        at = end;
        match (header.kind, id) {
            (BEGIN, None) if header.length != 8 || header.id == 0 => {
                return Err(Refusal::Fastcgi("a bad beginning"));
            }
            (BEGIN, None) if content[..2] != RESPONDER => return Err(Refusal::Fastcgi("a role that is not served")),
            (BEGIN, None) => id = Some(header.id),
            (PARAMS, Some(id)) if id == header.id && header.length > 0 => {
                request.take_block(content);
                size += header.length;
            }
            (PARAMS, Some(id)) if id == header.id => {
                read_variables(request, size)?;
                request.front = Front::Fastcgi(id);
                request.head_size = size;
                request.body = Body::Records(request.content_length()?);
                return Ok(Parsed::Complete(at));
            }
            _ => return Err(Refusal::Fastcgi("a record out of place")),
        }
    }
}

/// Notes the names and values of the block that the request has taken.
fn read_variables(request: &mut Request, size: usize) -> Result<(), Refusal> {
    let mut at = 0;
    while at < size {
        let (key_length, after) = length(request.block(), at)?;
        let (value_length, start) = length(request.block(), after)?;
        let (key, end) = (start..start + key_length, start + key_length + value_length);
        if end > size {
            return Err(Refusal::Fastcgi("lengths that don't add up"));
        }
        if key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        if request.block()[key.clone()].iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Refusal::BadKey);
        }
        request.note(key.clone(), key.end..end)?;
        at = end;
    }
    Ok(())
}

/// The length at `at`, of one byte or of four, and where what follows it stands.
fn length(block: &[u8], at: usize) -> Result<(usize, usize), Refusal> {
    match block.get(at..).unwrap_or_default() {
        [short @ 0..=127, ..] => Ok((usize::from(*short), at + 1)),
        [a, b, c, d, ..] => Ok((u32::from_be_bytes([a & 127, *b, *c, *d]) as usize, at + 4)),
        _ => Err(Refusal::Fastcgi("lengths that don't add up")),
    }
}

/// Takes a request's body out of its records.
#[derive(Debug)]
pub struct Decoder {
    id: u16,
    /// Bytes of the body that CONTENT_LENGTH announces and that are still to come.
    expected: u64,
    /// Bytes of the record begun, and of the padding behind it, still to come.
    left: usize,
    padding: usize,
    done: bool,
}

impl Decoder {
    /// For a body of `expected` bytes.
    pub fn new(id: u16, expected: u64) -> Self {
        Self { id, expected, left: 0, padding: 0, done: false }
    }

    /// Whether the last record is behind.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Decodes from `input` into `out`; returns the bytes consumed and produced. Both 0 before the
    /// end mean that more input is needed.
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Refusal> {
        let (mut consumed, mut produced) = (0, 0);
        while !self.done {
            let rest = &input[consumed..];
            if self.left > 0 {
                let count = self.left.min(rest.len()).min(out.len() - produced);
                if count == 0 {
                    break;
                }
                out[produced..produced + count].copy_from_slice(&rest[..count]);
                (consumed, produced, self.left) = (consumed + count, produced + count, self.left - count);
            } else if self.padding > 0 {
                let count = self.padding.min(rest.len());
                if count == 0 {
                    break;
                }
                (consumed, self.padding) = (consumed + count, self.padding - count);
            } else {
                let Some(header) = Header::read(rest)? else { break };
                if header.kind != STDIN || header.id != self.id {
                    return Err(Refusal::Fastcgi("a record out of place"));
                }
                let behind = self.expected.checked_sub(header.length as u64);
                self.expected = behind.ok_or(Refusal::Fastcgi("a body longer than CONTENT_LENGTH"))?;
                consumed += HEADER;
                (self.left, self.padding) = (header.length, header.padding);
                if header.length == 0 {
                    if self.expected > 0 {
                        return Err(Refusal::Fastcgi("a body shorter than CONTENT_LENGTH"));
                    }
                    self.done = true;
                }
            }
        }
        Ok((consumed, produced))
    }
}

/// Appends the header of a record that carries `length` bytes of the answer, at most [`MOST`].
pub fn begin_output(id: u16, length: usize, out: &mut Vec<u8>) {
    record(STDOUT, id, length, out);
}

/// Appends what ends an answer.
pub fn end_output(id: u16, out: &mut Vec<u8>) {
    record(STDOUT, id, 0, out);
    record(END, id, 8, out);
    out.extend_from_slice(&[0; 8]);
}

/// A whole answer, to a request whose id is not known: front ends that do not mix requests on a
/// connection use 1.
pub fn whole(answer: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.len() + 4 * HEADER);
    frame(1, answer, &mut out);
    end_output(1, &mut out);
    out
}

/// Appends `bytes` of the answer in records.
pub fn frame(id: u16, bytes: &[u8], out: &mut Vec<u8>) {
    for piece in bytes.chunks(MOST) {
        begin_output(id, piece.len(), out);
        out.extend_from_slice(piece);
    }
}

fn record(kind: u8, id: u16, length: usize, out: &mut Vec<u8>) {
    let ([a, b], [c, d]) = (id.to_be_bytes(), (length as u16).to_be_bytes());
    out.extend_from_slice(&[1, kind, a, b, c, d, 0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::request::Known;

    fn put(kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        record(kind, 1, content.len(), &mut bytes);
        bytes[6] = padding as u8;
        bytes.extend(content);
        bytes.extend(vec![9; padding]);
        bytes
    }

    fn pairs(vars: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (key, value) in vars {
            block.push(key.len() as u8);
            block.extend((value.len() as u32 | 1 << 31).to_be_bytes());
            block.extend(key.bytes().chain(value.bytes()));
        }
        block
    }

    fn head(vars: &[(&str, &str)]) -> Vec<u8> {
        let block = pairs(vars);
        let (one, two) = block.split_at(block.len() / 2);
        let begin = put(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0], 0);
        [begin, put(PARAMS, one, 3), put(PARAMS, two, 0), put(PARAMS, b"", 0)].concat()
    }

    fn parse_bytes(bytes: &[u8]) -> Result<(Parsed, Request), Refusal> {
        let mut request = Request::new();
        parse(bytes, 65_535, &mut request).map(|parsed| (parsed, request))
    }

    #[test]
    fn every_piece_short_of_the_whole_needs_more() {
        let bytes = head(&[("PATH_INFO", "/x"), ("CONTENT_LENGTH", "3"), ("A", "")]);
        for end in 0..bytes.len() {
            assert_eq!(parse_bytes(&bytes[..end]).unwrap().0, Parsed::More, "{end} bytes");
        }
        let (parsed, request) = parse_bytes(&bytes).unwrap();
        assert_eq!((parsed, request.front), (Parsed::Complete(bytes.len()), Front::Fastcgi(1)));
        assert_eq!(request.body, Body::Records(3));
        assert_eq!(request.known(Known::PathInfo), Some(&b"/x"[..]));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let begin = put(BEGIN, &[0, 1, 0, 0, 0, 0, 0, 0], 0);
        for bytes in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            put(PARAMS, b"", 0),
            put(BEGIN, &[0, 2, 0, 0, 0, 0, 0, 0], 0),
            put(BEGIN, &[0, 1], 0),
            [begin.clone(), begin.clone()].concat(),
            [begin.clone(), put(STDIN, b"", 0)].concat(),
            [begin.clone(), put(PARAMS, &[5, 1, b'A'], 0), put(PARAMS, b"", 0)].concat(),
            [begin.clone(), put(PARAMS, &[0, 1, b'A'], 0), put(PARAMS, b"", 0)].concat(),
            [begin.clone(), put(PARAMS, &[0x80, 0], 0), put(PARAMS, b"", 0)].concat(),
            head(&[("A\n", "b")]),
            head(&[("CONTENT_LENGTH", "x")]),
        ] {
            assert!(parse_bytes(&bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn bodies_are_decoded_in_pieces_of_any_size() {
        let wire = [put(STDIN, b"hello", 3), put(STDIN, b" world", 0), put(STDIN, b"", 0)].concat();
        for piece in 1..=wire.len() {
            let (mut decoder, mut body, mut waiting) = (Decoder::new(1, 11), Vec::new(), Vec::new());
            for part in wire.chunks(piece) {
                waiting.extend_from_slice(part);
                loop {
                    let mut out = [0; 4];
                    let (consumed, produced) = decoder.decode(&waiting, &mut out).unwrap();
                    body.extend_from_slice(&out[..produced]);
                    waiting.drain(..consumed);
                    if consumed == 0 {
                        break;
                    }
                }
            }
            assert_eq!((&body[..], decoder.is_done()), (&b"hello world"[..], true), "pieces of {piece}");
        }
        for expected in [10, 12] {
            let mut decoder = Decoder::new(1, expected);
            assert!(decoder.decode(&wire, &mut [0; 100]).is_err());
        }
    }
}
