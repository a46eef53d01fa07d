//! What one option is: its names, the kind of value it takes, where it stands in the reference.
//!
//! The rows are in `options`; everything that reads the table (the ini reader, `cli`, `render`,
//! `suggest`) goes through [`OptionDef`]. Nothing here knows a single option by name.

use std::borrow::Cow;

use crate::net::listener::Protocol;

/// One row of the option table.
#[derive(Debug)]
pub struct OptionDef {
    /// Every name, the one the documentation uses first.
    pub names: &'static [&'static str],
    /// The one-letter form for the command line.
    pub short: Option<char>,
    /// What values it takes.
    pub kind: Kind,
    /// The chapter of the reference it stands in.
    pub group: Group,
    /// How many deployments need it.
    pub rank: Rank,
    /// The release of rustwsgi it came with.
    pub since: &'static str,
    /// Whether it does what it says.
    pub state: State,
    /// uWSGI's default, where ours differs.
    pub uwsgi_default: Option<&'static str>,
    /// The description, a line each; the first stands alone in `--help`.
    pub doc: &'static [&'static str],
}

/// The values an option takes, and how they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off; a bare name is on.
    Switch,
    /// A whole number.
    Integer {
        /// The smallest value that works.
        min: i64,
        /// The largest value that works.
        max: i64,
        /// What to do with a larger one.
        over: Over,
    },
    /// One string.
    Text,
    /// One string, or nothing.
    OptionalText,
    /// On or off, said as a value on the command line too.
    SwitchValue,
    /// Decides about the lines that follow (uWSGI: `--if-env`, `--for`); bare or with a value.
    Logic,
    /// One path.
    Path,
    /// Permissions of a socket: three octal digits, bare means 666 (uWSGI: `--chmod-socket`).
    SocketMode,
    /// A umask: three or four octal digits (uWSGI: `--umask`).
    Umask,
    /// Strings that accumulate, in order.
    List,
    /// `NAME=value` strings that accumulate, in order.
    Pairs,
    /// Strings that accumulate; several may stand in one value, between commas.
    CommaList,
    /// An address to listen on; accumulates.
    Socket(Protocol),
    /// A configuration file that is read where it is named.
    File,
    /// Asks the command line for something other than serving; takes a value or not.
    Action {
        /// What stands for its value in `--help`; `None` when it takes none.
        value: Option<&'static str>,
    },
}

/// What happens to an integer above its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The start fails.
    Refuse,
    /// The maximum is taken, with a warning.
    Clamp,
}

/// A chapter of the option reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the configuration comes from, and the language it is written in.
    Configuration,
    /// What to listen on.
    Sockets,
    /// What to run.
    Application,
    /// What becomes of requests and responses.
    Requests,
    /// How many processes and threads, and how long they live.
    Processes,
    /// Other ways to serve many requests at a time.
    Engines,
    /// What brings a reload about, and how it goes.
    Reloading,
    /// Users, files and the terminal.
    System,
    /// Jails, namespaces, control groups.
    Isolation,
    /// Where lines go.
    Logging,
    /// What can be seen from outside.
    Watching,
    /// Files that no application serves.
    StaticFiles,
    /// Rules for requests.
    Routing,
    /// Actions at turning points.
    Hooks,
    /// Spooler, mules, cron, daemons, timers.
    Tasks,
    /// What processes share.
    Sharing,
    /// Many instances under one.
    Emperor,
    /// Instances that know of each other.
    Clusters,
    /// Proxies in front of the workers.
    Gateways,
    /// What uWSGI has in plugins that stand alone.
    Plugins,
    /// What is not Python.
    Languages,
    /// What the command line does instead of serving.
    Commands,
}

impl Group {
    /// Every chapter, in the order of the reference.
    pub const ALL: &'static [Self] = &[
        Self::Configuration,
        Self::Sockets,
        Self::Application,
        Self::Requests,
        Self::Processes,
        Self::Engines,
        Self::Reloading,
        Self::System,
        Self::Isolation,
        Self::Logging,
        Self::Watching,
        Self::StaticFiles,
        Self::Routing,
        Self::Hooks,
        Self::Tasks,
        Self::Sharing,
        Self::Emperor,
        Self::Clusters,
        Self::Gateways,
        Self::Plugins,
        Self::Languages,
        Self::Commands,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration",
            Self::Sockets => "Sockets",
            Self::Application => "Application",
            Self::Requests => "Requests",
            Self::Processes => "Processes and threads",
            Self::Engines => "Engines",
            Self::Reloading => "Reloading",
            Self::System => "System",
            Self::Isolation => "Isolation",
            Self::Logging => "Logging",
            Self::Watching => "Statistics and alarms",
            Self::StaticFiles => "Static files",
            Self::Routing => "Routing",
            Self::Hooks => "Hooks",
            Self::Tasks => "Background work",
            Self::Sharing => "Caches and sharing",
            Self::Emperor => "Emperor",
            Self::Clusters => "Clusters",
            Self::Gateways => "Gateways",
            Self::Plugins => "Plugins",
            Self::Languages => "Other languages",
            Self::Commands => "Commands",
        }
    }
}

