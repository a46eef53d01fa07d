//! What a setting does the moment it is read, besides reading files: printing, ending the start,
//! looking a host up, putting text around files.
//!
//! Called by `read` and a part of it. This is the one place where reading a configuration looks
//! beyond the machine (`resolve`) and writes (`print`), and only for a [`Source`] that is served.

use std::io::Write as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;

use super::*;
use crate::config::arithmetic::number;

/// A setting that acts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Prints its value (uWSGI: `--iprint`).
    Print,
    /// Ends the start (uWSGI: `--exit`).
    Exit,
    /// Sets a placeholder to the address of a host (uWSGI: `--resolve`).
    Resolve,
    /// Puts the text of a file in front of every file that is read (uWSGI: `--inject-before`).
    Before,
    /// The same for the end of every file (uWSGI: `--inject-after`).
    After,
}

impl Act {
    /// What `key` does.
    pub fn find(key: &str) -> Option<Self> {
        Some(match key {
            "iprint" => Self::Print,
            "exit" => Self::Exit,
            "resolve" => Self::Resolve,
            "inject-before" => Self::Before,
            "inject-after" => Self::After,
            _ => return None,
        })
    }
}

/// The files that stand around every file that is read.
#[derive(Debug, Default)]
pub struct Injected {
    before: Vec<Setting>,
    after: Vec<Setting>,
}

/// A text that was put together from several files, and which line came from which.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    /// The files, each with how many line ends it has; all but the last end where that is reached.
    parts: Vec<(Arc<str>, usize)>,
}

impl Pieces {
    fn push(&mut self, file: &str, text: &[u8]) {
        self.parts.push((file.into(), text.iter().filter(|byte| **byte == b'\n').count()));
    }

    /// Where a line of the whole text stands, counted from 1.
    pub fn origin(&self, mut line: usize) -> Origin {
        for (file, ends) in self.parts.iter().take(self.parts.len().saturating_sub(1)) {
            if line <= *ends {
                return Origin::File { file: file.clone(), line };
            }
            line -= ends;
        }
        Origin::File { file: self.parts.last().map_or("".into(), |(file, _)| file.clone()), line }
    }
}

impl Reader<'_> {
    pub(super) fn act(&mut self, act: Act, setting: &Setting) {
        match act {
            Act::Print => self.print(&setting.value),
            Act::Exit => self.exit(setting),
            Act::Resolve => self.resolve(setting),
            Act::Before => self.injected.before.push(setting.clone()),
            Act::After => self.injected.after.push(setting.clone()),
        }
    }

    /// uWSGI: `--print` comes when everything was read and expanded.
    pub(super) fn print_what_was_asked(&self) {
        let open = |record: &&Record| matches!(record.stage, Stage::Open | Stage::Early);
        for record in self.records.iter().filter(open).filter(|record| record.setting.key == "print") {
            self.print(&record.setting.value);
        }
    }

    fn print(&self, text: &str) {
        if self.source.prints {
            // A reader that has gone away is no reason to fail.
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        }
    }

    /// uWSGI: bare it is 1 on the command line and 0 in a file.
    fn exit(&mut self, setting: &Setting) {
        let code = match (&setting.origin, setting.value.as_str()) {
            (Origin::CommandLine, "") => 1,
            (_, value) => number(value).to_le_bytes()[0],
        };
        let message = format!("the configuration ends the start here, with exit code {code}");
        self.give_up(Error::new(Code::ExitAsked, message).at(setting).part("exit").exit(code));
    }

    /// uWSGI: the first IPv4 address.
    fn resolve(&mut self, setting: &Setting) {
        let Some((key, host)) = setting.value.split_once('=') else {
            return self.findings.fail(takes(setting, "placeholder=host"));
        };
        let found = (host, 0).to_socket_addrs().ok().filter(|_| !host.is_empty());
        let address = found.into_iter().flatten().map(|address| address.ip()).find(IpAddr::is_ipv4);
        match address {
            Some(address) => self.set(&Setting { value: format!("{key}={address}"), ..setting.clone() }, true),
            None => {
                let message = format!("`{host}` has no IPv4 address");
                let error = Error::new(Code::HostUnknown, message).at(setting).part(host);
                self.findings.fail(error);
            }
        }
    }

    /// A file's text with what is put around it, and where its lines come from.
    pub(super) fn surrounded(&self, named: &str, text: Arc<Vec<u8>>) -> Result<(Arc<Vec<u8>>, Pieces), Error> {
        let mut pieces = Pieces::default();
        let Injected { before, after } = &self.injected;
        if before.is_empty() && after.is_empty() {
            pieces.push(named, &[]);
            return Ok((text, pieces));
        }
        let mut whole = Vec::new();
        let mut put = |file: &str, text: &[u8]| {
            pieces.push(file, text);
            whole.extend_from_slice(text);
        };
        let read = |by: &Setting| {
            let unreadable = |cause: std::io::Error| self.unreadable(&by.value, &cause, by);
            read_at_most(&self.directory.join(&by.value), MOST_FILE).map_err(unreadable)
        };
        for by in before {
            put(&by.value, &read(by)?);
        }
        put(named, &text);
        for by in after {
            put(&by.value, &read(by)?);
        }
        Ok((Arc::new(whole), pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_files() {
        let mut pieces = Pieces::default();
        pieces.push("a", b"1\n2\n");
        pieces.push("b", b"3\n");
        pieces.push("c", b"4\n5\n");
        let places: Vec<String> = (1..=6).map(|line| pieces.origin(line).to_string()).collect();
        assert_eq!(places, ["a:1", "a:2", "b:1", "c:1", "c:2", "c:3"]);
    }
}
