//! The `%` letters: `%d` is the directory of the file it stands in, `%h` the host name.
//!
//! They belong to the file and are replaced in its raw text, before anything takes it for lines:
//! a `%` in front of a line's end therefore joins the next line to it, as under uWSGI. Used by
//! `read`; reads the host name, the user and the file's inode, and changes nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{self, Group, SysconfVar, User};

use super::UWSGI_VERSION;

/// The facts about one file that its `%` letters stand for.
#[derive(Clone, Debug, Default)]
pub struct FileFacts {
    /// The file as it was named.
    pub named: String,
    /// The file, absolute; empty for what is no file, such as stdin.
    pub path: PathBuf,
    /// The section asked for; empty for the default.
    pub section: String,
}

impl FileFacts {
    /// The value of a lower-case letter that is about the file.
    fn value(&self, letter: u8) -> Option<Vec<u8>> {
        let text = |part: Option<&OsStr>| part.map(|part| part.as_bytes().to_vec()).unwrap_or_default();
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let no_file = self.path.as_os_str().is_empty();
        Some(match letter {
            b'o' => self.named.clone().into(),
            b'x' if no_file => Vec::new(),
            b'x' => self.section.clone().into(),
            b'p' | b'd' | b's' | b'n' | b'e' | b'c' | b'i' | b'j' | b'0'..=b'9' if no_file => Vec::new(),
            b'p' => self.path.as_os_str().as_bytes().to_vec(),
            b'd' if directory == Path::new("/") => b"/".to_vec(),
            b'd' => [directory.as_os_str().as_bytes(), b"/"].concat(),
            b's' => text(self.path.file_name()),
            b'n' => text(self.path.file_stem()),
            b'e' => text(self.path.extension()),
            b'c' => text(directory.file_name()),
            b'i' => fs::metadata(&self.path).map(|metadata| metadata.ino().to_string()).unwrap_or_default().into(),
            b'j' => format!("{:08X}", djb33x(self.path.as_os_str().as_bytes()).swap_bytes()).into(),
            b'0'..=b'9' => text(directory.iter().skip(1).nth(usize::from(letter - b'0'))),
            _ => return None,
        })
    }
}

/// What the `%` letters stand for while one file is read (uWSGI: magic variables).
#[derive(Debug)]
pub struct Variables<'a> {
    /// The file that is being read: lower-case letters.
    pub here: &'a FileFacts,
    /// The file that counts for upper-case letters: the first one read, if an option such as
    /// `--ini` named it. uWSGI leaves them empty otherwise.
    pub outermost: Option<&'a FileFacts>,
    /// The directory rustwsgi was started in.
    pub directory: &'a Path,
    /// When rustwsgi was started.
    pub started: SystemTime,
    /// What was looked up already.
    pub known: RefCell<HashMap<u8, Option<Vec<u8>>>>,
}

/// One line of a file, its letters replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Where it begins in the file, from 1.
    pub number: usize,
    /// The line without its end.
    pub text: Vec<u8>,
    /// What was cut out of it.
    pub lost: Vec<Lost>,
    /// As it stands in the file, where something was cut out.
    pub raw: Vec<u8>,
}

/// What a `%` took away with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A byte that is no letter of uWSGI's.
    Letter(u8),
    /// The end of the line.
    LineEnd,
    /// Nothing: an upper-case letter that has no file to be about.
    Empty(u8),
}

impl Variables<'_> {
    /// The lines of `text`, their letters replaced. What stands for nothing is cut out, as uWSGI
    /// does, and noted as lost. No line is made longer than `most` bytes; the first that would be
    /// is cut there and the last one answered with.
    pub fn lines<'b>(&'b self, text: &'b [u8], most: usize) -> Lines<'b> {
        Lines { variables: self, text, at: 0, number: 1, most, made: 0, overlong: false }
    }

    fn value(&self, name: u8) -> Option<Vec<u8>> {
        self.known.borrow_mut().entry(name).or_insert_with(|| self.look_up(name)).clone()
    }

    fn look_up(&self, name: u8) -> Option<Vec<u8>> {
        let since_epoch = || self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(match name {
            b'%' => b"%".to_vec(),
            b'(' => b"%(".to_vec(),
            b'[' => b"\x1b".to_vec(),
            b'v' => self.directory.as_os_str().as_bytes().to_vec(),
            b'V' => UWSGI_VERSION.into(),
            b'h' => host_name().into(),
            b'b' => std::env::current_exe().map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default(),
            b'k' => match unistd::sysconf(SysconfVar::_NPROCESSORS_ONLN) {
                Ok(Some(cpus)) => cpus.to_string().into(),
                _ => b"1".to_vec(),
            },
            b't' => since_epoch().as_secs().to_string().into(),
            b'T' => since_epoch().as_micros().to_string().into(),
            b'u' => unistd::getuid().to_string().into(),
            b'g' => unistd::getgid().to_string().into(),
            b'U' => match User::from_uid(unistd::getuid()) {
                Ok(Some(user)) => user.name.into(),
                _ => unistd::getuid().to_string().into(),
            },
            b'G' => match Group::from_gid(unistd::getgid()) {
                Ok(Some(group)) => group.name.into(),
                _ => unistd::getgid().to_string().into(),
            },
            b'O' | b'D' | b'S' | b'P' | b'C' | b'E' | b'N' | b'X' | b'I' | b'J' => match self.outermost {
                Some(outermost) => return outermost.value(name.to_ascii_lowercase()),
                None => Vec::new(),
            },
            _ => return self.here.value(name),
        })
    }
}

