//! Any bytes as a configuration file: read, expanded and checked, without a crash, a hang or
//! memory without bound.
//!
//! `cargo +nightly fuzz run config -- -rss_limit_mb=512 -timeout=5 -max_len=65536`. The first byte
//! picks the format; the file can include itself as `%p`. Nothing is started.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use rustwsgi::config::Source;
use rustwsgi::config::show::{self, Effective};

/// The formats, by their endings.
const ENDINGS: &[&str] = &["ini", "ini", "ini", "ini", "yaml", "json", "xml", "toml"];

/// One directory for a run, on a file system in memory where there is one.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let shared = PathBuf::from("/dev/shm");
        let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let directory = base.join(format!("rustwsgi-fuzz-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for the inputs");
        directory
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    // What can read other files or run something is left to the tests.
    if text.windows(3).any(|bytes| bytes == b"://") {
        return;
    }
    let name = format!("uwsgi.{}", ENDINGS[usize::from(*first) % ENDINGS.len()]);
    fs::write(directory().join(&name), text).expect("writing the input");
    let source = Source {
        files: vec![name],
        environment: vec![("HOME".into(), "/root".into()), ("LOOP".into(), "$(LOOP)%(loop)".into())],
        started: SystemTime::UNIX_EPOCH,
        ..Source::default()
    };
    let Effective { settings, errors, warnings } = Effective::read(&source, directory());
    warnings.iter().for_each(|warning| drop(warning.to_string()));
    errors.iter().for_each(|error| drop(error.to_string()));
    if let Some(settings) = settings {
        drop(show::lines(&settings));
        drop(show::json(&settings));
    }
});
