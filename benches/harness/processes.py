"""What a tree of processes has used, read from /proc. Nothing here starts, signals or changes a process."""

import os
from dataclasses import dataclass

TICK = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU seconds and context switches so far."""

    user: float = 0.0
    system: float = 0.0
    switches: int = 0

    def __sub__(self, other):
        return Usage(self.user - other.user, self.system - other.system, self.switches - other.switches)

    @property
    def cpu(self):
        return self.user + self.system


def tree(root):
    """`root` and all its descendants, found through their parents: a worker handed over to the master counts as its child."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(name)):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def usage(root):
    """Usage of the whole tree. A worker that ended is still counted: the master that reaped it holds its times."""
    user = system = switches = 0
    for pid in tree(root):
        if fields := _stat(pid):
            user += int(fields[11]) + int(fields[13])
            system += int(fields[12]) + int(fields[14])
            switches += _switches(pid)
    return Usage(user * TICK, system * TICK, switches)


def memory(root):
    """(PSS, RSS) of the whole tree in MiB; None where the kernel does not tell."""
    pss = rss = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                sizes = dict(line.split(":", 1) for line in rollup if line.startswith(("Pss:", "Rss:")))
        except OSError:
            return None, None
        pss += int(sizes["Pss"].split()[0])
        rss += int(sizes["Rss"].split()[0])
    return pss / 1024, rss / 1024


def libpython(root):
    """Files of the libpythons mapped in the tree: two servers are comparable only when theirs is the same."""
    found = set()
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/maps") as maps:
                found.update(line.split(None, 5)[5].strip() for line in maps if "/libpython" in line)
        except OSError:
            pass
    return sorted(found)


def born(pid):
    """Start time in clock ticks: with the pid it names one process for good. None when it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def machine_busy():
    """(busy, stolen) CPU seconds of the whole machine so far."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq) * TICK, steal * TICK


def _stat(pid):
    """Fields of /proc/PID/stat from the state on (so index 1 is ppid); None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()
    except OSError:
        return None


def _switches(pid):
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as status:
                total += sum(int(line.split()[1]) for line in status if "_ctxt_switches" in line)
    except OSError:
        pass
    return total
