//! The command line of the load generator.
//!
//! Called by `main` only. Parsed by hand: a parser crate would be most of the build time of so small a program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::answer::Expected;
use crate::request::{Protocol, Variables, Wish};

/// What `--help` prints.
pub const HELP: &str = "\
loadgen: loads one server from one thread, checks every answer, prints JSON

usage: loadgen (--unix PATH | --tcp ADDR:PORT) [options]

  --protocol NAME      uwsgi (one connection per request), http (keep-alive), http-close  [uwsgi]
  --vars N             variables as nginx sends them: 14, or 40 with a browser's headers  [14]
  --uri URI            path and query  [/]
  --body BYTES         POST that many bytes  [0]
  --variants N         requests that differ in their clients' values, sent in turn  [64]
  --connections N      connections in flight  [16]
  --requests N         stop after N answers
  --seconds S          stop after S seconds  [1, when --requests is not given]
  --rate R             start R requests a second whether answers come or not; latency counts
                       from when a request was due  [closed loop]
  --expect TEXT        the body of every answer
  --expect-file PATH   the same from a file
  --expect-length N    the length of the body of every answer
  --timeout S          give up when no answer came for S seconds  [10]

exit code: 0 all answers good, 1 something was wrong (the JSON says what), 2 bad usage
";

/// Where the server listens.
#[derive(Clone, Debug)]
pub enum Target {
    /// UNIX socket path.
    Unix(PathBuf),
    /// TCP address.
    Tcp(SocketAddr),
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to send.
    pub target: Target,
    /// What to send.
    pub wish: Wish,
    /// Number of different requests.
    pub variants: usize,
    /// Connections in flight.
    pub connections: usize,
    /// Bound by count.
    pub requests: Option<u64>,
    /// Bound by time.
    pub length: Option<Duration>,
    /// Distance between two starts; `None` is the closed loop.
    pub interval: Option<Duration>,
    /// The good answer.
    pub expected: Expected,
    /// Longest silence.
    pub timeout: Duration,
}

impl Plan {
    /// Reads the arguments (without the program name). `Ok(None)`: help was asked for.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = args.into_iter();
        let mut target = None;
        let mut plan = Self {
            target: Target::Unix(PathBuf::new()),
            wish: Wish {
                protocol: Protocol::Uwsgi,
                variables: Variables::Fourteen,
                uri: "/".to_owned(),
                body: 0,
            },
            variants: 64,
            connections: 16,
            requests: None,
            length: None,
            interval: None,
            expected: Expected::default(),
            timeout: Duration::from_secs(10),
        };
        while let Some(name) = args.next() {
            if name == "--help" || name == "-h" {
                return Ok(None);
            }
            let value = args
                .next()
                .ok_or_else(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--unix" => target = Some(Target::Unix(PathBuf::from(&value))),
                "--tcp" => target = Some(Target::Tcp(number(&name, &value)?)),
                "--protocol" => plan.wish.protocol = protocol(&value)?,
                "--vars" => plan.wish.variables = variables(&value)?,
                "--uri" if value.starts_with('/') => plan.wish.uri = value,
                "--uri" => return Err(format!("`--uri` must start with `/`, not `{value}`")),
                "--body" => plan.wish.body = number(&name, &value)?,
                "--variants" => plan.variants = number(&name, &value)?,
                "--connections" => plan.connections = number(&name, &value)?,
                "--requests" => plan.requests = Some(number(&name, &value)?),
                "--seconds" => plan.length = Some(seconds(&name, &value)?),
                "--rate" => {
                    plan.interval = Some(Duration::from_secs_f64(1.0 / positive(&name, &value)?))
                }
                "--expect" => plan.expected.body = Some(value.into_bytes()),
                "--expect-file" => {
                    plan.expected.body =
                        Some(std::fs::read(&value).map_err(|error| format!("`{value}`: {error}"))?);
                }
                "--expect-length" => plan.expected.length = Some(number(&name, &value)?),
                "--timeout" => plan.timeout = seconds(&name, &value)?,
                _ => return Err(format!("unknown option `{name}`, see `--help`")),
            }
        }
        plan.target = target.ok_or("`--unix` or `--tcp` must say where the server is")?;
        if plan.connections == 0 {
            return Err("`--connections` must be at least 1".to_owned());
        }
        if plan.requests.is_none() && plan.length.is_none() {
            plan.length = Some(Duration::from_secs(1));
        }
        Ok(Some(plan))
    }
}

fn protocol(value: &str) -> Result<Protocol, String> {
    match value {
        "uwsgi" => Ok(Protocol::Uwsgi),
        "http" => Ok(Protocol::Http { keep_alive: true }),
        "http-close" => Ok(Protocol::Http { keep_alive: false }),
        _ => Err(format!(
            "`--protocol` is `uwsgi`, `http` or `http-close`, not `{value}`"
        )),
    }
}

fn variables(value: &str) -> Result<Variables, String> {
    match value {
        "14" => Ok(Variables::Fourteen),
        "40" => Ok(Variables::Forty),
        _ => Err(format!("`--vars` is `14` or `40`, not `{value}`")),
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("`{name}` does not take `{value}`"))
}

fn positive(name: &str, value: &str) -> Result<f64, String> {
    number(name, value)
        .ok()
        .filter(|found: &f64| *found > 0.0 && found.is_finite())
        .ok_or_else(|| format!("`{name}` takes a number above 0, not `{value}`"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(positive(name, value)?)
        .map_err(|_| format!("`{name}` is too long: `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Plan>, String> {
        Plan::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_run_is_always_bounded() {
        let plan = parse("--unix /tmp/a").unwrap().unwrap();
        assert_eq!(
            (plan.length, plan.requests),
            (Some(Duration::from_secs(1)), None)
        );
        let plan = parse("--tcp 127.0.0.1:80 --requests 5 --rate 100")
            .unwrap()
            .unwrap();
        assert_eq!((plan.length, plan.requests), (None, Some(5)));
        assert_eq!(plan.interval, Some(Duration::from_millis(10)));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for line in [
            "",
            "--unix",
            "--tcp localhost",
            "--unix a --vars 15",
            "--unix a --uri b",
            "--unix a --rate 0",
            "--unix a --connections 0",
            "--unix a --frob 1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("--help").unwrap().is_none());
    }
}
