//! What the kernel tells of a TCP socket.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// How many connections wait on a listening socket to be accepted.
pub fn waiting(listener: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: an all-zero tcp_info is one: it is made of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    let place = std::ptr::from_mut(&mut info).cast();
    // SAFETY: `place` has room for `length` bytes, which live until the call returns.
    match unsafe { libc::getsockopt(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, &mut length) } {
        // Of a listening socket this field is the length of its queue.
        0 => Ok(info.tcpi_unacked),
        _ => Err(io::Error::last_os_error()),
    }
}
