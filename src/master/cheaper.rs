//! As many workers as the load needs (uWSGI: `--cheaper`), or none at all (`--cheap`, `--idle`).
//!
//! Part of the master: once a second it looks at the scoreboard and asks the algorithm. A worker that
//! is to end is idle when it is chosen, finishes what it may have accepted since, and then goes; a
//! client never notices. Where nobody is at work, the master waits for a connection by itself, and
//! leaves it to the workers that it starts then.

use std::sync::atomic::Ordering::Relaxed;

use tokio::task::JoinHandle;

use super::children::State;
use super::{Master, Phase, Respawn, SECOND};
use crate::config::Config;
use crate::sys::clock;
use crate::sys::process::Memory;

mod algorithm;
mod busyness;

use algorithm::{Advice, Algorithm, Limits, Sight};

/// What the master remembers about the load of the generation that serves.
#[derive(Debug)]
pub struct Cheaper {
    generation: u64,
    algorithm: Algorithm,
    limits: Limits,
    /// CLOCK_MONOTONIC nanoseconds of the next look.
    next: u64,
    /// Requests served when it was looked last.
    served: u64,
    /// CLOCK_MONOTONIC nanoseconds since which there was none.
    quiet_since: u64,
    /// Whether it was said that memory allows no more workers.
    told_of_memory: bool,
    door: Option<Door>,
}

