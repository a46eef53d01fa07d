//! What stands for something else in a value: `$(HOME)`, `@(file)`, `%(key)`.
//!
//! Called by `Config::load` when everything is read, in uWSGI's order: all variables, then all
//! files, then all keys, each kind from the first setting to the last. Reads the files named by `@( )`; changes nothing.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::arithmetic::reckon;
use super::fetch::Fetch;
use super::setting::{Record, Setting, Stage};
use super::{Findings, Source, is_option, suggest};
use crate::error::{Code, Error};

/// How many bytes one value may have.
const MOST_VALUE: usize = 1 << 20;

/// How many bytes all values together may have.
const MOST_TOTAL: usize = 24 << 20;

/// How many placeholders of one value are replaced.
const MOST_TURNS: usize = 10_000;

/// How many bytes may be looked through for all values, so that long ones with many placeholders end.
const MOST_MOVED: usize = 64 << 20;

/// Replaces the placeholders of one reading.
#[derive(Debug)]
pub struct Placeholders<'a> {
    source: &'a Source,
    directory: &'a Path,
    allow_exec: bool,
    /// The first setting of each key.
    first: &'a HashMap<String, usize>,
    /// The keys that some `%( )` named.
    used: HashSet<String>,
    /// How many bytes were made.
    made: usize,
    /// How many bytes were looked through to make them.
    moved: usize,
}

impl<'a> Placeholders<'a> {
    /// Prepares to replace; relative files are relative to `directory`, `first` has the first
    /// setting of each key, and `@(exec://…)` runs only with `allow_exec`.
    pub fn new(source: &'a Source, directory: &'a Path, allow_exec: bool, first: &'a HashMap<String, usize>) -> Self {
        Self { source, directory, allow_exec, first, used: HashSet::new(), made: 0, moved: 0 }
    }

    /// Replaces them in all records that are still open. What can't be resolved is left as it
    /// stands. Answers with the keys that some `%( )` named.
    pub fn expand(mut self, records: &mut [Record], findings: &mut Findings) -> HashSet<String> {
        for symbol in [b'$', b'@', b'%'] {
            for index in 0..records.len() {
                let Record { setting, stage } = &records[index];
                let early = *stage == Stage::Early;
                if !(early || *stage == Stage::Open) || !setting.value.as_bytes().contains(&symbol) {
                    continue;
                }
                if early {
                    self.warn_of_early(symbol, records, index, findings);
                    continue;
                }
                match self.replaced(symbol, records, index) {
                    Ok(value) => {
                        if let Some(value) = value {
                            self.made += value.len();
                            records[index].setting.value = value;
                        }
                        self.warn_of_open(symbol, &records[index].setting, findings);
                        if symbol == b'%' {
                            self.warn_of_unset(&records[index].setting, findings);
                            self.warn_of_rest(records, index, findings);
                        }
                    }
                    Err(error) => findings.fail(error),
                }
                if self.moved > MOST_MOVED {
                    return self.used;
                }
                if self.made > MOST_TOTAL {
                    let message = format!("the values grow over {} MB by their placeholders", MOST_TOTAL >> 20);
                    findings.fail(Error::new(Code::TooLarge, message).at(&records[index].setting));
                    return self.used;
                }
            }
        }
        self.used
    }

    /// The value with one kind of placeholder replaced; `None` where there is none.
    ///
    /// uWSGI begins anew behind the first character, so that placeholders in the replacement count,
    /// and those it completes, except at the very beginning of the value.
    fn replaced(&mut self, symbol: u8, records: &[Record], index: usize) -> Result<Option<String>, Error> {
        let setting = &records[index].setting;
        let mut text: Option<String> = None;
        let (mut at, mut turns) = (0, 0_usize);
        loop {
            let current = text.as_deref().unwrap_or(&setting.value);
            let Some((start, end)) = (Found { text: current.as_bytes(), symbol, at }).next() else {
                return Ok(text);
            };
            let name = &current[start + 2..end - 1];
            let found = match symbol {
                b'$' => self.source.variable(name),
                b'@' => Some(self.contents(name, setting)?),
                _ => match reckon(name, &mut |name| self.key(name, records)) {
                    Some(result) => Some(result),
                    None => self.key(name, records),
                },
            };
            let Some(found) = found else {
                at = end;
                continue;
            };
            turns += 1;
            self.moved += current.len();
            if turns > MOST_TURNS || self.moved > MOST_MOVED {
                let message = format!("the placeholders in the value of `{}` lead to no end", setting.key);
                return Err(Error::new(Code::TooLarge, message).at(setting));
            }
            if current.len() + found.len() > MOST_VALUE {
                let message = format!("the value of `{}` grows over {} MB", setting.key, MOST_VALUE >> 20);
                return Err(Error::new(Code::TooLarge, message).at(setting));
            }
            let mut next = text.take().unwrap_or_else(|| setting.value.clone());
            next.replace_range(start..end, &found);
            text = Some(next);
            at = 1;
        }
    }

