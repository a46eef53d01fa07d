//! The application: finding it, importing it, and what all its requests have in common.
//!
//! `interpreter` loads it, in the zygote or (`lazy-apps`) in each worker; `worker` makes a
//! [`Core`] of it for each thread that serves. What is wrong with it is put into words by `blame`.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::Gil;
use super::blame::Blame;
use super::imports;
use super::mounts::{Mounted, Mounts};
use super::output::{Errors, FileWrapper};
use super::preload;
use super::target::{Source, Target};
use super::wsgi::Core;
use crate::config::{Config, Requests, UWSGI_VERSION};
use crate::error::{Code, Error};
use crate::net::exchange::Exchange;

/// The exit code of a start without an app (uWSGI: the same).
pub(super) const EXIT: u8 = 22;

/// The WSGI applications of a site, imported.
#[derive(Clone)]
pub struct App(Arc<Loaded>);

struct Loaded {
    mounts: Mounts,
    errors: Py<Errors>,
    processes: usize,
    threads: usize,
    requests: Requests,
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

    /// Imports everything that the configuration names and checks that it can be called. Without
    /// `need-app`, apps that can't be served are left out as long as one can.
    pub(super) fn load(py: Python<'_>, config: &Config, bin: Option<&Path>) -> Result<Self, Error> {
        imports::before(py, config)?;
        let mut apps: Vec<Mounted> = Vec::new();
        let mut broken = None;
        for target in Target::all(config)? {
            match Self::load_one(py, config, &target, bin) {
                Ok(callable) => {
                    apps.push(Mounted { mountpoint: target.mountpoint.clone(), name: target.to_string(), callable });
                }
                Err(error) if config.need_app => return Err(error),
                Err(error) => {
                    if let Some(earlier) = broken.replace(error) {
                        tracing::error!("{earlier}");
                    }
                }
            }
        }
        match broken {
            Some(error) if apps.is_empty() => return Err(error),
            Some(error) => tracing::error!("{error}"),
            None => {}
        }
        if apps.len() > 1 || apps.iter().any(|app| !app.mountpoint.is_empty()) {
            for (number, app) in apps.iter().enumerate() {
                tracing::info!("WSGI app {number} (mountpoint='{}'): {}", app.mountpoint, app.name);
            }
        }
        let errors = Errors::new();
        Self::with(py, Mounts::new(apps, config), errors, config)
            .map_err(|error| Error::new(Code::Internal, "the application can't be kept").fact(error.to_string()))
    }

    fn load_one(py: Python<'_>, config: &Config, target: &Target, bin: Option<&Path>) -> Result<Py<PyAny>, Error> {
        let blame = Blame::new(py, target, bin.map(Path::to_path_buf));
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
        Ok(callable.unbind())
    }

    /// One app for all requests.
    #[cfg(test)]
    pub(super) fn new(name: String, callable: &Bound<'_, PyAny>, config: &Config) -> PyResult<Self> {
        let app = Mounted { mountpoint: String::new(), name, callable: callable.clone().unbind() };
        Self::with(callable.py(), Mounts::new(vec![app], config), Errors::new(), config)
    }

    fn with(py: Python<'_>, mounts: Mounts, errors: Errors, config: &Config) -> PyResult<Self> {
        Ok(Self(Arc::new(Loaded {
            mounts,
            errors: Py::new(py, errors)?,
            processes: config.processes,
            threads: config.threads,
            requests: config.requests.clone(),
        })))
    }

    /// Which app a request is for.
    pub(super) fn mounts(&self) -> &Mounts {
        &self.0.mounts
    }

    /// What becomes of requests, as the configuration says.
    pub(super) fn requests(&self) -> &Requests {
        &self.0.requests
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
        // A read at the end of the body returns nothing, whatever the length was said to be.
        environ.set_item("wsgi.input_terminated", true)?;
        if !self.0.requests.wsgi_disable_file_wrapper {
            environ.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        }
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
        let names: Vec<&str> = self.0.mounts.apps().iter().map(|app| app.name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}
