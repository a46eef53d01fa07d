//! Any bytes as what a client sends: the heads of uwsgi, HTTP, SCGI and FastCGI, chunked and FastCGI
//! bodies, the PROXY header, without a crash or a hang.
//!
//! `cargo +nightly fuzz run parsers -- -rss_limit_mb=512 -timeout=5 -max_len=70000`. The first byte picks
//! the parser, the second where the bytes are cut: what a parser says of a piece must agree with what
//! it says of the whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rustwsgi::proto::request::Request;
use rustwsgi::proto::{Parsed, chunked, fastcgi, http, proxy, scgi, uwsgi};

const LIMIT: usize = 65_535;

const PLACE: http::Place<'static> =
    http::Place { server_name: "box", server_port: "8000", remote_addr: "192.0.2.7", remote_port: "4711", https: false };

/// What one parser of heads says: an error, nothing yet, or the bytes it took and the variables.
fn head(which: u8, bytes: &[u8]) -> Result<Option<(usize, Vec<(Vec<u8>, Vec<u8>)>)>, ()> {
    let mut request = Request::new();
    let parsed = match which {
        0 => uwsgi::parse(bytes, LIMIT, &mut request),
        1 => http::parse(bytes, LIMIT, &PLACE, &mut request),
        2 => scgi::parse(bytes, LIMIT, &mut request),
        _ => fastcgi::parse(bytes, LIMIT, &mut request),
    };
    match parsed.map_err(|refusal| drop(refusal.to_string()))? {
        Parsed::More => Ok(None),
        Parsed::Complete(size) => {
            assert!(size <= bytes.len());
            Ok(Some((size, request.vars().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())))
        }
    }
}

/// Decodes a body whose bytes come in pieces; the body, or that it is bad.
fn body(
    bytes: &[u8],
    piece: usize,
    mut decode: impl FnMut(&[u8], &mut [u8]) -> Option<(usize, usize, bool)>,
) -> Result<(Vec<u8>, bool), ()> {
    let mut done = false;
    let (mut waiting, mut whole, mut out) = (Vec::new(), Vec::new(), [0; 7]);
    for part in bytes.chunks(piece.max(1)) {
        waiting.extend_from_slice(part);
        loop {
            let (consumed, produced, ended) = decode(&waiting, &mut out).ok_or(())?;
            done = ended;
            whole.extend_from_slice(&out[..produced]);
            waiting.drain(..consumed);
            if (consumed, produced) == (0, 0) || done {
                break;
            }
        }
    }
    Ok((whole, done))
}

/// The chunked body that `bytes` are, in such pieces.
fn chunks(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), ()> {
    let mut decoder = chunked::Decoder::new();
    body(bytes, piece, |input, out| {
        let (consumed, produced) = decoder.decode(input, out).ok()?;
        Some((consumed, produced, decoder.is_done()))
    })
}

/// The FastCGI body that `bytes` are, in such pieces.
fn records(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, bool), ()> {
    let mut decoder = fastcgi::Decoder::new(1, 10);
    body(bytes, piece, |input, out| {
        let (consumed, produced) = decoder.decode(input, out).ok()?;
        Some((consumed, produced, decoder.is_done()))
    })
}

fuzz_target!(|data: &[u8]| {
    let [which, cut, bytes @ ..] = data else { return };
    let cut = usize::from(*cut).min(bytes.len());
    match which % 7 {
        which @ 0..=3 => {
            let whole = head(which, bytes);
            // A piece that is complete stays what it is, whatever comes behind it.
            if let Ok(Some(piece)) = head(which, &bytes[..cut]) {
                assert_eq!(whole, Ok(Some(piece)));
            }
        }
        4 => {
            if let (Ok(whole), Ok(pieces)) = (chunks(bytes, bytes.len()), chunks(bytes, cut)) {
                assert_eq!(whole, pieces);
            }
        }
        5 => {
            if let (Ok(whole), Ok(pieces)) = (records(bytes, bytes.len()), records(bytes, cut)) {
                assert_eq!(whole, pieces);
            }
        }
        _ => {
            if let Ok(proxy::Header::Complete { size, source }) = proxy::parse(&bytes[..cut]) {
                assert!(size <= cut);
                assert_eq!(proxy::parse(bytes), Ok(proxy::Header::Complete { size, source }));
            }
        }
    }
});
