//! Rotation of the log file (uWSGI: `--touch-logrotate`, `--log-maxsize`, `L` over the FIFO): it is moved
//! aside and opened anew.
//!
//! Part of the master. Nothing is lost or torn: who has not heard of it yet goes on writing to the file
//! that was moved.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Master, SECOND};
use crate::error::{Code, Error, Result};
use crate::sys::clock;

/// How long a file that could not be moved is left alone, nanoseconds.
const REST: u64 = 60 * SECOND;

impl Master {
    /// Moves the log file aside and opens a new one; returns what was done. Fails with RW0601; the old
    /// file then stays.
    pub(super) fn rotate_log(&mut self) -> Result<String> {
        let Some(path) = self.log_file() else {
            return Ok("there is no log file: neither `daemonize` nor `logto` names one".to_owned());
        };
        let failed = |why: String| {
            Error::new(Code::LogUnusable, format!("cannot rotate the log file `{}`: {why}", path.display()))
                .hint("its directory has to be writable for the user that the master runs as")
        };
        let about = fs::symlink_metadata(&path).map_err(|error| failed(error.to_string()))?;
        if !about.is_file() {
            return Err(failed("it is not a regular file".to_owned()));
        }
        let name = self.generation(self.active).and_then(|active| active.config.logging.log_backupname.clone());
        let aside = match name {
            Some(name) => self.directory.join(name),
            None => dated(&path, clock::epoch()),
        };
        tracing::info!("[{}] logsize: {}, triggering rotation to {}...", clock::epoch(), about.len(), aside.display());
        fs::rename(&path, &aside).map_err(|error| failed(error.to_string()))?;
        self.reopen_log()?;
        Ok(format!("{} rotated to {}", path.display(), aside.display()))
    }

    /// Rotates a log file that has grown too large. `now` is CLOCK_MONOTONIC, nanoseconds.
    pub(super) fn look_at_the_log(&mut self, now: u64) {
        if now < self.look_at_log {
            return;
        }
        self.look_at_log = now.saturating_add(SECOND);
        let most = self.generation(self.active).map_or(0, |active| active.config.logging.log_maxsize);
        let Some(path) = self.log_file().filter(|_| most > 0) else { return };
        if fs::metadata(&path).is_ok_and(|about| about.len() > most)
            && let Err(error) = self.rotate_log()
        {
            tracing::error!("{error}");
            self.look_at_log = now.saturating_add(REST);
        }
    }
}

/// The name of a rotated file, with the time; one that is there is never written over.
fn dated(path: &Path, time: i64) -> PathBuf {
    let named = |more: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{time}{more}"));
        PathBuf::from(name)
    };
    let mut aside = named("");
    let mut count = 1;
    while aside.symlink_metadata().is_ok() {
        count += 1;
        aside = named(&format!("-{count}"));
    }
    aside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rotations_in_a_second_keep_both_files() {
        let directory = std::env::temp_dir().join(format!("rustwsgi-rotate-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("log");
        assert_eq!(dated(&path, 7), directory.join("log.7"));
        fs::write(directory.join("log.7"), "").unwrap();
        assert_eq!(dated(&path, 7), directory.join("log.7-2"));
        fs::remove_dir_all(directory).unwrap();
    }
}
