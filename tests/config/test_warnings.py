"""Values that are not what they look like: what becomes of them is uWSGI's, and the line is shown."""

import json

import pytest


@pytest.fixture
def findings(rustwsgi, workshop):
    """What `--check --json` says about a file with these lines."""
    server = workshop.server(rustwsgi, "hello.py")

    def check(*lines):
        text = "[uwsgi]\nsocket = 127.0.0.1:0\nmodule = hello\n" + "".join(f"{line}\n" for line in lines)
        (server.directory / "odd.ini").write_text(text)
        outcome = server.run("--check", "odd.ini", "--json")
        return outcome.code, json.loads(outcome.text)

    return check


@pytest.mark.parametrize(
    "line, code, said",
    [
        ("master = false # x", "RW0106", "`false # x` is read as `true`"),
        ("need-app = flase", "RW0106", "`flase` is read as `true`"),
        ("threads = true", "RW0106", "`true` is read as `0`"),
        ("harakiri = 60 ; comment", "RW0106", "`60 ; comment` is read as `60`"),
        ("harakiri =", "RW0106", "an empty one is read as `0`"),
        ("max-requests = 10 %y", "RW0113", "`%y` stands for nothing and is cut out"),
        ("pythonpath = /srv # x", "RW0115", "`# x` is part of the value"),
        ("callable = 'application'", "RW0116", "the quotes are part of the value"),
        ("buffer-size = 65536", "RW0108", "`65536` is more than 65535 and is read as `65535`"),
        ("socket = 8199", "RW0309", "`8199` without a colon is the path of a UNIX socket, not a port"),
        ("procesess = 4", "RW0101", "unknown option `procesess`, kept as a placeholder"),
        ("chdir = $(NO_SUCH_VARIABLE)/..", "RW0114", "`$(NO_SUCH_VARIABLE)` stays as it is"),
        ("procname-prefix = ${SITE:-blog}", "RW0114", "`${SITE}` stays as it is: variables are written `$(SITE)`"),
    ],
)
def test_a_lax_value_is_said_with_its_line(findings, line, code, said):
    _, found = findings(line)

    warning = next(finding for finding in found if finding["code"] == code)
    assert warning["severity"] == "warning"
    assert said in warning["message"]
    assert (warning["file"], warning["line"], warning["text"]) == ("odd.ini", 4, line)


@pytest.mark.parametrize("line", ["processes =", "processes = four", "processes = 0", "harakiri = -1", "env = A"])
def test_a_value_that_cannot_work_is_refused(findings, line):
    code, found = findings(line)

    assert code == 2
    assert [finding["line"] for finding in found if finding["severity"] == "error"] == [4]


def test_a_number_written_as_in_a_shell_is_refused_with_the_right_form(findings):
    _, found = findings("processes = ${WORKERS:-2}")

    assert found[0]["code"] == "RW0103"
    assert found[0]["hints"] == ["processes = $(WORKERS)"]


def test_a_value_that_cannot_work_is_a_warning_where_a_later_one_counts(findings):
    code, found = findings("processes = four", "processes = 4")

    assert code == 0
    assert {(finding["code"], finding["line"]) for finding in found} == {("RW0103", 4), ("RW0135", 5)}


def test_an_option_set_twice_is_said_with_both_places(findings):
    _, found = findings("processes = 2", "threads = 2", "workers = 4")

    assert [(it["code"], it["line"], it["facts"]) for it in found] == [
        ("RW0135", 6, ["first: odd.ini:4: processes = 2"])
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("processes = 2", "processes = 2"),
        ("vacuum", "vacuum = true"),
        ("processes = 2", "if-not-env = NEVER", "processes = 4", "endif ="),
        ("env = A=1", "env = B=2"),
        ("base = x", "base = y", "procname-prefix = %(base)"),
    ],
)
def test_what_is_meant_to_be_is_not_said(findings, lines):
    assert findings(*lines) == (0, [])
