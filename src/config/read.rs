//! From a [`Source`] to settings in the order they count: environment, command line, files.
//!
//! Files are read where they are named (uWSGI: `--ini`, `--include`), sections picked, `%` letters
//! replaced, and directives followed ([`Directive`]): blocks, loops, `set`. What a value means is
//! not known here. Whatever the files say, time and memory stay bounded.

pub mod immediate;
mod refusals;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::{Placeholders, read_at_most, reason};
use super::fetch::Fetch;
use super::formats;
use super::ini::{Entry, Ini, Odd};
use super::logic::{Block, Directive, Format, Surroundings, Test};
use super::magic::{FileFacts, Lost, Variables};
use super::setting::{Origin, Record, Setting, Stage};
use super::{Findings, Source, is_on, is_option, nearby, suggest};
use crate::error::{Code, Error};
use immediate::{Injected, Pieces};
use refusals::{is_near, no_file_before, no_section, no_top, takes, too_much, unclosed, unknown_format};

/// The section that is read when none is named.
const DEFAULT_SECTION: &str = "uwsgi";

/// Variables that begin like an option but are none (uWSGI's own state).
const NO_OPTIONS: &[&str] =
    &["UWSGI_RELOADS", "UWSGI_ORIGINAL_PROC_NAME", "UWSGI_VASSALS_DIR", "UWSGI_BROODLORD_NUM", "UWSGI_JAIL_PID"];

/// Options that uWSGI takes as soon as it reads them, so that their placeholders stay.
const EARLY: &[&str] = &[
    "strict",
    "listen",
    "umask",
    "flock",
    "flock2",
    "flock-wait",
    "flock-wait2",
    "immediate-uid",
    "immediate-gid",
    "plugins",
    "plugin",
    "need-plugins",
    "need-plugin",
    "plugins-dir",
    "plugin-dir",
    "autoload",
    "early-envdir",
    "spooler-processes",
];

/// How many settings everything together may come to.
const MOST_SETTINGS: usize = 100_000;

/// How many bytes one file may have.
const MOST_FILE: usize = 16 << 20;

/// How many bytes all files may have that are read, each as often as it is read.
const MOST_READ: usize = 64 << 20;

/// How many bytes all settings may have.
const MOST_HELD: usize = 24 << 20;

/// How deep files may include each other.
const MOST_DEPTH: usize = 64;

/// Reads a source; what it found is in the fields afterwards.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Everything that was set, directives included, in the order it counts.
    pub records: Vec<Record>,
    /// The first record of each key.
    pub first: HashMap<String, usize>,
    /// The templates of `declare-option`, by the name they declare.
    pub declared: HashMap<String, String>,
    /// Every file that was opened, absolute.
    pub files: Vec<PathBuf>,
    /// What went wrong.
    pub findings: Findings,
    source: &'a Source,
    directory: &'a Path,
    /// The file that upper-case letters are about; decided with the first file of all.
    outermost: Option<Option<FileFacts>>,
    /// The files and sections that are being read, the outermost first.
    open: Vec<(PathBuf, String)>,
    /// The file opened last, as it was named: `ini = :section` means that one.
    last: Option<String>,
    /// The block that is open; a file may open one that another closes.
    block: Option<Block>,
    /// Whether a block's line is being taken over: what it brings is no longer asked.
    within: bool,
    forbidden: Vec<String>,
    allowed: Option<Vec<String>>,
    injected: Injected,
    read: usize,
    /// How many bytes the settings have.
    held: usize,
    full: bool,
}

impl<'a> Reader<'a> {
    /// Prepares to read; relative files are relative to `directory`.
    pub fn new(source: &'a Source, directory: &'a Path) -> Self {
        Self {
            records: Vec::new(),
            first: HashMap::new(),
            declared: HashMap::new(),
            files: Vec::new(),
            findings: Findings::default(),
            source,
            directory,
            outermost: None,
            open: Vec::new(),
            last: None,
            block: None,
            within: false,
            forbidden: Vec::new(),
            allowed: None,
            injected: Injected::default(),
            read: 0,
            held: 0,
            full: false,
        }
    }

