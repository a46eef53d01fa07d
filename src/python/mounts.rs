//! Which app a request is for, where there are several (uWSGI: `--mount`).
//!
//! Made by `app` when it loads, asked by `wsgi` for each request. A request finds its app by
//! SCRIPT_NAME, as uWSGI does, or with `manage-script-name` by PATH_INFO: the longest mountpoint
//! that ends where a segment of the path does.

use pyo3::prelude::*;

use crate::config::Config;
use crate::proto::request::{Known, Request};

/// The apps of a site.
pub(super) struct Mounts {
    apps: Vec<Mounted>,
    /// The app for requests that none is mounted for.
    default: Option<usize>,
    manages_script_name: bool,
    ignores_script_name: bool,
    /// There is one app for all requests, and no path to take apart.
    is_plain: bool,
}

/// One app.
pub(super) struct Mounted {
    /// Without a slash at its end; empty for the site as a whole.
    pub mountpoint: String,
    /// As messages name it.
    pub name: String,
    pub callable: Py<PyAny>,
}

/// What a request came to.
pub(super) struct Choice<'a> {
    /// The app's number, counted as they were loaded.
    pub number: usize,
    pub callable: &'a Py<PyAny>,
    /// SCRIPT_NAME and PATH_INFO as the app is to see them, where that is not as they came.
    pub paths: Option<(&'a [u8], &'a [u8])>,
}

impl Mounts {
    /// `apps` in the order they were loaded, at least one.
    pub(super) fn new(apps: Vec<Mounted>, config: &Config) -> Self {
        let requests = &config.requests;
        let whole = apps.iter().position(|app| app.mountpoint.is_empty());
        // uWSGI: without an app for the whole, the first is it.
        let default = whole.or((!apps.is_empty()).then_some(0)).filter(|_| !requests.no_default_app);
        let is_plain = apps.len() == 1 && default == Some(0) && (whole == Some(0) || !requests.manage_script_name);
        Self {
            apps,
            default,
            manages_script_name: requests.manage_script_name,
            ignores_script_name: requests.ignore_script_name,
            is_plain,
        }
    }

    /// The apps, as they were loaded.
    pub(super) fn apps(&self) -> &[Mounted] {
        &self.apps
    }

    /// The app for a request; `None` where there is none for it.
    pub(super) fn choose<'a>(&'a self, request: &'a Request) -> Option<Choice<'a>> {
        if self.is_plain {
            return Some(self.chosen(0));
        }
        if self.manages_script_name
            && let Some(path) = request.known(Known::PathInfo)
            && let Some(number) = self.below(path)
        {
            let (script, rest) = path.split_at(self.apps[number].mountpoint.len());
            return Some(Choice { paths: (!script.is_empty()).then_some((script, rest)), ..self.chosen(number) });
        }
        let script_name = || request.known(Known::ScriptName).filter(|_| !self.ignores_script_name);
        let named = variable(request, b"UWSGI_APPID").or_else(script_name);
        let number = named.and_then(|name| {
            let name = name.strip_suffix(b"/").unwrap_or(name);
            self.apps.iter().position(|app| app.mountpoint.as_bytes() == name)
        });
        // An empty name asks for the app of the whole site, which `no-default-app` leaves in place.
        number.or(self.default).map(|number| self.chosen(number))
    }

    /// The app with the longest mountpoint that `path` is at or below.
    fn below(&self, path: &[u8]) -> Option<usize> {
        let fits = |mountpoint: &[u8]| {
            path.strip_prefix(mountpoint).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
        };
        let below = self.apps.iter().enumerate().filter(|(_, app)| fits(app.mountpoint.as_bytes()));
        below.max_by_key(|(_, app)| app.mountpoint.len()).map(|(number, _)| number)
    }

    fn chosen(&self, number: usize) -> Choice<'_> {
        Choice { number, callable: &self.apps[number].callable, paths: None }
    }
}

/// The value of a variable that the server does not look at otherwise; of equal names, the last.
fn variable<'a>(request: &'a Request, name: &[u8]) -> Option<&'a [u8]> {
    request.vars().filter(|(key, _)| *key == name).last().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::super::attach;
    use super::super::tests::{config, python};
    use super::*;

    fn chosen(mountpoints: &[&str], set: impl FnOnce(&mut Config), vars: &[(&str, &str)]) -> Option<String> {
        python();
        let config = config(set);
        attach(|gil| {
            let mounted = |mountpoint: &&str| Mounted {
                mountpoint: (*mountpoint).to_owned(),
                name: String::new(),
                callable: gil.py.None(),
            };
            let mounts = Mounts::new(mountpoints.iter().map(mounted).collect(), &config);
            let mut request = Request::new();
            for (name, value) in vars {
                request.push(name.as_bytes(), value.as_bytes()).unwrap();
            }
            let choice = mounts.choose(&request)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let paths = choice.paths.map(|(script, path)| format!(" {}|{}", text(script), text(path)));
            Some(format!("{}{}", choice.number, paths.unwrap_or_default()))
        })
    }

    #[test]
    fn the_longest_mountpoint_on_a_boundary_wins() {
        let at = |path: &str| {
            chosen(&["", "/a", "/a/b"], |config| config.requests.manage_script_name = true, &[("PATH_INFO", path)])
        };
        for (path, expected) in [
            ("/", "0"),
            ("", "0"),
            ("/a", "1 /a|"),
            ("/a/", "1 /a|/"),
            ("/a/x", "1 /a|/x"),
            ("/ab", "0"),
            ("/a/b", "2 /a/b|"),
            ("/a/b/c", "2 /a/b|/c"),
            ("/a/bc", "1 /a|/bc"),
        ] {
            assert_eq!(at(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_front_end_may_choose_by_script_name() {
        let at = |script: &str, more: fn(&mut Config)| {
            chosen(&["", "/a"], more, &[("SCRIPT_NAME", script), ("PATH_INFO", "/a/x")])
        };
        assert_eq!(at("/a", |_| {}).as_deref(), Some("1"));
        assert_eq!(at("/a/", |_| {}).as_deref(), Some("1"));
        assert_eq!(at("", |_| {}).as_deref(), Some("0"));
        assert_eq!(at("/a", |config| config.requests.ignore_script_name = true).as_deref(), Some("0"));
        let by_id = chosen(&["", "/a"], |_| {}, &[("SCRIPT_NAME", ""), ("UWSGI_APPID", "/a")]);
        assert_eq!(by_id.as_deref(), Some("1"));
    }

    #[test]
    fn the_first_app_serves_the_rest_unless_that_is_off() {
        let at = |set: fn(&mut Config)| chosen(&["/a", "/b"], set, &[("PATH_INFO", "/x")]);
        assert_eq!(at(|_| {}).as_deref(), Some("0"));
        assert_eq!(at(|config| config.requests.no_default_app = true), None);
        assert_eq!(chosen(&["/a"], |_| {}, &[("PATH_INFO", "/x")]).as_deref(), Some("0"));
    }
}
