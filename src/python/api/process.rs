//! What the module says and does about processes: workers, the master, the log, memory.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

use nix::unistd::Pid;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::{Ask, Current, Place, facts};
use crate::log;
use crate::sys::process::{self, Memory};
use crate::sys::{clock, memory, title};

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! functions {
        ($($name:ident)*) => { $(module.add_function(wrap_pyfunction!($name, module)?)?;)* };
    }
    functions!(worker_id mule_id masterpid mypid i_am_the_spooler workers total_requests request_id reload stop ready
        listen_queue logsize log_line setprocname mem micros parsefile extract);
    Ok(())
}

/// The worker's number, from 1; 0 where the app is imported for all workers.
#[pyfunction]
fn worker_id() -> PyResult<usize> {
    Ok(Place::here()?.id())
}

/// The mule's number; 0 in what is no mule.
#[pyfunction]
fn mule_id() -> PyResult<usize> {
    // There are workers and the process that imports for them.
    Place::here().map(|_| 0)
}

/// The master's pid; where the app is imported for all workers this process's own, as in uWSGI, whose
/// master imports the app.
#[pyfunction]
fn masterpid() -> PyResult<i32> {
    let place = Place::here()?;
    Ok(if place.worker.is_some() { place.master } else { nix::unistd::getpid() }.as_raw())
}

/// This process's pid.
#[pyfunction]
fn mypid() -> u32 {
    std::process::id()
}

/// None: a spooler would answer True.
#[pyfunction]
fn i_am_the_spooler() {}

/// A dict for each worker, to be changed at will.
#[pyfunction]
fn workers(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let place = Place::here()?;
    let board = &place.board;
    let mut cells: Vec<usize> = (0..board.cells()).filter(|cell| board.cell(*cell).worker.load(Relaxed) != 0).collect();
    cells.sort_by_key(|cell| board.cell(*cell).worker.load(Relaxed));
    // Where a worker is being replaced the one that serves counts.
    cells.sort_by_key(|index| (board.cell(*index).worker.load(Relaxed), board.cell(*index).pid.load(Relaxed) == 0));
    cells.dedup_by_key(|index| board.cell(*index).worker.load(Relaxed));
    let mut found = Vec::new();
    for index in cells {
        let cell = board.cell(index);
        let pid = cell.pid.load(Relaxed);
        let (requests, micros) = (cell.requests.load(Relaxed), cell.running_micros.load(Relaxed));
        let here = board.served_here(index);
        let status: &[u8] = match pid {
            0 => b"cheap",
            _ if board.is_busy(index) => b"busy",
            _ if cell.paused.load(Relaxed) != 0 => b"pause",
            _ => b"idle",
        };
        let pid = Pid::from_raw(pid as i32);
        let held = Memory::of(pid).unwrap_or(Memory { size: 0, resident: 0 });
        let worker = PyDict::new(py);
        worker.set_item("id", cell.worker.load(Relaxed))?;
        worker.set_item("pid", pid.as_raw())?;
        worker.set_item("requests", requests)?;
        worker.set_item("delta_requests", here)?;
        worker.set_item("exceptions", cell.exceptions.load(Relaxed))?;
        worker.set_item("status", PyBytes::new(py, status))?;
        worker.set_item("rss", held.resident)?;
        worker.set_item("vsz", held.size)?;
        worker.set_item("running_time", micros)?;
        worker.set_item("last_spawn", process::began(pid).unwrap_or(0))?;
        worker.set_item("tx", cell.tx.load(Relaxed))?;
        worker.set_item("avg_rt", micros.checked_div(here).unwrap_or(0))?;
        worker.set_item("apps", PyTuple::empty(py))?;
        found.push(worker);
    }
    facts::tuple(py, found)
}

/// Requests that the instance has served.
#[pyfunction]
fn total_requests() -> PyResult<u64> {
    Ok(Place::here()?.board.totals().requests.load(Relaxed))
}

