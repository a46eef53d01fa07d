//! What every worker does right now, in memory that master and workers share.
//!
//! One board a generation, made by the master before it forks the zygote: a cell a worker, a core
//! cell a request slot. Workers write their own cells, the master reads all; atomics only, so that
//! no killed worker can keep a lock of ours. The totals and the app's own locks outlive generations.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::sys::lock::Lock;
use crate::sys::shared::SharedArray;

mod tally;

pub use tally::{BOUNDS, CoreTally, Ended, Tally};

/// A handle to a generation's board; clones share it.
#[derive(Clone, Debug)]
pub struct Scoreboard {
    cells: Arc<SharedArray<Cell>>,
    slots: Arc<SharedArray<CoreCell>>,
    totals: Arc<SharedArray<Totals>>,
    locks: Arc<SharedArray<Lock>>,
    cores: usize,
}

/// How many locks there are at most, the one that is always there included (uWSGI: `--locks`).
pub const LOCKS: usize = 256;

/// Counters of the whole instance since its start.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Totals {
    /// Requests served.
    pub requests: AtomicU64,
    /// 1 while no worker is to accept connections. Written by the master, who then pokes them.
    pub paused: AtomicU32,
    /// How often the log file was opened anew. Written by the master, who then pokes the workers.
    pub log_turn: AtomicU32,
    /// Whether an app ever set a deadline of its own.
    user_deadlines: AtomicBool,
}

/// One worker process.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Cell {
    /// The worker's pid, which it writes itself when it begins to serve; 0 before, and while the
    /// cell is free.
    pub pid: AtomicU32,
    /// The worker's number, 1 to `processes`.
    pub worker: AtomicU32,
    /// 1 while the worker accepts no connections because it was told so.
    pub paused: AtomicU32,
    /// Requests served under this number, over respawns and reloads.
    pub requests: AtomicU64,
    /// What `requests` was when this worker came.
    first: AtomicU64,
    /// Requests that ended in an exception.
    pub exceptions: AtomicU64,
    /// Bytes sent, heads included.
    pub tx: AtomicU64,
    /// Microseconds spent in requests.
    pub running_micros: AtomicU64,
}

/// Words of a core cell's label.
const LABEL: usize = 16;

/// One request slot of a worker.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct CoreCell {
    /// CLOCK_MONOTONIC nanoseconds at which the request began; 0 while idle.
    started: AtomicU64,
    /// CLOCK_MONOTONIC nanoseconds after which the request is stuck; 0 for never.
    deadline: AtomicU64,
    /// The same, set by the app (uWSGI: `uwsgi.set_user_harakiri`); 0 for none.
    user_deadline: AtomicU64,
    /// What this core has counted.
    counts: tally::CoreCounts,
    label_length: AtomicU32,
    label: [AtomicU64; LABEL],
}

/// A request under way, as another process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// CLOCK_MONOTONIC nanoseconds at which it began.
    pub started: u64,
    /// CLOCK_MONOTONIC nanoseconds after which it is stuck, the earlier one of the configuration's and
    /// the app's; 0 for never.
    pub deadline: u64,
    /// Method and URI, cut to what the cell holds.
    pub label: String,
}

impl Scoreboard {
    /// A board for `cells` workers of `cores` request slots each, with totals of its own.
    pub fn new(cells: usize, cores: usize) -> io::Result<Self> {
        let locks = SharedArray::<Lock>::new(LOCKS)?;
        locks.iter().for_each(Lock::prepare);
        Self::with_totals(cells, cores, Arc::new(SharedArray::new(1)?), Arc::new(locks))
    }

    /// The board of the next generation: new cells, the same totals.
    pub fn next(&self, cells: usize, cores: usize) -> io::Result<Self> {
        Self::with_totals(cells, cores, Arc::clone(&self.totals), Arc::clone(&self.locks))
    }

    fn with_totals(
        cells: usize,
        cores: usize,
        totals: Arc<SharedArray<Totals>>,
        locks: Arc<SharedArray<Lock>>,
    ) -> io::Result<Self> {
        Ok(Self {
            cells: Arc::new(SharedArray::new(cells)?),
            slots: Arc::new(SharedArray::new(cells * cores)?),
            totals,
            locks,
            cores,
        })
    }

    /// What a program has to agree with that goes on with a board of ours: bytes of each element.
    pub fn layout() -> [usize; 4] {
        [size_of::<Cell>(), size_of::<CoreCell>(), size_of::<Totals>(), size_of::<Lock>()]
    }

