//! Whether more or fewer workers are needed, as `cheaper-algo` tells it; `busyness` has a file of its
//! own.
//!
//! Asked by `cheaper` once a second with what it sees. Pure: knows no process and no clock but the
//! count of its calls.

use super::busyness::Busyness;
use crate::config::Config;

/// What there is to see, once a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Workers that there are to be now.
    pub active: usize,
    /// Those of them with a request.
    pub busy: usize,
    /// Connections that wait to be accepted.
    pub backlog: u64,
    /// Microseconds that each worker, by number, has spent in requests in its life.
    pub worked: Vec<(usize, u64)>,
}

impl Sight {
    fn idle(&self) -> usize {
        self.active.saturating_sub(self.busy)
    }
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Leave it.
    Stay,
    /// Start this many.
    More(usize),
    /// Let an idle one end.
    Fewer,
}

/// The limits that every algorithm keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The fewest workers (uWSGI: `--cheaper`).
    pub least: usize,
    /// The most (uWSGI: `--processes`).
    pub most: usize,
    /// How many to start at a time (uWSGI: `--cheaper-step`).
    pub step: usize,
    /// Seconds, or for `backlog` connections (uWSGI: `--cheaper-overload`).
    pub overload: u64,
}

impl Limits {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let lifetimes = &config.lifetimes;
        Self {
            least: lifetimes.cheaper.clamp(1, config.processes),
            most: config.processes,
            step: lifetimes.cheaper_step.max(1),
            overload: lifetimes.cheaper_overload,
        }
    }

    /// Whether the advice can be followed.
    fn allow(&self, advice: Advice, active: usize) -> Advice {
        match advice {
            Advice::More(more) if active < self.most => Advice::More(more.min(self.most - active)),
            Advice::Fewer if active > self.least => Advice::Fewer,
            _ => Advice::Stay,
        }
    }
}

/// The algorithms (uWSGI: `--cheaper-algo`).
#[derive(Debug)]
pub enum Algorithm {
    /// More when all are busy for a while, fewer when several are idle.
    Spare(Spare),
    /// Keeps `cheaper` workers idle.
    Spare2(Spare2),
    /// More when connections wait, fewer when none do.
    Backlog,
    /// By the share of time that workers spend in requests.
    Busyness(Box<Busyness>),
    /// Only who asks for it.
    Manual,
}

impl Algorithm {
    /// The algorithm of a configuration; `spare` where its name is none, as uWSGI does.
    pub fn of(config: &Config) -> Self {
        match config.lifetimes.cheaper_algo.as_deref() {
            Some("spare2") => Self::Spare2(Spare2::new(config)),
            Some("backlog") => Self::Backlog,
            Some("busyness") => Self::Busyness(Box::new(Busyness::new(&config.lifetimes))),
            Some("manual") => Self::Manual,
            _ => Self::Spare(Spare::default()),
        }
    }

    /// Whether it asks for the length of the listen queues.
    pub fn counts_backlog(&self) -> bool {
        matches!(self, Self::Backlog | Self::Busyness(_))
    }

    /// What to do. Called once a second.
    pub fn advise(&mut self, sight: &Sight, limits: &Limits) -> Advice {
        let advice = match self {
            Self::Spare(spare) => spare.advise(sight, limits),
            Self::Spare2(spare) => spare.advise(sight, limits),
            Self::Backlog if sight.backlog > limits.overload => Advice::More(limits.step),
            Self::Backlog if sight.backlog == 0 || sight.backlog < limits.overload => Advice::Fewer,
            Self::Backlog | Self::Manual => Advice::Stay,
            Self::Busyness(busyness) => busyness.advise(sight, limits),
        };
        limits.allow(advice, sight.active)
    }
}

/// The memory of `spare`.
#[derive(Debug, Default)]
pub struct Spare {
    /// Seconds for which all have been busy.
    busy: u64,
    /// Seconds for which more than one has been idle.
    idle: u64,
}

impl Spare {
    fn advise(&mut self, sight: &Sight, limits: &Limits) -> Advice {
        self.busy = if sight.idle() == 0 { self.busy + 1 } else { 0 };
        self.idle = if sight.idle() > 1 { self.idle + 1 } else { 0 };
        if self.busy > limits.overload {
            self.busy = 0;
            Advice::More(limits.step)
        } else if self.idle >= limits.overload.max(1) && sight.active > limits.least {
            self.idle = 0;
            Advice::Fewer
        } else {
            Advice::Stay
        }
    }
}

/// The memory of `spare2`.
#[derive(Debug)]
pub struct Spare2 {
    /// Workers to keep idle.
    spare: usize,
    /// Workers that always stay.
    least: usize,
    /// Seconds after which one that is too many ends.
    patience: u64,
    idle: u64,
}