    /// The value of a key as it is by now, its first one.
    fn key(&mut self, name: &str, records: &[Record]) -> Option<String> {
        let index = self.first.get(name)?;
        self.used.insert(name.into());
        records.get(*index).map(|record| record.setting.shown().to_owned())
    }

    fn contents(&self, name: &str, by: &Setting) -> Result<String, Error> {
        let fetch = Fetch { directory: self.directory, allow_exec: self.allow_exec, most: MOST_VALUE };
        let bytes = fetch.text(name, by)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.split('\0').next().unwrap_or_default().to_owned())
    }

    /// A placeholder that is not over at the end of the value.
    fn warn_of_open(&self, symbol: u8, setting: &Setting, findings: &mut Findings) {
        if let Some(open) = unclosed(&setting.value, symbol) {
            let message = format!("`{open}` is never closed and stays as it is");
            findings.warn(Error::new(Code::Unresolved, message).at(setting).part(open).hint(format!("{open})")));
        }
    }

    /// A name that nobody set. Formats of log lines have names of their own.
    fn warn_of_unset(&self, setting: &Setting, findings: &mut Findings) {
        if !is_option(&setting.key) || setting.key.contains("format") {
            return;
        }
        let mut left = Found::new(&setting.value, b'%').map(|(start, end)| &setting.value[start + 2..end - 1]);
        let Some(unset) = left.find(|name| !self.first.contains_key(*name) && !name.contains(' ')) else {
            return;
        };
        let message = format!("`%({unset})` stays as it is: nothing sets `{unset}`");
        let error = Error::new(Code::Unresolved, message).at(setting).part(format!("%({unset})"));
        let near = suggest::nearest(unset, self.first.keys().map(String::as_str).take(MOST_COMPARED));
        findings.warn(match suggest::sentence(&near) {
            Some(sentence) => error.hint(sentence),
            None => error.hint(format!("{unset} = VALUE")),
        });
    }

    /// A value that still names a key.
    fn warn_of_rest(&mut self, records: &[Record], index: usize, findings: &mut Findings) {
        let setting = &records[index].setting;
        let left = Found::new(&setting.value, b'%').map(|(start, end)| &setting.value[start + 2..end - 1]);
        let known = left.filter(|name| self.first.contains_key(*name)).take(1).collect::<Vec<_>>();
        for name in known {
            self.used.insert(name.into());
            let itself = format!("%({name})");
            let circle = self.first.get(name).and_then(|first| records.get(*first));
            if circle.is_some_and(|first| first.setting.value.contains(&itself)) {
                let message = format!("`{itself}` leads back to itself, and stays in the value of `{}`", setting.key);
                let error = Error::new(Code::BadValue, message).at(setting).part(itself);
                findings.warn(error.hint(format!("give `{name}` a value that does not lead to it again")));
                continue;
            }
            let message = format!("`%({name})` stays as it is in the value of `{}`", setting.key);
            let error = Error::new(Code::BadValue, message).at(setting);
            findings.warn(
                error
                    .fact("uWSGI leaves a placeholder that another one begins with")
                    .hint(format!("set `{name}` above the lines that use it")),
            );
        }
    }

    fn warn_of_early(&mut self, symbol: u8, records: &[Record], index: usize, findings: &mut Findings) {
        let setting = &records[index].setting;
        if let Some((start, end)) = Found::new(&setting.value, symbol).next() {
            let name = &setting.value[start + 2..end - 1];
            if symbol == b'%' {
                self.used.insert(name.into());
            }
            let message = format!("`{}` stays as it is: `{}` is read at once", &setting.value[start..end], setting.key);
            findings.warn(Error::new(Code::BadValue, message).at(setting));
        }
    }
}

