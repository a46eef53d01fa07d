"""`http` and the other options of HTTP sockets: served by the workers, with the limits and names that were set."""

import json
import socket
import time

import pytest

from support.http_client import Connection, connect, get, parse, receive_all, request_bytes
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import until

SEEN = """
import json, os

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps([seen, body.decode("latin-1")]).encode()
    start_response("200 OK", [("Content-Length", str(len(answer))), ("X-Pid", str(os.getpid()))])
    return [answer]
"""


@pytest.fixture
def started(rustwsgi, workshop):
    """Starts a server with `http` sockets on so many ports, and other options."""

    def start(ports=1, **options):
        server = workshop.server(rustwsgi, SEEN, **options)
        server.ports = [free_port() for _ in range(ports)]
        server.set(http=[f"127.0.0.1:{port}" for port in server.ports])
        return server.start()

    return start


def seen(answer):
    """The environ that the app had."""
    return json.loads(answer.body)[0]


def test_http_is_served_by_the_workers_without_a_process_more(started):
    server = started(processes=2, http_processes=4, http_workers=2)

    with Invariant(server, lambda: get(server.ports[0]).status, rounds=50):
        environ = seen(get(server.ports[0], "/a?b=c"))

    assert (environ["PATH_INFO"], environ["REMOTE_ADDR"]) == ("/a", "127.0.0.1")
    assert environ["SERVER_PORT"] == str(server.ports[0])
    assert len(server.workers()) == 2 and "http" not in server.tree()


def test_http_several_times_beside_other_sockets(started, workshop):
    other = free_port()
    server = started(ports=3, http11_socket=f"127.0.0.1:{other}", processes=1)

    assert [get(port).status for port in [*server.ports, other]] == [200] * 4
    with Connection(server.ports[0]) as connection:
        for _ in range(3):
            assert connection.request("POST", "/", body=b"x" * 70_000).status == 200


