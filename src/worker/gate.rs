//! A listener as a worker uses it: accepting, and what its connections have in common.
//!
//! Made once a worker from the listeners it was given; used by the loop of each core. Reads
//! nothing from a connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::SockRef;

use super::connection::Peer;
use crate::config::Config;
use crate::net::listener::{self, Listener, Protocol};
use crate::net::stream::Stream;

/// How long a kept-alive connection may idle, seconds. Longer than front ends keep theirs (nginx:
/// 60), so that it is they who close, not we while a request is on its way.
const IDLE: u64 = 75;

/// One listener.
#[derive(Debug)]
pub struct Gate {
    listener: Listener,
    /// The port listened on; empty on UNIX sockets.
    pub port: String,
    /// How long a client may keep a read or a write waiting.
    pub timeout: Duration,
    /// How long a head may take.
    pub head: Duration,
    /// How long a connection may idle between two requests.
    pub idle: Duration,
    /// Connections begin with the PROXY protocol's header.
    pub has_proxy_header: bool,
    /// The largest body that is asked for with `100 Continue`, bytes.
    pub most_expected: u64,
    /// Variables that each request gets.
    pub vars: Vec<(Vec<u8>, Vec<u8>)>,
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
    /// Takes a listener over; what its connections are allowed stands in the configuration.
    pub fn new(listener: Listener, config: &Config) -> Self {
        let port = listener.port().map(|port| port.to_string()).unwrap_or_default();
        let (protocol, http) = (listener.protocol, &config.http);
        let direct = protocol == Protocol::HttpRouter;
        let timeout = Duration::from_secs(if direct { http.http_timeout } else { config.socket_timeout });
        let head = match http.http_headers_timeout {
            seconds @ 1.. if direct => Duration::from_secs(seconds),
            _ => timeout,
        };
        // uWSGI: 1 only switches these on.
        let number =
            |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok()).filter(|most| *most > 1);
        let vars = http.http_var.iter().filter(|_| direct).filter_map(|var| var.split_once('='));
        Self {
            port,
            timeout,
            head,
            idle: Duration::from_secs(number(&http.http_keepalive).unwrap_or(IDLE)),
            has_proxy_header: match protocol {
                Protocol::HttpRouter => http.http_enable_proxy_protocol,
                Protocol::Http => http.enable_proxy_protocol,
                Protocol::Uwsgi | Protocol::Scgi | Protocol::ScgiNph | Protocol::Fastcgi => false,
            },
            most_expected: number(&http.http_manage_expect).filter(|_| direct).unwrap_or(u64::MAX),
            vars: vars.map(|(name, value)| (name.into(), value.into())).collect(),
            listener,
        }
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
                // Where no front end names it, the client's address is a variable of each request.
                let peer = peer.address().filter(|_| self.protocol().is_http());
                let peer = peer.map(|address| Box::new(Peer::new(address)));
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

    /// The client at this address.
    pub fn new(address: SocketAddr) -> Self {
        // A socket that listens on IPv6 and IPv4 names IPv4 clients ::ffff:192.0.2.1.
        Self { address: address.ip().to_canonical().to_string(), port: address.port().to_string() }
    }
}
