//! Did you mean: the names nearest to one that does not exist.
//!
//! Used for options, sections, codes and files. Judges by letters alone.

use std::borrow::Cow;

use super::option::OptionDef;

/// How many names a suggestion holds at most.
const MOST: usize = 3;

/// A longer name, in bytes, is no slip of the pen: the time to tell grows with its square.
const LONGEST: usize = 200;

/// Names that are less alike, from 0 to 1, no one confuses.
const LEAST_LIKENESS: f64 = 0.8;

/// How many bytes a letter has at most.
const LONGEST_LETTER: usize = 4;

/// The option names nearest to `name`, best first; ours before uWSGI's others.
pub fn options(name: &str) -> Vec<&'static str> {
    let names = |built: bool| {
        let options = OptionDef::all().filter(move |option| option.state.is_built() == built);
        options.flat_map(|option| option.names.iter().copied())
    };
    let ours = nearest(name, names(true));
    match ours.is_empty() {
        true => nearest(name, names(false)),
        false => ours,
    }
}

/// What to write instead of a word that another server, or nobody, has as an option.
pub fn instead(name: &str) -> Option<&'static str> {
    let known = STRANGERS.iter().find(|(stranger, _)| *stranger == folded(name));
    known.map(|(_, hint)| *hint)
}

/// Words that people write in a uwsgi.ini, and what does what they want.
const STRANGERS: &[(&str, &str)] = &[
    ("else", "a block has no `else`: `if-env` and `if-not-env` are two blocks, each with its `endif`"),
    ("elif", "a block has no `elif`: write a second one behind its `endif`"),
    ("bind", "`bind` is gunicorn's: `http-socket = 127.0.0.1:8000`, or `socket` behind nginx"),
    (
        "worker-class",
        "`worker-class` is gunicorn's: `processes` and `threads`; `rustwsgi convert` turns its files into an ini",
    ),
    (
        "workers-class",
        "`worker-class` is gunicorn's: `processes` and `threads`; `rustwsgi convert` turns its files into an ini",
    ),
    ("worker-connections", "`worker-connections` is gunicorn's: `processes` times `threads` is what is served at once"),
    ("graceful-timeout", "`graceful-timeout` is gunicorn's: `worker-reload-mercy`"),
    ("max-requests-jitter", "`max-requests-jitter` is gunicorn's: `max-requests-delta`"),
    ("accesslog", "`accesslog` is gunicorn's: `logto`"),
    ("access-logfile", "`access-logfile` is gunicorn's: `logto`"),
    ("errorlog", "`errorlog` is gunicorn's: `logto`"),
    ("wsgi-app", "`wsgi-app` is gunicorn's: `module`"),
    ("master-process", "`master = true` is meant, and a master there always is"),
    ("timeout", "to end requests that take too long: `harakiri = SECONDS`"),
    ("worker-processes", "`processes`"),
    ("listen-backlog", "`listen`"),
    ("django-settings-module", "`env = DJANGO_SETTINGS_MODULE=blog.settings`"),
];

/// `buffer-size = 32768` for one that says `32k`.
pub fn in_bytes(option: &str, value: &str) -> Option<String> {
    if !["buffer", "size", "limit"].iter().any(|word| option.contains(word)) {
        return None;
    }
    let unit = value.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let number: u64 = value[..value.len() - unit.len()].parse().ok()?;
    let power = match unit.trim().to_lowercase().as_str() {
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        _ => return None,
    };
    Some(format!("{option} = {}", number.checked_mul(1 << power)?))
}

/// The one option `name` is a slip of the pen of, such as `processes` for `procesess`.
pub fn option(name: &str) -> Option<&'static OptionDef> {
    options(name).first().and_then(|name| OptionDef::find(name))
}

/// The candidates nearest to `name`, best first, at most three.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let name = Word::new(name);
    let mut scored: Vec<(f64, &str)> =
        candidates.filter_map(|candidate| name.likeness(candidate).map(|likeness| (likeness, candidate))).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    // One that differs in case or `_` only leaves no doubt.
    let certain = scored.first().is_some_and(|best| best.0 >= 1.0);
    scored.truncate(if certain { 1 } else { MOST });
    scored.into_iter().map(|(_, candidate)| candidate).collect()
}

