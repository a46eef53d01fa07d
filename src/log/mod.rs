//! Where lines go and what they say: the log file, the server's own lines, the request line.
//!
//! Everything ends up on descriptor 2, which is the log file where one is set; what the app
//! prints ends up there, too. A line is one write(2), so that lines of several processes never
//! mix. Used by `worker` (request lines) and `master` (all else).
#![forbid(unsafe_code)]

pub mod choice;
pub mod clock;
pub mod format;
pub mod json;
pub mod lines;
pub mod request;
pub mod sink;
mod writer;

pub use lines::install;
pub use writer::emit;
