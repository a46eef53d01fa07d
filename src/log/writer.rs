//! The one write that every line goes through, and what becomes of a line that nobody takes.
//!
//! A file takes everything. A pipe (Docker, a supervisor) takes what its reader leaves room for: a
//! reader that stands still must not stop a site, so such a log is written without blocking, after
//! a moment's patience a line is given up, and how many were is said as soon as there is room.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use nix::errno::Errno;
use nix::libc::O_NONBLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::fd;

/// How long a line waits for room, milliseconds. The lines after it wait no more until there is some.
const PATIENCE: u16 = 100;

/// The log where it is a pipe, opened anew so that it alone does not block: the flag of descriptor
/// 2 itself is shared with the app, and with whoever started us.
static PIPE: RwLock<Option<File>> = RwLock::new(None);
/// The pipe was full when last seen.
static FULL: AtomicBool = AtomicBool::new(false);
static LOST: AtomicU64 = AtomicU64::new(0);

/// Looks at what descriptor 2 is now. Called whenever it has become something else, before
/// privileges are dropped: a pipe belongs to who made it.
pub(super) fn look() {
    let is_pipe = std::fs::metadata("/proc/self/fd/2").is_ok_and(|found| found.file_type().is_fifo());
    let open = || OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open("/proc/self/fd/2").ok();
    let mut pipe = PIPE.write().unwrap_or_else(PoisonError::into_inner);
    // Whoever reads the old one waits for its end: a command that went to the background leaves it.
    if let Some(old) = pipe.take() {
        fd::keep_no_more(&old);
    }
    *pipe = is_pipe.then(open).flatten();
    pipe.iter().for_each(fd::keep_in_children);
}

/// Writes whole lines to the log, in one write where the kernel takes them so.
///
/// Never fails: there is nowhere left to say it. A pipe that stays full for 100 ms loses the line.
pub fn emit(lines: &[u8]) {
    match &*PIPE.read().unwrap_or_else(PoisonError::into_inner) {
        // Not through std's handle, whose lock a fork could leave taken.
        None => write_all(std::io::stderr(), lines, 0),
        Some(pipe) => {
            let lost = LOST.load(Relaxed);
            if lost > 0
                && write_all(pipe, format!("warning: {lost} log lines were lost: nobody read the log\n").as_bytes(), 0)
            {
                LOST.fetch_sub(lost, Relaxed);
            }
            let patience = if FULL.load(Relaxed) { 0 } else { PATIENCE };
            let taken = write_all(pipe, lines, patience);
            FULL.store(!taken, Relaxed);
            if !taken {
                LOST.fetch_add(1, Relaxed);
            }
            taken
        }
    };
}

/// Writes all of `lines`, waiting `patience` milliseconds for room each time there is none; returns
/// whether that was enough.
fn write_all(log: impl AsFd, lines: &[u8], patience: u16) -> bool {
    let mut rest = lines;
    while !rest.is_empty() {
        match nix::unistd::write(&log, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut room = [PollFd::new(log.as_fd(), PollFlags::POLLOUT)];
                // A line of which a part is out waits for its rest: nothing is torn without need.
                let patience = if rest.len() < lines.len() { PATIENCE } else { patience };
                match poll(&mut room, PollTimeout::from(patience)) {
                    Ok(0) | Err(_) => return false,
                    Ok(_) => {}
                }
            }
            Err(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_full_pipe_takes_no_line_and_no_longer_than_said() {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let line = [b'x'; 999];
        let mut taken = 0;
        while write_all(&writer, &line, 0) {
            taken += 1;
        }
        assert!(taken > 60);
        let began = std::time::Instant::now();
        assert!(!write_all(&writer, &line, 20));
        assert!(began.elapsed().as_millis() >= 20);
        let mut whole = vec![0; 999 * taken];
        let mut reader = File::from(reader);
        reader.read_exact(&mut whole).unwrap();
        assert!(write_all(&writer, b"again", 0));
    }
}
