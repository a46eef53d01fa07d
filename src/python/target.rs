//! What the configuration names as an app: a module, a file, code; and how each is imported.
//!
//! `app` makes the list and loads it, `imports` runs files through this, `blame` puts into words
//! what is wrong. Reads the configuration, changes nothing but `sys.modules`.

use std::fmt;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCode, PyCodeMethods, PyDict, PyModule};

use super::app::EXIT;
use crate::config::{Config, Setting};
use crate::error::{Code, Error};

/// An app as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub source: Source,
    /// The name of the callable in its module.
    pub attribute: String,
    /// Whether the callable makes the app instead of being it.
    pub is_factory: bool,
    /// The path it is served below, without a slash at its end; empty for the site as a whole.
    pub mountpoint: String,
    /// The setting that named it.
    pub setting: Option<Setting>,
}

/// Where the app's module comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Module(String),
    File(PathBuf),
    /// uWSGI: `--eval`.
    Code(String),
}

impl Target {
    /// Every app of the configuration, in the order they are loaded: `module`, `wsgi-file` or `eval`
    /// (uWSGI: the first of them wins), then each `mount`.
    pub(super) fn all(config: &Config) -> Result<Vec<Self>, Error> {
        let mut targets: Vec<Self> = Self::whole(config).transpose()?.into_iter().collect();
        for value in &config.requests.mount {
            let target = Self::mounted(config, value)?;
            if targets.iter().any(|earlier| earlier.mountpoint == target.mountpoint) {
                // uWSGI goes on too.
                tracing::warn!("`mount = {value}` is not loaded: its mountpoint has an application already");
                continue;
            }
            targets.push(target);
        }
        if targets.is_empty() {
            return Err(Error::new(Code::NoApp, "no application named")
                .hint("module = package.wsgi:application")
                .exit(EXIT));
        }
        Ok(targets)
    }

    /// The app for the site as a whole.
    fn whole(config: &Config) -> Option<Result<Self, Error>> {
        let callable = config.callable.as_deref();
        let (source, callable, option) = match (&config.module, &config.wsgi_file, &config.requests.eval) {
            (Some(module), ..) => match module.split_once(':') {
                Some((module, callable)) => (Source::Module(module.to_owned()), Some(callable), "module"),
                None => (Source::Module(module.clone()), callable, "module"),
            },
            (None, Some(file), _) => (Source::File(file.clone()), callable, "wsgi-file"),
            (None, None, Some(code)) => (Source::Code(code.clone()), callable, "eval"),
            (None, None, None) => return None,
        };
        Some(Self::new(source, callable, String::new(), config.origin(option)))
    }

    /// What a value of `mount` names: `/path=module:callable`, `/path=file.py`, `/path=module`.
    fn mounted(config: &Config, value: &str) -> Result<Self, Error> {
        let setting = config.setting_with("mount", value);
        let Some((path, target)) =
            value.split_once('=').filter(|(path, target)| path.starts_with('/') && !target.is_empty())
        else {
            let message = format!("`mount` takes `/path=module:callable`, not `{value}`");
            return Err(Error::new(Code::BadValue, message).maybe_at(setting).part(value).exit(EXIT));
        };
        let (name, callable) = match target.rsplit_once(':') {
            Some((name, callable)) => (name, Some(callable)),
            None => (target, config.callable.as_deref()),
        };
        // A module may be called `blog.wsgi`: only a file that is there is one.
        let is_file =
            name.contains('/') || name.ends_with(".py") || (name.ends_with(".wsgi") && Path::new(name).exists());
        let source = if is_file { Source::File(name.into()) } else { Source::Module(name.to_owned()) };
        Self::new(source, callable, path.trim_end_matches('/').to_owned(), setting)
    }

    fn new(
        source: Source,
        callable: Option<&str>,
        mountpoint: String,
        setting: Option<&Setting>,
    ) -> Result<Self, Error> {
        let callable = callable.unwrap_or("application");
        let (attribute, is_factory) = match callable.strip_suffix("()") {
            Some(factory) => (factory, true),
            None => (callable, false),
        };
        if attribute.is_empty() || attribute.contains(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            let message = format!("`{callable}` is not the name of a callable, nor `name()`");
            return Err(Error::new(Code::BadValue, message).maybe_at(setting).exit(EXIT));
        }
        Ok(Self { source, attribute: attribute.to_owned(), is_factory, mountpoint, setting: setting.cloned() })
    }

    /// Imports its module.
    pub(super) fn import<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyModule>> {
        match &self.source {
            Source::Module(name) => py.import(name.as_str()),
            Source::File(path) => run_file(py, path),
            Source::Code(code) => run_code(py, code),
        }
    }

