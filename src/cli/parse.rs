//! Arguments to [`Action`], with clap built from the option table.
//!
//! uWSGI: `--name value`, `--name=value`, unambiguous beginnings of names, `-p4`, `-p 4`, letters
//! together (`-MT`). Options keep their order, because the last one wins and files count where they
//! stand. Options of uWSGI that are not built are known by name, so that they are told from typos.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{Action, Target};
use crate::config::render::Detail;
use crate::config::{Argument, OptionDef, Origin, Setting, Source, suggest};
use crate::error::{Code, Error};

/// The id of what stands without an option.
const POSITIONAL: &str = "";

/// Decides what the arguments, the program's name first, ask for. The environment goes into the
/// [`Source`] as it is now.
///
/// Errors: an option nobody knows, one without its value, a word that is no ini file.
pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Action, Error> {
    let program = arguments.next().unwrap_or_default();
    let as_uwsgi = Path::new(&program).file_name().is_some_and(|name| name == "uwsgi");
    let mut arguments = arguments.peekable();
    if arguments.next_if(|word| word == "convert").is_some() {
        return arguments.map(|word| text(&word)).collect::<Result<_, _>>().map(Action::Convert);
    }
    if arguments.next_if(|word| word == "ctl").is_some() {
        return arguments.map(|word| text(&word)).collect::<Result<_, _>>().map(Action::Control);
    }
    let words = spelled_out(arguments.map(with_equals).collect());
    let matches = command(&|name, option| is_about(&words, name, option))
        .try_get_matches_from(&words)
        .map_err(|error| explain(&error))?;
    let given = in_order(&matches)?;
    let last = |name: &str| given.iter().rfind(|setting| setting.key == name);
    let has = |name: &str| last(name).is_some_and(|setting| setting.value != "false");
    if has("help") {
        return Ok(Action::Help(Detail::of(last("help").map_or("", |setting| setting.value.as_str()))));
    }
    if has("version") {
        return Ok(Action::Version { as_uwsgi });
    }
    if has("dump-options") {
        return Ok(Action::Names);
    }
    if let Some(subject) = last("explain") {
        return Ok(Action::Explain(subject.value.clone()));
    }
    if let Some(what) = last("generate") {
        return Ok(Action::Generate(what.value.clone()));
    }
    // uWSGI acts on whichever of the two comes first.
    let signal = given.iter().find(|setting| matches!(setting.key.as_str(), "stop" | "reload"));
    if let Some(signal) = signal {
        let target = Target {
            pidfile: signal.value.clone().into(),
            wait: !has("no-wait"),
            timeout: last("timeout").map(seconds).transpose()?,
        };
        return Ok(match signal.key.as_str() {
            "stop" => Action::Stop(target),
            _ => Action::Reload(target),
        });
    }
    for name in ["no-wait", "timeout"] {
        if let Some(setting) = last(name) {
            let message = format!("`--{name}` goes with `--stop` or `--reload`");
            return Err(Error::new(Code::BadCommandLine, message).at(setting));
        }
    }
    let words = positional(&matches)?;
    let show = has("show-config");
    let checked: Vec<Setting> = given.iter().filter(|setting| setting.key == "check").map(to_read).collect();
    let check = !checked.is_empty();
    let json = has("json-output");
    let wanted: Vec<String> =
        given.iter().filter(|setting| setting.key == "get").map(|setting| setting.value.clone()).collect();
    // uWSGI shows the option that has it show the others.
    let kept = |setting: &Setting| !is_action(&setting.key) || as_uwsgi && setting.key == "show-config";
    let source = Source {
        arguments: given.into_iter().filter(kept).chain(words.settings).chain(checked).collect(),
        files: words.files,
        prints: !check && (!show || as_uwsgi) && wanted.is_empty(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        ..Source::default()
    };
    if check {
        return Ok(Action::Check { source, json });
    }
    if !wanted.is_empty() {
        return Ok(Action::Get { source, wanted });
    }
    Ok(match show {
        true => Action::ShowConfig { source, as_uwsgi, json },
        false => Action::Serve(source),
    })
}

/// `-C660` as clap wants it, `-C=660`: the value of this letter may be missing, so clap takes it
/// for more letters.
fn with_equals(word: OsString) -> OsString {
    match word.to_str().and_then(|word| word.strip_prefix("-C")) {
        Some(mode) if mode.starts_with(|c: char| c.is_ascii_digit()) => format!("-C={mode}").into(),
        _ => word,
    }
}

/// What clap can't tell by itself: `-h` and `--help all` are lengths of the help, `--json` beside
/// `--check` or `--show-config`, without a file, is the form of the answer (uWSGI: `--json FILE`
/// reads one), and in `--reload --no-wait PIDFILE` the pid file comes after what would be taken for
/// it.
fn spelled_out(words: Vec<OsString>) -> Vec<OsString> {
    let answers = words.iter().any(|word| word == "--check" || word == "--show-config");
    let mut spelled = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let alone = words.peek().is_none_or(|next| next.to_str().is_some_and(|next| next.starts_with('-')));
        match word.to_str() {
            Some("-h") => spelled.push("--help=everyday".into()),
            Some("--help") if words.next_if(|next| next == "all").is_some() => spelled.push("--help=all".into()),
            Some("--stop" | "--reload") => {
                while let Some(next) = words.next_if(|next| next.to_str().is_some_and(is_about_waiting)) {
                    let value = next == "--timeout";
                    spelled.push(next);
                    spelled.extend(words.next_if(|_| value));
                }
                spelled.push(word);
                spelled.extend(words.next());
            }
            Some("--json") if answers && alone => spelled.push("--json-output".into()),
            _ => spelled.push(word),
        }
    }
    spelled
}

