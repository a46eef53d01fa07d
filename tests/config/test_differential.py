"""What a configuration amounts to, under uWSGI 2.0.31 and under us: key by key, value by value, in order.

`generator` draws the configurations: the same ones for the same `$RUSTWSGI_SEED`. A failure prints the
numbers of its cases; `python tests/config/test_differential.py NUMBER` shows one of them.
"""

import collections
import difflib
import os
import random
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from config import exceptions, reported  # noqa: E402
from config.generator import Generator  # noqa: E402

FIRST = int(os.environ.get("RUSTWSGI_SEED", "0")) * 1_000_000
CASES = 2_400
BATCH = 150
# Of other ones in each soak run.
DRAWN = 5_000
# What needs a rule of `exceptions` stays rare enough to leave the rest of the grammar covered.
MOST_EXCUSED = 0.2
FEWEST_SHOWN = 0.6
SHOWN = 5


class Comparison:
    """One case and what the two make of it."""

    def __init__(self, number, programs):
        self.number = number
        self.case = Generator(number).case()
        directory = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp")).resolve()
        try:
            for name, content in self.case.files.items():
                path = directory / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.theirs = reported.theirs(programs[0], self.case, directory)
            self.ours = reported.ours(programs[1], self.case, directory)
        finally:
            shutil.rmtree(directory)

    @property
    def alike(self):
        """Whether both refuse, or both show the same."""
        if self.theirs.refused or self.ours.refused:
            return self.theirs.refused and self.ours.wrong
        return self.theirs.shown() == self.ours.shown()

    def rule(self):
        """The rule that explains the difference, if any."""
        return next((rule for rule in exceptions.RULES if rule.explains(self)), None)

    def text(self):
        """The case and the difference, for a reader."""
        if self.theirs.refused or self.ours.refused:
            said = f"uWSGI: {self.theirs.last()}\nwe: {self.ours.last()}"
        else:
            said = "\n".join(
                difflib.unified_diff(self.theirs.shown(), self.ours.shown(), "uWSGI", "we", lineterm="", n=0)
            )
        return f"=== case {self.number}\n{self.case.text()}\n{said}"


@pytest.fixture(scope="module")
def compare(uwsgi, rustwsgi):
    """Compares the cases of some numbers, two at a time."""

    def compare(numbers):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda number: Comparison(number, (uwsgi.path, rustwsgi.path)), numbers))

    return compare


@pytest.fixture(scope="module")
def tally():
    """How the cases of all batches came out."""
    return collections.Counter()


@pytest.mark.parametrize("start", range(FIRST, FIRST + CASES, BATCH))
def test_both_read_alike(compare, tally, start):
    different = []
    for comparison in compare(range(start, start + BATCH)):
        if comparison.alike:
            tally["refused" if comparison.theirs.refused else "shown"] += 1
        elif rule := comparison.rule():
            tally["excused"] += 1
            tally[rule.heading] += 1
        else:
            different.append(comparison)

    numbers = [comparison.number for comparison in different]
    assert not different, f"{numbers}\n" + "\n".join(comparison.text() for comparison in different[:SHOWN])


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_both_read_alike_whatever_is_drawn(compare):
    start = random.SystemRandom().randrange(1_000, 1_000_000_000) * 10_000
    different = [it for it in compare(range(start, start + DRAWN)) if not it.alike and it.rule() is None]

    numbers = [comparison.number for comparison in different]
    assert not different, f"{numbers}\n" + "\n".join(comparison.text() for comparison in different[:SHOWN])


def test_the_cases_are_worth_it(tally):
    print(dict(tally))
    assert tally["shown"] + tally["refused"] + tally["excused"] == CASES
    assert tally["shown"] >= CASES * FEWEST_SHOWN
    assert tally["excused"] <= CASES * MOST_EXCUSED


def test_the_generator_reaches_all_of_the_grammar():
    features = set().union(*(Generator(number).case().features for number in range(FIRST, FIRST + 500)))
    assert features >= {
        "plain", "option", "placeholder", "variable", "no variable", "arithmetic", "surroundings", "contents", "comment", "bare", "set",
        "loop", "condition", "include", "inherit", "odd", "sections", "crlf", "environment", "command line", "odd header",
        "percent at the end of a line", "logic not closed", "logic in logic",
    }


def test_the_generator_is_seeded():
    assert Generator(7).case() == Generator(7).case()
    assert Generator(7).case() != Generator(8).case()


@pytest.mark.parametrize("rule", exceptions.RULES, ids=lambda rule: rule.heading)
def test_an_exception_is_on_the_page_users_read(rule):
    assert rule.heading in exceptions.headings()


if __name__ == "__main__":
    found = Comparison(int(sys.argv[1]), (Path(sys.prefix) / "bin/uwsgi", exceptions.ROOT / "target/release/rustwsgi"))
    print(found.text(), "alike" if found.alike else found.rule() or "different", sep="\n")
