//! WSGI (PEP 3333): one request, one call of the app, one response.
//!
//! `worker` keeps a [`Core`] for each thread that serves and hands it one request after the other.
//! Whatever the app does, the client gets a whole response, a 500, or a connection that visibly
//! broke; the log gets one entry for it; `close()` is called once; and the worker lives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyOSError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyMemoryView, PyTuple};

use super::app::App;
use super::buffering::{self, KeepError};
use super::calls::{Calls, Trouble, type_name};
use super::environ::{Environs, has_references, latin1};
use super::input::Input;
use super::output::FileWrapper;
use super::wire::Wire;
use super::{Gil, report, traceback};
use crate::net::exchange::{Exchange, WriteError};
use crate::proto::request::{Known, Request};

/// How a request was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The status of the response, as far as one was made.
    pub status: u16,
    /// Whether the app failed.
    pub exception: bool,
    /// Whether the worker is to be replaced for it (uWSGI: `--reload-on-exception`).
    pub reload: bool,
    /// The number of the app that served it; -1 where none did (uWSGI: `app:` of the request line).
    pub app: i32,
}

/// What one core keeps from request to request.
pub struct Core {
    app: App,
    wire: Wire,
    environs: Environs,
    input: Py<Input>,
    calls: Calls,
    /// Where the request in hand stands.
    served: Served,
}

