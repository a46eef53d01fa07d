//! The callables that an app gets: `start_response`, and the `write` that it returns.
//!
//! `wsgi` makes them for each core and arms them for each request; an app that keeps them past its
//! request is told so. What is raised into the app and needs no traceback in the log is noted here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyAssertionError, PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::environ::has_references;
use super::wire::Wire;
use crate::config::Requests;
use crate::net::exchange::{Exchange, WriteError};
use crate::proto::response::HeadError;

/// The callables that the app gets, and what they share.
pub(super) struct Calls {
    pub line: Arc<Line>,
    /// `start_response`, as a bound method: Python calls those fastest.
    pub start: Py<PyAny>,
    /// What it returns.
    write: Py<PyAny>,
}

impl Calls {
    pub(super) fn new(py: Python<'_>, wire: &Wire, requests: &Requests) -> PyResult<Self> {
        let line = Arc::new(Line {
            wire: wire.clone(),
            serial: AtomicU64::new(0),
            trouble: Mutex::new(None),
            failures: AtomicU64::new(0),
            tolerance: requests.write_errors_tolerance,
            is_quiet: requests.disable_write_exception,
            is_prompt: requests.start_response_nodelay,
        });
        let write = Bound::new(py, Writer { line: line.clone() })?.getattr("write")?.unbind();
        let starter = Starter { line: line.clone(), write: write.clone_ref(py) };
        let start = Bound::new(py, starter)?.getattr("start_response")?.unbind();
        Ok(Self { line, start, write })
    }

    /// Whether the app still holds one of them.
    pub(super) fn are_kept(&self, py: Python<'_>) -> bool {
        !has_references(&self.start, py, 1) || !has_references(&self.write, py, 2)
    }
}

/// What `start_response` and `write` act on.
pub(super) struct Line {
    wire: Wire,
    /// The request they belong to.
    serial: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
    /// Writes that failed.
    failures: AtomicU64,
    /// How many of them are passed over (uWSGI: `--write-errors-tolerance`).
    tolerance: u64,
    /// Whether `write` says nothing of others either (uWSGI: `--disable-write-exception`).
    is_quiet: bool,
    /// Whether the head leaves at once (uWSGI: `--start_response-nodelay`).
    is_prompt: bool,
}

/// Something that was raised into the app, and that the log needs no traceback for.
pub(super) enum Trouble {
    /// A status or header that can't be sent.
    Head(HeadError),
    /// The client is gone.
    Client(WriteError),
}

impl Line {
    pub(super) fn arm(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.take_trouble();
    }

    /// Whether a write that failed is passed over; counts it.
    pub(super) fn forgives(&self) -> bool {
        self.tolerance > 0 && self.failures.fetch_add(1, Ordering::Relaxed) < self.tolerance
    }

    /// What `write` makes of a write that failed.
    fn failed(&self, error: WriteError) -> PyResult<()> {
        if self.is_quiet || self.forgives() {
            return Ok(());
        }
        let raised = PyOSError::new_err(error.to_string());
        self.note(Trouble::Client(error));
        Err(raised)
    }

    pub(super) fn take_trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    fn is_current(&self, exchange: &Exchange) -> PyResult<()> {
        if exchange.serial() == self.serial.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(PyOSError::new_err("the request is over"))
    }
}

#[pyclass(frozen, module = "uwsgi", name = "Starter")]
struct Starter {
    line: Arc<Line>,
    write: Py<PyAny>,
}

