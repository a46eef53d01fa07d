//! Python itself: which one is linked, starting it, forking it, ending it.
//!
//! The zygote starts it and forks with it, a worker ends it. What lies outside of pyo3's safe part
//! or of the limited API's usual paths is called here and nowhere else. Never started in the
//! master; there is one interpreter in a process and no sub-interpreter.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io::IsTerminal as _;
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::libc;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::app::App;
use super::imports;
use super::venv::{Kind, Linked, Venv};
use super::{Gil, attach, traceback};
use crate::config::Config;
use crate::error::{Code, Error};

unsafe extern "C" {
    /// Part of the stable ABI since 3.7, left out of pyo3.
    static mut Py_UTF8Mode: c_int;
    /// The same.
    static mut Py_OptimizeFlag: c_int;
}

/// Chooses the environment the app will run in and refuses what can't work. Looks at files alone:
/// the master calls it before anything is started. `directory` is what a relative `home` and
/// `argv0` are relative to.
pub fn find_venv(config: &Config, directory: &Path, argv0: &Path) -> Result<Venv, Error> {
    let environment = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Venv::choose(config, directory, argv0, environment, &Linked::here())
}

impl Linked {
    /// The Python linked to this program.
    pub(super) fn here() -> Self {
        // SAFETY: one of the few functions that may be called before Python is started; it returns
        // a static string.
        let version = unsafe { CStr::from_ptr(ffi::Py_GetVersion()) }.to_string_lossy();
        Self { version: version.split(' ').next().unwrap_or_default().to_owned(), library: library() }
    }
}

/// The file of the loaded libpython; `None` where Python is linked statically.
pub fn library() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .find(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libpython3.")))
        .map(Path::to_path_buf)
}

/// Python, started in this process.
#[derive(Debug)]
pub struct Interpreter {
    venv: Venv,
    linked: Linked,
}

impl Interpreter {
    /// Starts Python in this process, which has one thread, its environment set and its working
    /// directory changed. The calling thread holds the GIL from here on, also between calls, so
    /// that a zygote stays a still image; [`Interpreter::after_fork_child`] gives it up.
    pub fn start(venv: &Venv, config: &Config) -> Result<Self, Error> {
        let linked = Linked::here();
        choose_encoding();
        match &venv.kind {
            Kind::Virtual(path) => set_program(&path.join("bin/python")),
            Kind::Home(path) => {
                set_home(path);
                set_program(&path.join(format!("bin/python{}", linked.minor())));
            }
            Kind::Own => {
                if let Some(executable) = linked.executable() {
                    set_program(&executable);
                }
            }
        }
        optimize(config.requests.optimize);
        initialize();
        let interpreter = Self { venv: venv.clone(), linked };
        attach(|gil| interpreter.furnish(gil.py, config)).map_err(|error| {
            let text = attach(|gil| traceback::text(gil.py, &error));
            Error::new(Code::Internal, "Python came up and could not be set up").fact(text)
        })?;
        Ok(interpreter)
    }

    /// Puts `sys` in the state that apps know from uWSGI.
    fn furnish(&self, py: Python<'_>, config: &Config) -> PyResult<()> {
        let sys = py.import("sys")?;
        let path = sys.getattr("path")?.cast_into::<PyList>()?;
        path.insert(0, "")?;
        path.insert(0, ".")?;
        // uWSGI: `--pythonpath`: each in front of the ones before it, patterns expanded, directories
        // with a slash behind them.
        for entry in &config.pythonpath {
            let found = py.import("glob")?.call_method1("glob", (entry,))?;
            let found: Vec<String> = py.import("builtins")?.call_method1("sorted", (found,))?.extract()?;
            for place in if found.is_empty() { std::slice::from_ref(entry) } else { &found[..] } {
                let slash = if Path::new(place).is_dir() && !place.ends_with('/') { "/" } else { "" };
                path.insert(0, format!("{place}{slash}"))?;
            }
        }
        sys.setattr("argv", imports::arguments(config))?;
        if let Some(executable) = &config.requests.py_executable {
            sys.setattr("executable", executable)?;
        }
        streams(py, &sys)?;
        // Importing `signal` takes SIGINT for KeyboardInterrupt, which would hit apps anywhere;
        // where the caller ignores it, it stays ignored.
        let signal = py.import("signal")?;
        let handler = signal.call_method1("getsignal", (libc::SIGINT,))?;
        if handler.is(signal.getattr("default_int_handler")?) {
            signal.call_method1("signal", (libc::SIGINT, signal.getattr("SIG_DFL")?))?;
        }
        let options = PyDict::new(py);
        options.set_item("file", 2)?;
        py.import("faulthandler")?.call_method("enable", (), Some(&options))?;
        imports::shared(py, config);
        Ok(())
    }

