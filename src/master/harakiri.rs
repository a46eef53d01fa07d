//! Harakiri: ends requests that are past their deadline (uWSGI: `--harakiri`).
//!
//! The deadline stands on the scoreboard, set by the core that runs the request, so a busy sibling
//! can't postpone it. The worker first prints the Python stack of each thread (a signal handler does
//! it, even where C code holds the GIL), and is killed a moment later.

use std::collections::HashMap;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::children::Children;
use super::generation::Generation;
use crate::sys::clock;

/// How long a worker has to print its Python stack, nanoseconds. Events come faster than it can.
const LAST_WORDS: u64 = 150_000_000;

/// Workers that were asked for their stack and die next.
#[derive(Debug, Default)]
pub struct Harakiri {
    /// And when, CLOCK_MONOTONIC nanoseconds.
    condemned: HashMap<Pid, u64>,
}

impl Harakiri {
    /// Looks at every core of every worker.
    pub fn check(&mut self, children: &Children, generations: &[Generation]) {
        let now = clock::monotonic();
        for worker in children.iter() {
            let Some(pid) = worker.pid else { continue };
            let Some(generation) = generations.iter().find(|generation| generation.number == worker.generation) else {
                continue;
            };
            let board = &generation.board;
            let overdue: Vec<usize> =
                (0..board.cores()).filter(|core| board.core(worker.cell, *core).is_overdue(now)).collect();
            if overdue.is_empty() {
                // It answered after all, between the stack and the kill.
                self.condemned.remove(&pid);
            } else if let Some(at) = self.condemned.get(&pid).copied() {
                if now < at {
                    continue;
                }
                self.condemned.remove(&pid);
                tracing::error!("HARAKIRI triggered by worker {} core {} !!!", worker.id, overdue[0]);
                let _ = kill(pid, Signal::SIGKILL);
            } else {
                tracing::error!("*** HARAKIRI ON WORKER {} (pid: {pid}, try: 1, graceful: no) ***", worker.id);
                tracing::error!("HARAKIRI !!! worker {} status !!!", worker.id);
                for core in overdue {
                    if let Some(running) = board.core(worker.cell, core).running() {
                        let seconds = now.saturating_sub(running.started) as f64 / 1e9;
                        tracing::error!("HARAKIRI [core {core}] {} for {seconds:.1} s", running.label);
                    }
                }
                tracing::error!("HARAKIRI !!! end of worker {} status, its Python stacks follow !!!", worker.id);
                let _ = kill(pid, Signal::SIGUSR2);
                self.condemned.insert(pid, now + LAST_WORDS);
            }
        }
    }

    /// Whether a kill is due at the next look.
    pub fn is_pending(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// Forgets a dead worker.
    pub fn forget(&mut self, pid: Pid) {
        self.condemned.remove(&pid);
    }
}
