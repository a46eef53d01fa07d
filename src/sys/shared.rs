//! Memory that a process shares with the children it forks later, and with the program that takes its
//! place.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A fixed array in a shared mapping: every process forked after its making sees the same elements,
/// and whoever gets the descriptor may map them. `T` must be made of atomics only: a pointer in it
/// would mean nothing to the others, and a lock could be kept by a process that was killed.
#[derive(Debug)]
pub struct SharedArray<T> {
    base: NonNull<T>,
    length: usize,
    bytes: NonZeroUsize,
    /// A file without a name, where the elements stand.
    memory: OwnedFd,
}

impl<T: Default + Sync> SharedArray<T> {
    /// Maps `length` elements, each at its default.
    pub fn new(length: usize) -> io::Result<Self> {
        let memory = memfd_create("scoreboard", MFdFlags::MFD_CLOEXEC)?;
        let file = File::from(memory);
        file.set_len((length * size_of::<T>()) as u64)?;
        let array = Self::map(file.into(), length)?;
        for index in 0..length {
            // SAFETY: the mapping holds `length` elements and page alignment is enough for any T;
            // nobody else knows of it yet.
            unsafe { array.base.add(index).write(T::default()) };
        }
        Ok(array)
    }

    /// Maps the `length` elements that another array of this type, maybe of the program that ran in
    /// this process before, has in `memory`. Fails where there are fewer.
    pub fn adopt(memory: OwnedFd, length: usize) -> io::Result<Self> {
        let file = File::from(memory);
        if file.metadata()?.len() < (length * size_of::<T>()) as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a shared array that is too short"));
        }
        Self::map(file.into(), length)
    }

    fn map(memory: OwnedFd, length: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(length * size_of::<T>())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty shared array"))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing. The file is at
        // least as long, has no name and is never cut.
        let base = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, &memory, 0) }?.cast::<T>();
        Ok(Self { base, length, bytes, memory })
    }
}

impl<T> AsFd for SharedArray<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

impl<T> Deref for SharedArray<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` initialised that many elements, here or where they were adopted from, which live until drop; all access is by
        // shared reference to Sync values.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.length) }
    }
}

impl<T> Drop for SharedArray<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and no reference outlives the array. Elements are
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

    #[test]
    fn who_gets_the_descriptor_sees_the_same_elements() {
        let array = SharedArray::<AtomicU64>::new(3).unwrap();
        let again = SharedArray::<AtomicU64>::adopt(array.as_fd().try_clone_to_owned().unwrap(), 3).unwrap();
        array[2].store(7, Ordering::Relaxed);
        drop(array);
        assert_eq!(again[2].load(Ordering::Relaxed), 7);
        assert!(SharedArray::<AtomicU64>::adopt(again.as_fd().try_clone_to_owned().unwrap(), 4).is_err());
    }
}
