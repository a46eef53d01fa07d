//! The algorithm `busyness`: how much of their time workers spend in requests, on average.
//!
//! Asked by `algorithm` once a second. Looks at the load every `cheaper-overload` seconds and at the
//! listen queue every second. Pure.

use std::collections::HashMap;

use super::algorithm::{Advice, Limits, Sight};
use crate::config::Lifetimes;

/// The settings and the memory of `busyness`. A window is `cheaper-overload` seconds.
#[derive(Debug)]
pub struct Busyness {
    settings: Settings,
    /// Seconds of the window that have passed.
    second: u64,
    /// What each worker had worked when the window began, microseconds.
    before: HashMap<usize, u64>,
    /// Windows in a row with too little to do.
    quiet: u64,
    /// How many of them it takes now; grows where workers were ended too soon.
    multiplier: u64,
    /// Windows since a worker was ended last; `None` when more were needed since.
    since_fewer: Option<u64>,
    /// Workers that were started because connections waited.
    emergency: u64,
    /// Seconds for which connections have been waiting.
    waiting: u64,
}

/// uWSGI: `--cheaper-busyness-…`.
#[derive(Clone, Copy, Debug)]
struct Settings {
    max: u64,
    min: u64,
    multiplier: u64,
    penalty: u64,
    alert: u64,
    alert_multiplier: u64,
    alert_step: usize,
    nonzero: u64,
    verbose: bool,
}

impl Busyness {
    /// With the settings of a configuration.
    pub fn new(lifetimes: &Lifetimes) -> Self {
        let settings = Settings {
            max: lifetimes.cheaper_busyness_max,
            min: lifetimes.cheaper_busyness_min,
            multiplier: lifetimes.cheaper_busyness_multiplier.max(1),
            penalty: lifetimes.cheaper_busyness_penalty,
            alert: lifetimes.cheaper_busyness_backlog_alert,
            alert_multiplier: lifetimes.cheaper_busyness_backlog_multiplier.max(1),
            alert_step: lifetimes.cheaper_busyness_backlog_step.max(1),
            nonzero: lifetimes.cheaper_busyness_backlog_nonzero,
            verbose: lifetimes.cheaper_busyness_verbose,
        };
        Self {
            settings,
            second: 0,
            before: HashMap::new(),
            quiet: 0,
            multiplier: settings.multiplier,
            since_fewer: None,
            emergency: 0,
            waiting: 0,
        }
    }

    /// What to do.
    pub fn advise(&mut self, sight: &Sight, limits: &Limits) -> Advice {
        let advice = self.look_at_the_queue(sight, limits);
        self.second += 1;
        if self.second < limits.overload.max(1) {
            return advice;
        }
        let busyness = self.measure(sight);
        self.second = 0;
        match advice {
            Advice::Stay => self.look_at_the_load(busyness, sight, limits),
            emergency => emergency,
        }
    }

    fn look_at_the_queue(&mut self, sight: &Sight, limits: &Limits) -> Advice {
        self.waiting = if sight.backlog > 0 { self.waiting + 1 } else { 0 };
        if sight.active >= limits.most {
            return Advice::Stay;
        }
        let more = if sight.backlog > self.settings.alert {
            self.settings.alert_step
        } else if self.settings.nonzero > 0 && self.waiting > self.settings.nonzero {
            1
        } else {
            return Advice::Stay;
        };
        self.waiting = 0;
        self.quiet = 0;
        self.emergency += more as u64;
        tracing::info!("[busyness] {} connections wait, will spawn {more} emergency workers", sight.backlog);
        Advice::More(more)
    }

    /// The average over the window, percent; a worker whose cores have worked at a time counts once.
    fn measure(&mut self, sight: &Sight) -> u64 {
        let window = (self.second * 1_000_000).max(1);
        let share = |(id, worked): &(usize, u64)| {
            // One that was not there before, or is another one now, has begun at nothing.
            let before = self.before.get(id).copied().filter(|before| before <= worked).unwrap_or(0);
            ((worked - before) * 100 / window).min(100)
        };
        let sum: u64 = sight.worked.iter().map(share).sum();
        self.before = sight.worked.iter().copied().collect();
        sum / sight.active.max(1) as u64
    }