    /// Where the board stands: cells, slots, totals, locks. [`Scoreboard::adopt`] takes the same.
    pub fn memory(&self) -> [BorrowedFd<'_>; 4] {
        [self.cells.as_fd(), self.slots.as_fd(), self.totals.as_fd(), self.locks.as_fd()]
    }

    /// Goes on with a board that the program before this one made.
    pub fn adopt([own, slots, totals, locks]: [OwnedFd; 4], cells: usize, cores: usize) -> io::Result<Self> {
        Ok(Self {
            cells: Arc::new(SharedArray::adopt(own, cells)?),
            slots: Arc::new(SharedArray::adopt(slots, cells * cores)?),
            totals: Arc::new(SharedArray::adopt(totals, 1)?),
            locks: Arc::new(SharedArray::adopt(locks, LOCKS)?),
            cores,
        })
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// How many cores a worker has.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// One worker's cell.
    pub fn cell(&self, index: usize) -> &Cell {
        &self.cells[index]
    }

    /// One core of one worker.
    pub fn core(&self, cell: usize, core: usize) -> &CoreCell {
        &self.slots[cell * self.cores + core]
    }

    /// A lock of the app's, the same for every generation (uWSGI: `uwsgi.lock`).
    pub fn lock(&self, number: usize) -> Option<&Lock> {
        self.locks.get(number)
    }

    /// The instance's counters.
    pub fn totals(&self) -> &Totals {
        &self.totals[0]
    }

    /// Gives the request of a core a deadline of the app's, CLOCK_MONOTONIC nanoseconds; 0 takes it
    /// back, and so does the end of the request (uWSGI: `uwsgi.set_user_harakiri`).
    pub fn set_user_deadline(&self, cell: usize, core: usize, deadline: u64) {
        self.totals().user_deadlines.store(true, Relaxed);
        self.core(cell, core).user_deadline.store(deadline, Relaxed);
    }

    /// The deadline that the app gave the request of a core, CLOCK_MONOTONIC nanoseconds; 0 for none.
    pub fn user_deadline(&self, cell: usize, core: usize) -> u64 {
        self.core(cell, core).user_deadline.load(Relaxed)
    }

    /// Whether an app ever set a deadline.
    pub fn has_user_deadlines(&self) -> bool {
        self.totals().user_deadlines.load(Relaxed)
    }

    /// Whether any core of a worker has a request.
    pub fn is_busy(&self, cell: usize) -> bool {
        (0..self.cores).any(|core| self.core(cell, core).started.load(Relaxed) != 0)
    }

    /// Requests that the worker of this cell has served itself.
    pub fn served_here(&self, cell: usize) -> u64 {
        let cell = self.cell(cell);
        cell.requests.load(Relaxed).saturating_sub(cell.first.load(Relaxed))
    }

    /// Microseconds that a worker has spent in requests up to `now`, those under way included.
    pub fn worked(&self, cell: usize, now: u64) -> u64 {
        let under_way = |core| match self.core(cell, core).started.load(Relaxed) {
            0 => 0,
            started => now.saturating_sub(started) / 1000,
        };
        self.cell(cell).running_micros.load(Relaxed) + (0..self.cores).map(under_way).sum::<u64>()
    }

    /// Takes a free cell for worker `worker`, who goes on counting at `requests`.
    pub fn claim(&self, worker: usize, requests: u64) -> Option<usize> {
        let index = self.cells.iter().position(|cell| cell.worker.load(Relaxed) == 0)?;
        let cell = &self.cells[index];
        cell.worker.store(worker as u32, Relaxed);
        cell.pid.store(0, Relaxed);
        cell.paused.store(0, Relaxed);
        cell.requests.store(requests, Relaxed);
        cell.first.store(requests, Relaxed);
        for counter in [&cell.exceptions, &cell.tx, &cell.running_micros] {
            counter.store(0, Relaxed);
        }
        for core in 0..self.cores {
            self.core(index, core).end();
            self.core(index, core).counts.clear();
        }
        Some(index)
    }

    /// Gives a cell back after its worker's death.
    pub fn release(&self, index: usize) {
        self.cells[index].pid.store(0, Relaxed);
        self.cells[index].worker.store(0, Relaxed);
    }
}

impl CoreCell {
    /// Notes that a request began. `now` and `deadline` are CLOCK_MONOTONIC nanoseconds; a
    /// `deadline` of 0 means none.
    pub fn begin(&self, now: u64, deadline: u64, method: &[u8], uri: &[u8]) {
        let mut bytes = [0; LABEL * 8];
        let mut length = 0;
        for part in [method, b" ", uri] {
            let count = part.len().min(bytes.len() - length);
            bytes[length..length + count].copy_from_slice(&part[..count]);
            length += count;
        }
        for (word, bytes) in self.label.iter().zip(bytes[..length].chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(eight), Relaxed);
        }
        self.label_length.store(length as u32, Relaxed);
        self.deadline.store(deadline, Relaxed);
        self.started.store(now.max(1), std::sync::atomic::Ordering::Release);
    }

