//! A pair of connected sockets that carries typed messages, and descriptors with them.
//!
//! One message is one SOCK_SEQPACKET record of JSON, so a message is there whole or not at all and
//! a trace of it can be read. Between master, zygotes and workers; never with a client.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, setsockopt,
    socketpair, sockopt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest message, bytes. An error with a long traceback is the largest there is.
const LARGEST: usize = 256 * 1024;
/// The most descriptors in one message, a limit of the kernel's.
pub const MOST_DESCRIPTORS: usize = 253;

/// One end of a pair.
#[derive(Debug)]
pub struct Channel {
    fd: OwnedFd,
}

impl Channel {
    /// Two connected ends. Both block and close on exec.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, two) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        for end in [&one, &two] {
            setsockopt(end, sockopt::SndBuf, &(2 * LARGEST))?;
        }
        Ok((Self { fd: one }, Self { fd: two }))
    }

    /// Another handle to the same end.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Makes reads of this end return at once.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        fcntl(&self.fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(|_| ()).map_err(Into::into)
    }

    /// Sends a message, and descriptors that the receiver gets copies of. Never raises SIGPIPE.
    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > LARGEST || descriptors.len() > MOST_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "message too large for a channel"));
        }
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            match sendmsg::<()>(self.fd.as_raw_fd(), &[IoSlice::new(&bytes)], control, MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                other => return other.map(|_| ()).map_err(Into::into),
            }
        }
    }

    /// Receives a message and the descriptors sent with it; `None` when the other end is closed.
    pub fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; LARGEST];
        let mut control = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let (length, descriptors) = loop {
            match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut control), flags) {
                Ok(message) => break (message.bytes, received(message.cmsgs()?)),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        if length == 0 {
            return Ok(None);
        }
        let message = serde_json::from_slice(&bytes[..length])?;
        Ok(Some((message, descriptors)))
    }
}

/// Takes ownership of the descriptors that came.
fn received(control: impl Iterator<Item = ControlMessageOwned>) -> Vec<OwnedFd> {
    control
        .filter_map(|message| match message {
            ControlMessageOwned::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        // SAFETY: the kernel installed these descriptors for this call's receiver alone.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
        .collect()
}

impl From<OwnedFd> for Channel {
    /// An end that the program before this one had.
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_whole() {
        let (one, two) = Channel::pair().unwrap();
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        one.send(&vec!["a", "b"], &[file.as_fd()]).unwrap();
        one.send(&"x".repeat(200_000), &[]).unwrap();
        let (words, descriptors) = two.receive::<Vec<String>>().unwrap().unwrap();
        assert_eq!((words, descriptors.len()), (vec!["a".to_owned(), "b".to_owned()], 1));
        let (text, descriptors) = two.receive::<String>().unwrap().unwrap();
        assert_eq!((text.len(), descriptors.len()), (200_000, 0));
    }

    #[test]
    fn a_closed_end_is_seen() {
        let (one, two) = Channel::pair().unwrap();
        drop(one);
        assert!(two.receive::<String>().unwrap().is_none());
        assert!(two.send(&"x", &[]).is_err());
    }
}
