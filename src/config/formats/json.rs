//! JSON: an object with the object `uwsgi`, whose keys may repeat; arrays are repeated keys.
//!
//! A map type would lose repeats and order, so the objects are read entry by entry. `true` is `1`
//! and `false` is `0`, as under uWSGI.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Broken, LineCounter};
use crate::config::ini::Entry;

/// The settings below `wanted`; see the module's `read`.
pub fn read(text: &str, wanted: &str) -> Result<Option<Vec<Entry>>, Broken> {
    let base = text.as_ptr() as usize;
    let top = object(text, 0)?;
    let mut lines = LineCounter::new(text);
    let mut entries = None;
    for (key, raw) in top {
        if key != wanted {
            continue;
        }
        let entries = entries.get_or_insert_with(Vec::new);
        let offset = raw.get().as_ptr() as usize - base;
        let start = lines.line(offset);
        if !raw.get().starts_with('{') {
            return Err(Broken::at(start, format!("`{wanted}` has to be an object")));
        }
        for (key, raw) in object(raw.get(), start - 1)? {
            let line = lines.line(raw.get().as_ptr() as usize - base);
            if !raw.get().starts_with('[') {
                let value = scalar(raw.get(), &key, line)?;
                entries.push(Entry { line, key, value });
                continue;
            }
            let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|error| broken(&error, line - 1))?;
            for item in items {
                let line = lines.line(item.get().as_ptr() as usize - base);
                entries.push(Entry { line, key: key.clone(), value: scalar(item.get(), &key, line)? });
            }
        }
    }
    Ok(entries)
}

fn scalar(raw: &str, key: &str, line: usize) -> Result<String, Broken> {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map_err(|error| broken(&error, line - 1)),
        Some(b't') => Ok("1".into()),
        Some(b'f') => Ok("0".into()),
        Some(b'0'..=b'9' | b'-') => Ok(raw.into()),
        Some(b'n') => Err(Broken::at(line, format!("the value of `{key}` is null: leave the key out"))),
        _ => Err(Broken::at(line, format!("the value of `{key}` is nested: a text or an array of texts is needed"))),
    }
}

/// The entries of an object in their order, repeated keys included.
fn object(text: &str, lines_before: usize) -> Result<Vec<(String, &RawValue)>, Broken> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = Entries.deserialize(&mut deserializer).and_then(|entries| deserializer.end().map(|()| entries));
    result.map_err(|error| broken(&error, lines_before))
}

fn broken(error: &serde_json::Error, lines_before: usize) -> Broken {
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    Broken::at(error.line() + lines_before, reason)
}

struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_and_keep_their_order() {
        let text = "{\"uwsgi\": {\"z\": \"a\\n\\\"b\",\n \"env\": \"A=1\",\n \"env\": [\"B=2\",\n  3, false]\n}, \"uwsgi\": {\"y\": -1}}";
        let entries = read(text, "uwsgi").unwrap().unwrap();
        let short: Vec<_> =
            entries.iter().map(|entry| (entry.line, entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(
            short,
            [
                (1, "z", "a\n\"b"),
                (2, "env", "A=1"),
                (3, "env", "B=2"),
                (4, "env", "3"),
                (4, "env", "0"),
                (5, "y", "-1")
            ]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let reason = |text: &str| read(text, "uwsgi").unwrap_err();
        assert_eq!(reason("{\"uwsgi\": {\n\"a\": 1,\n}}"), Broken::at(3, "key must be a string"));
        assert_eq!(reason("{\"uwsgi\": 1}"), Broken::at(1, "`uwsgi` has to be an object"));
        assert_eq!(
            reason("{\"uwsgi\": {\n\"a\": {}}}"),
            Broken::at(2, "the value of `a` is nested: a text or an array of texts is needed")
        );
        assert_eq!(reason("{\"uwsgi\": {\"a\": null}}").reason, "the value of `a` is null: leave the key out");
        assert_eq!(reason("").line, Some(1));
        assert_eq!(reason("[]").reason, "invalid type: sequence, expected an object");
    }
}
