//! Static files: which file a request names, and what is said about it.
//!
//! Made by `worker` from the configuration and asked by its cores before an app is; what it returns
//! goes to an `Exchange`. Opens files and reads none. A file is served where the kernel says it is,
//! not where the request says: links and `..` lead nowhere but into the directory, or into one that
//! `static-safe` names.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use nix::libc;

use crate::config::Requests;
use crate::proto::request::{Known, Request};
use crate::sys::clock;

mod asked;
mod expiry;
mod packed;
mod types;

use asked::{Asked, Part};
use expiry::Expiries;
use packed::Packed;
use types::Types;

/// The static files of a site.
#[derive(Debug)]
pub struct Files {
    places: Vec<Place>,
    docroot: bool,
    skipped: Vec<String>,
    indexes: Vec<String>,
    safe: Vec<PathBuf>,
    types: Types,
    expiries: Expiries,
    packed: Packed,
    honours_range: bool,
    /// The header that names the file to the front end, where that is to send it.
    header: Option<&'static str>,
    /// When an escape was logged last, in seconds of the epoch.
    warned: AtomicU64,
}

/// Where files are looked for.
#[derive(Debug)]
struct Place {
    /// The path of the requests it is for, without a slash at its end; empty for all.
    prefix: Vec<u8>,
    /// Whether the prefix is cut off before the file is looked for.
    cuts: bool,
    root: PathBuf,
}

/// How a request for a file is answered.
#[derive(Debug)]
pub struct Answer {
    /// The status line's end.
    pub status: &'static str,
    /// The headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes to send: a file, where they begin and how many they are. HEAD has them too.
    pub bytes: Option<(File, u64, u64)>,
}

/// A file that a request names.
struct Found {
    file: File,
    meta: Metadata,
    /// Where it really is.
    path: PathBuf,
}

impl Files {
    /// The static files that the configuration asks for; `None` where it asks for none.
    pub fn of(requests: &Requests) -> Option<Self> {
        let all = requests.check_static.iter().map(|root| Place { prefix: Vec::new(), cuts: false, root: root.into() });
        let below = |cuts| {
            move |map: &String| {
                let (path, root) = map.split_once('=')?;
                let prefix = path.trim_end_matches('/').as_bytes().to_vec();
                Some(Place { prefix, cuts, root: root.into() })
            }
        };
        let places: Vec<Place> = all
            .chain(requests.static_map.iter().filter_map(below(true)))
            .chain(requests.static_map2.iter().filter_map(below(false)))
            .collect();
        if places.is_empty() && !requests.check_static_docroot {
            return None;
        }
        Some(Self {
            places,
            docroot: requests.check_static_docroot,
            skipped: requests.static_skip_ext.clone(),
            indexes: requests.static_index.clone(),
            safe: requests.static_safe.iter().map(PathBuf::from).collect(),
            types: Types::read(&requests.mimefile),
            expiries: Expiries::of(requests),
            packed: Packed::of(requests),
            honours_range: requests.honour_range,
            header: requests.file_serve_mode.as_deref().map(|mode| match mode.contains("send") {
                true => "X-Sendfile",
                false => "X-Accel-Redirect",
            }),
            warned: AtomicU64::new(0),
        })
    }

    /// Whether a request could be for a file. Looks at no file system.
    pub fn may_have(&self, request: &Request) -> bool {
        let Some(path) = request.known(Known::PathInfo) else { return false };
        matches!(request.known(Known::RequestMethod), Some(b"GET" | b"HEAD"))
            && (self.docroot || self.places.iter().any(|place| place.rest(path).is_some()))
            && !self.skipped.iter().any(|ending| path.ends_with(ending.as_bytes()))
    }

    /// The answer to a request for a file that is there. Opens files, which may take as long as a
    /// disk takes.
    pub fn find(&self, request: &Request) -> Option<Answer> {
        let path = request.known(Known::PathInfo)?;
        let asked = Asked::of(request);
        let docroot = asked.document_root.filter(|root| self.docroot && !root.is_empty());
        let docroot = docroot.map(|root| Path::new(OsStr::from_bytes(root)));
        let found = self
            .places
            .iter()
            .filter_map(|place| Some((place.root.as_path(), place.rest(path)?)))
            .chain(docroot.map(|root| (root, path)))
            .find_map(|(root, rest)| self.look_up(root, rest))?;
        Some(self.answer(found, &asked, request))
    }

