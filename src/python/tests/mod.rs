//! The room as a whole: Python started in the test process, apps called through [`Core::serve`]
//! over a socket pair, as `worker` does it.

mod environ;
mod input;
mod output;
mod start;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::app::App;
use super::interpreter::{Interpreter, find_venv};
use super::traceback::LOGGED;
use super::venv::{Kind, Linked, Venv};
use super::wsgi::{Core, Served};
use super::{Gil, attach};
use crate::config::Config;
use crate::error::Code;
use crate::net::exchange::{End, Exchange};
use crate::net::stream::Stream;
use crate::proto::request::{Body, Front, Request};

/// The one interpreter of the test process.
fn python() -> &'static Interpreter {
    static PYTHON: OnceLock<Interpreter> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let venv = Venv { kind: Kind::Own, reason: "no venv".to_owned() };
        let interpreter = Interpreter::start(&venv, &Config::default()).unwrap();
        interpreter.let_go();
        interpreter
    })
}

/// A configuration with some fields set.
pub(super) fn config(set: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    set(&mut config);
    config
}

/// An app with a core that serves it.
struct Site {
    globals: Py<PyDict>,
    core: Core,
    exchange: Arc<Mutex<Exchange>>,
    /// How long a client may be silent; generous, as a busy machine may be slow.
    patience: Duration,
}

/// What one request came to.
struct Outcome {
    served: Served,
    response: Vec<u8>,
    log: String,
}

impl Outcome {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.response).into_owned()
    }

    fn body(&self) -> String {
        self.text().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

const VARS: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "GET"),
    ("REQUEST_URI", "/x?y"),
    ("PATH_INFO", "/x"),
    ("QUERY_STRING", "y"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REMOTE_ADDR", "10.0.0.1"),
    ("CONTENT_LENGTH", ""),
];

fn request(vars: &[(&str, &str)], body: u64) -> Request {
    let mut request = Request::new();
    for (name, value) in vars {
        // Each letter stands for the byte of its number.
        let bytes: Vec<u8> = value.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
        request.push(name.as_bytes(), &bytes).unwrap();
    }
    request.body = Body::Length(body);
    request
}

impl Site {
    fn new(code: &str) -> Self {
        Self::with(code, &Config::default())
    }

    fn with(code: &str, config: &Config) -> Self {
        python();
        attach(|gil| {
            let globals = PyDict::new(gil.py);
            let code = std::ffi::CString::new(code).unwrap();
            gil.py.run(&code, Some(&globals), None).unwrap();
            let app = App::new("test".to_owned(), &globals.get_item("application").unwrap().unwrap(), config).unwrap();
            let exchange = Arc::new(Mutex::new(Exchange::new()));
            let core = app.core(gil, 0, exchange.clone());
            Self { globals: globals.unbind(), core, exchange, patience: Duration::from_secs(20) }
        })
    }

    fn get(&mut self) -> Outcome {
        self.serve(&request(VARS, 0), b"")
    }

    fn post(&mut self, body: &[u8]) -> Outcome {
        self.serve(&request(VARS, body.len() as u64), body)
    }

    /// Serves; the client sends `body`, closes its half, and reads to the end.
    fn serve(&mut self, request: &Request, body: &[u8]) -> Outcome {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let body = body.to_vec();
        let client = std::thread::spawn(move || {
            // The app may not read the body at all.
            let _ = theirs.write_all(&body);
            let _ = theirs.shutdown(std::net::Shutdown::Write);
            let mut response = Vec::new();
            let _ = theirs.read_to_end(&mut response);
            response
        });
        let (served, log) = self.serve_on(ours, request);
        Outcome { served, log, response: client.join().unwrap() }
    }

    fn serve_on(&mut self, ours: UnixStream, request: &Request) -> (Served, String) {
        self.exchange.lock().unwrap().begin(Stream::new(ours.into()), BytesMut::new(), request, self.patience);
        LOGGED.take();
        let served = attach(|gil| self.core.serve(gil, request));
        drop(self.exchange.lock().unwrap().end());
        (served, LOGGED.take().concat())
    }

    /// The value of an expression among the app's globals.
    fn eval(&self, expression: &str) -> String {
        attach(|gil| {
            let code = std::ffi::CString::new(expression).unwrap();
            let value = gil.py.eval(&code, Some(self.globals.bind(gil.py)), None).unwrap();
            value.repr().unwrap().to_string()
        })
    }
}

/// An app around the lines of its body.
fn app(lines: &str) -> String {
    let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("import io, sys\nclosed = 0\nlog = []\ndef application(environ, start_response):\n{indented}")
}

const OK: &str = "start_response('200 OK', [('X', 'y')])\n";

