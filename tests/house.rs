//! The rules of the house, checked on `src/` as text: which room may import which, where `unsafe`,
//! pyo3 and `fork` may stand, and how a file looks. The rules are checked on small samples below,
//! so that a rule that no longer bites is noticed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of every room. A room imports rooms of lower floors only.
const FLOORS: &[(&str, u8)] = &[
    ("cli", 9),
    ("emperor", 8),
    ("master", 7),
    ("zygote", 6),
    ("worker", 5),
    ("python", 4),
    ("static_files", 4),
    ("stats", 4),
    ("log", 3),
    ("hooks", 3),
    ("config", 2),
    ("net", 1),
    ("scoreboard", 1),
    ("sys", 0),
    ("proto", 0),
    ("error", 0),
];

/// The files of `python` that must call CPython's C functions.
const UNSAFE_PYTHON: &[&str] = &["python/interpreter.rs", "python/environ.rs"];

/// All that the master may name of `python`: finding the virtual environment runs no Python.
const MASTER_MAY_USE: &[&str] = &["find_venv", "Venv", "self"];

const LONGEST: usize = 600;
const MAY_BE_LONGER: &[&str] = &["config/options.rs"];

#[test]
fn the_house_is_in_order() {
    let files = sources();
    assert!(files.len() > 3, "src/ was not found");

    let broken: Vec<String> = files.iter().flat_map(|(path, text)| File::new(path, text).check()).collect();

    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Every Rust file of `src/`: its path below `src/` and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(entries(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(&root).expect("below src/").to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path).expect("readable")));
        }
    }
    found.sort();
    found
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("readable");
    entries.map(|entry| entry.expect("readable").path()).collect()
}

/// One source file and what of it the rules look at.
struct File<'a> {
    path: &'a str,
    text: &'a str,
    /// The text without comments, the insides of strings, and tests.
    code: String,
}

impl<'a> File<'a> {
    fn new(path: &'a str, text: &'a str) -> Self {
        let code = if Self::holds_only_tests(path) { String::new() } else { without_tests(&bare(text)) };
        Self { path, text, code }
    }

    /// Every rule that is broken, as a sentence each.
    fn check(&self) -> Vec<String> {
        let mut broken = Vec::new();
        self.check_looks(&mut broken);
        self.check_owners(&mut broken);
        if let Some(room) = self.room() {
            self.check_floors(room, &mut broken);
            self.check_forbids_unsafe(room, &mut broken);
        }
        broken.iter().map(|sentence| format!("src/{}: {sentence}", self.path)).collect()
    }

    fn check_looks(&self, broken: &mut Vec<String>) {
        if !self.text.starts_with("//! ") {
            broken.push("does not open with `//!`".into());
        }
        let lines = self.text.lines().count();
        if lines > LONGEST && !MAY_BE_LONGER.contains(&self.path) {
            broken.push(format!("has {lines} lines, more than {LONGEST}: split it by noun"));
        }
        for word in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            if !words(self.text, word).is_empty() {
                broken.push(format!("says {word}"));
            }
        }
        if self.code.contains(".unwrap()") {
            broken.push("calls `.unwrap()` outside of tests".into());
        }
    }

    fn check_owners(&self, broken: &mut Vec<String>) {
        let room = self.room().unwrap_or("");
        if room != "sys" && !UNSAFE_PYTHON.contains(&self.path) && !words(&self.code, "unsafe").is_empty() {
            broken.push("has `unsafe` outside of sys/ and the named files of python/".into());
        }
        if room != "python" && (!words(&self.code, "pyo3").is_empty() || !words(&self.code, "pyo3_ffi").is_empty()) {
            broken.push("names pyo3 outside of python/".into());
        }
        if !["master", "zygote"].contains(&room) && self.path != "sys/process.rs" && calls(&self.code, "fork") {
            broken.push("forks outside of master/ and zygote/".into());
        }
        if room == "master" {
            for name in self.named_of("python") {
                if !MASTER_MAY_USE.contains(&name.as_str()) {
                    broken.push(format!("uses python::{name}: the master runs no Python"));
                }
            }
        }
    }

    fn check_floors(&self, room: &str, broken: &mut Vec<String>) {
        let Some(own) = floor(room) else {
            broken.push(format!("the room {room} has no floor: add it to FLOORS"));
            return;
        };
        for other in self.imports() {
            match floor(&other) {
                Some(below) if other == room || below < own => {}
                Some(_) if own == floor(&other).unwrap_or(own) => {
                    broken.push(format!("imports {other}, which is on the same floor"))
                }
                Some(_) => broken.push(format!("imports {other}, which is above {room}")),
                None => {}
            }
        }
    }

    fn check_forbids_unsafe(&self, room: &str, broken: &mut Vec<String>) {
        let is_entrance = self.path == format!("{room}/mod.rs") || self.path == format!("{room}.rs");
        let may = ["sys", "python"].contains(&room);
        if is_entrance && !may && !self.code.contains("#![forbid(unsafe_code)]") {
            broken.push("lacks `#![forbid(unsafe_code)]`".into());
        }
    }

    /// The room the file belongs to; None for lib.rs and main.rs.
    fn room(&self) -> Option<&str> {
        let first = self.path.split('/').next().unwrap_or(self.path);
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    fn holds_only_tests(path: &str) -> bool {
        path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// How many `super::` lead from the top of this file to the root of the crate.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    /// The names right below the root of the crate that the file uses.
    fn imports(&self) -> BTreeSet<String> {
        let up = "super::".repeat(self.depth());
        let mut found = names_after(&self.code, "crate::");
        found.extend(names_after(&self.code, &up));
        found
    }

    /// The names right below a room that the file uses.
    fn named_of(&self, room: &str) -> BTreeSet<String> {
        names_after(&self.code, &format!("{room}::"))
    }
}

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// The identifiers that follow `prefix`, each member of a group `{a, b::c}` too.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in starts(code, prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(members(group));
        } else {
            found.extend(identifier(rest));
        }
    }
    found
}

