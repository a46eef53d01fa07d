"""One small WSGI app per path: the table that the WSGI tests and the comparison with uWSGI run through."""

import ctypes
import hashlib
import io
import json
import os
import sys
import tempfile
import threading
import time

CASES = {}
TEXT = [("Content-Type", "text/plain")]
CLOSED = []


def case(function):
    """Serves the function at `/its-name`."""
    CASES["/" + function.__name__.replace("_", "-")] = function
    return function


def application(environ, start_response):
    """Picks the case by path."""
    chosen = CASES.get(environ["PATH_INFO"])
    if chosen is None:
        start_response("404 Not Found", TEXT)
        return [b"no such case"]
    return chosen(environ, start_response)


def answer(start_response, value):
    """Answers with JSON."""
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class Noted:
    """An iterable that notes how often it was closed."""

    def __init__(self, name, chunks, fail_in_close=False):
        self.name, self.chunks, self.fail_in_close = name, iter(chunks), fail_in_close

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.chunks)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self):
        CLOSED.append(self.name)
        if self.fail_in_close:
            raise RuntimeError("close failed on purpose")


# What the server is asked about itself.


@case
def closed(environ, start_response):
    return answer(start_response, CLOSED)


@case
def pid(environ, start_response):
    return answer(start_response, os.getpid())


@case
def environ_types(environ, start_response):
    return answer(start_response, {key: [type(value).__name__, str(value)] for key, value in environ.items()})


@case
def environ_is_a_dict_of_its_own(environ, start_response):
    was = "seen" in environ
    environ["seen"] = "yes"
    return answer(start_response, [type(environ) is dict, was])


@case
def main_thread(environ, start_response):
    return answer(start_response, threading.current_thread().name)


# Input.


@case
def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]


@case
def digest(environ, start_response):
    total, sha = 0, hashlib.sha256()
    while chunk := environ["wsgi.input"].read(65536):
        total += len(chunk)
        sha.update(chunk)
    return answer(start_response, [total, sha.hexdigest()])


@case
def read_in_pieces(environ, start_response):
    stream = environ["wsgi.input"]
    pieces = [stream.read(1), stream.read(3), stream.readline(), stream.read(), stream.read(), stream.read(5)]
    return answer(start_response, [piece.decode() for piece in pieces])


@case
def read_lines(environ, start_response):
    stream = environ["wsgi.input"]
    first, rest = stream.readline(), stream.readlines()
    return answer(start_response, [first.decode(), [line.decode() for line in rest], stream.readline().decode()])


@case
def iterate_input(environ, start_response):
    return answer(start_response, [line.decode() for line in environ["wsgi.input"]])


@case
def read_into(environ, start_response):
    target = bytearray(4)
    taken = []
    while count := environ["wsgi.input"].readinto(target):
        taken.append(bytes(target[:count]).decode())
    return answer(start_response, "".join(taken))


@case
def read_error(environ, start_response):
    try:
        body = environ["wsgi.input"].read()
    except OSError as error:
        print("read failed:", type(error).__name__, flush=True)
        raise
    print("read came back with", len(body), flush=True)
    start_response("200 OK", TEXT)
    return [body]


