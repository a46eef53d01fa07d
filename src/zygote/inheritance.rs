//! What the workers would inherit of the import that they can't share: threads, connections, open
//! files, held locks. Named once a generation, with what to do.
//!
//! The zygote looks at its descriptors before Python starts and again when the app is loaded; what
//! came in between is the app's. Only tells: nothing is closed here.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getpeername, getsockname};

use crate::config::Warning;
use crate::error::{Code, Error};
use crate::python::{Interpreter, Residue};

/// How many of a kind are named.
const MOST: usize = 8;

/// Well-known ports of servers that applications keep connections to.
const SERVERS: [(u16, &str); 9] = [
    (5432, "PostgreSQL"),
    (6432, "PgBouncer"),
    (3306, "MySQL"),
    (6379, "Redis"),
    (11211, "memcached"),
    (5672, "RabbitMQ"),
    (27017, "MongoDB"),
    (9092, "Kafka"),
    (9200, "Elasticsearch"),
];

/// The descriptors of a process without an app: number → what it leads to.
#[derive(Debug)]
pub struct Inheritance {
    before: BTreeMap<RawFd, String>,
}

impl Inheritance {
    /// Notes what is open. To be called before Python starts.
    pub fn before() -> Self {
        Self { before: open() }
    }

    /// Warns of everything that came with the app and is no good after a fork.
    pub fn report(&self, interpreter: &Interpreter) {
        let Residue { threads, locks } = interpreter.residue();
        let threads = threads.into_iter().map(|thread| {
            let kind = if thread.python { "" } else { " (not Python's)" };
            Error::new(Code::ThreadAtFork, format!("the app started the thread `{}`{kind} at import", thread.name))
                .fact("it does not exist in the workers")
                .hint("start it in `os.register_at_fork(after_in_child=…)`, or set `lazy-apps = true`")
        });
        let locks = locks.into_iter().map(|lock| {
            Error::new(Code::LockAtFork, format!("the lock `{}` is held when the app is loaded", lock.name))
                .fact("in the workers nobody will ever release it")
                .hint("start what holds it after the fork, or set `lazy-apps = true`")
        });
        let open: Vec<(RawFd, String)> =
            open().into_iter().filter(|(fd, target)| self.before.get(fd) != Some(target)).collect();
        tell(threads);
        tell(locks);
        tell(open.iter().filter_map(|(fd, target)| connection(*fd, target)));
        tell(open.iter().filter_map(|(fd, target)| file(*fd, target)));
    }
}

/// Warns of the first ones, and says how many more there are.
fn tell(found: impl Iterator<Item = Error>) {
    let found: Vec<Error> = found.collect();
    let more = found.len().saturating_sub(MOST);
    for (number, error) in found.into_iter().take(MOST).enumerate() {
        let error = if number + 1 == MOST && more > 0 { error.fact(format!("and {more} more like it")) } else { error };
        tracing::warn!("{}", Warning::from(error));
    }
}

/// What is open, but for standard streams.
fn open() -> BTreeMap<RawFd, String> {
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let fds = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|fd| *fd > 2);
    // The listing's own descriptor is closed by the time its link is read.
    fds.filter_map(|fd| Some((fd, fs::read_link(link(fd)).ok()?.display().to_string()))).collect()
}

fn link(fd: RawFd) -> String {
    format!("/proc/self/fd/{fd}")
}

/// A socket with somebody at its other end.
fn connection(fd: RawFd, target: &str) -> Option<Error> {
    if !target.starts_with("socket:") {
        return None;
    }
    let peer = getpeername::<SockaddrStorage>(fd).ok()?;
    let name = match peer.family() {
        Some(AddressFamily::Inet) => SocketAddr::from(*peer.as_sockaddr_in()?).to_string(),
        Some(AddressFamily::Inet6) => SocketAddr::from(*peer.as_sockaddr_in6()?).to_string(),
        Some(AddressFamily::Unix) => unix_name(&peer).or_else(|| unix_name(&getsockname(fd).ok()?))?,
        _ => return None,
    };
    let port = peer.as_sockaddr_in().map(|peer| peer.port()).or(peer.as_sockaddr_in6().map(|peer| peer.port()));
    let server = SERVERS.iter().find(|(known, _)| Some(*known) == port);
    let server = server.map(|(_, server)| format!(", the port of {server}")).unwrap_or_default();
    Some(
        Error::new(Code::ConnectionAtFork, format!("the app is connected to `{name}`{server} (descriptor {fd})"))
            .fact("it connected at import, and all workers share that one connection")
            .hint("close it at the end of the import and connect in the workers, or set `lazy-apps = true`"),
    )
}

/// The address of a UNIX socket; `None` for one end of a pair, which is the app's own business.
fn unix_name(address: &SockaddrStorage) -> Option<String> {
    let address = address.as_unix_addr()?;
    let path = address.path().map(|path| path.display().to_string());
    path.or_else(|| Some(format!("@{}", String::from_utf8_lossy(address.as_abstract()?))))
}

/// A regular file with a place in it that would be shared.
fn file(fd: RawFd, target: &str) -> Option<Error> {
    let path = Path::new(target);
    if !path.is_absolute() || !fs::metadata(link(fd)).ok()?.is_file() || is_only_appended_to(fd) {
        return None;
    }
    let sqlite = is_sqlite(fd);
    let what = if sqlite { "the SQLite database" } else { "the file" };
    let fact = match sqlite {
        true => "it is open since the import: SQLite connections do not survive a fork, and may corrupt the database",
        false => "it is open since the import, and all workers share one place in it",
    };
    Some(
        Error::new(Code::FileAtFork, format!("the app holds {what} `{target}` open (descriptor {fd})"))
            .fact(fact)
            .hint("close it at the end of the import and open it in the workers, or set `lazy-apps = true`"),
    )
}

/// Files opened with O_APPEND, logs mostly, can be shared: each write goes to the end.
fn is_only_appended_to(fd: RawFd) -> bool {
    let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else { return false };
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok()).unwrap_or(0);
    flags & nix::libc::O_APPEND != 0
}

/// Opened anew, so that the app's own place in the file does not move.
fn is_sqlite(fd: RawFd) -> bool {
    use std::io::Read;
    let mut head = [0; 16];
    let read = fs::File::open(link(fd)).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && &head == b"SQLite format 3\0"
}
