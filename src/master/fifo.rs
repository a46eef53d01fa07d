//! The master FIFO: commands of one letter over a named pipe (uWSGI: `--master-fifo`).
//!
//! One pipe of the list is open at a time; a digit picks another. The letters are `command`'s. Made
//! again where somebody deleted it; a pipe that another instance put in its place is left alone. It stays
//! when the instance ends, as uWSGI's does: a letter written then must not become a file.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::task::JoinHandle;

use super::events::Events;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::sys::exec::Passed;

/// The FIFOs of an instance.
#[derive(Debug, Default)]
pub struct Fifo {
    paths: Vec<PathBuf>,
    slot: usize,
    open: Option<Open>,
}

/// The one that is listened on.
#[derive(Debug)]
struct Open {
    reader: JoinHandle<()>,
}

impl Fifo {
    /// Takes on what `config` names, and listens on the first. Nothing changes where it names the same
    /// as before. Fails with RW0510, the old ones then stay.
    pub fn apply(&mut self, config: &Config, directory: &Path, events: &Events) -> Result<()> {
        let base = config.app_directory(directory);
        let paths: Vec<PathBuf> = config.reloading.master_fifo.iter().map(|path| base.join(path)).collect();
        if paths == self.paths {
            return Ok(());
        }
        let open = paths.first().map(|path| Open::make(path, events)).transpose()?;
        *self = Self { paths, slot: 0, open };
        Ok(())
    }

    /// What another program needs to go on listening: the paths, the one of them that is open, and
    /// that one opened once more, so that no letter is lost in between.
    pub fn standing(&self, passed: &mut Passed) -> Result<(Vec<PathBuf>, usize, Option<RawFd>)> {
        let open = match (&self.open, self.paths.get(self.slot)) {
            (Some(_), Some(path)) => {
                let opened = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
                // Deleted a moment ago: it is made again there.
                opened.ok().map(|fifo| passed.pass(fifo)).transpose()
            }
            _ => Ok(None),
        };
        let open = open.map_err(|error| Error::system("dup", error))?;
        Ok((self.paths.clone(), self.slot, open))
    }

    /// Goes on listening for the program before this one.
    pub fn adopt(paths: Vec<PathBuf>, slot: usize, open: Option<OwnedFd>, events: &Events) -> Self {
        let reader = open.and_then(|fifo| events.watch_open_fifo(fifo).ok());
        let mut fifo = Self { paths, slot, open: reader.map(|reader| Open { reader }) };
        if fifo.open.is_none() && !fifo.paths.is_empty() {
            fifo.select(slot, events);
        }
        fifo
    }

    /// Listens on the FIFO of another place in the list.
    pub fn select(&mut self, slot: usize, events: &Events) {
        let Some(path) = self.paths.get(slot) else {
            tracing::warn!("master FIFO: there is no FIFO {slot}: {} are configured", self.paths.len());
            return;
        };
        match Open::make(path, events) {
            Ok(open) => {
                tracing::info!("active master fifo is now {}", path.display());
                (self.slot, self.open) = (slot, Some(open));
            }
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Makes the FIFO again where it was deleted.
    pub fn look(&mut self, events: &Events) {
        let Some(path) = self.paths.get(self.slot) else { return };
        let gone = std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if gone && self.open.is_some() {
            match Open::make(path, events) {
                Ok(open) => {
                    tracing::warn!("master FIFO: {} was deleted, and is there again", path.display());
                    self.open = Some(open);
                }
                Err(error) => {
                    tracing::error!("{error}");
                    // Said once; a digit tries again.
                    self.open = None;
                }
            }
        }
    }
}

impl Open {
    /// Makes the FIFO, in the place of one that is there, and listens on it.
    fn make(path: &Path, events: &Events) -> Result<Self> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(Code::FifoUnusable, format!("cannot make the master FIFO `{}`: {why}", path.display()))
        };
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_fifo() => {
                std::fs::remove_file(path).map_err(|error| failed(&error))?;
            }
            Ok(_) => return Err(failed(&"something else is there").hint(format!("rm {}", path.display()))),
            Err(_) => {}
        }
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|error| failed(&error.desc()))?;
        let reader = events.watch_fifo(path).map_err(|error| failed(&error))?;
        Ok(Self { reader })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
