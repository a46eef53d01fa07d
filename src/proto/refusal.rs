//! Why a request is refused before the app sees it, and the status that the client gets.
//!
//! Made by the parsers of this room; `worker` answers with it and logs one line. Decides nothing
//! about sockets.

use thiserror::Error;

/// A request that is not handed to the app.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// uwsgi: a packet without variables.
    #[error("empty uwsgi packet")]
    Empty,
    /// uwsgi: a key or value that runs past the end of the packet, or bytes left over behind it.
    #[error("uwsgi packet whose lengths don't add up")]
    Lengths,
    /// uwsgi: a variable without a name.
    #[error("uwsgi variable without a name")]
    EmptyKey,
    /// A variable's name with NUL, CR or LF.
    #[error("variable name with a control byte")]
    BadKey,
    /// A variable that frames or routes the request stands twice with different values.
    #[error("`{0}` stands twice with different values")]
    Duplicate(&'static str),
    /// CONTENT_LENGTH is no number, or more than 63 bits.
    #[error("bad CONTENT_LENGTH")]
    ContentLength,
    /// uwsgi: a modifier nobody here serves.
    #[error("unavailable modifier requested: {0}")]
    Modifier(u8),
    /// The head is larger than `buffer-size` allows.
    #[error("request head of {size} bytes is over buffer-size {limit}")]
    TooLarge {
        /// Bytes of the head, as announced or as read so far.
        size: usize,
        /// The limit, bytes.
        limit: usize,
    },
    /// HTTP: more header fields than are taken.
    #[error("more than {0} header fields")]
    TooManyHeaders(usize),
    /// HTTP or TLS bytes came on a uwsgi socket.
    #[error("the client speaks {0} on a socket that speaks the uwsgi protocol")]
    WrongProtocol(&'static str),
    /// HTTP: the request can't be parsed, or must not be served.
    #[error("bad HTTP request: {0}")]
    BadHttp(&'static str),
    /// HTTP: a version other than 1.0 and 1.1.
    #[error("HTTP version that is not served")]
    Version,
    /// HTTP: a body in a coding that is not served.
    #[error("Transfer-Encoding that is not served")]
    Coding,
    /// HTTP: a body that waits to be asked for is larger than is asked for.
    #[error("a body of {size} bytes is over http-manage-expect {limit}")]
    BodyTooLarge {
        /// Bytes announced.
        size: u64,
        /// The limit, bytes.
        limit: u64,
    },
    /// The PROXY protocol's header is wrong, or is not there where it has to be.
    #[error("bad PROXY header: {0}")]
    Proxy(&'static str),
    /// SCGI: a head that is no netstring of variables.
    #[error("bad SCGI head: {0}")]
    Scgi(&'static str),
    /// FastCGI: records that are none, or not in their order.
    #[error("bad FastCGI: {0}")]
    Fastcgi(&'static str),
    /// The client closed in the middle of a head.
    #[error("the client closed after {0} bytes of a head")]
    Incomplete(usize),
    /// The head did not arrive in time.
    #[error("the request did not arrive in time")]
    Timeout,
}

impl Refusal {
    /// The status the client gets.
    pub fn status(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyHeaders(_) => "431 Request Header Fields Too Large",
            Self::BodyTooLarge { .. } => "413 Content Too Large",
            Self::Coding => "501 Not Implemented",
            Self::Version => "505 HTTP Version Not Supported",
            Self::Timeout => "408 Request Timeout",
            _ => "400 Bad Request",
        }
    }
}
