"""`make demo` and the workflow it shows, with the ini file users start from."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from support import http_client, processes
from support.blog import NOT_COPIED, Browser
from support.ports import free_port
from support.server import ROOT, Log
from support.waiting import until


@pytest.fixture(scope="module")
def checkout(shared_workshop, venv):
    """A copy of what the demo needs, with an environment that already has Django in it."""
    directory = shared_workshop.directory()
    shutil.copytree(ROOT / "examples", directory / "examples", ignore=NOT_COPIED)
    shutil.copytree(ROOT / "scripts", directory / "scripts", ignore=NOT_COPIED)
    shutil.copy(ROOT / "uwsgi.ini", directory)
    (directory / ".venv").symlink_to(venv)
    (directory / "bin").mkdir()
    yield directory
    processes.sweep(directory)


@pytest.fixture(scope="module")
def demo(checkout, rustwsgi):
    """Runs the demo command with a word or none."""
    port = free_port()
    program = build(checkout, rustwsgi)

    def demo(*words):
        return subprocess.run(
            [sys.executable, "examples/blog/demo.py", *words],
            cwd=checkout,
            env=rustwsgi.environment() | {"RUSTWSGI": str(program), "DEMO_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
        )

    yield demo
    demo("stop")


def build(checkout, rustwsgi):
    """Puts the program where it is not yet, or in its place, as the compiler does; where it is."""
    program = checkout / "bin" / rustwsgi.path.name
    shutil.copy(rustwsgi.path, checkout / "bin/fresh")
    (checkout / "bin/fresh").rename(program)
    return program


@pytest.fixture(scope="module")
def started(demo):
    """The demo, up: its port."""
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    return int(re.search(r"http://127\.0\.0\.1:(\d+)/", done.stdout)[1])


def master(checkout):
    return int((checkout / "uwsgi.pid").read_text())


def test_it_serves_the_blog_through_nginx(started):
    page = Browser(started).open("/")

    assert page.status == 200
    assert page.headers["Server"].startswith("nginx")


def test_pidfile_and_log_are_where_it_was_started(checkout, started):
    assert "master" in processes.title(master(checkout))
    Log(checkout / "uwsgi.log").wait_for("spawned uWSGI worker 4 ")


def test_ps_shows_master_zygote_and_four_workers(checkout, started):
    until(lambda: len(processes.children(master(checkout))) == 5, "the zygote and four workers")

    titles = " ".join(map(processes.title, processes.children(master(checkout))))
    assert titles.count("zygote") == 1 and titles.count("worker") == 4


def test_the_admin_of_the_demo_can_be_entered(started):
    assert Browser(started).login().url.endswith("/admin/")


def test_an_edit_is_served_after_the_reload_command(checkout, rustwsgi, started):
    before = master(checkout)
    (checkout / "examples/blog/blog/version.py").write_text("VERSION = 'edited'\n")

    outcome = rustwsgi.run("--reload", "uwsgi.pid", cwd=checkout)

    assert outcome.code == 0, outcome
    assert http_client.get(started, "/version/").text == "edited\n"
    assert master(checkout) == before


def test_a_second_demo_brings_it_up_to_date(checkout, demo, started):
    before = master(checkout)
    (checkout / "examples/blog/blog/version.py").write_text("VERSION = 'again'\n")

    done = demo()

    assert done.returncode == 0, done.stdout + done.stderr
    assert http_client.get(started, "/version/").text == "again\n"
    assert master(checkout) == before


def test_a_program_that_was_built_anew_takes_the_place_of_the_old_one(checkout, rustwsgi, demo, started):
    before = master(checkout)
    build(checkout, rustwsgi)

    done = demo()

    assert done.returncode == 0, done.stdout + done.stderr
    assert master(checkout) != before and not processes.alive(before)
    assert http_client.get(started, "/").status == 200


def test_after_killing_every_process_the_next_start_works(checkout, rustwsgi, started):
    family = [master(checkout), *processes.descendants(master(checkout))]
    for pid in family:
        processes.kill(pid)
    for pid in family:
        processes.ended(pid)

    outcome = rustwsgi.run("--ini", "uwsgi.ini", cwd=checkout)

    assert outcome.code == 0, outcome
    assert json.loads(http_client.get(started, "/api/posts/").body)["count"] > 0


def test_stopped_it_leaves_nothing(checkout, demo, started):
    family = [master(checkout), *processes.descendants(master(checkout))]

    done = demo("stop")

    assert done.returncode == 0, done.stdout + done.stderr
    assert [pid for pid in family if processes.alive(pid)] == []
    assert not (checkout / "uwsgi.pid").exists() and not (checkout / "examples/blog/uwsgi.sock").exists()
    with pytest.raises(OSError):
        http_client.connect(started)
    assert os.path.exists(checkout / "uwsgi.log")


# What is missing is said before anything is built


@pytest.fixture
def bare(tmp_path):
    """Runs the check of prerequisites on a machine that has the given cargo (a script) and nothing else."""

    def bare(cargo=None, python=sys.executable):
        if cargo:
            (tmp_path / "cargo").write_text(f"#!/bin/sh\n{cargo}\n")
            (tmp_path / "cargo").chmod(0o755)
        return subprocess.run(
            [sys.executable, ROOT / "scripts/prerequisites.py"],
            env={"PATH": str(tmp_path), "HOME": str(tmp_path), "PYO3_PYTHON": str(python)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return bare


@pytest.mark.parametrize(
    ("cargo", "said", "advice"),
    [
        (None, "there is no `cargo`", "https://rustup.rs"),
        ("echo cargo 1.63.0", "of Rust 1.63, and rustwsgi needs 1.85 or newer", "rustup update stable"),
        ('[ "$1" = --version ] && echo cargo 1.95.0', "`cargo fmt` is missing", "rustup component add rustfmt"),
    ],
    ids=["none", "old", "without-rustfmt"],
)
def test_a_rust_that_will_not_do_is_said(bare, cargo, said, advice):
    done = bare(cargo)

    assert done.returncode == 1 and said in done.stderr and advice in done.stderr, done


def test_missing_programs_are_named_in_one_line_to_paste(bare):
    done = bare("echo cargo 1.95.0")

    assert done.returncode == 1, done
    assert re.search(r"^hint: as root: apt-get install .*\bcurl\b", done.stderr, re.MULTILINE), done


def test_a_python_that_is_not_there_is_said(bare, tmp_path):
    done = bare("echo cargo 1.95.0", tmp_path / "python3")

    assert done.returncode == 1 and f"there is no Python `{tmp_path / 'python3'}`" in done.stderr, done
