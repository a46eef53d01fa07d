//! Tests of what a request is given, on a directory of its own.

use super::*;

/// A directory with files, removed at the end.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustwsgi-static-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("files/sub")).unwrap();
        std::fs::write(path.join("files/a.css"), "body {}").unwrap();
        std::fs::write(path.join("files/a.css.gz"), "packed").unwrap();
        std::fs::write(path.join("files/sub/index.html"), "index").unwrap();
        std::fs::write(path.join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", path.join("files/out")).unwrap();
        std::os::unix::fs::symlink("a.css", path.join("files/in.css")).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn files(&self, set: impl FnOnce(&mut Requests)) -> Files {
        let mut requests = Requests::default();
        requests.static_map.push(format!("/s/={}/files", self.0.display()));
        set(&mut requests);
        Files::of(&requests).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn request(method: &str, path: &[u8], more: &[(&str, &str)]) -> Request {
    let mut request = Request::new();
    request.push(b"REQUEST_METHOD", method.as_bytes()).unwrap();
    request.push(b"PATH_INFO", path).unwrap();
    for (name, value) in more {
        request.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    request
}

/// The status and the number of bytes, or nothing where the app is asked.
fn given(files: &Files, path: &[u8]) -> Option<(&'static str, u64)> {
    let request = request("GET", path, &[]);
    let answer = files.may_have(&request).then(|| files.find(&request)).flatten()?;
    Some((answer.status, answer.bytes.map_or(0, |(.., count)| count)))
}

#[test]
fn files_are_found_on_boundaries_and_inside_alone() {
    let site = Site::new("inside");
    let files = site.files(|requests| requests.static_index.push("index.html".into()));
    for path in ["/s/a.css", "/s/sub/../a.css", "/s/in.css", "/s//a.css"] {
        assert_eq!(given(&files, path.as_bytes()), Some(("200 OK", 7)), "{path}");
    }
    for path in ["/s/sub", "/s/sub/", "/s/sub/index.html"] {
        assert_eq!(given(&files, path.as_bytes()), Some(("200 OK", 5)), "{path}");
    }
    for path in [
        "/sa.css",
        "/s",
        "/s/",
        "/s/../secret",
        "/s/sub/../../secret",
        "/s/out",
        "/s/none",
        "/s/a.css/",
        "/a.css",
        "/s/a.css\0",
    ] {
        assert_eq!(given(&files, path.as_bytes()), None, "{path}");
    }
    let safe = site.files(|requests| requests.static_safe.push(site.0.display().to_string()));
    assert_eq!(given(&safe, b"/s/out"), Some(("200 OK", 6)));
}

#[test]
fn other_methods_and_endings_are_left_to_the_app() {
    let site = Site::new("others");
    let files = site.files(|requests| requests.static_skip_ext.push(".css".into()));
    assert!(!files.may_have(&request("GET", b"/s/a.css", &[])));
    let files = site.files(|_| {});
    assert!(files.may_have(&request("HEAD", b"/s/a.css", &[])));
    assert!(!files.may_have(&request("POST", b"/s/a.css", &[])));
    assert!(Files::of(&Requests::default()).is_none());
}

#[test]
fn packed_forms_keep_the_type() {
    let site = Site::new("packed");
    let files = site.files(|requests| requests.static_gzip_all = true);
    let answer = files.find(&request("GET", b"/s/a.css", &[("HTTP_ACCEPT_ENCODING", "gzip")])).unwrap();
    let header = |name: &str| answer.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    assert_eq!((header("Content-Encoding"), header("Content-Type")), (Some("gzip"), Some("text/css")));
    assert_eq!((header("Content-Length"), header("Vary")), (Some("6"), Some("Accept-Encoding")));
}

#[test]
fn expiry_is_by_the_first_rule_that_fits() {
    let site = Site::new("expiry");
    let files = site.files(|requests| {
        requests.static_expires.push(r"\.html$ 10".into());
        requests.static_expires_type_mtime.push("text/css=0".into());
    });
    let dates = |path: &[u8]| {
        let answer = files.find(&request("GET", path, &[])).unwrap();
        ["Expires", "Last-Modified"].map(|name| {
            answer.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default()
        })
    };
    let [expires, changed] = dates(b"/s/a.css");
    assert_eq!(expires, changed);
    assert_ne!(dates(b"/s/sub/index.html")[0], "");
}
