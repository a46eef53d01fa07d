//! Where a listener listens, in the forms uWSGI's socket options take.
//!
//! Parsed by `config` or `master`, bound by `listener`. Two equal addresses at a reload are one
//! listener that stays. Parsing touches neither the file system nor the resolver.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// Bytes of a path or an abstract name that the kernel's `sockaddr_un` holds, without the NUL
/// behind the one and in front of the other.
const NAME: usize = 107;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// A TCP address.
    Tcp {
        /// A name or an IP address, IPv6 without its brackets.
        host: String,
        /// The port; 0 lets the kernel choose.
        port: u16,
    },
    /// The absolute path of a UNIX socket.
    Unix(PathBuf),
    /// A UNIX socket in Linux's abstract namespace, without its leading NUL. As uWSGI does, it is
    /// bound with one NUL more at its end, so that clients written for uWSGI find it. (nginx knows
    /// no abstract names: `unix:@name` is a file called `@name` there.)
    Abstract(Vec<u8>),
    /// A listening socket that this process was started with, by the number of its descriptor.
    Descriptor(i32),
}

impl Address {
    /// Parses `text`; a relative path stands in `directory`.
    ///
    /// uWSGI: `host:port`, `:port` (every IPv4 address), `[::1]:port`, `127.0.0.1:0` and `127.0.0.1:`
    /// (a port of the kernel's choice), `/path`, `path`, `@name` and `\0name`,
    /// `fd://3`.
    pub fn parse(text: &str, directory: &Path) -> Result<Self> {
        if text.is_empty() {
            return Err(bad(text, "it is empty"));
        }
        if text.contains(['\0', '\n', '\r']) {
            return Err(bad(text, "it holds a control character"));
        }
        if let Some(name) = text.strip_prefix('@').or_else(|| text.strip_prefix("\\0")) {
            return Self::abstract_name(text, name);
        }
        if let Some(number) = text.strip_prefix('=') {
            return Err(bad(text, format!("shared sockets (`={number}`) are not there yet")));
        }
        if let Some(number) = text.strip_prefix("fd://") {
            return Self::descriptor(text, number);
        }
        // A path may hold a colon, an address never holds a slash.
        match text.rsplit_once(':') {
            Some((host, port)) if !text.contains('/') => Self::tcp(text, host, port),
            _ => Self::unix(text, directory),
        }
    }

    /// The one address to bind, where it is a TCP address. A name that has both kinds gets its
    /// IPv4 address, which is the only kind uWSGI looks for.
    pub fn resolve(&self) -> Result<Option<SocketAddr>> {
        let Self::Tcp { host, port } = self else { return Ok(None) };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Some(SocketAddr::new(address, *port)));
        }
        let unknown = |cause: &str| {
            Error::new(Code::BadAddress, format!("the host of `{self}` has no address: {cause}"))
                .hint(format!("name an address of this machine, such as `127.0.0.1:{port}`"))
        };
        let found: Vec<_> = match (host.as_str(), *port).to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(error) => {
                let text = error.to_string();
                return Err(unknown(text.strip_prefix("failed to lookup address information: ").unwrap_or(&text)));
            }
        };
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        first.copied().map(Some).ok_or_else(|| unknown("the resolver knows none"))
    }

    fn tcp(text: &str, host: &str, port: &str) -> Result<Self> {
        let port = match port {
            "" => 0,
            // `parse` alone would take a sign.
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| bad(text, format!("there is no port `{port}`, 65535 is the last")))?
            }
            _ => return Err(bad(text, format!("`{port}` is no port number"))),
        };
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(inner)) => match inner.parse::<IpAddr>() {
                Ok(IpAddr::V6(address)) => address.to_string(),
                _ => return Err(bad(text, format!("`{inner}` is no IPv6 address"))),
            },
            Some(None) => return Err(bad(text, "the `[` is not closed")),
            None if host.is_empty() => Ipv4Addr::UNSPECIFIED.to_string(),
            None if host.contains(':') => {
                return Err(bad(text, "an IPv6 address stands in brackets").hint(format!("write `[{host}]:{port}`")));
            }
            None if host.contains('*') => {
                return Err(bad(text, "choosing an interface by a pattern is not there yet"));
            }
            None if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) => {
                host.to_ascii_lowercase()
            }
            None => return Err(bad(text, format!("`{host}` is no host name"))),
        };
        Ok(Self::Tcp { host, port })
    }

    fn descriptor(text: &str, number: &str) -> Result<Self> {
        match number.parse() {
            Ok(number) if number == 0 || number > 2 => Ok(Self::Descriptor(number)),
            Ok(1 | 2) => Err(bad(text, "1 and 2 are where the log goes")),
            _ => Err(bad(text, format!("`{number}` is no descriptor"))),
        }
    }

    fn unix(text: &str, directory: &Path) -> Result<Self> {
        if text.ends_with('/') {
            return Err(bad(text, "it names a directory, a socket is a file in one"));
        }
        // Taking it apart drops `.` and doubled slashes, so that equal paths compare equal.
        let path: PathBuf = directory.join(text).components().collect();
        let length = path.as_os_str().as_bytes().len();
        if length > NAME {
            return Err(bad(text, format!("`{}` has {length} bytes", path.display()))
                .fact(format!("the system takes at most {NAME} bytes as the path of a UNIX socket"))
                .hint("put the socket into a directory with a shorter path, such as /run/NAME"));
        }
        Ok(Self::Unix(path))
    }

    fn abstract_name(text: &str, name: &str) -> Result<Self> {
        match name.len() {
            0 => Err(bad(text, "an abstract socket needs a name")),
            // One byte is kept for the NUL at the end.
            length if length >= NAME => {
                Err(bad(text, format!("the name has {length} bytes, {} is the most", NAME - 1)))
            }
            _ => Ok(Self::Abstract(name.as_bytes().to_vec())),
        }
    }
}

