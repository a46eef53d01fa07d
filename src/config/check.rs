//! What has to hold between options, and between options and the file system.
//!
//! The last step of `Config::load`. Looks at files and directories, never at a socket, a user
//! database or Python: what depends on those is found out by who uses them.

use std::path::Path;

use super::logic::is_built_in;
use super::option::{Group, Kind, OptionDef, State};
use super::setting::{Origin, Setting};
use super::value::{Remark, Value};
use super::{Config, Findings, nearby, suggest};
use crate::error::{Code, Error};
use crate::net::listener::Protocol;

mod addresses;
mod lifetimes;
mod paths;
mod requests;
mod traps;
pub(super) mod twice;

/// The longest name of a UNIX socket that the kernel takes, in bytes.
const LONGEST_PATH: usize = 107;

impl Config {
    /// Finds everything that can be told without starting. `unknown` are the settings that are no
    /// option, one of which may be the one that is missing.
    pub(super) fn check(&mut self, directory: &Path, unknown: &[Setting], findings: &mut Findings) {
        if self.settings.is_empty() {
            findings.fail(nothing_said(directory));
            return;
        }
        if self.emperor.sources.is_empty() {
            self.check_protocol(findings);
            self.check_sockets(unknown, findings);
            self.check_application(directory, unknown, findings);
        } else {
            self.check_emperor(findings);
        }
        self.check_requests(findings);
        self.check_directories(directory, findings);
        self.check_traps(findings);
        self.check_lifetimes(findings);
        self.check_plugins(findings);
    }

    /// uWSGI's emperor may serve a site besides.
    fn check_emperor(&self, findings: &mut Findings) {
        let own = self.sockets.first().map(|socket| &socket.setting);
        if let Some(setting) = own.or(self.origin("module")).or(self.origin("wsgi-file")) {
            let message = format!("an emperor serves nothing itself: `{}` belongs into a vassal's file", setting.key);
            findings.fail(Error::new(Code::Contradiction, message).at(setting).part(setting.key.as_str()));
        }
    }

    /// uWSGI: `plugins` goes on without one, `need-plugins` does not.
    fn check_plugins(&self, findings: &mut Findings) {
        let absent = |plugin: &&String| !is_built_in(plugin);
        let message = |plugin: &str, option| {
            let message = format!("there is no plugin `{plugin}`, and nothing in its place");
            Error::new(Code::PluginAbsent, message).maybe_at(self.setting_with(option, plugin)).part(plugin)
        };
        for plugin in self.plugins.iter().filter(absent) {
            findings.warn(message(plugin, "plugins"));
        }
        for plugin in self.need_plugins.iter().filter(absent) {
            findings.fail(message(plugin, "need-plugins"));
        }
    }

    /// The last setting of an option that holds `part`.
    pub(crate) fn setting_with(&self, option: &str, part: &str) -> Option<&Setting> {
        let holds = |setting: &&Setting| {
            OptionDef::find(&setting.key).is_some_and(|known| known.name() == option) && setting.value.contains(part)
        };
        self.settings.iter().rfind(holds).or_else(|| self.origin(option))
    }

    /// uWSGI: `protocol` is what `socket` speaks; `uwsgi-socket` and the others say it themselves.
    fn check_protocol(&mut self, findings: &mut Findings) {
        const LATER: &[&str] = &["fastcgi-nph", "raw", "puwsgi", "https"];
        let Some(protocol) = &self.protocol else { return };
        match protocol.as_str() {
            "uwsgi" => {}
            "http" | "http11" => self.plain_sockets_speak(Protocol::Http),
            "scgi" => self.plain_sockets_speak(Protocol::Scgi),
            "fastcgi" => self.plain_sockets_speak(Protocol::Fastcgi),
            "scgi-nph" => self.plain_sockets_speak(Protocol::ScgiNph),
            later if LATER.contains(&later) => {
                let message = format!("the protocol `{later}` is not built yet");
                let error = Error::new(Code::OptionNotBuilt, message).maybe_at(self.origin("protocol")).part(later);
                findings.fail(error.hint("`protocol = uwsgi` behind nginx's `uwsgi_pass`"));
            }
            other => {
                let message = format!("there is no protocol `{other}`");
                let error = Error::new(Code::BadValue, message).maybe_at(self.origin("protocol")).part(other);
                let near = suggest::nearest(other, ["uwsgi", "http", "scgi"].into_iter());
                let hint = suggest::sentence(&near).unwrap_or_else(|| "`uwsgi`, `http` or `scgi`".into());
                findings.fail(error.hint(hint));
            }
        }
    }

