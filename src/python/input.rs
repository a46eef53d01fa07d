//! `wsgi.input`: the request's body as the app reads it.
//!
//! `wsgi` keeps one for each core and arms it anew for each request; one that an app held on to
//! past its request reads nothing but `b""`. Bodies of known length go straight from the socket
//! into the bytes object that `read` returns; the GIL is released around waits and large reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};

use super::environ::{Space, bytes_filled};
use super::wire::{LARGE, Wire};
use crate::net::exchange::{BodyError, Exchange, Step};

/// Bytes asked from the socket at once while looking for the end of a line.
const BLOCK: usize = 8 * 1024;

/// Bytes asked from the socket at once for a large body.
const PIECE: usize = 256 * 1024;

/// The request's body.
#[pyclass(frozen, module = "uwsgi", name = "Input")]
pub(super) struct Input {
    wire: Wire,
    /// The request it belongs to.
    serial: AtomicU64,
    ahead: Mutex<Ahead>,
}

/// What was read from the socket for a line that ended before.
#[derive(Default)]
struct Ahead {
    bytes: Vec<u8>,
    at: usize,
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Moves bytes into `space`, as many as fit.
    fn give(&mut self, space: &mut Space<'_>) {
        let count = space.left().min(self.rest().len());
        space.next(count).copy_from_slice(&self.bytes[self.at..][..count]);
        space.advance(count);
        self.skip(count);
    }

    fn skip(&mut self, count: usize) {
        self.at += count;
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
    }
}

impl Input {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, serial: AtomicU64::new(0), ahead: Mutex::default() }
    }

    /// Makes it the body of the request that the exchange was begun for with `serial`.
    pub(super) fn arm(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.bytes.clear();
        ahead.at = 0;
    }

    /// Takes what was read ahead out for the time of one call, so that no lock is held while the
    /// GIL is released; the call puts it back.
    fn take(&self) -> Ahead {
        std::mem::take(&mut *self.ahead.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, ahead: Ahead) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
    }

    /// Runs `f` with what was read ahead.
    fn with<R>(&self, f: impl FnOnce(&mut Ahead) -> PyResult<R>) -> PyResult<R> {
        let mut ahead = self.take();
        let result = f(&mut ahead);
        self.put(ahead);
        result
    }

    fn is_current(&self, exchange: &Exchange) -> bool {
        exchange.serial() == self.serial.load(Ordering::Relaxed)
    }

    /// Bytes still to come, beside those read ahead; `None` where nobody knows.
    fn left(&self, py: Python<'_>) -> Option<u64> {
        let exchange = self.wire.lock(py);
        if self.is_current(&exchange) { exchange.body_left() } else { Some(0) }
    }

    /// Reads some bytes, waiting for the first; 0 at the end of the body.
    fn some(&self, py: Python<'_>, buffer: &mut [u8], asked: &str) -> PyResult<usize> {
        loop {
            let mut exchange = self.wire.lock(py);
            if !self.is_current(&exchange) {
                return Ok(0);
            }
            match exchange.try_read(buffer) {
                Ok(Step::Read(count)) => return Ok(count),
                Ok(Step::Wait) => {}
                Err(error) => return Err(raised(asked, &error)),
            }
            drop(exchange);
            self.wire.apart(py, |exchange| exchange.wait_input()).map_err(|error| raised(asked, &error))?;
        }
    }

    /// Fills `space` from the socket, or up to the end of the body.
    fn fill(&self, py: Python<'_>, space: &mut Space<'_>, asked: &str) -> PyResult<()> {
        if space.left() >= LARGE {
            let read = self.wire.apart(py, |exchange| {
                while space.left() > 0 && self.is_current(exchange) {
                    match exchange.try_read(space.next(PIECE))? {
                        Step::Read(0) => break,
                        Step::Read(count) => space.advance(count),
                        Step::Wait => exchange.wait_input()?,
                    }
                }
                Ok(())
            });
            return read.map_err(|error| raised(asked, &error));
        }
        while space.left() > 0 {
            match self.some(py, space.next(LARGE), asked)? {
                0 => break,
                count => space.advance(count),
            }
        }
        Ok(())
    }

    /// Reads on until there are `most` bytes ahead, or all: for a body of unknown length.
    fn gather(&self, py: Python<'_>, ahead: &mut Ahead, most: usize, asked: &str) -> PyResult<()> {
        while ahead.rest().len() < most {
            if self.more(py, ahead, asked)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads a block behind what is there already; 0 at the end of the body.
    fn more(&self, py: Python<'_>, ahead: &mut Ahead, asked: &str) -> PyResult<usize> {
        let held = ahead.bytes.len();
        ahead.bytes.resize(held + BLOCK, 0);
        let count = self.some(py, &mut ahead.bytes[held..], asked);
        ahead.bytes.truncate(held + *count.as_ref().unwrap_or(&0));
        count
    }

    fn exactly<'py>(
        &self,
        py: Python<'py>,
        ahead: &mut Ahead,
        size: usize,
        asked: &str,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let Some(left) = self.left(py) else {
            self.gather(py, ahead, size, asked)?;
            let count = ahead.rest().len().min(size);
            let bytes = PyBytes::new(py, &ahead.rest()[..count]);
            ahead.skip(count);
            return Ok(bytes);
        };
        let there = usize::try_from(left).unwrap_or(usize::MAX).saturating_add(ahead.rest().len());
        bytes_filled(py, size.min(there), |space| {
            ahead.give(space);
            if space.left() > 0 { self.fill(py, space, asked) } else { Ok(()) }
        })
    }

    fn line<'py>(&self, py: Python<'py>, ahead: &mut Ahead, most: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut searched = 0;
        let end = loop {
            let rest = ahead.rest();
            if let Some(found) = rest[searched..].iter().position(|byte| *byte == b'\n') {
                break searched + found + 1;
            }
            searched = rest.len();
            if searched >= most || self.more(py, ahead, "readline()")? == 0 {
                break searched;
            }
        };
        let count = end.min(most);
        let line = PyBytes::new(py, &ahead.rest()[..count]);
        ahead.skip(count);
        Ok(line)
    }
}

