//! The tables as text: `--help`, `--explain`, `docs/options.md`, `docs/errors.md`.
//!
//! Called by `cli`, and by the test that keeps `docs/options.md` what it should be. Decides how
//! things look; what they are stands in the table.

use std::fmt::Write as _;

use super::option::{Group, OptionDef, Rank, State};
use super::{Config, suggest};
use crate::error::{Code, Error};

mod manual;
mod shell;

pub use manual::manual;
pub use shell::{Shell, completion};

/// Where the column with the descriptions begins in `--help`.
const HELP_COLUMN: usize = 34;

/// How much of the table `--help` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What nearly every deployment needs: `-h`.
    Everyday,
    /// What is built and not rare: `--help`.
    Common,
    /// Every option, what is not built too: `--help all`.
    All,
}

impl Detail {
    /// Reads the value of `--help`; anything but `all` and `everyday` is the usual help.
    pub fn of(word: &str) -> Self {
        match word {
            "all" => Self::All,
            "everyday" => Self::Everyday,
            _ => Self::Common,
        }
    }

    fn shows(self, option: &OptionDef) -> bool {
        match self {
            Self::Everyday => option.state == State::Works && option.rank == Rank::Core,
            Self::Common => option.state.is_built() && option.rank < Rank::Rare,
            Self::All => true,
        }
    }
}

/// `1 worker`, `2 workers`.
pub fn counted(number: usize, word: &str) -> String {
    match number {
        1 => format!("1 {word}"),
        many => format!("{many} {word}{}", if word.ends_with('s') { "es" } else { "s" }),
    }
}

/// The text of `--help`: how to call rustwsgi, and the options.
pub fn help(detail: Detail) -> String {
    let mut text = String::from(
        "rustwsgi serves Python sites from a uwsgi.ini\n\n\
         usage:\n  \
         rustwsgi --ini uwsgi.ini            start\n  \
         rustwsgi --check uwsgi.ini          tell everything that is wrong with it\n  \
         rustwsgi --reload uwsgi.pid         load the site's code anew\n  \
         rustwsgi --stop uwsgi.pid           stop\n  \
         rustwsgi --explain OPTION|CODE      explain an option or a message\n\n\
         every option may stand in the ini file as `option = value`\n",
    );
    for group in Group::ALL {
        let options: Vec<_> =
            OptionDef::all().filter(|option| option.group == *group && detail.shows(option)).collect();
        if options.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{}:\n", group.title());
        for option in options {
            let left = usage(option);
            let state = match option.state {
                State::Works | State::Accepted(_) => "",
                State::NotYet => " (not yet)",
                State::OtherLanguage(_) => " (other language)",
            };
            let _ = match left.len() < HELP_COLUMN - 1 {
                true => writeln!(text, "{left:HELP_COLUMN$}{}{state}", option.help()),
                false => writeln!(text, "{left}\n{:HELP_COLUMN$}{}{state}", "", option.help()),
            };
        }
    }
    text.push_str(match detail {
        Detail::Everyday => "\n`--help` has more options, `--help all` has every one\n",
        Detail::Common => "\n`--help all` has every option\n",
        Detail::All => "",
    });
    text
}

/// `  -p, --processes N`.
fn usage(option: &OptionDef) -> String {
    let short = option.short.map_or("    ".into(), |short| format!("-{short}, "));
    let value = option.placeholder().map_or(String::new(), |value| format!(" {value}"));
    format!("  {short}--{}{value}", option.name())
}

/// The names that can be used in a configuration, one a line (uWSGI: `--dump-options`).
pub fn names() -> String {
    let built = OptionDef::all().filter(|option| option.state.is_built());
    built.flat_map(|option| option.names).map(|name| format!("{name}\n")).collect()
}

/// The text of `--explain`: an option by any of its names, or a code such as `RW0101`.
pub fn explain(subject: &str) -> Result<String, Error> {
    let upper = subject.to_uppercase();
    if let Some(code) = Code::ALL.iter().find(|code| code.as_str() == upper) {
        return Ok(explain_code(*code));
    }
    let name = subject.trim_start_matches('-');
    if let Some(option) = OptionDef::known(name) {
        return Ok(explain_option(option));
    }
    let error = Error::new(Code::BadCommandLine, format!("`{subject}` is neither an option nor the code of a message"));
    let codes = Code::ALL.iter().map(|code| code.as_str());
    let near = match upper.starts_with("RW") {
        true => suggest::nearest(&upper, codes),
        false => suggest::options(name),
    };
    Err(match suggest::sentence(&near) {
        Some(sentence) => error.hint(sentence),
        None => error,
    })
}

