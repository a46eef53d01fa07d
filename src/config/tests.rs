//! The whole way from files, arguments and variables to `Config` and its messages.

use std::fs;

use super::*;

mod drawn;

/// A directory of its own for each test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rustwsgi-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load(&self, source: &Source) -> Result<(Config, Vec<Warning>), Vec<Error>> {
        Config::load(source, &self.0)
    }

    /// Loads `uwsgi.ini` with this text below `[uwsgi]`.
    fn ini(&self, text: &str) -> Result<(Config, Vec<Warning>), Vec<Error>> {
        self.file("uwsgi.ini", &format!("[uwsgi]\n{text}"));
        self.load(&arguments(&[("ini", "uwsgi.ini")]))
    }

    /// The same with a socket and an application, so that nothing is missing.
    fn fine(&self, text: &str) -> (Config, Vec<String>) {
        let (config, warnings) = self.ini(&format!("socket = :3031\nmodule = app\n{text}")).unwrap();
        (config, texts(&warnings))
    }

    /// What is wrong with it then.
    fn wrong(&self, text: &str) -> String {
        let errors = self.ini(&format!("socket = :3031\nmodule = app\n{text}"));
        self.relative(&texts(&errors.unwrap_err()).join("\n"))
    }

    /// `text` with the directory's name taken out.
    fn relative(&self, text: &str) -> String {
        text.replace(self.0.to_str().unwrap(), "DIR")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn arguments(pairs: &[(&str, &str)]) -> Source {
    let argument = |(key, value): &(&str, &str)| Setting {
        key: (*key).into(),
        value: (*value).into(),
        origin: Origin::CommandLine,
    };
    Source { arguments: pairs.iter().map(argument).collect(), ..Source::default() }
}

fn texts<T: ToString>(messages: &[T]) -> Vec<String> {
    messages.iter().map(ToString::to_string).collect()
}

#[test]
fn a_whole_ini_becomes_a_config() {
    let scratch = Scratch::new("whole");
    scratch.file("site/manage.py", "");
    let (config, warnings) = scratch
        .ini(
            "# the blog\r\nproject = blog\r\nbase = %d/site\r\n\r\nsocket = 127.0.0.1:3031\r\n\
             http-socket = :8000\r\nuwsgi-socket = %(base)/s.sock\r\nchdir = %(base)\r\n\
             wsgi=%(project).wsgi:application\r\nvenv = venv\r\npp = a\r\npythonpath = b\r\n\
             env = A=1=2\r\nenv = B=%(project)\r\nmaster\r\nworkers = 4\r\nthreads = 2\r\n\
             chmod-socket = 660\r\numask = 022\r\nvacuum = true\r\nharakiri = 30\r\n\
             plugins = python3, http\r\ndaemonize = %n.log\r\nneed-app = no\r\nlisten = 1024",
        )
        .unwrap();
    assert_eq!(texts(&warnings), Vec::<String>::new());
    let base = scratch.0.join("site").display().to_string();
    let base = base.replace("/site", "//site");
    let sockets: Vec<_> = config
        .sockets
        .iter()
        .map(|socket| (socket.address.as_str(), socket.protocol, socket.origin.to_string()))
        .collect();
    assert_eq!(
        sockets,
        [
            ("127.0.0.1:3031", Protocol::Uwsgi, "uwsgi.ini:6".to_owned()),
            (":8000", Protocol::Http, "uwsgi.ini:7".to_owned()),
            (&format!("{base}/s.sock"), Protocol::Uwsgi, "uwsgi.ini:8".to_owned()),
        ]
    );
    assert_eq!(config.chdir, Some(base.into()));
    assert_eq!(config.module.as_deref(), Some("blog.wsgi:application"));
    assert_eq!(config.home, Some("venv".into()));
    assert_eq!(config.pythonpath, ["a", "b"]);
    assert_eq!(config.env, ["A=1=2", "B=blog"]);
    assert!(config.master && config.vacuum && !config.need_app);
    assert_eq!((config.processes, config.threads), (4, 2));
    assert_eq!((config.chmod_socket, config.umask), (Some(0o660), Some(0o022)));
    assert_eq!((config.harakiri, config.listen), (30, 1024));
    assert_eq!(config.daemonize, Some("uwsgi.log".into()));
    assert_eq!(config.origin("home").unwrap().to_string(), "uwsgi.ini:11: venv = venv");
    assert_eq!(config.origin("virtualenv").unwrap().origin.to_string(), "uwsgi.ini:11");
    assert!(config.origin("logto").is_none());
    assert_eq!(config.files(), [scratch.0.join("uwsgi.ini")]);
    assert_eq!(config.option_count(), 21);
}

#[test]
fn defaults_are_those_of_uwsgi_but_for_a_few() {
    let (config, _) = Scratch::new("defaults").fine("");
    assert!(config.master && config.need_app && config.enable_threads);
    assert!(!config.vacuum && !config.die_on_term && !config.lazy_apps && !config.disable_logging);
    assert_eq!((config.processes, config.threads, config.listen), (1, 1, 100));
    assert_eq!((config.buffer_size, config.socket_timeout), (65_535, 4));
    assert_eq!((config.harakiri, config.max_requests), (0, 0));
    assert_eq!((config.worker_reload_mercy, config.startup_timeout), (60, 60));
}

#[test]
fn the_last_one_wins_and_files_count_where_they_stand() {
    let scratch = Scratch::new("order");
    scratch.file("a.ini", "[uwsgi]\nsocket = :1\nmodule = app\nprocesses = 3\nthreads = 3\n");
    let processes = |source: &Source| scratch.load(source).unwrap().0.processes;
    assert_eq!(processes(&arguments(&[("ini", "a.ini"), ("processes", "2")])), 2);
    assert_eq!(processes(&arguments(&[("workers", "2"), ("ini", "a.ini")])), 3);
    let mut source = arguments(&[("processes", "2")]);
    source.files = vec!["a.ini".into()];
    assert_eq!(processes(&source), 3);
    let mut source = arguments(&[("processes", "2"), ("socket", ":2"), ("module", "app")]);
    source.environment = vec![
        ("UWSGI_PROCESSES".into(), "7".into()),
        ("UWSGI_BUFFER_SIZE".into(), "9000".into()),
        ("UWSGI_SOCKET".into(), ":7".into()),
        ("UWSGI_RELOADS".into(), "1".into()),
        ("UWSGI_VERSION".into(), "2.0".into()),
        ("UWSGI_PORT".into(), "80".into()),
        ("PROCESSES".into(), "8".into()),
    ];
    let (config, warnings) = scratch.load(&source).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((config.processes, config.buffer_size), (2, 9000));
    let addresses: Vec<_> = config.sockets.iter().map(|socket| &socket.address).collect();
    assert_eq!(addresses, [":7", ":2"]);
    let origin = config.origin("buffer-size").unwrap();
    assert_eq!(origin.to_string(), "$UWSGI_BUFFER_SIZE: 9000");
    source.environment = vec![("UWSGI_INI".into(), "a.ini".into())];
    assert_eq!(scratch.load(&source).unwrap().0.threads, 3);
}

#[test]
fn sections_and_includes() {
    let scratch = Scratch::new("sections");
    scratch
        .file(
            "a.ini",
            "[uwsgi]\nini = :base\ninclude = sub/b.ini\nmodule = a.%x\n[base]\nsocket = :1\n\
             processes = 2\n[web]\nmodule = web.%x\nini = :base\n[base]\nthreads = 9\n",
        )
        .file("sub/b.ini", "[uwsgi]\nprocesses = 5\npidfile = %c.%N.pid\n");
    let (config, _) = scratch.load(&arguments(&[("ini", "a.ini")])).unwrap();
    assert_eq!((config.processes, config.threads), (5, 9));
    assert_eq!(config.pidfile, Some("sub.a.pid".into()));
    assert_eq!(config.origin("pidfile").unwrap().origin.to_string(), "sub/b.ini:3");
    let (config, _) = scratch.load(&arguments(&[("ini", "a.ini:web")])).unwrap();
    assert_eq!((config.processes, config.module.as_deref()), (2, Some("web.web")));
}

#[test]
fn an_ini_that_includes_itself_is_refused() {
    let scratch = Scratch::new("circle");
    scratch.file("a.ini", "[uwsgi]\nini = b.ini\n").file("b.ini", "[uwsgi]\nini = ./a.ini\n");
    let errors = scratch.load(&arguments(&[("ini", "a.ini")])).unwrap_err();
    assert_eq!(
        scratch.relative(&texts(&errors).join("\n")),
        "error[RW0112]: `./a.ini` includes itself\n  \
         --> b.ini:2: ini = ./a.ini\n  \
         read: DIR/a.ini → DIR/b.ini → DIR/a.ini"
    );
}

#[test]
fn a_missing_ini_names_those_that_are_there() {
    let scratch = Scratch::new("missing");
    let load = |name| {
        let errors = scratch.load(&arguments(&[("ini", name)])).unwrap_err();
        scratch.relative(&texts(&errors).join("\n"))
    };
    assert_eq!(
        load("uwsgi.ini"),
        "error[RW0111]: cannot read `uwsgi.ini` in DIR: no such file\n  \
         --> argv: --ini uwsgi.ini\n  \
         there is no ini file near"
    );
    scratch.file("deploy/uwsgi.ini", "").file("other.ini", "").file("venv/pyvenv.cfg", "").file("venv/x.ini", "");
    assert_eq!(
        load("uwsgi.ini"),
        "error[RW0111]: cannot read `uwsgi.ini` in DIR: no such file\n  \
         --> argv: --ini uwsgi.ini\n  \
         found: other.ini, deploy/uwsgi.ini\n\
         hint: rustwsgi --ini deploy/uwsgi.ini"
    );
    assert_eq!(
        load("deploy"),
        "error[RW0111]: cannot read `deploy` in DIR: it is a directory\n  \
         --> argv: --ini deploy"
    );
    scratch.file("deploy/uwsgi.ini", "[uwsgi]\nini = base.ini\n");
    scratch.file("deploy/base.ini", "");
    assert_eq!(
        load("deploy/uwsgi.ini"),
        "error[RW0111]: cannot read `base.ini` in DIR: no such file\n  \
         --> deploy/uwsgi.ini:2: ini = base.ini\n  \
         it is looked for where rustwsgi was started\n\
         hint: ini = %dbase.ini"
    );
    assert_eq!(
        load("exec://cat x"),
        "error[RW0102]: a configuration runs commands only where that is allowed\n  \
         --> argv: --ini exec://cat x\n\
         hint: allow-exec = true"
    );
    assert_eq!(
        load("https://localhost/x.ini"),
        "error[RW0111]: `https://localhost/x.ini` needs TLS, and only `http://` is read\n  \
         --> argv: --ini https://localhost/x.ini\nhint: fetch it before the start, and name the file"
    );
}

#[test]
fn a_missing_section_names_those_that_are_there() {
    let scratch = Scratch::new("section");
    let load = |name: &str, text: &str| {
        scratch.file("uwsgi.ini", text);
        let errors = scratch.load(&arguments(&[("ini", name)])).unwrap_err();
        texts(&errors).join("\n")
    };
    assert_eq!(
        load("uwsgi.ini", "\n[uwsig]\na = 1\n[web]\n"),
        "error[RW0110]: `uwsgi.ini` has no section `[uwsgi]`\n  \
         --> uwsgi.ini:2: [uwsig]\n  \
         it has: [uwsig], [web]\n\
         hint: did you mean `[uwsgi]` where it says `[uwsig]`?\n\
         hint: rustwsgi --ini uwsgi.ini:uwsig"
    );
    assert_eq!(
        load("uwsgi.ini:prod", "[uwsgi]\n"),
        "error[RW0110]: `uwsgi.ini` has no section `[prod]`\n  \
         --> uwsgi.ini:1: [uwsgi]\n  \
         it has: [uwsgi]\n\
         hint: rustwsgi --ini uwsgi.ini:uwsgi"
    );
    assert_eq!(
        load("uwsgi.ini", "module = app\n"),
        "error[RW0110]: `uwsgi.ini` has no section `[uwsgi]`\n  \
         --> argv: --ini uwsgi.ini\n  \
         it has no section at all\n\
         hint: make the first line `[uwsgi]`"
    );
    assert_eq!(
        load("uwsgi.ini", "[uwsgi] ; main\n"),
        "error[RW0110]: `uwsgi.ini` has no section `[uwsgi]`\n  \
         --> uwsgi.ini:1\n  \
         the last character of the line is taken for the `]`: it is read as `[uwsgi] ; mai]`\n\
         hint: [uwsgi]\n\
         hint: a comment needs a line of its own"
    );
}

#[test]
fn nothing_to_serve_says_what_to_add() {
    let scratch = Scratch::new("nothing");
    scratch.file("blog/wsgi.py", "").file("src/shop/wsgi.py", "");
    let errors = scratch.ini("sokcet = :3031\nchdir = src\n").unwrap_err();
    assert_eq!(
        scratch.relative(&texts(&errors).join("\n")),
        "error[RW0120]: no socket to serve on\n  \
         --> uwsgi.ini\n  \
         uwsgi.ini:2: sokcet = :3031\n\
         hint: did you mean `socket` where it says `sokcet`?\n\
         hint: behind nginx: socket = 127.0.0.1:3031\n\
         hint: for a browser: http-socket = 127.0.0.1:8000\n\
         error[RW0121]: no application named\n  \
         --> uwsgi.ini\n\
         hint: module = shop.wsgi:application\n\
         hint: `need-app = false` starts without one"
    );
    let errors = scratch.ini("socket = :3031\nmodul = blog.wsgi\n").unwrap_err();
    assert_eq!(
        scratch.relative(&texts(&errors).join("\n")),
        "error[RW0121]: no application named\n  \
         --> uwsgi.ini\n  \
         uwsgi.ini:3: modul = blog.wsgi\n\
         hint: did you mean `module` where it says `modul`?\n\
         hint: module = blog.wsgi:application\n\
         hint: chdir = DIR/src and module = shop.wsgi:application\n\
         hint: `need-app = false` starts without one"
    );
    let (_, warnings) = scratch.ini("socket = :3031\nneed-app = false").unwrap();
    assert!(texts(&warnings)[0].starts_with("warning[RW0121]: no application named\n"));
    let errors = scratch.load(&Source::default()).unwrap_err();
    assert_eq!(
        texts(&errors).join("\n"),
        "error[RW0120]: nothing to serve: no configuration file and no options\n  \
         found: uwsgi.ini\n\
         hint: rustwsgi --ini uwsgi.ini\n\
         hint: rustwsgi --http-socket 127.0.0.1:8000 --module blog.wsgi:application"
    );
}

#[test]
fn unknown_options_are_placeholders_unless_strict() {
    let scratch = Scratch::new("unknown");
    let (_, warnings) = scratch.fine("procesess = 4\nbase = /srv\nused = 1\nenv = A=%(used)\n");
    assert_eq!(
        warnings,
        [
            "warning[RW0101]: unknown option `procesess`, kept as a placeholder\n  \
             --> uwsgi.ini:4: procesess = 4\n\
             hint: did you mean `processes`?\n\
             hint: `strict = true` makes this an error",
            "warning[RW0101]: unknown option `base`, kept as a placeholder\n  \
             --> uwsgi.ini:5: base = /srv\n\
             hint: `strict = true` makes this an error",
        ]
    );
    assert_eq!(
        scratch.wrong("harakiri_verbose = 1\nstrict"),
        "error[RW0101]: unknown option `harakiri_verbose`\n  \
         --> uwsgi.ini:4: harakiri_verbose = 1\n\
         hint: did you mean `harakiri-verbose`?\n\
         hint: a placeholder of your own needs `strict = false`"
    );
    let (_, warnings) = scratch.fine("processes: 4\n");
    assert_eq!(
        warnings,
        ["warning[RW0101]: unknown option `processes: 4`, kept as a placeholder\n  \
          --> uwsgi.ini:4: processes: 4\n\
          hint: processes = 4\n\
          hint: `strict = true` makes this an error"]
    );
}

#[test]
fn options_of_uwsgi_that_are_not_built_stop_the_start() {
    let scratch = Scratch::new("unbuilt");
    assert_eq!(
        scratch.wrong("asyncio = 2"),
        "error[RW0104]: `asyncio` is an option of uWSGI that is not built yet\n  \
         --> uwsgi.ini:4: asyncio = 2\n\
         hint: `tolerate-unsupported = true` starts without what it does"
    );
    assert_eq!(
        scratch.wrong("lazy = true"),
        "error[RW0104]: `lazy` is an option of uWSGI that is not built yet\n  \
         --> uwsgi.ini:4: lazy = true\n\
         hint: lazy-apps = true\n\
         hint: `tolerate-unsupported = true` starts without what it does"
    );
    let (_, warnings) = scratch.fine("asyncio = 2\ntolerate-unsupported = true\n");
    assert_eq!(
        warnings,
        ["warning[RW0104]: `asyncio` is an option of uWSGI that is not built yet\n  \
          --> uwsgi.ini:4: asyncio = 2"]
    );
}

#[test]
fn bad_values_are_refused_where_uwsgi_refuses_and_told_where_it_does_not() {
    let scratch = Scratch::new("values");
    assert_eq!(
        scratch.wrong("processes = four"),
        "error[RW0103]: `processes` takes a whole number, not `four`\n  \
         --> uwsgi.ini:4: processes = four\n\
         hint: `processes = 1` is the default"
    );
    assert_eq!(
        scratch.wrong("harakiri = -1"),
        "error[RW0107]: `harakiri` takes no negative number, not `-1`\n  \
         --> uwsgi.ini:4: harakiri = -1\n\
         hint: `harakiri = 0` is the default"
    );
    assert_eq!(
        scratch.wrong("buffer-size = 0"),
        "error[RW0107]: `buffer-size` takes a whole number of at least 1, not `0`\n  \
         --> uwsgi.ini:4: buffer-size = 0\n\
         hint: `buffer-size = 65535` is the default"
    );
    assert_eq!(
        scratch.wrong("chmod-socket = 0664\numask = 22\nenv = DEBUG"),
        "error[RW0103]: `chmod-socket` takes three octal digits, not `0664`\n  \
         --> uwsgi.ini:4: chmod-socket = 0664\n\
         hint: chmod-socket = 664\n\
         error[RW0103]: `umask` takes three or four octal digits, not `22`\n  \
         --> uwsgi.ini:5: umask = 22\n\
         hint: umask = 022\n\
         error[RW0103]: `env` takes `NAME=value`, not `DEBUG`\n  \
         --> uwsgi.ini:6: env = DEBUG\n\
         hint: env = DEBUG=value"
    );
    let (config, warnings) = scratch.fine("buffer-size = 65536\nharakiri = 60 ; s\nvacuum = false ; no\nthreads = 0");
    assert_eq!((config.buffer_size, config.harakiri), (65_535, 60));
    assert_eq!((config.vacuum, config.threads), (true, 1));
    assert_eq!(
        warnings,
        [
            "warning[RW0108]: the value of `buffer-size`: `65536` is more than 65535 and is read \
             as `65535`\n  --> uwsgi.ini:4: buffer-size = 65536",
            "warning[RW0106]: the value of `harakiri`: `60 ; s` is read as `60`\n  \
             --> uwsgi.ini:5: harakiri = 60 ; s",
            "warning[RW0106]: the value of `vacuum`: `false ; no` is read as `true`\n  \
             --> uwsgi.ini:6: vacuum = false ; no\nhint: did you mean `false`?",
        ]
    );
}

#[test]
fn variables_that_stand_for_nothing_are_told() {
    let (config, warnings) = Scratch::new("letters").fine("procname-prefix = a%Hb ");
    assert_eq!(config.procname_prefix.as_deref(), Some("ab"));
    assert_eq!(
        warnings,
        ["warning[RW0113]: `%H` stands for nothing and is cut out\n  \
          --> uwsgi.ini:4: procname-prefix = a%Hb\n  \
          read as: procname-prefix = ab\n\
          hint: a literal percent sign in a file is `%%`: `%%H`"]
    );
}

#[test]
fn environment_variables_that_are_missing_are_told() {
    let scratch = Scratch::new("variables");
    let (_, warnings) = scratch.fine("env = KEY=$(NOT_THERE)");
    assert_eq!(
        warnings,
        ["warning[RW0114]: `$(NOT_THERE)` stays as it is: `NOT_THERE` is not in the environment\n  \
          --> uwsgi.ini:4: env = KEY=$(NOT_THERE)"]
    );
    assert_eq!(
        scratch.wrong("threads = -$(NOT_THERE)\nprocesses = $(NOT_THERE)").lines().last(),
        Some("  `NOT_THERE` is not in the environment")
    );
    assert_eq!(
        scratch.wrong("chdir = /$(NOT_THERE)"),
        "error[RW0310]: cannot go to `/$(NOT_THERE)`: no such directory\n  \
         --> uwsgi.ini:4: chdir = /$(NOT_THERE)\n  \
         `NOT_THERE` is not in the environment"
    );
}

#[test]
fn directories_have_to_be_there() {
    let scratch = Scratch::new("chdir");
    scratch.file("project/manage.py", "");
    assert_eq!(
        scratch.wrong("chdir = projekt"),
        "error[RW0310]: cannot go to `projekt`: no such directory\n  \
         --> uwsgi.ini:4: chdir = projekt\n  \
         looked for: DIR/projekt\n\
         hint: chdir = DIR/project"
    );
    assert_eq!(
        scratch.wrong("chdir = /dev/null"),
        "error[RW0310]: cannot go to `/dev/null`: it is not a directory\n  \
         --> uwsgi.ini:4: chdir = /dev/null"
    );
}

#[test]
fn socket_addresses_are_looked_at() {
    let scratch = Scratch::new("sockets");
    let long = format!("/{}", "x".repeat(107));
    assert_eq!(
        scratch.wrong(&format!("socket = {long}\nhttp-socket =\nhttp-socket = :3031")),
        format!(
            "error[RW0307]: the socket's path is 108 bytes long, the kernel takes 107\n  \
             --> uwsgi.ini:4: socket = {long}\n\
             hint: socket = /run/app.sock\n\
             error[RW0306]: `http-socket` needs an address\n  \
             --> uwsgi.ini:5: http-socket\n\
             error[RW0131]: `:3031` cannot speak uwsgi and HTTP\n  \
             --> uwsgi.ini:6: http-socket = :3031\n  \
             first: uwsgi.ini:2: socket = :3031"
        )
    );
    let long = &long[..107];
    let text = format!("socket = {long}\nsocket = :3031\nsocket = 127.0.0.1:0\nsocket = 127.0.0.1:0");
    let (config, warnings) = scratch.fine(&text);
    assert_eq!(config.sockets.len(), 4);
    assert_eq!(
        warnings,
        ["warning[RW0130]: `:3031` is named twice and opened once\n  \
          --> uwsgi.ini:5: socket = :3031\n  \
          first: uwsgi.ini:2: socket = :3031"]
    );
}

#[test]
fn odd_combinations_are_told() {
    let scratch = Scratch::new("odd");
    let (config, warnings) =
        scratch.fine("wsgi-file = wsgi.py\nmaster = false\nplugins = python311,psgi\nstop = x.pid");
    assert_eq!(config.wsgi_file, Some("wsgi.py".into()));
    assert_eq!(
        warnings,
        [
            "warning[RW0102]: `stop` belongs on the command line and is ignored here\n  \
             --> uwsgi.ini:7: stop = x.pid",
            "warning[RW0132]: `wsgi-file` is not read: `module = app` comes first\n  \
             --> uwsgi.ini:4: wsgi-file = wsgi.py",
            "warning[RW0122]: `master` is off, but there always is a master\n  \
             --> uwsgi.ini:5: master = false",
            "warning[RW0123]: there is no plugin `psgi`, and nothing in its place\n  \
             --> uwsgi.ini:6: plugins = python311,psgi",
        ]
    );
}

#[test]
fn shows_what_was_set_and_where() {
    let scratch = Scratch::new("show");
    scratch.file("a.ini", "[uwsgi]\nsocket = :1\nmodule = app\nx = 100%%\nenv = A=%(x)\nmaster\n");
    let source = arguments(&[("ini", "a.ini"), ("vacuum", "")]);
    let (config, _) = scratch.load(&source).unwrap();
    assert_eq!(
        show::lines(config.settings()),
        "[uwsgi]\nsocket = :1      # a.ini:2\nmodule = app     # a.ini:3\nx = 100%         # a.ini:4\n\
         env = A=100%     # a.ini:5\nmaster =         # a.ini:6\nvacuum = true    # argv\n"
    );
}
