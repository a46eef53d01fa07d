"""Reload: new code serves, broken code changes nothing, and no request is lost meanwhile."""

import re
import signal

import pytest

from support import http_client, processes, uwsgi_client
from support.invariant import Invariant
from support.load import Load
from support.ports import free_port
from support.site import Site
from support.waiting import stays, until

RELOADS = 20
CLIENTS = 32


@pytest.fixture
def site(rustwsgi, workshop):
    site = Site(workshop, rustwsgi)
    site.server.start()
    return site


# New code


def test_an_edited_app_is_served_when_the_command_returns(site):
    master = site.server.master

    site.write("2")
    outcome = site.reload()

    assert outcome.code == 0, outcome
    assert {site.version() for _ in range(20)} == {"2"}
    assert site.server.master == master


def test_nothing_changes_before_the_reload(site):
    site.write("2")

    assert {site.version() for _ in range(20)} == {"1"}


def test_hup_does_the_same(site):
    site.write("2")

    site.server.signal(signal.SIGHUP)

    until(lambda: site.version() == "2", "the new code")


def test_all_workers_and_the_zygote_are_new_and_the_old_ones_gone(site):
    old = [*site.server.settle(), *site.server.zygotes()]

    assert site.reload().code == 0

    for pid in old:
        processes.ended(pid)
    assert len(site.server.settle()) == 2 and not set(old) & set(processes.descendants(site.server.master))


def test_no_wait_only_signals(site):
    site.server.install(
        "import time\ntime.sleep(2)\n" + (site.server.directory / "app.py").read_text().replace("'1'", "'2'")
    )

    outcome = site.reload("--no-wait")

    assert outcome.code == 0, outcome
    assert site.version() == "1"
    until(lambda: site.version() == "2", "the new code")


def test_the_old_code_serves_while_the_new_one_is_imported(site):
    site.server.install(
        "import time\ntime.sleep(2)\n" + (site.server.directory / "app.py").read_text().replace("'1'", "'2'")
    )
    assert site.reload("--no-wait").code == 0

    seen = []
    until(lambda: seen.append(site.version()) or seen[-1] == "2", "the new code")

    assert set(seen) == {"1", "2"} and len(seen) > 20
    assert seen == sorted(seen), "old code answered after new code did"


# Code that can't be imported

BROKEN = {
    "syntax-error": ("def application(:\n", "SyntaxError", "RW0212"),
    "import-error": ("import not_there_at_all\n", "not_there_at_all", "RW0202"),
    "exception": ("raise RuntimeError('no database')\n", "no database", "RW0212"),
    "sys-exit": ("import sys\nsys.exit('at import')\n", "at import", "RW0212"),
    "hard-exit": ("import os\nos._exit(9)\n", "9", "RW0215"),
    "segfault": ("import ctypes\nctypes.string_at(0)\n", "11", "RW0215"),
    "no-callable": ("aplication = None\n", "application", "RW0210"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_app_changes_nothing_and_the_command_says_what_failed(site, name):
    source, said, code = BROKEN[name]
    old = site.server.settle()

    with Invariant(site.server, site.status):
        mark = site.server.log.mark()
        site.server.install(source + "\n")
        outcome = site.reload()

        assert outcome.code != 0, outcome
        assert said in outcome.text, outcome
        assert set(re.findall(r"error\[(RW\d{4})\]", outcome.text)) & {code, "RW0504"}, outcome
        site.server.log.wait_for(re.escape(said), mark)
        assert {site.version() for _ in range(20)} == {"1"}
        assert site.server.workers() == old, "the old workers were replaced"


def test_the_traceback_of_a_failed_reload_is_in_the_log_once(site):
    mark = site.server.log.mark()
    site.break_code()

    site.reload()

    site.server.log.wait_for("SyntaxError", mark)
    assert site.server.log.count("^ *SyntaxError: ", mark) == 1
    assert "app.py" in site.server.log.text(mark)


def test_broken_then_mended(site):
    site.break_code()
    assert site.reload().code != 0
    assert site.version() == "1"

    site.write("2")

    assert site.reload().code == 0
    assert {site.version() for _ in range(20)} == {"2"}


def test_a_worker_killed_after_a_failed_reload_comes_back_with_the_old_code(site):
    site.break_code()
    assert site.reload().code != 0

    for worker in site.server.settle():
        processes.kill(worker)
        until(lambda: worker not in site.server.workers(), "its end")
    site.server.settle()

    assert {site.version() for _ in range(20)} == {"1"}


# The ini


@pytest.mark.parametrize("count", [1, 4])
def test_another_number_of_processes_is_applied(site, count):
    site.server.set(processes=count)

    assert site.reload().code == 0

    assert len(site.server.settle()) == count
    assert site.status() == 200


def test_another_number_of_threads_is_applied(site):
    threads = [len(processes.threads(pid)) for pid in site.server.settle()]
    site.server.set(threads=3)

    assert site.reload().code == 0

    until(
        lambda: [len(processes.threads(pid)) for pid in site.server.settle()] == [more + 2 for more in threads],
        "two more threads in each worker",
    )


def test_a_changed_socket_is_applied(site):
    old_port, site.port = site.port, free_port()
    second = site.server.directory / "second.sock"
    site.server.set(http_socket=f"127.0.0.1:{site.port}", socket=second)

    assert site.reload().code == 0

    assert site.status() == 200
    assert uwsgi_client.request(str(second)).status == 200
    until(lambda: closed(old_port), "the old port to be closed")


def closed(port):
    """Whether nobody listens there."""
    try:
        http_client.connect(port).close()
    except OSError:
        return True
    return False


def test_a_socket_that_stays_is_not_bound_again(site):
    inode = site.socket.stat().st_ino

    for _ in range(3):
        assert site.reload().code == 0

    assert site.socket.stat().st_ino == inode


def test_another_app_and_other_variables_are_applied(site):
    site.server.install("where.py", "other_app.py")
    site.server.set(wsgi_file=None, module="other_app:other", env="SITE_NAME=reloaded")

    assert site.reload().code == 0

    assert '"SITE_NAME": "reloaded"' in http_client.get(site.port).text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda site: site.server.ini.unlink(),
        lambda site: site.server.ini.write_text("[other]\nx = y\n"),
        lambda site: site.server.set(processes="-1"),
        lambda site: site.server.set(chdir="/absent/directory"),
        lambda site: site.server.set(home="/absent/venv"),
        lambda site: site.server.set(module="absent_module", wsgi_file=None),
        lambda site: site.server.set(http_socket="127.0.0.1:99999"),
        lambda site: site.server.set(socket="/absent/directory/site.sock"),
    ],
    ids=["missing", "no-section", "bad-value", "bad-chdir", "bad-home", "bad-module", "bad-address", "bad-socket"],
)
def test_a_broken_ini_changes_nothing(site, spoil):
    before = site.server.ini.read_text()
    options = dict(site.server.options)

    with Invariant(site.server, site.status):
        spoil(site)
        outcome = site.reload()
        assert outcome.code != 0 and "error[RW" in outcome.text, outcome
        site.server.options = options
    site.server.ini.write_text(before)

    assert site.reload().code == 0


