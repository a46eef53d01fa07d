//! THE option table: every option is described here, once.
//!
//! A row makes the option's [`OptionDef`] and, where it says `=> field: Type = default`, the field
//! of [`Config`]. The ini reader, the command line, `--help`, `--explain`, the suggestions and
//! `docs/options.md` all read the table; nothing else in the program lists options.
//!
//! The options that do something, or need not, stand here and in the chapters below, each a struct of
//! its own within [`Config`]. A row is: the description (its first line stands alone in `--help`),
//! the names and the one-letter form, the kind of value, the chapter of the reference, the rank, the
//! release, whether it works, and uWSGI's default where ours differs.
//! The options of uWSGI that are not built stand in `planned`, a line each.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::LazyLock;

use super::SocketSetting;
use super::option::{Group, Kind, OptionDef, Over, Rank, State};
use super::setting::Setting;
use super::value::{Field, Value};
use crate::net::listener::Protocol;

use Group::*;
use Kind::*;
use Rank::*;
use State::*;

/// Makes the rows of options that are not built: a block for each chapter and state, a line each.
macro_rules! planned {
    ($($group:ident, $state:expr => {
        $([$($name:literal)+ $(, $short:literal)?] $kind:expr, $rank:ident $(, $help:literal)?;)*
    })*) => {
        pub(in crate::config::options) static ROWS: &[OptionDef] = &[$($(OptionDef {
            names: &[$($name),+],
            short: planned!(@optional $($short)?),
            kind: $kind,
            group: Group::$group,
            rank: $rank,
            since: if $state.is_built() { "0.1.0" } else { "" },
            state: $state,
            uwsgi_default: None,
            doc: &[$($help)?],
        },)*)*];
    };
    (@optional $value:literal) => { Some($value) };
    (@optional) => { None };
}

