//! Why an app can't be served, in words: the module that is not there, the package that is
//! missing, the callable that is none, the line that raised.
//!
//! `app` asks while it loads. Only describes: the exception is never swallowed or retried.

use std::path::{Path, PathBuf};

use pyo3::exceptions::{PyModuleNotFoundError, PySyntaxError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyString, PyTuple};

use super::app::EXIT;
use super::target::{Source, Target};
use super::traceback::{self, Frame};
use super::venv;
use crate::error::{Code, Error};

/// How many directories are looked into for a module that was not found.
const LOOKED_INTO: usize = 2000;

/// What is known about the app that is being loaded.
pub(super) struct Blame<'a, 'py> {
    py: Python<'py>,
    target: &'a Target,
    /// The environment's commands, `pip` among them.
    bin: Option<PathBuf>,
    cwd: PathBuf,
}

impl<'a, 'py> Blame<'a, 'py> {
    pub(super) fn new(py: Python<'py>, target: &'a Target, bin: Option<PathBuf>) -> Self {
        Self { py, target, bin, cwd: std::env::current_dir().unwrap_or_default() }
    }

    fn error(&self, code: Code, message: String) -> Error {
        Error::new(code, message).maybe_at(self.target.setting.as_ref()).exit(EXIT)
    }

    /// There is no such file to load the app from.
    pub(super) fn no_file(&self, path: &Path, why: &std::io::Error) -> Error {
        let why = if why.kind() == std::io::ErrorKind::NotFound { "no such file".to_owned() } else { why.to_string() };
        self.error(Code::ModuleNotFound, format!("cannot load `{}`: {why}", path.display()))
            .fact(format!("the working directory is {}", self.cwd.display()))
    }

    /// The import raised `error`.
    pub(super) fn import(&self, error: &PyErr) -> Error {
        let py = self.py;
        if error.is_instance_of::<PyModuleNotFoundError>(py) {
            let missing: Option<String> =
                error.value(py).getattr("name").ok().and_then(|name| name.extract().ok()).flatten();
            let frames = traceback::frames(py, error);
            match (missing, &self.target.source) {
                (Some(missing), Source::Module(module)) if frames.is_empty() && is_within(module, &missing) => {
                    return self.not_found(module, &missing);
                }
                (Some(missing), _) => return self.package_missing(&missing, &frames),
                (None, _) => {}
            }
        }
        self.raised(error)
    }

    /// The app's own module is not on the path.
    fn not_found(&self, module: &str, missing: &str) -> Error {
        let message = format!("cannot import `{module}`: no module named `{missing}`");
        let mut error = self.error(Code::ModuleNotFound, message);
        let searched: Vec<String> = self
            .search_path()
            .into_iter()
            // The empty entry is the working directory too, which `.` stands for already.
            .filter(|entry| !entry.is_empty())
            .map(|entry| if entry == "." { format!("{} (the working directory)", self.cwd.display()) } else { entry })
            .collect();
        error = error.fact(format!("searched: {}", searched.join(", ")));
        if self.cwd.join(module).is_file() {
            error = error.hint(format!("wsgi-file = {module}"));
        } else if let Some(file) =
            module.strip_suffix(".py").filter(|name| self.cwd.join(format!("{name}.py")).is_file())
        {
            error = error.hint(format!("module = {file}"));
        }
        if let Some((file, directory)) = self.look_for(module) {
            error = error.hint(format!(
                "`{file}` is in {}, add `pythonpath = {}`",
                directory.display(),
                self.shown(&directory)
            ));
        }
        error
    }

    /// Something that the app imports is not there.
    fn package_missing(&self, missing: &str, frames: &[Frame]) -> Error {
        let message = format!("importing `{}` failed: no module named `{missing}`", self.target.name());
        let mut error = self.error(Code::PackageMissing, message);
        if let Some(frame) = self.own(frames) {
            error = error.fact(self.line(frame));
        }
        let package = missing.split('.').next().unwrap_or(missing);
        let is_there = package != missing && self.py.import(package).is_ok();
        if is_there {
            return error.hint(format!("`{package}` is there and has no `{}`", &missing[package.len() + 1..]));
        }
        if let Some((file, directory)) = self.look_for(package) {
            return error.hint(format!(
                "`{file}` is in {}, add `pythonpath = {}`",
                directory.display(),
                self.shown(&directory)
            ));
        }
        match (&self.bin, venv::near(&self.cwd)) {
            (Some(bin), _) => error.hint(format!("{} install {package}", bin.join("pip").display())),
            (None, Some(venv)) => {
                error.hint(format!("if it is in this virtual environment: home = {}", self.shown(&venv)))
            }
            (None, None) => error
                .hint("if it is in a virtual environment, name that: home = /path/to/venv")
                .hint(format!("python3 -m pip install {package}")),
        }
    }

