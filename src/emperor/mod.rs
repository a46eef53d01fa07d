//! The emperor: an instance for each configuration of a directory (uWSGI: `--emperor`).
//!
//! Called by `cli` in the place of `master` where the configuration names `emperor`. One thread, one
//! loop: it waits for a signal, a vassal's word or the next look at the directory, and acts. It
//! starts programs and speaks uWSGI's pipe protocol with them; it never runs an app, and shares
//! nothing with its vassals but the log.
#![forbid(unsafe_code)]

mod audience;
mod blacklist;
mod monitor;
mod reign;
mod stats;
mod vassal;

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::getpid;

use crate::config::{Config, Warning};
use crate::error::{Code, Error, Result};
use crate::log;
use crate::master::notify::Notify;
use crate::master::{Boot, Pidfile, control, privileges, settle};
use crate::sys::signal::{self, Watch};
use crate::sys::{clock, process, title, user};

use blacklist::Blacklist;
use monitor::{Monitor, Rules};
use stats::Stats;
use vassal::Vassal;

const SECOND: u64 = 1_000_000_000;

/// The signals that the emperor acts on.
const WATCHED: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGUSR1,
    Signal::SIGWINCH,
    Signal::SIGURG,
];

/// A running emperor.
#[derive(Debug)]
pub struct Emperor {
    config: Config,
    /// Where it was started.
    directory: PathBuf,
    /// What is started for each configuration.
    program: PathBuf,
    rules: Rules,
    monitors: Vec<Monitor>,
    vassals: Vec<Vassal>,
    blacklist: Blacklist,
    watch: Watch,
    pidfiles: Vec<Pidfile>,
    stats: Option<Stats>,
    /// Where `--reload PIDFILE` asks, a socket for each pid file.
    controls: Vec<UnixListener>,
    boot: Boot,
    notify: Notify,
    /// CLOCK_MONOTONIC nanoseconds of the next look.
    look_at: u64,
    stopping: bool,
}

/// Reigns until it is stopped and the last vassal is gone; returns the exit code.
pub fn serve(config: Config, warnings: &[Warning], directory: &Path) -> i32 {
    log::install();
    let mut notify = Notify::take();
    for warning in warnings {
        eprintln!("{warning}");
    }
    let prepared = Prepared::new(&config, directory).and_then(|prepared| Ok((prepared, settle(&config, directory)?)));
    let (prepared, boot) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            notify.failed(&error);
            eprintln!("{error}");
            return i32::from(error.exit);
        }
    };
    match Emperor::raise(config, directory, prepared) {
        Ok(mut emperor) => {
            emperor.boot = boot;
            emperor.notify = notify;
            emperor.run()
        }
        Err(error) => {
            let mut boot = boot;
            tracing::error!("{error}");
            notify.failed(&error);
            boot.failed(&error);
            i32::from(error.exit)
        }
    }
}

/// What the foreground has found out.
#[derive(Debug)]
struct Prepared {
    program: PathBuf,
    monitors: Vec<Monitor>,
}

impl Prepared {
    /// Finds what is wrong before anything is touched.
    fn new(config: &Config, directory: &Path) -> Result<Self> {
        let emperor = &config.emperor;
        let place = |error: Error| error.maybe_at(config.origin("emperor"));
        let monitors: Result<Vec<Monitor>> =
            emperor.sources.iter().map(|source| Monitor::parse(source, directory).map_err(place)).collect();
        let program = match &emperor.wrapper {
            Some(wrapper) => directory.join(wrapper),
            None => std::env::current_exe().map_err(|error| Error::system("cannot find this program", error))?,
        };
        for path in config.pidfile.iter().chain(&emperor.pidfile) {
            Pidfile::check(&directory.join(path))?;
        }
        if emperor.tyrant && !user::is_root() {
            let message = "`emperor-tyrant` needs root: vassals run as the owners of their files";
            return Err(Error::new(Code::NotPermitted, message).maybe_at(config.origin("emperor-tyrant")));
        }
        Ok(Self { program, monitors: monitors? })
    }
}