fn served(lines: &str) -> Outcome {
    Site::new(&app(lines)).get()
}

/// An iterable class that counts its `close` calls in `closed`.
fn closing(chunks: &str, close: &str) -> String {
    format!(
        "closed = 0
class Body:
    def __iter__(self):
        {chunks}
    def close(self):
        global closed
        closed += 1
        {close}
def application(environ, start_response):
    start_response('200 OK', [('X', 'y')])
    return Body()
"
    )
}

#[test]
fn a_response_is_head_and_chunks() {
    let outcome = served(&format!("{OK}return [b'hello', b' ', b'world']"));
    assert_eq!(outcome.text(), "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello world");
    assert_eq!(outcome.served, Served { status: 200, exception: false });
    assert_eq!(outcome.log, "");
    for result in ["[b'x']", "(b'x',)", "b'x'", "iter([b'', b'x'])", "[b'', None, b'x']", "(c for c in [b'x'])"] {
        let outcome = served(&format!("{OK}return {result}"));
        assert_eq!((outcome.body().as_str(), outcome.served.status), ("x", 200), "{result}");
    }
    for result in ["[]", "()", "iter([])", "b''", "[b'']"] {
        let outcome = served(&format!("{OK}return {result}"));
        assert_eq!(outcome.text(), "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", "{result}");
    }
}

