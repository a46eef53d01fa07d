//! The document that goes from one program to the next: how the instance stands.
//!
//! Written and read by `upgrade`. Whatever changes in here, or in the structures it is made of, or in
//! the messages of zygotes and workers, takes another [`VERSION`].

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::path::PathBuf;
use std::time::SystemTime;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::super::control::Waiter;
use super::super::ledger::Ledger;
use super::super::{Master, children, generation};
use crate::config::Written;
use crate::net::address::Address;
use crate::net::listener::{FileId, Protocol};
use crate::scoreboard::Scoreboard;
use crate::sys::exec::Passed;

/// The kind of document, and of the talk with zygotes and workers.
const VERSION: u32 = 1;

/// What two programs have to agree in: the version, and how the scoreboard is laid out.
pub fn layout() -> String {
    let [cell, core, totals, lock] = Scoreboard::layout();
    format!("{VERSION}-{cell}-{core}-{totals}-{lock}")
}

/// How an instance stands; descriptors by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The version of the program that wrote it, for the log.
    pub program: String,
    /// What the command line's [`crate::config::Source`] had beside the arguments.
    pub environment: Vec<(String, String)>,
    /// When the instance was started.
    pub started: SystemTime,
    /// What its stdin held, where it was read.
    pub stdin: Option<Vec<u8>>,
    /// What it was started with.
    pub started_with: Written,
    /// The directory it was started in.
    pub directory: PathBuf,
    /// The two ends of the workers' channel, the workers' first.
    pub seats: [RawFd; 2],
    /// The pid file.
    pub pidfile: Option<(RawFd, PathBuf)>,
    /// The control socket.
    pub control: Option<RawFd>,
    /// The FIFOs, the place of the open one, and that one.
    pub fifo: (Vec<PathBuf>, usize, Option<RawFd>),
    /// The way to the service manager.
    pub notify: Option<(RawFd, Vec<u8>, Option<u64>)>,
    /// The way to the emperor.
    pub vassal: Option<(RawFd, bool)>,
    /// The generations.
    pub generations: Vec<generation::Standing>,
    /// The one that serves.
    pub active: u64,
    /// The latest.
    pub latest: u64,
    /// The listeners.
    pub listeners: Vec<Open>,
    /// The workers.
    pub children: children::Standing,
    /// What dead workers have counted, and how reloads went.
    pub ledger: Ledger,
    /// When the instance was started, for the figures.
    pub figures_since: i64,
    /// CLOCK_MONOTONIC nanoseconds of the start.
    pub began: u64,
    /// Signals that came and were not acted on.
    pub signals: Vec<i32>,
    /// Clients who wait for the reload.
    pub clients: Vec<RawFd>,
}

/// A listener.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open {
    /// Its descriptor.
    pub fd: RawFd,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Its address.
    pub address: Address,
    /// The file of a UNIX socket.
    pub file: Option<FileId>,
    /// The descriptor it was at the start.
    pub given: Option<i32>,
}

impl Master {
    /// How it stands, its descriptors passed on.
    pub(super) fn standing(&self, passed: &mut Passed, signals: &[Signal], waiters: &[Waiter]) -> io::Result<Standing> {
        let listeners = self.listeners.iter().map(|listener| {
            Ok(Open {
                fd: passed.pass(listener)?,
                protocol: listener.protocol,
                address: listener.address.clone(),
                file: listener.file,
                given: listener.given,
            })
        });
        let listeners = listeners.collect::<io::Result<_>>()?;
        let generations: io::Result<_> = self.generations.iter().map(|it| it.standing(passed)).collect();
        let clients: io::Result<_> = waiters.iter().filter_map(Waiter::client).map(|it| passed.pass(it)).collect();
        let notify = self.notify.standing().map(|(fd, address, watchdog)| Ok((passed.pass(fd)?, address, watchdog)));
        let vassal = self.vassal.as_ref().map(|it| it.standing()).map(|(fd, loyal)| Ok((passed.pass(fd)?, loyal)));
        Ok(Standing {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            environment: self.source.environment.clone(),
            started: self.source.started,
            stdin: self.source.stdin.get().map(|text| text.to_vec()),
            started_with: Written::of(&self.started_with),
            directory: self.directory.clone(),
            seats: [passed.pass(&self.seat)?, passed.pass(&self.seats)?],
            control: self.control.as_ref().map(|it| passed.pass(it.as_fd())).transpose()?,
            fifo: self.fifo.standing(passed).map_err(io::Error::other)?,
            notify: notify.transpose().map_err(|error: io::Error| error)?,
            vassal: vassal.transpose().map_err(|error: io::Error| error)?,
            generations: generations?,
            active: self.active,
            latest: self.latest,
            listeners,
            children: self.children.standing(),
            ledger: self.ledger.clone(),
            figures_since: self.figures.since(),
            began: self.began,
            signals: signals.iter().map(|signal| *signal as i32).collect(),
            clients: clients?,
            pidfile: self.pidfile.as_ref().map(|it| it.pass(true)).transpose()?.map(|(fd, path)| (fd, path.to_owned())),
        })
    }
}