    /// The app raised while it was imported, or its factory did.
    fn raised(&self, error: &PyErr) -> Error {
        let py = self.py;
        let frames = traceback::frames(py, error);
        let (kind, words) = (traceback::kind(py, error), traceback::words(py, error));
        let value = error.value(py);
        let place = if error.is_instance_of::<PySyntaxError>(py) {
            let file: Option<String> = value.getattr("filename").ok().and_then(|it| it.extract().ok());
            let line: Option<usize> = value.getattr("lineno").ok().and_then(|it| it.extract().ok());
            file.zip(line).map(|(file, line)| format!("{}:{line}", self.shown(Path::new(&file))))
        } else {
            self.own(&frames).map(|frame| format!("{}:{}", self.shown(Path::new(&frame.file)), frame.line))
        };
        let place = place.unwrap_or_else(|| format!("`{}`", self.target.name()));
        let message = if error.is_instance_of::<PySystemExit>(py) {
            format!("{place} ended the program while it was imported: SystemExit({words})")
        } else if words.is_empty() {
            format!("{place} raised {kind}")
        } else {
            format!("{place} raised {kind}: {words}")
        };
        self.error(Code::ImportRaised, message).fact(traceback::text(py, error))
    }

    /// The module has no such callable.
    pub(super) fn missing(&self, module: &Bound<'_, PyModule>) -> Error {
        let Target { attribute, .. } = self.target;
        let name = self.target.name();
        let mut error = self.error(Code::CallableMissing, format!("`{name}` has no `{attribute}`"));
        let (own, foreign) = callables(module);
        error = error.fact(match (own.is_empty(), foreign.is_empty()) {
            (true, true) => "it defines nothing that can be called".to_owned(),
            (true, false) => format!("it defines nothing that can be called, and imports: {}", foreign.join(", ")),
            (false, _) => format!("it defines: {}", own.join(", ")),
        });
        let likely = ["app", "application", "wsgi", "wsgi_app", "create_app", "make_app"];
        let Some(guess) =
            likely.iter().find(|guess| own.iter().any(|name| name == *guess)).map(|it| (*it).to_owned()).or_else(
                || match &own[..] {
                    [only] => Some(only.clone()),
                    _ => None,
                },
            )
        else {
            return error;
        };
        let form = if is_factory(&module.getattr(guess.as_str())) { format!("{guess}()") } else { guess };
        error.hint(self.naming(&form))
    }

    /// Refuses an object that is no WSGI application, as far as that can be told from outside.
    pub(super) fn check(&self, callable: &Bound<'_, PyAny>) -> Result<(), Error> {
        let name = format!("{}:{}", self.target.name(), self.target.attribute);
        if !callable.is_callable() {
            let kind = callable.get_type().name().map(|name| name.to_string()).unwrap_or_default();
            let made = if self.target.is_factory { "()" } else { "" };
            return Err(self.error(Code::NotWsgi, format!("`{name}{made}` is a {kind}, which can't be called")));
        }
        if is_asgi(callable) {
            let message = format!("`{name}` is an ASGI application (async, takes scope, receive, send)");
            let mut error = self.error(Code::NotWsgi, message);
            if let Source::Module(module) = &self.target.source
                && let Some(package) = module.strip_suffix(".asgi")
            {
                error = error.hint(format!("module = {package}.wsgi:application"));
            }
            return Err(error);
        }
        if !self.target.is_factory && !takes(callable, 2) && takes(callable, 0) {
            let message = format!("`{name}` is not a WSGI application: it takes no environ and no start_response");
            let form = format!("{}()", self.target.attribute);
            return Err(self
                .error(Code::NotWsgi, message)
                .hint(format!("if it makes the application: {}", self.naming(&form))));
        }
        Ok(())
    }

    /// How the configuration names a callable of this app.
    fn naming(&self, callable: &str) -> String {
        let name = self.target.name();
        match &self.target.source {
            _ if !self.target.mountpoint.is_empty() => format!("mount = {}={name}:{callable}", self.target.mountpoint),
            Source::Module(module) => format!("module = {module}:{callable}"),
            Source::File(_) | Source::Code(_) => format!("callable = {callable}"),
        }
    }

