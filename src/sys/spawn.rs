//! Starting other programs through the shell: daemons, commands of hooks, commands at fixed times.
//!
//! What a program inherits is decided here, once: standard descriptors and nothing else, default
//! signals, a session of its own where it outlives the moment. Called by `hooks` and `master`; waits
//! for nobody unless asked to.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use nix::libc;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid, setsid};

use super::signal;

/// A command for `/bin/sh -c`, and what it is started with.
#[derive(Clone, Copy, Debug)]
pub struct Shell<'a> {
    /// The command.
    pub command: &'a str,
    /// Variables that it has beside ours, `NAME=value` each; a bare name takes one of ours away.
    pub environment: &'a [String],
    /// Where it runs; `None` for here.
    pub directory: Option<&'a Path>,
    /// The user it becomes.
    pub uid: Option<u32>,
    /// The group it becomes.
    pub gid: Option<u32>,
    /// Whether it keeps our standard input instead of /dev/null.
    pub stdin: bool,
    /// Whether it leads a session of its own: a Ctrl-C does not reach it, and its group is its pid.
    pub session: bool,
    /// Whether the kernel kills it when this process dies.
    pub bound: bool,
}

impl<'a> Shell<'a> {
    /// A command of this process: same directory, same user, dies with it.
    pub fn new(command: &'a str) -> Self {
        Self {
            command,
            environment: &[],
            directory: None,
            uid: None,
            gid: None,
            stdin: false,
            session: false,
            bound: true,
        }
    }

    /// Starts it; whoever calls waits for the pid some day.
    pub fn start(&self) -> io::Result<Pid> {
        // Dropping the handle neither ends nor waits for the process.
        self.prepared().spawn().map(|child| Pid::from_raw(child.id() as i32))
    }

    /// Runs it to its end. For processes that wait for this child alone.
    pub fn run(&self) -> io::Result<ExitStatus> {
        self.prepared().status()
    }

    fn prepared(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(self.command);
        for pair in self.environment {
            match pair.split_once('=') {
                Some((name, value)) => command.env(name, value),
                None => command.env_remove(pair),
            };
        }
        if let Some(directory) = self.directory {
            command.current_dir(directory);
        }
        if let Some(gid) = self.gid {
            command.gid(gid);
        }
        if let Some(uid) = self.uid {
            command.uid(uid);
        }
        if !self.stdin {
            command.stdin(Stdio::null());
        }
        let (session, bound, parent) = (self.session, self.bound, Pid::this());
        let settle = move || {
            if session {
                setsid()?;
            }
            // After the user has changed, which clears it.
            if bound {
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                if getppid() != parent {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
            signal::default(&[Signal::SIGPIPE])?;
            keep_standard_descriptors();
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes system calls only: it allocates nothing and
        // takes no lock.
        unsafe { command.pre_exec(settle) };
        command
    }
}

/// Marks every other descriptor to be closed by exec. All of ours are; those of an app may not be.
/// Kernels before 5.11 don't know the flag, and are left with what is marked already.
fn keep_standard_descriptors() {
    // SAFETY: close_range takes three integers, and with this flag closes nothing by itself.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::os::fd::AsRawFd;

    #[test]
    fn runs_to_the_end_and_tells_how_it_ended() {
        assert!(Shell::new("exit 0").run().unwrap().success());
        assert_eq!(Shell::new("exit 3").run().unwrap().code(), Some(3));
        let named = Shell { environment: &["WHO=me=us".into()], ..Shell::new("test \"$WHO\" = me=us") };
        assert!(named.run().unwrap().success());
        let unnamed = Shell { environment: &["HOME".into()], ..Shell::new("test -z \"$HOME\"") };
        assert!(unnamed.run().unwrap().success());
        let root = Shell { directory: Some(Path::new("/")), ..Shell::new("test \"$PWD\" = /") };
        assert!(root.run().unwrap().success());
        assert!(Shell { directory: Some(Path::new("/no/such")), ..Shell::new("true") }.run().is_err());
    }

    #[test]
    fn a_program_inherits_the_standard_descriptors_only() {
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        fd::set_close_on_exec(&reader, false).unwrap();
        let command = format!("! test -e /proc/self/fd/{}", reader.as_raw_fd());
        assert!(Shell::new(&command).run().unwrap().success());
        assert!(Shell::new("! read line").run().unwrap().success());
    }

    #[test]
    fn a_session_of_its_own_has_its_own_group() {
        let pid = Shell { session: true, bound: false, ..Shell::new("exec sleep 60") }.start().unwrap();
        assert_eq!(nix::unistd::getpgid(Some(pid)).unwrap(), pid);
        nix::sys::signal::killpg(pid, Signal::SIGKILL).unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Signaled(pid, Signal::SIGKILL, false));
    }
}
