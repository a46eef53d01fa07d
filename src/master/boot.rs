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
use super::notify::Notify;
use super::pause::Pausing;
use super::pidfile::Pidfile;
use super::sockets::Plan;
use super::stats::Figures;
use super::upgrade::Launch;
use super::vassal::Vassal;
use super::watch::Triggers;
use super::{Master, Phase, activation, control, hooks, privileges};
use crate::config::render::counted;
use crate::config::{Config, Source, Warning};
use crate::error::{Code, Error, Result};
use crate::log;
use crate::net::listener::Listener;
use crate::python::Venv;
use crate::sys::channel::Channel;
use crate::sys::signal::Watch;
use crate::sys::{clock, process, signal, title, user};

/// The signals that the master handles. It acts on some; the others would kill it by default.
pub const WATCHED: [Signal; 11] = [
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
    venv: Option<Venv>,
    /// The sockets this process was started with.
    given: Vec<Listener>,
    plan: Plan,
    figures: Figures,
}

/// What reading the configuration came to.
pub type Loaded = Result<(Config, Vec<Warning>), Vec<Error>>;

/// Serves what `source` describes, and was `loaded` from it, until it is stopped; returns the exit
/// code. `program` is the command as it was called.
pub fn serve(source: Source, directory: PathBuf, program: PathBuf, loaded: Loaded) -> i32 {
    log::install();
    let began = clock::monotonic();
    let launch = Launch::here(&program, &directory);
    let mut notify = Notify::take();
    notify.starting();
    let vassal = Vassal::take();
    let prepared = match prepare(loaded, &directory, &program) {
        Ok(prepared) => prepared,
        Err(errors) => {
            let exit = errors.first().map_or(1, |error| error.exit);
            errors.iter().take(1).for_each(|error| notify.failed(error));
            for error in errors {
                eprintln!("{error}");
            }
            return i32::from(exit);
        }
    };
    let boot = match settle(&prepared.config, &directory) {
        Ok(boot) => boot,
        Err(error) => {
            notify.failed(&error);
            eprintln!("{error}");
            return i32::from(error.exit);
        }
    };
    match Master::raise(source, directory, program, prepared, boot, began) {
        Ok(mut master) => {
            master.notify = notify;
            master.launch = launch;
            master.obey(vassal);
            master.run()
        }
        Err(failed) => {
            let (error, mut boot) = *failed;
            tracing::error!("{error}");
            notify.failed(&error);
            boot.failed(&error);
            i32::from(error.exit)
        }
    }
}

/// Finds everything wrong that can be found without touching anything.
fn prepare(loaded: Loaded, directory: &Path, program: &Path) -> Result<Prepared, Vec<Error>> {
    let (config, warnings) = loaded?;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    for warning in &warnings {
        eprintln!("{warning}");
    }
    let checked = || {
        privileges::check(&config)?;
        hooks::check(&config)?;
        crate::hooks::Phase::Asap.run(&config)?;
        privileges::change_at_once(&config)?;
        let venv = privileges::visible_venv(&config, directory, program)?;
        if let Some(pidfile) = &config.pidfile {
            Pidfile::check(&directory.join(pidfile)).map_err(|error| error.maybe_at(config.origin("pidfile")))?;
        }
        hooks::before_sockets(&config)?;
        let given = activation::take(&config)?;
        let plan = Plan::make(&config, directory, &given)?;
        let mut figures = Figures::new();
        figures.plan(&config, directory)?;
        Ok((venv, given, plan, figures))
    };
    let (venv, given, plan, figures) = checked().map_err(|error: Error| vec![error])?;
    Ok(Prepared { config, warnings, venv, given, plan, figures })
}

