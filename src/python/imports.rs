//! What is imported beside the app (uWSGI: `--import`, `--shared-import`, `--pymodule-alias`), and
//! what it finds in `sys.argv`.
//!
//! `app` calls [`before`] in front of every load, `interpreter` [`shared`] once Python is up. As in
//! uWSGI a module that can't be imported is logged and no more; an alias that can't be made stops
//! the start, because the app would find something else under that name.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::types::PyModule;

use super::app::EXIT;
use super::{target, traceback};
use crate::config::Config;
use crate::error::{Code, Error};

/// Everything that comes in front of the app: aliases, imports, the later aliases.
pub(super) fn before(py: Python<'_>, config: &Config) -> Result<(), Error> {
    let requests = &config.requests;
    aliases(py, config, "pymodule-alias", &requests.pymodule_alias)?;
    each(py, "import", &requests.import);
    aliases(py, config, "post-pymodule-alias", &requests.post_pymodule_alias)
}

/// What is imported before the workers are forked, even with `lazy-apps`.
pub(super) fn shared(py: Python<'_>, config: &Config) {
    each(py, "shared-import", &config.requests.shared_import);
}

/// `sys.argv` (uWSGI: `--pyargv`, words between blanks).
pub(super) fn arguments(config: &Config) -> Vec<&str> {
    let words = config.requests.pyargv.as_deref().unwrap_or_default();
    std::iter::once("uwsgi").chain(words.split([' ', '\t']).filter(|word| !word.is_empty())).collect()
}

fn each(py: Python<'_>, option: &str, names: &[String]) {
    for name in names {
        if let Err(error) = import(py, name) {
            traceback::log(&format!("`{option} = {name}` failed\n{}", traceback::text(py, &error)));
        }
    }
}

/// uWSGI: with a slash, or the ending of one, it is a file.
fn import<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyModule>> {
    if name.contains('/') || name.ends_with(".py") {
        return target::run_file(py, Path::new(name));
    }
    py.import(name)
}

fn aliases(py: Python<'_>, config: &Config, option: &str, values: &[String]) -> Result<(), Error> {
    for value in values {
        let error = |message: String| {
            Error::new(Code::BadValue, message).maybe_at(config.setting_with(option, value)).part(value).exit(EXIT)
        };
        let Some((alias, name)) = value.split_once('=').filter(|(alias, name)| !alias.is_empty() && !name.is_empty())
        else {
            return Err(error(format!("`{option}` takes `name=module`, not `{value}`")));
        };
        let made = import(py, name).and_then(|module| py.import("sys")?.getattr("modules")?.set_item(alias, module));
        if let Err(raised) = made {
            let message = format!("`{option} = {value}`: `{name}` can't be imported");
            return Err(error(message).fact(traceback::text(py, &raised)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    #[test]
    fn arguments_are_words() {
        let argv = |text: Option<&str>| {
            let config = config(|config| config.requests.pyargv = text.map(str::to_owned));
            arguments(&config).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(argv(None), ["uwsgi"]);
        assert_eq!(argv(Some("one  two\tthree ")), ["uwsgi", "one", "two", "three"]);
    }
}
