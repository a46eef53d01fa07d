"""The environ of the app: the same keys, types and values as under uWSGI."""

import json

import pytest

from support import http_client, uwsgi_client
from support.ports import free_port

# What can't be equal: objects, and our own version.
OBJECTS = {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "uwsgi.version"}
# What the HTTP socket adds for us: uWSGI's lacks it there, its own HTTP router has it.
OURS_OVER_HTTP = {"REMOTE_PORT", "wsgi.input_terminated"}
PORTS = {"SERVER_PORT", "REMOTE_PORT"}


@pytest.fixture(scope="module", params=[1, 3], ids=["one-thread", "three-threads"])
def pair(request, uwsgi, rustwsgi, shared_workshop):
    servers = []
    for program in (uwsgi, rustwsgi):
        server = shared_workshop.server(program, "cases.py", threads=request.param, processes=2)
        server.http = free_port()
        server.set(socket=server.directory / "site.sock", http_socket=f"127.0.0.1:{server.http}")
        servers.append(server.start())
    return servers


def environs(pair, **more):
    """The environ both give an app for one uwsgi request."""
    found = []
    for server in pair:
        answer = uwsgi_client.request(str(server.directory / "site.sock"), "/environ-types", **more)
        found.append(json.loads(answer.body))
    return found


REQUESTS = {
    "plain": {},
    "query": {"query": "a=1&b=%C3%A9&c"},
    "post": {"method": "POST", "body": b"a=b", "CONTENT_TYPE": "application/x-www-form-urlencoded"},
    "cookie": {"HTTP_COOKIE": "a=1; b=2", "HTTP_X_FORWARDED_FOR": "192.0.2.9"},
    "https": {"HTTPS": "on", "REQUEST_SCHEME": "https"},
    "https-word": {"HTTPS": "1"},
    "forwarded-ssl": {"HTTP_X_FORWARDED_SSL": "on"},
    "scheme": {"UWSGI_SCHEME": "https"},
    "script-name": {"SCRIPT_NAME": "/blog"},
    "latin-1": {"HTTP_X_NAME": "Zoë".encode(), "HTTP_X_RAW": b"\xfe\xff\x80"},
    "empty-values": {"HTTP_X_EMPTY": "", "REMOTE_USER": ""},
    "no-protocol-header": {"SERVER_PROTOCOL": "HTTP/1.0"},
    "odd-names": {"lower case": "x", "X-Dash": "y", "é": "z"},
}


@pytest.mark.parametrize("name", REQUESTS)
def test_over_the_uwsgi_protocol_key_by_key(pair, name):
    theirs, ours = environs(pair, **REQUESTS[name])

    theirs.setdefault("SCRIPT_NAME", ["str", ""])  # differences.SCRIPT_NAME
    assert ours.pop("wsgi.input_terminated") == ["bool", "True"]  # differences.INPUT_TERMINATED
    assert set(ours) == set(theirs)
    for key in set(theirs) - OBJECTS - {"uwsgi.core"}:
        assert ours[key] == theirs[key], key


def test_what_uwsgi_adds_has_the_same_types(pair):
    theirs, ours = environs(pair)

    for key in ("uwsgi.version", "uwsgi.node"):
        assert ours[key][0] == theirs[key][0] == "bytes"
    assert ours.get("uwsgi.core", [None])[0] == theirs.get("uwsgi.core", [None])[0]


HTTP_REQUESTS = {
    "plain": ("GET", "/environ-types", [("Host", "example.org")], b""),
    "query": ("GET", "/environ-types?a=1&b=%20c", [("Host", "example.org")], b""),
    "escaped-path": ("GET", "/environ%2Dtypes", [("Host", "example.org")], b""),
    "headers": ("GET", "/environ-types", [("Host", "h"), ("X-One", "1"), ("Accept", "*/*"), ("User-Agent", "t")], b""),
    "post": ("POST", "/environ-types", [("Host", "h"), ("Content-Type", "text/plain")], b"body"),
}


@pytest.mark.parametrize("name", HTTP_REQUESTS)
def test_over_http_key_by_key(pair, name):
    method, path, headers, body = HTTP_REQUESTS[name]
    found = []
    for server in pair:
        with http_client.Connection(server.http) as connection:
            found.append(json.loads(connection.request(method, path, [*headers, ("Connection", "close")], body).body))
    theirs, ours = found

    assert set(ours) - OURS_OVER_HTTP == set(theirs) - OURS_OVER_HTTP
    for key in set(theirs) - OBJECTS - PORTS - {"uwsgi.core"}:
        assert ours[key] == theirs[key], key
    for server, environ in zip(pair, found):
        assert environ["SERVER_PORT"] == ["str", str(server.http)]
