//! systemd's notifications (`Type=notify`): ready, reloading, stopping, the watchdog, a status line.
//!
//! Held by the master, and by the emperor. Sends datagrams without ever waiting: a service manager
//! that does not read must not stop a site. Without `NOTIFY_SOCKET` every call does nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::errno::Errno;
use nix::unistd::getpid;

use super::{Master, SECOND};
use crate::error::{Code, Error};
use crate::sys::{clock, environment};

/// How often a start or a stop that takes long asks for more time, nanoseconds.
const ASK_EVERY: u64 = 5 * SECOND;

/// How much more time it asks for, microseconds.
const EXTENSION: u64 = 30_000_000;

/// Messages that are kept while the service manager reads nothing.
const KEPT: usize = 32;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Notify {
    manager: Option<Manager>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Nanoseconds between two signs of life, half of what systemd allows.
    watchdog: Option<u64>,
    /// CLOCK_MONOTONIC nanoseconds of the next one.
    beat_at: u64,
    /// The same for the next request for more time.
    ask_at: u64,
    unsent: Vec<String>,
}

impl Notify {
    /// Takes the way out of the environment, so that no child finds it: an app that reports itself
    /// ready would report the whole service. Called first of all, before any fork: the watchdog
    /// names a pid.
    pub fn take() -> Self {
        let [socket, usec, pid] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].map(environment::take);
        let Some(path) = socket.filter(|path| !path.is_empty()) else { return Self::default() };
        let manager = Manager::reach(&path, watchdog(usec, pid));
        if let Err(error) = &manager {
            tracing::warn!("cannot reach the service manager at `{}`: {error}", path.to_string_lossy());
        }
        Self { manager: manager.ok() }
    }

    /// Goes on for the program before this one, whose [`Notify::standing`] this was.
    pub fn adopt(socket: OwnedFd, address: &[u8], watchdog: Option<u64>) -> Self {
        let reached = address_of(address).map(|address| Manager::over(socket.into(), address, watchdog));
        Self { manager: reached.ok() }
    }

    /// The socket, its address as `NOTIFY_SOCKET` had it, and half the watchdog's time.
    pub fn standing(&self) -> Option<(BorrowedFd<'_>, Vec<u8>, Option<u64>)> {
        let manager = self.manager.as_ref()?;
        let address = match (manager.address.as_abstract_name(), manager.address.as_pathname()) {
            (Some(name), _) => [b"@", name].concat(),
            (None, path) => path?.as_os_str().as_bytes().to_vec(),
        };
        Some((manager.socket.as_fd(), address, manager.watchdog))
    }

    /// The start has begun.
    pub fn starting(&mut self) {
        self.send("STATUS=loading the application".into());
    }

    /// It serves, as `status` says. Sent again when a reload is over, however it ended.
    pub fn ready(&mut self, status: &str) {
        self.send(format!("READY=1\nMAINPID={}\nSTATUS={}", getpid(), line(status)));
    }

    /// A reload has begun, which [`Notify::ready`] ends.
    pub fn reloading(&mut self) {
        let now = clock::monotonic() / 1000;
        self.send(format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reloading: the old code serves meanwhile"));
    }

    /// It finishes.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1\nSTATUS=finishing the requests in hand".into());
    }

    /// It ends because of `error`.
    pub fn failed(&mut self, error: &Error) {
        let status = line(&format!("error[{}]: {}", error.code.as_str(), error.message));
        self.send(match errno(error.code) {
            Some(errno) => format!("ERRNO={}\nSTATUS={status}", errno as i32),
            None => format!("STATUS={status}"),
        });
    }

    /// Sends the sign of life if it is time. `busy` says that a start or a stop is under way, which
    /// may take longer than the unit allows: each has a deadline of its own. Called by the loop that
    /// does the work, so that one that hangs is noticed.
    pub fn beat(&mut self, now: u64, busy: bool) {
        let Some(manager) = &mut self.manager else { return };
        manager.flush();
        if let Some(period) = manager.watchdog.filter(|_| now >= manager.beat_at) {
            manager.beat_at = now + period;
            manager.send("WATCHDOG=1".into());
        }
        if busy && now >= manager.ask_at {
            manager.ask_at = now + ASK_EVERY;
            manager.send(format!("EXTEND_TIMEOUT_USEC={EXTENSION}"));
        }
    }

    /// The longest the loop may sleep, nanoseconds.
    pub fn patience(&self) -> Option<u64> {
        self.manager.as_ref().and_then(|manager| manager.watchdog)
    }

    fn send(&mut self, message: String) {
        if let Some(manager) = &mut self.manager {
            manager.send(message);
        }
    }
}

