//! What Python keeps of an import that does not survive a fork: threads and held locks.
//!
//! The zygote asks once, when the app is loaded, and tells it with what it finds about descriptors
//! itself. Looks only; never waits for a lock and never calls into the app.

use std::collections::HashSet;
use std::fs;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use super::attach;
use super::interpreter::Interpreter;

/// A thread besides the main one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name: Python's, or the kernel's for one that Python does not know.
    pub name: String,
    /// Whether Python knows it.
    pub python: bool,
}

/// A lock that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// Where it is found: `package.module.name`, or `package.module.object.name`.
    pub name: String,
}

/// What is left of the import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residue {
    /// Threads that run.
    pub threads: Vec<Thread>,
    /// Locks of the app's modules, and of the objects that stand in them, that are held.
    pub locks: Vec<HeldLock>,
}

impl Interpreter {
    /// Looks for threads and held locks. Called by the thread that started Python, the GIL held.
    pub fn residue(&self) -> Residue {
        attach(|gil| Residue {
            threads: threads(gil.py).unwrap_or_default(),
            locks: held_locks(gil.py).unwrap_or_default(),
        })
    }
}

/// Python's threads by their names; then, by the kernel's, those that C code started.
fn threads(py: Python<'_>) -> PyResult<Vec<Thread>> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?;
    let (mut found, mut known) = (Vec::new(), HashSet::from([std::process::id()]));
    for thread in threading.call_method0("enumerate")?.try_iter()? {
        let thread = thread?;
        known.extend(thread.getattr("native_id").ok().and_then(|id| id.extract::<u32>().ok()));
        if !thread.is(&main) {
            found.push(Thread { name: thread.getattr("name")?.str()?.to_string_lossy().into_owned(), python: true });
        }
    }
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for id in tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok()) {
        if !known.contains(&id) {
            // Gone since it was listed: nothing to tell.
            let Ok(name) = fs::read_to_string(format!("/proc/self/task/{id}/comm")) else { continue };
            found.push(Thread { name: name.trim_end().to_owned(), python: false });
        }
    }
    Ok(found)
}

/// Locks that are held, in modules that are not Python's own and in the objects of their names.
fn held_locks(py: Python<'_>) -> PyResult<Vec<HeldLock>> {
    let sys = py.import("sys")?;
    let own = sys.getattr("stdlib_module_names")?;
    let mut search = Search::new(py)?;
    // A copy, here and below: threads of the app may change the dictionaries meanwhile.
    for (name, module) in sys.getattr("modules")?.cast_into::<PyDict>()?.copy()?.iter() {
        let Ok(name) = name.extract::<String>() else { continue };
        let top = name.split('.').next().unwrap_or_default();
        if top != "__main__" && !own.contains(top)? {
            search.look_into(&module, &name, true);
        }
    }
    Ok(search.found)
}

/// A walk through modules.
struct Search<'py> {
    /// The types of locks.
    locks: Vec<Bound<'py, PyType>>,
    /// `object.__getattribute__`, which wakes no lazy object.
    plain: Bound<'py, PyAny>,
    /// Addresses of the locks that were found.
    seen: HashSet<usize>,
    found: Vec<HeldLock>,
}

impl<'py> Search<'py> {
    fn new(py: Python<'py>) -> PyResult<Self> {
        let thread = py.import("_thread")?;
        let mut locks = Vec::new();
        for name in ["LockType", "RLock"] {
            locks.push(thread.getattr(name)?.cast_into::<PyType>()?);
        }
        let plain = py.import("builtins")?.getattr("object")?.getattr("__getattribute__")?;
        Ok(Self { locks, plain, seen: HashSet::new(), found: Vec::new() })
    }

    /// Looks at everything that stands in the `__dict__` of `object`, and with `deeper` at what
    /// stands in that of ordinary objects there.
    fn look_into(&mut self, object: &Bound<'py, PyAny>, name: &str, deeper: bool) {
        let variables = self.plain.call1((object, intern!(object.py(), "__dict__")));
        let variables = variables.ok().and_then(|variables| variables.cast_into::<PyDict>().ok()?.copy().ok());
        let Some(variables) = variables else { return };
        for (variable, value) in variables.iter() {
            let kind = value.get_type();
            if self.locks.iter().any(|lock| lock.is(&kind)) {
                if is_held(&value) && self.seen.insert(value.as_ptr() as usize) {
                    self.found.push(HeldLock { name: format!("{name}.{variable}") });
                }
            } else if deeper && is_ordinary(&kind) {
                self.look_into(&value, &format!("{name}.{variable}"), false);
            }
        }
    }
}

/// Whether things of this type are an app's own objects: made by a class that Python code defined.
fn is_ordinary(kind: &Bound<'_, PyType>) -> bool {
    /// Py_TPFLAGS_HEAPTYPE.
    const DEFINED: u64 = 1 << 9;
    let flags = kind.getattr(intern!(kind.py(), "__flags__")).and_then(|flags| flags.extract::<u64>());
    flags.is_ok_and(|flags| flags & DEFINED != 0)
}

/// A lock that can be entered again has no `locked` before Python 3.14, but says so when printed.
fn is_held(lock: &Bound<'_, PyAny>) -> bool {
    match lock.call_method0("locked") {
        Ok(locked) => locked.is_truthy().unwrap_or(false),
        Err(_) => lock.repr().is_ok_and(|text| text.to_string_lossy().starts_with("<locked")),
    }
}
