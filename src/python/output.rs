//! What the app writes to besides the response: `wsgi.errors`, and the wrapper for files it sends.
//!
//! `app` makes them, `wsgi` recognises the wrapper and has the kernel copy the file where that
//! gives the very bytes that reading it would give.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyAttributeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::wire::Wire;
use crate::net::exchange::WriteError;

/// `wsgi.errors`: a text stream into the log. Whole lines leave at once, in one piece; the rest
/// waits for its end or for `flush` (uWSGI loses what is never flushed).
#[pyclass(frozen, module = "uwsgi", name = "Errors")]
pub(super) struct Errors {
    started: Mutex<Vec<u8>>,
}

/// A started line longer than this leaves unfinished.
const LINE: usize = 64 * 1024;

impl Errors {
    pub(super) fn new() -> Self {
        Self { started: Mutex::new(Vec::new()) }
    }

    fn append(&self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let encoded;
        let bytes = match text.to_str() {
            Ok(text) => text.as_bytes(),
            // Lone surrogates: visible is better than raising in an error handler.
            Err(_) => {
                encoded = text.call_method1("encode", ("utf-8", "backslashreplace"))?;
                encoded.extract::<&[u8]>()?
            }
        };
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.extend_from_slice(bytes);
        let whole = match started.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            None if started.len() > LINE => started.len(),
            None => return Ok(()),
        };
        let lines: Vec<u8> = started.drain(..whole).collect();
        drop(started);
        // There is no better place to report that the log is gone.
        let _ = std::io::stderr().write_all(&lines);
        Ok(())
    }
}

#[pymethods]
impl Errors {
    fn write(&self, text: &Bound<'_, PyString>) -> PyResult<usize> {
        self.append(text)?;
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.append(line?.cast()?)?;
        }
        Ok(())
    }

    pub(super) fn flush(&self) {
        let started = std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        if !started.is_empty() {
            let _ = std::io::stderr().write_all(&started);
        }
    }

    fn fileno(&self) -> i32 {
        2
    }

    fn isatty(&self) -> bool {
        std::io::IsTerminal::is_terminal(&std::io::stderr())
    }

    fn writable(&self) -> bool {
        true
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        "utf-8"
    }

    #[getter]
    fn errors(&self) -> &'static str {
        "backslashreplace"
    }
}

/// `wsgi.file_wrapper(file, block_size=8192)`: iterates over the file's blocks; returned as it is
/// from the app, the file is sent without passing through Python.
#[pyclass(frozen, module = "uwsgi", name = "FileWrapper")]
pub(super) struct FileWrapper {
    filelike: Py<PyAny>,
    read: Py<PyAny>,
    block_size: i64,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, block_size = 8192))]
    fn new(filelike: Bound<'_, PyAny>, block_size: i64) -> PyResult<Self> {
        let read = filelike
            .getattr("read")
            .map_err(|_| PyAttributeError::new_err("file_wrapper: the object has no attribute `read`".to_owned()))?;
        Ok(Self { read: read.unbind(), filelike: filelike.unbind(), block_size: block_size.max(1) })
    }

    #[getter]
    fn filelike(&self, py: Python<'_>) -> Py<PyAny> {
        self.filelike.clone_ref(py)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // Looked up now: Django puts a `close` of its own on the file after wrapping it.
        match self.filelike.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let block = self.read.bind(py).call1((self.block_size,))?;
        match block.is_truthy()? {
            true => Ok(block),
            false => Err(PyStopIteration::new_err(())),
        }
    }
}

impl FileWrapper {
    /// Sends the file from its current position by the kernel, where reading it would give the
    /// same bytes; `None` where it has to be iterated.
    pub(super) fn send(&self, py: Python<'_>, wire: &Wire) -> Option<Result<(), WriteError>> {
        if wire.lock(py).is_chunked() {
            return None;
        }
        let (file, offset, count) = self.plain_file(py)?;
        Some(wire.apart(py, |exchange| exchange.deliver(file, offset, count)))
    }

    /// The regular file behind it, the position in it, and the bytes from there to its end.
    fn plain_file(&self, py: Python<'_>) -> Option<(File, i64, u64)> {
        let reader = self.reader(py)?;
        // What was written but not flushed is not in the file yet.
        reader.call_method0("flush").ok()?;
        let fd: i32 = reader.call_method0("fileno").ok()?.extract().ok()?;
        let offset: u64 = reader.call_method0("tell").ok()?.extract().ok()?;
        // Opened anew: a file of our own, that no other thread of the app can close meanwhile.
        // Asked for its kind first, as opening a pipe would wait for its other end.
        let path = format!("/proc/self/fd/{fd}");
        let size = std::fs::metadata(&path).ok().filter(|meta| meta.is_file())?.len();
        let count = size.checked_sub(offset).filter(|count| *count > 0)?;
        Some((File::open(&path).ok()?, i64::try_from(offset).ok()?, count))
    }

    /// The object of Python's own I/O library whose `read` the file's `read` is, directly or
    /// through a wrapper that says so. A class with a `read` of its own may change the bytes
    /// (`gzip.GzipFile` has a `fileno` too), so it does not count.
    fn reader<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let io = py.import("io").ok()?;
        let mut read = self.read.bind(py).clone();
        if let Some(wrapped) = read.getattr_opt("__wrapped__").ok()? {
            read = wrapped;
        }
        let owner = read.getattr_opt("__self__").ok()??;
        let exactly = |name: &str| io.getattr(name).is_ok_and(|class| owner.get_type().is(&class));
        if exactly("FileIO") {
            return Some(owner);
        }
        if !exactly("BufferedReader") && !exactly("BufferedRandom") {
            return None;
        }
        let raw = owner.getattr("raw").ok()?;
        raw.get_type().is(&io.getattr("FileIO").ok()?).then_some(owner)
    }
}
