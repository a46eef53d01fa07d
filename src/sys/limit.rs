//! What the kernel lets a process have: limits, priority, processors, memory that stays.
//!
//! Children inherit all of it but locked memory. Nothing here decides how much.

use std::fs;
use std::io;

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// A limit that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Open files.
    Files,
    /// Bytes of address space.
    AddressSpace,
    /// Processes and threads of the user.
    Processes,
    /// Bytes of locked memory.
    LockedMemory,
}

impl Limit {
    /// Sets both the limit and how far the process may raise it itself.
    pub fn set(self, most: u64) -> io::Result<()> {
        Ok(setrlimit(self.resource(), most, most)?)
    }

    /// What it is now.
    pub fn now(self) -> io::Result<u64> {
        Ok(getrlimit(self.resource())?.0)
    }

    fn resource(self) -> Resource {
        match self {
            Self::Files => Resource::RLIMIT_NOFILE,
            Self::AddressSpace => Resource::RLIMIT_AS,
            Self::Processes => Resource::RLIMIT_NPROC,
            Self::LockedMemory => Resource::RLIMIT_MEMLOCK,
        }
    }
}

/// Lifts a limit altogether.
pub const UNLIMITED: u64 = nix::sys::resource::RLIM_INFINITY;

/// Sets the nice value of this process, -20 to 19; lower is more.
pub fn nice(value: i32) -> io::Result<()> {
    // SAFETY: setpriority takes three integers; 0 is this process.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The processors that this process may run on, in order.
pub fn processors() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|processor| allowed.is_set(*processor).unwrap_or(false)).collect())
}

/// Binds this process, and what it starts from here on, to some of its processors.
pub fn bind_to(processors: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// How much sooner than others this process is killed when memory runs out, -1000 to 1000.
pub fn adjust_oom_score(by: i32) -> io::Result<()> {
    let write = || fs::write("/proc/self/oom_score_adj", by.to_string());
    match write() {
        // A process that has changed its user does not own its own files there, but for a moment.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !prctl::get_dumpable()? => {
            prctl::set_dumpable(true)?;
            let written = write();
            prctl::set_dumpable(false)?;
            written
        }
        written => written,
    }
}

/// Keeps every page of this process in memory once it was touched. Pages that are shared with the
/// parent stay shared until they are written to.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: mlockall takes flags.
    match unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT as libc::c_int) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the kernel merge equal pages of this process and of its children (Linux 6.4).
pub fn merge_memory() -> io::Result<()> {
    const PR_SET_MEMORY_MERGE: libc::c_int = 67;
    // SAFETY: prctl with this operation takes integers, the last three of them zero.
    match unsafe { libc::prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_processors_are_read() {
        assert!(Limit::Files.now().unwrap() > 0);
        assert!(!processors().unwrap().is_empty());
        // What is allowed already changes nothing.
        bind_to(&processors().unwrap()).unwrap();
    }
}
