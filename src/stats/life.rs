//! What is known of an instance beyond uWSGI's document: its generations, reloads, deaths, sums.
//!
//! Filled by the master; read by the Prometheus text and the status page.

use serde::{Deserialize, Serialize, Serializer};

use crate::scoreboard::Tally;

/// An instance at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Life {
    /// `starting`, `serving`, `paused`, `reloading` or `stopping`.
    pub state: &'static str,
    /// Whether a generation serves that is not about to stop.
    pub ready: bool,
    /// When the instance started, seconds since 1970.
    pub started: f64,
    /// Seconds since then.
    pub uptime: f64,
    /// The number of the generation that serves.
    pub generation: u64,
    /// Generations that have a process left.
    pub generations: usize,
    /// Processes of workers, old ones that finish too.
    pub processes: usize,
    /// How often a worker was forked.
    pub spawns: u64,
    /// How workers ended.
    pub ends: Ends,
    /// Workers that harakiri killed.
    pub harakiri: u64,
    /// How reloads went.
    pub reloads: Reloads,
    /// The master's memory, bytes.
    pub master_rss: u64,
    /// The counters of all workers that ever were.
    #[serde(serialize_with = "sums")]
    pub totals: Tally,
}

/// How workers ended, by cause. Those that were never needed are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Told to finish, and did: a reload, `max-requests`, `cheaper`.
    pub finished: u64,
    /// Told to finish, and killed when `worker-reload-mercy` had passed.
    pub mercy: u64,
    /// Killed by harakiri.
    pub harakiri: u64,
    /// Killed for its memory.
    pub memory: u64,
    /// Killed by a signal: a crash, or somebody.
    pub signal: u64,
    /// Ended by itself.
    pub exit: u64,
}

impl Ends {
    /// Each cause with its count.
    pub fn each(&self) -> [(&'static str, u64); 6] {
        [
            ("finished", self.finished),
            ("mercy", self.mercy),
            ("harakiri", self.harakiri),
            ("memory", self.memory),
            ("signal", self.signal),
            ("exit", self.exit),
        ]
    }
}

/// How reloads went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reloads {
    /// Those after which the new code served.
    pub done: u64,
    /// Those that changed nothing.
    pub failed: u64,
    /// Whether the last one was done, and when it ended, seconds since 1970.
    pub last: Option<(bool, f64)>,
}

/// What the page shows of the sums.
fn sums<S: Serializer>(tally: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Sums<'a> {
        requests: u64,
        exceptions: u64,
        tx: u64,
        running_micros: u64,
        statuses: &'a [u64],
        durations: &'a [u64],
    }
    let Tally { requests, exceptions, tx, running_micros, statuses, durations, .. } = tally;
    let (requests, exceptions, tx, running_micros) = (*requests, *exceptions, *tx, *running_micros);
    Sums { requests, exceptions, tx, running_micros, statuses, durations }.serialize(serializer)
}
