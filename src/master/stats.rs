//! The figures: what the master knows as a snapshot, and the sockets that it is served on
//! (uWSGI: `--stats`).
//!
//! Part of the master. The sockets live like the app's: looked at before the start, opened before
//! privileges are given up, kept over reloads. Clients are tasks of the event queue (`server`); each
//! asks the loop for one snapshot, and waits by itself for its reader.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use nix::unistd::{getegid, geteuid, getpid};
use tokio::task::JoinHandle;

use super::children::{State, Worker};
use super::sockets::{self, Plan};
use super::{Master, Phase};
use crate::config::Config;
use crate::error::Result;
use crate::net::listener::{Backlog, Listener, Protocol};
use crate::stats::document::{App, Core, Document, RequestInfo, Socket, Worker as Row};
use crate::stats::{Life, Snapshot};
use crate::sys::clock;
use crate::sys::process::Memory;

pub mod server;

use server::Terms;

/// The sockets that figures are served on.
#[derive(Debug)]
pub struct Figures {
    /// When the instance started, seconds since 1970.
    since: i64,
    open: Vec<Listener>,
    serving: Vec<JoinHandle<()>>,
    /// Sockets of the coming generation.
    plan: Option<(Plan, Vec<Terms>)>,
    /// The same, once opened.
    coming: Option<(Vec<Listener>, Vec<Terms>)>,
}

impl Figures {
    /// No sockets yet.
    pub fn new() -> Self {
        Self { since: clock::epoch(), open: Vec::new(), serving: Vec::new(), plan: None, coming: None }
    }

    /// The figures of an instance that another program began, at `since`.
    pub fn adopt(since: i64) -> Self {
        Self { since, ..Self::new() }
    }

    /// When the instance started, seconds since 1970.
    pub fn since(&self) -> i64 {
        self.since
    }

    /// Finds out whether the sockets of a configuration can be had.
    pub fn plan(&mut self, config: &Config, directory: &Path) -> Result<()> {
        let options = &config.stats;
        let (mut wanted, mut terms) = (Vec::new(), Vec::new());
        if let Some(address) = &options.stats {
            wanted.push((address.as_str(), Protocol::Http, config.origin("stats")));
            let (http, minified, cores) = (options.stats_http, options.stats_minified, !options.stats_no_cores);
            terms.push(Terms { name: "stats", document: true, http, minified, cores });
        }
        if let Some(address) = &options.metrics_socket {
            wanted.push((address.as_str(), Protocol::Http, config.origin("metrics-socket")));
            terms.push(Terms { name: "metrics", document: false, http: true, minified: false, cores: false });
        }
        self.plan = Some((Plan::of(config, directory, wanted.into_iter(), &self.open)?, terms));
        Ok(())
    }

    /// Opens what was planned.
    pub fn open(&mut self) -> Result<()> {
        if let Some((plan, terms)) = self.plan.take() {
            self.coming = Some((plan.open(&self.open)?, terms));
        }
        Ok(())
    }

    /// The coming generation will not come, nor its sockets.
    pub fn give_up(&mut self) {
        self.plan = None;
        if let Some((listeners, _)) = self.coming.take() {
            sockets::discard(&listeners, &self.open);
        }
    }

    /// Serves no more.
    pub fn close(&mut self, vacuum: bool) {
        self.serving.drain(..).for_each(|task| task.abort());
        sockets::discard_if(&self.open, vacuum);
        self.open.clear();
    }
}

impl Master {
    /// Serves figures on the sockets that were opened last.
    pub(super) fn serve_figures(&mut self) {
        let Some((listeners, terms)) = self.figures.coming.take() else { return };
        self.figures.serving.drain(..).for_each(|task| task.abort());
        for (listener, terms) in listeners.iter().zip(terms) {
            if !self.figures.open.iter().any(|open| open.address == listener.address) {
                tracing::info!("*** {} server enabled on {} fd: {} ***", terms.name, listener.name, listener.number());
            }
            match self.events.serve_figures(listener, terms) {
                Ok(task) => self.figures.serving.push(task),
                Err(error) => tracing::error!("no figures are served on {}: {error}", listener.name),
            }
        }
        let gone = std::mem::replace(&mut self.figures.open, listeners);
        sockets::discard(&gone, &self.figures.open);
    }

    /// Notes that a zygote has imported its app.
    pub(super) fn app_imported(&mut self, number: u64, has_app: bool, millis: u64) {
        if let Some(generation) = self.generation_mut(number) {
            generation.imported_in = has_app.then_some(millis);
        }
    }

