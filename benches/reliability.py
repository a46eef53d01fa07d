#!/usr/bin/env python3
"""Does every fault of `tests/support/faults.py` to rustwsgi and to uWSGI, and writes `docs/reliability.md`.

    make reliability                                  the whole page, about ten minutes
    target/test-venv/bin/python benches/reliability.py --only 61,64    these rows of it

Only what was measured stands in the page; a fault that could not be done is named with the reason.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

from conftest import Workshop  # noqa: E402
from support import faults, warden  # noqa: E402
from support.server import Program  # noqa: E402

PAGE = ROOT / "docs/reliability.md"
HEAD = """# What happens when things go wrong

The same script does each fault to rustwsgi and to uWSGI {version}, with the same application and the same options, and notes what
the clients see. `make reliability` runs it and writes this page; only what was measured stands here. `kept` means that
what rustwsgi promises for the fault was kept: nobody who asks gets anything but the right answer within a second, unless the
fault itself takes the answer away (`kill -9` of the worker that has the request); nothing hangs; nothing is left behind.

Both run with a master and two workers of one thread where nothing else is said, and keep to their defaults otherwise; uWSGI is given
`die-on-term`, `enable-threads` and `need-app`. The clients are 16 (reloads) or 8 that never pause, or one that asks every 20 ms.
The load comes from the same two-core machine as the servers, so the times say who waits, not how fast a server is.

| fault | what is done | rustwsgi | uWSGI {version} |
|---|---|---|---|
"""
TAIL = """
## What is not in the table

* Process 1 of a container with orphans, signals of every kind, and pid files and sockets of every wrong kind are tested
  (`tests/test_container.py`, `tests/test_signals.py`, `tests/test_refusals.py`), without a comparison.
* uWSGI has no zygote, so nothing is done to it there.
* `RLIMIT_NOFILE` is raised only as far as the machine lets us; the billion of some containers was not to be had here.
* Jumps of the clock are made by libfaketime and show to programs that ask the C library for the time.
"""


def main():
    """Runs the faults and writes the page."""
    options = arguments()
    chosen = [fault for fault in faults.FAULTS if not options.only or fault.number in options.only.split(",")]
    programs = [
        Program("rustwsgi", Path(os.environ.get("RUSTWSGI", ROOT / "target/release/rustwsgi")).resolve()),
        Program("uwsgi", Path(os.environ.get("UWSGI", Path(sys.prefix) / "bin/uwsgi"))),
    ]
    warden.stand_guard()
    version = subprocess.run([programs[1].path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    new = {}
    for fault in chosen:
        cells = [measured(fault, program) for program in programs]
        new[key(fault)] = f"{key(fault)}{' | '.join(cells)} |"
        print(new[key(fault)], flush=True)
    rows = written() | new
    lines = [rows[key(fault)] for fault in faults.FAULTS if key(fault) in rows]
    PAGE.write_text(HEAD.format(version=version) + "\n".join(lines) + "\n" + TAIL)


def key(fault):
    """How the row of a fault begins."""
    return f"| {fault.number} | {fault.done} | "


def written():
    """The rows that the page has already."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    return {key(fault): line for fault in faults.FAULTS for line in lines if line.startswith(key(fault))}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="numbers of faults, with commas; the other rows stay as they are")
    return parser.parse_args()


def measured(fault, program):
    """What came of it, as a cell of the table."""
    if fault.ours_only and not program.ours:
        return "has none"
    if fault.number == "93" and faults.FAKETIME is None:
        return "not measured: libfaketime is not installed"
    shop = Workshop()
    sys.stdout, out = open(os.devnull, "w"), sys.stdout
    try:
        finding = fault.act(fault.site(shop, program), shop, 1.0)
        return f"{'**kept**' if finding.kept else '**not kept**'}: {finding.said}"
    except AssertionError as error:
        return f"**not kept**: {str(error).splitlines()[0]}"
    finally:
        shop.close()
        sys.stdout = out


if __name__ == "__main__":
    main()
