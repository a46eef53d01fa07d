//! The kernel, in safe words: processes, signals, descriptors, shared memory, users, clocks.
//!
//! The one room (beside two files of `python`) where `unsafe` may stand. Each function wraps one
//! call or one rule of the kernel; no policy is decided here. Used by every room above.

pub mod capability;
pub mod channel;
pub mod clock;
pub mod environment;
pub mod exec;
pub mod fd;
pub mod isolation;
pub mod limit;
pub mod lock;
pub mod memory;
pub mod process;
pub mod shared;
pub mod signal;
pub mod spawn;
pub mod tcp;
pub mod title;
pub mod user;
