"""Real configuration files: each is accepted or refused for a named reason, and none crashes or hangs.

The files are other people's and stay where they are, `../shared/corpus` beside the repository (or where
`RUSTWSGI_CORPUS` says). Their paths do not exist here, so messages about files and directories do not count.
The share of files that need nothing rustwsgi lacks, the options that hold the rest back, and those that do so alone
are printed.
"""

import csv
import json
import os
import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("RUSTWSGI_CORPUS", ROOT.parent / "shared" / "corpus"))
BINARY = os.environ.get("RUSTWSGI", str(ROOT / "target" / "release" / "rustwsgi"))

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no collection of configuration files in {CORPUS}")

# About the machine, not about the configuration.
MACHINE = {"RW0203", "RW0310", "RW0311"}
# The option is one rustwsgi does not have.
LACKING = {"RW0104", "RW0109"}


def rows(name):
    with open(CORPUS / name, newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


def check(file, directory):
    done = subprocess.run(
        [BINARY, "--check", str(file), "--json"],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode in (0, 2), f"{file.name}: exit {done.returncode}\n{done.stderr}"
    findings = json.loads(done.stdout)
    errors = [finding for finding in findings if finding["severity"] == "error"]
    assert bool(errors) == (done.returncode == 2), file.name
    for finding in findings:
        assert finding["code"].startswith("RW0") and finding["message"], f"{file.name}: {finding}"
        assert finding["code"] not in ("RW0900", "RW0999"), f"{file.name}: {finding}"
    return errors


def test_every_file_is_accepted_or_refused_by_name(tmp_path, capsys):
    accepted, known, considered, back, alone, other = 0, 0, 0, Counter(), Counter(), Counter()
    for row in rows("index.tsv"):
        errors = [error for error in check(CORPUS / "ini" / row["file"], tmp_path) if error["code"] not in MACHINE]
        if not row["language"].startswith("python"):
            continue
        considered += 1
        lacking = {error["message"].split("`")[1] for error in errors if error["code"] in LACKING}
        accepted += not errors
        known += not lacking
        back.update(lacking)
        alone.update(lacking if len(lacking) == 1 else ())
        other.update({error["code"] for error in errors if error["code"] not in LACKING})
    assert considered > 100
    with capsys.disabled():
        print(f"\ndrop-in rate: {accepted} of {considered} Python files, {accepted / considered:.0%}")
        print(f"every option works or needs no effect: {known}, {known / considered:.0%}")
        print("held back by: " + ", ".join(f"{name} {count}" for name, count in back.most_common()))
        print("alone in the way: " + ", ".join(f"{name} {count}" for name, count in alone.most_common()))
        print("other refusals: " + ", ".join(f"{code} {count}" for code, count in other.most_common()))


def test_every_command_line_is_read(tmp_path):
    for row in rows("cli.tsv"):
        try:
            words = shlex.split(row["command line"])
        except ValueError:
            continue
        while words and os.path.basename(words[0]) != "uwsgi":
            words.pop(0)
        plain = [word for word in words[1:] if word not in ("&", "&&", "|", ">", ";", "\\")]
        done = subprocess.run(
            [BINARY, "--show-config", *plain],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert done.returncode in (0, 1, 2), f"{row['n']}: exit {done.returncode}\n{done.stderr}"
        assert done.returncode == 0 or "error[RW" in done.stderr, f"{row['n']}: {done.stderr}"
