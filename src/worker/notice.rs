//! What a worker tells its master over its seat, one message each.
//!
//! Sent by this room, received by `master`. A worker never waits for an answer.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// One message from a worker to its master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// It serves.
    Ready {
        /// Its cell on the scoreboard.
        cell: usize,
        /// Its pid.
        pid: u32,
    },
    /// It wants to be replaced and goes on serving until it is told to finish (SIGHUP).
    Recycle {
        /// Its cell on the scoreboard.
        cell: usize,
        /// Its pid.
        pid: u32,
        /// Why: the option that asks for it, or what happened.
        reason: String,
    },
    /// It was told to finish and accepts no connection from now on.
    Finishing {
        /// Its cell on the scoreboard.
        cell: usize,
        /// Its pid.
        pid: u32,
    },
    /// The app asks for something; from a zygote too.
    Wishes {
        /// Its pid.
        pid: u32,
        /// What it asks for.
        wish: Wish,
    },
    /// It can't serve and exits.
    Failed {
        /// Its cell on the scoreboard.
        cell: usize,
        /// Its pid.
        pid: u32,
        /// Why.
        error: Error,
    },
}

/// What an app may ask of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// uWSGI: `uwsgi.reload()`.
    Reload,
    /// uWSGI: `uwsgi.stop()`.
    Stop,
}

impl Notice {
    /// Who says it.
    pub fn pid(&self) -> u32 {
        match self {
            Self::Ready { pid, .. }
            | Self::Recycle { pid, .. }
            | Self::Finishing { pid, .. }
            | Self::Wishes { pid, .. }
            | Self::Failed { pid, .. } => *pid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::channel::Channel;

    #[test]
    fn notices_arrive_as_they_were_sent() {
        let (ours, theirs) = Channel::pair().unwrap();
        for notice in [
            Notice::Ready { cell: 1, pid: 2 },
            Notice::Recycle { cell: 1, pid: 2, reason: "max-requests".into() },
            Notice::Finishing { cell: 1, pid: 2 },
            Notice::Wishes { pid: 2, wish: Wish::Reload },
            Notice::Failed { cell: 1, pid: 2, error: Error::system("a", "b").exit(22) },
        ] {
            ours.send(&notice, &[]).unwrap();
            assert_eq!(theirs.receive::<Notice>().unwrap().unwrap().0, notice);
        }
    }
}
