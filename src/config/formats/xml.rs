//! XML: `<uwsgi>` with an element for each setting.
//!
//! uWSGI: `<uwsgi id="name">` is a section of that name, `<vacuum/>` is a bare option. Document
//! types are refused, which keeps entities out.

use roxmltree::{Document, Node};

use super::{Broken, LineCounter};
use crate::config::ini::Entry;

/// How deep elements may be nested: the parser takes one call for each level.
const MOST_DEPTH: usize = 64;

/// The settings below `wanted`; see the module's `read`.
pub fn read(text: &str, wanted: &str) -> Result<Option<Vec<Entry>>, Broken> {
    if too_deep(text) {
        return Err(Broken { line: None, reason: format!("elements are nested more than {MOST_DEPTH} deep") });
    }
    let document = Document::parse(text).map_err(|error| Broken::at(error.pos().row as usize, error.to_string()))?;
    let mut lines = LineCounter::new(text);
    let mut entries = None;
    let sections = document.descendants().filter(|node| node.has_tag_name("uwsgi"));
    for section in sections.filter(|section| section.attribute("id").unwrap_or("uwsgi") == wanted) {
        let entries = entries.get_or_insert_with(Vec::new);
        for element in section.children().filter(Node::is_element) {
            let line = lines.line(element.range().start);
            let key = element.tag_name().name().to_owned();
            if let Some(child) = element.children().find(Node::is_element) {
                let reason =
                    format!("the value of `{key}` is nested: `<{}>` can't stand in it", child.tag_name().name());
                return Err(Broken::at(line, reason));
            }
            let value: String =
                element.children().filter_map(|child| child.text().filter(|_| child.is_text())).collect();
            entries.push(Entry { line, key, value: value.trim().to_owned() });
        }
    }
    Ok(entries)
}

/// A rough count of open elements; what is no element is counted at most too high.
fn too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.find('>').unwrap_or(rest.len());
        match rest.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            _ if rest[..end].ends_with('/') => {}
            _ => depth += 1,
        }
        if depth > MOST_DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_settings() {
        let text = "<?xml version=\"1.0\"?>\n<!-- ours -->\n<uwsgi>\n  <socket>:1 &amp; x</socket>\n  <master/>\n  <env>A=<![CDATA[<1>]]></env>\n</uwsgi>";
        let entries = read(text, "uwsgi").unwrap().unwrap();
        let short: Vec<_> =
            entries.iter().map(|entry| (entry.line, entry.key.as_str(), entry.value.as_str())).collect();
        assert_eq!(short, [(4, "socket", ":1 & x"), (5, "master", ""), (6, "env", "A=<1>")]);
    }

    #[test]
    fn says_what_is_wrong() {
        let reason = |text: &str| read(text, "uwsgi").unwrap_err();
        assert_eq!(
            reason("<uwsgi>\n<a><b/></a></uwsgi>"),
            Broken::at(2, "the value of `a` is nested: `<b>` can't stand in it")
        );
        assert_eq!(reason("<uwsgi>\n<a></uwsgi>").line, Some(2));
        assert!(reason("").line.is_some());
    }
}
