"""`import uwsgi` in the app: the names, types and facts of uWSGI's module, and what they do."""

import ast
import os
import re
import subprocess
import sys
import urllib.parse

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.ports import free_port
from support.server import ROOT
from support.site import Site
from support.waiting import until

APP = """
import os, sys, threading, time, urllib.parse
import uwsgi

AT_IMPORT = dict(worker=uwsgi.worker_id(), master=uwsgi.masterpid() == os.getpid(), mule=uwsgi.mule_id(),
                 sockets=uwsgi.sockets, present="uwsgi" in sys.modules)


def application(environ, start_response):
    code = urllib.parse.unquote(environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [repr(eval(code)).encode()]
"""
SURFACE = """
import uwsgi

print("SURFACE", {name: type(getattr(uwsgi, name)).__name__ for name in dir(uwsgi) if not name.startswith("__")})
print("RETURNS", {name: type(getattr(uwsgi, name)()).__name__ for name in (
    "worker_id", "mule_id", "masterpid", "i_am_the_spooler", "total_requests", "request_id", "logsize", "mem", "micros",
    "is_locked", "lock", "unlock", "ready")})
print("FACTS", {name: getattr(uwsgi, name) for name in (
    "version", "version_info", "numproc", "cores", "has_threads", "loop", "SPOOL_OK", "SPOOL_RETRY",
    "SPOOL_IGNORE", "hostname", "is_a_reload", "applications")})
print("OPT", uwsgi.opt)


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""
LAZY = pytest.mark.parametrize("lazy", [None, True], ids=["preload", "lazy-apps"])


@pytest.fixture
def site(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, threads=2)
    site.server.install(APP)
    return site


def ask(site, code):
    """What Python code is in a worker."""
    return ast.literal_eval(http_client.get(site.port, "/?" + urllib.parse.quote(code)).text)


def said(server, word):
    """What the app printed behind this word when it was imported."""
    return ast.literal_eval(server.log.wait_for(rf"^{word} (.*)$").group(1))


def test_every_name_of_uwsgi_is_there_with_its_type_or_raises_a_sentence(rustwsgi, uwsgi, workshop):
    said_by = {}
    for program in (rustwsgi, uwsgi):
        server = workshop.server(program, SURFACE, http_socket=f"127.0.0.1:{free_port()}", processes=2, locks=2)
        server.options["wsgi-file"] = "app.py"
        server.set()
        server.start()
        said_by[program.kind] = {word: said(server, word) for word in ("SURFACE", "RETURNS", "FACTS")}
    ours, theirs = said_by["rustwsgi"], said_by["uwsgi"]

    shared = ours["SURFACE"].keys() & theirs["SURFACE"].keys()
    assert {name: ours["SURFACE"][name] for name in shared} == {name: theirs["SURFACE"][name] for name in shared}
    assert ours["RETURNS"] == theirs["RETURNS"]
    assert ours["FACTS"] == theirs["FACTS"]
    page = (ROOT / "docs/python-api.md").read_text()
    for name in theirs["SURFACE"]:
        row = re.search(rf"^\| `{name}` \| \w+ \| (.*) \|$", page, re.MULTILINE)
        assert row, f"{name} is not in docs/python-api.md"
        assert (row.group(1) == "works") == (name in ours["SURFACE"]), f"{name}: {row.group(1)}"


@LAZY
def test_who_and_where(site, lazy):
    site.server.set(lazy_apps=lazy)
    site.server.start()
    assert ask(site, "AT_IMPORT")["present"] is True
    if lazy:
        assert ask(site, "AT_IMPORT")["worker"] in (1, 2) and ask(site, "AT_IMPORT")["sockets"]
    else:
        assert ask(site, "AT_IMPORT") == {"worker": 0, "master": True, "mule": 0, "sockets": [], "present": True}
    assert ask(site, "uwsgi.masterpid()") == site.server.master
    assert ask(site, "uwsgi.worker_id()") in (1, 2)
    assert len(ask(site, "uwsgi.sockets")) == 2
    assert ask(site, "uwsgi.mypid()") in site.server.workers()
    assert ask(site, "setattr(uwsgi, 'is_stub', 1), uwsgi.is_stub") == (None, 1)
    assert ask(site, "uwsgi.ready()") is True
    assert ask(site, "uwsgi.listen_queue()") == 0
    assert ask(site, "uwsgi.pidfile") == b"uwsgi.pid"
    assert ask(site, "uwsgi.logsize()") > 100


def test_the_options_are_as_uwsgi_gives_them(site):
    site.server.set(my_own="x", empty="", env=["A=1", "B=2"])
    site.server.start()
    opt = ask(site, "uwsgi.opt")
    assert opt["master"] == b"true" and opt["processes"] == b"2" and opt["my-own"] == b"x" and opt["empty"] == b""
    assert opt["env"] == b"B=2"
    assert opt["enable-threads"] is True and opt["py-call-uwsgi-fork-hooks"] is True and "lazy-apps" not in opt


def test_workers_are_dicts_with_true_numbers(site):
    site.server.start()
    for _ in range(9):
        ask(site, "1")
    # A request is counted once its connection is closed, which is when its client goes on.
    served = lambda workers: sum(worker["requests"] for worker in workers)  # noqa: E731
    until(lambda: served(ask(site, "uwsgi.workers()")) >= 9, lambda: "nine requests")
    workers = ask(site, "uwsgi.workers()")
    assert [worker["id"] for worker in workers] == [1, 2]
    assert {worker["pid"] for worker in workers} == set(site.server.workers())
    assert served(workers) >= 9
    assert b"busy" in {worker["status"] for worker in workers}
    for worker in workers:
        assert worker["rss"] > 1 << 20 and worker["vsz"] >= worker["rss"]
        assert abs(worker["last_spawn"] - os.stat(site.server.ini).st_mtime) < 30
    assert ask(site, "uwsgi.total_requests()") >= served(workers)
    assert ask(site, "uwsgi.workers()[0].update(own=1)") is None


@LAZY
def test_reload_and_stop_reach_the_master(site, lazy):
    site.server.set(lazy_apps=lazy)
    site.server.start()
    assert ask(site, "uwsgi.is_a_reload") is False
    with Invariant(site.server, lambda: http_client.get(site.port, "/?1").status, rounds=20):
        old = set(site.server.workers())
        assert ask(site, "uwsgi.reload()") is True
        until(lambda: not old & set(site.server.workers()), lambda: "new workers", 20)
    until(lambda: ask(site, "uwsgi.is_a_reload"), lambda: "the new generation")
    assert ask(site, "uwsgi.stop()") is True
    until(lambda: site.server.process.poll() == 0, lambda: "the end")


def test_log_variables_and_forced_lines(site):
    site.server.set(log_format="LINE %(method) %(shop) %(no)", disable_logging=True)
    site.server.start()
    assert ask(site, "uwsgi.set_logvar('shop', b'books'), uwsgi.get_logvar('shop'), uwsgi.get_logvar(b'x')") == (
        None,
        b"books",
        None,
    )
    assert ask(site, "uwsgi.get_logvar('shop')") is None
    assert ask(site, "uwsgi.set_logvar('shop', 'tea\\n'), uwsgi.log_this_request()") == (None, None)
    site.server.log.wait_for(r"^LINE GET tea\\x0A -$")
    assert ask(site, "uwsgi.log('said by the app')") is True
    site.server.log.wait_for(r"said by the app$")
    assert site.server.log.count("^LINE") == 1


def test_what_a_request_has(site):
    site.server.start()
    assert ask(site, "uwsgi.cl()") == 0
    assert ask(site, "uwsgi.is_connected(uwsgi.connection_fd()), uwsgi.is_connected(0)") == (True, False)
    assert ask(site, "uwsgi.get_user_harakiri(), uwsgi.set_user_harakiri(5), uwsgi.get_user_harakiri()") == (0, None, 5)
    assert ask(site, "uwsgi.mem()[0] > 1000000, uwsgi.micros() // 10**6 - int(time.time()) in (0, 1)") == (True, True)
    assert ask(site, "uwsgi.extract('app.py')") == APP.encode()
    assert ask(site, "uwsgi.setprocname('own name worker')") is None
    until(
        lambda: any("own name" in processes.title(pid) for pid in processes.children(site.server.master)),
        lambda: f"the title: {site.server.tree()}",
    )


def test_sendfile_and_disconnect(site):
    site.server.start()
    get = lambda code: http_client.get(site.port, "/?" + code.replace(" ", "%20"))  # noqa: E731
    assert get("uwsgi.sendfile('app.py',0,1,6)").text == "import" + "True"
    assert get("uwsgi.sendfile('/nowhere')").text == "None"
    with Invariant(site.server, lambda: get("1").status, rounds=20):
        assert get("uwsgi.disconnect()") is None


def test_what_is_not_there_raises_a_sentence(site):
    site.server.start()
    assert ask(site, "hasattr(uwsgi, 'cache_get'), hasattr(uwsgi, 'atexit')") == (False, False)
    page = http_client.get(site.port, "/?uwsgi.cache_get")
    assert page.status == 500 or not page.text
    site.server.log.wait_for(r"AttributeError: uwsgi.cache_get is not there: the caching framework is not built yet")
    assert ask(site, "hasattr(uwsgi, 'nonsense')") is False


HOOKS = """
import uwsgi

