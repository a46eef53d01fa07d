//! The log file: opened where the user can still see a failure, then put in the place of stdout
//! and stderr (uWSGI: `--logto`, `--daemonize`).
//!
//! Called by `master` before it starts anything, so that every process it starts writes there.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::O_NONBLOCK;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::error::{Code, Error, Result};

/// An open log file that nothing is written to yet.
#[derive(Debug)]
pub struct Sink {
    file: File,
    path: PathBuf,
}

impl Sink {
    /// Opens or makes the file, mode 0640 less the umask. Each write appends, whoever else writes
    /// or cuts the file. `mode` is given to it even where it is there (uWSGI: `--logfile-chmod`).
    /// Fails with RW0601.
    pub fn open(path: &Path, mode: Option<u32>) -> Result<Self> {
        let mut options = OpenOptions::new();
        // A FIFO that nobody reads would block the open for good; so it fails.
        options.append(true).create(true).mode(0o640).custom_flags(O_NONBLOCK);
        let file = options.open(path).map_err(|error| refused(path, &error))?;
        let sink = Self { file, path: path.to_owned() };
        sink.block().map_err(|errno| refused(path, &errno.into()))?;
        if let Some(mode) = mode {
            sink.file.set_permissions(Permissions::from_mode(mode)).map_err(|error| refused(path, &error))?;
        }
        Ok(sink)
    }

    /// Empties it (uWSGI: `--log-truncate`); what can't be emptied, a FIFO, is left alone.
    pub fn truncate(&self) {
        // Said nowhere: nothing is lost by it.
        let _ = self.file.set_len(0);
    }

    /// Puts the file in the place of stdout and stderr; returns what stderr was, for what the user
    /// who waits at the terminal must see.
    pub fn redirect(&self) -> Result<File> {
        let failed = |error: io::Error| refused(&self.path, &error);
        // A clone is closed on exec, which the two standard descriptors must not be.
        let terminal = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
        dup2_stdout(&self.file).and_then(|()| dup2_stderr(&self.file)).map_err(|errno| failed(errno.into()))?;
        super::writer::look();
        Ok(terminal.into())
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn block(&self) -> nix::Result<()> {
        let flags = OFlag::from_bits_retain(fcntl(&self.file, FcntlArg::F_GETFL)?);
        fcntl(&self.file, FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK)).map(drop)
    }
}

/// Makes stdin /dev/null: no server reads a terminal.
pub fn close_stdin() -> Result<()> {
    let null = File::open("/dev/null").map_err(|error| Error::system("cannot open /dev/null", error))?;
    dup2_stdin(null).map_err(|errno| Error::system("cannot replace stdin", errno.desc()))
}

fn refused(path: &Path, error: &io::Error) -> Error {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let reason = errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned());
    let refused = Error::new(Code::LogUnusable, format!("cannot open the log file `{}`: {reason}", path.display()));
    match (errno, path.parent()) {
        (Some(Errno::ENOENT), Some(directory)) => refused.hint(format!("mkdir -p {}", directory.display())),
        (Some(Errno::EISDIR), _) => refused.hint(format!("name a file in it: {}", path.join("rustwsgi.log").display())),
        (Some(Errno::ENXIO), _) => refused.fact("it is a FIFO that nobody reads, or a socket"),
        (Some(Errno::EACCES | Errno::EPERM | Errno::EROFS), _) => {
            refused.hint("log to a file that this user may write to")
        }
        _ => refused,
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    /// A directory of the test's own, removed with it.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rustwsgi-log-{test}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn appends_blocking_and_for_the_group_at_most() {
        let directory = Directory::new("append");
        let path = directory.0.join("uwsgi.log");
        fs::write(&path, "old\n").unwrap();
        let sink = Sink::open(&path, None).unwrap();
        (&sink.file).write_all(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
        let flags = OFlag::from_bits_retain(fcntl(&sink.file, FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_APPEND) && !flags.contains(OFlag::O_NONBLOCK));
        // What another process cuts is not filled with zeros.
        fs::write(&path, "").unwrap();
        (&sink.file).write_all(b"after\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");

        let made = directory.0.join("made.log");
        Sink::open(&made, None).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & !0o640 & 0o777, 0);
        Sink::open(&path, Some(0o604)).unwrap().truncate();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.len()), (0o604, 0));
    }

    #[test]
    fn what_can_not_be_opened_is_explained() {
        let directory = Directory::new("refused");
        let missing = Sink::open(&directory.0.join("logs/uwsgi.log"), None).unwrap_err();
        assert_eq!(missing.code, Code::LogUnusable);
        assert_eq!(missing.hints, [format!("mkdir -p {}/logs", directory.0.display())]);
        let error = Sink::open(&directory.0, None).unwrap_err();
        assert!(error.hints[0].starts_with("name a file in it"), "{error}");
        let fifo = directory.0.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = Sink::open(&fifo, None).unwrap_err();
        assert!(error.facts[0].contains("FIFO"), "{error}");
    }

    /// Runs once more in a process of its own, whose standard descriptors it changes.
    #[test]
    fn takes_the_place_of_the_standard_descriptors() {
        const LOG: &str = "RUSTWSGI_TEST_LOG";
        if let Some(path) = std::env::var_os(LOG) {
            let mut terminal = Sink::open(Path::new(&path), None).unwrap().redirect().unwrap();
            close_stdin().unwrap();
            crate::log::install();
            crate::log::install();
            tracing::warn!("from the server");
            println!("from the app");
            crate::log::emit(b"a request\n");
            terminal.write_all(b"to the terminal\n").unwrap();
            let read = io::Read::read(&mut io::stdin(), &mut [0]).unwrap();
            assert_eq!(read, 0);
            assert_eq!(fcntl(&terminal, FcntlArg::F_GETFD).unwrap(), nix::libc::FD_CLOEXEC);
            assert_eq!(fcntl(io::stderr(), FcntlArg::F_GETFD).unwrap(), 0);
            return;
        }
        let directory = Directory::new("redirect");
        let path = directory.0.join("uwsgi.log");
        let test = "log::sink::tests::takes_the_place_of_the_standard_descriptors";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(LOG, &path)
            // Something to read, which the child must not see.
            .stdin(File::open("/proc/self/cmdline").unwrap())
            .output()
            .unwrap();
        let (log, seen) = (fs::read_to_string(&path).unwrap(), String::from_utf8_lossy(&child.stderr).into_owned());
        assert!(child.status.success(), "{log}{seen}");
        for line in ["warning: from the server\n", "from the app\n", "a request\n"] {
            assert_eq!(log.matches(line).count(), 1, "{log}");
        }
        assert!(seen.contains("to the terminal\n") && !seen.contains("server"), "{seen}");
    }
}
