//! A worker: serves requests on its cores until it is told to finish.
//!
//! Forked and called by the zygote, watched by the master through the scoreboard, its notices and
//! its exit code. Told to finish by SIGHUP: it stops listening at once, serves what it has, runs
//! Python's exit handlers and leaves. When its master is gone it does the same within a second.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Once};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};

use crate::config::{Config, Requests};
use crate::error::{Code, Error, Result};
use crate::hooks::Phase;
use crate::net::listener::Listener;
use crate::python::{self, App, Interpreter};
use crate::scoreboard::Scoreboard;
use crate::static_files::Files;
use crate::sys::channel::Channel;
use crate::sys::signal::Watch;
use crate::sys::{clock, process, title};

mod api;
mod connection;
mod connections;
mod core;
mod gate;
mod inbox;
mod limits;
pub mod notice;
mod offload;
mod pause;
mod refusals;
mod relog;
mod serve;
mod sharing;
mod terms;
mod warmup;

pub use api::introduce;

use connections::Connections;
use gate::Gate;
use limits::Limits;
use notice::Notice;
use offload::Offload;
use refusals::Rate;
use sharing::Sharing;

/// How long new connections are left alone when there is no descriptor for one, nanoseconds.
const PAUSE: u64 = 100_000_000;
/// How long a worker may finish when its master is gone.
const ORPHANED: Duration = Duration::from_secs(1);

/// What a worker is born with.
#[derive(Debug)]
pub struct Assignment {
    /// Its number, 1 to `processes`.
    pub id: usize,
    /// Whether it is the first of its number in its generation.
    pub first: bool,
    /// Its cell on the scoreboard.
    pub cell: usize,
    /// The generation it belongs to.
    pub generation: u64,
    /// The configuration of that generation.
    pub config: Arc<Config>,
    /// The directory the instance was started in, which relative paths mean.
    pub directory: PathBuf,
    /// What it serves.
    pub listeners: Vec<Listener>,
    /// Its generation's scoreboard.
    pub board: Scoreboard,
    /// Its end of the channel to the master; the other end closes with the master only.
    pub seat: Channel,
    /// The master's pid, which is its parent's.
    pub master: Pid,
}

/// Serves until told to finish. Called by the zygote's child once Python knows of the fork;
/// `app` is none where `lazy-apps` has it loaded here, or where there is none to load.
pub fn run(assignment: Assignment, interpreter: &Interpreter, app: Option<App>) -> ! {
    let (cell, seat) = (assignment.cell, assignment.seat.try_clone());
    let code = match Worker::start(assignment, interpreter, app) {
        Ok((worker, app)) => {
            worker.serve(app.as_ref());
            interpreter.exit();
            0
        }
        Err(error) => {
            let code = error.exit;
            tracing::error!("{error}");
            if let Ok(seat) = seat {
                // Where the master is gone there is nobody left to tell.
                let _ = seat.send(&Notice::Failed { cell, pid: std::process::id(), error }, &[]);
            }
            i32::from(code)
        }
    };
    process::exit(code)
}

/// Loads the app, with the hooks before and after it. Called by whoever loads it: the zygote, or each
/// worker with `lazy-apps`.
pub fn load(interpreter: &Interpreter, config: &Config) -> Result<App> {
    Phase::PreApp.run(config)?;
    let app = interpreter.load(config)?;
    Phase::PostApp.run(config)?;
    Ok(app)
}

/// The hooks of a worker that is about to accept.
fn accepting(config: &Config, id: usize, first: bool) -> Result<()> {
    let phases = [
        (Phase::Accepting, true),
        (Phase::AcceptingOnce, first),
        (Phase::Accepting1, id == 1),
        (Phase::Accepting1Once, id == 1 && first),
    ];
    phases.into_iter().filter(|(_, due)| *due).try_for_each(|(phase, _)| phase.run(config))
}

/// A worker, as its cores share it.
#[derive(Debug)]
struct Worker {
    id: usize,
    pid: u32,
    cell: usize,
    cores: usize,
    /// Kilobytes for each core's thread; 0 for the system's default.
    stack: usize,
    reaps: bool,
    buffer_size: usize,
    timeout: Duration,
    /// Nanoseconds; 0 for never.
    harakiri: u64,
    mercy: Duration,
    config: Arc<Config>,
    requests: Requests,
    files: Option<Files>,
    offload: Offload,
    host: String,
    gates: Vec<Gate>,
    board: Scoreboard,
    limits: Limits,
    seat: Channel,
    master: Pid,
    /// What waits while the worker listens, and while it finishes. The second set has no
    /// listeners, and nothing in it wakes for the signal that all cores have seen by then.
    connections: [Connections; 2],
    watch: Watch,
    /// SIGWINCH: the master has a worker look at its listeners (uWSGI: it wakes a worker).
    pokes: Watch,
    told: Arc<AtomicBool>,
    stopped: Once,
    finish_by: AtomicU64,
    paused: AtomicBool,
    /// Requests that it answers to itself before it serves.
    warmup: Vec<String>,
    /// The log file, and which turn of it this process writes to.
    log: Option<PathBuf>,
    log_turn: AtomicU32,
    refused: Rate,
    exhausted: Rate,
}

