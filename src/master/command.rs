//! What a master can be asked to do, whoever asks.
//!
//! Signals, letters of the FIFO, touched files and the control socket make commands;
//! [`Master::act`] does them in one `match`.

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::control::Waiter;
use super::fifo::Fifo;
use super::reload::answer;
use super::{Master, Phase, control};
use crate::error::{Error, Result};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Put new code and configuration in place of the old, losing no request.
    Reload,
    /// Put a new worker in the place of each, of the same code unless workers import it themselves.
    ReloadWorkers,
    /// The same, one worker after the other.
    ReloadChain,
    /// Finish the requests in hand and exit.
    Stop,
    /// Exit now.
    StopNow,
    /// Accept no connection; they wait in the listen queue.
    Pause,
    /// Accept again.
    Resume,
    /// Pause, or resume after a pause.
    TogglePause,
    /// Answer how the instance is.
    Status,
    /// Say in the log how the instance is.
    Report,
    /// Write the pid file again.
    RewritePidfile,
    /// Open the log file anew.
    ReopenLog,
    /// Move the log file aside and open a new one.
    RotateLog,
    /// Have so many workers more, or fewer.
    AddWorkers(i64),
    /// Have so many workers.
    SetWorkers(u64),
}

/// What a letter of the FIFO asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A command.
    Command(Command),
    /// Listening on the FIFO of that place in the list.
    Slot(usize),
    /// Something of uWSGI's that is not done here; why, or what is instead.
    Absent(&'static str),
    /// Nothing: the end of a line.
    Blank,
    /// Nobody knows.
    Unknown,
}

impl Command {
    /// What a signal asks for. SIGTERM stops, or reloads with `reload-on-term` (uWSGI: it reloads,
    /// unless `--die-on-term`); a second SIGINT is an impatient Ctrl-C and `stopping` makes it stop at
    /// once.
    pub fn of_signal(signal: Signal, stopping: bool, reload_on_term: bool) -> Option<Self> {
        match signal {
            Signal::SIGHUP => Some(Self::Reload),
            Signal::SIGTERM if reload_on_term => Some(Self::Reload),
            Signal::SIGINT if stopping => Some(Self::StopNow),
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT => Some(Self::Stop),
            Signal::SIGUSR1 => Some(Self::Report),
            Signal::SIGTSTP => Some(Self::TogglePause),
            _ => None,
        }
    }
}

impl Letter {
    /// uWSGI: the letters of `--master-fifo`.
    pub fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::Slot(usize::from(byte - b'0')),
            // Reloads here never wait for old workers, so the brutal ones have nothing to be brutal to.
            b'r' | b'R' => Self::Command(Command::Reload),
            b'w' | b'W' => Self::Command(Command::ReloadWorkers),
            b'c' => Self::Command(Command::ReloadChain),
            b'q' => Self::Command(Command::Stop),
            b'Q' => Self::Command(Command::StopNow),
            b'p' => Self::Command(Command::TogglePause),
            b's' => Self::Command(Command::Report),
            b'P' => Self::Command(Command::RewritePidfile),
            b'f' => Self::Absent("a reload replaces the program in place"),
            b'B' | b'E' => Self::Absent("it is for an emperor"),
            b'S' => Self::Absent("there are no subscriptions"),
            b'+' => Self::Command(Command::AddWorkers(1)),
            b'-' => Self::Command(Command::AddWorkers(-1)),
            b'l' => Self::Command(Command::ReopenLog),
            b'L' => Self::Command(Command::RotateLog),
            b'C' => Self::Absent("it is not built yet"),
            b'\n' | b'\r' | b' ' => Self::Blank,
            _ => Self::Unknown,
        }
    }
}

