//! Why a worker died, in words, and how long to wait before the next one.
//!
//! Asked by `workers`. Kills and forks nothing.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

/// Quick deaths in a row that are called a loop.
const LOOP: u32 = 5;

/// Deaths for want of memory, as the control group of the instance counts them.
#[derive(Debug, Default)]
pub struct OutOfMemory {
    events: Option<PathBuf>,
    killed: u64,
}

impl OutOfMemory {
    /// Looks up the control group of this process.
    pub fn watch() -> Self {
        let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let events = group
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .map(|path| Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join("memory.events"));
        let mut watch = Self { events: events.filter(|path| path.is_file()), killed: 0 };
        watch.killed = watch.count();
        watch
    }

    /// Whether the kernel has killed for want of memory since the last call.
    pub fn has_killed(&mut self) -> bool {
        let count = self.count();
        count > std::mem::replace(&mut self.killed, count)
    }

    fn count(&self) -> u64 {
        let text = self.events.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        killed(&text)
    }
}

fn killed(events: &str) -> u64 {
    let line = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// What is known of a death beside its number; `None` where the number says it all.
pub fn cause(status: WaitStatus, memory: &mut OutOfMemory) -> Option<String> {
    let out_of_memory = memory.has_killed();
    match status {
        WaitStatus::Signaled(_, Signal::SIGKILL, _) if out_of_memory => {
            Some("the kernel killed it for want of memory (oom_kill of its control group)".into())
        }
        WaitStatus::Signaled(_, signal, true) => Some(format!("{signal}, core dumped")),
        WaitStatus::Signaled(_, signal, false) => Some(signal.to_string()),
        _ => None,
    }
}

/// How long to wait before a worker is forked again that has died young so many times in a row,
/// milliseconds: nothing at first, then twice as long each time, at most `longest` seconds (uWSGI:
/// `--forkbomb-delay`).
pub fn pause(deaths: u32, longest: u64) -> u64 {
    match deaths {
        0 | 1 => 0,
        more => (100_u64 << (more - 2).min(16)).min(longest.saturating_mul(1000).max(100)),
    }
}

/// What to say of the pause.
pub fn announce(id: usize, deaths: u32, millis: u64) -> String {
    if deaths >= LOOP {
        format!(
            "worker respawning too fast !!! worker {id} has died young {deaths} times in a row, the next one comes in \
             {millis} ms; what it said before it died stands above"
        )
    } else {
        format!("worker {id} dies young again and again: the next one comes in {millis} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;

    #[test]
    fn young_deaths_wait_longer_each_time_up_to_the_delay() {
        let waits: Vec<u64> = (0..9).map(|deaths| pause(deaths, 2)).collect();
        assert_eq!(waits, [0, 0, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!((pause(u32::MAX, 3600), pause(50, 0)), (3_600_000, 100));
        assert!(announce(1, 4, 400).starts_with("worker 1 dies young"));
        assert!(announce(1, 5, 800).starts_with("worker respawning too fast !!!"));
    }

    #[test]
    fn kills_for_want_of_memory_are_counted() {
        assert_eq!(killed("low 0\nhigh 0\nmax 31\noom 2\noom_kill 3\noom_group_kill 0\n"), 3);
        assert_eq!((killed(""), killed("oom_kill x")), (0, 0));
        let path = std::env::temp_dir().join(format!("memory.events-{}", std::process::id()));
        fs::write(&path, "oom_kill 1\n").unwrap();
        let mut memory = OutOfMemory { events: Some(path.clone()), killed: 1 };
        let pid = Pid::from_raw(7);
        let death = |signal| WaitStatus::Signaled(pid, signal, false);
        assert_eq!(cause(death(Signal::SIGKILL), &mut memory).as_deref(), Some("SIGKILL"));
        fs::write(&path, "oom_kill 2\n").unwrap();
        assert!(cause(death(Signal::SIGKILL), &mut memory).unwrap().contains("want of memory"));
        assert_eq!(cause(death(Signal::SIGKILL), &mut memory).as_deref(), Some("SIGKILL"));
        fs::remove_file(&path).unwrap();
        assert_eq!(cause(WaitStatus::Exited(pid, 3), &mut memory), None);
        let dumped = WaitStatus::Signaled(pid, Signal::SIGSEGV, true);
        assert_eq!(cause(dumped, &mut memory).as_deref(), Some("SIGSEGV, core dumped"));
    }
}
