"""Start, daemonize, look, stop, kill: the everyday commands from the directory of the ini."""

import os
import re
import signal

import pytest

from support import http_client, processes, unprivileged, uwsgi_client
from support.invariant import Invariant
from support.ports import free_port
from support.site import Site
from support.waiting import until


@pytest.fixture
def site(rustwsgi, workshop):
    return Site(workshop, rustwsgi)


@pytest.fixture
def daemon(rustwsgi, workshop):
    """A site that daemonizes; started by the test."""
    site = Site(workshop, rustwsgi, daemonize="site.log")
    site.server.log.path = site.server.directory / "site.log"
    return site


def start_daemon(site):
    """Starts it as a user does."""
    outcome = site.server.run("--ini", "uwsgi.ini")
    assert outcome.code == 0, outcome
    return outcome


def family(site):
    """Master, zygote and workers."""
    return [site.server.master, *processes.descendants(site.server.master)]


def wait_for_the_end_of(pids):
    for pid in pids:
        processes.ended(pid)


# Starting


def test_started_from_its_directory_pidfile_and_log_appear_there(daemon):
    start_daemon(daemon)

    assert int(daemon.server.pidfile.read_text()) == daemon.server.master
    assert re.fullmatch(r"\d+\n", daemon.server.pidfile.read_text())
    daemon.server.log.wait_for("spawned uWSGI worker 2 ")


def test_daemonize_returns_only_when_the_site_answers(daemon):
    daemon.server.install("import time\ntime.sleep(1)\n" + (daemon.server.directory / "app.py").read_text())

    start_daemon(daemon)

    assert daemon.status() == 200
    assert uwsgi_client.request(str(daemon.socket)).status == 200


def test_a_daemon_that_is_up_says_so_in_one_line_and_warnings_are_in_the_log_too(daemon):
    daemon.server.set(harakiri="10s")

    outcome = start_daemon(daemon)

    pattern = rf"rustwsgi serves after \d+ ms: master pid {daemon.server.master}, log site.log\n"
    assert re.fullmatch(pattern, outcome.stdout), outcome
    assert outcome.stderr.count("warning[RW0106]") == daemon.server.log.count(r"warning\[RW0106\]") == 1


def test_a_daemon_is_away_from_the_terminal(daemon):
    start_daemon(daemon)

    master = daemon.server.master
    assert os.getsid(master) != os.getsid(0)
    assert processes.descriptors(master)[0] == "/dev/null"
    standard = {processes.descriptors(master)[number] for number in (1, 2)}
    assert all("pipe" not in target for target in standard), standard


def test_a_daemon_that_cannot_start_says_why_and_exits_non_zero(daemon):
    daemon.break_code()

    outcome = daemon.server.run("--ini", "uwsgi.ini")

    assert outcome.code == 22, outcome
    assert re.findall(r"error\[(RW\d{4})\]", outcome.text) == ["RW0212"], outcome
    assert "SyntaxError" in outcome.text
    assert "SyntaxError" in daemon.server.log.text()
    assert not daemon.server.pidfile.exists()
    assert processes.inside(daemon.server.directory) == []


def test_a_bare_ini_argument_is_enough(site):
    site.server.start("uwsgi.ini")

    assert site.version() == "1"


def test_everything_can_come_from_the_command_line(rustwsgi, workshop):
    server = workshop.server(rustwsgi)
    server.install("hello.py", "hello.py")
    port = free_port()
    server.options["processes"] = 3

    server.start(
        "--http-socket", f"127.0.0.1:{port}", "--module", "hello", "--master", "--processes=3", "--pidfile", "p.pid"
    )

    assert http_client.get(port).body == b"hello\n"
    assert len(server.settle()) == 3
    assert int((server.directory / "p.pid").read_text()) == server.master


@pytest.mark.parametrize("lazy", [True, False])
def test_the_app_is_imported_once_or_by_each_worker(rustwsgi, workshop, lazy):
    source = "import os\nos.write(2, b'imported by %d\\n' % os.getpid())\n" + HELLO
    server = workshop.server(rustwsgi, source, processes=3, lazy_apps=lazy)
    server.set(socket=server.directory / "site.sock")

    server.start()
    server.log.wait_for("imported by")
    for _ in range(30):
        assert uwsgi_client.request(str(server.directory / "site.sock")).status == 200

    if lazy:
        until(lambda: server.log.count("^imported by ") == 3, "three imports")
    else:
        assert server.log.count("^imported by ") == 1


HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


# Looking


def test_ps_shows_master_zygote_and_workers_by_name(site):
    site.server.set(processes=3)
    site.server.start()
    site.server.settle()

    master = site.server.master
    assert processes.title(master).startswith("rustwsgi master")
    titles = sorted(
        re.sub(r"^(rustwsgi (zygote|worker \d+)).*", r"\1", processes.title(pid)) for pid in processes.children(master)
    )
    assert titles == ["rustwsgi worker 1", "rustwsgi worker 2", "rustwsgi worker 3", "rustwsgi zygote"]


def test_every_process_goes_by_the_name_killall_uses(site):
    site.server.start()
    site.server.settle()

    assert {processes.comm(pid) for pid in family(site)} == {"rustwsgi"}


def test_procname_prefix_goes_in_front(site):
    site.server.set(procname_prefix="blog-")
    site.server.start()
    site.server.settle()

    assert all(processes.title(pid).startswith("blog-rustwsgi ") for pid in family(site))


def test_workers_are_children_of_the_master(site):
    site.server.start()

    assert {processes.parent(pid) for pid in site.server.settle()} == {site.server.master}


# Stopping


def test_stop_returns_when_the_last_process_is_gone(daemon):
    start_daemon(daemon)
    pids = family(daemon)

    outcome = daemon.stop()

    assert outcome.code == 0, outcome
    assert [pid for pid in pids if processes.alive(pid)] == []


def test_stop_without_waiting_does_not_claim_that_it_stopped(daemon):
    start_daemon(daemon)
    everybody = family(daemon)

    outcome = daemon.stop("--no-wait")

    assert outcome.code == 0 and outcome.stdout == f"stop of pid {everybody[0]} asked for\n"
    wait_for_the_end_of(everybody)


def test_stop_lets_the_request_in_hand_finish_or_ends_it_within_the_mercy(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", pidfile="uwsgi.pid")
    server.set(socket=server.directory / "site.sock")
    server.start()
    with http_client.connect(str(server.directory / "site.sock"), timeout=30) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/say-and-wait", query="1")))
        server.log.wait_for("^at work$")

        outcome = server.run("--stop", "uwsgi.pid")

        assert outcome.code == 0, outcome
        raw = http_client.receive_all(stream)
    assert raw == b"" or raw.endswith(b"done"), "the answer was cut in the middle"
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["INT", "QUIT"])
def test_the_signals_that_stop(site, number):
    site.server.start()
    pids = family(site)

    site.server.signal(number)

    assert site.server.wait() == 0
    wait_for_the_end_of(pids)


def test_die_on_term_stops_on_term(site):
    site.server.set(die_on_term=True)
    site.server.start()
    pids = family(site)

    site.server.signal(signal.SIGTERM)

    assert site.server.wait() == 0
    wait_for_the_end_of(pids)


@pytest.mark.parametrize("vacuum", [True, False])
def test_vacuum_removes_pidfile_and_socket_and_nothing_else_does(site, vacuum):
    site.server.set(vacuum=vacuum)
    site.server.start()

    assert site.stop().code == 0
    site.server.wait()

    assert site.socket.exists() is not vacuum
    assert site.server.pidfile.exists() is not vacuum


def test_vacuum_works_after_a_reload_too(site):
    site.server.set(vacuum=True)
    site.server.start()
    assert site.reload().code == 0

    assert site.stop().code == 0

    assert not site.socket.exists() and not site.server.pidfile.exists()


def test_stop_twice_says_that_nothing_runs(daemon):
    start_daemon(daemon)
    assert daemon.stop().code == 0

    outcome = daemon.stop()

    assert outcome.code == 1
    assert "error[RW050" in outcome.text


# Killing


def kill_all(site):
    """What `killall -9 rustwsgi` does, to the processes of this site alone."""
    pids = [pid for pid in family(site) if processes.comm(pid) == "rustwsgi"]
    assert set(pids) == set(family(site))
    for pid in pids:
        processes.kill(pid)
    wait_for_the_end_of(pids)
    return pids


