//! The interpreter, the choice of its environment, and loading apps.

use super::*;

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("rustwsgi-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        for (file, text) in files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_interpreter_is_as_apps_expect() {
    let interpreter = python();
    assert!(interpreter.describe().starts_with(&format!("python {}, no venv, libpython /", Linked::here().version)));
    let site = Site::new(&app("return []"));
    assert_eq!(site.eval("sys.argv, sys.path[0], sys.getfilesystemencoding()"), "(['uwsgi'], '.', 'utf-8')");
    assert_eq!(site.eval("__import__('os').path.basename(sys.executable).startswith('python3')"), "True");
    assert_eq!(site.eval("__import__('faulthandler').is_enabled()"), "True");
    assert_eq!(site.eval("__import__('signal').getsignal(2).name"), "'SIG_DFL'");
    interpreter.freeze();
    assert_ne!(site.eval("__import__('gc').get_freeze_count()"), "0");
}

#[test]
fn apps_load_in_every_form_and_fail_in_words() {
    let directory = Directory::new(
        "apps",
        &[
            ("blg1/__init__.py", ""),
            (
                "blg1/wsgi.py",
                "def application(e, s): pass\ndef other(e, s): pass\ndef make(): return application\nvalue = 5\n",
            ),
            ("blg1/named.py", "import os\nfrom os.path import join\ndef app(e, s): pass\n"),
            ("blg1/needs.py", "# first\nimport nosuchpackage.part\n"),
            ("blg1/raises.py", "def f():\n    raise LookupError('marker\\nmore')\nf()\n"),
            ("blg1/syntax.py", "x = 1\ndef (\n"),
            ("blg1/leaves.py", "import sys\nsys.exit(3)\n"),
            (
                "blg1/asgi.py",
                "async def application(scope, receive, send): pass\nclass App:\n    async def __call__(self, scope, receive, send): pass\nobject = App()\n",
            ),
            ("src/hidden1/__init__.py", ""),
            ("src/hidden1/wsgi.py", ""),
            ("odd.wsgi", "import sys\ndef application(e, s): pass\ndef app(e, s): pass\nname = __name__\n"),
        ],
    );
    let root = directory.0.to_str().unwrap().to_owned();
    let load = |module: Option<&str>, file: Option<&str>, callable: Option<&str>| {
        attach(|gil| {
            // Tests share the process: an absolute entry in place of the working directory.
            let path = gil.py.import("sys").unwrap().getattr("path").unwrap();
            if !path.contains(&root).unwrap() {
                path.call_method1("append", (&root,)).unwrap();
            }
        });
        python().load(&config(|config| {
            config.module = module.map(str::to_owned);
            config.wsgi_file = file.map(|file| directory.0.join(file));
            config.callable = callable.map(str::to_owned);
        }))
    };
    python();
    for (module, name) in [
        ("blg1.wsgi", "blg1.wsgi:application"),
        ("blg1.wsgi:other", "blg1.wsgi:other"),
        ("blg1.wsgi:make()", "blg1.wsgi:make()"),
    ] {
        assert_eq!(load(Some(module), None, None).unwrap().to_string(), name);
    }
    assert!(load(None, Some("odd.wsgi"), Some("app")).is_ok());
    let fails = |module: &str| {
        let error = load(Some(module), None, None).err().unwrap();
        assert_eq!(error.exit, 22);
        (error.code, error.message.clone(), error.to_string())
    };
    let (code, message, text) = fails("hidden1.wsgi");
    assert_eq!(
        (code, message.as_str()),
        (Code::ModuleNotFound, "cannot import `hidden1.wsgi`: no module named `hidden1`")
    );
    assert!(text.contains(&root) && text.contains("searched: ") && !text.contains(", ,"), "{text}");
    assert_eq!(fails("blg1.nothere").0, Code::ModuleNotFound);
    let (code, message, text) = fails("blg1.needs");
    assert_eq!(code, Code::PackageMissing);
    assert_eq!(message, "importing `blg1.needs` failed: no module named `nosuchpackage`");
    assert!(text.contains("blg1/needs.py:2: import nosuchpackage.part"), "{text}");
    assert!(text.contains("pip install nosuchpackage"), "{text}");
    let (code, message, text) = fails("blg1.named");
    assert_eq!((code, message.as_str()), (Code::CallableMissing, "`blg1.named` has no `application`"));
    assert!(text.contains("it defines: app\n") && text.contains("hint: module = blg1.named:app"), "{text}");
    let (code, message, text) = fails("blg1.raises");
    assert_eq!(code, Code::ImportRaised);
    assert!(message.ends_with("blg1/raises.py:2 raised LookupError: marker"), "{message}");
    assert!(text.contains("Traceback (most recent call last)") && !text.contains("importlib"), "{text}");
    assert!(fails("blg1.syntax").1.contains("blg1/syntax.py:2 raised SyntaxError"));
    assert!(
        fails("blg1.leaves").1.ends_with("blg1/leaves.py:2 ended the program while it was imported: SystemExit(3)")
    );
    for (module, hint) in [
        ("blg1.asgi", "module = blg1.wsgi:application"),
        ("blg1.asgi:object", "module = blg1.wsgi:application"),
        ("blg1.wsgi:value", "is a int, which can't be called"),
        ("blg1.wsgi:make", "module = blg1.wsgi:make()"),
    ] {
        let (code, _, text) = fails(module);
        assert_eq!(code, Code::NotWsgi, "{module}");
        assert!(text.contains(hint), "{text}");
    }
}

