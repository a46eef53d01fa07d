#!/usr/bin/env python3
"""What the build, the demo and the tests need of the machine: found, installed with apt-get as root, or named.

    prerequisites.py         everything `make test` needs

`make test` calls it; the demo takes the parts it needs.
"""

from __future__ import annotations  # so that an older Python gets as far as being refused

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

OLDEST_PYTHON = (3, 11)
OLDEST_RUST = (1, 85)
SYSTEM_PATH = "/usr/sbin:/usr/local/sbin:/sbin"  # not on everyone's PATH
TEST_PROGRAMS = {
    "chromium": "chromium",
    "curl": "curl",
    "logrotate": "logrotate",
    "prlimit": "util-linux",
    "promtool": "prometheus",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "systemd-analyze": "systemd",
    "unshare": "util-linux",
}


def everything() -> None:
    python = Python.find()
    cargo = Cargo.find()
    for component in ("fmt", "clippy"):
        cargo.need(component)
    need(
        *compiler(),
        *python.libpython_packages(),
        *python.venv_packages(),
        *nginx(),
        *libfaketime(),
        *(package for program, package in TEST_PROGRAMS.items() if find(program) is None),
    )


def libfaketime() -> list[str]:
    """The package of the library with which the tests set the clock, if it is missing."""
    return [] if any(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")) else ["libfaketime"]


def compiler() -> list[str]:
    """The packages of a linker and a C library, if they are missing."""
    return [] if find("cc") else ["gcc", "libc6-dev"]


def nginx() -> list[str]:
    """nginx's package, if it is missing."""
    return [] if find("nginx") else ["nginx"]


@dataclass
class Cargo:
    """The cargo that builds, new enough."""

    command: str

    @classmethod
    def find(cls) -> Cargo:
        fresh = Path.home() / ".cargo/bin"  # a shell that is older than the installation does not know it yet
        command = find("cargo") or shutil.which("cargo", path=fresh)
        if command is None:
            fail("there is no `cargo`", "install Rust, see https://rustup.rs")
        said = subprocess.run([command, "--version"], capture_output=True, text=True)
        version = re.search(r"(\d+)\.(\d+)", said.stdout)
        if said.returncode != 0 or version is None:
            fail(f"`{command} --version` fails: {(said.stderr or said.stdout).strip()}")
        if (int(version[1]), int(version[2])) < OLDEST_RUST:
            fail(
                f"`{command}` is of Rust {version[0]}, and rustwsgi needs {'.'.join(map(str, OLDEST_RUST))} or newer",
                "rustup update stable, or install Rust from https://rustup.rs",
            )
        return cls(command)

    def need(self, component: str) -> None:
        if subprocess.run([self.command, component, "--version"], capture_output=True).returncode != 0:
            package = {"fmt": "rustfmt"}.get(component, component)
            fail(f"`cargo {component}` is missing", f"rustup component add {package}")


@dataclass
class Python:
    """The Python that the binary embeds and that makes the virtual environments."""

    command: str
    version: tuple[int, int]
    full_version: str
    home: str  # where pyvenv.cfg says it comes from
    libpython: str | None
    headers: str
    has_venv: bool

    ABOUT = """
import importlib.util, json, os, sys, sysconfig
var = sysconfig.get_config_var
shared = var("Py_ENABLE_SHARED") or var("PYTHONFRAMEWORK")
print(json.dumps({
    "version": sys.version_info[:2],
    "full_version": ".".join(map(str, sys.version_info[:3])),
    "home": os.path.dirname(getattr(sys, "_base_executable", sys.executable)),
    "libpython": os.path.join(var("LIBDIR"), var("LDLIBRARY")) if shared else None,
    "headers": os.path.join(sysconfig.get_path("include"), "Python.h"),
    "has_venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""

    @classmethod
    def find(cls) -> Python:
        # The build asks the same two, in the same order: a venv of another Python would not load.
        command = os.environ.get("PYO3_PYTHON") or shutil.which("python3") or sys.executable
        if shutil.which(command) is None:
            fail(f"there is no Python `{command}`")
        about = subprocess.run([command, "-c", cls.ABOUT], capture_output=True, text=True)
        if about.returncode != 0:
            fail(f"`{command}` does not run: {about.stderr.strip()}")
        facts = json.loads(about.stdout)
        python = cls(command, tuple(facts.pop("version")), **facts)
        if python.version < OLDEST_PYTHON:
            fail(
                f"`{command}` is Python {python.full_version}, and rustwsgi needs 3.11 or newer",
                "install one, and name it: make demo PYTHON=/path/to/python3",
            )
        return python

    @property
    def package(self) -> str:
        return "python{}.{}".format(*self.version)

    def venv_packages(self) -> list[str]:
        return [] if self.has_venv else [f"{self.package}-venv"]

    def libpython_packages(self) -> list[str]:
        if self.libpython is None:
            fail(
                f"`{self.command}` was built without a shared library, which rustwsgi embeds",
                "use the system's Python (make demo PYTHON=/usr/bin/python3), or build yours with"
                " --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)",
            )
        there = Path(self.libpython).exists() and Path(self.headers).exists()
        return [] if there else [f"lib{self.package}-dev"]


def need(*packages: str) -> None:
    """Installs them, or ends with a sentence that says how to."""
    if packages and not apt_install(*packages):
        fail(f"not installed: {' '.join(packages)}", f"as root: apt-get install {' '.join(packages)}")


def apt_install(*packages: str) -> bool:
    """Installs them where we may; whether it did."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"== installing {' '.join(packages)} (apt-get)", flush=True)
    quietly = {
        "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    done = subprocess.run(install, **quietly)
    if done.returncode != 0:
        # The lists of a fresh machine are empty, and those of an old one name what is gone.
        subprocess.run(["apt-get", "update", "-q"], **quietly)
        done = subprocess.run(install, **quietly)
    if done.returncode != 0:
        print(*done.stdout.splitlines()[-5:], sep="\n", file=sys.stderr)
        return False
    for service in {"nginx", "redis-server"} & set(packages):
        # Debian starts what it installs; nobody has asked for a server on its usual port.
        if shutil.which("systemctl"):
            subprocess.run(["systemctl", "disable", "--now", service], capture_output=True)
    return True


def find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=SYSTEM_PATH)


def fail(what: str, hint: str | None = None) -> NoReturn:
    sys.exit(f"error: {what}" + (f"\nhint: {hint}" if hint else ""))


if sys.version_info < OLDEST_PYTHON:
    fail(
        "python3 is {}.{}, and rustwsgi needs 3.11 or newer".format(*sys.version_info),
        "install one, and name it: make demo PYTHON=/path/to/python3",
    )

if __name__ == "__main__":
    everything()
