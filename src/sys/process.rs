//! Processes: forking, leaving, adopting, and waiting for one that is not our child.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The new process.
    Child,
    /// The process that called; the child has this pid.
    Parent(Pid),
}

/// Forks. Called by `master` and `zygote` only, each at a point where it has one thread of its own.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the callers run a single thread, so no lock can be held by a thread that the child
    // lacks; threads that an app started in the zygote are Python's and wait for the GIL, which the
    // forking thread holds, with Python's own fork hooks called around this.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Child => Ok(Fork::Child),
        ForkResult::Parent { child } => Ok(Fork::Parent(child)),
    }
}

/// Leaves at once: no destructors, no exit handlers, nothing flushed.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit ends the process whatever state it is in.
    unsafe { libc::_exit(code) }
}

/// Makes this process the parent of its orphaned descendants: workers, which a zygote forks twice.
pub fn adopt_orphans() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Has the kernel send `signal` to this process when its parent dies.
pub fn signal_on_parent_death(signal: Signal) -> nix::Result<()> {
    prctl::set_pdeathsig(signal)
}

/// A handle to a process that stays valid, and stays silent, after the pid was used again.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
}

impl Handle {
    /// Opens a process by pid; fails with ESRCH where there is none.
    pub fn open(pid: Pid) -> io::Result<Self> {
        // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made by the call above and has no other owner.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd as i32) } })
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let (fd, number) = (self.fd.as_raw_fd(), signal as libc::c_int);
        // SAFETY: a descriptor that this value owns, an integer, no siginfo, no flags.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, std::ptr::null::<libc::siginfo_t>(), 0) }
        {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Blocks until the process is gone, at most `timeout` (`None`: without bound); false when the
    /// time was up.
    pub fn wait_exit(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let bound = match left {
                Some(left) => PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
                None => PollTimeout::NONE,
            };
            match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], bound) {
                // Ctrl-Z and `fg` interrupt the wait, and do not end it.
                Err(Errno::EINTR) => {}
                found => return Ok(found? > 0),
            }
        }
    }
}

/// A thread of any process, as /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The system call it is in, by number, with its arguments; `running` where it is in none.
    pub syscall: String,
    /// The function of the kernel it waits in.
    pub wchan: String,
}

/// The threads of a process; what may not be read is empty.
pub fn threads(pid: Pid) -> Vec<Thread> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.map(|id: u32| {
        let read = |name| std::fs::read_to_string(format!("/proc/{pid}/task/{id}/{name}")).unwrap_or_default();
        let line = |name| read(name).trim().to_owned();
        Thread { id, name: line("comm"), syscall: line("syscall"), wchan: line("wchan") }
    })
    .collect()
}

/// Whether a process has a handler of its own for a signal.
pub fn catches(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    caught & (1 << (signal as u32 - 1)) != 0
}

/// How much memory a process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The address space, bytes.
    pub size: u64,
    /// What of it is in memory, bytes, shared pages included.
    pub resident: u64,
}

impl Memory {
    /// Looks it up in /proc.
    pub fn of(pid: Pid) -> io::Result<Self> {
        let pages = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
        let mut pages = pages.split_ascii_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096) as u64;
        match (pages.next(), pages.next()) {
            (Some(size), Some(resident)) => Ok(Self { size: size * page, resident: resident * page }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Epoch seconds at which a process began; `None` where it is gone.
pub fn began(pid: Pid) -> Option<i64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses; the 22nd the ticks from the boot on.
    let ticks: i64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let hertz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().filter(|hertz| *hertz > 0)?;
    let kernel = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = kernel.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / hertz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_and_handlers_are_seen_from_outside() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert_eq!(threads(pid).len(), 1);
        assert!(!catches(pid, Signal::SIGTERM) && !catches(pid, Signal::SIGKILL));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((threads(pid), catches(pid, Signal::SIGTERM)), (Vec::new(), false));
    }

    #[test]
    fn a_process_began_before_now() {
        let now = crate::sys::clock::epoch();
        let began = began(nix::unistd::getpid()).unwrap();
        assert!((now - 3600..=now + 2).contains(&began), "{began} {now}");
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let memory = Memory::of(nix::unistd::getpid()).unwrap();
        assert!(memory.size > memory.resident && memory.resident > 1 << 20, "{memory:?}");
        assert!(Memory::of(Pid::from_raw(i32::MAX)).is_err());
    }

    #[test]
    fn a_handle_sees_its_process_end() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let handle = Handle::open(Pid::from_raw(child.id() as i32)).unwrap();
        assert!(!handle.wait_exit(Some(Duration::from_millis(1))).unwrap());
        handle.signal(Signal::SIGKILL).unwrap();
        assert!(handle.wait_exit(Some(Duration::from_secs(5))).unwrap());
        child.wait().unwrap();
    }
}
