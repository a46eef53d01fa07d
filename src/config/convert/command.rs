//! A command line of another server taken apart by the table of its options.
//!
//! Used by `gunicorn` and `granian`. Takes `--name value`, `--name=value`, unambiguous beginnings,
//! `-w4` and `-w 4`. Knows no server.

use std::path::Path;

use super::python::Part;

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

/// The servers whose command lines are known.
const SERVERS: &[&str] = &["gunicorn", "granian"];

/// A command line without what stands in front of the server, and that.
///
/// In front stand `exec`, `A=b`, `python -m`, a `Procfile`'s `web:`, `poetry run` and the like.
pub fn program(words: &[String]) -> (&[String], &[String]) {
    let is_server =
        |word: &String| Path::new(word).file_name().is_some_and(|name| SERVERS.iter().any(|server| name == *server));
    words.split_at(words.iter().position(is_server).unwrap_or(0))
}

/// Whether a word in front of the server has no effect of its own.
pub fn is_plain(word: &str) -> bool {
    let name = Path::new(word).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    matches!(name, "exec" | "env" | "nohup" | "sudo" | "-m" | "web:" | "$") || name.starts_with("python")
}

/// A variable that a word in front of the server sets.
pub fn variable(word: &str) -> Option<(&str, &str)> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    word.split_once('=').filter(|(name, _)| is_name(name))
}

/// Text as a shell's, where `$NAME`, `${NAME}` and `${NAME:-default}` are the environment's.
pub fn parts(text: &str) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, behind)) = rest.split_once('$') {
        let name_ends = |text: &str| text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (inside, after) = match behind.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(braced) => braced,
            None => behind.split_at(name_ends(behind)),
        };
        let (name, default) = match inside.split_at(name_ends(inside)) {
            (name, "") => (name, None),
            (name, more) => (name, more.strip_prefix(":-").or(more.strip_prefix('-')).map(String::from)),
        };
        if name.is_empty() || default.is_none() && name != inside {
            break;
        }
        if !before.is_empty() {
            parts.push(Part::literal(before));
        }
        parts.push(Part::Variable { name: name.into(), default });
        rest = after;
    }
    if !rest.is_empty() || parts.is_empty() {
        parts.push(Part::literal(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_shell_are_the_environments() {
        let variable = |name: &str, default: Option<&str>| Part::Variable {
            name: name.into(),
            default: default.map(String::from),
        };
        assert_eq!(parts("0.0.0.0:$PORT"), [Part::literal("0.0.0.0:"), variable("PORT", None)]);
        assert_eq!(parts("${A}b${C:-d}"), [variable("A", None), Part::literal("b"), variable("C", Some("d"))]);
        for plain in ["", "plain", "$", "$((2*4))", "${A%x}", "a$ b"] {
            assert_eq!(parts(plain), [Part::literal(plain)], "{plain}");
        }
    }
}
