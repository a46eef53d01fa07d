//! The other side of the upgrade: a master made of what the program before it left in this process.
//!
//! Called once, by `cli`, in a process that was told to with one variable. It supervises the workers
//! that are there, and goes on with the reload that brought it.

use std::fs::File;
use std::io::{Error as IoError, Read, Result as IoResult};
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::unistd::getpid;

use super::super::control::Waiter;
use super::super::events::Events;
use super::super::fifo::Fifo;
use super::super::notify::Notify;
use super::super::stats::Figures;
use super::super::vassal::Vassal;
use super::super::{
    Boot, Children, Companions, Harakiri, Master, OutOfMemory, Pausing, Phase, Pidfile, Recycle, Respawn, Triggers,
    boot, generation::Generation,
};
use super::standing::{Open, Standing};
use super::{DOCUMENT, Launch};
use crate::config::Source;
use crate::error::Error;
use crate::log;
use crate::net::listener::Listener;
use crate::sys::channel::Channel;
use crate::sys::signal::Watch;
use crate::sys::{clock, environment, fd, signal, title};

/// The document of the program before this one, where there was one.
pub fn take() -> Option<File> {
    let number = environment::take(DOCUMENT)?.into_string().ok()?.parse().ok().filter(|number| *number > 2)?;
    fd::given(number).ok().map(File::from)
}

/// Goes on for the program before this one until the instance is stopped; returns the exit code.
/// `program` is the command as it was called.
pub fn resume(source: Source, program: PathBuf, mut document: File) -> i32 {
    log::install();
    let mut text = Vec::new();
    let read = document.read_to_end(&mut text).and_then(|_| Ok(serde_json::from_slice::<Standing>(&text)?));
    drop(document);
    match read.and_then(|standing| Master::adopt(source, program, standing)) {
        Ok((mut master, signals, waiters)) => {
            master.reload_now(waiters);
            master.signalled(signals);
            master.run()
        }
        Err(error) => {
            tracing::error!("{}", Error::system("cannot go on for the program before this one", error));
            1
        }
    }
}

impl Master {
    /// The master that the other program was, the signals it had not acted on, and who waits.
    fn adopt(source: Source, program: PathBuf, standing: Standing) -> IoResult<(Self, Vec<Signal>, Vec<Waiter>)> {
        let directory = standing.directory;
        let launch = Launch::here(&program, &directory);
        let source = Source { environment: standing.environment, started: standing.started, ..source };
        if let Some(stdin) = standing.stdin {
            // Nothing has read it in this program.
            let _ = source.stdin.set(Arc::new(stdin));
        }
        let config = Arc::new(standing.started_with.restore(&source, &directory));
        log::lines::date(config.logging.log_date.as_deref()).map_err(IoError::other)?;
        title::set(&config.master_title("rustwsgi master"));
        for silent in [Signal::SIGPIPE, Signal::SIGTTIN, Signal::SIGTTOU] {
            signal::ignore(silent)?;
        }
        let watch = Arc::new(Watch::new(&boot::WATCHED)?);
        // Those that came while there was nobody to act on them come now.
        signal::unblock_all()?;
        let events = Events::new()?;
        events.watch_signals(Arc::clone(&watch));
        let [seat, seats] = standing.seats.map(|number| fd::given(number).map(Channel::from));
        let seats = seats?;
        events.watch_workers(seats.try_clone()?);
        let control = standing.control.map(|number| fd::given(number).map(Into::into)).transpose()?;
        if let Some(listener) = &control {
            events.watch_control(std::os::unix::net::UnixListener::try_clone(listener)?);
        }
        let pidfile = match standing.pidfile {
            Some((number, path)) => Some(Pidfile::adopt(fd::given(number)?, path)),
            None => None,
        };
        let (paths, slot, open) = standing.fifo;
        let fifo = Fifo::adopt(paths, slot, open.map(fd::given).transpose()?, &events);
        let adopted = |it| Generation::adopt(it, &source, &directory, &events);
        let generations = standing.generations.into_iter().map(adopted).collect::<IoResult<_>>()?;
        let clients = standing.clients.into_iter().map(|number| events.adopt_client(fd::given(number)?));
        let clients = clients.collect::<IoResult<_>>()?;
        let notify = match standing.notify {
            Some((number, address, watchdog)) => Notify::adopt(fd::given(number)?, &address, watchdog),
            None => Notify::default(),
        };
        let vassal = match standing.vassal {
            Some((number, loyal)) => Some(Vassal::adopt(fd::given(number)?, loyal)),
            None => None,
        };
        let listeners = standing.listeners.into_iter().map(Open::listener).collect::<IoResult<_>>()?;
        let signals = standing.signals.into_iter().filter_map(|number| Signal::try_from(number).ok()).collect();
        let mut master = Self {
            source,
            started_with: config,
            directory,
            program,
            events,
            watch,
            seat: seat?,
            seats,
            pidfile,
            boot: Boot::Told,
            generations,
            active: standing.active,
            latest: standing.latest,
            listeners,
            plan: None,
            coming_listeners: Vec::new(),
            children: Children::adopt(standing.children),
            ledger: standing.ledger,
            // Its sockets are opened with the generation that comes next.
            figures: Figures::adopt(standing.figures_since),
            retries: 0,
            crowd: None,
            respawns: Vec::new(),
            harakiri: Harakiri::default(),
            notify,
            vassal: None,
            companions: Companions::default(),
            recycle: Recycle::default(),
            out_of_memory: OutOfMemory::watch(),
            cheaper: None,
            phase: Phase::Serving,
            reload_after_start: None,
            retry_reload: None,
            handover: None,
            turnover: None,
            pausing: Pausing::default(),
            staffing: Vec::new(),
            fifo,
            triggers: Triggers::default(),
            look_at_log: 0,
            stop_at: None,
            crowded_until: None,
            stillborn: 0,
            began: standing.began,
            failure: None,
            launch,
            upgrade: None,
            control,
            companions_wait: true,
        };
        master.obey(vassal);
        master.ask_for_the_missing();
        tracing::info!(
            "*** rustwsgi {} goes on for rustwsgi {}, master pid {} ***",
            env!("CARGO_PKG_VERSION"),
            standing.program,
            getpid()
        );
        Ok((master, signals, clients))
    }

    /// Has those workers forked that the other program was about to ask for.
    fn ask_for_the_missing(&mut self) {
        let Some(active) = self.generation(self.active) else { return };
        let now = clock::monotonic();
        let missing = active.crew.ids().filter(|id| !self.children.has(active.number, *id));
        self.respawns = missing.map(|id| Respawn { id, at: now }).collect();
    }
}

impl Open {
    fn listener(self) -> IoResult<Listener> {
        let Self { fd: number, protocol, address, file, given } = self;
        let listener = Listener::adopt(fd::given(number)?, protocol, address, file).map_err(IoError::other)?;
        Ok(Listener { given, ..listener })
    }
}
