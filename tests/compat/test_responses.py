"""The bytes on the wire: the same as uWSGI's for a table of apps, or different on purpose and documented."""

import pytest

from compat.differences import (
    APP_RAISES,
    BAD_PACKETS,
    BIG_PACKETS,
    CORRUPT_HEAD,
    EXC_INFO,
    FILE_POSITION,
    LENGTH,
    MISUSE,
    NOT_ITERABLE,
    SYS_EXIT,
)
from support.http_client import parse
from support.uwsgi_client import exchange, packet, pairs, variables
from support.waiting import until


@pytest.fixture(scope="module")
def pair(uwsgi, rustwsgi, shared_workshop):
    servers = []
    for program in (uwsgi, rustwsgi):
        server = shared_workshop.server(program, "cases.py")
        server.set(socket=server.directory / "site.sock")
        servers.append(server.start())
    return servers


def both(pair, data):
    """What each of the two answers to the same bytes: theirs, ours."""
    return [exchange(str(server.directory / "site.sock"), data) for server in pair]


IDENTICAL = {
    path: {}
    for path in (
        "/one-chunk",
        "/several-chunks",
        "/tuple-of-chunks",
        "/generator",
        "/late-start",
        "/empty",
        "/empty-ok",
        "/only-empty-chunks",
        "/many-headers",
        "/latin1-header",
        "/odd-status",
        "/redirect",
        "/written",
        "/big",
        "/file-object",
        "/file-without-descriptor",
        "/noted",
        "/raise-in-later",
        "/raise-after-write",
        "/raise-in-close",
        "/exc-info-after-body",
        "/too-short",
        "/no-such-case",
        "/environ-is-a-dict-of-its-own",
        "/ignore-input",
    )
}


@pytest.mark.parametrize("path", IDENTICAL)
@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_responses_are_identical_byte_by_byte(pair, path, protocol):
    theirs, ours = both(pair, packet(variables(path, SERVER_PROTOCOL=protocol)))

    assert ours == theirs
    assert theirs.startswith(protocol.encode())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/echo", b""),
        ("/echo", b"hello"),
        ("/echo", bytes(range(256)) * 1000),
        ("/digest", b"x" * 100_000),
        ("/read-in-pieces", b"abcdef\nrest\nof it"),
        ("/read-lines", b"one\n\ntwo\nthree"),
        ("/iterate-input", b"a\nb\n"),
    ],
)
def test_bodies_are_read_alike(pair, path, body):
    theirs, ours = both(pair, packet(variables(path, "POST", length=str(len(body)))) + body)

    assert ours == theirs
    assert parse(theirs).status == 200


def test_of_duplicate_variables_both_take_the_last(pair):
    block = pairs(variables("/environ-types")) + pairs([("HTTP_X_A", "one"), ("HTTP_X_A", "two")])
    theirs, ours = both(pair, packet(block))

    assert b'"HTTP_X_A": ["str", "two"]' in theirs and b'"HTTP_X_A": ["str", "two"]' in ours


def test_a_ping_is_answered_alike(pair):
    theirs, ours = both(pair, packet(b"", modifier1=100))

    assert ours == theirs != b""


def test_a_packet_that_ends_early_gets_nothing_from_either(pair):
    for length in (0, 1, 2, 3):
        for server in pair:
            data = packet(variables("/one-chunk"))[:length]
            assert exchange(str(server.directory / "site.sock"), data, half_close=True) == b""


# Different on purpose: what uWSGI answers, what we answer, and the heading of docs/differences.md.
INTENDED = {
    "/raise-at-once": (APP_RAISES, None, 500),
    "/raise-after-start": (APP_RAISES, 200, 500),
    "/raise-in-first": (APP_RAISES, 200, 500),
    "/keyboard-interrupt": (APP_RAISES, None, 500),
    "/returns-none": (NOT_ITERABLE, 200, 500),
    "/returns-a-number": (NOT_ITERABLE, 200, 500),
    "/yields-text": (NOT_ITERABLE, 200, 500),
    "/start-twice": (MISUSE, 201, 500),
    "/bad-head/headers-are-a-tuple": (APP_RAISES, 200, 500),
    "/bad-head/newline-in-value": (CORRUPT_HEAD, 200, 500),
    "/bad-head/nul-in-value": (CORRUPT_HEAD, 200, 500),
    "/bad-head/newline-in-status": (CORRUPT_HEAD, 200, 500),
    "/bad-head/status-is-a-number": (APP_RAISES, None, 500),
    "/bad-head/value-is-a-number": (APP_RAISES, 200, 500),
}


@pytest.mark.parametrize("path", INTENDED)
def test_differences_are_the_intended_ones(pair, path):
    heading, their_status, our_status = INTENDED[path]
    theirs, ours = map(parse, both(pair, packet(variables(path))))

    assert (theirs and theirs.status) == their_status, f"uWSGI is not as {heading!r} says"
    assert (ours and ours.status) == our_status, heading


def test_without_start_response_uwsgi_sends_a_naked_body_and_we_a_500(pair):
    theirs, ours = both(pair, packet(variables("/never-started")))

    assert theirs == b"no start_response", MISUSE
    assert parse(ours).status == 500, MISUSE


def test_exc_info_before_the_first_byte_loses_the_body_under_uwsgi_only(pair):
    theirs, ours = map(parse, both(pair, packet(variables("/exc-info-replaces"))))

    assert (theirs.status, theirs.body) == (503, b""), EXC_INFO
    assert (ours.status, ours.body) == (503, b"replaced"), EXC_INFO


def test_what_follows_content_length_is_cut(pair):
    theirs, ours = (parse(raw).body for raw in both(pair, packet(variables("/too-long"))))

    assert (theirs, ours) == (b"123456789", b"12345"), LENGTH


def test_a_file_is_sent_from_where_it_stands(pair):
    theirs, ours = (parse(raw).body for raw in both(pair, packet(variables("/file-from-position"))))

    assert (theirs, ours) == (b"0123456789", b"456789"), FILE_POSITION


def test_sys_exit_ends_uwsgis_worker_and_not_ours(pair):
    before = [server.workers() for server in pair]

    theirs, ours = map(parse, both(pair, packet(variables("/system-exit"))))

    assert theirs is None and ours is not None and ours.status == 500, SYS_EXIT
    until(lambda: pair[0].workers() and pair[0].workers() != before[0], "a new worker of uWSGI")
    assert pair[1].workers() == before[1], SYS_EXIT


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\0", packet(pairs(variables("/one-chunk")) + b"\0\0\0\0"), packet(pairs(variables("/one-chunk")) + b"\1")],
    ids=["empty", "empty-key", "stray-byte"],
)
def test_bad_packets_get_nothing_from_uwsgi_and_a_400_from_us(pair, data):
    theirs, ours = both(pair, data)

    assert theirs == b"", BAD_PACKETS
    assert parse(ours).status == 400, BAD_PACKETS


def test_big_packets_are_dropped_by_uwsgi_and_served_by_us(pair):
    theirs, ours = both(pair, packet(variables("/one-chunk", HTTP_COOKIE="c" * 20_000)))

    assert theirs == b"", BIG_PACKETS
    assert parse(ours).status == 200, BIG_PACKETS
