//! A generation: one zygote, the configuration it was started with, the workers it forks.
//!
//! A reload makes the next one beside the one that serves. Starting, asking and ending a zygote are
//! here; when to do which is `reload`'s and the master's.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, getpid};
use tokio::task::JoinHandle;

use super::events::Events;
use super::privileges;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::net::listener::Listener;
use crate::python::Venv;
use crate::scoreboard::Scoreboard;
use crate::sys::channel::Channel;
use crate::sys::process::{self, Fork};
use crate::sys::signal::Watch;
use crate::sys::{clock, fd};
use crate::zygote::link::{ToZygote, announce};
use crate::zygote::{self, Birth};

/// What every zygote needs of its master.
#[derive(Debug)]
pub struct Parentage<'a> {
    /// The directory the instance was started in.
    pub directory: &'a Path,
    /// The command as it was called.
    pub program: &'a Path,
    /// The master's signal handlers, which the child lets go of.
    pub watch: &'a Watch,
    /// The workers' end of their channel.
    pub seat: &'a Channel,
    /// Where the zygote's messages are queued.
    pub events: &'a Events,
}

/// One generation.
#[derive(Debug)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// Its configuration.
    pub config: Arc<Config>,
    /// Its workers' cells.
    pub board: Scoreboard,
    /// Its zygote; `None` after its death.
    pub zygote: Option<Pid>,
    /// Whether the zygote can fork workers already.
    pub ready: bool,
    /// CLOCK_MONOTONIC nanoseconds by which it has to be ready.
    pub deadline: u64,
    /// Whether the deadline has passed, and the zygote was told to say where it is and die.
    pub overdue: bool,
    /// Whether the zygote has closed its end of the link.
    pub silent: bool,
    /// How the zygote died.
    pub death: Option<WaitStatus>,
    link: Option<Link>,
}

/// The master's end of the link to a zygote. Dropping it ends a zygote that waits for work.
#[derive(Debug)]
struct Link {
    channel: Channel,
    reader: JoinHandle<()>,
}

impl Generation {
    /// Forks the zygote; it reports over the event queue.
    pub fn start(
        number: u64,
        config: Arc<Config>,
        venv: Option<Venv>,
        board: Scoreboard,
        parentage: &Parentage<'_>,
    ) -> Result<Self> {
        let identity = privileges::identity(&config)?;
        let (ours, theirs) = Channel::pair().map_err(|error| Error::system("socketpair", error))?;
        let seat = parentage.seat.try_clone().map_err(|error| Error::system("dup", error))?;
        let master = getpid();
        match process::fork().map_err(|error| Error::system("cannot fork the zygote", error))? {
            Fork::Child => {
                parentage.watch.release();
                fd::close_all_but(&[theirs.as_fd(), seat.as_fd()]);
                zygote::run(Birth {
                    generation: number,
                    config,
                    directory: parentage.directory.to_owned(),
                    program: parentage.program.to_owned(),
                    venv,
                    identity,
                    board,
                    link: theirs,
                    seat,
                    master,
                })
            }
            Fork::Parent(pid) => {
                drop(theirs);
                let listen = |channel: &Channel| channel.set_nonblocking().and_then(|()| channel.try_clone());
                let reading = listen(&ours).map_err(|error| Error::system("dup", error))?;
                let deadline = match config.startup_timeout {
                    0 => u64::MAX,
                    seconds => clock::monotonic().saturating_add(seconds.saturating_mul(1_000_000_000)),
                };
                let link = Some(Link { reader: parentage.events.watch_zygote(number, reading), channel: ours });
                Ok(Self {
                    number,
                    config,
                    board,
                    zygote: Some(pid),
                    ready: false,
                    deadline,
                    overdue: false,
                    silent: false,
                    death: None,
                    link,
                })
            }
        }
    }

    /// Hands the zygote the listeners that its workers will serve.
    pub fn hand_over(&self, listeners: &[Listener]) -> Result<()> {
        let descriptors: Vec<_> = listeners.iter().map(|listener| listener.fd.as_fd()).collect();
        self.send(&announce(listeners), &descriptors)
            .map_err(|error| Error::system("cannot hand the listeners to the zygote", error))
    }

    /// Asks the zygote to fork worker `worker`; its cell goes on counting at `requests`. Returns the
    /// cell.
    pub fn ask(&self, worker: usize, requests: u64) -> Result<usize> {
        let cell = self
            .board
            .claim(worker, requests)
            .ok_or_else(|| Error::system(format!("worker {worker}"), "no free cell on the scoreboard"))?;
        self.send(&ToZygote::Fork { worker, cell }, &[]).map_err(|error| {
            self.board.release(cell);
            Error::system("cannot reach the zygote", error)
        })?;
        Ok(cell)
    }

    /// Lets the zygote go: nobody will ask it for a worker again.
    pub fn retire(&mut self) {
        self.ready = false;
        self.link = None;
    }

    fn send(&self, message: &ToZygote, descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        match &self.link {
            Some(link) => link.channel.send(message, descriptors),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ends a zygote that hangs so that it prints its Python stack: its fault handler does, on
    /// SIGABRT, whatever it hangs in.
    pub fn abort(&self) {
        if let Some(pid) = self.zygote {
            let _ = kill(pid, Signal::SIGABRT);
        }
    }

    /// Kills the zygote at once: it hangs, or nobody needs it and it is not ready.
    pub fn kill(&self) {
        if let Some(pid) = self.zygote {
            // It may have died by itself; its death is reaped either way.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
