//! Shutting a process in: another root directory, namespaces of its own.

use std::io;
use std::path::Path;

use nix::sched::CloneFlags;

/// Namespaces by uWSGI's names; `None` where there is no such name.
pub fn namespace(name: &str) -> Option<Namespaces> {
    let flag = match name {
        "ipc" => CloneFlags::CLONE_NEWIPC,
        "net" => CloneFlags::CLONE_NEWNET,
        "ns" | "fs" | "mount" | "mnt" => CloneFlags::CLONE_NEWNS,
        "uts" => CloneFlags::CLONE_NEWUTS,
        "cgroup" => CloneFlags::CLONE_NEWCGROUP,
        "files" => CloneFlags::CLONE_FILES,
        "io" => CloneFlags::CLONE_IO,
        "sysvsem" => CloneFlags::CLONE_SYSVSEM,
        _ => return None,
    };
    Some(Namespaces(flag))
}

/// What [`namespace`] knows, for suggestions.
pub const NAMES: [&str; 8] = ["mount", "ipc", "net", "uts", "cgroup", "files", "io", "sysvsem"];

/// A set of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(CloneFlags);

impl Namespaces {
    /// No namespace.
    pub fn none() -> Self {
        Self(CloneFlags::empty())
    }

    /// These and those.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Leaves the ones of the parent for new ones, which children inherit.
    pub fn unshare(self) -> io::Result<()> {
        Ok(nix::sched::unshare(self.0)?)
    }
}

/// Makes `path` the root directory and goes there, so that no way out is left open.
pub fn change_root(path: &Path) -> io::Result<()> {
    nix::unistd::chroot(path)?;
    std::env::set_current_dir("/")
}
