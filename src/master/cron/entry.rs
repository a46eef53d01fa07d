//! One line of `cron`, `cron2` or `unique-cron`, read.
//!
//! Called by `cron` at the start and at each reload, before anything is started. Fails with RW0704.

use super::schedule::Schedule;
use crate::config::Config;
use crate::error::{Code, Error, Result};

/// A command and when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub schedule: Schedule,
    /// The command, for the shell.
    pub command: String,
    /// Whether it is left out while it still runs.
    pub unique: bool,
    /// Seconds after which it is killed; 0 is never.
    pub harakiri: u64,
}

impl Entry {
    /// Every cron of a configuration.
    pub fn all(config: &Config) -> Result<Vec<Self>> {
        let hooks = &config.hooks;
        let plain = |option: &'static str, unique: bool| {
            move |text: &String| {
                Self::plain(text, unique, hooks.cron_harakiri)
                    .map_err(|error| error.maybe_at(config.line_of(option, text)))
            }
        };
        let keyed = |text: &String| {
            Self::keyed(text, hooks.cron_harakiri).map_err(|error| error.maybe_at(config.line_of("cron2", text)))
        };
        let crons = hooks.cron.iter().map(plain("cron", false));
        crons
            .chain(hooks.cron2.iter().map(keyed))
            .chain(hooks.unique_cron.iter().map(plain("unique-cron", true)))
            .collect()
    }

    /// `MINUTE HOUR DAY MONTH WEEKDAY COMMAND`.
    fn plain(text: &str, unique: bool, harakiri: u64) -> Result<Self> {
        let mut rest = text.trim_start();
        let mut fields = [0; 5];
        for field in &mut fields {
            let (word, more) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            *field = number(word)?;
            rest = more.trim_start();
        }
        let [minute, hour, day, month, week] = fields;
        Self { schedule: Schedule { minute, hour, day, month, week }, command: rest.into(), unique, harakiri }.checked()
    }

    /// `KEY=VALUE,… COMMAND`.
    fn keyed(text: &str, harakiri: u64) -> Result<Self> {
        let text = text.trim_start();
        let (keys, command) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let command = command.trim_start().to_owned();
        let mut entry = Self { schedule: Schedule::default(), command, unique: false, harakiri };
        for pair in keys.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(bad(format!("`{pair}` is no `KEY=VALUE`")).hint("cron2 = minute=0,hour=4 COMMAND"));
            };
            match key {
                "minute" => entry.schedule.minute = number(value)?,
                "hour" => entry.schedule.hour = number(value)?,
                "day" => entry.schedule.day = number(value)?,
                "month" => entry.schedule.month = number(value)?,
                "week" => entry.schedule.week = number(value)?,
                "unique" => entry.unique = number(value)? != 0,
                "harakiri" => entry.harakiri = u64::try_from(number(value)?).unwrap_or(0),
                "legion" => return Err(bad("rustwsgi does not have legions yet".into())),
                _ => {
                    return Err(bad(format!("`cron2` has no key `{key}`"))
                        .fact("known: minute, hour, day, month, week, unique, harakiri"));
                }
            }
        }
        entry.checked()
    }

    fn checked(self) -> Result<Self> {
        if let Some((field, range)) = self.schedule.mistake() {
            return Err(bad(format!("the {field} is {range}, -1 for any, or -N for every N")));
        }
        match self.command.is_empty() {
            true => Err(bad("the command is missing".into())),
            false => Ok(self),
        }
    }
}

fn number(text: &str) -> Result<i32> {
    let read = text.parse().map_err(|_| bad(format!("`{text}` is no number")));
    read.map_err(|error: Error| match text.contains(['*', '/']) {
        true => error.fact("-1 stands for `*`, -15 for `*/15`"),
        false => error,
    })
}

fn bad(sentence: String) -> Error {
    Error::new(Code::BadCron, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_numbers_and_a_command() {
        let entry = Entry::plain("59 2 -1  -1 7 manage.py clearsessions  -v0", true, 9).unwrap();
        assert_eq!(entry.schedule, Schedule { minute: 59, hour: 2, day: -1, month: -1, week: 7 });
        assert_eq!((entry.command.as_str(), entry.unique, entry.harakiri), ("manage.py clearsessions  -v0", true, 9));
    }

    #[test]
    fn keys_and_a_command() {
        let entry = Entry::keyed("minute=-15,week=1,unique=1,harakiri=30 a b=c,d", 9).unwrap();
        assert_eq!(entry.schedule, Schedule { minute: -15, week: 1, ..Schedule::default() });
        assert_eq!((entry.command.as_str(), entry.unique, entry.harakiri), ("a b=c,d", true, 30));
        assert_eq!(Entry::keyed("hour=1 x", 9).unwrap().harakiri, 9);
    }

    #[test]
    fn mistakes_are_named() {
        let plain = |text| Entry::plain(text, false, 0).unwrap_err().message;
        assert_eq!(plain("* * * * * x"), "`*` is no number");
        assert_eq!(plain("1 2 3"), "`` is no number");
        assert_eq!(plain("1 2 3 4 5"), "the command is missing");
        assert_eq!(plain("60 2 3 4 5 x"), "the minute is 0 to 59, -1 for any, or -N for every N");
        let keyed = |text| Entry::keyed(text, 0).unwrap_err().message;
        assert_eq!(keyed("minutes=3 x"), "`cron2` has no key `minutes`");
        assert_eq!(keyed("sleep 3"), "`sleep` is no `KEY=VALUE`");
        assert_eq!(keyed("legion=x y"), "rustwsgi does not have legions yet");
    }
}
