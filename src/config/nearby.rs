//! What lies around in the directory, for hints that name files which are really there.
//!
//! Used when something was not found. Looks two levels down, past virtual environments and hidden
//! directories, and stops after a fixed number of entries, so that a hint costs little anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use super::suggest;
use crate::error::Error;

/// How many directory entries are looked at.
const MOST_ENTRIES: usize = 2000;

/// How many levels below the directory are searched.
const DEPTH: usize = 2;

/// Names the ini files around `directory`, and the one that `named` may have meant.
pub fn hint_at_files(error: Error, directory: &Path, named: &str) -> Error {
    let files = files(directory, |name| name.ends_with(".ini"));
    let shown: Vec<String> = files.iter().take(5).map(|file| file.display().to_string()).collect();
    if shown.is_empty() {
        return error.fact("there is no ini file near");
    }
    let error = error.fact(format!("found: {}", shown.join(", ")));
    let base = Path::new(named).file_name().unwrap_or_default();
    let best =
        files.iter().find(|file| file.file_name() == Some(base)).map(|file| file.display().to_string()).or_else(|| {
            let near = suggest::nearest(named, shown.iter().map(String::as_str));
            near.first().map(|near| (*near).to_owned())
        });
    match (best, shown.as_slice()) {
        (Some(best), _) => error.hint(format!("rustwsgi --ini {best}")),
        (None, [only]) => error.hint(format!("rustwsgi --ini {only}")),
        (None, _) => error,
    }
}

/// The applications around `directory`: for each `blog/wsgi.py` the directory above `blog`, empty
/// for `directory` itself, and the module's name.
pub fn applications(directory: &Path) -> Vec<(PathBuf, String)> {
    files(directory, |name| name == "wsgi.py" || name == "app.py")
        .into_iter()
        .filter_map(|file| {
            let name = file.file_stem()?.to_str()?.to_owned();
            let package = file.parent()?;
            Some(match package.file_name().and_then(|package| package.to_str()) {
                Some(package_name) if name == "wsgi" => {
                    (package.parent()?.to_owned(), format!("{package_name}.{name}"))
                }
                _ => (package.to_owned(), name),
            })
        })
        .collect()
}

/// The files below `directory` whose name is `wanted`, relative to it, the shallow ones first.
fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = MOST_ENTRIES;
    let mut level = vec![PathBuf::new()];
    for _ in 0..=DEPTH {
        let mut below = Vec::new();
        for place in level {
            let Ok(entries) = fs::read_dir(directory.join(&place)) else {
                continue;
            };
            let mut names: Vec<_> =
                entries.take(left).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
            left -= names.len();
            names.sort();
            for name in names {
                let relative = place.join(&name);
                let path = directory.join(&relative);
                if path.is_dir() {
                    let skipped = name.starts_with('.') || name == "node_modules" || path.join("pyvenv.cfg").exists();
                    if !skipped && !path.is_symlink() {
                        below.push(relative);
                    }
                } else if wanted(&name) {
                    found.push(relative);
                }
            }
        }
        level = below;
    }
    found
}
