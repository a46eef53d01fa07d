//! An ini file taken apart: its sections and their lines, with the line numbers.
//!
//! Used by `read`. Takes every file that uWSGI takes: blanks round everything, `;` and `#`
//! comments on lines of their own, bare keys, repeated keys, repeated sections, CRLF. Knows no
//! option, opens no file; the `%` letters are replaced already.

use std::convert::Infallible;

use serde_ini::parse::{Error as LineError, Item, Parser};

use super::magic::{Line, Lost};

/// The parts of one file.
#[derive(Debug, Default)]
pub struct Ini {
    /// Sections in order; one that stands twice is there twice.
    pub sections: Vec<Section>,
    /// Lines with a setting above the first section; nobody reads them.
    pub stray: Vec<usize>,
    /// Lines that can't be read, with the reason.
    pub broken: Vec<(usize, String)>,
    /// Lines that are not UTF-8; the odd bytes are replaced.
    pub not_utf8: Vec<usize>,
    /// Lines that end at a NUL byte.
    pub cut: Vec<usize>,
    /// Lines of sections that do not end in `]`, with the name they come to.
    pub unclosed: Vec<(usize, String)>,
    /// Lines that a `%` took something from.
    pub odd: Vec<Odd>,
    /// Whether there were more settings than anybody writes, and reading ended there.
    pub too_many: bool,
}

/// A line that is read otherwise than it stands there, because of a `%`.
#[derive(Debug, PartialEq, Eq)]
pub struct Odd {
    /// The line, from 1.
    pub line: usize,
    /// The section it stands in, as an index; `None` above the first.
    pub section: Option<usize>,
    /// Whether it is a comment.
    pub comment: bool,
    /// What was cut out.
    pub lost: Vec<Lost>,
    /// The line as it stands in the file.
    pub raw: String,
    /// What it is read as.
    pub read_as: String,
}

/// `[name]` and what stands below it.
#[derive(Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// The line of the header, from 1.
    pub line: usize,
    /// The settings below it, in order.
    pub entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line, from 1.
    pub line: usize,
    /// The key, without blanks around it.
    pub key: String,
    /// The value, without blanks around it; empty for a bare key.
    pub value: String,
}

impl Ini {
    /// Takes the lines of a file apart, at most `most` settings. What can't be read is listed,
    /// never an end to the rest.
    pub fn parse(lines: impl Iterator<Item = Line>, most: usize) -> Self {
        let mut ini = Self::default();
        let mut settings = 0_usize;
        for line in lines {
            let number = line.number;
            let text = ini.text(line);
            // `[a]b]` is no section to the parser, and `a]b` to uWSGI.
            if let Some(name) = trimmed(&text).strip_prefix('[') {
                ini.section(number, name);
                continue;
            }
            // One line at a time: the parser has no memory.
            let Some(item) = Parser::new(std::iter::once(Ok::<_, Infallible>(for_serde_ini(&text)))).next() else {
                continue;
            };
            settings += usize::from(matches!(item, Ok(Item::Value { .. })));
            if settings > most {
                ini.too_many = true;
                break;
            }
            let item = match item {
                // The parser trims all that Unicode calls blank; uWSGI keeps what it does not know.
                Ok(Item::Value { .. }) => Ok(value_of(&text)),
                item => item,
            };
            ini.add(number, item);
        }
        ini
    }

    /// The line as text; what is odd about it is noted.
    fn text(&mut self, line: Line) -> String {
        let mut bytes = line.text.as_slice();
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            self.cut.push(line.number);
            bytes = &bytes[..end];
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        if text.contains('\u{fffd}') {
            self.not_utf8.push(line.number);
        }
        if !line.lost.is_empty() {
            let read_as = text.trim().to_owned();
            self.odd.push(Odd {
                line: line.number,
                section: self.sections.len().checked_sub(1),
                comment: read_as.starts_with([';', '#']),
                lost: line.lost,
                raw: String::from_utf8_lossy(&line.raw).into_owned(),
                read_as,
            });
        }
        text
    }

    /// uWSGI: what stands behind the `[`, without its last character, whichever that is.
    fn section(&mut self, line: usize, behind: &str) {
        let mut letters = behind.chars();
        let last = letters.next_back();
        let name = letters.as_str().to_owned();
        if last != Some(']') {
            self.unclosed.push((line, name.clone()));
        }
        self.sections.push(Section { name, line, entries: Vec::new() });
    }

