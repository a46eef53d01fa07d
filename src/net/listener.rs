//! Listening sockets, made in two steps: reserve the address before the app is loaded, listen
//! when there is somebody to serve.
//!
//! The master makes them; workers get copies of the descriptors and accept. An address in use, a
//! path that is no socket or a directory that can't be written to is found by the first step,
//! which changes nothing that another process could see.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc::{SOCK_CLOEXEC, SOCK_NONBLOCK};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{AccessFlags, Gid, Uid, eaccess, fchownat};
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::address::Address;
use super::refused;
use super::stream::Stream;
use crate::error::{Code, Error, Result};

/// What is spoken on a listener's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// The uwsgi protocol (uWSGI: `--socket`, `--uwsgi-socket`).
    Uwsgi,
    /// HTTP/1.x (uWSGI: `--http-socket`).
    Http,
    /// HTTP/1.x from clients that nothing stands in front of (uWSGI: `--http`, a proxy there).
    HttpRouter,
    /// SCGI (uWSGI: `--scgi-socket`).
    Scgi,
    /// SCGI, answered with whole HTTP responses (uWSGI: `--scgi-nph-socket`).
    ScgiNph,
    /// FastCGI (uWSGI: `--fastcgi-socket`).
    Fastcgi,
}

impl Protocol {
    /// The protocol's name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uwsgi => "uwsgi",
            Self::Http | Self::HttpRouter => "http",
            Self::Scgi => "scgi",
            Self::ScgiNph => "scgi-nph",
            Self::Fastcgi => "fastcgi",
        }
    }

    /// Whether the client itself speaks HTTP on it.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpRouter)
    }
}

/// How many connections may wait to be accepted (uWSGI: `--listen`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog(i32);

impl Backlog {
    /// `wanted`, or what the system allows; the message is a warning where that is less. (uWSGI
    /// refuses to start there; the kernel would cut it silently.)
    pub fn within_system(wanted: u32) -> (Self, Option<Error>) {
        let most = fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
        let most = most.and_then(|text| text.trim().parse().ok()).unwrap_or(i32::MAX as u32);
        if wanted <= most {
            return (Self(wanted as i32), None);
        }
        let message = format!(
            "`listen = {wanted}` is more than net.core.somaxconn allows, {most} connections can wait on a socket"
        );
        let warning = Error::new(Code::QueueCut, message)
            .hint(format!("sysctl -w net.core.somaxconn={wanted}, in a container `--sysctl`"))
            .hint(format!("listen = {most}"));
        (Self(most as i32), Some(warning))
    }

    /// How many may wait.
    pub fn length(self) -> u64 {
        self.0.max(0) as u64
    }
}

/// What the kernel is told of a socket beside its address. Connections inherit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Connections that stand still are probed (uWSGI: `--so-keepalive`).
    pub keepalive: bool,
    /// Bytes of the send buffer; 0 leaves it to the kernel (uWSGI: `--socket-sndbuf`).
    pub send_buffer: usize,
    /// Bytes of the receive buffer; 0 leaves it to the kernel (uWSGI: `--socket-rcvbuf`).
    pub receive_buffer: usize,
    /// The address need not be there yet (uWSGI: `--freebind`).
    pub freebind: bool,
    /// Other processes of this user may bind the port too (uWSGI: `--reuse-port`).
    pub reuse_port: bool,
}

impl Traits {
    /// Tells the kernel what may change while the socket is open.
    pub fn apply(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_keepalive(self.keepalive)?;
        if self.send_buffer > 0 {
            socket.set_send_buffer_size(self.send_buffer)?;
        }
        if self.receive_buffer > 0 {
            socket.set_recv_buffer_size(self.receive_buffer)?;
        }
        Ok(())
    }

    fn bind_tcp(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None)?;
        // Connections of an earlier instance that linger in TIME_WAIT do not hold the port.
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if self.freebind {
            match address {
                SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
                SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
        }
        // Accepted connections inherit it, which saves a call on each.
        socket.set_tcp_nodelay(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }
}

/// Who may connect to a UNIX socket that stands in the file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Permission bits (uWSGI: `--chmod-socket`); without them the umask decides.
    pub mode: Option<u32>,
    /// The owner (uWSGI: `--chown-socket`).
    pub owner: Option<Uid>,
    /// The group (uWSGI: `--chown-socket`, behind the colon).
    pub group: Option<Gid>,
}

/// Which file a path stood for, so that another one put there later is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|meta| Self { device: meta.dev(), inode: meta.ino() })
    }
}

/// An address that can be had, and is ours from here on where the system lets one hold it unseen.
#[derive(Debug)]
pub struct Reserved {
    protocol: Protocol,
    address: Address,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    /// Bound but not listening: clients are refused as if it were free.
    Tcp(Socket, SocketAddr),
    Abstract(Socket),
    /// A path can't be held without being seen; it was only looked at.
    Path,
}

