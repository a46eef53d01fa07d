//! The pid file: who holds it, and never two masters on one.
//!
//! The master keeps a record lock on it for life. A lock tells more than a number in a file: the
//! kernel names its holder, and forgets it with the holder's death. Used by `master` to hold one and
//! by `--stop` and `--reload` to find whom to signal.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::{Pid, getpid};

use crate::error::{Code, Error, Result};
use crate::sys::fd;

/// A pid file held by this process.
#[derive(Debug)]
pub struct Pidfile {
    file: File,
    path: PathBuf,
}

impl Pidfile {
    /// Fails where a live instance holds the file; changes nothing.
    pub fn check(path: &Path) -> Result<()> {
        match open_without_waiting(path) {
            Ok(file) if !file.metadata().is_ok_and(|about| about.is_file()) => {
                Err(unusable(path, "it is not a regular file"))
            }
            Ok(file) => match holder(&file).map_err(|error| unusable(path, error))? {
                Some(pid) => Err(held(path, pid)),
                None => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => writable_directory(path),
            Err(error) => Err(unusable(path, error)),
        }
    }

    /// Takes the file for this process and writes its pid into it. A file that a dead instance left
    /// is taken over.
    pub fn hold(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path)
            .map_err(|error| unusable(path, error))?;
        if !file.metadata().is_ok_and(|about| about.is_file()) {
            return Err(unusable(path, "it is not a regular file"));
        }
        match fcntl(&file, FcntlArg::F_SETLK(&whole_file(libc::F_WRLCK))) {
            Ok(_) => {}
            Err(Errno::EACCES | Errno::EAGAIN) => {
                let pid = holder(&file).ok().flatten().unwrap_or(Pid::from_raw(0));
                return Err(held(path, pid));
            }
            Err(error) => return Err(unusable(path, error)),
        }
        let mut held = Self { file, path: path.to_owned() };
        held.write().map_err(|error| unusable(path, error))?;
        Ok(held)
    }

    /// Lets the file, and with it the lock, live on in the program to come, or not; answers with its
    /// number there. No copy would do: with any descriptor of the file that is closed the lock ends.
    pub fn pass(&self, pass: bool) -> nix::Result<(RawFd, &Path)> {
        fd::set_close_on_exec(&self.file, !pass)?;
        Ok((self.file.as_raw_fd(), &self.path))
    }

    /// Goes on with the file that the program before this one held.
    pub fn adopt(file: OwnedFd, path: PathBuf) -> Self {
        Self { file: file.into(), path }
    }

    /// What the control socket of this instance is called; see [`control_name`].
    pub fn control_name(&self) -> io::Result<Vec<u8>> {
        control_name(&self.file, getpid())
    }

