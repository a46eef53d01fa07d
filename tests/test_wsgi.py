"""WSGI as PEP 3333 has it: environ, input, output, close() and what happens when an app misbehaves."""

import hashlib
import json
import signal

import pytest

from support import processes, uwsgi_client
from support.http_client import connect
from support.invariant import Invariant
from support.waiting import until

TRACEBACK = r"^Traceback \(most recent call last\):"


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, "cases.py", processes=1)
    server.set(socket=server.directory / "site.sock")
    return server.start()


@pytest.fixture
def ask(server):
    def ask(path, **more):
        return uwsgi_client.request(str(server.directory / "site.sock"), path, **more)

    return ask


def value(answer):
    assert answer.status == 200, answer.raw[:300]
    return json.loads(answer.body)


def logged(server, mark, path):
    """The log from `mark` on, complete to the request line of `path`."""
    server.log.wait_for(rf"GET {path} => ", mark)
    return server.log.text(mark)


# environ


def test_environ_has_the_keys_of_the_pep_with_their_types(ask):
    environ = value(ask("/environ-types", query="a=1&b=%20"))

    assert environ["wsgi.version"] == ["tuple", "(1, 0)"]
    assert environ["wsgi.url_scheme"] == ["str", "http"]
    assert environ["wsgi.multithread"] == ["bool", "False"]
    assert environ["wsgi.multiprocess"] == ["bool", "False"]
    assert environ["wsgi.run_once"] == ["bool", "False"]
    assert environ["REQUEST_METHOD"] == ["str", "GET"]
    assert environ["QUERY_STRING"] == ["str", "a=1&b=%20"]
    assert environ["CONTENT_LENGTH"] == ["str", ""]
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= set(environ)
    strings = {kind for key, (kind, _) in environ.items() if not key.startswith(("wsgi.", "uwsgi."))}
    assert strings == {"str"}


def test_environ_strings_are_latin1_decoded_bytes(ask):
    environ = value(ask("/environ-types", HTTP_X_NAME="Zoë".encode(), HTTP_X_RAW=b"\xff\xfe"))

    assert environ["HTTP_X_NAME"] == ["str", "Zoë".encode().decode("latin-1")]
    assert environ["HTTP_X_RAW"] == ["str", "\xff\xfe"]


def test_each_request_gets_a_dict_of_its_own(ask):
    for _ in range(5):
        assert value(ask("/environ-is-a-dict-of-its-own")) == [True, False]


@pytest.mark.parametrize("variables", [{"HTTPS": "on"}, {"HTTPS": "1"}, {"UWSGI_SCHEME": "https"}])
def test_url_scheme_follows_the_front_end(ask, variables):
    assert value(ask("/environ-types", **variables))["wsgi.url_scheme"] == ["str", "https"]


def test_multithread_and_multiprocess_tell_the_truth(rustwsgi, workshop):
    server = workshop.server(rustwsgi, "cases.py", processes=2, threads=2)
    server.set(socket=server.directory / "site.sock")
    server.start()

    environ = value(uwsgi_client.request(str(server.directory / "site.sock"), "/environ-types"))

    assert environ["wsgi.multithread"][1] == "True"
    assert environ["wsgi.multiprocess"][1] == "True"


# input


