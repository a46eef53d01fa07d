//! Files whose change means something: noticed by their time of change, as uWSGI does.
//!
//! Used by `daemons` and the master's hooks, once a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files and when each was changed last, as far as is known.
#[derive(Debug, Default)]
pub struct Touched {
    files: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Touched {
    /// Watches files from now on.
    pub fn new<P: AsRef<Path>>(files: &[P]) -> Self {
        Self { files: files.iter().map(|file| (file.as_ref().to_owned(), time(file.as_ref()))).collect() }
    }

    /// A file that has changed, or come to be, since the last call; each change once. One that goes
    /// away means nothing.
    pub fn changed(&mut self) -> Option<PathBuf> {
        self.files.iter_mut().find_map(|(file, seen)| {
            let now = time(file)?;
            (seen.replace(now) != Some(now)).then(|| file.clone())
        })
    }
}

fn time(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|found| found.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_change_is_seen_once() {
        let file = std::env::temp_dir().join(format!("rustwsgi-touched-{}", std::process::id()));
        let mut touched = Touched::new(&[&file]);
        assert_eq!(touched.changed(), None);
        let made = fs::File::create(&file).unwrap();
        assert_eq!(touched.changed(), Some(file.clone()));
        assert_eq!(touched.changed(), None);
        made.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        assert_eq!(touched.changed(), Some(file.clone()));
        fs::remove_file(&file).unwrap();
        assert_eq!(touched.changed(), None);
    }
}
