//! Doing what a hook says, in this process, waiting for it.
//!
//! Called by `hooks`. A failure is a few words for the end of a sentence; the caller knows which hook
//! it was.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chown, sethostname};

use super::action::{Action, Mount};
use super::wait;
use crate::sys::process;
use crate::sys::spawn::Shell;

impl Action {
    /// Does it; commands have these variables beside those of this process.
    pub(super) fn perform(&self, environment: &[String]) -> Result<(), String> {
        match self {
            Self::Chdir(path) => std::env::set_current_dir(path).map_err(words),
            Self::Mkdir(path) => fs::create_dir(path).map_err(words),
            Self::Putenv(name, value) => {
                crate::sys::environment::change([(name.as_str(), Some(value.as_str()))].into_iter());
                Ok(())
            }
            Self::Chmod(path, mode) => fs::set_permissions(path, Permissions::from_mode(*mode)).map_err(words),
            Self::Sticky(path) => fs::set_permissions(path, Permissions::from_mode(0o1777)).map_err(words),
            Self::Chown(path, uid, gid) => chown(path, Some(*uid), Some(*gid)).map_err(|errno| words(errno.into())),
            Self::Exec(command) => match ended(Shell { environment, ..Shell::new(command) }.run().map_err(words)?) {
                None => Ok(()),
                Some(how) => Err(how),
            },
            Self::SafeExec(command) => {
                if let Some(how) = ended(Shell { environment, ..Shell::new(command) }.run().map_err(words)?) {
                    tracing::info!("the command of the hook: {how}");
                }
                Ok(())
            }
            Self::Create(path) => fs::write(path, b"").map_err(words),
            Self::Write(path, text, append) => {
                let mut options = OpenOptions::new();
                options.create(true).write(true).append(*append).truncate(!append);
                options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(words)
            }
            Self::WriteFifo(path, text, spinning) => write_fifo(path, text, *spinning).map_err(words),
            Self::Unlink(path) => fs::remove_file(path).map_err(words),
            Self::Mount(what) => mount_it(what),
            Self::Umount(path, lazy) => {
                let flags = if *lazy { MntFlags::MNT_DETACH } else { MntFlags::empty() };
                umount2(path, flags).map_err(|errno| words(errno.into()))
            }
            Self::Hostname(name) => sethostname(name).map_err(|errno| words(errno.into())),
            // The master looks for these itself.
            Self::UnixSignal(..) => Ok(()),
            Self::Wait(awaited) => awaited.wait(wait::LONGEST),
            Self::Exit(code) => process::exit(*code),
            Self::Print(text) => {
                tracing::info!("{text}");
                Ok(())
            }
        }
    }
}

/// How a command ended, where it was not well.
fn ended(status: ExitStatus) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("it exited with code {code}")),
        (None, signal) => Some(format!("it was killed by signal {}", signal.unwrap_or(0))),
    }
}

fn write_fifo(path: &Path, text: &str, spinning: bool) -> io::Result<()> {
    loop {
        // Opened like this a FIFO that nobody reads fails instead of blocking.
        match OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(path) {
            Ok(mut fifo) => return fifo.write_all(text.as_bytes()),
            Err(error) if !spinning => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_secs(1)),
        }
    }
}

fn mount_it(what: &Mount) -> Result<(), String> {
    let mut flags = MsFlags::empty();
    for name in &what.flags {
        flags |= match name.as_str() {
            "bind" => MsFlags::MS_BIND,
            "rec" => MsFlags::MS_REC,
            "readonly" | "rdonly" | "ro" => MsFlags::MS_RDONLY,
            "nosuid" => MsFlags::MS_NOSUID,
            "nodev" => MsFlags::MS_NODEV,
            "noexec" => MsFlags::MS_NOEXEC,
            "noatime" => MsFlags::MS_NOATIME,
            "nodiratime" => MsFlags::MS_NODIRATIME,
            "relatime" => MsFlags::MS_RELATIME,
            "strictatime" => MsFlags::MS_STRICTATIME,
            "remount" => MsFlags::MS_REMOUNT,
            "private" => MsFlags::MS_PRIVATE,
            "slave" => MsFlags::MS_SLAVE,
            "shared" => MsFlags::MS_SHARED,
            "unbindable" => MsFlags::MS_UNBINDABLE,
            "move" => MsFlags::MS_MOVE,
            "sync" => MsFlags::MS_SYNCHRONOUS,
            other => return Err(format!("there is no mount flag `{other}`")),
        };
    }
    let data: Option<&str> = None;
    mount(Some(what.source.as_str()), &what.target, Some(what.kind.as_str()), flags, data)
        .map_err(|errno| words(errno.into()))
}

fn words(error: io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(text: &str) -> Result<(), String> {
        Action::parse(text, false).unwrap().perform(&[])
    }

    #[test]
    fn files_are_made_written_and_removed() {
        let root = std::env::temp_dir().join(format!("rustwsgi-hooks-{}", std::process::id()));
        let root = root.to_str().unwrap();
        done(&format!("mkdir:{root}")).unwrap();
        assert_eq!(done(&format!("mkdir:{root}")), Err("File exists".into()));
        done(&format!("writen:{root}/a one two")).unwrap();
        done(&format!("append:{root}/a three")).unwrap();
        assert_eq!(fs::read_to_string(format!("{root}/a")).unwrap(), "one two\nthree");
        done(&format!("write:{root}/a four")).unwrap();
        assert_eq!(fs::read_to_string(format!("{root}/a")).unwrap(), "four");
        done(&format!("create:{root}/a")).unwrap();
        assert_eq!(fs::read_to_string(format!("{root}/a")).unwrap(), "");
        done(&format!("chmod:{root}/a 604")).unwrap();
        assert_eq!(fs::metadata(format!("{root}/a")).unwrap().permissions().mode() & 0o7777, 0o604);
        done(&format!("sticky:{root}")).unwrap();
        assert_eq!(fs::metadata(root).unwrap().permissions().mode() & 0o7777, 0o1777);
        nix::unistd::mkfifo(Path::new(&format!("{root}/fifo")), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(done(&format!("writefifo:{root}/fifo x")).is_err());
        done(&format!("wait_for_file:{root}/a")).unwrap();
        done(&format!("unlink:{root}/a")).unwrap();
        assert_eq!(done(&format!("unlink:{root}/a")), Err("No such file or directory".into()));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn commands_tell_how_they_ended() {
        assert_eq!(done("exec:true"), Ok(()));
        assert_eq!(done("exec:exit 3"), Err("it exited with code 3".into()));
        assert_eq!(done("exec:kill -9 $$"), Err("it was killed by signal 9".into()));
        assert_eq!(done("safeexec:exit 3"), Ok(()));
    }
}
