//! Workers, as the master sees them: asked for, forked, serving, told to go, dead, replaced.
//!
//! Part of the master. The table is `children`; when a generation's workers all serve, `boot` and
//! `reload` go on.

use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::children::{self, State};
use super::command::Command;
use super::{Generation, Master, Phase, Respawn, SECOND, STILLBORN, YOUNG, respawn};
use crate::error::{Code, Error, Result};
use crate::sys::clock;
use crate::worker::notice::{Notice, Wish};

impl Master {
    pub(super) fn ask_worker(&mut self, number: u64, id: usize) {
        if let Some(generation) = self.generation(number) {
            match generation.ask(id, self.tally(id).requests) {
                Ok(cell) => self.children.asked(id, number, cell, clock::monotonic()),
                Err(error) => {
                    tracing::error!("{error}");
                    self.respawns.push(Respawn { id, at: clock::monotonic() + SECOND });
                }
            }
        }
    }

    pub(super) fn worker_forked(&mut self, number: u64, cell: usize, pid: Pid) {
        let cores = self.generation(number).map_or(1, |generation| generation.board.cores());
        let Some((worker, again, early, death)) = self.children.forked(number, cell, pid) else {
            // Its zygote was taken for silent already.
            let _ = kill(pid, Signal::SIGKILL);
            return;
        };
        if again {
            tracing::info!("Respawned uWSGI worker {} (new pid: {pid})", worker.id);
        } else {
            tracing::info!("spawned uWSGI worker {} (pid: {pid}, cores: {cores})", worker.id);
        }
        let id = worker.id;
        self.ledger.spawned(id);
        if let Some(notice) = early {
            self.worker_said(notice);
        }
        // An orphan of the app's may have died under this pid before: then the worker lives.
        if let Some(status) = death
            && kill(pid, None).is_err()
        {
            self.worker_died(pid, status);
        } else if self.generation(number).is_none_or(|generation| generation.retired) {
            self.retire(pid);
        }
    }

    pub(super) fn worker_said(&mut self, notice: Notice) {
        let pid = Pid::from_raw(notice.pid() as i32);
        if let Notice::Wishes { wish, .. } = notice {
            let command = match wish {
                Wish::Reload => Command::Reload,
                Wish::Stop => Command::Stop,
            };
            tracing::info!("the application (pid: {pid}) asks for it: {command:?}");
            return self.act(command, None);
        }
        let Some(worker) = self.children.by_pid(pid) else {
            self.children.keep_early(pid, notice, clock::monotonic());
            return;
        };
        let (id, number) = (worker.id, worker.generation);
        match notice {
            Notice::Ready { .. } => {
                if worker.state == State::Starting {
                    worker.state = State::Serving;
                    worker.since = clock::monotonic();
                }
                self.worker_serves(number, id, pid);
            }
            Notice::Recycle { reason, .. } => {
                self.retire_soon(pid, &reason);
            }
            Notice::Wishes { .. } => {}
            Notice::Finishing { .. } => self.accepts_no_more(pid),
            Notice::Failed { error, .. } => {
                tracing::error!("{error}");
                if self.is_coming(number) {
                    self.coming_failed(error);
                }
            }
        }
    }

    /// A worker serves: its predecessor may go, and with the last one the coming generation is up.
    pub(super) fn worker_serves(&mut self, number: u64, id: usize, pid: Pid) {
        let predecessors: Vec<Pid> = self
            .children
            .iter()
            .filter(|worker| worker.generation == number && worker.id == id && worker.state == State::Serving)
            .filter_map(|worker| worker.pid)
            .filter(|other| *other != pid)
            .collect();
        for predecessor in predecessors {
            self.retire(predecessor);
        }
        self.see_whether_all_serve(number);
    }

    /// The coming generation is up when all serve that it is to have, be it nobody.
    pub(super) fn see_whether_all_serve(&mut self, number: u64) {
        let Some(coming) = self.coming().filter(|coming| coming.number == number) else { return };
        if !self.children.all_serve(number, coming.crew.ids()) {
            return;
        }
        match self.phase {
            Phase::Starting => self.up(),
            Phase::Reloading(_) => self.reload_done(),
            Phase::Serving | Phase::Stopping => {}
        }
    }

