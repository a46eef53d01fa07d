"""Static files: what is served and what is not, conditions, ranges, and clients that take their time."""

import gzip
import json
import os
import socket
import time

import pytest

from support import http_client, uwsgi_client
from support.http_client import connect, receive_all
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import until

BIG = bytes(range(256)) * 65536


def lay_out(server):
    """A site's files, and what must never be served."""
    files = server.directory / "files"
    (files / "sub").mkdir(parents=True)
    (files / "a.css").write_text("body { color: red }")
    (files / "a.css.gz").write_bytes(gzip.compress(b"body { color: red }"))
    (files / "plain.unknown").write_text("no type")
    (files / "empty.txt").write_text("")
    (files / "sub/index.html").write_text("<p>index")
    (files / "big.bin").write_bytes(BIG)
    (files / "app.py").write_text("secret = 1")
    (files / "späße.txt").write_text("utf-8")
    (server.directory / "secret.txt").write_text("secret")
    (server.directory / "shared").mkdir()
    (server.directory / "shared/s.txt").write_text("shared")
    (files / "escape.txt").symlink_to("../secret.txt")
    (files / "escape").symlink_to("..")
    (files / "shared").symlink_to("../shared")
    (files / "within.css").symlink_to("a.css")
    os.mkfifo(files / "fifo")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(files / "socket"))
    return files


@pytest.fixture
def serve(rustwsgi, workshop):
    """Starts a site with static files; returns a function that asks it over the uwsgi protocol."""

    def serve(app="hello.py", **options):
        server = workshop.server(rustwsgi, app)
        files = lay_out(server)
        server.port = free_port()
        server.set(socket=server.directory / "site.sock", http_socket=f"127.0.0.1:{server.port}", **options)
        server.start()

        def ask(path, method="GET", **more):
            return uwsgi_client.request(str(server.directory / "site.sock"), path, method, **more)

        ask.server, ask.files, ask.app = server, files, ask("/app").body
        return ask

    return serve


def test_files_below_the_path_are_served_with_what_is_known_of_them(serve):
    ask = serve(static_map="/static=files")

    answer = ask("/static/a.css")

    assert (answer.status, answer.body) == (200, b"body { color: red }")
    assert answer.header("Content-Type") == "text/css"
    assert answer.header("Content-Length") == "19"
    assert answer.header("Last-Modified").endswith(" GMT") and answer.header("ETag")
    assert ask("/static/plain.unknown").header("Content-Type") is None
    assert ask("/static/empty.txt").body == b"" and ask("/static/empty.txt").header("Content-Length") == "0"
    assert ask("/static/späße.txt".encode().decode("latin-1")).body == b"utf-8"
    assert ask("/static/within.css").body == answer.body
    mark = ask.server.log.mark()
    head = ask("/static/a.css", "HEAD")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", "19")
    ask.server.log.wait_for(r"\|app: -1\|.*HEAD /static/a.css => generated 0 bytes", mark)


@pytest.mark.parametrize(
    "path",
    [
        "/statica.css",
        "/static",
        "/static/",
        "/static/sub",
        "/static/absent",
        "/static/a.css/",
        "/static/../secret.txt",
        "/static/sub/../../secret.txt",
        "/static/./../secret.txt",
        "/static//../secret.txt",
        "/static/..%2fsecret.txt",
        "/static/escape.txt",
        "/static/escape/secret.txt",
        "/static/escape/files/../secret.txt",
        "/static/shared/s.txt",
        "/static/fifo",
        "/static/socket",
        "/static/a.css\0",
        "/static/" + "x" * 5000,
        "/a.css",
    ],
)
def test_all_else_is_left_to_the_app(serve, path):
    ask = serve(static_map="/static=files")

    with Invariant(ask.server, lambda: ask("/static/a.css").status):
        assert ask(path).body == ask.app
        assert ask("/static/a.css", "POST").body == ask.app