impl Master {
    /// Does what was asked. A stop always wins; reloads that come while one runs become one more.
    pub(super) fn act(&mut self, command: Command, waiter: Option<Waiter>) {
        match command {
            Command::Reload => self.reload(waiter),
            Command::ReloadWorkers => self.reload_workers(false, waiter),
            Command::ReloadChain => self.reload_workers(true, waiter),
            Command::Stop => self.stop(),
            Command::StopNow => self.stop_now(),
            Command::Pause => self.pause(true, waiter),
            Command::Resume => self.pause(false, waiter),
            Command::TogglePause => self.pause(!self.is_paused(), waiter),
            Command::Status => {
                let status = self.status();
                answer(waiter, &status.map(Into::into));
            }
            Command::Report => self.report(),
            Command::RewritePidfile => {
                let written = self.rewrite_pidfile();
                answer(waiter, &written.map(Into::into));
            }
            Command::ReopenLog | Command::RotateLog => {
                let reopened = if command == Command::RotateLog { self.rotate_log() } else { self.reopen_log() };
                if let Err(error) = &reopened {
                    tracing::error!("{error}");
                }
                answer(waiter, &reopened.map(Into::into));
            }
            Command::AddWorkers(count) => {
                let now = self.crew_size() as i64;
                self.staff(now.saturating_add(count), waiter);
            }
            Command::SetWorkers(count) => self.staff(i64::try_from(count).unwrap_or(i64::MAX), waiter),
        }
    }

    /// Acts on signals that came.
    pub(super) fn signalled(&mut self, signals: Vec<Signal>) {
        for signal in signals {
            let stopping = matches!(self.phase, Phase::Stopping) || self.is_stop_delayed();
            let term = self.generation(self.active).is_some_and(|it| it.config.reloading.reload_on_term);
            // A hook may have given a signal another meaning.
            match self.companions.command(signal).or(Command::of_signal(signal, stopping, term)) {
                Some(command) => {
                    match signal {
                        Signal::SIGINT | Signal::SIGTERM if command != Command::Reload => {
                            tracing::info!("SIGINT/SIGTERM received...killing workers...");
                        }
                        _ => tracing::info!("{signal} received"),
                    }
                    self.act(command, None);
                }
                None if signal == Signal::SIGCHLD => {}
                None => tracing::debug!("{signal} means nothing to a master"),
            }
        }
    }

    /// Acts on letters that came over the FIFO.
    pub(super) fn spelled(&mut self, letters: &[u8]) {
        for byte in letters {
            match Letter::of(*byte) {
                Letter::Command(command) => {
                    tracing::info!("master FIFO: `{}` received", *byte as char);
                    self.act(command, None);
                }
                Letter::Slot(slot) => Fifo::select(&mut self.fifo, slot, &self.events),
                Letter::Absent(why) => tracing::warn!("master FIFO: `{}` does nothing: {why}", *byte as char),
                Letter::Blank => {}
                Letter::Unknown => tracing::warn!("master FIFO: `{}` is no command", byte.escape_ascii()),
            }
        }
    }

    fn rewrite_pidfile(&mut self) -> Result<String> {
        let Some(pidfile) = &mut self.pidfile else { return Ok("there is no pid file".to_owned()) };
        if pidfile.rewrite()? {
            // The socket is named after the file.
            let bound = pidfile.control_name().and_then(|name| control::bind(&name));
            let bound = bound.map_err(|error| Error::system("cannot open the control socket", error))?;
            self.control = bound.try_clone().ok();
            self.events.watch_control(bound);
        }
        tracing::info!("pid file written again");
        Ok("pid file written again".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_mean_what_they_say() {
        let of = |signal| Command::of_signal(signal, false, false);
        assert_eq!(of(Signal::SIGTERM), Some(Command::Stop));
        assert_eq!(Command::of_signal(Signal::SIGTERM, false, true), Some(Command::Reload));
        assert_eq!(Command::of_signal(Signal::SIGINT, true, false), Some(Command::StopNow));
        for silent in [Signal::SIGWINCH, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGTTIN, Signal::SIGTTOU] {
            assert_eq!(of(silent), None);
        }
    }

    #[test]
    fn every_letter_of_uwsgi_is_known() {
        for byte in b"0123456789+-BCcEfFlLpPqQrRsSwW".iter().filter(|byte| **byte != b'F') {
            assert_ne!(Letter::of(*byte), Letter::Unknown, "{}", *byte as char);
        }
        assert_eq!(Letter::of(b'z'), Letter::Unknown);
        assert_eq!(Letter::of(b'3'), Letter::Slot(3));
    }
}
