"""Upgrade: a reload whose program was replaced on disk goes on with the new one, in the same process."""

import os
import shutil
import signal
import socket

import pytest

from support import processes
from support.invariant import Invariant
from support.load import Load
from support.server import Log, Program
from support.site import Site
from support.waiting import until


@pytest.fixture
def binary(rustwsgi, tmp_path):
    """A program of the test's own."""
    path = tmp_path / "bin/rustwsgi"
    path.parent.mkdir()
    shutil.copy(rustwsgi.path, path)
    return path


@pytest.fixture
def site(binary, workshop):
    site = Site(workshop, Program("rustwsgi", binary))
    site.server.start()
    return site


def replace(binary, more=b"another build"):
    """Puts another build, which is the same and a few bytes, in the place of the program."""
    new = binary.with_name("new")
    shutil.copy(binary, new)
    with open(new, "ab") as file:
        file.write(more)
    new.rename(binary)
    return binary.stat().st_ino


def runs(pid):
    """The inode of the program of a process."""
    return os.stat(f"/proc/{pid}/exe").st_ino


def test_a_reload_goes_on_with_the_new_program_in_the_same_process(site, binary):
    server = site.server
    master, old = server.master, [*server.settle(), *server.zygotes()]
    with Invariant(server, site.status):
        site.write("2")
        inode = replace(binary)

        with Load(site.port, clients=16) as load:
            outcome = site.reload()
        load.check(at_least=1)

        assert outcome.code == 0 and "generation 2 serves" in outcome.text, outcome
        assert {site.version() for _ in range(20)} == {"2"}
        assert server.master == master == int(server.pidfile.read_text()) and processes.alive(master)
        assert runs(master) == inode
        for pid in old:
            processes.ended(pid)
        assert {runs(pid) for pid in [*server.settle(), *server.zygotes()]} == {inode}
        assert "goes on for rustwsgi" in server.log.text()


def test_it_can_be_done_again_and_again_and_signals_and_stops_are_heard(site, binary):
    server = site.server
    for generation in range(2, 5):
        inode = replace(binary)
        assert site.reload().code == 0
        assert runs(server.master) == inode and f"generation {generation} serves" in server.log.text()
    site.write("2")
    server.signal(signal.SIGHUP)
    until(lambda: site.version() == "2", "the new code")

    outcome = site.stop()

    assert outcome.code == 0, outcome
    assert server.wait() == 0


BROKEN = [b"", b"no program at all\n", b"#!/bin/sh\nexit 0\n", b"#!/bin/sh\necho no such library >&2; exit 127\n"]


@pytest.mark.parametrize("content", BROKEN, ids=["empty", "text", "another", "library"])
def test_a_broken_program_changes_nothing_and_is_told(site, binary, content):
    server = site.server
    workers, inode = server.settle(), runs(server.master)
    with Invariant(server, site.status):
        broken = binary.with_name("broken")
        broken.write_bytes(content)
        broken.chmod(0o755)
        command = binary.with_name("command")
        shutil.copy(f"/proc/{server.master}/exe", command)
        command.chmod(0o755)
        broken.rename(binary)
        server.program = Program("rustwsgi", command)

        outcome = site.reload()

        assert outcome.code != 0 and "RW0511" in outcome.text and "can't take over" in outcome.text, outcome
        if b"library" in content:
            assert "no such library" in outcome.text, outcome
        assert "reload failed, the old code goes on serving" in server.log.text()
        assert server.settle() == workers and runs(server.master) == inode
        assert site.version() == "1"


def test_a_program_that_hangs_is_given_up(site, binary):
    server = site.server
    command = binary.with_name("command")
    shutil.copy(binary, command)
    server.program = Program("rustwsgi", command)
    hangs = binary.with_name("hangs")
    hangs.write_text("#!/bin/sh\nexec sleep 600\n")
    hangs.chmod(0o755)
    hangs.rename(binary)

    outcome = site.reload()

    assert outcome.code != 0 and "said nothing for 10 s" in outcome.text, outcome
    assert site.version() == "1"


def test_a_program_that_was_deleted_goes_on(site, binary):
    server = site.server
    command = binary.with_name("command")
    shutil.move(binary, command)
    server.program = Program("rustwsgi", command)
    site.write("2")

    outcome = site.reload()

    assert outcome.code == 0, outcome
    assert site.version() == "2" and "not on the disk any more" in server.log.text()


def test_broken_code_under_the_new_program_leaves_the_old_code_serving(site, binary):
    server = site.server
    workers = server.settle()
    inode = replace(binary)
    site.break_code()

    with Load(site.port, clients=8) as load:
        outcome = site.reload()
    load.check(at_least=1)

    assert outcome.code != 0 and "SyntaxError" in outcome.text, outcome
    assert runs(server.master) == inode
    assert server.settle() == workers and site.version() == "1"
    # The zygote of before forks on.
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: workers[0] not in server.workers() and len(server.workers()) == 2, "a new worker")
    site.write("2")
    assert site.reload().code == 0
    assert site.version() == "2"


def test_an_old_worker_in_the_middle_of_a_request_finishes_it(binary, workshop):
    site = Site(workshop, Program("rustwsgi", binary))
    source = (site.server.directory / "app.py").read_text()
    slow = source.replace("import os", "import os, time").replace("    body", "    time.sleep(2)\n    body")
    site.server.install(slow)
    site.server.start()
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        site.write("2")
        replace(binary)
        assert site.reload().code == 0
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.") and b" 200 " in answer.split(b"\r\n")[0] and answer.endswith(b"1\n")
    assert site.version() == "2"


def test_harakiri_and_daemons_and_the_fifo_survive(binary, workshop):
    site = Site(
        workshop, Program("rustwsgi", binary), harakiri=4, attach_daemon="exec sleep 601", master_fifo="fifo", logto="log"
    )
    server = site.server
    server.launch()
    server.log = Log(server.directory / "log")
    server.log.wait_for("^ready in")
    source = (server.directory / "app.py").read_text()
    replace(binary)
    assert site.reload().code == 0
    server.install(source.replace("import os", "import os, time").replace("    body", "    time.sleep(60)\n    body"))
    assert site.reload().code == 0
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        # It never answers, and is the old generation's.
        client.sendall(b"GET /stuck HTTP/1.0\r\n\r\n")
        site.write("2")
        replace(binary)
        assert site.reload().code == 0
        assert site.version() == "2"
        server.log.wait_for("HARAKIRI")

    def daemons():
        return [pid for pid in processes.children(server.master) if "sleep 601" in processes.title(pid)]

    until(lambda: len(daemons()) == 1, "one daemon")
    (server.directory / "fifo").open("wb", buffering=0).write(b"q")
    assert server.wait() == 0
