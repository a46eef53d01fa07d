//! THE table of the module's names: every name of uWSGI's module, what it is, and whether it is there.
//!
//! `facts` looks up here what to say of a name that is absent; `docs/python-api.md` is written from it,
//! and a test holds it against uWSGI's own module. Runs no Python.

use std::fmt::Write as _;

/// A name of the module.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The name.
    pub name: &'static str,
    /// What it is under uWSGI: `function`, or the type of the value.
    pub kind: &'static str,
    /// Whether it is there.
    pub state: State,
}

/// Whether a name is there, and of what it is a part where it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there and does what uWSGI's does.
    Works,
    /// The app may assign it, and it is called.
    Hook,
    /// The signal framework.
    Signals,
    /// The caching framework.
    Cache,
    /// The queue.
    Queue,
    /// Shared memory areas.
    SharedAreas,
    /// Metrics.
    Metrics,
    /// Remote procedure calls.
    Rpc,
    /// Mules and farms.
    Mules,
    /// The spooler.
    Spooler,
    /// Websockets.
    Websockets,
    /// Alarms.
    Alarms,
    /// Switching between requests in one thread.
    Async,
    /// Legions.
    Legion,
    /// Things that nobody was found to use.
    Obsolete,
}

macro_rules! names {
    ($($state:ident $name:literal $kind:literal;)*) => {
        /// Every name, in the order of the alphabet.
        pub static NAMES: &[Name] = &[$(Name { name: $name, kind: $kind, state: State::$state },)*];
    };
}

names! {
    Obsolete "accepting" "function";
    Signals "add_cron" "function";
    Signals "add_file_monitor" "function";
    Signals "add_ms_timer" "function";
    Signals "add_rb_timer" "function";
    Signals "add_timer" "function";
    Obsolete "add_var" "function";
    Hook "after_req_hook" "hook";
    Alarms "alarm" "function";
    Works "applications" "NoneType";
    Async "async_connect" "function";
    Async "async_sleep" "function";
    Hook "atexit" "hook";
    Works "buffer_size" "int";
    Cache "cache_clear" "function";
    Cache "cache_dec" "function";
    Cache "cache_del" "function";
    Cache "cache_div" "function";
    Cache "cache_exists" "function";
    Cache "cache_get" "function";
    Cache "cache_inc" "function";
    Cache "cache_keys" "function";
    Cache "cache_mul" "function";
    Cache "cache_num" "function";
    Cache "cache_set" "function";
    Cache "cache_update" "function";
    Rpc "call" "function";
    Works "chunked_read" "function";
    Works "chunked_read_nb" "function";
    Works "cl" "function";
    Async "close" "function";
    Async "connect" "function";
    Works "connection_fd" "function";
    Works "cores" "int";
    Works "disconnect" "function";
    Obsolete "embedded_data" "function";
    Obsolete "env" "dict";
    Works "extract" "function";
    Mules "farm_get_msg" "function";
    Mules "farm_msg" "function";
    Works "get_logvar" "function";
    Works "get_user_harakiri" "function";
    Async "green_schedule" "function";
    Works "has_threads" "int";
    Works "hostname" "bytes";
    Legion "i_am_the_lord" "function";
    Works "i_am_the_spooler" "function";
    Mules "in_farm" "function";
    Obsolete "install_mule_msg_hook" "function";
    Works "is_a_reload" "bool";
    Works "is_connected" "function";
    Works "is_locked" "function";
    Works "listen_queue" "function";
    Works "lock" "function";
    Works "log" "function";
    Works "log_this_request" "function";
    Works "logsize" "function";
    Works "loop" "NoneType";
    Legion "lord_scroll" "function";
    Obsolete "magic_table" "dict";
    Works "masterpid" "function";
    Works "mem" "function";
    Metrics "metric_dec" "function";
    Metrics "metric_div" "function";
    Metrics "metric_get" "function";
    Metrics "metric_inc" "function";
    Metrics "metric_mul" "function";
    Metrics "metric_set" "function";
    Metrics "metric_set_max" "function";
    Metrics "metric_set_min" "function";
    Works "micros" "function";
    Obsolete "mode" "bytes";
    Mules "mule_get_msg" "function";
    Works "mule_id" "function";
    Mules "mule_msg" "function";
    Mules "mule_msg_hook" "function";
    Works "mypid" "function";
    Works "numproc" "int";
    Obsolete "offload" "function";
    Works "opt" "dict";
    Works "parsefile" "function";
    Works "pidfile" "bytes";
    Hook "post_fork_hook" "hook";
    Queue "queue_get" "function";
    Queue "queue_last" "function";
    Queue "queue_pop" "function";
    Queue "queue_pull" "function";
    Queue "queue_pull_slot" "function";
    Queue "queue_push" "function";
    Queue "queue_set" "function";
    Queue "queue_size" "function";
    Queue "queue_slot" "function";
    Works "ready" "function";
    Async "ready_fd" "function";
    Async "recv" "function";
    Rpc "register_rpc" "function";
    Signals "register_signal" "function";
    Works "reload" "function";
    Obsolete "request_context" "function";
    Works "request_id" "function";
    Obsolete "route" "function";
    Rpc "rpc" "function";
    Rpc "rpc_list" "function";
    Works "rustwsgi_version" "str";
    Legion "scrolls" "function";
    Async "send" "function";
    Spooler "send_to_spooler" "function";
    Works "sendfile" "function";
    Works "set_logvar" "function";
    Spooler "set_spooler_frequency" "function";
    Works "set_user_harakiri" "function";
    Obsolete "set_warning_message" "function";
    Works "setprocname" "function";
    SharedAreas "sharedarea_memoryview" "function";
    SharedAreas "sharedarea_object" "function";
    SharedAreas "sharedarea_read" "function";
    SharedAreas "sharedarea_rlock" "function";
    SharedAreas "sharedarea_unlock" "function";
    SharedAreas "sharedarea_wlock" "function";
    SharedAreas "sharedarea_write" "function";
    Signals "signal" "function";
    Signals "signal_received" "function";
    Signals "signal_registered" "function";
    Signals "signal_wait" "function";
    Works "sockets" "list";
    Spooler "spool" "function";
    Works "SPOOL_IGNORE" "int";
    Works "SPOOL_OK" "int";
    Works "SPOOL_RETRY" "int";
    Spooler "spooler" "function";
    Spooler "spooler_get_task" "function";
    Spooler "spooler_jobs" "function";
    Spooler "spooler_pid" "function";
    Spooler "spooler_pids" "function";
    Spooler "spoolers" "function";
    Obsolete "start_response" "function";
    Works "started_on" "int";
    Works "stop" "function";
    Async "suspend" "function";
    Obsolete "SymbolsImporter" "type";
    Obsolete "SymbolsZipImporter" "type";
    Works "total_requests" "function";
    Works "unbit" "NoneType";
    Works "unlock" "function";
    Works "version" "bytes";
    Works "version_info" "tuple";
    Async "wait_fd_read" "function";
    Async "wait_fd_write" "function";
    Websockets "websocket_handshake" "function";
    Websockets "websocket_recv" "function";
    Websockets "websocket_recv_nb" "function";
    Websockets "websocket_send" "function";
    Websockets "websocket_send_binary" "function";
    Works "worker_id" "function";
    Works "workers" "function";
    Obsolete "ZipImporter" "type";
}

