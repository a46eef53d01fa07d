//! One attached daemon, as the configuration describes it.
//!
//! Called by `daemons` at the start and at each reload, before anything is started. Fails with RW0703.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::sys::user;

/// How many seconds a smart daemon may be away before it is started again (uWSGI: 10).
const FREQ: u64 = 10;

/// A command, and how it is kept running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The command, for the shell.
    pub command: String,
    /// Its pid file; a daemon with one lives on over reloads and stops.
    pub pidfile: Option<PathBuf>,
    /// Seconds that the pid file may name nobody.
    pub freq: u64,
    /// Whether its end ends the instance.
    pub control: bool,
    /// Whether it stays in the foreground and has its pid file written for it.
    pub daemonize: bool,
    /// Files that restart it when they change.
    pub touch: Vec<PathBuf>,
    /// What ends it.
    pub stop_signal: Signal,
    /// What it gets at a reload in place of an end.
    pub reload_signal: Option<Signal>,
    /// Whether it keeps the master's standard input.
    pub stdin: bool,
    /// The user it runs as.
    pub uid: Option<u32>,
    /// The group it runs as.
    pub gid: Option<u32>,
    /// Where it runs.
    pub chdir: Option<PathBuf>,
    /// The longest pause between two starts, seconds; 0 for 300.
    pub max_throttle: u64,
    /// Whether a daemon with a pid file is told of reloads and stops.
    pub notifypid: bool,
}

impl Definition {
    /// Every daemon of a configuration.
    pub fn all(config: &Config) -> Result<Vec<Self>> {
        let hooks = &config.hooks;
        type Reader = fn(&str) -> Result<Definition>;
        let lists: [(&str, &[String], Reader); 5] = [
            ("attach-daemon", &hooks.attach_daemon, |text| Ok(Self::plain(text))),
            ("attach-control-daemon", &hooks.attach_control_daemon, |text| {
                Ok(Self { control: true, ..Self::plain(text) })
            }),
            ("smart-attach-daemon", &hooks.smart_attach_daemon, |text| Self::smart(text, false)),
            ("smart-attach-daemon2", &hooks.smart_attach_daemon2, |text| Self::smart(text, true)),
            ("attach-daemon2", &hooks.attach_daemon2, Self::keyed),
        ];
        let mut found = Vec::new();
        for (option, texts, read) in lists {
            for text in texts {
                let definition = read(text).map_err(|error| error.maybe_at(config.line_of(option, text)))?;
                if definition.command.trim().is_empty() {
                    return Err(bad(format!("`{option}` lacks the command")).maybe_at(config.line_of(option, text)));
                }
                found.push(Self { stdin: definition.stdin || hooks.daemons_honour_stdin, ..definition });
            }
        }
        Ok(found)
    }

    /// Makes its paths those of `directory`, where they are relative.
    pub fn settle_in(&mut self, directory: &Path) {
        for path in self.pidfile.iter_mut().chain(&mut self.touch) {
            *path = directory.join(&*path);
        }
    }

    fn plain(command: &str) -> Self {
        Self {
            command: command.into(),
            pidfile: None,
            freq: FREQ,
            control: false,
            daemonize: false,
            touch: Vec::new(),
            stop_signal: Signal::SIGTERM,
            reload_signal: None,
            stdin: false,
            uid: None,
            gid: None,
            chdir: None,
            max_throttle: 0,
            notifypid: false,
        }
    }

    /// `PIDFILE[,SECONDS] COMMAND`.
    fn smart(text: &str, daemonize: bool) -> Result<Self> {
        let Some((file, command)) = text.trim_start().split_once(' ') else {
            return Err(bad(format!("a pid file and a command are needed, not `{text}`")));
        };
        let (file, freq) = match file.split_once(',') {
            Some((file, freq)) => (file, seconds("freq", freq)?),
            None => (file, FREQ),
        };
        Ok(Self { pidfile: Some(file.into()), freq, daemonize, ..Self::plain(command.trim_start()) })
    }

