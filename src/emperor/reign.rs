//! What the emperor does: looks, starts, reloads, stops, reaps.
//!
//! Part of the emperor; its loop calls these. The lines are uWSGI's, for the tools that read them.

use std::process::{Command as Program, Stdio};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::monitor::Found;
use super::vassal::Vassal;
use super::{Emperor, SECOND, audience};
use crate::error::{Code, Error};
use crate::master::cause;
use crate::master::command::Command;
use crate::master::vassal::word;
use crate::sys::clock;

/// The exit code of a vassal that does not want to be started again.
const EXILE: i32 = 26;

impl Emperor {
    /// Acts on a signal, as uWSGI's emperor does.
    pub(super) fn act(&mut self, signal: Signal) {
        match signal {
            Signal::SIGHUP => drop(self.reload_all()),
            Signal::SIGINT if self.stopping => self.vassals.iter().for_each(Vassal::kill),
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT => self.stop_all(signal.as_str()),
            Signal::SIGWINCH => self.look_at = 0,
            Signal::SIGURG => {
                tracing::info!("[emperor] SIGURG: the blacklist is empty");
                self.blacklist.clear();
                self.look_at = 0;
            }
            Signal::SIGUSR1 => {
                for vassal in &self.vassals {
                    let state = match &vassal.process {
                        Some(process) if process.accepting => format!("accepting (pid: {})", process.pid),
                        Some(process) => format!("starting (pid: {})", process.pid),
                        None if vassal.on_demand.is_some() => "waiting for a connection".into(),
                        None => "not running".into(),
                    };
                    tracing::info!("[emperor] vassal {}: {state}, {} respawns", vassal.name(), vassal.respawns);
                }
            }
            _ => {}
        }
    }

    /// Does what came over the control sockets.
    pub(super) fn answer_commands(&mut self) {
        for at in 0..self.controls.len() {
            let Ok(listener) = self.controls[at].try_clone() else { continue };
            // A client that gave up waiting is no reason to do anything.
            let _ = audience::give(&listener, |command| match command {
                Command::Reload => Ok(self.reload_all().into()),
                Command::Stop => {
                    self.stop_all("asked to stop");
                    Ok("the vassals finish".to_owned().into())
                }
                other => {
                    let message = format!("the emperor does not do `{other:?}`: ask a vassal");
                    Err(Box::new(Error::new(Code::BadCommandLine, message)))
                }
            });
        }
    }

    /// Has every vassal reload; says so.
    fn reload_all(&mut self) -> String {
        tracing::info!("[emperor] reloading all vassals");
        self.notify.reloading();
        let running = self.vassals.iter().filter(|vassal| vassal.process.is_some());
        let told = running.inspect(|vassal| reload(vassal)).count();
        self.notify.ready(&self.status());
        format!("told to reload: {told} of {} vassals; the log says how each ended", self.vassals.len())
    }

    fn stop_all(&mut self, why: &str) {
        if self.stopping {
            return;
        }
        tracing::info!("[emperor] {why}: stopping all vassals");
        self.stopping = true;
        self.notify.stopping();
        let until = clock::monotonic() + self.tolerance();
        let graceful = self.config.emperor.graceful;
        for vassal in self.vassals.iter_mut().filter(|vassal| vassal.process.is_some()) {
            tracing::info!("[emperor] stop the uwsgi instance {}", vassal.name());
            vassal.stop(graceful, until);
        }
    }

    /// How long a vassal that was told to stop may take, nanoseconds.
    fn tolerance(&self) -> u64 {
        let (tolerance, mercy) = (self.config.emperor.curse_tolerance, self.config.reload_mercy);
        (if self.stopping && mercy > 0 { mercy } else { tolerance }).saturating_mul(SECOND)
    }

    /// Looks at every place: what is new starts, what changed reloads, what is gone stops.
    pub(super) fn look(&mut self) {
        self.look_at = clock::monotonic() + self.config.emperor.freq.saturating_mul(SECOND);
        for at in 0..self.monitors.len() {
            let shown = self.monitors[at].shown();
            match self.monitors[at].look(&self.rules) {
                Some(found) => self.compare(&shown, found),
                None => tracing::warn!("[emperor] cannot read {shown}: its vassals stay as they are"),
            }
        }
        self.vassals.retain(|vassal| !(vassal.removed && vassal.process.is_none()));
        for at in 0..self.vassals.len() {
            let vassal = &self.vassals[at];
            if vassal.process.is_none() && vassal.on_demand.is_none() && self.may_start(vassal) {
                self.start(at);
            }
        }
    }

