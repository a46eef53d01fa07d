//! How long clients may keep a file (uWSGI: `--static-expires…`).
//!
//! Asked by `Files` for each file that is served; the first rule that fits decides, in the order of
//! the options: by the file's path, by the URI, by PATH_INFO, by type.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use regex::bytes::Regex;

use crate::config::Requests;
use crate::proto::request::{Known, Request};
use crate::sys::clock;

/// The rules.
#[derive(Debug)]
pub struct Expiries {
    rules: Vec<Rule>,
    types: Vec<(String, i64, bool)>,
}

#[derive(Debug)]
struct Rule {
    subject: Subject,
    pattern: Regex,
    seconds: i64,
    /// Counted from the file's last change instead of from now.
    from_change: bool,
}

#[derive(Clone, Copy, Debug)]
enum Subject {
    File,
    Uri,
    PathInfo,
}

impl Expiries {
    /// As the configuration has them; rules that are none were refused before.
    pub fn of(requests: &Requests) -> Self {
        let mut rules = Vec::new();
        for (option, values) in requests.expiries() {
            let subject = match option {
                _ if option.contains("-uri") => Subject::Uri,
                _ if option.contains("-path-info") => Subject::PathInfo,
                _ => Subject::File,
            };
            let rule = |value: &String| {
                let (pattern, seconds) = value.rsplit_once(' ')?;
                let pattern = Regex::new(pattern.trim()).ok()?;
                Some(Rule { subject, pattern, seconds: seconds.parse().ok()?, from_change: option.ends_with("-mtime") })
            };
            rules.extend(values.iter().filter_map(rule));
        }
        let mut types = Vec::new();
        let options = [(&requests.static_expires_type, false), (&requests.static_expires_type_mtime, true)];
        for (values, from_change) in options {
            types.extend(values.iter().filter_map(|value| {
                let (kind, seconds) = value.split_once('=')?;
                Some((kind.trim().to_owned(), seconds.trim().parse().ok()?, from_change))
            }));
        }
        Self { rules, types }
    }

    /// When clients are to ask again, in seconds of the epoch.
    pub fn of_file(&self, path: &Path, kind: Option<&str>, changed: i64, request: &Request) -> Option<i64> {
        let fits = |rule: &&Rule| {
            rule.pattern.is_match(match rule.subject {
                Subject::File => path.as_os_str().as_bytes(),
                Subject::Uri => request.known(Known::RequestUri).unwrap_or_default(),
                Subject::PathInfo => request.known(Known::PathInfo).unwrap_or_default(),
            })
        };
        let by_rule = self.rules.iter().find(fits).map(|rule| (rule.seconds, rule.from_change));
        let by_type = || {
            let found = self.types.iter().find(|(wanted, ..)| Some(wanted.as_str()) == kind)?;
            Some((found.1, found.2))
        };
        let (seconds, from_change) = by_rule.or_else(by_type)?;
        Some(if from_change { changed } else { clock::epoch() } + seconds)
    }
}