def test_http_on_a_unix_path(rustwsgi, workshop):
    server = workshop.server(rustwsgi, SEEN)
    server.set(http_socket=server.directory / "http.sock")
    server.start()

    answer = get(str(server.directory / "http.sock"), "/x")

    assert answer.status == 200 and seen(answer)["PATH_INFO"] == "/x"
    assert seen(answer)["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in seen(answer)


def test_http_to_is_refused_with_what_to_do(rustwsgi, workshop):
    server = workshop.server(rustwsgi, SEEN, http=f"127.0.0.1:{free_port()}", http_to="127.0.0.1:3031")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code != 0
    assert "http-to" in outcome.text and "served by the workers of this instance" in outcome.text


def test_one_address_cannot_be_both(rustwsgi, workshop):
    port = free_port()
    server = workshop.server(rustwsgi, SEEN, http=f"127.0.0.1:{port}", http_socket=f"127.0.0.1:{port}")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code != 0 and "cannot be both `http` and `http-socket`" in outcome.text


def test_a_slow_client_has_the_time_of_the_http_options(started):
    server = started(socket_timeout=1, http_timeout=30)

    with connect(server.ports[0]) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        stream.settimeout(1.5)
        with pytest.raises(TimeoutError):
            stream.recv(1)
        stream.settimeout(10)
        stream.sendall(b"Connection: close\r\n\r\n")
        assert parse(receive_all(stream)).status == 200


def test_a_head_has_a_deadline_of_its_own(started):
    server = started(http_timeout=30, http_headers_timeout=1)

    with connect(server.ports[0]) as stream:
        begun = time.monotonic()
        stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        answer = parse(receive_all(stream))

    assert answer.status == 408 and answer.header("Connection") == "close"
    assert 0.9 < time.monotonic() - begun < 4


def test_a_dribbling_head_is_ended_by_the_same_deadline(started):
    server = started(http_timeout=30, http_headers_timeout=1)

    with connect(server.ports[0]) as stream:
        begun = time.monotonic()
        stream.settimeout(0.2)
        raw = b""
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"y" * 100:
            try:
                stream.sendall(bytes([byte]))
                raw += stream.recv(65536)
                break
            except TimeoutError:
                continue
        assert time.monotonic() - begun < 4

    assert raw.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_when_http_keepalive_says(started):
    server = started(http_keepalive=2)

    with Connection(server.ports[0]) as connection:
        assert connection.request("GET", "/").status == 200
        begun = time.monotonic()
        assert connection.closed_by_peer()
        assert 1.5 < time.monotonic() - begun < 5


@pytest.mark.parametrize("value", ["", "1", "true"])
def test_http_keepalive_without_a_number_leaves_the_default(started, value):
    server = started(http_keepalive=value)

    with Connection(server.ports[0], timeout=1.5) as connection:
        assert connection.request("GET", "/").status == 200
        with pytest.raises(TimeoutError):
            connection.closed_by_peer()
        assert connection.request("GET", "/").status == 200


def test_a_body_that_waits_is_refused_over_the_limit(started):
    server = started(http_manage_expect=1000)
    expect = ("Expect", "100-continue")

    with Connection(server.ports[0]) as connection:
        connection.send(request_bytes("POST", "/", [expect, ("Content-Length", "1000")]))
        assert connection.answer().status == 100
        connection.send(b"x" * 1000)
        assert connection.answer().status == 200
        connection.send(request_bytes("POST", "/", [expect, ("Content-Length", "1001")]))
        answer = connection.answer()
        assert (answer.status, answer.header("Connection")) == (413, "close")
        assert connection.closed_by_peer()


def test_http_var_adds_variables(started):
    server = started(http_var=["SITE=blog", "MODE=a=b"])

    environ = seen(get(server.ports[0]))

    assert (environ["SITE"], environ["MODE"]) == ("blog", "a=b")


def test_abstract_socket(rustwsgi, workshop):
    name = f"rw-{free_port()}/none/such"
    server = workshop.server(rustwsgi, SEEN, http_socket=name, abstract_socket=True)
    server.start()

    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(10)
        stream.connect(f"\0{name}\0")
        stream.sendall(request_bytes("GET", "/", [("Connection", "close")]))
        assert parse(receive_all(stream)).status == 200


def test_reuse_port_lets_two_instances_listen(rustwsgi, workshop):
    port = free_port()
    servers = [workshop.server(rustwsgi, SEEN, http_socket=f"127.0.0.1:{port}", reuse_port=True) for _ in range(2)]
    for server in servers:
        server.start()
    pids = {str(pid) for server in servers for pid in server.workers()}

    found = set()
    until(lambda: found.add(get(port).header("X-Pid")) or found == pids, lambda: f"{pids}, answered: {found}")


def test_without_reuse_port_the_second_is_refused(rustwsgi, workshop):
    port = free_port()
    workshop.server(rustwsgi, SEEN, http_socket=f"127.0.0.1:{port}", reuse_port=True).start()
    second = workshop.server(rustwsgi, SEEN, http_socket=f"127.0.0.1:{port}")

    outcome = second.run("--ini", "uwsgi.ini")

    assert outcome.code != 0 and "RW0301" in outcome.text


def test_freebind_takes_an_address_that_is_not_there(rustwsgi, workshop):
    other, own = free_port(), free_port()
    options = {"http_socket": [f"192.0.2.77:{other}", f"127.0.0.1:{own}"]}
    refused = workshop.server(rustwsgi, SEEN, **options).run("--ini", "uwsgi.ini")
    server = workshop.server(rustwsgi, SEEN, **options, freebind=True).start()

    assert refused.code != 0 and "no address of this machine" in refused.text
    assert get(own).status == 200


def test_connections_have_the_options_of_their_socket(started):
    server = started(so_keepalive=True, socket_sndbuf=65536, socket_rcvbuf=65536)
    with Connection(server.ports[0]) as connection:
        assert connection.request("GET", "/").status == 200
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table]
        here, there = (f":{port:04X}" for port in (server.ports[0], connection.stream.getsockname()[1]))
        timers = [row[5] for row in rows if row[1].endswith(here) and row[2].endswith(there)]
    # 02 is the timer that sends probes.
    assert [timer[:3] for timer in timers] == ["02:"]


def test_a_reload_answers_what_comes_on_idle_connections(started):
    """Requests on kept-alive connections, one after the other without a pause, over five reloads."""
    server = started(processes=2, pidfile="uwsgi.pid")
    connections = [Connection(server.ports[0]) for _ in range(8)]
    lost, answered = [], 0
    for _ in range(5):
        before = set(server.workers())
        server.signal(1)
        deadline = time.monotonic() + 20
        while before & set(server.workers()) and time.monotonic() < deadline:
            for number, connection in enumerate(connections):
                try:
                    answer = connection.request("GET", "/")
                except OSError:
                    answer = None
                answered += 1
                if answer is None or answer.status != 200:
                    lost.append(answer)
                if answer is None or answer.header("Connection") == "close":
                    connection.close()
                    connections[number] = Connection(server.ports[0])
    for connection in connections:
        connection.close()
    assert answered > 100 and lost == []
