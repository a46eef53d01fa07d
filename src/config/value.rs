//! What uWSGI makes of the text behind the `=`: switches, numbers, modes, lists.
//!
//! `Config` is filled through [`Kind::read`]. Where uWSGI silently read something else than what
//! stands there, the value is the same and a remark goes with it. Values are judged alone: what
//! holds between several options is for `check`.

use std::path::PathBuf;

use super::option::{Kind, Over};
use super::suggest;
use crate::error::Code;

/// A value of one of the kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// On or off.
    Switch(bool),
    /// A number within the option's limits.
    Integer(i64),
    /// A string, a path or one entry of a list.
    Text(String),
    /// Entries of a list.
    List(Vec<String>),
    /// Permission bits.
    Mode(u32),
    /// Nothing a field could hold: a file that was read, an action.
    Nothing,
}

/// A value, and what is odd about how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is taken for.
    pub value: Value,
    /// What the writer may not expect, as a sentence that starts with the value.
    pub remark: Option<Remark>,
}

/// What is to be said about a value: why it is refused, or what it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The code of the message.
    pub code: Code,
    /// The end of its sentence.
    pub text: String,
    /// The part of the value that it is about.
    pub part: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Remark {
    fn new(code: Code, text: String, part: &str) -> Self {
        Self { code, text, part: part.into(), hint: None }
    }

    fn bad(text: String, part: &str) -> Self {
        Self::new(Code::BadValue, text, part)
    }
}

impl Kind {
    /// Reads `text`, or says in words what the option takes.
    ///
    /// uWSGI: a switch is on unless it says `false`, `off`, `no` (in any case) or `0`; numbers are
    /// C's `atoi`, so `60 ; note` is 60 and `four` is 0.
    pub fn read(self, text: &str) -> Result<Reading, Remark> {
        match self {
            Self::Switch | Self::SwitchValue => Ok(read_switch(text)),
            Self::Integer { min, max, over } => read_integer(text, min, max, over),
            Self::Text | Self::Path if text.is_empty() => Err(Remark::bad("needs a value".into(), text)),
            Self::Text | Self::Path => Ok(read_text(text)),
            Self::List | Self::OptionalText | Self::Socket(_) => Ok(read_text(text)),
            Self::Pairs => match text.split_once('=') {
                Some((name, _)) if !name.is_empty() => Ok(Value::Text(text.into()).plain()),
                _ => Err(Remark::bad(format!("takes `NAME=value`, not `{text}`"), text)),
            },
            Self::CommaList => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Ok(Value::List(names.map(String::from).collect()).plain())
            }
            Self::SocketMode => match text {
                "" | "1" => Ok(Value::Mode(0o666).plain()),
                _ => octal(text, 3..=3)
                    .map(|mode| Value::Mode(mode).plain())
                    .ok_or_else(|| Remark::bad(format!("takes three octal digits, not `{text}`"), text)),
            },
            Self::Umask => octal(text, 3..=4)
                .map(|mode| Value::Mode(mode).plain())
                .ok_or_else(|| Remark::bad(format!("takes three or four octal digits, not `{text}`"), text)),
            Self::File | Self::Logic | Self::Action { .. } => Ok(Value::Nothing.plain()),
        }
    }
}

impl Value {
    /// The value without a remark.
    fn plain(self) -> Reading {
        Reading { value: self, remark: None }
    }
}

fn read_switch(text: &str) -> Reading {
    const OFF: &[&str] = &["false", "off", "no"];
    let is_any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let on = !(text == "0" || is_any(OFF));
    let expected = !on || is_any(&["", "1", "true", "on", "yes"]);
    let remark = (!expected).then(|| {
        let meant = suggest::nearest(text, OFF.iter().copied()).first().copied();
        // `false ; note` means what stands before the note.
        let meant = meant.or_else(|| OFF.iter().copied().find(|word| without_comment(text) == Some(word)));
        Remark {
            hint: meant.map(|word| format!("did you mean `{word}`?")),
            ..Remark::new(Code::LaxValue, format!("`{text}` is read as `true`"), text)
        }
    });
    Reading { value: Value::Switch(on), remark }
}

