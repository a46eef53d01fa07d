//! How the C library hands out memory, and how much of it this process has.

use nix::libc;

/// Blocks up to this size come from the heap instead of a mapping of their own.
const MMAP_THRESHOLD: libc::c_int = 32 * 1024 * 1024;
/// Free heap beyond this goes back to the kernel.
const TRIM_THRESHOLD: libc::c_int = 128 * 1024 * 1024;

/// Keeps glibc from mapping and unmapping each large block anew: a request body of 1 MiB costs
/// more in page faults than in anything else otherwise. For workers, which see bodies.
pub fn keep_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two integers and is called before the process has a second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Bytes of address space and of memory that this process has; 0 where the kernel does not tell.
pub fn of_this_process() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = text.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as u64;
    (pages.next().unwrap_or(0) * size, pages.next().unwrap_or(0) * size)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_within_its_address_space() {
        let (space, resident) = super::of_this_process();
        assert!(resident > 100_000 && space >= resident, "{space} {resident}");
    }
}
