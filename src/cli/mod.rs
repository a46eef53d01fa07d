//! The command line: what the user wants, and what it ends with.
//!
//! Called by `main` (and by whoever embeds rustwsgi) with the arguments, the program's name first.
//! [`parse`] decides without side effects; [`run`] does it and answers with the exit code. How an
//! instance is served, stopped and reloaded is in `instance`.
#![forbid(unsafe_code)]

mod check;
mod convert;
mod ctl;
mod instance;
mod parse;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use crate::config::render::{Detail, Shell};
use crate::config::show::{self, Effective};
use crate::config::{Config, Origin, Setting, Source, UWSGI_VERSION, render};
use crate::error::{Code, Error};

pub use parse::parse;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Action {
    /// To serve what the source names.
    Serve(Source),
    /// To end a running instance.
    Stop(Target),
    /// To have a running instance load its application anew.
    Reload(Target),
    /// To show what the source amounts to.
    ShowConfig {
        /// The source.
        source: Source,
        /// In uWSGI's form, on stderr, directives included: called by its name.
        as_uwsgi: bool,
        /// Whether to answer in JSON.
        json: bool,
    },
    /// To print the first value of each name that is set.
    Get {
        /// The source.
        source: Source,
        /// The names.
        wanted: Vec<String>,
    },
    /// To have a running instance do what the words behind `ctl` say.
    Control(Vec<String>),
    /// To turn what the words name into a flat ini.
    Convert(Vec<String>),
    /// To explain an option or the code of a message.
    Explain(String),
    /// To list the options.
    Help(Detail),
    /// To tell everything that is wrong with what the source names.
    Check {
        /// What to look at.
        source: Source,
        /// Whether to answer in JSON.
        json: bool,
    },
    /// To list the names of the options that are built, one a line.
    Names,
    /// To write the completion of a shell or the manual page.
    Generate(String),
    /// To name the version.
    Version {
        /// Called by uWSGI's name, by something that may compare versions.
        as_uwsgi: bool,
    },
}

/// A running instance, and how long the command may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The file with the master's pid, as named.
    pub pidfile: PathBuf,
    /// Whether to wait for the outcome.
    pub wait: bool,
    /// How many seconds to wait at most, if said.
    pub timeout: Option<u64>,
}

/// Does what the command line asks for. Answers with the exit code of the process.
pub fn run(arguments: impl Iterator<Item = OsString>) -> i32 {
    let mut arguments = arguments.peekable();
    let program = arguments.next();
    let done = if arguments.next_if(|word| word == "--upgrade-check").is_some() {
        let layout = arguments.next().unwrap_or_default();
        instance::upgrade_check(&layout.to_string_lossy(), arguments)
    } else {
        parse(program.into_iter().chain(arguments)).and_then(perform)
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            error.exit.into()
        }
    }
}

fn perform(action: Action) -> Result<i32, Error> {
    match action {
        Action::Serve(source) => instance::serve(source),
        Action::Stop(target) => instance::stop(&target),
        Action::Reload(target) => instance::reload(&target),
        Action::ShowConfig { source, as_uwsgi, json } => Ok(show_config(&source, as_uwsgi, json)),
        Action::Get { source, wanted } => first_values(&source, &wanted),
        Action::Control(words) => ctl::control(&words),
        Action::Convert(words) => convert::convert(&words),
        Action::Explain(subject) => render::explain(&subject).map(|text| say(&text)),
        Action::Help(detail) => Ok(say(&render::help(detail))),
        Action::Check { source, json } => check::check(&source, json),
        Action::Names => Ok(say(&render::names())),
        Action::Generate(what) => generate(&what),
        Action::Version { as_uwsgi: true } => Ok(say(&format!("{UWSGI_VERSION}\n"))),
        Action::Version { as_uwsgi: false } => {
            Ok(say(&format!("rustwsgi {} (compatible with uWSGI {UWSGI_VERSION})\n", env!("CARGO_PKG_VERSION"))))
        }
    }
}

fn show_config(source: &Source, as_uwsgi: bool, json: bool) -> i32 {
    let directory = match std::env::current_dir() {
        Ok(directory) => directory,
        Err(cause) => {
            complain(&Error::system("cannot tell the working directory", cause));
            return 1;
        }
    };
    if as_uwsgi && !json {
        return match Config::exported(source, &directory) {
            Ok(settings) => show_as_uwsgi(&settings),
            Err(errors) => {
                errors.iter().for_each(|error| complain(error));
                1
            }
        };
    }
    let Effective { settings, errors, warnings } = Effective::read(source, &directory);
    warnings.iter().for_each(|warning| complain(warning));
    errors.iter().for_each(|error| complain(error));
    if let Some(settings) = settings {
        match show::json(&settings) {
            Ok(text) if json => say(&format!("{text}\n")),
            _ => say(&show::lines(&settings)),
        };
    }
    i32::from(!errors.is_empty())
}

/// uWSGI: `--get` prints the first value under each name, and nothing for a name that is not set.
fn first_values(source: &Source, wanted: &[String]) -> Result<i32, Error> {
    let directory =
        std::env::current_dir().map_err(|cause| Error::system("cannot tell the working directory", cause))?;
    let settings = match Config::exported(source, &directory) {
        Ok(settings) => settings,
        Err(errors) => {
            errors.iter().for_each(|error| complain(error));
            return Ok(1);
        }
    };
    // A bare name of the command line has no value at all, one in a file an empty one.
    let bare = |setting: &&Setting| setting.value.is_empty() && setting.origin == Origin::CommandLine;
    let first = |name: &String| settings.iter().find(|setting| setting.key == *name).filter(|it| !bare(it));
    for setting in wanted.iter().filter_map(first) {
        say(&format!("{}\n", setting.value));
    }
    Ok(0)
}

fn generate(what: &str) -> Result<i32, Error> {
    let text = match what {
        "bash" => render::completion(Shell::Bash),
        "zsh" => render::completion(Shell::Zsh),
        "fish" => render::completion(Shell::Fish),
        "man" => render::manual(),
        _ => {
            let message = format!("`--generate` takes `bash`, `zsh`, `fish` or `man`, not `{what}`");
            return Err(Error::new(Code::BadCommandLine, message).at("argv"));
        }
    };
    Ok(say(&text))
}

/// uWSGI: `--show-config` writes every setting in order between two comments.
fn show_as_uwsgi(settings: &[Setting]) -> i32 {
    let mut text = String::from(";uWSGI instance configuration\n[uwsgi]\n");
    for setting in settings {
        let _ = writeln!(text, "{} = {}", setting.key, setting.shown());
    }
    complain(&format_args!("{text};end of configuration\n"));
    0
}

/// Writes to stdout. A reader that has gone away is no reason to fail.
fn say(text: &str) -> i32 {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    0
}

/// Writes a message to stderr.
fn complain(message: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
