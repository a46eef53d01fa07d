//! WSGI (PEP 3333): one request, one call of the app, one response.
//!
//! `worker` keeps a [`Core`] for each thread that serves and hands it one request after the other.
//! Whatever the app does, the client gets a whole response, a 500, or a connection that visibly
//! broke; the log gets one entry for it; `close()` is called once; and the worker lives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyAssertionError, PyOSError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::Gil;
use super::app::App;
use super::environ::{Environs, has_references};
use super::input::Input;
use super::output::FileWrapper;
use super::traceback;
use super::wire::Wire;
use crate::net::exchange::{Exchange, WriteError};
use crate::proto::request::{Known, Request};
use crate::proto::response::HeadError;

/// How a request was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The status of the response, as far as one was made.
    pub status: u16,
    /// Whether the app failed.
    pub exception: bool,
}

/// What one core keeps from request to request.
pub struct Core {
    app: App,
    wire: Wire,
    environs: Environs,
    input: Py<Input>,
    calls: Calls,
}

/// Why a request was not served as the app meant it.
enum Failure {
    /// The app raised.
    Raised(PyErr),
    /// The app broke WSGI; what it did.
    Broke(String),
    /// The client is gone or takes nothing.
    Client(WriteError),
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Client(error)
    }
}

impl Core {
    pub(super) fn new(py: Python<'_>, app: App, number: usize, exchange: Arc<Mutex<Exchange>>) -> PyResult<Self> {
        let wire = Wire::new(exchange);
        Ok(Self {
            environs: Environs::new(py, app.base_environ(py, number)?),
            input: Py::new(py, Input::new(wire.clone()))?,
            calls: Calls::new(py, &wire)?,
            app,
            wire,
        })
    }

    /// Runs the app for `request`, whose exchange was begun; writes the response, calls `close()`,
    /// and ends the response. Waits for the client without the GIL. Never panics, never unwinds.
    pub fn serve(&mut self, gil: &Gil<'_>, request: &Request) -> Served {
        let py = gil.py;
        let exception = catch_unwind(AssertUnwindSafe(|| self.run(py, request))).unwrap_or_else(|_| {
            traceback::log(&format!("internal error while serving {}, the connection is reset", named(request)));
            self.wire.lock(py).abort();
            true
        });
        let status = self.wire.lock(py).head().code();
        Served { status, exception }
    }

    #[cfg(test)]
    pub(super) fn table_sizes(&self) -> (usize, usize) {
        self.environs.sizes()
    }

    /// Serves; says whether the app failed.
    fn run(&mut self, py: Python<'_>, request: &Request) -> bool {
        let outcome = self.arm(py).map_err(Failure::from).and_then(|()| self.call(py, request));
        let mut exception = match outcome {
            Ok(close_failed) => close_failed,
            Err(failure) => self.fail(py, request, failure),
        };
        if !self.wire.lock(py).head().is_started() {
            let broke = Failure::Broke("the application did not call start_response".to_owned());
            exception |= self.fail(py, request, broke);
        }
        self.finish(py, request);
        self.app.flush_errors(py);
        exception
    }

    /// Makes the objects that the app gets ready for this request. An app may keep them for
    /// longer than its request; then they stay bound to that one, and new ones are made.
    fn arm(&mut self, py: Python<'_>) -> PyResult<()> {
        let serial = self.wire.lock(py).serial();
        if !has_references(&self.input, py, 1) {
            self.input = Py::new(py, Input::new(self.wire.clone()))?;
        }
        self.input.get().arm(serial);
        if self.calls.are_kept(py) {
            self.calls = Calls::new(py, &self.wire)?;
        }
        self.calls.line.arm(serial);
        Ok(())
    }

