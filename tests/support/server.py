"""Starts rustwsgi or uWSGI from an ini file, in a directory of its own, and knows how to look at it."""

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import processes
from .waiting import until

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
APPS = TESTS / "apps"
WORKER_SPAWNED = re.compile(r"spawned uWSGI worker (\d+) .*?\(pid: (\d+), cores: (\d+)\)", re.IGNORECASE)


class StartFailed(AssertionError):
    """The server ended instead of coming up."""


@dataclass(frozen=True)
class Program:
    """A server program: ours or the one we succeed."""

    kind: str
    path: Path

    @property
    def ours(self):
        """Whether this is rustwsgi."""
        return self.kind == "rustwsgi"

    def environment(self):
        """The environment of a fresh login: nothing of this test run's own Python leaks in."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "UWSGI"))}
        kept.pop("VIRTUAL_ENV", None)
        kept.pop("NOTIFY_SOCKET", None)
        return kept

    def run(self, *arguments, cwd, timeout=60, **environment):
        """Runs a command to its end: exit code, stdout and stderr as text."""
        done = subprocess.run(
            [self.path, *map(str, arguments)],
            cwd=cwd,
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            start_new_session=True,
        )
        return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self):
        """Everything it said."""
        return self.stdout + self.stderr

    def __str__(self):
        return f"exit code {self.code}\n{self.text}"


class Log:
    """A log file that grows."""

    def __init__(self, path):
        self.path = Path(path)

    def text(self, since=0):
        """What was written after byte `since`."""
        try:
            with open(self.path, "rb") as file:
                file.seek(since)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def mark(self):
        """Where the file ends now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def wait_for(self, pattern, since=0, timeout=10.0):
        """The first match of `pattern` after byte `since`."""
        compiled = re.compile(pattern, re.MULTILINE)
        return until(
            lambda: compiled.search(self.text(since)),
            lambda: f"/{pattern}/ in the log:\n{self.text(since)[-4000:]}",
            timeout,
        )

    def count(self, pattern, since=0):
        """How often `pattern` occurs after byte `since`."""
        return len(re.findall(pattern, self.text(since), re.MULTILINE))

    def lines(self, since=0):
        """The lines written after byte `since`."""
        return self.text(since).splitlines()


class Server:
    """One instance: an ini file in a directory, and the processes that came of it."""

    def __init__(self, program, directory, app=None, **options):
        self.program = program
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.options = {"master": "true", "need-app": "true"}
        if app:
            self.install(app)
            self.options["wsgi-file"] = "app.py"
        self.set(**options)
        self.process = None
        self.prefix = []
        self.log = Log(self.directory / "server.log")

    def install(self, app, name="app.py"):
        """Puts one of the apps of `tests/apps` (or source text) beside the ini file."""
        target = self.directory / name
        if "\n" in app:
            target.write_text(app)
        else:
            shutil.copy(APPS / app, target)
        return target

    def set(self, **options):
        """Changes options (`_` stands for `-`; None removes; a list repeats) and writes the ini file."""
        for key, value in options.items():
            self.options[key.replace("_", "-")] = value
        lines = ["[uwsgi]"]
        for key, value in self.options.items():
            for item in value if isinstance(value, list) else [value]:
                if item is not None:
                    lines.append(f"{key} = {str(item).lower() if isinstance(item, bool) else item}")
        self.ini.write_text("\n".join(lines) + "\n")

    @property
    def ini(self):
        """The ini file."""
        return self.directory / "uwsgi.ini"

    @property
    def wanted(self):
        """How many workers there should be while nothing is to do."""
        return int(self.options.get("cheaper", self.options.get("processes", self.options.get("workers", 1))))

    def run(self, *arguments, **more):
        """Runs the program with other arguments in the same directory."""
        return self.program.run(*arguments, cwd=self.directory, **more)

    def launch(self, *arguments):
        """Starts it in the foreground, output into the log, without waiting."""
        with open(self.log.path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.program.path, *(arguments or ("--ini", "uwsgi.ini"))],
                cwd=self.directory,
                env=self.program.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def start(self, *arguments, timeout=30.0):
        """Starts it in the foreground and waits until every worker is there."""
        mark = self.log.mark()
        self.launch(*arguments)

        def ready():
            if self.process.poll() is not None:
                raise StartFailed(f"ended with {self.process.returncode}:\n{self.log.text(mark)}")
            text = self.log.text(mark)
            # Ours says when it serves; a stop before that is a start that failed.
            up = not self.program.ours or re.search(r"(?:^| - )ready in \d+ ms", text, re.MULTILINE)
            return up and len(set(WORKER_SPAWNED.findall(text))) >= self.wanted

        until(ready, lambda: f"{self.wanted} workers:\n{self.log.text(mark)[-4000:]}", timeout)
        return self

    @property
    def pidfile(self):
        """The pid file named in the ini."""
        return self.directory / self.options["pidfile"]

    @property
    def master(self):
        """The master's pid."""
        if self.process is not None:
            return self.process.pid
        return int(self.pidfile.read_text())

    def workers(self):
        """The pids of the living workers."""
        found = [pid for pid in processes.children(self.master) if processes.alive(pid)]
        if self.program.ours:
            found = [pid for pid in found if "rustwsgi worker" in processes.title(pid)]
        return found

    def zygotes(self):
        """The pids of the living zygotes."""
        return [pid for pid in processes.children(self.master) if "rustwsgi zygote" in processes.title(pid)]

    def settle(self, timeout=10.0):
        """Waits until exactly the wanted workers (and one zygote) are there."""

        def settled():
            return len(self.workers()) == self.wanted and (not self.program.ours or len(self.zygotes()) == 1)

        until(settled, lambda: f"{self.wanted} workers and one zygote:\n{self.tree()}", timeout)
        return self.workers()

    def tree(self):
        """Titles of master and everything below, for messages."""
        pids = [self.master, *processes.descendants(self.master)]
        return "\n".join(f"{pid} {processes.state(pid)} {processes.title(pid)}" for pid in pids)

    def signal(self, number):
        """Signals the master."""
        os.kill(self.master, number)

    def wait(self, timeout=15.0):
        """Waits for the end of a foreground master; its exit code."""
        return self.process.wait(timeout)

    def stop(self, timeout=15.0):
        """Ends it as Ctrl-C does; the exit code."""
        self.signal(signal.SIGINT)
        return self.wait(timeout)

    def kill(self):
        """Ends everything that is left, at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        processes.sweep(self.directory)
