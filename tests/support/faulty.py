"""What the faults are made of: a site that goes wrong when asked to, clients that notice, and what is said of it."""

import threading
import time
from dataclasses import dataclass
from typing import Callable

from . import http_client, processes
from .load import SLOW
from .server import APPS
from .site import Site
from .waiting import until

TICK = 0.02


@dataclass(frozen=True)
class Finding:
    """What was measured, and whether it is what rustwsgi promises."""

    kept: bool
    said: str


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    number: str
    done: str
    act: Callable  # (site, workshop, scale) -> Finding
    options: dict
    ours_only: bool = False
    ends: bool = False  # whether the instance is another one afterwards

    def site(self, workshop, program, **more):
        """A started site to do it to."""
        options = dict(self.options)
        prepare = options.pop("prepare", None)
        if not program.ours:
            # The same that rustwsgi does without being told.
            options |= {"die-on-term": "true", "enable-threads": "true", "listen": 100}
        site = FaultySite(workshop, program, **options | more)
        if prepare:
            prepare(site)
        site.server.start()
        if not program.ours:
            # It says that a worker is there before the worker takes signals.
            site.ask_for(1)
        return site

    @property
    def name(self):
        """A word for test ids."""
        return f"{self.number}-{self.act.__name__.replace('_', '-')}"


class FaultySite(Site):
    """A site whose app goes wrong when asked to."""

    def write(self, version):
        text = (APPS / "faults.py").read_text()
        self.server.install(text.replace('VERSION = "1"', f"VERSION = {version!r}", 1))

    def probe(self, path="/", timeout=1.0):
        """The status of one request, or None if none came in time."""
        try:
            answer = http_client.get(self.port, path, timeout=timeout)
            return answer and answer.status
        except (OSError, AssertionError):
            return None

    def ask_for(self, seconds):
        """Asks for so long without a pause; how many were answered in time, how many not."""
        good = bad = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.probe() == 200:
                good += 1
            else:
                bad += 1
        return good, bad


class Census(threading.Thread):
    """Counts the living children of a master until it is told to end."""

    def __init__(self, master):
        super().__init__(daemon=True)
        self.master, self.most, self.over = master, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, sum(map(processes.alive, processes.children(self.master))))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Asking(threading.Thread):
    """One client that asks every 20 ms on a connection of its own: failures, and the longest answer."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.over = site, threading.Event()
        self.answers, self.failures, self.slowest, self.versions = 0, 0, 0.0, set()

    def run(self):
        while not self.over.wait(TICK):
            start = time.monotonic()
            try:
                answer = http_client.get(self.site.port, timeout=20)
                good = answer is not None and answer.status == 200
            except (OSError, AssertionError):
                good = False
            self.answers += good
            self.failures += not good
            self.slowest = max(self.slowest, time.monotonic() - start)
            if good:
                self.versions.add(answer.text.strip())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def said(self):
        """What its clients would say."""
        return f"{share(self.failures, self.answers)}, slowest {self.slowest:.2f} s"


def share(failures, answers):
    """So many of so many, without more digits than they are worth."""
    return f"{failures} of {failures + answers} failed" if failures else "none failed"


def told(report):
    """What the report of a `Load` says."""
    return f"{share(len(report['failures']), report['statuses'].get('200', 0))}, slowest {report['slowest']:.2f} s"


def unhurt(report, slowest=SLOW):
    """Whether nobody noticed anything."""
    return not report["failures"] and set(report["statuses"]) == {"200"} and report["slowest"] < slowest


def until_or_none(condition, seconds):
    """Whether it became true in time."""
    try:
        return until(condition, "it", seconds)
    except (AssertionError, OSError):
        return None