    fn add(&mut self, line: usize, item: Result<Item, LineError<Infallible>>) {
        match item {
            Ok(Item::Empty | Item::Comment { .. }) => {}
            Ok(Item::Section { name }) => self.section(line, &format!("{name}]")),
            Ok(Item::Value { key, value }) => match self.sections.last_mut() {
                Some(section) => section.entries.push(Entry { line, key, value }),
                None => self.stray.push(line),
            },
            Err(error) => self.broken.push((line, error.to_string())),
        }
    }

    /// Every section's name, once, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for section in &self.sections {
            if !names.contains(&section.name.as_str()) {
                names.push(&section.name);
            }
        }
        names
    }
}

/// The key and value of a line, without the blanks round each.
fn value_of(line: &str) -> Item {
    let (key, value) = line.split_once('=').unwrap_or((line, ""));
    Item::Value { key: trimmed(key).to_owned(), value: trimmed(value).to_owned() }
}

/// Without the blanks that uWSGI knows.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r'])
}

/// One raw line in the form serde_ini accepts: trimmed, and a bare key with its `=`.
fn for_serde_ini(raw: &str) -> String {
    let line = trimmed(raw);
    let bare = !line.is_empty() && !line.starts_with(['[', ';', '#']) && !line.contains('=');
    if bare { format!("{line}=") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Ini {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        let line = |(index, text): (usize, &[u8])| Line { number: index + 1, text: text.into(), ..Line::default() };
        Ini::parse(lines.map(line), 1000)
    }

    fn entries(text: &str) -> Vec<(usize, String, String)> {
        let ini = parse(text.as_bytes());
        assert_eq!(ini.broken, []);
        ini.sections
            .into_iter()
            .flat_map(|section| section.entries)
            .map(|entry| (entry.line, entry.key, entry.value))
            .collect()
    }

    fn entry(line: usize, key: &str, value: &str) -> (usize, String, String) {
        (line, key.into(), value.into())
    }

    #[test]
    fn takes_what_uwsgi_takes() {
        let text = "[uwsgi] \r\n\r\n  ; note = 1\n\t# note\n   \n  master\r\nenv = A=B;C # x\nenv=two\n \
                    empty =\n";
        assert_eq!(
            entries(text),
            [entry(6, "master", ""), entry(7, "env", "A=B;C # x"), entry(8, "env", "two"), entry(9, "empty", ""),]
        );
        assert_eq!(entries("[uwsgi]\n\u{a0}a = 1\u{a0}"), [entry(2, "\u{a0}a", "1\u{a0}")]);
        assert_eq!(entries("[uwsgi]\nlast = 1"), [entry(2, "last", "1")]);
        assert_eq!(entries("[uwsgi]\nkey: value"), [entry(2, "key: value", "")]);
    }

    #[test]
    fn keeps_sections_apart_and_in_order() {
        let ini = parse(b"stray = 1\n[uwsgi]\na = 1\n[other]\nb = 2\n[uwsgi]\nc = 3\n");
        assert_eq!(ini.names(), ["uwsgi", "other"]);
        assert_eq!(ini.stray, [1]);
        let lines: Vec<usize> = ini.sections.iter().map(|section| section.line).collect();
        assert_eq!(lines, [2, 4, 6]);
        assert_eq!(ini.sections[2].entries[0].key, "c");
    }

    #[test]
    fn a_section_is_named_as_uwsgi_names_it() {
        let ini = parse(b"[uwsgi] ; main\na = \xff\n[a]b]\n [a]]\t\r\n[uwsgi\n[\n[]\n[ b ]\n");
        assert_eq!(ini.broken, []);
        assert_eq!(ini.names(), ["uwsgi] ; mai", "a]b", "a]", "uwsg", "", " b "]);
        assert_eq!(ini.unclosed, [(1, "uwsgi] ; mai".into()), (5, "uwsg".into()), (6, String::new())]);
        assert_eq!(ini.not_utf8, [2]);
    }

    #[test]
    fn odd_files_are_no_trouble() {
        for text in [&b""[..], b"\n", b"\0", b"[", b"]", b"=", b"[]\n=\n", b"%"] {
            parse(text);
        }
        let ini = parse(b"[uwsgi]\na = x\0y\nb = 1\n");
        assert_eq!((ini.sections[0].entries[0].value.as_str(), ini.cut), ("x", vec![2]));
        let many = [b"[uwsgi]\n", "a\n".repeat(2000).as_bytes()].concat();
        assert!(parse(&many).too_many);
        let long = [b"[uwsgi]\nkey = ", "x".repeat(10_000_000).as_bytes()].concat();
        assert_eq!(parse(&long).sections[0].entries[0].value.len(), 10_000_000);
    }
}
