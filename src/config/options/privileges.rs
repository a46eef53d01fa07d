//! Privileges and limits: users, jails, priorities, resource limits; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// Privileges and limits: users, jails, priorities, resource limits.
    pub struct Privileges {}

    /// binds each worker to this many processors, one worker after the other
    ["cpu-affinity"] COUNT, Processes, Common, "0.2.0", Works
        => cpu_affinity: usize = 0;

    /// the nice value of the processes: -20 is served first, 19 last
    /// Below 0 only as root.
    ["prio"] up_to(-20, 19), Processes, Rare, "0.2.0", Works
        => prio: i32 = 0;

    /// the stack of each thread that serves, in kilobytes
    ["thread-stacksize" "threads-stacksize" "thread-stack-size" "threads-stack-size"] COUNT, Processes, Rare,
        "0.2.0", Works
        => thread_stacksize: usize = 0;

    /// reaps every child that has ended after each request
    /// The application then can't learn how its own children ended.
    ["reaper", 'r'] Switch, Processes, Rare, "0.2.0", Works
        => reaper: bool = false;

    /// adds a supplementary group, by name or number
    ["add-gid"] List, System, Rare, "0.2.0", Works
        => add_gid: Vec<String> = Vec::new();

    /// does not take on the user's supplementary groups
    ["no-initgroups"] Switch, System, Rare, "0.2.0", Works
        => no_initgroups: bool = false;

    /// changes the user before anything is opened, the log and the pid file too
    ["immediate-uid"] Text, System, Rare, "0.2.0", Works
        => immediate_uid: Option<String> = None;

    /// changes the group before anything is opened, the log and the pid file too
    ["immediate-gid"] Text, System, Rare, "0.2.0", Works
        => immediate_gid: Option<String> = None;

    /// leaves the master root, so that a reload can do what only root may
    /// The application runs as `uid` and `gid` all the same.
    ["master-as-root"] Switch, System, Common, "0.2.0", Works
        => master_as_root: bool = false;

    /// starts Python as root, and becomes `uid` and `gid` before the application is loaded
    ["drop-after-init"] Switch, System, Rare, "0.2.0", Works
        => drop_after_init: bool = false;

    /// loads the application as root, and becomes `uid` and `gid` before workers are forked
    ["drop-after-apps"] Switch, System, Rare, "0.2.0", Works
        => drop_after_apps: bool = false;

    /// keeps the processes from gaining privileges, by setuid programs for instance
    ["no-new-privs" "no-new-privileges"] Switch, System, Rare, "0.2.0", Works
        => no_new_privs: bool = false;

    /// how many megabytes of address space a process may have
    ["limit-as"] COUNT, System, Common, "0.2.0", Works
        => limit_as: u64 = 0;

    /// how many processes and threads the user may have
    ["limit-nproc"] COUNT, System, Rare, "0.2.0", Works
        => limit_nproc: u64 = 0;

    /// how many files a process may have open
    /// More than the system's hard limit only as root.
    ["max-fd"] COUNT, System, Common, "0.2.0", Works
        => max_fd: u64 = 0;

    /// lets the kernel merge equal pages of the workers' memory; as root, from Linux 6.4
    /// The number that uWSGI takes has no meaning: new pages are merged as well.
    ["ksm"] OptionalText, System, Rare, "0.2.0", Works
        => ksm: Option<String> = None;

    /// keeps the workers' memory from being swapped out
    ["never-swap"] Switch, System, Rare, "0.2.0", Works
        => never_swap: bool = false;

    /// how much sooner the application is killed when memory runs out, -1000 to 1000
    ["oom-score-adj"] up_to(-1000, 1000), System, Rare, "0.2.0", Works
        => oom_score_adj: i32 = 0;

    /// changes to this directory when the application is loaded
    ["chdir2"] Path, System, Common, "0.2.0", Works
        => chdir2: Option<PathBuf> = None;

    /// sets environment variables from the files of a directory, one each
    /// Read before the user changes, so that only root has to be able to read it.
    ["envdir"] List, System, Common, "0.2.0", Works
        => envdir: Vec<String> = Vec::new();

    /// removes an environment variable
    ["unenv"] List, System, Rare, "0.2.0", Works
        => unenv: Vec<String> = Vec::new();

    /// makes a directory the root of the file system for the application
    /// Paths of `chdir`, `home`, `wsgi-file` and UNIX sockets start there. The master stays outside, as root.
    ["chroot"] Path, Isolation, Common, "0.2.0", Works
        => chroot: Option<PathBuf> = None;

    /// keeps these capabilities of Linux, such as `net_bind_service,chown`, and no others
    ["cap"] CommaList, Isolation, Common, "0.2.0", Works
        => cap: Vec<String> = Vec::new();

    /// gives the instance namespaces of its own: `mount`, `ipc`, `net`, `uts`, `cgroup`
    ["unshare"] CommaList, Isolation, Rare, "0.2.0", Works
        => unshare: Vec<String> = Vec::new();

    /// puts the processes into a control group: its directory, which is made if need be
    ["cgroup"] List, Isolation, Rare, "0.2.0", Works
        => cgroup: Vec<String> = Vec::new();

    /// writes a setting of the control group: `memory.max=512M`
    ["cgroup-opt"] List, Isolation, Rare, "0.2.0", Works
        => cgroup_opt: Vec<String> = Vec::new();

    /// the permissions of the control group's directory, octal
    ["cgroup-dir-mode"] Umask, Isolation, Rare, "0.2.0", Works
        => cgroup_dir_mode: Option<u32> = None;
}
