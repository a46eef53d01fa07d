//! The counters of one worker, read off the board at one moment, and sums of them.
//!
//! Part of the scoreboard. A worker counts from nothing; the master adds what the dead have counted,
//! so that no sum ever goes back. Used by the master and the figures.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::{CoreCell, Scoreboard};

/// Upper bounds of the classes of durations, microseconds; what takes longer is a class of its own.
pub const BOUNDS: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// Classes of durations.
pub const DURATIONS: usize = BOUNDS.len() + 1;
/// Classes of statuses: 1xx to 5xx at their first digit, all else at 0.
pub const STATUSES: usize = 6;

/// What one core has counted. Only the core itself writes it, so that a load and a store will do.
#[derive(Debug, Default)]
pub struct CoreCounts {
    requests: AtomicU64,
    exceptions: AtomicU64,
    read_errors: AtomicU64,
    write_errors: AtomicU64,
    statuses: [AtomicU64; STATUSES],
    durations: [AtomicU64; DURATIONS],
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// The status of its response.
    pub status: u16,
    /// How long it took, microseconds.
    pub micros: u64,
    /// Whether the app raised.
    pub exception: bool,
    /// Whether its body could not be read.
    pub read_failed: bool,
    /// Whether its response could not be written.
    pub write_failed: bool,
}

/// Counters of a worker, or sums over workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests served.
    pub requests: u64,
    /// Requests that ended in an exception.
    pub exceptions: u64,
    /// Bytes sent, heads included.
    pub tx: u64,
    /// Microseconds spent in requests.
    pub running_micros: u64,
    /// Requests by the first digit of their status; 0 for those without one.
    pub statuses: [u64; STATUSES],
    /// Requests by how long they took, see [`BOUNDS`].
    pub durations: [u64; DURATIONS],
    /// The cores' own.
    pub cores: Vec<CoreTally>,
}

/// Counters of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoreTally {
    /// Requests served.
    pub requests: u64,
    /// Requests that ended in an exception.
    pub exceptions: u64,
    /// Requests whose body could not be read.
    pub read_errors: u64,
    /// Requests whose response could not be written.
    pub write_errors: u64,
}

impl CoreCounts {
    fn count(&self, ended: Ended) {
        bump(&self.requests);
        let class = usize::from(ended.status / 100);
        bump(&self.statuses[if class < STATUSES { class } else { 0 }]);
        bump(&self.durations[BOUNDS.partition_point(|bound| *bound < ended.micros)]);
        if ended.exception {
            bump(&self.exceptions);
        }
        if ended.read_failed {
            bump(&self.read_errors);
        }
        if ended.write_failed {
            bump(&self.write_errors);
        }
    }

    /// Begins at nothing, for another worker.
    pub(super) fn clear(&self) {
        let single = [&self.requests, &self.exceptions, &self.read_errors, &self.write_errors];
        for counter in single.into_iter().chain(&self.statuses).chain(&self.durations) {
            counter.store(0, Relaxed);
        }
    }
}

/// Adds one where nobody else writes: no locked instruction.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl CoreCell {
    /// Counts a request that is over. Called by the core itself.
    pub fn count(&self, ended: Ended) {
        self.counts.count(ended);
    }

    /// Requests that this core has served.
    pub fn served(&self) -> u64 {
        self.counts.requests.load(Relaxed)
    }
}

impl Tally {
    /// Adds another one's counters.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.exceptions += other.exceptions;
        self.tx += other.tx;
        self.running_micros += other.running_micros;
        add_each(&mut self.statuses, &other.statuses);
        add_each(&mut self.durations, &other.durations);
        if self.cores.len() < other.cores.len() {
            self.cores.resize(other.cores.len(), CoreTally::default());
        }
        for (sum, core) in self.cores.iter_mut().zip(&other.cores) {
            sum.requests += core.requests;
            sum.exceptions += core.exceptions;
            sum.read_errors += core.read_errors;
            sum.write_errors += core.write_errors;
        }
    }

    /// How long a request takes on average, microseconds.
    pub fn average(&self) -> u64 {
        self.running_micros.checked_div(self.requests).unwrap_or(0)
    }
}

fn add_each(sums: &mut [u64], others: &[u64]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += other;
    }
}

impl Scoreboard {
    /// What the worker of a cell has counted itself.
    pub fn tally(&self, index: usize) -> Tally {
        let cell = self.cell(index);
        let mut tally = Tally {
            requests: self.served_here(index),
            exceptions: cell.exceptions.load(Relaxed),
            tx: cell.tx.load(Relaxed),
            running_micros: cell.running_micros.load(Relaxed),
            ..Tally::default()
        };
        for core in 0..self.cores() {
            let counts = &self.core(index, core).counts;
            tally.cores.push(CoreTally {
                requests: counts.requests.load(Relaxed),
                exceptions: counts.exceptions.load(Relaxed),
                read_errors: counts.read_errors.load(Relaxed),
                write_errors: counts.write_errors.load(Relaxed),
            });
            add_each(&mut tally.statuses, &counts.statuses.each_ref().map(|count| count.load(Relaxed)));
            add_each(&mut tally.durations, &counts.durations.each_ref().map(|count| count.load(Relaxed)));
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_counted_once_in_each_way() {
        let board = Scoreboard::new(1, 2).unwrap();
        board.claim(1, 40);
        for (core, status, micros) in [(0, 200, 1_000), (0, 204, 1_001), (1, 503, u64::MAX), (1, 0, 0)] {
            board.core(0, core).count(Ended { status, micros, write_failed: status == 503, ..Ended::default() });
            board.cell(0).requests.fetch_add(1, Relaxed);
        }
        let tally = board.tally(0);
        assert_eq!(tally.requests, 4);
        assert_eq!(tally.statuses, [1, 0, 2, 0, 0, 1]);
        assert_eq!((tally.durations[0], tally.durations[1], tally.durations[DURATIONS - 1]), (2, 1, 1));
        assert_eq!(tally.cores[1], CoreTally { requests: 2, write_errors: 1, ..CoreTally::default() });
    }

    #[test]
    fn the_next_worker_of_a_cell_begins_at_nothing() {
        let board = Scoreboard::new(1, 1).unwrap();
        board.claim(1, 0);
        board.core(0, 0).count(Ended { status: 200, ..Ended::default() });
        board.release(0);
        board.claim(2, 7);
        assert_eq!(board.tally(0), Tally { cores: vec![CoreTally::default()], ..Tally::default() });
    }

    #[test]
    fn sums_keep_the_cores_of_the_larger() {
        let one =
            Tally { requests: 1, cores: vec![CoreTally { requests: 1, ..CoreTally::default() }], ..Tally::default() };
        let mut sum = Tally::default();
        sum.add(&one);
        sum.add(&Tally { requests: 2, running_micros: 9, cores: vec![CoreTally::default(); 3], ..Tally::default() });
        assert_eq!((sum.requests, sum.average(), sum.cores.len(), sum.cores[0].requests), (3, 3, 3, 1));
    }
}