/// The first identifiers of the members of a group, up to the brace that closes it.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut member_begins, mut found) = (0, true, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => member_begins = true,
            letter if depth == 0 && member_begins && is_word(letter) => {
                found.extend(identifier(&group[at..]));
                member_begins = false;
            }
            _ => {}
        }
    }
    found
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|letter| is_word(*letter)).collect();
    (!name.is_empty()).then_some(name)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Where `pattern` stands without a word, or a path, reaching into it from the left.
fn starts(code: &str, pattern: &str) -> Vec<usize> {
    let begins = |at: usize| !code[..at].ends_with(|letter| is_word(letter) || letter == '$');
    let outermost = |at: usize| !pattern.starts_with("super::") || !code[..at].ends_with("super::");
    code.match_indices(pattern).map(|(at, _)| at).filter(|at| begins(*at) && outermost(*at)).collect()
}

/// Where `word` stands as a word of its own.
fn words(code: &str, word: &str) -> Vec<usize> {
    let ends = |at: usize| !code[at + word.len()..].starts_with(is_word);
    starts(code, word).into_iter().filter(|at| ends(*at)).collect()
}

/// Whether a function of that name is called.
fn calls(code: &str, name: &str) -> bool {
    words(code, name).iter().any(|at| code[at + name.len()..].starts_with('('))
}

/// The text with comments and the insides of string and character literals taken out, lines kept.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let skipped = skipped(rest, out.chars().next_back());
        let (kept, taken) = match skipped {
            Some((kept, length)) => (kept, length),
            None => {
                out.push(letter);
                rest = &rest[letter.len_utf8()..];
                continue;
            }
        };
        out.push_str(kept);
        out.extend(rest[..taken].chars().filter(|letter| *letter == '\n'));
        rest = &rest[taken..];
    }
    out
}

/// What stands at the start of `rest` if the rules don't look into it: what replaces it, and its length.
fn skipped(rest: &str, before: Option<char>) -> Option<(&'static str, usize)> {
    if rest.starts_with("//") {
        return Some(("", rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((" ", block_comment(rest)));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        return Some(("\"\"", 1 + quoted(inside, '"')));
    }
    let in_word = before.is_some_and(is_word);
    if let Some(hashes) = rest.strip_prefix('r').filter(|_| !in_word || before == Some('b')) {
        let count = hashes.chars().take_while(|letter| *letter == '#').count();
        if hashes[count..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(count));
            let inside = 1 + count + 1;
            let length = rest[inside..].find(&close).map_or(rest.len(), |at| inside + at + close.len());
            return Some(("\"\"", length));
        }
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        let mut letters = inside.chars();
        let (first, second) = (letters.next()?, letters.next());
        // `'a` is a lifetime, `'a'` and `'\n'` are characters.
        if first == '\\' || second == Some('\'') {
            return Some(("' '", 1 + quoted(inside, '\'')));
        }
    }
    None
}

/// The length up to and with the closing quote.
fn quoted(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in inside.char_indices() {
        if letter == quote && !escaped {
            return at + letter.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    inside.len()
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The code without what is behind `#[cfg(test)]`: an item with braces, or one that ends with a semicolon.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        let (mut depth, mut end) = (0, rest.len());
        for (at, letter) in rest.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' if depth == 0 => {}
                _ => continue,
            }
            if depth == 0 {
                end = at + 1;
                break;
            }
        }
        rest = &rest[end..];
    }
    out + rest
}

mod rules {
    //! Each rule, shown to bite.

    use super::File;

    fn broken(path: &str, text: &str) -> Vec<String> {
        File::new(path, text).check()
    }