/// Makes a chapter of built options from its rows: a static slice of them, and the struct with their
/// fields. [`Config`] is the first of these structs and holds the others.
macro_rules! options {
    (
        $(#[$about:meta])*
        pub struct $Struct:ident {
            $($(#[$whole:meta])* $see:vis $part:ident: $of:ty = $empty:expr,)*
        }
        $(
            #[doc = $help:literal]
            $(#[doc = $more:literal])*
            [$name:literal $($alias:literal)* $(, $short:literal)?] $kind:expr, $group:expr, $rank:expr,
                $since:literal, $state:expr $(, uwsgi $theirs:literal)?
                $(=> $field:ident: $type:ty = $default:expr)?;
        )*
    ) => {
        /// The options of this file that are built, chapter by chapter.
        pub static OPTIONS: &[OptionDef] = &[$(OptionDef {
            names: &[$name $(, $alias)*],
            short: options!(@optional $($short)?),
            kind: $kind,
            group: $group,
            rank: $rank,
            since: $since,
            state: $state,
            uwsgi_default: options!(@optional $($theirs)?),
            doc: &[$help $(, $more)*],
        },)*];

        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $Struct {
            $($(#[$whole])* $see $part: $of,)*
            $($(#[doc = $help] pub $field: $type,)?)*
        }

        impl Default for $Struct {
            fn default() -> Self {
                Self {
                    $($part: $empty,)*
                    $($($field: $default,)?)*
                }
            }
        }

        impl $Struct {
            /// Puts a value into the field of `option`; hands it back where that has none here.
            pub(in crate::config) fn take(&mut self, option: &OptionDef, value: Value) -> Option<Value> {
                match option.name() {
                    $($($name => self.$field.accept(value),)?)*
                    _ => return Some(value),
                }
                #[allow(unreachable_code)]
                None
            }

            /// The value of `option` in words; `None` for one without a value or without a field here.
            pub(in crate::config) fn field(&self, option: &OptionDef) -> Option<String> {
                match option.name() {
                    $($($name => self.$field.show(),)?)*
                    _ => None,
                }
            }
        }
    };
    (@optional $value:literal) => { Some($value) };
    (@optional) => { None };
}

mod api;
mod emperor;
mod grammar;
mod hooks;
mod http;
mod lifetimes;
mod logging;
mod planned;
mod privileges;
mod reloading;
mod requests;
mod stats;

/// Makes [`Config::put`] and [`Config::shown`] look into every chapter, and gathers their rows.
macro_rules! chapters {
    ($($chapter:ident: $Type:ident;)*) => {
        /// Every row of every chapter that is built.
        const BUILT: &[&[OptionDef]] = &[OPTIONS, $($chapter::OPTIONS),*];

        $(pub use $chapter::$Type;)*

        impl Config {
            /// Puts a value into the field of `option`; options without one have no effect here.
            pub(super) fn put(&mut self, option: &OptionDef, value: Value) {
                let Some(value) = self.take(option, value) else { return };
                $(let Some(value) = self.$chapter.take(option, value) else { return };)*
                drop(value);
            }

            /// The value of `option` in words; `None` for one without a value or without a field.
            pub(super) fn shown(&self, option: &OptionDef) -> Option<String> {
                let shown = self.field(option);
                $(let shown = shown.or_else(|| self.$chapter.field(option));)*
                shown
            }
        }
    };
}

chapters! {
    api: Api;
    emperor: Emperor;
    hooks: Hooks;
    http: Http;
    lifetimes: Lifetimes;
    logging: Logging;
    privileges: Privileges;
    reloading: Reloading;
    requests: Requests;
    stats: Stats;
}

/// Every row that has no field: the language itself, and what is not built, file by file.
const PLAIN: &[&[OptionDef]] = &[
    grammar::ROWS,
    planned::serving::ROWS,
    planned::processes::ROWS,
    planned::watching::ROWS,
    planned::content::ROWS,
    planned::tasks::ROWS,
    planned::fleet::ROWS,
    planned::plugins::ROWS,
];

/// Every name of every option.
static NAMES: LazyLock<HashMap<&'static str, &'static OptionDef>> = LazyLock::new(|| {
    OptionDef::all().flat_map(|option| option.names.iter().map(move |name| (*name, option))).collect()
});

impl OptionDef {
    /// Every option, what is not built too.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        BUILT.iter().chain(PLAIN).copied().flatten()
    }

    /// Finds an option by any of its names, exactly as written, whether it is built or not.
    pub fn known(name: &str) -> Option<&'static Self> {
        NAMES.get(name).copied()
    }
}

/// A count or a number of seconds: anything from nothing on.
const COUNT: Kind = from(0);

/// Any number, of an option whose limits are not known here.
const NUMBER: Kind = from(i64::MIN);

/// A number of at least `min`.
const fn from(min: i64) -> Kind {
    Integer { min, max: i64::MAX, over: Over::Refuse }
}

/// A number of at least `min` that fits where the kernel or the scoreboard puts it.
const fn within(min: i64, max: i64) -> Kind {
    Integer { min, max, over: Over::Refuse }
}

/// A number that uWSGI cuts at `max`.
const fn up_to(min: i64, max: i64) -> Kind {
    Integer { min, max, over: Over::Clamp }
}

/// An action that takes nothing.
const ALONE: Kind = Action { value: None };

/// An action with a value.
const fn action(value: &'static str) -> Kind {
    Action { value: Some(value) }
}

options! {
    /// What all files, the command line and the environment amount to.
    pub struct Config {
        /// What to listen on, in the order it was named.
        pub sockets: Vec<SocketSetting> = Vec::new(),
        /// The setting that decided each option, by the option's first name.
        pub(super) decided: BTreeMap<&'static str, Setting> = BTreeMap::new(),
        /// Every file that was read, in order, absolute.
        pub(super) files: Vec<PathBuf> = Vec::new(),
        /// Everything that was set, in order, placeholders included.
        pub(super) settings: Vec<Setting> = Vec::new(),
        /// The Python API.
        pub api: Api = Api::default(),
        /// Instances under one.
        pub emperor: Emperor = Emperor::default(),
        /// Hooks, daemons, clocks.
        pub hooks: Hooks = Hooks::default(),
        /// HTTP and other protocols.
        pub http: Http = Http::default(),
        /// How workers live.
        pub lifetimes: Lifetimes = Lifetimes::default(),
        /// Logs.
        pub logging: Logging = Logging::default(),
        /// Privileges and limits.
        pub privileges: Privileges = Privileges::default(),
        /// Reloading and stopping.
        pub reloading: Reloading = Reloading::default(),
        /// Requests.
        pub requests: Requests = Requests::default(),
        /// Figures.
        pub stats: Stats = Stats::default(),
    }

    /// reads a configuration file; `FILE:SECTION` picks a section other than `uwsgi`
    /// What it sets takes the place of this line, so what follows wins over it.
    /// A bare `FILE.ini` on the command line is read after everything else.
    ["ini"] File, Configuration, Core, "0.1.0", Works;

    /// reads a further configuration file where it stands; the ending says how it is written
    ["include"] File, Configuration, Common, "0.1.0", Works;

    /// the configuration to start with when a start with this one fails with exit code 1
    ["fallback-config"] Text, Configuration, Rare, "0.2.0", Works;

    /// makes unknown options an error instead of placeholders
    ["strict"] Switch, Configuration, Core, "0.1.0", Works
        => strict: bool = false;

    /// turns the error for options of uWSGI that are not built yet into a warning
    ["tolerate-unsupported"] Switch, Configuration, Common, "0.1.0", Works
        => tolerate_unsupported: bool = false;

    /// lets a configuration run commands: `@(exec://…)` in a value, `ini = exec://…`
    /// Where a file is read from a command, this has to stand above that line.
    ["allow-exec"] Switch, Configuration, Rare, "0.1.0", Works;

    /// sets a placeholder to the address of a host: `name=host`
    ["resolve"] Text, Configuration, Rare, "0.2.0", Works;

    /// puts the text of a file in front of every configuration file that follows
    ["inject-before"] List, Configuration, Rare, "0.2.0", Works;

    /// puts the text of a file behind every configuration file that follows
    ["inject-after"] List, Configuration, Rare, "0.2.0", Works;

    /// prints a line when the configuration was read
    ["print"] Text, Configuration, Rare, "0.2.0", Works;

    /// prints a line while the configuration is read
    ["iprint"] Text, Configuration, Rare, "0.2.0", Works;

    /// ends with this code while the configuration is read
    ["exit"] OptionalText, Configuration, Rare, "0.2.0", Works;

    /// names plugins of uWSGI; what rustwsgi can do is built in
    /// Plugins with something rustwsgi has are taken without a word, others with a warning.
    ["plugins" "plugin"] CommaList, Configuration, Common, "0.1.0",
        Accepted("everything is built in")
        => plugins: Vec<String> = Vec::new();

    /// names plugins of uWSGI that have to be there
    ["need-plugins" "need-plugin"] CommaList, Configuration, Common, "0.1.0", Works
        => need_plugins: Vec<String> = Vec::new();

    /// names a directory with plugins
    ["plugins-dir" "plugin-dir"] List, Configuration, Common, "0.1.0",
        Accepted("everything is built in");

    /// looks for the plugin that has an unknown option
    ["autoload"] Switch, Configuration, Rare, "0.1.0",
        Accepted("everything is built in");

    /// listens for uwsgi packets, as nginx's `uwsgi_pass` sends them
    /// `host:port`, `:port`, `[::1]:port`, a path, or `@name` for an abstract socket.
    ["socket" "uwsgi-socket", 's'] Socket(Protocol::Uwsgi), Sockets, Core, "0.1.0", Works;

    /// listens for HTTP
    ["http-socket"] Socket(Protocol::Http), Sockets, Core, "0.1.0", Works;

    /// what `socket` speaks: `uwsgi` or `http`
    /// Or `scgi` or `fastcgi`. uWSGI also has `raw`, which is not built yet.
    ["protocol" "socket-protocol"] Text, Sockets, Common, "0.1.0", Works
        => protocol: Option<String> = None;

    /// sets the permissions of UNIX sockets
    /// Bare or `1` means 666. Without it, the umask decides.
    ["chmod-socket" "chmod", 'C'] SocketMode, Sockets, Core, "0.1.0", Works
        => chmod_socket: Option<u32> = None;

    /// gives UNIX sockets to a user, or to `user:group`
    ["chown-socket"] Text, Sockets, Common, "0.1.0", Works
        => chown_socket: Option<String> = None;

    /// how many connections may wait to be accepted, for each socket
    ["listen", 'l'] within(1, i32::MAX as i64), Sockets, Core, "0.1.0", Works
        => listen: u32 = 100;

    /// how many bytes the head of a request may have
    /// More than 65535 does not fit a uwsgi packet and is read as 65535.
    ["buffer-size", 'b'] up_to(1, 65_535), Sockets, Core, "0.1.0", Works, uwsgi "4096"
        => buffer_size: usize = 65_535;

    /// how many seconds a client may keep a read or a write waiting
    ["socket-timeout", 'z'] COUNT, Sockets, Core, "0.1.0", Works
        => socket_timeout: u64 = 4;

    /// removes the pid file and the UNIX sockets at the end
    ["vacuum"] Switch, Sockets, Core, "0.1.0", Works
        => vacuum: bool = false;

    /// has workers take turns to accept
    ["thunder-lock"] Switch, Sockets, Common, "0.1.0",
        Accepted("the kernel wakes one worker for a connection, so there is no herd to lock out");

    /// accepts TCP connections before they have sent anything
    ["no-defer-accept"] Switch, Sockets, Rare, "0.1.0",
        Accepted("a connection that is silent costs no thread, so none is deferred");

    /// sends small TCP packets at once
    ["tcp-nodelay"] Switch, Sockets, Rare, "0.1.0",
        Accepted("they always are"), uwsgi "off";

    /// takes no file descriptors from UNIX sockets
    ["no-fd-passing"] Switch, Sockets, Rare, "0.1.0",
        Accepted("they never are taken");

    /// closes connections in programs that the application runs
    ["close-on-exec"] Switch, Sockets, Rare, "0.1.0",
        Accepted("they always are closed"), uwsgi "off";

    /// closes the sockets in programs that the application runs
    ["close-on-exec2"] Switch, Sockets, Rare, "0.1.0",
        Accepted("they always are closed"), uwsgi "off";

    /// does not log SIGPIPE
    ["ignore-sigpipe"] Switch, Sockets, Common, "0.1.0",
        Accepted("the signal is never raised"), uwsgi "off";

    /// the directory the application runs in; modules are found there
    ["chdir"] Path, Application, Core, "0.1.0", Works
        => chdir: Option<PathBuf> = None;

    /// the application's module: `package.module`, `package.module:callable` or `…:factory()`
    ["module" "wsgi", 'w'] Text, Application, Core, "0.1.0", Works
        => module: Option<String> = None;

    /// the application's file, in place of `module`
    ["wsgi-file" "file"] Path, Application, Core, "0.1.0", Works
        => wsgi_file: Option<PathBuf> = None;

    /// the name of the WSGI callable, where `module` does not name it; `application` without
    ["callable"] Text, Application, Core, "0.1.0", Works
        => callable: Option<String> = None;

    /// the virtual environment
    ["home" "virtualenv" "venv" "pyhome", 'H'] Path, Application, Core, "0.1.0", Works
        => home: Option<PathBuf> = None;

    /// puts a directory in front of Python's module path
    /// Each goes in front of the ones before it, as in uWSGI.
    ["pythonpath" "python-path" "pp"] List, Application, Core, "0.1.0", Works
        => pythonpath: Vec<String> = Vec::new();

    /// sets an environment variable for the application
    ["env"] Pairs, Application, Core, "0.1.0", Works
        => env: Vec<String> = Vec::new();

    /// stops the start when there is no application to serve
    ["need-app"] Switch, Application, Core, "0.1.0", Works, uwsgi "off"
        => need_app: bool = true;

    /// loads the application in each worker, after the fork
    ["lazy-apps"] Switch, Application, Common, "0.1.0", Works
        => lazy_apps: bool = false;

    /// imports Django's URLconf, and with it the views, when the application is loaded
    /// A view that can't be imported then stops a start or a reload instead of failing requests.
    ["preload-urlconf"] Switch, Application, Rare, "0.1.0", Works
        => preload_urlconf: bool = true;

    /// keeps one Python interpreter for all applications
    ["single-interpreter", 'i'] Switch, Application, Common, "0.1.0",
        Accepted("there is one interpreter in each worker");

    /// whether requests share an environ, `cheat`, or not, `holy`
    ["wsgi-env-behaviour" "wsgi-env-behavior"] Text, Application, Rare, "0.1.0",
        Accepted("each request has an environ of its own"), uwsgi "cheat";

    /// copies the environment to `os.environ` when the application is loaded
    ["reload-os-env"] Switch, Application, Rare, "0.1.0",
        Accepted("the environment is complete before Python starts");

    /// runs Python's fork hooks in workers
    ["py-call-osafterfork"] Switch, Application, Common, "0.1.0",
        Accepted("they always run"), uwsgi "off";

    /// runs Python's fork hooks around each fork
    ["py-call-uwsgi-fork-hooks"] Switch, Application, Common, "0.1.0",
        Accepted("they always run"), uwsgi "off";

    /// how many seconds the application may take to load
    ["startup-timeout"] from(1), Application, Common, "0.1.0", Works
        => startup_timeout: u64 = 60;

    /// runs a master process
    ["master", 'M'] Switch, Processes, Core, "0.1.0",
        Accepted("there always is a master"), uwsgi "off"
        => master: bool = true;

    /// ends the workers with their master
    ["no-orphans"] Switch, Processes, Common, "0.1.0",
        Accepted("they always end with it"), uwsgi "off";

    /// how many worker processes serve requests
    ["processes" "workers", 'p'] within(1, 65_535), Processes, Core, "0.1.0", Works
        => processes: usize = 1;

    /// how many threads each worker serves with
    ["threads"] within(0, 65_535), Processes, Core, "0.1.0", Works
        => threads: usize = 1;

    /// lets the application's own threads run between requests
    ["enable-threads", 'T'] Switch, Processes, Core, "0.1.0",
        Accepted("they always run, as in uWSGI since 2.0.27")
        => enable_threads: bool = true;

    /// kills a worker that spends more than this many seconds on a request; 0 is never
    ["harakiri", 't'] COUNT, Processes, Core, "0.1.0", Works
        => harakiri: u64 = 0;

    /// replaces a worker after this many requests; 0 is never
    ["max-requests", 'R'] COUNT, Processes, Core, "0.1.0", Works
        => max_requests: u64 = 0;

    /// how many seconds old a worker has to be before `max-requests` replaces it
    ["min-worker-lifetime"] COUNT, Processes, Common, "0.1.0", Works, uwsgi "10"
        => min_worker_lifetime: u64 = 0;

    /// how many seconds other children than workers may take to end
    ["reload-mercy"] COUNT, Processes, Common, "0.1.0", Works
        => reload_mercy: u64 = 0;

    /// how many seconds a worker may take to finish its requests before it is killed
    ["worker-reload-mercy"] COUNT, Processes, Core, "0.1.0", Works
        => worker_reload_mercy: u64 = 60;

    /// ends on SIGTERM instead of reloading
    ["die-on-term"] Switch, Processes, Core, "0.1.0", Works
        => die_on_term: bool = false;

    /// puts this in front of every process title
    ["procname-prefix"] Text, Processes, Common, "0.1.0", Works
        => procname_prefix: Option<String> = None;

    /// titles every process with what it is
    ["auto-procname"] Switch, Processes, Common, "0.1.0",
        Accepted("processes always have their titles"), uwsgi "off"
        => auto_procname: bool = true;

    /// writes the master's pid to this file
    ["pidfile"] Path, System, Core, "0.1.0", Works
        => pidfile: Option<PathBuf> = None;

    /// goes to the background and logs to this file
    ["daemonize", 'd'] Path, System, Core, "0.1.0", Works
        => daemonize: Option<PathBuf> = None;

    /// the user to run as, by name or number
    ["uid"] Text, System, Core, "0.1.0", Works
        => uid: Option<String> = None;

    /// the group to run as, by name or number
    ["gid"] Text, System, Core, "0.1.0", Works
        => gid: Option<String> = None;

    /// the umask for everything that is created
    ["umask"] Umask, System, Common, "0.1.0", Works
        => umask: Option<u32> = None;

    /// leaves standard input as it is instead of closing it
    ["honour-stdin"] Switch, System, Rare, "0.1.0", Works
        => honour_stdin: bool = false;

    /// logs to this file
    ["logto"] Path, Logging, Core, "0.1.0", Works
        => logto: Option<PathBuf> = None;

    /// leaves out the line for each request
    ["disable-logging", 'L'] Switch, Logging, Core, "0.1.0", Works
        => disable_logging: bool = false;

    /// ends the instance that the pid file names
    ["stop"] action("PIDFILE"), Commands, Core, "0.1.0", Works;

    /// reloads the instance that the pid file names
    ["reload"] action("PIDFILE"), Commands, Core, "0.1.0", Works;

    /// makes `--stop` and `--reload` return at once instead of waiting for the outcome
    ["no-wait"] ALONE, Commands, Common, "0.1.0", Works;

    /// how many seconds `--stop` and `--reload` wait for the outcome
    ["timeout"] action("SECONDS"), Commands, Common, "0.1.0", Works;

    /// shows what all files, the command line and the environment amount to
    ["show-config"] ALONE, Commands, Common, "0.1.0", Works;

    /// tells everything that is wrong with a configuration, and serves nothing
    /// The exit code is 2 when something would stop the start.
    ["check"] action("FILE"), Commands, Core, "0.1.0", Works;

    /// has `--check` and `--show-config` answer in JSON
    ["json-output"] ALONE, Commands, Rare, "0.1.0", Works;

    /// prints the first value of an option or placeholder, and serves nothing
    ["get"] action("NAME"), Commands, Rare, "0.2.0", Works;

    /// writes the completion of a shell or the manual page
    ["generate"] action("bash|zsh|fish|man"), Commands, Rare, "0.1.0", Works;

    /// explains an option or the code of a message
    ["explain"] action("OPTION|CODE"), Commands, Common, "0.1.0", Works;

    /// lists the names of all options that have an effect or need none, one a line
    ["dump-options"] ALONE, Commands, Rare, "0.2.0", Works;

    /// shows the version
    ["version"] ALONE, Commands, Core, "0.1.0", Works;

    /// shows the options
    ["help" "usage", 'h'] ALONE, Commands, Core, "0.1.0", Works;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::option::Argument;
    use super::*;

    /// Every option of uWSGI: name, argument, letter.
    fn uwsgi() -> Vec<Vec<&'static str>> {
        let lines = include_str!("options/uwsgi.txt").lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split('\t').collect()).collect()
    }

    #[test]
    fn every_name_and_letter_stands_once() {
        let (mut names, mut letters) = (HashSet::new(), HashSet::new());
        for option in OptionDef::all() {
            for name in option.names {
                assert!(names.insert(name), "`{name}` stands twice");
            }
            if let Some(letter) = option.short {
                assert!(letters.insert(letter), "`-{letter}` stands twice");
            }
        }
    }

    #[test]
    fn every_option_of_uwsgi_is_known() {
        let theirs = uwsgi();
        assert_eq!(theirs.len(), 1249);
        let missing: Vec<&str> =
            theirs.iter().map(|row| row[0]).filter(|name| OptionDef::known(name).is_none()).collect();
        assert_eq!(missing, Vec::<&str>::new());
        let names: HashSet<&str> = theirs.iter().map(|row| row[0]).collect();
        for option in OptionDef::all().filter(|option| !option.state.is_built()) {
            for name in option.names {
                assert!(names.contains(name), "`{name}` is neither built nor uWSGI's");
            }
        }
    }

    #[test]
    fn every_name_leads_to_its_option() {
        for option in OptionDef::all() {
            for name in option.names {
                assert!(std::ptr::eq(OptionDef::known(name).unwrap(), option), "{name}");
            }
        }
    }

    #[test]
    fn arguments_and_letters_are_uwsgis() {
        for row in uwsgi() {
            let option = OptionDef::known(row[0]).unwrap();
            let required = row.get(1) == Some(&"required");
            assert_eq!(option.argument() == Argument::Required, required, "`{}`", row[0]);
            if let Some(letter) = row.get(2) {
                assert_eq!(option.short.map(String::from).as_deref(), Some(*letter), "`{}`", row[0]);
            }
        }
    }

    #[test]
    fn states_are_counted() {
        let count = |state: &str| {
            let rows = OptionDef::all().filter(|option| option.state.as_str() == state);
            rows.map(|option| option.names.len()).sum::<usize>()
        };
        let ours = OptionDef::all().map(|option| option.names.len()).sum::<usize>();
        let [works, moot, later, foreign] = ["works", "no effect needed", "not yet", "other language"].map(count);
        assert_eq!(works + moot + later + foreign, ours);
        assert!(works >= 110 && foreign >= 100, "{works} {moot} {later} {foreign}");
        for option in OptionDef::all() {
            match option.state {
                State::Accepted(reason) | State::OtherLanguage(reason) => assert!(!reason.is_empty()),
                State::Works => assert!(!option.since.is_empty() || option.group == Configuration),
                State::NotYet => assert!(option.since.is_empty(), "{}", option.name()),
            }
        }
    }

    #[test]
    fn descriptions_follow_the_house_style() {
        for option in OptionDef::all() {
            let help = option.help();
            assert!(!help.ends_with('.'), "`{}` ends in a full stop", option.name());
            assert!(help.len() <= 90, "`{}`: {} letters", option.name(), help.len());
            assert!(option.rank == Rare || !option.doc.is_empty(), "`{}` is not described", option.name());
        }
    }

    #[test]
    fn chapters_are_not_torn_apart() {
        let order = |option: &OptionDef| Group::ALL.iter().position(|group| *group == option.group);
        assert!(OPTIONS.is_sorted_by_key(order));
    }
}
