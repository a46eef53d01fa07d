//! `rustwsgi ctl PIDFILE|INI VERB`: what a running instance can be asked, each verb until it is done.
//!
//! Called by `run` with the words behind `ctl`. The asking itself is `master::ask`'s.

use std::path::PathBuf;
use std::time::Duration;

use super::{complain, say};
use crate::config::{Config, Source};
use crate::error::{Code, Error, Result};
use crate::master::ask;
use crate::master::command::Command;
use crate::master::control::Told;
use crate::master::status::Status;

/// What `ctl` says when it was called in no way it knows.
const USAGE: &str = "rustwsgi ctl PIDFILE|INI status|reload|reload-workers|chain-reload|pause|resume|reopen-logs|stop|workers [+|-]N \
                     [--json] [--timeout SECONDS]";

/// What is asked of whom.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    instance: String,
    verb: Verb,
    timeout: Option<Duration>,
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Stop,
    Ask(Command),
}

/// Does what the words say; answers with the exit code.
///
/// Errors: words that say nothing, no running instance, and whatever the instance answers.
pub fn control(words: &[String]) -> Result<i32> {
    let request = Request::of(words)?;
    let pidfile = pidfile(&request.instance)?;
    let told = match request.verb {
        Verb::Stop => ask::stop(&pidfile, true, request.timeout)?,
        Verb::Ask(command) => ask::command(&pidfile, command, request.timeout)?,
    };
    told.warnings.iter().for_each(|warning| complain(warning));
    Ok(say(&format!("{}\n", shown(&request, told)?)))
}

fn shown(request: &Request, told: Told) -> Result<String> {
    if request.json || request.verb != Verb::Ask(Command::Status) {
        return Ok(told.message);
    }
    let unreadable = |error| Error::new(Code::Internal, format!("the master's answer can't be read: {error}"));
    serde_json::from_str::<Status>(&told.message).map(|status| status.text()).map_err(unreadable)
}

impl Request {
    fn of(words: &[String]) -> Result<Self> {
        let (mut plain, mut timeout, mut json) = (Vec::new(), None, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value))) {
                ("--json", None) => json = true,
                ("--timeout", value) => {
                    let value = value.or_else(|| words.next().map(String::as_str)).unwrap_or_default();
                    let seconds = value
                        .parse()
                        .map_err(|_| wrong(format!("`--timeout` takes a whole number of seconds, not `{value}`")))?;
                    timeout = Some(Duration::from_secs(seconds));
                }
                _ if word.starts_with("--") => return Err(wrong(format!("`ctl` has no option `{word}`"))),
                _ => plain.push(word.as_str()),
            }
        }
        let (instance, verb) = match plain[..] {
            [instance, "workers", count] => (instance, workers(count)?),
            [instance, verb] => (instance, Verb::of(verb)?),
            _ => return Err(wrong("`ctl` takes an instance and a verb".to_owned())),
        };
        if json && verb != Verb::Ask(Command::Status) {
            return Err(wrong("`--json` goes with `status`".to_owned()));
        }
        Ok(Self { instance: instance.to_owned(), verb, timeout, json })
    }
}

impl Verb {
    fn of(word: &str) -> Result<Self> {
        Ok(match word {
            "stop" => Self::Stop,
            "status" => Self::Ask(Command::Status),
            "reload" => Self::Ask(Command::Reload),
            "reload-workers" => Self::Ask(Command::ReloadWorkers),
            "chain-reload" => Self::Ask(Command::ReloadChain),
            "pause" => Self::Ask(Command::Pause),
            "reopen-logs" => Self::Ask(Command::ReopenLog),
            "resume" => Self::Ask(Command::Resume),
            "workers" => {
                return Err(wrong("`workers` takes a number, `+1` for one more, `-1` for one fewer".to_owned()));
            }
            _ => return Err(wrong(format!("`ctl` has no verb `{word}`"))),
        })
    }
}

/// `+1`, `-1` or a number of workers.
fn workers(count: &str) -> Result<Verb> {
    let command = match count.starts_with(['+', '-']) {
        true => count.parse().ok().map(Command::AddWorkers),
        false => count.parse().ok().map(Command::SetWorkers),
    };
    command.map(Verb::Ask).ok_or_else(|| wrong(format!("`workers` takes a number, `+1` or `-1`, not `{count}`")))
}

fn wrong(message: String) -> Error {
    Error::new(Code::BadCommandLine, message).hint(USAGE)
}

/// The pid file that a word names, or that the configuration file it names has.
fn pidfile(word: &str) -> Result<PathBuf> {
    if !Source::is_file(word) {
        return Ok(word.into());
    }
    let directory =
        std::env::current_dir().map_err(|cause| Error::system("cannot tell the working directory", cause))?;
    let source = Source {
        files: vec![word.to_owned()],
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        ..Source::default()
    };
    let (config, _) = Config::load(&source, &directory).map_err(|errors| {
        let unread = || Error::new(Code::ConfigUnreadable, format!("cannot read `{word}`"));
        errors.into_iter().next().unwrap_or_else(unread)
    })?;
    config.pidfile.map(|path| directory.join(path)).ok_or_else(|| {
        Error::new(Code::PidfileBad, format!("`{word}` names no `pidfile`, so its instance can't be found"))
            .hint("set pidfile = FILE and restart the instance")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request> {
        Request::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_stand_in_any_order() {
        let status = request("--json a.pid status --timeout 5").unwrap();
        assert_eq!(status, request("a.pid --timeout=5 status --json").unwrap());
        assert_eq!((status.json, status.timeout), (true, Some(Duration::from_secs(5))));
        assert_eq!(request("a.pid stop").unwrap().verb, Verb::Stop);
        assert_eq!(request("a.pid workers -1").unwrap().verb, Verb::Ask(Command::AddWorkers(-1)));
        assert_eq!(request("a.pid workers 3").unwrap().verb, Verb::Ask(Command::SetWorkers(3)));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for line in [
            "",
            "a.pid",
            "a.pid dance",
            "a.pid stop now",
            "a.pid stop --json",
            "a.pid stop --force",
            "a --timeout x",
            "a workers",
            "a workers x",
        ] {
            let error = request(line).unwrap_err();
            assert_eq!((error.code, error.hints.len()), (Code::BadCommandLine, 1), "{line}");
        }
    }
}