/// Goes to where the instance will live: the background, the log file.
pub fn settle(config: &Config, directory: &Path) -> Result<Boot> {
    if let Some(mask) = config.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    // Opened in the foreground, so that a log that can't be written is said where it is seen.
    let file = config.daemonize.as_ref().or(config.logto.as_ref());
    let option = if config.daemonize.is_some() { "daemonize" } else { "logto" };
    let mode = config.logging.logfile_chmod;
    let open = |path| {
        log::sink::Sink::open(&directory.join(path), mode).map_err(|error| error.maybe_at(config.origin(option)))
    };
    let sink = file.map(open).transpose()?;
    log::lines::date(config.logging.log_date.as_deref()).map_err(|why| {
        let message = format!("`log-date` is no form of a date: {why}");
        Error::new(Code::BadValue, message).maybe_at(config.origin("log-date"))
    })?;
    let mut boot = match &config.daemonize {
        Some(_) => Boot::daemonize()?,
        None => Boot::Foreground(None),
    };
    if let Some(sink) = sink {
        if config.logging.log_truncate {
            sink.truncate();
        }
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
        let Prepared { config, warnings, venv, given, plan, figures } = prepared;
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
            let mut own = None;
            if let Some(held) = &pidfile {
                let name = held.control_name().map_err(failed("cannot read the pid file"))?;
                let listener = control::bind(&name).map_err(failed("cannot open the control socket"))?;
                own = Some(listener.try_clone().map_err(failed("dup"))?);
                events.watch_control(listener);
            }
            // Now that the control socket is where `--stop` and `--reload` look for it.
            privileges::enclose(&config)?;
            Ok((pidfile, own, watch, events, seat, ours))
        };
        let (pidfile, control, watch, events, seat, seats) = match made() {
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
            listeners: given,
            plan: Some(plan),
            coming_listeners: Vec::new(),
            children: super::Children::default(),
            respawns: Vec::new(),
            harakiri: Harakiri::default(),
            notify: Notify::default(),
            vassal: None,
            companions: super::Companions::default(),
            recycle: super::Recycle::default(),
            ledger: super::Ledger::default(),
            figures,
            out_of_memory: super::OutOfMemory::watch(),
            cheaper: None,
            phase: Phase::Starting,
            reload_after_start: None,
            crowd: None,
            retry_reload: None,
            retries: 0,
            handover: None,
            turnover: None,
            pausing: Pausing::default(),
            staffing: Vec::new(),
            fifo: Fifo::default(),
            triggers: Triggers::default(),
            look_at_log: 0,
            stop_at: None,
            crowded_until: None,
            stillborn: 0,
            began,
            failure: None,
            launch: Launch::default(),
            upgrade: None,
            control,
            companions_wait: false,
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
        tracing::info!("config    {files} ({})", counted(config.option_count(), "option"));
        tracing::info!("directory {}", self.directory.display());
        if let Some(chdir) = &config.chdir {
            tracing::info!("chdir     {}", chdir.display());
        }
        let harakiri = if config.harakiri > 0 { format!(", harakiri {} s", config.harakiri) } else { String::new() };
        let (processes, threads) = (counted(config.processes, "process"), counted(config.threads, "thread"));
        tracing::info!("workers   {processes}, {threads} each{harakiri}");
        if let Some(pidfile) = &config.pidfile {
            tracing::info!("pid file  {}", pidfile.display());
        }
        if user::is_root() && config.uid.is_none() {
            tracing::warn!("running as root: `uid` and `gid` make it another user after the start");
        }
        tracing::info!("spawned uWSGI master process (pid: {})", getpid());
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
        if let Err(error) = self.companions_begin(true) {
            self.start_failed(error);
            return;
        }
        tracing::info!("ready in {millis} ms: {stop}");
        let log = active_log(&self.started_with).map(|log| format!(", log {log}")).unwrap_or_default();
        self.boot.up(&format!("rustwsgi serves after {millis} ms: master pid {}{log}", getpid()));
        self.apply_triggers();
        self.notify.ready(&self.summary());
        self.tell_accepting();
        if let Some(waiters) = self.reload_after_start.take() {
            self.begin_reload(waiters);
        }
    }
}

/// The log file of the instance, as configured.
fn active_log(config: &Config) -> Option<String> {
    config.daemonize.as_ref().or(config.logto.as_ref()).map(|path| path.display().to_string())
}
