"""Workers that die, get stuck, or have done their share are replaced; the master outlives all of it."""

import re
import resource
import signal
import time
from collections import Counter

import pytest

from support import http_client, processes, uwsgi_client
from support.invariant import Invariant
from support.load import Load
from support.ports import free_port
from support.waiting import stays, until


@pytest.fixture
def make(rustwsgi, workshop):
    """A started server of `cases.py` with an HTTP port and a unix socket."""

    def make(**options):
        server = workshop.server(rustwsgi, "cases.py", pidfile="uwsgi.pid")
        server.port = free_port()
        server.address = str(server.directory / "site.sock")
        server.set(**{"socket": server.address, "http_socket": f"127.0.0.1:{server.port}", "processes": 2} | options)
        return server.start()

    return make


def probe(server):
    return uwsgi_client.request(server.address, "/one-chunk").status


# Death


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGTERM])
def test_a_worker_that_dies_is_replaced_at_once(make, number):
    server = make()
    with Invariant(server, lambda: probe(server)):
        worker = server.workers()[0]
        mark = server.log.mark()

        start = time.monotonic()
        processes.kill(worker, number)
        until(lambda: worker not in server.workers() and len(server.workers()) == 2, "another worker")

        assert time.monotonic() - start < 1
        server.log.wait_for(r"Respawned uWSGI worker \d+ \(new pid: \d+\)", mark)


def test_a_segmentation_fault_costs_one_request_and_is_named(make):
    server = make()
    with Invariant(server, lambda: probe(server)):
        mark = server.log.mark()

        assert uwsgi_client.request(server.address, "/segfault") is None

        server.log.wait_for(r"DAMN ! worker \d+ \(pid: \d+\) died.*signal 11", mark)


def test_twenty_kills_in_a_row_are_survived(make):
    server = make(processes=3)
    with Invariant(server, lambda: probe(server)):
        for _ in range(20):
            worker = server.settle()[0]
            processes.kill(worker)
            until(lambda: worker not in server.workers(), "its end")


def test_kills_under_load_cost_at_most_the_request_in_hand(make, workshop):
    server = make(processes=2)
    nginx = workshop.nginx(server.address)
    kills = 10

    with Invariant(server, lambda: probe(server)), Load(nginx.port, "/one-chunk", 16) as load:
        for _ in range(kills):
            worker = server.settle()[0]
            processes.kill(worker)
            until(lambda: worker not in server.workers(), "its end")
        report = load.finish()

    assert report["answers"] > 100
    assert len(report["failures"]) <= kills, report["failures"]


def test_a_worker_that_dies_in_its_first_moment_does_not_burn_the_machine(rustwsgi, workshop):
    source = """
import os
os.register_at_fork(after_in_child=lambda: os._exit(1) if os.path.exists("die") else None)

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = workshop.server(rustwsgi, source, pidfile="uwsgi.pid")
    server.set(socket=server.directory / "site.sock")
    server.start()
    server.settle()
    (server.directory / "die").touch()
    mark = server.log.mark()
    processes.kill(server.workers()[0])
    server.log.wait_for("DAMN ! worker", mark)

    stays(lambda: processes.alive(server.master), "the master died too", 2)
    assert server.log.count("DAMN ! worker|Respawned uWSGI worker", mark) < 100, "no pause between the attempts"

    (server.directory / "die").unlink()
    until(lambda: server.workers(), "a worker that lives", timeout=15)
    assert uwsgi_client.request(str(server.directory / "site.sock")).status == 200
    outcome = server.run("--stop", "uwsgi.pid")
    assert outcome.code == 0, outcome


def test_processes_the_app_leaves_behind_hold_no_socket(rustwsgi, workshop):
    source = """
import subprocess
CHILDREN = []

def application(environ, start_response):
    CHILDREN.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = workshop.server(rustwsgi, source, pidfile="uwsgi.pid")
    port = free_port()
    server.set(socket=f"127.0.0.1:{port}")
    server.start()
    assert uwsgi_client.request(f"127.0.0.1:{port}").status == 200

    assert server.stop() == 0

    with pytest.raises(OSError):
        http_client.connect(port)
    server.start()
    assert uwsgi_client.request(f"127.0.0.1:{port}").status == 200


# Stuck


