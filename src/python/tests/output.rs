//! Large responses and files.

use super::*;

#[test]
fn files_are_sent_from_where_they_stand_and_closed() {
    let path = std::env::temp_dir().join(format!("rustwsgi-file-{}", std::process::id()));
    std::fs::write(&path, b"0123456789".repeat(30_000)).unwrap();
    let path_text = path.to_str().unwrap();
    for (open, length, body) in [
        ("open(path, 'rb')", None, 300_000),
        ("open(path, 'rb', 0)", None, 300_000),
        ("open(path, 'r+b')", None, 300_000),
        ("seeked(open(path, 'rb'))", None, 299_990),
        ("open(path, 'rb')", Some(5), 5),
        ("io.BytesIO(b'memory')", None, 6),
        ("temporary()", None, 5),
        ("gzip.open(gzipped())", None, 8),
    ] {
        let code = format!(
            "import io, gzip, tempfile
path = {path_text:?}
files = []
def seeked(f):
    f.read(10)
    return f
def temporary():
    f = tempfile.NamedTemporaryFile()
    f.write(b'12345')
    f.seek(0)
    return f
def gzipped():
    return io.BytesIO(gzip.compress(b'original'))
def application(environ, start_response):
    start_response('200 OK', [{}])
    f = {open}
    files.append(f)
    return environ['wsgi.file_wrapper'](f, 4096)
",
            length.map(|length: u32| format!("('Content-Length', '{length}')")).unwrap_or_default()
        );
        let mut site = Site::new(&code);
        for _ in 0..2 {
            let outcome = site.get();
            assert_eq!(outcome.body().len(), body, "{open}: {}", outcome.log);
            assert_eq!(outcome.served, came_to(200, false));
        }
        assert_eq!(site.eval("[f.closed for f in files]"), "[True, True]", "{open}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn file_wrappers_of_odd_files_iterate_or_fail_cleanly() {
    let mut site = Site::new(
        "import os
def application(environ, start_response):
    start_response('200 OK', [])
    r, w = os.pipe()
    os.write(w, b'from a pipe')
    os.close(w)
    return environ['wsgi.file_wrapper'](open(r, 'rb'))
",
    );
    assert_eq!(site.get().body(), "from a pipe");
    let mut site = Site::new(&app(
        "start_response('200 OK', [])\nf = open('/dev/null', 'rb')\nf.close()\nreturn environ['wsgi.file_wrapper'](f)",
    ));
    assert_eq!(site.get().served.status, 500);
    assert!(served("environ['wsgi.file_wrapper'](5)").log.contains("AttributeError"));
    // Django replaces `close` of the file after it wrapped it.
    let mut site = Site::new(
        "import io
closed = 0
class File:
    def __init__(self, data):
        self.read = io.BytesIO(data).read
def close():
    global closed
    closed += 1
def application(environ, start_response):
    start_response('200 OK', [])
    f = File(b'x')
    wrapper = environ['wsgi.file_wrapper'](f)
    f.close = close
    return wrapper
",
    );
    site.get();
    assert_eq!(site.eval("closed"), "1");
}

#[test]
fn a_large_response_arrives_whole() {
    let outcome = served(&format!("{OK}return [b'x' * 2000000, b'y' * 2000000]"));
    assert_eq!(outcome.body().len(), 4_000_000);
    let outcome = served(&format!("{OK}return [b'x' * 2000000]"));
    assert_eq!(outcome.body().len(), 2_000_000);
}
