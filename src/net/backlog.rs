//! How many connections wait on a listener to be accepted.
//!
//! Asked by the master once a second where `cheaper` or harakiri depends on it. The kernel tells it of
//! TCP sockets by TCP_INFO and of UNIX sockets (where uWSGI sees nothing) by its socket diagnosis.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};
use nix::sys::stat::fstat;

use super::listener::Listener;
use crate::sys::tcp;

/// NLM_F_REQUEST, SOCK_DIAG_BY_FAMILY and UDIAG_SHOW_RQLEN of the kernel's headers.
const REQUEST: u16 = 1;
const BY_FAMILY: u16 = 20;
const SHOW_QUEUE: u32 = 0x10;
/// The attribute UNIX_DIAG_RQLEN.
const QUEUE: u16 = 4;
/// A netlink header, and what comes before the attributes in an answer.
const HEADER: usize = 16;
const ANSWER: usize = 16;

impl Listener {
    /// How many connections wait; `None` where the kernel does not tell.
    pub fn waiting(&self) -> Option<u64> {
        // A socket that is not TCP's is asked for in vain.
        tcp::waiting(self.as_fd()).ok().map(u64::from).or_else(|| unix(self.as_fd()))
    }
}

fn unix(listener: BorrowedFd<'_>) -> Option<u64> {
    let inode = fstat(listener).ok()?.st_ino;
    let link =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)
            .ok()?;
    let raw = link.as_raw_fd();
    sendto(raw, &question(inode as u32), &NetlinkAddr::new(0, 0), MsgFlags::MSG_DONTWAIT).ok()?;
    let mut bytes = [0; 512];
    let length = recv(raw, &mut bytes, MsgFlags::MSG_DONTWAIT).ok()?;
    answered(&bytes[..length])
}

/// Asks for the queue of the socket with this inode.
fn question(inode: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend(40_u32.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    // Number and sender; then family, protocol, padding.
    bytes.extend([0; 8]);
    bytes.extend([AddressFamily::Unix as u8, 0, 0, 0]);
    // Every state; the socket; what to tell; no cookie.
    for word in [u32::MAX, inode, SHOW_QUEUE, u32::MAX, u32::MAX] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

fn answered(bytes: &[u8]) -> Option<u64> {
    let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if half(4)? != BY_FAMILY {
        return None;
    }
    let mut at = HEADER + ANSWER;
    loop {
        let (length, kind) = (usize::from(half(at)?), half(at + 2)?);
        if kind == QUEUE {
            return Some(u64::from(u32::from_ne_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?)));
        }
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::net::address::Address;
    use crate::net::listener::Protocol;

    #[test]
    fn waiting_connections_are_counted_on_tcp_and_unix_sockets() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap();
        let address = Address::Tcp { host: "127.0.0.1".into(), port: port.port() };
        let listener = Listener::adopt(tcp.into(), Protocol::Http, address, None).unwrap();
        assert_eq!(listener.waiting(), Some(0));
        let clients: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(port).unwrap()).collect();
        assert_eq!(listener.waiting(), Some(clients.len() as u64));

        let path = std::env::temp_dir().join(format!("backlog-{}.sock", std::process::id()));
        let listening = UnixListener::bind(&path).unwrap();
        let listener = Listener::adopt(listening.into(), Protocol::Uwsgi, Address::Unix(path.clone()), None).unwrap();
        assert_eq!(listener.waiting(), Some(0));
        let clients: Vec<_> = (0..4).map(|_| UnixStream::connect(&path).unwrap()).collect();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(listener.waiting(), Some(clients.len() as u64));
    }

    #[test]
    fn an_answer_that_says_nothing_is_none() {
        assert_eq!(answered(&[]), None);
        assert_eq!(answered(&[0; 40]), None);
    }
}
