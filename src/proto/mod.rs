//! Bytes in and out, without I/O: the uwsgi packet, the HTTP head, the SCGI head, FastCGI, the PROXY
//! header, the response head.
//!
//! Given bytes, a parser answers with a [`request::Request`], "need more", or a
//! [`refusal::Refusal`]. No sockets, no Python, no configuration (limits come as arguments).
//! Used by `net`, `log`, `worker` and `python`.
#![forbid(unsafe_code)]

pub mod chunked;
pub mod fastcgi;
pub mod http;
pub mod proxy;
pub mod refusal;
pub mod request;
pub mod response;
pub mod scgi;
pub mod uwsgi;

/// What a parser makes of the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is not complete yet.
    More,
    /// The head is complete and took this many bytes; what follows is body.
    Complete(usize),
}