    fn compare(&mut self, monitor: &str, found: Vec<Found>) {
        let until = clock::monotonic() + self.tolerance();
        let graceful = self.config.emperor.graceful;
        for vassal in self.vassals.iter_mut().filter(|vassal| vassal.monitor == monitor && !vassal.removed) {
            if !found.iter().any(|it| it.name == vassal.found.name) {
                vassal.removed = true;
                self.blacklist.forgive(&vassal.found.name);
                if let Some(listener) = vassal.on_demand.take() {
                    // Made by this process, so it goes with the vassal.
                    let _ = listener.unlink_if_ours();
                }
                if vassal.process.is_some() {
                    tracing::info!("[emperor] stop the uwsgi instance {}", vassal.name());
                    vassal.stop(graceful, until);
                }
            }
        }
        for found in found {
            let known = self.vassals.iter_mut().find(|vassal| vassal.found.name == found.name);
            match known {
                // The end of the one that stops comes first; the next look finds the file again.
                Some(vassal) if vassal.removed || vassal.monitor != monitor => {}
                Some(vassal) if vassal.found.modified != found.modified => {
                    vassal.found = found;
                    vassal.exiled = false;
                    self.blacklist.forgive(&vassal.found.name);
                    if vassal.process.is_some() {
                        reload(vassal);
                    }
                }
                Some(_) => {}
                None => self.welcome(found, monitor),
            }
        }
    }

