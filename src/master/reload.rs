//! The reload: generation N+1 comes up beside generation N and takes its place only when all of its
//! workers serve. Until then nothing of N is touched, so that a reload which fails changes nothing.
//!
//! The story: [`Master::reload`] reads the configuration anew and starts the zygote; the master's
//! loop opens its sockets and asks for its workers; then [`Master::reload_done`] or
//! [`Master::reload_failed`].

use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::children::State;
use super::control::{Told, Waiter};
use super::sockets::{self, Plan};
use super::{Master, Phase, SECOND, privileges, respawn};
use crate::config::{Config, Source};
use crate::error::{Code, Error, Result};
use crate::log::clock::{CTIME, Clock};
use crate::sys::clock;

/// A reload under way.
#[derive(Debug, Default)]
pub struct Reload {
    /// Who waits for how it ends.
    waiters: Vec<Waiter>,
    /// CLOCK_MONOTONIC nanoseconds at which it began.
    began: u64,
    /// What was odd so far, for those who wait; it stands in the log already.
    warnings: Vec<String>,
    /// What came in between asks for another one, which begins where this one ends.
    again: Option<Vec<Waiter>>,
}

/// The end of a reload: the new workers serve, the old ones were told to finish.
#[derive(Debug)]
pub struct Handover {
    waiters: Vec<Waiter>,
    told: Told,
    again: Option<Vec<Waiter>>,
    /// Old workers that may still accept a connection.
    accepting: Vec<Pid>,
    /// CLOCK_MONOTONIC nanoseconds at which nobody waits for them any longer: a worker whose cores
    /// are all inside requests accepts nothing, and can't say so.
    pub until: u64,
}

/// A reload that has not begun: there are still processes of the generation before the active one.
#[derive(Debug)]
pub struct Crowd {
    pub waiters: Vec<Waiter>,
    /// CLOCK_MONOTONIC nanoseconds at which it begins all the same.
    until: u64,
}

impl Reload {
    /// Everybody who waits, for a master that will not reload any more.
    pub fn into_waiters(self) -> impl Iterator<Item = Waiter> {
        self.waiters.into_iter().chain(self.again.into_iter().flatten())
    }
}

impl Master {
    /// Begins a reload. One that comes while another runs, or while the start still does, is done
    /// once after it, however many come.
    pub(super) fn reload(&mut self, waiter: Option<Waiter>) {
        match &mut self.phase {
            Phase::Reloading(reload) => reload.again.get_or_insert_default().extend(waiter),
            Phase::Starting => self.reload_after_start.get_or_insert_default().extend(waiter),
            Phase::Stopping => answer(waiter, &Err(Error::new(Code::ReloadFailed, "the instance is stopping"))),
            Phase::Serving => self.begin_reload(waiter.into_iter().collect()),
        }
    }

    /// Begins a reload, once what is left of the generation before the active one has gone: in a storm
    /// of reloads there are never three zygotes. Waits a second for that at the most.
    pub(super) fn begin_reload(&mut self, waiters: Vec<Waiter>) {
        let until = clock::monotonic() + SECOND;
        let crowd = self.crowd.get_or_insert(Crowd { waiters: Vec::new(), until });
        crowd.waiters.extend(waiters);
        self.begin_when_alone(clock::monotonic());
    }

    /// Begins the reload that waits for the zygotes of retired generations to be gone.
    pub(super) fn begin_when_alone(&mut self, now: u64) {
        let crowded = self.generations.iter().any(|it| it.number != self.active && it.zygote.is_some());
        if self.crowd.as_ref().is_some_and(|crowd| !crowded || now >= crowd.until)
            && matches!(self.phase, Phase::Serving)
            && let Some(crowd) = self.crowd.take()
        {
            self.begin_now(crowd.waiters);
        }
    }

    fn begin_now(&mut self, waiters: Vec<Waiter>) {
        let exits = self.generation(self.active).is_some_and(|active| active.config.reloading.exit_on_reload);
        if exits {
            refuse(waiters);
            tracing::info!("uWSGI: GAME OVER (insert coin)");
            self.stop();
            return;
        }
        self.turnover_superseded();
        self.notify.reloading();
        if let Some(waiters) = self.upgrade_first(waiters) {
            self.reload_now(waiters);
        }
    }

