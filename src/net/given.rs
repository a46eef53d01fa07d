//! Listening sockets that the process was started with: what they are, and which address they
//! stand for.
//!
//! Made by the master from `LISTEN_FDS` or `fd://N`, before it opens anything itself.

use std::io;
use std::os::fd::OwnedFd;

use socket2::{SockAddr, SockRef, Type};

use super::address::Address;
use super::listener::{Listener, Protocol};
use super::refused;
use crate::error::{Error, Result};

impl Listener {
    /// A listener of descriptor `number`, which this process was started with. Fails with RW0308
    /// where it is no listening stream socket.
    pub fn of_given(number: i32, fd: OwnedFd) -> Result<Self> {
        let bound = || -> io::Result<Address> {
            let socket = SockRef::from(&fd);
            if socket.r#type()? != Type::STREAM {
                return Err(io::Error::other("it is no stream socket"));
            }
            Ok(address_of(&socket.local_addr()?).unwrap_or(Address::Descriptor(number)))
        };
        let address = bound().map_err(|error| refused::no_listener(number, &error))?;
        let adopted = Self::adopt(fd, Protocol::Uwsgi, address, None);
        let listener =
            adopted.map_err(|_| refused::no_listener(number, &io::Error::other("nobody called listen() on it")))?;
        Ok(Self { given: Some(number), ..listener })
    }

    /// The message about a descriptor that is not open at all.
    pub fn not_open(number: i32, error: &io::Error) -> Error {
        refused::no_listener(number, error)
    }

    /// Whether this is the socket that an address of the configuration means.
    pub fn stands_for(&self, wanted: &Address) -> bool {
        if self.address == *wanted {
            return true;
        }
        let Some(number) = self.given else { return false };
        match (wanted, &self.address) {
            (Address::Descriptor(named), _) => *named == number,
            // A name, or an address in another spelling.
            (Address::Tcp { .. }, Address::Tcp { .. }) => {
                let (wanted, bound) = (wanted.resolve(), self.address.resolve());
                matches!((wanted, bound), (Ok(Some(wanted)), Ok(Some(bound))) if wanted == bound)
            }
            _ => false,
        }
    }
}

fn address_of(bound: &SockAddr) -> Option<Address> {
    if let Some(address) = bound.as_socket() {
        return Some(Address::Tcp { host: address.ip().to_string(), port: address.port() });
    }
    if let Some(path) = bound.as_pathname() {
        return Some(Address::Unix(path.components().collect()));
    }
    let name = bound.as_abstract_namespace()?;
    Some(Address::Abstract(name.strip_suffix(b"\0").unwrap_or(name).to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::path::Path;

    use crate::error::Code;

    #[test]
    fn a_socket_stands_for_its_number_and_its_address_in_any_spelling() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let listener = Listener::of_given(3, socket.into()).unwrap();
        let stands_for = |text: &str| listener.stands_for(&Address::parse(text, Path::new("/")).unwrap());
        assert!(stands_for("fd://3") && stands_for(&format!("localhost:{port}")));
        assert!(!stands_for("fd://4") && !stands_for("127.0.0.1:1") && !stands_for("/run/blog.sock"));
        assert_eq!(listener.unlink_if_ours().ok(), Some(false));
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        let error = Listener::of_given(5, UdpSocket::bind("127.0.0.1:0").unwrap().into()).unwrap_err();
        assert_eq!(error.code, Code::BadDescriptor);
        assert!(error.message.contains("descriptor 5") && error.message.contains("no stream socket"), "{error}");
        let idle = socket2::Socket::new(socket2::Domain::UNIX, Type::STREAM, None).unwrap();
        let error = Listener::of_given(5, idle.into()).unwrap_err();
        assert!(error.message.contains("listen()"), "{error}");
    }
}
