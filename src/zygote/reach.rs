//! Whether the application's user can get at what the application needs.
//!
//! Asked by the zygote as that user, before Python starts and before a socket is opened, so that a
//! closed directory is named instead of showing as a module that is not found.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Gid, Uid, eaccess};

use super::Birth;
use super::confinement::Moment;
use crate::config::{Setting, Warning};
use crate::error::{Code, Error, Result};
use crate::net::address::Address;
use crate::python::{self, Venv};
use crate::sys::user;

/// Goes to the application's directory.
pub fn enter(birth: &Birth) -> Result<()> {
    let config = &birth.config;
    let place = config.app_directory(&birth.directory);
    match std::env::set_current_dir(&place) {
        Ok(()) => Ok(()),
        Err(_) if closed(&place, AccessFlags::X_OK) => Err(out_of_reach("the application's directory", &place)
            .maybe_at(config.origin("uid"))
            .maybe_at(config.origin("chdir"))),
        Err(error) => {
            Err(Error::new(Code::DirectoryMissing, format!("cannot change to `{}`: {error}", place.display()))
                .maybe_at(config.origin("chdir")))
        }
    }
}

/// Refuses what the user can't read, and warns of what it can't remove. Nothing to ask where the
/// application is loaded as root.
pub fn check(birth: &Birth, venv: &Venv) -> Result<()> {
    let config = &birth.config;
    if Moment::of(config) != Moment::Start || user::is_root() {
        return Ok(());
    }
    let read = AccessFlags::R_OK;
    let enter = AccessFlags::R_OK | AccessFlags::X_OK;
    let base = config.app_directory(&birth.directory);
    let needed = [
        ("Python's library", python::library(), read, None),
        ("the application's directory", Some(base.clone()), enter, config.origin("chdir")),
        ("the virtual environment", venv.directory().map(Path::to_owned), enter, config.origin("home")),
        (
            "the application's file",
            config.wsgi_file.as_ref().filter(|_| config.module.is_none()).map(|file| base.join(file)),
            read,
            config.origin("wsgi-file"),
        ),
    ];
    for (what, path, access, origin) in needed {
        if let Some(path) = path.filter(|path| closed(path, access)) {
            return Err(out_of_reach(what, &path).maybe_at(config.origin("uid")).maybe_at(origin));
        }
    }
    for entry in config.pythonpath.iter().filter(|entry| !entry.contains('*')) {
        let path = base.join(entry);
        if closed(&path, enter) {
            warn(out_of_reach("a directory of `pythonpath`", &path), config.origin("pythonpath"));
        }
    }
    // The user of a later generation is the same, or takes a restart.
    if config.vacuum && birth.generation == 1 {
        warn_of_what_stays(birth);
    }
    Ok(())
}

/// `vacuum` with a directory that the master, which is this user then, may not write to.
fn warn_of_what_stays(birth: &Birth) {
    let config = &birth.config;
    if config.privileges.master_as_root || config.privileges.chroot.is_some() {
        return;
    }
    let base = config.app_directory(&birth.directory);
    let sockets = config.sockets.iter().filter_map(|socket| match Address::parse(&socket.address, &base) {
        Ok(Address::Unix(path)) => Some((path, Some(&socket.setting))),
        _ => None,
    });
    let pidfile = config.pidfile.iter().map(|path| (birth.directory.join(path), config.origin("pidfile")));
    for (path, origin) in sockets.chain(pidfile) {
        let directory = path.parent().unwrap_or(Path::new("/"));
        if eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK) == Err(Errno::EACCES) {
            let error =
                Error::new(Code::LeftBehind, format!("`vacuum` will not be able to remove `{}`", path.display()))
                    .fact(described(directory))
                    .fact(ourselves())
                    .hint(
                        "put it into a directory of the user's own, such as /run/NAME, or set `master-as-root = true`",
                    );
            warn(error, origin);
        }
    }
}

fn warn(error: Error, origin: Option<&Setting>) {
    tracing::warn!("{}", Warning::from(error.maybe_at(origin)));
}

/// Whether permissions are all that is in the way.
fn closed(path: &Path, access: AccessFlags) -> bool {
    eaccess(path, access) == Err(Errno::EACCES)
}

fn out_of_reach(what: &str, path: &Path) -> Error {
    let error = Error::new(Code::OutOfReach, format!("{what} `{}` is closed to {}", path.display(), whom()));
    let first = first_closed(path);
    let error = error.fact(described(&first)).fact(ourselves());
    match first == path && !path.is_dir() {
        true => error.hint(format!("chmod o+r {}", first.display())),
        false if first == path => error.hint(format!("chmod o+rx {}", first.display())),
        false => error.hint(format!("chmod o+x {}, or move the site to where others may read", first.display())),
    }
}

/// The first directory on the way that can't be entered, or the path itself.
fn first_closed(path: &Path) -> PathBuf {
    let mut ways: Vec<&Path> = path.ancestors().skip(1).collect();
    ways.reverse();
    let first = ways.into_iter().find(|way| closed(way, AccessFlags::X_OK));
    first.unwrap_or(path).to_owned()
}

fn described(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(meta) => format!(
            "{} is mode {:04o} of {}:{}",
            path.display(),
            meta.mode() & 0o7777,
            user::user_name(Uid::from_raw(meta.uid())),
            user::group_name(Gid::from_raw(meta.gid())),
        ),
        Err(error) => format!("{}: {error}", path.display()),
    }
}

fn whom() -> String {
    format!("`{}`", user::user_name(Uid::effective()))
}

fn ourselves() -> String {
    format!("running as {}:{}", user::user_name(Uid::effective()), user::group_name(Gid::effective()))
}