@pytest.mark.parametrize("threads", [1, 4])
def test_harakiri_ends_a_stuck_request_in_time_and_shows_where_it_was(make, threads):
    server = make(processes=1, threads=threads, harakiri=2)
    with Invariant(server, lambda: probe(server), rounds=50):
        mark = server.log.mark()
        start = time.monotonic()

        answer = uwsgi_client.request(server.address, "/stuck", timeout=15)

        taken = time.monotonic() - start
        assert answer is None or answer.status >= 500
        assert 1.9 <= taken <= 4, f"ended after {taken:.1f} s"
        server.log.wait_for(r"HARAKIRI", mark)
        server.log.wait_for(r"stuck_in_a_loop_on_purpose", mark)
        server.log.wait_for(r"DAMN ! worker 1 \(pid: \d+\) died", mark)
        assert "/stuck" in server.log.text(mark), "not which request it was"
        assert "app.py" in server.log.text(mark), "not in which file"
        server.log.wait_for(r"Respawned uWSGI worker 1", mark)


def test_harakiri_sees_a_stuck_thread_among_busy_ones(make):
    server = make(processes=1, threads=4, harakiri=2)
    mark = server.log.mark()
    with http_client.connect(server.address, timeout=30) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/slow", query="30")))
        start = time.monotonic()

        while not server.log.count("HARAKIRI", mark) and time.monotonic() - start < 10:
            uwsgi_client.request(server.address, "/one-chunk")

    assert time.monotonic() - start < 5, "the busy threads hid the stuck one"


def test_harakiri_leaves_requests_in_time_alone(make):
    server = make(harakiri=3)
    workers = server.settle()

    for _ in range(3):
        assert uwsgi_client.request(server.address, "/slow", query="1").status == 200

    assert server.workers() == workers


# Recycling


def test_max_requests_recycles_a_worker_without_losing_one(make, workshop):
    server = make(processes=2, max_requests=50)
    nginx = workshop.nginx(server.address)
    seen = set(server.settle())

    with Load(nginx.port, "/one-chunk", 8) as load:
        until(lambda: seen.update(server.workers()) or len(seen) > 8, "several generations of workers", timeout=30)
        load.check()

    assert nginx.failures() == []
    assert not server.log.count("DAMN"), "a recycled worker looked like a dead one"
    assert len(server.settle()) == 2


def test_a_worker_is_replaced_only_when_it_has_served_its_share(make):
    """It may serve a few more, while its replacement comes up."""
    server = make(processes=1, max_requests=10)
    served = Counter()

    def three():
        served[uwsgi_client.request(server.address, "/pid").body] += 1
        return len(served) == 3

    until(three, "the third worker")
    first, second, _ = served.values()
    assert first >= 10 and second >= 10, served


def test_a_storm_of_max_requests_loses_none(make, workshop):
    """Two workers that each serve five requests, and four clients that never stop."""
    server = make(processes=2, max_requests=5)
    nginx = workshop.nginx(server.address)
    seen = set(server.settle())

    with Load(nginx.port, "/one-chunk", 4) as load:
        until(lambda: seen.update(server.workers()) or len(seen) > 30, "thirty workers", timeout=60)
        load.check()

    assert nginx.failures() == []
    assert not server.log.count("DAMN")
    assert len(server.settle()) == 2


@pytest.mark.soak
def test_a_long_storm_of_max_requests_loses_none(make, workshop):
    server = make(processes=2, max_requests=5)
    nginx = workshop.nginx(server.address)
    seen = set(server.settle())

    with Load(nginx.port, "/one-chunk", 4) as load:
        until(lambda: seen.update(server.workers()) or len(seen) > 1000, "a thousand workers", timeout=600)
        load.check()

    assert nginx.failures() == []
    assert not server.log.count("DAMN")


def test_workers_are_replaced_one_at_a_time(make):
    """All are due at once; each goes only when another one is there, and then the next one's turn comes."""
    server = make(processes=4, max_worker_lifetime=2)
    first = set(server.settle())

    until(lambda: not first & set(server.workers()), "new workers", timeout=15)

    more = 0
    for line in server.log.lines():
        more += line.startswith("Respawned uWSGI worker")
        more -= line.endswith(") finished")
        assert 0 <= more <= 2, f"{more} more than there are to be at: {line}"
    server.log.wait_for(r"worker \d lifetime reached, it was running for \d second\(s\)")
    assert not server.log.count("DAMN")


def test_max_requests_delta_gives_each_worker_its_own_limit(make):
    server = make(processes=1, max_requests=3, max_requests_delta=100)
    served = Counter()

    def three():
        served[uwsgi_client.request(server.address, "/pid").body] += 1
        return len(served) == 3

    until(three, "the third worker")
    assert max(served.values()) < 50, "the first worker has no delta"