#[test]
fn environments_are_chosen_in_order_and_judged() {
    let python = Linked::here().executable().unwrap();
    let bin = python.parent().unwrap().display().to_string();
    let minor = Linked::here().minor().to_owned();
    let ours = format!("home = {bin}\nversion = {}\n", Linked::here().version);
    let directory = Directory::new(
        "venvs",
        &[
            ("good/pyvenv.cfg", &ours),
            ("good/bin/rustwsgi", ""),
            ("uv/pyvenv.cfg", &format!("home = {bin}\nversion_info = {minor}.99.final.0\n")),
            ("link/pyvenv.cfg", &format!("home = LINK/bin\nversion = {minor}.1\n")),
            ("minor/pyvenv.cfg", "home = /usr/bin\nversion = 3.4.2\n"),
            ("gone/pyvenv.cfg", &format!("home = /nonexistent/bin\nversion = {minor}.1\n")),
            ("other/bin/placeholder", ""),
            ("build/pyvenv.cfg", &format!("home = OTHER/bin\nversion = {minor}.1\n")),
            ("prefix/lib/python3.4/os.py", ""),
            (&format!("whole/lib/python{minor}/os.py"), ""),
            ("empty/file", ""),
        ],
    );
    let root = &directory.0;
    std::os::unix::fs::symlink(python.parent().unwrap().parent().unwrap(), root.join("linked")).unwrap();
    std::fs::write(root.join(format!("other/bin/python{minor}")), "").unwrap();
    for (venv, from, to) in [("link", "LINK", "linked"), ("build", "OTHER", "other")] {
        let file = root.join(venv).join("pyvenv.cfg");
        let text = std::fs::read_to_string(&file).unwrap().replace(from, root.join(to).to_str().unwrap());
        std::fs::write(file, text).unwrap();
    }
    let home = |name: &str| {
        let config = config(|config| config.home = Some(name.into()));
        Venv::choose(&config, root, Path::new("/nowhere/rustwsgi"), |_| None, &Linked::here())
    };
    for name in ["good", "good/", "uv", "link", "gone"] {
        assert_eq!(home(name).unwrap().kind, Kind::Virtual(root.join(name.trim_end_matches('/'))), "{name}");
    }
    assert_eq!(home("whole").unwrap().kind, Kind::Home(root.join("whole")));
    for name in ["minor", "build", "prefix"] {
        let error = home(name).unwrap_err();
        assert_eq!(error.code, Code::ForeignVirtualenv, "{name}");
        assert!(error.message.contains(&Linked::here().version), "{error}");
    }
    assert!(home("minor").unwrap_err().to_string().contains("Python 3.4.2"));
    for name in ["empty", "nothere"] {
        let error = home(name).unwrap_err();
        assert_eq!(error.code, Code::NotAVirtualenv, "{name}");
        assert_eq!(error.hints, [format!("create it: {} -m venv {}", python.display(), root.join(name).display())]);
    }
    std::fs::create_dir_all(root.join("site/src")).unwrap();
    std::os::unix::fs::symlink(root.join("good"), root.join("site/.venv")).unwrap();
    let error = home("site/src").unwrap_err();
    assert!(error.hints[0].starts_with("there is one: home = ") && error.hints[0].ends_with("site/.venv"), "{error}");
    let choose = |argv0: &Path, variable: Option<&str>, path: &str| {
        let environment = |name: &str| match name {
            "VIRTUAL_ENV" => variable.map(|name| root.join(name)),
            "PATH" => Some(root.join(path)),
            _ => None,
        };
        Venv::choose(&Config::default(), root, argv0, environment, &Linked::here()).map(|venv| venv.kind)
    };
    let good = Kind::Virtual(root.join("good"));
    assert_eq!(choose(Path::new("good/bin/rustwsgi"), Some("uv"), ""), Ok(good.clone()));
    assert_eq!(choose(Path::new("rustwsgi"), None, "good/bin"), Ok(good));
    assert_eq!(choose(Path::new("/usr/bin/rustwsgi"), Some("uv"), ""), Ok(Kind::Virtual(root.join("uv"))));
    assert_eq!(choose(Path::new("/usr/bin/rustwsgi"), Some("nothere"), ""), Ok(Kind::Own));
    assert_eq!(choose(Path::new("x"), Some("minor"), "").map_err(|error| error.code), Err(Code::ForeignVirtualenv));
    let named = config(|config| config.home = Some("good".into()));
    assert!(find_venv(&named, root, Path::new("x")).is_ok());
}

#[test]
fn the_gil_is_released_for_others() {
    python();
    let (sender, receiver) = std::sync::mpsc::channel();
    attach(|gil: &Gil<'_>| {
        let other = std::thread::spawn(move || attach(|_| sender.send(())));
        gil.release(move || receiver.recv_timeout(Duration::from_secs(5))).unwrap();
        other.join().unwrap().unwrap();
    });
}
