"""What the kernel says about processes: the tree, titles, states, descriptors, memory."""

import os
import select
import signal
from pathlib import Path

from .waiting import until

PAGE = os.sysconf("SC_PAGE_SIZE")


def stat(pid):
    """The fields of /proc/PID/stat after the name: state, ppid, ...; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def state(pid):
    """The state letter (`S`, `R`, `Z`, ...) or None."""
    fields = stat(pid)
    return fields and fields[0]


def alive(pid):
    """Whether the process exists and is not a zombie."""
    return state(pid) not in (None, "Z", "X")


def parent(pid):
    """The parent's pid or None."""
    fields = stat(pid)
    return fields and int(fields[1])


def everyone():
    """All pids of the machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """The pids whose parent is `pid`, zombies too, oldest first."""
    return sorted((child for child in everyone() if parent(child) == pid), key=started)


def started(pid):
    """When the process started, in clock ticks since boot."""
    fields = stat(pid)
    return int(fields[19]) if fields else 0


def descendants(pid):
    """All processes below `pid`, parents first."""
    below = {}
    for child in everyone():
        below.setdefault(parent(child), []).append(child)
    found, todo = [], [pid]
    while todo:
        for child in below.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found


def title(pid):
    """What `ps -ef` shows in its last column."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return words.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace").strip()


def comm(pid):
    """The name `killall` goes by."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cwd(pid):
    """The working directory, or None."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None


def owner(pid):
    """The effective (uid, gid)."""
    ids = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Uid", "Gid"):
            ids[name] = int(rest.split()[1])
    return ids["Uid"], ids["Gid"]


def groups(pid):
    """The supplementary groups."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Groups:"):
            return [int(word) for word in line.split()[1:]]
    return []


def descriptors(pid):
    """Open descriptors: number -> what they lead to."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return found


def rss(pid):
    """Resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def threads(pid):
    """The ids of its threads."""
    return sorted(map(int, os.listdir(f"/proc/{pid}/task")))


def libraries(pid):
    """The files mapped executable into the process."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if " r-xp " in line and line.count("/")}


def ended(pid, timeout=10.0):
    """Waits until the process is gone (the warden reaps what nobody else does)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([handle], [], [], timeout)[0]:
            raise AssertionError(f"waited {timeout} s for the end of {pid} ({title(pid)})")
    finally:
        os.close(handle)
    until(lambda: state(pid) is None, f"somebody to reap {pid}", timeout)


def kill(pid, number=signal.SIGKILL):
    """Signals one process; says whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def inside(directory):
    """Processes under this test run that work in `directory` or below it."""
    directory = Path(directory).resolve()
    found = []
    for pid in descendants(os.getppid()):
        place = cwd(pid)
        if place and pid != os.getpid() and (place == directory or directory in place.parents):
            found.append(pid)
    return found


def sweep(directory):
    """Kills whatever still works in `directory`, and what it started, until nothing is left."""

    def left():
        pids = {pid for root in inside(directory) for pid in [root, *descendants(root)]}
        for pid in pids:
            kill(pid)
        return not pids

    until(left, f"the end of the processes of {directory}")
