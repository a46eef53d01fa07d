//! What a request says about the file beside its name: conditions, ranges, encodings (RFC 9110).
//!
//! Pure: headers in, a decision out. Dates are those of HTTP, in seconds of the epoch.

use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

use crate::proto::request::Request;

/// The headers that matter for a file.
#[derive(Debug, Default)]
pub struct Asked<'r> {
    /// DOCUMENT_ROOT, as the front end sends it.
    pub document_root: Option<&'r [u8]>,
    if_match: Option<&'r [u8]>,
    if_none_match: Option<&'r [u8]>,
    if_modified_since: Option<&'r [u8]>,
    if_unmodified_since: Option<&'r [u8]>,
    range: Option<&'r [u8]>,
    if_range: Option<&'r [u8]>,
    accept_encoding: Option<&'r [u8]>,
}

/// Which part of the file is the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From an offset, so many bytes.
    Range(u64, u64),
    /// None: the client has it.
    NotModified,
    /// None: a condition does not hold.
    Refused,
    /// None: it is shorter than that.
    OutOfRange,
}

impl<'r> Asked<'r> {
    /// Takes the headers from a request.
    pub fn of(request: &'r Request) -> Self {
        let mut asked = Self::default();
        for (name, value) in request.vars() {
            let field = match name {
                b"DOCUMENT_ROOT" => &mut asked.document_root,
                b"HTTP_IF_MATCH" => &mut asked.if_match,
                b"HTTP_IF_NONE_MATCH" => &mut asked.if_none_match,
                b"HTTP_IF_MODIFIED_SINCE" => &mut asked.if_modified_since,
                b"HTTP_IF_UNMODIFIED_SINCE" => &mut asked.if_unmodified_since,
                b"HTTP_RANGE" => &mut asked.range,
                b"HTTP_IF_RANGE" => &mut asked.if_range,
                b"HTTP_ACCEPT_ENCODING" => &mut asked.accept_encoding,
                _ => continue,
            };
            *field = Some(value);
        }
        asked
    }

    /// What is to be sent of a file with this tag, changed at `changed`, of `length` bytes.
    pub fn part(&self, tag: &str, changed: i64, length: u64, ranges: bool) -> Part {
        let holds = match (self.if_match, self.if_unmodified_since.and_then(seconds)) {
            (Some(tags), _) => names(tags, tag),
            (None, Some(date)) => changed <= date,
            (None, None) => true,
        };
        if !holds {
            return Part::Refused;
        }
        let has_it = match (self.if_none_match, self.if_modified_since.and_then(seconds)) {
            (Some(tags), _) => names(tags, tag),
            (None, Some(date)) => changed <= date,
            (None, None) => false,
        };
        if has_it {
            return Part::NotModified;
        }
        let same = self.if_range.is_none_or(|value| value == tag.as_bytes() || seconds(value) == Some(changed));
        match self.range.filter(|_| ranges && same) {
            Some(range) => part_of(range, length),
            None => Part::Whole,
        }
    }

    /// Whether the client takes an encoding.
    pub fn accepts(&self, encoding: &str) -> bool {
        let Some(accepted) = self.accept_encoding.and_then(|value| std::str::from_utf8(value).ok()) else {
            return false;
        };
        accepted.split(',').any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let never =
                weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
            name.trim().eq_ignore_ascii_case(encoding) && !never
        })
    }
}

