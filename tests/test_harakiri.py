"""Harakiri: a request that hangs ends in time, is shown, and takes no other request with it."""

import threading
import time
from collections import Counter

import pytest

from support import processes, uwsgi_client
from support.invariant import Invariant
from support.waiting import stays, until

HANGS = {"/sleep": "hang_in_a_sleep", "/spin": "hang_in_a_loop", "/c": "hang_in_c"}


@pytest.fixture
def make(rustwsgi, workshop):
    """A started server of `hangs.py`."""

    def make(**options):
        server = workshop.server(rustwsgi, "hangs.py", pidfile="uwsgi.pid")
        server.address = str(server.directory / "site.sock")
        server.set(**{"socket": server.address, "processes": 1, "harakiri": 1} | options)
        return server.start()

    return make


class Asked:
    """Requests under way, each in a thread."""

    def __init__(self):
        self.threads, self.answers, self.taken = [], [], []

    def ask(self, server, path, query=""):
        def run():
            start = time.monotonic()
            answer = uwsgi_client.request(server.address, path, query=query, timeout=30)
            self.taken.append(time.monotonic() - start)
            self.answers.append(answer and answer.status)

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def outcome(self):
        for thread in self.threads:
            thread.join()
        return Counter(self.answers)


def answers(server):
    answer = uwsgi_client.request(server.address)
    return answer and answer.status


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("path", HANGS)
def test_it_ends_within_a_second_of_the_deadline_and_shows_the_line(make, path, threads):
    server = make(threads=threads)
    with Invariant(server, lambda: answers(server), rounds=20):
        worker = server.settle()[0]
        mark = server.log.mark()
        asked = Asked()
        asked.ask(server, path)

        assert asked.outcome() == {None: 1}

        assert 0.9 <= asked.taken[0] <= 2.3, "not a second after the deadline"
        server.log.wait_for(rf"\*\*\* HARAKIRI ON WORKER 1 \(pid: {worker}, try: 1, graceful: no\) \*\*\*", mark)
        server.log.wait_for(rf"HARAKIRI \[core \d\] GET {path} since \d+, for 1\.\d s", mark)
        server.log.wait_for(rf"app\.py\", line \d+ in {HANGS[path]}", mark)
        server.log.wait_for(rf"DAMN ! worker 1 \(pid: {worker}\) died, killed by signal 9 :\( trying respawn", mark)


@pytest.mark.parametrize("path", ["/sleep", "/spin"])
def test_the_other_threads_finish_what_they_have(make, path):
    server = make(threads=8, harakiri=2)
    with Invariant(server, lambda: answers(server), rounds=20):
        asked = Asked()
        asked.ask(server, path)
        # They begin shortly before the deadline of the one that hangs.
        stays(lambda: not server.log.count("HARAKIRI"), "too soon", 1.6)
        for _ in range(7):
            asked.ask(server, "/last", "0.5")

        assert asked.outcome() == {200: 7, None: 1}


def test_the_replacement_comes_before_the_end(make):
    server = make(threads=2)
    old = server.settle()[0]
    mark = server.log.mark()
    asked = Asked()
    asked.ask(server, "/sleep")
    asked.ask(server, "/last", "0.5")

    until(lambda: server.log.count(r"HARAKIRI ON WORKER", mark), "the deadline")
    until(lambda: server.log.count(r"Respawned uWSGI worker 1", mark), "the replacement", timeout=0.9)

    asked.outcome()
    server.log.wait_for(rf"DAMN ! worker 1 \(pid: {old}\) died", mark)
    text = server.log.text(mark)
    assert text.index("Respawned uWSGI worker 1") < text.index(f"DAMN ! worker 1 (pid: {old}) died")


def test_new_requests_go_to_the_replacement(make):
    server = make(threads=4, harakiri=1)
    mark = server.log.mark()
    asked = Asked()
    asked.ask(server, "/sleep")
    until(lambda: server.log.count(r"HARAKIRI ON WORKER", mark), "the deadline")

    for _ in range(50):
        assert answers(server) == 200

    asked.outcome()


def test_a_worker_that_leaves_is_not_spared(make):
    """A reload waits for nobody who hangs."""
    server = make(threads=2, harakiri=2)
    old = server.settle()[0]
    asked = Asked()
    asked.ask(server, "/sleep")
    until(lambda: len(asked.threads) == 1 and asked.threads[0].is_alive(), "the request")
    assert server.run("--reload", "uwsgi.pid").code == 0

    assert asked.outcome() == {None: 1}

    until(lambda: not processes.alive(old), "its end")
    assert asked.taken[0] < 3.5


def test_graceful_gives_the_app_a_word(make):
    server = make(env="POLITE=1", harakiri_graceful_timeout=3)
    asked = Asked()
    asked.ask(server, "/polite")

    assert asked.outcome() == {200: 1}

    server.log.wait_for(r"HARAKIRI ON WORKER 1 \(pid: \d+, try: 1, graceful: yes\)")
    server.log.wait_for(r"worker 1 \(pid: \d+\) finished")
    assert not server.log.count("DAMN")
    assert answers(server) == 200


def test_graceful_waits_that_long_and_no_signal_goes_where_it_kills(make):
    server = make(threads=2, harakiri_graceful_timeout=2)
    asked = Asked()
    asked.ask(server, "/sleep")
    until(lambda: server.log.count("HARAKIRI ON WORKER"), "the deadline")

    assert asked.outcome() == {None: 1}

    assert 2.9 <= asked.taken[0] <= 4.5
    server.log.wait_for("the application does not handle SIGTERM: it is not sent")


def test_verbose_says_where_in_the_kernel(make):
    server = make(harakiri_verbose=True)
    asked = Asked()
    asked.ask(server, "/sleep")
    asked.outcome()

    server.log.wait_for(r"HARAKIRI: -- thread \d+ \(\S+\) syscall> \S+")
    server.log.wait_for(r"HARAKIRI: -- thread \d+ \(\S+\) wchan> ")


def test_a_short_queue_lets_it_off(make):
    server = make(harakiri_queue_threshold=3)
    worker = server.settle()
    asked = Asked()
    asked.ask(server, "/last", "3")
    server.log.wait_for(r"HARAKIRI: Skipping harakiri on worker 1\. Listen queue is smaller than the threshold \(0 < 3\)")

    stays(lambda: server.workers() == worker, "killed", 1)
    for _ in range(4):
        asked.ask(server, "/")

    assert asked.outcome()[200] >= 4
    assert server.log.count("HARAKIRI: Skipping") == 1
    assert server.log.count("HARAKIRI ON WORKER") == 1
