//! What a file does while it is read: conditions, loops, lists of forbidden options, includes.
//!
//! `read` asks [`Directive::find`] what a key does and a [`Block`] which times, and with which
//! `%(_)`, a line inside of it counts. Looks at files and directories, and at nothing else but the
//! [`Surroundings`] it is given.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::arithmetic::number;
use super::glob;
use super::magic::host_name;
use super::read::immediate::Act;
use super::setting::Setting;

/// What a key does as soon as it is read (uWSGI: immediate options).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Reads a file, as the format or, where it has none, as its ending says.
    Load(Option<Format>),
    /// `set = key=value`.
    Set,
    /// `set-placeholder = key=value`.
    SetPlaceholder,
    /// `declare-option = name=template`.
    Declare,
    /// Forbids options, or ends that.
    Blacklist(bool),
    /// Forbids all other options, or ends that.
    Whitelist(bool),
    /// Opens a block.
    Open(Test),
    /// Ends a block.
    Close,
    /// Does something else at once.
    Act(Act),
}

/// How a configuration file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key = value` below `[sections]`.
    Ini,
    /// A map below `uwsgi:`.
    Yaml,
    /// An object with the object `uwsgi`.
    Json,
    /// Elements below `<uwsgi>`.
    Xml,
    /// A table `[uwsgi]`.
    Toml,
}

impl Format {
    /// The format that a file's ending stands for.
    pub fn of(file: &str) -> Option<Self> {
        let (_, ending) = file.rsplit_once('.')?;
        Some(match ending {
            "ini" => Self::Ini,
            "yaml" | "yml" => Self::Yaml,
            "json" | "js" => Self::Json,
            "xml" => Self::Xml,
            "toml" => Self::Toml,
            _ => return None,
        })
    }
}

/// What a block asks, or what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `for`: words.
    Words,
    /// `for-glob`: files.
    Glob,
    /// `for-times`: numbers.
    Times,
    /// `for-readline`: lines of a file.
    Lines,
    /// `if-…` and `if-not-…`.
    If(Subject, bool),
}

/// What an `if-…` asks about; with `false` beside it, for the contrary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A variable of the environment.
    Environment,
    /// An option or placeholder set so far.
    Option,
    /// Something that can be read.
    Exists,
    /// A file.
    File,
    /// A directory.
    Directory,
    /// The machine's name.
    Hostname,
    /// The machine's name, by a pattern.
    HostnameMatch,
    /// Something of uWSGI's that is built in.
    Plugin,
    /// Whether this is a reload.
    Reload,
}

impl Directive {
    /// What `key` does, if it does something at once.
    pub fn find(key: &str) -> Option<Self> {
        Some(match key {
            "ini" => Self::Load(Some(Format::Ini)),
            "yaml" | "yml" => Self::Load(Some(Format::Yaml)),
            "json" | "js" => Self::Load(Some(Format::Json)),
            "xml" | "xmlconfig" => Self::Load(Some(Format::Xml)),
            "include" | "config" => Self::Load(None),
            "set" => Self::Set,
            "set-placeholder" | "set-ph" => Self::SetPlaceholder,
            "declare-option" | "declare-option2" => Self::Declare,
            "blacklist" => Self::Blacklist(true),
            "end-blacklist" => Self::Blacklist(false),
            "whitelist" => Self::Whitelist(true),
            "end-whitelist" => Self::Whitelist(false),
            "end" | "endif" | "end-if" | "endfor" | "end-for" => Self::Close,
            "for" => Self::Open(Test::Words),
            "for-glob" => Self::Open(Test::Glob),
            "for-times" => Self::Open(Test::Times),
            "for-readline" => Self::Open(Test::Lines),
            _ if Act::find(key).is_some() => Self::Act(Act::find(key)?),
            _ => {
                let (subject, expected) = match key.strip_prefix("if-not-") {
                    Some(subject) => (subject, false),
                    None => (key.strip_prefix("if-").or_else(|| key.strip_prefix("if"))?, true),
                };
                // `ifenv`, `ifexists`, `ifplugin` and `ifdir` are all that uWSGI has without a dash.
                let short = expected && !key.starts_with("if-");
                let subject = match subject {
                    "env" => Subject::Environment,
                    "exists" => Subject::Exists,
                    "plugin" => Subject::Plugin,
                    "dir" => Subject::Directory,
                    _ if short => return None,
                    "directory" if expected => Subject::Directory,
                    "opt" => Subject::Option,
                    "file" => Subject::File,
                    "hostname" => Subject::Hostname,
                    "hostname-match" => Subject::HostnameMatch,
                    "reload" => Subject::Reload,
                    _ => return None,
                };
                Self::Open(Test::If(subject, expected))
            }
        })
    }
}

