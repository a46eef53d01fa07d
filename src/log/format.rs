//! The request line in a form of the site's own (uWSGI: `--log-format`), compiled once.
//!
//! Called by `worker` once a request in place of the default line. A name that stands for nothing,
//! or for something empty, is written `-`, as in uWSGI.

use super::clock::{COMMON, CTIME, Clock};
use super::request::{RequestLine, most, number, text};
use crate::proto::request::{Body, Known};

/// A compiled format, with the clocks it needs. A core keeps one.
#[derive(Debug)]
pub struct Format {
    parts: Vec<Part>,
    common: Clock,
    ctime: Clock,
    /// What `ftime` is written in.
    form: Clock,
}

/// A piece of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// One of uWSGI's names.
    Fact(Fact),
    /// `var.NAME`: a variable of the request.
    Var(String),
    /// What the app set, if it did.
    App(String),
    /// A metric that does not exist is 0 in uWSGI.
    Zero,
}

/// Makes the names that a format may hold and what they stand for.
macro_rules! facts {
    ($($name:literal => $fact:ident,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Fact { $($fact),* }

        impl Fact {
            fn of(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$fact),)*
                    _ => None,
                }
            }
        }

        /// Every name that stands for something in a format, `var.NAME` aside.
        pub const NAMES: &[&str] = &[$($name),*];
    };
}

facts! {
    "uri" => Uri,
    "method" => Method,
    "user" => User,
    "addr" => Address,
    "host" => Host,
    "proto" => Protocol,
    "uagent" => UserAgent,
    "referer" => Referer,
    "status" => Status,
    "rsize" => BodySize,
    "hsize" => HeadSize,
    "size" => Size,
    "cl" => ContentLength,
    "micros" => Micros,
    "msecs" => Millis,
    "secs" => Seconds,
    "tmsecs" => StartMillis,
    "tmicros" => StartMicros,
    "time" => Start,
    "ltime" => StartCommon,
    "ftime" => StartForm,
    "ctime" => StartCtime,
    "epoch" => Epoch,
    "pid" => Pid,
    "wid" => Worker,
    "switches" => Switches,
    "vars" => Vars,
    "core" => Core,
    "vsz" => AddressSpace,
    "rss" => Resident,
    "vszM" => AddressSpaceMega,
    "rssM" => ResidentMega,
    "pktsize" => PacketSize,
    "modifier1" => Modifier1,
    "modifier2" => Modifier2,
    "headers" => Headers,
    "werr" => WriteErrors,
    "rerr" => ReadErrors,
    "ioerr" => Errors,
}

impl Format {
    /// Compiles a format. `form` is what `ftime` is written in, strftime(3)'s way; without it
    /// `ftime` is `ltime` (uWSGI: `--logformat-strftime` with `--log-date`).
    pub fn new(format: &str, form: Option<&str>) -> Self {
        Self {
            parts: Self::parts(format),
            common: Clock::new(COMMON),
            ctime: Clock::new(CTIME),
            form: Clock::new(form.unwrap_or(COMMON)),
        }
    }

    /// The names in a format that stand for nothing the server knows: the app may set them.
    pub fn unknown(format: &str) -> Vec<String> {
        let names = pieces(format).into_iter().filter_map(|piece| match piece {
            Piece::Name(name) if matches!(part(name), Part::App(_)) => Some(name.to_owned()),
            _ => None,
        });
        names.collect()
    }

    fn parts(format: &str) -> Vec<Part> {
        let parts = pieces(format).into_iter().map(|piece| match piece {
            Piece::Literal(text) => Part::Literal(text.to_owned()),
            Piece::Name(name) => part(name),
        });
        parts.collect()
    }

