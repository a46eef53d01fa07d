//! Commands at fixed times (uWSGI: `--cron`, `--cron2`, `--unique-cron`).
//!
//! Part of the master, which looks here at least once a second. A command is started once in a minute
//! that it is due in, whatever reloads happen in that minute; it runs in a session of its own and is
//! not touched by a reload.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::SECOND;
use super::hooks::Place;
use crate::sys::clock;
use crate::sys::spawn::Shell;

mod entry;
mod schedule;

pub use entry::Entry;

/// Every cron, and what of them runs.
#[derive(Debug, Default)]
pub struct Crons {
    crons: Vec<Cron>,
    running: Vec<Running>,
    place: Place,
    /// CLOCK_MONOTONIC nanoseconds at which what still runs is killed: the instance ends.
    until: Option<u64>,
}

#[derive(Debug)]
struct Cron {
    entry: Entry,
    /// The minute it was started in last.
    last: Option<DateTime>,
}

/// A command that runs.
#[derive(Debug)]
struct Running {
    pid: Pid,
    entry: Entry,
    /// CLOCK_MONOTONIC nanoseconds.
    since: u64,
    killed: bool,
}

impl Crons {
    /// Puts the crons of another configuration in place; one that was there before keeps its minute.
    pub fn replace(&mut self, entries: Vec<Entry>, place: Place) {
        self.place = place;
        let mut old = std::mem::take(&mut self.crons);
        for entry in entries {
            match old.iter().position(|cron| cron.entry == entry) {
                Some(at) => self.crons.push(old.swap_remove(at)),
                None => {
                    tracing::info!("[uwsgi-cron] command \"{}\" registered as cron task", entry.command);
                    self.crons.push(Cron { entry, last: None });
                }
            }
        }
    }

    /// Starts what is due, kills what takes too long. `now` is CLOCK_MONOTONIC, nanoseconds.
    pub fn check(&mut self, now: u64) {
        if !self.crons.is_empty() && self.until.is_none() {
            let now = Timestamp::now();
            self.start_due(TimeZone::system().to_offset(now).to_datetime(now));
        }
        for run in &mut self.running {
            let overdue = run.entry.harakiri > 0 && now >= run.since.saturating_add(run.entry.harakiri * SECOND);
            if overdue && !run.killed {
                tracing::warn!("*** HARAKIRI ON CRON \"{}\" (pid: {}) ***", run.entry.command, run.pid);
            }
            if (overdue || self.until.is_some_and(|until| now >= until)) && !run.killed {
                run.killed = true;
                let _ = killpg(run.pid, Signal::SIGKILL);
            }
        }
    }

    fn start_due(&mut self, wall: DateTime) {
        let minute = schedule::minute(wall);
        for cron in &mut self.crons {
            if cron.last == Some(minute) || !cron.entry.schedule.is_due(wall) {
                continue;
            }
            if cron.entry.unique && self.running.iter().any(|run| run.entry == cron.entry) {
                continue;
            }
            cron.last = Some(minute);
            let command = cron.entry.command.as_str();
            match (Shell { session: true, ..self.place.shell(command) }).start() {
                Ok(pid) => {
                    tracing::info!("[uwsgi-cron] running \"{command}\" (pid {pid})");
                    self.running.push(Running {
                        pid,
                        entry: cron.entry.clone(),
                        since: clock::monotonic(),
                        killed: false,
                    });
                }
                Err(error) => tracing::error!("[uwsgi-cron] cannot run \"{command}\": {error}"),
            }
        }
    }

    /// A child is dead; says whether it was one of these.
    pub fn died(&mut self, pid: Pid, status: WaitStatus) -> bool {
        let Some(at) = self.running.iter().position(|run| run.pid == pid) else { return false };
        let run = self.running.swap_remove(at);
        let seconds = clock::monotonic().saturating_sub(run.since) / SECOND;
        let how = match status {
            WaitStatus::Exited(_, 0) => String::new(),
            status => format!(": it {}", super::children::cause(status)),
        };
        tracing::info!(
            "[uwsgi-cron] command \"{}\" running with pid {pid} exited after {seconds} second(s){how}",
            run.entry.command
        );
        true
    }

    /// Starts nothing any more, and ends what runs within `mercy` nanoseconds. A second call changes
    /// nothing.
    pub fn stop(&mut self, mercy: u64) {
        if self.until.is_some() {
            return;
        }
        self.until = Some(clock::monotonic().saturating_add(mercy));
        for run in &self.running {
            tracing::info!("[uwsgi-cron] stopping \"{}\" (pid {})", run.entry.command, run.pid);
            let _ = killpg(run.pid, Signal::SIGTERM);
        }
    }

    /// Kills what runs.
    pub fn kill(&mut self) {
        for run in &mut self.running {
            run.killed = true;
            let _ = killpg(run.pid, Signal::SIGKILL);
        }
    }

    /// Whether something runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}
