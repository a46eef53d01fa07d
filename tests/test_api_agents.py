"""Monitoring agents from PyPI, unmodified: what they ask of `import uwsgi`, and that their data arrives."""

import gzip
import http.server
import threading
import zlib

import pytest

from support import http_client
from support.site import Site
from support.waiting import until

LAZY = pytest.mark.parametrize("lazy", [None, True], ids=["preload", "lazy-apps"])


class Collector(http.server.ThreadingHTTPServer):
    """Takes whatever agents send, and keeps it as text."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Take)
        self.taken = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Take(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        encoding = self.headers.get("Content-Encoding")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        self.server.taken.append(body.decode(errors="replace"))
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.shutdown()
    collector.server_close()


@pytest.fixture
def site(rustwsgi, workshop, venv):
    return Site(workshop, rustwsgi, threads=2, home=venv)


SENTRY = """
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware

sentry_sdk.init(dsn="http://key@{address}/1", default_integrations=True)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("seen by sentry")
    start_response("200 OK", [])
    return [b"ok"]


application = SentryWsgiMiddleware(app)
"""


@LAZY
def test_sentry(site, collector, lazy):
    site.server.install(SENTRY.format(address=collector.address))
    site.server.set(lazy_apps=lazy)
    site.server.start()
    http_client.get(site.port, "/fails")
    until(lambda: any("seen by sentry" in text for text in collector.taken), lambda: f"an event: {collector.taken}")
    assert "IMPORTANT" not in site.server.log.text() and "enable-threads" not in site.server.log.text()


ELASTIC = """
import elasticapm

client = elasticapm.Client(service_name="shop", server_url="http://{address}", metrics_interval="0ms",
                           central_config=False, cloud_provider="none", api_request_time="100ms")


def application(environ, start_response):
    client.capture_message("seen by elastic")
    start_response("200 OK", [])
    return [b"ok"]
"""


@LAZY
def test_elastic_apm(site, collector, lazy):
    site.server.install(ELASTIC.format(address=collector.address))
    site.server.set(lazy_apps=lazy)
    site.server.start()

    def seen():
        # The agent's queue remembers a thread of before the fork: the first event alone may wait for the next.
        assert http_client.get(site.port, "/").status == 200
        return any("seen by elastic" in text for text in collector.taken)

    until(seen, lambda: f"an event: {collector.taken}\n{site.server.log.text()[-3000:]}", 20)


PROMETHEUS = """
import uwsgi
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess, values

values.ValueClass = values.MultiProcessValue(process_identifier=uwsgi.worker_id)
VISITS = Counter("visits", "requests of the site")


def application(environ, start_response):
    VISITS.inc()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_response("200 OK", [])
    return [generate_latest(registry)]
"""


@LAZY
def test_prometheus_in_several_processes(site, lazy):
    place = site.server.directory / "metrics"
    place.mkdir()
    site.server.install(PROMETHEUS)
    site.server.set(lazy_apps=lazy, env=f"PROMETHEUS_MULTIPROC_DIR={place}")
    site.server.start()
    for number in range(1, 21):
        assert f"visits_total {number}.0" in http_client.get(site.port, "/").text
    assert {path.name for path in place.iterdir()} <= {f"counter_{worker}.db" for worker in (0, 1, 2)}
