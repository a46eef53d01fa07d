//! Files by a pattern, for `for-glob`: `*`, `?`, `[a-z]`, `[!a]` and `\` as the shell has them.
//!
//! Called by `logic`. Only reads directories; takes time in proportion to what it finds there,
//! whatever the pattern.

use std::fs;
use std::path::Path;

/// The files that `pattern` names, sorted, directories with a slash at the end; the pattern itself
/// when there are none (uWSGI: `glob` with `GLOB_MARK` and `GLOB_NOCHECK`). At most `most`.
pub fn find(pattern: &str, directory: &Path, most: usize) -> Vec<String> {
    let mut found = vec![if pattern.starts_with('/') { "/".to_owned() } else { String::new() }];
    for (index, part) in pattern.split('/').filter(|part| !part.is_empty()).enumerate() {
        let mut next = Vec::new();
        for base in &found {
            let base = if index > 0 && !base.ends_with('/') { format!("{base}/") } else { base.clone() };
            step(&base, part, directory, most, &mut next);
        }
        next.truncate(most);
        found = next;
    }
    let slash = pattern.ends_with('/');
    found.retain(|path| !path.is_empty() && (!slash || directory.join(path).is_dir()));
    for path in &mut found {
        if !path.ends_with('/') && directory.join(&*path).is_dir() {
            path.push('/');
        }
    }
    found.sort();
    if found.is_empty() { vec![pattern.to_owned()] } else { found }
}

/// Adds the paths that `part` makes of `base`.
fn step(base: &str, part: &str, directory: &Path, most: usize, next: &mut Vec<String>) {
    if !part.contains(['*', '?', '[', '\\']) {
        let path = format!("{base}{part}");
        if directory.join(&path).symlink_metadata().is_ok() {
            next.push(path);
        }
        return;
    }
    let pattern: Vec<char> = part.chars().collect();
    let place = if base.is_empty() { directory.to_owned() } else { directory.join(base) };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let dots = [".".to_owned(), "..".to_owned()];
    let matching = names.chain(dots).filter(|name| {
        // A leading dot has to be written.
        (!name.starts_with('.') || part.starts_with('.')) && matches(&pattern, name)
    });
    next.extend(matching.take(most).map(|name| format!("{base}{name}")));
}

/// Whether a name fits. After a mismatch only the last `*` takes one letter more, so that the time
/// is at most the product of the lengths.
fn matches(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if let Some(length) = pattern.get(p..).and_then(|rest| one(rest, name[n])) {
            p += length;
            n += 1;
            continue;
        }
        let Some((after, taken)) = star else {
            return false;
        };
        star = Some((after, taken + 1));
        (p, n) = (after, taken + 1);
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

/// How much of the pattern's beginning takes `letter`, if it does.
fn one(pattern: &[char], letter: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '\\' if pattern.len() > 1 => (pattern[1] == letter).then_some(2),
        '[' => match pattern.iter().skip(2).position(|c| *c == ']') {
            Some(end) => set(&pattern[1..end + 2], letter).then_some(end + 3),
            None => (letter == '[').then_some(1),
        },
        same => (same == letter).then_some(1),
    }
}

/// Whether a `[…]` holds the letter.
fn set(mut set: &[char], letter: char) -> bool {
    let negated = matches!(set.first(), Some('!' | '^'));
    if negated {
        set = &set[1..];
    }
    let mut holds = false;
    while let Some(&first) = set.first() {
        match set {
            [_, '-', last, ..] => {
                holds |= (first..=*last).contains(&letter);
                set = &set[3..];
            }
            _ => {
                holds |= first == letter;
                set = &set[1..];
            }
        }
    }
    holds != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there() {
        let place = std::env::temp_dir().join(format!("rustwsgi-glob-{}", std::process::id()));
        fs::create_dir_all(place.join("b.d")).unwrap();
        for name in ["a.ini", "b.ini", ".hidden.ini", "b.d/c.ini", "x[1]"] {
            fs::write(place.join(name), "").unwrap();
        }
        let find = |pattern: &str| find(pattern, &place, 100);
        assert_eq!(find("*.ini"), ["a.ini", "b.ini"]);
        assert_eq!(find("*/*.ini"), ["b.d/c.ini"]);
        assert_eq!(find("b*"), ["b.d/", "b.ini"]);
        assert_eq!(find("*/"), ["b.d/"]);
        assert_eq!(find("[!a].ini"), ["b.ini"]);
        assert_eq!(find("x\\[1]"), ["x[1]"]);
        assert_eq!(find("nope*"), ["nope*"]);
        assert_eq!(find(""), [""]);
        let absolute = format!("{}/?.ini", place.display());
        assert_eq!(find(&absolute).len(), 2);
        assert_eq!(super::find("*", &place, 1).len(), 1);
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn patterns_match_as_in_the_shell() {
        let fits = |pattern: &str, name: &str| matches(&pattern.chars().collect::<Vec<_>>(), name);
        for (pattern, name) in [("*", ""), ("a*c", "abbc"), ("[a-c]x", "bx"), ("[]]", "]"), ("[a", "[a"), ("\\*", "*")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("?", ""), ("a*c", "ab"), ("[!a]", "a"), ("\\*", "x"), ("", "x")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(200), &"a".repeat(199)));
        assert!(!fits(&format!("{}b", "*a".repeat(100)), &"a".repeat(5000)));
    }
}
