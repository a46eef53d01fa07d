"""What becomes of requests, option by option: exceptions, bodies, clients that go away, headers."""

import json
import re
import socket
import struct

import pytest

from support import uwsgi_client
from support.http_client import connect
from support.invariant import Invariant
from support.waiting import until


@pytest.fixture
def serve(rustwsgi, workshop):
    """Starts the failing app with the given options; returns a function that asks it for a path."""

    def serve(prepare=None, **options):
        server = workshop.server(rustwsgi, "failing.py")
        if prepare:
            prepare(server)
        address = server.directory / "site.sock"
        server.set(socket=address, **options)
        server.start()

        def ask(path="/", **more):
            return uwsgi_client.request(str(address), path, **more)

        ask.server, ask.address = server, str(address)
        return ask

    return serve


def value(answer):
    assert answer.status == 200, answer.raw[:500]
    return json.loads(answer.body)


def go_away(ask, path):
    """Asks, reads a little and resets the connection."""
    with connect(ask.address) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables(path)))
        assert stream.recv(100)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# exceptions


def test_catch_exceptions_shows_the_traceback_and_the_request(serve):
    ask = serve(catch_exceptions=True)

    with Invariant(ask.server, lambda: ask().status):
        for path, name in (("/value-error", "builtins.ValueError: early"), ("/in-iterator", "ZeroDivisionError")):
            answer = ask(path, HTTP_X_SEEN="yes")
            assert (answer.status, answer.header("Content-Type")) == (500, "text/plain")
            assert name in answer.text and "app.py" in answer.text
            assert f"REQUEST_URI = {path}" in answer.text and "HTTP_X_SEEN = yes" in answer.text
        assert ask("/after-first").body == b"part"


@pytest.mark.parametrize(
    ("options", "path", "replaced"),
    [
        ({"reload_on_exception": True}, "/value-error", True),
        ({"reload_on_exception": True}, "/in-iterator", True),
        ({"reload_on_exception_type": "ValueError"}, "/value-error", True),
        ({"reload_on_exception_type": "builtins.ValueError"}, "/value-error", True),
        ({"reload_on_exception_type": "early"}, "/value-error", False),
        ({"reload_on_exception_type": ["TypeError", "Broken"]}, "/broken", True),
        ({"reload_on_exception_value": "early"}, "/value-error", True),
        ({"reload_on_exception_value": "earl"}, "/value-error", False),
        ({"reload_on_exception_repr": "ValueError: early"}, "/value-error", True),
        ({"reload_on_exception_repr": "KeyError('late')"}, "/key-error", True),
        ({"reload_on_exception_repr": "KeyError('late')"}, "/value-error", False),
    ],
)
def test_an_exception_replaces_the_worker_where_that_is_asked_for(serve, options, path, replaced):
    ask = serve(**options)
    before = value(ask())

    assert ask(path).status == 500
    if replaced:
        until(lambda: value(ask()) != before, "another worker")
        ask.server.settle()
    else:
        assert {value(ask()) for _ in range(20)} == {before}


# bodies


def test_limit_post_is_a_413_before_the_app(serve):
    ask = serve(limit_post=1000)
    mark = ask.server.log.mark()

    with Invariant(ask.server, lambda: ask().status):
        assert value(ask("/length", method="POST", body=b"x" * 1000)) == 1000
        answer = ask("/length", method="POST", body=b"x" * 1001)
        assert answer.status == 413
        assert "limit-post" in ask.server.log.text(mark)


