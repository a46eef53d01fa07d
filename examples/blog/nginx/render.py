#!/usr/bin/env python3
"""Fills in the nginx files beside it, and writes them to a directory that nginx can start from.

    python3 render.py /srv/blog/nginx BLOG=unix:/run/blog.sock LISTEN=80

The demo, the tests and a deployment all use these files; what differs is in VALUES.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BLOG = HERE.parent

# Every @NAME@ in the files, with the value it has unless another is given.
VALUES = {
    "LISTEN": "127.0.0.1:8080",  # where nginx listens
    "SITE": "site.conf",  # or load_balancing.conf
    "WORKERS": "auto",  # nginx's own processes
    "STATIC_ROOT": str(BLOG / "data/static"),  # the directories of settings.py
    "MEDIA_ROOT": str(BLOG / "data/media"),
    # site.conf
    "BLOG": "127.0.0.1:8001",  # rustwsgi's `socket`: an address, or unix:/path
    # load_balancing.conf
    "POLICY": "weighted",  # or spare, drained, sticky, patient
    "EAST": "127.0.0.1:8001",  # one `socket` each
    "WEST": "127.0.0.1:8002",
    "NORTH": "127.0.0.1:8003",
    "FAIL_TIMEOUT": "10s",
}


def render(prefix: Path, **values: object) -> None:
    """Writes a startable nginx configuration to `prefix`, an absolute path."""
    unknown = sorted(set(values) - set(VALUES))
    if unknown:
        raise ValueError(f"no such value: {', '.join(unknown)}; there are {', '.join(VALUES)}")
    known = VALUES | values | {"PREFIX": prefix}
    (prefix / "temp").mkdir(parents=True, exist_ok=True)
    for template in sorted(HERE.iterdir()):
        if template.suffix == ".conf" or template.name == "rustwsgi_params":
            text = template.read_text()
            text = re.sub(r"@([A-Z_]+)@", lambda name: _value(known, name), text)
            (prefix / template.name).write_text(text)


def _value(known: dict[str, object], name: re.Match) -> str:
    return "@NAMES@" if name[1] == "NAMES" else str(known[name[1]])


def command(prefix: Path, *more: str) -> list[str]:
    """The command that starts nginx there; `more` may be `-t`, or `-s`, `quit`."""
    # Debian keeps nginx in /usr/sbin, which is not on everyone's PATH.
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise FileNotFoundError("nginx is not installed")
    start = [nginx, "-p", str(prefix), "-c", str(prefix / "nginx.conf")]
    # As root, nginx would give its workers away to a user who may not open the site's socket.
    return start + (["-g", "user root;"] if os.geteuid() == 0 else []) + list(more)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    try:
        render(
            Path(sys.argv[1]).resolve(),
            **dict(argument.partition("=")[::2] for argument in sys.argv[2:]),
        )
    except ValueError as error:
        sys.exit(f"render.py: {error}")
