//! YAML: a map below `uwsgi:`, whose keys may repeat.
//!
//! Read from the parser's events, because a map of YAML would lose repeated keys and the order.
//! Values are taken as they are written: `yes`, `1` and `0660` are not converted.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScanError, Span};

use super::Broken;
use crate::config::ini::Entry;

/// How deep anything may be nested.
const MOST_DEPTH: usize = 64;

/// The settings below `wanted`; see the module's `read`.
pub fn read(text: &str, wanted: &str) -> Result<Option<Vec<Entry>>, Broken> {
    Events { parser: Parser::new_from_str(text), anchors: HashMap::new() }.document(wanted)
}

struct Events<'a, T: saphyr_parser::Input> {
    parser: Parser<'a, T>,
    anchors: HashMap<usize, String>,
}

impl<'a, T: saphyr_parser::Input> Events<'a, T> {
    /// Everything below `wanted` at the top of the documents.
    fn document(&mut self, wanted: &str) -> Result<Option<Vec<Entry>>, Broken> {
        let mut entries = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(entries),
                (Event::MappingStart(..), _) => self.top(wanted, &mut entries)?,
                (Event::Scalar(value, ..), span) if !value.is_empty() => {
                    return Err(Broken::at(span.start.line(), format!("a map with `{wanted}:` is needed, not a text")));
                }
                (Event::SequenceStart(..), span) => {
                    return Err(Broken::at(span.start.line(), format!("a map with `{wanted}:` is needed, not a list")));
                }
                _ => {}
            }
        }
    }

    fn top(&mut self, wanted: &str, entries: &mut Option<Vec<Entry>>) -> Result<(), Broken> {
        while let Some((key, _)) = self.key()? {
            if key != wanted {
                self.skip()?;
                continue;
            }
            let entries = entries.get_or_insert_default();
            match self.next()? {
                (Event::MappingStart(..), _) => self.section(entries)?,
                (Event::Scalar(value, ..), _) if value.is_empty() => {}
                (_, span) => {
                    return Err(Broken::at(span.start.line(), format!("below `{wanted}:` a map is needed")));
                }
            }
        }
        Ok(())
    }

    fn section(&mut self, entries: &mut Vec<Entry>) -> Result<(), Broken> {
        while let Some((key, line)) = self.key()? {
            match self.next()? {
                (Event::SequenceStart(..), _) => loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => {
                            let value = self.scalar(event, &span, &key)?;
                            entries.push(Entry { line: span.start.line(), key: key.clone(), value });
                        }
                    }
                },
                (event, span) => {
                    let value = self.scalar(event, &span, &key)?;
                    entries.push(Entry { line, key, value });
                }
            }
        }
        Ok(())
    }

    /// The next key of a map and its line, or `None` at the map's end.
    fn key(&mut self) -> Result<Option<(String, usize)>, Broken> {
        let (event, span) = self.next()?;
        match event {
            Event::MappingEnd => Ok(None),
            event => self.scalar(event, &span, "").map(|key| Some((key, span.start.line()))),
        }
    }

    fn scalar(&mut self, event: Event<'_>, span: &Span, key: &str) -> Result<String, Broken> {
        match event {
            Event::Scalar(value, _, anchor, _) => {
                let value = value.into_owned();
                if anchor > 0 {
                    self.anchors.insert(anchor, value.clone());
                }
                Ok(value)
            }
            Event::Alias(anchor) => self
                .anchors
                .get(&anchor)
                .cloned()
                .ok_or_else(|| Broken::at(span.start.line(), "an alias has to stand for a text")),
            Event::MappingStart(..) if !key.is_empty() => Err(Broken::at(
                span.start.line(),
                format!("the value of `{key}` is a map: a text or a list of texts is needed"),
            )),
            _ => Err(Broken::at(span.start.line(), "a text is needed here, not something nested")),
        }
    }

    /// Passes over one value.
    fn skip(&mut self) -> Result<(), Broken> {
        let mut depth = 0_usize;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                Event::StreamEnd => return Ok(()),
                _ => {}
            }
            if depth > MOST_DEPTH {
                return Err(Broken::at(span.start.line(), format!("it is nested more than {MOST_DEPTH} deep")));
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Broken> {
        let broken = |error: ScanError| Broken::at(error.marker().line(), error.info());
        match self.parser.next_event() {
            Some(event) => event.map_err(broken),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(usize, String, String)> {
        let entries = read(text, "uwsgi").unwrap().unwrap_or_default();
        entries.into_iter().map(|entry| (entry.line, entry.key, entry.value)).collect()
    }

    #[test]
    fn keys_repeat_and_values_stay_as_written() {
        let text = "# a comment\n---\nuwsgi:\n    socket: \"/tmp/x\" # here\n    env: A=1\n    env: 'B=2'\n    \
                    env:\n      - C=3\n      - D=4\n    master: yes\n    umask: 022\n    vacuum:\n\nuwsgi:\n    z: ~\n";
        let found = pairs(text);
        let values: Vec<_> = found.iter().map(|(line, key, value)| (*line, key.as_str(), value.as_str())).collect();
        assert_eq!(
            values,
            [
                (4, "socket", "/tmp/x"),
                (5, "env", "A=1"),
                (6, "env", "B=2"),
                (8, "env", "C=3"),
                (9, "env", "D=4"),
                (10, "master", "yes"),
                (11, "umask", "022"),
                (12, "vacuum", ""),
                (15, "z", "~"),
            ]
        );
    }

    #[test]
    fn aliases_of_texts_are_followed() {
        let found = pairs("base: &b /srv\nuwsgi:\n  x: &x /srv/a\n  y: *x\n");
        assert_eq!(found[1].2, "/srv/a");
    }

    #[test]
    fn says_what_is_wrong() {
        let reason = |text: &str| read(text, "uwsgi").unwrap_err();
        assert_eq!(
            reason("uwsgi:\n  env:\n    A: 1\n"),
            Broken::at(3, "the value of `env` is a map: a text or a list of texts is needed")
        );
        assert_eq!(reason("- a\n"), Broken::at(1, "a map with `uwsgi:` is needed, not a list"));
        assert_eq!(reason("uwsgi: x\n"), Broken::at(1, "below `uwsgi:` a map is needed"));
        assert_eq!(reason("uwsgi:\n  a: \"x\n").line, Some(2));
        assert_eq!(read("", "uwsgi"), Ok(None));
    }
}
