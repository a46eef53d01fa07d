//! Sockets: addresses, listeners, one epoll, one connection, one exchange on it.
//!
//! Used by `python` (an exchange is where a body comes from and a response goes), `worker` and
//! `master`. Knows nothing of Python, of processes or of the configuration.
#![forbid(unsafe_code)]

pub mod address;
mod backlog;
pub mod exchange;
mod given;
pub mod holder;
pub mod listener;
pub mod poll;
pub mod reach;
mod refused;
pub mod stream;
