"""Every request of `http_corpus`, as bytes to a server that runs: the invalid refused, the valid understood."""

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import http_client
from support.http_client import Connection, get, parse, receive_all
from support.invariant import Invariant
from support.ports import free_port

CORPUS = Path(__file__).parent / "http_corpus"
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
REPEATED = re.compile(r"\{(\d+)\*([^{}]*)\}")

APP = """
import json

calls = 0

def application(environ, start_response):
    global calls
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] != "/count-of-calls":
        calls += 1
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    answer = json.dumps([calls, seen, body.decode("latin-1")]).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [answer]
"""


@dataclass
class Case:
    """One request, or several at once, and what is to come of it."""

    name: str
    statuses: list = field(default_factory=list)
    ends: str = "close"
    data: bytes = b""
    sees: dict = field(default_factory=dict)


def cases(kind):
    """All cases in the files of one directory."""
    found = []
    for path in sorted((CORPUS / kind).glob("*.http")):
        lines = []
        for line in [*path.read_text().split("\n"), "## "]:
            if line.startswith("## "):
                if lines:
                    found.append(case(path.stem, lines))
                lines = []
            lines.append(line)
    return found


def case(chapter, lines):
    """The case that these lines describe."""
    name = lines[0][3:].split(":")[0].split(" (")[0]
    this = Case(f"{chapter}-{name}")
    assert lines[1].startswith("= "), f"{this.name} has no status"
    words = lines[1].split()[1:]
    if words[-1] in ("keep", "close"):
        this.ends = words.pop()
    this.statuses = [int(word) for word in words]
    text = ""
    for line in lines[2:]:
        if line.startswith("? "):
            key, _, value = line[2:].partition("=") if not line.startswith("? HTTP_X!") else line[2:].rpartition("=")
            this.sees[key] = ast.literal_eval(value) if value.startswith("'") else value
        else:
            text += line
    this.data = unescaped(text)
    return this


def unescaped(text):
    """The bytes that a request is written for."""
    text = re.sub(r"\\x([0-9a-f]{2})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else ESCAPES[m[2]], text)
    while REPEATED.search(text):
        text = REPEATED.sub(lambda match: int(match[1]) * match[2], text)
    return text.encode("latin-1")


INVALID, VALID = cases("invalid"), cases("valid")


def named(one):
    """A test's name."""
    return one.name


@pytest.fixture(scope="module")
def server(rustwsgi, shared_workshop):
    server = shared_workshop.server(rustwsgi, APP, processes=1)
    server.port = free_port()
    server.set(http_socket=f"127.0.0.1:{server.port}")
    server.start()
    with Invariant(server, lambda: get(server.port, "/count-of-calls").status, rounds=50):
        yield server


def calls(server):
    """How often the app was called, other than to ask this."""
    return json.loads(get(server.port, "/count-of-calls").body)[0]


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(INVALID) >= 150 and len(VALID) >= 60
    assert len({case.name for case in INVALID + VALID}) == len(INVALID) + len(VALID)


@pytest.mark.parametrize("case", INVALID, ids=named)
def test_what_is_invalid_is_refused_and_the_connection_closed(server, case):
    before = calls(server)

    with http_client.connect(server.port) as stream:
        try:
            stream.sendall(case.data)
        except OSError:
            pass  # refused before all of it was sent
        raw = receive_all(stream)

    answer = parse(raw)
    assert answer is not None and answer.status in case.statuses, raw
    assert raw.count(b"HTTP/1.1 ") == 1 and answer.header("Connection") == "close", raw
    assert calls(server) == before, "the application saw it"


@pytest.mark.parametrize("case", VALID, ids=named)
@pytest.mark.parametrize("piece", [1_000_000, 1], ids=["whole", "by-byte"])
def test_what_is_valid_is_understood(server, case, piece):
    if piece == 1 and len(case.data) > 5000:
        piece = 997
    with Connection(server.port) as connection:
        for start in range(0, len(case.data), piece):
            connection.send(case.data[start : start + piece])
        method = case.data.lstrip().split(b" ")[0].decode()
        answers = []
        for _ in case.statuses:
            answer = connection.answer(method)
            while answer.status == 100:
                answer = connection.answer(method)
            answers.append(answer)

        assert [answer.status for answer in answers] == case.statuses
        if case.ends == "close":
            assert connection.closed_by_peer() and not connection.rest
            assert answers[-1].header("Connection") == "close"
        else:
            assert answers[-1].header("Connection") in (None, "keep-alive")
            assert connection.request("GET", "/count-of-calls").status == 200
    if case.sees:
        _, environ, body = json.loads(answers[-1].body)
        seen = {**environ, "BODY": body}
        assert {name: seen.get(name, "-") for name in case.sees} == case.sees