impl Reserved {
    /// Makes sure that `address` can be listened on. Fails where it is in use (RW0301), can't be
    /// bound (RW0302), has no meaning here (RW0306) or its directory is missing (RW0310).
    pub fn reserve(protocol: Protocol, address: &Address) -> Result<Self> {
        Self::reserve_with(protocol, address, &Traits::default())
    }

    /// The same for a socket of certain traits.
    pub fn reserve_with(protocol: Protocol, address: &Address, traits: &Traits) -> Result<Self> {
        let hold = match address {
            Address::Tcp { .. } => {
                let resolved = address.resolve()?;
                // `resolve` has an answer for each TCP address.
                let Some(resolved) = resolved else { return Err(refused::bind(address, Errno::EINVAL.into(), None)) };
                let bound = traits.bind_tcp(resolved);
                Hold::Tcp(bound.map_err(|error| refused::bind(address, error, Some(resolved)))?, resolved)
            }
            Address::Abstract(name) => {
                let bound = Self::bind_abstract(name);
                Hold::Abstract(bound.map_err(|error| refused::bind(address, error, None))?)
            }
            Address::Descriptor(number) => return Err(refused::not_given(*number)),
            Address::Unix(path) => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                if !directory.is_dir() {
                    return Err(refused::no_directory(address, directory));
                }
                eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK)
                    .map_err(|error| refused::directory(address, directory, error))?;
                stale(path, address)?;
                Hold::Path
            }
        };
        Ok(Self { protocol, address: address.clone(), hold })
    }

    /// Listens. `access` is for the path of a UNIX socket and is set before anyone can connect.
    pub fn listen(self, backlog: Backlog, access: &Access) -> Result<Listener> {
        let Self { protocol, address, hold } = self;
        let (socket, resolved) = match hold {
            Hold::Tcp(socket, resolved) => (socket, Some(resolved)),
            Hold::Abstract(socket) => (socket, None),
            Hold::Path => match &address {
                Address::Unix(path) => (bind_path(path, &address, access)?, None),
                _ => return Err(refused::bind(&address, Errno::EINVAL.into(), None)),
            },
        };
        // Another process may have bound the port as we did, and listened first.
        socket.listen(backlog.0).map_err(|error| refused::bind(&address, error, resolved))?;
        let file = match &address {
            Address::Unix(path) => Some(FileId::of(path).map_err(|error| refused::bind(&address, error, None))?),
            _ => None,
        };
        Listener::adopt(socket.into(), protocol, address, file)
    }

    /// The address as it was set.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn bind_abstract(name: &[u8]) -> io::Result<Socket> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        let whole = [b"\0", name, b"\0"].concat();
        socket.bind(&SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&whole)))?)?;
        Ok(socket)
    }
}