/// Why a request was not served as the app meant it.
enum Failure {
    /// The app raised.
    Raised(PyErr),
    /// The app broke WSGI; what it did.
    Broke(String),
    /// The client is gone or takes nothing.
    Client(WriteError),
    /// The app is not called: the status, and why.
    Refused(&'static str, String),
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
            calls: Calls::new(py, &wire, app.requests())?,
            served: Served { status: 0, exception: false, reload: false, app: -1 },
            app,
            wire,
        })
    }

    /// Runs the app for `request`, whose exchange was begun; writes the response, calls `close()`,
    /// and ends the response. Waits for the client without the GIL. Never panics, never unwinds.
    pub fn serve(&mut self, gil: &Gil<'_>, request: &Request) -> Served {
        let py = gil.py;
        self.served = Served { status: 0, exception: false, reload: false, app: -1 };
        if catch_unwind(AssertUnwindSafe(|| self.run(py, request))).is_err() {
            traceback::log(&format!("internal error while serving {}, the connection is reset", named(request)));
            self.wire.lock(py).abort();
            self.served.exception = true;
        }
        self.served.status = self.wire.lock(py).head().code();
        self.served
    }

    #[cfg(test)]
    pub(super) fn table_sizes(&self) -> (usize, usize) {
        self.environs.sizes()
    }

    fn run(&mut self, py: Python<'_>, request: &Request) {
        let outcome = self.arm(py).map_err(Failure::from).and_then(|()| self.call(py, request));
        if let Err(failure) = outcome {
            self.fail(py, request, failure);
        }
        if !self.wire.lock(py).head().is_started() {
            self.fail(py, request, Failure::Broke("the application did not call start_response".to_owned()));
        }
        self.finish(py, request);
        self.app.flush_errors(py);
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
            self.calls = Calls::new(py, &self.wire, self.app.requests())?;
        }
        self.calls.line.arm(serial);
        Ok(())
    }

    /// Calls the app and sends what it returns.
    fn call(&mut self, py: Python<'_>, request: &Request) -> Result<(), Failure> {
        let app = self.app.clone();
        let Some(choice) = app.mounts().choose(request) else {
            // uWSGI's words.
            let why = "--- no python application found, check your startup logs for errors ---".to_owned();
            return Err(Failure::Refused("500 Internal Server Error", why));
        };
        self.served.app = i32::try_from(choice.number).unwrap_or(i32::MAX);
        let buffered = self.read_ahead(py)?;
        let input = buffered.as_ref().unwrap_or_else(|| self.input.bind(py).as_any());
        let environ = self.environs.build(py, request, input)?;
        if let Some((script, path)) = choice.paths {
            environ.set_item(intern!(py, "SCRIPT_NAME"), latin1(py, script))?;
            environ.set_item(intern!(py, "PATH_INFO"), latin1(py, path))?;
        }
        let result = choice.callable.bind(py).call1((environ, self.calls.start.bind(py)))?;
        let sent = self.send(py, &result);
        if let Err(error) = close(&result) {
            // The response is as the app meant it: that tidying up failed changes nothing of it.
            let place = named(request);
            traceback::log(&format!("close() raised while serving {place}\n{}", traceback::text(py, &error)));
            self.raised(py, &error);
        }
        if let Some(buffered) = buffered {
            // Its file goes with it. What it raises is of no use to anybody.
            let _ = buffered.call_method0(intern!(py, "close"));
        }
        sent
    }

    /// Looks at the body before the app does: whether it is too long (uWSGI: `--limit-post`), and
    /// with `post-buffering` reads it.
    fn read_ahead<'py>(&self, py: Python<'py>) -> Result<Option<Bound<'py, PyAny>>, Failure> {
        let requests = self.app.requests();
        if requests.limit_post > 0 {
            let left = self.wire.lock(py).body_left().unwrap_or(0);
            if left > requests.limit_post {
                let why = format!("a body of {left} bytes is over limit-post ({})", requests.limit_post);
                return Err(Failure::Refused("413 Content Too Large", why));
            }
            self.wire.lock(py).limit_body(requests.limit_post);
        }
        if requests.post_buffering == 0 {
            return Ok(None);
        }
        match buffering::read_all(py, &self.wire, requests.post_buffering, requests.post_buffering_bufsize) {
            Ok(stream) => Ok(Some(stream)),
            Err(KeepError::Python(error)) => Err(Failure::Raised(error)),
            Err(error @ KeepError::Body(_)) => {
                let status = self.wire.lock(py).body_fault().unwrap_or("400 Bad Request");
                Err(Failure::Refused(status, error.to_string()))
            }
            Err(error @ KeepError::File(_)) => Err(Failure::Refused("507 Insufficient Storage", error.to_string())),
        }
    }

    /// Sends what the app returned.
    fn send(&self, py: Python<'_>, result: &Bound<'_, PyAny>) -> Result<(), Failure> {
        if let Ok(list) = result.cast_exact::<PyList>() {
            if list.len() == 1 {
                return self.send_whole(py, &list.get_item(0)?);
            }
        } else if let Ok(bytes) = result.cast::<PyBytes>()
            && !self.app.requests().wsgi_strict
        {
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
        let mut chunks = result.try_iter()?;
        let mut thrown = None;
        loop {
            let chunk = match thrown.take() {
                Some(chunk) => chunk,
                None => match chunks.next() {
                    Some(chunk) => chunk?,
                    None => return Ok(()),
                },
            };
            // uWSGI passes over None, where WSGI has no meaning for it.
            if chunk.is_none() {
                continue;
            }
            match self.send_chunk(py, &chunk, Wire::write) {
                Ok(()) => {}
                Err(Failure::Client(_)) if self.calls.line.forgives() => {}
                Err(Failure::Client(error)) if self.app.requests().write_errors_exception_only => {
                    thrown = throw(&chunks, error)?;
                    if thrown.is_none() {
                        return Ok(());
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
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
            if self.app.requests().wsgi_accept_buffer
                && let Ok(view) = PyMemoryView::from(chunk)
            {
                let bytes = view.call_method0("tobytes")?;
                return self.send_chunk(py, &bytes, write);
            }
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

    /// Notes that the app raised.
    fn raised(&mut self, py: Python<'_>, error: &PyErr) {
        self.served.exception = true;
        self.served.reload |= report::asks_for_reload(py, error, self.app.requests());
    }

    /// Says in the log what went wrong, once, and lets the client know: with a 500 where nothing
    /// was sent yet, with a broken connection otherwise.
    fn fail(&mut self, py: Python<'_>, request: &Request, failure: Failure) {
        let place = named(request);
        let (mut status, mut page) = ("500 Internal Server Error", None);
        let fault = self.wire.lock(py).body_fault();
        let entry = match (failure, self.calls.line.take_trouble()) {
            (Failure::Client(error), _) | (Failure::Raised(_), Some(Trouble::Client(error))) => {
                return self.lost(&error, &place);
            }
            (Failure::Refused(refused, why), _) => {
                status = refused;
                format!("{why} during {place}")
            }
            (Failure::Raised(_), Some(Trouble::Head(error))) => {
                self.served.exception = true;
                format!("response refused: {error} during {place}")
            }
            (Failure::Broke(what), Some(Trouble::Head(error))) => {
                self.served.exception = true;
                format!("response refused: {error}; {what} during {place}")
            }
            (Failure::Broke(what), _) => {
                self.served.exception = true;
                format!("{what} during {place}")
            }
            (Failure::Raised(error), None) => match fault {
                // The client broke its body off and the app let that through: no fault of the app's.
                Some(fault) => {
                    self.served.exception = true;
                    status = fault;
                    format!("{error} during {place}")
                }
                None => {
                    self.raised(py, &error);
                    page = self.app.requests().catch_exceptions.then(|| report::page(py, &error, request));
                    format!("exception during {place}\n{}", traceback::text(py, &error))
                }
            },
        };
        traceback::log(&entry);
        let mut exchange = self.wire.lock(py);
        if exchange.head_sent() {
            exchange.abort();
            return;
        }
        let text = page.as_deref().unwrap_or_else(|| status.split_once(' ').map_or(status, |(_, reason)| reason));
        let head = exchange.head();
        let made = head
            .start(status.as_bytes())
            .and_then(|()| head.header(b"Content-Type", b"text/plain"))
            .and_then(|()| head.header(b"Content-Length", text.len().to_string().as_bytes()));
        drop(exchange);
        if made.is_ok()
            && let Err(error) = self.wire.write(py, text.as_bytes())
        {
            self.lost(&error, &place);
        }
    }

    /// Says in the log that the client is gone (uWSGI: not with `--ignore-write-errors`).
    fn lost(&self, error: &WriteError, place: &str) {
        if !self.app.requests().ignore_write_errors {
            traceback::log(&format!("{error} during {place}"));
        }
    }

    /// Ends the response, and says in the log where it is not as long as the app announced.
    fn finish(&self, py: Python<'_>, request: &Request) {
        let broken = self.wire.lock(py).is_broken();
        if let Err(error) = self.wire.finish(py) {
            return self.lost(&error, &named(request));
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

/// Raises a write error where a generator stands (uWSGI: `--write-errors-exception-only`); returns
/// the chunk that it goes on with, if it does.
fn throw<'py>(chunks: &Bound<'py, PyIterator>, error: WriteError) -> Result<Option<Bound<'py, PyAny>>, Failure> {
    let py = chunks.py();
    let Some(throw) = chunks.getattr_opt(intern!(py, "throw"))? else { return Err(Failure::Client(error)) };
    match throw.call1((PyOSError::new_err(error.to_string()).into_value(py),)) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(raised) if raised.is_instance_of::<PyStopIteration>(py) => Ok(None),
        // It let the error through, or made another of it: there is nobody to tell either way.
        Err(_) => Err(Failure::Client(error)),
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