#[test]
fn one_chunk_is_announced_to_http() {
    let mut site = Site::new(&app(&format!("{OK}return [b'hello']")));
    let mut request = request(VARS, 0);
    request.front = Front::Http11;
    assert_eq!(
        site.serve(&request, b"").text(),
        "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    );
    request.keep_alive = true;
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    site.exchange.lock().unwrap().begin(Stream::new(ours.into()), BytesMut::new(), &request, Duration::from_secs(1));
    attach(|gil| site.core.serve(gil, &request));
    assert!(matches!(site.exchange.lock().unwrap().end(), Some(End::KeepAlive(..))));
    drop(theirs);
}

#[test]
fn start_response_may_come_late_and_write_sends_at_once() {
    let late = "def body():\n    start_response('202 Accepted', [])\n    yield b'late'\nreturn body()";
    assert_eq!(served(late).text(), "HTTP/1.1 202 Accepted\r\n\r\nlate");
    let written = "write = start_response('200 OK', [])\nwrite(b'one ')\nwrite(b'two ')\nreturn [b'three']";
    assert_eq!(served(written).body(), "one two three");
    let twice = "start_response('201 Made', [('A', 'b')])\nstart_response('200 OK', [('X', 'y')])\nreturn [b'x']";
    let outcome = served(twice);
    assert_eq!((outcome.served.status, outcome.served.exception), (500, true));
    assert!(outcome.log.contains("AssertionError: start_response was called before"), "{}", outcome.log);
}

#[test]
fn exc_info_replaces_the_head_or_is_raised_again() {
    let replaced = "start_response('200 OK', [])\ntry:\n    raise ValueError('first')\nexcept ValueError:\n    start_response('503 Down', [('X', 'y')], sys.exc_info())\nreturn [b'x']";
    assert_eq!(served(replaced).text(), "HTTP/1.1 503 Down\r\nX: y\r\n\r\nx");
    let raised = "write = start_response('200 OK', [])\nwrite(b'part')\ntry:\n    raise ValueError('marker')\nexcept ValueError:\n    start_response('503 Down', [], sys.exc_info())\nreturn [b'x']";
    let outcome = served(raised);
    assert_eq!((outcome.body().as_str(), outcome.served.exception), ("part", true));
    assert!(outcome.log.contains("ValueError: marker"), "{}", outcome.log);
    let sent = "write = start_response('200 OK', [])\nwrite(b'part')\nstart_response('200 OK', [])\nreturn []";
    assert!(served(sent).log.contains("OSError: headers already sent"));
}

#[test]
fn whatever_is_raised_gets_the_client_a_500_and_the_log_one_traceback() {
    let generator = "def body():\n    raise ValueError('marker')\n    yield b''\n";
    for lines in [
        "raise ValueError('marker')",
        "start_response('200 OK', [('A', 'b')])\nraise ValueError('marker')",
        &format!("{OK}{generator}return body()"),
        "sys.exit('marker')",
        "raise KeyboardInterrupt('marker')",
        "raise GeneratorExit('marker')",
        "class Marker(BaseException):\n    def __str__(self):\n        return 'marker'\nraise Marker",
        "def marker(n):\n    return marker(n + 1)\nmarker(0)",
    ] {
        let mut site = Site::new(&app(&format!(
            "if environ['QUERY_STRING'] == 'y':\n    def fail():\n{}\n    return fail()\n{OK}return [b'fine']",
            lines.lines().map(|line| format!("        {line}\n")).collect::<String>()
        )));
        let outcome = site.get();
        assert_eq!(
            outcome.text(),
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n\r\nInternal Server Error",
            "{lines}"
        );
        assert_eq!(outcome.served, Served { status: 500, exception: true });
        assert_eq!(outcome.log.matches("Traceback (most recent call last)").count(), 1, "{}", outcome.log);
        assert!(outcome.log.starts_with("exception during GET /x?y (10.0.0.1)\n"), "{}", outcome.log);
        assert!(outcome.log.contains("marker"), "{}", outcome.log);
        let mut vars = VARS.to_vec();
        vars[3].1 = "ok";
        assert_eq!(site.serve(&request(&vars, 0), b"").body(), "fine");
    }
}

#[test]
fn what_breaks_wsgi_is_a_500_with_one_line() {
    for (lines, said) in [
        ("return [b'x']", "before start_response was called"),
        ("return []", "did not call start_response"),
        (&format!("{OK}return ['text']"), "chunk that is `str`, not bytes"),
        (&format!("{OK}return 'text'"), "chunk that is `str`, not bytes"),
        (&format!("{OK}return [5]"), "chunk that is `int`, not bytes"),
    ] {
        let outcome = served(lines);
        assert_eq!((outcome.served.status, outcome.served.exception), (500, true), "{lines}");
        assert_eq!(outcome.log.lines().count(), 1, "{}", outcome.log);
        assert!(outcome.log.contains(said), "{}", outcome.log);
    }
    for result in ["None", "5"] {
        let outcome = served(&format!("{OK}return {result}"));
        assert_eq!(outcome.served.status, 500);
        assert!(outcome.log.contains("not iterable"), "{}", outcome.log);
    }
}

#[test]
fn heads_that_can_t_be_sent_are_refused() {
    for (status, headers, said) in [
        ("200 OK", "('X-Bad', 'a\\r\\nb')", "X-Bad"),
        ("200 OK", "('X-Bad', 'a\\0')", "X-Bad"),
        ("200 OK", "('X\\nBad', 'a')", "X\\nBad"),
        ("200 OK", "('X Bad', 'a')", "X Bad"),
        ("200 OK", "('Content-Length', 'x')", "Content-Length"),
        ("200 OK", "('X-Large', 'x' * 70000)", "over 65536 bytes"),
        ("abc", "('X', 'y')", "abc"),
        ("100 Continue", "('X', 'y')", "100 Continue"),
    ] {
        let outcome = served(&format!("start_response('{status}', [({headers})])\nreturn [b'x']"));
        assert_eq!((outcome.served.status, outcome.served.exception), (500, true), "{headers}");
        assert_eq!(outcome.log.lines().count(), 1, "{}", outcome.log);
        assert!(outcome.log.starts_with("response refused: ") && outcome.log.contains(said), "{}", outcome.log);
        assert!(!outcome.text().contains("a\r\nb"));
    }
    let put_right = "try:\n    start_response('200 OK', [('X', '\\n')])\nexcept ValueError:\n    start_response('200 OK', [])\nreturn [b'x']";
    assert_eq!(served(put_right).text(), "HTTP/1.1 200 OK\r\n\r\nx");
    let swallowed = "try:\n    start_response('200 OK', [('X', '\\n')])\nexcept ValueError:\n    pass\nreturn [b'x']";
    assert_eq!(served(swallowed).served.status, 500);
}

#[test]
fn arguments_of_the_wrong_type_are_type_errors() {
    for call in [
        "start_response('200 OK')",
        "start_response(200, [])",
        "start_response(b'200 OK', [])",
        "start_response('200 \\u20ac', [])",
        "start_response('200 OK', (('X', 'y'),))",
        "start_response('200 OK', [['X', 'y']])",
        "start_response('200 OK', [('X',)])",
        "start_response('200 OK', [('X', b'y')])",
        "start_response('200 OK', [('X', 5)])",
        "start_response('200 OK', [('X', '\\u20ac')])",
        "start_response('200 OK', [])('text')",
    ] {
        let mut site = Site::new(&app(&format!(
            "try:\n    {call}\nexcept TypeError as error:\n    log.append(str(error))\nstart_response('200 OK', [('E', '\\xe9')], (None, None, None))\nreturn [b'x']"
        )));
        let outcome = site.get();
        assert_eq!(outcome.response, b"HTTP/1.1 200 OK\r\nE: \xe9\r\n\r\nx", "{call}");
        assert_ne!(site.eval("log"), "[]", "{call}");
    }
}

#[test]
fn close_is_called_once_whatever_happens() {
    for (chunks, close, status, exception, body) in [
        ("return iter([b'a', b'b'])", "pass", 200, false, "ab"),
        ("return iter([])", "pass", 200, false, ""),
        ("raise ValueError", "pass", 500, true, "Internal Server Error"),
        ("yield b'a'; raise ValueError", "pass", 200, true, "a"),
        ("yield 'text'", "pass", 500, true, "Internal Server Error"),
        ("yield b'a'", "raise ValueError", 200, true, "a"),
        ("raise KeyError", "raise ValueError", 500, true, "Internal Server Error"),
    ] {
        let mut site = Site::new(&closing(chunks, close));
        let outcome = site.get();
        assert_eq!(site.eval("closed"), "1", "{chunks}");
        assert_eq!(outcome.served, Served { status, exception }, "{chunks}");
        assert_eq!(outcome.body(), body);
        let raised = chunks.matches("raise").count() + close.matches("raise").count();
        assert_eq!(outcome.log.matches("Traceback").count(), raised, "{}", outcome.log);
    }
}

#[test]
fn a_response_that_broke_off_is_not_taken_for_whole() {
    let mut site = Site::new(&closing("yield b'a'; raise ValueError", "pass"));
    let (ours, _client) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let request = request(VARS, 0);
    site.exchange.lock().unwrap().begin(Stream::new(ours.into()), BytesMut::new(), &request, Duration::from_secs(1));
    attach(|gil| site.core.serve(gil, &request));
    assert!(site.exchange.lock().unwrap().is_broken());
}

#[test]
fn lengths_that_do_not_hold_are_said() {
    let short = served("start_response('200 OK', [('Content-Length', '9')])\nreturn [b'x']");
    assert!(short.log.starts_with("response shorter than its Content-Length: 1 bytes"), "{}", short.log);
    let long = served("start_response('200 OK', [('Content-Length', '1')])\nreturn [b'xyz']");
    assert_eq!(long.body(), "x");
    assert!(long.log.starts_with("response longer than its Content-Length: 2 bytes cut"), "{}", long.log);
}

#[test]
fn a_client_that_is_gone_is_one_line_and_an_oserror() {
    let request = request(VARS, 0);
    let mut site = Site::new(&closing("yield from [b'x' * 100000] * 100", "pass"));
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    drop(theirs);
    let (served, log) = site.serve_on(ours, &request);
    assert_eq!((log.lines().count(), served.exception), (1, false), "{log}");
    assert!(log.starts_with("write error: ") && log.contains("GET /x?y"), "{log}");
    assert_eq!(site.eval("closed"), "1");
    let mut site = Site::new(&app(
        "write = start_response('200 OK', [])\ntry:\n    write(b'x')\nexcept OSError as error:\n    log.append(type(error).__name__)\n    raise\nreturn []",
    ));
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    drop(theirs);
    let (served, log) = site.serve_on(ours, &request);
    assert_eq!((log.lines().count(), served.exception), (1, false), "{log}");
    assert_eq!(site.eval("log"), "['BrokenPipeError']".replace("BrokenPipeError", "OSError"));
}

impl Site {
    /// Serves without looking at the response, which fits the socket's buffer.
    fn serve_quietly(&mut self, request: &Request) {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        self.serve_on(ours, request);
    }
}

#[test]
fn objects_kept_past_their_request_are_dead() {
    let mut site = Site::new(&app(
        "log.append((environ['wsgi.input'], start_response, start_response('200 OK', [])))\nreturn [b'x']",
    ));
    site.post(b"body");
    site.post(b"body");
    assert_eq!(site.eval("log[0][0].read(), log[0][0].readline(), list(log[0][0])"), "(b'', b'', [])");
    assert_eq!(site.eval("log[0][0] is log[1][0], log[0][1] is log[1][1]"), "(False, False)");
    let attempts =
        "def attempt(f, *a):\n    try:\n        f(*a)\n    except OSError as error:\n        return str(error)\n";
    attach(|gil| {
        let code = std::ffi::CString::new(attempts).unwrap();
        gil.py.run(&code, Some(site.globals.bind(gil.py)), None).unwrap();
    });
    assert_eq!(site.eval("attempt(log[0][1], '200 OK', [])"), "'the request is over'");
    assert_eq!(site.eval("attempt(log[0][2], b'x')"), "'the request is over'");
    let mut site =
        Site::new(&app("log.append(id(environ['wsgi.input']))\nstart_response('200 OK', [])\nreturn [b'x']"));
    site.get();
    site.get();
    assert_eq!(site.eval("len(set(log))"), "1");
}
