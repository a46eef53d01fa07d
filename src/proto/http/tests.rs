//! Tests of the HTTP head, clause by clause.

use super::*;

const PLACE: Place<'static> =
    Place { server_name: "box", server_port: "8000", remote_addr: "10.1.2.3", remote_port: "4711", https: false };

fn parse_all(head: &[u8]) -> Result<Request, Refusal> {
    let mut request = Request::new();
    match parse(head, 65_535, &PLACE, &mut request)? {
        Parsed::Complete(size) => assert_eq!(size, request.head_size),
        Parsed::More => panic!("{:?} is not complete", head.escape_ascii().to_string()),
    }
    Ok(request)
}

/// The variable's values, joined with `|`; `-` where it is not there.
fn var(request: &Request, name: &str) -> String {
    let values: Vec<_> = request
        .vars()
        .filter(|(key, _)| *key == name.as_bytes())
        .map(|(_, value)| value.escape_ascii().to_string())
        .collect();
    if values.is_empty() { "-".into() } else { values.join("|") }
}

fn get(target: &str) -> Result<Request, Refusal> {
    parse_all(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
}

/// A request with these fields beside Host.
fn with(fields: &str) -> Result<Request, Refusal> {
    parse_all(format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes())
}

#[test]
fn the_variables_of_a_whole_request_in_order() {
    let head = b"POST /a%20b?x=%20 HTTP/1.1\r\nHost: h:80\r\nContent-Type: text/x\r\ncontent-length: 3\r\n\
        X-Foo:  v w \t\r\nEmpty:\r\n\r\nabc";
    let mut request = Request::new();
    assert_eq!(parse(head, 4096, &PLACE, &mut request), Ok(Parsed::Complete(head.len() - 3)));
    let vars: Vec<_> =
        request.vars().map(|(key, value)| format!("{}={}", key.escape_ascii(), value.escape_ascii())).collect();
    assert_eq!(
        vars,
        [
            "REQUEST_METHOD=POST",
            "PATH_INFO=/a b",
            "REQUEST_URI=/a%20b?x=%20",
            "QUERY_STRING=x=%20",
            "SERVER_PROTOCOL=HTTP/1.1",
            "SCRIPT_NAME=",
            "SERVER_NAME=box",
            "SERVER_PORT=8000",
            "REMOTE_ADDR=10.1.2.3",
            "REMOTE_PORT=4711",
            "HTTP_HOST=h:80",
            "CONTENT_TYPE=text/x",
            "CONTENT_LENGTH=3",
            "HTTP_X_FOO=v w",
            "HTTP_EMPTY=",
        ]
    );
    assert_eq!(request.front, Front::Http11);
    assert_eq!(request.body, Body::Length(3));
    assert!(request.keep_alive && !request.expects_continue);
}

#[test]
fn every_piece_short_of_the_whole_needs_more() {
    let head =
        b"\r\nPOST http://h/a%2 HTTP/1.1\r\nHost: h\r\nCookie: a\r\nTransfer-Encoding: chunked\r\ncookie: b\r\n\r\n";
    let mut request = Request::new();
    for end in 0..head.len() {
        assert_eq!(parse(&head[..end], 4096, &PLACE, &mut request), Ok(Parsed::More), "{end} bytes");
    }
    let both = [&head[..], b"GET / HTTP/1.1\r\n"].concat();
    for bytes in [&head[..], &both] {
        assert_eq!(parse(bytes, 4096, &PLACE, &mut request), Ok(Parsed::Complete(head.len())));
        assert_eq!(var(&request, "HTTP_COOKIE"), "a; b");
        assert_eq!(request.body, Body::Chunked);
    }
}

#[test]
fn targets_become_path_and_query() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a/../b//c/./", "/a/../b//c/./", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/%41%2f%2F%3f%25?%41", "/A//?%", "%41"),
        ("/%C3%A9", "/\\xc3\\xa9", ""),
        ("/\u{e9}", "/\\xc3\\xa9", ""),
        ("/%0d%0a", "/\\r\\n", ""),
        ("/%zz%4%", "/%zz%4%", ""),
        ("/%%41%", "/%A%", ""),
        ("/a+b", "/a+b", ""),
        ("/?a=%00", "/", "a=%00"),
        ("http://h/x?y", "/x", "y"),
        ("HTTPS://h:1", "/", ""),
        ("http://h?y=/", "/", "y=/"),
        ("/http://x/", "/http://x/", ""),
    ] {
        let request = get(target).unwrap();
        assert_eq!(var(&request, "PATH_INFO"), path, "{target}");
        assert_eq!(var(&request, "QUERY_STRING"), query, "{target}");
        assert_eq!(var(&request, "REQUEST_URI"), target.as_bytes().escape_ascii().to_string());
    }
    for target in ["a", "*", "ftp://h/", "http:///x", "http://u@h/", "h:80", "/%00", "/a%00b", "?x", ""] {
        assert!(get(target).is_err(), "{target}");
    }
    assert!(parse_all(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n").is_err());
    let request = parse_all(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(var(&request, "PATH_INFO"), "*");
}

#[test]
fn the_absolute_form_overrules_the_host_field() {
    assert_eq!(var(&get("http://other:81/").unwrap(), "HTTP_HOST"), "other:81");
    assert_eq!(var(&parse_all(b"GET http://o/ HTTP/1.0\r\n\r\n").unwrap(), "HTTP_HOST"), "o");
    assert_eq!(var(&parse_all(b"GET / HTTP/1.0\r\n\r\n").unwrap(), "HTTP_HOST"), "-");
}

#[test]
fn repeated_fields_are_joined_and_underscores_dropped() {
    for (fields, name, value) in [
        ("Accept: a\r\nX: y\r\naccept: b\r\nACCEPT: c\r\n", "HTTP_ACCEPT", "a, b, c"),
        ("Cookie: a=1\r\nCookie: b=2\r\nCookie: c=3\r\n", "HTTP_COOKIE", "a=1; b=2; c=3"),
        ("X-A:\r\nX-A: b\r\n", "HTTP_X_A", ", b"),
        ("X_Foo: evil\r\nX-Foo: good\r\n", "HTTP_X_FOO", "good"),
        ("X-Foo: good\r\nX_Foo: evil\r\n", "HTTP_X_FOO", "good"),
        ("X_Foo: evil\r\nX_Foo: evil\r\n", "HTTP_X_FOO", "-"),
        ("Content_Length: 5\r\n", "CONTENT_LENGTH", "-"),
        ("Content-Length: 5\r\nX: y\r\nContent-Length: 5\r\n", "CONTENT_LENGTH", "5"),
        ("Content-Type: a\r\n", "HTTP_CONTENT_TYPE", "-"),
        ("X: \u{e9}\"\t\\\r\n", "HTTP_X", "\\xc3\\xa9\\\"\\t\\\\"),
        ("Https: off\r\n", "HTTPS", "-"),
    ] {
        assert_eq!(var(&with(fields).unwrap(), name), value, "{fields:?}");
    }
    let long = "x-".repeat(100);
    let request = with(&format!("{long}: v\r\n")).unwrap();
    assert_eq!(var(&request, &format!("HTTP_{}", "X_".repeat(100))), "v");
}

#[test]
fn the_body_is_framed_in_one_way_only() {
    for (fields, body) in [
        ("", Body::Length(0)),
        ("Content-Length: 0\r\n", Body::Length(0)),
        ("Content-Length: 12 \r\n", Body::Length(12)),
        ("Transfer-Encoding: Chunked\r\n", Body::Chunked),
    ] {
        assert_eq!(with(fields).unwrap().body, body, "{fields:?}");
    }
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: x\u{b}chunked\r\n",
    ] {
        assert!(with(fields).is_err(), "{fields:?}");
    }
    assert!(parse_all(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for head in [
        "GET / HTTP/1.1\nHost: h\n\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\n",
        "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX\u{0}: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: y\u{0}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: y\u{7f}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n: no name\r\n\r\n",
        "GET /\u{0} HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / a HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        "GET\t/\tHTTP/1.1\r\nHost: h\r\n\r\n",
        "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "\u{0}\u{5}\u{0}\u{0}",
        "\u{16}\u{3}\u{1}",
    ] {
        let refusal = parse_all(head.as_bytes()).unwrap_err();
        assert_eq!(refusal.status(), "400 Bad Request", "{head:?}: {refusal}");
    }
    for head in ["GET / HTTP/2.0\r\nHost: h\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.2\r\n\r\n"] {
        assert_eq!(parse_all(head.as_bytes()).unwrap_err(), Refusal::Version, "{head:?}");
    }
}

#[test]
fn the_connection_lives_on_by_version_and_field() {
    for (version, connection, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: TE, Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
        assert_eq!(parse_all(head.as_bytes()).unwrap().keep_alive, keep_alive, "{version} {connection:?}");
    }
    assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue);
    assert!(!with("Expect: something\r\n").unwrap().expects_continue);
    assert!(!parse_all(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().expects_continue);
}

#[test]
fn the_head_is_bounded_in_bytes_and_fields() {
    let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let size = head.len();
    let mut request = Request::new();
    let mut outcome = |bytes: &[u8], limit| parse(bytes, limit, &PLACE, &mut request);
    assert_eq!(outcome(head, size), Ok(Parsed::Complete(size)));
    assert_eq!(outcome(&head[..size - 1], size), Ok(Parsed::More));
    for bytes in [&head[..], &head[..size - 1]] {
        assert_eq!(outcome(bytes, size - 1), Err(Refusal::TooLarge { size, limit: size - 1 }));
    }
    // The body is no part of the head.
    assert_eq!(outcome(&[&head[..], &[b'x'; 1000]].concat(), size), Ok(Parsed::Complete(size)));

    for (count, taken) in [(HEADERS - 1, true), (HEADERS, false)] {
        let request = with(&"X: y\r\n".repeat(count));
        assert_eq!(request.is_ok(), taken, "{count} fields");
        match request {
            Ok(request) => assert_eq!(var(&request, "HTTP_X"), vec!["y"; count].join(", ")),
            Err(refusal) => assert_eq!(refusal.status(), "431 Request Header Fields Too Large"),
        }
    }
}

#[test]
fn https_and_a_client_without_a_port() {
    let place = Place { remote_addr: "", remote_port: "", https: true, ..PLACE };
    let mut request = Request::new();
    parse(b"GET / HTTP/1.0\r\n\r\n", 4096, &place, &mut request).unwrap();
    assert_eq!(var(&request, "HTTPS"), "on");
    assert_eq!(var(&request, "REMOTE_ADDR"), "");
    assert_eq!(var(&request, "REMOTE_PORT"), "-");
}