/// The socket that a dead process left at `path`, if there is one. Fails where a live one or
/// something else is there.
fn stale(path: &Path, address: &Address) -> Result<Option<FileId>> {
    let failed = |error| refused::bind(address, error, None);
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !meta.file_type().is_socket() {
        return Err(refused::no_socket(address, meta.file_type()));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(failed)?;
    match probe.connect(&SockAddr::unix(path).map_err(failed)?) {
        Err(error) if error.raw_os_error() == Some(Errno::ECONNREFUSED as i32) => {
            Ok(Some(FileId { device: meta.dev(), inode: meta.ino() }))
        }
        // Gone since we looked.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::EACCES as i32) => Err(failed(error)),
        // A full backlog (EAGAIN) or another type of socket (EPROTOTYPE) is alive, too.
        Err(_) => Err(refused::unix_in_use(address, None)),
        Ok(()) => Err(refused::unix_in_use(address, Some(&probe))),
    }
}

/// Binds at `path`, in the place of a socket that a dead process left there.
fn bind_path(path: &Path, address: &Address, access: &Access) -> Result<Socket> {
    let failed = |error| refused::bind(address, error, None);
    if let Some(file) = stale(path, address)? {
        // Moved first and looked at then: whatever another process put there since the probe
        // would be moved back instead of being removed.
        let aside = aside(path);
        fs::rename(path, &aside).map_err(failed)?;
        if FileId::of(&aside).map_err(failed)? != file {
            fs::rename(&aside, path).map_err(failed)?;
            return Err(refused::unix_in_use(address, None));
        }
        fs::remove_file(&aside).map_err(failed)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(failed)?;
    // Binding never replaces a file, and until the socket listens clients are refused.
    socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
    if let Err(error) = access.grant(path) {
        // Ours for sure: the bind above made it.
        let _ = fs::remove_file(path);
        return Err(refused::access(address, access, error));
    }
    Ok(socket)
}

/// A name beside `path` that nobody else uses.
fn aside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

impl Access {
    /// Sets owner and mode of `path`, in this order: a change of owner may clear bits. A symbolic
    /// link that someone put there meanwhile is not followed. What is as it should be is left alone:
    /// after a reload the user may not be allowed to set it again.
    fn grant(&self, path: &Path) -> nix::Result<()> {
        let now = fs::symlink_metadata(path).ok();
        let is_owned = |now: &fs::Metadata| {
            self.owner.is_none_or(|owner| owner.as_raw() == now.uid())
                && self.group.is_none_or(|group| group.as_raw() == now.gid())
        };
        if !now.as_ref().is_some_and(is_owned) {
            fchownat(AT_FDCWD, path, self.owner, self.group, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        match self.mode {
            Some(mode) if now.is_some_and(|now| now.mode() & 0o777 == mode) => Ok(()),
            Some(mode) => fchmodat(AT_FDCWD, path, Mode::from_bits_truncate(mode), FchmodatFlags::NoFollowSymlink),
            None => Ok(()),
        }
    }
}

/// A listening socket: non-blocking, closed on exec.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub fd: OwnedFd,
    /// What is spoken on its connections.
    pub protocol: Protocol,
    /// Where it was told to listen; a reload compares this.
    pub address: Address,
    /// Where it listens, as reported: `127.0.0.1:3031`, a path, `@name`.
    pub name: String,
    /// The file of a UNIX socket.
    pub file: Option<FileId>,
    /// The descriptor it was when this process was started with it. Whoever made it owns its path: it
    /// is never bound anew, never removed, never given another mode.
    pub given: Option<i32>,
}

impl Listener {
    /// Takes over a socket that listens already, such as one received from another process.
    pub fn adopt(fd: OwnedFd, protocol: Protocol, address: Address, file: Option<FileId>) -> Result<Self> {
        let name = Self::prepare(&fd, &address).map_err(|error| refused::adopt(&address, error))?;
        Ok(Self { fd, protocol, address, name, file, given: None })
    }

    /// Accepts one connection; `None` when no client waits. A client that gave up is passed over.
    ///
    /// An error for which [`is_exhausted`] holds goes away by itself, and the client still waits.
    pub fn accept(&self) -> io::Result<Option<(Stream, Peer)>> {
        let socket = SockRef::from(&self.fd);
        loop {
            match socket.accept4(SOCK_NONBLOCK | SOCK_CLOEXEC) {
                Ok((connection, address)) => return Ok(Some((Stream::new(connection.into()), Peer(address)))),
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAGAIN) => return Ok(None),
                    Some(errno) if is_passed_over(errno) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// The port of a TCP listener, the kernel's choice where 0 was set.
    pub fn port(&self) -> Option<u16> {
        let address = SockRef::from(&self.fd).local_addr().ok()?;
        address.as_socket().map(|address| address.port())
    }

    /// The number of its descriptor.
    pub fn number(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Another descriptor of the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            fd: self.fd.try_clone()?,
            protocol: self.protocol,
            address: self.address.clone(),
            name: self.name.clone(),
            file: self.file,
            given: self.given,
        })
    }

    /// Sets who may connect to the path of a UNIX socket; does nothing for others.
    pub fn grant(&self, access: &Access) -> Result<()> {
        match &self.address {
            Address::Unix(path) if self.is_ours(path) => {
                access.grant(path).map_err(|error| refused::access(&self.address, access, error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the path of a UNIX socket, unless another file has taken its place (uWSGI:
    /// `--vacuum`); says whether there was something to remove.
    pub fn unlink_if_ours(&self) -> io::Result<bool> {
        match &self.address {
            Address::Unix(path) if self.is_ours(path) => fs::remove_file(path).map(|()| true),
            _ => Ok(false),
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        self.file.is_some() && FileId::of(path).ok() == self.file
    }

    /// Makes sure that it listens, never blocks and does not outlive an exec; returns its name.
    fn prepare(fd: &OwnedFd, address: &Address) -> io::Result<String> {
        let socket = SockRef::from(fd);
        if !socket.is_listener()? {
            return Err(io::Error::other("the descriptor is no listening socket"));
        }
        socket.set_nonblocking(true)?;
        socket.set_cloexec(true)?;
        Ok(match socket.local_addr()?.as_socket() {
            Some(bound) => bound.to_string(),
            None => address.to_string(),
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Errors of one client's connection, or of the way to it, which accept(2) hands over.
fn is_passed_over(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINTR
            | Errno::ECONNABORTED
            | Errno::EPROTO
            | Errno::EPERM
            | Errno::ENETDOWN
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::EHOSTUNREACH
            | Errno::ENONET
            | Errno::ENOPROTOOPT
    )
}

/// Whether accepting failed for want of descriptors or memory: waiting helps, trying at once does
/// not.
pub fn is_exhausted(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// The client's end of a connection.
#[derive(Clone, Debug)]
pub struct Peer(SockAddr);

impl Peer {
    /// The client's address and port; `None` on a UNIX socket. An IPv4 client of an IPv6 listener
    /// shows its IPv4 address.
    pub fn address(&self) -> Option<SocketAddr> {
        let address = self.0.as_socket()?;
        Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

#[cfg(test)]
mod tests;