/// Whether a word goes with `--stop` and `--reload` and is no pid file.
fn is_about_waiting(word: &str) -> bool {
    matches!(word, "--no-wait" | "--timeout") || word.starts_with("--timeout=")
}

/// `--check FILE` reads the file by its ending, any other as an ini file.
fn to_read(setting: &Setting) -> Setting {
    let file = setting.value.rsplit_once(':').map_or(setting.value.as_str(), |(file, _)| file);
    let known = [&setting.value, file]
        .iter()
        .any(|name| [".xml", ".yaml", ".yml", ".json", ".js", ".toml"].iter().any(|ending| name.ends_with(ending)));
    let key = if known { "include" } else { "ini" };
    Setting { key: key.into(), ..setting.clone() }
}

/// Whether one of the words may be an option, by its name or the beginning of it, or by its letter.
/// The others are left out, because clap needs longer for all of them than everything else takes.
fn is_about(words: &[OsString], name: &str, option: &OptionDef) -> bool {
    option.short.is_some()
        || words.iter().filter_map(|word| word.to_str()?.strip_prefix("--")).any(|word| {
            let word = word.split('=').next().unwrap_or(word);
            name.starts_with(word)
        })
}

fn command(wanted: &dyn Fn(&str, &OptionDef) -> bool) -> Command {
    let positional = Arg::new(POSITIONAL).num_args(0..).value_parser(value_parser!(OsString));
    let mut command = Command::new("rustwsgi")
        .no_binary_name(true)
        .infer_long_args(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(false)
        .arg(positional);
    // Every name is an argument of its own, because a setting keeps the name it was given by.
    let names = OptionDef::all().flat_map(|option| option.names.iter().map(move |name| (*name, option)));
    for (name, option) in names.filter(|(name, option)| wanted(name, option)) {
        command = command.arg(argument(name, option.short.filter(|_| name == option.name()), option.argument()));
    }
    command
}

fn argument(name: &'static str, short: Option<char>, argument: Argument) -> Arg {
    let arg = Arg::new(name).long(name).short(short).action(ArgAction::Append).value_parser(value_parser!(OsString));
    match argument {
        Argument::Required => arg.num_args(1).allow_hyphen_values(true),
        Argument::Optional => arg.num_args(0..=1).require_equals(true).default_missing_value(""),
    }
}

/// The options as settings, in the order they stand in.
fn in_order(matches: &ArgMatches) -> Result<Vec<Setting>, Error> {
    let mut given = Vec::new();
    for id in matches.ids().map(clap::Id::as_str).filter(|id| *id != POSITIONAL) {
        let values = matches.get_many::<OsString>(id).into_iter().flatten();
        for (index, value) in matches.indices_of(id).into_iter().flatten().zip(values) {
            let value = text(value)?;
            let key = OptionDef::find(id).filter(|option| option.is_action()).map_or(id, |action| action.name()).into();
            given.push((index, Setting { key, value, origin: Origin::CommandLine }));
        }
    }
    given.sort_by_key(|(index, _)| *index);
    Ok(given.into_iter().map(|(_, setting)| setting).collect())
}

/// What stands without an option.
#[derive(Debug, Default)]
struct Words {
    /// Configuration files, by their ending.
    files: Vec<String>,
    /// What other words stand for.
    settings: Vec<Setting>,
}

/// Reads what stands without an option: configuration files, an application's file, an address to
/// serve HTTP on. uWSGI: what begins with `[` is skipped; it takes nothing but files.
fn positional(matches: &ArgMatches) -> Result<Words, Error> {
    let mut words = Words::default();
    let given = matches.get_many::<OsString>(POSITIONAL).into_iter().flatten();
    for word in given {
        let word = text(word)?;
        let setting = |key: &str| Setting { key: key.into(), value: word.clone(), origin: Origin::CommandLine };
        if word.starts_with('[') && !is_address(&word) {
            continue;
        } else if Source::is_file(&word) {
            words.files.push(word);
        } else if word.ends_with(".py") || word.ends_with(".wsgi") {
            words.settings.push(setting("wsgi-file"));
        } else if is_address(&word) {
            words.settings.push(setting("http-socket"));
        } else {
            return Err(not_a_file(&word));
        }
    }
    Ok(words)
}

/// Whether a word can be nothing but an address: `:8080`, `localhost:8080`, `[::1]:8080`.
fn is_address(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && !host.contains(['/', '=']) && (!host.contains(':') || host.starts_with('['))
    })
}