def test_a_socket_of_somebody_else_is_refused_and_nothing_changes(site, rustwsgi, workshop):
    neighbour = Site(workshop, rustwsgi)
    neighbour.server.start()

    with Invariant(site.server, site.status), Invariant(neighbour.server, neighbour.status):
        options = dict(site.server.options)
        site.server.set(socket=neighbour.socket)
        assert site.reload().code != 0
        site.server.options = options


# Requests in hand


def test_a_request_in_hand_is_finished_by_the_old_code(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", pidfile="uwsgi.pid", processes=2)
    server.set(socket=server.directory / "site.sock")
    server.start()
    with http_client.connect(str(server.directory / "site.sock"), timeout=30) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/say-and-wait", query="2")))
        server.log.wait_for("^at work$")

        assert server.run("--reload", "uwsgi.pid").code == 0

        assert http_client.receive_all(stream).endswith(b"done")


def test_a_stuck_request_does_not_hold_the_reload_up(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", pidfile="uwsgi.pid", processes=2, reload_mercy=2)
    server.set(socket=server.directory / "site.sock", worker_reload_mercy=2)
    address = str(server.directory / "site.sock")
    server.start()
    old = server.settle()
    with http_client.connect(address, timeout=30) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/stuck")))
        server.log.wait_for("^stuck on purpose$")

        assert server.run("--reload", "uwsgi.pid").code == 0

        for _ in range(50):
            assert uwsgi_client.request(address, "/one-chunk", timeout=1).status == 200
        for pid in old:
            processes.ended(pid, timeout=15)


# Under load


def test_reload_under_load_loses_and_delays_nothing(site, workshop):
    nginx = workshop.nginx(site.socket)

    with Invariant(site.server, site.status), Load(nginx.port, "/", CLIENTS) as load:
        for number in range(RELOADS):
            site.write(str(number))
            outcome = site.reload()
            assert outcome.code == 0, outcome
            assert site.version() == str(number)
        report = load.check(at_least=1000)

    print(report)
    assert nginx.failures() == []


def test_a_storm_of_signals_ends_with_the_last_code(site, workshop):
    nginx = workshop.nginx(site.socket)

    with Invariant(site.server, site.status), Load(nginx.port, "/", 8) as load:
        most = 0
        for number in range(50):
            site.write(str(number))
            site.server.signal(signal.SIGHUP)
            most = max(most, len(site.server.workers()))
        until(lambda: site.version() == "49", "the last code", timeout=60)
        load.check()

    assert most <= 2 * site.server.wanted, "more than two generations at once"


def test_failed_reloads_under_load_are_not_noticed(site, workshop):
    nginx = workshop.nginx(site.socket)
    site.break_code()

    with Invariant(site.server, site.status), Load(nginx.port, "/", 8) as load:
        for _ in range(5):
            assert site.reload().code != 0
        load.check()


@pytest.mark.parametrize("attempt", range(20))
def test_stop_during_a_reload_stops(site, attempt):
    """The stop comes a little later each time, to meet every phase of the reload."""
    pids = [site.server.master, *processes.descendants(site.server.master)]
    assert site.reload("--no-wait").code == 0
    stays(lambda: True, "time passes", attempt * 0.02)

    outcome = site.stop()

    assert outcome.code == 0, outcome
    assert site.server.wait() == 0
    for pid in pids:
        processes.ended(pid)
    assert processes.inside(site.server.directory) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_reloads_under_load(site, workshop):
    nginx = workshop.nginx(site.socket)

    with Invariant(site.server, site.status), Load(nginx.port, "/", CLIENTS) as load:
        for number in range(300):
            site.write(str(number))
            assert site.reload().code == 0
        load.check(at_least=10_000)
    assert nginx.failures() == []


# What the command tells


def test_no_wait_may_stand_before_the_pid_file_too(site):
    site.write("2")

    outcome = site.server.run("--reload", "--no-wait", "uwsgi.pid")

    assert outcome.code == 0 and f"reload of pid {site.server.master} asked for" in outcome.stdout, outcome
    until(lambda: site.version() == "2", "the new code")


def test_warnings_reach_the_terminal_that_asked_and_the_log(site):
    mark = site.server.log.mark()
    site.server.set(harakiri="10s", pidfile="other.pid")

    outcome = site.server.run("--reload", "uwsgi.pid")

    assert outcome.code == 0 and "reload done" in outcome.stdout
    for warning in (r"warning\[RW0106\]", r"warning: `pidfile` is not what the instance was started with"):
        assert len(re.findall(warning, outcome.stderr)) == 1, outcome
        assert site.server.log.count(warning, mark) == 1


def test_what_needs_a_restart_is_compared_with_the_start(site):
    site.server.set(pidfile="other.pid")
    assert "`pidfile` is not what" in site.server.run("--reload", "uwsgi.pid").stderr
    assert "`pidfile` is not what" in site.server.run("--reload", "uwsgi.pid").stderr

    site.server.set(pidfile="uwsgi.pid")

    assert site.reload().stderr == ""


def test_opened_and_closed_sockets_are_in_the_log(site):
    port, mark = free_port(), site.server.log.mark()

    site.server.set(socket=None, **{"http-socket": f"127.0.0.1:{port}"})

    assert site.reload().code == 0
    assert site.server.log.count(rf"^http socket bound to 127.0.0.1:{port}$", mark) == 1
    assert site.server.log.count(rf"^http socket 127.0.0.1:{site.port} closed$", mark) == 1
    assert site.server.log.count(r"^uwsgi socket .*site.sock closed$", mark) == 1
    mark = site.server.log.mark()
    assert site.reload().code == 0
    assert site.server.log.count("socket bound|closed", mark) == 0


def test_a_reload_that_takes_longer_than_the_timeout_says_so_and_goes_on(site):
    site.server.install("import time\ntime.sleep(3)\n" + (site.server.directory / "app.py").read_text().replace("'1'", "'2'"))

    outcome = site.reload("--timeout", "1")

    assert outcome.code != 0 and "RW0506" in outcome.stderr and "within 1 s" in outcome.stderr
    until(lambda: site.version() == "2", "the new code")


# Warm-up


WARM = """
import os

served = []


def application(environ, start_response):
    served.append(environ["HTTP_HOST"] + environ["PATH_INFO"])
    body = " ".join(served).encode() if environ["PATH_INFO"] != "/large" else b"x" * 5_000_000
    start_response("404 Not Found" if environ["PATH_INFO"] == "/missing" else "200 OK", [])
    return [body]
"""


def test_a_new_worker_answers_its_warmup_before_it_serves(site):
    site.server.install(WARM)
    site.server.set(warmup=["/first", "/large", "example.com/missing"], lazy_apps=True)
    mark = site.server.log.mark()

    assert site.reload().code == 0

    answer = http_client.get(site.port, "/asked").text.split()
    assert answer[:3] == ["localhost/first", "localhost/large", "example.com/missing"], answer
    assert site.server.log.count("warmup `example.com/missing` was answered with 404", mark) == 2
    assert site.server.log.count("/first", mark) == 0, "it is nobody's request"


def test_a_warmup_that_raises_is_a_warning(site):
    site.server.install("def application(environ, start_response):\n    raise RuntimeError('cold')\n")
    site.server.set(warmup="/")

    assert site.reload().code == 0
    site.server.log.wait_for("warmup `/` was answered with 500")
    assert site.status() == 500
