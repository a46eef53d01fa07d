//! Configurations drawn at random, the same ones each time: whatever stands in a file, the reader
//! ends without a panic, and what it shows holds together.
//!
//! A test of the room as a whole. What the values are is compared with uWSGI in `tests/config`.

use std::fs;
use std::time::SystemTime;

use crate::config::show::{Effective, json, lines};
use crate::config::{Origin, Source};

/// How many files are drawn for each format.
const FILES: usize = 120;

/// What the lines are made of: the grammar's marks, and what breaks it.
const PARTS: &[&str] = &[
    "[uwsgi]\n",
    "[",
    "]",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "=",
    " = ",
    "a",
    "b",
    "env",
    "processes",
    "set-ph",
    "set",
    "%(",
    "%(a)",
    "%(b",
    ")",
    "(",
    "$(",
    "$(HOME)",
    "@(",
    "@(in.ini)",
    "%",
    "%%",
    "%d",
    "%k",
    "%v/",
    "%p",
    " + ",
    " * ",
    " / 0",
    "--",
    "++",
    "1",
    "9223372036854775807",
    "-1",
    "for = x y",
    "for-times = 3",
    "for-times = 200",
    "for-readline = in.ini",
    "for-glob = *",
    "%(_)",
    "endfor",
    "endif",
    "if-env = HOME",
    "if-opt = a=1",
    "if-not-exists = /",
    "include = %p",
    "ini = :b",
    "inherit = in.ini",
    "declare-option = c=a=$1;b=$2",
    "c = 1",
    "strict = true",
    "blacklist = a",
    "end-blacklist",
    "whitelist = env",
    "\0",
    "\u{e9}",
    "\u{feff}",
    ";",
    "#",
    "\t",
    " ",
    "'",
    "\"",
    ": ",
    "- ",
    "{",
    "}",
    "<uwsgi>",
    "</uwsgi>",
    "<a>",
    "&amp;",
    ",",
    "uwsgi:",
];

/// Numbers that look drawn, from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % most
    }

    fn text(&mut self, opening: &str) -> Vec<u8> {
        let mut text = opening.as_bytes().to_vec();
        for _ in 0..self.below(60) {
            text.extend(PARTS[self.below(PARTS.len())].as_bytes());
        }
        // Bytes that are no text.
        if self.below(10) == 0 && !text.is_empty() {
            let at = self.below(text.len());
            text[at] = 0xff;
        }
        text
    }
}

fn read(ending: &str, opening: &str) {
    let directory = std::env::temp_dir().join(format!("rustwsgi-drawn-{ending}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let name = format!("in.{ending}");
    for seed in 1..=FILES {
        let text = Draw((seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).text(opening);
        fs::write(directory.join(&name), &text).unwrap();
        let source = Source {
            files: vec![name.clone()],
            environment: vec![("HOME".into(), "/root".into())],
            started: SystemTime::UNIX_EPOCH,
            ..Source::default()
        };
        let Effective { settings, errors, warnings } = Effective::read(&source, &directory);
        assert!(settings.is_some() || !errors.is_empty(), "{}", String::from_utf8_lossy(&text));
        for message in errors.iter().map(ToString::to_string).chain(warnings.iter().map(ToString::to_string)) {
            assert!(message.len() < 100_000, "{}", &message[..1000]);
        }
        let settings = settings.unwrap_or_default();
        assert_eq!(lines(&settings).lines().count(), settings.len() + 1);
        let shown: serde_json::Value = serde_json::from_str(&json(&settings).unwrap()).unwrap();
        assert_eq!(shown.as_array().map(Vec::len), Some(settings.len()));
        let last = text.split(|byte| *byte == b'\n').count();
        for setting in &settings {
            if let Origin::File { line, .. } = setting.origin {
                assert!((1..=last).contains(&line), "{setting} of {last}");
            }
        }
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn any_ini_is_read_or_refused() {
    read("ini", "[uwsgi]\n");
}

#[test]
fn any_yaml_is_read_or_refused() {
    read("yaml", "uwsgi:\n  ");
}

#[test]
fn any_json_is_read_or_refused() {
    read("json", "{\"uwsgi\": {");
}

#[test]
fn any_xml_is_read_or_refused() {
    read("xml", "<uwsgi>");
}

#[test]
fn any_toml_is_read_or_refused() {
    read("toml", "[uwsgi]\n");
}
