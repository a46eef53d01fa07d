//! A generation: one zygote, the configuration it was started with, the workers it forks.
//!
//! A reload makes the next one beside the one that serves. Starting, asking and ending a zygote are
//! here; when to do which is `reload`'s and the master's.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, getpid};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::crew::Crew;
use super::events::Events;
use super::privileges;
use crate::config::{Config, Source, Written};
use crate::error::{Error, Result};
use crate::log::sink::Sink;
use crate::net::listener::Listener;
use crate::python::Venv;
use crate::scoreboard::Scoreboard;
use crate::sys::channel::Channel;
use crate::sys::exec::Passed;
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
    /// CLOCK_MONOTONIC nanoseconds by which the zygote has to be ready, and once it is, the workers.
    pub deadline: u64,
    /// Whether the deadline has passed, and who hangs was told to say where.
    pub overdue: bool,
    /// Whether the zygote has closed its end of the link.
    pub silent: bool,
    /// How the zygote died.
    pub death: Option<WaitStatus>,
    /// CLOCK_MONOTONIC nanoseconds at which a dead zygote counts as silent: a process that the app
    /// forked at import may hold the link open for as long as it lives.
    pub silent_by: u64,
    /// Whether nobody needs it any more. It stays in the list until nothing of it is left.
    pub retired: bool,
    /// What its processes write the names of imported files to, with `py-autoreload`.
    imports: Option<File>,
    /// How much of that was read.
    imports_read: u64,
    /// The numbers of the workers it is to have.
    pub crew: Crew,
    /// How long the import of its app took, milliseconds; `None` without an app.
    pub imported_in: Option<u64>,
    link: Option<Link>,
}

/// A generation as another program can read it; descriptors by their numbers there.
#[derive(Debug, Serialize, Deserialize)]
pub struct Standing {
    number: u64,
    config: Written,
    memory: [RawFd; 4],
    imported_in: Option<u64>,
    cells: usize,
    cores: usize,
    zygote: Option<i32>,
    ready: bool,
    retired: bool,
    imports: Option<RawFd>,
    imports_read: u64,
    crew: Crew,
    link: Option<RawFd>,
}