    /// For the start-up lines: `python 3.11.7, venv /srv/venv (from uwsgi.ini:9), libpython …`.
    pub fn describe(&self) -> String {
        let library = match &self.linked.library {
            Some(path) => format!("libpython {}", path.display()),
            None => "libpython linked in".to_owned(),
        };
        format!("python {}, {}, {library}", self.linked.version, self.venv)
    }

    /// Imports the app that the configuration names. The error says why it can't be served; its
    /// exit code is uWSGI's 22.
    pub fn load(&self, config: &Config) -> Result<App, Error> {
        attach(|gil| App::load(gil.py, config, self.venv.bin().as_deref()))
    }

    /// Has every file that is imported from now on written to `descriptor`, but those of `ignored`
    /// modules (uWSGI: `--py-autoreload`).
    pub fn record_imports(&self, descriptor: std::os::fd::RawFd, ignored: &[String]) {
        self.quietly(|py| super::sources::record(py, descriptor, ignored));
    }

    /// Collects garbage and takes what is left out of the collector's sight, so that collections
    /// in the workers leave the shared pages alone.
    pub fn freeze(&self) {
        self.quietly(|py| {
            let gc = py.import("gc")?;
            gc.call_method0("collect")?;
            gc.call_method0("freeze").map(drop)
        });
    }

    /// To be called right before `fork`, by the thread that started Python.
    pub fn before_fork(&self) {
        self.quietly(flush);
        // SAFETY: the GIL is held since `start`; one of the two below follows in each process.
        unsafe { ffi::PyOS_BeforeFork() }
    }

    /// To be called right after `fork` by the parent.
    pub fn after_fork_parent(&self) {
        // SAFETY: follows PyOS_BeforeFork in the same thread, the GIL held.
        unsafe { ffi::PyOS_AfterFork_Parent() }
    }

    /// To be called right after `fork` by the child. Afterwards nobody holds the GIL: each thread,
    /// the main one too, takes it with [`attach`].
    pub fn after_fork_child(&self) {
        // SAFETY: follows PyOS_BeforeFork, in the child's only thread, the GIL held.
        unsafe { ffi::PyOS_AfterFork_Child() }
        self.quietly(|py| {
            // On SIGUSR2 the stacks of all threads go to the log without taking the GIL, which
            // a thread that hangs in C may hold for ever.
            let options = PyDict::new(py);
            options.set_item("file", 2)?;
            options.set_item("all_threads", true)?;
            options.set_item("chain", false)?;
            py.import("faulthandler")?.call_method("register", (libc::SIGUSR2,), Some(&options)).map(drop)
        });
        self.let_go();
    }

    /// Gives up the GIL that this thread holds since Python was started.
    pub(super) fn let_go(&self) {
        // SAFETY: this thread holds the GIL and is in no `attach`. Its state stays registered for
        // it, where `attach` finds it.
        unsafe { ffi::PyEval_SaveThread() };
    }

    /// Runs what Python runs at its end: waits for the app's threads, calls `atexit` functions,
    /// flushes. May take as long as the app likes. The caller leaves with `_exit`: taking the
    /// interpreter down would only risk a crash.
    pub fn exit(&self) {
        self.quietly(super::api::ending);
        self.quietly(|py| py.import("threading")?.call_method0("_shutdown").map(drop));
        self.quietly(|py| py.import("atexit")?.call_method0("_run_exitfuncs").map(drop));
        self.quietly(flush);
    }