impl Emperor {
    fn raise(config: Config, directory: &Path, prepared: Prepared) -> Result<Self> {
        let Prepared { program, monitors } = prepared;
        let emperor = &config.emperor;
        let prefix = config.procname_prefix.as_deref().unwrap_or_default();
        title::set(&format!("{prefix}{}", emperor.procname.as_deref().unwrap_or("rustwsgi emperor")));
        let pidfiles: Result<Vec<Pidfile>> =
            config.pidfile.iter().chain(&emperor.pidfile).map(|path| Pidfile::hold(&directory.join(path))).collect();
        signal::unblock_all().map_err(|error| Error::system("sigprocmask", error))?;
        signal::ignore(Signal::SIGPIPE).map_err(|error| Error::system("sigaction", error))?;
        let watch = Watch::new(&WATCHED).map_err(|error| Error::system("cannot watch signals", error))?;
        process::adopt_orphans().map_err(|error| Error::system("cannot adopt orphans", error))?;
        let stats = emperor.stats.as_ref().map(|address| Stats::listen(address, directory)).transpose()?;
        let pidfiles = pidfiles?;
        let control = |held: &Pidfile| held.control_name().and_then(|name| control::bind(&name));
        let controls: std::io::Result<Vec<UnixListener>> = pidfiles.iter().map(control).collect();
        let controls = controls.map_err(|error| Error::system("cannot open the control socket", error))?;
        let rules =
            Rules { nofollow: emperor.nofollow, owner_nofollow: emperor.tyrant_nofollow, extra: emperor.extra.clone() };
        drop_privileges(&config)?;
        tracing::info!(
            "*** Starting rustwsgi {} (compatible with uWSGI {}), emperor pid {} ***",
            env!("CARGO_PKG_VERSION"),
            crate::config::UWSGI_VERSION,
            getpid()
        );
        tracing::info!("*** starting uWSGI Emperor ***");
        if let Some(stats) = &stats {
            tracing::info!("*** Emperor stats server enabled on {} ***", stats.name());
        }
        Ok(Self {
            directory: directory.to_owned(),
            program,
            rules,
            monitors,
            vassals: Vec::new(),
            blacklist: Blacklist::default(),
            watch,
            pidfiles,
            stats,
            controls,
            boot: Boot::Told,
            notify: Notify::default(),
            look_at: 0,
            stopping: false,
            config,
        })
    }

    fn run(&mut self) -> i32 {
        self.look();
        self.boot.up(&format!("rustwsgi: the emperor reigns, pid {}", std::process::id()));
        self.notify.ready(&self.status());
        loop {
            let demanded = self.wait();
            for signal in self.watch.take() {
                self.act(signal);
            }
            self.hear();
            self.reap();
            let now = clock::monotonic();
            if self.stopping {
                if self.vassals.iter().all(|vassal| vassal.process.is_none()) {
                    return self.finish();
                }
            } else {
                self.meet(&demanded);
                if now >= self.look_at {
                    self.look();
                }
            }
            self.punish(now);
            self.notify.beat(now, self.stopping);
            if let Some(stats) = &self.stats {
                stats.answer(&self.figures());
            }
            self.answer_commands();
        }
    }

    /// Waits for something to do. Returns the vassals whose sockets have a connection waiting.
    fn wait(&self) -> Vec<String> {
        let (mut fds, mut waiting) = (vec![PollFd::new(self.watch.as_fd(), PollFlags::POLLIN)], Vec::new());
        for vassal in &self.vassals {
            match (&vassal.process, &vassal.on_demand) {
                (Some(process), _) if process.closed => {}
                (Some(process), _) => fds.push(PollFd::new(process.pipe.as_fd(), PollFlags::POLLIN)),
                (None, Some(listener)) if !self.stopping && self.may_start(vassal) => {
                    waiting.push((fds.len(), vassal.name()));
                    fds.push(PollFd::new(listener.as_fd(), PollFlags::POLLIN));
                }
                _ => {}
            }
        }
        fds.extend(self.controls.iter().map(|control| PollFd::new(control.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.stats.as_ref().map(|stats| PollFd::new(stats.as_fd(), PollFlags::POLLIN)));
        let patience = PollTimeout::try_from(self.patience()).unwrap_or(PollTimeout::MAX);
        // A signal ends the wait; its byte is on the watch.
        let _ = poll(&mut fds, patience);
        let ready = |at: &usize| fds[*at].revents().is_some_and(|events| !events.is_empty());
        waiting.iter().filter(|(at, _)| ready(at)).map(|(_, name)| (*name).to_owned()).collect()
    }

    fn patience(&self) -> Duration {
        let longest = if self.stopping { SECOND / 5 } else { SECOND };
        let look = self.look_at.saturating_sub(clock::monotonic()).max(SECOND / 100);
        let wait = if self.stopping { longest } else { longest.min(look) };
        Duration::from_nanos(self.notify.patience().map_or(wait, |bound| wait.min(bound)))
    }

    /// What `systemctl status` shows.
    fn status(&self) -> String {
        let running = self.vassals.iter().filter(|vassal| vassal.process.is_some()).count();
        format!("{running} of {} vassals run", self.vassals.len())
    }

    /// The last vassal is gone.
    fn finish(&mut self) -> i32 {
        if let Some(stats) = &self.stats {
            stats.remove();
        }
        for vassal in &self.vassals {
            if let Some(listener) = &vassal.on_demand {
                // The next start makes it anew.
                let _ = listener.unlink_if_ours();
            }
        }
        if self.config.vacuum {
            for pidfile in &self.pidfiles {
                if let Err(error) = pidfile.remove() {
                    tracing::warn!("cannot remove the pid file: {error}");
                }
            }
        }
        tracing::info!("The Emperor is buried.");
        0
    }
}

/// Gives root up, as `uid` and `gid` say.
fn drop_privileges(config: &Config) -> Result<()> {
    let identity = privileges::identity(config)?;
    if user::is_root() && identity.is_another() {
        if config.emperor.tyrant {
            tracing::warn!("`uid` and `gid` are ignored: `emperor-tyrant` needs root");
            return Ok(());
        }
        identity.assume().map_err(|error| Error::new(Code::NotPermitted, format!("cannot change user: {error}")))?;
    }
    Ok(())
}