    /// Appends the line, with its line end.
    pub fn write_to(&mut self, line: &RequestLine<'_>, out: &mut Vec<u8>) {
        for at in 0..self.parts.len() {
            match &self.parts[at] {
                Part::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
                Part::Var(name) => said(out, line.request.var(name.as_bytes()).unwrap_or_default()),
                Part::App(name) => {
                    let set = line.app_vars.iter().find(|(known, _)| known == name.as_bytes());
                    said(out, set.map_or(b"", |(_, value)| value));
                }
                Part::Zero => out.push(b'0'),
                Part::Fact(fact) => {
                    let fact = *fact;
                    self.fact(fact, line, out);
                }
            }
        }
        out.push(b'\n');
    }

    fn fact(&mut self, fact: Fact, line: &RequestLine<'_>, out: &mut Vec<u8>) {
        let known = |which| line.request.known(which).unwrap_or_default();
        let start = line.started.div_euclid(1_000_000);
        let memory = line.memory.unwrap_or_default();
        let value = match fact {
            Fact::Uri => return said(out, known(Known::RequestUri)),
            Fact::Method => return said(out, known(Known::RequestMethod)),
            Fact::User => return said(out, known(Known::RemoteUser)),
            Fact::Address => return said(out, line.address()),
            Fact::Host => return said(out, known(Known::HttpHost)),
            Fact::Protocol => return said(out, known(Known::ServerProtocol)),
            Fact::UserAgent => return said(out, known(Known::HttpUserAgent)),
            Fact::Referer => return said(out, known(Known::HttpReferer)),
            Fact::StartCommon => return out.extend_from_slice(self.common.date(start)),
            Fact::StartForm => return out.extend_from_slice(self.form.date(start)),
            Fact::StartCtime => return out.extend_from_slice(self.ctime.date(start)),
            Fact::Seconds => {
                number(out, line.micros / 1_000_000);
                let rest = (line.micros % 1_000_000 + 1_000_000).to_string();
                out.push(b'.');
                return out.extend_from_slice(&rest.as_bytes()[1..]);
            }
            Fact::Status => line.status.into(),
            Fact::BodySize => line.body_bytes,
            Fact::HeadSize => line.head_bytes as u64,
            Fact::Size => line.body_bytes + line.head_bytes as u64,
            Fact::ContentLength => match line.request.body {
                Body::Length(length) | Body::Records(length) => length,
                Body::Chunked => 0,
            },
            Fact::Micros => line.micros,
            Fact::Millis => line.micros / 1000,
            Fact::StartMillis => line.started.unsigned_abs() / 1000,
            Fact::StartMicros => line.started.unsigned_abs(),
            Fact::Start => start.unsigned_abs(),
            Fact::Epoch => (line.started.unsigned_abs() + line.micros) / 1_000_000,
            Fact::Pid => line.pid.into(),
            Fact::Worker => line.worker as u64,
            // A request is served in one go: there is nothing to switch between.
            Fact::Switches => 1,
            // uWSGI counts names and values.
            Fact::Vars => line.request.len() as u64 * 2,
            Fact::Core => line.core as u64,
            Fact::AddressSpace => memory.0,
            Fact::Resident => memory.1,
            Fact::AddressSpaceMega => memory.0 >> 20,
            Fact::ResidentMega => memory.1 >> 20,
            Fact::PacketSize => line.packet_bytes(),
            Fact::Modifier1 => line.request.modifier1.into(),
            Fact::Modifier2 => line.request.modifier2.into(),
            Fact::Headers => line.head_count.into(),
            Fact::WriteErrors => line.write_failed.into(),
            Fact::ReadErrors => line.read_failed.into(),
            Fact::Errors => u64::from(line.write_failed) + u64::from(line.read_failed),
        };
        number(out, value);
    }
}

/// What a format is made of.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Literal(&'a str),
    Name(&'a str),
}

