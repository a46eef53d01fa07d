//! Workers that have served enough, lived long enough, or grown too large: replaced one at a time.
//!
//! Part of the master. `max-requests` is counted by the worker itself, which asks; age and memory are
//! looked at here, off the path of requests. A replacement serves before its predecessor is told to
//! finish, so that there are never fewer workers; only `evil-reload-on-…` kills at once.

use std::collections::VecDeque;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::children::{State, Worker};
use super::{Master, Phase, Respawn, SECOND};
use crate::config::Config;
use crate::sys::clock;
use crate::sys::process::Memory;

const MEGABYTE: u64 = 1 << 20;

/// Who waits to be replaced.
#[derive(Debug, Default)]
pub struct Recycle {
    queue: VecDeque<Pid>,
    /// CLOCK_MONOTONIC nanoseconds of the next look at ages and memory.
    next: u64,
}

/// Why a worker is to be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// When its turn comes.
    Soon(String),
    /// Killed now.
    AtOnce(String),
}

impl Master {
    /// Notes that a worker is to be replaced.
    pub(super) fn retire_soon(&mut self, pid: Pid, reason: &str) {
        if !self.recycle.queue.contains(&pid) {
            tracing::info!("...The work of process {pid} is done ({reason}). Seeya!");
            self.recycle.queue.push_back(pid);
        }
    }

    /// Has the next one replaced, once the one before is.
    pub(super) fn recycle_next(&mut self, now: u64) {
        // A reload replaces all of them.
        if !matches!(self.phase, Phase::Serving) {
            return;
        }
        let active = self.active;
        let Some(generation) = self.generation(active).filter(|it| it.ready) else { return };
        let most = generation.crew.size();
        while let Some(pid) = self.recycle.queue.front().copied() {
            let leaving = |it: &&Worker| matches!(it.state, State::Leaving { .. });
            let under_way = |it: &Worker| it.recycling && it.state == State::Serving;
            // Those that finish slowly count too, or there would be ever more processes.
            if self.children.iter().any(under_way) || self.children.iter().filter(leaving).count() >= most {
                return;
            }
            self.recycle.queue.pop_front();
            if let Some(worker) = self.children.by_pid(pid)
                && worker.state == State::Serving
                && worker.generation == active
            {
                worker.recycling = true;
                self.respawns.push(Respawn { id: worker.id, at: now });
            }
        }
    }

