//! Files and directories that a start would look for, for `--check` alone.
//!
//! A start finds them missing when it needs them, with more to say about it. Looks at the file
//! system, at a limit of the kernel, and changes nothing.

use std::path::Path;

use crate::config::option::OptionDef;
use crate::config::{Config, Findings};
use crate::error::{Code, Error};
use crate::net::listener::Backlog;

impl Config {
    /// Finds what is named and not there.
    pub(in crate::config) fn check_paths(&self, directory: &Path, findings: &mut Findings) {
        let base = self.app_directory(directory);
        let outside = |path: &Path| self.outside(directory, &base.join(path));
        if let Some(file) = &self.wsgi_file
            && self.module.is_none()
            && !outside(file).is_file()
        {
            let error = self.missing(Code::FileMissing, "wsgi-file", "no such file", &outside(file));
            match self.need_app {
                true => findings.fail(error),
                false => findings.warn(error),
            }
        }
        if let Some(home) = &self.home
            && !outside(home).join("pyvenv.cfg").is_file()
            && !outside(home).join("bin").is_dir()
        {
            findings.fail(self.missing(Code::NotAVirtualenv, "home", "no such environment", &outside(home)));
        }
        for (option, path) in [("pidfile", &self.pidfile), ("daemonize", &self.daemonize), ("logto", &self.logto)] {
            let Some(path) = path else { continue };
            let path = directory.join(path);
            if path.parent().is_some_and(|parent| !parent.is_dir()) {
                findings.fail(self.missing(Code::DirectoryMissing, option, "its directory is not there", &path));
            }
        }
        for socket in self.sockets.iter().filter(|socket| super::is_unix(&socket.address) && !self.http.abstract_socket)
        {
            let path = outside(Path::new(&socket.address));
            let is_told = socket.address.starts_with('@') || socket.address.len() > super::LONGEST_PATH;
            if !is_told && path.parent().is_some_and(|parent| !parent.is_dir()) {
                let message = format!("`{}`: its directory is not there", socket.address);
                let error = Error::new(Code::DirectoryMissing, message).at(&socket.setting);
                findings.fail(error.part(socket.address.as_str()).fact(format!("looked for: {}", path.display())));
            }
        }
        if let (_, Some(cut)) = Backlog::within_system(self.listen) {
            findings.warn(cut.maybe_at(self.origin("listen")).part(self.listen.to_string()));
        }
        for entry in self.pythonpath.iter().filter(|entry| !entry.contains('*') && !outside(Path::new(entry)).exists())
        {
            let message = format!("`{entry}` on Python's path is not there");
            let error = Error::new(Code::DirectoryMissing, message).maybe_at(self.setting_with("pythonpath", entry));
            findings
                .warn(error.part(entry.as_str()).fact(format!("looked for: {}", outside(Path::new(entry)).display())));
        }
    }

    fn missing(&self, code: Code, option: &str, reason: &str, path: &Path) -> Error {
        let written = OptionDef::find(option).and_then(|option| self.shown(option)).unwrap_or_default();
        let error = Error::new(code, format!("`{written}`: {reason}")).maybe_at(self.origin(option)).part(&*written);
        match Path::new(&written).is_relative() {
            true => error.fact(format!("looked for: {}", path.display())),
            false => error,
        }
    }
}
