//! The types of files, by their endings.
//!
//! What `mimefile` names or `/etc/mime.types` has (uWSGI: the same), and behind it a table of our
//! own for the files that sites serve: containers rarely have the other.

use std::collections::HashMap;
use std::path::Path;

/// Where Debian and others keep the types.
const SYSTEM: &str = "/etc/mime.types";

/// The types of the files that sites serve.
const USUAL: &[(&str, &str)] = &[
    ("html htm shtml", "text/html"),
    ("css", "text/css"),
    ("js mjs", "text/javascript"),
    ("json map", "application/json"),
    ("txt text log", "text/plain"),
    ("csv", "text/csv"),
    ("md", "text/markdown"),
    ("ics", "text/calendar"),
    ("vtt", "text/vtt"),
    ("xml xsl", "text/xml"),
    ("rss", "application/rss+xml"),
    ("atom", "application/atom+xml"),
    ("xhtml", "application/xhtml+xml"),
    ("webmanifest", "application/manifest+json"),
    ("wasm", "application/wasm"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("xz", "application/x-xz"),
    ("7z", "application/x-7z-compressed"),
    ("tar", "application/x-tar"),
    ("jar", "application/java-archive"),
    ("rtf", "application/rtf"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("epub", "application/epub+zip"),
    ("png", "image/png"),
    ("jpg jpeg jpe", "image/jpeg"),
    ("gif", "image/gif"),
    ("svg svgz", "image/svg+xml"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/vnd.microsoft.icon"),
    ("bmp", "image/bmp"),
    ("tif tiff", "image/tiff"),
    ("heic", "image/heic"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("eot", "application/vnd.ms-fontobject"),
    ("mp3", "audio/mpeg"),
    ("ogg oga", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/x-wav"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("mp4 m4v", "video/mp4"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov qt", "video/quicktime"),
    ("avi", "video/x-msvideo"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("ts", "video/mp2t"),
];

/// Types by ending.
#[derive(Debug)]
pub struct Types {
    by_ending: HashMap<String, String>,
}

impl Types {
    /// Reads the files of types that are named, or the system's. One that can't be read is logged,
    /// unless nobody named it.
    pub fn read(named: &[String]) -> Self {
        let mut types = Self { by_ending: HashMap::new() };
        for (endings, kind) in USUAL {
            types.add(kind, endings.split(' '));
        }
        if named.is_empty() {
            types.take(&std::fs::read_to_string(SYSTEM).unwrap_or_default());
        }
        for file in named {
            match std::fs::read(file) {
                Ok(bytes) => types.take(&String::from_utf8_lossy(&bytes)),
                Err(error) => tracing::warn!("cannot read the types of files in `{file}`: {error}"),
            }
        }
        types
    }

    /// The type of a file.
    pub fn of(&self, path: &Path) -> Option<&str> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        self.by_ending.get(&ending).map(String::as_str)
    }

    /// Takes lines of `type ending ending…`.
    fn take(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let Some(kind) = words.next() else { continue };
            // It goes into a header as it stands.
            if kind.contains('/') && kind.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.add(kind, words);
            }
        }
    }

    fn add<'a>(&mut self, kind: &str, endings: impl Iterator<Item = &'a str>) {
        for ending in endings {
            self.by_ending.insert(ending.trim_start_matches('.').to_ascii_lowercase(), kind.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_names_wins_over_the_table() {
        let mut types = Types { by_ending: HashMap::new() };
        types.add("image/png", ["png"].into_iter());
        types.take("# types\nimage/x-mine  png .PIX # more\nbroken png\n\ntext/odd\tpng2\n");
        let of = |name: &str| types.of(Path::new(name));
        assert_eq!(of("/a/b.PNG"), Some("image/x-mine"));
        assert_eq!(
            (of("b.pix"), of("b.png2"), of("b.none"), of("png")),
            (Some("image/x-mine"), Some("text/odd"), None, None)
        );
        assert_eq!(Types::read(&[]).of(Path::new("a.css")), Some("text/css"));
    }
}
