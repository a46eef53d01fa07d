//! Which requests get a line in the log.
//!
//! Asked by `worker` after each request. All do, unless `disable-logging`; then those do that an
//! option of uWSGI's names.

use super::request::RequestLine;
use crate::config::Config;

/// What is logged of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    all: bool,
    empty: bool,
    /// Microseconds; 0 for none.
    slow: u64,
    client_errors: bool,
    server_errors: bool,
    /// Bytes; 0 for none.
    big: u64,
    files: bool,
    failed: bool,
}

impl Choice {
    /// As the configuration says (uWSGI: `--disable-logging`, `--log-slow`, `--log-4xx` and more).
    pub fn of(config: &Config) -> Self {
        let logging = &config.logging;
        Self {
            all: !config.disable_logging,
            empty: logging.log_zero,
            slow: logging.log_slow.saturating_mul(1000),
            client_errors: logging.log_4xx,
            server_errors: logging.log_5xx,
            big: logging.log_big,
            files: logging.log_sendfile,
            failed: logging.log_ioerror,
        }
    }

    /// Whether any request may get a line.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// Whether this one does.
    pub fn takes(&self, line: &RequestLine<'_>) -> bool {
        self.all
            || (self.empty && line.body_bytes == 0)
            || (self.slow > 0 && line.micros >= self.slow)
            || (self.client_errors && (400..500).contains(&line.status))
            || (self.server_errors && (500..600).contains(&line.status))
            || (self.big > 0 && line.body_bytes >= self.big)
            || (self.files && line.by_file)
            || (self.failed && (line.read_failed || line.write_failed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{facts, request};
    use super::*;

    #[test]
    fn without_logging_only_what_is_named_gets_a_line() {
        let quiet = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.disable_logging = true;
            Choice::of(&config)
        };
        let request = request(&[]);
        let line = |change: fn(&mut RequestLine<'_>)| {
            let mut line = facts(&request);
            change(&mut line);
            line
        };
        assert!(Choice::of(&Config::default()).takes(&line(|_| {})));
        assert!(!quiet(|_| {}).is_any());
        type Case = (fn(&mut Config), fn(&mut RequestLine<'_>));
        let cases: [Case; 7] = [
            (|config| config.logging.log_zero = true, |line| line.body_bytes = 0),
            (|config| config.logging.log_slow = 2, |line| line.micros = 2000),
            (|config| config.logging.log_4xx = true, |line| line.status = 404),
            (|config| config.logging.log_5xx = true, |line| line.status = 503),
            (|config| config.logging.log_big = 11, |line| line.body_bytes = 11),
            (|config| config.logging.log_sendfile = true, |line| line.by_file = true),
            (|config| config.logging.log_ioerror = true, |line| line.write_failed = true),
        ];
        for (at, (option, fact)) in cases.iter().enumerate() {
            let choice = quiet(*option);
            assert!(choice.is_any() && !choice.takes(&line(|_| {})), "{at}");
            assert!(choice.takes(&line(*fact)), "{at}");
        }
    }
}