/// The form that [`Address::parse`] reads back.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Self::Descriptor(number) => write!(f, "fd://{number}"),
        }
    }
}

fn bad(text: &str, why: impl fmt::Display) -> Error {
    Error::new(Code::BadAddress, format!("`{}` is no address to listen on: {why}", text.escape_debug()))
        .hint("use `127.0.0.1:3031`, `:3031`, `[::1]:3031`, `/run/blog.sock`, `blog.sock` or `@blog`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address> {
        Address::parse(text, Path::new("/srv/blog"))
    }

    #[test]
    fn takes_the_forms_of_uwsgi() {
        for (text, shown) in [
            ("127.0.0.1:3031", "127.0.0.1:3031"),
            (":3031", "0.0.0.0:3031"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("127.0.0.1:", "127.0.0.1:0"),
            ("LocalHost:80", "localhost:80"),
            ("[::1]:3031", "[::1]:3031"),
            ("[0:0::1]:3031", "[::1]:3031"),
            ("[::]:3031", "[::]:3031"),
            ("/run/blog.sock", "/run/blog.sock"),
            ("/run//./blog.sock", "/run/blog.sock"),
            ("blog.sock", "/srv/blog/blog.sock"),
            ("./blog.sock", "/srv/blog/blog.sock"),
            ("../blog.sock", "/srv/blog/../blog.sock"),
            ("run/a:1.sock", "/srv/blog/run/a:1.sock"),
            ("/run/a:1", "/run/a:1"),
            ("3031", "/srv/blog/3031"),
            ("@blog", "@blog"),
            ("\\0blog", "@blog"),
            ("fd://3", "fd://3"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(parse(shown).unwrap(), address, "{text}");
        }
    }

    #[test]
    fn refuses_what_can_not_be_bound() {
        let long = format!("/{}", "x".repeat(NAME));
        for (text, why) in [
            ("", "empty"),
            ("127.0.0.1:65536", "no port `65536`"),
            ("127.0.0.1:99999999999999999999", "no port"),
            ("127.0.0.1:-1", "`-1` is no port number"),
            ("127.0.0.1:+80", "no port number"),
            ("127.0.0.1:http", "`http` is no port number"),
            ("127.0.0.1: 80", "no port number"),
            ("::1:80", "stands in brackets"),
            ("::0", "stands in brackets"),
            ("[::1:80", "not closed"),
            ("[127.0.0.1]:80", "no IPv6 address"),
            ("a b:80", "no host name"),
            ("192.168.*:80", "pattern"),
            ("=0", "shared sockets"),
            ("fd://x", "no descriptor"),
            ("fd://-1", "no descriptor"),
            ("fd://2", "the log"),
            ("/run/", "a directory"),
            ("a\nb", "control character"),
            ("@", "needs a name"),
            (&long, "has 108 bytes"),
            (&format!("@{}", "x".repeat(NAME)), "the most"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.code, Code::BadAddress);
            assert!(error.message.contains(why), "{text}: {error}");
            assert!(!error.hints.is_empty());
        }
        assert!(parse(&long[..NAME]).is_ok());
        assert!(parse(&format!("@{}", "x".repeat(NAME - 1))).is_ok());
    }

    #[test]
    fn resolves_numbers_and_names() {
        let resolve = |text| parse(text).unwrap().resolve().map(|address| address.map(|address| address.to_string()));
        assert_eq!(resolve(":80").unwrap(), Some("0.0.0.0:80".into()));
        assert_eq!(resolve("[::1]:80").unwrap(), Some("[::1]:80".into()));
        assert_eq!(resolve("localhost:80").unwrap(), Some("127.0.0.1:80".into()));
        assert_eq!(resolve("@blog").unwrap(), None);
        let error = resolve("256.0.0.1:80").unwrap_err();
        assert_eq!(error.code, Code::BadAddress);
        assert!(error.to_string().contains("`256.0.0.1:80`"), "{error}");
    }
}