@case
def ignore_input(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    return [b"ignored"]


# Output.


@case
def one_chunk(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one chunk"]


@case
def several_chunks(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one ", b"", b"two ", b"three"]


@case
def tuple_of_chunks(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"a", b"tuple")


@case
def generator(environ, start_response):
    start_response("200 OK", TEXT)
    for number in range(5):
        yield f"{number}\n".encode()


@case
def late_start(environ, start_response):
    """Calls start_response only when the body is asked for."""
    start_response("201 Created", TEXT)
    yield b"late"


@case
def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


@case
def empty_ok(environ, start_response):
    start_response("200 OK", [("X-Empty", "yes")])
    return []


@case
def only_empty_chunks(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"", b""]


@case
def many_headers(environ, start_response):
    headers = [(f"X-Number-{number}", "v" * number) for number in range(100)]
    start_response("200 OK", [*headers, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"headers"]


@case
def latin1_header(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-Latin", "caf\xe9")])
    return [b"latin-1"]


@case
def odd_status(environ, start_response):
    start_response("418 I'm a teapot", TEXT)
    return [b"short and stout"]


@case
def redirect(environ, start_response):
    start_response("302 Found", [("Location", "/elsewhere"), ("Content-Length", "0")])
    return []


@case
def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    write(b"twice ")
    return [b"and returned"]


@case
def big(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [bytes(range(256)) * 4096 for _ in range(4)]


@case
def file_object(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b"0123456789" * 2000)
    file.seek(0)
    start_response("200 OK", [("Content-Length", "20000")])
    return environ["wsgi.file_wrapper"](file, 4096)


@case
def file_without_descriptor(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789"), 4)


@case
def file_from_position(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b"0123456789")
    file.seek(4)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


@case
def file_closed(environ, start_response):
    """As Django does it: the file's own close is replaced, and must be called."""
    file = tempfile.TemporaryFile()
    file.write(b"closed")
    file.seek(0)
    wrapped = environ["wsgi.file_wrapper"](file, 4096)
    really = file.close

    def close():
        CLOSED.append("file")
        really()

    file.close = close
    start_response("200 OK", TEXT)
    return wrapped


@case
def streamed(environ, start_response):
    start_response("200 OK", TEXT)

    def chunks():
        for number in range(5):
            yield f"part {number}\n".encode()
            time.sleep(0.2)

    return chunks()


@case
def too_long(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return [b"12345", b"6789"]


@case
def too_short(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "50")])
    return [b"12345"]


# close() and failures.


@case
def noted(environ, start_response):
    start_response("200 OK", TEXT)
    return Noted("noted", [b"a", b"b"])


@case
def noted_endless(environ, start_response):
    start_response("200 OK", TEXT)
    return Noted("endless", iter(lambda: b"x" * 65536, None))


@case
def raise_at_once(environ, start_response):
    raise ValueError("at once, on purpose")


@case
def raise_after_start(environ, start_response):
    start_response("200 OK", TEXT)
    raise ValueError("after start, on purpose")


@case
def raise_in_first(environ, start_response):
    start_response("200 OK", TEXT)
    return Noted("first", [ValueError("in first, on purpose")])


@case
def raise_in_later(environ, start_response):
    start_response("200 OK", TEXT)
    return Noted("later", [b"part of it", ValueError("in later, on purpose")])


@case
def raise_after_write(environ, start_response):
    start_response("200 OK", TEXT)(b"part of it")
    raise ValueError("after write, on purpose")


@case
def raise_in_close(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "8")])
    return Noted("close", [b"complete"], fail_in_close=True)


@case
def system_exit(environ, start_response):
    sys.exit("leaving on purpose")


@case
def keyboard_interrupt(environ, start_response):
    raise KeyboardInterrupt


@case
def hard_exit(environ, start_response):
    os._exit(3)


@case
def segfault(environ, start_response):
    ctypes.string_at(0)


@case
def exc_info_replaces(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    try:
        raise KeyError("replaced")
    except KeyError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"replaced"]


@case
def exc_info_after_body(environ, start_response):
    start_response("200 OK", TEXT)(b"part of it")
    try:
        raise KeyError("reraised on purpose")
    except KeyError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"never reached"]


@case
def start_twice(environ, start_response):
    start_response("200 OK", TEXT)
    start_response("201 Created", TEXT)
    return [b"twice"]


@case
def never_started(environ, start_response):
    return [b"no start_response"]


@case
def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


@case
def returns_a_number(environ, start_response):
    start_response("200 OK", TEXT)
    return 42


@case
def yields_text(environ, start_response):
    start_response("200 OK", TEXT)
    return ["text, not bytes"]


def bad_head(name, status, headers):
    """Adds a case whose start_response call can't be honoured."""

    def misuse(environ, start_response):
        start_response(status, headers)
        return [b"must not be seen"]

    CASES[f"/bad-head/{name}"] = misuse


bad_head("newline-in-value", "200 OK", [("X-Split", "a\r\nX-Injected: yes")])
bad_head("bare-newline-in-value", "200 OK", [("X-Split", "a\nX-Injected: yes")])
bad_head("newline-in-name", "200 OK", [("X-Split\r\nX-Injected", "yes")])
bad_head("nul-in-value", "200 OK", [("X-Split", "a\0b")])
bad_head("newline-in-status", "200 OK\r\nX-Injected: yes", [])
bad_head("status-without-number", "abc", [])
bad_head("status-is-a-number", 200, [])
bad_head("status-is-bytes", b"200 OK", [])
bad_head("headers-are-a-tuple", "200 OK", (("X-A", "b"),))
bad_head("header-is-a-list", "200 OK", [["X-A", "b"]])
bad_head("value-is-a-number", "200 OK", [("X-A", 1)])
bad_head("value-is-bytes", "200 OK", [("X-A", b"b")])
bad_head("value-beyond-latin1", "200 OK", [("X-A", "\u20ac")])


# Things that end up in the log, and things that take time.


@case
def errors(environ, start_response):
    stream = environ["wsgi.errors"]
    stream.write("through wsgi.errors\n")
    stream.writelines(["line one\n", "line two\n"])
    stream.flush()
    return answer(start_response, None)


@case
def unflushed_errors(environ, start_response):
    environ["wsgi.errors"].write("never flushed by the app\n")
    return answer(start_response, None)


@case
def prints(environ, start_response):
    print("through print")
    print("through stderr", file=sys.stderr)
    os.write(1, b"through descriptor 1\n")
    os.write(2, b"through descriptor 2\n")
    return answer(start_response, None)


@case
def slow(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 1))
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return [b"slow"]


@case
def say_and_wait(environ, start_response):
    print("at work", flush=True)
    time.sleep(float(environ["QUERY_STRING"] or 1))
    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return [b"done"]


@case
def stuck(environ, start_response):
    print("stuck on purpose", flush=True)
    stuck_in_a_loop_on_purpose()


def stuck_in_a_loop_on_purpose():
    """Runs until it is killed."""
    while True:
        pass
