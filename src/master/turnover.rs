//! Replacing the workers of the generation that serves: all at once or one after the other (uWSGI: `w`
//! and `c` over the FIFO, `--touch-workers-reload`, `--touch-chain-reload`).
//!
//! Part of the master. Each worker serves until its replacement does, so that nobody waits. The code
//! is the zygote's: new code comes with it only where workers import it themselves (`lazy-apps`).

use nix::unistd::Pid;

use super::children::State;
use super::control::Waiter;
use super::reload::{answer, refuse};
use super::{Master, Phase, Respawn};
use crate::error::{Code, Error};
use crate::sys::clock;

/// A replacement of all workers under way.
#[derive(Debug)]
pub struct Turnover {
    waiters: Vec<Waiter>,
    /// Whether the next one has to wait for the one before.
    chain: bool,
    /// Workers that still have to go, the next one last.
    old: Vec<Pid>,
    began: u64,
}

impl Master {
    /// Replaces every worker that serves. While a reload runs, that one brings new workers anyway.
    pub(super) fn reload_workers(&mut self, chain: bool, waiter: Option<Waiter>) {
        match &mut self.phase {
            Phase::Stopping => return refuse(waiter),
            Phase::Starting | Phase::Reloading(_) => return self.reload(waiter),
            Phase::Serving => {}
        }
        if let Some(turnover) = &mut self.turnover {
            tracing::info!(
                "{}",
                if turnover.chain { "chain reload already running..." } else { "workers reload already running..." }
            );
            turnover.waiters.extend(waiter);
            return;
        }
        let active = self.active;
        let mut workers: Vec<(usize, Pid)> = self
            .children
            .iter()
            .filter(|worker| worker.generation == active && worker.state == State::Serving)
            .filter_map(|worker| Some((worker.id, worker.pid?)))
            .collect();
        workers.sort_unstable_by(|one, other| other.cmp(one));
        let old: Vec<Pid> = workers.iter().map(|(_, pid)| *pid).collect();
        tracing::info!("{}", if chain { "chain reload starting..." } else { "workers reload starting..." });
        self.turnover = Some(Turnover {
            waiters: waiter.into_iter().collect(),
            chain,
            old: old.clone(),
            began: clock::monotonic(),
        });
        if chain {
            self.replace_next();
        } else {
            old.into_iter().rev().for_each(|pid| self.replace_worker(pid));
            self.turnover_goes_on();
        }
    }

    /// A worker accepts no more, or is gone.
    pub(super) fn turnover_without(&mut self, pid: Pid) {
        let Some(turnover) = &mut self.turnover else { return };
        let next = turnover.old.last() == Some(&pid);
        turnover.old.retain(|old| *old != pid);
        if turnover.chain && next {
            self.replace_next();
        } else {
            self.turnover_goes_on();
        }
    }

    /// A worker that should replace another did not come up: those that are left go on serving.
    pub(super) fn turnover_failed(&mut self, number: u64, id: usize, why: &str) {
        if number != self.active || !self.children.recycles(number, id) {
            return;
        }
        let Some(turnover) = self.turnover.take() else { return };
        for worker in
            self.children.iter_mut().filter(|worker| worker.pid.is_some_and(|pid| turnover.old.contains(&pid)))
        {
            worker.recycling = false;
        }
        let error = Error::new(Code::ReloadFailed, format!("worker {id} can't be replaced: the new one {why}"))
            .hint("the workers that were there go on serving; the log says more");
        tracing::error!("{error}");
        for waiter in turnover.waiters {
            answer(Some(waiter), &Err(error.clone()));
        }
    }

    /// A reload or a stop takes the place of what was under way.
    pub(super) fn turnover_superseded(&mut self) {
        if let Some(turnover) = self.turnover.take() {
            let error = Error::new(Code::ReloadFailed, "a reload or a stop came in between");
            for waiter in turnover.waiters {
                answer(Some(waiter), &Err(error.clone()));
            }
        }
    }

    fn replace_next(&mut self) {
        let Some(victim) = self.turnover.as_ref().and_then(|turnover| turnover.old.last().copied()) else {
            return self.turnover_goes_on();
        };
        if let Some(worker) = self.children.by_pid(victim) {
            tracing::info!("chain next victim is worker {}", worker.id);
        }
        self.replace_worker(victim);
    }

    fn replace_worker(&mut self, pid: Pid) {
        let Some(worker) = self.children.by_pid(pid) else { return };
        worker.recycling = true;
        let id = worker.id;
        self.respawns.push(Respawn { id, at: clock::monotonic() });
    }

    fn turnover_goes_on(&mut self) {
        if self.turnover.as_ref().is_none_or(|turnover| !turnover.old.is_empty()) {
            return;
        }
        let Some(turnover) = self.turnover.take() else { return };
        let millis = clock::monotonic().saturating_sub(turnover.began) / 1_000_000;
        let what = if turnover.chain { "chain reloading complete" } else { "workers reloading complete" };
        tracing::info!("{what}");
        for waiter in turnover.waiters {
            answer(Some(waiter), &Ok(format!("{what} after {millis} ms").into()));
        }
    }
}
