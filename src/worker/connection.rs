//! One connection between requests, and what is remembered of it during one.
//!
//! Made by the loop of a core, kept by `connections` while it waits. Plain data.

use bytes::BytesMut;

use super::connections::Key;
use crate::net::stream::Stream;

/// One client's connection, while no response is under way on it.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: Stream,
    /// What is known of it beside the socket.
    pub about: About,
    /// What has been read of the next head.
    pub held: BytesMut,
    /// What it waits for.
    pub phase: Phase,
    /// CLOCK_MONOTONIC nanoseconds at which the wait ends; 0 before it was parked in this phase.
    pub deadline: u64,
}

/// What a core remembers of a connection while a response is under way on it.
#[derive(Debug)]
pub struct About {
    /// The listener it came from.
    pub listener: usize,
    /// The client's address as text, where the protocol needs it.
    pub peer: Option<Box<Peer>>,
    /// The PROXY protocol's header is still to come.
    pub proxy_header: bool,
    /// Nothing was left unread when it was last read: what arrives later is reported.
    pub drained: bool,
    /// The client has closed its half: the end stands behind what there is to read, and is not
    /// reported again.
    pub ended: bool,
    /// Its place in the set of parked connections that has this number.
    pub(super) place: Option<(u32, Key)>,
}

/// A client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The IP address.
    pub address: String,
    /// The port.
    pub port: String,
}

/// What a parked connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The rest of a head, or its first byte on a new connection.
    Head,
    /// The next request of a kept-alive connection.
    Idle,
    /// The client's close; so many more bytes are read and dropped until then.
    Drain(u64),
}

impl About {
    /// A connection just accepted from a listener; whether the PROXY protocol's header comes first.
    pub fn new(listener: usize, peer: Option<Box<Peer>>, proxy_header: bool) -> Self {
        Self { listener, peer, proxy_header, drained: false, ended: false, place: None }
    }
}
