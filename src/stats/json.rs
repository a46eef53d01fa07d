//! JSON as uWSGI writes it: indented by tabs, and no blank behind a colon.
//!
//! Programs that read the document as text, line by line, find what they look for.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::ser::{Formatter, PrettyFormatter};

use super::metrics::Metric;

/// A value in uWSGI's form.
pub fn tabbed<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(8192);
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut text,
        Tabbed(PrettyFormatter::with_indent(b"\t")),
    ))?;
    Ok(text)
}

/// Metrics as an object of objects.
pub fn by_name<S: Serializer>(metrics: &Option<Vec<Metric>>, serializer: S) -> Result<S::Ok, S::Error> {
    let metrics = metrics.as_deref().unwrap_or_default();
    let mut map = serializer.serialize_map(Some(metrics.len()))?;
    for metric in metrics {
        map.serialize_entry(&metric.name, metric)?;
    }
    map.end()
}

struct Tabbed<'a>(PrettyFormatter<'a>);

impl Formatter for Tabbed<'_> {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b":")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_indented_by_tabs_without_blanks() {
        let text = tabbed(&serde_json::json!({"a": 1, "b": [{"c": "x\n\u{7f}"}], "d": []})).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "{\n\t\"a\":1,\n\t\"b\":[\n\t\t{\n\t\t\t\"c\":\"x\\n\u{7f}\"\n\t\t}\n\t],\n\t\"d\":[]\n}");
    }
}
