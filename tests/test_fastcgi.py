"""`fastcgi-socket`: the records, and nginx's `fastcgi_pass`."""

import hashlib
import json
import struct

import pytest

from support.http_client import connect, get, post, receive_all
from support.invariant import Invariant

PASS = """
location /fcgi/ {{
    fastcgi_pass unix:{path};
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param QUERY_STRING $query_string;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length;
    fastcgi_param PATH_INFO $document_uri;
    fastcgi_param SERVER_PROTOCOL $server_protocol;
    fastcgi_param REMOTE_ADDR $remote_addr;
    fastcgi_param SERVER_PORT $server_port;
    fastcgi_param SERVER_NAME $server_name;
}}
"""

APP = """
import hashlib, json

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.endswith("/unread"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"unread"]
    body = environ["wsgi.input"].read()
    if path.endswith("/missing"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not ", b"here"]
    if path.endswith("/raise"):
        raise ValueError("on purpose")
    if path.endswith("/large"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (bytes([65 + n % 26]) * 200_000 for n in range(10))
    if path.endswith("/file"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](open("file", "rb"))
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps([seen, len(body), hashlib.sha256(body).hexdigest()]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""

BEGIN = bytes([0, 1, 0, 0, 0, 0, 0, 0])


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, APP, processes=1, threads=2, socket_timeout=1)
    server.socket = str(server.directory / "fcgi.sock")
    (server.directory / "file").write_bytes(bytes(range(256)) * 2000)
    server.set(fastcgi_socket=server.socket, chmod_socket="666")
    return server.start()


@pytest.fixture(scope="module")
def nginx(server, shared_workshop):
    return shared_workshop.nginx(server.socket, server=PASS.format(path=server.socket))


@pytest.fixture(autouse=True)
def nothing_is_hurt(server):
    with Invariant(server, lambda: int(answer(send(server, request())).split()[1]), rounds=20):
        yield


def record(kind, content=b"", number=7):
    """One record, with padding behind it."""
    padding = -len(content) % 8
    return struct.pack(">BBHHBx", 1, kind, number, len(content), padding) + content + bytes(padding)


def request(body=b"", **variables):
    """A whole request."""
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "CONTENT_LENGTH": len(body) or ""} | variables
    block = b""
    for name, value in variables.items():
        name, value = name.encode(), str(value).encode()
        block += bytes([len(name)]) + struct.pack(">I", len(value) | 1 << 31) + name + value
    pieces = b"".join(record(5, body[at : at + 1000]) for at in range(0, len(body), 1000))
    return record(1, BEGIN) + record(4, block) + record(4) + pieces + record(5)


def send(server, data):
    """Every byte that comes back."""
    with connect(server.socket) as stream:
        stream.sendall(data)
        return receive_all(stream)


def answer(raw, number=7):
    """What stands in the records of an answer, which has to be whole."""
    content, ended = b"", False
    while raw:
        version, kind, of, length, padding = struct.unpack(">BBHHBx", raw[:8])
        assert (version, of) == (1, number) and not ended
        content += raw[8 : 8 + length] if kind == 6 else b""
        ended = kind == 3
        raw = raw[8 + length + padding :]
    assert ended
    return content


def test_the_answer_comes_in_records(server):
    head, _, body = answer(send(server, request(HTTP_X="y"))).partition(b"\r\n\r\n")

    assert head.startswith(b"Status: 200 OK\r\n")
    assert json.loads(body)[0]["HTTP_X"] == "y"


@pytest.mark.parametrize("size", [1, 999, 1000, 70_000])
def test_a_body_in_records(server, size):
    body = (bytes(range(256)) * 300)[:size]

    seen = json.loads(answer(send(server, request(body, REQUEST_METHOD="POST"))).partition(b"\r\n\r\n")[2])

    assert seen[1:] == [size, hashlib.sha256(body).hexdigest()]


def test_a_request_in_pieces_of_one_byte(server):
    with connect(server.socket) as stream:
        for byte in request(b"hello"):
            stream.sendall(bytes([byte]))
        assert answer(receive_all(stream)).startswith(b"Status: 200 OK\r\n")


def test_a_body_that_is_not_read_is_no_harm(server):
    assert answer(send(server, request(b"x" * 50_000, PATH_INFO="/unread"))).endswith(b"\r\n\r\nunread")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        record(4, b""),
        record(1, b"\0\2\0\0\0\0\0\0"),
        record(1, BEGIN) + record(1, BEGIN),
        record(1, BEGIN) + record(4, b"\5\1A") + record(4),
        record(1, BEGIN) + record(4, b"\1\1Ab", number=8),
        request(CONTENT_LENGTH="x"),
    ],
    ids=["http", "no-beginning", "filter", "two-beginnings", "lengths", "other-request", "bad-length"],
)
def test_what_is_no_fastcgi_is_refused(server, data):
    assert answer(send(server, data), number=1).startswith(b"Status: 400 Bad Request\r\n")


@pytest.mark.parametrize("length", [4, 6])
def test_a_body_of_another_length_than_said_is_a_400(server, length):
    data = request(b"hello", CONTENT_LENGTH=length, REQUEST_METHOD="POST")

    assert answer(send(server, data)).startswith(b"Status: 400 ")


def test_head_has_no_body(server):
    content = answer(send(server, request(REQUEST_METHOD="HEAD")))

    assert content.startswith(b"Status: 200 OK\r\n") and content.endswith(b"\r\n\r\n")


def test_nginx_passes_requests_and_bodies(nginx):
    body = bytes(range(256)) * 1000

    seen = get(nginx.port, "/fcgi/a%20b?c=d")
    environ = json.loads(seen.body)[0]
    uploaded = post(nginx.port, "/fcgi/upload", body)

    assert (seen.status, environ["PATH_INFO"], environ["QUERY_STRING"]) == (200, "/fcgi/a b", "c=d")
    assert json.loads(uploaded.body)[1:] == [len(body), hashlib.sha256(body).hexdigest()]


def test_nginx_passes_answers_back(nginx):
    missing = get(nginx.port, "/fcgi/missing")

    assert (missing.status, missing.body) == (404, b"not here")
    assert get(nginx.port, "/fcgi/raise").status == 500
    assert get(nginx.port, "/fcgi/large").body == b"".join(bytes([65 + n]) * 200_000 for n in range(10))
    assert get(nginx.port, "/fcgi/file").body == bytes(range(256)) * 2000
    assert nginx.failures() == []
