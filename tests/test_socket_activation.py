"""Listening sockets that came with the start: served, kept over reloads, never bound anew or removed."""

import os
import signal
import socket
import subprocess

import pytest

from support import http_client, processes, uwsgi_client
from support.invariant import Invariant
from support.load import Load
from support.ports import free_port

LISTEN_PID = 'LISTEN_PID=$$ exec "$0" "$@"'


def launch(server, *sockets, first=3, names=None, stdin=None, meant_for_us=True):
    """Starts the server with `sockets` on descriptors from `first` on, as systemd does."""
    environment = server.program.environment()
    prefix = []
    if meant_for_us is not None:
        environment |= {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": "1"}
        prefix = ["/bin/sh", "-c", LISTEN_PID] if meant_for_us else []
    if names:
        environment["LISTEN_FDNAMES"] = names
    aside = [os.dup(it.fileno()) for it in sockets]
    wanted = range(first, first + len(sockets))

    def settle():
        high = [os.dup2(fd, 200 + at) for at, fd in enumerate(aside)]
        for fd, number in zip(high, wanted):
            os.dup2(fd, number, inheritable=True)
            os.close(fd)

    with open(server.log.path, "ab") as log:
        server.process = subprocess.Popen(
            [*prefix, server.program.path, "--ini", "uwsgi.ini"],
            cwd=server.directory,
            env=environment,
            stdin=stdin or subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=wanted,
            preexec_fn=settle,
            start_new_session=True,
        )
    for fd in aside:
        os.close(fd)
    return server


def served(server):
    server.log.wait_for(r"^ready in")


@pytest.fixture
def tcp():
    with socket.create_server(("127.0.0.1", 0), backlog=50) as made:
        yield made


class Unix(socket.socket):
    """A UNIX socket that knows its path."""

    path = None


@pytest.fixture
def unix(workshop):
    with Unix(socket.AF_UNIX) as made:
        made.path = workshop.directory() / "blog.sock"
        made.bind(str(made.path))
        made.listen(50)
        yield made


@pytest.fixture
def make(workshop, rustwsgi):
    return lambda **options: workshop.server(rustwsgi, "hello.py", processes=2, vacuum=True, **options)


def test_sockets_are_found_by_their_addresses(make, tcp, unix):
    port = tcp.getsockname()[1]
    server = make(http_socket=f"localhost:{port}", socket=unix.path, chmod_socket=600)
    mode, inode = unix.path.stat().st_mode, unix.path.stat().st_ino
    launch(server, unix, tcp, names="blog.socket:web.socket")
    served(server)

    assert http_client.get(port).status == 200
    assert uwsgi_client.request(str(unix.path)).status == 200
    assert "SystemD socket activation detected" in server.log.text() and "`web.socket`" in server.log.text()
    assert "was handed over and" not in server.log.text()
    assert (unix.path.stat().st_mode, unix.path.stat().st_ino) == (mode, inode)
    assert server.stop() == 0
    assert unix.path.stat().st_ino == inode


def test_without_an_address_they_speak_the_protocol_that_is_set(make, tcp, unix):
    server = make()
    launch(server, unix)
    served(server)
    assert uwsgi_client.request(str(unix.path)).status == 200
    server.stop()

    server.set(protocol="http")
    mark = server.log.mark()
    launch(server, tcp)
    server.log.wait_for(r"^ready in", mark)
    assert http_client.get(tcp.getsockname()[1]).status == 200


def test_a_descriptor_can_be_named(make, tcp, unix):
    server = make(http_socket="fd://7", socket="fd://8")
    launch(server, tcp, unix, first=7, meant_for_us=None)
    served(server)

    assert http_client.get(tcp.getsockname()[1]).status == 200
    assert uwsgi_client.request(str(unix.path)).status == 200


def test_a_socket_on_standard_input_is_found(make, tcp):
    port = tcp.getsockname()[1]
    server = make(http_socket=f"127.0.0.1:{port}")
    launch(server, stdin=tcp, meant_for_us=None)
    served(server)

    assert http_client.get(port).status == 200


def test_reloads_lose_no_request_and_clients_wait_over_a_restart(make, tcp, unix):
    port = tcp.getsockname()[1]
    server = make(http_socket=f"127.0.0.1:{port}", socket=unix.path)
    inode = unix.path.stat().st_ino
    launch(server, tcp, unix)
    served(server)
    with Invariant(server, lambda: http_client.get(port).status):
        for _ in range(5):
            mark = server.log.mark()
            server.signal(signal.SIGHUP)
            for _ in range(20):
                assert http_client.get(port).status == 200
                assert uwsgi_client.request(str(unix.path)).status == 200
            server.log.wait_for("reload done", mark, timeout=30)
    server.stop()
    waiting = [http_client.connect(port) for _ in range(10)]
    for stream in waiting:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
    mark = server.log.mark()
    launch(server, tcp, unix)
    server.log.wait_for(r"^ready in", mark)

    assert [stream.recv(12) for stream in waiting] == [b"HTTP/1.0 200"] * 10
    assert unix.path.stat().st_ino == inode


def test_a_reload_may_name_and_unname_them(make, tcp, unix):
    port = tcp.getsockname()[1]
    server = make(socket=unix.path)
    launch(server, tcp, unix)
    served(server)
    assert uwsgi_client.request(port).status == 200
    assert f"`socket = 127.0.0.1:{port}`" in server.log.text()
    for option, ask in (("fd://3", http_client.get), (f"127.0.0.1:{port}", http_client.get)):
        mark = server.log.mark()
        server.set(http_socket=option)
        server.signal(signal.SIGHUP)
        server.log.wait_for("reload done", mark, timeout=30)
        assert ask(port).status == 200
    mark = server.log.mark()
    server.set(http_socket="fd://9")
    server.signal(signal.SIGHUP)
    server.log.wait_for("RW0308.*descriptor 9", mark)
    assert http_client.get(port).status == 200


def test_sockets_of_another_process_are_left_alone(make, tcp):
    port = free_port()
    server = make(http_socket=f"127.0.0.1:{port}")
    launch(server, tcp, meant_for_us=False)
    served(server)

    assert http_client.get(port).status == 200
    assert "activation detected" not in server.log.text()


def test_in_the_background_too(make, tcp):
    port = tcp.getsockname()[1]
    server = make(http_socket=f"127.0.0.1:{port}", daemonize="back.log", pidfile="x.pid")
    launch(server, tcp)
    assert server.wait() == 0
    assert http_client.get(port).status == 200
    outcome = server.run("--stop", "x.pid")
    assert outcome.code == 0, outcome
    assert processes.inside(server.directory) == []


@pytest.mark.parametrize(
    ("kind", "why"),
    [(socket.SOCK_DGRAM, "it is no stream socket"), (socket.SOCK_STREAM, "nobody called listen")],
)
def test_what_is_no_listener_is_refused(make, kind, why):
    server = make()
    with socket.socket(socket.AF_INET, kind) as made:
        made.bind(("127.0.0.1", 0))
        launch(server, made)
    assert server.wait() == 1

    assert "RW0308" in server.log.text() and why in server.log.text()


def test_a_number_that_is_not_open_is_refused(make):
    server = make(socket="fd://77")
    server.launch()
    assert server.wait() == 1

    assert "RW0308" in server.log.text() and "descriptor 77" in server.log.text()


def test_nothing_handed_over_and_nothing_named_is_said(make):
    server = make()
    launch(server)
    assert server.wait() == 1

    assert "RW0120" in server.log.text()


def test_load_over_reloads(make, unix, workshop):
    server = make(socket=unix.path)
    launch(server, unix)
    served(server)
    nginx = workshop.nginx(str(unix.path))
    with Load(nginx.port, "/", 8) as load:
        for _ in range(5):
            mark = server.log.mark()
            server.signal(signal.SIGHUP)
            server.log.wait_for("reload done", mark, timeout=30)
    load.check(slowest=5)
