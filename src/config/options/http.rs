//! HTTP and other protocols: what is spoken on the sockets, and its limits; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// HTTP and other protocols: what is spoken on the sockets, and its limits.
    pub struct Http {}
}
