//! Changing the number of workers by hand (uWSGI: `+` and `-` over the FIFO; `rustwsgi ctl … workers`).
//!
//! Part of the master. Who comes and goes is `workers`' and `crew`'s; here is who waits until as many
//! serve as are to.

use super::Master;
use super::control::Waiter;
use super::reload::answer;

impl Master {
    /// How many workers there are to be.
    pub(super) fn crew_size(&self) -> usize {
        self.generation(self.active).map_or(0, |active| active.crew.size())
    }

    /// Has `wanted` workers serve, within the limits of the configuration.
    pub(super) fn staff(&mut self, wanted: i64, waiter: Option<Waiter>) {
        let (now, wanted) = (self.crew_size(), usize::try_from(wanted).unwrap_or(0));
        let changed = match wanted.checked_sub(now) {
            Some(0) => Ok(now),
            Some(more) => self.more_workers(more),
            None => self.fewer_workers(now - wanted),
        };
        match changed {
            Ok(_) => self.staffing.extend(waiter),
            Err(error) => {
                tracing::warn!("{error}");
                answer(waiter, &Err(error));
            }
        }
    }

    /// Tells those who wait once as many serve as are to, and nobody else is left.
    pub(super) fn see_to_the_staff(&mut self) {
        if !self.staffing.is_empty() && self.is_at_strength() {
            let told = format!("{} workers serve", self.crew_size());
            for waiter in std::mem::take(&mut self.staffing) {
                answer(Some(waiter), &Ok(told.clone().into()));
            }
        }
    }
}
