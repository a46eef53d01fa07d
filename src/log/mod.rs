//! Where lines go and what they say: the log file, the server's own lines, the request line.
//!
//! Everything ends up on descriptor 2, which is the log file where one is set; what the app
//! prints ends up there, too. A line is one write(2), so that lines of several processes never
//! mix. Used by `worker` (request lines) and `master` (all else).
#![forbid(unsafe_code)]

use nix::errno::Errno;

pub mod choice;
pub mod clock;
pub mod format;
pub mod json;
pub mod lines;
pub mod request;
pub mod sink;

pub use lines::install;

/// Writes whole lines to the log, in one write where the kernel takes them so.
///
/// Never fails: there is nowhere left to say it. A log that would block (a pipe that somebody
/// made non-blocking and nobody reads) loses the line.
pub fn emit(lines: &[u8]) {
    let mut rest = lines;
    while !rest.is_empty() {
        // Not through std's handle, whose lock a fork could leave taken.
        match nix::unistd::write(std::io::stderr(), rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}
