"""`http-socket`: HTTP/1.1 for browsers and curl, kept alive."""

import hashlib
import json
import subprocess

import pytest

from support import http_client
from support.http_client import Connection, get, parse, receive_all
from support.invariant import Invariant
from support.ports import free_port


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, "cases.py", processes=1, threads=2)
    server.port = free_port()
    server.set(http_socket=f"127.0.0.1:{server.port}")
    return server.start()


@pytest.fixture
def connection(server):
    with Connection(server.port) as connection:
        yield connection


@pytest.fixture(autouse=True)
def nothing_is_hurt(server):
    with Invariant(server, lambda: get(server.port, "/one-chunk").status, rounds=20):
        yield


def curl(*arguments):
    """What curl says: the body and the words asked for with `-w`."""
    done = subprocess.run(["curl", "-sS", "-m", "20", *arguments], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_connection_serves_many_requests(connection):
    for _ in range(50):
        answer = connection.request("GET", "/redirect")
        assert (answer.status, answer.version) == (302, "HTTP/1.1")


def test_answers_without_a_length_keep_the_connection_too(connection):
    for _ in range(5):
        answer = connection.request("GET", "/generator")
        assert answer.body == b"0\n1\n2\n3\n4\n"


def test_connection_close_is_honoured(connection):
    answer = connection.request("GET", "/one-chunk", [("Connection", "close")])

    assert answer.body == b"one chunk"
    assert connection.closed_by_peer()


def test_http_1_0_ends_the_connection(connection):
    answer = connection.request("GET", "/one-chunk", version="HTTP/1.0")

    assert answer.body == b"one chunk" and answer.header("Transfer-Encoding") is None
    assert connection.closed_by_peer()


def test_requests_sent_at_once_are_answered_in_order(connection):
    connection.send(b"".join(http_client.request_bytes("POST", "/echo", body=str(n).encode() * 3) for n in range(9)))

    assert [connection.answer().body for _ in range(9)] == [str(n).encode() * 3 for n in range(9)]


def test_a_request_may_arrive_byte_by_byte(connection):
    for byte in http_client.request_bytes("POST", "/echo", body=b"slowly"):
        connection.send(bytes([byte]))

    assert connection.answer().body == b"slowly"


@pytest.mark.parametrize("size", [1, 65536, 3_000_000])
def test_a_body_by_length(connection, size):
    body = bytes(range(256)) * (size // 256 + 1)

    answer = connection.request("POST", "/digest", body=body[:size])

    assert json.loads(answer.body) == [size, hashlib.sha256(body[:size]).hexdigest()]
    assert connection.request("GET", "/one-chunk").status == 200


def test_a_chunked_upload_reaches_the_app(connection):
    pieces = [b"first ", b"second ", b"x" * 100_000, b" end"]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    connection.send(http_client.request_bytes("POST", "/echo", [("Transfer-Encoding", "chunked")]) + chunks)

    assert connection.answer().body == b"".join(pieces)
    assert connection.request("GET", "/one-chunk").status == 200


def test_an_unread_body_does_not_become_the_next_request(connection):
    hidden = http_client.request_bytes("GET", "/smuggled")
    connection.send(http_client.request_bytes("POST", "/ignore-input", body=hidden))
    connection.send(http_client.request_bytes("GET", "/no-such-case"))

    assert connection.answer().body == b"ignored"
    following = connection.answer()
    assert following is None or following.status == 404


def test_head_has_the_headers_and_no_body(connection):
    answer = connection.request("HEAD", "/ignore-input")

    assert (answer.status, answer.header("Content-Length")) == (200, "7")
    assert connection.request("GET", "/odd-status").status == 418, "a body followed the head"


def test_204_and_304_have_no_framing(connection):
    answer = connection.request("GET", "/empty")

    assert answer.status == 204
    assert answer.header("Transfer-Encoding") is None
    assert connection.request("GET", "/one-chunk").body == b"one chunk"


def test_what_the_app_does_not_know_is_its_404(connection):
    assert connection.request("GET", "/no-such-case").status == 404


def test_path_and_query_are_taken_apart(connection):
    environ = json.loads(connection.request("GET", "/environ%2Dtypes?a=%20b&c", [("X-Some-Name", "v")]).body)

    assert environ["PATH_INFO"] == ["str", "/environ-types"]
    assert environ["QUERY_STRING"] == ["str", "a=%20b&c"]
    assert environ["REQUEST_URI"] == ["str", "/environ%2Dtypes?a=%20b&c"]
    assert environ["HTTP_X_SOME_NAME"] == ["str", "v"]
    assert environ["SCRIPT_NAME"] == ["str", ""]
    assert environ["REMOTE_ADDR"] == ["str", "127.0.0.1"]
    assert environ["SERVER_PROTOCOL"] == ["str", "HTTP/1.1"]


def test_an_expected_continue_is_given(connection):
    head = http_client.request_bytes("POST", "/echo", [("Expect", "100-continue"), ("Content-Length", "4")])
    connection.send(head)

    assert connection.answer().status == 100
    connection.send(b"body")
    assert connection.answer().body == b"body"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"not http at all\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["garbage", "no-colon", "length-word", "length-negative", "two-lengths", "length-and-chunked", "bad-chunk"],
)
def test_what_cannot_be_understood_is_refused_and_the_end(server, request_bytes):
    with http_client.connect(server.port) as stream:
        stream.sendall(request_bytes)
        raw = receive_all(stream)

    answer = parse(raw)
    assert answer is not None and answer.status == 400, raw
    assert raw.count(b"HTTP/1.1 ") == 1


def test_a_head_that_is_too_large_is_a_431(server):
    with http_client.connect(server.port) as stream:
        try:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 200_000 + b"\r\n\r\n")
        except OSError:
            pass
        answer = parse(receive_all(stream))

    assert answer is None or answer.status == 431