fn not_a_file(word: &str) -> Error {
    let message = format!("cannot tell what `{word}` is for");
    let error = Error::new(Code::BadCommandLine, message).at("argv");
    if word.ends_with(".pid") {
        error.hint(format!("rustwsgi --stop {word}")).hint(format!("rustwsgi --reload {word}"))
    } else {
        error.hint(format!("rustwsgi --ini {word}"))
    }
}

fn seconds(setting: &Setting) -> Result<u64, Error> {
    setting.value.parse().map_err(|_| {
        let message = format!("`timeout` takes a whole number of seconds, not `{}`", setting.value);
        Error::new(Code::BadValue, message).at(setting)
    })
}

fn text(word: &OsString) -> Result<String, Error> {
    word.to_str().map(String::from).ok_or_else(|| {
        let message = format!("`{}` is not UTF-8", word.to_string_lossy());
        Error::new(Code::BadCommandLine, message).at("argv")
    })
}

fn is_action(name: &str) -> bool {
    OptionDef::find(name).is_some_and(OptionDef::is_action)
}

/// clap's refusal in our words.
fn explain(error: &clap::Error) -> Error {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word.as_str(),
        Some(ContextValue::Strings(words)) => words.first().map_or("", String::as_str),
        _ => "",
    };
    // clap shows an option with its value: `--processes <processes>`.
    let word = word.split(' ').next().unwrap_or(word);
    let name = word.split('=').next().unwrap_or(word).trim_start_matches('-');
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(word, name),
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            let error = Error::new(Code::BadCommandLine, format!("`{word}` needs a value"));
            match OptionDef::find(name).and_then(OptionDef::placeholder) {
                Some(value) => error.hint(format!("{word} {value}")),
                None => error,
            }
        }
        _ => Error::new(Code::BadCommandLine, error.kind().to_string()),
    }
    .at("argv")
}

