//! Which Python environment the app runs in, and whether it fits the Python linked here.
//!
//! `interpreter` asks before it starts Python, the master before it starts anything. Only looks at
//! files; what is linked comes as an argument.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::config::Config;
use crate::error::{Code, Error};

/// The Python linked to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Linked {
    /// `3.11.7`.
    pub version: String,
    /// The library's file, where it is shared.
    pub library: Option<PathBuf>,
}

impl Linked {
    /// `3.11`.
    pub(super) fn minor(&self) -> &str {
        minor(&self.version)
    }

    /// The interpreter that belongs to the library: `bin/python3.11` of the nearest directory above
    /// it that has one, which is right for `/opt/python/lib` and Debian's multiarch alike.
    pub(super) fn executable(&self) -> Option<PathBuf> {
        let name = format!("bin/python{}", self.minor());
        let library = self.library.as_ref()?.canonicalize().ok()?;
        library.ancestors().skip(1).map(|directory| directory.join(&name)).find(|path| path.is_file())
    }

    fn prefix(&self) -> Option<PathBuf> {
        prefix_of(&self.executable()?)
    }
}

/// Which Python environment was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Venv {
    pub(super) kind: Kind,
    pub(super) reason: String,
}

/// What an environment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A virtual environment.
    Virtual(PathBuf),
    /// A whole installation, named as `home`.
    Home(PathBuf),
    /// The installation that the linked library belongs to.
    Own,
}

impl fmt::Display for Venv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Virtual(path) => write!(f, "venv {} ({})", path.display(), self.reason),
            Kind::Home(path) => write!(f, "home {} ({})", path.display(), self.reason),
            Kind::Own => f.write_str(&self.reason),
        }
    }
}

impl Venv {
    /// Chooses: `home`, the directory of the command where that is in a virtual environment,
    /// `$VIRTUAL_ENV`, and else none. Refuses what the linked Python can't use.
    pub(super) fn choose(
        config: &Config,
        directory: &Path,
        argv0: &Path,
        environment: impl Fn(&str) -> Option<PathBuf>,
        linked: &Linked,
    ) -> Result<Self, Error> {
        if let Some(home) = &config.home {
            let reason = config.origin("home").map_or_else(|| "home".to_owned(), |it| format!("from {}", it.origin));
            return Self::from_home(&config.app_directory(directory).join(home), reason, linked)
                .map_err(|error| error.maybe_at(config.origin("home")));
        }
        let found = [
            (command_venv(directory, argv0, &environment), "where the command is"),
            (environment("VIRTUAL_ENV").filter(|path| is_venv(path)), "from $VIRTUAL_ENV"),
        ];
        for (path, reason) in found {
            if let Some(path) = path {
                check(&path, linked).map_err(|error| error.at(reason))?;
                return Ok(Self { kind: Kind::Virtual(path), reason: reason.to_owned() });
            }
        }
        Ok(Self { kind: Kind::Own, reason: "no venv".to_owned() })
    }

    fn from_home(home: &Path, reason: String, linked: &Linked) -> Result<Self, Error> {
        // `..` is resolved now, so that messages and `sys.prefix` read well.
        let path = match home.components().any(|part| part == Component::ParentDir) {
            true => home.canonicalize().unwrap_or_else(|_| home.to_owned()),
            false => home.components().collect(),
        };
        if is_venv(&path) {
            check(&path, linked)?;
            return Ok(Self { kind: Kind::Virtual(path), reason });
        }
        if libraries(&path).any(|name| name == format!("python{}", linked.minor())) {
            return Ok(Self { kind: Kind::Home(path), reason });
        }
        if let Some(other) = libraries(&path).next() {
            return Err(foreign(&path, other.trim_start_matches("python"), linked)
                .fact(format!("{} has lib/{other} and no pyvenv.cfg", path.display())));
        }
        Err(not_a_venv(&path, linked))
    }

    /// The environment's directory; `None` without one.
    pub fn directory(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Virtual(path) | Kind::Home(path) => Some(path),
            Kind::Own => None,
        }
    }

    /// The directory with the environment's commands.
    pub(super) fn bin(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::Virtual(path) | Kind::Home(path) => Some(path.join("bin")),
            Kind::Own => None,
        }
    }
}

fn is_venv(path: &Path) -> bool {
    path.join("pyvenv.cfg").is_file()
}

/// The virtual environment the command was started from: as invoked, before links are followed.
fn command_venv(directory: &Path, argv0: &Path, environment: &impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let command = if argv0.components().count() > 1 {
        directory.join(argv0)
    } else {
        let paths = environment("PATH")?;
        std::env::split_paths(&paths).map(|path| directory.join(path).join(argv0)).find(|path| path.is_file())?
    };
    let bin = command.parent()?;
    // `..` as a path would leave a linked directory at its target.
    let venv = if bin.ends_with(".") || bin.ends_with("..") { bin.join("..") } else { bin.parent()?.to_path_buf() };
    is_venv(&venv).then_some(venv)
}

