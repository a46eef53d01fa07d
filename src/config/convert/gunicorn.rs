//! gunicorn's options as settings: its command line and its `gunicorn.conf.py`.
//!
//! Called by `convert`. The file counts first, the command line over it, as in gunicorn. Where
//! gunicorn's default differs from ours, the default is written out.

use super::Conversion;
use super::command::{Flag, Parsed};
use super::python::{Assignments, Part, Value};

/// What gunicorn reads where it is started when no file is named.
pub const CONFIG_FILE: &str = "gunicorn.conf.py";

/// What becomes of an option.
enum Fate {
    /// The option of the same meaning.
    Becomes(&'static str),
    /// Something that needs more than a name; see `Gunicorn::special`.
    Special,
    /// Nothing, and why.
    Nothing(&'static str),
}

use Fate::{Becomes, Nothing, Special};

/// One option of gunicorn.
struct Row {
    /// In the configuration file.
    name: &'static str,
    /// Long forms, the usual one first.
    flags: &'static [&'static str],
    short: Option<char>,
    takes_value: bool,
    fate: Fate,
}

const fn row(
    name: &'static str,
    flags: &'static [&'static str],
    short: Option<char>,
    takes_value: bool,
    fate: Fate,
) -> Row {
    Row { name, flags, short, takes_value, fate }
}

const TLS: &str = "no counterpart: TLS ends at the proxy in front";
const LOGGING: &str = "no counterpart: `logto`, `log-format` and `logger` shape the log";
const PROXY: &str = "no counterpart: nginx sends the scheme and the client's address as uwsgi variables";
const STATSD: &str = "no counterpart yet: uWSGI's is `stats-push`";
const LIMITS: &str = "no counterpart: `buffer-size` bounds the whole head of a request";
const LAX: &str = "no counterpart: what HTTP does not allow is refused";

