//! Logs, figures, alarms and the commands that ask for them: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Logging, State::NotYet => {
        ["logto2"] Text, Common, "logs to this file after privileges were dropped";
        ["logfile-chown"] Switch, Rare, "gives the log file to `uid` and `gid`";
        ["log-syslog"] OptionalText, Common, "logs to syslog";
        ["log-socket"] List, Common, "logs to a UDP or UNIX socket";
        ["req-logger"] List, Common, "adds somewhere to log requests to";
        ["logger-req"] List, Rare;
        ["logger"] List, Common, "adds somewhere to log to";
        ["threaded-logger"] Switch, Common, "logs from a thread of its own";
        ["log-encoder"] List, Common, "gives log lines another form";
        ["log-req-encoder"] List, Common, "gives the lines of requests another form";
        ["log-drain"] List, Common, "drops log lines that match";
        ["log-filter"] List, Common, "keeps only log lines that match";
        ["log-route"] List, Common, "sends log lines that match to a logger";
        ["log-req-route"] List, Common, "sends the lines of requests that match to a logger";
        ["log-alarm" "alarm-log"] List, Common, "raises an alarm when a log line matches";
        ["not-log-alarm" "not-alarm-log"] List, Rare;
        ["log-master"] Switch, Common, "has the master write all log lines";
        ["log-master-bufsize"] NUMBER, Common, "the longest line that the master takes, in bytes";
        ["log-master-stream"] Switch, Rare;
        ["log-master-req-stream"] Switch, Rare;
        ["log-reopen"] Switch, Common, "opens the log anew after a reload";
        ["log-zeromq"] List, Rare;
        ["rsyslog-packet-size"] NUMBER, Rare;
        ["rsyslog-split-messages"] Switch, Rare;
    }
    Watching, State::NotYet => {
        ["backtrace-depth"] NUMBER, Rare, "how many calls the C backtrace of a crash shows";
        ["profiler"] Text, Rare;
        ["metric"] List, Common, "adds a metric";
        ["metric-threshold" "metric-alarm" "alarm-metric"] List, Rare, "raises an alarm when a metric passes a value";
        ["metrics-dir" "metric-dir"] Text, Common, "writes each metric to a file";
        ["metrics-dir-restore" "metric-dir-restore"] Switch, Rare;
        ["metrics-no-cores"] Switch, Rare;
        ["udp"] Text, Rare;
        ["stats-push"] List, Common, "sends the statistics somewhere";
        ["stats-pusher-default-freq" "stats-pushers-default-freq"] NUMBER, Rare;
        ["notify-socket"] Text, Common, "reports to a notification socket";
        ["snmp"] OptionalText, Rare, "answers SNMP requests";
        ["snmp-community"] List, Rare, "the SNMP community";
        ["use-abort"] Switch, Rare;
        ["alarm"] List, Common, "defines an alarm";
        ["alarm-cheap"] SwitchValue, Rare;
        ["alarm-freq"] NUMBER, Rare, "how many seconds lie between two alarms";
        ["alarm-fd"] List, Rare;
        ["alarm-segfault" "segfault-alarm"] List, Common, "raises an alarm when a worker crashes";
        ["alarm-backlog" "backlog-alarm" "lq-alarm" "alarm-lq" "alarm-listen-queue" "listen-queue-alarm"] List, Common, "raises an alarm when too many connections wait";
        ["alarm-msg-size"] NUMBER, Rare;
        ["carbon"] List, Common, "sends figures to a Carbon server";
        ["carbon-timeout"] NUMBER, Rare;
        ["carbon-freq"] NUMBER, Rare;
        ["carbon-id"] Text, Rare;
        ["carbon-no-workers"] Switch, Rare;
        ["carbon-max-retry"] NUMBER, Rare;
        ["carbon-retry-delay"] NUMBER, Rare;
        ["carbon-root"] Text, Rare;
        ["carbon-hostname-dots"] Text, Rare;
        ["carbon-name-resolve" "carbon-resolve-names"] Switch, Rare;
        ["carbon-idle-avg"] Text, Rare;
        ["carbon-use-metrics"] Switch, Rare;
        ["nagios"] Switch, Rare;
        ["rrdtool"] List, Rare;
        ["rrdtool-freq"] NUMBER, Rare;
        ["rrdtool-lib"] Text, Rare;
    }
    Commands, State::NotYet => {
        ["pause"] Text, Rare, "pauses the instance that the pid file names";
        ["suspend"] Text, Rare, "pauses the instance that the pid file names";
        ["resume"] Text, Rare, "resumes the instance that the pid file names";
        ["connect-and-read"] Text, Rare, "shows what comes from an address";
        ["extract"] Text, Rare;
        ["imperial-monitor-list" "imperial-monitors-list"] Switch, Rare;
        ["print-sym"] Text, Rare;
        ["print-symbol"] Text, Rare;
        ["signal"] Text, Rare, "sends a signal of the framework to an instance";
        ["logger-list" "loggers-list"] Switch, Rare;
        ["alarm-list" "alarms-list"] Switch, Rare;
        ["cheaper-algo-list" "cheaper-algos-list" "cheaper-list"] Switch, Rare;
        ["router-list" "routers-list"] Switch, Rare;
        ["clock-list" "clocks-list"] Switch, Rare;
        ["loop-list" "loops-list"] Switch, Rare;
        ["plugins-list" "plugin-list"] Switch, Rare, "lists the plugins";
        ["binary-append-data"] Text, Rare;
        ["cflags"] Switch, Rare;
        ["dot-h"] Switch, Rare;
        ["config-py"] Switch, Rare;
        ["build-plugin"] Text, Rare;
        ["ping"] Text, Rare, "asks an instance whether it answers";
        ["ping-timeout"] NUMBER, Rare;
    }
}
