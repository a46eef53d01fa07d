//! The locks that apps share over all their processes (uWSGI: `uwsgi.lock`, `--locks`).

use nix::errno::Errno;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::Place;
use crate::sys::lock::{Lock, Locked};

pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(lock, module)?)?;
    module.add_function(wrap_pyfunction!(unlock, module)?)?;
    module.add_function(wrap_pyfunction!(is_locked, module)?)
}

/// Waits for a lock and takes it; raises in the thread that has it already.
#[pyfunction]
#[pyo3(signature = (number = 0, /))]
fn lock(py: Python<'_>, number: usize) -> PyResult<()> {
    with(number, |lock| {
        let locked = match lock.try_lock() {
            Err(Errno::EBUSY) => py.detach(|| lock.lock()),
            locked => locked,
        };
        match locked {
            Ok(how) => {
                say(number, how);
                Ok(())
            }
            Err(Errno::EDEADLK) => {
                Err(PyRuntimeError::new_err(format!("this thread has lock {number} already and would wait for itself")))
            }
            Err(error) => Err(PyRuntimeError::new_err(format!("lock {number}: {error}"))),
        }
    })
}

/// Gives a lock back; raises in a thread that does not have it.
#[pyfunction]
#[pyo3(signature = (number = 0, /))]
fn unlock(number: usize) -> PyResult<()> {
    with(number, |lock| {
        lock.unlock().map_err(|_| PyRuntimeError::new_err(format!("this thread does not have lock {number}")))
    })
}

/// Whether a thread of any process has a lock.
#[pyfunction]
#[pyo3(signature = (number = 0, /))]
fn is_locked(number: usize) -> PyResult<bool> {
    with(number, |lock| match lock.try_lock() {
        Ok(how) => {
            say(number, how);
            let _ = lock.unlock();
            Ok(false)
        }
        Err(_) => Ok(true),
    })
}

fn with<R>(number: usize, f: impl FnOnce(&Lock) -> PyResult<R>) -> PyResult<R> {
    let place = Place::here()?;
    match place.board.lock(number).filter(|_| number <= place.config.api.locks) {
        Some(lock) => f(lock),
        None => Err(PyValueError::new_err("Invalid lock number")),
    }
}

fn say(number: usize, how: Locked) {
    if how == Locked::Inherited {
        tracing::warn!("[deadlock-detector] a process ended with lock {number}, which is free again");
    }
}