    /// `cmd=COMMAND,KEY=VALUE,…`.
    fn keyed(text: &str) -> Result<Self> {
        let mut made = Self::plain("");
        for (key, value) in pairs(text)? {
            match key.as_str() {
                "cmd" | "command" | "exec" => made.command = value,
                "pidfile" => made.pidfile = Some(value.into()),
                "freq" => made.freq = seconds(&key, &value)?,
                "control" => made.control = is_on(&value),
                "daemonize" | "daemon" => made.daemonize = is_on(&value),
                "touch" => made.touch = value.split(';').filter(|path| !path.is_empty()).map(PathBuf::from).collect(),
                "stopsignal" | "stop_signal" => made.stop_signal = signal(&value)?,
                "reloadsignal" | "reload_signal" => made.reload_signal = Some(signal(&value)?),
                "stdin" => made.stdin = is_on(&value),
                "uid" => made.uid = Some(user::uid(&value).ok_or_else(|| no_such("user", &value))?.as_raw()),
                "gid" => made.gid = Some(user::gid(&value).ok_or_else(|| no_such("group", &value))?.as_raw()),
                "chdir" => made.chdir = Some(value.into()),
                "max_throttle" => made.max_throttle = seconds(&key, &value)?,
                "notifypid" => made.notifypid = is_on(&value),
                "ns_pid" => return Err(bad("rustwsgi does not have `ns_pid` yet".into())),
                _ => {
                    return Err(bad(format!("`attach-daemon2` has no key `{key}`")).fact(
                        "known: cmd, pidfile, freq, control, daemonize, touch, stopsignal, reloadsignal, stdin, uid, gid, \
                         chdir, max_throttle, notifypid",
                    ));
                }
            }
        }
        if made.daemonize && made.pidfile.is_none() {
            return Err(bad("`daemonize` needs a `pidfile`: without one nobody would find the daemon again".into()));
        }
        Ok(made)
    }
}

/// `KEY=VALUE` between commas; `\,` and double quotes keep a comma in a value.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if matches!(letters.peek(), Some(',' | '"')) => word.extend(letters.next()),
            // Quotes are around all of a value; others belong to it.
            '"' if !quoted && word.find('=').is_some_and(|at| at + 1 == word.len()) => quoted = true,
            '"' if quoted && matches!(letters.peek(), None | Some(',')) => quoted = false,
            ',' if !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    let pair = |word: &String| {
        word.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned())).ok_or_else(|| {
            bad(format!("`{word}` is no `KEY=VALUE`")).hint("a comma that belongs to a value is written `\\,`")
        })
    };
    words.iter().filter(|word| !word.is_empty()).map(pair).collect()
}

fn is_on(value: &str) -> bool {
    !["", "0", "false", "off", "no"].contains(&value)
}

fn seconds(key: &str, value: &str) -> Result<u64> {
    value.parse().map_err(|_| bad(format!("`{key}` takes a number of seconds, not `{value}`")))
}

fn signal(value: &str) -> Result<Signal> {
    let by_number = value.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let name = format!("SIG{}", value.trim_start_matches("SIG"));
    by_number.or_else(|| name.parse().ok()).ok_or_else(|| bad(format!("`{value}` is no signal")))
}

fn no_such(kind: &str, name: &str) -> Error {
    Error::new(Code::NoSuchUser, format!("no {kind} `{name}`"))
}

fn bad(sentence: String) -> Error {
    Error::new(Code::BadDaemon, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_values_with_commas() {
        let made = Definition::keyed(r#"cmd=celery -Q a\,b -n "x",pidfile=/run/c.pid,touch=a;b,stopsignal=2"#).unwrap();
        assert_eq!(made.command, r#"celery -Q a,b -n "x""#);
        assert_eq!(made.pidfile, Some("/run/c.pid".into()));
        assert_eq!(made.touch, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(made.stop_signal, Signal::SIGINT);
        let made = Definition::keyed(r#"cmd="sh -c 'a, b'",control=1,max_throttle=5,reloadsignal=HUP"#).unwrap();
        assert_eq!((made.command.as_str(), made.control, made.max_throttle), ("sh -c 'a, b'", true, 5));
        assert_eq!(made.reload_signal, Some(Signal::SIGHUP));
    }

    #[test]
    fn smart_daemons_have_a_pid_file() {
        let made = Definition::smart("/run/x.pid,3 memcached -d", true).unwrap();
        assert_eq!((made.pidfile, made.freq, made.daemonize), (Some("/run/x.pid".into()), 3, true));
        assert_eq!(made.command, "memcached -d");
        assert_eq!(Definition::smart("/run/x.pid y", false).unwrap().freq, 10);
    }

    #[test]
    fn mistakes_are_named() {
        let keyed = |text| Definition::keyed(text).unwrap_err().message;
        assert_eq!(keyed("cmd=x,stopsig=3"), "`attach-daemon2` has no key `stopsig`");
        assert_eq!(keyed("sleep 3"), "`sleep 3` is no `KEY=VALUE`");
        assert_eq!(keyed("cmd=x,stopsignal=FOO"), "`FOO` is no signal");
        assert_eq!(keyed("cmd=x,freq=soon"), "`freq` takes a number of seconds, not `soon`");
        assert_eq!(keyed("cmd=x,uid=nobody-such"), "no user `nobody-such`");
        assert!(keyed("cmd=x,daemonize=1").contains("needs a `pidfile`"));
        assert!(keyed("cmd=x,ns_pid=1").contains("yet"));
        assert_eq!(
            Definition::smart("/run/x.pid", false).unwrap_err().message,
            "a pid file and a command are needed, not `/run/x.pid`"
        );
    }
}
