//! When a worker has served enough and asks to be replaced.
//!
//! Asked by the cores after each request. Says it once: the worker goes on serving until its
//! replacement is up and the master tells it to finish. Does not send anything itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::config::Config;
use crate::sys::clock;

/// What one worker process may do before it is replaced, counted over all its cores.
#[derive(Debug)]
pub struct Limits {
    max_requests: u64,
    /// CLOCK_MONOTONIC nanoseconds before which the worker is too young.
    not_before: u64,
    served: AtomicU64,
    asked: AtomicBool,
}

impl Limits {
    /// For worker `id`, which starts now, so that it is not replaced together with the others.
    pub fn of(config: &Config, id: usize) -> Self {
        let later = config.lifetimes.max_requests_delta.saturating_mul(id.saturating_sub(1) as u64);
        let max_requests = if config.max_requests == 0 { 0 } else { config.max_requests.saturating_add(later) };
        Self::new(max_requests, config.min_worker_lifetime)
    }

    /// For a worker that starts now. `max_requests` of 0 is no limit (uWSGI: `--max-requests`);
    /// `min_lifetime` is in seconds (uWSGI: `--min-worker-lifetime`).
    fn new(max_requests: u64, min_lifetime: u64) -> Self {
        let not_before = match min_lifetime {
            0 => 0,
            seconds => clock::monotonic().saturating_add(seconds.saturating_mul(1_000_000_000)),
        };
        Self { max_requests, not_before, served: AtomicU64::new(0), asked: AtomicBool::new(false) }
    }

    /// Counts a request; returns why the worker is to be replaced, the first time it is.
    pub fn served(&self) -> Option<&'static str> {
        if self.max_requests == 0 {
            return None;
        }
        let served = self.served.fetch_add(1, Relaxed) + 1;
        let enough = served >= self.max_requests && (self.not_before == 0 || clock::monotonic() >= self.not_before);
        (enough && self.ask_once()).then_some("max-requests")
    }

    /// Whether nobody asked for a replacement before.
    pub fn ask_once(&self) -> bool {
        !self.asked.swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_is_said_once() {
        let limits = Limits::new(3, 0);
        let said: Vec<_> = (0..6).map(|_| limits.served()).collect();
        assert_eq!(said, [None, None, Some("max-requests"), None, None, None]);
    }

    #[test]
    fn each_worker_has_its_own_limit() {
        let mut config = Config::default();
        config.lifetimes.max_requests_delta = 2;
        assert_eq!(Limits::of(&config, 3).max_requests, 0);
        config.max_requests = 10;
        assert_eq!([1, 2, 3].map(|id| Limits::of(&config, id).max_requests), [10, 12, 14]);
    }

    #[test]
    fn the_young_are_spared() {
        let limits = Limits::new(1, 3600);
        assert_eq!((limits.served(), limits.served()), (None, None));
    }

    #[test]
    fn nothing_is_no_limit() {
        let limits = Limits::new(0, 0);
        assert!((0..1000).all(|_| limits.served().is_none()));
    }

    #[test]
    fn cores_count_together() {
        let limits = Limits::new(4000, 0);
        let said: usize = std::thread::scope(|scope| {
            let cores: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..2000).filter(|_| limits.served().is_some()).count())).collect();
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(said, 1);
    }
}