/// The master's end of the link to a zygote.
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
        crew: Crew,
        parentage: &Parentage<'_>,
    ) -> Result<Self> {
        let identity = privileges::identity(&config)?;
        let (ours, theirs) = Channel::pair().map_err(|error| Error::system("socketpair", error))?;
        let seat = parentage.seat.try_clone().map_err(|error| Error::system("dup", error))?;
        // All that can fail comes before the fork: a zygote that nobody noted would be nobody's.
        let reading = ours.set_nonblocking().and_then(|()| ours.try_clone());
        let reading = reading.map_err(|error| Error::system("dup", error))?;
        let imports = (config.reloading.py_auto_reload > 0).then(imports_file).transpose()?;
        let master = getpid();
        match process::fork().map_err(|error| Error::system("cannot fork the zygote", error))? {
            Fork::Child => {
                parentage.watch.release();
                let mut kept = vec![theirs.as_fd(), seat.as_fd()];
                kept.extend(imports.as_ref().map(AsFd::as_fd));
                fd::close_all_but(&kept);
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
                    imports,
                    master,
                })
            }
            Fork::Parent(pid) => {
                drop(theirs);
                let link = Some(Link { reader: parentage.events.watch_zygote(number, reading), channel: ours });
                Ok(Self {
                    number,
                    deadline: clock::monotonic().saturating_add(patience(&config)),
                    config,
                    board,
                    zygote: Some(pid),
                    ready: false,
                    overdue: false,
                    silent: false,
                    death: None,
                    silent_by: 0,
                    retired: false,
                    imports,
                    imports_read: 0,
                    crew,
                    imported_in: None,
                    link,
                })
            }
        }
    }

    /// What another program needs to go on with it.
    pub fn standing(&self, passed: &mut Passed) -> std::io::Result<Standing> {
        let [cells, slots, totals, locks] = self.board.memory();
        Ok(Standing {
            number: self.number,
            config: Written::of(&self.config),
            memory: [passed.pass(cells)?, passed.pass(slots)?, passed.pass(totals)?, passed.pass(locks)?],
            imported_in: self.imported_in,
            cells: self.board.cells(),
            cores: self.board.cores(),
            zygote: self.zygote.map(Pid::as_raw),
            ready: self.ready,
            retired: self.retired,
            imports: self.imports.as_ref().map(|file| passed.pass(file)).transpose()?,
            imports_read: self.imports_read,
            crew: self.crew.clone(),
            link: self.link.as_ref().map(|link| passed.pass(&link.channel)).transpose()?,
        })
    }

    /// Goes on with a generation of the program before this one.
    pub fn adopt(standing: Standing, source: &Source, directory: &Path, events: &Events) -> std::io::Result<Self> {
        let [cells, slots, totals, locks] = standing.memory.map(fd::given);
        let link = match standing.link {
            Some(number) => {
                let channel = Channel::from(fd::given(number)?);
                let reader = events.watch_zygote(standing.number, channel.try_clone()?);
                Some(Link { channel, reader })
            }
            None => None,
        };
        let zygote = standing.zygote.map(Pid::from_raw);
        let now = clock::monotonic();
        Ok(Self {
            number: standing.number,
            config: Arc::new(standing.config.restore(source, directory)),
            board: Scoreboard::adopt([cells?, slots?, totals?, locks?], standing.cells, standing.cores)?,
            zygote,
            ready: standing.ready,
            deadline: u64::MAX,
            overdue: false,
            silent: link.is_none(),
            // How it died was said already.
            death: zygote.is_none().then_some(WaitStatus::StillAlive),
            silent_by: now + 1_000_000_000,
            retired: standing.retired,
            imports: standing.imports.map(|number| fd::given(number).map(File::from)).transpose()?,
            imports_read: standing.imports_read,
            crew: standing.crew,
            imported_in: standing.imported_in,
            link,
        })
    }

    /// Hands the zygote the listeners that its workers will serve.
    pub fn hand_over(&self, listeners: &[Listener]) -> Result<()> {
        let descriptors: Vec<_> = listeners.iter().map(|listener| listener.fd.as_fd()).collect();
        self.send(&announce(listeners), &descriptors)
            .map_err(|error| Error::system("cannot hand the listeners to the zygote", error))
    }

    /// Hands the zygote the log file, where it still lives.
    pub fn hand_over_log(&self, log: &Sink) -> std::io::Result<()> {
        if self.silent || self.retired {
            return Ok(());
        }
        self.send(&ToZygote::Log, &[log.as_fd()])
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

    /// What its processes have written of imported files since the last call: whole lines.
    pub fn new_imports(&mut self) -> String {
        let mut bytes = Vec::new();
        let Some(file) = &mut self.imports else { return String::new() };
        // Its own position is the writers', too; they append whatever it is.
        let read = file.seek(SeekFrom::Start(self.imports_read)).and_then(|_| file.read_to_end(&mut bytes));
        if read.is_err() {
            return String::new();
        }
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        self.imports_read += bytes.len() as u64;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The zygote can fork: its workers have as long again.
    pub fn is_up(&mut self) {
        self.ready = true;
        self.overdue = false;
        self.deadline = clock::monotonic().saturating_add(self.patience());
    }

    /// How long the import may take (`startup-timeout`), nanoseconds.
    pub fn patience(&self) -> u64 {
        patience(&self.config)
    }

    /// Ends the zygote: nobody will ask it for a worker again. It has nothing to finish, and may be
    /// stopped or hang. What it said is still read to the end: a worker that it forked last must not
    /// stay unknown, and serve the old code for ever.
    pub fn retire(&mut self) {
        self.ready = false;
        self.retired = true;
        self.kill();
    }

    /// Nothing more is read from the zygote.
    pub fn hang_up(&mut self) {
        self.silent = true;
        self.link = None;
    }

    fn send(&self, message: &ToZygote, descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        match &self.link {
            Some(link) if !self.retired => link.channel.send(message, descriptors),
            _ => Err(std::io::ErrorKind::NotConnected.into()),
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

/// A file without a name that every writer appends to.
fn imports_file() -> Result<File> {
    let file = memfd_create("imports", MFdFlags::MFD_CLOEXEC).map_err(|error| Error::system("memfd_create", error))?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND | OFlag::O_RDWR)).map_err(|error| Error::system("fcntl", error))?;
    Ok(File::from(file))
}

/// How long the import may take, nanoseconds; for ever where the configuration says 0.
fn patience(config: &Config) -> u64 {
    match config.startup_timeout {
        0 => u64::MAX,
        seconds => seconds.saturating_mul(1_000_000_000),
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
