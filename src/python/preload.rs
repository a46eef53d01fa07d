//! Imports what Django imports at its first request: the URLconf, and with it the views.
//!
//! Called by `app` after the application's module, so that a view that can't be imported stops a
//! start or a reload instead of failing requests, and so that workers share the memory. Touches
//! nothing where the application is not Django's.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Imports the URLconf of a Django that is set up. What goes wrong is the app's import error.
pub(super) fn urlconf(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    if !modules.contains("django.core.handlers.wsgi")? {
        return Ok(());
    }
    let settings = py.import("django.conf")?.getattr("settings")?;
    if !settings.getattr("configured")?.is_truthy()? {
        return Ok(());
    }
    let Some(name) = settings.getattr_opt("ROOT_URLCONF")? else { return Ok(()) };
    py.import("importlib")?.call_method1("import_module", (name,))?;
    // Views that ask the database while they are imported would leave every worker the same
    // connection.
    let connections = py.import("django.db")?.getattr("connections")?;
    connections.call_method0("close_all").map(drop)
}
