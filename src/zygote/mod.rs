//! The zygote: starts Python, imports the app, then forks workers whenever the master asks.
//!
//! Forked by `master`, one a generation. Everything that an app can do at import happens to this
//! process: it can crash, hang or exit and the master only notes it. Between forks it waits with
//! the GIL held, so that it stays a still image which workers share.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nix::sched::sched_yield;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdout, getpid, getppid};

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::hooks::Phase;
use crate::net::listener::Listener;
use crate::python::{App, Interpreter, Venv, find_venv};
use crate::scoreboard::Scoreboard;
use crate::sys::channel::Channel;
use crate::sys::process::{self, Fork};
use crate::sys::user::Identity;
use crate::sys::{environment, memory, signal, title, user};
use crate::worker::{self, Assignment};

mod confinement;
mod inheritance;
pub mod link;
mod reach;
mod variables;

use confinement::Moment;
use inheritance::Inheritance;
use link::{FromZygote, ToZygote};

/// What a zygote is born with.
#[derive(Debug)]
pub struct Birth {
    /// The generation it belongs to.
    pub generation: u64,
    /// The configuration of that generation.
    pub config: Arc<Config>,
    /// The directory the instance was started in, which relative paths mean.
    pub directory: PathBuf,
    /// The command as it was called, which may lie in a virtual environment.
    pub program: PathBuf,
    /// The Python to start; `None` where it can be looked for inside of `chroot` only.
    pub venv: Option<Venv>,
    /// Whom it becomes before the app is loaded.
    pub identity: Identity,
    /// Its generation's scoreboard.
    pub board: Scoreboard,
    /// Its end of the link to the master.
    pub link: Channel,
    /// The workers' end of their channel to the master.
    pub seat: Channel,
    /// Where the names of imported files go, with `py-autoreload`.
    pub imports: Option<File>,
    /// The master's pid: the parent of every worker.
    pub master: Pid,
}

/// Runs the zygote. The caller has closed every descriptor that is not in `birth`.
pub fn run(birth: Birth) -> ! {
    title::set(&birth.config.title("rustwsgi zygote"));
    let code = match prepare(&birth) {
        Ok((interpreter, app)) => serve(&birth, &interpreter, app.as_ref()),
        Err(error) => {
            let code = i32::from(error.exit);
            // Where the master is gone there is nobody left to tell.
            let _ = birth.link.send(&FromZygote::Failed { error: shortened(error) }, &[]);
            code
        }
    };
    // No exit handlers: they are for processes that served, and this one is their template.
    process::exit(code)
}

/// Everything up to "ready to fork workers".
fn prepare(birth: &Birth) -> Result<(Interpreter, Option<App>)> {
    let began = Instant::now();
    settle(birth)?;
    let config = &birth.config;
    let venv = match &birth.venv {
        Some(venv) => venv.clone(),
        None => find_venv(config, &birth.directory, &birth.program)?,
    };
    reach::check(birth, &venv)?;
    let inheritance = Inheritance::before();
    let interpreter = Interpreter::start(&venv, config)?;
    if let Some(imports) = &birth.imports {
        interpreter.record_imports(imports.as_raw_fd(), &config.reloading.py_auto_reload_ignore);
    }
    birth.drop_at(Moment::Init)?;
    worker::introduce(None, birth.generation, config, &birth.board, &birth.seat, birth.master, &[]);
    let app = if config.lazy_apps {
        None
    } else {
        match worker::load(&interpreter, config) {
            Ok(app) => Some(app),
            Err(error) if config.need_app || error.code == Code::HookFailed => return Err(error),
            Err(error) => {
                tracing::error!("{error}");
                tracing::warn!("no app loaded: every request is answered with 500 (`need-app = false`)");
                None
            }
        }
    };
    birth.drop_at(Moment::Apps)?;
    interpreter.freeze();
    if app.is_some() {
        inheritance.report(&interpreter);
    }
    let ready = FromZygote::Ready {
        python: interpreter.describe(),
        app: app.is_some().then(|| config.module.clone().unwrap_or_else(|| shown(config.wsgi_file.as_deref()))),
        millis: began.elapsed().as_millis() as u64,
    };
    birth.link.send(&ready, &[]).map_err(|error| Error::system("cannot reach the master", error))?;
    Ok((interpreter, app))
}

/// Makes this process the one the configuration asks for: signals, directory, user, environment.
fn settle(birth: &Birth) -> Result<()> {
    let config = &birth.config;
    let quit = [Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGCHLD, Signal::SIGUSR2, Signal::SIGALRM];
    // Rust's handlers for these take a kill from outside for a fault of their own and go on.
    let faults = [Signal::SIGSEGV, Signal::SIGBUS];
    // The others keep the inherited handler, which does nothing here: a Ctrl-C or Ctrl-Z in the
    // terminal reaches every process, `killall -USR1` too, and the master is the one to act on it.
    signal::default(&quit)
        .and_then(|()| signal::default(&faults))
        .map_err(|error| Error::system("cannot reset signals", error))?;
    process::signal_on_parent_death(Signal::SIGKILL).map_err(|error| Error::system("prctl", error))?;
    if getppid() != birth.master {
        return Err(Error::new(Code::StartFailed, "the master died while it started"));
    }
    memory::keep_large_blocks();
    let variables = variables::wanted(birth)?;
    environment::change(variables.iter().map(|(name, value)| (name.as_str(), value.as_deref())));
    confinement::limit(config);
    let root = user::is_root();
    // At the start the master has done these already.
    let again = birth.generation > 1;
    if again {
        Phase::Asap.run(config)?;
    }
    birth.enter_jail()?;
    if again {
        Phase::InJail.run(config)?;
        if root {
            Phase::AsRoot.run(config)?;
        }
    }
    birth.drop_at(Moment::Start)?;
    if root {
        Phase::AsUser.run(config)?;
    }
    reach::enter(birth)?;
    Ok(())
}

