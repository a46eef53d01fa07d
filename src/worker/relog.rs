//! Writing to the log file that the instance has now (uWSGI: `l` over the FIFO).
//!
//! The master counts on the scoreboard how often the file was opened anew, and pokes; a worker that
//! finds the count changed opens the file too. One that may not, because it is another user's by now,
//! has itself replaced: its successor gets the file from the zygote.

use std::sync::atomic::Ordering::Relaxed;

use super::Worker;
use crate::log::sink::Sink;

impl Worker {
    /// Opens the log file anew where the master did.
    pub fn follow_log(&self) {
        let turn = self.board.totals().log_turn.load(Relaxed);
        if self.log_turn.swap(turn, Relaxed) == turn {
            return;
        }
        let Some(path) = &self.log else { return };
        if let Err(error) = Sink::open(path, None).and_then(|sink| sink.redirect())
            && self.limits.ask_once()
        {
            tracing::warn!("worker {} is replaced because it can't open the log file anew: {}", self.id, error.message);
            self.recycle("log file");
        }
    }
}
