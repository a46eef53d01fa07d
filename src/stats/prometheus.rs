//! Prometheus' text format, by hand: HELP, TYPE, samples.
//!
//! Names start with `rustwsgi_`; units are seconds and bytes. Asked for by `/metrics`.

use std::fmt::{Display, Write};

use super::Snapshot;
use crate::scoreboard::BOUNDS;

/// The media type of the text.
pub const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Snapshot {
    /// Everything, as Prometheus reads it.
    pub fn prometheus(&self) -> String {
        let mut text = Text(String::with_capacity(8192));
        self.tell_life(&mut text);
        self.tell_work(&mut text);
        self.tell_requests(&mut text);
        self.tell_workers(&mut text);
        text.0
    }

    fn tell_life(&self, text: &mut Text) {
        let life = &self.life;
        text.family("rustwsgi_info", "gauge", "The release, as a label");
        text.sample("rustwsgi_info", &[("version", &self.stats.version)], 1);
        text.single("rustwsgi_start_time_seconds", "gauge", "When the instance started, since 1970", life.started);
        let ready = u8::from(life.ready);
        text.single("rustwsgi_ready", "gauge", "1 while the instance serves and is not about to stop", ready);
        text.single("rustwsgi_generation", "gauge", "The number of the generation that serves", life.generation);
        text.single("rustwsgi_generations", "gauge", "Generations that have a process left", life.generations);
        text.family("rustwsgi_reloads_total", "counter", "Reloads, by how they ended");
        for (result, count) in [("done", life.reloads.done), ("failed", life.reloads.failed)] {
            text.sample("rustwsgi_reloads_total", &[("result", result)], count);
        }
        if let Some((done, at)) = life.reloads.last {
            let name = "rustwsgi_last_reload_successful";
            text.single(name, "gauge", "1 where the last reload brought new code", u8::from(done));
            text.single(
                "rustwsgi_last_reload_timestamp_seconds",
                "gauge",
                "When the last reload ended, since 1970",
                at,
            );
        }
        let help = "Memory of the master, shared pages included";
        text.single("rustwsgi_master_resident_memory_bytes", "gauge", help, life.master_rss);
    }

    fn tell_work(&self, text: &mut Text) {
        let life = &self.life;
        text.family("rustwsgi_workers", "gauge", "Workers by what they do; cheap is a number without a process");
        for status in ["idle", "busy", "pause", "cheap"] {
            let count = self.stats.workers.iter().filter(|worker| worker.status == status).count();
            text.sample("rustwsgi_workers", &[("status", status)], count);
        }
        let help = "Processes of workers, old ones that finish too";
        text.single("rustwsgi_worker_processes", "gauge", help, life.processes);
        text.family("rustwsgi_cores", "gauge", "Request slots of all workers by what they do");
        let (busy, idle) = self.stats.cores();
        for (status, count) in [("busy", busy), ("idle", idle)] {
            text.sample("rustwsgi_cores", &[("status", status)], count);
        }
        text.single("rustwsgi_worker_spawns_total", "counter", "Workers that were forked", life.spawns);
        text.family("rustwsgi_worker_ends_total", "counter", "Workers that ended, by cause");
        for (cause, count) in life.ends.each() {
            text.sample("rustwsgi_worker_ends_total", &[("cause", cause)], count);
        }
        text.single("rustwsgi_harakiri_total", "counter", "Workers that harakiri killed", life.harakiri);
        text.family("rustwsgi_listen_queue", "gauge", "Connections that wait to be accepted");
        for socket in &self.stats.sockets {
            let labels = [("socket", socket.name.as_str()), ("protocol", &socket.proto)];
            text.sample("rustwsgi_listen_queue", &labels, socket.queue);
        }
        text.family("rustwsgi_listen_queue_limit", "gauge", "Connections that may wait to be accepted");
        for socket in &self.stats.sockets {
            let labels = [("socket", socket.name.as_str()), ("protocol", &socket.proto)];
            text.sample("rustwsgi_listen_queue_limit", &labels, socket.max_queue);
        }
    }

    fn tell_requests(&self, text: &mut Text) {
        let totals = &self.life.totals;
        text.family("rustwsgi_requests_total", "counter", "Requests served, by the class of their status");
        for (digit, count) in totals.statuses.iter().enumerate() {
            let class = if digit == 0 { "none".to_owned() } else { format!("{digit}xx") };
            text.sample("rustwsgi_requests_total", &[("status", &class)], count);
        }
        text.single("rustwsgi_exceptions_total", "counter", "Requests that ended in an exception", totals.exceptions);
        let name = "rustwsgi_read_errors_total";
        let errors = totals.cores.iter().map(|core| core.read_errors).sum::<u64>();
        text.single(name, "counter", "Requests whose body could not be read", errors);
        let name = "rustwsgi_write_errors_total";
        let errors = totals.cores.iter().map(|core| core.write_errors).sum::<u64>();
        text.single(name, "counter", "Requests whose response could not be written", errors);
        text.single("rustwsgi_sent_bytes_total", "counter", "Bytes of responses, heads included", totals.tx);
        let name = "rustwsgi_request_duration_seconds";
        text.family(name, "histogram", "How long requests took, from complete to answered");
        let mut sum = 0;
        for (at, count) in totals.durations.iter().enumerate() {
            sum += count;
            let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), |micros| (*micros as f64 / 1e6).to_string());
            text.sample(&format!("{name}_bucket"), &[("le", &bound)], sum);
        }
        text.sample(&format!("{name}_sum"), &[], totals.running_micros as f64 / 1e6);
        text.sample(&format!("{name}_count"), &[], sum);
    }

    fn tell_workers(&self, text: &mut Text) {
        let workers = &self.stats.workers;
        text.family("rustwsgi_worker_requests_total", "counter", "Requests served under each worker number");
        for worker in workers {
            text.sample("rustwsgi_worker_requests_total", &[("worker", &worker.id.to_string())], worker.requests);
        }
        let name = "rustwsgi_worker_resident_memory_bytes";
        text.family(name, "gauge", "Memory of each worker, shared pages included");
        for worker in workers {
            text.sample(name, &[("worker", &worker.id.to_string())], worker.rss);
        }
    }
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let text = &mut self.0;
        text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(text, "{}{label}=\"{value}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::document::{Document, Socket};

    #[test]
    fn labels_are_escaped_and_buckets_add_up() {
        let socket = Socket { name: "/run/\"a\\b\n".into(), proto: "uwsgi".into(), queue: 3, ..Socket::default() };
        let mut snapshot =
            Snapshot { stats: Document { sockets: vec![socket], ..Document::default() }, ..Snapshot::default() };
        (snapshot.life.totals.durations[0], snapshot.life.totals.durations[14]) = (2, 1);
        snapshot.life.totals.running_micros = 1_500_000;
        let text = snapshot.prometheus();
        for line in [
            r#"rustwsgi_listen_queue{socket="/run/\"a\\b\n",protocol="uwsgi"} 3"#,
            r#"rustwsgi_request_duration_seconds_bucket{le="0.001"} 2"#,
            r#"rustwsgi_request_duration_seconds_bucket{le="30"} 2"#,
            r#"rustwsgi_request_duration_seconds_bucket{le="+Inf"} 3"#,
            "rustwsgi_request_duration_seconds_sum 1.5",
            "rustwsgi_request_duration_seconds_count 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