fn unknown(word: &str, name: &str) -> Error {
    let beginnings: Vec<String> = names()
        .filter(|known| word.starts_with("--") && !name.is_empty() && known.starts_with(name))
        .map(|known| format!("--{known}"))
        .collect();
    if beginnings.len() > 1 {
        let message = format!("`{word}` may be any of {}", beginnings.join(", "));
        return Error::new(Code::BadCommandLine, message);
    }
    let error = Error::new(Code::UnknownOption, format!("unknown option `{word}`"));
    let near: Vec<String> = match word.starts_with("--") {
        true => suggest::options(name).iter().map(|name| format!("--{name}")).collect(),
        false => vec![],
    };
    match suggest::sentence(&near) {
        Some(sentence) => error.hint(sentence),
        None => error.hint("rustwsgi --help"),
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    OptionDef::all().flat_map(|option| option.names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(line: &str) -> Result<Action, Error> {
        parse(std::iter::once("rustwsgi").chain(line.split_whitespace()).map(OsString::from))
    }

    fn settings(line: &str) -> Vec<(String, String)> {
        match action(line).unwrap() {
            Action::Serve(source) => source.arguments.into_iter().map(|setting| (setting.key, setting.value)).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(line: &str) -> String {
        action(line).unwrap_err().to_string()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn the_table_is_a_sound_command_line() {
        command(&|_, _| true).debug_assert();
    }

    #[test]
    fn options_keep_their_order() {
        assert_eq!(
            settings("--http-socket :1 --socket :2 --ini a.ini --http-socket=:3 -p4 -M --workers 5 -s :4"),
            pairs(&[
                ("http-socket", ":1"),
                ("socket", ":2"),
                ("ini", "a.ini"),
                ("http-socket", ":3"),
                ("processes", "4"),
                ("master", ""),
                ("workers", "5"),
                ("socket", ":4"),
            ])
        );
    }

    #[test]
    fn every_way_to_write_an_option() {
        assert_eq!(
            settings("-MT -C660 -C --chmod-socket=664 --master=false --need-app --proces 2 -p 3 -t60"),
            pairs(&[
                ("master", ""),
                ("enable-threads", ""),
                ("chmod-socket", "660"),
                ("chmod-socket", ""),
                ("chmod-socket", "664"),
                ("master", "false"),
                ("need-app", ""),
                ("processes", "2"),
                ("processes", "3"),
                ("harakiri", "60"),
            ])
        );
        assert_eq!(settings("--max-requests -1"), pairs(&[("max-requests", "-1")]));
        assert_eq!(
            settings("--env A=1 --env B=2=3 --stats :9191 --memory-report"),
            pairs(&[("env", "A=1"), ("env", "B=2=3"), ("stats", ":9191"), ("memory-report", "")])
        );
    }

    #[test]
    fn ini_files_need_no_option() {
        let Ok(Action::Serve(source)) = action("a.ini --vacuum conf/b.ini:web [x] -p 2") else {
            panic!("not served");
        };
        assert_eq!(source.files, ["a.ini", "conf/b.ini:web"]);
        let keys: Vec<_> = source.arguments.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(keys, ["vacuum", "processes"]);
    }

    #[test]
    fn other_words_are_applications_and_addresses() {
        assert_eq!(
            settings(":8080 --module x site.py a.wsgi localhost:80 [::1]:81 [bracketed]"),
            pairs(&[
                ("module", "x"),
                ("http-socket", ":8080"),
                ("wsgi-file", "site.py"),
                ("wsgi-file", "a.wsgi"),
                ("http-socket", "localhost:80"),
                ("http-socket", "[::1]:81"),
            ])
        );
        let Ok(Action::Serve(source)) = action("a.yml b.yaml:x c.json d.js e.xml f.toml") else {
            panic!("not served");
        };
        assert_eq!(source.files, ["a.yml", "b.yaml:x", "c.json", "d.js", "e.xml", "f.toml"]);
        for line in [":99999", "x:y", "/tmp/a:80", "a:b:80", "8080", "-"] {
            assert!(action(line).is_err(), "{line}");
        }
    }

    #[test]
    fn stop_and_reload() {
        let target = |wait, timeout| Target { pidfile: "a.pid".into(), wait, timeout };
        let stop = action("--stop a.pid --timeout 5").unwrap();
        assert!(matches!(stop, Action::Stop(stop) if stop == target(true, Some(5))));
        let reload = action("--no-wait --reload=a.pid").unwrap();
        assert!(matches!(reload, Action::Reload(reload) if reload == target(false, None)));
        for line in ["--reload --no-wait --timeout 5 a.pid", "--reload --timeout=5 --no-wait a.pid"] {
            let reload = action(line).unwrap();
            assert!(matches!(reload, Action::Reload(reload) if reload == target(false, Some(5))), "{line}");
        }
        assert!(matches!(action("ctl a.pid status"), Ok(Action::Control(words)) if words == ["a.pid", "status"]));
        assert_eq!(
            refusal("--stop a.pid --timeout soon"),
            "error[RW0103]: `timeout` takes a whole number of seconds, not `soon`\n  \
             --> argv: --timeout soon"
        );
        assert_eq!(
            refusal("--ini a.ini --no-wait"),
            "error[RW0105]: `--no-wait` goes with `--stop` or `--reload`\n  --> argv: --no-wait"
        );
    }

    #[test]
    fn questions() {
        assert!(matches!(action("--ini a.ini --help"), Ok(Action::Help(Detail::Common))));
        assert!(matches!(action("-h"), Ok(Action::Help(Detail::Everyday))));
        assert!(matches!(action("--help all"), Ok(Action::Help(Detail::All))));
        assert!(matches!(action("--generate man"), Ok(Action::Generate(what)) if what == "man"));
        for (line, key, as_json) in [
            ("--check a.ini", "ini", false),
            ("--check a.yml --json", "include", true),
            ("--json --check deploy", "ini", true),
            ("--check a.ini:prod --strict", "ini", false),
        ] {
            let Ok(Action::Check { source, json }) = action(line) else { panic!("{line} checks nothing") };
            assert_eq!(json, as_json, "{line}");
            assert_eq!(source.arguments.last().unwrap().key, key, "{line}");
        }
        assert!(matches!(action("--version"), Ok(Action::Version { as_uwsgi: false })));
        let words = ["/usr/bin/uwsgi", "--version"].map(OsString::from);
        assert!(matches!(parse(words.into_iter()), Ok(Action::Version { as_uwsgi: true })));
        assert!(
            matches!(action("convert gunicorn -w 4"), Ok(Action::Convert(words)) if words == ["gunicorn", "-w", "4"])
        );
        assert!(matches!(action("--explain RW0101"), Ok(Action::Explain(what)) if what == "RW0101"));
        assert!(matches!(action("--show-config --json --ini a.ini"), Ok(Action::ShowConfig { json: true, .. })));
        assert!(matches!(action("--show-config --json a.js"), Ok(Action::ShowConfig { json: false, .. })));
        let Ok(Action::ShowConfig { source, as_uwsgi: false, json: false }) = action("--show-config a.ini") else {
            panic!("not shown");
        };
        assert!(source.arguments.is_empty());
        assert_eq!(source.files, ["a.ini"]);
        let Ok(Action::Serve(source)) = action("") else {
            panic!("not served");
        };
        assert!(source.arguments.is_empty() && source.files.is_empty());
    }

    #[test]
    fn says_what_it_does_not_understand() {
        for (line, text) in [
            (
                "--procesess 4",
                "error[RW0101]: unknown option `--procesess`\n  --> argv\n\
                 hint: did you mean `--processes`?",
            ),
            (
                "--procesess=4",
                "error[RW0101]: unknown option `--procesess`\n  --> argv\n\
                 hint: did you mean `--processes`?",
            ),
            ("--zzyzx", "error[RW0101]: unknown option `--zzyzx`\n  --> argv\nhint: rustwsgi --help"),
            ("-Z", "error[RW0101]: unknown option `-Z`\n  --> argv\nhint: rustwsgi --help"),
            (
                "--proc 3",
                "error[RW0105]: `--proc` may be any of --processes, --procname-prefix, \
                 --procname-prefix-spaced, --procname-append, --procname, --procname-master\n  --> argv",
            ),
            ("--processes", "error[RW0105]: `--processes` needs a value\n  --> argv\nhint: --processes N"),
            ("-H", "error[RW0105]: `--home` needs a value\n  --> argv\nhint: --home PATH"),
            (
                "site.pid",
                "error[RW0105]: cannot tell what `site.pid` is for\n  --> argv\n\
                 hint: rustwsgi --stop site.pid\nhint: rustwsgi --reload site.pid",
            ),
            (
                "deploy/",
                "error[RW0105]: cannot tell what `deploy/` is for\n  --> argv\n\
                 hint: rustwsgi --ini deploy/",
            ),
        ] {
            assert_eq!(refusal(line), text, "{line}");
        }
    }
}