/// A size as Python's streams take it: `None` and negative are all there is.
fn size_of(size: Option<isize>) -> usize {
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

fn raised(asked: &str, error: &BodyError) -> PyErr {
    PyOSError::new_err(format!("wsgi.input {asked}: {error}"))
}

#[pymethods]
impl Input {
    #[pyo3(signature = (size = None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.with(|ahead| self.exactly(py, ahead, size_of(size), "read()"))
    }

    /// What there is, waiting only while there is nothing.
    #[pyo3(signature = (size = None, /))]
    fn read1<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        let most = size_of(size);
        self.with(|ahead| {
            if ahead.rest().is_empty() && most > 0 {
                self.more(py, ahead, "read1()")?;
            }
            let count = ahead.rest().len().min(most);
            let bytes = PyBytes::new(py, &ahead.rest()[..count]);
            ahead.skip(count);
            Ok(bytes)
        })
    }

    fn readinto(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        let target = PyMemoryView::from(buffer)?.call_method1("cast", ("B",))?;
        let bytes = self.with(|ahead| self.exactly(py, ahead, target.len()?, "readinto()"))?;
        let count = bytes.as_bytes().len();
        // Python itself checks that the buffer may be written to.
        target.set_item(PySlice::new(py, 0, isize::try_from(count)?, 1), bytes)?;
        Ok(count)
    }

    #[pyo3(signature = (size = None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.with(|ahead| self.line(py, ahead, size_of(size)))
    }

    #[pyo3(signature = (hint = None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let most = hint.filter(|hint| *hint > 0).and_then(|hint| usize::try_from(hint).ok()).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < most {
            let line = self.readline(py, None)?;
            let length = line.as_bytes().len();
            if length == 0 {
                break;
            }
            total += length;
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok(if line.as_bytes().is_empty() { None } else { Some(line) })
    }

    /// Nothing to close: the body ends with the request (uWSGI: the same).
    fn close(&self) {}
}