/// Every option, in the order its counterpart is to stand in.
const TABLE: &[Row] = &[
    row("chdir", &["chdir"], None, true, Becomes("chdir")),
    row("pythonpath", &["pythonpath"], None, true, Special),
    row("raw_env", &["env"], Some('e'), true, Becomes("env")),
    row("wsgi_app", &[], None, true, Special),
    row("bind", &["bind"], Some('b'), true, Special),
    row("backlog", &["backlog"], None, true, Becomes("listen")),
    row("reuse_port", &["reuse-port"], None, false, Becomes("reuse-port")),
    row("workers", &["workers"], Some('w'), true, Special),
    row("threads", &["threads"], None, true, Becomes("threads")),
    row("worker_class", &["worker-class"], Some('k'), true, Special),
    row(
        "worker_connections",
        &["worker-connections"],
        None,
        true,
        Nothing("no counterpart: `threads` says how many requests a worker serves at a time"),
    ),
    row("timeout", &["timeout"], Some('t'), true, Special),
    row("graceful_timeout", &["graceful-timeout"], None, true, Becomes("worker-reload-mercy")),
    row("keepalive", &["keep-alive"], None, true, Nothing("`http-socket` keeps connections open by itself")),
    row("max_requests", &["max-requests"], None, true, Special),
    row("max_requests_jitter", &["max-requests-jitter"], None, true, Special),
    row("user", &["user"], Some('u'), true, Becomes("uid")),
    row("group", &["group"], Some('g'), true, Becomes("gid")),
    row("umask", &["umask"], Some('m'), true, Special),
    row("pidfile", &["pid"], Some('p'), true, Becomes("pidfile")),
    row("proc_name", &["name"], Some('n'), true, Becomes("procname-prefix-spaced")),
    row("daemon", &["daemon"], Some('D'), false, Special),
    row("errorlog", &["error-logfile", "log-file"], None, true, Special),
    row("accesslog", &["access-logfile"], None, true, Special),
    row(
        "access_log_format",
        &["access-logformat"],
        None,
        true,
        Nothing("no counterpart in these letters: see `log-format`"),
    ),
    row("disable_redirect_access_to_syslog", &["disable-redirect-access-to-syslog"], None, false, Nothing(LOGGING)),
    row(
        "preload_app",
        &["preload"],
        None,
        false,
        Nothing("always so here: the app is imported once, then workers are forked"),
    ),
    row("reload", &["reload"], None, false, Special),
    row(
        "reload_engine",
        &["reload-engine"],
        None,
        true,
        Nothing("`py-autoreload` looks at the modules that are loaded"),
    ),
    row("reload_extra_files", &["reload-extra-file"], None, true, Becomes("touch-reload")),
    row(
        "capture_output",
        &["capture-output"],
        None,
        false,
        Nothing("always so here: what the app prints goes to the log"),
    ),
    row("enable_stdio_inheritance", &["enable-stdio-inheritance"], Some('R'), false, Nothing("always so here")),
    row("sendfile", &["no-sendfile"], None, false, Nothing("`wsgi.file_wrapper` uses what is best")),
    row(
        "worker_tmp_dir",
        &["worker-tmp-dir"],
        None,
        true,
        Nothing("not needed: workers need no file to show that they live"),
    ),
    row("tmp_upload_dir", &["tmp-upload-dir"], None, true, Nothing("not needed: bodies are read as they come")),
    row("initgroups", &["initgroups"], None, false, Nothing("always so here")),
    row("loglevel", &["log-level"], None, true, Nothing(LOGGING)),
    row("logger_class", &["logger-class"], None, true, Nothing(LOGGING)),
    row("logconfig", &["log-config"], None, true, Nothing(LOGGING)),
    row("logconfig_dict", &[], None, true, Nothing(LOGGING)),
    row("logconfig_json", &["log-config-json"], None, true, Nothing(LOGGING)),
    row("syslog", &["log-syslog"], None, false, Nothing("no counterpart in these words: see `logger = syslog:name`")),
    row("syslog_addr", &["log-syslog-to"], None, true, Nothing(LOGGING)),
    row("syslog_prefix", &["log-syslog-prefix"], None, true, Nothing(LOGGING)),
    row("syslog_facility", &["log-syslog-facility"], None, true, Nothing(LOGGING)),
    row("statsd_host", &["statsd-host"], None, true, Nothing(STATSD)),
    row("statsd_prefix", &["statsd-prefix"], None, true, Nothing(STATSD)),
    row("dogstatsd_tags", &["dogstatsd-tags"], None, true, Nothing(STATSD)),
    row("limit_request_line", &["limit-request-line"], None, true, Nothing(LIMITS)),
    row("limit_request_fields", &["limit-request-fields"], None, true, Nothing(LIMITS)),
    row(
        "limit_request_field_size",
        &["limit-request-field_size", "limit-request-field-size"],
        None,
        true,
        Nothing(LIMITS),
    ),
    row("forwarded_allow_ips", &["forwarded-allow-ips"], None, true, Nothing(PROXY)),
    row("secure_scheme_headers", &[], None, true, Nothing(PROXY)),
    row("proxy_protocol", &["proxy-protocol"], None, false, Nothing(PROXY)),
    row("proxy_allow_ips", &["proxy-allow-from"], None, true, Nothing(PROXY)),
    row("forwarder_headers", &["forwarder-headers"], None, true, Nothing(PROXY)),
    row("header_map", &["header-map"], None, true, Nothing("headers with an underscore are dropped")),
    row("strip_header_spaces", &["strip-header-spaces"], None, false, Nothing(LAX)),
    row("permit_obsolete_folding", &["permit-obsolete-folding"], None, false, Nothing(LAX)),
    row("permit_unconventional_http_method", &["permit-unconventional-http-method"], None, false, Nothing(LAX)),
    row("permit_unconventional_http_version", &["permit-unconventional-http-version"], None, false, Nothing(LAX)),
    row("casefold_http_method", &["casefold-http-method"], None, false, Nothing(LAX)),
    row("keyfile", &["keyfile"], None, true, Nothing(TLS)),
    row("certfile", &["certfile"], None, true, Nothing(TLS)),
    row("ssl_version", &["ssl-version"], None, true, Nothing(TLS)),
    row("cert_reqs", &["cert-reqs"], None, true, Nothing(TLS)),
    row("ca_certs", &["ca-certs"], None, true, Nothing(TLS)),
    row("suppress_ragged_eofs", &["suppress-ragged-eofs"], None, false, Nothing(TLS)),
    row("do_handshake_on_connect", &["do-handshake-on-connect"], None, false, Nothing(TLS)),
    row("ciphers", &["ciphers"], None, true, Nothing(TLS)),
    row(
        "paste",
        &["paste", "paster"],
        None,
        true,
        Nothing("no counterpart: name a module that calls `paste.deploy.loadapp`"),
    ),
    row(
        "raw_paste_global_conf",
        &["paste-global"],
        None,
        true,
        Nothing("no counterpart: name a module that calls `paste.deploy.loadapp`"),
    ),
    row("spew", &["spew"], None, false, Nothing("no counterpart: it traces every line that runs")),
    row("check_config", &["check-config"], None, false, Nothing("rustwsgi --check")),
    row("print_config", &["print-config"], None, false, Nothing("rustwsgi --show-config")),
    row("config", &["config"], Some('c'), true, Special),
];

