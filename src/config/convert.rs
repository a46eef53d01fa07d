//! Turns how a site is served today into a flat uwsgi.ini, with comments on what has no counterpart.
//!
//! Called by `cli::convert`. An ini loses its placeholders and its logic; the options of gunicorn
//! (`gunicorn`, its `gunicorn.conf.py` read by `python`) and of Granian (`granian`) become uWSGI's.
//! Nothing of what is converted is ever run.

mod command;
mod granian;
mod gunicorn;
mod python;

use std::fmt::Write as _;
use std::path::Path;

use super::declare;
use super::option::OptionDef;
use super::read::Reader;
use super::setting::{Origin, Stage};
use super::{Setting, Source, Warning, suggest};
use crate::error::Error;

pub use gunicorn::{CONFIG_FILE, configuration_named};
use python::{Part, Value};

/// An ini in the making: settings, the remarks that stand above them, and what was left out.
#[derive(Debug, Default)]
pub struct Conversion {
    source: String,
    lines: Vec<Line>,
    left_out: Vec<String>,
}

#[derive(Debug)]
enum Line {
    Setting {
        key: String,
        value: Vec<Part>,
    },
    Remark(String),
    /// As it is to stand in the file.
    Raw(String),
}

impl Conversion {
    fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    /// What `source` amounts to, without placeholders, logic and includes; with the warnings to
    /// show. `$(NAME)` and `if-env` take the environment of `source`; its `UWSGI_*` options do not
    /// count, since they would hold for the new file as well.
    ///
    /// Errors: all that is wrong with the files.
    pub fn flatten(source: &Source, directory: &Path) -> Result<(Self, Vec<Warning>), Vec<Error>> {
        let mut reader = Reader::new(source, directory);
        let used = reader.read();
        let Reader { records, declared, findings, .. } = reader;
        if !findings.errors.is_empty() {
            return Err(findings.errors);
        }
        let records = records.into_iter().filter(|record| !matches!(record.stage, Stage::Done | Stage::Placeholder));
        let settings: Vec<Setting> =
            records.flat_map(|record| declare::unfold(record, &declared)).map(|record| record.setting).collect();
        let mut this = Self::new(source.files.join(" "));
        let mut file = source.files.first().map_or("", |named| named.split(':').next().unwrap_or(named)).to_owned();
        for setting in settings.iter().filter(|setting| !matches!(setting.origin, Origin::Environment(_))) {
            if let Origin::File { file: from, .. } = &setting.origin {
                if **from != *file {
                    from.as_ref().clone_into(&mut file);
                    this.remark(format!("from {file}"));
                }
            }
            if OptionDef::known(&setting.key).is_some() {
                if let Some(name) = ["$(", "@("].into_iter().find(|mark| setting.value.contains(mark)) {
                    this.remark(format!("`{name}…)` stayed as it is until now, and is looked up anew in this file"));
                }
                this.lines.push(Line::Raw(flat(setting)));
            } else if !used.contains(&setting.key) {
                this.left_out.push(no_option(setting));
            }
        }
        Ok((this, findings.warnings))
    }

    /// A command line, the program's name first: gunicorn's or Granian's. `configuration` is the
    /// text of gunicorn's configuration file with its name.
    ///
    /// Returns `None` for another program.
    pub fn of_command(words: &[String], configuration: Option<(&str, &str)>) -> Option<Self> {
        let (front, words) = command::program(words);
        let (program, arguments) = words.split_first()?;
        let mut this = match Path::new(program).file_name()?.to_str()? {
            "gunicorn" => gunicorn::convert(arguments, configuration),
            "granian" => granian::convert(arguments),
            _ => return None,
        };
        let mut others = Vec::new();
        for word in front {
            match command::variable(word) {
                Some((name, value)) => {
                    let mut value = command::parts(value);
                    value.insert(0, Part::Literal(format!("{name}=")));
                    this.set("env", value);
                }
                None if command::is_plain(word) => {}
                None => others.push(word.as_str()),
            }
        }
        if !others.is_empty() {
            this.leave_out(format!("{}: goes in front of rustwsgi, if it is needed there", others.join(" ")));
        }
        Some(this)
    }

    /// A `gunicorn.conf.py` by itself.
    pub fn of_gunicorn_configuration(name: &str, text: &str) -> Self {
        gunicorn::convert(&[], Some((name, text)))
    }

    fn set(&mut self, key: &str, value: Vec<Part>) {
        self.lines.push(Line::Setting { key: key.into(), value });
    }

    fn set_text(&mut self, key: &str, value: &str) {
        self.set(key, vec![Part::literal(value)]);
    }

    fn set_value(&mut self, key: &str, value: &Value) {
        match value {
            Value::None => {}
            Value::List(values) => values.iter().for_each(|value| self.set_value(key, value)),
            _ => match value.parts() {
                Some(parts) => self.set(key, parts),
                None => self.leave_out(format!("{key}: {} is computed, write what it amounts to", value.source())),
            },
        }
    }

    fn remark(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Remark(text.into()));
    }

    fn leave_out(&mut self, text: impl Into<String>) {
        self.left_out.push(text.into());
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = match self.source.as_str() {
            "" => "; made by rustwsgi convert\n[uwsgi]\n".to_owned(),
            source => format!("; made by rustwsgi convert from {}\n[uwsgi]\n", one_line(source)),
        };
        for line in &self.lines {
            match line {
                Line::Remark(remark) => {
                    let _ = writeln!(text, "; {}", one_line(remark));
                }
                Line::Raw(line) => {
                    let _ = writeln!(text, "{line}");
                }
                Line::Setting { key, value } => write_setting(&mut text, key, value),
            }
        }
        if !self.left_out.is_empty() {
            text.push_str("\n; left out:\n");
        }
        for line in &self.left_out {
            let _ = writeln!(text, ";   {}", one_line(line));
        }
        text
    }
}

/// A comment never becomes more than one line, and a `%` at its end never eats the next.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('%', "%%")
}

/// A setting that depends on the environment and has a default is two settings.
fn write_setting(text: &mut String, key: &str, value: &[Part]) {
    let variable = value.iter().find_map(|part| match part {
        Part::Variable { name, default: Some(default) } => Some((name, default)),
        _ => None,
    });
    let line = |stands_for: &str| {
        let value: String = value.iter().map(|part| part.in_ini(stands_for)).collect();
        format!("{key} = {value}").trim_end().to_owned()
    };
    let _ = match variable {
        None => writeln!(text, "{}", line("")),
        Some((name, default)) => writeln!(
            text,
            "if-env = {name}\n{}\nendif =\nif-not-env = {name}\n{}\nendif =",
            line("%(_)"),
            line(&default.replace('%', "%%"))
        ),
    };
}

/// A setting as a line that needs nothing but itself.
fn flat(setting: &Setting) -> String {
    // What a reader of the file would take for a variable is doubled.
    let value = setting.value.replace('%', "%%").replace("%%(", "%(");
    match value.contains('\n') {
        true => format!(
            "; {} had several lines, which an ini can't hold\n{} = {}",
            setting.key,
            setting.key,
            one_line(&setting.value)
        ),
        false => format!("{} = {value}", setting.key).trim_end().to_owned(),
    }
}

/// Why a setting that is neither option nor placeholder is not in the file.
fn no_option(setting: &Setting) -> String {
    match suggest::sentence(&suggest::options(&setting.key)) {
        Some(sentence) => format!("{setting} (no option of uWSGI: {sentence})"),
        None => format!("{setting} (no option of uWSGI, and used by none)"),
    }
}

#[cfg(test)]
mod tests;
