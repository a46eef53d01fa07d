//! The end of an instance: asked for, or because it never came up.
//!
//! Requests in hand are finished, for at most `worker-reload-mercy`; then the processes are gone,
//! then the files, then the master.

use super::reload::answer;
use super::{Master, Phase, sockets};
use crate::error::{Code, Error};

impl Master {
    /// Finishes: workers stop accepting, serve what they hold and exit.
    pub(super) fn stop(&mut self) {
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
        let stopped = Err(Error::new(Code::ReloadFailed, "the instance was stopped"));
        if let Phase::Reloading(reload) = std::mem::replace(&mut self.phase, Phase::Stopping) {
            for waiter in reload.into_waiters() {
                answer(Some(waiter), &stopped);
            }
            self.give_up(self.latest);
        }
        self.handed_over();
        self.respawns.clear();
        for generation in &mut self.generations {
            generation.retire();
        }
        let numbers: Vec<u64> = self.generations.iter().map(|generation| generation.number).collect();
        for number in numbers {
            self.children.remove_all_asked(number);
            for pid in self.pids_of(number) {
                self.retire(pid);
            }
        }
        // New clients are refused from here on, and go to another instance where there is one;
        // those in the queue are served by the workers that still hold the sockets.
        sockets::discard_if(&self.listeners, self.vacuum());
        self.listeners.clear();
    }

    /// Ends at once: requests in hand are lost.
    pub(super) fn stop_now(&mut self) {
        if !matches!(self.phase, Phase::Stopping) {
            self.stop();
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
        self.plan = None;
        self.respawns.clear();
        let opened = std::mem::take(&mut self.coming_listeners);
        sockets::discard(&opened, &[]);
        self.kill_all();
        let latest = self.latest;
        self.children.remove_all_asked(latest);
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
        // The answers to waiting clients are still with the runtime's tasks.
        self.events.flush();
        match self.failure.take() {
            Some(error) => {
                self.boot.failed(&error);
                i32::from(error.exit)
            }
            None => {
                tracing::info!("goodbye to rustwsgi.");
                0
            }
        }
    }

    fn vacuum(&self) -> bool {
        self.generation(self.active).is_some_and(|active| active.config.vacuum)
    }
}
