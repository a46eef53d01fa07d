"""Files of a known size and content for `/download/`, made on first use and kept in BLOG_DATA.

Megabyte number `i` of every file is `shake_256(b"megabyte %d" % i)`, so a client can work out the
checksum for itself.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

MEGABYTE = 1024 * 1024
KEPT_FILES = 4  # the most recent sizes; visitors must not be able to fill the disk


def megabyte(number: int) -> bytes:
    return hashlib.shake_256(b"megabyte %d" % number).digest(MEGABYTE)


def sample_file(directory: Path, megabytes: int) -> BinaryIO:
    """The sample of that size, open for reading."""
    path = directory / f"sample-{megabytes}.bin"
    try:
        return path.open("rb")
    except FileNotFoundError:
        directory.mkdir(parents=True, exist_ok=True)
        sample = _make(path, megabytes)
        _forget_oldest(directory)
        return sample


def _make(path: Path, megabytes: int) -> BinaryIO:
    # Written under another name first: two requests may make the same file at once, and neither
    # may see half of it.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".draft-", delete=False) as draft:
        try:
            for number in range(megabytes):
                draft.write(megabyte(number))
            draft.flush()
            sample = open(draft.name, "rb")
            os.replace(draft.name, path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return sample


def _forget_oldest(directory: Path) -> None:
    # A request that is sending a forgotten file keeps it open, and so loses nothing.
    aged = []
    for path in directory.glob("sample-*.bin"):
        try:
            aged.append((path.stat().st_mtime, path))
        except FileNotFoundError:
            continue
    for _mtime, path in sorted(aged)[:-KEPT_FILES]:
        path.unlink(missing_ok=True)
