//! Granian's command line as settings. Called by `convert`; Granian has no configuration file.

use super::Conversion;
use super::command::{Flag, Parsed};

/// What becomes of an option.
enum Fate {
    /// The option of the same meaning.
    Becomes(&'static str),
    /// Something that needs more than a name; see `Granian::special`.
    Special,
    /// Nothing, and why.
    Nothing(&'static str),
}

use Fate::{Becomes, Nothing, Special};

const ALWAYS: &str = "always so here";
const RUNTIME: &str = "belongs to Granian's own runtime";
const HTTP: &str = "no counterpart: a proxy in front sets it";
const TLS: &str = "no counterpart: TLS ends at the proxy in front";
const LOGGING: &str = "no counterpart: `log-format` and `logto` shape the log";

/// Every option: its name, letter, whether it takes a value, and its fate.
const TABLE: &[(&str, Option<char>, bool, Fate)] = &[
    ("working-dir", None, true, Becomes("chdir")),
    ("env-files", None, true, Special),
    ("host", None, true, Special),
    ("port", None, true, Special),
    ("uds", None, true, Special),
    ("uds-permissions", None, true, Becomes("chmod-socket")),
    ("interface", None, true, Special),
    ("factory", None, false, Special),
    ("no-factory", None, false, Nothing(ALWAYS)),
    ("workers", None, true, Becomes("processes")),
    ("blocking-threads", None, true, Becomes("threads")),
    ("backlog", None, true, Becomes("listen")),
    ("process-name", None, true, Becomes("procname-prefix-spaced")),
    ("pid-file", None, true, Becomes("pidfile")),
    ("workers-lifetime", None, true, Special),
    ("workers-max-rss", None, true, Becomes("reload-on-rss")),
    ("workers-kill-timeout", None, true, Special),
    ("access-log", None, false, Special),
    ("no-access-log", None, false, Special),
    ("static-path-route", None, true, Special),
    ("static-path-mount", None, true, Special),
    ("static-path-expires", None, true, Nothing("no counterpart: `static-expires` takes a pattern and seconds")),
    ("static-path-dir-to-file", None, true, Becomes("static-index")),
    ("reload", None, false, Special),
    ("no-reload", None, false, Nothing(ALWAYS)),
    ("reload-paths", None, true, Becomes("touch-reload")),
    ("reload-ignore-dirs", None, true, Nothing("`py-autoreload` watches the modules that are loaded")),
    ("reload-ignore-patterns", None, true, Nothing("`py-autoreload` watches the modules that are loaded")),
    ("reload-ignore-paths", None, true, Nothing("`py-autoreload` watches the modules that are loaded")),
    ("reload-tick", None, true, Nothing("`py-autoreload` takes the seconds between two looks")),
    ("reload-ignore-worker-failure", None, false, Nothing("a reload that fails leaves the old code serving")),
    ("no-reload-ignore-worker-failure", None, false, Nothing("a reload that fails leaves the old code serving")),
    ("respawn-failed-workers", None, false, Nothing(ALWAYS)),
    ("no-respawn-failed-workers", None, false, Nothing("workers that die are replaced here")),
    ("respawn-interval", None, true, Nothing("no counterpart: a replacement comes at once")),
    ("url-path-prefix", None, true, Nothing("let nginx send SCRIPT_NAME, or use `mount` with `manage-script-name`")),
    ("log", None, false, Nothing(ALWAYS)),
    ("no-log", None, false, Nothing(LOGGING)),
    ("log-level", None, true, Nothing(LOGGING)),
    ("log-config", None, true, Nothing(LOGGING)),
    ("access-log-fmt", None, true, Nothing("no counterpart in these letters: see `log-format`")),
    ("http", None, true, Nothing("HTTP/1.1 is spoken; a proxy in front speaks HTTP/2")),
    ("ws", None, false, Nothing("WSGI knows no WebSockets")),
    ("no-ws", None, false, Nothing(ALWAYS)),
    ("runtime-threads", None, true, Nothing(RUNTIME)),
    ("runtime-blocking-threads", None, true, Nothing(RUNTIME)),
    ("runtime-mode", None, true, Nothing(RUNTIME)),
    ("blocking-threads-idle-timeout", None, true, Nothing(RUNTIME)),
    ("loop", None, true, Nothing(RUNTIME)),
    ("task-impl", None, true, Nothing(RUNTIME)),
    ("backpressure", None, true, Nothing("no counterpart: requests wait in the queue of `listen`")),
    ("http1-buffer-size", None, true, Nothing(HTTP)),
    ("http1-header-read-timeout", None, true, Nothing("`socket-timeout` bounds the time until a request is complete")),
    ("http1-keep-alive", None, false, Nothing(ALWAYS)),
    ("no-http1-keep-alive", None, false, Nothing(HTTP)),
    ("http1-pipeline-flush", None, false, Nothing(HTTP)),
    ("no-http1-pipeline-flush", None, false, Nothing(HTTP)),
    ("http2-adaptive-window", None, false, Nothing(HTTP)),
    ("http2-initial-connection-window-size", None, true, Nothing(HTTP)),
    ("http2-initial-stream-window-size", None, true, Nothing(HTTP)),
    ("http2-keep-alive-interval", None, true, Nothing(HTTP)),
    ("http2-keep-alive-timeout", None, true, Nothing(HTTP)),
    ("http2-max-concurrent-streams", None, true, Nothing(HTTP)),
    ("http2-max-frame-size", None, true, Nothing(HTTP)),
    ("http2-max-headers-size", None, true, Nothing(HTTP)),
    ("http2-max-send-buffer-size", None, true, Nothing(HTTP)),
    ("ssl-certificate", None, true, Nothing(TLS)),
    ("ssl-keyfile", None, true, Nothing(TLS)),
    ("ssl-keyfile-password", None, true, Nothing(TLS)),
    ("ssl-protocol-min", None, true, Nothing(TLS)),
    ("ssl-ca", None, true, Nothing(TLS)),
    ("ssl-crl", None, true, Nothing(TLS)),
    ("ssl-client-verify", None, false, Nothing(TLS)),
];

/// Converts the arguments of `granian`.
pub fn convert(arguments: &[String]) -> Conversion {
    let flags: Vec<Flag> = TABLE
        .iter()
        .map(|(name, short, takes_value, _)| Flag { name, also: &[], short: *short, takes_value: *takes_value })
        .collect();
    let parsed = Parsed::new(arguments, &flags);
    let mut granian =
        Granian { given: &parsed.options, conversion: Conversion::new(format!("granian {}", arguments.join(" "))) };
    granian.application(parsed.words.first().copied());
    granian.address();
    for (name, _, _, fate) in TABLE {
        for value in granian.values(name) {
            match fate {
                Becomes(key) => granian.conversion.set_text(key, value.unwrap_or("true")),
                Special => granian.special(name, value.unwrap_or_default()),
                Nothing(reason) => {
                    let shown = value.map_or(String::new(), |value| format!(" {value}"));
                    granian.conversion.leave_out(format!("--{name}{shown}: {reason}"));
                }
            }
        }
    }
    granian.statics();
    if !granian.has("access-log") {
        granian.conversion.remark("Granian writes no line for each request unless told to");
        granian.conversion.set_text("disable-logging", "true");
    }
    for unknown in parsed.unknown {
        granian.conversion.leave_out(format!("{unknown}: no option of Granian that is known"));
    }
    granian.conversion
}

struct Granian<'a> {
    given: &'a [(&'static str, Option<&'a str>)],
    conversion: Conversion,
}

impl<'a> Granian<'a> {
    fn values(&self, name: &str) -> Vec<Option<&'a str>> {
        self.given.iter().filter(|(given, _)| *given == name).map(|(_, value)| *value).collect()
    }