    /// Tells a worker to finish what it has and go.
    pub(super) fn retire(&mut self, pid: Pid) {
        let mercy = self.mercy_for(pid);
        let Some(worker) = self.children.by_pid(pid) else { return };
        if !matches!(worker.state, State::Starting | State::Serving) {
            return;
        }
        let (number, cell, starting) = (worker.generation, worker.cell, worker.state == State::Starting);
        let generation = self.generation(number);
        // Its own mark on the board comes before its notice: one that listens may hold a request.
        let listens = generation.is_some_and(|it| it.board.cell(cell).pid.load(Relaxed) != 0);
        let now = clock::monotonic();
        let (state, signal) = if starting && !listens {
            // It has taken no request, and does not listen to a polite word yet.
            (State::Unwanted, Signal::SIGKILL)
        } else {
            (State::Leaving { until: now.saturating_add(mercy), killed: false }, Signal::SIGHUP)
        };
        if let Some(worker) = self.children.by_pid(pid) {
            (worker.state, worker.since) = (state, now);
            if signal == Signal::SIGHUP {
                tracing::info!("Gracefully killing worker {} (pid: {pid})...", worker.id);
            }
        }
        let _ = kill(pid, signal);
    }

    /// How long a worker may take to finish (uWSGI: `--worker-reload-mercy`), nanoseconds.
    pub(super) fn mercy_for(&mut self, pid: Pid) -> u64 {
        let number = self.children.by_pid(pid).map(|worker| worker.generation);
        let generation = number.and_then(|number| self.generation(number));
        generation.map_or(60, |it| it.config.worker_reload_mercy).saturating_mul(SECOND)
    }

    pub(super) fn worker_died(&mut self, pid: Pid, status: WaitStatus) {
        let Some(worker) = self.children.remove(pid) else { return };
        let by_harakiri = self.harakiri.forget(pid);
        if let Some(generation) = self.generation(worker.generation) {
            let counted = generation.board.tally(worker.cell);
            generation.board.release(worker.cell);
            self.ledger.died(&worker, &counted, status, by_harakiri);
        }
        let (id, number) = (worker.id, worker.generation);
        self.accepts_no_more(pid);
        if matches!(self.phase, Phase::Stopping) {
            let seconds = clock::monotonic().saturating_sub(worker.since) / SECOND;
            tracing::info!("worker {id} buried after {seconds} seconds");
        }
        match worker.state {
            State::Unwanted => tracing::info!("worker {id} (pid: {pid}) was not needed any more"),
            State::Condemned | State::Undead if status == WaitStatus::Exited(pid, 0) => {
                tracing::info!("worker {id} (pid: {pid}) finished");
            }
            // It was replaced before it was killed.
            State::Condemned | State::Undead => drop(self.tell_death(id, pid, status)),
            State::Leaving { killed: true, .. } => {
                tracing::warn!("worker {id} (pid: {pid}) did not finish in time and was killed");
            }
            State::Leaving { .. } if status == WaitStatus::Exited(pid, 0) && self.is_dismissed(number, id) => {
                tracing::info!("uWSGI worker {id} cheaped.");
            }
            State::Leaving { .. } if status == WaitStatus::Exited(pid, 0) => {
                tracing::info!("worker {id} (pid: {pid}) finished");
            }
            State::Leaving { .. } => {
                tracing::warn!("worker {id} (pid: {pid}) {} while it finished", children::cause(status));
            }
            State::Starting | State::Serving => {
                let how = self.tell_death(id, pid, status);
                if worker.state == State::Starting {
                    self.turnover_failed(number, id, &how);
                }
                self.replace(id, number, &worker, status);
            }
        }
    }

