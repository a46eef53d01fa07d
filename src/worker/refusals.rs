//! Requests that the app never sees: what the client is told, and one line in the log.
//!
//! Used by the loop of each core. The lines are bounded in rate, because anybody who reaches the
//! socket can make them; the answers are not.

use std::sync::{Mutex, PoisonError};

use super::connection::Peer;
use super::gate::Gate;
use crate::config::Warning;
use crate::error::{Code, Error};
use crate::net::listener::Protocol;
use crate::proto::refusal::Refusal;
use crate::proto::{fastcgi, response};
use crate::sys::clock;

/// Lines a second that a worker logs about refused requests.
const LINES: u32 = 10;
/// The span that lines are counted over, nanoseconds.
const SPAN: u64 = 1_000_000_000;
/// What a `buffer-size` is proposed in, bytes.
const ROUND: usize = 4096;
/// The largest `buffer-size` there is.
const MOST_BUFFER: usize = 65_535;

/// Counts the lines of one kind and leaves out those above the rate.
#[derive(Debug)]
pub struct Rate {
    most: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    began: u64,
    said: u32,
    unsaid: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self::new(LINES)
    }
}

impl Rate {
    /// At most `most` lines a second.
    pub fn new(most: u32) -> Self {
        Self { most, window: Mutex::default() }
    }

    /// Whether a line may be logged at `now` (CLOCK_MONOTONIC nanoseconds): how many were left out
    /// before it, or `None` to leave it out too.
    pub fn admit(&self, now: u64) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.said == 0 || now.saturating_sub(window.began) >= SPAN {
            window.began = now;
            window.said = 0;
        }
        if window.said >= self.most {
            window.unsaid += 1;
            return None;
        }
        window.said += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

/// The answer to a refused request, whole.
pub fn answer(protocol: Protocol, refusal: &Refusal) -> Vec<u8> {
    let version: &[u8] = match protocol {
        Protocol::Http | Protocol::HttpRouter => b"HTTP/1.1",
        Protocol::Uwsgi | Protocol::ScgiNph => b"HTTP/1.0",
        Protocol::Scgi | Protocol::Fastcgi => b"Status:",
    };
    let answer = response::canned(version, refusal.status(), &refusal.to_string());
    if protocol == Protocol::Fastcgi { fastcgi::whole(&answer) } else { answer }
}

/// Logs a refused request, as the rate allows.
pub fn log(rate: &Rate, worker: usize, gate: &Gate, peer: &Peer, refusal: &Refusal) {
    let Some(unsaid) = rate.admit(clock::monotonic()) else { return };
    let from = match peer.address.as_str() {
        "" => String::new(),
        address => format!(" from {address}"),
    };
    let hint = match refusal {
        Refusal::Proxy(_) => "; without `enable-proxy-protocol` none is expected",
        _ => "",
    };
    let more = match unsaid {
        0 => String::new(),
        unsaid => format!(" ({unsaid} more refused meanwhile)"),
    };
    let message = format!("worker {worker} refused a request{from} on {}: {refusal}{hint}{more}", gate.name());
    match explained(refusal, &message) {
        Some(error) => tracing::warn!("{}", Warning::from(error)),
        None => tracing::warn!("{message}"),
    }
}

/// The message with its code and what to do, for refusals that are mostly a mistake in a configuration.
fn explained(refusal: &Refusal, message: &str) -> Option<Error> {
    Some(match refusal {
        Refusal::WrongProtocol(_) => Error::new(Code::HttpOnUwsgi, message)
            .hint("for HTTP use `http-socket`; in nginx `uwsgi_pass` leads here, not `proxy_pass`"),
        Refusal::TooLarge { size, limit } => {
            let error = Error::new(Code::HeadTooLarge, message);
            match size.next_multiple_of(ROUND).min(MOST_BUFFER) {
                enough if enough >= *size && enough > *limit => error.hint(format!("buffer-size = {enough}")),
                _ => error,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_above_the_rate_are_counted() {
        let rate = Rate::new(2);
        let at = |millis: u64| rate.admit(5_000_000_000 + millis * 1_000_000);
        assert_eq!([at(0), at(1), at(2), at(999)], [Some(0), Some(0), None, None]);
        assert_eq!([at(1001), at(1002), at(1003)], [Some(2), Some(0), None]);
        assert_eq!(at(9000), Some(1));
    }

    #[test]
    fn mistakes_in_a_configuration_have_a_code_and_a_hint() {
        let http = explained(&Refusal::WrongProtocol("HTTP"), "x").unwrap();
        assert!(http.code == Code::HttpOnUwsgi && http.hints[0].contains("http-socket"));
        let large = |size, limit| explained(&Refusal::TooLarge { size, limit }, "x").unwrap().hints;
        assert_eq!(large(7213, 4096), ["buffer-size = 8192"]);
        assert_eq!(large(65_000, 4096), ["buffer-size = 65535"]);
        assert!(large(70_000, 65_535).is_empty() && large(70_000, 4096).is_empty());
        assert!(explained(&Refusal::Timeout, "x").is_none());
    }

    #[test]
    fn answers_have_the_status_of_the_refusal() {
        let text = |protocol, refusal| String::from_utf8(answer(protocol, &refusal)).unwrap();
        let large = text(Protocol::Uwsgi, Refusal::TooLarge { size: 9, limit: 8 });
        assert!(large.starts_with("HTTP/1.0 431 "), "{large}");
        assert!(text(Protocol::Http, Refusal::Timeout).starts_with("HTTP/1.1 408 "));
        assert!(text(Protocol::Scgi, Refusal::Timeout).starts_with("Status: 408 "));
    }
}
