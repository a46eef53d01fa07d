"""`wsgi.file_wrapper`: files by the kernel and by reading, from where they stand, closed once."""

import pytest

from support import http_client, uwsgi_client
from support.invariant import Invariant
from support.ports import free_port

APP = '''
import gzip, io, os, tempfile
CLOSED = []
DATA = b"0123456789" * 50000
with open("data", "wb") as out: out.write(DATA)
with gzip.open("data.gz", "wb") as out: out.write(DATA)

class Closing:
    def __init__(self, file): self.file = file
    def read(self, size=-1): return self.file.read(size)
    def close(self): CLOSED.append("file"); self.file.close()

def application(environ, start_response):
    wrap, path = environ["wsgi.file_wrapper"], environ["PATH_INFO"]
    def ok(*headers): start_response("200 OK", [("Content-Type", "text/plain"), *headers])
    if path == "/whole":
        ok(); return wrap(open("data", "rb"))
    if path == "/length":
        ok(("Content-Length", "500000")); return wrap(open("data", "rb"), 4096)
    if path == "/position":
        ok(("Content-Length", "10")); file = open("data", "rb"); file.seek(499990); return wrap(file)
    if path == "/buffered-position":
        ok(); file = open("data", "rb"); file.read(5); return wrap(file)
    if path == "/first-bytes":
        ok(("Content-Length", "7")); return wrap(open("data", "rb"))
    if path == "/too-short":
        ok(("Content-Length", "500001")); return wrap(open("data", "rb"))
    if path == "/unbuffered":
        ok(); return wrap(open("data", "rb", buffering=0))
    if path == "/bytesio":
        ok(); return wrap(io.BytesIO(DATA))
    if path == "/gzip":
        ok(); return wrap(gzip.open("data.gz", "rb"))
    if path == "/pipe":
        ok(); reader, writer = os.pipe(); os.write(writer, b"piped"); os.close(writer)
        return wrap(os.fdopen(reader, "rb"))
    if path == "/unflushed":
        ok(); file = tempfile.TemporaryFile(); file.write(b"not flushed"); file.seek(0); return wrap(file)
    if path == "/at-the-end":
        ok(); file = open("data", "rb"); file.seek(0, 2); return wrap(file)
    if path == "/closed-file":
        ok(); file = open("data", "rb"); file.close(); return wrap(file)
    if path == "/iterated":
        ok(); return (block for block in wrap(open("data", "rb")))
    if path == "/closing":
        ok(); return wrap(Closing(open("data", "rb")))
    if path == "/not-a-file":
        try: wrap(object())
        except AttributeError: ok(); return [b"refused"]
    if path == "/fds":
        ok(); return [str(len(os.listdir("/proc/self/fd"))).encode()]
    ok(); return [str(len(CLOSED)).encode()]
'''

DATA = b"0123456789" * 50000
BODIES = {
    "/whole": DATA,
    "/length": DATA,
    "/position": b"0123456789",
    "/buffered-position": DATA[5:],
    "/first-bytes": b"0123456",
    "/unbuffered": DATA,
    "/bytesio": DATA,
    "/gzip": DATA,
    "/pipe": b"piped",
    "/unflushed": b"not flushed",
    "/at-the-end": b"",
    "/iterated": DATA,
    "/closing": DATA,
    "/not-a-file": b"refused",
}


@pytest.fixture(scope="module", params=[0, 1], ids=["by-the-core", "offloaded"])
def server(request, rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, APP, offload_threads=request.param)
    server.port = free_port()
    server.set(socket=server.directory / "site.sock", http_socket=f"127.0.0.1:{server.port}")
    return server.start()


@pytest.mark.parametrize("path", BODIES)
def test_both_doors_give_the_bytes(server, path):
    address = str(server.directory / "site.sock")

    assert uwsgi_client.request(address, path).body == BODIES[path]
    with http_client.Connection(server.port) as connection:
        for method in ("GET", "HEAD", "GET"):
            answer = connection.request(method, path)
            assert answer.status == 200
            assert answer.body == (b"" if method == "HEAD" else BODIES[path])


def test_files_are_closed_once_and_none_is_left_open(server):
    def ask(path):
        return uwsgi_client.request(str(server.directory / "site.sock"), path)

    with Invariant(server, lambda: ask("/").status):
        ask("/whole")
        closed, fds = int(ask("/").body), int(ask("/fds").body)
        for _ in range(20):
            for path in ("/closing", "/whole", "/gzip", "/closed-file", "/too-short"):
                ask(path)
        assert int(ask("/").body) == closed + 20
        assert int(ask("/fds").body) <= fds


def test_what_can_not_be_read_is_a_500(server):
    assert uwsgi_client.request(str(server.directory / "site.sock"), "/closed-file").status == 500


def test_a_file_shorter_than_its_length_breaks_the_connection(server):
    mark = server.log.mark()
    with http_client.Connection(server.port) as connection:
        connection.send(http_client.request_bytes("GET", "/too-short"))
        with pytest.raises((AssertionError, ConnectionResetError)):
            connection.answer()
    server.log.wait_for("shorter than its Content-Length", mark)
