//! Exceptions in words: the traceback as Python prints it, the frames a message names.
//!
//! `wsgi` logs what an app raises through this, `blame` explains what it raised while it was
//! imported. Formatting runs code of the exception (its `__str__`), which may itself raise: what
//! can't be formatted is named by its type.

use std::io::Write as _;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTraceback};

/// One line of a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The file, as the code object names it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there; empty where the source can't be read.
    pub source: String,
}

/// The whole traceback, causes included, as Python prints it where nobody catches it.
pub(super) fn text(py: Python<'_>, error: &PyErr) -> String {
    let formatted = || -> PyResult<String> {
        let whole = (error.get_type(py), error.value(py), error.traceback(py));
        let lines = py.import("traceback")?.call_method1("format_exception", whole)?;
        let lines = lines.cast_into::<PyList>()?;
        let mut whole = String::new();
        for line in lines.iter() {
            // The machinery of `import` says nothing about the app; Python leaves it out, too, where
            // it prints a traceback itself.
            if line.extract::<String>().is_ok_and(|line| line.starts_with("  File \"<frozen importlib")) {
                continue;
            }
            let bytes = line.call_method1("encode", ("utf-8", "backslashreplace"))?;
            whole.push_str(&String::from_utf8_lossy(bytes.extract::<&[u8]>()?));
        }
        Ok(whole)
    };
    formatted().unwrap_or_else(|_| format!("{}: <exception that can't be formatted>\n", kind(py, error)))
}

/// The frames, outermost first; those of the import machinery left out.
pub(super) fn frames(py: Python<'_>, error: &PyErr) -> Vec<Frame> {
    let listed = |traceback: Bound<'_, PyTraceback>| -> PyResult<Vec<Frame>> {
        let summary = py.import("traceback")?.call_method1("extract_tb", (traceback,))?;
        let mut frames = Vec::new();
        for frame in summary.try_iter()? {
            let frame = frame?;
            let file: String = frame.getattr("filename")?.extract()?;
            if !file.starts_with('<') {
                frames.push(Frame {
                    file,
                    line: frame.getattr("lineno")?.extract().unwrap_or(0),
                    source: frame.getattr("line")?.extract().unwrap_or_default(),
                });
            }
        }
        Ok(frames)
    };
    error.traceback(py).and_then(|traceback| listed(traceback).ok()).unwrap_or_default()
}

/// The exception's class: `ImproperlyConfigured`.
pub(super) fn kind(py: Python<'_>, error: &PyErr) -> String {
    error.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string())
}

/// What the exception says, in one line.
pub(super) fn words(py: Python<'_>, error: &PyErr) -> String {
    let text = error.value(py).str().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Writes `text` to the log in one piece, so that lines of other processes can't get between.
pub(super) fn log(text: &str) {
    let mut whole = String::with_capacity(text.len() + 1);
    whole.push_str(text.trim_end_matches('\n'));
    whole.push('\n');
    #[cfg(test)]
    LOGGED.with_borrow_mut(|logged| logged.push(whole.clone()));
    // The log being gone must not take the request with it.
    let _ = std::io::stderr().write_all(whole.as_bytes());
}

#[cfg(test)]
thread_local! {
    /// What this thread wrote to the log.
    pub(super) static LOGGED: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}