    /// Reads everything, also past what is wrong, so that all of it is told at once; then replaces
    /// placeholders. Answers with the keys that some placeholder named.
    pub fn read(&mut self) -> HashSet<String> {
        let source = self.source;
        for (name, value) in &source.environment {
            self.variable(name, value);
        }
        for setting in &source.arguments {
            self.add(setting.clone());
        }
        for file in &source.files {
            let by = Setting { key: String::new(), value: file.clone(), origin: Origin::CommandLine };
            self.load(&by, None);
        }
        let placeholders = Placeholders::new(source, self.directory, self.may_exec(), &self.first);
        let used = placeholders.expand(&mut self.records, &mut self.findings);
        self.inherit();
        self.print_what_was_asked();
        if let Some(block) = self.block.as_ref().filter(|_| !self.full) {
            let message = format!("`{}` has no `end`", block.setting.key);
            let error = Error::new(Code::BadConfigFile, message).at(&block.setting);
            self.findings.warn(error.fact("everything below belongs to it, to the end of the last file"));
        }
        used
    }

    /// uWSGI: `UWSGI_FOO_BAR=v` is the option `foo-bar`.
    fn variable(&mut self, name: &str, value: &str) {
        let Some(key) = name.strip_prefix("UWSGI_") else {
            return;
        };
        if NO_OPTIONS.contains(&name) || key.starts_with("EMPEROR_") || key.is_empty() {
            return;
        }
        self.add(Setting {
            key: key.to_lowercase().replace('_', "-"),
            value: value.into(),
            origin: Origin::Environment(name.into()),
        });
    }

    /// Files of `inherit` are read when placeholders are replaced, which is why theirs are not.
    fn inherit(&mut self) {
        let mut index = 0;
        while let Some(record) = self.records.get_mut(index) {
            if record.setting.key == "inherit" && record.stage == Stage::Open {
                record.stage = Stage::Done;
                let by = record.setting.clone();
                self.load(&by, None);
            }
            index += 1;
        }
    }

    /// Takes a setting, unless the open block keeps it out.
    fn add(&mut self, setting: Setting) {
        if self.full || self.is_forbidden(&setting) {
            return;
        }
        if !self.within {
            if Directive::find(&setting.key) == Some(Directive::Close) {
                if self.block.take().is_none() {
                    let message = format!("`{}` ends nothing: no block is open here", setting.key);
                    self.findings
                        .warn(Error::new(Code::OptionMisused, message).at(&setting).part(setting.key.as_str()));
                }
            } else if let Some(block) = &self.block {
                let turns = block.turns(self.directory, self);
                for context in turns {
                    let mut setting = setting.clone();
                    if let Some(context) = context {
                        setting.value = setting.value.replace("%(_)", &context);
                    }
                    self.within = true;
                    self.push(setting);
                    self.within = false;
                }
                return;
            }
        }
        self.push(setting);
    }

    /// uWSGI: `--blacklist`, `--whitelist`.
    fn is_forbidden(&mut self, setting: &Setting) -> bool {
        let listed = |list: &[String]| list.contains(&setting.key);
        let by = match &self.allowed {
            _ if listed(&self.forbidden) => "blacklist",
            Some(allowed) if !listed(allowed) => "whitelist",
            _ => return false,
        };
        let message = format!("`{}` is forbidden here by a `{by}`", setting.key);
        self.findings.fail(Error::new(Code::OptionMisused, message).at(setting));
        true
    }

    /// Takes a setting, and does what it says when it is a directive.
    fn push(&mut self, setting: Setting) {
        if self.full {
            return;
        }
        if self.records.len() >= MOST_SETTINGS {
            let message = format!("there are more than {MOST_SETTINGS} settings");
            return self.give_up(self.looped(Error::new(Code::TooLarge, message).at(&setting)));
        }
        self.held += setting.key.len() + setting.value.len();
        if self.held > MOST_HELD {
            let message = format!("the settings come to more than {} MB", MOST_HELD >> 20);
            return self.give_up(self.looped(Error::new(Code::TooLarge, message).at(&setting)));
        }
        let directive = Directive::find(&setting.key);
        self.record(setting.clone(), if directive.is_some() { Stage::Done } else { Stage::Open });
        if let Some(directive) = directive {
            self.follow(directive, &setting);
        }
    }

    fn record(&mut self, setting: Setting, stage: Stage) {
        let stage = match EARLY.contains(&setting.key.as_str()) && stage == Stage::Open {
            true => Stage::Early,
            false => stage,
        };
        if !self.first.contains_key(&setting.key) {
            self.first.insert(setting.key.clone(), self.records.len());
        }
        self.records.push(Record { setting, stage });
    }

