//! A listener as a worker uses it: accepting, and what its connections have in common.
//!
//! Made once a worker from the listeners it was given; used by the loop of each core. Reads
//! nothing from a connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::SockRef;

use super::connection::Peer;
use crate::net::listener::{self, Listener, Protocol};
use crate::net::stream::Stream;

/// One listener.
#[derive(Debug)]
pub struct Gate {
    listener: Listener,
    /// The port listened on; empty on UNIX sockets.
    pub port: String,
}

/// What trying to accept came to, where it gave no connection.
#[derive(Debug)]
pub enum Trouble {
    /// No connection waits.
    Empty,
    /// No descriptor or no memory is left for one.
    Exhausted(io::Error),
    /// The listener itself is gone: the application closed it.
    Lost(io::Error),
}

impl Gate {
    /// Takes a listener over.
    pub fn new(listener: Listener) -> Self {
        let port = listener.port().map(|port| port.to_string()).unwrap_or_default();
        Self { listener, port }
    }

    /// What is spoken on it.
    pub fn protocol(&self) -> Protocol {
        self.listener.protocol
    }

    /// Its address, as reported.
    pub fn name(&self) -> &str {
        &self.listener.name
    }

    /// Accepts a connection, without blocking.
    pub fn accept(&self) -> Result<(Stream, Option<Box<Peer>>), Trouble> {
        match self.listener.accept() {
            Ok(Some((stream, peer))) => {
                let peer = match self.protocol() {
                    // Here the client's address is a variable of each request.
                    Protocol::Http => peer.address().map(|address| Box::new(Peer::new(address))),
                    Protocol::Uwsgi => None,
                };
                Ok((stream, peer))
            }
            Ok(None) => Err(Trouble::Empty),
            Err(error) if listener::is_exhausted(&error) => Err(Trouble::Exhausted(error)),
            Err(error) => Err(Trouble::Lost(error)),
        }
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Peer {
    /// The client at the other end of a connection; empty on UNIX sockets.
    pub fn at(stream: &Stream) -> Self {
        let address = SockRef::from(stream).peer_addr().ok().and_then(|address| address.as_socket());
        address.map(Self::new).unwrap_or_default()
    }

    fn new(address: SocketAddr) -> Self {
        // A socket that listens on IPv6 and IPv4 names IPv4 clients ::ffff:192.0.2.1.
        Self { address: address.ip().to_canonical().to_string(), port: address.port().to_string() }
    }
}
