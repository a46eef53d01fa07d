//! The Python API: what `import uwsgi` offers an application; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// The Python API: what `import uwsgi` offers an application.
    pub struct Api {}
}