#[pymethods]
impl Starter {
    /// `start_response(status, headers, exc_info=None)` of PEP 3333.
    #[pyo3(signature = (status, headers, exc_info = None))]
    fn start_response(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let mut exchange = self.line.wire.lock(py);
        self.line.is_current(&exchange)?;
        if exchange.head_sent() {
            drop(exchange);
            return Err(match exc_info {
                Some(exc_info) => raised_again(exc_info)?,
                None => PyOSError::new_err("headers already sent"),
            });
        }
        let head = exchange.head();
        let again = head.is_started() && exc_info.is_none();
        // Whatever is wrong with the new head, the old one is void.
        head.clear();
        if again {
            return Err(PyAssertionError::new_err("start_response was called before, and exc_info is not given"));
        }
        let Ok(status) = status.cast::<PyString>() else {
            return Err(PyTypeError::new_err(format!("start_response: status is {}, not str", type_name(status))));
        };
        let Ok(headers) = headers.cast::<PyList>() else {
            let message = format!("start_response: headers are {}, not a list", type_name(headers));
            return Err(PyTypeError::new_err(message));
        };
        let mut refused = with_latin1(status, "status", |status| head.start(status))?;
        for item in headers.iter() {
            if refused.is_err() {
                break;
            }
            let Ok(pair) = item.cast::<PyTuple>() else {
                head.clear();
                let message = format!("start_response: a header is {}, not a tuple", type_name(&item));
                return Err(PyTypeError::new_err(message));
            };
            refused = header(head, pair).inspect_err(|_| head.clear())?;
        }
        if let Err(error) = refused {
            head.clear();
            let message = format!("start_response: {error}");
            self.line.note(Trouble::Head(error));
            return Err(PyValueError::new_err(message));
        }
        // An earlier refusal was put right.
        self.line.take_trouble();
        drop(exchange);
        if self.line.is_prompt {
            self.line.wire.write(py, b"").or_else(|error| self.line.failed(error))?;
        }
        Ok(self.write.clone_ref(py))
    }
}

/// Adds one header; the inner error is of its contents, the outer of its types.
fn header(head: &mut crate::proto::response::Head, pair: &Bound<'_, PyTuple>) -> PyResult<Result<(), HeadError>> {
    if pair.len() != 2 {
        return Err(PyTypeError::new_err(format!("start_response: a header has {} items, not 2", pair.len())));
    }
    let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
    let (Ok(name), Ok(value)) = (name.cast::<PyString>(), value.cast::<PyString>()) else {
        let named = name.repr()?;
        return Err(PyTypeError::new_err(format!("start_response: header {named} is not of two str")));
    };
    with_latin1(&name, "name of a header", |name| {
        with_latin1(&value, "value of a header", |value| head.header(name, value))
    })?
}

/// Calls `f` with the bytes of a `str` that PEP 3333 lets hold Latin-1 alone.
fn with_latin1<R>(text: &Bound<'_, PyString>, what: &str, f: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    if let Ok(utf8) = text.to_str() {
        if utf8.is_ascii() {
            return Ok(f(utf8.as_bytes()));
        }
        if let Ok(bytes) = utf8.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>() {
            return Ok(f(&bytes));
        }
    }
    Err(PyTypeError::new_err(format!("start_response: {what} is not Latin-1: {}", text.repr()?)))
}

/// The exception of `sys.exc_info()`, to be raised again as PEP 3333 asks.
fn raised_again(exc_info: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let value = exc_info.get_item(1)?;
    if let Ok(traceback) = exc_info.get_item(2)
        && !traceback.is_none()
    {
        value.setattr("__traceback__", traceback)?;
    }
    Ok(PyErr::from_value(value))
}

#[pyclass(frozen, module = "uwsgi", name = "Writer")]
struct Writer {
    line: Arc<Line>,
}

#[pymethods]
impl Writer {
    /// The `write` that `start_response` returns: sends at once, the head first.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(bytes) = data.cast::<PyBytes>() else {
            return Err(PyTypeError::new_err(format!("write() takes bytes, not {}", type_name(data))));
        };
        {
            let mut exchange = self.line.wire.lock(py);
            self.line.is_current(&exchange)?;
            if !exchange.head().is_started() {
                return Err(PyOSError::new_err("write() before start_response()"));
            }
        }
        self.line.wire.write(py, bytes.as_bytes()).or_else(|error| self.line.failed(error))
    }
}

/// A type as messages name it.
pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "of an unknown type".to_owned(), |name| format!("`{name}`"))
}
