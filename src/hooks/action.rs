//! What a hook can do: read from `ACTION:ARGUMENTS`, before anything is done.
//!
//! Doing it is `perform`'s. uWSGI reads an action when its turn comes; here a mistake is found
//! before the start or the reload has touched anything.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

use super::wait::Awaited;
use crate::error::{Code, Error, Result};
use crate::sys::user;

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `cd:DIRECTORY`, `chdir:`.
    Chdir(PathBuf),
    /// `mkdir:DIRECTORY`; its parents have to be there.
    Mkdir(PathBuf),
    /// `putenv:NAME=VALUE`.
    Putenv(String, String),
    /// `chmod:FILE MODE`.
    Chmod(PathBuf, u32),
    /// `sticky:DIRECTORY`: everybody may write, nobody may remove what is another's.
    Sticky(PathBuf),
    /// `chown:FILE USER GROUP`, `chown2:`.
    Chown(PathBuf, Uid, Gid),
    /// `exec:COMMAND`; has to exit with 0.
    Exec(String),
    /// `safeexec:COMMAND`; may exit with anything.
    SafeExec(String),
    /// `create:FILE`, `creat:`; empties one that is there.
    Create(PathBuf),
    /// `write:FILE TEXT`, `writen:`, `append:`, `appendn:`: the text, and whether it is added to
    /// what is there.
    Write(PathBuf, String, bool),
    /// `writefifo:FIFO TEXT`, `spinningfifo:`: the second waits for a reader.
    WriteFifo(PathBuf, String, bool),
    /// `unlink:FILE`.
    Unlink(PathBuf),
    /// `mount:TYPE SOURCE DIRECTORY [FLAG,…]`.
    Mount(Mount),
    /// `umount:DIRECTORY [lazy]`.
    Umount(PathBuf, bool),
    /// `hostname:NAME`.
    Hostname(String),
    /// `unix_signal:NUMBER FUNCTION`: what the master does on a signal from now on.
    UnixSignal(Signal, SignalDeed),
    /// `wait_for_fs:`, `wait_for_file:`, `wait_for_dir:`, `wait_for_socket:`.
    Wait(Awaited),
    /// `exit:CODE`.
    Exit(i32),
    /// `print:TEXT`, `log:TEXT`.
    Print(String),
}

/// A file system to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its type.
    pub kind: String,
    /// The device, or what the type takes instead.
    pub source: String,
    /// Where to.
    pub target: PathBuf,
    /// Names of flags.
    pub flags: Vec<String>,
}

/// What a signal is made to do (uWSGI: a function of its own that `unix_signal` names).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalDeed {
    /// `gracefully_kill_them_all`.
    Stop,
    /// `kill_them_all`.
    StopNow,
    /// `grace_them_all`.
    Reload,
}

/// uWSGI's actions that are not built.
const NOT_YET: &[&str] = &["alarm", "rpc", "retryrpc"];
/// uWSGI's actions that call into its own C code.
const NEVER: &[&str] = &["call", "callret", "callint", "callintret"];

