//! The terms on which a worker runs: its processors, its memory, its directory, its threads' stacks.
//!
//! Called by the worker at its start. What the whole family shares is set by the zygote.

use std::path::Path;
use std::thread::Builder;

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::config::{Config, Warning};
use crate::error::{Code, Error, Result};
use crate::sys::limit;

/// Binds worker `id` to its processors (uWSGI: `--cpu-affinity`) and its memory to RAM (uWSGI:
/// `--never-swap`). What the system refuses is a warning, as in uWSGI.
pub fn take_place(config: &Config, id: usize) {
    if config.privileges.cpu_affinity > 0 {
        let bound = limit::processors().and_then(|allowed| {
            let own = share(&allowed, id, config.privileges.cpu_affinity);
            limit::bind_to(&own).map(|()| own)
        });
        match bound {
            Ok(own) => {
                let own: Vec<String> = own.iter().map(ToString::to_string).collect();
                tracing::info!("mapping worker {id} to CPUs: {}", own.join(" "));
            }
            Err(error) => refused(config, "cpu-affinity", &error),
        }
    }
    if config.privileges.never_swap
        && let Err(error) = limit::lock_memory()
    {
        refused(config, "never-swap", &error);
    }
}

/// Goes where the application is to run once it is loaded (uWSGI: `--chdir2`).
pub fn change_directory(config: &Config) -> Result<()> {
    let Some(place) = &config.privileges.chdir2 else { return Ok(()) };
    std::env::set_current_dir(place).map_err(|error| missing(config, place, &error))
}

/// Gives a thread a stack of so many kilobytes (uWSGI: `--thread-stacksize`); 0 is the default.
pub fn with_stack(thread: Builder, kilobytes: usize) -> Builder {
    match kilobytes {
        0 => thread,
        kilobytes => thread.stack_size(kilobytes.saturating_mul(1024)),
    }
}

/// Reaps every child that has ended (uWSGI: `--reaper`).
pub fn reap() {
    while !matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD | Errno::EINVAL)
    ) {}
}

/// The processors of worker `id`, `count` of those that are allowed, as uWSGI deals them out: one
/// worker goes on where the one before it ended.
fn share(allowed: &[usize], id: usize, count: usize) -> Vec<usize> {
    let first = id.saturating_sub(1).wrapping_mul(count);
    (first..first.saturating_add(count.min(allowed.len()))).map(|place| allowed[place % allowed.len()]).collect()
}

fn refused(config: &Config, option: &str, error: &std::io::Error) {
    let refused = Error::new(Code::LimitRefused, format!("`{option}` is not in force: {error}"));
    tracing::warn!("{}", Warning::from(refused.maybe_at(config.origin(option))));
}

fn missing(config: &Config, place: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::DirectoryMissing, format!("cannot change to `{}`: {error}", place.display()))
        .maybe_at(config.origin("chdir2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_dealt_out_in_turn() {
        assert_eq!(share(&[0, 1, 2, 3], 1, 1), [0]);
        assert_eq!(share(&[0, 1, 2, 3], 2, 3), [3, 0, 1]);
        assert_eq!(share(&[0, 1], 6, 1), [1]);
        assert_eq!(share(&[2, 5], 2, 1), [5]);
        assert_eq!(share(&[2, 5], 1, 7), [2, 5]);
    }
}
