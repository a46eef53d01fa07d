"""Django, Flask and Bottle give the same over the uwsgi protocol and over HTTP, byte for byte."""

import pytest

from support import http_client, uwsgi_client
from support.invariant import Invariant
from support.ports import free_port

BOUNDARY = "a-boundary"
UPLOAD = (
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nGrüße\r\n"
    f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"upload\"; filename=\"u.bin\"\r\n"
    f"Content-Type: application/octet-stream\r\n\r\n{'x' * 300_000}\r\n--{BOUNDARY}--\r\n"
).encode()
PAGES = {
    "html": ("GET", "/html", {}, b""),
    "json": ("GET", "/json?a=1&b=%C3%A9", {}, b""),
    "form": ("POST", "/form", {"Content-Type": "application/x-www-form-urlencoded"}, b"name=value&other=%20"),
    "upload": ("POST", "/form", {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}, UPLOAD),
    "cookies": ("GET", "/cookies", {"Cookie": "seen=yes"}, b""),
    "download": ("GET", "/download", {}, b""),
    "part": ("GET", "/download", {"Range": "bytes=100-299"}, b""),
    "stream": ("GET", "/stream", {}, b""),
    "empty": ("GET", "/empty", {}, b""),
    "head": ("HEAD", "/html", {}, b""),
    "head-download": ("HEAD", "/download", {}, b""),
    "absent": ("GET", "/absent", {}, b""),
    "method": ("DELETE", "/html", {}, b""),
    "fail": ("GET", "/fail", {}, b""),
}
# What is of this connection alone, or of this moment.
OWN = {"connection", "transfer-encoding", "date", "keep-alive"}


@pytest.fixture(scope="module", params=["django", "flask", "bottle"])
def server(request, rustwsgi, shared_workshop, venv):
    pytest.importorskip(request.param)
    server = shared_workshop.server(rustwsgi, threads=2, home=venv)
    server.install("frameworks.py", "frameworks.py")
    server.port = free_port()
    server.set(
        socket=server.directory / "site.sock",
        http_socket=f"127.0.0.1:{server.port}",
        module=f"frameworks:in_{request.param}()",
    )
    return server.start()


def over_uwsgi(server, method, target, headers, body):
    path, _, query = target.partition("?")
    variables = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    kind = variables.pop("HTTP_CONTENT_TYPE", "")
    return uwsgi_client.request(
        str(server.directory / "site.sock"), path, method, query, body, CONTENT_TYPE=kind, **variables
    )


def over_http(server, method, target, headers, body):
    with http_client.Connection(server.port) as connection:
        return connection.request(method, target, list(headers.items()), body)


def kept(answer):
    """The headers that both doors must have alike. HTTP says the length where the app left it open."""
    return sorted((name.lower(), value) for name, value in answer.headers if name.lower() not in OWN)


@pytest.mark.parametrize("page", PAGES)
def test_both_doors_give_the_same(server, page):
    method, target, headers, body = PAGES[page]

    first, second = over_uwsgi(server, *PAGES[page]), over_http(server, *PAGES[page])

    assert (first.status, first.body) == (second.status, second.body)
    theirs, ours = kept(first), kept(second)
    if "content-length" not in dict(theirs):
        ours = [pair for pair in ours if pair[0] != "content-length"]
    assert theirs == ours
    assert first.status in {"empty": [204], "absent": [404], "method": [405, 200], "fail": [500], "part": [206, 200]}.get(
        page, [200]
    )
    if method == "HEAD":
        assert first.body == b""


def test_an_upload_arrives_whole(server):
    with Invariant(server, lambda: over_uwsgi(server, *PAGES["html"]).status):
        for ask in (over_uwsgi, over_http):
            assert b"300000" in ask(server, *PAGES["upload"]).body