/// The placeholders of a text: where each begins, and where it is over.
///
/// uWSGI: the symbol, `(`, at least one character, `)`; parentheses inside come in pairs. A symbol
/// inside begins anew, so `%(a%(b))` is `%(b)` with something around it.
struct Found<'a> {
    text: &'a [u8],
    symbol: u8,
    at: usize,
}

impl<'a> Found<'a> {
    fn new(text: &'a str, symbol: u8) -> Self {
        Self { text: text.as_bytes(), symbol, at: 0 }
    }
}

impl Iterator for Found<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let mut begun: Option<(usize, usize)> = None;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            if byte == self.symbol {
                begun = (self.text.get(self.at) == Some(&b'(')).then_some((self.at - 1, 0));
                self.at += usize::from(begun.is_some());
                continue;
            }
            let Some((start, depth)) = &mut begun else {
                continue;
            };
            match byte {
                b'(' => *depth += 1,
                b')' if *depth > 0 => *depth -= 1,
                b')' if self.at == *start + 3 => begun = None,
                b')' => return Some((*start, self.at)),
                _ => {}
            }
        }
        None
    }
}

/// What a value has from the last opening on that no `)` follows; uWSGI leaves it.
fn unclosed(value: &str, symbol: u8) -> Option<&str> {
    let at = value.rfind(&format!("{}(", char::from(symbol)))?;
    let rest = &value[at..];
    (!rest.contains(')')).then(|| rest.get(..MOST_SHOWN).unwrap_or(rest).trim_end())
}

/// How many keys are looked at for one that was meant.
const MOST_COMPARED: usize = 1000;

/// How many bytes of one are shown.
const MOST_SHOWN: usize = 60;

/// The message about a command that nobody allowed.
pub fn exec_forbidden(by: &Setting) -> Error {
    let message = "a configuration runs commands only where that is allowed";
    Error::new(Code::OptionMisused, message).at(by).hint("allow-exec = true")
}

/// What a command writes to its stdout, run by the shell (uWSGI: `exec://`).
///
/// Errors: it can't be started, or writes more than `most` bytes.
pub fn output_of(command: &str, directory: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let read = child.stdout.take().map(|output| bounded(output, most)).unwrap_or_else(|| Ok(Vec::new()));
    if read.is_err() {
        let _ = child.kill();
    }
    // Somebody else may have waited for it: its output is all that counts.
    let _ = child.wait();
    read
}

/// A file's bytes. Errors: it can't be read, or has more than `most` bytes.
pub fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?, most)
}

/// Everything that can be read. Errors: reading fails, or there are more than `most` bytes.
pub fn bounded(from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {} MB", most >> 20))),
        false => Ok(bytes),
    }
}

