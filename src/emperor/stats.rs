//! The emperor's figures, as uWSGI's `--emperor-stats` has them: a JSON document to whoever connects.
//!
//! Called by the emperor's loop. A client that does not read is dropped.

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::unistd::{getgid, getpid, getuid};
use serde_json::{Value, json};

use super::Emperor;
use super::vassal::Vassal;
use crate::error::Result;
use crate::net::address::Address;
use crate::net::listener::{Access, Backlog, Listener, Protocol, Reserved};

/// How long a client may take to read.
const PATIENCE: Duration = Duration::from_millis(200);

/// The socket that the figures are served on.
#[derive(Debug)]
pub struct Stats {
    listener: Listener,
}

impl Stats {
    /// Listens on `address`.
    pub fn listen(address: &str, directory: &Path) -> Result<Self> {
        let address = Address::parse(address, directory)?;
        let (backlog, _) = Backlog::within_system(16);
        let listener = Reserved::reserve(Protocol::Uwsgi, &address)?.listen(backlog, &Access::default())?;
        Ok(Self { listener })
    }

    /// What to wait on.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Where it listens.
    pub fn name(&self) -> &str {
        &self.listener.name
    }

    /// Answers whoever waits.
    pub fn answer(&self, figures: &Value) {
        // A client that went away, or reads nothing, does not need the figures.
        while let Ok(client) = self.accept() {
            let _ = send(client, figures);
        }
    }

    /// Takes the path of a UNIX socket away.
    pub fn remove(&self) {
        let _ = self.listener.unlink_if_ours();
    }

    fn accept(&self) -> io::Result<UnixStream> {
        let fd = self.listener.fd.try_clone()?;
        // Either kind is written and closed in the same way.
        match self.listener.address {
            Address::Tcp { .. } => TcpListener::from(fd).accept().map(|(it, _)| std::os::fd::OwnedFd::from(it).into()),
            _ => UnixListener::from(fd).accept().map(|(it, _)| it),
        }
    }
}

fn send(mut client: UnixStream, figures: &Value) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_write_timeout(Some(PATIENCE))?;
    client.write_all(serde_json::to_string_pretty(figures)?.as_bytes())
}

impl Emperor {
    /// uWSGI's document.
    pub(super) fn figures(&self) -> Value {
        let blacklist: Vec<Value> = self
            .blacklist
            .iter()
            .map(|(name, entry)| {
                json!({
                    "id": name,
                    "throttle_level": entry.level,
                    "attempt": entry.attempts,
                    "first_attempt": entry.first,
                    "last_attempt": entry.last,
                })
            })
            .collect();
        json!({
            "version": crate::config::UWSGI_VERSION,
            "pid": getpid().as_raw(),
            "uid": getuid().as_raw(),
            "gid": getgid().as_raw(),
            "cwd": self.directory,
            "emperor": self.monitors.iter().map(|monitor| monitor.shown()).collect::<Vec<_>>(),
            "emperor_tyrant": u8::from(self.config.emperor.tyrant),
            "throttle_level": self.blacklist.iter().map(|(_, entry)| entry.level).max().unwrap_or(0),
            "vassals": self.vassals.iter().map(Vassal::figures).collect::<Vec<_>>(),
            "blacklist": blacklist,
        })
    }
}

impl Vassal {
    fn figures(&self) -> Value {
        let process = self.process.as_ref();
        let on_demand = self.on_demand.as_ref().map_or("", |listener| listener.name.as_str());
        json!({
            "id": self.name(),
            "pid": process.map_or(-1, |process| process.pid.as_raw()),
            "born": self.times.born,
            "last_mod": (self.found.modified / 1_000_000_000) as i64,
            "last_heartbeat": self.times.heartbeat,
            "loyal": u8::from(process.is_some_and(|process| process.loyal)),
            "ready": u8::from(process.is_some_and(|process| process.accepting)),
            "accepting": u8::from(process.is_some_and(|process| process.accepting)),
            "last_loyal": self.times.loyal,
            "last_ready": self.times.ready,
            "last_accepting": self.times.accepting,
            "first_run": self.times.first_run,
            "last_run": self.times.last_run,
            "cursed": u8::from(process.is_some_and(|process| process.cursed.is_some())),
            "zerg": 0,
            "on_demand": on_demand,
            "uid": self.found.owner.0,
            "gid": self.found.owner.1,
            "monitor": self.monitor,
            "respawns": self.respawns,
        })
    }
}