@pytest.mark.parametrize("size", [0, 1, 5, 4096, 65536, 1_000_003])
def test_a_body_arrives_whole(ask, size):
    body = bytes(range(256)) * (size // 256 + 1)

    answer = ask("/echo", method="POST", body=body[:size])

    assert answer.body == body[:size]


def test_a_big_body_can_be_read_in_blocks(ask):
    body = bytes(range(251)) * 40_000

    assert value(ask("/digest", method="POST", body=body)) == [len(body), hashlib.sha256(body).hexdigest()]


def test_reads_of_all_kinds_take_up_where_the_last_one_ended(ask):
    pieces = value(ask("/read-in-pieces", method="POST", body=b"abcdef\nrest\nof it"))

    assert pieces == ["a", "bcd", "ef\n", "rest\nof it", "", ""]


def test_lines_are_read_with_their_ends(ask):
    assert value(ask("/read-lines", method="POST", body=b"one\n\ntwo\nthree")) == [
        "one\n",
        ["\n", "two\n", "three"],
        "",
    ]
    assert value(ask("/iterate-input", method="POST", body=b"a\nb\nc")) == ["a\n", "b\n", "c"]


def test_input_can_be_read_into_a_buffer(ask):
    assert value(ask("/read-into", method="POST", body=b"0123456789")) == "0123456789"


def test_an_unread_body_does_not_cost_the_answer(ask):
    answer = ask("/ignore-input", method="POST", body=b"x" * 3_000_000)

    assert (answer.status, answer.body) == (200, b"ignored")


# output


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/one-chunk", 200, b"one chunk"),
        ("/several-chunks", 200, b"one two three"),
        ("/tuple-of-chunks", 200, b"atuple"),
        ("/generator", 200, b"0\n1\n2\n3\n4\n"),
        ("/late-start", 201, b"late"),
        ("/empty", 204, b""),
        ("/empty-ok", 200, b""),
        ("/only-empty-chunks", 200, b""),
        ("/odd-status", 418, b"short and stout"),
        ("/written", 200, b"written twice and returned"),
        ("/big", 200, bytes(range(256)) * 4096 * 4),
        ("/file-object", 200, b"0123456789" * 2000),
        ("/file-without-descriptor", 200, b"0123456789"),
        ("/file-from-position", 200, b"456789"),
        ("/too-long", 200, b"12345"),
    ],
)
def test_what_the_app_returns_is_what_the_client_gets(ask, path, status, body):
    answer = ask(path)

    assert (answer.status, answer.body) == (status, body)


def test_headers_arrive_in_order_and_repeated(ask):
    answer = ask("/many-headers")

    assert [name for name, _ in answer.headers][:3] == ["X-Number-0", "X-Number-1", "X-Number-2"]
    assert answer.header("X-Number-99") == "v" * 99
    assert answer.all("Set-Cookie") == ["a=1", "b=2"]


def test_chunks_are_sent_when_they_are_made(server):
    with connect(str(server.directory / "site.sock")) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/streamed")))
        parts = []
        while part := stream.recv(65536):
            parts.append(part)

    assert len(parts) >= 5, "the parts were held back"
    assert b"".join(parts).endswith(b"part 4\n")


# close()


@pytest.mark.parametrize(
    ("path", "name"),
    [("/noted", "noted"), ("/raise-in-first", "first"), ("/raise-in-later", "later"), ("/file-closed", "file")],
)
def test_close_is_called_exactly_once(ask, path, name):
    before = value(ask("/closed")).count(name)

    ask(path)

    assert value(ask("/closed")).count(name) == before + 1


def test_close_is_called_when_the_client_goes_away(server, ask):
    before = value(ask("/closed")).count("endless")

    with connect(str(server.directory / "site.sock")) as stream:
        stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/noted-endless")))
        assert stream.recv(1000)

    assert value(ask("/closed")).count("endless") == before + 1


def test_a_client_that_goes_away_costs_no_traceback(server, ask):
    mark = server.log.mark()

    for _ in range(20):
        with connect(str(server.directory / "site.sock")) as stream:
            stream.sendall(uwsgi_client.packet(uwsgi_client.variables("/noted-endless")))
            assert stream.recv(1000)
    value(ask("/closed"))

    assert server.log.count("Traceback", mark) == 0


# exceptions


def test_an_exception_becomes_a_500_and_one_traceback(server, ask):
    mark = server.log.mark()

    answer = ask("/raise-at-once")

    assert answer.status == 500
    log = logged(server, mark, "/raise-at-once")
    assert log.count("Traceback (most recent call last)") == 1
    assert log.count("ValueError: at once, on purpose") == 1
    assert "in raise_at_once" in log


@pytest.mark.parametrize(
    "path", ["/raise-after-start", "/raise-in-first", "/returns-none", "/returns-a-number", "/keyboard-interrupt"]
)
def test_an_exception_before_the_first_byte_is_a_500(server, ask, path):
    mark = server.log.mark()

    answer = ask(path)

    assert answer.status == 500, answer.raw
    assert logged(server, mark, path).count("Traceback (most recent call last)") <= 1