/// Why a file could not be read, in words.
pub fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Origin;

    fn placeholders(pairs: &[(&str, &str)], allow_exec: bool) -> (Vec<String>, Findings, HashSet<String>) {
        let mut first = HashMap::new();
        let mut records = Vec::new();
        for (index, (key, value)) in pairs.iter().enumerate() {
            first.entry((*key).to_owned()).or_insert(index);
            let origin = Origin::File { file: "a.ini".into(), line: index + 1 };
            records.push(Record {
                setting: Setting { key: (*key).into(), value: (*value).into(), origin },
                stage: Stage::Open,
            });
        }
        let environment = [("HOME", "/root"), ("N", "HOME"), ("P", "%(one)")];
        let source = Source {
            environment: environment.map(|(name, value)| (name.into(), value.into())).into(),
            ..Source::default()
        };
        let mut findings = Findings::default();
        let placeholders = Placeholders::new(&source, Path::new("/"), allow_exec, &first);
        let used = placeholders.expand(&mut records, &mut findings);
        (records.into_iter().map(|record| record.setting.value).collect(), findings, used)
    }

    fn value(text: &str) -> String {
        let pairs = [
            ("v", text),
            ("one", "1"),
            ("s1", "q"),
            ("pc", "%"),
            ("x(y)", "k"),
            ("fwd", "%(s1)"),
            ("empty", ""),
            ("deep", "x%(one)"),
        ];
        placeholders(&pairs, false).0.remove(0)
    }

    #[test]
    fn placeholders_are_those_of_uwsgi() {
        for (text, result) in [
            ("%(one)%(s1)x", "1qx"),
            ("%(nope) %() %( )", "%(nope) %() %( )"),
            ("%(s%(one))", "%(s1)"),
            ("%(a%(nope)b)%(one)", "%(a%(nope)b)1"),
            ("%(x(y))|%(x(y)|)|", "k|%(x(y)|)|"),
            ("%((one))|%(one(2))", "%((one))|%(one(2))"),
            ("%(one|%one)|%(one", "%(one|%one)|%(one"),
            ("%(pc)(one)", "%(one)"),
            ("%%(one)|$%(one)", "%1|$1"),
            ("%(fwd)", "%(s1)"),
            ("%(one + 2) %(one", "3 %(one"),
            ("$(HOME)|$(NOPE)|$($(N))|$(P)", "/root|$(NOPE)|/root|1"),
            ("$()|$(HOME|$HOME", "$()|$(HOME|$HOME"),
            ("$(X_%(one))", "$(X_1)"),
            ("é%(one)é", "é1é"),
            ("%(empty)%(one)|a%(empty)%(one)|%(empty)%(empty)%(one)", "%(one)|a1|1"),
            ("%(deep)|%(deep)", "x1|x1"),
            ("%(fwd)|%(fwd)", "%(s1)|q"),
        ] {
            assert_eq!(value(text), result, "{text}");
        }
    }

    #[test]
    fn later_settings_see_what_earlier_ones_became() {
        let (values, findings, used) =
            placeholders(&[("c0", "%(c1)/z"), ("c1", "%(c2)"), ("c2", "end"), ("c3", "%(c1)"), ("c2", "no")], false);
        assert_eq!(values, ["%(c2)/z", "end", "end", "end", "no"]);
        assert!(used.contains("c1") && used.contains("c2") && !used.contains("c0"));
        assert_eq!(
            findings.warnings[0].to_string(),
            "warning[RW0103]: `%(c2)` stays as it is in the value of `c0`\n  --> a.ini:1: c0 = %(c2)/z\n  \
             uWSGI leaves a placeholder that another one begins with\n\
             hint: set `c2` above the lines that use it"
        );
        assert_eq!(placeholders(&[("a", "%(a)x")], false).0, ["%(a)xx"]);
        assert_eq!(placeholders(&[("a", "%(b)x"), ("b", "%(a)y")], false).0, ["%(a)yx", "%(a)yxy"]);
        let (_, findings, _) = placeholders(&[("a", "x%(a)")], false);
        assert_eq!(findings.errors[0].message, "the placeholders in the value of `a` lead to no end");
    }

    #[test]
    fn files_give_their_contents() {
        let file = std::env::temp_dir().join(format!("rustwsgi-expand-{}", std::process::id()));
        std::fs::write(&file, "secret\n\n").unwrap();
        let (values, findings, _) = placeholders(&[("a", &format!("<@({})>", file.display())), ("b", "@()")], false);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(values, ["<secret\n>", "@()"]);
        assert!(findings.errors.is_empty());
        let (_, findings, _) = placeholders(&[("a", "@(/nowhere)"), ("b", "@(/dev/zero)"), ("c", "@(/)")], false);
        let errors: Vec<_> = findings.errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(
            errors,
            [
                "cannot read `/nowhere`: no such file",
                "cannot read `/dev/zero`: more than 1 MB",
                "cannot read `/`: it is a directory"
            ]
        );
    }

    #[test]
    fn commands_run_where_that_is_allowed() {
        let pairs = [("a", "@(exec://printf 'x y')"), ("b", "@(exec://yes)")];
        let (values, findings, _) = placeholders(&pairs, true);
        assert_eq!(values[0], "x y");
        assert_eq!(findings.errors[0].message, "cannot read `exec://yes`: more than 1 MB");
        let (_, findings, _) = placeholders(&pairs[..1], false);
        assert_eq!(findings.errors[0].hints, ["allow-exec = true"]);
    }

    #[test]
    fn values_that_grow_without_end_are_refused() {
        let mut pairs = vec![("k0".to_owned(), "x".repeat(10))];
        pairs.extend((1..100).map(|n| (format!("k{n}"), format!("%(k{0})%(k{0})", n - 1))));
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let (values, findings, _) = placeholders(&pairs, false);
        assert!(!findings.errors.is_empty());
        assert!(values.iter().map(String::len).sum::<usize>() < 200 << 20);
    }
}
