//! Figures: the stats server, metrics; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Figures: the stats server, metrics.
    pub struct Stats {}
}
