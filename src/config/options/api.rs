//! The Python API: what `import uwsgi` offers an application; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// The Python API: what `import uwsgi` offers an application.
    pub struct Api {}

    /// how many locks the application may use, besides lock 0
    ["locks"] within(0, 255), Sharing, Common, "0.2.0", Works => locks: usize = 0;
}
