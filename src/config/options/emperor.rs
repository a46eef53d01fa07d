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

    /// starts an instance for each configuration in a directory, or that a pattern names
    /// It serves nothing itself. A file that is touched is reloaded, one that is removed is stopped.
    ["emperor"] List, Group::Emperor, Common, "0.2.0", Works
        => sources: Vec<String> = Vec::new();

    /// the program that is started for each instance
    ["emperor-wrapper"] Text, Group::Emperor, Rare, "0.2.0", Works
        => wrapper: Option<PathBuf> = None;

    /// looks at symbolic links themselves, not at the files behind them, for changes
    ["emperor-nofollow"] Switch, Group::Emperor, Rare, "0.2.0", Works
        => nofollow: bool = false;

    /// the title of the emperor's process
    ["emperor-procname"] Text, Group::Emperor, Rare, "0.2.0", Works
        => procname: Option<String> = None;

    /// how many seconds lie between two looks at the configurations
    ["emperor-freq"] from(1), Group::Emperor, Rare, "0.2.0", Works
        => freq: u64 = 3;

    /// how many seconds an instance that sends signs of life may be silent
    ["emperor-required-heartbeat"] from(1), Group::Emperor, Rare, "0.2.0", Works
        => required_heartbeat: u64 = 30;

    /// how many seconds an instance that was told to stop may take before it is killed
    ["emperor-curse-tolerance"] from(1), Group::Emperor, Rare, "0.2.0", Works, uwsgi "30"
        => curse_tolerance: u64 = 90;

    /// writes the emperor's pid to this file
    ["emperor-pidfile"] Path, Group::Emperor, Common, "0.2.0", Works
        => pidfile: Option<PathBuf> = None;

    /// runs each instance as the owner of its configuration
    ["emperor-tyrant"] Switch, Group::Emperor, Common, "0.2.0", Works
        => tyrant: bool = false;

    /// takes the owner of a symbolic link itself, not of the file behind it
    ["emperor-tyrant-nofollow"] Switch, Group::Emperor, Rare, "0.2.0", Works
        => tyrant_nofollow: bool = false;

    /// serves statistics about the instances on this address, as JSON
    ["emperor-stats" "emperor-stats-server"] Text, Group::Emperor, Common, "0.2.0", Works
        => stats: Option<String> = None;

    /// how many milliseconds an instance that dies at once waits for its next start
    /// It waits twice as long after each further death.
    ["emperor-throttle"] COUNT, Group::Emperor, Rare, "0.2.0", Works
        => throttle: u64 = 1000;

    /// how many milliseconds it waits at most
    ["emperor-max-throttle"] COUNT, Group::Emperor, Rare, "0.2.0", Works
        => max_throttle: u64 = 180_000;

    /// starts instances that die at once again without waiting
    ["emperor-no-blacklist"] Switch, Group::Emperor, Rare, "0.2.0", Works
        => no_blacklist: bool = false;

    /// the ending of files that name a socket to wait on
    /// With `.socket`, `blog.ini.socket` holds an address; the first connection starts `blog.ini`.
    ["emperor-on-demand-extension" "emperor-on-demand-ext"] Text, Group::Emperor, Rare, "0.2.0", Works
        => on_demand: Option<String> = None;

    /// takes files with this ending for configurations too
    ["emperor-extra-extension" "emperor-extra-ext"] List, Group::Emperor, Rare, "0.2.0", Works
        => extra: Vec<String> = Vec::new();

    /// asks instances to finish their requests when they stop
    ["emperor-graceful-shutdown"] Switch, Group::Emperor, Rare, "0.2.0", Works
        => graceful: bool = false;

    /// has each instance inherit this file
    ["vassals-inherit"] List, Group::Emperor, Common, "0.2.0", Works
        => inherit: Vec<String> = Vec::new();

    /// has each instance read this file
    ["vassals-include"] List, Group::Emperor, Common, "0.2.0", Works
        => include: Vec<String> = Vec::new();

    /// has each instance inherit this file first
    ["vassals-inherit-before"] List, Group::Emperor, Common, "0.2.0", Works
        => inherit_before: Vec<String> = Vec::new();

    /// has each instance read this file first
    ["vassals-include-before"] List, Group::Emperor, Common, "0.2.0", Works
        => include_before: Vec<String> = Vec::new();

    /// runs a command before each instance starts
    ["vassals-start-hook"] Text, Group::Emperor, Rare, "0.2.0", Works
        => start_hook: Option<String> = None;

    /// runs a command after the end of each instance
    ["vassals-stop-hook"] Text, Group::Emperor, Rare, "0.2.0", Works
        => stop_hook: Option<String> = None;

    /// sets an option in each instance
    ["vassals-set" "vassal-set"] List, Group::Emperor, Common, "0.2.0", Works
        => set: Vec<String> = Vec::new();

    /// how many seconds lie between two signs of life to the emperor
    ["heartbeat"] COUNT, Group::Emperor, Rare, "0.2.0", Works
        => heartbeat: u64 = 0;
}
