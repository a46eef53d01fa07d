//! The application: finding it, importing it, and what all its requests have in common.
//!
//! `interpreter` loads it, in the zygote or (`lazy-apps`) in each worker; `worker` makes a
//! [`Core`] of it for each thread that serves. What is wrong with it is put into words by `blame`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCode, PyCodeMethods, PyDict, PyModule};

use super::Gil;
use super::blame::Blame;
use super::output::{Errors, FileWrapper};
use super::preload;
use super::wsgi::Core;
use crate::config::{Config, UWSGI_VERSION};
use crate::error::{Code, Error};
use crate::net::exchange::Exchange;

/// The exit code of a start without an app (uWSGI: the same).
pub(super) const EXIT: u8 = 22;

/// A WSGI application, imported.
#[derive(Clone)]
pub struct App(Arc<Loaded>);

struct Loaded {
    /// As the configuration names it: `blog.wsgi:application`.
    name: String,
    callable: Py<PyAny>,
    errors: Py<Errors>,
    processes: usize,
    threads: usize,
}

impl App {
    /// What one core keeps: the environs of late, the objects that the app gets. `exchange` is
    /// the core's own, `number` counts from 0.
    ///
    /// # Panics
    ///
    /// When there is no memory for a handful of objects.
    pub fn core(&self, gil: &Gil<'_>, number: usize, exchange: Arc<Mutex<Exchange>>) -> Core {
        match Core::new(gil.py, self.clone(), number, exchange) {
            Ok(core) => core,
            Err(error) => panic!("core {number} can't be made: {error}"),
        }
    }

    /// Imports what `module` or `wsgi-file` names and checks that it can be called.
    pub(super) fn load(py: Python<'_>, config: &Config, bin: Option<PathBuf>) -> Result<Self, Error> {
        let target = Target::of(config)?;
        let blame = Blame::new(py, &target, bin, config.origin(target.option));
        if let Source::File(path) = &target.source
            && let Err(error) = std::fs::metadata(path)
        {
            return Err(blame.no_file(path, &error));
        }
        let module = target.import(py).map_err(|error| blame.import(&error))?;
        let Some(mut callable) = module.getattr_opt(target.attribute.as_str()).map_err(|error| blame.import(&error))?
        else {
            return Err(blame.missing(&module));
        };
        if target.is_factory {
            callable = callable.call0().map_err(|error| blame.import(&error))?;
        }
        blame.check(&callable)?;
        if config.preload_urlconf {
            preload::urlconf(py).map_err(|error| blame.import(&error))?;
        }
        Self::new(target.to_string(), &callable, config).map_err(|error| blame.import(&error))
    }

    pub(super) fn new(name: String, callable: &Bound<'_, PyAny>, config: &Config) -> PyResult<Self> {
        Ok(Self(Arc::new(Loaded {
            name,
            callable: callable.clone().unbind(),
            errors: Py::new(callable.py(), Errors::new())?,
            processes: config.processes,
            threads: config.threads,
        })))
    }

    pub(super) fn callable<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.0.callable.bind(py)
    }

    /// Lets the rest of a line that the app wrote to `wsgi.errors` leave.
    pub(super) fn flush_errors(&self, py: Python<'_>) {
        self.0.errors.bind(py).get().flush();
    }

    /// What every environ of core `number` has.
    pub(super) fn base_environ<'py>(&self, py: Python<'py>, number: usize) -> PyResult<Bound<'py, PyDict>> {
        let environ = PyDict::new(py);
        // PEP 3333 wants it where nginx's stock parameters do not send it.
        environ.set_item("SCRIPT_NAME", "")?;
        environ.set_item("wsgi.version", (1, 0))?;
        environ.set_item("wsgi.url_scheme", "http")?;
        environ.set_item("wsgi.input", py.None())?;
        environ.set_item("wsgi.errors", &self.0.errors)?;
        environ.set_item("wsgi.multithread", self.0.threads > 1)?;
        environ.set_item("wsgi.multiprocess", self.0.processes != 1)?;
        environ.set_item("wsgi.run_once", false)?;
        environ.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        // Bytes, as uWSGI has them.
        environ.set_item("uwsgi.version", PyBytes::new(py, UWSGI_VERSION.as_bytes()))?;
        let node = nix::unistd::gethostname().unwrap_or_default();
        environ.set_item("uwsgi.node", PyBytes::new(py, node.as_encoded_bytes()))?;
        if self.0.threads > 1 {
            environ.set_item("uwsgi.core", number)?;
        }
        Ok(environ)
    }
}

impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

/// What the configuration names as the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub source: Source,
    /// The name of the callable in its module.
    pub attribute: String,
    /// Whether the callable makes the app instead of being it.
    pub is_factory: bool,
    /// The option that named it.
    pub option: &'static str,
}