impl Action {
    /// Reads `ACTION:ARGUMENTS`. `unix_signal` is the master's alone.
    pub fn parse(text: &str, may_set_signals: bool) -> Result<Self> {
        let Some((name, arguments)) = text.split_once(':') else {
            return Err(bad(format!("`{text}` has no action: a hook is `ACTION:ARGUMENTS`"))
                .hint(format!("exec:{text} runs it as a command")));
        };
        let path = || PathBuf::from(arguments);
        Ok(match name {
            "cd" | "chdir" => Self::Chdir(path()),
            "mkdir" => Self::Mkdir(path()),
            "putenv" => {
                let (key, value) = arguments
                    .split_once('=')
                    .filter(|(key, _)| !key.is_empty())
                    .ok_or_else(|| takes(name, "NAME=VALUE", arguments))?;
                Self::Putenv(key.into(), value.into())
            }
            "chmod" => {
                let (file, mode) = two(name, "FILE MODE", arguments)?;
                let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777);
                Self::Chmod(file.into(), mode.ok_or_else(|| takes(name, "FILE MODE, the mode in octal", arguments))?)
            }
            "sticky" => Self::Sticky(path()),
            "chown" | "chown2" => {
                let (file, owner) = two(name, "FILE USER GROUP", arguments)?;
                let (owner, group) = two(name, "FILE USER GROUP", owner)?;
                let uid = user::uid(owner).ok_or_else(|| no_such("user", owner))?;
                Self::Chown(file.into(), uid, user::gid(group).ok_or_else(|| no_such("group", group))?)
            }
            "exec" => Self::Exec(arguments.into()),
            "safeexec" => Self::SafeExec(arguments.into()),
            "create" | "creat" => Self::Create(path()),
            "write" | "writen" | "append" | "appendn" => {
                let (file, text) = two(name, "FILE TEXT", arguments)?;
                let end = if name.ends_with('n') { "\n" } else { "" };
                Self::Write(file.into(), format!("{text}{end}"), name.starts_with("append"))
            }
            "writefifo" | "spinningfifo" => {
                let (file, text) = two(name, "FIFO TEXT", arguments)?;
                Self::WriteFifo(file.into(), text.into(), name == "spinningfifo")
            }
            "unlink" => Self::Unlink(path()),
            "mount" => {
                let mut words = arguments.split(' ').filter(|word| !word.is_empty());
                let (Some(kind), Some(source), Some(target)) = (words.next(), words.next(), words.next()) else {
                    return Err(takes(name, "TYPE SOURCE DIRECTORY [FLAG,…]", arguments));
                };
                let flags = words.flat_map(|flags| flags.split(',')).map(str::to_owned).collect();
                Self::Mount(Mount { kind: kind.into(), source: source.into(), target: target.into(), flags })
            }
            "umount" => match arguments.rsplit_once(' ') {
                Some((target, "lazy" | "detach")) => Self::Umount(target.into(), true),
                _ => Self::Umount(path(), false),
            },
            "hostname" => Self::Hostname(arguments.into()),
            "unix_signal" if may_set_signals => signal_deed(name, arguments)?,
            "unix_signal" => {
                return Err(bad(
                    "`unix_signal` changes what the master does and works in `hook-master-start` only".into()
                )
                .hint(format!("hook-master-start = {text}")));
            }
            "wait_for_fs" => Self::Wait(Awaited::Anything(path())),
            "wait_for_file" => Self::Wait(Awaited::File(path())),
            "wait_for_dir" => Self::Wait(Awaited::Directory(path())),
            "wait_for_socket" => Self::Wait(Awaited::Socket(arguments.into())),
            "exit" => Self::Exit(match arguments.trim() {
                "" => 0,
                code => code.parse().map_err(|_| takes(name, "an exit code", arguments))?,
            }),
            "print" | "log" => Self::Print(arguments.into()),
            _ if NOT_YET.contains(&name) => {
                return Err(bad(format!("rustwsgi does not have the hook action `{name}` yet")));
            }
            _ if NEVER.contains(&name) => {
                return Err(bad(format!("`{name}` calls a function of uWSGI's own, which rustwsgi does not have")));
            }
            _ => return Err(bad(format!("there is no hook action `{name}`"))),
        })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Chdir(_) => "chdir",
            Self::Mkdir(_) => "mkdir",
            Self::Putenv(..) => "putenv",
            Self::Chmod(..) => "chmod",
            Self::Sticky(_) => "sticky",
            Self::Chown(..) => "chown",
            Self::Exec(_) => "exec",
            Self::SafeExec(_) => "safeexec",
            Self::Create(_) => "create",
            Self::Write(_, _, false) => "write",
            Self::Write(_, _, true) => "append",
            Self::WriteFifo(..) => "writefifo",
            Self::Unlink(_) => "unlink",
            Self::Mount(_) => "mount",
            Self::Umount(..) => "umount",
            Self::Hostname(_) => "hostname",
            Self::UnixSignal(..) => "unix_signal",
            Self::Wait(_) => "wait_for_fs",
            Self::Exit(_) => "exit",
            Self::Print(_) => "print",
        }
    }

    /// Whether it may take its time, so that a process which must not wait does it elsewhere.
    pub fn may_wait(&self) -> bool {
        matches!(
            self,
            Self::Exec(_) | Self::SafeExec(_) | Self::WriteFifo(..) | Self::Wait(_) | Self::Mount(_) | Self::Umount(..)
        )
    }
}

