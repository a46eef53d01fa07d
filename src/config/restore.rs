//! A configuration as text that another program can make it of again: what was set, not where it was
//! read from, which may have changed since.
//!
//! For a master whose program is replaced: the generation that serves keeps its configuration.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::setting::{Record, Stage};
use super::{Config, Findings, Origin, Setting, Source};

/// Everything that was set, in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Written {
    settings: Vec<(String, String, Place)>,
    files: Vec<PathBuf>,
}

/// An [`Origin`].
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    File(String, usize),
    CommandLine,
    Environment(String),
}

impl Written {
    /// What `config` was made of.
    pub fn of(config: &Config) -> Self {
        let settings = config.settings.iter().map(|Setting { key, value, origin }| {
            let place = match origin {
                Origin::File { file, line } => Place::File(file.to_string(), *line),
                Origin::CommandLine => Place::CommandLine,
                Origin::Environment(name) => Place::Environment(name.clone()),
            };
            (key.clone(), value.clone(), place)
        });
        Self { settings: settings.collect(), files: config.files.clone() }
    }

    /// The configuration. What was wrong or odd about it was said when it was read.
    pub fn restore(self, source: &Source, directory: &Path) -> Config {
        let records = self.settings.into_iter().map(|(key, value, place)| {
            let origin = match place {
                Place::File(file, line) => Origin::File { file: file.into(), line },
                Place::CommandLine => Origin::CommandLine,
                Place::Environment(name) => Origin::Environment(name),
            };
            Record { setting: Setting { key, value, origin }, stage: Stage::Open }
        });
        let mut config = Config { files: self.files, ..Config::default() };
        let mut findings = Findings::default();
        let unknown = config.apply(records.collect(), &HashSet::new(), &mut findings);
        config.look_around(source);
        config.check(directory, &unknown, &mut findings);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_the_way_and_does_not_read_its_file_again() {
        let directory = std::env::temp_dir().join(format!("rustwsgi-restore-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let ini = directory.join("uwsgi.ini");
        std::fs::write(directory.join("app.py"), "").unwrap();
        std::fs::write(
            &ini,
            "[uwsgi]\nname = blog\nprocesses = 3\nsocket = @%(name)\nwsgi-file = app.py\nenv = A=$(HOME)\n",
        )
        .unwrap();
        let source = Source { files: vec![ini.display().to_string()], ..Source::default() };
        let (config, _) = Config::load(&source, &directory).unwrap();
        let text = serde_json::to_string(&Written::of(&config)).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let restored = serde_json::from_str::<Written>(&text).unwrap().restore(&source, &directory);
        assert_eq!(format!("{restored:?}"), format!("{config:?}"));
        assert_eq!((restored.processes, restored.sockets[0].address.as_str()), (3, "@blog"));
    }
}
