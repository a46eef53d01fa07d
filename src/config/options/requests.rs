//! Requests: applications, their mountpoints, static files, what becomes of requests; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Requests: applications, their mountpoints, static files, what becomes of requests.
    pub struct Requests {}
}
