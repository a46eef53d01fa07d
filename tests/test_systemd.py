"""`Type=notify`: what the service manager is told, read on a socket of the test's own."""

import os
import signal
import socket
import time

import pytest

from support import http_client
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import until


class Manager:
    """The end of `NOTIFY_SOCKET` that systemd has."""

    def __init__(self, directory, abstract=False):
        self.name = f"@rustwsgi-test-{os.getpid()}-{time.monotonic_ns()}" if abstract else str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if abstract else self.name)
        self.socket.setblocking(False)
        self.heard = []

    def read(self):
        """All messages so far, each a dictionary."""
        while True:
            try:
                data = self.socket.recv(4096).decode()
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in data.splitlines()) | {"at": time.monotonic()})

    def wait_for(self, key, value=None, since=0):
        """The first message from number `since` on that has `key` (with `value`)."""

        def found():
            fitting = [it for it in self.read()[since:] if key in it and value in (None, it[key])]
            return fitting and fitting[0]

        return until(found, lambda: f"{key}={value}, heard {self.heard[since:]}", 20)

    def seen(self, key, since=0):
        """The messages with `key`."""
        return [it for it in self.read()[since:] if key in it]


@pytest.fixture(params=["path", "abstract"])
def manager(request, workshop):
    made = Manager(workshop.directory(), request.param == "abstract")
    yield made
    made.socket.close()


def healthy(server):
    return Invariant(server, lambda: http_client.get(server.port).status)


@pytest.fixture
def server(manager, workshop, rustwsgi):
    port = free_port()
    made = workshop.server(rustwsgi, "hello.py", http_socket=f"127.0.0.1:{port}", processes=2)
    made.port = port
    made.prefix = ["env", f"NOTIFY_SOCKET={manager.name}"]
    return made


def test_ready_comes_when_it_serves_and_stopping_when_it_ends(server, manager):
    server.launch()
    message = manager.wait_for("READY", "1")

    assert http_client.get(server.port).status == 200
    assert message["MAINPID"] == str(server.master)
    assert message["STATUS"] == "serving with 2 workers, generation 1"
    assert [it["STATUS"] for it in manager.heard[:1]] == ["loading the application"]
    assert server.stop() == 0
    manager.wait_for("STOPPING", "1")
    assert len(manager.seen("READY")) == 1


def test_a_reload_is_told_from_its_beginning_to_its_end(server, manager):
    server.launch()
    manager.wait_for("READY")
    with healthy(server):
        for generation in (2, 3):
            mark, before = len(manager.read()), time.monotonic_ns() // 1000
            server.signal(signal.SIGHUP)
            reloading = manager.wait_for("RELOADING", "1", mark)
            ready = manager.wait_for("READY", "1", mark)

            assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            assert manager.heard.index(reloading) < manager.heard.index(ready)
            assert ready["STATUS"] == f"serving with 2 workers, generation {generation}"


def test_a_reload_that_fails_is_ready_again_and_says_why(server, manager):
    server.launch()
    manager.wait_for("READY")
    mark = len(manager.read())
    server.install("raise RuntimeError('not today')\n\n")
    server.signal(signal.SIGHUP)
    ready = manager.wait_for("READY", "1", mark)

    assert len(manager.seen("RELOADING", mark)) == 1
    assert "generation 1; the last reload failed" in ready["STATUS"] and "not today" in ready["STATUS"]
    assert http_client.get(server.port).status == 200


def test_a_start_that_fails_says_why_and_never_ready(server, manager):
    with socket.create_server(("127.0.0.1", server.port)):
        server.launch()
        assert server.wait() == 1
        message = manager.wait_for("ERRNO")

    assert message["ERRNO"] == "98" and "RW0301" in message["STATUS"]
    server.install("raise RuntimeError('not today')\n\n")
    mark = len(manager.read())
    server.launch()
    assert server.wait() == 22
    assert "not today" in manager.seen("STATUS", mark)[-1]["STATUS"]
    assert not manager.seen("READY")


def test_the_application_finds_no_way_to_speak_for_the_service(server, manager):
    server.install(
        "import os\n\ndef application(environ, start_response):\n    start_response('200 OK', [])\n"
        "    names = ('NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS', 'LISTEN_PID')\n"
        "    return [repr([name for name in names if name in os.environ]).encode()]\n"
    )
    server.prefix += ["WATCHDOG_USEC=2000000"]
    server.launch()
    manager.wait_for("READY")

    assert http_client.get(server.port).text == "[]"


def test_the_watchdog_is_fed_and_starves_when_the_master_hangs(server, manager):
    period = 0.6
    server.prefix += [f"WATCHDOG_USEC={int(period * 1e6)}"]
    server.launch()
    manager.wait_for("READY")
    until(lambda: len(manager.seen("WATCHDOG")) >= 6, "six signs of life")
    beats = [it["at"] for it in manager.seen("WATCHDOG")]
    gaps = [later - earlier for earlier, later in zip(beats, beats[1:])]
    assert max(gaps) < period, gaps

    with healthy(server):
        server.signal(signal.SIGSTOP)
        mark = len(manager.read())
        time.sleep(2 * period)
        assert len(manager.seen("WATCHDOG", mark)) <= 1
        server.signal(signal.SIGCONT)
        manager.wait_for("WATCHDOG", "1", mark + 1)


def test_the_watchdog_of_another_process_is_left_to_it(server, manager):
    server.prefix += ["WATCHDOG_USEC=200000", "WATCHDOG_PID=1"]
    server.launch()
    manager.wait_for("READY")
    time.sleep(0.5)

    assert not manager.seen("WATCHDOG")


def test_a_long_start_asks_for_more_time(server, manager):
    server.install("import time\ntime.sleep(6)\n" + (server.directory / "app.py").read_text())
    server.launch()
    message = manager.wait_for("EXTEND_TIMEOUT_USEC")
    assert not manager.seen("READY")
    assert int(message["EXTEND_TIMEOUT_USEC"]) > 5_000_000
    manager.wait_for("READY")


def test_a_manager_that_is_not_there_or_reads_nothing_stops_nobody(server, manager):
    manager.socket.close()
    server.start()
    server.log.wait_for("cannot reach the service manager")
    with healthy(server):
        server.signal(signal.SIGHUP)
        server.log.wait_for("reload done")
