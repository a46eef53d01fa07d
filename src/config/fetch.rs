//! What a name such as `http://host/uwsgi.ini` leads to: the sources uWSGI reads besides files.
//!
//! Called by `read` for configuration files and by `expand` for `@( )`. Everything is bounded in
//! size and time, for it stands in the way of a start. Whether commands may run, the caller says.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use super::expand::{bounded, exec_forbidden, output_of, read_at_most, reason};
use super::setting::Setting;
use crate::error::{Code, Error};

/// How long another server may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What uWSGI reads out of its own binary, or of the process that started it, and what that is.
const ITS_OWN: &[(&str, &str)] = &[
    ("data", "appended to uWSGI's binary"),
    ("sym", "linked into uWSGI's binary"),
    ("section", "linked into uWSGI's binary"),
    ("call", "made by a function in uWSGI's binary"),
    ("callint", "made by a function in uWSGI's binary"),
    ("emperor", "sent by an emperor to its vassal"),
];

/// Where something is read from.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// Relative files stand here, and commands run here.
    pub directory: &'a Path,
    /// Whether `exec://` may run commands (`allow-exec`).
    pub allow_exec: bool,
    /// How many bytes may come at most.
    pub most: usize,
}

impl Fetch<'_> {
    /// Reads all that `named` leads to; `by` is the setting that wants it.
    ///
    /// Errors: a command that nobody allowed, a source that only uWSGI's binary can have; inside,
    /// whatever keeps the source from being read.
    pub fn read(&self, named: &str, by: &Setting) -> Result<io::Result<Vec<u8>>, Error> {
        let Some((scheme, rest)) = named.split_once("://") else {
            return Ok(read_at_most(&self.directory.join(named), self.most));
        };
        match scheme {
            "exec" if !self.allow_exec => Err(exec_forbidden(by)),
            "exec" => Ok(output_of(rest, self.directory, self.most)),
            "fd" if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(File::open(format!("/proc/self/fd/{rest}")).and_then(|file| bounded(file, self.most)))
            }
            "http" => Ok(get(rest, self.most)),
            "https" => {
                let error =
                    Error::new(Code::ConfigUnreadable, format!("`{named}` needs TLS, and only `http://` is read"));
                Err(error.at(by).part(named).hint("fetch it before the start, and name the file"))
            }
            _ => match ITS_OWN.iter().find(|(own, _)| *own == scheme) {
                Some((_, what)) => {
                    let message = format!("`{scheme}://` reads what was {what}, and there is no such thing here");
                    let error = Error::new(Code::ConfigUnreadable, message);
                    Err(error.at(by).part(named).hint("put it into a file, and name the file"))
                }
                // uWSGI: any other name is a file's.
                None => Ok(read_at_most(&self.directory.join(named), self.most)),
            },
        }
    }

    /// The same with what keeps it from being read as a message.
    pub fn text(&self, named: &str, by: &Setting) -> Result<Vec<u8>, Error> {
        self.read(named, by)?.map_err(|cause| {
            let message = format!("cannot read `{named}`: {}", reason(&cause));
            Error::new(Code::ConfigUnreadable, message).at(by)
        })
    }
}

/// Gets `host[:port]/path` by HTTP/1.0; any answer but a 2xx is an error, as in uWSGI.
fn get(url: &str, most: usize) -> io::Result<Vec<u8>> {
    let (host, path) = url.split_once('/').unwrap_or((url, ""));
    if host.is_empty() || url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(io::Error::other("it is no address of a file"));
    }
    let end = Instant::now() + PATIENCE;
    let mut stream = connect(host, end)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: rustwsgi\r\n\r\n")?;
    let answer = bounded(Patient { stream, end }, most)?;
    body(&answer).map(<[u8]>::to_vec)
}

fn connect(host: &str, end: Instant) -> io::Result<TcpStream> {
    let with_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if with_port { host.to_owned() } else { format!("{host}:80") };
    let mut last = io::Error::other("its host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(end)?) {
            Ok(stream) => return Ok(stream),
            Err(cause) => last = cause,
        }
    }
    Err(last)
}

/// What is left of the time. Errors: nothing.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(late()),
        false => Ok(left),
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no whole answer in {} seconds", PATIENCE.as_secs()))
}

/// A stream whose end has to come in time, however it dribbles.
struct Patient {
    stream: TcpStream,
    end: Instant,
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.end)?))?;
        match self.stream.read(into) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Err(late()),
            read => read,
        }
    }
}

/// What stands behind the head of an answer. Errors: no 2xx, or less than was announced.
fn body(answer: &[u8]) -> io::Result<&[u8]> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Err(io::Error::other("the answer is no HTTP"));
    };
    let head = String::from_utf8_lossy(&answer[..end]);
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
    if code.len() != 3 || !code.starts_with('2') {
        return Err(io::Error::other(format!("the answer is `{}`", status.chars().take(80).collect::<String>())));
    }
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    match length.and_then(|(_, length)| length.trim().parse::<usize>().ok()) {
        Some(length) if length > body.len() => Err(io::Error::other(format!("{} of {length} bytes came", body.len()))),
        _ => Ok(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Origin;

    fn refusal(named: &str) -> String {
        let by = Setting { key: "ini".into(), value: named.into(), origin: Origin::CommandLine };
        let fetch = Fetch { directory: Path::new("/"), allow_exec: false, most: 1000 };
        fetch.text(named, &by).unwrap_err().to_string()
    }

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        assert_eq!(body(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").unwrap(), b"abc");
        assert_eq!(body(b"HTTP/1.0 204 No\r\n\r\n").unwrap(), b"");
        for (answer, why) in [
            (&b"HTTP/1.0 404 Not Found\r\n\r\nx"[..], "the answer is `HTTP/1.0 404 Not Found`"),
            (b"HTTP/1.0 200 OK\r\ncontent-length: 9\r\n\r\nabc", "3 of 9 bytes came"),
            (b"hello", "the answer is no HTTP"),
            (b"hello\r\n\r\n", "the answer is `hello`"),
        ] {
            assert_eq!(body(answer).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn what_only_uwsgi_has_is_refused_with_a_sentence() {
        for (scheme, _) in ITS_OWN {
            let refusal = refusal(&format!("{scheme}://x"));
            assert!(refusal.contains("there is no such thing here") && refusal.contains("hint: "), "{refusal}");
        }
        assert!(refusal("https://example.com/x.ini").contains("only `http://` is read"));
        assert!(refusal("exec://true").contains("allow-exec = true"));
        assert!(refusal("http://").contains("it is no address of a file"));
        assert!(refusal("other://x").contains("no such file"));
    }
}
