//! The application's environment: `env` and `unenv` in their order, then `envdir`.
//!
//! Read while the zygote still is who the master is, since such directories hold secrets; set
//! right before Python starts.

use std::fs;
use std::io;
use std::path::Path;

use super::Birth;
use crate::error::{Code, Error, Result};

/// A variable, and its value; `None` takes it away.
pub type Variable = (String, Option<String>);

/// Every change that the configuration asks for, in order.
pub fn wanted(birth: &Birth) -> Result<Vec<Variable>> {
    let config = &birth.config;
    let (mut set, mut removed) = (config.env.iter(), config.privileges.unenv.iter());
    let in_order = config.settings().iter().filter_map(|setting| match setting.key.as_str() {
        "env" => set.next().map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (pair.clone(), Some(String::new())),
        }),
        "unenv" => removed.next().map(|name| (name.clone(), None)),
        _ => None,
    });
    let mut wanted: Vec<Variable> = in_order.collect();
    for directory in &config.privileges.envdir {
        let read = of_directory(&birth.directory.join(directory)).map_err(|error| {
            Error::new(Code::FileMissing, format!("cannot read `envdir = {directory}`: {error}"))
                .maybe_at(config.origin("envdir"))
                .part(directory.as_str())
        });
        wanted.extend(read?);
    }
    Ok(wanted)
}

/// The files of a directory as daemontools' envdir has them: an empty one takes its variable away,
/// blanks at the end do not count, NUL stands for a new line. Hidden files are left out.
fn of_directory(directory: &Path) -> io::Result<Vec<Variable>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !fs::metadata(entry.path())?.is_file() {
            continue;
        }
        let content = fs::read(entry.path()).map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        let text = String::from_utf8_lossy(&content).trim_end_matches([' ', '\t', '\r', '\n']).replace('\0', "\n");
        found.push((name, (!content.is_empty()).then_some(text)));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_as_daemontools_does() {
        let directory = std::env::temp_dir().join(format!("envdir-{}", std::process::id()));
        fs::create_dir_all(directory.join("SUB")).unwrap();
        for (name, content) in [("A", "x y \n\n"), ("B", ""), ("C", "1\x002"), (".HIDDEN", "x"), ("D", "\n")] {
            fs::write(directory.join(name), content).unwrap();
        }
        let found = of_directory(&directory).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        let value = |text: &str| Some(text.to_owned());
        let expected = [("A", value("x y")), ("B", None), ("C", value("1\n2")), ("D", value(""))];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}
