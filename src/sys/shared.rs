//! Memory that a process shares with the children it forks later.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A fixed array in an anonymous shared mapping: every process forked after its making sees the
/// same elements. `T` must be made of atomics only: a pointer in it would mean nothing to the
/// others, and a lock could be kept by a process that was killed.
#[derive(Debug)]
pub struct SharedArray<T> {
    base: NonNull<T>,
    length: usize,
    bytes: NonZeroUsize,
}

impl<T: Default + Sync> SharedArray<T> {
    /// Maps `length` elements, each at its default.
    pub fn new(length: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(length * size_of::<T>())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty shared array"))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe { mmap_anonymous(None, bytes, protection, MapFlags::MAP_SHARED) }?.cast::<T>();
        for index in 0..length {
            // SAFETY: the mapping holds `length` elements and page alignment is enough for any T;
            // nobody else knows of it yet.
            unsafe { base.add(index).write(T::default()) };
        }
        Ok(Self { base, length, bytes })
    }
}

impl<T> Deref for SharedArray<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` initialised that many elements, which live until drop; all access is by
        // shared reference to Sync values.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl<T> Drop for SharedArray<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` and no reference outlives the array. Elements are
        // atomics: they need no drop, and other processes may still use theirs.
        let _ = unsafe { munmap(self.base.cast(), self.bytes.get()) };
    }
}

// SAFETY: access is by shared reference only, and T is Sync.
unsafe impl<T: Sync> Sync for SharedArray<T> {}
// SAFETY: nothing ties the mapping to the thread that made it.
unsafe impl<T: Sync> Send for SharedArray<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::exit;
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_child_writes_what_its_parent_reads() {
        let array = SharedArray::<AtomicU64>::new(100).unwrap();
        // SAFETY: the child stores a number and leaves with _exit.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                array[99].store(42, Ordering::Relaxed);
                exit(0);
            }
            ForkResult::Parent { child } => {
                waitpid(child, None).unwrap();
                assert_eq!(array[99].load(Ordering::Relaxed), 42);
                assert_eq!(array.len(), 100);
            }
        }
    }
}
