//! TOML: the table `[uwsgi]`. uWSGI does not read TOML.
//!
//! TOML forbids repeated keys, so what repeats is an array.

use toml::de::{DeTable, DeValue};

use super::{Broken, LineCounter, line_of};
use crate::config::ini::Entry;

/// The settings below `wanted`; see the module's `read`.
pub fn read(text: &str, wanted: &str) -> Result<Option<Vec<Entry>>, Broken> {
    let document = DeTable::parse(text).map_err(|error| Broken {
        line: error.span().map(|span| line_of(text.as_bytes(), span.start)),
        reason: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let Some(section) = document.get_ref().get(wanted) else {
        return Ok(None);
    };
    let DeValue::Table(table) = section.get_ref() else {
        return Err(Broken::at(
            line_of(text.as_bytes(), section.span().start),
            format!("`{wanted}` has to be a table"),
        ));
    };
    // The table is sorted by name; settings count in the order they stand in.
    let mut settings: Vec<_> = table.iter().collect();
    settings.sort_by_key(|(key, _)| key.span().start);
    let mut lines = LineCounter::new(text);
    let mut entries = Vec::new();
    for (key, value) in settings {
        let line = lines.line(key.span().start);
        let key = key.get_ref().to_string();
        match value.get_ref() {
            DeValue::Array(items) => {
                for item in items {
                    let line = lines.line(item.span().start);
                    entries.push(Entry { line, key: key.clone(), value: scalar(item.get_ref(), &key, line)? });
                }
            }
            value => {
                let value = scalar(value, &key, line)?;
                entries.push(Entry { line, key, value });
            }
        }
    }
    Ok(Some(entries))
}

fn scalar(value: &DeValue<'_>, key: &str, line: usize) -> Result<String, Broken> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        // `0o660` is how TOML writes the 660 of `chmod-socket`.
        DeValue::Integer(number) if matches!(number.radix(), 8 | 10) => Ok(number.as_str().to_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(Broken::at(line, format!("the number of `{key}` is too large"))),
        },
        DeValue::Boolean(on) => Ok(on.to_string()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        DeValue::Table(_) | DeValue::Array(_) => {
            Err(Broken::at(line, format!("the value of `{key}` is nested: a text or an array of texts is needed")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_keep_their_order() {
        let text = "# a\nuwsgi.z = 1\n\n[other]\n\n[uwsgi.x]\n";
        assert_eq!(read(text, "uwsgi").unwrap_err().line, Some(6));
        let text = "[uwsgi]\nsocket = ':1'\nchmod-socket = 0o660\nbuffer-size = 0x8000\nmaster = false\nenv = [\n 'A=1',\n 'B=2',\n]\n";
        let entries = read(text, "uwsgi").unwrap().unwrap();
        let short: Vec<_> =
            entries.iter().map(|entry| (entry.line, entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(
            short,
            [
                (2, "socket", ":1"),
                (3, "chmod-socket", "660"),
                (4, "buffer-size", "32768"),
                (5, "master", "false"),
                (7, "env", "A=1"),
                (8, "env", "B=2")
            ]
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let reason = |text: &str| read(text, "uwsgi").unwrap_err();
        assert_eq!(reason("uwsgi = 1"), Broken::at(1, "`uwsgi` has to be a table"));
        assert_eq!(reason("[uwsgi]\na = \n").line, Some(2));
    }
}
