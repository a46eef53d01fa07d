//! The configuration: the option table, the readers that feed it, and what is wrong with them.
//!
//! `cli` makes a [`Source`] of the command line; the master turns it into a [`Config`] at the start
//! and again at every reload. Reads files and the environment it was given; never touches the
//! working directory or any other state of the process.
#![forbid(unsafe_code)]

mod arithmetic;
mod check;
pub mod convert;
mod declare;
mod expand;
mod fetch;
mod formats;
pub mod glob;
mod ini;
mod jail;
mod logic;
mod magic;
mod nearby;
mod option;
mod options;
mod read;
pub mod render;
mod restore;
mod setting;
pub mod show;
pub mod suggest;
mod value;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::error::{Code, Error};
use crate::net::listener::Protocol;

pub use option::{Argument, Group, Kind, OptionDef, Over, Rank, State};
pub use options::{Config, Lifetimes, OPTIONS, Requests};
pub use restore::Written;
pub use setting::{Origin, Setting};

use read::Reader;
use setting::{Record, Stage};

/// The version of uWSGI whose behaviour is followed.
pub const UWSGI_VERSION: &str = "2.0.31";

/// What the command line and the environment said, kept so that a reload can read it again.
#[derive(Clone, Debug)]
pub struct Source {
    /// The options of the command line, in order, their origin [`Origin::CommandLine`].
    pub arguments: Vec<Setting>,
    /// Configuration files named without an option; read after everything else, as uWSGI does.
    pub files: Vec<String>,
    /// The environment at the start, for `UWSGI_*` options and `$(NAME)`.
    pub environment: Vec<(String, String)>,
    /// The start, for `%t`.
    pub started: SystemTime,
    /// Whether it was read before, for `if-reload`.
    pub reload: bool,
    /// Whether `print` and `iprint` are followed: not where the answer is on stdout.
    pub prints: bool,
    /// What stdin held, once it was read: a reload can't read it again.
    pub stdin: Arc<OnceLock<Arc<Vec<u8>>>>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            arguments: Vec::new(),
            files: Vec::new(),
            environment: Vec::new(),
            started: SystemTime::now(),
            reload: false,
            prints: false,
            stdin: Arc::default(),
        }
    }
}

impl Source {
    /// Whether a word of the command line names a configuration file, by its ending; a section may
    /// follow behind a colon.
    pub fn is_file(word: &str) -> bool {
        let file = word.rsplit_once(':').map_or(word, |(file, _)| file);
        logic::Format::of(word).is_some() || logic::Format::of(file).is_some()
    }

    /// A variable of the environment at the start.
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.environment.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    /// What stands on stdin, at most 16 MB.
    fn stdin(&self) -> io::Result<Arc<Vec<u8>>> {
        if let Some(text) = self.stdin.get() {
            return Ok(text.clone());
        }
        let text = expand::bounded(io::stdin().lock(), 16 << 20)?;
        Ok(self.stdin.get_or_init(|| Arc::new(text)).clone())
    }
}

/// One socket to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketSetting {
    /// The address as written.
    pub address: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it was written.
    pub origin: Origin,
    /// The setting it comes from, for messages: `uwsgi.ini:3: socket = :3031`.
    pub setting: Setting,
}

/// Something odd that does not stop the start. Shown like an [`Error`], as `warning[…]: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(Error);

impl Warning {
    /// The message it consists of.
    pub fn message(&self) -> &Error {
        &self.0
    }
}

impl From<Error> for Warning {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "warning{}", text.strip_prefix("error").unwrap_or(&text))
    }
}

/// What went wrong so far, in the order it was found.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<Error>,
    warnings: Vec<Warning>,
}

impl Findings {
    fn fail(&mut self, error: Error) {
        self.errors.push(error);
    }

    fn warn(&mut self, error: Error) {
        self.warnings.push(error.into());
    }
}

impl Config {
    /// Reads everything that `source` names; relative files are relative to `directory`. Answers
    /// with what it amounts to and the warnings to show, or with everything that is wrong.
    ///
    /// uWSGI: the environment is weakest, then the command line from left to right with files
    /// where they stand, then the files named without an option. The last value of an option
    /// wins, lists add up.
    pub fn load(source: &Source, directory: &Path) -> Result<(Self, Vec<Warning>), Vec<Error>> {
        let (config, findings, _) = Self::examined(source, directory);
        match findings.errors.is_empty() {
            true => Ok((config, findings.warnings)),
            false => Err(findings.errors),
        }
    }