fn read_integer(text: &str, min: i64, max: i64, over: Over) -> Result<Reading, Remark> {
    let number = atoi(text);
    let exact = text.trim_start_matches('+').parse() == Ok(number);
    let starts_with_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
    if number < min {
        let (code, said) = match (exact || starts_with_number, min) {
            (false, _) if text.is_empty() => (Code::BadValue, "needs a value".into()),
            (false, _) => (Code::BadValue, format!("takes a whole number, not `{text}`")),
            (true, 0) => (Code::OutOfRange, format!("takes no negative number, not `{text}`")),
            (true, _) => (Code::OutOfRange, format!("takes a whole number of at least {min}, not `{text}`")),
        };
        return Err(Remark::new(code, said, text));
    }
    if number > max {
        return match over {
            Over::Refuse => Err(Remark::new(Code::OutOfRange, format!("takes at most {max}, not `{text}`"), text)),
            Over::Clamp => {
                let said = format!("`{text}` is more than {max} and is read as `{max}`");
                let remark = Remark::new(Code::Clamped, said, text);
                Ok(Reading { value: Value::Integer(max), remark: Some(remark) })
            }
        };
    }
    let remark = (!exact).then(|| {
        let written = if text.is_empty() { "an empty one".into() } else { format!("`{text}`") };
        Remark::new(Code::LaxValue, format!("{written} is read as `{number}`"), text)
    });
    Ok(Reading { value: Value::Integer(number), remark })
}

/// C's `atoi`: blanks, a sign, digits, whatever follows; saturating where C is undefined.
fn atoi(text: &str) -> i64 {
    let text = text.trim_start();
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let size = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -size } else { size }
}

fn read_text(text: &str) -> Reading {
    let remark = comment(text).map_or_else(
        || quotes(text),
        |comment| {
            let said = format!("`{comment}` is part of the value: comments need a line of their own");
            Some(Remark::new(Code::CommentInValue, said, comment))
        },
    );
    Reading { value: Value::Text(text.into()), remark }
}

/// What looks like a comment behind a value.
fn comment(text: &str) -> Option<&str> {
    [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| text.find(mark)).min().map(|at| text[at..].trim_start())
}

fn without_comment(text: &str) -> Option<&str> {
    comment(text).map(|comment| text[..text.len() - comment.len()].trim_end())
}

/// Quotes around all of a value.
fn quotes(text: &str) -> Option<Remark> {
    let inside = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    Some(Remark {
        hint: Some(if inside.is_empty() { "take the line out".into() } else { format!("write `{inside}`") }),
        ..Remark::new(Code::QuotedValue, "the quotes are part of the value".into(), text)
    })
}

fn octal(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let digits = lengths.contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    digits.then(|| u32::from_str_radix(text, 8).ok()).flatten()
}

/// A field of `Config`: takes the values of its option, one after the other, and shows itself.
pub trait Field {
    /// Takes a value; a list adds it, everything else is replaced. A value of another kind than
    /// the option's is ignored.
    fn accept(&mut self, value: Value);

    /// The value in words, or `None` when there is none.
    fn show(&self) -> Option<String>;
}

impl Field for bool {
    fn accept(&mut self, value: Value) {
        if let Value::Switch(on) = value {
            *self = on;
        }
    }

    fn show(&self) -> Option<String> {
        Some(if *self { "on" } else { "off" }.into())
    }
}

