//! Going to the background, and telling whoever waits in the foreground how the start went.
//!
//! With `daemonize` the command's own process waits until the site answers, or fails with the
//! reason: uWSGI's returns 0 at once, whatever happens next.

use std::fs::File;
use std::io::{Read, Write};

use nix::unistd::{pipe, setsid};

use crate::error::{Code, Error, Result};
use crate::sys::process::{self, Fork};

/// How a start ended, as it goes through the pipe.
type Outcome = std::result::Result<String, Error>;

/// Where the outcome of the start is told.
#[derive(Debug)]
pub enum Boot {
    /// The master is in the foreground; this is the terminal's stderr where the log goes elsewhere.
    Foreground(Option<File>),
    /// The command waits at the other end of this pipe.
    Background(File),
    /// It was told.
    Told,
}

impl Boot {
    /// Forks: the caller goes on as the daemon, without a terminal; the command's own process
    /// waits for the outcome and exits with it. Nothing may run in other threads.
    pub fn daemonize() -> Result<Self> {
        let (reader, writer) = pipe().map_err(|error| Error::system("pipe", error))?;
        match process::fork().map_err(|error| Error::system("cannot fork into the background", error))? {
            Fork::Parent(_) => {
                drop(writer);
                std::process::exit(outcome(File::from(reader)))
            }
            Fork::Child => {
                drop(reader);
                setsid().map_err(|error| Error::system("setsid", error))?;
                crate::sys::fd::set_close_on_exec(&writer, true).map_err(|error| Error::system("fcntl", error))?;
                Ok(Self::Background(File::from(writer)))
            }
        }
    }

    /// The site answers; a command that waits says `message`.
    pub fn up(&mut self, message: &str) {
        if let Self::Background(pipe) = self {
            let told: Outcome = Ok(message.to_owned());
            // A command that was interrupted while it waited reads nothing any more.
            let _ = serde_json::to_vec(&told).map(|bytes| pipe.write_all(&bytes));
        }
        *self = Self::Told;
    }

    /// The start failed of `error`, which stands in the log already.
    pub fn failed(&mut self, error: &Error) {
        match self {
            Self::Background(pipe) => {
                let told: Outcome = Err(error.clone());
                let _ = serde_json::to_vec(&told).map(|bytes| pipe.write_all(&bytes));
            }
            Self::Foreground(Some(terminal)) => {
                let _ = writeln!(terminal, "{error}");
            }
            Self::Foreground(None) | Self::Told => {}
        }
        *self = Self::Told;
    }
}

/// Waits for what the daemon has to tell and returns the exit code.
fn outcome(mut pipe: File) -> i32 {
    let mut bytes = Vec::new();
    let read = pipe.read_to_end(&mut bytes);
    let error = match read.map(|_| serde_json::from_slice::<Outcome>(&bytes)) {
        Ok(Ok(Ok(message))) => {
            // Nobody reads it: no reason to fail.
            let _ = writeln!(std::io::stdout(), "{message}");
            return 0;
        }
        Ok(Ok(Err(error))) => error,
        _ => Error::new(Code::StartFailed, "the master died while it started").hint("the log says more"),
    };
    eprintln!("{error}");
    i32::from(error.exit)
}
