//! Vassals that died before they were loyal: how long each waits for its next start.
//!
//! Used by the emperor. The first death costs one look; from then on the time doubles, up to the most.

use std::collections::BTreeMap;

use crate::sys::clock;

/// One vassal that misbehaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds it waits.
    pub level: u64,
    /// Its deaths.
    pub attempts: u64,
    /// Seconds since 1970 of the first.
    pub first: i64,
    /// The same of the last.
    pub last: i64,
    /// CLOCK_MONOTONIC nanoseconds before which it is not started.
    until: u64,
}

/// All that misbehave, by name.
#[derive(Debug, Default)]
pub struct Blacklist {
    entries: BTreeMap<String, Entry>,
}

impl Blacklist {
    /// Notes a death. `throttle` is what the first wait takes, `most` the longest, milliseconds.
    pub fn note(&mut self, name: &str, throttle: u64, most: u64) -> &Entry {
        let now = clock::epoch();
        let entry = self.entries.entry(name.to_owned()).or_insert_with(|| Entry {
            level: 0,
            attempts: 0,
            first: now,
            last: now,
            until: 0,
        });
        entry.attempts += 1;
        entry.last = now;
        entry.level = if entry.level == 0 { throttle } else { entry.level.saturating_mul(2) }.min(most);
        entry.until = clock::monotonic().saturating_add(entry.level.saturating_mul(1_000_000));
        entry
    }

    /// Whether the vassal may be started at `now`, CLOCK_MONOTONIC nanoseconds.
    pub fn allows(&self, name: &str, now: u64) -> bool {
        self.entries.get(name).is_none_or(|entry| now >= entry.until)
    }

    /// Forgives one vassal: it is loyal, was changed, or is gone.
    pub fn forgive(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// Forgives all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_the_most() {
        let mut list = Blacklist::default();
        let levels: Vec<u64> = (0..5).map(|_| list.note("a.ini", 1000, 5000).level).collect();
        assert_eq!(levels, [1000, 2000, 4000, 5000, 5000]);
        assert!(!list.allows("a.ini", clock::monotonic()) && list.allows("a.ini", u64::MAX));
        assert!(list.allows("b.ini", 0));
        list.forgive("a.ini");
        assert!(list.allows("a.ini", 0));
    }
}
