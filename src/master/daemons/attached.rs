//! One attached daemon: waiting to be started, running, told to end.
//!
//! Part of `daemons`, which keeps them in a table.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;

use super::{Definition, Place, SECOND, Touched, living, signal_group, start, tell_end};

/// A daemon that lives shorter than this, nanoseconds, is started again with a pause (uWSGI: 3 s).
const SHORT: u64 = 3 * SECOND;
/// The longest pause, seconds, where `max_throttle` sets none (uWSGI: 300).
const LONGEST_PAUSE: u64 = 300;

/// A daemon and what it is about.
#[derive(Debug)]
pub struct Attached {
    definition: Definition,
    state: State,
    /// Times in CLOCK_MONOTONIC nanoseconds, here and below.
    started: u64,
    /// Started at least once.
    again: bool,
    /// How many times in a row it lived too short.
    quick_deaths: u64,
    touched: Touched,
    /// The command of a smart daemon that was started and goes to the background.
    launcher: Option<Pid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be started at this time.
    Waiting(u64),
    /// A plain daemon runs.
    Running(Pid),
    /// A smart daemon: its pid as last seen, and since when there is none.
    Watched(Option<Pid>, u64),
    /// Told to end: asked again at `next`, killed at `until`.
    Leaving { pid: Pid, signal: Signal, next: u64, until: u64 },
}

impl Attached {
    /// One that is to be started, or, a smart one, that may run already.
    pub fn new(definition: Definition, now: u64) -> Self {
        let found = definition.pidfile.as_deref().and_then(living);
        if let Some(pid) = found {
            tracing::info!("[uwsgi-daemons] found valid/active pidfile for \"{}\" (pid: {pid})", definition.command);
        }
        let state = match found {
            Some(pid) => State::Watched(Some(pid), now),
            None => State::Waiting(now),
        };
        let touched = Touched::new(&definition.touch);
        Self { definition, state, started: now, again: false, quick_deaths: 0, touched, launcher: None }
    }

    /// Whether `definition` is a smart daemon with the same pid file.
    pub fn is_same_smart(&self, definition: &Definition) -> bool {
        self.is_smart() && self.definition.pidfile == definition.pidfile
    }

    /// A smart daemon under a new definition: lives on, told of the reload where it wants to be.
    pub fn redefined(mut self, definition: Definition, now: u64) -> Self {
        if let (State::Watched(Some(pid), _), true) = (self.state, self.definition.notifypid) {
            let _ = kill(pid, self.definition.reload_signal.unwrap_or(Signal::SIGHUP));
        }
        self.touched = Touched::new(&definition.touch);
        self.definition = definition;
        if let State::Watched(Some(pid), _) = self.state {
            tracing::info!("[uwsgi-daemons] found valid/active pidfile for \"{}\" (pid: {pid})", self.command());
        } else if matches!(self.state, State::Waiting(_)) {
            self.state = State::Waiting(now);
        }
        self
    }

    /// The command.
    pub fn command(&self) -> &str {
        &self.definition.command
    }

    /// Whether it has a pid file.
    pub fn is_smart(&self) -> bool {
        self.definition.pidfile.is_some()
    }

