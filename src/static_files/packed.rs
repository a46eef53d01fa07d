//! For which files a packed form is looked for beside them (uWSGI: `--static-gzip…`).
//!
//! Asked by `Files` with the path of each file that is served.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use crate::config::Requests;

/// Which files may have a packed form.
#[derive(Debug)]
pub struct Packed {
    all: bool,
    below: Vec<PathBuf>,
    endings: Vec<String>,
    patterns: Vec<Regex>,
}

impl Packed {
    /// As the configuration has it; patterns that are none were refused before.
    pub fn of(requests: &Requests) -> Self {
        Self {
            all: requests.static_gzip_all,
            below: requests.static_gzip_dir.iter().map(PathBuf::from).collect(),
            endings: requests.static_gzip_ext.clone(),
            patterns: requests.static_gzip.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(),
        }
    }

    /// Whether the file at this path may have one.
    pub fn holds(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        self.all
            || self.endings.iter().any(|ending| bytes.ends_with(ending.as_bytes()))
            || self.patterns.iter().any(|pattern| pattern.is_match(bytes))
            || self.below.iter().any(|directory| {
                path.starts_with(directory)
                    || directory.canonicalize().is_ok_and(|directory| path.starts_with(directory))
            })
    }
}
