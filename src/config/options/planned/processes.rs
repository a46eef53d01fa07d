//! How processes live, are replaced and shut in: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Processes, State::NotYet => {
        ["skip-atexit"] Switch, Rare;
        ["skip-atexit-teardown"] Switch, Rare;
        ["no-threads-wait"] Switch, Rare, "does not wait for the threads when a worker ends";
        ["worker-exec"] Text, Rare;
        ["worker-exec2"] Text, Rare;
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
        ["reload-on-fd"] List, Rare;
        ["brutal-reload-on-fd"] List, Rare;
        ["touch-mules-reload"] List, Rare, "replaces the mules when this file is touched";
        ["touch-spoolers-reload"] List, Rare, "replaces the spoolers when this file is touched";
        ["touch-signal"] List, Rare, "raises a signal of the framework when a file is touched";
        ["fs-brutal-reload"] List, Rare, "reloads at once when something in this directory changes";
        ["fs-signal"] List, Rare;
        ["check-mountpoint" "mountpoint-check" "check-mount" "mount-check"] List, Rare;
        ["propagate-touch"] Switch, Rare;
        ["check-interval"] NUMBER, Rare;
        ["lazy"] Switch, Rare, "an older form of `lazy-apps` that also changes how reloads work";
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
        ["weight"] NUMBER, Rare;
        ["auto-weight"] SwitchValue, Rare;
        ["no-server"] Switch, Common, "loads everything and ends before serving";
        ["command-mode"] Switch, Rare, "takes the options a command needs";
        ["binary-path"] Text, Rare;
        ["force-cwd"] Text, Rare, "changes directory before anything else";
        ["binsh"] List, Rare;
        ["clock"] Text, Rare;
        ["mode"] Text, Rare;
        ["early-envdir"] Text, Rare, "the same before the configuration is used";
    }
    Isolation, State::NotYet => {
        ["pivot-root" "pivot_root"] Text, Rare;
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
        ["namespace" "ns"] Text, Rare, "runs in a directory with namespaces of its own";
        ["namespace-keep-mount"] List, Rare;
        ["namespace-net" "ns-net"] Text, Rare;
    }
}
