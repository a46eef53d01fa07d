"""Every test app under `wsgiref.validate`, which checks both sides of PEP 3333 while they talk."""

import pytest

from support import http_client, uwsgi_client
from support.invariant import Invariant
from support.ports import free_port

WRAPPED = '''
import sys
from wsgiref.validate import validator
sys.path.insert(0, ".")
import {module}
def typed(environ, start_response):
    """The app with the Content-Type that a validator insists on, where it has none."""
    def start(status, headers, *more):
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers = [*headers, ("Content-Type", "text/plain")]
        return start_response(status, headers, *more)
    return {module}.application(environ, start)
application = validator(typed)
'''

# Beside the path: what goes with the request, and the status.
GOOD = {
    "hello": {"/": {}, "/x": {"query": "a=b"}},
    "where": {"/": {}},
    "mounted": {"/a/b": {}, "/": {"SCRIPT_NAME": "/mounted"}},
    "failing": {"/slow-body": {}, "/steps": {}, "/endless": {}, "/writes": {}, "/facts": {}, "/headers": {}},
    "cases": {
        path: {}
        for path in (
            "/closed",
            "/pid",
            "/environ-types",
            "/one-chunk",
            "/several-chunks",
            "/tuple-of-chunks",
            "/generator",
            "/late-start",
            "/empty-ok",
            "/only-empty-chunks",
            "/many-headers",
            "/odd-status",
            "/redirect",
            "/written",
            "/big",
            "/file-object",
            "/noted",
            "/errors",
            "/ignore-input",
            "/no-such-case",
        )
    }
    | {"/digest": {"method": "POST", "body": b"x" * 100_000}},
}
CASES = [(module, path) for module, paths in GOOD.items() for path in paths]
BAD = ["/returns-a-number", "/yields-text", "/start-twice", "/bad-head/status-is-bytes", "/bad-head/value-is-a-number"]


@pytest.fixture(scope="module")
def servers(rustwsgi, shared_workshop):
    """A server for each app, started when it is first asked for."""
    started = {}

    def server(module):
        if module not in started:
            server = shared_workshop.server(rustwsgi, WRAPPED.format(module=module), threads=2)
            server.install(f"{module}.py", f"{module}.py")
            server.port = free_port()
            server.set(socket=server.directory / "site.sock", http_socket=f"127.0.0.1:{server.port}")
            started[module] = server.start()
        return started[module]

    return server


@pytest.mark.parametrize(("module", "path"), CASES)
def test_nothing_is_objected_to(servers, module, path):
    server, request = servers(module), GOOD[module][path]
    mark = server.log.mark()

    answer = uwsgi_client.request(str(server.directory / "site.sock"), path, **request)
    over_http = http_client.post if request.get("body") else http_client.get
    args = [request["body"]] if request.get("body") else []
    other = over_http(server.port, path, *args)

    assert answer.status < 500 and answer.status == other.status
    assert server.log.count("Assertion|Traceback|Warning", mark) == 0, server.log.text(mark)[-2000:]


@pytest.mark.parametrize("path", BAD)
def test_the_validator_itself_objects_to_misuse(servers, path):
    server = servers("cases")

    with Invariant(server, lambda: uwsgi_client.request(str(server.directory / "site.sock"), "/one-chunk").status):
        assert uwsgi_client.request(str(server.directory / "site.sock"), path).status == 500