    /// Says how a worker died, and answers with it.
    fn tell_death(&mut self, id: usize, pid: Pid, status: WaitStatus) -> String {
        let how = match status {
            WaitStatus::Signaled(_, signal, _) => format!("died, killed by signal {}", signal as i32),
            _ => format!("died ({})", children::cause(status)),
        };
        tracing::error!("DAMN ! worker {id} (pid: {pid}) {how} :( trying respawn ...");
        if let Some(cause) = respawn::cause(status, &mut self.out_of_memory) {
            tracing::error!("worker {id} (pid: {pid}) died of {cause}");
        }
        how
    }

    /// Sees to it that a worker that died has a successor.
    fn replace(&mut self, id: usize, number: u64, worker: &children::Worker, status: WaitStatus) {
        let now = clock::monotonic();
        if self.is_coming(number) && worker.state == State::Starting {
            self.stillborn += 1;
            if self.stillborn >= STILLBORN {
                self.coming_failed(
                    Error::new(
                        Code::WorkersDie,
                        format!("workers die before they serve: the last one {}", children::cause(status)),
                    )
                    .exit(22),
                );
                return;
            }
        }
        let young = now.saturating_sub(worker.since) < YOUNG;
        let deaths = self.children.died_young(id, young);
        let longest = self.generation(number).map_or(2, |it| it.config.lifetimes.forkbomb_delay);
        let wait = respawn::pause(deaths, longest);
        if wait > 0 {
            tracing::warn!("{}", respawn::announce(id, deaths, wait));
        }
        self.respawns.push(Respawn { id, at: now + wait * 1_000_000 });
    }

