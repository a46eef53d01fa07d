"""Every intended difference that a test relies on is on the page users read."""

import re

import pytest

from compat import differences
from support.server import ROOT


@pytest.mark.parametrize("heading", differences.ALL)
def test_the_difference_has_a_heading(heading):
    page = (ROOT / "docs/differences.md").read_text()

    headings = re.findall(r"^#+ +(.+?) *$", page, re.MULTILINE)

    assert heading in headings
