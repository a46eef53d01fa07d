"""What an import leaves behind that workers can't share is named once, and what Python does about forks happens."""

import json
import re
import sqlite3
import socket
import threading

import pytest

from support import http_client
from support.site import SOURCE, Site

REPORT = """
import json
import os
import random
import ssl
import uuid


def application(environ, start_response):
    body = json.dumps({
        "pid": os.getpid(),
        "random": random.getrandbits(128),
        "uuid4": str(uuid.uuid4()),
        "ssl": ssl.RAND_bytes(16).hex(),
        "hooks": HOOKS,
        "own": os.getpid() in {pid for _, pid in HOOKS},
    }).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
HOOKS = """
import os

HOOKS = []
os.register_at_fork(
    before=lambda: HOOKS.append(("before", os.getpid())),
    after_in_child=lambda: HOOKS.append(("child", os.getpid())),
    after_in_parent=lambda: HOOKS.append(("parent", os.getpid())),
)
random_before = __import__("random").random()
"""


@pytest.fixture
def site(rustwsgi, workshop):
    return Site(workshop, rustwsgi, processes=3)


def started(site, code):
    """Starts the site with this code in front of its own; what the log says."""
    site.server.install(code + SOURCE.format(version="1"))
    site.server.start()
    assert site.status() == 200
    return site.server.log.text()


def warnings(text):
    return re.findall(r"warning\[(RW043\d)\]: (.*)", text)


def test_a_clean_import_is_not_talked_about(site):
    text = started(site, "import logging, random, ssl, threading, sqlite3\nLOCK = threading.RLock()\n")

    assert warnings(text) == []


def test_threads_are_named_once(site):
    code = """
import threading, time
for name in ("poller", "flusher"):
    threading.Thread(target=time.sleep, args=(3600,), name=name, daemon=True).start()
"""
    text = started(site, code)

    assert sorted(warnings(text)) == [
        ("RW0430", "the app started the thread `flusher` at import"),
        ("RW0430", "the app started the thread `poller` at import"),
    ]
    assert "os.register_at_fork" in text and "lazy-apps = true" in text
    assert "warning: warning" not in text


def test_threads_that_python_does_not_know(site):
    code = """
import ctypes
library = ctypes.CDLL(None)
thread = ctypes.c_ulong()
assert library.pthread_create(ctypes.byref(thread), None, ctypes.cast(library.pause, ctypes.c_void_p), None) == 0
library.pthread_setname_np(thread, b"grpc_poller")
"""
    text = started(site, code)

    assert warnings(text) == [("RW0430", "the app started the thread `grpc_poller` (not Python's) at import")]


def test_connections_are_named_with_their_peer(site):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        port, port6 = server.getsockname()[1], six.getsockname()[1]
        path = site.server.directory / "db.sock"
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(path))
        unix.listen()
        code = f"""
import socket
TCP = socket.create_connection(("127.0.0.1", {port}))
SIX = socket.create_connection(("::1", {port6}))
UNIX = socket.socket(socket.AF_UNIX)
UNIX.connect({str(path)!r})
CLOSED = socket.create_connection(("127.0.0.1", {port}))
CLOSED.close()
LISTENING = socket.create_server(("127.0.0.1", 0))
PAIR = socket.socketpair()
"""
        text = started(site, code)
        unix.close()

    found = [(code, re.sub(r" \(descriptor \d+\)", "", sentence)) for code, sentence in warnings(text)]
    assert found == [
        ("RW0431", f"the app is connected to `127.0.0.1:{port}`"),
        ("RW0431", f"the app is connected to `[::1]:{port6}`"),
        ("RW0431", f"the app is connected to `{path}`"),
    ]


def test_open_files_are_named_but_logs_are_not(site):
    sqlite3.connect(site.server.directory / "data.db").execute("create table t (a)").connection.close()
    (site.server.directory / "table.csv").write_text("a,b\n")
    code = """
import sqlite3
TABLE = open("table.csv")
DATABASE = sqlite3.connect("data.db")
DATABASE.execute("select * from t").fetchall()
LOG = open("app.log", "a")
CLOSED = open("table.csv")
CLOSED.close()
NULL = open("/dev/null", "w")
"""
    text = started(site, code)

    found = [(code, re.sub(r" \(descriptor \d+\)", "", sentence)) for code, sentence in warnings(text)]
    assert found == [
        ("RW0432", f"the app holds the file `{site.server.directory}/table.csv` open"),
        ("RW0432", f"the app holds the SQLite database `{site.server.directory}/data.db` open"),
    ]


def test_held_locks_are_named_where_they_stand(site):
    code = """
import threading
FREE = threading.Lock()
HELD = threading.Lock()
HELD.acquire()
AGAIN = threading.RLock()
AGAIN.acquire()


class Pool:
    def __init__(self):
        self.lock = threading.Lock()
        self.lock.acquire()


POOL = Pool()
SAME = POOL
"""
    text = started(site, code)

    assert sorted(sentence for code, sentence in warnings(text) if code == "RW0433") == sorted(
        f"the lock `uwsgi_file_app.{name}` is held when the app is loaded" for name in ("HELD", "AGAIN", "POOL.lock")
    )


def test_lazy_objects_are_not_woken(site):
    code = """
class Lazy:
    def __getattribute__(self, name):
        raise SystemExit("woken by " + name)


LAZY = Lazy()
"""
    assert warnings(started(site, code)) == []


def test_many_of_a_kind_are_counted(site):
    (site.server.directory / "table.csv").write_text("a,b\n")

    text = started(site, "FILES = [open('table.csv') for _ in range(20)]\n")

    assert len(warnings(text)) == 8
    assert "and 12 more like it" in text


def test_with_lazy_apps_nothing_is_shared(site):
    site.server.set(lazy_apps=True)

    text = started(site, "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n")

    assert warnings(text) == []


def test_they_are_told_again_for_the_code_of_a_reload(site):
    started(site, "")
    mark = site.server.log.mark()
    site.server.install("TABLE = open('app.py')\n" + SOURCE.format(version="2"))

    outcome = site.reload()

    assert outcome.code == 0, outcome
    assert [code for code, _ in warnings(site.server.log.text(mark))] == ["RW0432"]


# What happens at a fork


@pytest.fixture
def reports(site):
    """One report of each worker."""
    site.server.install(HOOKS + REPORT)
    site.server.start()
    found = {}

    def ask():
        report = json.loads(http_client.get(site.port).body)
        found.setdefault(report["pid"], report)

    for _ in range(300):
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(found) == 3:
            break
    assert len(found) == 3, found
    return list(found.values())


def test_fork_hooks_run_in_each_worker(reports):
    for report in reports:
        kinds = [kind for kind, _ in report["hooks"]]
        assert report["own"], "the hook of the child ran in another process"
        assert kinds[0] == "before" and kinds[-1] == "child"
        assert report["hooks"][-1] == ["child", report["pid"]]


@pytest.mark.parametrize("source", ["random", "uuid4", "ssl"])
def test_workers_draw_other_numbers(reports, source):
    assert len({report[source] for report in reports}) == len(reports)