/// Whether a list of tags has this one; weak ones count, as they do for whole files.
fn names(tags: &[u8], tag: &str) -> bool {
    let Ok(tags) = std::str::from_utf8(tags) else { return false };
    tags.trim() == "*" || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// One range of bytes. Several, other units and nonsense are answered with the whole file, which
/// RFC 9110 allows.
fn part_of(range: &[u8], length: u64) -> Part {
    let parsed = || -> Option<(Option<u64>, Option<u64>)> {
        let (first, last) = std::str::from_utf8(range).ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| -> Option<Option<u64>> {
            let text = text.trim();
            match text.is_empty() {
                true => Some(None),
                false if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(text.parse().ok()?)),
                false => None,
            }
        };
        Some((number(first)?, number(last)?))
    };
    match parsed() {
        None | Some((None, None)) => Part::Whole,
        Some((Some(first), Some(last))) if last < first => Part::Whole,
        Some((Some(first), _)) if first >= length => Part::OutOfRange,
        Some((Some(first), last)) => {
            let end = last.map_or(length, |last| last.saturating_add(1).min(length));
            Part::Range(first, end - first)
        }
        Some((None, Some(0))) => Part::OutOfRange,
        Some((None, Some(_))) if length == 0 => Part::OutOfRange,
        Some((None, Some(count))) => Part::Range(length.saturating_sub(count), count.min(length)),
    }
}

/// A date of HTTP.
pub fn date(seconds: i64) -> String {
    let timestamp = Timestamp::from_second(seconds).unwrap_or_default();
    DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).unwrap_or_default()
}

fn seconds(date: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(date).ok()?;
    // Some browsers append the length they have.
    let text = text.split(';').next().unwrap_or_default().trim();
    DateTimeParser::new().parse_timestamp(text).ok().map(|timestamp| timestamp.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (range, part) in [
            ("bytes=0-4", Part::Range(0, 5)),
            ("bytes=5-", Part::Range(5, 5)),
            ("bytes=-3", Part::Range(7, 3)),
            ("bytes=-30", Part::Range(0, 10)),
            ("bytes=9-99", Part::Range(9, 1)),
            ("bytes=0-18446744073709551615", Part::Range(0, 10)),
            ("bytes=10-", Part::OutOfRange),
            ("bytes=-0", Part::OutOfRange),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(part_of(range.as_bytes(), 10), part, "{range}");
        }
        assert_eq!(part_of(b"bytes=-5", 0), Part::OutOfRange);
    }

    #[test]
    fn conditions() {
        let now = 1_000_000_000;
        let with = |asked: Asked<'_>| asked.part("\"a\"", now, 10, true);
        let (before, same, after) = (date(now - 1), date(now), date(now + 1));
        assert_eq!(same, "Sun, 09 Sep 2001 01:46:40 GMT");
        let since = |text: &str| with(Asked { if_modified_since: Some(text.as_bytes()), ..Asked::default() });
        assert_eq!((since(&before), since(&same), since(&after)), (Part::Whole, Part::NotModified, Part::NotModified));
        assert_eq!(since("yesterday"), Part::Whole);
        for (tags, part) in
            [("\"a\"", Part::NotModified), ("\"b\", W/\"a\"", Part::NotModified), ("*", Part::NotModified)]
        {
            assert_eq!(with(Asked { if_none_match: Some(tags.as_bytes()), ..Asked::default() }), part);
        }
        let tag_first =
            Asked { if_none_match: Some(b"\"b\""), if_modified_since: Some(after.as_bytes()), ..Asked::default() };
        assert_eq!(with(tag_first), Part::Whole);
        assert_eq!(with(Asked { if_match: Some(b"\"b\""), ..Asked::default() }), Part::Refused);
        assert_eq!(with(Asked { if_unmodified_since: Some(before.as_bytes()), ..Asked::default() }), Part::Refused);
        let ranged = |if_range: &str| {
            with(Asked { range: Some(b"bytes=1-1"), if_range: Some(if_range.as_bytes()), ..Asked::default() })
        };
        assert_eq!(
            (ranged("\"a\""), ranged("\"b\""), ranged(&same)),
            (Part::Range(1, 1), Part::Whole, Part::Range(1, 1))
        );
    }

    #[test]
    fn encodings() {
        let asked = Asked { accept_encoding: Some(b"gzip;q=0, BR;q=0.5, deflate"), ..Asked::default() };
        assert!(asked.accepts("br") && !asked.accepts("gzip") && !asked.accepts("zstd"));
    }
}
