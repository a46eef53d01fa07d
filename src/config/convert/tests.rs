//! What comes of inis, of gunicorn's and of Granian's ways.

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(String::from).collect()
}

fn command(line: &str) -> String {
    Conversion::of_command(&words(line), None).expect("a known program").text()
}

fn configuration(text: &str) -> String {
    Conversion::of_gunicorn_configuration("gunicorn.conf.py", text).text()
}

/// The settings of an ini, in order.
fn settings(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with([';', '[']) && !line.is_empty()).collect()
}

#[test]
fn a_gunicorn_command_line() {
    assert_eq!(
        command(
            "gunicorn blog.wsgi -w 4 --threads=2 -b 0.0.0.0:8000 --timeout 60 --max-requests 1000 --access-logfile - -D"
        ),
        "; made by rustwsgi convert from gunicorn blog.wsgi -w 4 --threads=2 -b 0.0.0.0:8000 --timeout 60 \
         --max-requests 1000 --access-logfile - -D\n[uwsgi]\n\
         module = blog.wsgi:application\n\
         http-socket = 0.0.0.0:8000\n\
         processes = 4\n\
         threads = 2\n\
         harakiri = 60\n\
         max-requests = 1000\n\
         daemonize = /dev/null\n"
    );
}

#[test]
fn gunicorns_defaults_are_written() {
    assert_eq!(
        command("python3 -m gunicorn blog:app"),
        "; made by rustwsgi convert from gunicorn blog:app\n[uwsgi]\n\
         module = blog:app\n\
         ; gunicorn's default address\n\
         http-socket = 127.0.0.1:8000\n\
         ; gunicorn: WEB_CONCURRENCY, or one\n\
         if-env = WEB_CONCURRENCY\nprocesses = %(_)\nendif =\nif-not-env = WEB_CONCURRENCY\nprocesses = 1\nendif =\n\
         ; gunicorn's default timeout; here it is counted for each request\n\
         harakiri = 30\n\
         ; gunicorn writes no line for each request unless told to\n\
         disable-logging = true\n"
    );
}

#[test]
fn what_gunicorn_has_alone_is_named() {
    let text = command("gunicorn blog.wsgi -k gevent --keyfile=k.pem --spam 1 --log-level debug -w2 --preload");
    for line in [
        ";   worker_class = `gevent`: no counterpart, `threads` serves requests side by side",
        ";   keyfile = `k.pem`: no counterpart: TLS ends at the proxy in front",
        ";   --spam: no option of gunicorn that is known",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.contains("\nprocesses = 2\n"));
}

