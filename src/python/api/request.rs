//! What the module says and does about the request that the calling thread serves.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::{Current, Place};
use crate::net::exchange::Step;
use crate::sys::{clock, fd};

/// The most bytes that one call reads of a body.
const PIECE: usize = 64 * 1024;
const SECOND: u64 = 1_000_000_000;

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($name:ident)*) => { $(module.add_function(wrap_pyfunction!($name, module)?)?;)* };
    }
    functions!(cl set_logvar get_logvar log_this_request set_user_harakiri get_user_harakiri connection_fd
        is_connected disconnect chunked_read chunked_read_nb sendfile);
    Ok(())
}

/// The length of the request's body, as its client announced it.
#[pyfunction]
fn cl() -> PyResult<u64> {
    Current::with(|current| current.content_length)
}

/// Gives the request a name and a value for `%(name)` in `log-format`.
#[pyfunction]
#[pyo3(signature = (name, value, /))]
fn set_logvar(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let (name, value) = (bytes(name)?, bytes(value)?);
    Current::with(|current| {
        let vars = &mut current.extras.vars;
        match vars.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => vars.push((name, value)),
        }
    })
}

/// The value of such a name, None where it has none.
#[pyfunction]
#[pyo3(signature = (name, /))]
fn get_logvar<'py>(py: Python<'py>, name: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let name = bytes(name)?;
    Current::with(|current| {
        let found = current.extras.vars.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| PyBytes::new(py, value))
    })
}

/// Has this request logged, whatever the configuration says of request lines.
#[pyfunction]
fn log_this_request() -> PyResult<()> {
    Current::with(|current| current.extras.forced = true)
}

fn bytes(text: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    text.extract::<Vec<u8>>().or_else(|_| text.extract::<String>().map(String::into_bytes))
}

/// Has the worker killed if this request is not over in so many seconds; 0 takes it back.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
fn set_user_harakiri(seconds: u64) -> PyResult<()> {
    let place = Place::here()?;
    let number = Current::with(|current| current.number)?;
    if let Some((_, cell)) = place.worker {
        let deadline = match seconds {
            0 => 0,
            seconds => clock::monotonic().saturating_add(seconds.saturating_mul(SECOND)),
        };
        place.board.set_user_deadline(cell, number, deadline);
    }
    Ok(())
}

/// Seconds until the deadline that the app has set; 0 without one.
#[pyfunction]
fn get_user_harakiri() -> PyResult<u64> {
    let place = Place::here()?;
    let number = Current::with(|current| current.number)?;
    let deadline = place.worker.map_or(0, |(_, cell)| place.board.user_deadline(cell, number));
    Ok(deadline.saturating_sub(clock::monotonic()).div_ceil(SECOND))
}

/// The descriptor of the client's connection.
#[pyfunction]
fn connection_fd(py: Python<'_>) -> PyResult<i32> {
    let descriptor = Current::wire()?.lock(py).descriptor();
    descriptor.ok_or_else(|| PyOSError::new_err("the request has no connection"))
}

/// Whether a connected socket's other end is there.
#[pyfunction]
#[pyo3(signature = (descriptor, /))]
fn is_connected(descriptor: i32) -> bool {
    fd::is_connected(descriptor)
}

/// Ends the client's connection now; what is written afterwards gets nowhere.
#[pyfunction]
fn disconnect(py: Python<'_>) -> PyResult<()> {
    Current::wire()?.lock(py).disconnect();
    Ok(())
}

/// The next piece of the body, waited for; empty at its end.
#[pyfunction]
#[pyo3(signature = (timeout = 0, /))]
fn chunked_read(py: Python<'_>, timeout: u64) -> PyResult<Bound<'_, PyBytes>> {
    let wire = Current::wire()?;
    let until = (timeout > 0).then(|| clock::monotonic().saturating_add(timeout.saturating_mul(SECOND)));
    loop {
        if let Some(piece) = read_piece(py)? {
            return Ok(piece);
        }
        if until.is_some_and(|until| clock::monotonic() >= until) {
            return Err(PyOSError::new_err("unable to receive chunked part: timeout"));
        }
        match until {
            // The exchange waits as long as the socket timeout says, which may be longer.
            Some(_) => py.detach(|| std::thread::sleep(Duration::from_millis(10))),
            None => wire
                .apart(py, |exchange| exchange.wait_input())
                .map_err(|error| PyOSError::new_err(format!("unable to receive chunked part: {error}")))?,
        }
    }
}

/// The next piece of the body, None where nothing is there yet; empty at its end.
#[pyfunction]
fn chunked_read_nb(py: Python<'_>) -> PyResult<Option<Bound<'_, PyBytes>>> {
    read_piece(py)
}

fn read_piece(py: Python<'_>) -> PyResult<Option<Bound<'_, PyBytes>>> {
    let mut piece = vec![0; PIECE];
    match Current::wire()?.lock(py).try_read(&mut piece) {
        Ok(Step::Read(count)) => Ok(Some(PyBytes::new(py, &piece[..count]))),
        Ok(Step::Wait) => Ok(None),
        Err(error) => Err(PyOSError::new_err(format!("unable to receive chunked part: {error}"))),
    }
}

/// Sends a file (a path, a descriptor or an open file) from `position`, `size` bytes or all; None where
/// it can't be opened. The head leaves first.
#[pyfunction]
#[pyo3(signature = (file, chunk = 0, position = 0, size = 0, /))]
fn sendfile(py: Python<'_>, file: &Bound<'_, PyAny>, chunk: u64, position: u64, size: u64) -> PyResult<Option<bool>> {
    // uWSGI takes the size of its pieces and pays no heed to it either.
    let _ = chunk;
    let wire = Current::wire()?;
    let opened = match descriptor(file)? {
        Some(descriptor) => File::open(format!("/proc/self/fd/{descriptor}")),
        None => {
            let path = bytes(file).map_err(|_| PyValueError::new_err("a path, a descriptor or a file is needed"))?;
            File::open(std::ffi::OsString::from(String::from_utf8_lossy(&path).into_owned()))
        }
    };
    let Ok(opened) = opened else { return Ok(None) };
    let length = opened.metadata().map(|about| about.len()).unwrap_or(0).saturating_sub(position);
    let count = if size == 0 { length } else { size.min(length) };
    if !wire.lock(py).head().is_started() {
        return Err(PyRuntimeError::new_err("start_response was not called yet"));
    }
    send(py, &wire, opened.as_fd(), position, count)?;
    Ok(Some(true))
}

fn descriptor(file: &Bound<'_, PyAny>) -> PyResult<Option<i32>> {
    if let Ok(number) = file.extract::<i32>() {
        return Ok(Some(number));
    }
    match file.getattr_opt("fileno")? {
        Some(fileno) => fileno.call0()?.extract().map(Some),
        None => Ok(None),
    }
}

fn send(
    py: Python<'_>,
    wire: &super::super::wire::Wire,
    file: BorrowedFd<'_>,
    position: u64,
    count: u64,
) -> PyResult<()> {
    let (mut at, end) = (position, position.saturating_add(count));
    let mut piece = vec![0; PIECE];
    while at < end {
        let most = PIECE.min(usize::try_from(end - at).unwrap_or(PIECE));
        let read = nix::sys::uio::pread(file, &mut piece[..most], i64::try_from(at).unwrap_or(i64::MAX))
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        if read == 0 {
            break;
        }
        wire.write(py, &piece[..read]).map_err(|error| PyOSError::new_err(error.to_string()))?;
        at += read as u64;
    }
    Ok(())
}
