"""The uwsgi protocol on the wire: whole, in pieces, too big, wrong in every way; each with its promised answer."""

import json
import random
import struct
import time

import pytest

from support import processes, uwsgi_client
from support.http_client import connect, parse, receive_all
from support.invariant import Invariant
from support.ports import free_port
from support.uwsgi_client import exchange, packet, pairs, request, send, variables
from support.waiting import until

RECORDER = """
import json, os

def application(environ, start_response):
    if environ.get("PATH_INFO", "/") != "/":
        with open("calls", "a") as file:
            file.write(environ["PATH_INFO"] + "\\n")
    body = environ["wsgi.input"].read()
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps([seen, body.decode("latin-1")]).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, RECORDER, processes=1, listen=1024)
    server.set(socket=server.directory / "site.sock", pidfile="uwsgi.pid")
    return server.start()


@pytest.fixture(scope="module")
def address(server):
    return str(server.directory / "site.sock")


@pytest.fixture(autouse=True)
def nothing_is_hurt(server, address):
    """After every test the same server answers as before."""
    with Invariant(server, lambda: request(address).status, rounds=20):
        yield


def calls(server):
    """The paths (other than `/`) with which the app was called."""
    record = server.directory / "calls"
    return record.read_text().split() if record.exists() else []


def refused(answer):
    """Whether the answer is a clean refusal."""
    return answer is not None and 400 <= answer.status < 500


# Packets as they should be


def test_a_whole_packet_is_answered_in_plain_http_and_the_connection_closed(address):
    raw = exchange(address, packet(variables("/")))

    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_answer_echoes_the_protocol_of_the_request(address):
    assert exchange(address, packet(variables("/", SERVER_PROTOCOL="HTTP/1.0"))).startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_packet_may_arrive_in_pieces_of_one_byte(address):
    data = packet(variables("/", "POST", length="5", HTTP_X_LONG="x" * 300)) + b"hello"

    with connect(address) as stream:
        for byte in data:
            stream.sendall(bytes([byte]))
        answer = parse(receive_all(stream))

    assert json.loads(answer.body)[1] == "hello"


@pytest.mark.parametrize("size", [3900, 4096, 4100, 16_000, 65_535])
def test_packets_up_to_65535_bytes_are_served_by_default(address, size):
    base = len(pairs(variables("/", HTTP_COOKIE="")))
    data = packet(variables("/", HTTP_COOKIE="c" * (size - base)))
    assert struct.unpack("<H", data[1:3])[0] == size

    answer = send(address, data)

    assert answer.status == 200
    assert len(json.loads(answer.body)[0]["HTTP_COOKIE"]) == size - base


@pytest.mark.parametrize("count", [129, 1000, 8000])
def test_any_number_of_variables_that_fits_is_taken(address, count):
    many = (
        {f"{number:03x}": "" for number in range(count)}
        if count > 1000
        else {f"HTTP_X_{number}": "v" for number in range(count)}
    )
    block = pairs({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}) + pairs(many)
    assert len(block) <= 65_535

    start = time.monotonic()
    answer = send(address, packet(block))

    assert answer.status == 200
    assert set(many) <= set(json.loads(answer.body)[0])
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("modifier1", [0, 30])
def test_the_modifiers_of_python_are_served(address, modifier1):
    assert send(address, packet(variables("/"), modifier1=modifier1)).status == 200


def test_a_ping_is_answered_as_uwsgi_does(server, address):
    assert uwsgi_client.ping(address) == b"\x64\x00\x00\x01"


def test_half_closing_after_the_request_still_gets_the_answer(address):
    assert send(address, packet(variables("/")), half_close=True).status == 200


# 1-4: heads that are short, empty, slow, too big


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_head_that_ends_early_is_dropped_in_silence(server, address, length):
    mark = server.log.mark()

    for _ in range(100):
        assert exchange(address, packet(variables("/never"))[:length], half_close=True) == b""

    assert len(server.log.lines(mark)) <= 10, "a log line for each of them"
    assert "/never" not in calls(server)


def test_an_empty_packet_is_refused(server, address):
    before = len(calls(server))

    assert refused(send(address, b"\0\0\0\0"))

    assert len(calls(server)) == before


def test_slow_heads_hold_nobody_up_and_are_ended(server, address):
    data = packet(variables("/never-finished", HTTP_X_PAD="x" * 500))
    slow = [connect(address, timeout=30) for _ in range(8)]
    try:
        times = []
        for number in range(200):
            if number < 100:
                for stream in slow:
                    stream.sendall(data[number : number + 1])
            start = time.monotonic()
            assert request(address).status == 200
            times.append(time.monotonic() - start)

        assert sorted(times)[197] < 0.1, f"others waited {max(times):.3f} s"
        for stream in slow:
            answer = parse(receive_all(stream))
            assert answer is None or answer.status == 408
    finally:
        for stream in slow:
            stream.close()
    assert "/never-finished" not in calls(server)


def test_a_block_beyond_buffer_size_is_a_431_that_names_the_option(rustwsgi, workshop):
    server = workshop.server(rustwsgi, RECORDER, buffer_size=4096)
    server.set(socket=server.directory / "small.sock")
    server.start()
    address = str(server.directory / "small.sock")

    answer = send(address, packet(variables("/", HTTP_COOKIE="c" * 5000)))

    assert answer.status == 431
    server.log.wait_for("buffer-size")
    assert send(address, packet(variables("/", HTTP_COOKIE="c" * 3000))).status == 200


# 5-9: blocks whose lengths lie


def lying_blocks():
    """Blocks in which a length does not fit what follows, and why."""
    good = pairs({"PATH_INFO": "/lie", "REQUEST_METHOD": "GET"})
    name = b"HTTP_X"
    for extra in (1, 2, 3, 100, 65_535 - len(name)):
        yield f"a key {extra} past the end", good + struct.pack("<H", len(name) + extra) + name
    for extra in (1, 2, 100, 65_534):
        yield (
            f"a value {extra} past the end",
            good + struct.pack("<H", len(name)) + name + struct.pack("<H", 1 + extra) + b"v",
        )
    yield "a key without a value", good + struct.pack("<H", len(name)) + name
    yield "half a value length", good + struct.pack("<H", len(name)) + name + b"\0"
    yield "an empty key", good + pairs([(b"", b"value")])
    yield "an empty key and value", good + b"\0\0\0\0"
    yield "one stray byte", good + b"\0"
    yield "one stray byte of a length", good + b"\x05"
    yield "two stray bytes", good + b"\x05\0"
    yield "two zero bytes", good + b"\0\0"


@pytest.mark.parametrize(
    ("what", "block"), [pytest.param(*case, id=case[0].replace(" ", "-")) for case in lying_blocks()]
)
def test_lengths_that_lie_are_a_400_and_never_reach_the_app(server, address, what, block):
    answer = send(address, packet(block))

    assert answer is not None and answer.status == 400, what
    assert "/lie" not in calls(server)


def strict(block):
    """What the protocol says about a block, in ten lines: the variables, or None."""
    found, at = [], 0
    while at < len(block):
        pair = []
        for _ in range(2):
            size = int.from_bytes(block[at : at + 2], "little") if at + 2 <= len(block) else None
            if size is None or at + 2 + size > len(block):
                return None
            pair.append(block[at + 2 : at + 2 + size])
            at += 2 + size
        if not pair[0]:
            return None
        found.append(tuple(pair))
    return found


def test_random_blocks_are_understood_as_the_protocol_says_or_refused(server, address):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    good = pairs(variables("/"))
    for _ in range(1000):
        block = bytearray(good)
        for _ in range(chance.choice([1, 1, 2, 5])):
            block[chance.randrange(len(block))] = chance.choice([0, 1, 5, 255, chance.randrange(256)])
        if chance.random() < 0.3:
            block = block[: chance.randrange(1, len(block))]

        answer = send(address, packet(bytes(block)), half_close=True)

        if strict(bytes(block)) is None:
            assert answer is not None and answer.status == 400, bytes(block)
        else:
            assert answer is None or answer.status in (200, 400, 408), bytes(block)


# 10-11: variables that contradict


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("CONTENT_LENGTH", "0", "5"),
        ("REQUEST_METHOD", "GET", "POST"),
        ("PATH_INFO", "/", "/other"),
        ("SCRIPT_NAME", "", "/app"),
    ],
)
def test_two_values_for_what_frames_or_routes_are_refused(server, address, key, first, second):
    rest = {name: value for name, value in variables("/").items() if name != key}

    answer = send(address, packet(pairs(rest) + pairs([(key, first), (key, second)])))

    assert answer is not None and answer.status == 400
    assert "/other" not in calls(server)


def test_the_same_value_twice_is_harmless(address):
    assert send(address, packet(pairs(variables("/")) + pairs([("PATH_INFO", "/")]))).status == 200


def test_of_other_duplicates_the_last_one_wins(address):
    answer = send(address, packet(pairs(variables("/")) + pairs([("HTTP_X_A", "one"), ("HTTP_X_A", "two")])))

    assert json.loads(answer.body)[0]["HTTP_X_A"] == "two"


@pytest.mark.parametrize(
    "length", ["abc", "-1", "+5", "5 ", " 5", "5,5", "0x5", "5x", "1" * 20, str(2**64), str(2**64 + 5)]
)
def test_a_content_length_that_is_no_number_is_refused(server, address, length):
    hidden = packet(variables("/smuggled"))

    answer = send(address, packet(variables("/bad-length", "POST", length=length)) + hidden)

    assert answer is not None and answer.status == 400
    assert not {"/smuggled", "/bad-length"} & set(calls(server))


@pytest.mark.parametrize("length", ["", "0", "000"])
def test_an_empty_content_length_is_none(address, length):
    assert json.loads(send(address, packet(variables("/", length=length))).body)[1] == ""


# 12-14: bodies that are short, long, or something else


def test_a_body_cut_short_fails_the_request_and_frees_the_worker(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py")
    server.set(socket=server.directory / "short.sock")
    server.start()
    address = str(server.directory / "short.sock")
    data = packet(variables("/read-error", "POST", length="1000")) + b"only this"

    for half_close in (True, False):
        if half_close:
            answer = send(address, data, half_close=True)
            assert answer is None or answer.status in (400, 408, 500)
        else:
            with connect(address) as stream:
                stream.sendall(data)
        assert request(address, "/one-chunk").status == 200


def test_a_body_that_never_comes_does_not_hold_the_worker_for_ever(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py")
    server.set(socket=server.directory / "silent.sock")
    server.start()
    address = str(server.directory / "silent.sock")

    answer = send(address, packet(variables("/read-error", "POST", length="1000")) + b"only this", timeout=30)

    assert answer is None or answer.status in (400, 408, 500)
    assert request(address, "/one-chunk").status == 200


def test_bytes_beyond_the_body_are_not_the_apps_and_do_not_cost_the_answer(address):
    data = packet(variables("/", "POST", length="5")) + b"12345" + b"x" * (1 << 20)

    answer = send(address, data)

    assert answer.status == 200
    assert json.loads(answer.body)[1] == "12345"


def test_a_second_packet_on_the_connection_is_never_executed(server, address):
    first = packet(variables("/first"))
    second = packet(variables("/second"))

    raw = exchange(address, first + second)

    assert raw.count(b"HTTP/1.1 200 OK") == 1
    assert "/first" in calls(server) and "/second" not in calls(server)


# 15-18: other languages, other protocols, dangerous variables


def test_unknown_modifiers_are_refused_and_named_in_the_log(server, address):
    mark = server.log.mark()
    served = {0, 30, 100}

    for modifier1 in set(range(256)) - served:
        answer = send(address, packet(variables("/modified"), modifier1=modifier1))
        assert answer is None or 400 <= answer.status <= 501, modifier1
    answer = send(address, packet(variables("/modified"), modifier1=5, modifier2=77))
    assert answer is None or 400 <= answer.status <= 501

    assert "/modified" not in calls(server)
    server.log.wait_for(r"modifier", mark)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b",
        b"\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03" + bytes(240),
    ],
    ids=["GET", "POST", "TLS"],
)
def test_http_and_tls_on_the_uwsgi_socket_are_recognised(server, address, data):
    mark = server.log.mark()
    hint = "TLS" if data[0] == 0x16 else "http-socket"

    def said():
        answer = exchange(address, data)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        return server.log.count(hint, mark)

    until(said, f"{hint} in the log, which is limited in its rate", timeout=5)


def test_variables_cannot_make_the_server_load_code(server, address):
    evil = server.directory / "evil.py"
    evil.write_text("open('evil-was-here', 'w').close()\ndef application(e, s): s('200 OK', []); return [b'evil']\n")

    for more in ({"UWSGI_FILE": str(evil)}, {"UWSGI_MODULE": "evil"}, {"UWSGI_SCRIPT": "evil"}):
        answer = request(address, "/", UWSGI_APPID="fresh" + next(iter(more)), **more)
        assert answer.body != b"evil"

    assert not (server.directory / "evil-was-here").exists()


@pytest.mark.parametrize("byte", [b"\0", b"\r", b"\n"])
def test_control_bytes_in_a_key_are_refused(address, byte):
    assert send(address, packet(pairs(variables("/")) + pairs([(b"HTTP_X" + byte + b"Y", b"v")]))).status == 400


def test_a_newline_in_a_value_cannot_forge_a_log_line(server, address):
    mark = server.log.mark()

    request(address, "/", REQUEST_URI="/\n[pid: 1|app: 0|req: 1/1] forged", REMOTE_USER="a\nforged too")
    request(address, "/after")

    server.log.wait_for("GET /after => ", mark)
    assert not [line for line in server.log.lines(mark) if line.startswith(("[pid: 1|", "forged"))]


# Connections


def test_a_flood_of_silent_connections_leaves_others_served(server, address):
    idle = []
    try:
        for _ in range(300):
            idle.append(connect(address))
        start = time.monotonic()
        for _ in range(50):
            assert request(address).status == 200
        assert time.monotonic() - start < 5
    finally:
        for stream in idle:
            stream.close()


@pytest.mark.parametrize("name", ["unix", "abstract", "tcp", "any", "ipv6"])
def test_every_form_of_address_is_served(rustwsgi, workshop, name):
    port = free_port()
    server = workshop.server(rustwsgi, "hello.py")
    written, dialled = {
        "unix": (server.directory / "a.sock", str(server.directory / "a.sock")),
        "abstract": (f"@rw-{port}", f"@rw-{port}\0"),  # the NUL behind the name is uWSGI's habit
        "tcp": (f"127.0.0.1:{port}", f"127.0.0.1:{port}"),
        "any": (f":{port}", f"127.0.0.1:{port}"),
        "ipv6": (f"[::1]:{port}", f"[::1]:{port}"),
    }[name]
    server.set(socket=written)
    server.start()

    answer = request(dialled)

    assert (answer.status, answer.body) == (200, b"hello\n")


def test_several_sockets_are_served_at_once(rustwsgi, workshop):
    port = free_port()
    server = workshop.server(rustwsgi, "hello.py", processes=2)
    paths = [server.directory / "one.sock", server.directory / "two.sock"]
    server.set(socket=[*paths, f"127.0.0.1:{port}"])
    server.start()

    for address in (*map(str, paths), f"127.0.0.1:{port}"):
        assert request(address).status == 200
    assert all(processes.alive(pid) for pid in server.workers())
