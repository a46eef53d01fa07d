//! One `key = value` as somebody wrote it, with the place it was written at.
//!
//! The readers (`ini`, the command line, the environment) make settings, `Config` is made of
//! them, and messages show them. They keep their order until they become the typed `Config`.

use std::fmt;
use std::sync::Arc;

use super::option::{Argument, OptionDef};

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, the file as it was named.
    File {
        /// The file, as named on the command line or by the file that includes it.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// The command line.
    CommandLine,
    /// An environment variable such as `UWSGI_PROCESSES`.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::CommandLine => f.write_str("argv"),
            Self::Environment(name) => write!(f, "${name}"),
        }
    }
}

/// One `key = value`, in the order it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name as written, which may be an alias; empty for a file that stands alone on the command line.
    pub key: String,
    /// The value; empty for a bare name.
    pub value: String,
    /// Where it was written.
    pub origin: Origin,
}

/// How many characters of a value are shown in messages.
const SHOWN: usize = 200;

impl Setting {
    /// The value as uWSGI shows it and as a placeholder has it: `true` for a name on the command
    /// line that has none.
    pub fn shown(&self) -> &str {
        let flag = self.origin == Origin::CommandLine && self.value.is_empty();
        match flag && OptionDef::known(&self.key).is_some_and(|option| option.argument() == Argument::Optional) {
            true => "true",
            false => &self.value,
        }
    }

    /// The key, cut where nobody would read on.
    pub fn named(&self) -> &str {
        shortened(&self.key)
    }

    /// The first variable in the value that the environment did not have.
    pub fn unresolved(&self) -> Option<&str> {
        let (_, rest) = self.value.split_once("$(")?;
        rest.split_once(')').map(|(name, _)| name)
    }

    /// The first variable in the value that is written as in a shell, `${NAME}` or `${NAME:-default}`.
    pub fn of_the_shell(&self) -> Option<&str> {
        let (_, rest) = self.value.split_once("${")?;
        let (name, _) = rest.split_once('}')?;
        let name = name.split([':', '-', '=', '?', '+']).next()?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
        is_name.then_some(name)
    }
}

/// What of a text is shown in messages.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(SHOWN).map_or(text, |(end, _)| &text[..end])
}

/// A setting on its way from where it is written to the configuration.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was written.
    pub setting: Setting,
    /// What is still to be done with it.
    pub stage: Stage,
}

/// What is still to be done with a setting that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Everything: its placeholders are replaced, then it is applied.
    Open,
    /// It is applied as it stands: uWSGI takes it before placeholders are replaced.
    Early,
    /// Nothing: it was a directive, and has been followed.
    Done,
    /// Nothing: it was set for others to use (uWSGI: `--set-placeholder`).
    Placeholder,
}

/// As the user wrote it: `uwsgi.ini:9: home = venv`, `argv: --home venv`, `$UWSGI_HOME: venv`.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, origin, .. } = self;
        let key = self.named();
        let value = match shortened(value) {
            shown if shown.len() < value.len() => format!("{shown}…"),
            shown => shown.to_owned(),
        };
        match (origin, value.as_str()) {
            (Origin::File { .. }, "") => write!(f, "{origin}: {key}"),
            (Origin::File { .. }, _) => write!(f, "{origin}: {key} = {value}"),
            (Origin::CommandLine, "") => write!(f, "{origin}: --{key}"),
            (Origin::CommandLine, _) if key.is_empty() => write!(f, "{origin}: {value}"),
            (Origin::CommandLine, _) => write!(f, "{origin}: --{key} {value}"),
            (Origin::Environment(_), _) => write!(f, "{origin}: {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_place_and_what_stands_there() {
        let setting = |origin, value: &str| Setting { key: "home".into(), value: value.into(), origin };
        let file = Origin::File { file: "conf/uwsgi.ini".into(), line: 9 };
        assert_eq!(file.to_string(), "conf/uwsgi.ini:9");
        assert_eq!(setting(file.clone(), "venv").to_string(), "conf/uwsgi.ini:9: home = venv");
        assert_eq!(setting(file, "").to_string(), "conf/uwsgi.ini:9: home");
        assert_eq!(setting(Origin::CommandLine, "venv").to_string(), "argv: --home venv");
        let alone = Setting { key: String::new(), value: "site.yaml".into(), origin: Origin::CommandLine };
        assert_eq!(alone.to_string(), "argv: site.yaml");
        let long = setting(Origin::CommandLine, &"x".repeat(1000)).to_string();
        assert!(long.ends_with("x…") && long.len() < 300);
        let long = Setting { key: "é".repeat(1000), value: String::new(), origin: Origin::CommandLine };
        assert_eq!(long.named().chars().count(), SHOWN);
        let variable = Origin::Environment("UWSGI_HOME".into());
        assert_eq!(setting(variable, "venv").to_string(), "$UWSGI_HOME: venv");
    }
}
