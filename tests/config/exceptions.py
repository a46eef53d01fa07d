"""Where our reading of a configuration differs from uWSGI's on purpose, rule by rule.

Each rule names its heading on the page that users read, and tells from the case and what was said
whether it is behind a difference. Used by `test_differential.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Rule:
    """One intended difference."""

    heading: str
    explains: Callable


def headings():
    """The headings of the page."""
    return set(re.findall(r"^#+ +(.+?) *$", (ROOT / "docs/differences.md").read_text(), re.MULTILINE))


# A value that is refused, which says nothing about how it was read.
OF_VALUES = {"RW0103", "RW0107"}


def missing_section(found):
    """uWSGI goes on without what a section that isn't there would have set."""
    codes = set(found.ours.codes())
    return not found.theirs.refused and found.ours.refused and "RW0110" in codes and codes <= OF_VALUES | {"RW0110"}


def uwsgi_is_lost(found):
    """uWSGI never comes to an end."""
    return found.theirs.lost and not found.theirs.crashed


def uwsgi_crashes(found):
    """uWSGI ends by a fault of its own."""
    return found.theirs.crashed


def section_of_an_included_file(found):
    """`include = base.ini:web`, and `base.ini:web` without an option."""
    return bool(re.search(r"unable to load configuration from .*\.ini:", found.theirs.output)) and not found.ours.refused


def section_with_the_name(found):
    """The only difference is the section behind a file's name, where a block asks for `ini`."""
    if found.theirs.refused or found.ours.refused or not re.search(r"if-?opt\s*=\s*ini", found.case.text()):
        return False
    plain = [re.sub(r"\.ini:(other|web|uwsgi|two words|a\.b)", ".ini", line) for line in found.ours.shown()]
    return plain == found.theirs.shown()


RULES = [
    Rule("A missing section stops the start", missing_section),
    Rule("Placeholders without end are refused", uwsgi_is_lost),
    Rule("A switch behind a block that is not closed is read", uwsgi_crashes),
    Rule("`if-opt = ini` has the section with the name", section_with_the_name),
    Rule("Sections, addresses and app files work as arguments", section_of_an_included_file),
]
