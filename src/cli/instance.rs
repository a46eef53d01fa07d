//! Serving, stopping and reloading an instance, as the command line asks for it.
//!
//! Called by `run`. This is the one place of `cli` that knows of the master.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Target, complain, parse, say};
use crate::config::{Config, Source};
use crate::emperor;
use crate::error::{Error, Result};
use crate::master::control::Told;
use crate::master::{self, ask};
use crate::sys::signal;

/// The exit code of a start that another configuration is tried for.
const FALLS_BACK: i32 = 1;

/// Serves what `source` names until it is stopped.
pub fn serve(source: Source) -> Result<i32> {
    let directory =
        std::env::current_dir().map_err(|cause| Error::system("cannot tell the working directory", cause))?;
    let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if let Some(document) = master::upgrade::take() {
        return Ok(master::upgrade::resume(source, program, document));
    }
    let (asked, started_in) = (Source { prints: false, ..source.clone() }, directory.clone());
    let loaded = Config::load(&source, &directory);
    let code = match loaded {
        Ok((config, warnings)) if !config.emperor.sources.is_empty() => emperor::serve(config, &warnings, &directory),
        loaded => master::serve(source, directory, program.clone(), loaded),
    };
    if code == FALLS_BACK
        && let Some(file) = Config::fallback(&asked, &started_in)
    {
        return Err(begin_anew(&program, &started_in, &file));
    }
    Ok(code)
}

/// Takes this process to a start with another file (uWSGI: `--fallback-config`). Returns when the
/// system refuses that.
fn begin_anew(program: &Path, directory: &Path, file: &str) -> Error {
    complain(&format_args!("starting with {file} instead, as `fallback-config` says"));
    // What the master blocked would stay blocked.
    let unblocked = signal::unblock_all();
    let mut command = Command::new("/proc/self/exe");
    let refused = command.arg0(program).arg(file).current_dir(directory).exec();
    Error::system(format_args!("cannot start with `{file}`"), unblocked.err().map_or(refused, Into::into))
}

/// Says whether this program could go on for a master whose state is of the kind `layout`, and would
/// serve what `arguments` say. Called by such a master when its program was replaced.
pub fn upgrade_check(layout: &str, arguments: impl Iterator<Item = OsString>) -> Result<i32> {
    let program = std::env::args_os().next().unwrap_or_default();
    parse(std::iter::once(program).chain(arguments))?;
    Ok(say(&format!("{}\n", master::upgrade::check(layout)?)))
}

/// Ends the instance that the target names.
pub fn stop(target: &Target) -> Result<i32> {
    ask::stop(&target.pidfile, target.wait, target.timeout.map(Duration::from_secs)).map(told)
}

/// Has the instance that the target names load its application anew.
pub fn reload(target: &Target) -> Result<i32> {
    ask::reload(&target.pidfile, target.wait, target.timeout.map(Duration::from_secs)).map(told)
}

/// Shows how it ended: the warnings on stderr, what was done on stdout.
fn told(outcome: Told) -> i32 {
    outcome.warnings.iter().for_each(|warning| complain(warning));
    say(&format!("{}\n", outcome.message))
}
