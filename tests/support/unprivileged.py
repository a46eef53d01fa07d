"""Running as another user, also where Python itself lives below a home that other users may not enter.

Only root can do this; the changes to what is mounted are private to the started process.
"""

import os
import sys
from pathlib import Path

NOBODY = 65534

# The closed directory is replaced by an open one that holds nothing but the way to Python.
OPEN_THE_WAY = """
set -e
closed=$1 prefix=$2 keep=$3
shift 3
mount --bind "$prefix" "$keep"
mount -t tmpfs -o mode=755 none "$closed"
mkdir -p "$prefix"
mount --move "$keep" "$prefix"
exec "$@"
"""


def open_to_all(keep):
    """A command prefix under which every user can reach the running Python; `keep` is an empty directory."""
    closed = closed_parent(Path(sys.base_prefix).resolve())
    if closed is None:
        return []
    return [
        "unshare",
        "--mount",
        "sh",
        "-c",
        OPEN_THE_WAY,
        "sh",
        str(closed),
        str(Path(sys.base_prefix).resolve()),
        str(keep),
    ]


def closed_parent(path):
    """The topmost directory above `path` that others may not enter."""
    for parent in reversed(path.parents):
        if not parent.stat().st_mode & 0o001:
            return parent
    return None


def as_nobody(keep):
    """A command prefix that gives up root; empty where there is no root to give up."""
    if os.geteuid() != 0:
        return []
    return [*open_to_all(keep), "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
