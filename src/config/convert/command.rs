//! A command line of another server taken apart by the table of its options.
//!
//! Used by `gunicorn` and `granian`. Takes `--name value`, `--name=value`, unambiguous beginnings,
//! `-w4` and `-w 4`. Knows no server.

use std::path::Path;

/// One option of a server.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Its long form, without the dashes.
    pub name: &'static str,
    /// Other long forms.
    pub also: &'static [&'static str],
    /// Its letter.
    pub short: Option<char>,
    /// Whether a value follows.
    pub takes_value: bool,
}

/// What a command line said.
#[derive(Debug, Default)]
pub struct Parsed<'a> {
    /// The options in order, by name; without a value for a switch.
    pub options: Vec<(&'static str, Option<&'a str>)>,
    /// The words that belong to no option.
    pub words: Vec<&'a str>,
    /// Options that the table does not have.
    pub unknown: Vec<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Takes `arguments` apart.
    pub fn new(arguments: &'a [String], flags: &[Flag]) -> Self {
        let mut this = Self::default();
        let mut arguments = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                this.words.extend(arguments.by_ref());
            } else if let Some(long) = argument.strip_prefix("--") {
                let (name, mut value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value)),
                    None => (long, None),
                };
                let Some(flag) = find(name, flags) else {
                    this.unknown.push(argument);
                    // What follows an option nobody knows is more likely its value than the app.
                    if value.is_none() {
                        arguments.next_if(|next| !next.starts_with('-') && !next.contains(['.', ':']));
                    }
                    continue;
                };
                if flag.takes_value && value.is_none() {
                    value = arguments.next();
                }
                this.options.push((flag.name, value.filter(|_| flag.takes_value)));
            } else if let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                this.letters(letters, flags, &mut arguments, argument);
            } else {
                this.words.push(argument);
            }
        }
        this
    }

    fn letters(&mut self, letters: &'a str, flags: &[Flag], rest: &mut impl Iterator<Item = &'a str>, whole: &'a str) {
        for (index, letter) in letters.char_indices() {
            let Some(flag) = flags.iter().find(|flag| flag.short == Some(letter)) else {
                self.unknown.push(whole);
                return;
            };
            if flag.takes_value {
                let attached = &letters[index + letter.len_utf8()..];
                let value = if attached.is_empty() { rest.next() } else { Some(attached.trim_start_matches('=')) };
                self.options.push((flag.name, value));
                return;
            }
            self.options.push((flag.name, None));
        }
    }
}

fn find<'f>(name: &str, flags: &'f [Flag]) -> Option<&'f Flag> {
    if let Some(exact) = flags.iter().find(|flag| flag.name == name || flag.also.contains(&name)) {
        return Some(exact);
    }
    let mut near = flags.iter().filter(|flag| flag.name.starts_with(name));
    near.next().filter(|_| near.next().is_none() && !name.is_empty())
}

/// The command without what stands before the program: `exec`, `A=b`, `python -m`.
pub fn program(words: &[String]) -> &[String] {
    let mut words = words;
    loop {
        let name = words.first().and_then(|word| Path::new(word).file_name()?.to_str()).unwrap_or_default();
        let skip = match name {
            "exec" | "env" | "nohup" | "sudo" => 1,
            _ if name.starts_with("python") && words.get(1).is_some_and(|word| word == "-m") => 2,
            _ if name.split_once('=').is_some_and(|(key, _)| !key.is_empty() && !key.starts_with('-')) => 1,
            _ => return words,
        };
        words = &words[skip..];
    }
}