def test_nothing_of_the_exception_reaches_the_client(ask):
    assert b"purpose" not in ask("/raise-at-once").raw


@pytest.mark.parametrize("path", ["/raise-in-later", "/raise-after-write", "/exc-info-after-body"])
def test_an_exception_after_the_first_byte_ends_the_answer_and_is_logged_once(server, ask, path):
    mark = server.log.mark()

    answer = ask(path)

    assert (answer.status, answer.body) == (200, b"part of it")
    log = logged(server, mark, path)
    assert log.count("Traceback (most recent call last)") == 1
    assert "on purpose" in log


def test_an_exception_in_close_is_logged_and_the_answer_stands(server, ask):
    mark = server.log.mark()

    answer = ask("/raise-in-close")

    assert (answer.status, answer.body) == (200, b"complete")
    assert "RuntimeError: close failed on purpose" in logged(server, mark, "/raise-in-close")


def test_sys_exit_in_a_view_is_a_500_and_the_worker_lives(server, ask):
    before = value(ask("/pid"))

    answer = ask("/system-exit")

    assert answer.status == 500
    assert value(ask("/pid")) == before


def test_a_worker_that_exits_is_replaced_and_only_its_request_is_lost(server, ask):
    def probe():
        return ask("/one-chunk").status

    with Invariant(server, probe):
        mark = server.log.mark()
        assert ask("/hard-exit") is None
        server.log.wait_for(r"DAMN ! worker 1 \(pid: \d+\) died", mark)
        server.log.wait_for(r"Respawned uWSGI worker 1", mark)


# start_response


def test_exc_info_replaces_headers_that_were_not_sent(ask):
    answer = ask("/exc-info-replaces")

    assert (answer.status, answer.body) == (503, b"replaced")
    assert answer.header("X-First") is None


@pytest.mark.parametrize("path", ["/never-started", "/start-twice", "/yields-text"])
def test_misuse_is_a_500_with_a_traceback_that_says_so(server, ask, path):
    mark = server.log.mark()

    answer = ask(path)

    assert answer.status == 500, answer.raw
    log = logged(server, mark, path)
    assert "start_response" in log or "bytes" in log


@pytest.mark.parametrize(
    "name",
    [
        "newline-in-value",
        "bare-newline-in-value",
        "newline-in-name",
        "nul-in-value",
        "newline-in-status",
        "status-without-number",
        "status-is-a-number",
        "status-is-bytes",
        "headers-are-a-tuple",
        "header-is-a-list",
        "value-is-a-number",
        "value-is-bytes",
        "value-beyond-latin1",
    ],
)
def test_a_head_that_would_corrupt_the_answer_is_refused(server, ask, name):
    mark = server.log.mark()

    answer = ask(f"/bad-head/{name}")

    assert answer.status == 500
    assert b"Injected" not in answer.raw and b"must not be seen" not in answer.raw
    said = logged(server, mark, f"/bad-head/{name}").split("[pid: ")[0]
    assert said.strip(), "the log does not say why"
    assert said.count("Traceback (most recent call last)") <= 1


def test_a_body_shorter_than_its_length_is_logged(server, ask):
    mark = server.log.mark()

    answer = ask("/too-short")

    assert answer.body == b"12345"
    assert "Content-Length" in logged(server, mark, "/too-short").split("[pid: ")[0]


# what the app says


def test_errors_and_prints_of_the_app_reach_the_log(server, ask):
    mark = server.log.mark()

    value(ask("/errors"))
    value(ask("/unflushed-errors"))
    value(ask("/prints"))

    log = logged(server, mark, "/prints")
    lines = log.splitlines()
    for line in (
        "through wsgi.errors",
        "line one",
        "line two",
        "never flushed by the app",
        "through print",
        "through stderr",
        "through descriptor 1",
        "through descriptor 2",
    ):
        assert lines.count(line) == 1, (line, log)


def test_a_worker_that_was_killed_leaves_the_others_untouched(server, ask):
    """The whole file may have hurt the server: it must still be the same and whole."""
    with Invariant(server, lambda: ask("/one-chunk").status):
        worker = server.workers()[0]
        processes.kill(worker, signal.SIGKILL)
        until(lambda: server.workers() and server.workers() != [worker], "another worker")