    /// Notes that the request is over.
    pub fn end(&self) {
        self.started.store(0, std::sync::atomic::Ordering::Release);
        self.deadline.store(0, Relaxed);
        self.user_deadline.store(0, Relaxed);
    }

    /// The request under way; `None` while idle. A request that ends and another that begins in
    /// between may lend each other's label, which only a log line would show.
    pub fn running(&self) -> Option<Running> {
        let started = self.started.load(std::sync::atomic::Ordering::Acquire);
        if started == 0 {
            return None;
        }
        let bytes: Vec<u8> = self.label.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        let length = (self.label_length.load(Relaxed) as usize).min(bytes.len());
        let label = String::from_utf8_lossy(&bytes[..length]).escape_debug().to_string();
        Some(Running { started, deadline: self.due(), label })
    }

    /// The earlier deadline of the two; 0 for none.
    fn due(&self) -> u64 {
        let deadlines = [self.deadline.load(Relaxed), self.user_deadline.load(Relaxed)];
        deadlines.into_iter().filter(|deadline| *deadline != 0).min().unwrap_or(0)
    }

    /// Whether the request under way is past its deadline at `now`.
    pub fn is_overdue(&self, now: u64) -> bool {
        let deadline = self.due();
        deadline != 0 && now > deadline && self.started.load(Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_claimed_and_released() {
        let board = Scoreboard::new(2, 3).unwrap();
        assert_eq!(board.claim(1, 7), Some(0));
        assert_eq!(board.claim(2, 0), Some(1));
        assert_eq!(board.claim(3, 0), None);
        assert_eq!(board.cell(0).requests.load(Relaxed), 7);
        board.cell(0).requests.fetch_add(2, Relaxed);
        assert_eq!(board.served_here(0), 2);
        board.release(0);
        assert_eq!(board.claim(3, 0), Some(0));
    }

    #[test]
    fn a_request_is_seen_while_it_runs() {
        let board = Scoreboard::new(1, 1).unwrap();
        let core = board.core(0, 0);
        assert_eq!(core.running(), None);
        core.begin(1_000, 2_000, b"GET", b"/a?b=\n");
        let running = core.running().unwrap();
        assert_eq!((running.started, running.deadline, running.label.as_str()), (1_000, 2_000, "GET /a?b=\\n"));
        assert!(!core.is_overdue(2_000) && core.is_overdue(2_001));
        core.end();
        assert!(core.running().is_none() && !core.is_overdue(u64::MAX));
    }

    #[test]
    fn the_earlier_deadline_counts_and_the_apps_ends_with_the_request() {
        let board = Scoreboard::new(1, 1).unwrap();
        let core = board.core(0, 0);
        core.begin(1_000, 9_000, b"GET", b"/");
        assert!(!board.has_user_deadlines());
        board.set_user_deadline(0, 0, 3_000);
        assert!(board.has_user_deadlines() && core.is_overdue(3_001) && !core.is_overdue(3_000));
        assert_eq!(core.running().unwrap().deadline, 3_000);
        board.set_user_deadline(0, 0, 0);
        assert!(!core.is_overdue(9_000) && core.is_overdue(9_001));
        board.set_user_deadline(0, 0, 3_000);
        core.end();
        core.begin(4_000, 0, b"GET", b"/");
        assert!(!core.is_overdue(u64::MAX));
    }

    #[test]
    fn labels_are_cut_and_totals_live_on() {
        let board = Scoreboard::new(1, 1).unwrap();
        board.core(0, 0).begin(1, 0, b"GET", &[b'x'; 500]);
        assert_eq!(board.core(0, 0).running().unwrap().label.len(), 128);
        board.totals().requests.store(5, Relaxed);
        let next = board.next(4, 2).unwrap();
        assert_eq!((next.totals().requests.load(Relaxed), next.cells(), next.cores()), (5, 4, 2));
        next.claim(3, 9);
        let memory = next.memory().map(|fd| fd.try_clone_to_owned().unwrap());
        let adopted = Scoreboard::adopt(memory, 4, 2).unwrap();
        drop((board, next));
        assert_eq!((adopted.totals().requests.load(Relaxed), adopted.cell(0).requests.load(Relaxed)), (5, 9));
    }
}
