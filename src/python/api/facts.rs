//! The module object: made once a process family, its facts put in anew in each process.
//!
//! Called by `Place::take`. Facts are plain attributes, which the app may overwrite.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::{Place, decorators, lock, process, request, surface};
use crate::config::{Config, Origin, UWSGI_VERSION};
use crate::sys::clock;

const DOC: &str = "The server that runs this application: the API of uWSGI.";

/// Epoch seconds at which the first zygote of this line came up.
static STARTED: AtomicI64 = AtomicI64::new(0);

/// Makes the module where it is missing, and puts in what is true of this process.
pub(super) fn publish(py: Python<'_>, place: &Place) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    let module = match modules.get_item("uwsgi")? {
        Some(module) => module,
        None => {
            let module = PyModule::new(py, "uwsgi")?;
            module.setattr("__doc__", DOC)?;
            process::add(&module)?;
            request::add(&module)?;
            lock::add(&module)?;
            module.add_function(wrap_pyfunction!(absent, &module)?)?;
            constants(&module, place)?;
            modules.set_item("uwsgi", &module)?;
            decorators::offer(py)?;
            module.into_any()
        }
    };
    let sockets: Vec<i32> = place.sockets.iter().map(|(descriptor, _)| *descriptor).collect();
    module.setattr("sockets", sockets)
}

fn constants(module: &Bound<'_, PyModule>, place: &Place) -> PyResult<()> {
    let (py, config) = (module.py(), &place.config);
    let bytes = |text: &str| PyBytes::new(py, text.as_bytes());
    if STARTED.load(Relaxed) == 0 {
        STARTED.store(clock::epoch_micros() / 1_000_000, Relaxed);
    }
    module.setattr("version", bytes(UWSGI_VERSION))?;
    let mut numbers = UWSGI_VERSION.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let mut number = || numbers.next().unwrap_or(0);
    module.setattr("version_info", (number(), number(), number(), 0, bytes("")))?;
    module.setattr("rustwsgi_version", env!("CARGO_PKG_VERSION"))?;
    let host = nix::unistd::gethostname().unwrap_or_default();
    module.setattr("hostname", PyBytes::new(py, host.as_encoded_bytes()))?;
    module.setattr("opt", options(py, config)?)?;
    module.setattr("numproc", config.processes)?;
    module.setattr("cores", config.threads)?;
    module.setattr("has_threads", 1)?;
    module.setattr("buffer_size", config.buffer_size)?;
    module.setattr("started_on", STARTED.load(Relaxed))?;
    module.setattr("is_a_reload", place.generation > 1)?;
    for name in ["loop", "applications", "unbit"] {
        module.setattr(name, py.None())?;
    }
    if let Some(pidfile) = &config.pidfile {
        module.setattr("pidfile", bytes(&pidfile.to_string_lossy()))?;
    }
    for (name, value) in [("SPOOL_OK", -2), ("SPOOL_RETRY", -1), ("SPOOL_IGNORE", 0)] {
        module.setattr(name, value)?;
    }
    Ok(())
}

/// What the user wrote, as uWSGI has it: names are `str`, values `bytes`, a bare name on the command line
/// is `True`, and of a repeated name the last value counts. Agents ask here whether threads and fork
/// hooks work: they always do, so these two are there even where nobody wrote them.
fn options<'py>(py: Python<'py>, config: &Config) -> PyResult<Bound<'py, PyDict>> {
    let options = PyDict::new(py);
    for name in ["enable-threads", "py-call-uwsgi-fork-hooks"] {
        options.set_item(name, true)?;
    }
    for setting in config.settings() {
        if setting.origin == Origin::CommandLine && setting.value.is_empty() {
            options.set_item(&setting.key, true)?;
        } else {
            options.set_item(&setting.key, PyBytes::new(py, setting.value.as_bytes()))?;
        }
    }
    Ok(options)
}

/// Names that are not there: those of uWSGI's get a sentence.
#[pyfunction]
#[pyo3(name = "__getattr__", signature = (name, /))]
fn absent(name: &str) -> PyResult<Py<PyAny>> {
    let sentence = match surface::Name::find(name) {
        Some(known) => format!("uwsgi.{name} is not there: {}", known.sentence()),
        None => format!("module 'uwsgi' has no attribute '{name}'"),
    };
    Err(PyAttributeError::new_err(sentence))
}

/// Keeps the types of the module's values in one place for the two that build them.
pub(super) fn tuple<'py>(py: Python<'py>, items: Vec<Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyTuple>> {
    PyList::new(py, items).map(|list| list.to_tuple())
}