fn explain_code(code: Code) -> String {
    let (name, title, page) = (code.as_str(), code.title(), wrapped(code.page()));
    format!("{name}: {title}\n\n{page}\n\n{}to look at: {}\n", example(code), code.fault().as_str())
}

/// The example of a code as a paragraph, indented.
fn example(code: Code) -> String {
    let lines = code.example().into_iter().flat_map(str::lines);
    let text: String = lines.map(|line| format!("    {line}\n")).collect();
    if text.is_empty() { text } else { format!("{text}\n") }
}

/// The text in lines of at most 100 letters.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 100 => {
                let gap = if line.is_empty() { "" } else { " " };
                let _ = write!(line, "{gap}{word}");
            }
            _ => lines.push(word.into()),
        }
    }
    lines.join("\n")
}

/// The text of `docs/errors.md`: every code, a page each.
pub fn errors() -> String {
    let mut text = format!(
        "# Messages\n\n\
         Every message has a stable code, the place it is about, and what to do. `rustwsgi --explain CODE` shows its page.\n\
         Made from the table of codes: `src/error/code.rs`.\n\n\
         **{}** codes.\n",
        Code::ALL.len()
    );
    for code in Code::ALL {
        let (name, title, page) = (code.as_str(), code.title(), wrapped(code.page()));
        let _ = write!(
            text,
            "\n## {name}: {title}\n\n{page}\n\n{}To look at: {}.\n",
            example(*code),
            code.fault().as_str()
        );
    }
    text
}

fn explain_option(option: &OptionDef) -> String {
    let mut text = format!("{}: {}\n", option.name(), option.help());
    for line in option.doc.iter().skip(1) {
        let _ = writeln!(text, "  {}", line.trim());
    }
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:12}{value}");
    };
    row("takes", option.takes());
    if !option.aliases().is_empty() {
        row("also", option.aliases().join(", "));
    }
    if let Some(short) = option.short {
        row("short", format!("-{short}"));
    }
    if let Some(default) = Config::default().shown(option) {
        row("default", default);
    }
    if let Some(default) = option.uwsgi_default {
        row("in uWSGI", default.into());
    }
    match option.state {
        State::Works => {}
        State::Accepted(reason) => row("state", format!("accepted without effect: {reason}")),
        State::NotYet => row("state", "not yet: the start is refused, unless `tolerate-unsupported = true`".into()),
        State::OtherLanguage(language) => row("state", format!("for {language}: the start is refused")),
    }
    if !option.since.is_empty() {
        row("since", option.since.into());
    }
    text
}

/// The text of `docs/options.md`: every option, chapter by chapter.
pub fn reference() -> String {
    let names = |state: &str| {
        let options = OptionDef::all().filter(|option| option.state.as_str() == state);
        options.map(|option| option.names.len()).sum::<usize>()
    };
    let mut text = format!(
        "# Options\n\n\
         Every option may stand in an ini file (`processes = 4`), on the command line (`--processes 4`) and in the\n\
         environment (`UWSGI_PROCESSES=4`). Made from the option table: `src/config/options.rs`.\n\n\
         **{}** options with **{}** names; all 1,249 names of uWSGI 2.0.31 are among them.\n\n\
         | state | names | meaning |\n|---|--:|---|\n",
        OptionDef::all().count(),
        OptionDef::all().map(|option| option.names.len()).sum::<usize>(),
    );
    for (state, meaning) in [
        ("works", "it does what it says"),
        ("no effect needed", "it is taken without complaint, for the reason given, and has nothing left to change"),
        ("not yet", "the start is refused; with `tolerate-unsupported = true` a warning"),
        ("other language", "the start is refused; with `tolerate-unsupported = true` a warning"),
    ] {
        let _ = writeln!(text, "| {state} | {} | {meaning} |", names(state));
    }
    text.push_str("\nRanks: *core*: nearly every deployment, *common*: many, *rare*: few.\n");
    for group in Group::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n| option | takes | default | what it does | rank | state |\n|---|---|---|---|---|---|\n",
            group.title()
        );
        for option in OptionDef::all().filter(|option| option.group == *group) {
            text.push_str(&reference_row(option));
        }
    }
    text
}

