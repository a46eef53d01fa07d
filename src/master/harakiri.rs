//! Harakiri: ends requests that are past their deadline (uWSGI: `--harakiri`).
//!
//! The deadline stands on the scoreboard, set by the core that runs the request, so a busy sibling
//! can't postpone it. At the deadline the worker prints the Python stack of each thread (a signal
//! handler does it, even where C code holds the GIL), its replacement is asked for, and it stops
//! accepting. Its other cores may finish what they have until a second after the deadline, or as long
//! as `harakiri-graceful-timeout` says; then it is killed.

use std::collections::HashMap;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::children::State;
use super::{Master, Respawn, SECOND};
use crate::config::Lifetimes;
use crate::scoreboard::Running;
use crate::sys::{clock, process};

/// How long a worker has to print its Python stack, nanoseconds. Events come faster than it can.
const LAST_WORDS: u64 = 150_000_000;
/// How long after the deadline the other cores of the worker may finish, nanoseconds.
const GRACE: u64 = 900_000_000;
/// How long a killed process may take to be gone, nanoseconds. One that takes longer is stuck in the
/// kernel.
const UNDEAD: u64 = 2 * SECOND;

/// Workers that have a request past its deadline.
#[derive(Debug, Default)]
pub struct Harakiri {
    condemned: HashMap<Pid, Sentence>,
    /// Requests that were let off because too few connections wait: when they began.
    spared: HashMap<Pid, u64>,
}

/// What will become of a worker. CLOCK_MONOTONIC nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Sentence {
    /// Before this it is not killed.
    not_before: u64,
    /// It is killed now, whatever its other cores do.
    at: u64,
    /// The app is told now, once its stacks are printed: a handler that runs meanwhile changes them.
    tell: Option<u64>,
    killed: bool,
}

/// A request past its deadline.
#[derive(Debug)]
struct Overdue {
    core: usize,
    running: Running,
}

impl Harakiri {
    /// Whether a kill is due at the next look.
    pub fn is_pending(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// Forgets a dead worker; returns whether it was killed for its request.
    pub fn forget(&mut self, pid: Pid) -> bool {
        self.spared.remove(&pid);
        self.condemned.remove(&pid).is_some_and(|sentence| sentence.killed)
    }
}

impl Master {
    /// Looks at every core of every worker.
    pub(super) fn check_harakiri(&mut self, now: u64) {
        let workers: Vec<(Pid, u64, usize, usize)> = self
            .children
            .iter()
            .filter_map(|worker| Some((worker.pid?, worker.generation, worker.cell, worker.id)))
            .collect();
        for (pid, number, cell, id) in workers {
            let Some(generation) = self.generation(number) else { continue };
            let (board, config) = (&generation.board, generation.config.clone());
            let mut others = 0;
            let mut overdue = Vec::new();
            for core in 0..board.cores() {
                let cell = board.core(cell, core);
                match cell.running() {
                    Some(running) if cell.is_overdue(now) => overdue.push(Overdue { core, running }),
                    Some(_) => others += 1,
                    None => {}
                }
            }
            match (self.harakiri.condemned.get(&pid).copied(), overdue.first()) {
                (Some(sentence), _) if sentence.killed => {}
                // It answered after all, before it was killed, and ends like any other.
                (Some(_), None) => self.pardon(pid),
                (Some(sentence), Some(first)) => {
                    if sentence.tell.is_some_and(|tell| now >= tell) {
                        self.harakiri.condemned.insert(pid, Sentence { tell: None, ..sentence });
                        self.tell_gracefully(pid, &config.lifetimes);
                    }
                    if now >= sentence.at || (now >= sentence.not_before && others == 0) {
                        tracing::error!("HARAKIRI triggered by worker {id} core {} !!!", first.core);
                        let _ = kill(pid, Signal::SIGKILL);
                        self.ledger.harakiri(id);
                        self.harakiri.condemned.insert(pid, Sentence { at: now, tell: None, killed: true, ..sentence });
                    }
                }
                (None, Some(first)) if !self.is_spared(pid, id, first, &config.lifetimes) => {
                    self.pass_sentence(pid, id, &overdue, &config.lifetimes, now);
                }
                (None, _) => {}
            }
        }
    }

    /// uWSGI: `--harakiri-queue-threshold`: while few wait, a slow request harms nobody.
    fn is_spared(&mut self, pid: Pid, id: usize, overdue: &Overdue, lifetimes: &Lifetimes) -> bool {
        let threshold = lifetimes.harakiri_queue_threshold;
        if threshold == 0 {
            return false;
        }
        let waiting = self.connections_waiting();
        if waiting >= threshold {
            return false;
        }
        let began = overdue.running.started;
        if self.harakiri.spared.insert(pid, began) != Some(began) {
            tracing::warn!(
                "HARAKIRI: Skipping harakiri on worker {id}. Listen queue is smaller than the threshold \
                 ({waiting} < {threshold})"
            );
        }
        true
    }