/// Waits for a connection while nobody is at work.
#[derive(Debug)]
pub struct Door(pub Vec<JoinHandle<()>>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Cheaper {
    /// For the generation of this number.
    fn new(generation: u64, config: &Config, now: u64) -> Self {
        Self {
            generation,
            algorithm: Algorithm::of(config),
            limits: Limits::of(config),
            next: now + SECOND,
            served: 0,
            quiet_since: now,
            told_of_memory: false,
            door: None,
        }
    }
}

impl Master {
    /// Looks at the load, once a second.
    pub(super) fn look_at_the_load(&mut self, now: u64) {
        if !matches!(self.phase, Phase::Serving | Phase::Reloading(_)) {
            self.cheaper = None;
            return;
        }
        let Some(active) = self.generation(self.active) else { return };
        let (number, config, asleep) = (active.number, active.config.clone(), active.crew.size() == 0);
        let lifetimes = &config.lifetimes;
        if lifetimes.cheaper == 0 && lifetimes.idle == 0 && !lifetimes.cheap {
            self.cheaper = None;
            return;
        }
        let mut cheaper = match self.cheaper.take().filter(|it| it.generation == number) {
            Some(cheaper) => cheaper,
            None => Cheaper::new(number, &config, now),
        };
        if asleep {
            if cheaper.door.is_none() {
                cheaper.door = self.open_the_door();
            }
        } else if now >= cheaper.next {
            cheaper.next = now + SECOND;
            if lifetimes.cheaper > 0 {
                self.consider(&mut cheaper, &config);
            }
            if lifetimes.idle > 0 && self.is_quiet(&mut cheaper, lifetimes.idle, now) {
                self.fall_asleep(&config);
            }
        }
        if !matches!(self.phase, Phase::Stopping) {
            self.cheaper = Some(cheaper);
        }
    }

    /// Follows the algorithm's advice.
    fn consider(&mut self, cheaper: &mut Cheaper, config: &Config) {
        let sight = self.sight(cheaper.algorithm.counts_backlog());
        let mut advice = cheaper.algorithm.advise(&sight, &cheaper.limits);
        let (soft, hard) = (config.lifetimes.cheaper_rss_limit_soft, config.lifetimes.cheaper_rss_limit_hard);
        if soft > 0 || hard > 0 {
            let used = self.memory_of_workers();
            if hard > 0 && used > hard && sight.active > cheaper.limits.least {
                advice = Advice::Fewer;
                tracing::warn!("the workers have {used} bytes in memory, more than cheaper-rss-limit-hard: one ends");
            } else if soft > 0 && used > soft && matches!(advice, Advice::More(_)) {
                advice = Advice::Stay;
                if !std::mem::replace(&mut cheaper.told_of_memory, true) {
                    tracing::warn!("the workers have {used} bytes in memory: cheaper-rss-limit-soft allows no more");
                }
            } else {
                cheaper.told_of_memory = false;
            }
        }
        match advice {
            Advice::Stay => {}
            // Where there can't be more it is no news to anybody.
            Advice::More(more) => drop(self.more_workers(more)),
            // The workers of a generation that comes up are not known to be idle yet.
            Advice::Fewer if matches!(self.phase, Phase::Serving) => {
                if let Some(id) = self.most_idle(self.active) {
                    self.dismiss(self.active, id);
                }
            }
            Advice::Fewer => {}
        }
    }

    fn sight(&self, backlog: bool) -> Sight {
        let Some(active) = self.generation(self.active) else { return Sight::default() };
        let now = clock::monotonic();
        let serving = self.children.iter().filter(|it| it.generation == active.number && it.state == State::Serving);
        let serving: Vec<_> = serving.filter(|worker| active.crew.has(worker.id)).collect();
        Sight {
            active: active.crew.size(),
            busy: serving.iter().filter(|worker| active.board.is_busy(worker.cell)).count(),
            backlog: if backlog { self.connections_waiting() } else { 0 },
            worked: serving.iter().map(|worker| (worker.id, active.board.worked(worker.cell, now))).collect(),
        }
    }

    /// How many connections wait to be accepted, on all listeners together.
    pub(super) fn connections_waiting(&self) -> u64 {
        self.listeners.iter().filter_map(|listener| listener.waiting()).sum()
    }

    fn memory_of_workers(&self) -> u64 {
        let pids = self.children.iter().filter_map(|worker| worker.pid);
        pids.filter_map(|pid| Memory::of(pid).ok()).map(|memory| memory.resident).sum()
    }

    /// Whether there was no request for so many seconds.
    fn is_quiet(&self, cheaper: &mut Cheaper, seconds: u64, now: u64) -> bool {
        let Some(active) = self.generation(self.active) else { return false };
        let served = active.board.totals().requests.load(Relaxed);
        let busy = self.children.iter().any(|worker| {
            self.generation(worker.generation).is_some_and(|generation| generation.board.is_busy(worker.cell))
        });
        if busy || served != cheaper.served || !matches!(self.phase, Phase::Serving) {
            (cheaper.served, cheaper.quiet_since) = (served, now);
        }
        now.saturating_sub(cheaper.quiet_since) >= seconds.saturating_mul(SECOND)
    }

    /// There is nothing to do: the workers end, or the instance does.
    fn fall_asleep(&mut self, config: &Config) {
        tracing::info!("workers have been inactive for more than {} seconds", config.lifetimes.idle);
        if config.lifetimes.die_on_idle {
            self.stop();
            return;
        }
        tracing::info!("cheap mode enabled: waiting for socket connection...");
        let Some(active) = self.generation(self.active) else { return };
        for id in active.crew.ids().collect::<Vec<_>>() {
            self.dismiss(self.active, id);
        }
    }

    /// Waits for a connection on any listener. It stays where it is: the workers accept it.
    fn open_the_door(&self) -> Option<Door> {
        let watched = self.listeners.iter().map(|listener| self.events.watch_listener(listener));
        match watched.collect() {
            Ok(tasks) => Some(Door(tasks)),
            Err(error) => {
                tracing::error!("cannot wait for a connection, tried again: {error}");
                None
            }
        }
    }

    /// A connection came while nobody was at work.
    pub(super) fn knocked(&mut self) {
        if let Some(cheaper) = &mut self.cheaper {
            cheaper.door = None;
            cheaper.quiet_since = clock::monotonic();
        }
        let coming = self.coming().map(|coming| coming.number);
        let now = clock::monotonic();
        for number in [Some(self.active), coming].into_iter().flatten() {
            let Some(generation) = self.generation_mut(number).filter(|it| !it.retired && it.crew.size() == 0) else {
                continue;
            };
            let config = generation.config.clone();
            let woken = generation.crew.wake(&config);
            tracing::info!("a connection came: {} workers start", woken.len());
            self.respawns.extend(woken.into_iter().map(|id| Respawn { id, at: now }));
        }
    }
}
