//! What outlives workers: the counters of the dead by worker number, how they ended, how reloads went.
//!
//! Part of the master. Sums only: nothing here ever goes back while the instance lives, over respawns
//! and reloads. Read for the figures, and to have request lines count on.

use std::collections::BTreeMap;

use nix::sys::wait::WaitStatus;
use serde::{Deserialize, Serialize};

use super::Master;
use super::children::{State, Worker};
use crate::scoreboard::Tally;
use crate::stats::{Ends, Reloads};
use crate::sys::clock;

/// The books of an instance.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    numbers: BTreeMap<usize, Account>,
    /// How workers ended.
    pub ends: Ends,
    /// How reloads went.
    pub reloads: Reloads,
}

/// What is known of a worker number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// What workers of this number counted that are dead.
    past: Tally,
    /// How often one was forked.
    pub spawns: u64,
    /// When the last one was, seconds since 1970.
    pub last_spawn: i64,
    /// How many harakiri killed.
    pub harakiri: u64,
}

impl Ledger {
    /// Notes that a worker was forked.
    pub fn spawned(&mut self, id: usize) {
        let account = self.numbers.entry(id).or_default();
        account.spawns += 1;
        account.last_spawn = clock::epoch();
    }

    /// Notes that harakiri kills a worker.
    pub fn harakiri(&mut self, id: usize) {
        self.numbers.entry(id).or_default().harakiri += 1;
    }

    /// Notes a death, and what the dead one had counted.
    pub fn died(&mut self, worker: &Worker, counted: &Tally, status: WaitStatus, by_harakiri: bool) {
        self.numbers.entry(worker.id).or_default().past.add(counted);
        let signalled = matches!(status, WaitStatus::Signaled(..));
        let ends = &mut self.ends;
        let end = match worker.state {
            State::Unwanted => return,
            State::Condemned | State::Undead if by_harakiri => &mut ends.harakiri,
            State::Condemned if signalled => &mut ends.memory,
            State::Leaving { killed: true, .. } | State::Undead => &mut ends.mercy,
            State::Leaving { .. } | State::Condemned if !signalled => &mut ends.finished,
            _ if signalled => &mut ends.signal,
            _ => &mut ends.exit,
        };
        *end += 1;
    }

    /// Notes how a reload ended.
    pub fn reloaded(&mut self, done: bool) {
        let reloads = &mut self.reloads;
        *(if done { &mut reloads.done } else { &mut reloads.failed }) += 1;
        reloads.last = Some((done, clock::epoch() as f64));
    }

    /// What is known of a number.
    pub fn account(&self, id: usize) -> Account {
        self.numbers.get(&id).cloned().unwrap_or_default()
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.numbers.values()
    }
}

impl Master {
    /// What all workers of a number have counted, dead and alive.
    pub(super) fn tally(&self, id: usize) -> Tally {
        let mut sum = self.ledger.account(id).past;
        for worker in self.children.iter().filter(|worker| worker.id == id) {
            if let Some(generation) = self.generation(worker.generation) {
                sum.add(&generation.board.tally(worker.cell));
            }
        }
        sum
    }

    /// What all workers have counted.
    pub(super) fn totals(&self) -> Tally {
        let mut sum = Tally::default();
        self.ledger.accounts().for_each(|account| sum.add(&account.past));
        for worker in self.children.iter() {
            if let Some(generation) = self.generation(worker.generation) {
                sum.add(&generation.board.tally(worker.cell));
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;
    use nix::unistd::Pid;

    use super::*;

    fn worker(state: State) -> Worker {
        Worker { id: 1, generation: 1, cell: 0, pid: None, state, since: 0, recycling: false }
    }

    #[test]
    fn each_death_has_one_cause_and_nothing_counted_is_lost() {
        let pid = Pid::from_raw(77);
        let (killed, done) = (WaitStatus::Signaled(pid, Signal::SIGKILL, false), WaitStatus::Exited(pid, 0));
        let counted = Tally { requests: 3, ..Tally::default() };
        let mut ledger = Ledger::default();
        for (state, status, by_harakiri) in [
            (State::Unwanted, killed, false),
            (State::Condemned, killed, true),
            (State::Condemned, killed, false),
            (State::Condemned, done, false),
            (State::Leaving { until: 0, killed: false }, done, false),
            (State::Leaving { until: 0, killed: true }, killed, false),
            (State::Leaving { until: 0, killed: false }, killed, false),
            (State::Serving, killed, false),
            (State::Starting, WaitStatus::Exited(pid, 1), false),
        ] {
            ledger.died(&worker(state), &counted, status, by_harakiri);
        }
        assert_eq!(ledger.ends, Ends { finished: 2, mercy: 1, harakiri: 1, memory: 1, signal: 2, exit: 1 });
        assert_eq!(ledger.account(1).past.requests, 27);
    }
}
