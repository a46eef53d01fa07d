//! One accepted connection: never-blocking reads and writes, and waiting with a bound.
//!
//! Owned by `worker` while it waits for a request, by an `exchange` while one is answered.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{Shutdown, setsockopt, shutdown, sockopt};
use nix::sys::uio::writev;

/// A connected, non-blocking stream socket; dropping it closes the connection.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
}

/// What a connection is waited on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// Room to write.
    Write,
}

impl Stream {
    /// Takes over a connected socket that is non-blocking already.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Reads what there is; `None` where the kernel has nothing yet, `Some(0)` at the end.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        never_blocking(|| nix::unistd::read(&self.fd, buffer))
    }

    /// Writes what the kernel takes of `first` and then `second`; `None` where it takes nothing.
    pub fn write(&self, first: &[u8], second: &[u8]) -> io::Result<Option<usize>> {
        never_blocking(|| match (first.is_empty(), second.is_empty()) {
            (_, true) => nix::unistd::write(&self.fd, first),
            (true, false) => nix::unistd::write(&self.fd, second),
            (false, false) => writev(&self.fd, &[IoSlice::new(first), IoSlice::new(second)]),
        })
    }

    /// Sends up to `count` bytes of `file` from `offset`, which moves on; `Some(0)` at its end.
    pub fn send_file(&self, file: BorrowedFd<'_>, offset: &mut i64, count: usize) -> io::Result<Option<usize>> {
        never_blocking(|| sendfile(&self.fd, file, Some(offset), count))
    }

    /// Blocks until the socket is ready, at most `timeout`; false when the time was up.
    pub fn wait(&self, interest: Interest, timeout: Duration) -> io::Result<bool> {
        let events = match interest {
            Interest::Read => PollFlags::POLLIN,
            Interest::Write => PollFlags::POLLOUT,
        };
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut [PollFd::new(self.fd.as_fd(), events)], timeout) {
                // The signals that reach a worker do not shorten a wait that matters: the bound
                // starts anew, which a storm of signals could stretch but not a client.
                Err(Errno::EINTR) => {}
                other => return Ok(other? > 0),
            }
        }
    }

    /// Ends our half: the peer sees the end of the response while its bytes are still read.
    pub fn shutdown_write(&self) {
        // A peer that is gone already makes this fail, and there is nobody left to tell.
        let _ = shutdown(std::os::fd::AsRawFd::as_raw_fd(&self.fd), Shutdown::Write);
    }

    /// Makes the close a reset, so that the peer can't take a cut response for a whole one.
    pub fn reset_on_close(&self) {
        // Fails on sockets without the notion; then the missing bytes have to tell.
        let _ = setsockopt(&self.fd, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 });
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn never_blocking(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(count) => return Ok(Some(count)),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
