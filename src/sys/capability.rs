//! The parts that root's power comes in (capabilities(7)): their names, and keeping some of them.

use std::io;

use nix::libc;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

/// Their names in the order of their numbers, without `CAP_`.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// What capset(2) calls version 3: two words of 32 bits for each set.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Capabilities {
    /// The names, for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }

    /// Adds one by name, with or without `CAP_`, or by number; false where there is none such.
    pub fn add(&mut self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        let bare = lower.strip_prefix("cap_").unwrap_or(&lower);
        let number = match bare.parse::<usize>() {
            Ok(number) => Some(number).filter(|number| *number < NAMES.len()),
            Err(_) => NAMES.iter().position(|known| *known == bare),
        };
        if let Some(number) = number {
            self.0 |= 1 << number;
        }
        number.is_some()
    }

    /// Gives up every other capability of this thread, which has to have these. Programs that it
    /// executes inherit these only where their files say so.
    pub fn keep(self) -> io::Result<()> {
        let header = Header { version: VERSION, pid: 0 };
        let word = |bits: u64| {
            let bits = bits as u32;
            Word { effective: bits, permitted: bits, inheritable: bits }
        };
        let words = [word(self.0), word(self.0 >> 32)];
        // SAFETY: the header and two words, as version 3 of the call demands; it only reads them.
        match unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_kernels() {
        let mut found = Capabilities::default();
        for name in ["chown", "CAP_NET_BIND_SERVICE", "sys_admin", "40"] {
            assert!(found.add(name), "{name}");
        }
        assert_eq!(found, Capabilities(1 | 1 << 10 | 1 << 21 | 1 << 40));
        for name in ["", "cap_", "chowm", "41", "-1"] {
            assert!(!found.add(name), "{name}");
        }
    }
}
