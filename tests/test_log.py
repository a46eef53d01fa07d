"""What stands in the log: the start, every request, the app's own words."""

import fcntl
import json
import os
import random
import re
import subprocess
import time

import pytest

from support import processes, uwsgi_client
from support.waiting import until

REQUEST_LINE = re.compile(
    r"^\[pid: (?P<pid>\d+)\|app: (?P<app>-?\d+)\|req: (?P<req>-?\d+)/(?P<total>\d+)\] "
    r"(?P<addr>\S*) \((?P<user>[^)]*)\) \{(?P<vars>\d+) vars in (?P<bytes>\d+) bytes\} "
    r"\[(?P<date>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] "
    r"(?P<method>\S+) (?P<uri>\S+) => generated (?P<size>\d+) bytes in (?P<msecs>\d+) msecs"
    r"(?: via sendfile\(\))? \((?P<protocol>\S+) (?P<status>\d+)\) "
    r"(?P<headers>\d+) headers in (?P<header_bytes>\d+) bytes \((?P<switches>\d+) switches on core (?P<core>\d+)\)$"
)


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, "cases.py", processes=2, threads=2)
    server.set(socket=server.directory / "site.sock")
    return server.start()


def line_of(server, mark, uri):
    """The request line of `uri`, taken apart."""
    found = server.log.wait_for(rf"^\[pid: .* {re.escape(uri)} => .*$", mark)
    matched = REQUEST_LINE.match(found.group())
    assert matched, found.group()
    return matched.groupdict()


# The start


def test_the_start_says_what_a_person_wants_to_know(server):
    log = server.log.text()

    assert re.search(r"rustwsgi \d+\.\d+", log), "no version"
    assert re.search(r"[Pp]ython.* 3\.\d+", log), "no Python"
    assert "libpython" in log, "not which libpython was loaded"
    assert str(server.directory / "site.sock") in log, "no socket"
    assert re.search(r"ready in \d+ ms", log), "not how long the app took"
    assert re.search(r"spawned uWSGI worker 1 \(pid: \d+, cores: 2\)", log)
    assert re.search(r"spawned uWSGI worker 2 \(pid: \d+, cores: 2\)", log)


def test_the_pids_it_names_are_the_real_ones(server):
    named = {int(pid) for _, pid in re.findall(r"spawned uWSGI worker (\d+) \(pid: (\d+)", server.log.text())}

    assert set(server.workers()) <= named


def test_the_libpython_it_names_is_the_loaded_one(server):
    loaded = {path for path in processes.libraries(server.workers()[0]) if "libpython3." in path}

    assert loaded and any(path in server.log.text() for path in loaded)


# Requests


def test_each_request_has_one_line_in_uwsgis_format(server):
    mark = server.log.mark()
    variables = uwsgi_client.variables("/one-chunk", query="n=1", REMOTE_USER="bob")

    uwsgi_client.send(str(server.directory / "site.sock"), uwsgi_client.packet(variables))

    line = line_of(server, mark, "/one-chunk?n=1")
    assert line["method"] == "GET"
    assert (line["addr"], line["user"]) == ("192.0.2.7", "bob")
    assert int(line["pid"]) in server.workers()
    assert (line["app"], line["protocol"], line["status"]) == ("0", "HTTP/1.1", "200")
    assert int(line["vars"]) == 2 * len(variables), "uWSGI counts keys and values"
    assert int(line["bytes"]) == len(uwsgi_client.pairs(variables))
    assert (line["size"], line["headers"]) == ("9", "1")
    assert int(line["header_bytes"]) > 0
    assert int(line["switches"]) >= 1 and line["core"] in ("0", "1")
    assert server.log.count(r"/one-chunk\?n=1 => ", mark) == 1


def test_the_line_tells_status_size_time_and_date(server):
    mark = server.log.mark()
    address = str(server.directory / "site.sock")
    earliest = int(time.time())

    uwsgi_client.request(address, "/odd-status")
    uwsgi_client.request(address, "/slow", query="0.2")
    uwsgi_client.request(address, "/big")

    assert line_of(server, mark, "/odd-status")["status"] == "418"
    slow = line_of(server, mark, "/slow?0.2")
    assert 200 <= int(slow["msecs"]) < 1000
    assert earliest <= time.mktime(time.strptime(slow["date"])) <= time.time()
    assert line_of(server, mark, "/big")["size"] == str(4 << 20)


def test_requests_are_counted(server):
    mark = server.log.mark()
    address = str(server.directory / "site.sock")

    for number in range(10):
        uwsgi_client.request(address, "/one-chunk", query=f"count={number}")
    totals = [int(line_of(server, mark, f"/one-chunk?count={number}")["total"]) for number in range(10)]

    assert totals == list(range(totals[0], totals[0] + 10))


