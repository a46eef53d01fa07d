//! A vassal: one configuration, and the instance that runs it.
//!
//! Kept by the emperor, which decides when it starts, reloads and stops; how that is done is here.
//! Instances are started as programs, never forked without an exec.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::monitor::Found;
use crate::config::Config;
use crate::error::Result;
use crate::master::vassal::order;
use crate::net::address::Address;
use crate::net::listener::{Access, Backlog, Listener, Protocol, Reserved};
use crate::sys::{clock, fd};

/// When things happened, seconds since 1970, 0 for never.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// When its configuration was found.
    pub born: i64,
    /// Its first start.
    pub first_run: i64,
    /// Its last start.
    pub last_run: i64,
    /// Its last sign of life.
    pub heartbeat: i64,
    /// When it last came up.
    pub ready: i64,
    /// When it last accepted.
    pub accepting: i64,
    /// When it last served its first request.
    pub loyal: i64,
}

/// The process of a vassal.
#[derive(Debug)]
pub struct Process {
    /// Its pid.
    pub pid: Pid,
    /// Where orders go and words come from.
    pub pipe: UnixStream,
    /// Whether it has closed its end: only its death will tell more.
    pub closed: bool,
    /// Whether it is known to accept.
    pub accepting: bool,
    /// Whether it has served.
    pub loyal: bool,
    /// CLOCK_MONOTONIC nanoseconds of its last sign of life; `None` for one that sends none.
    pub heard: Option<u64>,
    /// CLOCK_MONOTONIC nanoseconds at which it is killed, once it was told to stop.
    pub cursed: Option<u64>,
}

/// One vassal.
#[derive(Debug)]
pub struct Vassal {
    /// Its configuration, as last seen.
    pub found: Found,
    /// The monitor that found it.
    pub monitor: String,
    /// Its process, while there is one.
    pub process: Option<Process>,
    /// The socket that is waited on before it is started, and that it is handed.
    pub on_demand: Option<Listener>,
    /// It ended with the code that asks not to be started again.
    pub exiled: bool,
    /// Its configuration is gone.
    pub removed: bool,
    /// Its starts after the first.
    pub respawns: u64,
    /// When things happened.
    pub times: Times,
}

impl Vassal {
    /// A vassal that was just found.
    pub fn new(found: Found, monitor: String) -> Self {
        Self {
            found,
            monitor,
            process: None,
            on_demand: None,
            exiled: false,
            removed: false,
            respawns: 0,
            times: Times { born: clock::epoch(), ..Times::default() },
        }
    }

    /// Its name in the log.
    pub fn name(&self) -> &str {
        &self.found.name
    }

    /// Opens the socket that `name` + `extension` names, where there is such a file.
    pub fn wait_on_demand(&mut self, extension: &str) -> Result<()> {
        let file = self.found.directory.join(format!("{}{extension}", self.found.name));
        let Ok(text) = std::fs::read_to_string(file) else { return Ok(()) };
        let address = Address::parse(text.trim(), &self.found.directory)?;
        let (backlog, _) = Backlog::within_system(100);
        // nginx is another user, and a socket that nobody may connect to is never demanded.
        let access = Access { mode: Some(0o666), ..Access::default() };
        self.on_demand = Some(Reserved::reserve(Protocol::Uwsgi, &address)?.listen(backlog, &access)?);
        Ok(())
    }

