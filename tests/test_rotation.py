"""Rotation of the log file: by size, by a touched file, over the FIFO; no line is lost or torn."""

import threading

import pytest

from support import http_client
from support.ports import free_port
from support.waiting import until

SOURCE = """
def application(environ, start_response):
    print("line of " + environ["PATH_INFO"] + " " + "x" * 60, flush=True)
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]
"""


@pytest.fixture
def logging(rustwsgi, workshop):
    """Starts an instance that logs to a file; the server, its port and the log."""

    def start(**options):
        server = workshop.server(rustwsgi, wsgi_file="app.py", processes=2, pidfile="uwsgi.pid")
        server.install(SOURCE)
        port = free_port()
        server.set(http_socket=f"127.0.0.1:{port}", logto="site.log", **options)
        server.launch()
        log = server.directory / "site.log"
        until(lambda: log.exists() and "ready in" in log.read_text(), "the start")
        return server, port, log

    return start


def written(server):
    """Every line of every log there is."""
    return [line for log in server.directory.glob("site.log*") for line in log.read_text().splitlines()]


def test_a_log_that_grew_too_large_is_moved_aside_and_nothing_is_lost(logging):
    server, port, log = logging(log_maxsize=5000)

    def ask(client):
        for number in range(200):
            assert http_client.get(port, path=f"/{client}/{number}").status == 200

    # Until it was rotated under load.
    rounds = 0
    while rounds < 3 or len(list(server.directory.glob("site.log.*"))) < 2:
        clients = [threading.Thread(target=ask, args=(f"{rounds}-{client}",)) for client in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        rounds += 1
        assert rounds < 60

    expected = {
        f"line of /{turn}-{client}/{number} " + "x" * 60
        for turn in range(rounds)
        for client in range(4)
        for number in range(200)
    }
    lines = [line for line in written(server) if line.startswith("line of")]
    assert len(lines) == len(expected) and set(lines) == expected
    assert "triggering rotation to" in "\n".join(written(server))


def test_a_touched_file_rotates_to_the_name_that_was_set(logging):
    server, port, log = logging(touch_logrotate="rotate", log_backupname="site.log.old")
    until(lambda: "unable to stat() rotate" in log.read_text(), "somebody who looks at the file")
    assert http_client.get(port, path="/before").status == 200

    (server.directory / "rotate").touch()

    old = server.directory / "site.log.old"
    until(lambda: old.exists() and log.exists(), "the rotation")
    assert "line of /before" in old.read_text()
    # A worker follows when it is idle again, at the latest with its next request.
    until(lambda: http_client.get(port, path="/after").status == 200 and "line of /after" in log.read_text(), "the new log")


def test_the_fifo_rotates(logging):
    server, port, log = logging(master_fifo="fifo")
    assert http_client.get(port, path="/before").status == 200

    with open(server.directory / "fifo", "wb", buffering=0) as fifo:
        fifo.write(b"LL")

    until(lambda: len(list(server.directory.glob("site.log.*"))) == 2, "two rotated logs")
    assert sum("line of /before" in line for line in written(server)) == 1


def test_a_log_that_can_not_be_moved_stays(logging):
    server, port, log = logging(master_fifo="fifo", log_backupname="no/such/place")

    with open(server.directory / "fifo", "wb", buffering=0) as fifo:
        fifo.write(b"L")

    until(lambda: "cannot rotate the log file" in log.read_text(), log.read_text)
    assert http_client.get(port, path="/after").status == 200
    until(lambda: "line of /after" in log.read_text(), log.read_text)