    /// The innermost frame of the app's own code: neither installed nor Python's.
    fn own<'f>(&self, frames: &'f [Frame]) -> Option<&'f Frame> {
        let library = self.library();
        let is_own = |frame: &&Frame| {
            !frame.file.contains("/site-packages/")
                && !frame.file.contains("/dist-packages/")
                && library.as_ref().is_none_or(|library| !frame.file.starts_with(library))
        };
        frames.iter().rev().find(is_own).or(frames.last())
    }

    /// Where Python's standard library is, with a slash at its end.
    fn library(&self) -> Option<String> {
        let os: String = self.py.import("os").ok()?.getattr("__file__").ok()?.extract().ok()?;
        Some(format!("{}/", Path::new(&os).parent()?.display()))
    }

    fn line(&self, frame: &Frame) -> String {
        format!("{}:{}: {}", self.shown(Path::new(&frame.file)), frame.line, frame.source)
    }

    /// A path as short as it can be said.
    fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix("./").unwrap_or(path);
        path.strip_prefix(&self.cwd).unwrap_or(path).display().to_string()
    }

    fn search_path(&self) -> Vec<String> {
        let path = || -> PyResult<Vec<String>> { self.py.import("sys")?.getattr("path")?.extract() };
        path().unwrap_or_default()
    }

    /// The file of a module, and the directory at most two levels down that it is in.
    fn look_for(&self, module: &str) -> Option<(String, PathBuf)> {
        let path = module.replace('.', "/");
        let files = [format!("{path}.py"), format!("{path}/__init__.py")];
        let mut level = vec![self.cwd.clone()];
        let mut looked_into = 0;
        for _ in 0..2 {
            let mut below = Vec::new();
            for directory in level {
                let Ok(entries) = std::fs::read_dir(&directory) else { continue };
                for entry in entries.flatten() {
                    looked_into += 1;
                    if looked_into > LOOKED_INTO {
                        return None;
                    }
                    let path = entry.path();
                    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                    if hidden || !path.is_dir() || path.join("pyvenv.cfg").exists() {
                        continue;
                    }
                    if let Some(file) = files.iter().find(|file| path.join(file).is_file()) {
                        return Some((file.clone(), path));
                    }
                    below.push(path);
                }
            }
            below.sort();
            level = below;
        }
        None
    }
}

/// Whether `missing` is `module` or a package that it is in.
fn is_within(module: &str, missing: &str) -> bool {
    module.strip_prefix(missing).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The callables of a module: those it defines or made, and those it took from elsewhere.
fn callables(module: &Bound<'_, PyModule>) -> (Vec<String>, Vec<String>) {
    let name = module.name().map(|name| name.to_string()).unwrap_or_default();
    let (mut own, mut foreign) = (Vec::new(), Vec::new());
    // A copy: a thread of the app may define something meanwhile.
    let Ok(variables) = module.dict().copy() else { return (own, foreign) };
    for (key, value) in variables.iter() {
        let Ok(key) = key.cast::<PyString>().map(|key| key.to_string_lossy().into_owned()) else { continue };
        if key.starts_with('_') || !value.is_callable() {
            continue;
        }
        // Functions and classes know where they were defined; of an instance, its class does.
        let is_definition = value.getattr("__qualname__").is_ok();
        let home: Option<String> = value.getattr("__module__").ok().and_then(|home| home.extract().ok());
        match is_definition && home.as_deref() != Some(name.as_str()) {
            true => foreign.push(key),
            false => own.push(key),
        }
    }
    own.sort();
    foreign.sort();
    (own, foreign)
}

/// Whether calling it may be what makes the app.
fn is_factory(callable: &PyResult<Bound<'_, PyAny>>) -> bool {
    callable.as_ref().is_ok_and(|callable| !takes(callable, 2) && takes(callable, 0))
}

/// Whether it can be called with so many arguments; what has no signature can.
fn takes(callable: &Bound<'_, PyAny>, count: usize) -> bool {
    let signature = || callable.py().import("inspect")?.call_method1("signature", (callable,));
    let Ok(signature) = signature() else { return true };
    let Ok(arguments) = PyTuple::new(callable.py(), vec![false; count]) else { return true };
    signature.call_method1("bind", arguments).is_ok()
}

/// Whether it is a coroutine function, or an object or function with ASGI's three parameters.
fn is_asgi(callable: &Bound<'_, PyAny>) -> bool {
    let py = callable.py();
    let asgi = || -> PyResult<bool> {
        let inspect = py.import("inspect")?;
        let is_async = |object: &Bound<'_, PyAny>| -> PyResult<bool> {
            inspect.call_method1("iscoroutinefunction", (object,))?.is_truthy()
        };
        if is_async(callable)? || is_async(&callable.get_type().getattr("__call__")?)? {
            return Ok(true);
        }
        let parameters = inspect.call_method1("signature", (callable,))?.getattr("parameters")?;
        let names = PyDict::new(py);
        names.call_method1("update", (parameters,))?;
        let names: Vec<String> = names.keys().extract()?;
        Ok(names == ["scope", "receive", "send"])
    };
    asgi().unwrap_or(false)
}