impl Master {
    /// What `systemctl status` shows while it serves.
    pub(super) fn summary(&self) -> String {
        let processes = self.generation(self.active).map_or(0, |active| active.config.processes);
        format!("serving with {processes} workers, generation {}", self.active)
    }
}

impl Manager {
    fn reach(path: &OsString, watchdog: Option<u64>) -> io::Result<Self> {
        let address = address_of(path.as_bytes())?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // Connected now: the path may be out of reach once privileges are dropped.
        socket.connect_addr(&address)?;
        Ok(Self::over(socket, address, watchdog))
    }

    fn over(socket: UnixDatagram, address: SocketAddr, watchdog: Option<u64>) -> Self {
        let now = clock::monotonic();
        Self { socket, address, watchdog, beat_at: now, ask_at: now + ASK_EVERY, unsent: Vec::new() }
    }

    fn send(&mut self, message: String) {
        if self.unsent.len() < KEPT {
            self.unsent.push(message);
        }
        self.flush();
    }

    /// Sends what waits, in order, as far as the manager takes it.
    fn flush(&mut self) {
        while let Some(message) = self.unsent.first() {
            let mut sent = self.socket.send(message.as_bytes());
            if sent.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                // The manager has made its socket anew.
                sent = self.socket.connect_addr(&self.address).and_then(|()| self.socket.send(message.as_bytes()));
            }
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!("cannot tell the service manager: {error}");
                    self.unsent.clear();
                    return;
                }
                Ok(_) => drop(self.unsent.remove(0)),
            }
        }
    }
}

/// What `NOTIFY_SOCKET` means.
fn address_of(text: &[u8]) -> io::Result<SocketAddr> {
    match text.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(OsStr::from_bytes(text)),
    }
}

/// Half the time that systemd waits for a sign of life, nanoseconds; `None` where it waits for none,
/// or for another process's.
fn watchdog(usec: Option<OsString>, pid: Option<OsString>) -> Option<u64> {
    let number = |text: OsString| text.to_str().and_then(|text| text.parse::<u64>().ok());
    let usec = usec.and_then(number).filter(|usec| *usec > 0)?;
    if pid.is_some_and(|pid| number(pid) != Some(getpid().as_raw() as u64)) {
        return None;
    }
    Some(usec.saturating_mul(1000) / 2)
}

/// A message is made of lines, so a status is one.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// The kernel's number for what went wrong, where there is one.
fn errno(code: Code) -> Option<Errno> {
    Some(match code {
        Code::AddressInUse => Errno::EADDRINUSE,
        Code::BindRefused => Errno::EADDRNOTAVAIL,
        Code::NotPermitted => Errno::EPERM,
        Code::FileMissing | Code::DirectoryMissing | Code::ConfigUnreadable => Errno::ENOENT,
        Code::PidfileHeld => Errno::EEXIST,
        Code::ImportTimeout | Code::TimedOut => Errno::ETIMEDOUT,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_beaten_at_half_time_by_whom_it_is_meant_for() {
        let own = || Some(getpid().to_string().into());
        assert_eq!(watchdog(Some("3000000".into()), own()), Some(1_500_000_000));
        assert_eq!(watchdog(Some("3000000".into()), None), Some(1_500_000_000));
        assert_eq!(watchdog(Some("3000000".into()), Some("1".into())), None);
        for nothing in [None, Some("0".into()), Some("soon".into())] {
            assert_eq!(watchdog(nothing, own()), None);
        }
    }

    #[test]
    fn what_the_manager_does_not_read_waits_in_order() {
        let name: &[u8] = format!("rustwsgi-notify-{}", getpid()).leak().as_bytes();
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
        manager.set_nonblocking(true).unwrap();
        let path = [b"@", name].concat();
        let path = OsString::from(String::from_utf8(path).unwrap());
        let mut notify = Notify { manager: Some(Manager::reach(&path, None).unwrap()) };
        // More than the kernel queues on a datagram socket.
        (0..20).for_each(|number| notify.ready(&format!("{number}\nREADY=0")));
        let (mut buffer, mut heard) = ([0; 256], Vec::new());
        while heard.len() < 20 {
            let length = manager.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            notify.beat(0, false);
        }
        for (number, message) in heard.iter().enumerate() {
            assert!(message.ends_with(&format!("STATUS={number} READY=0")), "{message:?}");
        }
    }
}
