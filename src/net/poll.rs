//! One epoll instance: what a worker's cores wait on.
//!
//! Used by `worker::connections`. Knows descriptors and keys, not what they stand for; decides
//! nothing about fairness. All calls take `&self`: the cores of a worker share one instance.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// A set of descriptors to wait on.
#[derive(Debug)]
pub struct Poll {
    epoll: Epoll,
}

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key it was added with.
    pub key: u64,
    /// The other end has closed, or closed its half: a read finds the end behind what there is.
    pub hang_up: bool,
}

/// Room for the events of one wait, kept from one to the next.
#[derive(Debug)]
pub struct Events {
    room: Vec<EpollEvent>,
    filled: usize,
    next: usize,
}

impl Poll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)? })
    }

    /// Adds a listening socket that other processes wait on too: a connection wakes one of those
    /// that really wait, and the socket is reported for as long as it has connections.
    pub fn add_shared(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        self.add(fd, key, EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE)
    }

    /// Adds a descriptor that is reported for as long as it is readable.
    pub fn add_level(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        self.add(fd, key, EpollFlags::EPOLLIN)
    }

    /// Adds a descriptor that is reported once for whatever arrives, to one waiter: at once where
    /// something is there already. It needs no further call to be reported again.
    pub fn add_edge(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        self.add(fd, key, EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET)
    }

    /// Adds a descriptor that is reported for as long as it takes bytes, or is lost.
    pub fn add_writable(&self, fd: impl AsFd, key: u64) -> io::Result<()> {
        self.add(fd, key, EpollFlags::EPOLLOUT)
    }

    /// Takes a descriptor out; closing one does the same, unless a child process holds it too.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        self.epoll.delete(fd).map_err(Into::into)
    }

    /// Blocks until something is ready, at most `timeout` (`None`: without bound), and replaces
    /// what `events` held. A signal ends the wait early, with nothing.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = match timeout {
            // Rounded up: a wait that ends before its deadline would only be waited again.
            Some(time) => EpollTimeout::try_from(time.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i32)
                .unwrap_or(EpollTimeout::ZERO),
            None => EpollTimeout::NONE,
        };
        events.clear();
        match self.epoll.wait(&mut events.room, timeout) {
            Ok(count) => events.filled = count,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn add(&self, fd: impl AsFd, key: u64, flags: EpollFlags) -> io::Result<()> {
        self.epoll.add(fd, EpollEvent::new(flags, key)).map_err(Into::into)
    }
}

impl Events {
    /// Room for at most `count` events of one wait; whoever shares its set with others takes one
    /// at a time, so as not to sit on what another could do.
    pub fn new(count: usize) -> Self {
        Self { room: vec![EpollEvent::empty(); count.max(1)], filled: 0, next: 0 }
    }

    /// Forgets what the last wait found.
    pub fn clear(&mut self) {
        (self.filled, self.next) = (0, 0);
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.room[..self.filled].get(self.next)?;
        self.next += 1;
        let gone = EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        Some(Event { key: event.data(), hang_up: event.events().intersects(gone) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn ready(poll: &Poll, room: usize) -> Vec<Event> {
        let mut events = Events::new(room);
        poll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.collect()
    }

    #[test]
    fn an_edge_is_reported_once_and_again_for_more() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"x").unwrap();
        poll.add_edge(&ours, 7).unwrap();
        assert_eq!(ready(&poll, 4), [Event { key: 7, hang_up: false }]);
        assert_eq!(ready(&poll, 4), []);
        theirs.write_all(b"y").unwrap();
        assert_eq!(ready(&poll, 4), [Event { key: 7, hang_up: false }]);
        drop(theirs);
        assert_eq!(ready(&poll, 4), [Event { key: 7, hang_up: true }]);
    }

    #[test]
    fn a_level_is_reported_until_it_is_read() {
        let poll = Poll::new().unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        poll.add_level(&ours, 1).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!((ready(&poll, 1).len(), ready(&poll, 1).len()), (1, 1));
        ours.read_exact(&mut [0]).unwrap();
        assert_eq!(ready(&poll, 1), []);
    }

    #[test]
    fn what_was_removed_is_silent() {
        let poll = Poll::new().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        poll.add_shared(&ours, 1).unwrap();
        poll.remove(&ours).unwrap();
        theirs.write_all(b"x").unwrap();
        assert_eq!(ready(&poll, 1), []);
    }
}