/// What a condition may ask about.
pub trait Surroundings {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// The first value of an option or placeholder set so far.
    fn option(&self, name: &str) -> Option<String>;
    /// Whether the configuration was read before and is read anew.
    fn reload(&self) -> bool;
}

/// A block that is open: its lines count when, and as often as, it says.
#[derive(Debug)]
pub struct Block {
    /// The line that opened it.
    pub setting: Setting,
    test: Test,
    /// What a loop goes through; it is looked up once.
    items: Vec<String>,
}

impl Block {
    /// Opens a block. A loop has at most `most` turns; the file of a `for-readline` is read no
    /// further than `most_bytes`.
    pub fn open(test: Test, setting: Setting, directory: &Path, most: usize, most_bytes: u64) -> Self {
        let value = setting.value.as_str();
        let items = match test {
            Test::Words => value.split(' ').filter(|word| !word.is_empty()).take(most).map(String::from).collect(),
            Test::Times => (1..=number(value)).take(most).map(|turn| turn.to_string()).collect(),
            Test::Glob => glob::find(value, directory, most),
            Test::Lines => lines(&directory.join(value), most, most_bytes),
            Test::If(..) => Vec::new(),
        };
        Self { setting, test, items }
    }

    /// The times that a line inside counts, each with what `%(_)` stands for there; `None` where
    /// it stands for nothing. Conditions are asked anew for each line, as under uWSGI.
    pub fn turns(&self, directory: &Path, surroundings: &dyn Surroundings) -> Vec<Option<String>> {
        match self.test {
            Test::If(subject, expected) => {
                let (holds, context) = self.ask(subject, expected, directory, surroundings);
                if holds == expected { vec![context] } else { Vec::new() }
            }
            _ => self.items.iter().cloned().map(Some).collect(),
        }
    }

    fn ask(
        &self,
        subject: Subject,
        expected: bool,
        directory: &Path,
        surroundings: &dyn Surroundings,
    ) -> (bool, Option<String>) {
        let argument = self.setting.value.as_str();
        let compared = |look_up: &dyn Fn(&str) -> Option<String>| {
            let (name, wanted) = match argument.split_once('=') {
                Some((name, wanted)) => (name, Some(wanted)),
                None => (argument, None),
            };
            let found = look_up(name);
            let holds = found.as_deref().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found));
            (holds, found)
        };
        let path = directory.join(argument);
        let named = Some(argument.to_owned());
        // `directory` itself is what an empty name would come to.
        let given = !argument.is_empty();
        match subject {
            Subject::Environment => compared(&|name| surroundings.variable(name)),
            Subject::Option => compared(&|name| surroundings.option(name)),
            Subject::Exists => (given && access(&path, AccessFlags::R_OK).is_ok(), named),
            Subject::File => (given && path.is_file(), named),
            Subject::Directory => (given && path.is_dir(), named),
            Subject::Hostname => (argument == host_name(), named),
            // Both forms let everything through in uWSGI 2.0.31.
            Subject::HostnameMatch => (expected, None),
            Subject::Plugin => (is_built_in(argument), named),
            Subject::Reload => (surroundings.reload(), None),
        }
    }
}

/// Whether the work of a plugin of uWSGI is built in; the version behind its name does not matter.
pub fn is_built_in(plugin: &str) -> bool {
    BUILT_IN.contains(&plugin.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// The plugins of uWSGI whose work is built in.
const BUILT_IN: &[&str] = &[
    "python",
    "http",
    "uwsgi",
    "corerouter",
    "cache",
    "logfile",
    "logsocket",
    "ping",
    "rpc",
    "signal",
    "spooler",
    "syslog",
];

/// The lines of a file, without their ends and what stands behind a NUL; none when it can't be read.
fn lines(path: &Path, most: usize, most_bytes: u64) -> Vec<String> {
    let mut bytes = Vec::new();
    let Ok(file) = fs::File::open(path) else {
        return Vec::new();
    };
    if file.take(most_bytes).read_to_end(&mut bytes).is_err() || bytes.is_empty() {
        return Vec::new();
    }
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n').take(most);
    let cut = |line: &[u8]| line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    lines.map(|line| String::from_utf8_lossy(&line[..cut(line)]).trim_end_matches('\r').to_owned()).collect()
}
