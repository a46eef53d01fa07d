"""`scgi-socket`: the bytes, and nginx's `scgi_pass`."""

import hashlib
import json

import pytest

from support.http_client import connect, get, post, receive_all
from support.invariant import Invariant

PASS = """
location /scgi/ {{
    scgi_pass unix:{path};
    scgi_param SCGI 1;
    scgi_param REQUEST_METHOD $request_method;
    scgi_param REQUEST_URI $request_uri;
    scgi_param QUERY_STRING $query_string;
    scgi_param CONTENT_TYPE $content_type;
    scgi_param PATH_INFO $document_uri;
    scgi_param SERVER_PROTOCOL $server_protocol;
    scgi_param REMOTE_ADDR $remote_addr;
    scgi_param SERVER_PORT $server_port;
    scgi_param SERVER_NAME $server_name;
}}
"""

APP = """
import hashlib, json

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path.endswith("/missing"):
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not ", b"here"]
    if path.endswith("/raise"):
        raise ValueError("on purpose")
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps([seen, len(body), hashlib.sha256(body).hexdigest()]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, APP, processes=1, threads=2, socket_timeout=1)
    server.scgi = str(server.directory / "scgi.sock")
    server.nph = str(server.directory / "nph.sock")
    server.set(scgi_socket=server.scgi, scgi_nph_socket=server.nph, chmod_socket="666")
    return server.start()


@pytest.fixture(scope="module")
def nginx(server, shared_workshop):
    return shared_workshop.nginx(server.scgi, server=PASS.format(path=server.scgi))


@pytest.fixture(autouse=True)
def nothing_is_hurt(server):
    with Invariant(server, lambda: int(send(server.scgi, head()).split()[1]), rounds=20):
        yield


def head(length="0", **variables):
    """The head of a request."""
    variables = {"CONTENT_LENGTH": length, "SCGI": "1", "REQUEST_METHOD": "GET", "PATH_INFO": "/x"} | variables
    block = b"".join(f"{name}\0{value}\0".encode() for name, value in variables.items())
    return b"%d:%s," % (len(block), block)


def send(address, data):
    """Every byte that comes back."""
    with connect(address) as stream:
        stream.sendall(data)
        return receive_all(stream)


def test_the_answer_has_its_status_in_a_header(server):
    raw = send(server.scgi, head(HTTP_X="y"))

    assert raw.startswith(b"Status: 200 OK\r\nContent-Type: application/json\r\n")
    assert json.loads(raw.partition(b"\r\n\r\n")[2])[0]["HTTP_X"] == "y"


def test_the_nph_socket_answers_in_http(server):
    raw = send(server.nph, head(SERVER_PROTOCOL="HTTP/1.1"))

    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_in_pieces(server):
    with connect(server.scgi) as stream:
        for byte in head("5", REQUEST_METHOD="POST") + b"hello":
            stream.sendall(bytes([byte]))
        raw = receive_all(stream)

    assert json.loads(raw.partition(b"\r\n\r\n")[2])[1] == 5


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"5:hello,", b"024:x", b"99999999:", head()[:-1] + b";", head("x"), head(SCGI="2")],
    ids=["http", "no-variables", "leading-zero", "too-many-digits", "bad-end", "bad-length", "bad-version"],
)
def test_what_is_no_scgi_is_refused(server, data):
    assert send(server.scgi, data).startswith(b"Status: 400 Bad Request\r\n")


def test_nginx_passes_requests(nginx):
    answer = get(nginx.port, "/scgi/a%20b?c=d")
    environ = json.loads(answer.body)[0]

    assert answer.status == 200
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/scgi/a b", "c=d")
    assert (environ["REMOTE_ADDR"], environ["SERVER_PROTOCOL"]) == ("127.0.0.1", "HTTP/1.1")


def test_nginx_passes_bodies(nginx):
    body = bytes(range(256)) * 10_000

    answer = post(nginx.port, "/scgi/upload", body)

    assert json.loads(answer.body)[1:] == [len(body), hashlib.sha256(body).hexdigest()]


def test_nginx_passes_statuses_back(nginx):
    answer = get(nginx.port, "/scgi/missing")

    assert (answer.status, answer.body) == (404, b"not here")
    assert get(nginx.port, "/scgi/raise").status == 500
