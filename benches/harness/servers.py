"""The servers: how each is started for a scenario, and how it is ended whatever happens.

A new peer is a function that makes its command line, and a row in `known_servers` of `run.py`.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import processes

STOP_SECONDS = 5
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: one of the two is set."""

    path: str = ""
    port: int = 0

    @property
    def address(self):
        return self.path or f"127.0.0.1:{self.port}"

    @property
    def loadgen_arguments(self):
        return ["--unix", self.path] if self.path else ["--tcp", self.address]


@dataclass(frozen=True)
class Server:
    """A server to measure."""

    name: str
    program: Path
    command: Callable  # (program, scenario, endpoint, home) -> arguments

    def missing(self):
        """Why it cannot be started, or None."""
        return None if os.access(self.program, os.X_OK) else f"`{self.name}` needs `{self.program}`, which is not there"


def uwsgi_command(program, scenario, endpoint, home):
    """uWSGI with nothing switched on that the scenario does not need. Only `http11-socket` keeps HTTP connections."""
    sockets = {"uwsgi": "--socket", "http": "--http11-socket", "http-close": "--http-socket"}
    return _common(program, scenario, endpoint, home, sockets[scenario.protocol])


def rustwsgi_command(program, scenario, endpoint, home):
    """rustwsgi with the same options."""
    return _common(program, scenario, endpoint, home, "--socket" if scenario.protocol == "uwsgi" else "--http-socket")


def _common(program, scenario, endpoint, home, option):
    return [
        str(program), option, endpoint.address, "--wsgi-file", str(scenario.app_path), "--home", str(home),
        "--master", "--processes", str(scenario.processes), "--threads", str(scenario.threads),
        "--disable-logging", "--need-app", "--buffer-size", "32768", "--listen", "100",
    ]


class Running:
    """A started server; use it in a `with`, which ends it and all its processes."""

    def __init__(self, server, scenario, home, cpus):
        self.server = server
        self.directory = tempfile.mkdtemp(prefix="bench-")
        self.endpoint = (
            Endpoint(path=f"{self.directory}/socket") if scenario.socket == "unix" else Endpoint(port=_free_port())
        )
        self.command = server.command(server.program, scenario, self.endpoint, home)
        self._log = Path(self.directory, "log")
        parent = os.getpid()
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env=_environment(), start_new_session=True, preexec_fn=lambda: _before_exec(parent, cpus),
            )

    @property
    def pid(self):
        return self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_it_listens(self, seconds=20):
        """Returns when a connection is accepted; raises with the log when the server ends or stays silent."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"`{self.server.name}` ended with {self.process.returncode}:\n{self.log_tail()}")
            family = socket.AF_UNIX if self.endpoint.path else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(1)
                try:
                    probe.connect(self.endpoint.path or ("127.0.0.1", self.endpoint.port))
                    return
                except OSError:
                    time.sleep(0.01)
        raise RuntimeError(f"`{self.server.name}` does not listen after {seconds} s:\n{self.log_tail()}")

    def log_tail(self, lines=20):
        text = self._log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in text[-lines:])

    def stop(self):
        """Asks with SIGINT, which both servers take as a fast stop, then kills what is left. Only our own, by pid."""
        ours = {}
        if self.process.poll() is None:
            ours = self._descendants()
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                ours |= self._descendants()
                self.process.kill()
                self.process.wait()
        for pid, born in ours.items():
            if processes.born(pid) == born:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _descendants(self):
        return {pid: born for pid in processes.tree(self.pid)[1:] if (born := processes.born(pid))}


def _before_exec(parent, cpus):
    """In the child: fixed CPUs, and a stop when the benchmark itself is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # A shell in the background starts its children with SIGINT ignored, and the stop signal would be lost.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if cpus:
        os.sched_setaffinity(0, cpus)


def _environment():
    """Little, and the same for all, so that no variable of the shell changes what is measured."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
