//! How processes live, are replaced and shut in: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Processes, State::NotYet => {
        ["harakiri-verbose"] Switch, Common, "says more about a worker that harakiri kills";
        ["harakiri-graceful-timeout"] NUMBER, Common, "how many seconds a worker has to end by itself before harakiri kills it";
        ["harakiri-graceful-signal"] NUMBER, Common, "the signal that tells a worker of its harakiri";
        ["harakiri-queue-threshold"] NUMBER, Rare, "lets harakiri strike only when this many connections wait";
        ["harakiri-no-arh" "no-harakiri-arh" "no-harakiri-after-req-hook"] Switch, Rare, "leaves out the hooks after a request that harakiri ends";
        ["skip-atexit"] Switch, Rare;
        ["skip-atexit-teardown"] Switch, Rare;
        ["no-threads-wait"] Switch, Rare, "does not wait for the threads when a worker ends";
        ["procname-prefix-spaced"] Text, Common, "puts this and a blank in front of every process title";
        ["procname-append"] Text, Common, "puts this behind every process title";
        ["procname"] Text, Common, "titles every process with this";
        ["procname-master"] Text, Rare, "titles the master with this";
        ["reaper", 'r'] Switch, Rare;
        ["max-requests-delta"] NUMBER, Common, "spreads `max-requests` so that workers are not replaced together";
        ["max-worker-lifetime"] NUMBER, Common, "replaces a worker after this many seconds";
        ["max-worker-lifetime-delta"] NUMBER, Common, "spreads `max-worker-lifetime` over the workers";
        ["prio"] NUMBER, Rare, "the priority of the processes";
        ["cpu-affinity"] NUMBER, Common, "binds each worker to this many processors";
        ["forkbomb-delay"] NUMBER, Rare;
        ["cheap"] Switch, Common, "starts workers with the first request only";
        ["cheaper"] NUMBER, Common, "keeps this many workers when there is little to do";
        ["cheaper-initial"] NUMBER, Common, "how many workers to start with";
        ["cheaper-algo"] Text, Common, "how to tell whether more workers are needed";
        ["cheaper-step"] NUMBER, Common, "how many workers to add at a time";
        ["cheaper-overload"] NUMBER, Common, "how many seconds lie between two looks at the load";
        ["cheaper-rss-limit-soft"] NUMBER, Rare, "starts no more workers above this much memory";
        ["cheaper-rss-limit-hard"] NUMBER, Rare, "ends workers above this much memory";
        ["idle"] NUMBER, Common, "goes to sleep after this many seconds without a request";
        ["die-on-idle"] Switch, Rare, "ends instead of sleeping when `idle` has passed";
        ["thread-stacksize" "threads-stacksize" "thread-stack-size" "threads-stack-size"] NUMBER, Rare, "the stack of each thread, in kilobytes";
        ["worker-exec"] Text, Rare;
        ["worker-exec2"] Text, Rare;
        ["cheaper-busyness-max"] NUMBER, Common, "the busyness, in percent, above which workers are added";
        ["cheaper-busyness-min"] NUMBER, Common, "the busyness, in percent, below which workers are ended";
        ["cheaper-busyness-multiplier"] NUMBER, Common, "how many quiet cycles have to pass before a worker is ended";
        ["cheaper-busyness-penalty"] NUMBER, Common, "how many cycles to add when workers were ended too soon";
        ["cheaper-busyness-verbose"] Switch, Rare, "logs what the busyness algorithm decides";
        ["cheaper-busyness-backlog-alert"] NUMBER, Common, "adds emergency workers above this many waiting connections";
        ["cheaper-busyness-backlog-multiplier"] NUMBER, Rare, "how many cycles emergency workers stay";
        ["cheaper-busyness-backlog-step"] NUMBER, Common, "how many emergency workers to add at a time";
        ["cheaper-busyness-backlog-nonzero"] NUMBER, Rare, "adds workers when connections have waited this many seconds";
    }
    Engines, State::NotYet => {
        ["async"] NUMBER, Common, "serves this many requests at a time in each worker";
        ["loop"] Text, Rare, "the loop that serves requests";
        ["asyncio"] Text, Common, "serves this many requests at a time in each worker with asyncio";
        ["gevent"] Text, Common, "serves this many requests at a time in each worker with gevent";
        ["gevent-monkey-patch"] Switch, Common, "patches Python's blocking functions for gevent";
        ["gevent-early-monkey-patch"] Switch, Common, "the same before the application is loaded";
        ["gevent-wait-for-hub"] Switch, Rare, "waits for gevent's hub when a worker ends";
        ["greenlet"] Switch, Rare, "switches between requests with greenlet";
        ["stackless"] Switch, Rare;
        ["tornado"] Text, Rare, "serves this many requests at a time in each worker with Tornado";
        ["ugreen"] Switch, Common, "switches between requests with coroutines";
        ["ugreen-stacksize"] NUMBER, Rare;
    }
    Reloading, State::NotYet => {
        ["exit-on-reload"] Switch, Common, "ends instead of reloading";
        ["reload-on-as"] NUMBER, Common, "replaces a worker whose address space exceeds this many megabytes";
        ["reload-on-rss"] NUMBER, Common, "replaces a worker that has more than this many megabytes in memory";
        ["evil-reload-on-as"] NUMBER, Rare, "kills a worker whose address space exceeds this many megabytes";
        ["evil-reload-on-rss"] NUMBER, Rare, "kills a worker that has more than this many megabytes in memory";
        ["mem-collector-freq"] NUMBER, Rare, "how many seconds lie between two looks at the workers' memory";
        ["reload-on-fd"] List, Rare;
        ["brutal-reload-on-fd"] List, Rare;
        ["touch-reload"] List, Common, "reloads when this file is touched";
        ["touch-workers-reload"] List, Common, "replaces the workers when this file is touched";
        ["touch-mules-reload"] List, Rare, "replaces the mules when this file is touched";
        ["touch-spoolers-reload"] List, Rare, "replaces the spoolers when this file is touched";
        ["touch-chain-reload"] List, Common, "replaces the workers one by one when this file is touched";
        ["touch-logrotate"] List, Common, "rotates the log when this file is touched";
        ["touch-logreopen"] List, Common, "opens the log anew when this file is touched";
        ["touch-exec"] List, Rare, "runs a command when a file is touched";
        ["touch-signal"] List, Rare, "raises a signal of the framework when a file is touched";
        ["fs-reload"] List, Rare, "reloads when something in this directory changes";
        ["fs-brutal-reload"] List, Rare, "reloads at once when something in this directory changes";
        ["fs-signal"] List, Rare;
        ["check-mountpoint" "mountpoint-check" "check-mount" "mount-check"] List, Rare;
        ["propagate-touch"] Switch, Rare;
        ["check-interval"] NUMBER, Rare;
        ["lazy"] Switch, Rare, "an older form of `lazy-apps` that also changes how reloads work";
        ["py-auto-reload" "py-autoreload" "python-auto-reload" "python-autoreload"] NUMBER, Common, "reloads when a Python file changes; looks every so many seconds";
        ["py-auto-reload-ignore"] List, Rare, "leaves a module out of `py-auto-reload`";
    }
    System, State::NotYet => {
        ["skip-zero"] Switch, Rare;
        ["daemonize2"] Text, Common, "goes to the background after the application is loaded";
        ["force-gateway"] Switch, Rare;
        ["safe-fd"] List, Rare;
        ["fd-safe"] List, Rare;
        ["flock"] Text, Rare, "locks a file while the configuration is read, or ends";
        ["flock-wait"] Text, Rare, "locks a file while the configuration is read, and waits for it";
        ["flock2"] Text, Rare;
        ["flock-wait2"] Text, Rare;
        ["pidfile2"] Text, Common, "writes the pid file after privileges were dropped";
        ["safe-pidfile"] Text, Common, "writes a pid file that the workers write too";
        ["safe-pidfile2"] Text, Rare, "the same after privileges were dropped";
        ["add-gid"] List, Rare, "adds a supplementary group";
        ["immediate-uid"] Text, Rare, "changes the user while the configuration is read";
        ["immediate-gid"] Text, Rare, "changes the group while the configuration is read";
        ["no-initgroups"] Switch, Rare, "does not take on the user's supplementary groups";
        ["weight"] NUMBER, Rare;
        ["auto-weight"] SwitchValue, Rare;
        ["no-server"] Switch, Common, "loads everything and ends before serving";
        ["command-mode"] Switch, Rare, "takes the options a command needs";
        ["limit-as"] NUMBER, Common, "how many megabytes of address space a process may have";
        ["limit-nproc"] NUMBER, Rare, "how many processes the user may have";
        ["ksm"] OptionalText, Rare, "lets the kernel merge equal memory pages";
        ["never-swap"] Switch, Rare, "keeps the memory from being swapped out";
        ["binary-path"] Text, Rare;
        ["max-fd"] NUMBER, Common, "how many files a process may have open";
        ["master-as-root"] Switch, Common, "drops privileges in the workers, not in the master";
        ["drop-after-init"] Switch, Rare, "drops privileges after the start";
        ["drop-after-apps"] Switch, Rare, "drops privileges after the application is loaded";
        ["force-cwd"] Text, Rare, "changes directory before anything else";
        ["binsh"] List, Rare;
        ["chdir2"] Text, Common, "changes directory when the application is loaded";
        ["clock"] Text, Rare;
        ["mode"] Text, Rare;
        ["envdir"] List, Common, "sets environment variables from the files of a directory";
        ["early-envdir"] Text, Rare, "the same before the configuration is used";
        ["unenv"] List, Rare, "removes an environment variable";
    }
    Isolation, State::NotYet => {
        ["chroot"] Text, Common, "makes a directory the root of the file system";
        ["pivot-root" "pivot_root"] Text, Rare;
        ["cap"] Text, Common, "keeps these capabilities of Linux";
        ["unshare"] Text, Rare, "detaches from these namespaces of Linux";
        ["unshare2"] Text, Rare;
        ["setns-socket"] Text, Rare;
        ["setns-socket-skip" "setns-skip"] List, Rare;
        ["setns"] Text, Rare;
        ["setns-preopen"] Switch, Rare;
        ["jailed"] Switch, Rare;
        ["jail"] Text, Rare;
        ["jail-ip4"] List, Rare;
        ["jail-ip6"] List, Rare;
        ["jidfile" "jid-file"] Text, Rare;
        ["jail2" "libjail"] List, Rare;
        ["jail-attach"] Text, Rare;
        ["refork" "re-fork"] Switch, Rare;
        ["refork-as-root" "re-fork-as-root"] Switch, Rare;
        ["refork-post-jail" "re-fork-post-jail"] Switch, Rare;
        ["privileged-binary-patch"] Text, Rare;
        ["unprivileged-binary-patch"] Text, Rare;
        ["privileged-binary-patch-arg"] Text, Rare;
        ["unprivileged-binary-patch-arg"] Text, Rare;
        ["cgroup"] List, Rare, "puts the processes into a control group";
        ["cgroup-opt"] List, Rare;
        ["cgroup-dir-mode"] Text, Rare;
        ["namespace" "ns"] Text, Rare, "runs in a directory with namespaces of its own";
        ["namespace-keep-mount"] List, Rare;
        ["namespace-net" "ns-net"] Text, Rare;
    }
}
