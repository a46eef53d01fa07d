//! The start: from a command line to a master that supervises.
//!
//! Everything that can be found wrong is found before anything is touched, in the foreground, where
//! the user sees it: configuration, virtual environment, users, addresses, pid file, log. Sockets
//! are opened only when the app has been imported.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::getpid;

use super::daemon::Boot;
use super::events::Events;
use super::fifo::Fifo;
use super::harakiri::Harakiri;
use super::pause::Pausing;
use super::pidfile::Pidfile;
use super::sockets::{self, Plan};
use super::stats::Figures;
use super::watch::Triggers;
use super::{Master, Phase, control};
use crate::config::{Config, Source};
use crate::error::{Code, Error, Result};
use crate::log;
use crate::python::{self, Venv};
use crate::sys::channel::Channel;
use crate::sys::signal::Watch;
use crate::sys::{clock, process, signal, title, user};

/// The signals that the master handles. It acts on some; the others would kill it by default.
const WATCHED: [Signal; 11] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTSTP,
    Signal::SIGURG,
    Signal::SIGWINCH,
];

/// What the foreground has found out before anything was started.
#[derive(Debug)]
struct Prepared {
    config: Config,
    /// What was odd, which the terminal has seen.
    warnings: Vec<String>,
    venv: Venv,
    plan: Plan,
    figures: Figures,
}

/// Serves what `source` describes until it is stopped; returns the exit code. `program` is the
/// command as it was called.
pub fn serve(source: Source, directory: PathBuf, program: PathBuf) -> i32 {
    log::install();
    let began = clock::monotonic();
    let prepared = match prepare(&source, &directory, &program) {
        Ok(prepared) => prepared,
        Err(errors) => {
            let exit = errors.first().map_or(1, |error| error.exit);
            for error in errors {
                eprintln!("{error}");
            }
            return i32::from(exit);
        }
    };
    let boot = match settle(&prepared.config, &directory) {
        Ok(boot) => boot,
        Err(error) => {
            eprintln!("{error}");
            return i32::from(error.exit);
        }
    };
    match Master::raise(source, directory, program, prepared, boot, began) {
        Ok(mut master) => master.run(),
        Err(failed) => {
            let (error, mut boot) = *failed;
            tracing::error!("{error}");
            boot.failed(&error);
            i32::from(error.exit)
        }
    }
}

/// Finds everything wrong that can be found without touching anything.
fn prepare(source: &Source, directory: &Path, program: &Path) -> Result<Prepared, Vec<Error>> {
    let (config, warnings) = Config::load(source, directory)?;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    for warning in &warnings {
        eprintln!("{warning}");
    }
    let checked = || {
        let venv = python::find_venv(&config, directory, program)?;
        sockets::identity(&config)?;
        if (config.uid.is_some() || config.gid.is_some()) && !user::is_root() {
            tracing::warn!("`uid` and `gid` are ignored: not started as root");
        }
        if let Some(pidfile) = &config.pidfile {
            Pidfile::check(&directory.join(pidfile)).map_err(|error| error.maybe_at(config.origin("pidfile")))?;
        }
        let plan = Plan::make(&config, directory, &[])?;
        let mut figures = Figures::new();
        figures.plan(&config, directory)?;
        Ok((venv, plan, figures))
    };
    let (venv, plan, figures) = checked().map_err(|error: Error| vec![error])?;
    Ok(Prepared { config, warnings, venv, plan, figures })
}

/// Goes to where the instance will live: the background, the log file.
fn settle(config: &Config, directory: &Path) -> Result<Boot> {
    if let Some(mask) = config.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    // Opened in the foreground, so that a log that can't be written is said where it is seen.
    let file = config.daemonize.as_ref().or(config.logto.as_ref());
    let sink = file.map(|path| log::sink::Sink::open(&directory.join(path))).transpose()?;
    let mut boot = match &config.daemonize {
        Some(_) => Boot::daemonize()?,
        None => Boot::Foreground(None),
    };
    if let Some(sink) = sink {
        let terminal = sink.redirect()?;
        if let Boot::Foreground(seen) = &mut boot {
            *seen = Some(terminal);
        }
    }
    log::sink::close_stdin()?;
    Ok(boot)
}

