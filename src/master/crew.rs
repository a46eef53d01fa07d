//! Which worker numbers a generation is to have: all, or with `cheaper` as many as the load needs.
//!
//! Kept by `generation`, changed by `cheaper` and by whoever asks for more or fewer workers. A list
//! of numbers; it starts and ends nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The numbers at work, from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    /// The highest number (uWSGI: `--processes`).
    most: usize,
    /// The fewest that `cheaper` leaves; all where it is not set.
    least: usize,
    at_work: BTreeSet<usize>,
}

impl Crew {
    /// Who starts an instance: nobody with `cheap`, as many as `cheaper-initial` says, or all.
    pub fn first(config: &Config) -> Self {
        let mut crew = Self { most: config.processes, least: least(config), at_work: BTreeSet::new() };
        if !config.lifetimes.cheap {
            crew.wake(config);
        }
        crew
    }

    /// Who serves after a reload: as many as before where there is `cheaper`, because the load is what
    /// it was; nobody where nobody was needed.
    pub fn after(&self, config: &Config) -> Self {
        let lifetimes = &config.lifetimes;
        let mut crew = Self { most: config.processes, least: least(config), at_work: BTreeSet::new() };
        let asleep = self.at_work.is_empty() && (lifetimes.cheap || lifetimes.idle > 0);
        if asleep {
            return crew;
        }
        let kept = if lifetimes.cheaper > 0 { self.size().clamp(crew.least, crew.most) } else { crew.most };
        crew.grow(kept);
        crew
    }

    /// Puts as many to work as a start does.
    pub fn wake(&mut self, config: &Config) -> Vec<usize> {
        let wanted = match (config.lifetimes.cheaper, config.lifetimes.cheaper_initial) {
            (0, _) => self.most,
            (least, initial) => initial.max(least),
        };
        self.grow(wanted.saturating_sub(self.size()))
    }

    /// Puts up to `more` further numbers to work, the lowest first; returns them.
    pub fn grow(&mut self, more: usize) -> Vec<usize> {
        let new: Vec<usize> = (1..=self.most).filter(|id| !self.at_work.contains(id)).take(more).collect();
        self.at_work.extend(&new);
        new
    }

    /// Takes a number off work.
    pub fn dismiss(&mut self, id: usize) {
        self.at_work.remove(&id);
    }

    /// Whether this number is at work.
    pub fn has(&self, id: usize) -> bool {
        self.at_work.contains(&id)
    }

    /// The numbers at work, in order.
    pub fn ids(&self) -> impl Iterator<Item = usize> + '_ {
        self.at_work.iter().copied()
    }

    /// How many are at work.
    pub fn size(&self) -> usize {
        self.at_work.len()
    }

    /// The fewest that are left at work while it is awake.
    pub fn least(&self) -> usize {
        self.least
    }

    /// The most there can be.
    pub fn most(&self) -> usize {
        self.most
    }
}

fn least(config: &Config) -> usize {
    match config.lifetimes.cheaper {
        0 => 1,
        least => least.min(config.processes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(processes: usize, cheaper: usize, initial: usize) -> Config {
        let mut config = Config::default();
        config.processes = processes;
        (config.lifetimes.cheaper, config.lifetimes.cheaper_initial) = (cheaper, initial);
        config
    }

    fn ids(crew: &Crew) -> Vec<usize> {
        crew.ids().collect()
    }

    #[test]
    fn without_cheaper_everybody_works() {
        assert_eq!(ids(&Crew::first(&config(3, 0, 0))), [1, 2, 3]);
    }

    #[test]
    fn numbers_come_lowest_first_and_never_more_than_there_are() {
        let mut crew = Crew::first(&config(4, 1, 2));
        assert_eq!(ids(&crew), [1, 2]);
        assert_eq!(crew.grow(1), [3]);
        crew.dismiss(1);
        assert_eq!(crew.grow(9), [1, 4]);
        assert_eq!((crew.size(), crew.has(2), crew.grow(1).len()), (4, true, 0));
    }

    #[test]
    fn a_reload_keeps_the_size_within_the_new_limits() {
        let mut crew = Crew::first(&config(8, 2, 0));
        crew.grow(3);
        assert_eq!(crew.after(&config(8, 2, 0)).size(), 5);
        assert_eq!(crew.after(&config(4, 1, 0)).size(), 4);
        assert_eq!(crew.after(&config(8, 6, 0)).size(), 6);
        assert_eq!(crew.after(&config(8, 0, 0)).size(), 8);
    }

    #[test]
    fn who_sleeps_sleeps_on_over_a_reload_and_wakes_to_the_start() {
        let mut cheap = config(4, 1, 2);
        cheap.lifetimes.cheap = true;
        let mut crew = Crew::first(&cheap);
        assert_eq!(crew.size(), 0);
        assert_eq!(crew.after(&cheap).size(), 0);
        assert_eq!(crew.after(&config(4, 1, 2)).size(), 1);
        assert_eq!(crew.wake(&cheap), [1, 2]);
    }
}