    /// Looks at ages and memory, every `mem-collector-freq` seconds.
    pub(super) fn look_at_the_workers(&mut self, now: u64) {
        if now < self.recycle.next || !matches!(self.phase, Phase::Serving) {
            return;
        }
        let Some(config) = self.generation(self.active).map(|it| it.config.clone()) else { return };
        let lifetimes = &config.lifetimes;
        self.recycle.next = now + lifetimes.mem_collector_freq.max(1).saturating_mul(SECOND);
        let limits = [
            lifetimes.reload_on_rss,
            lifetimes.reload_on_as,
            lifetimes.evil_reload_on_rss,
            lifetimes.evil_reload_on_as,
        ];
        let by_memory = limits.iter().any(|limit| *limit > 0);
        if lifetimes.max_worker_lifetime == 0 && !by_memory {
            return;
        }
        let mut verdicts = Vec::new();
        for worker in self.children.iter() {
            let Some(pid) = worker.pid.filter(|_| worker.generation == self.active && !worker.recycling) else {
                continue;
            };
            if worker.state != State::Serving {
                continue;
            }
            let age = now.saturating_sub(worker.since) / SECOND;
            let memory = if by_memory { Memory::of(pid).ok() } else { None };
            // One that is too large before its first request would be replaced for ever.
            let fresh = self.generation(self.active).is_some_and(|it| it.board.served_here(worker.cell) == 0);
            if let Some(verdict) = judge(worker.id, pid, age, fresh, memory, &config) {
                verdicts.push((pid, verdict));
            }
        }
        for (pid, verdict) in verdicts {
            match verdict {
                Verdict::Soon(reason) => self.retire_soon(pid, &reason),
                Verdict::AtOnce(line) => {
                    tracing::error!("{line}");
                    self.condemn(pid, clock::monotonic());
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        }
    }
}

/// Whether a worker of this age, seconds, and of this size is to go.
fn judge(id: usize, pid: Pid, age: u64, fresh: bool, memory: Option<Memory>, config: &Config) -> Option<Verdict> {
    let lifetimes = &config.lifetimes;
    let over = |limit: u64, used: u64| limit > 0 && used > limit.saturating_mul(MEGABYTE);
    if let Some(Memory { size, resident }) = memory {
        let evil = |name: &str, used| {
            Some(Verdict::AtOnce(format!("*** EVIL RELOAD ON WORKER {id} {name}: {used} (pid: {pid}) ***")))
        };
        if over(lifetimes.evil_reload_on_as, size) {
            return evil("ADDRESS SPACE", size);
        }
        if over(lifetimes.evil_reload_on_rss, resident) {
            return evil("RSS", resident);
        }
        let old_enough = age >= config.min_worker_lifetime && !fresh;
        if old_enough && over(lifetimes.reload_on_as, size) {
            return Some(Verdict::Soon(format!("reload-on-as: {size} bytes")));
        }
        if old_enough && over(lifetimes.reload_on_rss, resident) {
            return Some(Verdict::Soon(format!("reload-on-rss: {resident} bytes")));
        }
    }
    let longest = spread(lifetimes.max_worker_lifetime, lifetimes.max_worker_lifetime_delta, id);
    (longest > 0 && age >= longest)
        .then(|| Verdict::Soon(format!("worker {id} lifetime reached, it was running for {age} second(s)")))
}

/// A limit of worker `id`: `delta` more for each that comes before it. 0 is none.
fn spread(limit: u64, delta: u64, id: usize) -> u64 {
    match limit {
        0 => 0,
        limit => limit.saturating_add(delta.saturating_mul(id.saturating_sub(1) as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(age: u64, fresh: bool, megabytes: u64, change: impl FnOnce(&mut Config)) -> Option<&'static str> {
        let mut config = Config::default();
        change(&mut config);
        let memory = Memory { size: 4 * megabytes * MEGABYTE, resident: megabytes * MEGABYTE };
        judge(2, Pid::from_raw(7), age, fresh, Some(memory), &config).map(|verdict| match verdict {
            Verdict::Soon(_) => "soon",
            Verdict::AtOnce(_) => "at once",
        })
    }

    #[test]
    fn the_large_are_replaced_once_they_have_served() {
        let rss = |config: &mut Config| config.lifetimes.reload_on_rss = 100;
        assert_eq!(verdict(5, false, 101, rss), Some("soon"));
        assert_eq!(verdict(5, false, 100, rss), None);
        assert_eq!(verdict(5, true, 101, rss), None);
        assert_eq!(verdict(5, false, 101, |config| config.lifetimes.reload_on_as = 400), Some("soon"));
        let young = |config: &mut Config| (config.lifetimes.reload_on_rss, config.min_worker_lifetime) = (100, 6);
        assert_eq!(verdict(5, false, 101, young), None);
        assert_eq!(verdict(6, false, 101, young), Some("soon"));
    }

    #[test]
    fn evil_asks_nobody() {
        let evil = |config: &mut Config| (config.lifetimes.evil_reload_on_rss, config.min_worker_lifetime) = (100, 60);
        assert_eq!(verdict(5, true, 101, evil), Some("at once"));
        assert_eq!(verdict(5, true, 100, evil), None);
        assert_eq!(verdict(5, true, 101, |config| config.lifetimes.evil_reload_on_as = 100), Some("at once"));
    }

    #[test]
    fn the_old_are_replaced_each_at_its_own_age() {
        let lifetime = |config: &mut Config| {
            (config.lifetimes.max_worker_lifetime, config.lifetimes.max_worker_lifetime_delta) = (60, 5);
        };
        assert_eq!(verdict(64, true, 1, lifetime), None);
        assert_eq!(verdict(65, true, 1, lifetime), Some("soon"));
        assert_eq!((spread(60, 5, 1), spread(60, 5, 3), spread(0, 5, 3)), (60, 70, 0));
    }
}
