//! Every sentence a user can meet: a stable code, what is wrong, where, and what to do about it.
//!
//! Rooms build an [`Error`] where they know the facts; `cli` prints it, the master logs it, and a
//! zygote sends it to its master. Nothing here decides what happens next.
#![forbid(unsafe_code)]

mod code;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use code::{Code, Fault};

/// One message: what is wrong, where it was set, the facts, and what to do.
///
/// Printed as
/// ```text
/// error[RW0201]: cannot import `blog.wsgi`: no module named `blog`
///   --> uwsgi.ini:4: module = blog.wsgi:application
///   searched: /srv/blog (chdir)
/// hint: `blog/wsgi.py` is in /srv/blog/src, add `pythonpath = src`
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// One sentence, lower case, no full stop, values in backticks.
    pub message: String,
    /// Where it was set: `uwsgi.ini:4: module = …`, or `argv`.
    pub at: Option<String>,
    /// The part of that line which is wrong, as it stands there; `--check` marks it.
    // One word: errors travel in results.
    #[allow(clippy::box_collection)]
    pub part: Option<Box<String>>,
    /// Facts that help, a line each (a traceback is one fact of many lines).
    pub facts: Vec<String>,
    /// What to do, ready to be pasted.
    pub hints: Vec<String>,
    /// The exit code a start that fails of this ends with.
    pub exit: u8,
}

impl Error {
    /// A message with nothing but its sentence; exit code 1, as uWSGI's boot errors.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), at: None, part: None, facts: Vec::new(), hints: Vec::new(), exit: 1 }
    }

    /// Says where it was set.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.at = Some(place.to_string());
        self
    }

    /// Says where it was set, where that is known.
    pub fn maybe_at(mut self, place: Option<impl fmt::Display>) -> Self {
        self.at = place.map(|place| place.to_string()).or(self.at);
        self
    }

    /// Says which part of the line is wrong.
    pub fn part(mut self, part: impl Into<String>) -> Self {
        self.part = Some(Box::new(part.into()));
        self
    }

    /// The file and line it was set at, and the line from its first option on; `None` for what was
    /// set elsewhere.
    pub fn place(&self) -> Option<(&str, usize, &str)> {
        let at = self.at.as_deref().filter(|at| !at.starts_with("argv") && !at.starts_with('$'))?;
        let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        at.match_indices(':').find_map(|(colon, _)| {
            let rest = &at[colon + 1..];
            let (line, text) = rest.split_once(": ").unwrap_or((rest, ""));
            Some((&at[..colon], number(line)?, text))
        })
    }

    /// Adds a fact.
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    /// Adds something to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the exit code of a start that fails of this.
    pub fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// A failed system call: what was tried and what the system said.
    pub fn system(what: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::new(Code::System, format!("{what}: {cause}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code.as_str(), self.message)?;
        if let Some(at) = &self.at {
            write!(f, "\n  --> {at}")?;
        }
        for fact in &self.facts {
            for line in fact.trim_end().lines() {
                write!(f, "\n  {line}")?;
            }
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A result whose error can be shown to a user as it is.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_place() {
        let at = |place: &str| {
            let error = Error::new(Code::NoApp, "x").at(place);
            error.place().map(|(file, line, text)| (file.to_owned(), line, text.to_owned()))
        };
        assert_eq!(at("a.ini:7: home = x: y"), Some(("a.ini".into(), 7, "home = x: y".into())));
        assert_eq!(at("a:b.ini:12"), Some(("a:b.ini".into(), 12, String::new())));
        assert_eq!(at("argv: --socket :3031"), None);
        assert_eq!(at("$UWSGI_HOME: x"), None);
        assert_eq!(at("a.ini"), None);
    }

    #[test]
    fn prints_sentence_place_facts_and_hints() {
        let error = Error::new(Code::NoApp, "no application named")
            .at("uwsgi.ini:1")
            .fact("one\ntwo")
            .hint("module = blog.wsgi");
        assert_eq!(
            error.to_string(),
            "error[RW0121]: no application named\n  --> uwsgi.ini:1\n  one\n  two\nhint: module = blog.wsgi"
        );
    }
}
