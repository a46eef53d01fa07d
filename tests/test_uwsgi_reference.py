"""The packet parser against a strict reference: tens of thousands of broken packets, each understood alike by both."""

import json
import os
import random
import socket
from concurrent.futures import ProcessPoolExecutor

import pytest

from support import uwsgi_client
from support.http_client import connect, parse, receive_all
from support.invariant import Invariant
from support.uwsgi_client import packet, pairs, variables
from support.uwsgi_reference import Incomplete, Refused
from support.uwsgi_reference import parse as reference

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
ROUNDS = 20_000
SOAK_ROUNDS = 1_000_000
CLIENTS = 2

# The server's own additions and what it makes of SCRIPT_NAME and the scheme aside, the environ is the packet.
RECORDER = """
import json

def application(environ, start_response):
    try:
        body = environ["wsgi.input"].read()
    except OSError:
        body = b"cut"
    seen = {key: value for key, value in environ.items() if isinstance(value, str) and not key.startswith(("wsgi.", "uwsgi."))}
    answer = json.dumps([seen, body.decode("latin-1")]).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""

SAMPLES = [
    packet(variables("/")),
    packet(variables("/a", query="b=c", HTTP_COOKIE="d" * 300)),
    packet(variables("/p", method="POST", length="5")) + b"hello",
    packet({"A": "b"}),
    packet({"PATH_INFO": "/", "CONTENT_LENGTH": "", "SCRIPT_NAME": ""}),
    packet(pairs([("PATH_INFO", "/"), ("PATH_INFO", "/"), ("X", "1"), ("X", "2")])),
    packet(pairs([("PATH_INFO", "/"), ("PATH_INFO", "/admin")])),
    packet({"A": "b"}, modifier1=30),
    packet({}, modifier1=100),
]


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, RECORDER, processes=2, listen=1024, socket_timeout=30, disable_logging=True)
    server.set(socket=server.directory / "site.sock")
    return server.start()


def mutated(chance, data):
    """`data` with bytes changed, lost or doubled, most often where a length stands."""
    data = bytearray(data)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 5))):
        at = chance.randrange(len(data))
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                del data[at : at + chance.choice((1, 2, 8))]
            case 3:
                data[at:at] = data[at : at + chance.choice((1, 2, 40))]
            case 4 if len(data) > 1:
                data[1] = (data[1] + chance.choice((1, 2, 255, 254))) % 256
            case 5 if len(data) > 4:
                # The header says what there is: the fault lies deeper.
                data[1:3] = (len(data) - 4 & 0xFFFF).to_bytes(2, "little")
            case 6:
                data[at:at] = chance.choice((b"\0\0", b"\xff\xff", b"\x01\0A\x01\0b", b"GET ", b"\r\n"))
        if not data:
            break
    return bytes(data)


def expected(data):
    """What has to come back: a word, or the variables and the body."""
    try:
        understood = reference(data)
    except Refused:
        return "refused"
    except Incomplete:
        return "silence" if len(data) < 4 else "refused"
    if understood is None:
        return "pong"
    known, body, length = understood
    if len(body) < length:
        return "cut"
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in known.items()}, body[:length]


def received(address, data):
    """What came back, in the same words."""
    with connect(address, timeout=20.0) as stream:
        try:
            stream.sendall(data)
            stream.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all of it was sent
        raw = receive_all(stream)
    if raw == b"":
        return "silence"
    if raw == b"d\0\0\1":
        return "pong"
    answer = parse(raw)
    if answer.status in (400, 408, 413, 431):
        return "refused"
    assert answer.status == 200, raw
    seen, body = json.loads(answer.body)
    return "cut" if body == "cut" else (seen, body.encode("latin-1"))


def compare(address, seed, rounds):
    """The first packet that the two understand differently, or None."""
    chance = random.Random(seed)
    for number in range(rounds):
        data = mutated(chance, chance.choice(SAMPLES))
        ours, theirs = received(address, data), expected(data)
        if isinstance(ours, tuple) and isinstance(theirs, tuple):
            # SCRIPT_NAME is always there, and the values of names that the server itself sets may differ.
            wanted = {"SCRIPT_NAME": ""} | theirs[0]
            wrong = {key: value for key, value in wanted.items() if ours[0].get(key) != value}
            added = set(ours[0]) - set(wanted) - {"PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT"}
            if not wrong and not added and ours[1] == theirs[1]:
                continue
        elif ours == theirs:
            continue
        return f"SEED={seed} round {number}: {data!r}\nours: {ours}\nreference: {theirs}"
    return None


def differences(server, rounds):
    """What several clients found together."""
    address = str(server.directory / "site.sock")
    with Invariant(server, lambda: uwsgi_client.request(address).status):
        with ProcessPoolExecutor(CLIENTS) as clients:
            found = [clients.submit(compare, address, SEED + n, rounds // CLIENTS) for n in range(CLIENTS)]
            return [one.result() for one in found if one.result()]


def test_both_understand_broken_packets_alike(server):
    assert differences(server, ROUNDS) == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_both_understand_a_million_broken_packets_alike(server):
    assert differences(server, SOAK_ROUNDS) == []