impl Name {
    /// The row of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMES.iter().find(|row| row.name == name)
    }

    /// What there is to say of the name, without a full stop.
    pub fn sentence(&self) -> &'static str {
        match self.state {
            State::Works => "it is set where it applies",
            State::Hook => "it is a hook, and none was assigned",
            State::Signals => "the signal framework (timers, crons, file monitors) is not built yet",
            State::Cache => "the caching framework is not built yet",
            State::Queue => "the queue is not built yet",
            State::SharedAreas => "shared memory areas are not built yet",
            State::Metrics => "metrics that the application writes are not built yet",
            State::Rpc => "remote procedure calls are not built yet",
            State::Mules => "mules are not built yet",
            State::Spooler => "the spooler is not built yet",
            State::Websockets => "websockets are not built yet",
            State::Alarms => "alarms are not built yet",
            State::Async => "asynchronous modes are not built yet",
            State::Legion => "legions are not built yet",
            State::Obsolete => "nobody was found to use it, and it is not built",
        }
    }
}

/// The page about all names, in Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for row in NAMES {
        let state = match row.state {
            State::Works => "works",
            State::Hook => "called where assigned",
            _ => row.sentence(),
        };
        let _ = writeln!(page, "| `{}` | {} | {state} |", row.name, row.kind);
    }
    page
}

const HEAD: &str = include_str!("surface.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/python-api.md");
        if std::env::var_os("RUSTWSGI_BLESS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "RUSTWSGI_BLESS=1 cargo test");
    }

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<&str> = NAMES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