    #[track_caller]
    fn bites(path: &str, text: &str, sentence: &str) {
        let found = broken(path, &format!("//! A room.\n#![forbid(unsafe_code)]\n{text}\n"));
        assert!(found.iter().any(|line| line.contains(sentence)), "{sentence:?} is not in {found:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        let found = broken(path, &format!("//! A room.\n#![forbid(unsafe_code)]\n{text}\n"));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn imports_go_down() {
        passes("master/mod.rs", "use crate::config::Config;\nuse crate::zygote;");
        passes("master/mod.rs", "use crate::master::children::Children;");
        passes("worker/core.rs", "use crate::{python::App, sys::{clock, fd}};");
        bites("config/mod.rs", "use crate::master::Master;", "imports master, which is above config");
        bites("net/poll.rs", "fn f() { crate::worker::serve() }", "imports worker");
        bites("proto/http.rs", "use crate::{error::Error, log::{Line, sink}};", "imports log");
        bites("proto/http.rs", "use crate::{\n    error::Error,\n    config,\n};", "imports config");
    }

    #[test]
    fn rooms_on_one_floor_do_not_import_each_other() {
        bites("net/poll.rs", "use crate::scoreboard::Slot;", "imports scoreboard, which is on the same floor");
        bites("sys/fd.rs", "use crate::error::Error;", "imports error, which is on the same floor");
    }

    #[test]
    fn super_is_no_way_around() {
        passes("net/poll.rs", "use super::address::Address;");
        bites("net/mod.rs", "use super::config::Config;", "imports config");
        bites("net/poll.rs", "use super::super::config::Config;", "imports config");
        bites("scoreboard.rs", "use super::log::Line;", "imports log");
    }

    #[test]
    fn a_new_room_needs_a_floor() {
        bites("cellar/mod.rs", "", "the room cellar has no floor");
    }

    #[test]
    fn tests_comments_and_strings_are_not_looked_at() {
        passes(
            "net/poll.rs",
            "// crate::master::x\n/* unsafe { fork() } */\nconst A: &str = \"crate::cli::x unsafe\";",
        );
        passes("net/poll.rs", "const A: &str = r#\"crate::cli \" pyo3\"#;\nconst B: char = '\"';\nfn f<'a>() {}");
        passes("net/poll.rs", "#[cfg(test)]\nmod tests {\n    use crate::master::M;\n    fn f() { a.unwrap(); }\n}");
        passes("net/poll.rs", "#[cfg(test)]\nuse crate::master::M;");
        passes("config/tests.rs", "use crate::master::M;\nfn f() { a.unwrap(); }");
        bites("net/poll.rs", "#[cfg(test)]\nmod tests;\nuse crate::master::M;", "imports master");
        bites("net/poll.rs", "#[cfg(test)]\nmod tests { }\nuse crate::master::M;", "imports master");
        bites("net/poll.rs", "const A: &[u8] = b\"\\\"\";\nuse crate::master::M;", "imports master");
    }

    #[test]
    fn unsafe_has_its_places() {
        passes("sys/fd.rs", "fn f() { unsafe { g() } }");
        passes("python/environ.rs", "fn f() { unsafe { g() } }");
        passes("net/poll.rs", "fn unsafe_looking() {}");
        bites("net/poll.rs", "fn f() { unsafe { g() } }", "has `unsafe`");
        bites("python/app.rs", "fn f() { unsafe { g() } }", "has `unsafe`");
    }

    #[test]
    fn every_other_room_forbids_unsafe() {
        assert_eq!(broken("net/mod.rs", "//! A room.\n"), ["src/net/mod.rs: lacks `#![forbid(unsafe_code)]`"]);
        assert_eq!(broken("error.rs", "//! A room.\n"), ["src/error.rs: lacks `#![forbid(unsafe_code)]`"]);
        assert!(broken("sys/mod.rs", "//! A room.\n").is_empty());
        assert!(broken("net/poll.rs", "//! A file.\n").is_empty());
        assert!(!broken("net/mod.rs", "//! A room.\n// #![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn pyo3_is_named_in_python_alone() {
        passes("python/app.rs", "use pyo3::prelude::*;");
        bites("worker/core.rs", "use pyo3::Python;", "names pyo3");
        bites("lib.rs", "fn f(py: pyo3::Python) {}", "names pyo3");
    }

    #[test]
    fn master_and_zygote_fork_and_nobody_else() {
        passes("master/daemon.rs", "fn f() { process::fork(); }");
        passes("zygote/mod.rs", "fn f() { fork(); }");
        passes("sys/process.rs", "pub fn fork() {}");
        passes("python/interpreter.rs", "pub fn before_fork(&self) {}");
        bites("worker/mod.rs", "fn f() { process::fork(); }", "forks outside");
        bites("sys/fd.rs", "fn f() { fork(); }", "forks outside");
    }

    #[test]
    fn the_master_runs_no_python() {
        passes("master/boot.rs", "use crate::python::{self, Venv};\nfn f() { python::find_venv(); }");
        bites("master/boot.rs", "use crate::python::Interpreter;", "uses python::Interpreter");
        bites("master/boot.rs", "use crate::python::{Venv, App};", "uses python::App");
    }

    #[test]
    fn files_look_alike() {
        assert_eq!(broken("net/poll.rs", "use std::io;\n"), ["src/net/poll.rs: does not open with `//!`"]);
        let long = "\n".repeat(600);
        bites("net/poll.rs", &long, "lines, more than 600");
        passes("config/options.rs", &long);
        bites("net/poll.rs", concat!("// TO", "DO: later"), concat!("says TO", "DO"));
        bites("net/poll.rs", "fn f() { g().unwrap(); }", "calls `.unwrap()`");
        passes("net/poll.rs", "fn f() { g().unwrap_or(1); }");
    }
}