impl Master {
    /// Makes the master of this process and starts the first generation.
    fn raise(
        source: Source,
        directory: PathBuf,
        program: PathBuf,
        prepared: Prepared,
        boot: Boot,
        began: u64,
    ) -> std::result::Result<Self, Box<(Error, Boot)>> {
        let Prepared { config, warnings, venv, plan, figures } = prepared;
        let made = || -> Result<_> {
            title::set(&config.master_title("rustwsgi master"));
            let pidfile = config.pidfile.as_ref().map(|path| Pidfile::hold(&directory.join(path))).transpose()?;
            let failed = |what: &'static str| move |error: std::io::Error| Error::system(what, error);
            process::adopt_orphans().map_err(|error| Error::system("cannot become the workers' parent", error))?;
            signal::unblock_all().map_err(|error| Error::system("sigprocmask", error))?;
            // The two of the terminal would stop the instance.
            for silent in [Signal::SIGPIPE, Signal::SIGTTIN, Signal::SIGTTOU] {
                signal::ignore(silent).map_err(|error| Error::system("sigaction", error))?;
            }
            let watch = Arc::new(Watch::new(&WATCHED).map_err(failed("cannot watch signals"))?);
            let events = Events::new().map_err(failed("cannot start the event queue"))?;
            events.watch_signals(Arc::clone(&watch));
            let (ours, seat) = Channel::pair().map_err(failed("socketpair"))?;
            ours.set_nonblocking().map_err(failed("fcntl"))?;
            events.watch_workers(ours.try_clone().map_err(failed("dup"))?);
            if let Some(held) = &pidfile {
                let name = held.control_name().map_err(failed("cannot read the pid file"))?;
                events.watch_control(control::bind(&name).map_err(failed("cannot open the control socket"))?);
            }
            Ok((pidfile, watch, events, seat, ours))
        };
        let (pidfile, watch, events, seat, seats) = match made() {
            Ok(made) => made,
            Err(error) => return Err(Box::new((error, boot))),
        };
        let config = Arc::new(config);
        let mut master = Self {
            source,
            started_with: Arc::clone(&config),
            directory,
            program,
            events,
            watch,
            seat,
            seats,
            pidfile,
            boot,
            generations: Vec::new(),
            active: 1,
            latest: 0,
            listeners: Vec::new(),
            plan: Some(plan),
            coming_listeners: Vec::new(),
            children: super::Children::default(),
            respawns: Vec::new(),
            harakiri: Harakiri::default(),
            recycle: super::Recycle::default(),
            ledger: super::Ledger::default(),
            figures,
            out_of_memory: super::OutOfMemory::watch(),
            cheaper: None,
            phase: Phase::Starting,
            reload_after_start: None,
            retry_reload: None,
            handover: None,
            turnover: None,
            pausing: Pausing::default(),
            fifo: Fifo::default(),
            triggers: Triggers::default(),
            stop_at: None,
            stillborn: 0,
            began,
            failure: None,
        };
        master.introduce(&config);
        // Where there is a log file, only the terminal has seen them.
        if config.daemonize.is_some() || config.logto.is_some() {
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        match master.start_generation(config, venv) {
            Ok(()) => Ok(master),
            Err(error) => Err(Box::new((error, std::mem::replace(&mut master.boot, Boot::Told)))),
        }
    }

    /// The first lines of the log: what will be asked first when something is wrong.
    fn introduce(&self, config: &Config) {
        tracing::info!(
            "*** Starting rustwsgi {} (compatible with uWSGI {}), master pid {} ***",
            env!("CARGO_PKG_VERSION"),
            crate::config::UWSGI_VERSION,
            getpid()
        );
        let files: Vec<String> = config.files().iter().map(|file| file.display().to_string()).collect();
        let files = if files.is_empty() { "the command line".to_owned() } else { files.join(", ") };
        tracing::info!("config    {files} ({} options)", config.option_count());
        tracing::info!("directory {}", self.directory.display());
        if let Some(chdir) = &config.chdir {
            tracing::info!("chdir     {}", chdir.display());
        }
        let harakiri = if config.harakiri > 0 { format!(", harakiri {} s", config.harakiri) } else { String::new() };
        tracing::info!("workers   {} processes, {} threads each{harakiri}", config.processes, config.threads);
        if let Some(pidfile) = &config.pidfile {
            tracing::info!("pid file  {}", pidfile.display());
        }
        if user::is_root() && config.uid.is_none() {
            tracing::warn!("running as root: `uid` and `gid` make it another user after the start");
        }
        tracing::info!("spawned uWSGI master process (pid: {})", getpid());
    }

    /// Gives root up, once the sockets are open.
    pub(super) fn drop_privileges(&self) -> Result<()> {
        let Some(config) = self.coming().map(|coming| &coming.config) else { return Ok(()) };
        let (uid, gid) = sockets::identity(config)?;
        if user::is_root() && (uid.is_some() || gid.is_some()) {
            user::become_user(uid, gid)
                .map_err(|error| Error::new(Code::NotPermitted, format!("cannot change user: {error}")))?;
            tracing::info!("running as uid {} gid {}", nix::unistd::getuid(), nix::unistd::getgid());
        }
        Ok(())
    }

    /// The first generation serves.
    pub(super) fn up(&mut self) {
        self.phase = Phase::Serving;
        self.listeners = std::mem::take(&mut self.coming_listeners);
        let millis = clock::monotonic().saturating_sub(self.began) / 1_000_000;
        let stop = self.generation(self.active).and_then(|active| active.config.pidfile.clone()).map_or_else(
            || "stop with Ctrl-C".to_owned(),
            |pidfile| {
                format!("stop with `rustwsgi --stop {0}`, reload with `rustwsgi --reload {0}`", pidfile.display())
            },
        );
        tracing::info!("ready in {millis} ms: {stop}");
        let log = active_log(&self.started_with).map(|log| format!(", log {log}")).unwrap_or_default();
        self.boot.up(&format!("rustwsgi serves after {millis} ms: master pid {}{log}", getpid()));
        self.apply_triggers();
        if let Some(waiters) = self.reload_after_start.take() {
            self.begin_reload(waiters);
        }
    }
}

/// The log file of the instance, as configured.
fn active_log(config: &Config) -> Option<String> {
    config.daemonize.as_ref().or(config.logto.as_ref()).map(|path| path.display().to_string())
}