@pytest.mark.parametrize(("size", "kind"), [(0, "BytesIO"), (3999, "BytesIO"), (4000, "BufferedReader"), (3_000_000, "BufferedReader")])
def test_a_buffered_body_can_be_sought(serve, size, kind):
    ask = serve(post_buffering=4000)
    body = b"0123456789" * (size // 10 + 1)

    found = value(ask("/seek", method="POST", body=body[:size]))

    assert found == [body[: min(4, size)].decode(), min(4, size), size, kind]
    assert value(ask("/files")) <= 1, "the file is still open"


def test_a_body_that_breaks_off_never_reaches_the_app_when_buffered(serve):
    ask = serve(post_buffering=100, socket_timeout=1)
    data = uwsgi_client.packet(uwsgi_client.variables("/length", "POST", length="500")) + b"x" * 200

    with Invariant(ask.server, lambda: ask().status):
        assert uwsgi_client.send(ask.address, data, half_close=True).status == 400
        assert uwsgi_client.send(ask.address, data).status == 408


# clients that go away


def test_write_errors_are_logged_or_not(serve):
    for options, logged in (({}, True), ({"ignore_write_errors": True}, False)):
        ask = serve(**options)
        mark = ask.server.log.mark()
        go_away(ask, "/endless")
        assert value(ask("/steps")) == ["GeneratorExit"]
        ask.server.log.wait_for("GET /steps", mark)
        assert bool(ask.server.log.count("write error", mark)) == logged


def test_write_raises_unless_that_is_disabled(serve):
    ask = serve()
    go_away(ask, "/writes")
    assert "OSError: write error" in value(ask("/steps"))[0]

    ask = serve(disable_write_exception=True)
    go_away(ask, "/writes")
    assert value(ask("/steps")) == [199]


def test_some_write_errors_are_tolerated(serve):
    ask = serve(write_errors_tolerance=100_000)
    mark = ask.server.log.mark()

    go_away(ask, "/writes")

    assert value(ask("/steps")) == [199]
    assert ask.server.log.count("write error", mark) == 0


def test_write_errors_are_raised_where_the_generator_stands(serve):
    ask = serve(write_errors_exception_only=True)

    go_away(ask, "/endless")

    assert "OSError: write error" in value(ask("/steps"))[0]


# responses


def test_headers_are_added_and_removed(serve):
    ask = serve(add_header=["X-Served-By: one", "X-Other:two"], rem_header="server")

    for path, status in (("/headers", 200), ("/value-error", 500)):
        answer = ask(path)
        assert answer.status == status
        assert (answer.header("X-Served-By"), answer.header("X-Other")) == ("one", "two")
        assert answer.header("Server") is None


def test_a_header_that_can_not_be_sent_is_refused_at_the_start(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "failing.py", add_header="no colon")
    server.set(socket=server.directory / "site.sock")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code != 0 and "RW0103" in outcome.text and "add-header" in outcome.text


def test_the_head_has_a_limit(serve):
    ask = serve(response_headers_limit=1000)
    mark = ask.server.log.mark()

    assert ask("/headers", query="900").status == 200
    assert ask("/headers", query="1001").status == 500
    assert "response-headers-limit" in ask.server.log.text(mark)


def test_bytes_and_buffers_are_bodies_where_that_is_asked_for(serve):
    ask = serve()
    assert (ask("/bytes").body, ask("/buffers").status) == (b"bytes", 500)
    ask = serve(wsgi_strict=True, wsgi_accept_buffer=True)
    assert (ask("/bytes").status, ask("/buffers").body) == (500, b"one two")


def test_the_head_leaves_at_once_with_nodelay(serve):
    # `set` takes an underscore for a dash, and this name has one: a file of its own says it.
    ask = serve(ini="prompt.ini", prepare=lambda server: (server.directory / "prompt.ini").write_text(
        "[uwsgi]\nstart_response-nodelay = true\n"
    ))

    answer = ask("/in-iterator")

    assert (answer.status, answer.body) == (200, b""), "the head had left before the exception"
    assert ask("/slow-body").body == b"late"


# what the app finds


def test_python_is_set_up_as_asked(serve):
    ask = serve(pyargv="one  two", optimize=1, wsgi_disable_file_wrapper=True, py_executable="/usr/bin/other")
    facts = value(ask("/facts"))

    assert facts["argv"] == ["uwsgi", "one", "two"]
    assert facts["executable"] == "/usr/bin/other"
    assert (facts["debug"], facts["wrapper"]) == (False, False)


def test_modules_are_imported_and_renamed(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "failing.py", lazy_apps=True)
    server.install("import os\nprint('shared in', os.getpid())\n", "early.py")
    server.install("import os\nprint('own in', os.getpid())\n", "late.py")
    server.set(
        socket=server.directory / "site.sock", processes=2, shared_import="early",
        pymodule_alias="other=json", post_pymodule_alias=f"third={server.directory}/late.py",
    )
    server.options["import"] = ["late", "not_there_at_all"]
    server.set()
    server.start()
    server.settle()

    modules = value(uwsgi_client.request(str(server.directory / "site.sock"), "/facts"))["modules"]

    assert {"early", "late", "other", "third"} <= set(modules)
    text = server.log.text()
    assert len(re.findall("shared in", text)) == 1
    assert len(set(re.findall(r"own in (\d+)", text))) == 2
    assert "No module named 'not_there_at_all'" in text


def test_an_alias_that_can_not_be_made_stops_the_start(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "failing.py", pymodule_alias="other=not_there")
    server.set(socket=server.directory / "site.sock")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == 22 and "pymodule-alias" in outcome.text