/// Takes a format apart: `%(name)` is a name, and all else stands for itself.
fn pieces(format: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some((start, length)) = name_in(rest) {
        if start > 0 {
            pieces.push(Piece::Literal(&rest[..start]));
        }
        pieces.push(Piece::Name(&rest[start + 2..start + 2 + length]));
        rest = &rest[start + 3 + length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    pieces
}

/// Where the next `%(name)` begins, and how long the name is.
fn name_in(format: &str) -> Option<(usize, usize)> {
    let start = format.find("%(")?;
    Some((start, format[start + 2..].find(')')?))
}

fn part(name: &str) -> Part {
    if let Some(fact) = Fact::of(name) {
        return Part::Fact(fact);
    }
    match name.split_once('.') {
        Some(("var", name)) => Part::Var(name.to_owned()),
        Some(("metric", _)) => Part::Zero,
        _ => Part::App(name.to_owned()),
    }
}

/// Appends what a client sent; nothing shows as `-`.
fn said(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        b"" => out.push(b'-'),
        bytes => text(out, bytes, most::URI),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::{facts, request};
    use super::*;
    use jiff::tz::TimeZone;

    fn written(format: &str, change: impl FnOnce(&mut RequestLine<'_>)) -> String {
        let request = request(&[
            ("REQUEST_METHOD", b"GET"),
            ("REQUEST_URI", b"/x?a=1"),
            ("SERVER_PROTOCOL", b"HTTP/1.1"),
            ("REMOTE_ADDR", b"10.1.2.3"),
            ("REMOTE_USER", b""),
            ("HTTP_HOST", b"h.example"),
            ("HTTP_USER_AGENT", b"ua/1 \"q\"\n"),
        ]);
        let mut line = facts(&request);
        change(&mut line);
        let mut out = Vec::new();
        let mut format = Format::new(format, Some("%Y/%m"));
        for (clock, form) in [(&mut format.common, COMMON), (&mut format.ctime, CTIME), (&mut format.form, "%Y/%m")] {
            *clock = Clock::in_zone(form, TimeZone::UTC);
        }
        format.write_to(&line, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_no_name_stands_for_itself() {
        for (format, line) in [
            ("100% %% %(method)", "100% %% GET\n"),
            ("%(uri", "%(uri\n"),
            ("%( uri )", "-\n"),
            ("%()x", "-x\n"),
            ("%x %(URI)", "%x -\n"),
            ("%(uri)%(uri)", "/x?a=1/x?a=1\n"),
            ("plain", "plain\n"),
            ("", "\n"),
        ] {
            assert_eq!(written(format, |_| {}), line);
        }
    }

    #[test]
    fn names_stand_for_what_uwsgi_has_for_them() {
        for (format, line) in [
            ("%(addr) %(user) %(var.HTTP_HOST) %(var.NO) %(metric.x) %(no)", "10.1.2.3 - h.example - 0 -\n"),
            ("%(uagent)", "ua/1 \"q\"\\x0A\n"),
            ("%(secs) %(micros) %(msecs)", "1.000999 1000999 1000\n"),
            ("%(time) %(tmsecs) %(tmicros) %(epoch)", "1795466608 1795466608000 1795466608000000 1795466609\n"),
            ("[%(ltime)] [%(ctime)] %(ftime)", "[23/Nov/2026:20:43:28 +0000] [Mon Nov 23 20:43:28 2026] 2026/11\n"),
            ("%(status) %(rsize)+%(hsize)=%(size) %(headers)", "200 10+45=55 1\n"),
            ("%(vsz) %(rssM) %(ioerr)%(rerr)%(werr)", "3145728 2 101\n"),
        ] {
            assert_eq!(
                written(format, |line| {
                    (line.micros, line.memory, line.write_failed) = (1_000_999, Some((3 << 20, 2 << 20)), true);
                }),
                line
            );
        }
    }

    #[test]
    fn every_name_is_known_and_no_other() {
        let all: String = NAMES.iter().map(|name| format!("%({name})")).collect();
        assert_eq!(Format::unknown(&all), Vec::<String>::new());
        assert_eq!(Format::unknown("%(uir) %(var.x) %(shop)"), ["uir", "shop"]);
    }
}
