//! How workers live: harakiri, recycling, respawn, cheaper; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;

options! {
    /// How workers live: harakiri, recycling, respawn, cheaper.
    pub struct Lifetimes {}

    /// says more about a worker that harakiri kills
    /// What each thread waits for in the kernel: its system call and its wait channel.
    ["harakiri-verbose"] Switch, Processes, Common, "0.2.0", Works
        => harakiri_verbose: bool = false;

    /// how many seconds a worker has to end by itself before harakiri kills it
    /// Without it, its other requests may finish until a second after the deadline.
    ["harakiri-graceful-timeout"] COUNT, Processes, Common, "0.2.0", Works
        => harakiri_graceful_timeout: u64 = 0;

    /// the signal that tells a worker of its harakiri, with `harakiri-graceful-timeout`
    /// Sent where the application has a handler for it; it would end the worker otherwise.
    ["harakiri-graceful-signal"] within(1, 64), Processes, Common, "0.2.0", Works
        => harakiri_graceful_signal: u32 = 15;

    /// lets harakiri strike only when this many connections wait
    ["harakiri-queue-threshold"] COUNT, Processes, Rare, "0.2.0", Works
        => harakiri_queue_threshold: u64 = 0;

    /// leaves out the hooks after a request that harakiri ends
    ["harakiri-no-arh" "no-harakiri-arh" "no-harakiri-after-req-hook"] Switch, Processes, Rare, "0.2.0",
        Accepted("nothing runs for a request that harakiri ends");

    /// spreads `max-requests` so that workers are not replaced together
    /// Each worker may serve so many more than the one before it.
    ["max-requests-delta"] COUNT, Processes, Common, "0.2.0", Works
        => max_requests_delta: u64 = 0;

    /// replaces a worker after this many seconds; 0 is never
    ["max-worker-lifetime"] COUNT, Processes, Common, "0.2.0", Works
        => max_worker_lifetime: u64 = 0;

    /// spreads `max-worker-lifetime` over the workers
    ["max-worker-lifetime-delta"] COUNT, Processes, Common, "0.2.0", Works
        => max_worker_lifetime_delta: u64 = 0;

    /// how many seconds at most lie between two attempts when workers die young
    /// The first comes at once, the next ones after twice as long each time.
    ["forkbomb-delay"] COUNT, Processes, Rare, "0.2.0", Works
        => forkbomb_delay: u64 = 2;

    /// keeps this many workers when there is little to do, and starts others when they are needed
    /// Must be lower than `processes`, which stays the most there are. 0 keeps all.
    ["cheaper"] within(0, 65_535), Processes, Common, "0.2.0", Works
        => cheaper: usize = 0;

    /// how many workers to start with, where `cheaper` is set
    /// Without it, as many as `cheaper` says.
    ["cheaper-initial"] within(0, 65_535), Processes, Common, "0.2.0", Works
        => cheaper_initial: usize = 0;

    /// how to tell whether more workers are needed
    /// `spare`: more when all are busy, fewer when several are idle. `spare2`: keeps `cheaper` workers
    /// idle. `backlog`: by the connections that wait. `busyness`: by the time spent in requests.
    /// `manual`: by nobody but who asks for it.
    ["cheaper-algo"] Text, Processes, Common, "0.2.0", Works, uwsgi "spare"
        => cheaper_algo: Option<String> = None;

    /// how many workers to add at a time
    ["cheaper-step"] within(1, 65_535), Processes, Common, "0.2.0", Works
        => cheaper_step: usize = 1;

    /// how many seconds all workers have to be busy until others are added
    /// `busyness` looks at the load this often; for `backlog` it is a number of connections.
    ["cheaper-overload"] COUNT, Processes, Common, "0.2.0", Works
        => cheaper_overload: u64 = 3;

    /// how many seconds `spare2` waits before it ends a worker that is too many
    ["cheaper-idle"] from(1), Processes, Rare, "0.2.0", Works
        => cheaper_idle: u64 = 10;

    /// starts no more workers while they have more than this many bytes in memory together
    ["cheaper-rss-limit-soft"] COUNT, Processes, Rare, "0.2.0", Works
        => cheaper_rss_limit_soft: u64 = 0;

    /// ends idle workers while all have more than this many bytes in memory together
    ["cheaper-rss-limit-hard"] COUNT, Processes, Rare, "0.2.0", Works
        => cheaper_rss_limit_hard: u64 = 0;

    /// the busyness, in percent, above which workers are added
    ["cheaper-busyness-max"] COUNT, Processes, Common, "0.2.0", Works
        => cheaper_busyness_max: u64 = 50;

    /// the busyness, in percent, below which workers are ended
    ["cheaper-busyness-min"] COUNT, Processes, Common, "0.2.0", Works
        => cheaper_busyness_min: u64 = 25;

    /// how many quiet cycles have to pass before a worker is ended
    ["cheaper-busyness-multiplier"] from(1), Processes, Common, "0.2.0", Works
        => cheaper_busyness_multiplier: u64 = 10;

    /// how many cycles to add when workers were ended too soon
    ["cheaper-busyness-penalty"] COUNT, Processes, Common, "0.2.0", Works
        => cheaper_busyness_penalty: u64 = 2;

    /// logs what the busyness algorithm decides
    ["cheaper-busyness-verbose"] Switch, Processes, Rare, "0.2.0", Works
        => cheaper_busyness_verbose: bool = false;

    /// adds emergency workers above this many waiting connections
    ["cheaper-busyness-backlog-alert"] COUNT, Processes, Common, "0.2.0", Works
        => cheaper_busyness_backlog_alert: u64 = 33;

    /// how many quiet cycles emergency workers stay
    ["cheaper-busyness-backlog-multiplier"] from(1), Processes, Rare, "0.2.0", Works
        => cheaper_busyness_backlog_multiplier: u64 = 3;

    /// how many emergency workers to add at a time
    ["cheaper-busyness-backlog-step"] within(1, 65_535), Processes, Common, "0.2.0", Works
        => cheaper_busyness_backlog_step: usize = 1;

    /// adds a worker when connections have waited this many seconds; 0 is never
    ["cheaper-busyness-backlog-nonzero"] COUNT, Processes, Rare, "0.2.0", Works
        => cheaper_busyness_backlog_nonzero: u64 = 60;

    /// starts workers with the first request only
    ["cheap"] Switch, Processes, Common, "0.2.0", Works
        => cheap: bool = false;

    /// lets the workers end after this many seconds without a request; 0 is never
    /// The sockets stay open, and the next request starts the workers again.
    ["idle"] COUNT, Processes, Common, "0.2.0", Works
        => idle: u64 = 0;

    /// ends instead of waiting for a request when `idle` has passed
    ["die-on-idle"] Switch, Processes, Rare, "0.2.0", Works
        => die_on_idle: bool = false;

    /// puts this and a blank in front of every process title
    ["procname-prefix-spaced"] Text, Processes, Common, "0.2.0", Works
        => procname_prefix_spaced: Option<String> = None;

    /// puts this behind every process title
    ["procname-append"] Text, Processes, Common, "0.2.0", Works
        => procname_append: Option<String> = None;

    /// titles every process with this
    ["procname"] Text, Processes, Common, "0.2.0", Works
        => procname: Option<String> = None;

    /// titles the master with this
    ["procname-master"] Text, Processes, Rare, "0.2.0", Works
        => procname_master: Option<String> = None;

    /// replaces a worker whose address space exceeds this many megabytes
    ["reload-on-as"] COUNT, Group::Reloading, Common, "0.2.0", Works
        => reload_on_as: u64 = 0;

    /// replaces a worker that has more than this many megabytes in memory
    /// Pages that it shares with the other processes count.
    ["reload-on-rss"] COUNT, Group::Reloading, Common, "0.2.0", Works
        => reload_on_rss: u64 = 0;

    /// kills a worker whose address space exceeds this many megabytes
    ["evil-reload-on-as"] COUNT, Group::Reloading, Rare, "0.2.0", Works
        => evil_reload_on_as: u64 = 0;

    /// kills a worker that has more than this many megabytes in memory
    ["evil-reload-on-rss"] COUNT, Group::Reloading, Rare, "0.2.0", Works
        => evil_reload_on_rss: u64 = 0;

    /// how many seconds lie between two looks at the workers' memory and age
    ["mem-collector-freq"] from(1), Group::Reloading, Rare, "0.2.0", Works, uwsgi "3"
        => mem_collector_freq: u64 = 1;
}

