//! Workers, as the master sees them: asked for, forked, serving, told to go, dead, replaced.
//!
//! Part of the master. The table is `children`; when a generation's workers all serve, `boot` and
//! `reload` go on.

use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::children::{self, State};
use super::{Generation, Master, Phase, Respawn, SECOND, STILLBORN, YOUNG};
use crate::error::{Code, Error};
use crate::sys::clock;
use crate::worker::notice::Notice;

impl Master {
    pub(super) fn ask_worker(&mut self, number: u64, id: usize) {
        if let Some(generation) = self.generation(number) {
            let running = self.children.iter().find(|worker| worker.id == id && worker.pid.is_some());
            let requests = running
                .and_then(|worker| Some((worker.cell, self.generation(worker.generation)?)))
                .map_or(0, |(cell, generation)| generation.board.cell(cell).requests.load(Relaxed))
                .max(self.children.served(id));
            match generation.ask(id, requests) {
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
            // Its generation was given up meanwhile.
            let _ = kill(pid, Signal::SIGKILL);
            return;
        };
        if again {
            tracing::info!("Respawned uWSGI worker {} (new pid: {pid})", worker.id);
        } else {
            tracing::info!("spawned uWSGI worker {} (pid: {pid}, cores: {cores})", worker.id);
        }
        if let Some(generation) = self.generation(number) {
            generation.board.cell(cell).pid.store(pid.as_raw() as u32, Relaxed);
        }
        if let Some(notice) = early {
            self.worker_said(notice);
        }
        if let Some(status) = death {
            self.worker_died(pid, status);
        }
    }

    pub(super) fn worker_said(&mut self, notice: Notice) {
        let pid = Pid::from_raw(notice.pid() as i32);
        let Some(worker) = self.children.by_pid(pid) else {
            self.children.keep_early(pid, notice);
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
                tracing::info!("...The work of process {pid} is done ({reason}). Seeya!");
                self.ask_worker(number, id);
            }
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
        let Some(coming) = self.coming().filter(|coming| coming.number == number) else { return };
        if !self.children.all_serve(number, coming.config.processes) {
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
        let mercy = |generation: &Generation| generation.config.worker_reload_mercy.saturating_mul(SECOND);
        let Some(worker) = self.children.by_pid(pid) else { return };
        if matches!(worker.state, State::Leaving { .. }) {
            return;
        }
        let (number, signal) = match worker.state {
            // It has taken no request, and does not listen to a polite word yet.
            State::Starting => (worker.generation, Signal::SIGKILL),
            State::Serving | State::Leaving { .. } => (worker.generation, Signal::SIGHUP),
        };
        let mercy = self.generation(number).map_or(60 * SECOND, mercy);
        let now = clock::monotonic();
        if let Some(worker) = self.children.by_pid(pid) {
            worker.state = State::Leaving { until: now.saturating_add(mercy), killed: signal == Signal::SIGKILL };
            worker.since = now;
        }
        let _ = kill(pid, signal);
    }

    pub(super) fn worker_died(&mut self, pid: Pid, status: WaitStatus) {
        let Some(worker) = self.children.remove(pid) else { return };
        self.harakiri.forget(pid);
        if let Some(generation) = self.generation(worker.generation) {
            let requests = generation.board.cell(worker.cell).requests.load(Relaxed);
            generation.board.release(worker.cell);
            self.children.note_served(worker.id, requests);
        }
        let (id, number) = (worker.id, worker.generation);
        self.accepts_no_more(pid);
        match worker.state {
            State::Leaving { killed: true, .. } => {
                tracing::warn!("worker {id} (pid: {pid}) did not finish in time and was killed");
            }
            State::Leaving { .. } if status == WaitStatus::Exited(pid, 0) => {
                tracing::info!("worker {id} (pid: {pid}) finished");
            }
            State::Leaving { .. } => {
                tracing::warn!("worker {id} (pid: {pid}) {} while it finished", children::cause(status));
            }
            State::Starting | State::Serving => {
                let how = match status {
                    WaitStatus::Signaled(_, signal, _) => format!("died, killed by signal {}", signal as i32),
                    _ => format!("died ({})", children::cause(status)),
                };
                tracing::error!("DAMN ! worker {id} (pid: {pid}) {how} :( trying respawn ...");
                self.replace(id, number, &worker, status);
            }
        }
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
        let wait = self.children.back_off(id, young);
        if wait > 0 {
            tracing::warn!("worker {id} dies young again and again: the next one comes in {wait} ms");
        }
        self.respawns.push(Respawn { id, at: now + wait * 1_000_000 });
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
                .filter(|it| respawn.id <= it.config.processes && !self.children.has(it.number, respawn.id))
                .map(|it| it.number)
                .collect();
            for number in owing {
                if self.generation(number).is_some_and(|it| it.ready) {
                    self.ask_worker(number, respawn.id);
                } else if number == self.active && !matches!(self.phase, Phase::Starting) {
                    // Its zygote is gone; the next one forks the worker.
                    self.respawns.push(Respawn { id: respawn.id, at: now + SECOND / 10 });
                }
            }
        }
    }
}