impl Worker {
    /// Everything up to "ready to serve".
    fn start(assignment: Assignment, interpreter: &Interpreter, app: Option<App>) -> Result<(Arc<Self>, Option<App>)> {
        let config = Arc::clone(&assignment.config);
        let (id, first) = (assignment.id, assignment.first);
        title::set(&config.title(&format!("rustwsgi worker {id}")));
        terms::take_place(&config, id);
        Phase::PostFork.run(&config)?;
        api::introduce(
            Some((id, assignment.cell)),
            assignment.generation,
            &config,
            &assignment.board,
            &assignment.seat,
            assignment.master,
            &assignment.listeners,
        );
        let worker = Arc::new(Self::new(assignment).map_err(|error| Error::system("cannot start a worker", error))?);
        worker.watch_master()?;
        let app = match app {
            None if config.lazy_apps => match load(interpreter, &config) {
                Ok(app) => Some(app),
                Err(error) if config.need_app || error.code == Code::HookFailed => return Err(error),
                Err(error) => {
                    tracing::error!("{error}");
                    None
                }
            },
            app => app,
        };
        python::api::forked();
        terms::change_directory(&config)?;
        accepting(&config, id, first)?;
        Ok((worker, app))
    }

    fn new(assignment: Assignment) -> io::Result<Self> {
        let files = Files::of(&assignment.config.requests);
        let Assignment { id, cell, config, directory, listeners, board, seat, master, .. } = assignment;
        let watch = Watch::new(&[Signal::SIGHUP])?;
        let told = watch.flag(Signal::SIGHUP).unwrap_or_default();
        let gates = listeners.into_iter().map(|listener| Gate::new(listener, &config)).collect::<Vec<_>>();
        let connections = [Connections::new(1)?, Connections::new(2)?];
        let pokes = Watch::new(&[Signal::SIGWINCH])?;
        connections[0].watch(&watch)?;
        connections[0].watch_pokes(&pokes)?;
        for (number, gate) in gates.iter().enumerate() {
            connections[0].listen(gate, number)?;
        }
        Ok(Self {
            id,
            pid: std::process::id(),
            cell,
            cores: config.threads.clamp(1, board.cores()),
            stack: config.privileges.thread_stacksize,
            reaps: config.privileges.reaper,
            buffer_size: config.buffer_size,
            timeout: Duration::from_secs(config.socket_timeout),
            harakiri: config.harakiri.saturating_mul(1_000_000_000),
            mercy: Duration::from_secs(config.worker_reload_mercy),
            requests: config.requests.clone(),
            offload: Offload::new(config.requests.offload_threads.max(usize::from(files.is_some())))?,
            files,
            host: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default(),
            gates,
            board,
            limits: Limits::of(&config, id),
            seat,
            master,
            connections,
            watch,
            pokes,
            told,
            stopped: Once::new(),
            finish_by: AtomicU64::new(u64::MAX),
            paused: AtomicBool::new(false),
            warmup: config.reloading.warmup.clone(),
            log: config.daemonize.as_ref().or(config.logto.as_ref()).map(|path| directory.join(path)),
            log_turn: AtomicU32::new(0),
            refused: Rate::default(),
            exhausted: Rate::new(1),
            config,
        })
    }

    /// Serves on all cores until the worker is told to finish.
    fn serve(&self, app: Option<&App>) {
        self.follow_log();
        python::attach(|gil| self.warm_up(gil, app));
        self.board.cell(self.cell).pid.store(self.pid, Relaxed);
        self.obey_pause();
        let sharing = Sharing::of(self.cores);
        python::attach(|gil| {
            std::thread::scope(|scope| {
                let cores: Vec<_> = (1..self.cores)
                    .filter_map(|number| {
                        let name = format!("uWSGIWorker{}Core{number}", self.id);
                        let thread = terms::with_stack(std::thread::Builder::new().name(name), self.stack);
                        match thread.spawn_scoped(scope, move || core::thread(self, app, number, sharing)) {
                            Ok(core) => Some(core),
                            Err(error) => {
                                tracing::error!("worker {} has no thread for core {number}: {error}", self.id);
                                None
                            }
                        }
                    })
                    .collect();
                for number in 0..self.offload.threads() {
                    let name = format!("uWSGIWorker{}Offload{number}", self.id);
                    let thread = std::thread::Builder::new().name(name).stack_size(128 * 1024);
                    if let Err(error) = thread.spawn_scoped(scope, move || self.offload.run(self, number)) {
                        self.fail(&format!("no thread to send files: {error}"));
                    }
                }
                self.tell(&Notice::Ready { cell: self.cell, pid: self.pid });
                core::run(self, app, gil, 0, sharing);
                gil.release(|| {
                    for core in cores {
                        if core.join().is_err() {
                            tracing::error!("a core of worker {} panicked", self.id);
                        }
                    }
                    self.offload.close();
                });
            });
        });
    }

