//! The module `uwsgidecorators`: carried by the program, imported where the site has none of its own.
//!
//! Offered once, by `facts`. A finder behind all others finds it, so that a package that the site has
//! installed comes first.

use pyo3::ffi::c_str;
use pyo3::prelude::*;

const SOURCE: &str = include_str!("../../../python/uwsgidecorators.py");

pub(super) fn offer(py: Python<'_>) -> PyResult<()> {
    let finder =
        PyModule::from_code(py, c_str!(include_str!("decorators.py")), c"<rustwsgi>", c"_rustwsgi_decorators")?;
    finder.call_method1("offer", (SOURCE,)).map(drop)
}
