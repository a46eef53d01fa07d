//! What a master can be asked to do, whoever asks.
//!
//! Signals and the control socket make commands; `master` acts on them in one `match`. Later
//! FIFO letters, touched files and `uwsgi.reload()` become commands too.

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Put new code and configuration in place of the old, losing no request.
    Reload,
    /// Finish the requests in hand and exit.
    Stop,
    /// Exit now.
    StopNow,
}

impl Command {
    /// What a signal asks for. SIGTERM stops (uWSGI: it reloads, unless `--die-on-term`); a second
    /// SIGINT is an impatient Ctrl-C and `stopping` makes it stop at once.
    pub fn of_signal(signal: Signal, stopping: bool) -> Option<Self> {
        match signal {
            Signal::SIGHUP => Some(Self::Reload),
            Signal::SIGINT if stopping => Some(Self::StopNow),
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT => Some(Self::Stop),
            _ => None,
        }
    }
}
