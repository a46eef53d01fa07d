"""The scenarios, one row each. A new one is a row here and, if need be, an app in `apps/`."""

from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).resolve().parent.parent / "apps"


@dataclass(frozen=True)
class Scenario:
    """What is asked of every server in turn."""

    name: str
    title: str
    app: str = "hello.py"
    protocol: str = "uwsgi"  # uwsgi, http (keep-alive), http-close
    socket: str = "unix"  # unix, tcp
    variables: int = 14
    uri: str = "/"
    body: int = 0
    expect: str = "Hello World"
    connections: int = 16
    processes: int = 1
    threads: int = 1
    default: bool = True
    # How much longer a round has to be until the server has burnt enough CPU to be measured in 10 ms ticks.
    stretch: float = 1.0

    @property
    def cores(self):
        """Requests that a server can hold in its app at once."""
        return self.processes * self.threads

    @property
    def pinned(self):
        """One process of one thread has a CPU to itself, and so has the load generator; more are left to the scheduler."""
        return self.cores == 1

    @property
    def app_path(self):
        return APPS / self.app


SCENARIOS = [
    Scenario("hello14-unix", "hello, 14 variables, uwsgi protocol, UNIX socket, 1x1"),
    Scenario("hello40-unix", "hello, 40 variables, uwsgi protocol, UNIX socket, 1x1", variables=40),
    Scenario("hello14-tcp", "hello, 14 variables, uwsgi protocol, TCP, 1x1", socket="tcp"),
    Scenario("http-keepalive", "hello, HTTP/1.1 keep-alive, TCP, 1x1", protocol="http", socket="tcp"),
    Scenario(
        "post-1m", "POST 1 MiB read by the app, uwsgi protocol, UNIX socket, 1x1",
        app="post.py", body=1 << 20, expect=str(1 << 20),
    ),
    Scenario("hello14-unix-4t", "hello, 14 variables, uwsgi protocol, UNIX socket, 1x4, not pinned", threads=4),
    Scenario(
        "hello14-unix-c1", "hello, one client at a time, uwsgi protocol, UNIX socket, 1x1",
        connections=1, default=False, stretch=2,
    ),
    Scenario(
        "http-close", "hello, HTTP/1.1, one connection per request, TCP, 1x1",
        protocol="http-close", socket="tcp", default=False,
    ),
    Scenario(
        "http-keepalive-40", "hello, HTTP/1.1 keep-alive, browser headers, TCP, 1x1",
        protocol="http", socket="tcp", variables=40, default=False,
    ),
    Scenario(
        "body10k-unix", "10 KiB body, uwsgi protocol, UNIX socket, 1x1",
        app="body10k.py", expect="x" * 10_240, default=False,
    ),
    Scenario(
        "post-10k", "POST 10 KiB read by the app, uwsgi protocol, UNIX socket, 1x1",
        app="post.py", body=10_240, expect="10240", default=False,
    ),
    Scenario(
        "generator-100", "generator of 100 chunks, uwsgi protocol, UNIX socket, 1x1",
        app="generator.py", expect="y" * 10_000, default=False,
    ),
    Scenario(
        "wait-0.3ms-4t", "app waits 0.3 ms, uwsgi protocol, UNIX socket, 1x4, not pinned",
        app="wait.py", uri="/?sleep=0.3", expect="done", threads=4, default=False, stretch=2,
    ),
    Scenario(
        "mixed-0.1+0.3ms-4t", "app burns 0.1 ms and waits 0.3 ms, uwsgi protocol, UNIX socket, 1x4, not pinned",
        app="wait.py", uri="/?cpu=0.1&sleep=0.3", expect="done", threads=4, default=False, stretch=2,
    ),
    Scenario(
        "wait-20ms-4t", "app waits 20 ms, 8 clients, uwsgi protocol, UNIX socket, 1x4, not pinned",
        app="wait.py", uri="/?sleep=20", expect="done", threads=4, connections=8, default=False, stretch=8,
    ),
    Scenario(
        "burn-5ms-2p", "app burns 5 ms, uwsgi protocol, UNIX socket, 2x1, not pinned",
        app="wait.py", uri="/?cpu=5", expect="done", processes=2, default=False, stretch=2,
    ),
]


def chosen(names):
    """The scenarios called `names`: the default ones when there are none, every one for `all`."""
    if not names:
        return [scenario for scenario in SCENARIOS if scenario.default]
    if names == ["all"]:
        return SCENARIOS
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise LookupError(f"unknown scenario `{unknown[0]}`; known: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]