    fn last(&self, name: &str) -> Option<&'a str> {
        self.values(name).pop().flatten()
    }

    fn has(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    fn application(&mut self, target: Option<&str>) {
        match self.last("interface") {
            Some("wsgi") => {}
            Some(other) => self
                .conversion
                .remark(format!("the app is served by `{other}` today: what is named here has to be its WSGI app")),
            None => self
                .conversion
                .remark("Granian takes the app for RSGI unless told: what is named here has to be a WSGI app"),
        }
        let Some(target) = target else {
            self.conversion.leave_out("no application was named: module = blog.wsgi:application");
            return;
        };
        // Granian: `app` where no name is given, and a path stands for the module in it.
        let (module, callable) =
            target.split_once(':').unwrap_or((target, if self.has("factory") { "create_app" } else { "app" }));
        let call = if self.has("factory") { "()" } else { "" };
        match module.ends_with(".py") {
            true => {
                self.conversion.set_text("wsgi-file", module);
                self.conversion.set_text("callable", &format!("{callable}{call}"));
            }
            false => self.conversion.set_text("module", &format!("{module}:{callable}{call}")),
        }
    }

    fn address(&mut self) {
        if let Some(path) = self.last("uds") {
            self.conversion.set_text("http-socket", path);
            return;
        }
        if !self.has("host") && !self.has("port") {
            self.conversion.remark("Granian's default address");
        }
        let (host, port) = (self.last("host").unwrap_or("127.0.0.1"), self.last("port").unwrap_or("8000"));
        let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        self.conversion.set_text("http-socket", &format!("{host}:{port}"));
    }

    fn special(&mut self, name: &str, value: &str) {
        match name {
            "env-files" => {
                for line in [&format!("for-readline = {value}")[..], "env = %(_)", "endfor ="] {
                    self.conversion.lines.push(super::Line::Raw(line.into()));
                }
            }
            "workers-lifetime" => self.seconds(name, "max-worker-lifetime", value),
            "workers-kill-timeout" => self.seconds(name, "worker-reload-mercy", value),
            "reload" => self.conversion.set_text("py-autoreload", "1"),
            _ => {}
        }
    }

    /// Granian takes `90` and `1h30m`.
    fn seconds(&mut self, name: &str, key: &str, value: &str) {
        match seconds(value) {
            Some(seconds) => self.conversion.set_text(key, &seconds.to_string()),
            None => self.conversion.leave_out(format!("--{name} {value}: no length of time")),
        }
    }

    fn statics(&mut self) {
        let routes = self.values("static-path-route");
        for (index, mount) in self.values("static-path-mount").into_iter().flatten().enumerate() {
            let route = routes.get(index).copied().flatten().unwrap_or("/static");
            self.conversion.set_text("static-map", &format!("{route}={mount}"));
        }
    }
}

fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut total, mut number) = (0_u64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                number.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then_some(total)
}
