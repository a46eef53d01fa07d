"""The invariant: after a fault everything is as it was. A fault test without it does not count."""

from . import processes
from .waiting import until

ROUNDS = 200


class Invariant:
    """Notes how an instance is, lets the fault happen in its `with` block, and compares afterwards.

    `probe` makes one request and returns its status.
    """

    def __init__(self, server, probe, rounds=ROUNDS):
        self.server = server
        self.probe = probe
        self.rounds = rounds

    def __enter__(self):
        self.server.settle()
        for _ in range(20 * self.server.wanted):
            assert self.probe() == 200, "not healthy before the fault"
        self.master = self.server.master
        self.log_mark = self.server.log.mark()
        self.master_descriptors = len(processes.descriptors(self.master))
        self.worker_descriptors = self.worker_counts()
        self.master_rss = processes.rss(self.master)
        self.worker_rss = max(map(processes.rss, self.server.workers()))
        self.pidfile = self.server.options.get("pidfile")
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.check()

    def check(self):
        """Fails with the first thing that is not as it was."""
        server = self.server
        assert server.master == self.master and processes.alive(self.master), "the master is another one"
        server.settle()
        for number in range(self.rounds):
            status = self.probe()
            assert status == 200, f"request {number} after the fault got {status}"
        self.no_zombies()
        until(
            lambda: len(processes.descriptors(self.master)) == self.master_descriptors,
            lambda: f"the master's descriptors: {processes.descriptors(self.master)}, were {self.master_descriptors}",
            timeout=5,
        )
        until(
            lambda: max(self.worker_counts()) <= max(self.worker_descriptors),
            lambda: f"the workers' descriptors: {self.worker_counts()}, were {self.worker_descriptors}",
            timeout=5,
        )
        if self.pidfile:
            assert int(server.pidfile.read_text()) == self.master, "the pid file names another process"
        log = server.log.text(self.log_mark)
        assert "panicked at" not in log and "SIGABRT" not in log.replace("died of SIGABRT", ""), log
        self.no_growth()

    def worker_counts(self):
        """How many descriptors each worker has open."""
        return [len(processes.descriptors(pid)) for pid in self.server.workers()]

    def no_zombies(self):
        """No process below the master may wait to be reaped for long."""

        def zombies():
            return [pid for pid in processes.descendants(self.master) if processes.state(pid) == "Z"]

        until(lambda: not zombies(), lambda: f"zombies: {zombies()}\n{self.server.tree()}", timeout=2)

    def no_growth(self):
        """Memory within 5 %, or within what one arena of malloc makes."""
        master = processes.rss(self.master)
        assert master <= self.master_rss * 1.05 + (1 << 20), f"the master grew from {self.master_rss} to {master}"
        worker = max(map(processes.rss, self.server.workers()))
        assert worker <= self.worker_rss * 1.05 + (2 << 20), f"a worker grew from {self.worker_rss} to {worker}"
