//! HTTP chunked coding of a request's body, decoded piece by piece.
//!
//! Used by `net::exchange`. Strict about sizes (hex digits only, no sign, no overflow) and line
//! ends; extensions and trailers are read over and dropped.

use super::refusal::Refusal;

/// The longest size line or trailer line taken, bytes.
const LINE: usize = 4096;
/// The most bytes of trailers taken.
const TRAILERS: usize = 16 * 1024;

/// Where in the coding the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data,
    DataEnd,
    Trailer,
    Done,
}

/// Decodes one body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    left: u64,
    trailers: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that stands before the first chunk.
    pub fn new() -> Self {
        Self { state: State::Size, left: 0, trailers: 0 }
    }

    /// Whether the last chunk and the trailers are behind.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes from `input` into `out`; returns the bytes consumed and produced. Both 0 before the
    /// end mean that more input is needed.
    pub fn decode(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Refusal> {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let rest = &input[consumed..];
            match self.state {
                State::Done => break,
                State::Data => {
                    let room = out.len() - produced;
                    let count = rest.len().min(room).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                    if count == 0 {
                        break;
                    }
                    out[produced..produced + count].copy_from_slice(&rest[..count]);
                    consumed += count;
                    produced += count;
                    self.left -= count as u64;
                    if self.left == 0 {
                        self.state = State::DataEnd;
                    }
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        consumed += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Refusal::BadHttp("chunk longer than its size")),
                },
                State::Size => {
                    let Some(line) = line(rest)? else { break };
                    consumed += line.len() + 2;
                    self.left = size(line)?;
                    self.state = if self.left == 0 { State::Trailer } else { State::Data };
                }
                State::Trailer => {
                    let Some(line) = line(rest)? else { break };
                    consumed += line.len() + 2;
                    self.trailers += line.len() + 2;
                    if self.trailers > TRAILERS {
                        return Err(Refusal::BadHttp("trailers too long"));
                    }
                    if line.is_empty() {
                        self.state = State::Done;
                    } else if !is_field(line) {
                        return Err(Refusal::BadHttp("bad trailer field"));
                    }
                }
            }
        }
        Ok((consumed, produced))
    }
}

/// The line that `bytes` start with, without its CRLF; `None` where the end has not come yet.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if end > LINE => Err(Refusal::BadHttp("chunk line too long")),
        Some(end) => match bytes[..end].strip_suffix(b"\r") {
            Some(line) if !line.contains(&b'\r') => Ok(Some(line)),
            _ => Err(Refusal::BadHttp("line without CRLF in chunked body")),
        },
        None if bytes.len() > LINE => Err(Refusal::BadHttp("chunk line too long")),
        None => Ok(None),
    }
}

/// The size that a chunk's line announces; an extension behind `;` is read over.
fn size(line: &[u8]) -> Result<u64, Refusal> {
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(Refusal::BadHttp("control byte in a chunk's line"));
    }
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = match digits {
        // RFC 9112 7.1.1 allows blanks before an extension only.
        trimmed if line.len() > digits.len() => trimmed.trim_ascii_end(),
        bare => bare,
    };
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Refusal::BadHttp("bad chunk size"));
    }
    let text = std::str::from_utf8(digits).map_err(|_| Refusal::BadHttp("bad chunk size"))?;
    u64::from_str_radix(text, 16).map_err(|_| Refusal::BadHttp("bad chunk size"))
}

/// Whether a trailer's line is a field: folded or nameless ones are read in more than one way.
fn is_field(line: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match line.iter().position(|byte| *byte == b':') {
        None | Some(0) => false,
        Some(colon) => {
            line[..colon].iter().all(is_token)
                && line[colon..].iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `wire` in pieces of `piece` bytes, as a socket would.
    fn decode(wire: &[u8], piece: usize) -> Result<(Vec<u8>, bool), Refusal> {
        let mut decoder = Decoder::new();
        let (mut body, mut waiting) = (Vec::new(), Vec::new());
        for part in wire.chunks(piece) {
            waiting.extend_from_slice(part);
            loop {
                let mut out = [0; 3];
                let (consumed, produced) = decoder.decode(&waiting, &mut out)?;
                body.extend_from_slice(&out[..produced]);
                waiting.drain(..consumed);
                if consumed == 0 {
                    break;
                }
            }
        }
        Ok((body, decoder.is_done()))
    }

    #[test]
    fn decodes_in_pieces_of_any_size() {
        let wire = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX: y\r\n\r\n";
        for piece in 1..=wire.len() {
            assert_eq!(decode(wire, piece).unwrap(), (b"hello world".to_vec(), true), "pieces of {piece}");
        }
    }

    #[test]
    fn an_unfinished_body_is_not_done() {
        for wire in ["", "5", "5\r\n", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"] {
            assert!(!decode(wire.as_bytes(), 1).unwrap().1, "{wire:?}");
        }
    }

    #[test]
    fn bad_sizes_and_line_ends_are_refused() {
        for wire in [
            "+5\r\nhello\r\n",
            "-1\r\n",
            "0x5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "\r\nhello\r\n",
            "5\nhello\r\n",
            "fffffffffffffffff\r\n",
            "g\r\n",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5_0\r\n",
            "5;a=\0\r\nhello\r\n",
            "0\r\n X: folded\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\nX: y\n\r\n",
        ] {
            assert!(decode(wire.as_bytes(), 1000).is_err(), "{wire:?}");
        }
    }
}
