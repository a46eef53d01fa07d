"""The figures: uWSGI's stats document, Prometheus, probes, the live page; and who reads them."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import chromium, http_client, processes, unprivileged
from support.http_client import connect, receive_all
from support.invariant import Invariant
from support.ports import free_port
from support.server import ROOT
from support.site import Site
from support.waiting import until

APP = """
import os
import select
import time

VERSION = "1"


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/boom":
        raise RuntimeError("boom")
    if path.startswith("/wait"):
        # Until the file is there.
        while not os.path.exists("go"):
            time.sleep(0.01)
    if path.startswith("/takes"):
        time.sleep(float(path.split("/")[2]))
    status = path.split("/")[2] if path.startswith("/status") else "200"
    start_response(status + " Whatever", [("Content-Length", "2"), ("X-Answered-By", str(os.getpid()))])
    return [b"ok"]
"""


class Watched(Site):
    """A site with its figures on TCP."""

    def __init__(self, workshop, program, **options):
        self.stats = f"127.0.0.1:{free_port()}"
        super().__init__(workshop, program, **({"stats": self.stats} | options))

    def write(self, version):
        self.server.install(APP.replace('"1"', f'"{version}"'))

    def figures(self, address=None):
        """The document as it is served without HTTP."""
        return json.loads(self.raw(address))

    def raw(self, address=None):
        with connect(str(address or self.stats)) as stream:
            return receive_all(stream).decode()

    def counted(self, requests):
        """The document in which so many requests are counted: a client has its answer before that."""
        def seen():
            document = self.figures()
            return document if sum(it["requests"] for it in document["workers"]) == requests else None

        return until(seen, lambda: f"{requests} requests in {self.raw()}")

    def http(self, path, accept="*/*", address=None):
        return http_client.get(address or self.stats, path, [("Accept", accept)])


@pytest.fixture
def site(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi)
    site.server.start()
    return site


def shape(value):
    """Keys in their order and types, of lists their first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("options", [{}, {"stats_no_cores": True}, {"enable_metrics": True}, {"stats_minified": True}])
def test_the_document_has_uwsgis_keys_types_and_order(rustwsgi, uwsgi, workshop, options):
    documents, texts = [], []
    for program in (rustwsgi, uwsgi):
        site = Watched(workshop, program, threads=2, memory_report=True, socket="site.sock", **options)
        site.server.start()
        assert site.status() == 200
        site.counted(1)
        text = site.raw()
        texts.append(text)
        documents.append(json.loads(text))

    ours, theirs = documents
    assert theirs.pop("locks") and ours.pop("locks") == []
    assert shape(ours) == shape(theirs)
    if options.get("enable_metrics"):
        # The order of uWSGI's metrics is not one that anybody could rely on: they are looked up by name.
        metrics = [{name: (it["type"], it["oid"]) for name, it in document["metrics"].items()} for document in documents]
        assert metrics[0] == metrics[1]
    ours, theirs = [re.sub(r"(?<=:).*", "", text).split("\n")[1:9] for text in texts]
    assert ours == theirs


def test_it_is_served_on_every_kind_of_socket(rustwsgi, workshop):
    for address in ("stats.sock", f"@stats-{os.getpid()}", f"127.0.0.1:{free_port()}"):
        site = Watched(workshop, rustwsgi, stats=address, vacuum=True)
        site.server.start()
        where = f"{address}\0" if address.startswith("@") else address
        where = site.server.directory / "stats.sock" if address == "stats.sock" else where
        assert site.figures(where)["pid"] == site.server.master
        assert site.server.stop() == 0
        assert not (site.server.directory / "stats.sock").exists()