/// Forks workers until the master closes the link.
fn serve(birth: &Birth, interpreter: &Interpreter, app: Option<&App>) -> i32 {
    let mut listeners = Vec::new();
    let mut forked = HashSet::new();
    loop {
        match birth.link.receive::<ToZygote>() {
            Ok(Some((ToZygote::Listen { sockets }, descriptors))) => match link::adopt(sockets, descriptors) {
                Ok(adopted) => listeners = adopted,
                Err(error) => {
                    tracing::error!("{error}");
                    return 1;
                }
            },
            Ok(Some((ToZygote::Log, descriptors))) => {
                for log in &descriptors {
                    if let Err(error) = dup2_stdout(log).and_then(|()| dup2_stderr(log)) {
                        tracing::error!("the zygote keeps the old log file: {error}");
                    }
                }
            }
            Ok(Some((ToZygote::Fork { worker, cell }, _))) => {
                fork_worker(birth, interpreter, app, &listeners, (worker, forked.insert(worker)), cell)
            }
            Ok(None) => return 0,
            Err(error) => {
                tracing::error!("the zygote lost its link to the master: {error}");
                return 1;
            }
        }
    }
}

/// Forks twice, so that the worker is an orphan which the master, as subreaper, adopts.
fn fork_worker(
    birth: &Birth,
    interpreter: &Interpreter,
    app: Option<&App>,
    listeners: &[Listener],
    (worker, first): (usize, bool),
    cell: usize,
) {
    interpreter.before_fork();
    match process::fork() {
        Ok(Fork::Child) => match (getpid(), process::fork()) {
            (between, Ok(Fork::Child)) => {
                // The link is the zygote's: a worker that held it would hide the zygote's death.
                let _ = nix::unistd::close(birth.link.as_raw_fd());
                interpreter.after_fork_child();
                await_adoption(birth, between);
                become_worker(birth, interpreter, app, listeners, (worker, first), cell);
            }
            (_, Ok(Fork::Parent(pid))) => {
                report(birth, &FromZygote::Forked { cell, pid: pid.as_raw() as u32 });
                process::exit(0);
            }
            (_, Err(error)) => {
                report(birth, &FromZygote::NotForked { cell, reason: error.to_string() });
                process::exit(1);
            }
        },
        Ok(Fork::Parent(between)) => {
            interpreter.after_fork_parent();
            // It exits right after its fork; only a signal could make the wait fail.
            let end = loop {
                match waitpid(between, None) {
                    Err(nix::errno::Errno::EINTR) => {}
                    end => break end,
                }
            };
            // Killed before it could tell, as when memory runs out. Where it had forked already, the
            // master ends a worker that it was never told of.
            if let Ok(WaitStatus::Signaled(_, signal, _)) = end {
                report(birth, &FromZygote::NotForked { cell, reason: format!("killed by {signal}") });
            }
        }
        Err(error) => {
            interpreter.after_fork_parent();
            report(birth, &FromZygote::NotForked { cell, reason: error.to_string() });
        }
    }
}

fn report(birth: &Birth, message: &FromZygote) {
    if let Err(error) = birth.link.send(message, &[]) {
        tracing::error!("the zygote cannot reach the master: {error}");
    }
}

/// Waits until the process between zygote and worker is gone: the worker watches its parent's death,
/// so it has to be the right parent already. Whoever adopts it instead of the master is nobody to
/// work for.
fn await_adoption(birth: &Birth, between: Pid) {
    while getppid() == between {
        let _ = sched_yield();
    }
    if getppid() != birth.master {
        process::exit(1);
    }
}

/// The worker's first steps as a process of its own.
fn become_worker(
    birth: &Birth,
    interpreter: &Interpreter,
    app: Option<&App>,
    listeners: &[Listener],
    (worker, first): (usize, bool),
    cell: usize,
) -> ! {
    let listeners: std::io::Result<Vec<Listener>> = listeners.iter().map(Listener::try_clone).collect();
    match (listeners, birth.seat.try_clone()) {
        (Ok(listeners), Ok(seat)) => worker::run(
            Assignment {
                id: worker,
                first,
                cell,
                generation: birth.generation,
                config: Arc::clone(&birth.config),
                directory: birth.directory.clone(),
                listeners,
                board: birth.board.clone(),
                seat,
                master: birth.master,
            },
            interpreter,
            app.cloned(),
        ),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!("worker {worker} (pid: {}) cannot start: {error}", getpid());
            process::exit(1)
        }
    }
}

fn shown(path: Option<&Path>) -> String {
    path.unwrap_or(Path::new("?")).display().to_string()
}

/// An error small enough for one message: a traceback of endless recursion is not.
fn shortened(mut error: Error) -> Error {
    const MOST: usize = 64 * 1024;
    for fact in &mut error.facts {
        if fact.len() > MOST {
            let keep = (0..=MOST / 2).rev().find(|at| fact.is_char_boundary(*at)).unwrap_or(0);
            let tail = (fact.len() - MOST / 2..fact.len()).find(|at| fact.is_char_boundary(*at)).unwrap_or(fact.len());
            *fact = format!("{}\n…\n{}", &fact[..keep], &fact[tail..]);
        }
    }
    error
}