fn flags() -> Vec<Flag> {
    TABLE
        .iter()
        .filter_map(|row| {
            let (name, also) = row.flags.split_first()?;
            Some(Flag { name, also, short: row.short, takes_value: row.takes_value })
        })
        .collect()
}

/// The configuration file that a gunicorn command line names, `None` where it names none, and then
/// [`CONFIG_FILE`] is read if it is there.
pub fn configuration_named(words: &[String]) -> Option<String> {
    let (_, arguments) = super::command::program(words).1.split_first()?;
    let parsed = Parsed::new(arguments, &flags());
    let named = parsed.options.iter().rfind(|(name, _)| *name == "config")?.1?;
    Some(named.strip_prefix("file:").unwrap_or(named).to_owned())
}

/// Converts the arguments of `gunicorn`, over the text of a configuration file with its name.
pub fn convert(arguments: &[String], configuration: Option<(&str, &str)>) -> Conversion {
    let flags = flags();
    let parsed = Parsed::new(arguments, &flags);
    let mut source: Vec<String> = configuration.iter().map(|(name, _)| (*name).to_owned()).collect();
    if !arguments.is_empty() {
        source.insert(0, format!("gunicorn {}", arguments.join(" ")));
    }
    let mut gunicorn = Gunicorn { given: Vec::new(), conversion: Conversion::new(source.join(", ")) };
    if let Some((name, text)) = configuration {
        gunicorn.file(name, text);
    }
    gunicorn.arguments(&parsed);
    gunicorn.emit();
    gunicorn.conversion
}

struct Gunicorn {
    /// What was set, by gunicorn's name.
    given: Vec<(&'static str, Value)>,
    conversion: Conversion,
}

impl Gunicorn {
    fn file(&mut self, file: &str, text: &str) {
        let read = Assignments::parse(text);
        for (name, value, line) in read.assigned {
            // Other names are the file's own; they have been looked up where they are used.
            if let Some(row) = TABLE.iter().find(|row| row.name == name) {
                if let Value::Computed(source) = &value {
                    let text = format!("{file}:{line}: {name} = {source} (computed: write what it amounts to)");
                    self.conversion.leave_out(text);
                }
                self.put(row.name, value);
            }
        }
        for (function, line) in read.functions {
            if HOOKS.contains(&function.as_str()) {
                self.conversion.leave_out(format!("{file}:{line}: {function}() (code: {})", instead_of(&function)));
            }
        }
        for (code, line) in read.others {
            self.conversion.leave_out(format!("{file}:{line}: {code} (not a plain assignment)"));
        }
    }

    fn put(&mut self, name: &'static str, value: Value) {
        self.given.retain(|(given, _)| *given != name);
        self.given.push((name, value));
    }