    /// The file that `rest` names in `root`.
    fn look_up(&self, root: &Path, rest: &[u8]) -> Option<Found> {
        let root = root.canonicalize().ok()?;
        let mut path = root.as_os_str().as_bytes().to_vec();
        path.extend_from_slice(rest);
        let found = self.open(&root, Path::new(OsStr::from_bytes(&path)))?;
        if found.meta.is_file() {
            return Some(found);
        }
        if !found.meta.is_dir() {
            return None;
        }
        let index = |name: &String| self.open(&root, &found.path.join(name)).filter(|index| index.meta.is_file());
        self.indexes.iter().find_map(index)
    }

    /// Opens what is there, if it is where files may be.
    fn open(&self, root: &Path, path: &Path) -> Option<Found> {
        // A FIFO without a writer would wait for one.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        let meta = file.metadata().ok()?;
        let real = place_of(&file).ok()?;
        let is_safe = |safe: &PathBuf| safe.canonicalize().is_ok_and(|safe| real.starts_with(safe));
        if !real.starts_with(root) && !self.safe.iter().any(is_safe) {
            self.warn(path, &real);
            return None;
        }
        Some(Found { file, meta, path: real })
    }

    /// Says that a link or a path leads out, at most once a second: a client can have it said.
    fn warn(&self, path: &Path, real: &Path) {
        let now = clock::epoch().unsigned_abs();
        if self.warned.swap(now, Relaxed) != now {
            tracing::warn!(
                "`{}` is not served: it leads to `{}` (`static-safe` allows a directory)",
                path.display(),
                real.display()
            );
        }
    }

    fn answer(&self, found: Found, asked: &Asked<'_>, request: &Request) -> Answer {
        let mut headers = Vec::with_capacity(8);
        let kind = self.types.of(&found.path);
        if let Some(expires) = self.expiries.of_file(&found.path, kind, found.meta.mtime(), request) {
            headers.push(("Expires", asked::date(expires)));
        }
        let is_packed = self.packed.holds(&found.path);
        let (found, encoding) = if is_packed { self.pack(found, asked) } else { (found, None) };
        let tag = format!("\"{:x}-{:x}{}\"", found.meta.mtime(), found.meta.len(), encoding.unwrap_or_default());
        let length = found.meta.len();
        if is_packed {
            headers.push(("Vary", "Accept-Encoding".into()));
        }
        let part = asked.part(&tag, found.meta.mtime(), length, self.honours_range);
        headers.push(("Last-Modified", asked::date(found.meta.mtime())));
        headers.push(("ETag", tag));
        match part {
            Part::NotModified => return Answer { status: "304 Not Modified", headers, bytes: None },
            Part::Refused => {
                headers.push(("Content-Length", "0".into()));
                return Answer { status: "412 Precondition Failed", headers, bytes: None };
            }
            Part::OutOfRange => {
                headers.push(("Content-Range", format!("bytes */{length}")));
                headers.push(("Content-Length", "0".into()));
                return Answer { status: "416 Range Not Satisfiable", headers, bytes: None };
            }
            Part::Whole | Part::Range(..) => {}
        }
        if let Some(encoding) = encoding {
            headers.push(("Content-Encoding", encoding.into()));
        }
        if let Some(kind) = kind {
            headers.push(("Content-Type", kind.into()));
        }
        if let Some(header) = self.header {
            headers.push((header, found.path.to_string_lossy().into_owned()));
            return Answer { status: "200 OK", headers, bytes: None };
        }
        if self.honours_range {
            headers.push(("Accept-Ranges", "bytes".into()));
        }
        let (status, start, count) = match part {
            Part::Range(start, count) => {
                headers.push(("Content-Range", format!("bytes {start}-{}/{length}", start + count - 1)));
                ("206 Partial Content", start, count)
            }
            _ => ("200 OK", 0, length),
        };
        headers.push(("Content-Length", count.to_string()));
        Answer { status, headers, bytes: Some((found.file, start, count)) }
    }

    /// The packed form of a file that the client takes, where there is one.
    fn pack(&self, found: Found, asked: &Asked<'_>) -> (Found, Option<&'static str>) {
        for (encoding, ending) in [("br", ".br"), ("gzip", ".gz")] {
            if !asked.accepts(encoding) {
                continue;
            }
            let mut path = found.path.clone().into_os_string();
            path.push(ending);
            let Some(directory) = found.path.parent() else { continue };
            if let Some(packed) = self.open(directory, Path::new(&path)).filter(|packed| packed.meta.is_file()) {
                return (packed, Some(encoding));
            }
        }
        (found, None)
    }
}

impl Place {
    /// What of a path names the file in the root; `None` for paths that it is not for.
    fn rest<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let rest = path.strip_prefix(&self.prefix[..])?;
        (rest.is_empty() || rest.first() == Some(&b'/')).then_some(if self.cuts { rest } else { path })
    }
}

/// Where an open file really is.
fn place_of(file: &File) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests;
