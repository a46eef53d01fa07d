"""What is said about bad configurations, word for word.

Each directory of `tests/golden` is one: its files, `arguments.txt` and `environment.txt` where they
differ from the usual, and `expected.txt`, the exit code and everything that is said. After a change
that is meant: `RUSTWSGI_BLESS=1 pytest tests/config/test_golden.py`, and read the diff.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from support.server import ROOT

GOLDEN = ROOT / "tests/golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
USUAL = "--check uwsgi.ini"
BLESS = os.environ.get("RUSTWSGI_BLESS") == "1"
OWN = {"arguments.txt", "environment.txt", "expected.txt"}
FEWEST = 60


def read(path):
    return path.read_text() if path.exists() else ""


def outcome(rustwsgi, name, directory):
    """The exit code and the words of a run in a copy, so that nothing depends on where that lies."""
    source = GOLDEN / name
    shutil.copytree(source, directory, ignore=lambda _, names: OWN & set(names), dirs_exist_ok=True)
    arguments = shlex.split(read(source / "arguments.txt") or USUAL)
    environment = dict(line.split("=", 1) for line in read(source / "environment.txt").splitlines())
    ended = rustwsgi.run(*arguments, cwd=directory, **environment)
    said = (ended.stdout + ended.stderr).replace(str(Path(directory).resolve()), "DIR").replace(str(directory), "DIR")
    return f"exit code {ended.code}\n{said}"


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_the_one_agreed_on(rustwsgi, workshop, name):
    said = outcome(rustwsgi, name, workshop.directory())
    expected = GOLDEN / name / "expected.txt"

    if BLESS:
        expected.write_text(said)
    assert said == expected.read_text()


@pytest.mark.parametrize("name", CASES)
def test_the_message_has_its_form(name):
    lines = (GOLDEN / name / "expected.txt").read_text().splitlines()

    assert re.fullmatch(r"exit code \d+", lines[0])
    heads = [line for line in lines if re.match(r"(error|warning)\b", line)]
    assert heads, "a bad configuration is told from a good one"
    for head in heads:
        assert re.match(r"(error|warning)\[RW\d{4}\]: [^A-Z ]", head) and not head.endswith("."), head


def test_there_are_enough():
    assert len(CASES) >= FEWEST