    /// A configuration was found.
    fn welcome(&mut self, found: Found, monitor: &str) {
        let (uid, gid) = found.owner;
        if self.config.emperor.tyrant && (uid == 0 || gid == 0) {
            tracing::error!("[emperor-tyrant] invalid permissions for vassal {}: it belongs to root", found.name);
        }
        let mut vassal = Vassal::new(found, monitor.to_owned());
        if let Some(extension) = &self.config.emperor.on_demand {
            match vassal.wait_on_demand(extension) {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!("[emperor] cannot wait for connections of {}: {error}", vassal.name());
                    // Tried again with the next change of the file.
                    vassal.exiled = true;
                }
            }
            if let Some(listener) = &vassal.on_demand {
                tracing::info!(
                    "[uwsgi-emperor] {} -> \"on demand\" instance detected, waiting for connections on socket \"{}\" ...",
                    vassal.name(),
                    listener.name
                );
            }
        }
        self.vassals.push(vassal);
    }

    /// Whether a vassal without a process may get one.
    pub(super) fn may_start(&self, vassal: &Vassal) -> bool {
        let (uid, gid) = vassal.found.owner;
        let allowed = !self.config.emperor.tyrant || (uid != 0 && gid != 0);
        allowed && !vassal.exiled && !vassal.removed && self.blacklist.allows(vassal.name(), clock::monotonic())
    }

    /// Starts those whose sockets have a connection waiting.
    pub(super) fn meet(&mut self, demanded: &[String]) {
        for at in 0..self.vassals.len() {
            let vassal = &self.vassals[at];
            if vassal.process.is_none() && demanded.iter().any(|name| name == vassal.name()) {
                tracing::info!("[uwsgi-emperor] going to start {} on demand", vassal.name());
                self.start(at);
            }
        }
    }

    fn start(&mut self, at: usize) {
        if let Some(hook) = &self.config.emperor.start_hook {
            match hook_command(hook, &self.vassals[at]).status() {
                Ok(status) if status.success() => {}
                Ok(status) => tracing::warn!("[emperor] `vassals-start-hook` of {}: {status}", self.vassals[at].name()),
                Err(error) => tracing::error!("[emperor] cannot run `vassals-start-hook`: {error}"),
            }
        }
        let vassal = &mut self.vassals[at];
        if let Err(error) = vassal.start(&self.program, &self.config) {
            tracing::error!("[emperor] cannot start {} for {}: {error}", self.program.display(), vassal.name());
            self.blacklist.note(vassal.name(), self.config.emperor.throttle, self.config.emperor.max_throttle);
        }
    }

    /// Takes note of what vassals say.
    pub(super) fn hear(&mut self) {
        let now = clock::epoch();
        let until = clock::monotonic() + self.tolerance();
        for vassal in &mut self.vassals {
            let (words, closed) = vassal.hear();
            let name = vassal.found.name.clone();
            let Some(process) = &mut vassal.process else { continue };
            for said in words {
                match said {
                    word::SPAWNED => tracing::info!("[emperor] vassal {name} has been spawned"),
                    word::ACCEPTING => {
                        process.accepting = true;
                        (vassal.times.ready, vassal.times.accepting) = (now, now);
                        tracing::info!("[emperor] vassal {name} is ready to accept requests");
                    }
                    word::LOYAL => {
                        process.loyal = true;
                        vassal.times.loyal = now;
                        self.blacklist.forgive(&name);
                        tracing::info!("[emperor] vassal {name} is now loyal");
                    }
                    word::HEARTBEAT => {
                        process.heard = Some(clock::monotonic());
                        vassal.times.heartbeat = now;
                    }
                    word::STOP_ME => {
                        process.loyal = true;
                        process.cursed.get_or_insert(until);
                    }
                    other => tracing::info!("[emperor] vassal {name} says {other}, which means nothing here"),
                }
            }
            process.closed |= closed;
        }
    }

    /// Kills vassals that are silent for too long, or that do not stop.
    pub(super) fn punish(&mut self, now: u64) {
        let allowed = self.config.emperor.required_heartbeat.saturating_mul(SECOND);
        for vassal in &mut self.vassals {
            let name = vassal.found.name.clone();
            let Some(process) = &mut vassal.process else { continue };
            if process.heard.is_some_and(|heard| now.saturating_sub(heard) > allowed) && process.cursed.is_none() {
                let seconds = self.config.emperor.required_heartbeat;
                tracing::error!(
                    "[emperor] vassal {name} sent no heartbeat in last {seconds} seconds, brutally respawning it..."
                );
                process.heard = None;
                vassal.kill();
            } else if process.cursed.is_some_and(|until| now >= until) {
                tracing::warn!("[emperor] vassal {name} did not stop in time: killing it");
                process.cursed = Some(now + SECOND);
                vassal.kill();
            }
        }
    }

    /// Reaps every child that is dead, orphans of vassals among them.
    pub(super) fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..))) => self.died(pid, status),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("waitpid(): {error}");
                    break;
                }
            }
        }
    }

    fn died(&mut self, pid: Pid, status: WaitStatus) {
        let of_pid = |vassal: &&mut Vassal| vassal.process.as_ref().is_some_and(|process| process.pid == pid);
        let Some(vassal) = self.vassals.iter_mut().find(of_pid) else { return };
        let name = vassal.found.name.clone();
        let hook = self.config.emperor.stop_hook.as_ref().map(|hook| hook_command(hook, vassal));
        let Some(process) = vassal.process.take() else { return };
        if let Some(Err(error)) = hook.map(|mut hook| hook.spawn()) {
            tracing::error!("[emperor] cannot run `vassals-stop-hook`: {error}");
        }
        let emperor = &self.config.emperor;
        if process.cursed.is_none() {
            tracing::warn!("[emperor] curse the uwsgi instance {name} (pid: {pid}): it {}", cause(status));
        }
        if matches!(status, WaitStatus::Exited(_, EXILE)) {
            tracing::info!("[emperor] vassal {name} does not want to be started again: touch its file to do so");
            vassal.exiled = true;
        } else if process.cursed.is_none() && !process.loyal && !emperor.no_blacklist {
            let entry = self.blacklist.note(&name, emperor.throttle, emperor.max_throttle);
            if entry.attempts > 1 {
                tracing::warn!(
                    "[emperor] unloyal bad behaving vassal found: {name} throttling it... ({} ms)",
                    entry.level
                );
            }
        }
        tracing::info!("[emperor] removed uwsgi instance {name}");
        self.vassals.retain(|vassal| !(vassal.removed && vassal.process.is_none()));
    }
}

fn reload(vassal: &Vassal) {
    tracing::info!("[emperor] reload the uwsgi instance {}", vassal.name());
    vassal.reload();
}

fn hook_command(hook: &str, vassal: &Vassal) -> Program {
    let mut command = Program::new("/bin/sh");
    command.args(["-c", hook]).envs(vassal.hook_variables()).stdin(Stdio::null());
    command.current_dir(&vassal.found.directory);
    command
}
