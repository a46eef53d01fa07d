//! Which files the app was imported from, for `py-autoreload`.
//!
//! Called by the zygote before it imports the app. Python's audit events name every file whose code
//! is compiled or run, so that a module which can't be imported is known too, and what a worker
//! imports later. Each process appends lines `NANOSECONDS PATH` to one file, which the master reads.

use std::ffi::CStr;

use pyo3::prelude::*;

/// Defines `record(descriptor, ignored)`.
const SOURCE: &CStr = c"
import os, sys

def record(descriptor, ignored):
    seen = set()

    def note(path):
        if not isinstance(path, str) or path.startswith('<') or path in seen:
            return
        seen.add(path)
        for name in ignored:
            if getattr(sys.modules.get(name), '__file__', None) == path:
                return
        try:
            line = f'{os.stat(path).st_mtime_ns} {os.path.abspath(path)}\\n'
            os.write(descriptor, line.encode(errors='surrogateescape'))
        except (OSError, ValueError):
            # Gone already, or the app has closed what is not its own.
            pass

    def hook(event, arguments):
        if event == 'exec':
            note(getattr(arguments[0], 'co_filename', None))
        elif event == 'compile':
            note(os.fsdecode(arguments[1]) if isinstance(arguments[1], bytes) else arguments[1])

    for module in list(sys.modules.values()):
        note(getattr(module, '__file__', None))
    sys.addaudithook(hook)
";

/// Has every file that is imported from now on written to `descriptor`, but those of `ignored` modules.
pub(super) fn record(py: Python<'_>, descriptor: i32, ignored: &[String]) -> PyResult<()> {
    let module = PyModule::from_code(py, SOURCE, c"<rustwsgi>", c"_rustwsgi_imports")?;
    module.call_method1("record", (descriptor, ignored.to_vec())).map(drop)
}
