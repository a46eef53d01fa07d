//! Hooks as the master does them: before the sockets, when the workers serve, at touched files, at
//! the end; and the daemons and crons that begin and end with the instance.
//!
//! Part of the master. What may take its time is done in a process of its own once the instance
//! serves: the master waits for nothing.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, getpid};

use super::children::cause;
use super::command::Command;
use super::cron::{Crons, Entry};
use super::daemons::{Daemons, Death, Definition, Touched};
use super::{Master, Phase as MasterPhase, SECOND};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::hooks::{self, Action, Hook, Phase, SignalDeed};
use crate::sys::process::{self, Fork};
use crate::sys::spawn::Shell;
use crate::sys::{clock, fd, signal, user};

/// How long daemons may take to end where `reload-mercy` sets nothing, seconds (uWSGI: 3).
const MERCY: u64 = 3;

/// What runs beside the workers, and what waits for its turn.
#[derive(Debug, Default)]
pub struct Companions {
    daemons: Daemons,
    crons: Crons,
    /// Files and what is to be done when one changes.
    touches: Vec<(Touched, Hook)>,
    /// CLOCK_MONOTONIC nanoseconds of the last look at those files.
    looked: u64,
    /// Processes that do hooks for the master, and what each is about.
    errands: Vec<(Pid, String)>,
    /// What signals do in place of what they usually do.
    signals: Vec<(Signal, Command)>,
}

/// What commands that run beside the workers find: the app's directory, and what `env` sets.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Where they run.
    pub directory: PathBuf,
    /// `NAME=value` each.
    pub environment: Vec<String>,
}

impl Place {
    /// A command in this place.
    pub fn shell<'a>(&'a self, command: &'a str) -> Shell<'a> {
        Shell { directory: Some(&self.directory), environment: &self.environment, ..Shell::new(command) }
    }
}

/// What of a configuration can be found wrong before anything is started.
pub fn check(config: &Config) -> Result<()> {
    hooks::check(config)?;
    Definition::all(config)?;
    Entry::all(config).map(|_| ())
}

/// The hooks of a start up to the change of user, in the foreground. Those before the sockets are
/// planned may make the directories that sockets need.
pub fn before_sockets(config: &Config) -> Result<()> {
    let phases = [Phase::PreJail, Phase::PostJail, Phase::InJail];
    phases.into_iter().try_for_each(|phase| phase.run(config))?;
    if user::is_root() { Phase::AsRoot.run(config) } else { Ok(()) }
}

impl Companions {
    /// What a signal does, where a hook has said so.
    pub fn command(&self, signal: Signal) -> Option<Command> {
        self.signals.iter().rev().find(|(other, _)| *other == signal).map(|(_, command)| *command)
    }

    /// Whether the master has to look here more often than once a second.
    pub fn is_restless(&self) -> bool {
        self.daemons.is_restless()
    }

    /// Whether nothing is left that has to end.
    pub fn are_gone(&self) -> bool {
        self.daemons.is_idle() && self.crons.is_idle()
    }

    /// Kills what is left.
    pub fn kill(&mut self) {
        self.daemons.kill();
        self.crons.kill();
    }
}

impl Master {
    /// The workers of a generation serve: daemons, crons and hooks of its configuration take over.
    /// At the start a hook that fails ends the start.
    pub(super) fn companions_begin(&mut self, starting: bool) -> Result<()> {
        let Some(active) = self.generation(self.active) else { return Ok(()) };
        let config = std::sync::Arc::clone(&active.config);
        let place = Place { directory: config.app_directory(&self.directory), environment: config.env.clone() };
        let (mut definitions, entries) = (Definition::all(&config)?, Entry::all(&config)?);
        for definition in &mut definitions {
            definition.settle_in(&place.directory);
        }
        self.companions.touches = hooks::touched(&config)?
            .into_iter()
            .map(|(file, hook)| (Touched::new(&[place.directory.join(file)]), hook))
            .collect();
        let hooks = Phase::MasterStart.hooks(&config)?;
        self.companions.signals.clear();
        for hook in &hooks {
            if let Action::UnixSignal(signal, deed) = hook.action() {
                hook.announce();
                let command = match deed {
                    SignalDeed::Stop => Command::Stop,
                    SignalDeed::StopNow => Command::StopNow,
                    SignalDeed::Reload => Command::Reload,
                };
                self.companions.signals.push((*signal, command));
            }
        }
        let rest: Vec<Hook> =
            hooks.into_iter().filter(|hook| !matches!(hook.action(), Action::UnixSignal(..))).collect();
        if starting {
            self.run_here(&rest)?;
        } else {
            self.run_hooks(rest);
        }
        self.companions.daemons.replace(definitions, place.clone(), self.companions_mercy());
        self.companions.crons.replace(entries, place);
        self.companions_check();
        Ok(())
    }