    fn follow(&mut self, directive: Directive, setting: &Setting) {
        let words = || setting.value.split(' ').filter(|word| !word.is_empty()).map(String::from).collect();
        match directive {
            Directive::Load(format) => self.load(setting, format),
            Directive::Set | Directive::SetPlaceholder => self.set(setting, directive == Directive::SetPlaceholder),
            Directive::Declare => match setting.value.split_once('=') {
                Some((name, template)) => {
                    self.declared.entry(name.into()).or_insert_with(|| template.into());
                }
                None => self.findings.fail(takes(setting, "name=option=value;…")),
            },
            Directive::Blacklist(true) => self.forbidden = words(),
            Directive::Blacklist(false) => self.forbidden = Vec::new(),
            Directive::Whitelist(true) => self.allowed = Some(words()),
            Directive::Whitelist(false) => self.allowed = None,
            Directive::Close => {}
            Directive::Act(act) => self.act(act, setting),
            Directive::Open(test) => self.open_block(test, setting),
        }
    }

    fn set(&mut self, setting: &Setting, placeholder: bool) {
        let Some((key, value)) = setting.value.split_once('=') else {
            return self.findings.fail(takes(setting, "key=value"));
        };
        let made = Setting { key: key.into(), value: value.into(), origin: setting.origin.clone() };
        if !placeholder {
            if !self.is_forbidden(&made) {
                self.push(made);
            }
            return;
        }
        if is_option(key) {
            let message = format!("`{key}` is an option and can't be a placeholder");
            let error = Error::new(Code::OptionMisused, message).at(setting);
            return self.findings.fail(error.hint(format!("{key} = {}", value.trim())));
        }
        if key.trim() != key {
            let message = format!("the blank belongs to the placeholder's name: `{key}`");
            let error = Error::new(Code::BadValue, message).at(setting);
            self.findings.warn(error.hint(format!("{} = {}={}", setting.key, key.trim(), value.trim())));
        }
        if !self.is_forbidden(&made) {
            self.record(made, Stage::Placeholder);
        }
    }

    fn open_block(&mut self, test: Test, setting: &Setting) {
        if let Some(block) = &self.block {
            let message = format!("`{}` stands inside of `{}`: blocks can't be nested", setting.key, block.setting.key);
            let error = Error::new(Code::BadConfigFile, message).at(setting);
            return self.findings.fail(error.fact(format!("open since {}", block.setting)));
        }
        if matches!(test, Test::If(super::logic::Subject::HostnameMatch, _)) {
            let message =
                format!("`{}` lets everything through, as it does under uWSGI {}", setting.key, super::UWSGI_VERSION);
            self.findings.warn(Error::new(Code::OptionMisused, message).at(setting));
        }
        self.block = Some(Block::open(test, setting.clone(), self.directory, MOST_SETTINGS + 1, MOST_FILE as u64));
    }

    /// Reads the file and section that a setting names, written as `format` or as the ending says.
    fn load(&mut self, setting: &Setting, format: Option<Format>) {
        if let Err(error) = self.file(setting, format) {
            self.findings.fail(error);
        }
    }

    fn file(&mut self, setting: &Setting, format: Option<Format>) -> Result<(), Error> {
        let (named, section) = self.named(setting)?;
        let Some(written) = format.or_else(|| Format::of(&named)) else {
            return Err(unknown_format(&named, setting));
        };
        let is_file = named != "-" && !named.contains("://");
        let path = if is_file { self.absolute(&named) } else { PathBuf::new() };
        let here = FileFacts { named, path, section };
        let step =
            (PathBuf::from(if is_file { here.path.as_os_str() } else { here.named.as_ref() }), here.section.clone());
        if self.open.contains(&step) {
            return Err(self.circle(&step, &here, setting));
        }
        if self.open.len() >= MOST_DEPTH {
            let message = format!("files include each other more than {MOST_DEPTH} deep");
            return Err(Error::new(Code::TooLarge, message).at(setting));
        }
        let text = self.text(&here, setting)?;
        let (text, pieces) = self.surrounded(&here.named, text)?;
        self.read += text.len();
        if self.read > MOST_READ {
            self.give_up(
                Error::new(Code::TooLarge, format!("the files come to more than {} MB", MOST_READ >> 20)).at(setting),
            );
            return Ok(());
        }
        if is_file && !self.files.contains(&here.path) {
            self.files.push(here.path.clone());
        }
        self.last = Some(here.named.clone());
        // uWSGI: a file that no option such as `--ini` named leaves the upper-case letters empty.
        self.outermost.get_or_insert_with(|| format.map(|_| here.clone()));
        self.open.push(step);
        let result = match written {
            Format::Ini => self.ini(&text, &here, &pieces, setting),
            _ => self.other(written, &text, &here, &pieces, setting),
        };
        self.open.pop();
        result
    }