    /// Calls the app and sends what it returns; says whether `close()` raised.
    fn call(&mut self, py: Python<'_>, request: &Request) -> Result<bool, Failure> {
        let input = self.input.bind(py).as_any();
        let environ = self.environs.build(py, request, input)?;
        let result = self.app.callable(py).call1((environ, self.calls.start.bind(py)))?;
        let sent = self.send(py, &result);
        let close_failed = match close(&result) {
            Ok(()) => false,
            // The response is as the app meant it: that tidying up failed changes nothing of it.
            Err(error) => {
                let place = named(request);
                traceback::log(&format!("close() raised while serving {place}\n{}", traceback::text(py, &error)));
                true
            }
        };
        sent.map(|()| close_failed)
    }

    /// Sends what the app returned.
    fn send(&self, py: Python<'_>, result: &Bound<'_, PyAny>) -> Result<(), Failure> {
        if let Ok(list) = result.cast_exact::<PyList>() {
            if list.len() == 1 {
                return self.send_whole(py, &list.get_item(0)?);
            }
        } else if let Ok(bytes) = result.cast::<PyBytes>() {
            // Not WSGI, but uWSGI takes it and apps rely on it.
            return self.send_whole(py, bytes);
        } else if let Ok(tuple) = result.cast_exact::<PyTuple>() {
            if tuple.len() == 1 {
                return self.send_whole(py, &tuple.get_item(0)?);
            }
        } else if let Ok(wrapper) = result.cast_exact::<FileWrapper>()
            && self.wire.lock(py).head().is_started()
            && let Some(sent) = wrapper.get().send(py, &self.wire)
        {
            return Ok(sent?);
        }
        for chunk in result.try_iter()? {
            let chunk = chunk?;
            // uWSGI passes over None, where WSGI has no meaning for it.
            if !chunk.is_none() {
                self.send_chunk(py, &chunk, Wire::write)?;
            }
        }
        Ok(())
    }

