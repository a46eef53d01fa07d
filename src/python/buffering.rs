//! Bodies that are read before the app is called (uWSGI: `--post-buffering`).
//!
//! `wsgi` asks before each call. What comes back is an object of Python's own I/O library, so that
//! the app can `seek` in it: in memory up to the limit, beyond it a file without a name that the
//! kernel removes whatever happens. The GIL is released all the while.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use thiserror::Error;

use super::wire::Wire;
use crate::net::exchange::{BodyError, Exchange, Step};

/// Why a body could not be kept.
#[derive(Debug, Error)]
pub(super) enum KeepError {
    /// The client did not send all of it; the exchange knows the status for that.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// There is no room for it.
    #[error("the body can't be kept in a file: {0}")]
    File(#[from] io::Error),
    /// Python could not take it.
    #[error("the body can't be handed over: {0}")]
    Python(#[from] PyErr),
}

enum Kept {
    Memory(Vec<u8>),
    File(File),
}

/// Reads the body to its end and makes it a seekable stream. From `limit` bytes on it is kept in a
/// file; `piece` bytes are read at a time.
pub(super) fn read_all<'py>(
    py: Python<'py>,
    wire: &Wire,
    limit: u64,
    piece: usize,
) -> Result<Bound<'py, PyAny>, KeepError> {
    let io = py.import("io")?;
    match wire.apart(py, |exchange| keep(exchange, limit, piece))? {
        Kept::Memory(bytes) => Ok(io.call_method1("BytesIO", (PyBytes::new(py, &bytes),))?),
        Kept::File(file) => {
            let options = PyDict::new(py);
            options.set_item("closefd", true)?;
            Ok(io.call_method("open", (file.into_raw_fd(), "rb"), Some(&options))?)
        }
    }
}

fn keep(exchange: &mut Exchange, limit: u64, piece: usize) -> Result<Kept, KeepError> {
    let mut file = None;
    let mut held = Vec::new();
    loop {
        let start = held.len();
        held.resize(start + piece, 0);
        let read = exchange.try_read(&mut held[start..]);
        held.truncate(start + if let Ok(Step::Read(count)) = read { count } else { 0 });
        match read? {
            Step::Wait => exchange.wait_input()?,
            Step::Read(0) => break,
            Step::Read(_) if file.is_none() && (held.len() as u64) < limit => {}
            Step::Read(_) => {
                let file = match &mut file {
                    Some(file) => file,
                    None => file.insert(nameless(&std::env::temp_dir())?),
                };
                file.write_all(&held)?;
                held.clear();
            }
        }
    }
    match file {
        None => Ok(Kept::Memory(held)),
        Some(mut file) => {
            file.rewind()?;
            Ok(Kept::File(file))
        }
    }
}

/// A file that nobody else can open.
fn nameless(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(libc::O_TMPFILE).open(directory) {
        Ok(file) => Ok(file),
        // Not every file system has them.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
            let unique = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
            let path = directory.join(format!(".rustwsgi-body-{}-{unique}", std::process::id()));
            let file = options.create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(error) => Err(error),
    }
}