    /// Takes in who started the instance.
    fn look_around(&mut self, source: &Source) {
        self.emperor.activated = ["LISTEN_FDS", "UWSGI_EMPEROR_FD"].iter().any(|it| source.variable(it).is_some());
        if source.variable("UWSGI_EMPEROR_FD").is_some() {
            // uWSGI: a vassal stays in sight of its emperor, `daemonize` is where it logs.
            self.logto = self.daemonize.take().or(self.logto.take());
        }
    }

    /// Reads the same for `--check`: answers with everything that is wrong or odd, also what a start
    /// would find out later, such as files that are not there.
    pub fn examine(source: &Source, directory: &Path) -> (Self, Vec<Error>, Vec<Warning>) {
        let (config, mut findings, _) = Self::examined(source, directory);
        config.check_paths(directory, &mut findings);
        (config, findings.errors, findings.warnings)
    }

    /// The configuration, what is wrong with it, and whether all of it could be read.
    fn examined(source: &Source, directory: &Path) -> (Self, Findings, bool) {
        let mut reader = Reader::new(source, directory);
        let used = reader.read();
        let Reader { records, declared, files, mut findings, .. } = reader;
        let unread = !findings.errors.is_empty();
        check::twice::check(&records, &mut findings);
        let mut config = Self { files, ..Self::default() };
        let records = records.into_iter().filter(|record| record.stage != Stage::Done);
        let records = records.flat_map(|record| declare::unfold(record, &declared)).collect();
        let unknown = config.apply(records, &used, &mut findings);
        config.look_around(source);
        // A file that could not be read makes everything that follows from it noise.
        if !unread {
            config.check(directory, &unknown, &mut findings);
        }
        (config, findings, !unread)
    }

    /// Everything that `source` sets, directives and placeholders included, in uWSGI's order and
    /// expanded: what `uwsgi --show-config` shows. Nothing is checked but what reading needs.
    pub fn exported(source: &Source, directory: &Path) -> Result<Vec<Setting>, Vec<Error>> {
        let mut reader = Reader::new(source, directory);
        reader.read();
        let Reader { records, declared, findings, .. } = reader;
        let mut errors = findings.errors;
        if is_on(&records, "strict") {
            let open = records.iter().filter(|record| matches!(record.stage, Stage::Open | Stage::Early));
            let unknown = open.map(|record| &record.setting).filter(|setting| !is_option(&setting.key));
            errors.extend(unknown.filter(|setting| !declared.contains_key(&setting.key)).map(unknown_option));
        }
        match errors.is_empty() {
            true => Ok(records.into_iter().map(|record| record.setting).collect()),
            false => Err(errors),
        }
    }

    /// The file to start with when a start with `source` failed, also for what is wrong in it (uWSGI:
    /// `--fallback-config`).
    pub fn fallback(source: &Source, directory: &Path) -> Option<String> {
        let mut reader = Reader::new(source, directory);
        reader.read();
        let last = reader.records.into_iter().rfind(|record| record.setting.key == "fallback-config");
        last.map(|record| record.setting.value).filter(|file| !file.is_empty())
    }

    /// The setting that decided an option: shown as `uwsgi.ini:9: home = venv`, its `origin` as
    /// `uwsgi.ini:9`. `None` for a default. Takes any name of the option.
    pub fn origin(&self, option: &str) -> Option<&Setting> {
        self.decided.get(OptionDef::find(option)?.name())
    }

    /// The line that gave a list this value: shown as `uwsgi.ini:9: cron = …`.
    pub fn line_of(&self, option: &str, value: &str) -> Option<&Setting> {
        let names = OptionDef::find(option)?.names;
        let is_it = |setting: &&Setting| names.contains(&setting.key.as_str()) && setting.value == value;
        self.settings.iter().rev().find(is_it).or_else(|| self.origin(option))
    }

    /// Every file that was read, absolute, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// How many settings there are, placeholders not counted.
    pub fn option_count(&self) -> usize {
        let known = |setting: &&Setting| OptionDef::find(&setting.key).is_some();
        self.settings.iter().filter(known).count()
    }

