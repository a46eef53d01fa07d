//! Hooks, daemons, clocks: what runs beside the workers and at turning points; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Hooks, daemons, clocks: what runs beside the workers and at turning points.
    pub struct Hooks {}
}
