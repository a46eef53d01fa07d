//! Descriptors as a set: what a forked child keeps, and what it closes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

/// What [`close_all_but`] leaves open whoever calls it.
static STANDING: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Keeps a descriptor open in every child from now on, until [`keep_no_more`], which has to come
/// before it is closed.
pub fn keep_in_children(fd: impl AsFd) {
    STANDING.lock().unwrap_or_else(PoisonError::into_inner).push(fd.as_fd().as_raw_fd());
}

/// Whether a descriptor is a connected socket whose other end has not closed.
pub fn is_connected(descriptor: RawFd) -> bool {
    use nix::sys::socket::{MsgFlags, recv};
    match recv(descriptor, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(count) => count > 0,
        Err(Errno::EAGAIN) => true,
        Err(_) => false,
    }
}

/// Ends what [`keep_in_children`] began.
pub fn keep_no_more(fd: impl AsFd) {
    let number = fd.as_fd().as_raw_fd();
    STANDING.lock().unwrap_or_else(PoisonError::into_inner).retain(|standing| *standing != number);
}

/// Closes every descriptor of this process but 0, 1, 2, those in `keep` and those of
/// [`keep_in_children`].
///
/// Called by a child right after its fork: what it inherited and does not use would keep sockets
/// open, and would hide the death of whoever holds the other end of a pair. Takes a handful of
/// calls however high RLIMIT_NOFILE is.
pub fn close_all_but(keep: &[BorrowedFd<'_>]) {
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd > 2).collect();
    kept.extend(STANDING.lock().unwrap_or_else(PoisonError::into_inner).iter());
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept {
        if fd > from {
            close_range(from as libc::c_uint, fd as libc::c_uint - 1);
        }
        from = from.max(fd + 1);
    }
    close_range(from as libc::c_uint, libc::c_uint::MAX);
}

fn close_range(first: libc::c_uint, last: libc::c_uint) {
    // SAFETY: close_range takes three integers. The descriptors it closes belong to values of the
    // parent's that the child never touches or drops: it runs on into a function that never returns.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == -1 && Errno::last() == Errno::ENOSYS {
        close_listed(first as RawFd, last.min(RawFd::MAX as libc::c_uint) as RawFd);
    }
}

/// The slow way, for kernels before 5.9: closes what /proc/self/fd lists.
fn close_listed(first: RawFd, last: RawFd) {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as above; the listing's own descriptor is closed already, which is harmless.
        unsafe { libc::close(fd) };
    }
}

/// Takes over a descriptor that this process was started with; 0 is copied, since it stays standard
/// input. Each number is taken once, before anything else is opened.
pub fn given(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call fails for a number that is not open; the borrow ends with the call.
    let open = unsafe { BorrowedFd::borrow_raw(number) };
    if number == 0 {
        return open.try_clone_to_owned();
    }
    fcntl(open, FcntlArg::F_GETFD)?;
    // SAFETY: it is open, and nothing in this process has opened it: the starting process did.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    set_close_on_exec(&fd, true)?;
    Ok(fd)
}

/// Lets a descriptor survive an exec, or not.
pub fn set_close_on_exec(fd: impl AsFd, close: bool) -> nix::Result<()> {
    let flags = if close { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    fcntl(fd, FcntlArg::F_SETFD(flags)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork, pipe};

    #[test]
    fn a_child_keeps_what_it_names_and_nothing_else() {
        let (kept, closed) = pipe().unwrap();
        // SAFETY: the child makes system calls only and leaves with _exit.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                close_all_but(&[kept.as_fd()]);
                let right = fcntl(&kept, FcntlArg::F_GETFD).is_ok() && fcntl(&closed, FcntlArg::F_GETFD).is_err();
                crate::sys::process::exit(i32::from(!right));
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
    }
}
