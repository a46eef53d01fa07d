//! Reloading and stopping: what brings a reload about, how it goes, the master FIFO; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Reloading and stopping: what brings a reload about, how it goes, the master FIFO.
    pub struct Reloading {}

    /// reloads when this file is touched, made or replaced
    /// Looked at once a second; relative to `chdir`. A file that is not there yet is waited for.
    ["touch-reload"] List, Processes, Common, "0.2.0", Works
        => touch_reload: Vec<String> = Vec::new();

    /// replaces the workers when this file is touched
    /// Their code is new only with `lazy-apps`.
    ["touch-workers-reload"] List, Processes, Common, "0.2.0", Works
        => touch_workers_reload: Vec<String> = Vec::new();

    /// replaces the workers one by one when this file is touched
    /// Their code is new only with `lazy-apps`.
    ["touch-chain-reload"] List, Processes, Common, "0.2.0", Works
        => touch_chain_reload: Vec<String> = Vec::new();

    /// opens the log anew when this file is touched
    /// For after the log file was moved away; no process is replaced.
    ["touch-logreopen"] List, Processes, Common, "0.2.0", Works
        => touch_logreopen: Vec<String> = Vec::new();

    /// rotates the log when this file is touched
    ["touch-logrotate"] List, Processes, Common, "0.2.0", Works
        => touch_logrotate: Vec<String> = Vec::new();

    /// reloads when something in this directory changes
    /// Directories below it are not looked at.
    ["fs-reload"] List, Processes, Rare, "0.2.0", Works
        => fs_reload: Vec<String> = Vec::new();

    /// reloads when a Python file changes; looks every so many seconds
    /// All files that the application was imported from, also those whose import failed.
    ["py-auto-reload" "py-autoreload" "python-auto-reload" "python-autoreload"] COUNT, Processes, Common,
        "0.2.0", Works
        => py_auto_reload: u64 = 0;

    /// leaves a module out of `py-auto-reload`
    ["py-auto-reload-ignore"] List, Processes, Rare, "0.2.0", Works
        => py_auto_reload_ignore: Vec<String> = Vec::new();

    /// ends instead of reloading
    ["exit-on-reload"] Switch, Processes, Common, "0.2.0", Works
        => exit_on_reload: bool = false;

    /// reloads on SIGTERM instead of ending, as uWSGI does without `die-on-term`
    ["reload-on-term"] Switch, Processes, Rare, "0.2.0", Works
        => reload_on_term: bool = false;

    /// how many seconds to serve on after a stop was asked for
    /// Load balancers find out meanwhile. A second SIGTERM ends the wait.
    ["shutdown-delay"] COUNT, Processes, Common, "0.2.0", Works
        => shutdown_delay: u64 = 0;

    /// a path that a new worker requests of itself before it serves and an old one goes
    /// `example.com/path` names the host, too. Can stand several times; a bad answer is a warning.
    ["warmup"] List, Processes, Common, "0.2.0", Works
        => warmup: Vec<String> = Vec::new();

    /// takes commands over a named pipe
    /// Several can be named; digits pick one.
    ["master-fifo"] List, Processes, Common, "0.2.0", Works
        => master_fifo: Vec<String> = Vec::new();
}
