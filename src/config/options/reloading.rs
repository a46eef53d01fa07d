//! Reloading and stopping: what brings a reload about, how it goes, the master FIFO; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Reloading and stopping: what brings a reload about, how it goes, the master FIFO.
    pub struct Reloading {}
}