    fn plain_sockets_speak(&mut self, protocol: Protocol) {
        let plain = |socket: &&mut super::SocketSetting| socket.setting.key == "socket";
        self.sockets.iter_mut().filter(plain).for_each(|socket| socket.protocol = protocol);
    }

    fn check_sockets(&mut self, unknown: &[Setting], findings: &mut Findings) {
        if self.sockets.is_empty() && !self.names_another_socket() && !self.emperor.activated {
            let error = Error::new(Code::NothingToServe, "no socket to serve on").maybe_at(self.first_file());
            let error = misspelt(error, &["socket", "http-socket"], unknown);
            findings.fail(
                error.hint("behind nginx: socket = 127.0.0.1:3031").hint("for a browser: http-socket = 127.0.0.1:8000"),
            );
        }
        let sockets = std::mem::take(&mut self.sockets);
        for socket in sockets {
            let address = &socket.address;
            let length = address.len();
            if address.is_empty() {
                let message = format!("`{}` needs an address", socket.setting.key);
                findings.fail(Error::new(Code::BadAddress, message).at(&socket.setting));
            } else if is_unix(address) && length > LONGEST_PATH {
                let message = format!("the socket's path is {length} bytes long, the kernel takes {LONGEST_PATH}");
                findings.fail(
                    Error::new(Code::PathTooLong, message)
                        .at(&socket.setting)
                        .part(address.as_str())
                        .hint(format!("{} = /run/app.sock", socket.setting.key)),
                );
            } else if let Some(error) = addresses::refusal(&socket) {
                findings.fail(error);
            }
            // Port 0 is another port each time.
            let twin = self
                .sockets
                .iter()
                .find(|other| other.address == socket.address && !address.ends_with(":0") && !address.ends_with(':'));
            match twin {
                Some(twin) if twin.protocol == socket.protocol => {
                    let message = format!("`{address}` is named twice and opened once");
                    findings.warn(
                        Error::new(Code::SocketTwice, message)
                            .at(&socket.setting)
                            .part(address.as_str())
                            .fact(format!("first: {}", twin.setting)),
                    );
                }
                Some(twin) => findings.fail(
                    Error::new(Code::SocketTwoProtocols, two_protocols(address, twin.protocol, socket.protocol))
                        .at(&socket.setting)
                        .part(address.as_str())
                        .fact(format!("first: {}", twin.setting)),
                ),
                None => self.sockets.push(socket),
            }
        }
    }

    /// Whether an option that is not built, and is refused for that, is what should be served on.
    fn names_another_socket(&self) -> bool {
        let listens = |option: &OptionDef| {
            matches!(option.group, Group::Gateways | Group::Emperor) || option.name().ends_with("socket")
        };
        let options = self.settings.iter().filter_map(|setting| OptionDef::known(&setting.key));
        !self.tolerate_unsupported && options.filter(|option| option.state == State::NotYet).any(listens)
    }

    fn check_application(&self, directory: &Path, unknown: &[Setting], findings: &mut Findings) {
        if let (Some(module), Some(_)) = (&self.module, &self.wsgi_file) {
            let message = format!("`wsgi-file` is not read: `module = {module}` comes first");
            let error = Error::new(Code::ModuleAndFile, message);
            findings.warn(error.maybe_at(self.origin("wsgi-file")).part("wsgi-file"));
        }
        if self.module.is_some() || self.wsgi_file.is_some() || self.requests.names_an_app() {
            return;
        }
        let error = Error::new(Code::NoApp, "no application named").maybe_at(self.first_file());
        let mut error = misspelt(error, &["module", "wsgi-file"], unknown);
        let base = self.outside(directory, &self.app_directory(directory));
        let near = nearby::applications(&base);
        for (above, module) in near.iter().take(3) {
            let callable = if module == "app" { ":app" } else { ":application" };
            error = error.hint(match above.as_os_str().is_empty() {
                true => format!("module = {module}{callable}"),
                false => {
                    let above = base.join(above);
                    format!("chdir = {} and module = {module}{callable}", above.display())
                }
            });
        }
        if near.is_empty() {
            error = error.hint("module = blog.wsgi:application, or wsgi-file = blog/wsgi.py");
        }
        match self.need_app {
            true => findings.fail(error.hint("`need-app = false` starts without one")),
            false => findings.warn(error),
        }
    }