    /// Everything that was set, in order, expanded, placeholders included.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Fills the fields from the settings. Answers with the settings that are no option.
    fn apply(&mut self, records: Vec<Record>, used: &HashSet<String>, findings: &mut Findings) -> Vec<Setting> {
        let (strict, tolerant) = (is_on(&records, "strict"), is_on(&records, "tolerate-unsupported"));
        let (mut unknown, mut told, mut more) = (Vec::new(), 0, 0);
        let open = || records.iter().enumerate().filter(|(_, record)| record.stage != Stage::Placeholder);
        let last: HashMap<&str, usize> =
            open().filter_map(|(index, record)| Some((OptionDef::find(&record.setting.key)?.name(), index))).collect();
        for (index, Record { setting, .. }) in open() {
            if let Some(option) = OptionDef::known(&setting.key) {
                if option.state.is_built() {
                    let overruled = !option.repeats() && last.get(option.name()).is_some_and(|last| *last > index);
                    self.apply_one(option, setting, overruled, findings);
                    continue;
                }
                let error = check::not_built(option, setting);
                match tolerant {
                    true => findings.warn(error),
                    false => findings.fail(error.hint("`tolerate-unsupported = true` starts without what it does")),
                }
            } else {
                if unknown.len() < MOST_UNKNOWN {
                    unknown.push(setting.clone());
                }
                match strict {
                    false if used.contains(&setting.key) => {}
                    _ if told == MOST_UNKNOWN => more += 1,
                    false if is_variable_for_others(setting) => {}
                    true => findings.fail(unknown_option(setting)),
                    false => findings.warn(kept_as_placeholder(setting)),
                }
                told = (told + 1).min(MOST_UNKNOWN);
            }
        }
        if more > 0 {
            findings.warn(Error::new(Code::UnknownOption, format!("and {more} more unknown options")));
        }
        self.threads = self.threads.max(1);
        self.settings = records.into_iter().map(|record| record.setting).collect();
        unknown
    }

    fn apply_one(&mut self, option: &'static OptionDef, setting: &Setting, overruled: bool, findings: &mut Findings) {
        let Setting { key, value, .. } = setting;
        if option.is_action() {
            // Images set `UWSGI_VERSION` for their own ends.
            if let Origin::Environment(_) = setting.origin {
                return;
            }
            let message = format!("`{key}` belongs on the command line and is ignored here");
            let error = Error::new(Code::OptionMisused, message).at(setting).part(key.as_str());
            findings.warn(match suggest::instead(key) {
                Some(hint) => error.hint(hint),
                None => error,
            });
            return;
        }
        let Some(read) = check::value(option, setting, overruled, findings) else { return };
        if let Kind::Socket(protocol) = option.kind {
            self.sockets.push(SocketSetting {
                address: value.clone(),
                protocol,
                origin: setting.origin.clone(),
                setting: setting.clone(),
            });
        }
        self.put(option, read);
        self.decided.insert(option.name(), setting.clone());
    }
}

/// How many unknown options are told one by one: finding the likely names takes its time.
const MOST_UNKNOWN: usize = 200;

/// Whether the last of the settings named `name` switches it on.
fn is_on(records: &[Record], name: &str) -> bool {
    let last = records.iter().rfind(|record| record.setting.key == name);
    let value = last.and_then(|record| Kind::Switch.read(&record.setting.value).ok());
    value.is_some_and(|reading| reading.value == value::Value::Switch(true))
}

/// Whether uWSGI or rustwsgi has an option of this name, built or not.
fn is_option(name: &str) -> bool {
    OptionDef::known(name).is_some()
}

/// Whether a variable such as `UWSGI_PORT` is no slip of the pen: people use them by `$(UWSGI_PORT)`.
fn is_variable_for_others(setting: &Setting) -> bool {
    matches!(setting.origin, Origin::Environment(_)) && suggest::options(&setting.key).is_empty()
}

/// The message about an option that nobody knows.
fn unknown_option(setting: &Setting) -> Error {
    let error = Error::new(Code::UnknownOption, format!("unknown option `{}`", setting.named()));
    suggest_for(error.at(setting).part(setting.key.as_str()), setting)
        .hint("a placeholder of your own needs `strict = false`")
}

/// The same where unknown options are placeholders.
fn kept_as_placeholder(setting: &Setting) -> Error {
    let message = format!("unknown option `{}`, kept as a placeholder", setting.named());
    let error = Error::new(Code::UnknownOption, message).at(setting).part(setting.key.as_str());
    suggest_for(error, setting).hint("`strict = true` makes this an error")
}

fn suggest_for(error: Error, setting: &Setting) -> Error {
    let parts = setting.key.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
    if let Some((key, value)) = parts.filter(|(key, _)| OptionDef::find(key).is_some()) {
        return error.hint(format!("{key} = {value}"));
    }
    if let Some(hint) = suggest::instead(&setting.key) {
        return error.hint(hint);
    }
    match suggest::sentence(&suggest::options(&setting.key)) {
        Some(sentence) => error.hint(sentence),
        None => error,
    }
}

#[cfg(test)]
mod tests;
