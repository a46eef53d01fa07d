//! Pausing an instance: its workers accept nothing, connections wait (uWSGI: SIGTSTP, `p`).
//!
//! Part of the master. The word stands on the scoreboard's totals and so outlives workers and
//! generations; here is who waits until every worker obeys.

use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::{Signal, kill};

use super::children::State;
use super::control::Waiter;
use super::reload::{answer, refuse};
use super::{Master, SECOND};
use crate::sys::clock;

/// How long a worker may take to obey, nanoseconds. One whose cores are all inside requests can't look,
/// and accepts nothing either.
const PATIENCE: u64 = SECOND;

/// Who waits for a pause, or its end, to be in force.
#[derive(Debug, Default)]
pub struct Pausing {
    waiters: Vec<Waiter>,
    /// CLOCK_MONOTONIC nanoseconds at which nobody waits for busy workers any longer.
    until: u64,
}

impl Pausing {
    /// Whether somebody waits.
    pub fn is_pending(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Sends those who wait away: the instance stops.
    pub fn abandon(&mut self) {
        refuse(std::mem::take(&mut self.waiters));
    }
}

impl Master {
    /// Whether no worker accepts.
    pub(super) fn is_paused(&self) -> bool {
        self.generation(self.active).is_some_and(|active| active.board.totals().paused.load(Relaxed) != 0)
    }

    /// Has every worker stop accepting, or accept again.
    pub(super) fn pause(&mut self, pause: bool, waiter: Option<Waiter>) {
        let Some(active) = self.generation(self.active) else { return };
        active.board.totals().paused.store(u32::from(pause), Relaxed);
        if pause {
            tracing::info!("*** PAUSE (press start to resume, if you do not have a joypad send SIGTSTP) ***");
        } else {
            tracing::info!("*** the instance accepts again ***");
        }
        for pid in self.children.iter().filter(|it| it.state == State::Serving).filter_map(|it| it.pid) {
            let _ = kill(pid, Signal::SIGWINCH);
        }
        self.pausing.until = clock::monotonic() + PATIENCE;
        self.pausing.waiters.extend(waiter);
    }

    /// Tells those who wait once every worker obeys.
    pub(super) fn see_to_the_pause(&mut self) {
        if !self.pausing.is_pending() {
            return;
        }
        let paused = self.is_paused();
        let obey = self.children.iter().filter(|worker| worker.state == State::Serving).all(|worker| {
            let cell = self.generation(worker.generation).map(|it| it.board.cell(worker.cell));
            cell.is_none_or(|cell| (cell.paused.load(Relaxed) != 0) == paused)
        });
        if obey || clock::monotonic() >= self.pausing.until {
            let told = if paused { "paused: connections wait" } else { "resumed" };
            for waiter in std::mem::take(&mut self.pausing.waiters) {
                answer(Some(waiter), &Ok(told.to_owned().into()));
            }
        }
    }
}
