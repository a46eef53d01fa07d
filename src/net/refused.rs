//! What a user reads when an address can't be listened on: why, whose doing it is, what to do.
//!
//! Called by `listener` only.

use std::fs::{self, FileType};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Group, Uid, User};
use socket2::Socket;

use super::address::Address;
use super::holder::Holder;
use super::listener::Access;
use crate::error::{Code, Error};

/// The first port that everyone may bind.
const UNPRIVILEGED: u16 = 1024;

/// A bind or listen that the system refused.
pub(super) fn bind(address: &Address, error: io::Error, resolved: Option<SocketAddr>) -> Error {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => {
            let holder = match (resolved, address) {
                (Some(resolved), _) => Holder::of_tcp(resolved),
                (None, Address::Abstract(_)) => Holder::of_unix(&format!("{address}@")),
                (None, _) => Holder::of_unix(&address.to_string()),
            };
            in_use(address, holder)
        }
        Some(Errno::EADDRNOTAVAIL) => {
            let error = Error::new(Code::BindRefused, format!("`{address}` is no address of this machine"));
            match address {
                Address::Tcp { port, .. } => {
                    error.hint(format!("`ip -brief address` lists its addresses, `:{port}` listens on all of them"))
                }
                _ => error,
            }
        }
        Some(Errno::EAFNOSUPPORT) => Error::new(Code::BindRefused, format!("this machine has no IPv6 for `{address}`"))
            .hint("use an IPv4 address, such as `127.0.0.1:3031`"),
        Some(Errno::EACCES | Errno::EPERM) => {
            let refused = Error::new(Code::BindRefused, format!("not permitted to listen on `{address}`"))
                .fact(format!("running as {}", ourselves()));
            match resolved {
                Some(resolved) if resolved.port() < UNPRIVILEGED => refused
                    .fact(format!("ports below {UNPRIVILEGED} are for root"))
                    .hint("use a port above 1023 and put nginx in front of it"),
                _ => refused,
            }
        }
        _ => Error::new(Code::BindRefused, format!("can't listen on `{address}`: {}", reason(&error))),
    }
}

/// A descriptor that this process was not started with.
pub(super) fn not_given(number: i32) -> Error {
    Error::new(
        Code::BadDescriptor,
        format!("descriptor {number} is not among the sockets this process was started with"),
    )
    .hint("name the address itself, as in the `.socket` unit: socket = /run/blog.sock")
}

/// A descriptor that this process was started with, and that can't be listened on.
pub(super) fn no_listener(number: i32, error: &io::Error) -> Error {
    Error::new(Code::BadDescriptor, format!("descriptor {number} can't be listened on: {}", reason(error)))
}

/// A UNIX socket on which somebody listens; `probe` is connected to it, if that went well.
pub(super) fn unix_in_use(address: &Address, probe: Option<&Socket>) -> Error {
    // The credentials of the other end are those of the process that called listen().
    let listener = probe.and_then(|probe| getsockopt(probe, PeerCredentials).ok());
    let holder = listener.and_then(|credentials| Holder::of_pid(credentials.pid()));
    in_use(address, holder.or_else(|| Holder::of_unix(&address.to_string())))
}

fn in_use(address: &Address, holder: Option<Holder>) -> Error {
    let by = holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default();
    let error = Error::new(Code::AddressInUse, format!("`{address}` is already in use{by}"));
    match (holder, address) {
        (Some(holder), _) if holder.ours => error
            .hint("`rustwsgi --reload PIDFILE` gives that instance the new code, `rustwsgi --stop PIDFILE` ends it"),
        (Some(holder), _) => error.hint(format!("choose another address, or end process {}", holder.pid)),
        (None, Address::Tcp { port, .. }) => error.hint(format!("as root, `ss -ltnp 'sport = :{port}'` says by whom")),
        (None, _) => error.hint("as root, `ss -lxp` says by whom"),
    }
}

/// Something other than a socket stands at the path.
pub(super) fn no_socket(address: &Address, kind: FileType) -> Error {
    let kind = match kind {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_file() => "a file",
        _ => "a device",
    };
    Error::new(Code::BindRefused, format!("`{address}` is {kind}, not a socket"))
        .hint("it is left alone: remove it, or choose another path")
}

/// The directory of the path is missing.
pub(super) fn no_directory(address: &Address, directory: &Path) -> Error {
    let error = Error::new(Code::DirectoryMissing, format!("no directory for the socket `{address}`"));
    match fs::symlink_metadata(directory) {
        Ok(_) => error.fact(format!("{} is no directory", directory.display())),
        Err(_) => error.hint(format!("mkdir -p {}", directory.display())),
    }
}

