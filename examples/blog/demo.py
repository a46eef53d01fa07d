#!/usr/bin/env python3
"""The blog behind nginx and rustwsgi, from nothing, with one command.

    demo.py          build, install, migrate, start, and say where the site is
    demo.py stop     stop nginx and rustwsgi

`make demo` and `make demo-stop` call it. A second start brings everything up to date and reloads.

Environment:
    PYO3_PYTHON      the Python that the binary is linked with, and the venv made by (default: python3)
    RUSTWSGI         a binary to serve with, instead of building one
    DEMO_PORT        the port to try first (default: 8080)
    BLOG_DATA        where the site keeps its data (default: examples/blog/data)
"""

from __future__ import annotations  # so that an older Python gets as far as being refused

import hashlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BLOG = Path(__file__).resolve().parent
ROOT = BLOG.parent.parent
sys.path[:0] = [str(BLOG / "nginx"), str(ROOT / "scripts")]
sys.dont_write_bytecode = True

import prerequisites  # noqa: E402
import render as nginx  # noqa: E402
from prerequisites import Cargo, Python, fail  # noqa: E402

DATA = Path(os.environ.get("BLOG_DATA") or BLOG / "data").resolve()
VENV = ROOT / ".venv"
STATE = ROOT / ".demo"
NGINX = STATE / "nginx"
NGINX_PID = NGINX / "nginx.pid"
PORT_FILE = STATE / "port"
PIDFILE = ROOT / "uwsgi.pid"
LOG = ROOT / "uwsgi.log"
SOCKET = BLOG / "uwsgi.sock"
RUSTWSGI = Path(os.environ.get("RUSTWSGI") or ROOT / "target/release/rustwsgi")
SERVERS = ("rustwsgi", "uwsgi")  # what may stand in uwsgi.pid

START_SECONDS = 30
STOP_SECONDS = 60


def start() -> None:
    # What is missing is said before the long build, not after it.
    python = Python.find()
    cargo = None if "RUSTWSGI" in os.environ else Cargo.find()
    prerequisites.need(
        *([] if has_venv_of(python) else python.venv_packages()),
        *(prerequisites.compiler() + python.libpython_packages() if cargo else []),
    )
    has_nginx = find_nginx()

    if cargo:
        build(cargo, python)
    make_venv(python)
    prepare_site()

    STATE.mkdir(exist_ok=True)
    port = serve(has_nginx)
    wait_until_it_answers(port)
    PORT_FILE.write_text(f"{port}\n")
    say_where(port, has_nginx)


def say_where(port: int, has_nginx: bool) -> None:
    command = os.path.relpath(RUSTWSGI, ROOT) if RUSTWSGI.is_relative_to(ROOT) else RUSTWSGI
    if not has_nginx:
        print(
            "\n   nginx is not installed, so the site is served on rustwsgi's HTTP socket alone"
            "\n   (with nginx, as root: apt-get install nginx, then make demo again)"
        )
    print(
        f"\n   the blog         http://127.0.0.1:{port}/"
        f"\n   the admin        http://127.0.0.1:{port}/admin/   (user demo, password quiet-deploy)"
        f"\n   the log          tail -f {LOG.name}"
        f"\n   the processes    ps -ef | grep rustwsgi"
        f"\n   new code         {command} --reload {PIDFILE.name}"
        f"\n   the end          make demo-stop\n"
    )


def stop() -> None:
    was_up = False
    if proxy := Running.find(NGINX_PID, "nginx"):
        step("stopping nginx")
        was_up = True
        os.kill(proxy.pid, signal.SIGQUIT)
        proxy.wait_until_gone()
    if server := Running.find(PIDFILE, *SERVERS):
        step(f"stopping {server.program.name}")
        was_up = True
        if server.program.exists():
            run([server.program, "--stop", PIDFILE.name], cwd=ROOT)
        else:
            os.kill(server.pid, signal.SIGINT)
        server.wait_until_gone()
    PORT_FILE.unlink(missing_ok=True)
    print("stopped" if was_up else "the demo is not running")


# ---- what the site is served with


def build(cargo: Cargo, python: Python) -> None:
    step("building rustwsgi (cargo build --release; some minutes the first time)")
    run([cargo.command, "build", "--release"], cwd=ROOT, env={"PYO3_PYTHON": python.command})


def has_venv_of(python: Python) -> bool:
    try:
        made_by = (VENV / "pyvenv.cfg").read_text()
    except FileNotFoundError:
        return False
    return f"home = {python.home}\n" in made_by and f"version = {python.full_version}\n" in made_by


