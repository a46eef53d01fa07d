//! The typed messages between a master and its zygotes.
//!
//! The master asks, the zygote answers; each message is one record of a `sys::channel`. Listeners
//! travel as descriptors, because they are bound only when the app has been imported.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::address::Address;
use crate::net::listener::{Listener, Protocol};

/// What the master tells a zygote.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToZygote {
    /// The listeners that workers forked from now on serve; the descriptors come with it, in order.
    Listen {
        /// What each descriptor is.
        sockets: Vec<Socket>,
    },
    /// Write to the log file whose descriptor comes with it.
    Log,
    /// Fork a worker.
    Fork {
        /// The worker's number, from 1.
        worker: usize,
        /// Its cell on the scoreboard.
        cell: usize,
    },
}

/// What a zygote tells its master.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromZygote {
    /// Python is up and the app imported.
    Ready {
        /// The interpreter, in words.
        python: String,
        /// The app, in words; `None` where each worker imports it or there is none.
        app: Option<String>,
        /// Milliseconds it took.
        millis: u64,
    },
    /// Python did not start or the app was not loaded; the zygote exits.
    Failed {
        /// Why.
        error: Error,
    },
    /// A worker was forked.
    Forked {
        /// Its cell.
        cell: usize,
        /// Its pid.
        pid: u32,
    },
    /// A worker could not be forked.
    NotForked {
        /// The cell it would have had.
        cell: usize,
        /// What the system said.
        reason: String,
    },
}

/// A listener without its descriptor.
#[derive(Debug, Serialize, Deserialize)]
pub struct Socket {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Its address.
    pub address: Address,
}

/// The message that passes `listeners` on.
pub fn announce(listeners: &[Listener]) -> ToZygote {
    let sockets = listeners
        .iter()
        .map(|listener| Socket { protocol: listener.protocol, address: listener.address.clone() })
        .collect();
    ToZygote::Listen { sockets }
}

/// Makes listeners of what came with a [`ToZygote::Listen`].
pub fn adopt(sockets: Vec<Socket>, descriptors: Vec<OwnedFd>) -> Result<Vec<Listener>> {
    sockets
        .into_iter()
        .zip(descriptors)
        .map(|(socket, fd)| Listener::adopt(fd, socket.protocol, socket.address, None))
        .collect()
}