    /// The process that is to end or runs here.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running(pid) | State::Leaving { pid, .. } => Some(pid),
            State::Watched(pid, _) => pid,
            State::Waiting(_) => None,
        }
    }

    /// Whether the process is its own.
    pub fn owns(&self, pid: Pid) -> bool {
        self.pid() == Some(pid) || self.launcher == Some(pid)
    }

    /// Whether it waits to be started.
    pub fn is_due_soon(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Starts it if its time has come.
    pub fn start_if_due(&mut self, place: &Place, now: u64) {
        let State::Waiting(at) = self.state else { return };
        if now < at {
            return;
        }
        self.started = now;
        let pid = start(&self.definition, place, self.again);
        self.again = true;
        self.state = match (pid, self.is_smart()) {
            (Some(pid), false) => State::Running(pid),
            (pid, true) => {
                self.launcher = pid.filter(|_| !self.definition.daemonize);
                State::Watched(pid.filter(|_| self.definition.daemonize), now)
            }
            (None, false) => self.pause(now),
        };
    }

    /// Looks at the pid file and at the files that restart it.
    pub fn look(&mut self, now: u64) {
        if let State::Watched(seen, since) = self.state {
            self.watch(seen, since, now);
        }
        if let (Some(file), Some(pid)) = (self.touched.changed(), self.pid()) {
            let signal = self.definition.reload_signal.unwrap_or(self.definition.stop_signal);
            tracing::info!(
                "[uwsgi-daemons] {} was touched: signal {} for \"{}\"",
                file.display(),
                signal as i32,
                self.command()
            );
            signal_group(pid, signal);
        }
    }

    fn watch(&mut self, seen: Option<Pid>, since: u64, now: u64) {
        let found = self.definition.pidfile.as_deref().and_then(living);
        match (seen, found) {
            (_, Some(pid)) if seen != Some(pid) => {
                match seen {
                    Some(old) => tracing::info!(
                        "[uwsgi-daemons] found changed pid for \"{}\" (old_pid: {old} new_pid: {pid})",
                        self.command()
                    ),
                    None => tracing::info!("[uwsgi-daemons] \"{}\" runs (pid: {pid})", self.command()),
                }
                self.quick_deaths = 0;
                self.state = State::Watched(Some(pid), now);
            }
            (_, Some(_)) => {}
            (Some(_), None) => self.state = State::Watched(None, now),
            (None, None) if now.saturating_sub(since) >= self.definition.freq.saturating_mul(SECOND) => {
                match self.launcher {
                    Some(pid) => {
                        tracing::error!("[uwsgi-daemons] \"{}\" (pid: {pid}) did not daemonize !!!", self.command());
                        self.state = State::Watched(None, now);
                    }
                    None => self.state = self.pause(now),
                }
            }
            (None, None) => {}
        }
    }

    /// Its process is dead; says whether the instance is to end with it.
    pub fn ended(&mut self, pid: Pid, status: WaitStatus, now: u64) -> bool {
        if self.launcher == Some(pid) {
            self.launcher = None;
            if status != WaitStatus::Exited(pid, 0) {
                tell_end(&self.definition, pid, status);
            }
            return false;
        }
        tell_end(&self.definition, pid, status);
        self.state = match self.state {
            // Seen by the next look at its pid file.
            State::Watched(..) => State::Watched(None, now),
            _ => self.pause(now),
        };
        self.definition.control
    }

    /// Until when a daemon that has just ended waits for its next start.
    fn pause(&mut self, now: u64) -> State {
        if now.saturating_sub(self.started)
            > SHORT.max(self.definition.freq.saturating_mul(SECOND) * u64::from(self.is_smart()) + SHORT)
        {
            self.quick_deaths = 0;
            return State::Waiting(now);
        }
        self.quick_deaths += 1;
        let most = match self.definition.max_throttle {
            0 => LONGEST_PAUSE,
            seconds => seconds,
        };
        let seconds = self.quick_deaths.min(most);
        tracing::warn!("[uwsgi-daemons] throttling \"{}\" for {seconds} seconds", self.command());
        State::Waiting(now.saturating_add(seconds * SECOND))
    }

    /// Tells it to end within `mercy` nanoseconds, or of a reload where it takes a signal for that;
    /// false for one of which nothing has to end.
    pub fn leave(&mut self, mercy: u64, reloading: bool) -> bool {
        let now = crate::sys::clock::monotonic();
        if self.is_smart() {
            if let (State::Watched(Some(pid), _), true) = (self.state, self.definition.notifypid) {
                let _ = kill(pid, self.definition.stop_signal);
            }
            return false;
        }
        let State::Running(pid) = self.state else { return false };
        tracing::info!("[uwsgi-daemons] stopping daemon (pid: {pid}): {}", self.command());
        let signal = match self.definition.reload_signal {
            Some(signal) if reloading => signal,
            _ => self.definition.stop_signal,
        };
        signal_group(pid, signal);
        self.state = State::Leaving { pid, signal, next: now + SECOND, until: now.saturating_add(mercy) };
        true
    }

    /// Asks one that is to end again, each second, and kills it when its time is up.
    pub fn remind(&mut self, now: u64) {
        let State::Leaving { pid, signal, next, until } = self.state else { return };
        if now >= until {
            tracing::warn!("[uwsgi-daemons] daemon did not die in time, killing (pid: {pid}): {}", self.command());
            self.kill();
            self.state = State::Leaving { pid, signal: Signal::SIGKILL, next: now + SECOND, until: u64::MAX };
        } else if now >= next {
            signal_group(pid, signal);
            self.state = State::Leaving { pid, signal, next: now + SECOND, until };
        }
    }

    /// Kills it and what it started in its session.
    pub fn kill(&mut self) {
        if let State::Running(pid) | State::Leaving { pid, .. } = self.state {
            signal_group(pid, Signal::SIGKILL);
        }
    }
}