    /// What is due by now.
    pub(super) fn companions_check(&mut self) {
        let now = clock::monotonic();
        self.companions.daemons.check(now);
        self.companions.crons.check(now);
        if now.saturating_sub(self.companions.looked) < SECOND || matches!(self.phase, MasterPhase::Stopping) {
            return;
        }
        self.companions.looked = now;
        let changed = |(touched, hook): &mut (Touched, Hook)| touched.changed().map(|_| hook.clone());
        let due: Vec<Hook> = self.companions.touches.iter_mut().filter_map(changed).collect();
        for hook in due {
            self.run_hooks(vec![hook]);
        }
    }

    /// A child is dead; says whether it was one of these.
    pub(super) fn companion_died(&mut self, pid: Pid, status: WaitStatus) -> bool {
        if let Some(at) = self.companions.errands.iter().position(|(other, _)| *other == pid) {
            let (_, name) = self.companions.errands.swap_remove(at);
            if status != WaitStatus::Exited(pid, 0) {
                tracing::error!("hooks failed ({name}): the process that did them {}", cause(status));
            }
            return true;
        }
        match self.companions.daemons.died(pid, status) {
            Death::Foreign => self.companions.crons.died(pid, status),
            Death::Noted => true,
            Death::EndsInstance => {
                tracing::warn!("[uwsgi-daemons] a control daemon has ended, the instance ends with it");
                self.act(Command::Stop, None);
                true
            }
        }
    }

    /// The workers are gone: the daemons, which they may have needed, may go too. Says whether nothing
    /// is left.
    pub(super) fn companions_end(&mut self) -> bool {
        let mercy = self.companions_mercy();
        self.companions.daemons.stop(mercy);
        self.companions.crons.stop(mercy);
        self.companions.are_gone()
    }

    /// The last hooks; a failure changes nothing any more.
    pub(super) fn atexit_hooks(&self) {
        // An instance that never came up has nothing to take down.
        let Some(active) = self.generation(self.active).filter(|_| self.failure.is_none()) else { return };
        let hooks = Phase::AsUserAtexit.hooks(&active.config);
        for hook in hooks.unwrap_or_default() {
            if let Err(error) = self.run_here(&[hook]) {
                tracing::error!("{error}");
            }
        }
    }

    pub(super) fn companions_mercy(&self) -> u64 {
        let mercy = self.generation(self.active).map_or(0, |active| active.config.reload_mercy);
        (if mercy > 0 { mercy } else { MERCY }).saturating_mul(SECOND)
    }

    /// Does hooks where the app lives, as far as there is such a place; the master stays where it is.
    fn run_here(&self, hooks: &[Hook]) -> Result<()> {
        let place = self.generation(self.active).map(|active| active.config.app_directory(&self.directory));
        if let Some(place) = place {
            let _ = std::env::set_current_dir(place);
        }
        let done = hooks.iter().try_for_each(Hook::run);
        let _ = std::env::set_current_dir(&self.directory);
        done
    }

    /// Does hooks of a master that serves: at once what is done at once, the rest in another process.
    fn run_hooks(&mut self, hooks: Vec<Hook>) {
        let failed = |error: Error| tracing::error!("{error}");
        if !hooks.iter().any(|hook| hook.action().may_wait()) {
            if let Err(error) = self.run_here(&hooks) {
                failed(error);
            }
            return;
        }
        let name = hooks.iter().map(Hook::name).collect::<Vec<_>>().join(", ");
        match process::fork() {
            Ok(Fork::Child) => {
                self.watch.release();
                fd::close_all_but(&[]);
                let ours = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGCHLD];
                let code = signal::default(&ours).is_err() || self.run_all(&hooks);
                process::exit(i32::from(code))
            }
            Ok(Fork::Parent(pid)) => self.companions.errands.push((pid, name)),
            Err(error) => failed(Error::system("cannot fork for hooks", error)),
        }
    }

    /// Does hooks in a process of their own; says whether one failed.
    fn run_all(&self, hooks: &[Hook]) -> bool {
        if process::signal_on_parent_death(Signal::SIGKILL).is_err() {
            tracing::warn!("hooks of {} would outlive the master", getpid());
        }
        match self.run_here(hooks) {
            Ok(()) => false,
            Err(error) => {
                tracing::error!("{error}");
                true
            }
        }
    }
}