    /// How the instance is.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut stats = self.document();
        let config = self.generation(self.active).map(|active| &active.config.stats);
        if config.is_some_and(|it| it.enable_metrics && !it.stats_no_metrics) {
            stats.metrics = Some(stats.make_metrics());
        }
        Snapshot { life: self.life(), stats }
    }

    fn life(&self) -> Life {
        let serves = matches!(self.phase, Phase::Serving | Phase::Reloading(_));
        Life {
            state: self.state(),
            ready: serves && !self.is_paused() && !self.is_stop_delayed(),
            started: self.figures.since as f64,
            uptime: clock::monotonic().saturating_sub(self.began) as f64 / 1e9,
            generation: self.active,
            generations: self.generations.len(),
            processes: self.children.iter().filter(|worker| worker.pid.is_some()).count(),
            spawns: self.ledger.accounts().map(|account| account.spawns).sum(),
            ends: self.ledger.ends,
            harakiri: self.ledger.accounts().map(|account| account.harakiri).sum(),
            reloads: self.ledger.reloads,
            master_rss: Memory::of(getpid()).map_or(0, |memory| memory.resident),
            totals: self.totals(),
        }
    }

    fn document(&self) -> Document {
        let active = self.generation(self.active);
        let limit = active.map_or(0, |active| Backlog::within_system(active.config.listen).0.length());
        let sockets: Vec<Socket> = self
            .listeners
            .iter()
            .map(|listener| Socket {
                name: listener.name.clone(),
                proto: listener.protocol.as_str().to_owned(),
                queue: listener.waiting().unwrap_or(0),
                max_queue: limit,
                shared: 0,
                can_offload: 0,
            })
            .collect();
        let load = sockets.iter().map(|socket| socket.queue).max().unwrap_or(0);
        let cwd = active.map_or_else(|| self.directory.clone(), |it| it.config.app_directory(&self.directory));
        Document {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen_queue: load,
            load,
            pid: getpid().as_raw(),
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            cwd: cwd.display().to_string(),
            sockets,
            workers: (1..=active.map_or(0, |it| it.config.processes)).map(|id| self.row(id)).collect(),
            ..Document::default()
        }
    }

    /// One worker number.
    fn row(&self, id: usize) -> Row {
        let (tally, account) = (self.tally(id), self.ledger.account(id));
        let mut row = Row {
            id,
            requests: tally.requests,
            exceptions: tally.exceptions,
            harakiri_count: account.harakiri,
            status: "cheap",
            running_time: tally.running_micros,
            last_spawn: account.last_spawn,
            respawn_count: account.spawns,
            tx: tally.tx,
            avg_rt: tally.average(),
            ..Row::default()
        };
        let cores = self.generation(self.active).map_or(0, |active| active.config.threads);
        let mut cores: Vec<Core> = (0..cores.max(tally.cores.len()))
            .map(|core| {
                let counted = tally.cores.get(core).copied().unwrap_or_default();
                Core {
                    id: core,
                    requests: counted.requests,
                    exceptions: counted.exceptions,
                    write_errors: counted.write_errors,
                    read_errors: counted.read_errors,
                    ..Core::default()
                }
            })
            .collect();
        if let Some(worker) = self.representative(id) {
            self.describe(worker, &mut row, &mut cores);
        }
        row.cores = Some(cores);
        row
    }

    /// The process of a number: the one that serves, or else the latest.
    fn representative(&self, id: usize) -> Option<&Worker> {
        let of = self.children.iter().filter(|worker| worker.id == id && worker.pid.is_some());
        of.max_by_key(|worker| (worker.state == State::Serving && !worker.recycling, worker.generation, worker.since))
    }

    /// Puts down what the process of a worker does.
    fn describe(&self, worker: &Worker, row: &mut Row, cores: &mut [Core]) {
        let (Some(pid), Some(generation)) = (worker.pid, self.generation(worker.generation)) else { return };
        let board = &generation.board;
        let paused = board.cell(worker.cell).paused.load(Relaxed) != 0;
        row.pid = pid.as_raw();
        row.accepting = u8::from(worker.state == State::Serving && !paused);
        row.delta_requests = board.served_here(worker.cell);
        row.status = match (board.is_busy(worker.cell), paused) {
            (true, _) => "busy",
            (false, true) => "pause",
            (false, false) => "idle",
        };
        if let Ok(memory) = Memory::of(pid) {
            (row.rss, row.vsz) = (memory.resident, memory.size);
        }
        if generation.imported_in.is_some() || generation.config.lazy_apps {
            row.apps.push(App {
                startup_time: generation.imported_in.unwrap_or(0) / 1000,
                requests: row.requests,
                exceptions: row.exceptions,
                ..App::default()
            });
        }
        for core in cores.iter_mut().take(board.cores()) {
            let Some(running) = board.core(worker.cell, core.id).running() else { continue };
            core.in_request = 1;
            let (method, uri) = running.label.split_once(' ').unwrap_or((&running.label, ""));
            core.vars = vec![format!("REQUEST_METHOD={method}"), format!("REQUEST_URI={uri}"), String::new()];
            let seconds = clock::monotonic().saturating_sub(running.started) / 1_000_000_000;
            core.req_info = RequestInfo { request_start: Some(clock::epoch() - seconds as i64) };
        }
    }
}
