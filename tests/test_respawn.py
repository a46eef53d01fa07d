"""Why a worker died is told, and one that dies at once does not burn the machine."""

import signal

import pytest

from support import processes, uwsgi_client
from support.waiting import until

DIES = """
import os, sys

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/exit":
        os._exit(7)
    if path == "/abort":
        os.abort()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""

DIES_YOUNG = """
import os
os.register_at_fork(after_in_child=lambda: os._exit(1) if os.path.exists("die") else None)

def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def make(rustwsgi, workshop):
    """A started server of one worker."""

    def make(app, **options):
        server = workshop.server(rustwsgi, app, pidfile="uwsgi.pid")
        server.address = str(server.directory / "site.sock")
        server.set(**{"socket": server.address} | options)
        server.start()
        server.settle()
        return server

    return make


@pytest.mark.parametrize(
    ("path", "death", "cause"),
    [
        ("/exit", r"died \(exited with code 7\)", None),
        ("/abort", r"died, killed by signal 6", r"died of SIGABRT"),
    ],
)
def test_the_cause_is_told(make, path, death, cause):
    server = make(DIES)

    assert uwsgi_client.request(server.address, path) is None

    server.log.wait_for(rf"DAMN ! worker 1 \(pid: \d+\) {death} :\( trying respawn \.\.\.")
    if cause:
        server.log.wait_for(rf"worker 1 \(pid: \d+\) {cause}")
    assert uwsgi_client.request(server.address).status == 200


def test_a_kill_from_outside_is_no_want_of_memory(make):
    server = make(DIES)

    processes.kill(server.workers()[0], signal.SIGKILL)

    server.log.wait_for(r"worker 1 \(pid: \d+\) died of SIGKILL$")


def test_a_loop_of_deaths_is_called_one_and_ends_with_its_cause(make):
    server = make(DIES_YOUNG, forkbomb_delay=1)
    (server.directory / "die").touch()
    mark = server.log.mark()
    processes.kill(server.workers()[0])

    server.log.wait_for(r"worker respawning too fast !!! worker 1 has died young 5 times in a row", mark, timeout=15)
    server.log.wait_for(r"the next one comes in 1000 ms", mark, timeout=15)
    (server.directory / "die").unlink()

    until(server.workers, "a worker that lives", timeout=5)
    assert uwsgi_client.request(server.address).status == 200
    assert server.log.count("DAMN ! worker", mark) < 20


def test_titles_are_what_the_configuration_says(rustwsgi, workshop):
    server = workshop.server(rustwsgi, DIES, procname_prefix_spaced="blog", procname_append="!", procname_master="boss")
    server.set(socket=server.directory / "site.sock")
    server.start()

    until(lambda: processes.title(server.master) == "blog boss!", "the master's title")
    until(lambda: [processes.title(pid) for pid in server.workers()] == ["blog rustwsgi worker 1!"], "the worker's title")