def test_a_failed_request_has_its_line_too(server):
    mark = server.log.mark()

    uwsgi_client.request(str(server.directory / "site.sock"), "/raise-at-once")

    assert line_of(server, mark, "/raise-at-once")["status"] == "500"


def test_no_line_is_torn_when_many_write(server):
    mark = server.log.mark()
    address = str(server.directory / "site.sock")

    for number in range(200):
        uwsgi_client.request(address, "/prints", query=str(number))
    server.log.wait_for(r"/prints\?199 => ", mark)

    said = {"through print", "through stderr", "through descriptor 1", "through descriptor 2"}
    torn = [line for line in server.log.lines(mark) if line not in said and not REQUEST_LINE.match(line)]
    assert torn == []
    assert server.log.count("^through print$", mark) == 200


# The app and the children


def test_a_respawn_is_a_line_with_both_pids(server):
    mark = server.log.mark()
    worker = server.workers()[0]

    processes.kill(worker)

    server.log.wait_for(rf"DAMN ! worker \d+ \(pid: {worker}\) died.*signal 9.* trying respawn", mark)
    respawned = server.log.wait_for(r"Respawned uWSGI worker \d+ \(new pid: (\d+)\)", mark)
    until(lambda: int(respawned[1]) in server.workers(), "the respawned worker")


def test_print_at_import_reaches_the_log(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "import sys\nprint('imported, says the app')\n" + HELLO)
    server.set(socket=server.directory / "site.sock")

    server.start()

    server.log.wait_for("^imported, says the app$")
    assert server.log.count("^imported, says the app$") == 1


def test_logto_takes_everything_from_the_first_line_on(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", logto="site.log")
    server.set(socket=server.directory / "site.sock")
    server.launch()
    server.log.path = server.directory / "site.log"
    server.log.wait_for("spawned uWSGI worker 1 ")

    uwsgi_client.request(str(server.directory / "site.sock"), "/prints")

    server.log.wait_for("GET /prints => ")
    assert server.log.count("^through descriptor 1$") == 1
    assert REQUEST_LINE.search(server.log.lines()[-1])


HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


# The lines of requests as JSON


def test_every_line_is_valid_json_whatever_clients_send(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py")
    address = server.directory / "site.sock"
    server.set(socket=address, log_json=True)
    server.start()
    mark = server.log.mark()
    chance = random.Random(7)
    sent = 0
    for number in range(400):
        junk = bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
        more = {"HTTP_USER_AGENT": junk, "HTTP_REFERER": junk[::-1], "REMOTE_USER": junk, "HTTP_X_REQUEST_ID": f"id-{number}"}
        variables = uwsgi_client.variables("/one-chunk", **more) | {"REQUEST_URI": b"/one-chunk?" + junk}
        sent += uwsgi_client.send(str(address), uwsgi_client.packet(variables)).status == 200

    def lines():
        return [line for line in server.log.text(mark).split("\n") if line.startswith("{")]

    until(lambda: len(lines()) >= sent, lambda: f"{sent} lines, not {len(lines())}")
    assert sent == 400
    parsed = [json.loads(line) for line in lines()]
    assert [line["request_id"] for line in parsed] == [f"id-{number}" for number in range(400)]
    assert {line["status"] for line in parsed} == {200}


# A log that nobody reads


def test_a_log_that_nobody_reads_stops_no_request_and_is_told(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py")
    address = server.directory / "site.sock"
    server.set(socket=address)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    server.process = subprocess.Popen(
        [rustwsgi.path, "--ini", "uwsgi.ini"],
        cwd=server.directory,
        env=rustwsgi.environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    log = b""
    while b"spawned uWSGI worker 1" not in log:
        log += os.read(reader, 4096)

    started = time.monotonic()
    for _ in range(300):
        assert uwsgi_client.request(str(address), "/one-chunk").status == 200
    elapsed = time.monotonic() - started

    # One line waits 100 ms; 300 that did would take half a minute.
    assert elapsed < 15
    os.set_blocking(reader, False)
    seen = drained(reader)
    assert uwsgi_client.request(str(address), "/one-chunk", query="after").status == 200

    def accounted():
        nonlocal seen
        seen += drained(reader)
        told = sum(map(int, re.findall(r"warning: (\d+) log lines were lost", seen)))
        return told > 200 and told + seen.count("] GET /one-chunk") == 301

    until(accounted, lambda: f"every line, or that it was lost:\n{seen}")
    os.close(reader)
    server.kill()


def drained(reader):
    """What a pipe holds now."""
    text = b""
    while True:
        try:
            text += os.read(reader, 65536)
        except BlockingIOError:
            return text.decode()
