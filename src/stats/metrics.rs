//! uWSGI's metrics: names, numbers and kinds, made from the stats document (uWSGI: `--enable-metrics`).
//!
//! In the document itself, and what is pushed to others.

use serde::{Serialize, Serializer};

use super::document::{Document, Worker};

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// Its name; the key of the others in JSON.
    #[serde(skip)]
    pub name: String,
    /// Whether it only grows.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its number as SNMP writes it.
    pub oid: String,
    /// Its value.
    pub value: u64,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It was set.
    Absolute,
    /// Another name of another one.
    Alias,
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

impl Document {
    /// Every metric, in uWSGI's order. (uWSGI counts the master as worker 0; it serves nothing.)
    pub fn make_metrics(&self) -> Vec<Metric> {
        use Kind::{Absolute, Alias, Counter, Gauge};
        let mut all = List(Vec::new());
        let alive = || self.workers.iter().filter(|worker| worker.pid != 0);
        let count = |status| alive().filter(|worker| worker.status == status).count() as u64;
        let (busy, idle) = (count("busy"), count("idle"));
        all.push("core.routed_signals".into(), Counter, "5.1".into(), 0);
        all.push("core.unrouted_signals".into(), Counter, "5.2".into(), 0);
        all.push("core.busy_workers".into(), Gauge, "5.3".into(), busy);
        all.push("core.idle_workers".into(), Gauge, "5.4".into(), idle);
        all.push("core.overloaded".into(), Counter, "5.5".into(), 0);
        let nobody = Worker::default();
        for worker in std::iter::once(&nobody).chain(&self.workers) {
            let id = worker.id;
            for (name, kind, number, value) in [
                ("requests", Counter, "1", worker.requests),
                ("delta_requests", Absolute, "2", worker.delta_requests),
                ("failed_requests", Counter, "13", worker.exceptions),
                ("respawns", Counter, "14", worker.respawn_count),
                ("avg_response_time", Gauge, "8", worker.avg_rt),
                ("total_tx", Counter, "9", worker.tx),
                ("rss_size", Gauge, "11", worker.rss),
                ("vsz_size", Gauge, "12", worker.vsz),
                ("running_time", Counter, "13", worker.running_time),
            ] {
                all.push(format!("worker.{id}.{name}"), kind, format!("3.{id}.{number}"), value);
            }
            for core in worker.cores.iter().flatten() {
                for (name, number, value) in [
                    ("requests", 1, core.requests),
                    ("write_errors", 3, core.write_errors),
                    ("routed_requests", 4, core.routed_requests),
                    ("static_requests", 5, core.static_requests),
                    ("offloaded_requests", 6, core.offloaded_requests),
                    ("exceptions", 7, core.exceptions),
                    ("read_errors", 8, core.read_errors),
                ] {
                    let core = core.id;
                    let oid = format!("3.{id}.2.{core}.{number}");
                    all.push(format!("worker.{id}.core.{core}.{name}"), Counter, oid, value);
                }
            }
        }
        let sum = |of: fn(&Worker) -> u64| self.workers.iter().map(of).sum::<u64>();
        let (rss, vsz, time) = (sum(|it| it.rss), sum(|it| it.vsz), sum(|it| it.running_time));
        all.push("core.total_tx".into(), Counter, "5.100".into(), sum(|it| it.tx));
        all.push("core.total_rss".into(), Gauge, "5.101".into(), rss);
        all.push("core.total_vsz".into(), Gauge, "5.102".into(), vsz);
        let average = time.checked_div(sum(|it| it.requests)).unwrap_or(0);
        all.push("core.avg_response_time".into(), Gauge, "5.103".into(), average);
        all.push("core.total_running_time".into(), Counter, "5.104".into(), time);
        for (number, socket) in self.sockets.iter().enumerate() {
            all.push(format!("socket.{number}.listen_queue"), Gauge, format!("7.{number}.1"), socket.queue);
        }
        all.push("rss_size".into(), Alias, "5.101".into(), rss);
        all.push("vsz_size".into(), Alias, "5.102".into(), vsz);
        all.0
    }
}

struct List(Vec<Metric>);

impl List {
    fn push(&mut self, name: String, kind: Kind, oid: String, value: u64) {
        self.0.push(Metric { name, kind, oid, value });
    }
}
