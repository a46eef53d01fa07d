//! Values of the chapters on requests and static files that a start would refuse.
//!
//! Called by `check` with everything else that can be told without starting.

use regex::bytes::Regex;

use crate::config::{Config, Findings};
use crate::error::{Code, Error};

impl Config {
    /// Finds headers that can't be sent, maps that map nothing, patterns that are none.
    pub(super) fn check_requests(&self, findings: &mut Findings) {
        let requests = &self.requests;
        let mut bad = |option: &str, value: &str, why: String| {
            let error = Error::new(Code::BadValue, format!("`{option} = {value}`: {why}"));
            findings.fail(error.maybe_at(self.setting_with(option, value)).part(value));
        };
        if let Some((header, why)) = requests.bad_header() {
            bad("add-header", header, why);
        }
        for (option, maps) in [("static-map", &requests.static_map), ("static-map2", &requests.static_map2)] {
            for map in maps {
                if !map.split_once('=').is_some_and(|(path, directory)| path.starts_with('/') && !directory.is_empty())
                {
                    bad(option, map, "it takes `/path=directory`".into());
                }
            }
        }
        for (option, rules) in requests.expiries() {
            for rule in rules {
                match rule
                    .rsplit_once(' ')
                    .map(|(pattern, seconds)| (Regex::new(pattern.trim()), seconds.parse::<u32>()))
                {
                    Some((Ok(_), Ok(_))) => {}
                    Some((Err(error), _)) => bad(option, rule, one_line(&error)),
                    _ => bad(option, rule, "it takes a pattern, a blank and seconds".into()),
                }
            }
        }
        let types = [
            ("static-expires-type", &requests.static_expires_type),
            ("static-expires-type-mtime", &requests.static_expires_type_mtime),
        ];
        for (option, rules) in types {
            for rule in rules {
                if rule.split_once('=').is_none_or(|(_, seconds)| seconds.trim().parse::<u32>().is_err()) {
                    bad(option, rule, "it takes `type=seconds`".into());
                }
            }
        }
        for pattern in &requests.static_gzip {
            if let Err(error) = Regex::new(pattern) {
                bad("static-gzip", pattern, one_line(&error));
            }
        }
        if let Some(mode) = &requests.file_serve_mode
            && !["x-sendfile", "xsendfile", "x-accel-redirect", "xaccelredirect", "nginx"].contains(&mode.as_str())
        {
            bad("file-serve-mode", mode, "it takes `x-sendfile` or `x-accel-redirect`".into());
        }
    }
}

/// What is wrong with a pattern, without the picture of it.
fn one_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}