def say(word):
    print(word, uwsgi.worker_id(), flush=True)

uwsgi.post_fork_hook = lambda: say("forked")
uwsgi.atexit = lambda: say("ending")
uwsgi.after_req_hook = lambda: say("answered")
"""


@LAZY
def test_hooks_are_called_under_lazy_apps_too(site, lazy):
    site.server.install(HOOKS + APP)
    site.server.set(lazy_apps=lazy)
    site.server.start()
    for number in (1, 2):
        site.server.log.wait_for(rf"^forked {number}$")
    assert site.server.log.count("^forked") == 2
    assert ask(site, "1") == 1
    site.server.log.wait_for(r"^answered [12]$")
    site.stop("--no-wait")
    until(lambda: site.server.process.poll() == 0, lambda: "the end")
    assert site.server.log.count(r"^ending [12]$") == 2


HARAKIRI = """
import time
import uwsgidecorators


@uwsgidecorators.harakiri(1)
def slow():
    time.sleep(30)
"""


@pytest.mark.parametrize("code", ["slow()", "uwsgi.set_user_harakiri(1), time.sleep(30)"])
def test_harakiri_of_one_request(site, code):
    site.server.install(HARAKIRI + APP)
    site.server.start()
    with Invariant(site.server, lambda: http_client.get(site.port, "/?1").status, rounds=20):
        assert http_client.get(site.port, "/?" + code.replace(" ", "%20"), timeout=20) is None
        site.server.log.wait_for("HARAKIRI")


LOCKS = """
import os, signal, time
import uwsgi