    /// As messages name it: `blog.wsgi`.
    pub(super) fn name(&self) -> String {
        match &self.source {
            Source::Module(name) => name.clone(),
            Source::File(path) => path.display().to_string(),
            Source::Code(_) => "eval".to_owned(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.name(), self.attribute, if self.is_factory { "()" } else { "" })
    }
}

/// uWSGI: `--wsgi-file`: any file, as a module named after its path; a directory is a package.
pub(super) fn run_file<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyModule>> {
    let text = path.to_string_lossy();
    let name = file_module_name(&text);
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    if let Some(loaded) = modules.get_item(&name)? {
        // Mounted twice, or imported before: once is enough.
        return Ok(loaded.cast_into()?);
    }
    let module = PyModule::new(py, &name)?;
    let mut file = path.to_path_buf();
    if path.is_dir() {
        file.push("__init__.py");
        module.setattr("__path__", [text.as_ref()])?;
    }
    let file = file.to_string_lossy();
    module.setattr("__file__", file.as_ref())?;
    // The builtin takes bytes, and with them the file's own coding line.
    run(&module, &PyBytes::new(py, &std::fs::read(file.as_ref())?), &file)?;
    Ok(module)
}

/// uWSGI: `--eval`: the code itself, as the module `uwsgi_eval_config`.
fn run_code<'py>(py: Python<'py>, code: &str) -> PyResult<Bound<'py, PyModule>> {
    let module = PyModule::new(py, "uwsgi_eval_config")?;
    run(&module, &PyBytes::new(py, code.as_bytes()), "<eval>")?;
    Ok(module)
}

/// Runs source in a module that is among `sys.modules` meanwhile, and afterwards unless it raises.
fn run(module: &Bound<'_, PyModule>, source: &Bound<'_, PyBytes>, file: &str) -> PyResult<()> {
    let py = module.py();
    let builtins = py.import("builtins")?;
    let options = PyDict::new(py);
    options.set_item("dont_inherit", true)?;
    let code = builtins.call_method("compile", (source, file, "exec"), Some(&options))?.cast_into::<PyCode>()?;
    let modules = py.import("sys")?.getattr("modules")?;
    modules.set_item(module.name()?, module)?;
    let globals = module.dict();
    globals.set_item("__builtins__", builtins)?;
    if let Err(error) = code.run(Some(&globals), None) {
        modules.del_item(module.name()?)?;
        return Err(error);
    }
    Ok(())
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

    fn named(set: impl FnOnce(&mut Config)) -> Result<Vec<String>, (Code, u8)> {
        let targets = Target::all(&config(set)).map_err(|error| (error.code, error.exit))?;
        Ok(targets.iter().map(|target| format!("{}={target}", target.mountpoint)).collect())
    }

    #[test]
    fn the_forms_of_module() {
        let target = |module: &str, callable: Option<&str>| {
            named(|config| {
                config.module = Some(module.to_owned());
                config.callable = callable.map(str::to_owned);
            })
        };
        assert_eq!(target("a.b", None), Ok(vec!["=a.b:application".to_owned()]));
        assert_eq!(target("a.b", Some("app")), Ok(vec!["=a.b:app".to_owned()]));
        assert_eq!(target("a.b:x", Some("app")), Ok(vec!["=a.b:x".to_owned()]));
        assert_eq!(target("a:make()", None), Ok(vec!["=a:make()".to_owned()]));
        for bad in ["a:b.c", "a:f(1)", "a:"] {
            assert_eq!(target(bad, None), Err((Code::BadValue, EXIT)));
        }
        assert_eq!(named(|_| {}), Err((Code::NoApp, EXIT)));
    }

    #[test]
    fn the_forms_of_mount() {
        let mounts = |values: &[&str]| {
            named(|config| config.requests.mount = values.iter().map(|value| (*value).to_owned()).collect())
        };
        assert_eq!(
            mounts(&["/a=blog.wsgi:app", "/b/=make:make()", "/=site.py", "/c=dir/x.py:app", "/d=blog.wsgi"]),
            Ok(vec![
                "/a=blog.wsgi:app".to_owned(),
                "/b=make:make()".to_owned(),
                "=site.py:application".to_owned(),
                "/c=dir/x.py:app".to_owned(),
                "/d=blog.wsgi:application".to_owned(),
            ])
        );
        assert_eq!(mounts(&["/a=x:one", "/a/=x:two"]), Ok(vec!["/a=x:one".to_owned()]));
        for bad in ["blog=x:app", "/a", "/a=", "=x:app", "/a=x:"] {
            assert_eq!(mounts(&[bad]), Err((Code::BadValue, EXIT)), "{bad}");
        }
    }
}
