//! How workers live: harakiri, recycling, respawn, cheaper; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// How workers live: harakiri, recycling, respawn, cheaper.
    pub struct Lifetimes {}
}