    /// Sends the only chunk there is.
    fn send_whole(&self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> Result<(), Failure> {
        self.send_chunk(py, chunk, Wire::write_whole)
    }

    fn send_chunk(
        &self,
        py: Python<'_>,
        chunk: &Bound<'_, PyAny>,
        write: fn(&Wire, Python<'_>, &[u8]) -> Result<(), WriteError>,
    ) -> Result<(), Failure> {
        let Ok(bytes) = chunk.cast::<PyBytes>() else {
            return Err(Failure::Broke(format!("the response has a chunk that is {}, not bytes", type_name(chunk))));
        };
        if !self.wire.lock(py).head().is_started() {
            // A generator may call start_response as late as before its first byte.
            return match bytes.as_bytes() {
                [] => Ok(()),
                _ => Err(Failure::Broke("the response begins before start_response was called".to_owned())),
            };
        }
        Ok(write(&self.wire, py, bytes.as_bytes())?)
    }

    /// Says in the log what went wrong, once, and lets the client know: with a 500 where nothing
    /// was sent yet, with a broken connection otherwise. Says whether it was the app's doing.
    fn fail(&self, py: Python<'_>, request: &Request, failure: Failure) -> bool {
        let place = named(request);
        let entry = match (failure, self.calls.line.take_trouble()) {
            (Failure::Client(error), _) | (Failure::Raised(_), Some(Trouble::Client(error))) => {
                traceback::log(&format!("{error} during {place}"));
                return false;
            }
            (Failure::Raised(_), Some(Trouble::Head(error))) => format!("response refused: {error} during {place}"),
            (Failure::Broke(what), Some(Trouble::Head(error))) => {
                format!("response refused: {error}; {what} during {place}")
            }
            (Failure::Broke(what), _) => format!("{what} during {place}"),
            // The client broke its body off and the app let that through: no fault of the app's.
            (Failure::Raised(error), None) if self.wire.lock(py).body_fault().is_some() => {
                format!("{error} during {place}")
            }
            (Failure::Raised(error), None) => {
                format!("exception during {place}\n{}", traceback::text(py, &error))
            }
        };
        traceback::log(&entry);
        let mut exchange = self.wire.lock(py);
        if exchange.head_sent() {
            exchange.abort();
            return true;
        }
        let status = exchange.body_fault().unwrap_or("500 Internal Server Error");
        let text = status.split_once(' ').map_or(status, |(_, reason)| reason);
        let head = exchange.head();
        let made = head
            .start(status.as_bytes())
            .and_then(|()| head.header(b"Content-Type", b"text/plain"))
            .and_then(|()| head.header(b"Content-Length", text.len().to_string().as_bytes()));
        drop(exchange);
        if made.is_ok()
            && let Err(error) = self.wire.write(py, text.as_bytes())
        {
            traceback::log(&format!("{error} during {place}"));
        }
        true
    }

    /// Ends the response, and says in the log where it is not as long as the app announced.
    fn finish(&self, py: Python<'_>, request: &Request) {
        let broken = self.wire.lock(py).is_broken();
        if let Err(error) = self.wire.finish(py) {
            traceback::log(&format!("{error} during {}", named(request)));
            return;
        }
        let exchange = self.wire.lock(py);
        if exchange.is_broken() && !broken {
            traceback::log(&format!(
                "response shorter than its Content-Length: {} bytes during {}, the connection is reset",
                exchange.body_bytes(),
                named(request)
            ));
        } else if exchange.surplus() > 0 {
            traceback::log(&format!(
                "response longer than its Content-Length: {} bytes cut off during {}",
                exchange.surplus(),
                named(request)
            ));
        }
    }
}

/// Calls `close` of what the app returned, where there is one.
fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyBytes>() {
        return Ok(());
    }
    match result.getattr_opt(intern!(result.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// The request as a log entry names it: `GET /path (10.0.0.1)`.
fn named(request: &Request) -> String {
    let shown = |known| request.known(known).unwrap_or(b"-").escape_ascii();
    format!(
        "{} {} ({})",
        shown(Known::RequestMethod),
        shown(if request.known(Known::RequestUri).is_some() { Known::RequestUri } else { Known::PathInfo }),
        shown(Known::RemoteAddr)
    )
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "of an unknown type".to_owned(), |name| format!("`{name}`"))
}

/// The callables that the app gets, and what they share.
struct Calls {
    line: Arc<Line>,
    /// `start_response`, as a bound method: Python calls those fastest.
    start: Py<PyAny>,
    /// What it returns.
    write: Py<PyAny>,
}

impl Calls {
    fn new(py: Python<'_>, wire: &Wire) -> PyResult<Self> {
        let line = Arc::new(Line { wire: wire.clone(), serial: AtomicU64::new(0), trouble: Mutex::new(None) });
        let write = Bound::new(py, Writer { line: line.clone() })?.getattr("write")?.unbind();
        let starter = Starter { line: line.clone(), write: write.clone_ref(py) };
        let start = Bound::new(py, starter)?.getattr("start_response")?.unbind();
        Ok(Self { line, start, write })
    }

    /// Whether the app still holds one of them.
    fn are_kept(&self, py: Python<'_>) -> bool {
        !has_references(&self.start, py, 1) || !has_references(&self.write, py, 2)
    }
}

/// What `start_response` and `write` act on.
struct Line {
    wire: Wire,
    /// The request they belong to.
    serial: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

/// Something that was raised into the app, and that the log needs no traceback for.
enum Trouble {
    /// A status or header that can't be sent.
    Head(HeadError),
    /// The client is gone.
    Client(WriteError),
}

impl Line {
    fn arm(&self, serial: u64) {
        self.serial.store(serial, Ordering::Relaxed);
        self.take_trouble();
    }

    fn take_trouble(&self) -> Option<Trouble> {
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
        self.line.wire.write(py, bytes.as_bytes()).map_err(|error| {
            let raised = PyOSError::new_err(error.to_string());
            self.line.note(Trouble::Client(error));
            raised
        })
    }
}
