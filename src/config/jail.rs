//! Paths with `chroot`: what the configuration names starts in the jail, and the master looks at it
//! from outside.

use std::path::{Path, PathBuf};

use super::Config;

impl Config {
    /// The directory that the app's paths start from, those of sockets and `home` too: `chdir`, or
    /// `directory`, where the instance was started; with `chroot`, as seen inside of it.
    pub fn app_directory(&self, directory: &Path) -> PathBuf {
        let start = if self.privileges.chroot.is_some() { Path::new("/") } else { directory };
        self.chdir.as_ref().map_or_else(|| start.to_owned(), |chdir| start.join(chdir))
    }

    /// Where a path of the app's is for a process outside of the jail (uWSGI: `--chroot`).
    pub fn outside(&self, directory: &Path, path: &Path) -> PathBuf {
        match &self.privileges.chroot {
            Some(jail) => directory.join(jail).join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_app_start_in_the_jail() {
        let mut config = Config::default();
        let start = Path::new("/home/blog");
        assert_eq!(config.app_directory(start), start);
        assert_eq!(config.outside(start, Path::new("/srv/a.sock")), Path::new("/srv/a.sock"));
        config.privileges.chroot = Some("jail".into());
        assert_eq!(config.app_directory(start), Path::new("/"));
        config.chdir = Some("srv".into());
        assert_eq!(config.app_directory(start), Path::new("/srv"));
        assert_eq!(config.outside(start, &config.app_directory(start)), Path::new("/home/blog/jail/srv"));
    }
}
