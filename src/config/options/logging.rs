//! Logs: where lines go and what stands in them; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Logs: where lines go and what stands in them.
    pub struct Logging {}
}
