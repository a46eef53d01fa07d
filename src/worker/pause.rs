//! Accepting nothing while the master says so (uWSGI: SIGTSTP, `p` over the FIFO).
//!
//! The word stands on the scoreboard, for every worker, the new ones too; a poke has the cores look.
//! Connections wait in the listen queue meanwhile; those that are open are served on.

use std::sync::atomic::Ordering::Relaxed;

use super::Worker;

impl Worker {
    /// Whether the instance is paused.
    pub fn is_told_to_pause(&self) -> bool {
        self.board.totals().paused.load(Relaxed) != 0
    }

    /// Stops listening, or listens again, as the scoreboard says; tells there that it does.
    pub fn obey_pause(&self) {
        let paused = self.is_told_to_pause();
        let told = &self.board.cell(self.cell).paused;
        if told.swap(u32::from(paused), Relaxed) == u32::from(paused) {
            return;
        }
        if paused {
            tracing::info!("*** worker {} suspended ***", self.id);
            if !self.paused.swap(true, Relaxed) {
                for gate in &self.gates {
                    let _ = self.connections(false).ignore(gate);
                }
            }
        } else {
            tracing::info!("*** worker {} resumed ***", self.id);
            self.resume();
        }
    }
}