    /// Starts its process.
    pub fn start(&mut self, program: &Path, config: &Config) -> io::Result<Pid> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        fd::set_close_on_exec(&theirs, false)?;
        let mut command = Command::new(program);
        command.args(self.arguments(config)).current_dir(&self.found.directory);
        command.env_clear().envs(environment());
        command.env("UWSGI_EMPEROR_FD", theirs.as_raw_fd().to_string());
        command.env("UWSGI_VASSALS_DIR", &self.found.directory);
        command.stdin(match &self.on_demand {
            Some(listener) => Stdio::from(listener.as_fd().try_clone_to_owned()?),
            None => Stdio::null(),
        });
        if config.emperor.tyrant {
            let (uid, gid) = self.found.owner;
            command.uid(uid).gid(gid);
        }
        let pid = Pid::from_raw(command.spawn()?.id() as i32);
        let process =
            Process { pid, pipe: ours, closed: false, accepting: false, loyal: false, heard: None, cursed: None };
        self.process = Some(process);
        let now = clock::epoch();
        self.respawns += u64::from(self.times.first_run > 0);
        self.times = Times {
            first_run: if self.times.first_run > 0 { self.times.first_run } else { now },
            last_run: now,
            ..self.times
        };
        Ok(pid)
    }

    /// uWSGI's order: what comes first, what is set, the configuration, what comes behind.
    fn arguments(&self, config: &Config) -> Vec<String> {
        let emperor = &config.emperor;
        let groups = [
            ("--inherit", &emperor.inherit_before),
            ("--include", &emperor.include_before),
            ("--set", &emperor.set),
            (self.found.option, &vec![self.found.name.clone()]),
            ("--inherit", &emperor.inherit),
            ("--include", &emperor.include),
        ];
        groups
            .iter()
            .flat_map(|(option, values)| values.iter().flat_map(|it| [(*option).to_owned(), it.clone()]))
            .collect()
    }

    /// Tells it to reload.
    pub fn reload(&self) {
        self.order(order::RELOAD);
    }

    /// Tells it to stop, and when it is killed, CLOCK_MONOTONIC nanoseconds.
    pub fn stop(&mut self, graceful: bool, until: u64) {
        self.order(if graceful { order::STOP_GRACEFULLY } else { order::STOP });
        if let Some(process) = &mut self.process {
            process.cursed.get_or_insert(until);
        }
    }

    /// Kills its process.
    pub fn kill(&self) {
        if let Some(process) = &self.process {
            // It may be gone already; it is reaped either way.
            let _ = kill(process.pid, Signal::SIGKILL);
        }
    }

    fn order(&self, order: u8) {
        if let Some(process) = &self.process {
            let told = (&process.pipe).write(&[order]);
            if told.is_err() && order != order::RELOAD {
                // It is ending, or a program that knows nothing of emperors.
                let _ = kill(process.pid, Signal::SIGTERM);
            }
        }
    }

    /// What it has said since the last call, and whether its end is closed.
    pub fn hear(&self) -> (Vec<u8>, bool) {
        let Some(process) = &self.process else { return (Vec::new(), false) };
        let mut buffer = [0; 256];
        match (&process.pipe).read(&mut buffer) {
            Ok(0) => (Vec::new(), true),
            Ok(count) => (buffer[..count].to_vec(), false),
            Err(error) => (Vec::new(), error.kind() != io::ErrorKind::WouldBlock),
        }
    }

    /// The variables of its hooks.
    pub fn hook_variables(&self) -> [(&'static str, String); 4] {
        let pid = self.process.as_ref().map_or(0, |process| process.pid.as_raw());
        let (uid, gid) = self.found.owner;
        [
            ("UWSGI_VASSAL_CONFIG", self.found.name.clone()),
            ("UWSGI_VASSAL_PID", pid.to_string()),
            ("UWSGI_VASSAL_UID", uid.to_string()),
            ("UWSGI_VASSAL_GID", gid.to_string()),
        ]
    }
}

/// The environment of a vassal: the emperor's own options stay with it, and `UWSGI_VASSAL_X` is the
/// vassal's `UWSGI_X`.
fn environment() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let kept = std::env::vars_os().filter_map(|(name, value)| match name.to_str() {
        Some(text) => match (text.strip_prefix("UWSGI_VASSAL_"), text.starts_with("UWSGI_")) {
            (Some(rest), _) => Some((format!("UWSGI_{rest}").into(), value)),
            // Debian's init scripts hand their configurations these.
            (None, true) if text.starts_with("UWSGI_DEB_") => Some((name, value)),
            (None, true) => None,
            (None, false) => Some((name, value)),
        },
        None => Some((name, value)),
    });
    kept.collect()
}
