"""As many workers as the load needs: they come with it, go when they are idle, and no client notices."""

import socket
import threading

import pytest

from support import http_client, processes, uwsgi_client
from support.load import Load
from support.ports import free_port
from support.waiting import stays, until


@pytest.fixture
def make(rustwsgi, workshop):
    """A started server of `cases.py` with an HTTP port and a unix socket."""

    def make(workers=None, **options):
        server = workshop.server(rustwsgi, "cases.py", pidfile="uwsgi.pid")
        server.port = free_port()
        server.address = str(server.directory / "site.sock")
        server.set(**{"socket": server.address, "http_socket": f"127.0.0.1:{server.port}"} | options)
        server.launch()
        server.log.wait_for(r"^ready in \d+ ms")
        if workers is not None:
            assert len(server.workers()) == workers, server.tree()
        return server

    return make


class Busy:
    """So many requests that last until the block ends or their time is up."""

    def __init__(self, server, count, seconds):
        ask = lambda: self.answers.append(uwsgi_client.request(server.address, "/slow", query=str(seconds), timeout=30))
        self.answers = []
        self.threads = [threading.Thread(target=ask) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join()
        assert [answer and answer.status for answer in self.answers] == [200] * len(self.threads)


def test_workers_come_when_all_are_busy_and_go_when_they_are_not(make):
    server = make(processes=4, cheaper=1, cheaper_overload=1, workers=1)

    with Busy(server, 3, 6):
        until(lambda: len(server.workers()) >= 3, "more workers", timeout=10)

    until(lambda: len(server.workers()) == 1, "fewer workers", timeout=20)
    server.log.wait_for(r"uWSGI worker \d cheaped\.")
    assert not server.log.count("DAMN")


def test_it_starts_with_as_many_as_it_was_told(make):
    make(processes=5, cheaper=1, cheaper_initial=3, cheaper_algo="manual", workers=3)


def test_spare2_keeps_workers_idle(make):
    server = make(processes=5, cheaper=2, cheaper_algo="spare2", cheaper_step=2, cheaper_idle=1, workers=2)

    with Busy(server, 2, 4):
        until(lambda: len(server.workers()) == 4, "two idle ones", timeout=5)

    until(lambda: len(server.workers()) == 2, "the end of what is too many", timeout=15)


def test_busyness_follows_the_time_that_requests_take(make):
    options = {"cheaper_algo": "busyness", "cheaper_overload": 1, "cheaper_busyness_multiplier": 2}
    server = make(processes=3, cheaper=1, cheaper_busyness_verbose=True, workers=1, **options)

    with Busy(server, 2, 5):
        until(lambda: len(server.workers()) >= 2, "more workers", timeout=6)

    until(lambda: len(server.workers()) == 1, "fewer workers", timeout=15)
    server.log.wait_for(r"\[busyness\] 1s average busyness of 1 worker\(s\) is at \d+%")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_backlog_counts_connections_that_wait(make, kind):
    server = make(processes=3, cheaper=1, cheaper_algo="backlog", cheaper_overload=2, workers=1)
    address = server.address if kind == "unix" else server.port

    worker = server.workers()[0]
    before = len(processes.descriptors(worker))
    with Busy(server, 1, 5):
        until(lambda: len(processes.descriptors(worker)) > before, "the request that keeps it busy")
        waiting = [http_client.connect(address) for _ in range(6)]
        until(lambda: len(server.workers()) >= 2, "more workers", timeout=4)
        for stream in waiting:
            stream.close()

    until(lambda: len(server.workers()) == 1, "fewer workers", timeout=15)


def test_a_square_wave_costs_nobody_a_request(make, workshop):
    server = make(processes=4, cheaper=1, cheaper_algo="busyness", cheaper_overload=1, cheaper_busyness_multiplier=1)
    nginx = workshop.nginx(server.address)

    for _ in range(2):
        with Load(nginx.port, "/slow?0.02", 8) as load:
            until(lambda: len(server.workers()) >= 3, "more workers", timeout=15)
            load.check()
        with Load(nginx.port, "/one-chunk", 1, "x") as load:
            # One client alone keeps no more than two busy; the others go while it asks.
            stays(lambda: server.workers(), "nobody is left", 2)
            load.check(at_least=10)
        until(lambda: len(server.workers()) == 1, "fewer workers", timeout=20)

    assert nginx.failures() == []
    assert not server.log.count("DAMN")


def test_a_worker_that_dies_is_replaced_and_one_that_was_let_go_is_not(make):
    server = make(processes=3, cheaper=1, cheaper_initial=2, cheaper_overload=1, workers=2)
    until(lambda: len(server.workers()) == 1, "one worker", timeout=10)
    last = server.workers()[0]

    processes.kill(last)

    until(lambda: server.workers() and last not in server.workers(), "another one")
    stays(lambda: len(server.workers()) == 1, "too many", 1.5)


def test_a_reload_keeps_as_many_as_there_are(make):
    server = make(processes=4, cheaper=2, cheaper_initial=3, cheaper_algo="manual", workers=3)

    outcome = server.run("--reload", "uwsgi.pid")

    assert outcome.code == 0 and "with 3 workers" in outcome.text, outcome
    until(lambda: len(server.workers()) == 3, "the old ones' end")


# Nobody at all


def test_cheap_starts_workers_with_the_first_request(make):
    server = make(processes=2, cheap=True, workers=0)

    assert uwsgi_client.request(server.address, "/one-chunk").status == 200

    until(lambda: len(server.workers()) == 2, "the workers")


def test_idle_lets_all_go_and_brings_them_back(make):
    server = make(processes=2, idle=1, workers=2)
    for _ in range(3):
        until(lambda: server.workers() == [], "nobody", timeout=10)
        assert http_client.get(server.port, "/one-chunk").status == 200
        until(lambda: len(server.workers()) == 2, "the workers")
    server.log.wait_for("workers have been inactive for more than 1 seconds")

    until(lambda: server.workers() == [], "nobody", timeout=10)
    assert server.run("--reload", "uwsgi.pid").code == 0
    assert server.workers() == []
    assert http_client.get(server.port, "/one-chunk").status == 200
    assert server.stop() == 0


def test_idle_leaves_requests_that_last_alone(make):
    server = make(processes=1, idle=1, workers=1)

    assert uwsgi_client.request(server.address, "/slow", query="3").status == 200


def test_die_on_idle_ends_it(make):
    server = make(processes=1, idle=1, die_on_idle=True, workers=1)

    assert server.wait() == 0


def test_a_sleeping_instance_can_be_stopped(make):
    server = make(processes=1, cheap=True, workers=0)

    outcome = server.run("--stop", "uwsgi.pid")

    assert outcome.code == 0, outcome
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port)).close()
    assert server.wait() == 0


# What is refused


def test_cheaper_has_to_leave_something_to_save(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", socket="site.sock", processes=2, cheaper=2)

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == 1 and "`cheaper = 2` has to be lower than `processes = 2`" in outcome.text


def test_an_unknown_algorithm_is_spare_and_says_so(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", socket="site.sock", processes=2, cheaper=1, cheaper_algo="magic")

    outcome = server.run("--check", "uwsgi.ini")

    assert "there is no algorithm `magic`, and `spare` takes its place" in outcome.text
