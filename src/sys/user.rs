//! Users and groups: names to numbers, and giving privileges up for good.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User, initgroups, setgid, setgroups, setuid};

/// The user of this name or number.
pub fn user(text: &str) -> Option<User> {
    match text.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)).ok().flatten(),
        Err(_) => User::from_name(text).ok().flatten(),
    }
}

/// The number that a user's name or number stands for; numbers need no entry in the user table.
pub fn uid(text: &str) -> Option<Uid> {
    text.parse().map(Uid::from_raw).ok().or_else(|| user(text).map(|user| user.uid))
}

/// The number that a group's name or number stands for.
pub fn gid(text: &str) -> Option<Gid> {
    text.parse().map(Gid::from_raw).ok().or_else(|| Group::from_name(text).ok().flatten().map(|group| group.gid))
}

/// Becomes `uid` and `gid` for good, with the supplementary groups of the user.
pub fn become_user(uid: Option<Uid>, gid: Option<Gid>) -> io::Result<()> {
    let user = uid.and_then(|uid| User::from_uid(uid).ok().flatten());
    if let Some(gid) = gid {
        match &user {
            Some(user) => initgroups(&CString::new(user.name.as_str())?, gid)?,
            None => setgroups(&[])?,
        }
        setgid(gid)?;
    }
    if let Some(uid) = uid {
        setuid(uid)?;
    }
    Ok(())
}

/// Whether this process is root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}
