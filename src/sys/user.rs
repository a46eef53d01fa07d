//! Users and groups: names to numbers, and giving privileges up for good.

use std::ffi::CString;
use std::io;

use nix::sys::prctl;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist, setgid, setgroups, setuid};

use super::capability::Capabilities;

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

/// The groups that the user table gives a user, `gid` among them.
pub fn groups(user: &User, gid: Gid) -> io::Result<Vec<Gid>> {
    Ok(getgrouplist(&CString::new(user.name.as_str())?, gid)?)
}

/// A user's name, or its number where it has none.
pub fn user_name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group's name, or its number where it has none.
pub fn group_name(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |group| group.name)
}

/// Whom a process is to become. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: Option<Uid>,
    /// The group.
    pub gid: Option<Gid>,
    /// The supplementary groups, all of them.
    pub groups: Option<Vec<Gid>>,
    /// What of root's power it keeps; without, none if it stops being root.
    pub capabilities: Option<Capabilities>,
}

impl Identity {
    /// Whether a root process would become somebody else, or less.
    pub fn is_another(&self) -> bool {
        *self != Self::default()
    }

    /// Becomes it, for good: no way back to root is left. Groups first, because only root may
    /// change them. The kernel then clears the signal that the death of the parent would send.
    pub fn assume(&self) -> io::Result<()> {
        if let Some(groups) = &self.groups {
            setgroups(groups)?;
        }
        if let Some(gid) = self.gid {
            setgid(gid)?;
        }
        // Otherwise the kernel takes every capability with the user.
        prctl::set_keepcaps(self.capabilities.is_some())?;
        if let Some(uid) = self.uid {
            setuid(uid)?;
        }
        match self.capabilities {
            Some(kept) => kept.keep()?,
            None if !is_root() => Capabilities::default().keep()?,
            None => {}
        }
        prctl::set_keepcaps(false)?;
        Ok(())
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}