    fn look_at_the_load(&mut self, busyness: u64, sight: &Sight, limits: &Limits) -> Advice {
        let Settings { min, max, verbose, .. } = self.settings;
        if verbose {
            tracing::info!(
                "[busyness] {}s average busyness of {} worker(s) is at {busyness}%",
                limits.overload,
                sight.active
            );
        }
        self.since_fewer = self.since_fewer.map(|windows| windows + 1);
        if busyness > max {
            self.quiet = 0;
            if self.since_fewer.take().is_some_and(|windows| windows < self.multiplier) {
                self.multiplier += self.settings.penalty;
                if verbose {
                    let multiplier = self.multiplier;
                    tracing::info!("[busyness] worker(s) respawned too soon, multiplier is {multiplier} now");
                }
            }
            return Advice::More(limits.step);
        }
        if busyness >= min {
            self.quiet = 0;
            return Advice::Stay;
        }
        self.quiet += 1;
        let enough = if self.emergency > 0 { self.settings.alert_multiplier } else { self.multiplier };
        if self.quiet < enough || sight.active <= limits.least {
            // It has been quiet for so long that whatever made it grow is over.
            if self.quiet >= enough && sight.active <= limits.least {
                (self.multiplier, self.emergency) = (self.settings.multiplier, 0);
            }
            return Advice::Stay;
        }
        self.quiet = 0;
        self.emergency = self.emergency.saturating_sub(1);
        self.since_fewer = Some(0);
        Advice::Fewer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Advice::*;

    const LIMITS: Limits = Limits { least: 1, most: 4, step: 1, overload: 2 };

    /// Calls it for so many seconds in which `active` workers are each busy for so many percent.
    struct Play {
        busyness: Busyness,
        worked: u64,
    }

    impl Play {
        fn new(change: impl FnOnce(&mut Lifetimes)) -> Self {
            let mut lifetimes = Lifetimes { cheaper_busyness_multiplier: 2, ..Lifetimes::default() };
            change(&mut lifetimes);
            Self { busyness: Busyness::new(&lifetimes), worked: 0 }
        }

        fn run(&mut self, seconds: usize, active: usize, percent: u64, backlog: u64) -> Vec<Advice> {
            let second = |_| {
                self.worked += percent * 10_000;
                let worked = (1..=active).map(|id| (id, self.worked)).collect();
                self.busyness.advise(&Sight { active, busy: 0, backlog, worked }, &LIMITS)
            };
            (0..seconds).map(second).collect()
        }
    }

    #[test]
    fn a_busy_window_adds_workers() {
        let mut play = Play::new(|_| ());
        assert_eq!(play.run(4, 1, 60, 0), [Stay, More(1), Stay, More(1)]);
        play.run(2, 2, 40, 0);
        assert_eq!(play.run(2, 2, 40, 0), [Stay, Stay]);
    }

    #[test]
    fn it_takes_some_quiet_windows_to_end_one() {
        let mut play = Play::new(|_| ());
        assert_eq!(play.run(8, 3, 5, 0), [Stay, Stay, Stay, Fewer, Stay, Stay, Stay, Fewer]);
        assert!(play.run(8, 1, 0, 0).iter().all(|advice| *advice == Stay));
    }

    #[test]
    fn one_that_was_needed_again_at_once_makes_it_slower() {
        let mut play = Play::new(|_| ());
        assert_eq!(play.run(4, 2, 0, 0)[3], Fewer);
        assert_eq!(play.run(2, 1, 90, 0)[1], More(1));
        assert_eq!(play.busyness.multiplier, 4);
        assert_eq!(play.run(8, 2, 0, 0)[..7], [Stay; 7]);
    }

    #[test]
    fn connections_that_wait_bring_emergency_workers() {
        let mut play = Play::new(|lifetimes| lifetimes.cheaper_busyness_backlog_step = 2);
        assert_eq!(play.run(1, 1, 0, 34), [More(2)]);
        assert_eq!(play.run(1, 4, 0, 34), [Stay], "there are no more");
        let mut play = Play::new(|lifetimes| lifetimes.cheaper_busyness_backlog_nonzero = 3);
        assert_eq!(play.run(4, 1, 30, 1), [Stay, Stay, Stay, More(1)]);
    }
}