/// `NUMBER FUNCTION`, the function one that uWSGI's users name.
fn signal_deed(name: &str, arguments: &str) -> Result<Action> {
    let (number, function) = two(name, "NUMBER FUNCTION", arguments)?;
    let signal = number.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    let signal = signal.ok_or_else(|| bad(format!("`{number}` is no signal")))?;
    let deed = match function.trim() {
        "gracefully_kill_them_all" => SignalDeed::Stop,
        "kill_them_all" => SignalDeed::StopNow,
        "grace_them_all" => SignalDeed::Reload,
        other => {
            return Err(bad(format!("there is no function `{other}` for a signal"))
                .fact("known: gracefully_kill_them_all, kill_them_all, grace_them_all"));
        }
    };
    Ok(Action::UnixSignal(signal, deed))
}

/// The first word and the rest.
fn two<'a>(name: &str, what: &str, arguments: &'a str) -> Result<(&'a str, &'a str)> {
    arguments
        .split_once(' ')
        .filter(|(word, rest)| !word.is_empty() && !rest.is_empty())
        .ok_or_else(|| takes(name, what, arguments))
}

fn takes(name: &str, what: &str, arguments: &str) -> Error {
    bad(format!("the hook action `{name}` takes {what}, not `{arguments}`"))
}

fn no_such(kind: &str, name: &str) -> Error {
    Error::new(Code::NoSuchUser, format!("no {kind} `{name}`"))
}

fn bad(sentence: String) -> Error {
    Error::new(Code::BadHook, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Action {
        Action::parse(text, false).unwrap()
    }

    fn sentence(text: &str) -> String {
        Action::parse(text, false).unwrap_err().message
    }

    #[test]
    fn actions_are_read_with_their_arguments() {
        assert_eq!(parsed("cd:/srv"), Action::Chdir("/srv".into()));
        assert_eq!(parsed("putenv:A=b=c"), Action::Putenv("A".into(), "b=c".into()));
        assert_eq!(parsed("chmod:/run/x 1777"), Action::Chmod("/run/x".into(), 0o1777));
        assert_eq!(parsed("chown:/x root 0"), Action::Chown("/x".into(), Uid::from_raw(0), Gid::from_raw(0)));
        assert_eq!(parsed("writen:/x a b"), Action::Write("/x".into(), "a b\n".into(), false));
        assert_eq!(parsed("append:/x a:b"), Action::Write("/x".into(), "a:b".into(), true));
        assert_eq!(parsed("exec:a: b"), Action::Exec("a: b".into()));
        assert_eq!(parsed("exit:"), Action::Exit(0));
        assert_eq!(parsed("umount:/mnt lazy"), Action::Umount("/mnt".into(), true));
        let Action::Mount(mount) = parsed("mount:tmpfs none /mnt nosuid,nodev noexec") else { panic!() };
        assert_eq!(mount.flags, ["nosuid", "nodev", "noexec"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(sentence("print"), "`print` has no action: a hook is `ACTION:ARGUMENTS`");
        assert_eq!(sentence("foo:bar"), "there is no hook action `foo`");
        assert_eq!(
            sentence("chmod:/x rwx"),
            "the hook action `chmod` takes FILE MODE, the mode in octal, not `/x rwx`"
        );
        assert_eq!(sentence("chown:/x nobody-such 0"), "no user `nobody-such`");
        assert_eq!(sentence("alarm:a b"), "rustwsgi does not have the hook action `alarm` yet");
        assert!(sentence("call:f").contains("uWSGI's own"));
    }

    #[test]
    fn signals_are_the_masters() {
        let stop = Action::parse("unix_signal:15 gracefully_kill_them_all", true).unwrap();
        assert_eq!(stop, Action::UnixSignal(Signal::SIGTERM, SignalDeed::Stop));
        assert!(Action::parse("unix_signal:15 f", true).is_err());
        assert!(Action::parse("unix_signal:99 kill_them_all", true).is_err());
        assert!(sentence("unix_signal:15 kill_them_all").contains("hook-master-start"));
    }
}