/// The machine's name (uWSGI: `%h`, `if-hostname`).
pub fn host_name() -> String {
    unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The lines of one file, one after the other.
#[derive(Debug)]
pub struct Lines<'a> {
    variables: &'a Variables<'a>,
    text: &'a [u8],
    at: usize,
    number: usize,
    most: usize,
    made: usize,
    overlong: bool,
}

impl Lines<'_> {
    /// Whether there would have been more than the allowed number of bytes.
    pub fn overlong(&self) -> bool {
        self.overlong
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.at >= self.text.len() || self.overlong {
            return None;
        }
        let start = self.at;
        let mut line = Line { number: self.number, ..Line::default() };
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\n' => {
                    self.number += 1;
                    break;
                }
                b'%' => match self.text.get(self.at) {
                    // uWSGI replaces what follows the last byte, too: by nothing.
                    None => {}
                    Some(&name) => {
                        self.at += 1;
                        self.replace(name, &mut line);
                    }
                },
                _ => line.text.push(byte),
            }
            if self.made + line.text.len() > self.most {
                self.overlong = true;
                break;
            }
        }
        self.made += line.text.len();
        if !line.lost.is_empty() {
            line.raw = self.text[start..self.at].trim_ascii_end().to_vec();
        }
        Some(line)
    }
}

impl Lines<'_> {
    fn replace(&mut self, name: u8, line: &mut Line) {
        match (self.variables.value(name), name) {
            (Some(value), _) => {
                if value.is_empty() && name.is_ascii_uppercase() {
                    line.lost.push(Lost::Empty(name));
                }
                line.text.extend(value);
            }
            (None, b'\n') => {
                self.number += 1;
                line.lost.push(Lost::LineEnd);
            }
            (None, _) => line.lost.push(Lost::Letter(name)),
        }
        // What a hostile file can ask for is as long as the file.
        line.lost.truncate(20);
    }
}

/// uWSGI's hash of a path, for `%j` (which prints it lowest byte first).
fn djb33x(bytes: &[u8]) -> u32 {
    bytes.iter().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &str, section: &str) -> FileFacts {
        FileFacts { named: path.rsplit('/').next().unwrap().into(), path: path.into(), section: section.into() }
    }

    fn lines(text: &[u8]) -> Vec<Line> {
        let (here, outermost) = (facts("/tmp/cfgx/a.b.ini", "web"), facts("/etc/u/app.ini", ""));
        let variables = Variables {
            here: &here,
            outermost: Some(&outermost),
            directory: Path::new("/srv"),
            started: UNIX_EPOCH + std::time::Duration::from_micros(5_000_007),
            known: RefCell::default(),
        };
        variables.lines(text, 1000).collect()
    }

    #[test]
    fn letters_are_those_of_uwsgi() {
        for (text, value) in [
            ("%o|%p|%d", "a.b.ini|/tmp/cfgx/a.b.ini|/tmp/cfgx/"),
            ("%s|%n|%e|%c", "a.b.ini|a.b|ini|cfgx"),
            ("%x|%0|%1|%2", "web|tmp|cfgx|"),
            ("%O|%D|%S|%N|%C", "app.ini|/etc/u/|app.ini|app|u"),
            ("%v|%V|%t|%T", "/srv|2.0.31|5|5000007"),
            ("%j", "F4A6E04C"),
            ("100%%|%%n|%[", "100%|%n|\x1b"),
            ("%(addr) %%(x) 5%", "%(addr) %(x) 5"),
        ] {
            let lines = lines(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&lines[0].text), value);
            assert!(lines.len() == 1 && lines[0].lost.is_empty());
        }
        assert_eq!(djb33x(b"/tmp/cfgx/a.ini"), 0x78FD_EF11_u32.swap_bytes());
    }

    #[test]
    fn what_stands_for_nothing_vanishes_and_is_noted() {
        let found = lines(b"a%Hb%y\nb = 1%\nc = 2\nd%\r\n%\xc3\xa9");
        let texts: Vec<_> = found.iter().map(|line| (line.number, line.text.as_slice())).collect();
        assert_eq!(texts, [(1, &b"ab"[..]), (2, b"b = 1c = 2"), (4, b"d"), (5, b"\xa9")]);
        assert_eq!(found[0].lost, [Lost::Letter(b'H'), Lost::Letter(b'y')]);
        assert_eq!((found[1].lost.as_slice(), found[1].raw.as_slice()), (&[Lost::LineEnd][..], &b"b = 1%\nc = 2"[..]));
        assert_eq!((&found[2].lost[..], &found[3].lost[..]), (&[Lost::Letter(b'\r')][..], &[Lost::Letter(0xc3)][..]));
    }

    #[test]
    fn what_is_no_file_has_no_parts() {
        let here = FileFacts { named: "-".into(), ..FileFacts::default() };
        let variables = Variables {
            here: &here,
            outermost: None,
            directory: Path::new("/srv"),
            started: UNIX_EPOCH,
            known: RefCell::default(),
        };
        let line = variables.lines(b"%o|%p%d%s%n%e%c%x%i%j%0|%O%D|%v", 1000).next().unwrap();
        assert_eq!(line.text, b"-|||/srv");
        assert_eq!(line.lost, [Lost::Empty(b'O'), Lost::Empty(b'D')]);
    }

    #[test]
    fn a_text_that_grows_too_much_ends() {
        let here = facts("/tmp/cfgx/a.ini", "");
        let variables = Variables {
            here: &here,
            outermost: None,
            directory: Path::new("/"),
            started: UNIX_EPOCH,
            known: RefCell::default(),
        };
        let text = b"%p".repeat(1_000_000);
        let mut lines = variables.lines(&text, 1000);
        assert!(lines.next().unwrap().text.len() < 1100);
        assert!(lines.next().is_none() && lines.overlong());
    }
}
