"""docs/configuration.md: what it says that its examples amount to is what `--show-config` says."""

import os
import re
import shlex

import pytest

from support.server import ROOT

PAGE = ROOT / "docs/configuration.md"
BLESS = os.environ.get("RUSTWSGI_BLESS") == "1"
SECTIONS = re.split(r"^(?=## )", PAGE.read_text(), flags=re.MULTILINE)
EXAMPLES = [section for section in SECTIONS if "```console" in section]


def shown(rustwsgi, directory, section):
    """The section with what its commands say in place of what it has them say."""
    for text in re.findall(r"^```ini\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        name, content = text.split("\n", 1)
        path = directory / name.removeprefix("; ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    def said(block):
        text = ""
        for line in re.findall(r"^\$ .*$", block[1], re.MULTILINE):
            words = shlex.split(line[2:])
            at = words.index("rustwsgi")
            ended = rustwsgi.run(*words[at + 1 :], cwd=directory, **dict(word.split("=", 1) for word in words[:at]))
            assert ended.code == 0 and "error[" not in ended.stderr, f"{line}\n{ended}"
            text += f"{line}\n{ended.stdout}"
        return f"```console\n{text}```"

    return re.sub(r"^```console\n(.*?)^```$", said, section, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("section", EXAMPLES, ids=lambda section: section.split("\n")[0].removeprefix("## "))
def test_an_example_amounts_to_what_the_page_says(rustwsgi, workshop, section):
    now = shown(rustwsgi, workshop.directory(), section)

    if BLESS:
        PAGE.write_text(PAGE.read_text().replace(section, now))
    assert now == section


def test_every_part_of_the_language_has_an_example():
    assert len(EXAMPLES) >= 9
