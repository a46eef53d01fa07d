//! A request's head: its variables, as a front end sends them or as an HTTP head is turned into
//! them, and what the server itself needs to know of it.
//!
//! Filled by the parsers of this room; read by `worker`, `python` and `log`, none of which
//! knows which of them it was. A core keeps one and fills it anew for each request.

use super::refusal::Refusal;

/// The variables that the server looks at itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the CGI variable of that name")]
pub enum Known {
    RequestMethod,
    PathInfo,
    ScriptName,
    RequestUri,
    QueryString,
    ContentLength,
    ServerProtocol,
    RemoteAddr,
    RemoteUser,
    Https,
    HttpXForwardedProto,
    HttpXForwardedSsl,
    UwsgiScheme,
    HttpHost,
    HttpUserAgent,
    HttpReferer,
}

const KNOWN: usize = Known::HttpReferer as usize + 1;

impl Known {
    /// The variable of this name, where it is one the server looks at. Called once a variable, so
    /// the length decides first.
    fn of(name: &[u8]) -> Option<Self> {
        let known = match (name.len(), name) {
            (5, b"HTTPS") => Self::Https,
            (9, b"PATH_INFO") => Self::PathInfo,
            (9, b"HTTP_HOST") => Self::HttpHost,
            (11, b"SCRIPT_NAME") => Self::ScriptName,
            (11, b"REQUEST_URI") => Self::RequestUri,
            (11, b"REMOTE_ADDR") => Self::RemoteAddr,
            (11, b"REMOTE_USER") => Self::RemoteUser,
            (12, b"QUERY_STRING") => Self::QueryString,
            (12, b"UWSGI_SCHEME") => Self::UwsgiScheme,
            (12, b"HTTP_REFERER") => Self::HttpReferer,
            (14, b"REQUEST_METHOD") => Self::RequestMethod,
            (14, b"CONTENT_LENGTH") => Self::ContentLength,
            (15, b"SERVER_PROTOCOL") => Self::ServerProtocol,
            (15, b"HTTP_USER_AGENT") => Self::HttpUserAgent,
            (20, b"HTTP_X_FORWARDED_SSL") => Self::HttpXForwardedSsl,
            (22, b"HTTP_X_FORWARDED_PROTO") => Self::HttpXForwardedProto,
            _ => return None,
        };
        Some(known)
    }

    /// The name, for a variable that must not stand twice with different values: two readers of
    /// such a request would disagree about where it goes or where it ends.
    fn single(self) -> Option<&'static str> {
        match self {
            Self::RequestMethod => Some("REQUEST_METHOD"),
            Self::PathInfo => Some("PATH_INFO"),
            Self::ScriptName => Some("SCRIPT_NAME"),
            Self::ContentLength => Some("CONTENT_LENGTH"),
            _ => None,
        }
    }
}

/// How the end of the request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes follow the head.
    Length(u64),
    /// HTTP chunked coding follows the head.
    Chunked,
    /// FastCGI records follow the head, with this many bytes in them.
    Records(u64),
}

/// Which protocol the request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The uwsgi protocol: the answer is an HTTP response ended by closing the connection.
    Uwsgi,
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// SCGI: the answer is a CGI response, its status in a header, ended by closing the connection.
    Scgi,
    /// FastCGI, with the request's id: the answer is a CGI response in records.
    Fastcgi(u16),
}

impl Front {
    /// Whether the client speaks HTTP itself; else a front end does, and turns the answer into HTTP.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http10 | Self::Http11)
    }
}

/// Where a variable's name and value stand in the block.
#[derive(Clone, Copy, Debug)]
struct Var {
    key: u32,
    key_length: u32,
    value: u32,
    value_length: u32,
}

/// A complete request head.
#[derive(Debug)]
pub struct Request {
    block: Vec<u8>,
    vars: Vec<Var>,
    known: [Option<u32>; KNOWN],
    /// The uwsgi packet's first modifier; 0 is a request.
    pub modifier1: u8,
    /// The uwsgi packet's second modifier.
    pub modifier2: u8,
    /// The protocol it came in.
    pub front: Front,
    /// How long the body is.
    pub body: Body,
    /// HTTP: the client lets the connection live on.
    pub keep_alive: bool,
    /// HTTP: the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Bytes of the head on the wire (of the uwsgi packet without its four first bytes).
    pub head_size: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

impl Request {
    /// An empty request, to be filled by a parser.
    pub fn new() -> Self {
        Self {
            block: Vec::with_capacity(4096),
            vars: Vec::with_capacity(64),
            known: [None; KNOWN],
            modifier1: 0,
            modifier2: 0,
            front: Front::Uwsgi,
            body: Body::Length(0),
            keep_alive: false,
            expects_continue: false,
            head_size: 0,
        }
    }