    /// The file and the section that a setting names.
    fn named(&self, setting: &Setting) -> Result<(String, String), Error> {
        let value = setting.value.as_str();
        // The last colon behind a scheme's path, if any.
        let from = if value.contains("://") { value.rfind('/').map_or(0, |at| at + 1) } else { 0 };
        let (file, section) = match value[from..].rfind(':').map(|at| from + at) {
            Some(at) if !value[at..].contains('/') => (&value[..at], &value[at + 1..]),
            _ => (value, ""),
        };
        match (file, &self.last) {
            ("", _) if section.is_empty() => {
                let message = format!("`{}` names no file", setting.key);
                Err(Error::new(Code::ConfigUnreadable, message).at(setting))
            }
            ("", Some(last)) => Ok((last.clone(), section.into())),
            ("", None) => Err(no_file_before(setting)),
            _ => Ok((file.into(), section.into())),
        }
    }

    /// What stands in a file, or whatever else the name leads to.
    fn text(&self, here: &FileFacts, by: &Setting) -> Result<Arc<Vec<u8>>, Error> {
        let named = here.named.as_str();
        let read = match named {
            "-" => self.source.stdin(),
            _ if !named.contains("://") => read_at_most(&here.path, MOST_FILE).map(Arc::new),
            _ => {
                let fetch = Fetch { directory: self.directory, allow_exec: self.may_exec(), most: MOST_FILE };
                fetch.read(named, by)?.map(Arc::new)
            }
        };
        read.map_err(|cause| self.unreadable(named, &cause, by))
    }

    fn may_exec(&self) -> bool {
        is_on(&self.records, "allow-exec")
    }

    fn variables<'b>(&'b self, here: &'b FileFacts) -> Variables<'b> {
        Variables {
            here,
            outermost: self.outermost.as_ref().and_then(Option::as_ref),
            directory: self.directory,
            started: self.source.started,
            known: RefCell::default(),
        }
    }

    /// Takes over the settings of the section that `here` asks for.
    fn ini(&mut self, text: &[u8], here: &FileFacts, pieces: &Pieces, by: &Setting) -> Result<(), Error> {
        let at = |line| pieces.origin(line);
        let text = self.without_mark(text, &here.named)?;
        let variables = self.variables(here);
        let mut lines = variables.lines(text, MOST_FILE);
        let ini = Ini::parse(&mut lines, MOST_SETTINGS);
        if lines.overlong() || ini.too_many {
            return Err(too_much(here, by));
        }
        let wanted = match here.section.as_str() {
            "" => DEFAULT_SECTION,
            section => section,
        };
        for (line, reason) in &ini.broken {
            let error = Error::new(Code::BadConfigFile, format!("cannot read a line: {reason}"));
            self.findings.fail(error.at(at(*line)));
        }
        if let Some((line, name)) = ini.unclosed.iter().find(|(_, name)| name != wanted && is_near(name, wanted))
            && !ini.names().contains(&wanted)
        {
            let error = Error::new(Code::NoSection, format!("`{}` has no section `[{wanted}]`", here.named));
            return Err(unclosed(error, name, wanted).at(at(*line)));
        }
        for (line, name) in ini.unclosed.iter().take(MOST_TOLD) {
            let error = Error::new(Code::BadConfigFile, "a section's line does not end with `]`");
            self.findings.warn(unclosed(error, name, wanted).at(at(*line)));
        }
        for (lines, message) in [
            (&ini.not_utf8, "a line is not UTF-8: its odd bytes are replaced"),
            (&ini.cut, "a line ends at a NUL byte, what stands behind it is not read"),
            (&ini.stray, "a line above the first section is not read"),
        ] {
            for line in lines.iter().take(MOST_TOLD) {
                self.findings.warn(Error::new(Code::BadConfigFile, message).at(at(*line)));
            }
        }
        let sections: Vec<_> = ini.sections.iter().filter(|section| section.name == wanted).collect();
        if sections.is_empty() && ini.broken.is_empty() {
            return Err(no_section(&ini, here, wanted, by));
        }
        for odd in ini.odd.iter().take(MOST_TOLD) {
            let read =
                odd.section.and_then(|index| ini.sections.get(index)).is_some_and(|section| section.name == wanted);
            if read && !odd.comment || odd.lost.contains(&Lost::LineEnd) {
                self.warn_of_odd(odd, at(odd.line));
            }
        }
        for section in ini.sections.into_iter().filter(|section| section.name == wanted) {
            for Entry { line, key, value } in section.entries {
                self.add(Setting { key, value, origin: at(line) });
            }
        }
        Ok(())
    }

