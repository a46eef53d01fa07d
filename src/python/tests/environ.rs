//! Environs: their types, and that no request sees another's.

use super::*;

#[test]
fn environ_is_what_pep_3333_and_uwsgi_say() {
    let mut site = Site::new(&app(&format!("log.append(environ)\n{OK}return [b'x']")));
    let mut vars = VARS.to_vec();
    vars.push(("HTTP_X_CAF", "Ã©"));
    vars.push(("wsgi.errors", "forged"));
    for _ in 0..4 {
        site.serve(&request(&vars, 0), b"");
        let types = "{k: v for k, v in log[-1].items() if not k.startswith('wsgi.') or type(v) in (str, bool, tuple)}";
        let environ = site.eval(&format!("sorted(({types}).items(), key=lambda item: item[0])"));
        let node = site.eval("__import__('socket').gethostname().encode()");
        assert_eq!(
            environ,
            format!(
                "[('CONTENT_LENGTH', ''), ('HTTP_X_CAF', 'Ã©'), ('PATH_INFO', '/x'), ('QUERY_STRING', 'y'), \
                 ('REMOTE_ADDR', '10.0.0.1'), ('REQUEST_METHOD', 'GET'), ('REQUEST_URI', '/x?y'), ('SCRIPT_NAME', ''), \
                 ('SERVER_PROTOCOL', 'HTTP/1.1'), ('uwsgi.node', {node}), ('uwsgi.version', b'2.0.31'), \
                 ('wsgi.input_terminated', True), ('wsgi.multiprocess', False), ('wsgi.multithread', False), \
                 ('wsgi.run_once', False), ('wsgi.url_scheme', 'http'), ('wsgi.version', (1, 0))]"
            )
        );
        assert_eq!(site.eval("type(log[-1]) is dict and log[-1]['wsgi.input'].read()"), "b''");
        assert_eq!(
            site.eval("log[-1]['wsgi.errors'].fileno(), log[-1]['wsgi.file_wrapper'].__name__"),
            "(2, 'FileWrapper')"
        );
    }
    assert_eq!(site.eval("len(set(map(id, log)))"), "4");
    let config = config(|config| (config.processes, config.threads) = (2, 2));
    let mut site = Site::with(&app(&format!("log.append(environ)\n{OK}return [b'x']")), &config);
    site.get();
    let shown = "[log[0][key] for key in ('wsgi.multithread', 'wsgi.multiprocess', 'uwsgi.core')]";
    assert_eq!(site.eval(shown), "[True, True, 0]");
}

#[test]
fn environs_never_mix_up_requests() {
    let mut site = Site::new(&app(&format!(
        "log.append(dict(environ))\nenviron['PATH_INFO'] = 'changed'\nenviron['x.y'] = environ\n{OK}return [b'x']"
    )));
    let long = "l".repeat(1000);
    for round in 0..200_usize {
        let path = format!("/{}", round % 3);
        let cookie = if round % 5 == 0 { long.clone() } else { format!("c{}", round % 2) };
        let made_up = format!("HTTP_X_{round}");
        let mut vars = vec![("REQUEST_METHOD", "GET"), ("PATH_INFO", path.as_str())];
        if round % 4 != 0 {
            vars.push(("HTTP_COOKIE", cookie.as_str()));
        }
        if round % 7 == 0 {
            vars.push((made_up.as_str(), "z"));
        }
        if round % 11 == 0 {
            vars.extend([("HTTP_A", "1"), ("HTTP_A", "2")]);
        }
        if round % 3 == 0 {
            vars.push(("HTTPS", if round % 2 == 0 { "on" } else { "off" }));
        }
        site.serve(&request(&vars, 0), b"");
        let mut expected: Vec<(String, String)> = vec![("SCRIPT_NAME".into(), String::new())];
        for (name, value) in &vars {
            expected.retain(|(known, _)| known != name);
            expected.push(((*name).into(), (*value).into()));
        }
        let https = round % 3 == 0 && round % 2 == 0;
        expected.push(("wsgi.url_scheme".into(), if https { "https" } else { "http" }.into()));
        expected.sort();
        let shown: Vec<String> = expected.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
        let seen = "sorted(item for item in log[-1].items() if type(item[1]) is str)";
        assert_eq!(site.eval(seen), format!("[{}]", shown.join(", ")), "round {round}");
    }
}

#[test]
fn tables_stay_bounded() {
    let mut site = Site::new(&app(&format!("{OK}return [b'x']")));
    for round in 0..3000 {
        let name = format!("HTTP_X_{round}");
        let vars = [("PATH_INFO", "/"), (name.as_str(), "z")];
        for _ in 0..2 {
            site.serve_quietly(&request(&vars, 0));
        }
    }
    let (shapes, names) = site.core.table_sizes();
    assert!(shapes <= 16 && names <= 512, "{shapes} {names}");
}

#[test]
fn url_scheme_is_http_or_https() {
    let mut site = Site::new(&app(&format!("log.append(environ['wsgi.url_scheme'])\n{OK}return [b'x']")));
    for (vars, scheme) in [
        (&[][..], "http"),
        (&[("HTTPS", "on")][..], "https"),
        (&[("HTTPS", "1")], "https"),
        (&[("HTTPS", "off")], "http"),
        (&[("HTTPS", "")], "http"),
        (&[("HTTP_X_FORWARDED_SSL", "on")], "https"),
        (&[("HTTP_X_FORWARDED_PROTO", "https")], "https"),
        (&[("HTTP_X_FORWARDED_PROTO", "javascript")], "http"),
        (&[("HTTP_X_FORWARDED_PROTO", "https"), ("UWSGI_SCHEME", "http")], "http"),
        (&[("HTTPS", "on"), ("HTTP_X_FORWARDED_PROTO", "http")], "http"),
        (&[("REQUEST_SCHEME", "https")], "http"),
    ] {
        for _ in 0..3 {
            site.serve(&request(vars, 0), b"");
            assert_eq!(site.eval("log[-1]"), format!("'{scheme}'"), "{vars:?}");
        }
    }
}