    /// Says what hangs, has the worker show where, and its replacement come.
    fn pass_sentence(&mut self, pid: Pid, id: usize, overdue: &[Overdue], lifetimes: &Lifetimes, now: u64) {
        let graceful = lifetimes.harakiri_graceful_timeout.saturating_mul(SECOND);
        let word = if graceful > 0 { "yes" } else { "no" };
        tracing::error!("*** HARAKIRI ON WORKER {id} (pid: {pid}, try: 1, graceful: {word}) ***");
        tracing::error!("HARAKIRI !!! worker {id} status !!!");
        for Overdue { core, running } in overdue {
            let seconds = now.saturating_sub(running.started) as f64 / 1e9;
            let since = clock::epoch() - seconds as i64;
            tracing::error!("HARAKIRI [core {core}] {} since {since}, for {seconds:.1} s", running.label);
        }
        if lifetimes.harakiri_verbose {
            for thread in process::threads(pid) {
                tracing::error!("HARAKIRI: -- thread {} ({}) syscall> {}", thread.id, thread.name, thread.syscall);
                tracing::error!("HARAKIRI: -- thread {} ({}) wchan> {}", thread.id, thread.name, thread.wchan);
            }
        }
        tracing::error!("HARAKIRI !!! end of worker {id} status, its Python stacks follow !!!");
        self.condemn(pid, now);
        let _ = kill(pid, Signal::SIGUSR2);
        // From here on it accepts nothing. Its siblings have the queue, and soon its replacement.
        let _ = kill(pid, Signal::SIGHUP);
        let sentence = if graceful > 0 {
            let tell = Some(now + LAST_WORDS);
            Sentence { not_before: now + graceful, at: now + graceful, tell, killed: false }
        } else {
            let latest = overdue.iter().map(|it| it.running.deadline).min().unwrap_or(now);
            let at = (latest + GRACE).max(now + LAST_WORDS);
            Sentence { not_before: now + LAST_WORDS, at, tell: None, killed: false }
        };
        self.harakiri.condemned.insert(pid, sentence);
    }

    /// uWSGI: `--harakiri-graceful-signal`. Sent only where the app listens to it: any other way it
    /// would end the worker at once, and the requests of its other cores.
    fn tell_gracefully(&self, pid: Pid, lifetimes: &Lifetimes) {
        let number = lifetimes.harakiri_graceful_signal;
        match Signal::try_from(number as i32) {
            Ok(signal) if process::catches(pid, signal) => {
                let _ = kill(pid, signal);
            }
            Ok(signal) => tracing::warn!("the application does not handle {signal}: it is not sent"),
            Err(_) => tracing::warn!("there is no signal {number}"),
        }
    }

    /// Has a worker replaced that will be killed.
    pub(super) fn condemn(&mut self, pid: Pid, now: u64) {
        let Some(worker) = self.children.by_pid(pid) else { return };
        if matches!(worker.state, State::Starting | State::Serving) {
            (worker.state, worker.since, worker.recycling) = (State::Condemned, now, true);
            self.respawns.push(Respawn { id: worker.id, at: now });
            // Before it is killed, not after.
            self.respawn(now);
        }
    }

    fn pardon(&mut self, pid: Pid) {
        self.harakiri.forget(pid);
        let mercy = self.mercy_for(pid);
        if let Some(worker) = self.children.by_pid(pid)
            && worker.state == State::Condemned
        {
            tracing::info!("worker {} (pid: {pid}) has answered after all, and ends", worker.id);
            worker.state = State::Leaving { until: clock::monotonic().saturating_add(mercy), killed: false };
        }
    }

    /// Gives up waiting for processes that even SIGKILL does not end: the kernel holds them, for a disk
    /// or a network that does not answer.
    pub(super) fn leave_the_undead(&mut self, now: u64) {
        for worker in self.children.iter_mut() {
            let Some(pid) = worker.pid else { continue };
            let killed = match worker.state {
                State::Leaving { until, killed: true } => until,
                State::Condemned => match self.harakiri.condemned.get(&pid) {
                    Some(sentence) if sentence.killed => sentence.at,
                    _ => continue,
                },
                _ => continue,
            };
            if now.saturating_sub(killed) >= UNDEAD {
                worker.state = State::Undead;
                let id = worker.id;
                tracing::error!("worker {id} (pid: {pid}) was killed and is stuck in the kernel: nobody waits for it");
                for thread in process::threads(pid) {
                    tracing::error!("worker {id} (pid: {pid}) thread {} wchan> {}", thread.id, thread.wchan);
                }
            }
        }
    }
}