    fn check_directories(&self, directory: &Path, findings: &mut Findings) {
        let Some(chdir) = &self.chdir else { return };
        let path = self.outside(directory, &self.app_directory(directory));
        let reason = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => return,
            Ok(_) => "it is not a directory",
            Err(cause) if cause.kind() == std::io::ErrorKind::PermissionDenied => "permission denied",
            Err(_) => "no such directory",
        };
        let message = format!("cannot go to `{}`: {reason}", chdir.display());
        let mut error = Error::new(Code::DirectoryMissing, message)
            .maybe_at(self.origin("chdir"))
            .part(chdir.display().to_string());
        if chdir.is_relative() {
            error = error.fact(format!("looked for: {}", path.display()));
        }
        if let Some(variable) = self.origin("chdir").and_then(Setting::unresolved) {
            error = error.fact(format!("`{variable}` is not in the environment"));
        }
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) {
            let entries: Vec<String> = std::fs::read_dir(parent)
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|entry| parent.join(entry).is_dir())
                .collect();
            let near = suggest::nearest(name, entries.iter().map(String::as_str));
            if let Some(near) = near.first() {
                error = error.hint(format!("chdir = {}", parent.join(near).display()));
            }
        }
        findings.fail(error);
    }

    /// The name of the file that most of the configuration stands in, for messages about what is
    /// nowhere.
    fn first_file(&self) -> Option<&str> {
        self.settings.iter().find_map(|setting| match &setting.origin {
            Origin::File { file, .. } => Some(file.as_ref()),
            _ => None,
        })
    }
}

/// One address can't speak two protocols; nor can it have the settings of two kinds of socket.
fn two_protocols(address: &str, one: Protocol, other: Protocol) -> String {
    match one.is_http() && other.is_http() {
        true => format!("`{address}` cannot be both `http` and `http-socket`"),
        false => format!("`{address}` cannot speak {} and {}", title(one), title(other)),
    }
}

fn title(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Uwsgi => "uwsgi",
        Protocol::Http | Protocol::HttpRouter => "HTTP",
        Protocol::Scgi | Protocol::ScgiNph => "SCGI",
        Protocol::Fastcgi => "FastCGI",
    }
}

/// Options of uWSGI that are not built, and the ones that do nearly the same.
const INSTEAD: &[(&str, &str)] = &[
    ("lazy", "lazy-apps"),
    ("pidfile2", "pidfile"),
    ("safe-pidfile", "pidfile"),
    ("daemonize2", "daemonize"),
    ("logto2", "logto"),
    ("procname-prefix-spaced", "procname-prefix"),
];