def test_an_address_in_use_is_said_before_anything_starts(rustwsgi, workshop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = Watched(workshop, rustwsgi, stats=f"127.0.0.1:{taken.getsockname()[1]}")
        outcome = site.server.run("--ini", "uwsgi.ini")

    assert outcome.code != 0 and "RW0301" in outcome.stderr and "uwsgi.ini:" in outcome.stderr
    assert "zygote" not in outcome.text


def test_the_numbers_are_true(site):
    for _ in range(3):
        assert http_client.get(site.port, "/takes/0.1").status == 200
    assert http_client.get(site.port, "/boom").status == 500

    document = site.counted(4)

    workers = document["workers"]
    assert [worker["id"] for worker in workers] == [1, 2]
    assert {worker["pid"] for worker in workers} == set(site.server.workers())
    total = {key: sum(worker[key] for worker in workers) for key in ("requests", "exceptions", "running_time", "tx")}
    assert total["requests"] == 4 and total["exceptions"] == 1
    assert 300_000 <= total["running_time"] < 2_000_000 and total["tx"] > 4 * 50
    for worker in workers:
        assert worker["avg_rt"] == (worker["running_time"] // worker["requests"] if worker["requests"] else 0)
        assert abs(worker["rss"] - processes.rss(worker["pid"])) < 4 << 20 and worker["vsz"] > worker["rss"]
        assert (worker["respawn_count"], worker["harakiri_count"], worker["accepting"]) == (1, 0, 1)
        assert abs(worker["last_spawn"] - time.time()) < 60
        assert worker["requests"] == worker["delta_requests"] == worker["cores"][0]["requests"]
        assert worker["apps"][0]["requests"] == worker["requests"]
    assert (document["uid"], document["gid"], document["cwd"]) == (os.getuid(), os.getgid(), str(site.server.directory))


def test_what_runs_now_is_shown(site):
    with http_client.Connection(site.port) as client:
        client.send(http_client.request_bytes("GET", "/wait?a=%22%00\"\\x", [], b"", "HTTP/1.1"))
        worker = until(lambda: [it for it in site.figures()["workers"] if it["status"] == "busy"], "a busy worker")[0]
        core = worker["cores"][0]
        assert core["in_request"] == 1 and core["vars"][0] == "REQUEST_METHOD=GET" and core["vars"][-1] == ""
        assert core["vars"][1].startswith("REQUEST_URI=/wait?a=%22%00")
        assert abs(core["req_info"]["request_start"] - time.time()) < 10
        (site.server.directory / "go").touch()
        assert client.answer().status == 200
    until(lambda: {it["status"] for it in site.figures()["workers"]} == {"idle"}, "idle workers")


def test_who_waits_is_counted_on_tcp_and_unix_sockets(site):
    site.server.signal(signal.SIGTSTP)
    until(lambda: {it["status"] for it in site.figures()["workers"]} == {"pause"}, "paused workers")
    with ExitStack() as clients:
        for address, count in ((site.port, 3), (str(site.socket), 5)):
            for _ in range(count):
                clients.enter_context(connect(address))
        document = site.figures()

    assert {it["proto"]: (it["queue"], it["max_queue"]) for it in document["sockets"]} == {"http": (3, 100), "uwsgi": (5, 100)}
    assert document["listen_queue"] == document["load"] == 5
    assert [worker["accepting"] for worker in document["workers"]] == [0, 0]
    site.server.signal(signal.SIGTSTP)
    until(lambda: site.figures()["load"] == 0, "an empty queue")


def test_a_number_without_a_process_is_cheap(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, processes=3, cheaper=1, cheaper_initial=1)
    site.server.launch()
    site.server.log.wait_for(r"^ready in")

    workers = site.figures()["workers"]

    assert [(it["status"], it["pid"] > 0) for it in workers] == [("idle", True), ("cheap", False), ("cheap", False)]


COUNTERS = ("requests", "exceptions", "running_time", "tx", "respawn_count", "harakiri_count")


def check_counters(site, respawns, reloads):
    """Samples all the while; returns the last sample."""
    seen = {}

    def sample():
        document = site.figures()
        now = {(it["id"], key): it[key] for it in document["workers"] for key in COUNTERS}
        for it in document["workers"]:
            now |= {(it["id"], "core", core["id"]): core["requests"] for core in it["cores"]}
        back = {key: (seen[key], now[key]) for key in seen if now[key] < seen[key]}
        assert not back, f"went back: {back}"
        seen.update(now)
        return document

    for number in range(respawns + reloads):
        for _ in range(4):
            http_client.get(site.port, "/boom" if number % 2 else "/")
            sample()
        if number < respawns:
            killed = site.server.settle()[0]
            os.kill(killed, signal.SIGKILL)
            until(lambda pid=killed: sample() and pid not in site.server.workers(), "its death")
        else:
            mark = site.server.log.mark()
            site.server.signal(signal.SIGHUP)
            until(lambda since=mark: sample() and site.server.log.count("reload done", since), "a reload")
        site.server.settle()
    site.counted(4 * (respawns + reloads))
    last = sample()
    assert sum(it["exceptions"] for it in last["workers"]) == 4 * ((respawns + reloads) // 2)
    assert sum(it["respawn_count"] for it in last["workers"]) == 2 + respawns + 2 * reloads


def test_counters_never_go_back(site):
    check_counters(site, respawns=4, reloads=3)


@pytest.mark.soak
def test_counters_never_go_back_for_long(site):
    check_counters(site, respawns=50, reloads=20)


def test_harakiri_is_counted(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, harakiri=1, metrics_socket=f"127.0.0.1:{(port := free_port())}")
    site.server.start()
    with connect(site.port) as client:
        client.sendall(http_client.request_bytes("GET", "/wait", [], b"", "HTTP/1.1"))
        receive_all(client)
    until(lambda: sum(it["harakiri_count"] for it in site.figures()["workers"]) == 1, "one harakiri")
    site.server.settle()

    metrics = samples(http_client.get(port, "/metrics").text)
    assert metrics["rustwsgi_harakiri_total", ()] == 1
    assert metrics["rustwsgi_worker_ends_total", (("cause", "harakiri"),)] == 1


@pytest.mark.parametrize("http", [False, True])
def test_readers_that_do_not_read_harm_nobody(rustwsgi, workshop, http):
    site = Watched(workshop, rustwsgi, threads=8, processes=8, stats_http=http, enable_metrics=True)
    site.server.start()
    with Invariant(site.server, site.status, rounds=50), ExitStack() as mutes:
        descriptors = len(processes.descriptors(site.server.master))
        for _ in range(50):
            mute = socket.socket()
            mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            mute.connect(("127.0.0.1", int(site.stats.split(":")[1])))
            mutes.enter_context(mute)
        before = set(site.server.workers())
        mark = site.server.log.mark()
        os.kill(min(before), signal.SIGKILL)
        began = time.monotonic()
        site.server.log.wait_for(r"^Respawned uWSGI worker", mark, timeout=5)
        assert time.monotonic() - began < 0.1
        # There is room for others, and one who reads is served.
        assert (json.loads(site.http("/").body) if http else site.figures())["pid"] == site.server.master
        mutes.close()
        until(lambda: len(processes.descriptors(site.server.master)) <= descriptors + 2, "the mute clients' end")


def test_more_clients_than_places_are_served_one_after_the_other(site):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(site.stats)) for _ in range(200)]
        for client in clients:
            assert json.loads(receive_all(client))["pid"] == site.server.master


def test_hostile_addresses_leave_the_document_valid(site):
    for path in ('/"', "/\\", "/%00", "/\x7f\x80\xff", "/" + "x" * 3000):
        with connect(site.port) as client:
            client.sendall(b"GET " + path.encode("latin-1") + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            site.figures()
            receive_all(client)
        site.figures()


# ---- HTTP


@pytest.fixture
def web(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, stats_http=True)
    site.server.start()
    return site


def test_over_http_it_answers_as_uwsgi_does_whatever_the_path(web):
    for path in ("/", "/anything?a=b"):
        answer = web.http(path)
        assert (answer.status, answer.version) == (200, "HTTP/1.0")
        assert answer.header("content-type") == "application/json"
        assert answer.header("access-control-allow-origin") == "*"
        assert json.loads(answer.body)["pid"] == web.server.master
    with connect(web.stats) as client:
        client.sendall(b"\0nonsense\r\n\r\n")
        assert receive_all(client) == b""


def samples(text):
    """Prometheus' own reading: (name, labels) -> value."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, key
            found[key] = sample.value
    return found


def test_prometheus_reads_the_metrics(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, stats_http=True, metrics_socket="metrics.sock")
    site.server.start()
    for path in ("/", "/takes/0.06", "/status/404", "/status/302", "/boom"):
        http_client.get(site.port, path)
    own = site.server.directory / "metrics.sock"
    answer = site.http("/metrics", address=str(own))
    assert answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    assert site.http("/", address=str(own)).status == 404

    for text in (answer.text, site.http("/metrics").text):
        metrics = samples(text)
        by_class = {labels[0][1]: value for (name, labels), value in metrics.items() if name == "rustwsgi_requests_total"}
        assert by_class == {"none": 0, "1xx": 0, "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1}
        assert metrics["rustwsgi_request_duration_seconds_count", ()] == 5
        assert metrics["rustwsgi_request_duration_seconds_bucket", (("le", "0.05"),)] == 4
        assert metrics["rustwsgi_request_duration_seconds_sum", ()] >= 0.06
        assert metrics["rustwsgi_cores", (("status", "idle"),)] == 2
        assert metrics["rustwsgi_generation", ()] == metrics["rustwsgi_ready", ()] == 1
        assert ("rustwsgi_last_reload_successful", ()) not in metrics

    site.write("2")
    assert site.reload().code == 0
    site.break_code()
    assert site.reload().code != 0
    metrics = samples(site.http("/metrics").text)
    assert metrics["rustwsgi_reloads_total", (("result", "done"),)] == 1
    assert metrics["rustwsgi_reloads_total", (("result", "failed"),)] == 1
    assert metrics["rustwsgi_last_reload_successful", ()] == 0 and metrics["rustwsgi_generation", ()] == 2
    assert metrics["rustwsgi_requests_total", (("status", "2xx"),)] == 2
    until(lambda: samples(site.http("/metrics").text)["rustwsgi_worker_ends_total", (("cause", "finished"),)] == 2, "their end")


def test_promtool_finds_nothing_wrong(web):
    assert web.status() == 200
    os.kill(web.server.master, signal.SIGHUP)
    web.server.log.wait_for("reload done")

    checked = subprocess.run(["promtool", "check", "metrics"], input=web.http("/metrics").body, capture_output=True)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_probes_tell_alive_from_ready(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, stats_http=True, shutdown_delay=30)
    site.server.start()
    assert [site.http(path).status for path in ("/live", "/ready")] == [200, 200]

    site.server.signal(signal.SIGTSTP)
    until(lambda: site.http("/ready").status == 503, "a pause")
    site.server.signal(signal.SIGTSTP)
    until(lambda: site.http("/ready").status == 200, "the end of the pause")
    site.server.signal(signal.SIGTERM)
    until(lambda: site.http("/ready").status == 503, "the stop")

    # It drains: others are to come no more, and requests are served.
    assert site.http("/live").status == 200 and site.status() == 200
    site.server.signal(signal.SIGTERM)
    assert site.server.wait() == 0


def test_a_reload_may_move_it_and_else_keeps_it(web):
    assert web.reload().code == 0
    web.server.log.wait_for(r"stats server enabled")
    assert web.server.log.count("stats server enabled") == 1
    assert json.loads(web.http("/").body)["pid"] == web.server.master
    old, web.stats = web.stats, str(web.server.directory / "stats.sock")
    web.server.set(stats="stats.sock", stats_http=None)

    assert web.reload().code == 0

    assert web.figures()["pid"] == web.server.master
    with pytest.raises(OSError):
        connect(old)
    web.server.set(stats=None)
    assert web.reload().code == 0 and not Path(web.stats).exists()


def test_a_reload_that_fails_leaves_it_as_it_was(web):
    web.server.set(stats="other.sock")
    web.break_code()

    assert web.reload().code != 0

    assert json.loads(web.http("/").body)["pid"] == web.server.master
    assert not (web.server.directory / "other.sock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_is_bound_before_privileges_go(rustwsgi, workshop):
    site = Watched(workshop, rustwsgi, uid="nobody", gid="nogroup", stats="/run/rw-stats-test.sock", chmod_socket="660")
    server = site.server
    program = server.directory / "rustwsgi"
    program.write_bytes(rustwsgi.path.read_bytes())
    program.chmod(0o755)
    server.program = type(rustwsgi)(rustwsgi.kind, program)
    (keep := server.directory / "keep").mkdir()
    server.prefix = unprivileged.open_to_all(keep)
    os.chown(server.directory, unprivileged.NOBODY, unprivileged.NOBODY)
    try:
        site.server.start()
        path = Path("/run/rw-stats-test.sock")
        assert site.figures(path)["uid"] == 65534
        assert path.owner() == "nobody" and path.stat().st_mode & 0o777 == 0o660
        assert site.reload().code == 0 and site.figures(path)["uid"] == 65534
    finally:
        site.server.kill()
        Path("/run/rw-stats-test.sock").unlink(missing_ok=True)


# ---- those who read it


def test_uwsgitop(site):
    """As in a terminal: it shows the numbers of the instance."""
    assert [site.status() for _ in range(7)] == [200] * 7
    program = Path(sys.prefix) / "bin/uwsgitop"
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.environ["COLUMNS"], os.environ["LINES"] = "200", "50"
        os.execv(sys.executable, [sys.executable, str(program), site.stats])
    try:
        shown = b""

        def seen():
            nonlocal shown
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 65536)
            text = re.sub(rb"\x1b[\[(][0-9;?]*[a-zA-Z]", b" ", shown)
            return all(str(pid).encode() in text for pid in site.server.workers()) and text

        text = until(seen, lambda: f"its table: {shown!r}", timeout=15)
        assert b"rustwsgi" in text or b"uwsgi" in text.lower()
        assert str(site.server.directory).encode() in text
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def test_an_exporter_for_uwsgi(web):
    """uwsgi-exporter from PyPI, unchanged: every number it knows, with ours."""
    assert [web.status() for _ in range(5)] == [200] * 5
    port = free_port()
    program = Path(sys.prefix) / "bin/uwsgi_exporter.py"
    exporter = subprocess.Popen(
        [sys.executable, program, "-p", str(port), "--bind_address", "127.0.0.1", "--stats_addr", web.stats],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        def scraped():
            try:
                return http_client.get(port, "/metrics").text
            except OSError:
                return None

        metrics = samples_unchecked(until(scraped, "the exporter", timeout=20))
    finally:
        exporter.kill()
        exporter.wait()
    requests = [value for (name, _), value in metrics.items() if name == "uwsgi_workers_requests"]
    assert len(requests) == 2 and sum(requests) == 5
    assert metrics["uwsgi_listen_queue", ()] == 0
    assert ("uwsgi_sockets_max_queue", (("socket", f"127.0.0.1:{web.port}"),)) in metrics


def samples_unchecked(text):
    families = text_string_to_metric_families(text)
    return {(it.name, tuple(sorted(it.labels.items()))): it.value for family in families for it in family.samples}


def test_the_commands_of_the_page_on_monitoring(rustwsgi, workshop):
    text = (ROOT / "docs/monitoring.md").read_text()
    plain = Watched(workshop, rustwsgi)
    web = Watched(workshop, rustwsgi, stats_http=True, metrics_socket=f"127.0.0.1:{(metrics := free_port())}")
    ran = 0
    for site in (plain, web):
        site.server.start()
    for command in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
        if command.startswith("uwsgitop"):
            continue
        site = plain if command.startswith("python3") else web
        port = site.stats.split(":")[1]
        command = command.replace("9191", port).replace("9192", str(metrics))
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        assert "promtool" in command or done.stdout, command
        ran += 1
    assert ran == 6
    # Every metric that the page names is there.
    served = http_client.get(metrics, "/metrics").text
    for name in set(re.findall(r"rustwsgi_[a-z0-9_]+", text)) - {"rustwsgi_last_reload_successful"}:
        assert f"# TYPE {name} " in served, name


# ---- the page


def test_the_page_is_told_what_happens(web):
    page = web.http("/", accept="text/html,application/xhtml+xml")
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.header("content-security-policy")
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page.text), "the page loads something from elsewhere"

    with connect(web.stats) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        lines = stream.makefile("rb")
        events = (json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
        assert next(events)["stats"]["pid"] == web.server.master
        assert web.status() == 200
        until(lambda: next(events)["life"]["totals"]["requests"] == 1, "the request")


def test_watchers_are_bounded_and_leave_room_for_others(web):
    with ExitStack() as stack:
        heads = []
        for _ in range(20):
            stream = stack.enter_context(connect(web.stats))
            stream.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            heads.append(stream.recv(12))
        assert heads.count(b"HTTP/1.0 200") == 16 and heads.count(b"HTTP/1.0 503") == 4
        assert web.http("/live").status == 200


@pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium")
@pytest.mark.parametrize(("width", "height", "dark"), [(1100, 760, False), (390, 800, True)])
def test_the_page_in_chromium(web, workshop, width, height, dark):
    """A request with markup in its address runs meanwhile: it is shown as text."""
    pictures = Path(os.environ.get("RUSTWSGI_SCREENSHOTS", web.server.directory))
    with connect(web.port) as client, chromium.Chromium(workshop.directory(), width, height) as browser:
        client.sendall(b"GET /wait/<b>bold</b><img/src=x/onerror=document.title='hurt'> HTTP/1.1\r\nHost: a\r\n\r\n")
        browser.open(f"http://{web.stats}/", dark)
        until(lambda: browser.ask("document.getElementById('state').textContent") == "serving", "the page")
        for _ in range(30):
            assert web.status() == 200
        until(lambda: "30 requests" in browser.ask("document.getElementById('life').textContent"), "30 requests")
        shown = browser.ask("document.getElementById('workers').innerHTML")
        assert "GET /wait/&lt;b&gt;bold" in shown and all(f">{pid}<" in shown for pid in web.server.workers())
        assert browser.ask("document.title") == "serving · rustwsgi"
        assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"
        browser.picture(pictures / f"status-{width}.png")
        (web.server.directory / "go").touch()
        until(lambda: "GET" not in browser.ask("document.getElementById('workers').innerHTML"), "the end of the request")
        web.server.kill()
        until(lambda: browser.ask("document.getElementById('state').textContent") == "not reachable", "the end")
