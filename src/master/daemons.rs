//! Attached daemons (uWSGI: `--attach-daemon` and its kin): started beside the workers, started again
//! when they die, ended with the instance.
//!
//! Part of the master, which looks here at least once a second and tells of each death. A daemon
//! without a pid file belongs to the instance: a reload starts it anew. One with a pid file ("smart")
//! is left alone, also by a stop, and only watched through its pid file.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, getgid, getuid};

use super::SECOND;
use super::children::cause;
use super::hooks::Place;
use crate::sys::clock;
use crate::sys::spawn::Shell;

mod attached;
mod definition;
mod touched;

pub use attached::Attached;
pub use definition::Definition;
pub use touched::Touched;

/// Every daemon.
#[derive(Debug, Default)]
pub struct Daemons {
    attached: Vec<Attached>,
    /// Those of configurations that are gone, until they have ended.
    leaving: Vec<Attached>,
    place: Place,
    stopping: bool,
    /// CLOCK_MONOTONIC nanoseconds of the last look at pid files and touched files.
    looked: u64,
}

/// What the end of a process meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It was no daemon.
    Foreign,
    /// A daemon, which is seen to.
    Noted,
    /// A daemon whose end is to be the instance's.
    EndsInstance,
}

impl Daemons {
    /// Puts the daemons of another configuration in place. Plain ones are ended, within `mercy`
    /// nanoseconds, and started anew when they are gone; smart ones live on.
    pub fn replace(&mut self, definitions: Vec<Definition>, place: Place, mercy: u64) {
        self.place = place;
        let now = clock::monotonic();
        let mut old = std::mem::take(&mut self.attached);
        for definition in definitions {
            let known = old.iter().position(|daemon| daemon.is_same_smart(&definition));
            self.attached.push(match known {
                Some(at) => old.swap_remove(at).redefined(definition, now),
                None => Attached::new(definition, now),
            });
        }
        for mut daemon in old {
            if daemon.is_smart() {
                tracing::info!(
                    "[uwsgi-daemons] \"{}\" is not in the configuration any more: left alone",
                    daemon.command()
                );
            } else if daemon.leave(mercy, true) {
                self.leaving.push(daemon);
            }
        }
    }

    /// Starts what is to be started, reminds what is to end, looks at pid files and touched files.
    /// `now` is CLOCK_MONOTONIC, nanoseconds.
    pub fn check(&mut self, now: u64) {
        for daemon in self.leaving.iter_mut().chain(&mut self.attached) {
            daemon.remind(now);
        }
        if self.stopping {
            return;
        }
        let full_look = now.saturating_sub(self.looked) >= SECOND;
        if full_look {
            self.looked = now;
        }
        let waits = !self.leaving.is_empty();
        for daemon in &mut self.attached {
            if full_look {
                daemon.look(now);
            }
            // Two of a kind at a time would fight over ports and pid files.
            if !waits || daemon.is_smart() {
                daemon.start_if_due(&self.place, now);
            }
        }
    }

    /// A child is dead.
    pub fn died(&mut self, pid: Pid, status: WaitStatus) -> Death {
        if let Some(at) = self.leaving.iter().position(|daemon| daemon.pid() == Some(pid)) {
            self.leaving.swap_remove(at);
            return Death::Noted;
        }
        let stopping = self.stopping;
        let Some(daemon) = self.attached.iter_mut().find(|daemon| daemon.owns(pid)) else { return Death::Foreign };
        match daemon.ended(pid, status, clock::monotonic()) && !stopping {
            true => Death::EndsInstance,
            false => Death::Noted,
        }
    }

    /// Ends all that has no pid file within `mercy` nanoseconds. A second call changes nothing.
    pub fn stop(&mut self, mercy: u64) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for mut daemon in std::mem::take(&mut self.attached) {
            if daemon.leave(mercy, false) {
                self.leaving.push(daemon);
            }
        }
    }

    /// Kills all that has no pid file.
    pub fn kill(&mut self) {
        self.stop(0);
        for daemon in &mut self.leaving {
            daemon.kill();
        }
    }

    /// Whether nothing is left that has to end.
    pub fn is_idle(&self) -> bool {
        self.leaving.is_empty()
    }

    /// Whether the master has to look here more often than once a second.
    pub fn is_restless(&self) -> bool {
        !self.leaving.is_empty() || self.attached.iter().any(Attached::is_due_soon)
    }
}

/// The pid in a pid file, if such a process lives.
fn living(pidfile: &Path) -> Option<Pid> {
    let pid: i32 = fs::read_to_string(pidfile).ok()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    let pid = Pid::from_raw(pid);
    // One that may not be signalled lives, too.
    matches!(kill(pid, None), Ok(()) | Err(Errno::EPERM)).then_some(pid)
}

/// Signals the session of a daemon that was started here.
fn signal_group(pid: Pid, signal: Signal) {
    // Before it has led its session there is no such group yet.
    if killpg(pid, signal).is_err() {
        let _ = kill(pid, signal);
    }
}

/// Starts the command of a daemon.
fn start(definition: &Definition, place: &Place, again: bool) -> Option<Pid> {
    let smart = definition.pidfile.is_some();
    let directory =
        definition.chdir.as_ref().map_or_else(|| place.directory.clone(), |chdir| place.directory.join(chdir));
    let shell = Shell {
        directory: Some(directory.as_path()),
        uid: definition.uid,
        gid: definition.gid,
        stdin: definition.stdin,
        session: true,
        bound: !smart,
        ..place.shell(&definition.command)
    };
    let verb = if again { "respawning" } else { "spawning" };
    let (uid, gid) = (definition.uid.unwrap_or(getuid().as_raw()), definition.gid.unwrap_or(getgid().as_raw()));
    tracing::info!("[uwsgi-daemons] {verb} \"{}\" (uid: {uid} gid: {gid})", definition.command);
    match shell.start() {
        Ok(pid) => {
            if let Some(pidfile) = definition.pidfile.as_ref().filter(|_| definition.daemonize) {
                write_pid(pidfile, pid);
            }
            Some(pid)
        }
        Err(error) => {
            tracing::error!("[uwsgi-daemons] unable to spawn \"{}\": {error}", definition.command);
            None
        }
    }
}

/// Writes a pid file whole or not at all: others read it at any time.
fn write_pid(pidfile: &Path, pid: Pid) {
    tracing::info!("writing pidfile to {}", pidfile.display());
    let mut name = pidfile.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    if let Err(error) = fs::write(&new, format!("{pid}\n")).and_then(|()| fs::rename(&new, pidfile)) {
        tracing::error!("[uwsgi-daemons] cannot write the pid file {}: {error}", pidfile.display());
    }
}

/// Says how a daemon ended.
fn tell_end(definition: &Definition, pid: Pid, status: WaitStatus) {
    tracing::warn!("[uwsgi-daemons] \"{}\" (pid: {pid}) {}", definition.command, cause(status));
}