/// Requests that this thread has served before the one it serves.
#[pyfunction]
fn request_id() -> PyResult<u64> {
    let place = Place::here()?;
    let Some((_, cell)) = place.worker else { return Ok(0) };
    let number = Current::with(|current| current.number).unwrap_or(0);
    Ok(place.board.core(cell, number).served())
}

/// Asks the master for a reload; None where it can't be reached.
#[pyfunction]
fn reload() -> PyResult<Option<bool>> {
    ask(Ask::Reload)
}

/// Asks the master to stop the instance; None where it can't be reached.
#[pyfunction]
fn stop() -> PyResult<Option<bool>> {
    ask(Ask::Stop)
}

fn ask(what: Ask) -> PyResult<Option<bool>> {
    Ok((Place::here()?.ask)(what).then_some(true))
}

/// True once every worker serves, None before.
#[pyfunction]
fn ready() -> PyResult<Option<bool>> {
    let place = Place::here()?;
    let cells = (0..place.board.cells()).map(|index| place.board.cell(index));
    let serving: BTreeSet<u32> =
        cells.filter(|cell| cell.pid.load(Relaxed) != 0).map(|cell| cell.worker.load(Relaxed)).collect();
    Ok((serving.len() >= place.config.processes).then_some(true))
}

/// Connections that wait on a socket of the server's, the first one where none is named.
#[pyfunction]
#[pyo3(signature = (socket = 0, /))]
fn listen_queue(socket: usize) -> PyResult<u64> {
    let place = Place::here()?;
    let (_, waiting) = place.sockets.get(socket).ok_or_else(|| {
        PyValueError::new_err(format!("there is no socket {socket}, there are {}", place.sockets.len()))
    })?;
    Ok(waiting().unwrap_or(0))
}

/// Bytes of the log file; 0 where the log is no file.
#[pyfunction]
fn logsize() -> u64 {
    std::fs::metadata("/proc/self/fd/2").ok().filter(|log| log.is_file()).map_or(0, |log| log.len())
}

/// Writes a line to the log.
#[pyfunction]
#[pyo3(name = "log", signature = (line, /))]
fn log_line(py: Python<'_>, line: &str) -> bool {
    let line = format!("{line}\n");
    py.detach(|| log::emit(line.as_bytes()));
    true
}

/// Sets what `ps` shows for this process.
#[pyfunction]
#[pyo3(signature = (name, /))]
fn setprocname(name: &str) {
    title::set(name);
}

/// The process's resident memory and its address space, bytes.
#[pyfunction]
fn mem() -> (u64, u64) {
    let (space, resident) = memory::of_this_process();
    (resident, space)
}

/// Microseconds since the epoch.
#[pyfunction]
fn micros() -> i64 {
    clock::epoch_micros()
}

/// The variables in a file that holds a uwsgi packet (a spool file); None where it holds none.
#[pyfunction]
#[pyo3(signature = (path, /))]
fn parsefile<'py>(py: Python<'py>, path: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Ok(bytes) = py.detach(|| std::fs::read(path)) else { return Ok(None) };
    let vars = PyDict::new(py);
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some(mut rest) = rest.get(..usize::from(u16::from_le_bytes([head[1], head[2]]))) else { return Ok(None) };
    while !rest.is_empty() {
        let (Some(name), Some(value)) = (piece(&mut rest), piece(&mut rest)) else { return Ok(None) };
        vars.set_item(PyBytes::new(py, name), PyBytes::new(py, value))?;
    }
    Ok(Some(vars))
}

/// The next piece of a packet, its length before it.
fn piece<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (piece, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    *bytes = rest;
    Some(piece)
}

/// What a file holds.
#[pyfunction]
#[pyo3(signature = (path, /))]
fn extract<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyBytes>> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    let bytes = py.detach(|| std::fs::read(path)).map_err(|error| PyOSError::new_err(format!("{path}: {error}")))?;
    Ok(PyBytes::new(py, &bytes))
}