def test_idle_connections_hold_nobody_up(server):
    idle = [http_client.connect(server.port) for _ in range(50)]
    try:
        for stream in idle:
            stream.sendall(b"GET /one-chunk HTTP/1.1\r\n")
        for _ in range(20):
            assert get(server.port, "/one-chunk", timeout=2).status == 200
    finally:
        for stream in idle:
            stream.close()


def test_an_exception_after_the_first_chunk_does_not_look_complete(connection):
    connection.send(http_client.request_bytes("GET", "/raise-in-later"))
    raw = receive_all(connection.stream)

    assert b"part of it" in raw
    assert not raw.endswith(b"0\r\n\r\n"), "the broken answer looks whole"


class TestCurl:
    """The same with the client everybody has."""

    def test_get_and_post(self, server):
        url = f"http://127.0.0.1:{server.port}"

        assert curl(url + "/one-chunk") == b"one chunk"
        assert curl("-d", "a=b&c=d", url + "/echo") == b"a=b&c=d"
        assert curl("-d", "@-", "-H", "Transfer-Encoding: chunked", url + "/one-chunk", "-X", "POST") == b"one chunk"

    def test_a_large_upload_with_expect(self, server, tmp_path):
        upload = tmp_path / "upload"
        upload.write_bytes(bytes(range(256)) * 8192)

        answer = curl("-H", "Expect: 100-continue", "-T", upload, f"http://127.0.0.1:{server.port}/digest")

        assert json.loads(answer) == [upload.stat().st_size, hashlib.sha256(upload.read_bytes()).hexdigest()]

    def test_a_connection_is_used_again(self, server):
        url = f"http://127.0.0.1:{server.port}/one-chunk"

        used = curl("-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", url, url)

        assert used == b"1 0 "

    def test_head(self, server):
        assert curl("-I", f"http://127.0.0.1:{server.port}/ignore-input").startswith(b"HTTP/1.1 200")
