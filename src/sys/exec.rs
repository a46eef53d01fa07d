//! Putting another program in the place of this one, in the same process.
//!
//! Called by `master` when its own program was replaced on disk. Descriptors that are to live on are
//! made to with [`Passed`]; signals wait meanwhile, since the handlers end with the program.

use std::ffi::{CString, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, execv};

use super::{environment, fd};

/// Which file a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino(), modified: (about.mtime(), about.mtime_nsec()) }
    }
}

/// The program that this process runs, and the path it was started by.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    identity: Identity,
}

impl Program {
    /// Finds it: by the name it was `called`, where that still leads to it, so that a symbolic link
    /// that is turned to another version counts; else by what the kernel says.
    pub fn running(called: &Path, directory: &Path) -> io::Result<Self> {
        let identity = Identity::of(&std::fs::metadata("/proc/self/exe")?);
        let by_name = if called.components().count() > 1 || called.is_absolute() {
            Some(directory.join(called))
        } else {
            let paths = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&paths).map(|path| directory.join(path).join(called)).find(|path| path.is_file())
        };
        let is_it = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|about| Identity::of(&about) == identity);
        let path = match by_name.filter(is_it) {
            Some(path) => path,
            None => std::env::current_exe()?,
        };
        Ok(Self { path, identity })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the path leads to now: `Some(true)` for another file, `None` for nothing.
    pub fn is_another(&self) -> Option<bool> {
        std::fs::metadata(&self.path).ok().map(|about| Identity::of(&about) != self.identity)
    }

    /// Starts what is there now as a child that gets `arguments`, and nothing of ours but the standard
    /// descriptors; answers with its pid and the file that it writes its output to. The caller reaps it.
    pub fn try_out(&self, arguments: &[OsString]) -> io::Result<(Pid, File)> {
        let output = File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC)?);
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        // Dropping the handle neither ends nor waits for the process.
        let child = command.spawn()?;
        Ok((Pid::from_raw(child.id() as i32), output))
    }

    /// Puts what is there now in the place of this program. `variable` is set to `value` for it. Returns
    /// only where that fails; signals are to be held, and stay so.
    pub fn replace(&self, arguments: &[OsString], (variable, value): (&str, &str)) -> io::Error {
        let text = |text: OsString| CString::new(text.into_vec());
        let path = text(self.path.clone().into());
        let arguments: Result<Vec<CString>, _> = arguments.iter().cloned().map(text).collect();
        let (Ok(path), Ok(arguments)) = (path, arguments) else { return io::ErrorKind::InvalidInput.into() };
        environment::change([(variable, Some(value))].into_iter());
        let failed = execv(&path, &arguments);
        environment::change([(variable, None)].into_iter());
        failed.err().map_or_else(|| io::ErrorKind::Other.into(), Into::into)
    }
}

/// Descriptors that live on in the program to come. Copies: dropped, nothing has changed.
#[derive(Debug, Default)]
pub struct Passed {
    copies: Vec<OwnedFd>,
}

impl Passed {
    /// Passes a copy of a descriptor on; answers with its number there.
    pub fn pass(&mut self, fd: impl AsFd) -> io::Result<RawFd> {
        let copy = fd.as_fd().try_clone_to_owned()?;
        fd::set_close_on_exec(&copy, false)?;
        let number = copy.as_raw_fd();
        self.copies.push(copy);
        Ok(number)
    }
}

/// Signals wait for as long as this lives; dropped, they come.
#[derive(Debug)]
pub struct Held(SigSet);

impl Held {
    /// Holds every signal that can be held.
    pub fn all() -> io::Result<Self> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before))?;
        Ok(Self(before))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.0), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use std::io::{Read, Seek};

    #[test]
    fn a_program_is_found_and_its_replacement_seen() {
        let directory = std::env::temp_dir().join(format!("rustwsgi-exec-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &link).unwrap();
        let program = Program::running(Path::new("./link"), &directory).unwrap();
        assert_eq!((program.path().file_name().unwrap().to_str(), program.is_another()), (Some("link"), Some(false)));
        std::fs::remove_file(&link).unwrap();
        assert_eq!(program.is_another(), None);
        std::os::unix::fs::symlink("/bin/echo", &link).unwrap();
        assert_eq!(program.is_another(), Some(true));

        let (pid, mut output) = program.try_out(&["a".into(), "b c".into()]).unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));
        let mut text = String::new();
        output.rewind().unwrap();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a b c\n");

        std::fs::remove_file(&link).unwrap();
        let _held = Held::all().unwrap();
        assert_eq!(program.replace(&["a".into()], ("RUSTWSGI_TEST_EXEC", "1")).kind(), io::ErrorKind::NotFound);
        assert!(std::env::var_os("RUSTWSGI_TEST_EXEC").is_none());
        std::fs::remove_dir_all(directory).unwrap();
        // Another name than the program's own leads to what the kernel says.
        let kernel = Program::running(Path::new("no-such-program"), Path::new("/")).unwrap();
        assert_eq!(kernel.path(), std::env::current_exe().unwrap());
    }
}
