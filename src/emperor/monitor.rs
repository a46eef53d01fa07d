//! Where configurations are looked for: a directory, or a pattern (uWSGI: `--emperor`).
//!
//! Used by the emperor at each look. Reads directories and nothing else.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::glob;
use crate::error::{Code, Error, Result};

/// The endings that configurations have, and the option that reads them.
const ENDINGS: &[(&str, &str)] = &[
    (".ini", "--ini"),
    (".xml", "--xml"),
    (".yml", "--yaml"),
    (".yaml", "--yaml"),
    (".js", "--json"),
    (".json", "--json"),
];

/// More files than this are not looked at.
const MOST: usize = 100_000;

/// What is looked at of links, and which other endings count.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A change of the link itself counts, not of the file behind it (uWSGI: `--emperor-nofollow`).
    pub nofollow: bool,
    /// The link's owner counts (uWSGI: `--emperor-tyrant-nofollow`).
    pub owner_nofollow: bool,
    /// Other endings (uWSGI: `--emperor-extra-extension`).
    pub extra: Vec<String>,
}

/// One place to look at.
#[derive(Debug)]
pub enum Monitor {
    /// The files of a directory.
    Directory(PathBuf),
    /// The files that a pattern names, looked for from a directory.
    Glob(String, PathBuf),
}

/// A configuration that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called in the log: the file's name in a directory, its path behind a pattern.
    pub name: String,
    /// The directory its instance is started in, which `name` is relative to.
    pub directory: PathBuf,
    /// The option that reads it.
    pub option: &'static str,
    /// When it was changed, nanoseconds since 1970.
    pub modified: i128,
    /// Its owner.
    pub owner: (u32, u32),
}

impl Monitor {
    /// Reads what `--emperor` was set to. Fails for monitors that are not built, and for a directory
    /// that is not there.
    pub fn parse(text: &str, directory: &Path) -> Result<Self> {
        let pattern = |text: &str| Self::Glob(text.into(), directory.to_owned());
        match text.split_once("://") {
            Some(("dir", path)) => Ok(Self::Directory(directory.join(path))),
            Some(("glob", text)) => Ok(pattern(text)),
            Some((other, _)) => {
                let message = format!("the emperor's monitor `{other}://` is not built yet");
                Err(Error::new(Code::OptionNotBuilt, message)
                    .hint("a directory, or a pattern such as /srv/*/uwsgi.ini"))
            }
            None if directory.join(text).is_dir() => Ok(Self::Directory(directory.join(text))),
            None if text.contains(['*', '?', '[']) => Ok(pattern(text)),
            None => {
                Err(Error::new(Code::DirectoryMissing, format!("there is no directory `{text}` of configurations"))
                    .hint(format!("mkdir -p {text}")))
            }
        }
    }

    /// As it was named.
    pub fn shown(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Glob(pattern, _) => pattern.clone(),
        }
    }

    /// The configurations that are there now, sorted by name; `None` where the place can't be read:
    /// then nothing is known, and nothing is stopped.
    pub fn look(&self, rules: &Rules) -> Option<Vec<Found>> {
        let (names, directory) = match self {
            Self::Directory(path) => {
                let entries = fs::read_dir(path).ok()?.take(MOST).flatten();
                let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
                (names.filter(|name| !name.starts_with('.')).collect(), path)
            }
            Self::Glob(pattern, directory) => (glob::find(pattern, directory, MOST), directory),
        };
        let mut found: Vec<Found> =
            names.into_iter().filter_map(|name: String| Self::found(name, directory, rules)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Some(found)
    }

    fn found(name: String, directory: &Path, rules: &Rules) -> Option<Found> {
        let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        let option = match ending {
            Some((_, option)) => option,
            None if rules.extra.iter().any(|ending| name.ends_with(ending)) => "--config",
            None => return None,
        };
        let path = directory.join(&name);
        let about = |link: bool| -> Option<Metadata> {
            let about = if link { fs::symlink_metadata(&path) } else { fs::metadata(&path) };
            about.ok()
        };
        // A link that leads nowhere is no configuration, whatever is looked at.
        if !about(false)?.is_file() {
            return None;
        }
        let (changed, owned) = (about(rules.nofollow)?, about(rules.owner_nofollow)?);
        Some(Found {
            name,
            directory: directory.to_owned(),
            option,
            modified: i128::from(changed.mtime()) * 1_000_000_000 + i128::from(changed.mtime_nsec()),
            owner: (owned.uid(), owned.gid()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_configurations_by_their_endings_in_order() {
        let place = std::env::temp_dir().join(format!("rustwsgi-monitor-{}", std::process::id()));
        fs::create_dir_all(place.join("d.ini")).unwrap();
        for name in ["b.ini", "a.yaml", ".hidden.ini", "c.txt", "e.foo", "b.ini.socket"] {
            fs::write(place.join(name), "[uwsgi]\n").unwrap();
        }
        std::os::unix::fs::symlink("/nowhere/at/all", place.join("gone.ini")).unwrap();
        let names = |monitor: &Monitor, rules: &Rules| {
            let found = monitor.look(rules).unwrap();
            found.into_iter().map(|it| format!("{} {}", it.option, it.name)).collect::<Vec<_>>()
        };
        let monitor = Monitor::parse(place.to_str().unwrap(), Path::new("/")).unwrap();
        assert_eq!(names(&monitor, &Rules::default()), ["--yaml a.yaml", "--ini b.ini"]);
        let rules = Rules { extra: vec![".foo".into()], nofollow: true, ..Rules::default() };
        assert_eq!(names(&monitor, &rules), ["--yaml a.yaml", "--ini b.ini", "--config e.foo"]);
        let monitor = Monitor::parse("*.ini", &place).unwrap();
        assert_eq!(names(&monitor, &Rules::default()), ["--ini b.ini"]);
        fs::remove_dir_all(&place).unwrap();
        let monitor = Monitor::Directory(place);
        assert_eq!(monitor.look(&Rules::default()), None);
    }

    #[test]
    fn says_what_it_can_not_watch() {
        let parse = |text| Monitor::parse(text, Path::new("/"));
        assert_eq!(parse("pg://host=x").unwrap_err().code, Code::OptionNotBuilt);
        assert_eq!(parse("/nowhere/at/all").unwrap_err().code, Code::DirectoryMissing);
        assert!(matches!(parse("/srv/*/x.ini").unwrap(), Monitor::Glob(..)));
    }
}
