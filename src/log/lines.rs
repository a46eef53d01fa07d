//! The server's own lines: one event of `tracing`, one line in the log.
//!
//! Lines are plain sentences as uWSGI's are, because people and scripts grep for them: no level, no
//! target and, without `log-date`, no time: whoever collects the log, be it journald or Docker, adds
//! one. Only warnings and errors say what they are.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::clock::{CTIME, Clock};
use crate::sys::clock;

/// Makes the log the place where the events of this process and of its children go: those of level
/// INFO and above. A second call changes nothing.
pub fn install() {
    super::writer::look();
    // Fails where it was done already.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(LevelFilter::INFO).with(Lines));
}

/// What stands in front of the server's lines: the date, in this form.
static DATE: Mutex<Option<Clock>> = Mutex::new(None);

/// Puts the date in front of every line from now on, as `log-date` says: in its strftime(3) form, or
/// as ctime(3) has it where the option is bare or on; `None` and off are no date. Fails with what is
/// wrong with the form.
pub fn date(form: Option<&str>) -> Result<(), String> {
    let clock = match form.map(str::to_ascii_lowercase).as_deref() {
        None | Some("0" | "false" | "off" | "no") => None,
        Some("" | "1" | "true" | "on" | "yes") => Some(Clock::new(CTIME)),
        Some(_) => {
            let form = form.unwrap_or_default();
            Clock::check(form)?;
            Some(Clock::new(form))
        }
    };
    *DATE.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    Ok(())
}

/// Writes each event as one line to descriptor 2.
#[derive(Debug)]
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let line = text.line(*event.metadata().level(), colour);
        let mut date = DATE.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *date {
            Some(clock) => super::emit(&dated(clock.date(clock::epoch()), &line)),
            None => super::emit(line.as_bytes()),
        }
    }
}

/// A line with the date in front of it, as uWSGI puts it there.
fn dated(date: &[u8], line: &str) -> Vec<u8> {
    [date, b" - ", line.as_bytes()].concat()
}

/// Whether a person reads it. Asked anew for each prefix, as descriptor 2 changes once the log file
/// is in its place.
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// What an event says: its message, and its other fields behind it.
#[derive(Debug, Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn line(self, level: Level, colour: impl Fn() -> bool) -> String {
        let (prefix, paint) = match level {
            Level::ERROR => ("error: ", "31"),
            Level::WARN => ("warning: ", "33"),
            _ => ("", ""),
        };
        let Self { message, fields } = self;
        // A message of `error` and a warning of `config` have their own start, with the code.
        if prefix.is_empty()
            || message.starts_with(&[prefix.trim_end_matches(": "), "["].concat())
            || message.starts_with(prefix)
        {
            format!("{message}{fields}\n")
        } else if colour() {
            format!("\x1b[1;{paint}m{prefix}\x1b[0m{message}{fields}\n")
        } else {
            format!("{prefix}{message}{fields}\n")
        }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps the lines that [`Lines`] would write.
    struct Kept(Arc<Mutex<Vec<String>>>, bool);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut text = Text::default();
            event.record(&mut text);
            self.0.lock().unwrap().push(text.line(*event.metadata().level(), || self.1));
        }
    }

    fn lines(colour: bool, events: impl FnOnce()) -> Vec<String> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let layers = Registry::default().with(LevelFilter::INFO).with(Kept(Arc::clone(&kept), colour));
        tracing::subscriber::with_default(layers, events);
        kept.lock().unwrap().drain(..).collect()
    }

    #[test]
    fn events_become_plain_lines() {
        let written = lines(false, || {
            tracing::debug!("unseen");
            tracing::info!("spawned worker {} (pid: {})", 1, 2);
            tracing::info!(pid = 7, why = "max-requests", "recycled");
            tracing::warn!("no app");
            tracing::warn!("warning: said already");
            tracing::error!("broken");
            tracing::error!("error[RW0201]: cannot import\n  --> uwsgi.ini:4");
        });
        assert_eq!(
            written,
            [
                "spawned worker 1 (pid: 2)\n",
                "recycled pid=7 why=max-requests\n",
                "warning: no app\n",
                "warning: said already\n",
                "error: broken\n",
                "error[RW0201]: cannot import\n  --> uwsgi.ini:4\n",
            ]
        );
    }

    #[test]
    fn only_the_prefix_is_coloured() {
        let written = lines(true, || {
            tracing::info!("plain");
            tracing::warn!("look");
        });
        assert_eq!(written, ["plain\n", "\x1b[1;33mwarning: \x1b[0mlook\n"]);
    }
}