/// Reads the value of a setting, and says what is wrong or odd about it. `None` when it can't be
/// used, which is no reason to refuse a start when it is `overruled` by a later one.
pub(super) fn value(option: &OptionDef, setting: &Setting, overruled: bool, findings: &mut Findings) -> Option<Value> {
    let key = &setting.key;
    let about = |remark: &Remark, message: String| {
        let error = Error::new(remark.code, message).at(setting);
        match remark.part.is_empty() {
            true => error.part(key.as_str()),
            false => error.part(remark.part.as_str()),
        }
    };
    let reading = match option.kind.read(&setting.value) {
        Ok(reading) => reading,
        Err(remark) => {
            let error = about(&remark, format!("`{key}` {}", remark.text));
            match overruled {
                true => findings.warn(error.fact("a later line sets it anew")),
                false => findings.fail(paste(error, option, setting)),
            }
            return None;
        }
    };
    if let Some(name) = setting.unresolved() {
        let message = format!("`$({name})` stays as it is: `{name}` is not in the environment");
        findings.warn(Error::new(Code::Unresolved, message).at(setting).part(format!("$({name})")));
    }
    // Routes have variables of this form, and commands run in a shell.
    let is_plain = !matches!(option.group, Group::Routing | Group::Logging | Group::Hooks | Group::Tasks);
    if let Some(name) = setting.of_the_shell().filter(|_| is_plain) {
        let message = format!("`${{{name}}}` stays as it is: variables are written `$({name})`");
        findings.warn(Error::new(Code::Unresolved, message).at(setting).part("${"));
    }
    if let Some(remark) = reading.remark {
        let error = about(&remark, format!("the value of `{key}`: {}", remark.text));
        findings.warn(match remark.hint.or_else(|| suggest::in_bytes(option.name(), &setting.value)) {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    Some(reading.value)
}

/// The message about an option that is not built.
pub(super) fn not_built(option: &OptionDef, setting: &Setting) -> Error {
    let key = setting.key.as_str();
    if let State::OtherLanguage(language) = option.state {
        let message = format!("`{key}` is for {language}, and rustwsgi runs Python only");
        return Error::new(Code::OtherLanguage, message).at(setting).part(key);
    }
    let message = format!("`{key}` is an option of uWSGI that is not built yet");
    let error = Error::new(Code::OptionNotBuilt, message).at(setting).part(key);
    if key.starts_with("zerg") {
        return error.hint("leave it out: a reload loses no request here (docs/deploy/README.md)");
    }
    match INSTEAD.iter().find(|(theirs, _)| option.names.contains(theirs)) {
        Some((_, ours)) if setting.value.is_empty() => error.hint(format!("use `{ours}`")),
        Some((_, ours)) => error.hint(format!("{ours} = {}", setting.value)),
        None if option.name() == "http-to" => {
            error.hint("leave it out: `http` is served by the workers of this instance, there is no proxy")
        }
        None => error,
    }
}

/// Adds a line that can be pasted in place of a value that was refused.
fn paste(error: Error, option: &OptionDef, setting: &Setting) -> Error {
    let (name, value) = (option.name(), setting.value.as_str());
    if let Some(variable) = setting.of_the_shell() {
        return error.hint(format!("{name} = $({variable})"));
    }
    if let Some(variable) = setting.unresolved() {
        return error.fact(format!("`{variable}` is not in the environment"));
    }
    if let Some(meant) = value.strip_prefix('=') {
        return error.hint(format!("{name} = {}", meant.trim()));
    }
    match option.kind {
        Kind::SocketMode if value.len() == 4 && value.starts_with('0') => {
            error.hint(format!("{name} = {}", &value[1..]))
        }
        Kind::SocketMode => error.hint(format!("{name} = 660")),
        Kind::Umask => error.hint(format!("{name} = 022")),
        Kind::Pairs => error.hint(format!("{name} = {value}=value")),
        Kind::Integer { min, max, .. } => match Config::default().shown(option) {
            Some(default) => error.hint(format!("`{name} = {default}` is the default")),
            None => error.hint(format!("{min} to {max}")),
        },
        _ => error,
    }
}

fn nothing_said(directory: &Path) -> Error {
    let error = Error::new(Code::NothingToServe, "nothing to serve: no configuration file and no options");
    let error = nearby::hint_at_files(error, directory, "uwsgi.ini");
    error.hint("rustwsgi --http-socket 127.0.0.1:8000 --module blog.wsgi:application")
}

/// Points at a setting that is a slip of the pen for one of `wanted`.
fn misspelt(error: Error, wanted: &[&str], unknown: &[Setting]) -> Error {
    let slip = unknown.iter().find_map(|setting| {
        let option = suggest::option(&setting.key)?;
        wanted.contains(&option.name()).then_some((setting, option))
    });
    match slip {
        Some((setting, option)) => error.fact(format!("{setting}")).hint(format!(
            "did you mean `{}` where it says `{}`?",
            option.name(),
            setting.key
        )),
        None => error,
    }
}

/// uWSGI: an address without a colon, that is not `=0` or an abstract name, is a path.
fn is_unix(address: &str) -> bool {
    address.starts_with(['/', '@']) || !(address.contains(':') || address.starts_with('='))
}
