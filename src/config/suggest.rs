//! Did you mean: the names nearest to one that does not exist.
//!
//! Used for options, sections, codes and files. Judges by letters alone.

use super::option::OptionDef;

/// How many names a suggestion holds at most.
const MOST: usize = 3;

/// A longer name, in bytes, is no slip of the pen: the time to tell grows with its square.
const LONGEST: usize = 200;

/// How many letters may be wrong at most, see `score`.
const MOST_SLIPS: usize = 3;

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

/// The one option `name` is a slip of the pen of, such as `processes` for `procesess`.
pub fn option(name: &str) -> Option<&'static OptionDef> {
    options(name).first().and_then(|name| OptionDef::find(name))
}

/// The candidates nearest to `name`, best first, at most three.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > LONGEST {
        return Vec::new();
    }
    let name = folded(name);
    let candidates = candidates.filter(|candidate| candidate.len().abs_diff(name.len()) <= MOST_SLIPS * LONGEST_LETTER);
    let mut scored: Vec<(f64, &str)> =
        candidates.filter_map(|candidate| score(&name, &folded(candidate)).map(|score| (score, candidate))).collect();
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

fn folded(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// Likeness from 0 to 1, or `None` for names no one confuses.
fn score(name: &str, candidate: &str) -> Option<f64> {
    let likeness = strsim::jaro_winkler(name, candidate);
    if likeness < 0.8 {
        return None;
    }
    let slips = strsim::osa_distance(name, candidate);
    let tolerated = match name.chars().count() {
        0..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    (slips <= tolerated).then_some(likeness)
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
    fn speaks_in_sentences() {
        assert_eq!(sentence::<&str>(&[]), None);
        assert_eq!(sentence(&["a"]).unwrap(), "did you mean `a`?");
        assert_eq!(sentence(&["a", "b", "c"]).unwrap(), "did you mean `a`, `b` or `c`?");
    }
}