    /// Looks after workers that do not come up: with `lazy-apps` the import may hang in any of them,
    /// long after the start.
    pub(super) fn end_what_hangs(&mut self, now: u64) {
        let Some(active) = self.generation(self.active).filter(|active| active.ready && !active.retired) else {
            return;
        };
        let (number, patience) = (active.number, active.patience());
        if self.is_coming(number) {
            return;
        }
        let mut deaf = false;
        for worker in self.children.iter().filter(|it| it.generation == number && it.state == State::Starting) {
            let late = now.saturating_sub(worker.since);
            match worker.pid {
                _ if late < patience => {}
                None => deaf = true,
                // The first one has it print its Python stack.
                Some(pid) if late < patience.saturating_add(SECOND) => {
                    tracing::error!("worker {} (pid: {pid}) does not come up: killed", worker.id);
                    let _ = kill(pid, Signal::SIGABRT);
                }
                Some(pid) => {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        }
        if deaf {
            tracing::error!("the zygote of generation {number} does not fork: killed");
            self.generations.iter().filter(|it| it.number == number).for_each(Generation::kill);
        }
    }

    /// Forks the workers whose time has come.
    pub(super) fn respawn(&mut self, now: u64) {
        if matches!(self.phase, Phase::Stopping) {
            self.respawns.clear();
        }
        let (due, later) = std::mem::take(&mut self.respawns).into_iter().partition(|respawn| respawn.at <= now);
        self.respawns = later;
        for respawn in due as Vec<Respawn> {
            let coming = self.coming().map(|coming| coming.number);
            let owing: Vec<u64> = self
                .generations
                .iter()
                .filter(|it| it.number == self.active || Some(it.number) == coming)
                .filter(|it| it.crew.has(respawn.id) && !self.children.has(it.number, respawn.id))
                .map(|it| it.number)
                .collect();
            for number in owing {
                if number == self.active && coming.is_some() && self.children.recycles(number, respawn.id) {
                    // The reload brings a new one anyway; three at once would be one too many.
                    self.respawns.push(Respawn { id: respawn.id, at: now + SECOND / 10 });
                } else if self.generation(number).is_some_and(|it| it.ready) {
                    self.ask_worker(number, respawn.id);
                } else if number == self.active && !matches!(self.phase, Phase::Starting) {
                    // Its zygote is gone; the next one forks the worker.
                    self.respawns.push(Respawn { id: respawn.id, at: now + SECOND / 10 });
                }
            }
        }
    }

    // ---- how many there are to be

    /// Puts up to `more` further workers to work, also in the generation that comes up; returns how
    /// many there are to be now. They serve once [`Master::is_at_strength`]. Fails where there can't
    /// be more, and while the instance starts or stops.
    pub(super) fn more_workers(&mut self, more: usize) -> Result<usize> {
        self.change_crew(|master, number| {
            let Some(generation) = master.generation_mut(number) else { return false };
            let new = generation.crew.grow(more);
            let now = clock::monotonic();
            master.respawns.extend(new.iter().map(|id| Respawn { id: *id, at: now }));
            !new.is_empty()
        })
    }

    /// Has up to `fewer` workers finish what they have and end, idle ones first, down to what
    /// `cheaper` leaves; returns how many there are to be now. They are gone once
    /// [`Master::is_at_strength`]. Fails like [`Master::more_workers`].
    #[allow(dead_code, reason = "whoever asks over the control socket has no words for it yet")]
    pub(super) fn fewer_workers(&mut self, fewer: usize) -> Result<usize> {
        self.change_crew(|master, number| {
            let mut changed = false;
            for _ in 0..fewer {
                let Some(crew) = master.generation(number).map(|it| &it.crew) else { break };
                if crew.size() <= crew.least() {
                    break;
                }
                let Some(id) = master.most_idle(number).or_else(|| crew.ids().last()) else { break };
                master.dismiss(number, id);
                changed = true;
            }
            changed
        })
    }

    /// Whether exactly those serve who are to, and nobody else is left.
    #[allow(dead_code, reason = "whoever asks over the control socket has no words for it yet")]
    pub(super) fn is_at_strength(&self) -> bool {
        let Some(active) = self.generation(self.active) else { return false };
        self.children.all_serve(self.active, active.crew.ids()) && self.children.iter().count() == active.crew.size()
    }

    fn change_crew(&mut self, mut change: impl FnMut(&mut Self, u64) -> bool) -> Result<usize> {
        let refused = |why: String| Err(Error::new(Code::WorkersUnchanged, why));
        if !matches!(self.phase, Phase::Serving | Phase::Reloading(_)) {
            return refused("the instance starts or stops".into());
        }
        let coming = self.coming().map(|coming| coming.number);
        let mut changed = change(self, self.active);
        if let Some(number) = coming {
            changed |= change(self, number);
            self.see_whether_all_serve(number);
        }
        let crew = self.generation(self.active).map(|it| (it.crew.size(), it.crew.least(), it.crew.most()));
        let (size, least, most) = crew.unwrap_or_default();
        if changed {
            tracing::info!("there are to be {size} workers now");
            return Ok(size);
        }
        refused(format!("there are {size} workers, and may be {least} to {most}"))
    }

    /// Whether a generation that serves does without this number.
    fn is_dismissed(&self, number: u64, id: usize) -> bool {
        self.generation(number).is_some_and(|it| !it.retired && !it.crew.has(id))
    }

    /// Takes a number off work: its worker finishes what it has and ends.
    pub(super) fn dismiss(&mut self, number: u64, id: usize) {
        if let Some(generation) = self.generation_mut(number) {
            generation.crew.dismiss(id);
        }
        let of = |worker: &&children::Worker| worker.generation == number && worker.id == id;
        for pid in self.children.iter().filter(of).filter_map(|it| it.pid).collect::<Vec<_>>() {
            self.retire(pid);
        }
    }

    /// The number of the worker that has been idle from the start the longest: of those that serve
    /// nothing now, the oldest. One that has accepted meanwhile answers before it ends.
    pub(super) fn most_idle(&self, number: u64) -> Option<usize> {
        let generation = self.generation(number)?;
        let idle = |worker: &&children::Worker| {
            worker.generation == number
                && worker.state == State::Serving
                && !worker.recycling
                && !generation.board.is_busy(worker.cell)
        };
        self.children.iter().filter(idle).min_by_key(|worker| worker.since).map(|worker| worker.id)
    }
}