def held():
    uwsgi.lock(1)
    os.kill(os.getpid(), signal.SIGKILL)


def timed():
    began = time.monotonic()
    uwsgi.lock(1)
    uwsgi.unlock(1)
    return time.monotonic() - began


def twice():
    uwsgi.lock()
    try:
        uwsgi.lock()
    except RuntimeError as error:
        return str(error)
    finally:
        uwsgi.unlock()


def refused():
    for number in (3, 5000):
        try:
            uwsgi.lock(number)
        except ValueError as error:
            yield str(error)
"""


def test_locks(site):
    site.server.install(LOCKS + APP)
    site.server.set(locks=2)
    site.server.start()
    assert "would wait for itself" in ask(site, "twice()")
    assert ask(site, "list(refused())") == ["Invalid lock number"] * 2
    assert ask(site, "uwsgi.is_locked(1)") is False
    with Invariant(site.server, lambda: http_client.get(site.port, "/?1").status, rounds=20):
        for _ in range(5):
            assert http_client.get(site.port, "/?held()") is None
            until(lambda: len(site.server.workers()) == 2, lambda: "both workers")
            assert ask(site, "uwsgi.is_locked(1), timed() < 0.1") == (False, True)


DECORATORS = """
import uwsgidecorators

done = []


@uwsgidecorators.postfork
def all_of_us():
    done.append("all")


@uwsgidecorators.postfork(2)
def the_second():
    done.append("second")


@uwsgidecorators.lock
def locked():
    return uwsgi.is_locked()


def missing():
    try:
        uwsgidecorators.timer(3)(all_of_us)
    except NotImplementedError as error:
        return str(error)
"""


@LAZY
def test_decorators(site, lazy):
    site.server.install(DECORATORS + APP)
    site.server.set(lazy_apps=lazy)
    site.server.start()
    for _ in range(10):
        worker, done = ask(site, "uwsgi.worker_id(), done")
        assert done == (["all", "second"] if worker == 2 else ["all"])
    assert ask(site, "locked(), uwsgi.is_locked()") == (True, False)
    assert "the signal framework" in ask(site, "missing()")


def test_decorators_do_nothing_outside_of_a_server(tmp_path):
    code = "import uwsgidecorators as d\n@d.timer(3)\ndef f(n=1): return n\n@d.harakiri(2)\ndef g(): return 2\nprint(f(), g())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "python")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1 2\n" and "no server" in done.stderr