    /// Removes the file (uWSGI: `--vacuum`), unless somebody put another one in its place.
    pub fn remove(&self) -> io::Result<()> {
        let (ours, there) = (self.file.metadata()?, std::fs::metadata(&self.path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    /// Writes the pid again (uWSGI: `P` over the FIFO), into a new file where somebody deleted this one;
    /// returns whether it is a new one. Fails with RW0503, also where another instance has the place.
    pub fn rewrite(&mut self) -> Result<bool> {
        let ours = self.file.metadata().map(|about| (about.dev(), about.ino()));
        let there = std::fs::metadata(&self.path).map(|about| (about.dev(), about.ino()));
        if matches!((ours, there), (Ok(ours), Ok(there)) if ours == there) {
            self.write().map_err(|error| unusable(&self.path, error))?;
            return Ok(false);
        }
        *self = Self::hold(&self.path)?;
        Ok(true)
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(format!("{}\n", getpid()).as_bytes())
    }
}

/// A live instance, found by its pid file.
#[derive(Debug)]
pub struct Instance {
    /// The master's pid, as the kernel names the lock's holder.
    pub pid: Pid,
    /// The name of its control socket.
    pub control: Vec<u8>,
}

impl Instance {
    /// Finds the instance that holds the pid file. A number in a file that nobody holds is never
    /// signalled: by now it may be anybody's.
    pub fn find(path: &Path) -> Result<Self> {
        let mut file = open_without_waiting(path).map_err(|error| {
            let error_text =
                if error.kind() == io::ErrorKind::NotFound { "no such file".to_owned() } else { error.to_string() };
            Error::new(Code::PidfileBad, format!("cannot read the pid file `{}`: {error_text}", path.display()))
                .hint("give the path that the ini's `pidfile` names, relative to where you are")
        })?;
        if !file.metadata().is_ok_and(|about| about.is_file()) {
            return Err(Error::new(Code::PidfileBad, format!("`{}` is not a regular file", path.display())));
        }
        let mut text = String::new();
        let read = Read::by_ref(&mut file).take(64).read_to_string(&mut text);
        if let Some(pid) = holder(&file).map_err(|error| unusable(path, error))? {
            return Ok(Self { pid, control: control_name(&file, pid).map_err(|error| unusable(path, error))? });
        }
        let text = text.trim();
        let pid = read.ok().and_then(|_| text.parse::<i32>().ok()).filter(|pid| *pid > 0);
        Err(match pid {
            Some(pid) => {
                let error = Error::new(
                    Code::NotRunning,
                    format!("`{}` names pid {pid}, and no instance holds it: nothing was sent", path.display()),
                );
                match command_of(Pid::from_raw(pid)) {
                    Some(command) => error.fact(format!("pid {pid} is now `{command}`")),
                    None => error.fact(format!("pid {pid} is not running")),
                }
            }
            None => Error::new(Code::PidfileBad, format!("`{}` holds no pid: nothing was sent", path.display())),
        }
        .hint(format!("remove the file: rm {}", path.display())))
    }
}

/// What the control socket of the instance that holds this file is called: an abstract name, so
/// that it leaves no file. The file's identity is part of it because containers may share a network
/// but not their pids.
fn control_name(file: &File, pid: Pid) -> io::Result<Vec<u8>> {
    let about = file.metadata()?;
    Ok(format!("rustwsgi/{}/{:x}/{:x}", pid, about.dev(), about.ino()).into_bytes())
}

/// The process that holds a lock on the file; `None` where nobody does (or this process).
fn holder(file: &File) -> nix::Result<Option<Pid>> {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then(|| Pid::from_raw(lock.l_pid)))
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Opens a file for reading; one that is a FIFO must not make the command hang.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// What a process calls itself.
pub fn command_of(pid: Pid) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn held(path: &Path, pid: Pid) -> Error {
    Error::new(Code::PidfileHeld, format!("`{}` belongs to a running instance, pid {pid}", path.display()))
        .fact(command_of(pid).map_or_else(|| format!("pid {pid}"), |command| format!("pid {pid} is `{command}`")))
        .hint(format!("rustwsgi --reload {0} puts new code in its place, rustwsgi --stop {0} ends it", path.display()))
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(Code::PidfileBad, format!("cannot use the pid file `{}`: {why}", path.display()))
}

/// Whether a new file can be made, said before anything has started.
fn writable_directory(path: &Path) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(unusable(path, format_args!("there is no directory `{}`", directory.display()))
            .hint(format!("mkdir -p {}", directory.display())));
    }
    nix::unistd::access(directory, nix::unistd::AccessFlags::W_OK)
        .map_err(|_| unusable(path, format_args!("`{}` is not writable for this user", directory.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rustwsgi-pidfile-{}-{name}", std::process::id()))
    }

    #[test]
    fn holding_writes_the_pid_and_removing_takes_only_our_own() {
        let path = scratch("own");
        std::fs::write(&path, "999999999 left by a dead one").unwrap();
        let held = Pidfile::hold(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        std::fs::rename(&path, path.with_extension("moved")).unwrap();
        std::fs::write(&path, "another's").unwrap();
        held.remove().unwrap();
        assert!(path.exists());
        std::fs::remove_file(path.with_extension("moved")).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_number_nobody_holds_is_not_an_instance() {
        let path = scratch("stale");
        for text in ["", "abc", "-1", "0", "1", "99999999999999999999", "1\n"] {
            std::fs::write(&path, text).unwrap();
            let error = Instance::find(&path).unwrap_err();
            assert!(matches!(error.code, Code::NotRunning | Code::PidfileBad), "{text:?}: {error}");
            assert!(error.message.contains("nothing was sent"), "{text:?}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Instance::find(&path).unwrap_err().code, Code::PidfileBad);
        assert_eq!(Instance::find(&std::env::temp_dir()).unwrap_err().code, Code::PidfileBad);
    }

    #[test]
    fn a_directory_that_is_missing_is_said_before_the_start() {
        let error = Pidfile::check(Path::new("/nowhere/at/all/x.pid")).unwrap_err();
        assert!(error.to_string().contains("no directory `/nowhere/at/all`"), "{error}");
    }
}
