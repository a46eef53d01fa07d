//! The stats document: uWSGI's keys in uWSGI's order (uWSGI: `--stats`).
//!
//! uwsgitop and the exporters read it. Filled by the master.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json;
use super::metrics::Metric;

/// The whole document.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// The release of rustwsgi.
    pub version: String,
    /// The most connections that wait on a socket.
    pub listen_queue: u64,
    /// Connections that the kernel refused for want of room; it does not tell.
    pub listen_queue_errors: u64,
    /// Bytes that wait in the signal pipe; there is none.
    pub signal_queue: u64,
    /// The same as `listen_queue`.
    pub load: u64,
    /// The master's pid.
    pub pid: i32,
    /// The master's user.
    pub uid: u32,
    /// The master's group.
    pub gid: u32,
    /// The directory of the app.
    pub cwd: String,
    /// Locks that processes hold: none are shared here.
    pub locks: Vec<BTreeMap<String, i32>>,
    /// With `enable-metrics`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::by_name")]
    pub metrics: Option<Vec<Metric>>,
    /// What it listens on.
    pub sockets: Vec<Socket>,
    /// One for each number, 1 to `processes`, whether there is a process or not.
    pub workers: Vec<Worker>,
}

/// A listening socket.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Socket {
    /// Its address.
    pub name: String,
    /// `uwsgi` or `http`.
    pub proto: String,
    /// Connections that wait.
    pub queue: u64,
    /// How many may wait.
    pub max_queue: u64,
    /// 1 for a socket that was given a number.
    pub shared: u8,
    /// 1 where a thread may take over sending.
    pub can_offload: u8,
}

/// A worker number.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Worker {
    /// The number.
    pub id: usize,
    /// Its process; 0 where there is none.
    pub pid: i32,
    /// 1 while it accepts connections.
    pub accepting: u8,
    /// Requests served under this number.
    pub requests: u64,
    /// Requests that the process has served itself.
    pub delta_requests: u64,
    /// Requests that ended in an exception.
    pub exceptions: u64,
    /// How often harakiri killed a process of this number.
    pub harakiri_count: u64,
    /// uWSGI signals handled.
    pub signals: u64,
    /// uWSGI signals that wait.
    pub signal_queue: u64,
    /// `idle`, `busy`, `pause`, `cheap`.
    pub status: &'static str,
    /// Memory, bytes.
    pub rss: u64,
    /// Address space, bytes.
    pub vsz: u64,
    /// Microseconds spent in requests.
    pub running_time: u64,
    /// When the process was forked, seconds since 1970.
    pub last_spawn: i64,
    /// How often a process was forked for this number.
    pub respawn_count: u64,
    /// Bytes sent.
    pub tx: u64,
    /// The average duration of a request, microseconds.
    pub avg_rt: u64,
    /// Its applications.
    pub apps: Vec<App>,
    /// Its threads; none with `stats-no-cores`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<Vec<Core>>,
}

/// An application in a worker.
#[derive(Clone, Debug, Default, Serialize)]
pub struct App {
    /// Its number.
    pub id: u32,
    /// The plugin that it is for: 0 is Python.
    pub modifier1: u8,
    /// Where it is mounted.
    pub mountpoint: String,
    /// How long its import took, seconds.
    pub startup_time: u64,
    /// Requests served.
    pub requests: u64,
    /// Those that ended in an exception.
    pub exceptions: u64,
    /// A directory of its own.
    pub chdir: String,
}

/// A thread of a worker.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Core {
    /// Its number, from 0.
    pub id: usize,
    /// Requests served.
    pub requests: u64,
    /// Files served without the app.
    pub static_requests: u64,
    /// Requests that a route decided.
    pub routed_requests: u64,
    /// Requests that another thread finished.
    pub offloaded_requests: u64,
    /// Responses that could not be written.
    pub write_errors: u64,
    /// Requests that ended in an exception; among the metrics only.
    #[serde(skip)]
    pub exceptions: u64,
    /// Bodies that could not be read.
    pub read_errors: u64,
    /// 1 while it has a request.
    pub in_request: u8,
    /// The request under way, as `NAME=value`; with an empty one at its end, as in uWSGI.
    pub vars: Vec<String>,
    /// More of it.
    pub req_info: RequestInfo,
}

/// More of a request under way.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestInfo {
    /// When it began, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_start: Option<i64>,
}

impl Document {
    /// The document as uWSGI writes it: tabs, no blank behind a colon.
    pub fn tabbed(&self) -> serde_json::Result<Vec<u8>> {
        json::tabbed(self)
    }

    /// The document on one line (uWSGI: `--stats-minified`).
    pub fn minified(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Leaves the threads out (uWSGI: `--stats-no-cores`).
    pub fn without_cores(mut self) -> Self {
        self.workers.iter_mut().for_each(|worker| worker.cores = None);
        self
    }

    /// How many cores have a request, and how many of those that accept have none.
    pub fn cores(&self) -> (u64, u64) {
        let alive = self.workers.iter().filter(|worker| worker.pid != 0);
        let cores: Vec<&Core> = alive.flat_map(|worker| worker.cores.iter().flatten()).collect();
        let busy = cores.iter().filter(|core| core.in_request != 0).count() as u64;
        (busy, cores.len() as u64 - busy)
    }
}