/// The `pythonX.Y` directories under `lib` that hold a standard library.
fn libraries(home: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = ["lib", "lib64"].into_iter().flat_map(|lib| {
        let lib = std::fs::read_dir(home.join(lib)).into_iter().flatten().flatten();
        lib.filter(|entry| entry.path().join("os.py").is_file())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect::<Vec<_>>()
    });
    entries.collect::<Vec<_>>().into_iter()
}

/// `pyvenv.cfg`, as far as it tells whose it is.
#[derive(Debug, Default)]
struct Marker {
    version: Option<String>,
    home: Option<PathBuf>,
    executable: Option<PathBuf>,
}

impl Marker {
    fn read(venv: &Path) -> Self {
        let mut marker = Self::default();
        // Read as Python does: lossily, and lines without `=` are no settings.
        let text = std::fs::read(venv.join("pyvenv.cfg")).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                // `venv` writes the first, `virtualenv` and `uv` the second.
                "version" | "version_info" => marker.version = Some(value.to_owned()),
                "home" => marker.home = Some(value.into()),
                "executable" | "base-executable" => marker.executable = Some(value.into()),
                _ => {}
            }
        }
        marker
    }

    /// The Python that made it, links followed; `None` where it is not there any more.
    fn maker(&self, version: &str) -> Option<PathBuf> {
        let home = self.home.iter().flat_map(|home| {
            [format!("python{version}"), "python3".to_owned(), "python".to_owned()].map(|name| home.join(name))
        });
        self.executable.iter().cloned().chain(home).find_map(|path| path.canonicalize().ok())
    }
}

/// Refuses a virtual environment that was made by another Python: of another version its packages
/// would not be found, of another build its compiled modules would not load.
fn check(venv: &Path, linked: &Linked) -> Result<(), Error> {
    let marker = Marker::read(venv);
    let version = marker.version.clone().unwrap_or_else(|| linked.version.clone());
    let home = |error: Error| match &marker.home {
        Some(home) => error.fact(format!("{}: home = {}", venv.join("pyvenv.cfg").display(), home.display())),
        None => error,
    };
    if minor(&version) != linked.minor() {
        return Err(home(foreign(venv, &version, linked)));
    }
    let maker = marker.maker(linked.minor()).as_deref().and_then(prefix_of);
    match (maker, linked.prefix()) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            let error = foreign(venv, &format!("{version} in {}", theirs.display()), linked);
            Err(home(error))
        }
        _ => Ok(()),
    }
}

fn foreign(venv: &Path, version: &str, linked: &Linked) -> Error {
    let library = linked.library.as_ref().map(|path| format!(" ({})", path.display())).unwrap_or_default();
    let message = format!(
        "the virtual environment `{}` was made by Python {version}, this rustwsgi is linked to {}{library}",
        venv.display(),
        linked.version
    );
    let error = Error::new(Code::ForeignVirtualenv, message);
    match linked.executable() {
        Some(python) => error.hint(format!(
            "make it anew with the Python that rustwsgi uses: {} -m venv --clear {}",
            python.display(),
            venv.display()
        )),
        None => error,
    }
    .hint(format!(
        "or build rustwsgi for its Python: PYO3_PYTHON={} cargo build --release",
        venv.join("bin/python").display()
    ))
}

fn not_a_venv(path: &Path, linked: &Linked) -> Error {
    let why = match path.exists() {
        true => "no pyvenv.cfg",
        false => "no such directory",
    };
    let message = format!("`{}` is not a virtual environment: {why}", path.display());
    let mut error = Error::new(Code::NotAVirtualenv, message);
    let python = linked.executable().unwrap_or_else(|| "python3".into());
    let create = format!("{} -m venv {}", python.display(), path.display());
    match [Some(path), path.parent()].into_iter().flatten().find_map(near) {
        Some(found) => {
            error = error.hint(format!("there is one: home = {}", found.display()));
            error.hint(format!("or create it: {create}"))
        }
        None => error.hint(format!("create it: {create}")),
    }
}

/// A virtual environment in a directory, by its usual names.
pub(super) fn near(directory: &Path) -> Option<PathBuf> {
    [".venv", "venv", "env", "virtualenv"].map(|name| directory.join(name)).into_iter().find(|path| is_venv(path))
}

/// `3.11` of `3.11.7` and of `3.11.7.final.0`.
fn minor(version: &str) -> &str {
    match version.match_indices('.').nth(1) {
        Some((end, _)) => &version[..end],
        None => version,
    }
}

/// `/opt/python` of `/opt/python/bin/python3`, links followed.
fn prefix_of(executable: &Path) -> Option<PathBuf> {
    Some(executable.canonicalize().ok()?.parent()?.parent()?.to_path_buf())
}
