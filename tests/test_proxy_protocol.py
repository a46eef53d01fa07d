"""The PROXY protocol, where an option asks for it: the client's address from the header, nothing without one."""

import json
import random
import socket
import struct

import pytest

from support.http_client import Connection, connect, parse, receive_all, request_bytes
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import until

SEEN = """
import json

def application(environ, start_response):
    answer = json.dumps([environ["REMOTE_ADDR"], environ.get("REMOTE_PORT"), environ["PATH_INFO"]]).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n"
LAST = request_bytes("GET", "/x", [("Connection", "close")])


def binary(command, family, rest):
    """A header of version 2."""
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(rest)) + rest


FOUR = socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 4660, 80)
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 4660, 80)


@pytest.fixture(scope="module", params=["http-socket", "http"])
def server(request, rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, SEEN, processes=1, threads=2, socket_timeout=1, http_timeout=1)
    server.port = free_port()
    options = {"http-socket": "enable-proxy-protocol", "http": "http-enable-proxy-protocol"}
    server.set(**{request.param: f"127.0.0.1:{server.port}", options[request.param]: True})
    return server.start()


def send(server, data):
    """Every byte that comes back."""
    with connect(server.port) as stream:
        try:
            stream.sendall(data)
        except OSError:
            pass
        return receive_all(stream)


@pytest.fixture(autouse=True)
def nothing_is_hurt(server):
    with Invariant(server, lambda: parse(send(server, LINE + LAST)).status, rounds=20):
        yield


@pytest.mark.parametrize(
    "header, seen",
    [
        (LINE, ["192.0.2.7", "4660"]),
        (b"PROXY TCP6 2001:db8::7 ::1 4660 80\r\n", ["2001:db8::7", "4660"]),
        (binary(1, 0x11, FOUR), ["192.0.2.7", "4660"]),
        (binary(1, 0x21, SIX), ["2001:db8::7", "4660"]),
        (binary(1, 0x11, FOUR + b"\x04\0\x03abc"), ["192.0.2.7", "4660"]),
    ],
    ids=["v1-tcp4", "v1-tcp6", "v2-tcp4", "v2-tcp6", "v2-with-more"],
)
def test_the_header_names_the_client(server, header, seen):
    assert json.loads(parse(send(server, header + LAST)).body) == [*seen, "/x"]


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3\r\n", binary(0, 0, b""), binary(0, 0x11, FOUR), binary(1, 0, b"xyz")],
    ids=["v1-unknown", "v1-unknown-more", "v2-local", "v2-local-with-addresses", "v2-unspecified"],
)
def test_without_a_client_it_is_whoever_connected(server, header):
    assert json.loads(parse(send(server, header + LAST)).body)[0] == "127.0.0.1"


def test_it_stands_once_a_connection(server):
    with Connection(server.port) as connection:
        connection.send(LINE)
        for number in range(5):
            answer = connection.request("GET", f"/{number}")
            assert json.loads(answer.body) == ["192.0.2.7", "4660", f"/{number}"]
        connection.send(LINE)
        assert connection.request("GET", "/again").status == 400


@pytest.mark.parametrize("header", [LINE, binary(1, 0x11, FOUR)], ids=["v1", "v2"])
def test_it_may_arrive_byte_by_byte(server, header):
    with connect(server.port) as stream:
        for byte in header + LAST:
            stream.sendall(bytes([byte]))
        assert json.loads(parse(receive_all(stream)).body)[0] == "192.0.2.7"


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4660\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\n",
        b"PROXY TCP4 192.0.2.300 10.0.0.1 4660 80\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 66000 80\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 4660 80\r\n",
        b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
        binary(2, 0x11, FOUR),
        binary(1, 0x12, FOUR),
        binary(1, 0x11, FOUR[:8]),
        binary(1, 0x11, FOUR + b"\x04\0\x09abc"),
        SIGNATURE + b"\x11\x11\0\0",
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_what_is_not_right_is_refused(server, start):
    raw = send(server, start + LAST)

    assert parse(raw).status == 400 and b"bad PROXY header" in raw


def test_a_client_without_the_header_is_told_of_in_the_log(server):
    mark = server.log.mark()

    # The lines are bounded in rate: the first may be left out.
    until(
        lambda: send(server, LAST) and server.log.count("bad PROXY header: .* without `enable-proxy-protocol`", mark),
        "a line about it",
    )


def test_a_header_that_never_comes_is_a_408_or_a_close(server):
    with connect(server.port) as stream:
        stream.sendall(LINE[:20])
        assert parse(receive_all(stream)).status == 408


def test_broken_headers_break_nothing(server):
    chance = random.Random(4)
    for _ in range(1500):
        data = bytearray(chance.choice([LINE, binary(1, 0x11, FOUR), binary(1, 0x21, SIX)]))
        for _ in range(chance.choice((1, 2, 8))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with connect(server.port) as stream:
            try:
                stream.sendall(bytes(data) + LAST)
                stream.shutdown(socket.SHUT_WR)
                raw = receive_all(stream)
            except OSError:
                continue
        assert raw == b"" or parse(raw).status in (200, 400, 431, 505), (bytes(data), raw)
