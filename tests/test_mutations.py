"""Requests broken at random, thousands of them: every one is answered or refused, and nothing else changes."""

import os
import random
import socket

import pytest

from support import uwsgi_client
from support.http_client import connect, parse, receive_all, request_bytes
from support.invariant import Invariant
from support.ports import free_port
from support.uwsgi_client import packet, variables

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = 4_000
SOAK_ROUNDS = 1_000_000

READER = """
def application(environ, start_response):
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % length]
"""


@pytest.fixture(scope="module", params=[1, 3], ids=["one-thread", "three-threads"])
def server(request, rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, READER, processes=2, threads=request.param, listen=1024)
    server.http = free_port()
    # A body that never comes is given up soon: most mutations announce one.
    server.set(socket=server.directory / "site.sock", http_socket=f"127.0.0.1:{server.http}", socket_timeout=1)
    return server.start()


def mutated(chance, data):
    """`data` with a few of its bytes changed, lost, doubled or cut off."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(6):
            case 0 if data:
                data[at] = chance.randrange(256)
            case 1 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.choice((1, 2, 8))]
            case 3:
                data[at:at] = data[at : at + chance.choice((1, 2, 40))]
            case 4:
                data[at:at] = chance.choice((b"\r\n", b"\0", b"\xff\xff", b"Content-Length: 5\r\n", b"chunked", b"\x00\x00"))
            case 5:
                del data[at:]
    return bytes(data)


def send_all(address, kind, rounds):
    """Sends that many broken requests; each connection ends with an answer or without a byte."""
    chance = random.Random(SEED)
    samples = {
        "uwsgi": [
            packet(variables("/")),
            packet(variables("/a", query="b=c", HTTP_COOKIE="d" * 300)),
            packet(variables("/p", method="POST", length="5")) + b"hello",
            packet({}, modifier1=100),
        ],
        "http": [
            request_bytes("GET", "/", [("Host", "a")]),
            request_bytes("POST", "/p", [("Host", "a"), ("Content-Length", "5")], b"hello"),
            b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ],
    }[kind]
    for number in range(rounds):
        data = mutated(chance, chance.choice(samples))
        with connect(address, timeout=10.0) as stream:
            try:
                stream.sendall(data)
                stream.shutdown(socket.SHUT_WR)
                raw = receive_all(stream)
            except OSError:
                continue  # refused before all of it was sent
        known = raw == b"" or raw.startswith(b"d\0\0\1") or parse(raw).status in (200, 400, 408, 413, 431, 500, 505)
        assert known, f"SEED={SEED} round {number}: {data!r} got {raw!r}"


def hurt(server, kind, rounds):
    unix = str(server.directory / "site.sock")
    with Invariant(server, lambda: uwsgi_client.request(unix).status):
        send_all(unix if kind == "uwsgi" else server.http, kind, rounds)


@pytest.mark.parametrize("kind", ["uwsgi", "http"])
def test_broken_requests_break_nothing(server, kind):
    hurt(server, kind, ROUNDS)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ["uwsgi", "http"])
def test_very_many_broken_requests_break_nothing(server, kind):
    hurt(server, kind, SOAK_ROUNDS)
