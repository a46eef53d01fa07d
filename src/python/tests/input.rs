//! `wsgi.input`: every way to read, and bodies that come slowly, in chunks, or not at all.

use super::*;

#[test]
fn input_reads_in_every_way() {
    let body = b"one\ntwo\nthree\n\nfour";
    for (expression, value) in [
        ("i.read()", "b'one\\ntwo\\nthree\\n\\nfour'"),
        ("i.read(-1), i.read(), i.read(5)", "(b'one\\ntwo\\nthree\\n\\nfour', b'', b'')"),
        ("i.read(None)[:3]", "b'one'"),
        ("i.read(2), i.read(0), i.read(-1)[-4:]", "(b'on', b'', b'four')"),
        ("i.read(1000)[-4:]", "b'four'"),
        ("i.readline(), i.readline(2), i.readline(), i.read(3)", "(b'one\\n', b'tw', b'o\\n', b'thr')"),
        ("i.readline(), i.read()", "(b'one\\n', b'two\\nthree\\n\\nfour')"),
        ("list(i)", "[b'one\\n', b'two\\n', b'three\\n', b'\\n', b'four']"),
        ("i.readlines()", "[b'one\\n', b'two\\n', b'three\\n', b'\\n', b'four']"),
        ("i.readlines(5), i.read1(3), i.read1()", "([b'one\\n', b'two\\n'], b'thr', b'ee\\n\\nfour')"),
        ("next(i), i.close(), next(i)", "(b'one\\n', None, b'two\\n')"),
        ("(b := bytearray(6), i.readinto(b), i.readinto(memoryview(b)[:2]))", "(bytearray(b'o\\ne\\ntw'), 6, 2)"),
        ("(b := bytearray(99), i.readinto(b), i.readinto(b))[1:]", "(19, 0)"),
        ("hasattr(i, 'fileno')", "False"),
    ] {
        let mut site =
            Site::new(&app(&format!("i = environ['wsgi.input']\nlog.append(({expression}))\n{OK}return [b'x']")));
        let outcome = site.post(body);
        assert_eq!(outcome.served.status, 200, "{expression}: {}", outcome.log);
        assert_eq!(site.eval("log[0]"), site.eval(value), "{expression}");
    }
}

#[test]
fn input_reads_large_and_slow_and_chunked_bodies() {
    let mut site = Site::new(&app(&format!("log.append(environ['wsgi.input'].read())\n{OK}return [b'x']")));
    let body: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    site.post(&body);
    assert_eq!(site.eval("len(log[0]), log[0] == bytes(i % 251 for i in range(3000000))"), "(3000000, True)");
    let mut chunked = request(VARS, 0);
    chunked.front = Front::Http11;
    chunked.body = Body::Chunked;
    site.serve(&chunked, b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(site.eval("log[1]"), "b'hello world'");
}

#[test]
fn a_body_that_does_not_come_is_an_oserror() {
    let lines = format!(
        "try:\n    environ['wsgi.input'].read()\nexcept OSError as error:\n    log.append(str(error))\n{OK}return [b'x']"
    );
    let mut site = Site::new(&app(&lines));
    let outcome = site.serve(&request(VARS, 100), b"only this");
    assert_eq!(outcome.served.status, 200);
    assert!(site.eval("log[0]").contains("91 bytes of the body missing"), "{}", site.eval("log"));
    let (ours, _theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    site.patience = Duration::from_millis(50);
    site.serve_on(ours, &request(VARS, 100));
    assert!(site.eval("log[1]").contains("timeout"), "{}", site.eval("log"));
    // A client that announces more than any machine has must not cost the memory.
    site.serve(&request(VARS, 1 << 33), b"small");
    assert_eq!(site.eval("len(log)"), "3");
}

#[test]
fn threads_of_the_app_may_read_the_body() {
    let mut site = Site::new(
        "import threading
log = []
def application(environ, start_response):
    thread = threading.Thread(target=lambda: log.append(environ['wsgi.input'].read()))
    thread.start()
    start_response('200 OK', [])(b'early ')
    thread.join()
    return [b'late']
",
    );
    let body = vec![b'b'; 200_000];
    assert_eq!(site.post(&body).body(), "early late");
    assert_eq!(site.eval("len(log[0])"), "200000");
}
