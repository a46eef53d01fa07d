//! Instances under one: the emperor and its vassals, systemd; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Instances under one: the emperor and its vassals, systemd.
    pub struct Emperor {
        /// Whether sockets may come with the start: none needs to be named.
        pub activated: bool = false,
    }
}