#[test]
fn a_configuration_file() {
    let text = configuration(
        "import multiprocessing, os\n\
         # how many\n\
         workers = multiprocessing.cpu_count() * 2 + 1\n\
         PORT = os.environ.get('PORT', '8000')\n\
         bind = f\"0.0.0.0:{PORT}\"\n\
         raw_env = [\n    'A=1',  # one\n    \"B=100%\",\n]\n\
         timeout = int(os.getenv(\"TIMEOUT\", 90))\n\
         wsgi_app = \"blog\" '.wsgi'\n\
         max_requests, jitter = 1, 2\n\
         accesslog = '-'; x = 1\n\
         umask = 0o007\n\
         graceful_timeout = pick()\n\n\
         def post_fork(server, worker):\n    timeout = 3\n",
    );
    assert_eq!(
        settings(&text),
        [
            "env = A=1",
            "env = B=100%%",
            "module = blog.wsgi:application",
            "if-env = PORT",
            "http-socket = 0.0.0.0:%(_)",
            "endif =",
            "if-not-env = PORT",
            "http-socket = 0.0.0.0:8000",
            "endif =",
            "processes = %(%k * 2 + 1)",
            "if-env = TIMEOUT",
            "harakiri = %(_)",
            "endif =",
            "if-not-env = TIMEOUT",
            "harakiri = 90",
            "endif =",
            "umask = 007",
        ]
    );
    for line in [
        ";   gunicorn.conf.py:15: graceful_timeout = pick() (computed: write what it amounts to)",
        ";   gunicorn.conf.py:17: post_fork() (code: os.register_at_fork in the app runs in every worker)",
        ";   gunicorn.conf.py:12: max_requests, jitter = 1, 2 (not a plain assignment)",
        ";   gunicorn.conf.py:13: accesslog = '-'; x = 1 (computed: write what it amounts to)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn the_command_line_counts_over_the_file() {
    let file =
        Some(("gunicorn.conf.py", "workers = 3\nbind = ['unix:/run/a.sock', ':8000']\ntimeout = 0\naccesslog = '-'\n"));
    let text = Conversion::of_command(&words("gunicorn -w 5 a:b"), file).unwrap().text();
    assert_eq!(
        settings(&text),
        ["module = a:b", "http-socket = /run/a.sock", "chmod-socket = 666", "http-socket = :8000", "processes = 5"]
    );
    assert_eq!(configuration_named(&words("env A=1 gunicorn a -c file:conf/g.py")), Some("conf/g.py".into()));
    assert_eq!(configuration_named(&words("gunicorn a")), None);
}

#[test]
fn numbers_of_processors_are_left_to_the_machine() {
    for (source, line) in [
        ("cpu_count()", "processes = %k"),
        ("1 + 2 * cpu_count()", "processes = %(%k * 2 + 1)"),
        ("(os.cpu_count() * 2) - 1", "processes = %(%k * 2 - 1)"),
        ("cpu_count() + 1", "processes = %(%k + 1)"),
        ("int(4)", "processes = 4"),
        ("os.environ.get('W') or 4", "if-env = W"),
    ] {
        let text = configuration(&format!("workers = {source}\n"));
        assert!(text.lines().any(|found| found == line), "{source}\n{text}");
    }
}

#[test]
fn a_granian_command_line() {
    let text = command(
        "granian --interface wsgi --host 0.0.0.0 --port 9000 --workers 3 --blocking-threads 4 --workers-lifetime 1h30m \
         --static-path-mount static --access-log --http 1 blog.wsgi:application",
    );
    assert_eq!(
        settings(&text),
        [
            "module = blog.wsgi:application",
            "http-socket = 0.0.0.0:9000",
            "processes = 3",
            "threads = 4",
            "max-worker-lifetime = 5400",
            "static-map = /static=static",
        ]
    );
    assert!(text.contains(";   --http 1: HTTP/1.1 is spoken; a proxy in front speaks HTTP/2\n"), "{text}");
    assert!(command("granian blog:app").contains("; Granian takes the app for RSGI unless told"));
    assert!(command("granian --factory --interface wsgi blog").contains("module = blog:create_app()\n"));
}

#[test]
fn other_programs_are_not_known() {
    assert!(Conversion::of_command(&words("uvicorn blog:app"), None).is_none());
    assert!(Conversion::of_command(&[], None).is_none());
}

#[test]
fn no_configuration_file_is_too_odd() {
    for text in [
        "",
        "=",
        "a",
        "a =",
        "a = (",
        "a = [1, 2",
        "bind = 'x",
        "bind = \"\"\"x",
        "workers = ((((",
        "a = f'{'",
        "a = f'{a}'",
        "\\",
        "'",
        "workers = -9223372036854775808 * -1",
        "é = 'é\\",
        "timeout = 1e999",
        "timeout = 99999999999999999999",
        "bind = 'a\nb'",
        "\\é",
    ] {
        configuration(text);
    }
    let deep = format!("workers = {}", "(".repeat(100_000));
    configuration(&deep);
    let growing = format!("bind = 'x'\n{}", "bind = bind + bind\n".repeat(64));
    assert!(configuration(&growing).len() < 1 << 20);
}

#[test]
fn a_remark_is_one_line() {
    let text = command("gunicorn blog -n 5% --log-level a\nb");
    assert!(text.contains("; made by rustwsgi convert from gunicorn blog -n 5%% --log-level a b\n"), "{text}");
    assert!(text.contains("procname-prefix-spaced = 5%%\n"));
}
