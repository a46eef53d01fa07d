//! Python: the interpreter, the application, and WSGI between the two and a request.
//!
//! The zygote starts the [`Interpreter`] and loads the [`App`]; each core of a worker keeps a
//! [`Core`] that turns a `Request` into a call and what comes back into a response on its
//! `Exchange`. The master calls nothing here but [`find_venv`], which touches no Python.
//! pyo3 is named in this room alone, sockets are never seen here.
#![deny(unsafe_code)]

pub mod api;
mod app;
mod blame;
mod buffering;
mod calls;
mod environ;
mod imports;
mod input;
mod interpreter;
mod mounts;
mod output;
mod preload;
mod preload_safety;
mod report;
mod sources;
mod target;
#[cfg(test)]
mod tests;
mod traceback;
mod venv;
mod wire;
mod wsgi;

use pyo3::Python;

pub use app::App;
pub use interpreter::{Interpreter, find_venv, library};
pub use preload_safety::{HeldLock, Residue, Thread};
pub use venv::Venv;
pub use wsgi::{Core, Served};

/// Proof that this thread holds the GIL.
#[derive(Clone, Copy)]
pub struct Gil<'py> {
    py: Python<'py>,
}

impl Gil<'_> {
    /// Runs `f` without the GIL.
    pub fn release<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.py.detach(f)
    }
}

/// Runs `f` with the GIL held. This thread keeps its Python thread state for as long as `f` runs,
/// so a core calls this once in its life and [`Gil::release`]s while it waits.
pub fn attach<R>(f: impl for<'py> FnOnce(&Gil<'py>) -> R) -> R {
    Python::attach(|py| f(&Gil { py }))
}
