//! Opening the log file anew after somebody moved it away (uWSGI: `l` over the FIFO, `--touch-logreopen`).
//!
//! Part of the master, which opens it, hands it to the zygotes and has the workers follow.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::{Signal, kill};

use super::Master;
use super::children::State;
use crate::error::Result;
use crate::log::sink::Sink;
use crate::sys::clock;

impl Master {
    /// Opens the log file anew; every process writes there from then on, a busy worker after the request
    /// in hand. Fails with RW0601; the old file then stays.
    pub(super) fn reopen_log(&mut self) -> Result<String> {
        let Some(path) = self.log_file() else {
            return Ok("there is no log file: neither `daemonize` nor `logto` names one".to_owned());
        };
        let sink = Sink::open(&path, self.started_with.logging.logfile_chmod)?;
        tracing::info!("[{}] triggering log-reopen...", clock::epoch());
        sink.redirect()?;
        tracing::info!("[{}] {} reopened.", clock::epoch(), path.display());
        for generation in &self.generations {
            if let Err(error) = generation.hand_over_log(&sink) {
                tracing::warn!("the zygote of generation {} keeps the old log file: {error}", generation.number);
            }
        }
        if let Some(active) = self.generation(self.active) {
            // The totals are every generation's.
            active.board.totals().log_turn.fetch_add(1, Relaxed);
        }
        for pid in self.children.iter().filter(|it| it.state == State::Serving).filter_map(|it| it.pid) {
            let _ = kill(pid, Signal::SIGWINCH);
        }
        Ok(format!("{} reopened", path.display()))
    }

    pub(super) fn log_file(&self) -> Option<PathBuf> {
        let config = &self.started_with;
        config.daemonize.as_ref().or(config.logto.as_ref()).map(|path| self.directory.join(path))
    }
}