def make_venv(python: Python) -> None:
    if not has_venv_of(python):
        step(f"making a virtual environment of Python {python.full_version} in .venv")
        run([python.command, "-m", "venv", "--clear", VENV])

    requirements = BLOG / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    installed = VENV / "installed-requirements"
    if not installed.exists() or installed.read_text() != wanted:
        step("installing Django and Pillow into it")
        pip = [VENV / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "-q"]
        run([*pip, "-r", requirements])
        installed.write_text(wanted)


def prepare_site() -> None:
    for what, *command in (
        ("migrating the database", "migrate", "-v0"),
        ("adding the sample posts", "seed"),
        ("collecting the static files", "collectstatic", "--noinput", "-v0"),
    ):
        step(what)
        run([VENV / "bin/python", "manage.py", *command], cwd=BLOG)


def find_nginx() -> bool:
    missing = prerequisites.nginx()
    return not missing or prerequisites.apt_install(*missing)


# ---- serving


def serve(has_nginx: bool) -> int:
    """Starts or reloads rustwsgi, and nginx if there is one; the port that a browser may use."""
    known_port = int(PORT_FILE.read_text()) if PORT_FILE.exists() else None
    server = Running.find(PIDFILE, *SERVERS)
    proxy = Running.find(NGINX_PID, "nginx")
    front_is_up = proxy if has_nginx else server
    port = known_port if front_is_up and known_port else free_port()

    if server and server.is_outdated:
        step(f"{server.program.name} was built anew: stopping the old one")
        run([RUSTWSGI, "--stop", PIDFILE.name], cwd=ROOT)
        server = None
    if server:
        step(f"{server.program.name} is running already: reloading it")
        run([server.program, "--reload", PIDFILE.name], cwd=ROOT)
    else:
        step("starting rustwsgi")
        http_socket = [] if has_nginx else ["--http-socket", f"127.0.0.1:{port}"]
        run([RUSTWSGI, "--ini", "uwsgi.ini", *http_socket], cwd=ROOT)
    if has_nginx:
        start_nginx(port, reload=proxy is not None)
    return port


def start_nginx(port: int, reload: bool) -> None:
    step("nginx is running already: reloading it" if reload else f"starting nginx on port {port}")
    nginx.render(
        NGINX,
        LISTEN=f"127.0.0.1:{port}",
        BLOG=f"unix:{SOCKET}",
        STATIC_ROOT=DATA / "static",
        MEDIA_ROOT=DATA / "media",
    )
    run(nginx.command(NGINX, *(["-s", "reload"] if reload else [])))


def free_port() -> int:
    first = int(os.environ.get("DEMO_PORT", 8080))
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    fail(f"no port from {first} to {first + 99} is free", "DEMO_PORT=9000 make demo")


def wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    answer = "no answer"
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            answer = str(connection.getresponse().status)
            connection.close()
            if answer == "200":
                return
        except (OSError, http.client.HTTPException) as error:
            answer = str(error)
        time.sleep(0.1)
    show_log()
    fail(f"http://127.0.0.1:{port}/ did not answer within {START_SECONDS} seconds: {answer}")


# ---- processes


@dataclass
class Running:
    """A server that this script, or the user, has started earlier."""

    pid: int
    program: Path
    is_outdated: bool  # another file stands in its program's place

    @classmethod
    def find(cls, pidfile: Path, *names: str) -> Running | None:
        """The process in `pidfile`, if it lives and is one of `names`."""
        try:
            pid = int(pidfile.read_text())
            # Where the binary was rebuilt, the kernel adds a word to the path of the old one.
            link = os.readlink(f"/proc/{pid}/exe")
        except (OSError, ValueError):
            return None
        program = Path(link.removesuffix(" (deleted)"))
        return cls(pid, program, link.endswith(" (deleted)")) if program.name in names else None

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while Path(f"/proc/{self.pid}").exists():
            if time.monotonic() > deadline:
                fail(f"{self.program} (pid {self.pid}) is there after {STOP_SECONDS} seconds")
            time.sleep(0.05)


def run(command: list, cwd: Path | None = None, env: dict | None = None) -> None:
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=os.environ | (env or {}))
    if done.returncode != 0:
        fail(f"`{' '.join(map(str, command))}` failed with exit code {done.returncode}")


def show_log() -> None:
    if LOG.exists():
        lines = LOG.read_text(errors="replace").splitlines()[-20:]
        print(f"   the end of {LOG}:", *lines, sep="\n   ", file=sys.stderr)


def step(what: str) -> None:
    print(f"== {what}", flush=True)


if __name__ == "__main__":
    commands = {(): start, ("start",): start, ("stop",): stop}
    command = commands.get(tuple(sys.argv[1:]))
    if command is None:
        sys.exit(__doc__)
    try:
        command()
    except KeyboardInterrupt:
        sys.exit(130)