    /// The set that connections wait in.
    fn connections(&self, finishing: bool) -> &Connections {
        &self.connections[usize::from(finishing)]
    }

    /// Whether the worker was told to finish.
    fn is_finishing(&self) -> bool {
        self.told.load(Relaxed)
    }

    /// Stops listening for good; returns the time by which what is left has to be finished
    /// (CLOCK_MONOTONIC nanoseconds).
    fn stop_listening(&self) -> u64 {
        self.stopped.call_once(|| {
            for gate in &self.gates {
                // It is not there while accepting is paused.
                let _ = self.connections(false).ignore(gate);
            }
            self.finish_within(self.mercy);
            self.tell(&Notice::Finishing { cell: self.cell, pid: self.pid });
        });
        self.finish_by.load(Relaxed)
    }

    fn finish_within(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.finish_by.fetch_min(clock::monotonic().saturating_add(span), Relaxed);
    }

    /// Whether connections that wait have waited long enough for a worker that finishes.
    fn is_time_up(&self, now: u64) -> bool {
        now >= self.finish_by.load(Relaxed)
    }

    /// When a client that takes nothing from now on has kept us waiting for too long.
    fn patience(&self) -> u64 {
        clock::monotonic().saturating_add(u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Leaves new connections to other workers for a moment: there is no descriptor for them here.
    fn pause(&self, error: &io::Error) {
        if !self.paused.swap(true, Relaxed) {
            for gate in &self.gates {
                let _ = self.connections(false).ignore(gate);
            }
        }
        let now = clock::monotonic();
        self.connections(false).remind(now + PAUSE);
        if self.exhausted.admit(now).is_some() {
            tracing::error!("worker {} cannot accept connections and pauses: {error}", self.id);
        }
    }

    /// Listens again after a pause.
    fn resume(&self) {
        if !self.is_told_to_pause() && self.paused.swap(false, Relaxed) && !self.is_finishing() {
            for (number, gate) in self.gates.iter().enumerate() {
                if let Err(error) = self.connections(false).listen(gate, number) {
                    tracing::error!("worker {} cannot listen on {} again: {error}", self.id, gate.name());
                }
            }
        }
    }

    /// Gives up a listener that the app closed under us; a new worker will have it again.
    fn lose(&self, gate: usize, error: &io::Error) {
        let gate = &self.gates[gate];
        let _ = self.connections(false).ignore(gate);
        if self.exhausted.admit(clock::monotonic()).is_some() {
            tracing::error!("worker {} lost its listener {}: {error}", self.id, gate.name());
        }
        if self.limits.ask_once() {
            self.recycle("listener lost");
        }
    }

    /// Ends a worker that can't go on.
    fn fail(&self, message: &str) -> ! {
        tracing::error!("worker {}: {message}", self.id);
        process::exit(1)
    }

    /// Asks the master for a replacement.
    fn recycle(&self, reason: &str) {
        self.tell(&Notice::Recycle { cell: self.cell, pid: self.pid, reason: reason.into() });
    }

    fn tell(&self, notice: &Notice) {
        match self.seat.send(notice, &[]) {
            // Only the master has the other end: it is gone, and the worker is about to follow.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => tracing::warn!("worker {} cannot reach the master: {error}", self.id),
            Ok(()) => {}
        }
    }

    /// Sees to it that nothing of this worker is left a second after its master's death, even if
    /// the app never returns.
    fn watch_master(self: &Arc<Self>) -> Result<()> {
        process::signal_on_parent_death(Signal::SIGHUP).map_err(|error| Error::system("prctl", error))?;
        if getppid() != self.master {
            return Err(Error::new(Code::StartFailed, "the master died while a worker started"));
        }
        let worker = Arc::clone(self);
        let thread = std::thread::Builder::new().name("watch".into()).stack_size(128 * 1024);
        thread
            .spawn(move || worker.outlive_no_master())
            .map(|_| ())
            .map_err(|error| Error::system("cannot start a thread", error))
    }

    fn outlive_no_master(&self) -> ! {
        loop {
            let mut seat = [PollFd::new(self.seat.as_fd(), PollFlags::empty())];
            let polled = poll(&mut seat, PollTimeout::NONE);
            let found = seat[0].revents().unwrap_or(PollFlags::empty());
            if found.contains(PollFlags::POLLNVAL) {
                // The app closed descriptors that are not its own; this way is slower.
                std::thread::sleep(ORPHANED);
            }
            if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) || getppid() != self.master {
                break;
            }
            if !matches!(polled, Ok(_) | Err(Errno::EINTR)) {
                std::thread::sleep(ORPHANED);
            }
        }
        self.finish_within(ORPHANED / 2);
        // The same way to finish as any other; it wakes the cores.
        let _ = kill(getpid(), Signal::SIGHUP);
        std::thread::sleep(ORPHANED);
        process::exit(1)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.watch.release();
        self.pokes.release();
    }
}
