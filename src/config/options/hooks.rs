//! Hooks, daemons, clocks: what runs beside the workers and at turning points; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Hooks, daemons, clocks: what runs beside the workers and at turning points.
    pub struct Hooks {}

    /// does an action as early as possible
    /// `ACTION:ARGUMENTS`, see docs/daemons.md.
    ["hook-asap"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_asap: Vec<String> = Vec::new();

    /// does an action before the process is jailed
    ["hook-pre-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => hook_pre_jail: Vec<String> = Vec::new();

    /// does an action after the process was jailed
    ["hook-post-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => hook_post_jail: Vec<String> = Vec::new();

    /// does an action inside of the jail
    ["hook-in-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => hook_in_jail: Vec<String> = Vec::new();

    /// does an action before privileges are dropped
    /// Only where the start is root's, as in uWSGI.
    ["hook-as-root"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_as_root: Vec<String> = Vec::new();

    /// does an action after privileges were dropped
    /// Only where the start was root's, as in uWSGI.
    ["hook-as-user"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_as_user: Vec<String> = Vec::new();

    /// does an action when the instance ends
    /// A failure is logged and changes nothing.
    ["hook-as-user-atexit"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_as_user_atexit: Vec<String> = Vec::new();

    /// does an action before the application is loaded
    ["hook-pre-app"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_pre_app: Vec<String> = Vec::new();

    /// does an action after the application was loaded
    ["hook-post-app"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_post_app: Vec<String> = Vec::new();

    /// does an action in each worker after it was forked
    ["hook-post-fork"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_post_fork: Vec<String> = Vec::new();

    /// does an action in each worker before it accepts
    ["hook-accepting"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_accepting: Vec<String> = Vec::new();

    /// does an action in each worker before it accepts, not in one that takes another's place
    ["hook-accepting-once"] List, Group::Hooks, Rare, "0.2.0", Works
        => hook_accepting_once: Vec<String> = Vec::new();

    /// does an action in the first worker before it accepts
    ["hook-accepting1"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_accepting1: Vec<String> = Vec::new();

    /// does an action in the first worker before it accepts, not in one that takes its place
    ["hook-accepting1-once"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_accepting1_once: Vec<String> = Vec::new();

    /// does an action in the master, when the workers serve, at the start and after a reload
    ["hook-master-start"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_master_start: Vec<String> = Vec::new();

    /// does an action when a file is touched
    /// `FILE ACTION:ARGUMENTS`.
    ["hook-touch"] List, Group::Hooks, Common, "0.2.0", Works
        => hook_touch: Vec<String> = Vec::new();

    /// runs a command when a file is touched
    /// `FILE COMMAND`.
    ["touch-exec"] List, Group::Hooks, Rare, "0.2.0", Works
        => touch_exec: Vec<String> = Vec::new();

    /// runs a command as early as possible
    ["exec-asap"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_asap: Vec<String> = Vec::new();

    /// runs a command before the process is jailed
    ["exec-pre-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => exec_pre_jail: Vec<String> = Vec::new();

    /// runs a command after the process was jailed
    ["exec-post-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => exec_post_jail: Vec<String> = Vec::new();

    /// runs a command inside of the jail
    ["exec-in-jail"] List, Group::Hooks, Rare, "0.2.0", Works
        => exec_in_jail: Vec<String> = Vec::new();

    /// runs a command before privileges are dropped
    /// Only where the start is root's, as in uWSGI.
    ["exec-as-root"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_as_root: Vec<String> = Vec::new();

    /// runs a command after privileges were dropped
    /// Only where the start was root's, as in uWSGI.
    ["exec-as-user"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_as_user: Vec<String> = Vec::new();

    /// runs a command when the instance ends
    /// A failure is logged and changes nothing.
    ["exec-as-user-atexit"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_as_user_atexit: Vec<String> = Vec::new();

    /// runs a command before the application is loaded
    ["exec-pre-app"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_pre_app: Vec<String> = Vec::new();

    /// runs a command after the application was loaded
    ["exec-post-app"] List, Group::Hooks, Common, "0.2.0", Works
        => exec_post_app: Vec<String> = Vec::new();

    /// runs a command beside the workers and keeps it running
    /// It must stay in the foreground.
    ["attach-daemon"] List, Tasks, Common, "0.2.0", Works
        => attach_daemon: Vec<String> = Vec::new();

    /// runs a command beside the workers; its end ends the instance
    ["attach-control-daemon"] List, Tasks, Rare, "0.2.0", Works
        => attach_control_daemon: Vec<String> = Vec::new();

    /// starts a daemon unless its pid file names a living one: `PIDFILE[,SECONDS] COMMAND`
    /// It goes to the background by itself, and lives on over reloads and stops.
    ["smart-attach-daemon"] List, Tasks, Common, "0.2.0", Works
        => smart_attach_daemon: Vec<String> = Vec::new();

    /// the same for a command that stays in the foreground; its pid file is written for it
    ["smart-attach-daemon2"] List, Tasks, Common, "0.2.0", Works
        => smart_attach_daemon2: Vec<String> = Vec::new();

    /// runs a command beside the workers, with options: `cmd=COMMAND,KEY=VALUE,…`
    /// Keys: cmd, pidfile, freq, control, daemonize, touch, stopsignal, reloadsignal, stdin, uid, gid, chdir,
    /// max_throttle, notifypid.
    ["attach-daemon2"] List, Tasks, Common, "0.2.0", Works
        => attach_daemon2: Vec<String> = Vec::new();

    /// leaves standard input to attached daemons
    ["daemons-honour-stdin"] Switch, Tasks, Rare, "0.2.0", Works
        => daemons_honour_stdin: bool = false;

    /// runs a command at fixed times: `MINUTE HOUR DAY MONTH WEEKDAY COMMAND`
    /// -1 is any, -N every N; with day and weekday both set, either will do.
    ["cron"] List, Tasks, Common, "0.2.0", Works
        => cron: Vec<String> = Vec::new();

    /// runs a command at fixed times: `KEY=VALUE,… COMMAND`
    /// Keys: minute, hour, day, month, week, unique, harakiri; what is not set is any.
    ["cron2"] List, Tasks, Common, "0.2.0", Works
        => cron2: Vec<String> = Vec::new();

    /// runs a command at fixed times, unless it still runs
    ["unique-cron"] List, Tasks, Common, "0.2.0", Works
        => unique_cron: Vec<String> = Vec::new();

    /// kills a command of a cron that takes more seconds than this
    ["cron-harakiri"] COUNT, Tasks, Common, "0.2.0", Works
        => cron_harakiri: u64 = 0;
}
