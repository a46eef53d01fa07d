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


def we_refuse_with(code):
    """We refuse what uWSGI takes, with this code and no other."""

    def explains(found):
        return not found.theirs.refused and found.ours.refused and set(found.ours.codes()) == {code}

    return explains


def uwsgi_is_lost(found):
    """uWSGI never comes to an end, or crashes."""
    return found.theirs.lost


def section_of_an_included_file(found):
    """`include = base.ini:web`, and `base.ini:web` without an option."""
    return bool(re.search(r"unable to load configuration from .*\.ini:", found.theirs.output)) and not found.ours.refused


RULES = [
    Rule("A missing section stops the start", we_refuse_with("RW0110")),
    Rule("Placeholders without end are refused", uwsgi_is_lost),
]
