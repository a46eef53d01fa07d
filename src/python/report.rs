//! What becomes of an exception besides the log entry: the page that `catch-exceptions` shows, and
//! whether the worker is to be replaced (uWSGI: `--reload-on-exception…`).
//!
//! `wsgi` asks once for each exception. The page shows what is in the request, cookies too: it is
//! for development, as in uWSGI.

use std::fmt::Write as _;

use pyo3::prelude::*;

use super::traceback;
use crate::config::Requests;
use crate::proto::request::{Known, Request};

/// The page for the client: the exception, where it was raised, the request's variables.
pub(super) fn page(py: Python<'_>, error: &PyErr, request: &Request) -> String {
    let shown = |known| String::from_utf8_lossy(request.known(known).unwrap_or(b"-")).into_owned();
    let (class, message) = (class(py, error), message(py, error));
    let mut page = format!(
        "rustwsgi exceptions catcher for \"{} {}\"\n\nException: {class}: {message}\n\nException class: {class}\n\n\
         Exception message: {message}\n\nBacktrace:\n{}\n",
        shown(Known::RequestMethod),
        shown(Known::RequestUri),
        traceback::text(py, error)
    );
    for (name, value) in request.vars() {
        // Writing to memory does not fail.
        let _ = writeln!(page, "{} = {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    }
    page
}

/// Whether the worker is to be replaced after this exception.
pub(super) fn asks_for_reload(py: Python<'_>, error: &PyErr, requests: &Requests) -> bool {
    if requests.reload_on_exception {
        return true;
    }
    let (types, values, reprs) =
        (&requests.reload_on_exception_type, &requests.reload_on_exception_value, &requests.reload_on_exception_repr);
    if types.is_empty() && values.is_empty() && reprs.is_empty() {
        return false;
    }
    let (class, kind, message) = (class(py, error), traceback::kind(py, error), message(py, error));
    let python = error.value(py).repr().map(|repr| repr.to_string_lossy().into_owned()).unwrap_or_default();
    types.iter().any(|wanted| *wanted == class || *wanted == kind)
        || values.contains(&message)
        || reprs.iter().any(|wanted| {
            *wanted == python || *wanted == format!("{kind}: {message}") || *wanted == format!("{class}: {message}")
        })
}

/// The class with its module: `builtins.ValueError`.
fn class(py: Python<'_>, error: &PyErr) -> String {
    let kind = error.get_type(py);
    let part = |name: &str| kind.getattr(name).ok().and_then(|part| part.extract::<String>().ok());
    match (part("__module__"), part("__qualname__")) {
        (Some(module), Some(name)) => format!("{module}.{name}"),
        _ => traceback::kind(py, error),
    }
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