    /// Empties it for the next head; the memory stays.
    pub fn clear(&mut self) {
        self.block.clear();
        self.vars.clear();
        self.known = [None; KNOWN];
        self.modifier1 = 0;
        self.modifier2 = 0;
        self.front = Front::Uwsgi;
        self.body = Body::Length(0);
        self.keep_alive = false;
        self.expects_continue = false;
        self.head_size = 0;
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// The variables in the order they came, duplicates included.
    pub fn vars(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.vars.iter().map(|var| (self.key(var), self.value(var)))
    }

    /// The last value of any variable; reads all names, so it is for what few requests need.
    pub fn var(&self, name: &[u8]) -> Option<&[u8]> {
        self.vars.iter().rev().find(|var| self.key(var) == name).map(|var| self.value(var))
    }

    /// The last value of a variable the server looks at.
    pub fn known(&self, which: Known) -> Option<&[u8]> {
        let index = self.known[which as usize]?;
        Some(self.value(&self.vars[index as usize]))
    }

    /// Takes the bytes of a whole uwsgi block, to which [`Request::note`] then refers.
    pub(super) fn take_block(&mut self, block: &[u8]) {
        self.block.extend_from_slice(block);
    }

    /// The bytes taken.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    /// Notes a variable that stands in the block taken before.
    pub(super) fn note(&mut self, key: std::ops::Range<usize>, value: std::ops::Range<usize>) -> Result<(), Refusal> {
        let var = Var {
            key: key.start as u32,
            key_length: key.len() as u32,
            value: value.start as u32,
            value_length: value.len() as u32,
        };
        if let Some(known) = Known::of(&self.block[key]) {
            let index = self.vars.len() as u32;
            if let (Some(earlier), Some(name)) = (self.known(known), known.single())
                && earlier != &self.block[value]
            {
                return Err(Refusal::Duplicate(name));
            }
            self.known[known as usize] = Some(index);
        }
        self.vars.push(var);
        Ok(())
    }

    /// Appends a variable whose name and value come as bytes.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let start = self.block.len();
        self.block.extend_from_slice(key);
        let middle = self.block.len();
        self.block.extend_from_slice(value);
        self.note(start..middle, middle..self.block.len())
    }

    /// Reads the body's length out of CONTENT_LENGTH: empty is 0 (nginx sends it so), digits are
    /// themselves, all else is refused: what one reader takes for 5 another takes for 0.
    pub fn content_length(&self) -> Result<u64, Refusal> {
        let Some(text) = self.known(Known::ContentLength) else {
            return Ok(0);
        };
        if text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::ContentLength);
        }
        Ok(text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    }

    fn key(&self, var: &Var) -> &[u8] {
        &self.block[var.key as usize..][..var.key_length as usize]
    }

    fn value(&self, var: &Var) -> &[u8] {
        &self.block[var.value as usize..][..var.value_length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(vars: &[(&str, &str)]) -> Result<Request, Refusal> {
        let mut request = Request::new();
        for (key, value) in vars {
            request.push(key.as_bytes(), value.as_bytes())?;
        }
        Ok(request)
    }

    #[test]
    fn the_last_of_equal_names_is_known_and_all_are_kept() {
        let request = request(&[("HTTP_HOST", "a"), ("HTTP_HOST", "b")]).unwrap();
        assert_eq!(request.known(Known::HttpHost), Some(&b"b"[..]));
        assert_eq!(request.len(), 2);
    }

    #[test]
    fn framing_variables_may_not_contradict_themselves() {
        assert!(request(&[("PATH_INFO", "/"), ("PATH_INFO", "/")]).is_ok());
        let refusal = request(&[("PATH_INFO", "/"), ("PATH_INFO", "/admin")]).unwrap_err();
        assert_eq!(refusal, Refusal::Duplicate("PATH_INFO"));
    }

    #[test]
    fn content_length_is_digits_or_empty() {
        for (text, length) in
            [("", Some(0)), ("5", Some(5)), ("007", Some(7)), ("999999999999999999", Some(999_999_999_999_999_999))]
        {
            assert_eq!(request(&[("CONTENT_LENGTH", text)]).unwrap().content_length().ok(), length);
        }
        for text in ["abc", "-1", "+5", "5 ", "5,5", "0x5", "18446744073709551616", "9999999999999999999"] {
            assert!(request(&[("CONTENT_LENGTH", text)]).unwrap().content_length().is_err(), "{text}");
        }
    }

    #[test]
    fn clear_forgets_everything() {
        let mut request = request(&[("PATH_INFO", "/")]).unwrap();
        request.clear();
        assert!(request.is_empty());
        assert_eq!(request.known(Known::PathInfo), None);
    }
}
