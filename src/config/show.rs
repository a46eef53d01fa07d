//! `--show-config`: what all files, the command line and the environment amount to.
//!
//! Called by `cli`. Every setting in the order it counts, with its origin: as lines for people, as
//! JSON for programs. Values are shown whole and as they are used, never read again.

use std::path::Path;

use serde::Serialize;

use super::option::OptionDef;
use super::setting::{Origin, Setting};
use super::{Config, Findings, Source, Warning};
use crate::error::{Code, Error};

/// A line whose `key = value` is longer does not move the origins of the others.
const ORIGIN_COLUMN: usize = 40;

/// What a source amounts to, right or wrong.
#[derive(Debug)]
pub struct Effective {
    /// Every setting, expanded, in order; `None` where not all could be read, or `strict` forbids one.
    pub settings: Option<Vec<Setting>>,
    /// What would stop a start.
    pub errors: Vec<Error>,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

impl Effective {
    /// Reads everything that `source` names, as [`Config::load`] does. A value that is refused is
    /// shown all the same: whoever asks wants to see where it comes from.
    pub fn read(source: &Source, directory: &Path) -> Self {
        let (config, Findings { errors, warnings }, whole) = Config::examined(source, directory);
        let readable = whole && errors.iter().all(|error| error.code != Code::UnknownOption);
        Self { settings: readable.then(|| config.settings().to_vec()), errors, warnings }
    }
}

/// The lines of `--show-config`: `harakiri = 30    # uwsgi.ini:7`.
pub fn lines(settings: &[Setting]) -> String {
    let assigned: Vec<String> = settings.iter().map(assigned).collect();
    let widths = assigned.iter().map(|line| line.chars().count());
    let column = widths.filter(|width| *width <= ORIGIN_COLUMN).max().unwrap_or(0);
    let mut text = String::from("[uwsgi]\n");
    for (line, setting) in assigned.iter().zip(settings) {
        text.push_str(&format!("{line:column$}    # {}\n", setting.origin));
    }
    text
}

/// `key = value`; what would break the line is written as `\n`.
fn assigned(setting: &Setting) -> String {
    let value: String = setting
        .shown()
        .chars()
        .map(|letter| match letter.is_control() && letter != '\t' {
            true => letter.escape_default().to_string(),
            false => letter.to_string(),
        })
        .collect();
    format!("{} = {value}", setting.key).trim_end().to_owned()
}

/// The same as one JSON array, the values exactly as they are.
///
/// Errors: none that a `String` could bring about.
pub fn json(settings: &[Setting]) -> serde_json::Result<String> {
    let shown: Vec<Shown> = settings.iter().map(Shown::new).collect();
    serde_json::to_string_pretty(&shown)
}

/// One setting for programs.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    /// The name as written.
    key: &'a str,
    value: &'a str,
    /// The option it is a name of; `null` for a placeholder.
    option: Option<&'static str>,
    /// The file as named, and the line from 1; `null` where it was not set in a file.
    file: Option<&'a str>,
    line: Option<usize>,
    /// As in messages: `uwsgi.ini:7`, `argv`, `$UWSGI_PROCESSES`.
    origin: String,
}

impl<'a> Shown<'a> {
    fn new(setting: &'a Setting) -> Self {
        let (file, line) = match &setting.origin {
            Origin::File { file, line } => (Some(&**file), Some(*line)),
            Origin::CommandLine | Origin::Environment(_) => (None, None),
        };
        Self {
            key: &setting.key,
            value: setting.shown(),
            option: OptionDef::known(&setting.key).map(OptionDef::name),
            file,
            line,
            origin: setting.origin.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Vec<Setting> {
        let file = |line| Origin::File { file: "uwsgi.ini".into(), line };
        [
            ("harakiri", "30", file(7)),
            ("workers", "4", Origin::Environment("UWSGI_WORKERS".into())),
            ("master", "", Origin::CommandLine),
            ("base", "", file(8)),
            ("motd", "a\nb", file(9)),
        ]
        .map(|(key, value, origin)| Setting { key: key.into(), value: value.into(), origin })
        .into()
    }

    #[test]
    fn shows_each_value_and_where_it_comes_from() {
        assert_eq!(
            lines(&settings()),
            "[uwsgi]\n\
             harakiri = 30    # uwsgi.ini:7\n\
             workers = 4      # $UWSGI_WORKERS\n\
             master = true    # argv\n\
             base =           # uwsgi.ini:8\n\
             motd = a\\nb      # uwsgi.ini:9\n"
        );
        assert_eq!(lines(&[]), "[uwsgi]\n");
    }

    #[test]
    fn a_long_value_leaves_the_origins_of_others_near() {
        let mut settings = settings();
        settings[0].value = "x".repeat(1000);
        assert!(lines(&settings).contains("\nworkers = 4      # $UWSGI_WORKERS\n"));
    }

    #[test]
    fn programs_get_values_as_they_are() {
        let shown: Vec<serde_json::Value> = serde_json::from_str(&json(&settings()).unwrap()).unwrap();
        assert_eq!(
            shown[1],
            serde_json::json!({
                "key": "workers", "value": "4", "option": "processes", "file": null, "line": null,
                "origin": "$UWSGI_WORKERS"
            })
        );
        assert_eq!((&shown[0]["file"], &shown[0]["line"]), (&"uwsgi.ini".into(), &7.into()));
        assert_eq!((&shown[3]["option"], &shown[4]["value"]), (&serde_json::Value::Null, &"a\nb".into()));
    }
}
