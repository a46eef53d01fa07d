"""As process 1 of a PID namespace, as in a container: signals work, orphans are reaped, exit codes come out."""

import os
import signal
import subprocess

import pytest

from support import http_client, processes
from support.ports import free_port
from support.waiting import stays, until

NAMESPACE = ["unshare", "-fp", "--mount-proc", "--kill-child"]

APP = """
import os, subprocess

def application(environ, start_response):
    start_response("200 OK", [])
    path = environ["PATH_INFO"]
    if path == "/orphan":
        subprocess.run(["/bin/sh", "-c", "sleep 0.2 & sleep 0.3 & exit 0"])
    if path == "/stop":
        os.kill(1, 15)
    return [f"{os.getpid()} {os.getppid()}".encode()]
"""

pytestmark = pytest.mark.skipif(
    subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0, reason="no PID namespaces here"
)


class Contained:
    """An instance that is process 1 of its namespace."""

    def __init__(self, server):
        self.server = server
        self.port = free_port()
        server.set(http_socket=f"127.0.0.1:{self.port}", processes=2)
        server.prefix = NAMESPACE

    def start(self):
        self.server.launch()
        self.server.log.wait_for("^ready in")
        return self

    @property
    def init(self):
        """Process 1, as it is called outside."""
        (pid,) = processes.children(self.server.process.pid)
        return pid

    def inside(self):
        """What else runs in the namespace, as it is called outside."""
        return processes.descendants(self.init)

    def get(self, path="/"):
        return http_client.get(self.port, path)


@pytest.fixture
def contained(workshop, rustwsgi):
    return Contained(workshop.server(rustwsgi, APP))


def test_it_is_process_1_and_serves(contained):
    contained.start()

    assert contained.get().text.split()[1] == "1"
    assert "master pid 1 " in contained.server.log.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda it: it.name)
def test_it_stops_with_exit_code_0(contained, number):
    contained.start()
    os.kill(contained.init, number)

    assert contained.server.wait() == 0
    assert "goodbye to uWSGI" in contained.server.log.text()


def test_a_stop_from_inside_works(contained):
    contained.start()
    assert contained.get("/stop").status == 200
    assert contained.server.wait() == 0


def test_requests_in_hand_are_finished(contained):
    contained.server.install(
        "import time\n\ndef application(environ, start_response):\n    time.sleep(1)\n"
        "    start_response('200 OK', [])\n    return [b'whole']\n"
    )
    contained.start()
    with http_client.connect(contained.port) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        contained.server.log.wait_for("spawned uWSGI worker 2")
        stays(lambda: True, "", 0.3)
        os.kill(contained.init, signal.SIGTERM)
        assert http_client.receive_all(stream).endswith(b"whole")
    assert contained.server.wait() == 0


def test_a_reload_works_and_other_signals_do_no_harm(contained):
    contained.start()
    init = contained.init
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGPIPE):
        os.kill(init, number)
    os.kill(init, signal.SIGHUP)
    contained.server.log.wait_for("reload done: generation 2")

    assert contained.get().status == 200 and contained.init == init


def test_orphans_are_reaped(contained):
    contained.start()
    until(lambda: len(contained.inside()) == 3, "a zygote and two workers")
    for _ in range(10):
        assert contained.get("/orphan").status == 200
    until(lambda: len(contained.inside()) == 3, lambda: [processes.title(pid) for pid in contained.inside()])

    assert [processes.state(pid) for pid in contained.inside() if processes.state(pid) == "Z"] == []
    assert "orphan" not in contained.server.log.text().replace("GET /orphan", "")


def test_a_worker_that_is_killed_is_replaced(contained):
    contained.start()
    worker = next(pid for pid in contained.inside() if "worker 1" in processes.title(pid))
    processes.kill(worker)
    until(lambda: len([pid for pid in contained.inside() if "worker" in processes.title(pid)]) == 2, "two workers")

    assert contained.get().status == 200


@pytest.mark.parametrize(
    ("options", "code"), [({"wsgi-file": "nowhere.py"}, 22), ({"no-such-option": "1", "strict": "true"}, 1)]
)
def test_a_start_that_fails_has_its_exit_code(contained, options, code):
    contained.server.set(**options)
    contained.server.launch()

    assert contained.server.wait() == code


def test_everything_ends_with_process_1(contained):
    contained.start()
    inside = contained.inside()
    processes.kill(contained.init)
    contained.server.wait()

    for pid in inside:
        processes.ended(pid)


def test_an_emperor_is_a_good_process_1_too(contained):
    server = contained.server
    vassals = server.directory / "vassals"
    vassals.mkdir()
    server.ini.rename(vassals / "site.ini")
    (vassals / "site.ini").write_text((vassals / "site.ini").read_text().replace("app.py", f"{server.directory}/app.py"))
    server.ini.write_text(f"[uwsgi]\nemperor = {vassals}\n")
    contained.start()
    until(lambda: len(contained.inside()) == 4, "a vassal with a zygote and two workers")
    master = processes.children(contained.init)[0]
    for _ in range(5):
        assert contained.get("/orphan").status == 200
    until(lambda: len(contained.inside()) == 4, lambda: [processes.title(pid) for pid in contained.inside()])
    mark = server.log.mark()
    processes.kill(master)
    server.log.wait_for("^ready in", mark)
    until(lambda: len(contained.inside()) == 4, lambda: [processes.title(pid) for pid in contained.inside()])
    assert contained.get().status == 200
    os.kill(contained.init, signal.SIGTERM)
    assert server.wait() == 0