@pytest.mark.parametrize("attempt", range(5))
def test_after_kill_9_of_all_the_next_start_works_at_once(daemon, attempt):
    start_daemon(daemon)

    kill_all(daemon)

    assert processes.inside(daemon.server.directory) == [], "a process is left"
    assert daemon.server.pidfile.exists() and daemon.socket.exists(), "nobody was there to remove them"
    start_daemon(daemon)
    assert daemon.status() == 200
    assert uwsgi_client.request(str(daemon.socket)).status == 200
    assert int(daemon.server.pidfile.read_text()) == daemon.server.master


def test_after_kill_9_stop_says_that_nothing_runs(daemon):
    start_daemon(daemon)
    kill_all(daemon)

    outcome = daemon.stop()

    assert outcome.code == 1 and "error[RW0502]" in outcome.text, outcome


@pytest.mark.parametrize("attempt", range(5))
def test_when_the_master_is_killed_no_process_stays(daemon, attempt):
    start_daemon(daemon)
    daemon.server.settle()
    rest = processes.descendants(daemon.server.master)
    assert len(rest) == 3

    processes.kill(daemon.server.master)

    for pid in rest:
        processes.ended(pid, timeout=2)
    start_daemon(daemon)
    assert daemon.status() == 200


def test_when_the_master_is_killed_the_request_in_hand_is_finished(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py")
    server.set(socket=server.directory / "site.sock")
    server.start()
    workers = server.settle()
    with http_client.connect(str(server.directory / "site.sock")) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/say-and-wait", query="0.5")))
        server.log.wait_for("^at work$")

        processes.kill(server.master)

        raw = http_client.receive_all(stream)
    assert raw.endswith(b"done")
    for pid in workers:
        processes.ended(pid, timeout=2)


def test_a_killed_zygote_is_replaced_and_nobody_notices(site):
    site.server.start()

    with Invariant(site.server, site.status):
        zygote = site.server.zygotes()[0]
        processes.kill(zygote)
        until(lambda: site.server.zygotes() not in ([], [zygote]), "another zygote")
        worker = site.server.workers()[0]
        processes.kill(worker)
        until(lambda: worker not in site.server.workers(), "the worker's end")


# Files


def test_chmod_socket(site):
    site.server.set(chmod_socket="660")
    site.server.start()

    assert site.socket.stat().st_mode & 0o777 == 0o660


def test_umask_is_taken(site):
    site.server.set(umask="027", logto="site.log")
    site.server.launch()
    until(site.server.pidfile.exists, "the pid file")
    site.server.log.path = site.server.directory / "site.log"
    site.server.log.wait_for("spawned uWSGI worker 2")

    assert site.server.pidfile.stat().st_mode & 0o027 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
class TestPrivileges:
    """As root: who the processes are afterwards, and whose the files."""

    @pytest.fixture
    def open_site(self, rustwsgi, workshop):
        site = Site(workshop, rustwsgi, uid="nobody", gid="nogroup")
        server = site.server
        program = server.directory / "rustwsgi"
        program.write_bytes(rustwsgi.path.read_bytes())
        program.chmod(0o755)
        server.program = type(rustwsgi)(rustwsgi.kind, program)
        keep = server.directory / "keep"
        keep.mkdir()
        server.prefix = unprivileged.open_to_all(keep)
        os.chown(server.directory, unprivileged.NOBODY, unprivileged.NOBODY)
        return site

    def test_no_worker_is_root_any_more(self, open_site):
        open_site.server.start()

        for pid in open_site.server.settle():
            assert processes.owner(pid) == (unprivileged.NOBODY, unprivileged.NOBODY)
            assert 0 not in processes.groups(pid)
        for pid in open_site.server.zygotes():
            assert processes.owner(pid) == (unprivileged.NOBODY, unprivileged.NOBODY)
        assert open_site.status() == 200

    def test_respawned_workers_are_not_root_either(self, open_site):
        open_site.server.start()
        worker = open_site.server.settle()[0]

        processes.kill(worker)
        until(lambda: worker not in open_site.server.workers(), "its end")

        for pid in open_site.server.settle():
            assert processes.owner(pid)[0] == unprivileged.NOBODY

    def test_chown_socket(self, open_site):
        open_site.server.set(uid=None, gid=None, chown_socket="nobody:nogroup")
        open_site.server.start()

        stat = open_site.socket.stat()
        assert (stat.st_uid, stat.st_gid) == (unprivileged.NOBODY, unprivileged.NOBODY)