impl Config {
    /// The title of a process that would be called `name` (uWSGI: `--procname` and its relatives).
    pub fn title(&self, name: &str) -> String {
        let lifetimes = &self.lifetimes;
        let named = lifetimes.procname.as_deref().unwrap_or(name);
        self.framed(named)
    }

    /// The title of the master.
    pub fn master_title(&self, name: &str) -> String {
        match &self.lifetimes.procname_master {
            Some(named) => self.framed(named),
            None => self.title(name),
        }
    }

    fn framed(&self, name: &str) -> String {
        let spaced = self.lifetimes.procname_prefix_spaced.as_ref().map(|prefix| format!("{prefix} "));
        let prefix = spaced.as_ref().or(self.procname_prefix.as_ref()).map_or("", String::as_str);
        format!("{prefix}{name}{}", self.lifetimes.procname_append.as_deref().unwrap_or_default())
    }
}

impl Lifetimes {
    /// What `cheaper-algo` may say.
    pub const CHEAPER_ALGORITHMS: [&str; 5] = ["spare", "spare2", "backlog", "busyness", "manual"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_framed_and_replaced() {
        let mut config = Config::default();
        assert_eq!(config.title("rustwsgi worker 1"), "rustwsgi worker 1");
        config.procname_prefix = Some("a-".into());
        config.lifetimes.procname_append = Some("!".into());
        assert_eq!(config.title("rustwsgi worker 1"), "a-rustwsgi worker 1!");
        config.lifetimes.procname_prefix_spaced = Some("blog".into());
        config.lifetimes.procname = Some("site".into());
        assert_eq!((config.title("x").as_str(), config.master_title("x").as_str()), ("blog site!", "blog site!"));
        config.lifetimes.procname_master = Some("boss".into());
        assert_eq!((config.title("x").as_str(), config.master_title("x").as_str()), ("blog site!", "blog boss!"));
    }
}