    /// The same for YAML, JSON, XML and TOML.
    fn other(
        &mut self,
        format: Format,
        text: &[u8],
        here: &FileFacts,
        pieces: &Pieces,
        by: &Setting,
    ) -> Result<(), Error> {
        let at = |line| pieces.origin(line);
        let (mut plain, mut numbers, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        let text = self.without_mark(text, &here.named)?;
        let variables = self.variables(here);
        let mut lines = variables.lines(text, MOST_FILE);
        for line in &mut lines {
            numbers.push(line.number);
            let read_as = String::from_utf8_lossy(&line.text).trim().to_owned();
            if !line.lost.is_empty() && odd.len() < MOST_TOLD {
                let comment = read_as.starts_with('#') && !line.lost.contains(&Lost::LineEnd);
                let raw = String::from_utf8_lossy(&line.raw).into_owned();
                odd.push(Odd { line: line.number, section: None, comment, lost: line.lost, raw, read_as });
            }
            plain.extend(line.text);
            plain.push(b'\n');
        }
        if lines.overlong() {
            return Err(too_much(here, by));
        }
        for odd in odd.iter().filter(|odd| !odd.comment) {
            self.warn_of_odd(odd, at(odd.line));
        }
        let original = |line: usize| line.checked_sub(1).and_then(|index| numbers.get(index)).copied().unwrap_or(line);
        let wanted = match here.section.as_str() {
            "" => DEFAULT_SECTION,
            section => section,
        };
        let entries = formats::read(format, &plain, wanted, MOST_SETTINGS).map_err(|broken| {
            let error = Error::new(Code::BadConfigFile, format!("cannot read `{}`: {}", here.named, broken.reason));
            let error = match broken.line {
                Some(line) => error.at(at(original(line))),
                None => error.at(by),
            };
            match format {
                Format::Toml => error.hint("text stands in quotes in TOML: socket = \"127.0.0.1:3031\""),
                _ => error,
            }
        })?;
        let Some(entries) = entries else {
            return Err(no_top(format, here, wanted, by));
        };
        for Entry { line, key, value } in entries {
            self.add(Setting { key, value, origin: at(original(line)) });
        }
        Ok(())
    }

    /// Says what a `%` took from a line, and what is left of it.
    fn warn_of_odd(&mut self, odd: &Odd, origin: Origin) {
        let Some(lost) = odd.lost.iter().find(|lost| **lost == Lost::LineEnd).or(odd.lost.first()) else {
            return;
        };
        let cut = |text: &str| text.chars().take(200).collect::<String>().replace('\n', "⏎");
        let name = |byte: u8| char::from(byte).escape_default().to_string();
        let (message, hint) = match *lost {
            Lost::LineEnd => (
                "the `%` at the end of the line joins the next line to it".to_owned(),
                "a literal percent sign in a file is `%%`".to_owned(),
            ),
            Lost::Letter(b'\r') => (
                "the `%` at the end of the line stands for nothing and is cut out".into(),
                "a literal percent sign in a file is `%%`".into(),
            ),
            Lost::Letter(byte) if byte.is_ascii_graphic() => (
                format!("`%{}` stands for nothing and is cut out", char::from(byte)),
                format!("a literal percent sign in a file is `%%`: `%%{}`", char::from(byte)),
            ),
            Lost::Letter(byte) => (
                format!("`%` takes what follows it with it: `%{}` is cut out", name(byte)),
                "a literal percent sign in a file is `%%`".into(),
            ),
            Lost::Empty(byte) => (
                format!(
                    "`%{}` is empty: it is about a file that an option such as `--ini` names first",
                    char::from(byte)
                ),
                format!("`%{}` is about this file", char::from(byte.to_ascii_lowercase())),
            ),
        };
        let error = Error::new(Code::StrayPercent, message).at(format_args!("{origin}: {}", cut(&odd.raw)));
        self.findings.warn(error.fact(format!("read as: {}", cut(&odd.read_as))).hint(hint));
    }

    /// Notes that nothing more is read.
    fn give_up(&mut self, error: Error) {
        self.full = true;
        self.findings.fail(error);
    }

    /// The path without links and dots in its directories; a link in its last place is kept.
    fn absolute(&self, named: &str) -> PathBuf {
        let path = self.directory.join(named);
        match (path.parent().map(fs::canonicalize), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => parent.join(name),
            _ => path,
        }
    }
}

impl Surroundings for Reader<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.source.variable(name)
    }

    fn option(&self, name: &str) -> Option<String> {
        let index = self.first.get(name)?;
        self.records.get(*index).map(|record| record.setting.shown().to_owned())
    }

    fn reload(&self) -> bool {
        self.source.reload
    }
}

/// How many odd lines of one kind are told.
const MOST_TOLD: usize = 50;