def test_the_other_ways_to_name_files(serve, workshop):
    ask = serve(
        check_static="files", static_map=["/one.css=files/a.css", "/s/=files/"], static_map2="/sub=files",
        static_index="index.html", static_skip_ext=".py", static_safe="shared",
    )

    assert ask("/a.css").body == ask("/one.css").body == ask("/s/a.css").body == b"body { color: red }"
    assert ask("/sub/index.html").body == ask("/sub/").body == b"<p>index"
    assert ask("/app.py").body == ask.app
    assert ask("/shared/s.txt").body == b"shared"
    assert ask("/escape.txt").body == ask.app

    ask = serve(check_static_docroot=True)
    assert ask("/a.css", DOCUMENT_ROOT=str(ask.files)).status == 200
    assert ask("/a.css", DOCUMENT_ROOT=str(ask.files)).body == b"body { color: red }"
    assert ask("/a.css", DOCUMENT_ROOT="").body == ask.app


def test_conditions_and_ranges(serve):
    ask = serve(static_map="/static=files")
    whole = ask("/static/a.css")
    tag, changed = whole.header("ETag"), whole.header("Last-Modified")

    for condition in ({"HTTP_IF_NONE_MATCH": tag}, {"HTTP_IF_MODIFIED_SINCE": changed}):
        answer = ask("/static/a.css", **condition)
        assert (answer.status, answer.body, answer.header("ETag")) == (304, b"", tag)
        assert answer.header("Content-Length") is None
    assert ask("/static/a.css", HTTP_IF_NONE_MATCH='"other"').status == 200
    assert ask("/static/a.css", HTTP_IF_MATCH='"other"').status == 412

    part = ask("/static/a.css", HTTP_RANGE="bytes=5-10")
    assert (part.status, part.body, part.header("Content-Range")) == (206, b"{ colo", "bytes 5-10/19")
    assert ask("/static/a.css", HTTP_RANGE="bytes=-3").body == b"d }"[-3:]
    past = ask("/static/a.css", HTTP_RANGE="bytes=19-")
    assert (past.status, past.header("Content-Range"), past.body) == (416, "bytes */19", b"")
    assert ask("/static/a.css", HTTP_RANGE="bytes=0-1", HTTP_IF_RANGE='"other"').status == 200
    assert ask("/static/a.css", "HEAD", HTTP_RANGE="bytes=0-1").header("Content-Length") == "2"

    ask = serve(static_map="/static=files", honour_range=False)
    assert ask("/static/a.css", HTTP_RANGE="bytes=5-10").status == 200


def test_packed_forms_types_and_expiry(serve):
    ask = serve(
        static_map="/static=files", static_gzip_ext=".css", mimefile="files/types",
        static_expires=r"\.css$ 3600", static_expires_type="x/odd=60",
    )
    answer = ask("/static/a.css", HTTP_ACCEPT_ENCODING="deflate, gzip")
    assert gzip.decompress(answer.body) == b"body { color: red }"
    assert (answer.header("Content-Encoding"), answer.header("Content-Type")) == ("gzip", "text/css")
    assert ask("/static/a.css").header("Vary") == "Accept-Encoding"
    assert ask("/static/a.css", HTTP_ACCEPT_ENCODING="gzip;q=0").header("Content-Encoding") is None
    (ask.files / "a.css.br").write_bytes(b"brotli")
    assert ask("/static/a.css", HTTP_ACCEPT_ENCODING="gzip, br").body == b"brotli"
    assert ask("/static/a.css").header("Expires") and not ask("/static/big.bin", "HEAD").header("Expires")
    assert "files/types" in ask.server.log.text(), "a file of types that is not there is not mentioned"


