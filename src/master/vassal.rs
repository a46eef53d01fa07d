//! This instance as a vassal: what it hears from its emperor, and what it tells.
//!
//! uWSGI's pipe protocol, a byte a message, over the descriptor that `UWSGI_EMPEROR_FD` names; so an
//! instance serves under uWSGI's emperor too. When the emperor is gone the instance finishes.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::command::Command;
use super::control::Waiter;
use super::events::Event;
use super::{Master, Phase, SECOND};
use crate::sys::{environment, fd};

/// What a vassal tells its emperor.
pub mod word {
    /// The process is there.
    pub const SPAWNED: u8 = 1;
    /// It accepts connections.
    pub const ACCEPTING: u8 = 5;
    /// It has served a request.
    pub const LOYAL: u8 = 17;
    /// It asks to be ended, and started again on demand.
    pub const STOP_ME: u8 = 22;
    /// It lives.
    pub const HEARTBEAT: u8 = 26;
}

/// What an emperor tells its vassal.
pub mod order {
    /// Stop.
    pub const STOP: u8 = 0;
    /// Reload.
    pub const RELOAD: u8 = 1;
    /// Finish the requests in hand and stop.
    pub const STOP_GRACEFULLY: u8 = 2;
}

/// The way to the emperor.
#[derive(Debug)]
pub struct Vassal {
    pipe: UnixStream,
    loyal: bool,
    /// CLOCK_MONOTONIC nanoseconds of the next sign of life.
    beat_at: u64,
}

impl Vassal {
    /// Takes the way out of the environment, so that no child finds it. Called before any fork.
    pub fn take() -> Option<Self> {
        let number = environment::take("UWSGI_EMPEROR_FD")?.into_string().ok()?.parse().ok().filter(|fd| *fd > 2)?;
        let pipe = fd::given(number).ok().map(UnixStream::from)?;
        pipe.set_nonblocking(true).ok()?;
        tracing::info!("*** has_emperor mode detected (fd: {number}) ***");
        let vassal = Self { pipe, loyal: false, beat_at: 0 };
        vassal.say(word::SPAWNED);
        Some(vassal)
    }

    /// Goes on for the program before this one.
    pub fn adopt(pipe: OwnedFd, loyal: bool) -> Self {
        Self { pipe: pipe.into(), loyal, beat_at: 0 }
    }

    /// The way, and whether a request was served.
    pub fn standing(&self) -> (BorrowedFd<'_>, bool) {
        (self.pipe.as_fd(), self.loyal)
    }

    /// The end that is listened on.
    pub fn listening(&self) -> io::Result<UnixStream> {
        self.pipe.try_clone()
    }

    fn say(&self, word: u8) {
        // An emperor that is gone is noticed where it is listened to.
        let _ = (&self.pipe).write(&[word]);
    }
}

impl Master {
    /// Serves under the emperor, if there is one.
    pub(super) fn obey(&mut self, vassal: Option<Vassal>) {
        if let Some(pipe) = vassal.as_ref().and_then(|vassal| vassal.listening().ok()) {
            self.events.watch_emperor(pipe);
        }
        self.vassal = vassal;
    }

    /// Tells the emperor that connections are accepted.
    pub(super) fn tell_accepting(&self) {
        if let Some(vassal) = &self.vassal {
            vassal.say(word::ACCEPTING);
        }
    }

    /// Tells the emperor the rest: the first request, and signs of life.
    pub(super) fn report_to_emperor(&mut self, now: u64) {
        let Some(active) = self.generations.iter().find(|generation| generation.number == self.active) else { return };
        let Some(vassal) = &mut self.vassal else { return };
        if !vassal.loyal && active.board.totals().requests.load(Ordering::Relaxed) > 0 {
            tracing::info!("announcing my loyalty to the Emperor...");
            vassal.loyal = true;
            vassal.say(word::LOYAL);
        }
        let period = active.config.emperor.heartbeat.saturating_mul(SECOND);
        if period > 0 && now >= vassal.beat_at && !matches!(self.phase, Phase::Starting) {
            vassal.beat_at = now.saturating_add(period);
            vassal.say(word::HEARTBEAT);
        }
    }
}

/// Makes commands of what the emperor says. Runs as a task of the master's runtime.
pub async fn obey(pipe: UnixStream, events: mpsc::Sender<Event>) {
    let Ok(mut pipe) = tokio::net::UnixStream::from_std(pipe) else { return };
    loop {
        let command = match pipe.read_u8().await {
            Ok(order::STOP | order::STOP_GRACEFULLY) => Command::Stop,
            Ok(order::RELOAD) => Command::Reload,
            Ok(_) => continue,
            Err(_) => {
                tracing::warn!("lost connection with my emperor !!!");
                // Nobody waits for the outcome: the emperor sees it.
                let _ = events.send(Event::Asked(Command::Stop, Waiter::nobody())).await;
                return;
            }
        };
        tracing::info!("{command:?} received from the emperor");
        if events.send(Event::Asked(command, Waiter::nobody())).await.is_err() {
            return;
        }
    }
}