    /// Runs `f`; what it raises goes to the log.
    fn quietly(&self, f: impl for<'py> FnOnce(Python<'py>) -> PyResult<()>) {
        attach(|gil: &Gil<'_>| {
            if let Err(error) = f(gil.py) {
                traceback::log(&traceback::text(gil.py, &error));
            }
        });
    }
}

/// Python's own choice (PEP 540), which the way it is started here would leave out: where the
/// locale says nothing, text and file names are UTF-8.
fn choose_encoding() {
    let wanted = match std::env::var("PYTHONUTF8").as_deref() {
        Ok("1") => true,
        Ok("0") => false,
        // SAFETY: the process has one thread, and the strings are static. The returned one is
        // read before the next call.
        _ => unsafe {
            libc::setlocale(libc::LC_CTYPE, c"".as_ptr());
            let locale = libc::setlocale(libc::LC_CTYPE, std::ptr::null());
            !locale.is_null() && matches!(CStr::from_ptr(locale).to_bytes(), b"C" | b"POSIX")
        },
    };
    if wanted {
        // SAFETY: Python is not started, so nobody else reads or writes it.
        unsafe { Py_UTF8Mode = 1 }
    }
}

/// Says where Python is to take itself to be started from: this decides `sys.prefix` and
/// `sys.executable`, so that subprocesses get a real Python.
#[allow(deprecated, reason = "what takes its place is outside of the limited API")]
fn set_program(path: &Path) {
    // SAFETY: called before Python is started, with a string that lives for ever.
    unsafe { ffi::Py_SetProgramName(wide(path).as_ptr()) }
}

/// Says where Python's library is (uWSGI: `--home` without `pyvenv.cfg`).
#[allow(deprecated, reason = "what takes its place is outside of the limited API")]
fn set_home(path: &Path) {
    // SAFETY: called before Python is started, with a string that lives for ever.
    unsafe { ffi::Py_SetPythonHome(wide(path).as_ptr()) }
}

/// A path as Python takes it before it is started; bytes that are no UTF-8 are smuggled through
/// as PEP 383 says. Leaks: Python may keep the pointer.
fn wide(path: &Path) -> &'static [libc::wchar_t] {
    let mut text = Vec::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.extend(chunk.valid().chars().map(|letter| letter as libc::wchar_t));
        text.extend(chunk.invalid().iter().map(|byte| 0xdc00 + libc::wchar_t::from(*byte)));
    }
    text.push(0);
    text.leak()
}

/// Has Python leave out `assert`, from 2 on docstrings too (uWSGI: `--optimize`).
fn optimize(level: u32) {
    if level > 0 {
        // SAFETY: Python is not started, so nobody else reads or writes it.
        unsafe { Py_OptimizeFlag = level as c_int }
    }
}

fn initialize() {
    // SAFETY: called once, by the only thread. 0 leaves signals as they are: no SIGINT handler.
    unsafe { ffi::Py_InitializeEx(0) }
}

/// Makes `print` and tracebacks end up in the log, line by line. uWSGI: without a terminal on
/// standard input both streams are one text stream on fd 2.
fn streams(py: Python<'_>, sys: &Bound<'_, PyModule>) -> PyResult<()> {
    let options = PyDict::new(py);
    options.set_item("encoding", "utf-8")?;
    options.set_item("errors", "backslashreplace")?;
    if !std::io::stdin().is_terminal() {
        options.set_item("closefd", false)?;
        // Buffering 1 is by lines.
        let stream = py.import("io")?.call_method("open", (2, "w", 1), Some(&options))?;
        for name in ["stdout", "stderr", "__stdout__", "__stderr__"] {
            sys.setattr(name, &stream)?;
        }
        return Ok(());
    }
    options.set_item("line_buffering", true)?;
    for name in ["stdout", "stderr"] {
        let stream = sys.getattr(name)?;
        if !stream.is_none() {
            stream.call_method("reconfigure", (), Some(&options))?;
        }
    }
    Ok(())
}

fn flush(py: Python<'_>) -> PyResult<()> {
    let sys = py.import("sys")?;
    for name in ["stdout", "stderr"] {
        let stream = sys.getattr(name)?;
        if !stream.is_none() {
            stream.call_method0("flush")?;
        }
    }
    Ok(())
}