@pytest.mark.parametrize(("mode", "header"), [("x-sendfile", "X-Sendfile"), ("x-accel-redirect", "X-Accel-Redirect")])
def test_the_front_end_may_send_the_files(serve, mode, header):
    ask = serve(static_map="/static=files", file_serve_mode=mode)

    answer = ask("/static/a.css")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.header(header) == str((ask.files / "a.css").resolve())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("static_map", "static=files"),
        ("static_map", "/static"),
        ("static_expires", "( 60"),
        ("static_expires", r"\.css$ soon"),
        ("static_expires_type", "text/css"),
        ("static_gzip", "["),
        ("file_serve_mode", "other"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(rustwsgi, workshop, option, value):
    server = workshop.server(rustwsgi, "hello.py", **{option: value})
    server.set(socket=server.directory / "site.sock")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code != 0 and "RW0103" in outcome.text and "uwsgi.ini:" in outcome.text


# slow clients


def slow(server, path="/static/big.bin"):
    """A connection that asked for the big file over HTTP and takes none of it yet."""
    stream = connect(server.port)
    stream.sendall(http_client.request_bytes("GET", path))
    return stream


@pytest.mark.parametrize("threads", [1, 2])
def test_slow_downloads_hold_no_core(serve, threads):
    ask = serve(static_map="/static=files", threads=threads, socket_timeout=120)

    with Invariant(ask.server, lambda: ask("/app").status):
        clients = [slow(ask.server) for _ in range(12)]
        began = time.monotonic()
        for _ in range(20):
            assert ask("/app").body == ask.app
        assert time.monotonic() - began < 5
        for client in clients:
            with client:
                connection = http_client.Connection.__new__(http_client.Connection)
                connection.stream, connection.rest = client, b""
                assert connection.answer().body == BIG


def test_a_connection_lives_on_after_a_slow_download(serve):
    ask = serve(static_map="/static=files")
    with http_client.Connection(ask.server.port) as connection:
        for path, body in (("/static/big.bin", BIG), ("/static/a.css", b"body { color: red }"), ("/app", ask.app)) * 3:
            assert connection.request("GET", path).body == body


def test_a_client_that_takes_nothing_is_given_up(serve):
    ask = serve(static_map="/static=files", socket_timeout=1)
    with slow(ask.server) as stream:
        def is_cut():
            try:
                stream.send(b"", socket.MSG_DONTWAIT)
                return stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            except OSError:
                return True
        until(is_cut, "the connection to be reset", 5)


def test_a_reload_finishes_downloads(serve):
    ask = serve(static_map="/static=files", pidfile="site.pid", socket_timeout=20)
    with slow(ask.server) as stream:
        first = stream.recv(1000)
        mark = ask.server.log.mark()
        process = ask.server.program
        outcome = process.run("--reload", "site.pid", "--no-wait", cwd=ask.server.directory)
        assert outcome.code == 0
        ask.server.log.wait_for(r"spawned uWSGI worker 1", mark)
        whole = first
        while len(whole.partition(b"\r\n\r\n")[2]) < len(BIG):
            part = stream.recv(1 << 16)
            assert part, "the download was cut"
            whole += part
        assert whole.partition(b"\r\n\r\n")[2] == BIG


def test_a_file_that_shrinks_breaks_the_connection(serve):
    ask = serve(static_map="/static=files", socket_timeout=20)
    with slow(ask.server) as stream:
        stream.recv(1000)
        os.truncate(ask.files / "big.bin", 0)
        assert len(receive_all(stream)) < len(BIG)
    assert ask("/app").body == ask.app


# what an app sends


def test_file_wrapper_leaves_slow_clients_to_the_offload_threads(serve):
    app = """
import os, threading
CLOSED = []
class Noted:
    def __init__(self, file): self.file = file; self.read = file.read; self.fileno = file.fileno; self.tell = file.tell
    def close(self): CLOSED.append(1); self.file.close()
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/closed":
        return [str(len(CLOSED)).encode()]
    if environ["PATH_INFO"] == "/file":
        return environ["wsgi.file_wrapper"](Noted(open("files/big.bin", "rb")))
    return [b"ok"]
"""
    ask = serve(app, offload_threads=1, socket_timeout=120)
    clients = [slow(ask.server, "/file") for _ in range(10)]

    assert ask("/app").body == b"ok"
    until(lambda: ask("/closed").body == b"10", "all ten files to be closed")
    for client in clients:
        with client:
            connection = http_client.Connection.__new__(http_client.Connection)
            connection.stream, connection.rest = client, b""
            assert connection.answer().body == BIG
    assert ask("/file").body == BIG
