//! The status page: one file without anything from elsewhere, told by server-sent events.
//!
//! Served by the master to browsers. Its script shows what `/events` sends and asks for nothing else.

/// The page.
pub const PAGE: &str = include_str!("page.html");