    fn arguments(&mut self, parsed: &Parsed<'_>) {
        let mut lists: Vec<(&'static str, Vec<Value>)> = Vec::new();
        for (flag, value) in &parsed.options {
            let Some(row) = TABLE.iter().find(|row| row.flags.first() == Some(flag)) else {
                continue;
            };
            let value = match value {
                Some(text) => Value::Text(super::command::parts(text)),
                None => Value::Switch(row.name != "sendfile"),
            };
            match (row.name, lists.iter_mut().find(|(name, _)| *name == row.name)) {
                ("bind" | "raw_env" | "reload_extra_files", Some((_, values))) => values.push(value),
                ("bind" | "raw_env" | "reload_extra_files", None) => lists.push((row.name, vec![value])),
                _ => self.put(row.name, value),
            }
        }
        for (name, values) in lists {
            self.put(name, Value::List(values));
        }
        if let Some(app) = parsed.words.first() {
            self.put("wsgi_app", Value::Text(vec![Part::literal(app)]));
        }
        for unknown in &parsed.unknown {
            self.conversion.leave_out(format!("{unknown}: no option of gunicorn that is known"));
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    fn emit(&mut self) {
        for row in TABLE {
            let value = self.value(row.name).cloned();
            match (&row.fate, value) {
                (Special, value) => self.special(row.name, value),
                (_, None | Some(Value::None | Value::Computed(_))) => {}
                (Becomes(_), Some(Value::Switch(false))) => {}
                (Becomes(key), Some(value)) => self.conversion.set_value(key, &value),
                (Nothing(reason), Some(value)) => {
                    self.conversion.leave_out(format!("{} = {}: {reason}", row.name, value.source()));
                }
            }
        }
    }

    /// The options that are not one for one, and those whose default has to be written.
    fn special(&mut self, name: &str, value: Option<Value>) {
        let given = value.filter(|value| !matches!(value, Value::None | Value::Computed(_)));
        match (name, given) {
            ("wsgi_app", Some(app)) => self.application(&app),
            ("wsgi_app", None) => self.conversion.leave_out("no application was named: module = blog.wsgi:application"),
            ("bind", value) => self.bind(value),
            ("pythonpath", Some(value)) => match value.text() {
                Some(text) => text.split(',').for_each(|path| self.conversion.set_text("pythonpath", path)),
                None => self.conversion.set_value("pythonpath", &value),
            },
            ("workers", Some(value)) => self.conversion.set_value("processes", &value),
            ("workers", None) if self.value("workers").is_none() => {
                self.conversion.remark("gunicorn: WEB_CONCURRENCY, or one");
                let variable = Part::Variable { name: "WEB_CONCURRENCY".into(), default: Some("1".into()) };
                self.conversion.set("processes", vec![variable]);
            }
            ("worker_class", Some(value)) => self.worker_class(&value),
            ("timeout", value) => self.timeout(value),
            ("max_requests", Some(value)) if value.truth() => self.conversion.set_value("max-requests", &value),
            ("max_requests_jitter", Some(value)) if value.truth() => {
                self.conversion.remark("gunicorn adds a random number up to this; here each worker gets this much more than the one before");
                self.conversion.set_value("max-requests-delta", &value);
            }
            ("umask", Some(value)) => match value.number() {
                Some(mask @ 1..=0o777) if matches!(value, Value::Number { .. }) => {
                    self.conversion.set_text("umask", &format!("{mask:03o}"));
                }
                Some(0) | None => self.conversion.leave_out(format!("umask = {}", value.source())),
                Some(_) => self.conversion.set_text("umask", &format!("{:0>3}", value.text().unwrap_or("022"))),
            },
            ("daemon", Some(value)) if value.truth() => self.daemon(),
            ("errorlog", Some(value)) if !self.is_daemon() && value.text() != Some("-") => {
                self.conversion.set_value("logto", &value);
            }
            ("accesslog", None) if self.value("accesslog").is_none() => {
                self.conversion.remark("gunicorn writes no line for each request unless told to");
                self.conversion.set_text("disable-logging", "true");
            }
            ("accesslog", Some(value)) if value.text() != Some("-") => {
                self.conversion
                    .set("req-logger", [vec![Part::literal("file:")], value.parts().unwrap_or_default()].concat());
            }
            ("reload", Some(value)) if value.truth() => self.conversion.set_text("py-autoreload", "1"),
            _ => {}
        }
    }

    fn application(&mut self, app: &Value) {
        let Some(target) = app.text() else {
            self.conversion.set_value("module", app);
            return;
        };
        // gunicorn: `application` where no name is given.
        match target.contains(':') {
            true => self.conversion.set_text("module", target),
            false => self.conversion.set_text("module", &format!("{target}:application")),
        }
    }

    fn bind(&mut self, value: Option<Value>) {
        let addresses = match value {
            None => {
                self.conversion.remark("gunicorn's default address");
                vec![Value::Text(vec![Part::literal("127.0.0.1:8000")])]
            }
            Some(Value::List(addresses)) => addresses,
            Some(address) => match address.text() {
                Some(text) => text.split(',').map(|one| Value::Text(vec![Part::literal(one.trim())])).collect(),
                None => vec![address],
            },
        };
        for address in addresses {
            let Some(mut parts) = address.parts() else {
                self.conversion.leave_out(format!("bind = {}", address.source()));
                continue;
            };
            let mut unix = false;
            if let Some(Part::Literal(first)) = parts.first_mut() {
                if first.starts_with("fd://") {
                    let message = format!("bind = {}: sockets of systemd are taken by themselves", address.source());
                    self.conversion.leave_out(message);
                    continue;
                }
                if let Some(path) = first.strip_prefix("unix:") {
                    unix = true;
                    *first = path.strip_prefix("//").unwrap_or(path).to_owned();
                } else if let Some(rest) = first.strip_prefix("tcp://").or_else(|| first.strip_prefix("http://")) {
                    *first = rest.to_owned();
                }
            }
            if unix {
                self.conversion.remark("for nginx's uwsgi_pass in place of proxy_pass: socket");
            } else if address.text().is_some_and(|text| !text.contains(':')) {
                parts.push(Part::literal(":8000"));
            }
            self.conversion.set("http-socket", parts);
            if unix {
                // gunicorn's umask of 0 leaves its sockets open to all.
                self.conversion.set_text("chmod-socket", "666");
            }
        }
    }

    fn worker_class(&mut self, value: &Value) {
        match value.text() {
            Some("sync" | "gthread") => {}
            Some(class) if class.contains("uvicorn") || class.contains("aiohttp") => {
                self.conversion
                    .leave_out(format!("worker_class = {class}: an ASGI app needs an ASGI server, name its WSGI app"));
            }
            _ => {
                let message = format!(
                    "worker_class = {}: no counterpart, `threads` serves requests side by side",
                    value.source()
                );
                self.conversion.leave_out(message);
            }
        }
        if value.text() == Some("gthread") && self.value("threads").is_none() {
            self.conversion.set_text("threads", "1");
        }
    }

    fn timeout(&mut self, value: Option<Value>) {
        match value {
            None if self.value("timeout").is_some() => {}
            None => {
                self.conversion.remark("gunicorn's default timeout; here it is counted for each request");
                self.conversion.set_text("harakiri", "30");
            }
            Some(value) if value.truth() && value.number() != Some(0) => self.conversion.set_value("harakiri", &value),
            Some(_) => {}
        }
    }

    fn is_daemon(&self) -> bool {
        self.value("daemon").is_some_and(Value::truth)
    }

    /// gunicorn: a daemon's log is lost unless a file is named.
    fn daemon(&mut self) {
        match self.value("errorlog").cloned() {
            Some(log) if log.text() != Some("-") => self.conversion.set_value("daemonize", &log),
            _ => self.conversion.set_text("daemonize", "/dev/null"),
        }
    }
}

/// The functions that gunicorn calls.
const HOOKS: &[&str] = &[
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "post_fork",
    "post_worker_init",
    "worker_int",
    "worker_abort",
    "pre_exec",
    "pre_request",
    "post_request",
    "child_exit",
    "worker_exit",
    "nworkers_changed",
    "on_exit",
    "ssl_context",
];

fn instead_of(hook: &str) -> &'static str {
    match hook {
        "post_fork" | "post_worker_init" => "os.register_at_fork in the app runs in every worker",
        "worker_exit" | "child_exit" => "atexit in the app runs when a worker ends",
        "pre_request" | "post_request" => "WSGI middleware does this",
        "when_ready" | "on_starting" | "on_exit" => "hooks such as exec-asap and exec-as-user-atexit do this",
        _ => "no counterpart",
    }
}