/// The numbers; `Kind::Integer`'s limits keep every value within the type.
macro_rules! integer_fields {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn accept(&mut self, value: Value) {
                if let Value::Integer(number) = value {
                    *self = number.try_into().unwrap_or(<$type>::MAX);
                }
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

integer_fields!(usize u64 u32 i32);

impl Field for Option<String> {
    fn accept(&mut self, value: Value) {
        if let Value::Text(text) = value {
            *self = Some(text);
        }
    }

    fn show(&self) -> Option<String> {
        self.clone()
    }
}

impl Field for Option<PathBuf> {
    fn accept(&mut self, value: Value) {
        if let Value::Text(text) = value {
            *self = Some(text.into());
        }
    }

    fn show(&self) -> Option<String> {
        self.as_ref().map(|path| path.display().to_string())
    }
}

impl Field for Option<u32> {
    fn accept(&mut self, value: Value) {
        if let Value::Mode(mode) = value {
            *self = Some(mode);
        }
    }

    fn show(&self) -> Option<String> {
        self.map(|mode| format!("{mode:03o}"))
    }
}

impl Field for Vec<String> {
    fn accept(&mut self, value: Value) {
        match value {
            Value::Text(text) => self.push(text),
            Value::List(texts) => self.extend(texts),
            _ => {}
        }
    }

    fn show(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str, min: i64, max: i64, over: Over) -> Result<(i64, Option<String>), String> {
        let reading = Kind::Integer { min, max, over }.read(text).map_err(|remark| remark.text)?;
        match reading.value {
            Value::Integer(number) => Ok((number, reading.remark.map(|remark| remark.text))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn switches_are_on_unless_they_say_off() {
        for (text, on, silent) in [
            ("", true, true),
            ("true", true, true),
            ("1", true, true),
            ("Yes", true, true),
            ("false", false, true),
            ("OFF", false, true),
            ("no", false, true),
            ("0", false, true),
            ("00", true, false),
            ("banana", true, false),
            ("false ; note", true, false),
        ] {
            let reading = Kind::Switch.read(text).unwrap();
            assert_eq!(reading.value, Value::Switch(on), "{text}");
            assert_eq!(reading.remark.is_none(), silent, "{text}");
        }
        for (text, hint) in [("false ; note", "did you mean `false`?"), ("flase", "did you mean `false`?")] {
            let remark = Kind::Switch.read(text).unwrap().remark.unwrap();
            assert_eq!(remark.text, format!("`{text}` is read as `true`"));
            assert_eq!(remark.hint.as_deref(), Some(hint));
        }
        assert_eq!(Kind::Switch.read("banana").unwrap().remark.unwrap().hint, None);
    }

    #[test]
    fn numbers_are_atoi_with_a_remark() {
        let read = |text| integer(text, 0, i64::MAX, Over::Refuse);
        assert_eq!(read("60"), Ok((60, None)));
        assert_eq!(read("+60"), Ok((60, None)));
        assert_eq!(read("60 ; comment"), Ok((60, Some("`60 ; comment` is read as `60`".into()))));
        assert_eq!(read("2x"), Ok((2, Some("`2x` is read as `2`".into()))));
        assert_eq!(read("four"), Ok((0, Some("`four` is read as `0`".into()))));
        assert_eq!(read(""), Ok((0, Some("an empty one is read as `0`".into()))));
        assert_eq!(read("-1"), Err("takes no negative number, not `-1`".into()));
        assert_eq!(read("99999999999999999999").unwrap().0, i64::MAX);
    }

    #[test]
    fn numbers_keep_to_the_limits() {
        let read = |text| integer(text, 1, 65_535, Over::Clamp);
        assert_eq!(read("four"), Err("takes a whole number, not `four`".into()));
        assert_eq!(read("0"), Err("takes a whole number of at least 1, not `0`".into()));
        assert_eq!(read("65536"), Ok((65_535, Some("`65536` is more than 65535 and is read as `65535`".into()))));
        assert_eq!(integer("70000", 1, 65_535, Over::Refuse), Err("takes at most 65535, not `70000`".into()));
    }

    #[test]
    fn modes_are_octal() {
        let read = |kind: Kind, text| kind.read(text).map(|reading| reading.value).map_err(|remark| remark.text);
        for (text, mode) in [("", 0o666), ("1", 0o666), ("660", 0o660)] {
            assert_eq!(read(Kind::SocketMode, text), Ok(Value::Mode(mode)));
        }
        for text in ["0660", "66", "999", "rwx"] {
            assert_eq!(read(Kind::SocketMode, text), Err(format!("takes three octal digits, not `{text}`")));
        }
        for (text, mode) in [("022", 0o22), ("0022", 0o22)] {
            assert_eq!(read(Kind::Umask, text), Ok(Value::Mode(mode)));
        }
        for text in ["", "22", "8", "+22"] {
            assert!(read(Kind::Umask, text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_pairs_and_paths() {
        let list = Kind::CommaList.read("python3, http,,").unwrap();
        assert_eq!(list.value, Value::List(vec!["python3".into(), "http".into()]));
        assert_eq!(Kind::Pairs.read("A=").unwrap().value, Value::Text("A=".into()));
        assert_eq!(Kind::Pairs.read("A").unwrap_err().text, "takes `NAME=value`, not `A`");
        let path = Kind::Path.read("/srv/blog # here").unwrap();
        assert_eq!(path.value, Value::Text("/srv/blog # here".into()));
        let remark = path.remark.unwrap();
        assert_eq!(remark.code, Code::CommentInValue);
        assert_eq!(remark.part, "# here");
        assert_eq!(remark.text, "`# here` is part of the value: comments need a line of their own");
        assert_eq!(Kind::Text.read("").unwrap_err().text, "needs a value");
        let quoted = Kind::Text.read("'app:app'").unwrap();
        assert_eq!(quoted.value, Value::Text("'app:app'".into()));
        assert_eq!(quoted.remark.unwrap().hint.unwrap(), "write `app:app`");
    }
}