    /// Begins a reload, by the program that runs.
    pub(super) fn reload_now(&mut self, waiters: Vec<Waiter>) {
        tracing::info!("reload: reading the configuration anew");
        self.phase = Phase::Reloading(Reload { waiters, began: clock::monotonic(), ..Reload::default() });
        if let Err(error) = self.start_next() {
            self.reload_failed(error);
        }
    }

    /// Everything that can be found wrong before a process is started.
    fn start_next(&mut self) -> Result<()> {
        let (config, warnings) = Config::load(&Source { reload: true, ..self.source.clone() }, &self.directory)
            .map_err(|errors| {
                for error in errors.iter().skip(1) {
                    tracing::error!("{error}");
                }
                errors
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| Error::new(Code::Internal, "the configuration failed without a word"))
            })?;
        for warning in warnings {
            self.reload_warns(warning.to_string());
        }
        super::hooks::check(&config)?;
        let venv = privileges::visible_venv(&config, &self.directory, &self.program)?;
        for option in what_needs_a_restart(&self.started_with, &config).collect::<Vec<_>>() {
            self.reload_warns(format!(
                "warning: `{option}` is not what the instance was started with: that takes a restart, not a reload"
            ));
        }
        self.figures.plan(&config, &self.directory)?;
        self.plan = Some(Plan::make(&config, &self.directory, &self.listeners)?);
        self.start_generation(Arc::new(config), venv)
    }

    /// Says in the log, and to who waits, what is odd about the reload.
    fn reload_warns(&mut self, warning: String) {
        tracing::warn!("{warning}");
        if let Phase::Reloading(reload) = &mut self.phase {
            reload.warnings.push(warning);
        }
    }

    /// All workers of the coming generation serve: the old ones may go.
    pub(super) fn reload_done(&mut self) {
        let Phase::Reloading(reload) = std::mem::replace(&mut self.phase, Phase::Serving) else { return };
        self.retries = 0;
        let old = std::mem::replace(&mut self.active, self.latest);
        self.ledger.reloaded(true);
        self.serve_figures();
        let accepting: Vec<Pid> = self
            .children
            .iter()
            .filter(|worker| worker.generation <= old && worker.state == State::Serving)
            .filter_map(|worker| worker.pid)
            .collect();
        tracing::info!("{} - ...gracefully killing workers...", date());
        for number in self.generations.iter().map(|it| it.number).filter(|number| *number <= old).collect::<Vec<_>>() {
            self.retire_generation(number);
        }
        let gone = std::mem::replace(&mut self.listeners, std::mem::take(&mut self.coming_listeners));
        sockets::tell_changes(&gone, &self.listeners);
        sockets::discard(&gone, &self.listeners);
        drop(gone);
        let millis = clock::monotonic().saturating_sub(reload.began) / 1_000_000;
        let processes = self.generation(self.active).map_or(0, |active| active.crew.size());
        let message =
            format!("reload done: generation {} serves with {processes} workers after {millis} ms", self.active);
        tracing::info!("{message}");
        self.companions_wait = true;
        self.resume_companions();
        self.notify.ready(&self.summary());
        self.tell_accepting();
        let until = clock::monotonic() + SECOND / 2;
        self.handed_over();
        self.apply_triggers();
        let told = Told { message, warnings: reload.warnings };
        self.handover = Some(Handover { waiters: reload.waiters, told, again: reload.again, accepting, until });
        self.accepts_no_more(Pid::from_raw(0));
    }

    /// An old worker accepts no more, or is gone. With the last one the reload is over: whoever was
    /// told so sees the new code only.
    pub(super) fn accepts_no_more(&mut self, pid: Pid) {
        self.poke();
        self.turnover_without(pid);
        let Some(handover) = &mut self.handover else { return };
        handover.accepting.retain(|other| *other != pid);
        if handover.accepting.is_empty() {
            self.handed_over();
        }
    }

    /// Has the workers that serve look at their listeners. The kernel wakes one worker a connection;
    /// where that one had just been told to finish, the connection would wait until the next came.
    fn poke(&self) {
        for worker in self.children.iter().filter(|worker| worker.state == State::Serving) {
            if let Some(pid) = worker.pid {
                let _ = kill(pid, Signal::SIGWINCH);
            }
        }
    }

    pub(super) fn handed_over(&mut self) {
        let Some(handover) = self.handover.take() else { return };
        for waiter in handover.waiters {
            answer(Some(waiter), &Ok(handover.told.clone()));
        }
        if let Some(waiters) = handover.again {
            self.reload_again(waiters);
        }
    }

    /// Begins the reload that was asked for while another one ran.
    fn reload_again(&mut self, waiters: Vec<Waiter>) {
        match &mut self.phase {
            Phase::Serving => self.begin_reload(waiters),
            Phase::Reloading(reload) => reload.again.get_or_insert_default().extend(waiters),
            Phase::Starting | Phase::Stopping => refuse(waiters),
        }
    }

    /// The coming generation is given up; the old one never noticed.
    pub(super) fn reload_failed(&mut self, error: Error) {
        let Phase::Reloading(reload) = std::mem::replace(&mut self.phase, Phase::Serving) else { return };
        self.watch_failed_imports();
        self.ledger.reloaded(false);
        self.figures.give_up();
        if self.companions_wait {
            self.resume_companions();
            self.apply_triggers();
        }
        self.plan = None;
        let opened = std::mem::take(&mut self.coming_listeners);
        sockets::discard(&opened, &self.listeners);
        drop(opened);
        if self.latest != self.active {
            self.retire_generation(self.latest);
        }
        tracing::error!("{error}");
        tracing::error!("reload failed, the old code goes on serving");
        self.notify.ready(&format!("{}; the last reload failed: {}", self.summary(), error.message));
        for waiter in reload.waiters {
            answer(Some(waiter), &Err(error.clone()));
        }
        let orphaned = self.generation(self.active).is_none_or(|active| active.zygote.is_none());
        if let Some(waiters) = reload.again {
            self.begin_reload(waiters);
        } else if orphaned {
            // Workers that die have no zygote to come from: tried again until the app imports.
            // Soon at first: the new zygote may have been killed like the old one.
            self.retries += 1;
            let wait = respawn::pause(self.retries.saturating_add(4), 10);
            self.retry_reload = Some(clock::monotonic() + wait * 1_000_000);
        }
    }

    /// Ends a generation politely: its workers finish what they have, its zygote goes. One that never
    /// served may hold requests too: its first workers listen before the last one does.
    pub(super) fn retire_generation(&mut self, number: u64) {
        if let Some(generation) = self.generation_mut(number) {
            generation.retire();
        }
        for pid in self.pids_of(number) {
            self.retire(pid);
        }
    }

    pub(super) fn pids_of(&self, number: u64) -> Vec<Pid> {
        self.children.iter().filter(|worker| worker.generation == number).filter_map(|worker| worker.pid).collect()
    }

    /// Kills every process at once.
    pub(super) fn kill_all(&mut self) {
        for worker in self.children.iter() {
            if let Some(pid) = worker.pid {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        for generation in &mut self.generations {
            generation.retire();
        }
        self.companions.kill();
    }
}

/// Tells clients that there will be no reload for them.
pub(super) fn refuse(waiters: impl IntoIterator<Item = Waiter>) {
    for waiter in waiters {
        answer(Some(waiter), &Err(Error::new(Code::ReloadFailed, "the instance is stopping")));
    }
}

/// Tells a waiting client how it ended.
pub(super) fn answer(waiter: Option<Waiter>, outcome: &Result<Told>) {
    if let Some(waiter) = waiter {
        waiter.tell(outcome.clone().map_err(Box::new));
    }
}

/// Options that only a start can apply: said, because a reload that ignores them silently would
/// look as if it had applied them.
fn what_needs_a_restart(start: &Config, new: &Config) -> impl Iterator<Item = &'static str> {
    [
        ("pidfile", start.pidfile != new.pidfile),
        ("daemonize", start.daemonize != new.daemonize),
        ("logto", start.logto != new.logto),
        ("uid", start.uid != new.uid),
        ("gid", start.gid != new.gid),
        ("umask", start.umask != new.umask),
    ]
    .into_iter()
    .chain(privileges::fixed_at_start(start, new))
    .filter_map(|(option, changed)| changed.then_some(option))
}

/// The time as uWSGI puts it before what happens to an instance: `Thu Jan  1 00:00:00 1970`.
pub(super) fn date() -> String {
    String::from_utf8_lossy(Clock::new(CTIME).date(clock::epoch())).into_owned()
}
