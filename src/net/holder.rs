//! Who holds an address that we wanted: read out of /proc, as far as we may look there.
//!
//! Called by `listener` to name the culprit in a message. Best effort: what can't be read is left
//! out, and nothing depends on it.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A process that holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// What `ps` shows for it, shortened.
    pub command: String,
    /// It is an instance of rustwsgi.
    pub ours: bool,
}

/// The state of a listening socket in /proc/net/tcp.
const LISTEN: &str = "0A";
/// The longest command line shown, characters.
const COMMAND: usize = 120;

impl Holder {
    /// Who listens on a TCP address that keeps `wanted` from being bound.
    pub fn of_tcp(wanted: SocketAddr) -> Option<Self> {
        ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
            let table = fs::read_to_string(table).ok()?;
            table.lines().skip(1).find_map(|line| Self::of_inode(in_the_way(line, wanted)?))
        })
    }

    /// Who has this path or abstract name (with `@` for each NUL) bound.
    pub fn of_unix(shown: &str) -> Option<Self> {
        let table = fs::read_to_string("/proc/net/unix").ok()?;
        table.lines().skip(1).find_map(|line| {
            let (fields, name) = line.split_at_checked(line.find(shown)?)?;
            // The inode is the last field before the name, which ends the line.
            if name == shown { Self::of_inode(fields.split_ascii_whitespace().next_back()?) } else { None }
        })
    }

    /// The process of this id.
    pub fn of_pid(pid: i32) -> Option<Self> {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace(char::is_control, " ");
        let mut command = line.trim().to_owned();
        if let Some((cut, _)) = command.char_indices().nth(COMMAND) {
            command.replace_range(cut.., "…");
        }
        if command.is_empty() {
            command = comm.trim().to_owned();
        }
        Some(Self { pid, command, ours: comm.trim() == "rustwsgi" })
    }

    /// The process with a descriptor of this socket; of several the one that the others came from.
    fn of_inode(inode: &str) -> Option<Self> {
        let link = format!("socket:[{inode}]");
        let holds = |pid: &i32| {
            let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            descriptors.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
        };
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let pids: Vec<i32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        let holders: Vec<i32> = pids.into_iter().filter(holds).collect();
        let root = holders.iter().find(|pid| !parent(**pid).is_some_and(|parent| holders.contains(&parent)));
        Self::of_pid(*root.or(holders.first())?)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.command)
    }
}

/// The inode of a line of /proc/net/tcp or tcp6, where its socket listens on `wanted`.
fn in_the_way(line: &str, wanted: SocketAddr) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let (host, port) = local.split_once(':')?;
    let (host, port) = (host_of(host)?, u16::from_str_radix(port, 16).ok()?);
    let clash = host.is_unspecified() || wanted.ip().is_unspecified() || host == wanted.ip().to_canonical();
    if port == wanted.port() && clash { fields.nth(5) } else { None }
}

/// An address as the kernel prints it: 32-bit words, each in the byte order of the machine.
fn host_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for start in (0..text.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(text.get(start..start + 8)?, 16).ok()?.to_ne_bytes());
    }
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => Some(four.into()),
        Err(_) => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical()),
    }
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state and the parent follow it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn names_the_process_that_listens() {
        for (bound, wanted) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")] {
            let listener = TcpListener::bind((bound, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let holder = Holder::of_tcp(SocketAddr::new(wanted.parse().unwrap(), port)).unwrap();
            assert_eq!(holder.pid, std::process::id() as i32);
            assert!(holder.command.contains("rustwsgi"), "{holder}");
        }
    }

    #[test]
    fn another_address_or_state_is_not_in_the_way() {
        let line =
            "   0: 0100007F:0BD7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0";
        fn inode<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
            in_the_way(line, wanted.parse().unwrap())
        }
        assert_eq!(inode(line, "127.0.0.1:3031"), Some("4711"));
        assert_eq!(inode(line, "0.0.0.0:3031"), Some("4711"));
        assert_eq!(inode(line, "127.0.0.2:3031"), None);
        assert_eq!(inode(line, "127.0.0.1:3032"), None);
        assert_eq!(inode(&line.replace(" 0A ", " 01 "), "127.0.0.1:3031"), None);
        let six = line.replace("0100007F", "00000000000000000000000001000000");
        assert_eq!(inode(&six, "[::1]:3031"), Some("4711"));
        assert_eq!(inode(&six, "[::2]:3031"), None);
    }
}
