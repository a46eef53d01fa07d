//! Waiting for something to be there: a file, a directory, an address that answers.
//!
//! Called by `perform` (uWSGI: `wait_for_fs`, `wait_for_file`, `wait_for_dir`, `wait_for_socket`).

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long is waited (uWSGI: 60 seconds).
pub const LONGEST: Duration = Duration::from_secs(60);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(100);

/// What has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A file or a directory.
    Anything(PathBuf),
    /// A file.
    File(PathBuf),
    /// A directory.
    Directory(PathBuf),
    /// An address that can be connected to: `host:port` or a path.
    Socket(String),
}

impl Awaited {
    /// Returns when it is there; fails when that takes longer than `longest`.
    pub fn wait(&self, longest: Duration) -> Result<(), String> {
        if self.is_there() {
            return Ok(());
        }
        tracing::info!("waiting for {} (max {} seconds) ...", self.name(), longest.as_secs());
        let begun = Instant::now();
        while begun.elapsed() < longest {
            std::thread::sleep(PAUSE);
            if self.is_there() {
                tracing::info!("{} found", self.name());
                return Ok(());
            }
        }
        Err(format!("{} was not there within {} seconds", self.name(), longest.as_secs()))
    }

    fn name(&self) -> String {
        match self {
            Self::Anything(path) | Self::File(path) | Self::Directory(path) => path.display().to_string(),
            Self::Socket(address) => address.clone(),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Self::Anything(path) => path.exists(),
            Self::File(path) => path.is_file(),
            Self::Directory(path) => path.is_dir(),
            Self::Socket(address) if address.contains(':') => TcpStream::connect(address.as_str()).is_ok(),
            Self::Socket(address) => UnixStream::connect(address).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_until_it_is_there_or_the_time_is_up() {
        let path = std::env::temp_dir().join(format!("rustwsgi-wait-{}.sock", std::process::id()));
        let socket = Awaited::Socket(path.display().to_string());
        assert!(socket.wait(Duration::from_millis(1)).is_err());
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket.wait(LONGEST), Ok(()));
        drop(listener);
        assert_eq!(Awaited::Anything(path.clone()).wait(LONGEST), Ok(()));
        assert!(Awaited::File(path.clone()).wait(Duration::from_millis(1)).is_err());
        assert!(Awaited::Directory(path.clone()).wait(Duration::from_millis(1)).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