/// `` did you mean `a` or `b`? ``, or `None` for no names.
pub fn sentence<S: AsRef<str>>(names: &[S]) -> Option<String> {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last()? {
        (last, []) => Some(format!("did you mean {last}?")),
        (last, rest) => Some(format!("did you mean {} or {last}?", rest.join(", "))),
    }
}

fn folded(name: &str) -> Cow<'_, str> {
    match name.bytes().all(|byte| byte.is_ascii() && byte != b'_' && !byte.is_ascii_uppercase()) {
        true => name.into(),
        false => name.to_lowercase().replace('_', "-").into(),
    }
}

/// A word that names are compared with: measured once, since there are more than a thousand names.
struct Word {
    text: String,
    letters: usize,
    set: u64,
    tolerated: usize,
}

impl Word {
    fn new(name: &str) -> Self {
        let text = folded(name).into_owned();
        let letters = text.chars().count();
        let tolerated = match letters {
            0..=4 => 1,
            5..=8 => 2,
            _ => 3,
        };
        Self { letters, set: set(&text), tolerated, text }
    }

    /// Likeness from 0 to 1, or `None` for names no one confuses.
    fn likeness(&self, candidate: &str) -> Option<f64> {
        if candidate.len().abs_diff(self.text.len()) > self.tolerated * LONGEST_LETTER {
            return None;
        }
        let candidate = folded(candidate);
        // Each slip adds, takes or changes one letter: what needs more of them is not measured.
        let theirs = set(&candidate);
        let missing = (self.set & !theirs).count_ones().max((theirs & !self.set).count_ones()) as usize;
        if missing > self.tolerated || candidate.chars().count().abs_diff(self.letters) > self.tolerated {
            return None;
        }
        let likeness = strsim::jaro_winkler(&self.text, &candidate);
        let alike = likeness >= LEAST_LIKENESS && strsim::osa_distance(&self.text, &candidate) <= self.tolerated;
        alike.then_some(likeness)
    }
}

/// Which letters a word has, a bit each; more than one letter may share a bit.
fn set(word: &str) -> u64 {
    word.chars().fold(0, |set, letter| set | 1 << (u32::from(letter) % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_pen() {
        for (slip, meant) in [
            ("procesess", "processes"),
            ("Processes", "processes"),
            ("procname_prefix", "procname-prefix"),
            ("modul", "module"),
            ("moduel", "module"),
            ("virtual-env", "virtualenv"),
            ("http_socket", "http-socket"),
            ("worker", "workers"),
            ("demonize", "daemonize"),
            ("harakri", "harakiri"),
            ("pid-file", "pidfile"),
        ] {
            assert_eq!(options(slip).first(), Some(&meant), "{slip}");
        }
        assert_eq!(options("stat").first(), Some(&"stats"));
    }

    #[test]
    fn leaves_other_words_alone() {
        for word in ["project", "base", "domain", "x", "port", "banana", "site-name"] {
            assert_eq!(options(word), Vec::<&str>::new(), "{word}");
        }
    }

    #[test]
    fn knows_the_words_of_others() {
        assert!(instead("worker_class").is_some_and(|hint| hint.contains("gunicorn")));
        assert_eq!(instead("project"), None);
        assert!(STRANGERS.iter().all(|(word, _)| *word == "timeout" || OptionDef::known(word).is_none()));
        assert_eq!(in_bytes("buffer-size", "32k").unwrap(), "buffer-size = 32768");
        assert_eq!(in_bytes("limit-as", "1 MB").unwrap(), "limit-as = 1048576");
        for (option, value) in [("harakiri", "5m"), ("buffer-size", "32x"), ("buffer-size", "k")] {
            assert_eq!(in_bytes(option, value), None, "{option} = {value}");
        }
    }

    #[test]
    fn speaks_in_sentences() {
        assert_eq!(sentence::<&str>(&[]), None);
        assert_eq!(sentence(&["a"]).unwrap(), "did you mean `a`?");
        assert_eq!(sentence(&["a", "b", "c"]).unwrap(), "did you mean `a`, `b` or `c`?");
    }
}
