//! A lock that processes share, and that nobody can keep by dying.
//!
//! A robust pthread mutex: the kernel passes it on when the thread that holds it ends, however that
//! happens. For the locks that apps take; the server itself takes none that it shares.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use nix::errno::Errno;
use nix::libc;

/// One lock. It does nothing before [`Lock::prepare`], which is called once, where it will stay.
pub struct Lock {
    mutex: UnsafeCell<MaybeUninit<libc::pthread_mutex_t>>,
}

/// How a lock was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locked {
    /// As usual.
    Fresh,
    /// From a thread that ended with it.
    Inherited,
}

impl Default for Lock {
    fn default() -> Self {
        Self { mutex: UnsafeCell::new(MaybeUninit::zeroed()) }
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

// SAFETY: a process-shared mutex is made to be used by several threads at once.
unsafe impl Sync for Lock {}
// SAFETY: it belongs to no thread; it must not be moved after `prepare`, which only a shared array
// calls on elements that stay where they are.
unsafe impl Send for Lock {}

impl Lock {
    /// Makes the lock. Before anybody else knows of it.
    pub fn prepare(&self) {
        let mut attributes = MaybeUninit::<libc::pthread_mutexattr_t>::uninit();
        // SAFETY: the attributes are initialised by the first call, the mutex by the last but one, and
        // nobody uses it yet. The calls fail for unknown values only.
        unsafe {
            let attributes = attributes.as_mut_ptr();
            libc::pthread_mutexattr_init(attributes);
            libc::pthread_mutexattr_setpshared(attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(attributes, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutexattr_settype(attributes, libc::PTHREAD_MUTEX_ERRORCHECK);
            libc::pthread_mutex_init(self.raw(), attributes);
            libc::pthread_mutexattr_destroy(attributes);
        }
    }

    /// Waits for the lock and takes it. Fails with EDEADLK where this thread has it already.
    pub fn lock(&self) -> nix::Result<Locked> {
        // SAFETY: prepared, and in memory that lives as long as `self`.
        self.taken(unsafe { libc::pthread_mutex_lock(self.raw()) })
    }

    /// Takes the lock if it is free; fails with EBUSY where it is not, with EDEADLK where this thread has it.
    pub fn try_lock(&self) -> nix::Result<Locked> {
        // SAFETY: as in `lock`.
        self.taken(unsafe { libc::pthread_mutex_trylock(self.raw()) })
    }

    /// Gives the lock back. Fails with EPERM where this thread does not have it.
    pub fn unlock(&self) -> nix::Result<()> {
        // SAFETY: as in `lock`.
        match unsafe { libc::pthread_mutex_unlock(self.raw()) } {
            0 => Ok(()),
            code => Err(Errno::from_raw(code)),
        }
    }

    fn taken(&self, code: i32) -> nix::Result<Locked> {
        match code {
            0 => Ok(Locked::Fresh),
            libc::EOWNERDEAD => {
                // SAFETY: the mutex is this thread's since the call that said so.
                unsafe { libc::pthread_mutex_consistent(self.raw()) };
                Ok(Locked::Inherited)
            }
            code => Err(Errno::from_raw(code)),
        }
    }

    fn raw(&self) -> *mut libc::pthread_mutex_t {
        self.mutex.get().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::exit;
    use crate::sys::shared::SharedArray;
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    #[test]
    fn the_dead_keep_nothing_and_nobody_locks_twice() {
        let locks = SharedArray::<Lock>::new(1).unwrap();
        locks[0].prepare();
        for _ in 0..50 {
            // SAFETY: the child takes the lock and leaves with _exit.
            match unsafe { fork() }.unwrap() {
                ForkResult::Child => {
                    let _ = locks[0].lock();
                    exit(0);
                }
                ForkResult::Parent { child } => {
                    waitpid(child, None).unwrap();
                }
            }
            assert_eq!(locks[0].lock(), Ok(Locked::Inherited));
            assert_eq!((locks[0].lock(), locks[0].try_lock()), (Err(Errno::EDEADLK), Err(Errno::EDEADLK)));
            assert_eq!((locks[0].unlock(), locks[0].unlock()), (Ok(()), Err(Errno::EPERM)));
        }
    }
}