impl Spare2 {
    fn new(config: &Config) -> Self {
        let lifetimes = &config.lifetimes;
        Self {
            spare: lifetimes.cheaper,
            least: lifetimes.cheaper_initial.max(lifetimes.cheaper),
            patience: lifetimes.cheaper_idle.max(1),
            idle: 0,
        }
    }

    fn advise(&mut self, sight: &Sight, limits: &Limits) -> Advice {
        let idle = sight.idle();
        self.idle = if idle > self.spare && sight.active > self.least { self.idle + 1 } else { 0 };
        if idle < self.spare {
            Advice::More((self.spare - idle).min(limits.step))
        } else if self.idle >= self.patience {
            self.idle = 0;
            Advice::Fewer
        } else {
            Advice::Stay
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Advice::*;

    const LIMITS: Limits = Limits { least: 2, most: 6, step: 2, overload: 3 };

    fn seen(active: usize, busy: usize) -> Sight {
        Sight { active, busy, ..Sight::default() }
    }

    fn waiting(active: usize, backlog: u64) -> Sight {
        Sight { active, backlog, ..Sight::default() }
    }

    #[test]
    fn spare_adds_a_step_when_all_were_busy_for_longer_than_overload() {
        let mut algorithm = Algorithm::Spare(Spare::default());
        let advice: Vec<Advice> = (0..5).map(|_| algorithm.advise(&seen(2, 2), &LIMITS)).collect();
        assert_eq!(advice, [Stay, Stay, Stay, More(2), Stay]);
        algorithm.advise(&seen(4, 3), &LIMITS);
        let advice: Vec<Advice> = (0..4).map(|_| algorithm.advise(&seen(5, 5), &LIMITS)).collect();
        assert_eq!(advice, [Stay, Stay, Stay, More(1)]);
    }

    #[test]
    fn spare_ends_one_at_a_time_and_keeps_the_least_and_one_that_is_free() {
        let mut algorithm = Algorithm::Spare(Spare::default());
        let advice: Vec<Advice> = (0..6).map(|_| algorithm.advise(&seen(4, 0), &LIMITS)).collect();
        assert_eq!(advice, [Stay, Stay, Fewer, Stay, Stay, Fewer]);
        assert!((0..20).all(|_| algorithm.advise(&seen(2, 0), &LIMITS) == Stay));
        assert!((0..20).all(|_| algorithm.advise(&seen(4, 3), &LIMITS) == Stay));
    }

    #[test]
    fn spare2_keeps_some_idle_and_is_slow_to_let_go() {
        let spare = Spare2 { spare: 2, least: 3, patience: 2, idle: 0 };
        let mut algorithm = Algorithm::Spare2(spare);
        assert_eq!(algorithm.advise(&seen(3, 2), &LIMITS), More(1));
        assert_eq!(algorithm.advise(&seen(3, 3), &LIMITS), More(2));
        assert_eq!(algorithm.advise(&seen(6, 6), &LIMITS), Stay);
        let advice: Vec<Advice> = (0..4).map(|_| algorithm.advise(&seen(5, 0), &LIMITS)).collect();
        assert_eq!(advice, [Stay, Fewer, Stay, Fewer]);
        assert!((0..9).all(|_| algorithm.advise(&seen(3, 0), &LIMITS) == Stay));
    }

    #[test]
    fn backlog_follows_the_queue() {
        let mut algorithm = Algorithm::Backlog;
        assert_eq!(algorithm.advise(&waiting(3, 4), &LIMITS), More(2));
        assert_eq!(algorithm.advise(&waiting(3, 3), &LIMITS), Stay);
        assert_eq!(algorithm.advise(&waiting(3, 2), &LIMITS), Fewer);
        assert_eq!(algorithm.advise(&waiting(2, 0), &LIMITS), Stay);
        assert_eq!(algorithm.advise(&waiting(6, 99), &LIMITS), Stay);
    }

    #[test]
    fn manual_leaves_it_to_others() {
        assert_eq!(Algorithm::Manual.advise(&seen(2, 2), &LIMITS), Stay);
    }

    #[test]
    fn names_lead_to_algorithms() {
        let mut config = Config::default();
        for name in crate::config::Lifetimes::CHEAPER_ALGORITHMS {
            config.lifetimes.cheaper_algo = Some(name.into());
            let shown = format!("{:?}", Algorithm::of(&config)).to_lowercase();
            assert!(shown.starts_with(name), "{name}: {shown}");
        }
        config.lifetimes.cheaper_algo = Some("nonsense".into());
        assert!(matches!(Algorithm::of(&config), Algorithm::Spare(_)));
    }
}