/// The directory of the path lets us make no file.
pub(super) fn directory(address: &Address, directory: &Path, errno: Errno) -> Error {
    let refused = Error::new(Code::BindRefused, format!("not permitted to make the socket `{address}`"));
    if errno == Errno::EROFS {
        return refused.fact(format!("{} is on a read-only file system", directory.display()));
    }
    let refused = match fs::metadata(directory) {
        Ok(meta) => refused.fact(format!(
            "{} is mode {:04o} of {}:{}",
            directory.display(),
            meta.mode() & 0o7777,
            user_name(Uid::from_raw(meta.uid())),
            group_name(Gid::from_raw(meta.gid())),
        )),
        Err(error) => refused.fact(format!("{}: {}", directory.display(), reason(&error))),
    };
    let user = user_name(Uid::effective());
    refused
        .fact(format!("running as {}", ourselves()))
        .hint(format!("put the socket into a directory that `{user}` may write to, such as /run/NAME made for it"))
}

/// Mode or owner of the path can't be set.
pub(super) fn access(address: &Address, access: &Access, errno: Errno) -> Error {
    let mut wanted = Vec::new();
    if let Some(owner) = access.owner {
        wanted.push(format!("owner {}", user_name(owner)));
    }
    if let Some(group) = access.group {
        wanted.push(format!("group {}", group_name(group)));
    }
    if let Some(mode) = access.mode {
        wanted.push(format!("mode {mode:o}"));
    }
    let wanted = wanted.join(", ");
    let error = Error::new(Code::BindRefused, format!("can't give the socket `{address}` {wanted}: {}", errno.desc()))
        .fact(format!("running as {}", ourselves()));
    match errno {
        Errno::EPERM => error.hint("only root may give files away; use a group that the user is a member of"),
        _ => error,
    }
}

/// A descriptor that was handed over is not what it should be.
pub(super) fn adopt(address: &Address, error: io::Error) -> Error {
    Error::new(Code::BindRefused, format!("can't take over the socket `{address}`: {}", reason(&error)))
}

/// What the system said, without the number.
fn reason(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |errno| Errno::from_raw(errno).desc().to_owned())
}

fn ourselves() -> String {
    format!("{}:{}", user_name(Uid::effective()), group_name(Gid::effective()))
}

fn user_name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

fn group_name(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text, Path::new("/")).unwrap()
    }

    #[test]
    fn low_ports_need_root() {
        let error = bind(&address(":80"), Errno::EACCES.into(), Some(([0, 0, 0, 0], 80).into()));
        assert_eq!(error.code, Code::BindRefused);
        assert_eq!(error.message, "not permitted to listen on `0.0.0.0:80`");
        assert!(error.facts.iter().any(|fact| fact.starts_with("running as ")));
        assert!(error.hints[0].contains("above 1023"));
    }

    #[test]
    fn a_directory_shows_its_mode_its_owner_and_who_we_are() {
        let error = directory(&address("/dev/app.sock"), Path::new("/dev"), Errno::EACCES);
        assert_eq!(error.message, "not permitted to make the socket `/dev/app.sock`");
        assert!(error.facts[0].starts_with("/dev is mode 0755 of root:"), "{error}");
        assert!(error.facts[1].starts_with("running as "), "{error}");
        let error = directory(&address("/dev/app.sock"), Path::new("/dev"), Errno::EROFS);
        assert_eq!(error.facts, ["/dev is on a read-only file system"]);
    }

    #[test]
    fn an_unknown_holder_gets_the_command_that_tells() {
        let error = in_use(&address(":3031"), None);
        assert_eq!(error.to_string().lines().next(), Some("error[RW0301]: `0.0.0.0:3031` is already in use"));
        assert!(error.hints[0].contains("sport = :3031"));
        let ours = Holder { pid: 812, command: "rustwsgi master".into(), ours: true };
        let error = in_use(&address("@x"), Some(ours));
        assert_eq!(error.message, "`@x` is already in use by pid 812 (rustwsgi master)");
        assert!(error.hints[0].contains("rustwsgi --stop"));
    }

    #[test]
    fn an_access_that_failed_says_what_was_wanted() {
        let wanted = Access { mode: Some(0o660), owner: Some(Uid::from_raw(0)), group: None };
        let error = access(&address("/run/a.sock"), &wanted, Errno::EPERM);
        assert!(error.message.contains("owner root, mode 660: Operation not permitted"), "{error}");
    }
}