fn reference_row(option: &OptionDef) -> String {
    let mut names = format!("`{}`", option.name());
    for alias in option.aliases() {
        let _ = write!(names, "<br>`{alias}`");
    }
    if let Some(short) = option.short {
        let _ = write!(names, "<br>`-{short}`");
    }
    let mut default = Config::default().shown(option).unwrap_or_default();
    if let Some(theirs) = option.uwsgi_default {
        let _ = write!(default, "<br>(uWSGI: {theirs})");
    }
    let mut doc: Vec<String> = option.doc.iter().map(|line| line.trim().to_owned()).collect();
    let state = match option.state {
        State::Works => format!("works, {}", option.since),
        State::OtherLanguage(language) => language.into(),
        state => state.as_str().into(),
    };
    if let State::Accepted(reason) = option.state {
        doc.push(format!("*No effect needed: {reason}.*"));
    }
    let cells = [names, option.takes(), default, doc.join("<br>"), option.rank.as_str().into(), state];
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blessed(name: &str, text: &str) {
        let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("RUSTWSGI_BLESS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == text,
            "docs/{name} is not what the table says: RUSTWSGI_BLESS=1 cargo test in_docs"
        );
    }

    #[test]
    fn the_reference_in_docs_is_the_table() {
        blessed("options.md", &reference());
    }

    #[test]
    fn the_errors_in_docs_are_the_table() {
        blessed("errors.md", &errors());
    }

    #[test]
    fn help_has_three_lengths() {
        let [everyday, common, all] = [Detail::Everyday, Detail::Common, Detail::All].map(help);
        for option in OptionDef::all() {
            let left = usage(option);
            let listed = |text: &str| text.lines().any(|line| line == left || line.starts_with(&format!("{left} ")));
            assert!(listed(&all), "{}", option.name());
            assert_eq!(listed(&common), Detail::Common.shows(option), "{}", option.name());
        }
        assert!(everyday.lines().count() < common.lines().count());
        assert!(common.lines().count() < all.lines().count());
        assert!(common.contains("  -p, --processes N               how many worker processes"));
        assert!(common.lines().all(|line| line.chars().count() <= 130));
    }

    #[test]
    fn counts_have_their_grammar() {
        assert_eq!(counted(1, "process"), "1 process");
        assert_eq!(counted(0, "process"), "0 processes");
        assert_eq!(counted(2, "thread"), "2 threads");
    }

    #[test]
    fn explains_options_and_codes() {
        assert_eq!(
            explain("--workers").unwrap(),
            "processes: how many worker processes serve requests\n  \
             takes       a whole number, 1 to 65535\n  \
             also        workers\n  \
             short       -p\n  \
             default     1\n  \
             since       0.1.0\n"
        );
        assert_eq!(
            explain("buffer-size").unwrap(),
            "buffer-size: how many bytes the head of a request may have\n  \
             More than 65535 does not fit a uwsgi packet and is read as 65535.\n  \
             takes       a whole number, 1 to 65535\n  \
             short       -b\n  \
             default     65535\n  \
             in uWSGI    4096\n  \
             since       0.1.0\n"
        );
        assert_eq!(explain("rw0101").unwrap(), explain_code(Code::UnknownOption));
        let page = explain("RW0101").unwrap();
        assert!(page.starts_with("RW0101: an option that does not exist\n\nThe name is no option"), "{page}");
        assert!(page.lines().all(|line| line.len() <= 100));
        assert!(explain("asyncio").unwrap().ends_with("unless `tolerate-unsupported = true`\n"));
        assert!(explain("psgi").unwrap().contains("for Perl: the start is refused"));
    }

    #[test]
    fn explains_nothing_that_does_not_exist() {
        assert_eq!(
            explain("procesess").unwrap_err().to_string(),
            "error[RW0105]: `procesess` is neither an option nor the code of a message\n\
             hint: did you mean `processes`?"
        );
    }
}
