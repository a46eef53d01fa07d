//! The other ways to write a configuration: YAML, JSON, XML, TOML.
//!
//! Called by `read` with a text whose `%` letters are replaced. Each becomes the same list of
//! settings in the order of the file, with lines; a list is the same key several times. No file is
//! opened here, and no option known.

mod json;
mod toml;
mod xml;
mod yaml;

use super::ini::Entry;
use super::logic::Format;

/// Why a text can't be taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The reason, in words.
    pub reason: String,
}

impl Broken {
    fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line: Some(line), reason: reason.into() }
    }
}

/// The settings below `wanted`, or `None` when there is no such part in the text.
///
/// Errors: it isn't written as `format` says, has a value that is no setting's, or more than
/// `most` settings.
pub fn read(format: Format, text: &[u8], wanted: &str, most: usize) -> Result<Option<Vec<Entry>>, Broken> {
    let text =
        std::str::from_utf8(text).map_err(|error| Broken::at(line_of(text, error.valid_up_to()), "it is not UTF-8"))?;
    let entries = match format {
        Format::Yaml => yaml::read(text, wanted)?,
        Format::Json => json::read(text, wanted)?,
        Format::Xml => xml::read(text, wanted)?,
        Format::Toml => toml::read(text, wanted)?,
        Format::Ini => None,
    };
    match &entries {
        Some(entries) if entries.len() > most => {
            Err(Broken { line: None, reason: format!("more than {most} settings") })
        }
        _ => Ok(entries),
    }
}

/// The line, from 1, of the byte at `offset`.
fn line_of(text: &[u8], offset: usize) -> usize {
    text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Lines of offsets that only grow, without counting from the beginning each time.
#[derive(Debug)]
struct LineCounter<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn line(&mut self, offset: usize) -> usize {
        if offset < self.at {
            return line_of(self.text.as_bytes(), offset);
        }
        let offset = offset.min(self.text.len());
        self.line += self.text.as_bytes()[self.at..offset].iter().filter(|byte| **byte == b'\n').count();
        self.at = offset;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same configuration in each format, and what it comes to.
    #[test]
    fn all_formats_come_to_the_same() {
        let yaml = "uwsgi:\n  socket: /tmp/a b\n  env: [A=1, B=2]\n  master: true\n  processes: 4\n  strict:\nother:\n  x: 1\n";
        let json = "{\"uwsgi\": {\n\"socket\": \"/tmp/a b\",\n\"env\": [\"A=1\", \"B=2\"],\n\"master\": true,\n\"processes\": 4,\n\"strict\": \"\"},\n\"other\": {\"x\": 1}}";
        let xml = "<a><uwsgi>\n<socket> /tmp/a b </socket>\n<env>A=1</env><env>B=2</env>\n<master>true</master>\n<processes>4</processes>\n<strict></strict>\n</uwsgi><uwsgi id=\"other\"><x>1</x></uwsgi></a>";
        let toml = "[uwsgi]\nsocket = \"/tmp/a b\"\nenv = [\"A=1\", \"B=2\"]\nmaster = true\nprocesses = 4\nstrict = ''\n[other]\nx = 1\n";
        for (format, text) in [(Format::Yaml, yaml), (Format::Json, json), (Format::Xml, xml), (Format::Toml, toml)] {
            let entries = read(format, text.as_bytes(), "uwsgi", 100).unwrap().unwrap();
            let short: Vec<_> =
                entries.iter().map(|entry| (entry.line, entry.key.as_str(), entry.value.as_str())).collect();
            let on = if format == Format::Json { "1" } else { "true" };
            assert_eq!(
                short,
                [
                    (2, "socket", "/tmp/a b"),
                    (3, "env", "A=1"),
                    (3, "env", "B=2"),
                    (4, "master", on),
                    (5, "processes", "4"),
                    (6, "strict", "")
                ],
                "{format:?}"
            );
            let other = read(format, text.as_bytes(), "other", 100).unwrap().unwrap();
            assert_eq!((other.len(), other[0].key.as_str()), (1, "x"), "{format:?}");
            assert_eq!(read(format, text.as_bytes(), "nope", 100), Ok(None), "{format:?}");
            assert!(read(format, text.as_bytes(), "uwsgi", 3).is_err());
        }
    }

    #[test]
    fn hostile_texts_end_with_a_reason() {
        let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        for (format, text) in [
            (Format::Yaml, deep("[", "]")),
            (Format::Yaml, deep("{a: ", "}")),
            (Format::Yaml, "uwsgi:\n a: &a [x]\n b: *a\n".into()),
            (Format::Yaml, "uwsgi:\n\ta: 1\n".into()),
            (Format::Json, format!("{{\"uwsgi\": {}}}", deep("[", "]"))),
            (Format::Json, "{\"uwsgi\": {\"a\": }".into()),
            (Format::Xml, deep("<a>", "</a>")),
            (Format::Xml, "<!DOCTYPE a [<!ENTITY a \"b\">]><uwsgi><x>&a;</x></uwsgi>".into()),
            (Format::Toml, format!("[uwsgi]\na = {}", deep("[", "]"))),
            (Format::Toml, "[uwsgi]\na = 1\na = 2\n".into()),
        ] {
            let start = std::time::Instant::now();
            assert!(
                read(format, text.as_bytes(), "uwsgi", 1000).is_err(),
                "{format:?} {}",
                &text[..30.min(text.len())]
            );
            assert!(start.elapsed().as_secs() < 5, "{format:?}");
        }
        assert_eq!(read(Format::Yaml, b"a: 1\nb: \xff", "uwsgi", 9), Err(Broken::at(2, "it is not UTF-8")));
    }
}