/// How many deployments need an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Nearly every deployment.
    Core,
    /// Many.
    Common,
    /// Few.
    Rare,
}

impl Rank {
    /// The name as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Common => "common",
            Self::Rare => "rare",
        }
    }
}

/// Whether an option does what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Works,
    /// It is taken without complaint and changes nothing, for the reason given.
    Accepted(&'static str),
    /// rustwsgi does not have it yet: the start is refused, unless `tolerate-unsupported`.
    NotYet,
    /// It belongs to the language named, which rustwsgi does not run.
    OtherLanguage(&'static str),
}

impl State {
    /// Whether a start may rely on the option.
    pub const fn is_built(self) -> bool {
        matches!(self, Self::Works | Self::Accepted(_))
    }

    /// The name as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Accepted(_) => "no effect needed",
            Self::NotYet => "not yet",
            Self::OtherLanguage(_) => "other language",
        }
    }
}

/// Whether a value follows the name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Only as `--name=value`, if at all.
    Optional,
    /// Always: `--name value` or `--name=value`.
    Required,
}

impl OptionDef {
    /// Finds an option that is built by any of its names, exactly as written.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::known(name).filter(|option| option.state.is_built())
    }

    /// The name the documentation uses.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }

    /// The other names.
    pub fn aliases(&self) -> &'static [&'static str] {
        &self.names[1..]
    }

    /// The description in one line. Rare options that are not built have what the table knows.
    pub fn help(&self) -> Cow<'static, str> {
        match self.doc.first() {
            Some(line) => line.trim().into(),
            None => format!("an option of uWSGI that is not described yet; takes {}", self.takes()).into(),
        }
    }

    /// Whether the table has it for the command line alone.
    pub fn is_action(&self) -> bool {
        matches!(self.kind, Kind::Action { .. })
    }

    /// Whether values accumulate instead of the last one winning.
    pub fn repeats(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Pairs | Kind::CommaList | Kind::Socket(_) | Kind::File)
    }

    /// Whether a value follows on the command line.
    pub fn argument(&self) -> Argument {
        match self.kind {
            Kind::Switch | Kind::SocketMode | Kind::OptionalText | Kind::Action { value: None } => Argument::Optional,
            // uWSGI: `--if-reload` is the one that asks for nothing.
            Kind::Logic if self.name().ends_with("reload") => Argument::Optional,
            _ => Argument::Required,
        }
    }

    /// What stands for its value in `--help` and the reference.
    pub fn placeholder(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Switch | Kind::OptionalText => None,
            Kind::SwitchValue => Some("BOOL"),
            Kind::Logic => Some("WHAT"),
            Kind::Integer { .. } => Some("N"),
            Kind::Text | Kind::List => Some("TEXT"),
            Kind::Path => Some("PATH"),
            Kind::SocketMode | Kind::Umask => Some("MODE"),
            Kind::Pairs => Some("NAME=VALUE"),
            Kind::CommaList => Some("NAME,…"),
            Kind::Socket(_) => Some("ADDRESS"),
            Kind::File => Some("FILE"),
            Kind::Action { value } => value,
        }
    }

    /// The values it takes, in words.
    pub fn takes(&self) -> String {
        match self.kind {
            Kind::Switch | Kind::SwitchValue => "on or off".into(),
            Kind::OptionalText => "a string, or nothing".into(),
            Kind::Logic => "what to look at".into(),
            Kind::Integer { min: i64::MIN, .. } => "a whole number".into(),
            Kind::Integer { min, max, .. } if max < i64::from(u32::MAX) => {
                format!("a whole number, {min} to {max}")
            }
            Kind::Integer { min, .. } => format!("a whole number of at least {min}"),
            Kind::Text => "a string".into(),
            Kind::Path => "a path".into(),
            Kind::SocketMode => "three octal digits, 666 if bare".into(),
            Kind::Umask => "three or four octal digits".into(),
            Kind::List => "a string, repeatable".into(),
            Kind::Pairs => "`NAME=value`, repeatable".into(),
            Kind::CommaList => "names between commas, repeatable".into(),
            Kind::Socket(_) => "an address, repeatable".into(),
            Kind::File => "a file, repeatable".into(),
            Kind::Action { value: None } => "nothing".into(),
            Kind::Action { value: Some(value) } => format!("`{value}`"),
        }
    }
}
