//! Whether the web server can open a UNIX socket: what nginx's log would say, said at the start.
//!
//! Called by `master` once for each socket that it opened. Judges by mode, owner and the users of
//! this machine; changes nothing. (A web server in another container has users of its own: then
//! the mode alone counts.)

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::address::Address;
use super::listener::Listener;
use crate::error::{Code, Error};

/// The users that nginx and Apache run as, by distribution.
const WEB_SERVERS: &[&str] = &["www-data", "nginx", "http", "apache"];

/// The permission to connect is the one to write.
const GROUP: u32 = 0o020;
const OTHERS: u32 = 0o002;

/// A warning about a socket that a web server of this machine may not connect to. `None` for one
/// that it may, and for sockets without a file or with one that somebody else made.
pub fn closed(listener: &Listener) -> Option<Error> {
    let Address::Unix(path) = &listener.address else { return None };
    if listener.given.is_some() {
        return None;
    }
    let found = fs::symlink_metadata(path).ok()?;
    let users: Vec<User> = WEB_SERVERS.iter().filter_map(|name| User::from_name(name).ok().flatten()).collect();
    warning(path, &found, &users)
}

fn warning(path: &Path, found: &Metadata, users: &[User]) -> Option<Error> {
    let mode = found.mode() & 0o777;
    if mode & OTHERS != 0 {
        return None;
    }
    let by_group = mode & GROUP != 0;
    let user = match users.first() {
        None if by_group => return None,
        None => "www-data".to_owned(),
        Some(_) if users.iter().any(|user| may_connect(user, found, by_group)) => return None,
        Some(user) => user.name.clone(),
    };
    let owner = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    let owner = owner.map_or_else(|| found.uid().to_string(), |user| user.name);
    let group = Group::from_gid(Gid::from_raw(found.gid())).ok().flatten();
    let group = group.map_or_else(|| found.gid().to_string(), |group| group.name);
    let who = if by_group { format!("`{owner}` and the group `{group}`") } else { format!("`{owner}`") };
    let message = format!("only {who} can connect to `{}`, and nginx usually runs as `{user}`", path.display());
    let error = Error::new(Code::SocketClosed, message).fact(format!("it is mode {mode:04o} of {owner}:{group}"));
    Some(error.hint(format!("chmod-socket = 660 and chown-socket = {owner}:{user}, or chmod-socket = 666")))
}

fn may_connect(user: &User, found: &Metadata, by_group: bool) -> bool {
    if user.uid.as_raw() == found.uid() {
        return true;
    }
    let groups = || {
        let name = CString::new(user.name.as_str()).ok()?;
        getgrouplist(&name, user.gid).ok()
    };
    by_group && groups().is_some_and(|groups| groups.contains(&Gid::from_raw(found.gid())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_that_only_its_owner_may_write_to_is_told() {
        let path = std::env::temp_dir().join(format!("rw-reach-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let told = |mode: u32, users: &[User]| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            warning(&path, &fs::symlink_metadata(&path).unwrap(), users)
        };
        let ourselves = User::from_uid(Uid::effective()).unwrap().unwrap();
        let stranger = User {
            name: "nobody-known".into(),
            uid: Uid::from_raw(61_234),
            gid: Gid::from_raw(61_234),
            ..ourselves.clone()
        };

        let closed = told(0o755, &[]).unwrap();
        assert_eq!(closed.code, Code::SocketClosed);
        assert!(closed.message.contains("`www-data`") && closed.facts[0].contains("mode 0755"), "{closed}");
        assert!(told(0o755, std::slice::from_ref(&stranger)).unwrap().message.contains("`nobody-known`"));
        assert!(told(0o660, std::slice::from_ref(&stranger)).unwrap().message.contains("and the group"));
        for (mode, users) in [
            (0o666, vec![]),
            (0o666, vec![stranger.clone()]),
            (0o660, vec![]),
            (0o600, vec![ourselves.clone()]),
            (0o600, vec![stranger, ourselves]),
        ] {
            assert_eq!(told(mode, &users), None, "{mode:o}");
        }
        fs::remove_file(&path).unwrap();
    }
}
