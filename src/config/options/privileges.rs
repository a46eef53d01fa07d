//! Privileges and limits: users, jails, priorities, resource limits; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Privileges and limits: users, jails, priorities, resource limits.
    pub struct Privileges {}
}
