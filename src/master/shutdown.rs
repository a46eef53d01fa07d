//! The end of an instance: asked for, or because it never came up.
//!
//! Requests in hand are finished, for at most `worker-reload-mercy`; then the processes are gone,
//! then the files, then the master.

use super::reload::refuse;
use super::{Master, Phase, SECOND, sockets};
use crate::error::{Code, Error};
use crate::sys::clock;

impl Master {
    /// Stops, after `shutdown-delay` where there is one and it does not run already: until then load
    /// balancers may find out, and requests are served as ever.
    pub(super) fn stop(&mut self) {
        let delay = self.generation(self.active).map_or(0, |active| active.config.reloading.shutdown_delay);
        let serves = matches!(self.phase, Phase::Serving | Phase::Reloading(_));
        if delay > 0 && serves && self.stop_at.is_none() {
            tracing::info!("stop asked for: serving on for {delay} s (`shutdown-delay`)");
            self.stop_at = Some(clock::monotonic().saturating_add(delay.saturating_mul(SECOND)));
        } else {
            self.stop_without_delay();
        }
    }

    /// Whether a stop was asked for and the instance still serves.
    pub(super) fn is_stop_delayed(&self) -> bool {
        self.stop_at.is_some()
    }

    /// Begins the stop whose delay is over.
    pub(super) fn stop_when_due(&mut self, now: u64) {
        if self.stop_at.is_some_and(|at| now >= at) {
            self.stop_without_delay();
        }
    }

    /// Finishes: workers stop accepting, serve what they hold and exit.
    fn stop_without_delay(&mut self) {
        self.stop_at = None;
        match &mut self.phase {
            Phase::Stopping => return,
            Phase::Starting => {
                self.failure = Some(Error::new(Code::StartFailed, "stopped while it started"));
                self.kill_all();
            }
            Phase::Serving | Phase::Reloading(_) => {}
        }
        tracing::info!("graceful shutdown triggered...");
        self.notify.stopping();
        if let Phase::Reloading(reload) = std::mem::replace(&mut self.phase, Phase::Stopping) {
            refuse(reload.into_waiters());
        }
        self.handed_over();
        self.turnover_superseded();
        self.pausing.abandon();
        refuse(std::mem::take(&mut self.staffing));
        refuse(self.crowd.take().into_iter().flat_map(|crowd| crowd.waiters));
        self.abandon_the_coming();
        for number in self.generations.iter().map(|generation| generation.number).collect::<Vec<_>>() {
            self.retire_generation(number);
        }
        // New clients are refused from here on, and go to another instance where there is one;
        // those in the queue are served by the workers that still hold the sockets.
        sockets::discard_if(&self.listeners, self.vacuum());
        self.listeners.clear();
    }

    /// Ends at once: requests in hand are lost.
    pub(super) fn stop_now(&mut self) {
        if !matches!(self.phase, Phase::Stopping) {
            self.stop_without_delay();
        }
        tracing::warn!("stopping at once: requests in hand are lost");
        self.kill_all();
    }

    /// The first generation did not come up: clean up and say why.
    pub(super) fn start_failed(&mut self, error: Error) {
        tracing::error!("{error}");
        self.notify.failed(&error);
        self.failure = Some(error);
        self.phase = Phase::Stopping;
        self.abandon_the_coming();
        self.kill_all();
    }

    /// Gives up what was under way for a generation that will not come: its sockets were never said
    /// to be served.
    fn abandon_the_coming(&mut self) {
        self.plan = None;
        self.figures.give_up();
        self.respawns.clear();
        let opened = std::mem::take(&mut self.coming_listeners);
        sockets::discard(&opened, &self.listeners);
        refuse(self.reload_after_start.take().into_iter().flatten());
    }

    /// The last child is gone: takes the files away and returns the exit code.
    pub(super) fn finish(&mut self) -> i32 {
        self.atexit_hooks();
        if (self.vacuum() || self.failure.is_some())
            && let Some(pidfile) = self.pidfile.take()
        {
            match pidfile.remove() {
                Ok(()) => tracing::info!("VACUUM: pidfile removed."),
                Err(error) => tracing::warn!("cannot remove the pid file: {error}"),
            }
        }
        self.figures.close(self.vacuum());
        // The answers to waiting clients are still with the runtime's tasks.
        self.events.flush();
        match self.failure.take() {
            Some(error) => {
                self.boot.failed(&error);
                i32::from(error.exit)
            }
            None => {
                tracing::info!("goodbye to uWSGI.");
                0
            }
        }
    }

    fn vacuum(&self) -> bool {
        self.generation(self.active).is_some_and(|active| active.config.vacuum)
    }
}