LEAK = """
import os
KEPT = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        KEPT.append(b"x" * (60 << 20))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def leaky(rustwsgi, workshop):
    """A started server of one worker that leaks 60 MB where it is asked to."""

    def leaky(**options):
        server = workshop.server(rustwsgi, LEAK, pidfile="uwsgi.pid")
        server.address = str(server.directory / "site.sock")
        server.set(**{"socket": server.address} | options)
        server.start()
        server.settle()
        return server

    return leaky


@pytest.mark.parametrize("option", ["reload_on_rss", "reload_on_as"])
def test_a_worker_that_grew_is_replaced_without_losing_a_request(leaky, option):
    server = leaky()
    limit = 100
    if option == "reload_on_as":
        status = open(f"/proc/{server.workers()[0]}/statm").read().split()
        limit = int(status[0]) * 4096 // (1 << 20) + 100
    server.stop()
    server.set(**{option: limit})
    server.start()
    old = server.settle()[0]

    for _ in range(3):
        assert uwsgi_client.request(server.address, "/leak").status == 200

    def replaced():
        assert uwsgi_client.request(server.address).status == 200
        return old not in server.workers()

    until(replaced, "another worker")
    server.log.wait_for(option.replace("_", "-") + r": \d+ bytes")
    assert not server.log.count("DAMN")


def test_evil_kills_at_once(leaky):
    server = leaky(evil_reload_on_rss=100)
    old = server.settle()[0]
    for _ in range(2):
        uwsgi_client.request(server.address, "/leak")

    server.log.wait_for(rf"\*\*\* EVIL RELOAD ON WORKER 1 RSS: \d+ \(pid: {old}\) \*\*\*")

    until(lambda: old not in server.workers() and server.workers(), "another worker")
    assert uwsgi_client.request(server.address).status == 200


def test_lifetimes_that_contradict_each_other_stop_the_start(rustwsgi, workshop):
    server = workshop.server(rustwsgi, LEAK, socket="site.sock", min_worker_lifetime=60, max_worker_lifetime=60)

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == 1
    assert "`min-worker-lifetime = 60` has to be lower than `max-worker-lifetime = 60`" in outcome.text


# Signals to the master


@pytest.mark.parametrize("name", ["WINCH", "URG", "CHLD", "PIPE", "USR1", "USR2", "ALRM", "TTIN", "TTOU", "CONT"])
def test_signals_that_do_not_stop_it_hurt_nothing(make, name):
    server = make()
    with Invariant(server, lambda: probe(server), rounds=20):
        server.signal(getattr(signal, f"SIG{name}"))


def test_a_storm_of_child_signals_hurts_nothing(make):
    server = make()
    with Invariant(server, lambda: probe(server)):
        for _ in range(2000):
            server.signal(signal.SIGCHLD)


def test_orphans_that_end_up_with_the_master_are_reaped(rustwsgi, workshop):
    """The master adopts what the app's children leave behind, and takes their end for nothing else."""
    source = """
import subprocess

def application(environ, start_response):
    subprocess.run(["sh", "-c", "(sleep 0.2; exit 3) & (sleep 0.1; exit 0) & exit 0"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
    server = workshop.server(rustwsgi, source)
    server.set(socket=server.directory / "site.sock")
    server.start()
    worker = server.settle()
    mark = server.log.mark()

    for _ in range(10):
        assert uwsgi_client.request(str(server.directory / "site.sock")).status == 200

    def left():
        return [pid for pid in processes.children(server.master) if pid not in (*worker, *server.zygotes())]

    until(lambda: not left(), lambda: f"orphans: {[(pid, processes.state(pid)) for pid in left()]}")
    assert server.workers() == worker
    assert server.log.count("DAMN", mark) == 0


def test_a_stopped_master_lets_the_workers_serve_and_kills_nobody_afterwards(make):
    server = make(harakiri=2)
    workers = server.settle()

    server.signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert probe(server) == 200
    finally:
        server.signal(signal.SIGCONT)

    stays(lambda: server.workers() == workers, "a worker was killed for nothing", 1.5)


def test_the_masters_files_are_few_and_python_is_not_among_them(make):
    server = make()

    assert len(processes.descriptors(server.master)) < 40
    assert not [path for path in processes.descriptors(server.master).values() if re.search(r"\.py$|sqlite", path)]


def test_nothing_is_sized_by_the_limit_of_open_files(rustwsgi, workshop):
    """Containers set limits of a billion, at which servers before us took gigabytes and minutes: here, all we may."""
    server = workshop.server(rustwsgi, "cases.py")
    server.set(socket=server.directory / "site.sock")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    server.prefix = ["prlimit", f"--nofile={limit}:{limit}", "--"]

    start = time.monotonic()
    server.start()

    assert time.monotonic() - start < 5
    assert all(processes.rss(pid) < 100 << 20 for pid in [server.master, *server.workers()])