/// Where the app's module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Module(String),
    File(PathBuf),
}

impl Target {
    fn of(config: &Config) -> Result<Self, Error> {
        let callable = config.callable.as_deref();
        // uWSGI: `module` is loaded first and wins.
        let (source, callable, option) = match (&config.module, &config.wsgi_file) {
            (Some(module), _) => match module.split_once(':') {
                Some((module, callable)) => (Source::Module(module.to_owned()), Some(callable), "module"),
                None => (Source::Module(module.clone()), callable, "module"),
            },
            (None, Some(file)) => (Source::File(file.clone()), callable, "wsgi-file"),
            (None, None) => {
                return Err(Error::new(Code::NoApp, "no application named")
                    .hint("module = package.wsgi:application")
                    .exit(EXIT));
            }
        };
        let callable = callable.unwrap_or("application");
        let (attribute, is_factory) = match callable.strip_suffix("()") {
            Some(factory) => (factory, true),
            None => (callable, false),
        };
        if attribute.is_empty() || attribute.contains(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            let message = format!("`{callable}` is not the name of a callable, nor `name()`");
            return Err(Error::new(Code::BadValue, message).maybe_at(config.origin(option)).exit(EXIT));
        }
        Ok(Self { source, attribute: attribute.to_owned(), is_factory, option })
    }

    fn import<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyModule>> {
        match &self.source {
            Source::Module(name) => py.import(name.as_str()),
            Source::File(path) => run_file(py, path),
        }
    }

    /// As messages name it: `blog.wsgi`.
    pub(super) fn name(&self) -> String {
        match &self.source {
            Source::Module(name) => name.clone(),
            Source::File(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.name(), self.attribute, if self.is_factory { "()" } else { "" })
    }
}

/// uWSGI: `--wsgi-file`: any file, as a module named after its path; a directory is a package.
fn run_file<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyModule>> {
    let text = path.to_string_lossy();
    let name = file_module_name(&text);
    let module = PyModule::new(py, &name)?;
    let mut file = path.to_path_buf();
    if path.is_dir() {
        file.push("__init__.py");
        module.setattr("__path__", [text.as_ref()])?;
    }
    let file = file.to_string_lossy();
    module.setattr("__file__", file.as_ref())?;
    // The builtin takes bytes, and with them the file's own coding line.
    let source = PyBytes::new(py, &std::fs::read(file.as_ref())?);
    let builtins = py.import("builtins")?;
    let options = PyDict::new(py);
    options.set_item("dont_inherit", true)?;
    let code =
        builtins.call_method("compile", (source, file.as_ref(), "exec"), Some(&options))?.cast_into::<PyCode>()?;
    let modules = py.import("sys")?.getattr("modules")?;
    modules.set_item(&name, &module)?;
    let globals = module.dict();
    globals.set_item("__builtins__", builtins)?;
    if let Err(error) = code.run(Some(&globals), None) {
        modules.del_item(&name)?;
        return Err(error);
    }
    Ok(module)
}

/// The name uWSGI gives the module of a file: `/srv/app.wsgi` is `uwsgi_file__srv_app_wsgi`.
fn file_module_name(path: &str) -> String {
    let name = path.replace(['/', '.'], "_");
    format!("uwsgi_file_{}", name.strip_suffix("_py").unwrap_or(&name))
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    #[test]
    fn modules_of_files_are_named_as_uwsgi_names_them() {
        assert_eq!(file_module_name("filewsgi.py"), "uwsgi_file_filewsgi");
        assert_eq!(file_module_name("/tmp/foo.wsgi"), "uwsgi_file__tmp_foo_wsgi");
    }

    #[test]
    fn the_forms_of_module() {
        let target = |module: &str, callable: Option<&str>| {
            let config = config(|config| {
                config.module = Some(module.to_owned());
                config.callable = callable.map(str::to_owned);
            });
            Target::of(&config).map(|target| (target.name(), target.attribute, target.is_factory))
        };
        let is = |name: &str, attribute: &str, factory| Ok((name.to_owned(), attribute.to_owned(), factory));
        assert_eq!(target("a.b", None), is("a.b", "application", false));
        assert_eq!(target("a.b", Some("app")), is("a.b", "app", false));
        assert_eq!(target("a.b:x", Some("app")), is("a.b", "x", false));
        assert_eq!(target("a:make()", None), is("a", "make", true));
        for bad in ["a:b.c", "a:f(1)", "a:"] {
            assert_eq!(target(bad, None).map_err(|error| (error.code, error.exit)), Err((Code::BadValue, EXIT)));
        }
        assert_eq!(Target::of(&Config::default()).map_err(|error| error.code), Err(Code::NoApp));
    }
}
