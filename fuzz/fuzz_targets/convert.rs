//! Any text as a `gunicorn.conf.py`, and any words as a command line, for `rustwsgi convert`.
//!
//! `cargo +nightly fuzz run convert -- -rss_limit_mb=512 -timeout=5`. Nothing may crash, and what
//! is written is one section of single lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rustwsgi::config::convert::Conversion;

fuzz_target!(|text: &str| {
    let conversion = Conversion::of_gunicorn_configuration("gunicorn.conf.py", text).text();
    assert_eq!(conversion.lines().filter(|line| line.starts_with('[')).count(), 1, "{conversion}");
    for program in ["gunicorn", "granian"] {
        let words: Vec<String> = std::iter::once(program).chain(text.split('\n')).map(String::from).collect();
        Conversion::of_command(&words, None).map(|conversion| conversion.text());
    }
});
