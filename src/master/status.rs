//! How the instance is: for `rustwsgi ctl … status`, and as lines in the log (uWSGI: SIGUSR1, `s`).
//!
//! Part of the master. Read from the scoreboard; changes nothing.

use std::sync::atomic::Ordering::Relaxed;

use nix::unistd::getpid;
use serde::{Deserialize, Serialize};

use super::children::State;
use super::{Master, Phase};
use crate::error::{Error, Result};
use crate::sys::clock;

/// An instance at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The release.
    pub version: String,
    /// The master's pid.
    pub pid: i32,
    /// `starting`, `serving`, `paused`, `reloading` or `stopping`.
    pub state: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// The number of the generation that serves: 1 and one more for every reload.
    pub generation: u64,
    /// Requests served since the start.
    pub requests: u64,
    /// What it listens on.
    pub sockets: Vec<String>,
    /// Its workers, old ones that finish too.
    pub workers: Vec<Member>,
}

/// A worker at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    pub id: usize,
    /// Its pid; 0 before it is forked.
    pub pid: i32,
    /// `starting`, `idle`, `busy`, or `finishing`.
    pub state: String,
    /// Its generation.
    pub generation: u64,
    /// Requests served under its number.
    pub requests: u64,
    /// Requests that ended in an exception.
    pub exceptions: u64,
    /// Bytes sent.
    pub tx: u64,
    /// Requests under way: method and URI.
    pub running: Vec<String>,
}

impl Status {
    /// What a person reads.
    pub fn text(&self) -> String {
        let mut text = format!(
            "rustwsgi {}, master pid {}: {} for {} s, generation {}, {} requests\n",
            self.version, self.pid, self.state, self.uptime, self.generation, self.requests
        );
        for socket in &self.sockets {
            text += &format!("listens on {socket}\n");
        }
        for worker in &self.workers {
            text += &worker.line();
            text.push('\n');
        }
        text.pop();
        text
    }
}

impl Member {
    fn line(&self) -> String {
        let Self { id, pid, state, generation, requests, exceptions, running, .. } = self;
        let running = running.iter().map(|label| format!(" [{label}]")).collect::<String>();
        format!(
            "worker {id} (pid: {pid}, generation {generation}): {state}, {requests} requests, {exceptions} exceptions{running}"
        )
    }
}

impl Master {
    /// How the instance is, as JSON.
    pub(super) fn status(&self) -> Result<String> {
        serde_json::to_string(&self.look_around()).map_err(|error| Error::system("json", error))
    }

    /// Says in the log how the instance is.
    pub(super) fn report(&self) {
        for line in self.look_around().text().lines() {
            tracing::info!("{line}");
        }
    }

    /// What the instance is about, in a word.
    pub(super) fn state(&self) -> &'static str {
        match self.phase {
            Phase::Starting => "starting",
            Phase::Serving if self.is_paused() => "paused",
            Phase::Serving => "serving",
            Phase::Reloading(_) => "reloading",
            Phase::Stopping => "stopping",
        }
    }

    fn look_around(&self) -> Status {
        let active = self.generation(self.active);
        let mut workers: Vec<Member> = self.children.iter().filter_map(|worker| self.member(worker)).collect();
        workers.sort_by_key(|worker| (worker.generation, worker.id));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: getpid().as_raw(),
            state: self.state().to_owned(),
            uptime: clock::monotonic().saturating_sub(self.began) / 1_000_000_000,
            generation: self.active,
            requests: active.map_or(0, |active| active.board.totals().requests.load(Relaxed)),
            sockets: self.listeners.iter().map(|it| format!("{} {}", it.protocol.as_str(), it.name)).collect(),
            workers,
        }
    }

    fn member(&self, worker: &super::children::Worker) -> Option<Member> {
        let board = &self.generation(worker.generation)?.board;
        let cell = board.cell(worker.cell);
        let running: Vec<String> = (0..board.cores())
            .filter_map(|core| board.core(worker.cell, core).running())
            .map(|running| running.label)
            .collect();
        let state = match worker.state {
            State::Starting => "starting",
            State::Unwanted | State::Leaving { .. } => "finishing",
            State::Condemned => "hanging",
            State::Undead => "stuck in the kernel",
            State::Serving if running.is_empty() => "idle",
            State::Serving => "busy",
        };
        Some(Member {
            id: worker.id,
            pid: worker.pid.map_or(0, nix::unistd::Pid::as_raw),
            state: state.to_owned(),
            generation: worker.generation,
            requests: cell.requests.load(Relaxed),
            exceptions: cell.exceptions.load(Relaxed),
            tx: cell.tx.load(Relaxed),
            running,
        })
    }
}
