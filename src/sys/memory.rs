//! How the C library hands out memory.

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
