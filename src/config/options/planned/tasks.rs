//! Hooks, and work beside requests: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Hooks, State::NotYet => {
        ["hook-emperor-start"] List, Rare;
        ["hook-emperor-stop"] List, Rare;
        ["hook-emperor-reload"] List, Rare;
        ["hook-emperor-lost"] List, Rare;
        ["hook-as-vassal"] List, Rare;
        ["hook-as-emperor"] List, Rare;
        ["hook-as-mule"] List, Rare;
        ["hook-as-gateway"] List, Rare;
        ["after-request-hook" "after-request-call"] List, Rare, "calls a function after each request";
        ["exec-as-vassal"] List, Rare;
        ["exec-as-emperor"] List, Rare;
        ["mount-asap"] List, Rare;
        ["mount-pre-jail"] List, Rare;
        ["mount-post-jail"] List, Rare;
        ["mount-in-jail"] List, Rare;
        ["mount-as-root"] List, Rare;
        ["mount-as-vassal"] List, Rare;
        ["mount-as-emperor"] List, Rare;
        ["umount-asap"] List, Rare;
        ["umount-pre-jail"] List, Rare;
        ["umount-post-jail"] List, Rare;
        ["umount-in-jail"] List, Rare;
        ["umount-as-root"] List, Rare;
        ["umount-as-vassal"] List, Rare;
        ["umount-as-emperor"] List, Rare;
        ["wait-for-interface" "wait-interface" "wait-for-iface" "wait-iface"] List, Rare;
        ["wait-for-interface-timeout" "wait-interface-timeout" "wait-for-iface-timeout" "wait-iface-timeout"] NUMBER, Rare;
        ["wait-for-fs" "wait-for-file" "wait-for-dir"] List, Rare;
        ["wait-for-mountpoint"] List, Rare;
        ["wait-for-fs-timeout"] NUMBER, Rare;
        ["wait-for-socket"] List, Rare;
        ["wait-for-socket-timeout"] NUMBER, Rare;
        ["call-asap"] List, Rare;
        ["call-pre-jail"] List, Rare;
        ["call-post-jail"] List, Rare;
        ["call-in-jail"] List, Rare;
        ["call-as-root"] List, Rare;
        ["call-as-user"] List, Rare;
        ["call-as-user-atexit"] List, Rare;
        ["call-pre-app"] List, Rare;
        ["call-post-app"] List, Rare;
        ["call-as-vassal"] List, Rare;
        ["call-as-vassal1"] List, Rare;
        ["call-as-vassal3"] List, Rare;
        ["call-as-emperor"] List, Rare;
        ["call-as-emperor1"] List, Rare;
        ["call-as-emperor2"] List, Rare;
        ["call-as-emperor4"] List, Rare;
        ["file-write"] List, Rare;
    }
    Tasks, State::NotYet => {
        ["mule-harakiri"] NUMBER, Rare, "kills a mule whose task takes more seconds than this";
        ["mule-reload-mercy"] NUMBER, Rare, "how many seconds a mule may take to end";
        ["spooler", 'Q'] List, Common, "runs tasks from this directory in a process of its own";
        ["spooler-external"] List, Common, "a spool directory that another instance works on";
        ["spooler-ordered"] Switch, Rare, "runs tasks in the order of their names";
        ["spooler-chdir"] Text, Rare, "the directory that tasks run in";
        ["spooler-processes"] NUMBER, Common, "how many processes run tasks";
        ["spooler-quiet"] Switch, Rare, "logs less about tasks";
        ["spooler-max-tasks"] NUMBER, Common, "replaces a spooler after this many tasks";
        ["spooler-harakiri"] NUMBER, Common, "kills a task that takes more seconds than this";
        ["spooler-frequency" "spooler-freq"] NUMBER, Common, "how many seconds lie between two looks at the spool";
        ["mule"] OptionalText, Common, "starts a mule, with a script or without";
        ["mules"] List, Common, "how many mules to start";
        ["farm"] List, Common, "groups mules under a name";
        ["mule-msg-size"] OptionalText, Rare;
        ["signal-bufsize" "signals-bufsize"] NUMBER, Rare;
        ["signal-timer" "timer"] List, Common, "raises a signal of the framework every so many seconds";
        ["signal-rbtimer" "rbtimer"] List, Rare;
        ["legion-cron"] List, Rare;
        ["cron-legion"] List, Rare;
        ["unique-legion-cron"] List, Rare;
        ["unique-cron-legion"] List, Rare;
        ["legion-attach-daemon"] List, Rare;
        ["legion-smart-attach-daemon"] List, Rare;
        ["legion-smart-attach-daemon2"] List, Rare;
        ["curl-cron"] List, Rare;
        ["cron-curl"] List, Rare;
        ["legion-curl-cron"] List, Rare;
        ["legion-cron-curl"] List, Rare;
        ["curl-cron-legion"] List, Rare;
        ["cron-curl-legion"] List, Rare;
    }
    Sharing, State::NotYet => {
        ["lock-engine"] Text, Rare;
        ["ftok"] Text, Rare;
        ["persistent-ipcsem"] Switch, Rare;
        ["sharedarea", 'A'] List, Common, "makes an area of memory that all processes share";
        ["cache"] NUMBER, Rare, "makes a cache with this many places";
        ["cache-blocksize"] NUMBER, Rare;
        ["cache-store"] Text, Rare, "keeps the cache in a file";
        ["cache-store-sync"] NUMBER, Rare;
        ["cache-no-expire"] Switch, Rare;
        ["cache-expire-freq"] NUMBER, Rare;
        ["cache-report-freed-items"] Switch, Rare;
        ["cache-udp-server"] List, Rare;
        ["cache-udp-node"] List, Rare;
        ["cache-sync"] Text, Rare;
        ["cache-use-last-modified"] Switch, Rare;
        ["add-cache-item"] List, Rare;
        ["load-file-in-cache"] List, Rare;
        ["load-file-in-cache-gzip"] List, Rare;
        ["cache2"] List, Common, "makes a cache: `name=…,items=…`";
        ["queue"] NUMBER, Common, "makes a queue with this many places";
        ["queue-blocksize"] NUMBER, Rare, "the size of a place in the queue";
        ["queue-store"] Text, Rare, "keeps the queue in a file";
        ["queue-store-sync"] NUMBER, Rare;
        ["rpc-max"] NUMBER, Rare;
        ["check-cache"] OptionalText, Rare, "serves what is in the cache";
    }
}
