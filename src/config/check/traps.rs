//! Settings that each make sense and together, or in their place, do something else.
//!
//! Called by `check`. Warns only: everything here starts. Judges settings alone, never the machine.

use crate::config::option::OptionDef;
use crate::config::setting::{Origin, Setting};
use crate::config::{Config, Findings};
use crate::error::{Code, Error};

impl Config {
    /// Warns of everything that is not what it looks like.
    pub(super) fn check_traps(&self, findings: &mut Findings) {
        if !self.master {
            let message = "`master` is off, but there always is a master";
            findings.warn(Error::new(Code::MasterOff, message).maybe_at(self.origin("master")).part("master"));
        }
        if !self.enable_threads {
            let message = "`enable-threads` is off, but the application's threads always run";
            let error = Error::new(Code::ThreadsAnyway, message).maybe_at(self.origin("enable-threads"));
            findings.warn(error.part("enable-threads"));
        }
        self.check_module(findings);
        self.check_logs(findings);
        self.check_unix_sockets(findings);
        self.check_ports(findings);
        self.check_overruled(findings);
    }

    fn check_module(&self, findings: &mut Findings) {
        let Some(module) = &self.module else { return };
        let (name, named) = module.split_once(':').map_or((module.as_str(), None), |(name, call)| (name, Some(call)));
        if name.contains('/') || name.ends_with(".py") {
            let message = format!("`module` takes a module's name, and `{name}` looks like a path");
            let error = Error::new(Code::ModuleIsPath, message).maybe_at(self.origin("module")).part(name);
            let dotted = name.trim_end_matches(".py").trim_start_matches("./").replace('/', ".");
            let error = match name.starts_with('/') {
                true => error,
                false => error.hint(format!("module = {dotted}")),
            };
            findings.warn(error.hint(format!("wsgi-file = {name}")));
        }
        if let (Some(named), Some(callable)) = (named, &self.callable)
            && named != callable
        {
            let message = format!("`callable` is not read: `module = {module}` names `{named}`");
            let error = Error::new(Code::Contradiction, message).maybe_at(self.origin("callable"));
            findings.warn(error.part(callable.as_str()));
        }
    }

    fn check_logs(&self, findings: &mut Findings) {
        if let (Some(daemonize), Some(logto)) = (&self.daemonize, &self.logto)
            && daemonize != logto
        {
            let message = format!("`logto` is not used: `daemonize = {}` comes first", daemonize.display());
            let error = Error::new(Code::Contradiction, message).maybe_at(self.origin("logto"));
            findings.warn(error.part(logto.display().to_string()));
        }
    }

    fn check_unix_sockets(&self, findings: &mut Findings) {
        if self.sockets.is_empty() || self.sockets.iter().any(|socket| super::is_unix(&socket.address)) {
            return;
        }
        for name in ["chmod-socket", "chown-socket"] {
            if let Some(setting) = self.origin(name) {
                let message = format!("`{}` has nothing to change: there is no UNIX socket", setting.key);
                findings.warn(Error::new(Code::NothingToDo, message).at(setting).part(setting.key.as_str()));
            }
        }
    }

    /// uWSGI: an address without a colon is a path, numbers too.
    fn check_ports(&self, findings: &mut Findings) {
        let is_port = |address: &str| address.parse::<u16>().is_ok_and(|port| port > 0);
        for socket in self.sockets.iter().filter(|socket| is_port(&socket.address)) {
            let (name, port) = (&socket.setting.key, &socket.address);
            let message = format!("`{port}` without a colon is the path of a UNIX socket, not a port");
            let error = Error::new(Code::PortWithoutColon, message).at(&socket.setting).part(port.as_str());
            findings.warn(error.hint(format!("{name} = :{port}")));
        }
    }

    /// uWSGI: files that stand alone are read after all options, and the last value wins.
    fn check_overruled(&self, findings: &mut Findings) {
        for setting in self.settings.iter().filter(|setting| setting.origin == Origin::CommandLine) {
            let Some(option) = OptionDef::find(&setting.key).filter(|option| !option.repeats()) else { continue };
            let Some(winner) = self.origin(option.name()) else { continue };
            let by_a_file = matches!(winner.origin, Origin::File { .. });
            if by_a_file && winner.value != setting.value {
                let message = format!("`--{}` has no effect: a file that is read later sets it too", given(setting));
                let error = Error::new(Code::Overruled, message).at(winner).part(winner.key.as_str());
                findings.warn(error.hint("what stands behind `--ini FILE` wins over the file"));
            }
        }
    }
}

fn given(setting: &Setting) -> String {
    format!("{} {}", setting.key, setting.value).trim_end().to_owned()
}
