"""Hooks: each in its phase and its process; one that fails ends the start, or the reload."""

import os
import re
import signal

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.ports import free_port
from support.unprivileged import NOBODY, open_to_all
from support.waiting import until

APP = """
import os
def application(environ, start_response):
    start_response("200 OK", [])
    return [os.environ.get("HOOKED", "-").encode() + b" " + os.getcwd().encode()]
"""
PHASES = ["asap", "pre-jail", "in-jail", "as-root", "as-user", "pre-app", "post-app"]
ROOT = os.geteuid() == 0


@pytest.fixture
def make(rustwsgi, workshop):
    """A server that is not started, with an HTTP port."""

    def make(app=APP, **options):
        server = workshop.server(rustwsgi, app, pidfile="uwsgi.pid")
        server.port = free_port()
        server.set(**{"http_socket": f"127.0.0.1:{server.port}"} | options)
        return server

    return make


def status(server):
    return http_client.get(server.port).status


def diary(server):
    path = server.directory / "diary"
    return path.read_text().split() if path.exists() else []


def expected(*, root):
    return [name for name in PHASES if root or name not in ("as-root", "as-user")]


def test_every_phase_comes_in_its_turn_and_again_at_a_reload(make):
    commands = {f"exec-{name}": f"echo {name} >> diary" for name in [*PHASES, "as-user-atexit"]}
    server = make(**commands).start()
    server.log.wait_for("ready in")
    assert diary(server) == expected(root=ROOT)

    with Invariant(server, lambda: status(server)):
        done = server.run("--reload", "uwsgi.pid")
        assert done.code == 0, done
    again = [name for name in expected(root=ROOT) if name != "pre-jail"]
    assert diary(server) == expected(root=ROOT) + again

    assert server.stop() == 0
    assert diary(server)[-1] == "as-user-atexit"
    assert diary(server).count("as-user-atexit") == 1
    assert 'running "echo asap >> diary" (asap)...' in server.log.text()


def test_worker_phases_run_in_each_worker_and_once_ones_once(make):
    names = ["post-fork", "accepting", "accepting-once", "accepting1", "accepting1-once"]
    hooks = {f"hook-{name}": f"exec:echo {name} $PPID >> diary" for name in names}
    server = make(processes=2, **hooks).start()
    server.settle()
    until(lambda: status(server) == 200, "an answer")
    pairs = list(zip(diary(server)[::2], diary(server)[1::2], strict=True))
    assert sorted(name for name, _ in pairs) == sorted(
        ["post-fork", "accepting", "accepting-once"] * 2 + ["accepting1", "accepting1-once"]
    )
    assert {int(pid) for name, pid in pairs if name == "accepting"} == set(server.workers())
    (first,) = {int(pid) for name, pid in pairs if name == "accepting1"}

    before = len(diary(server))
    with Invariant(server, lambda: status(server)):
        processes.kill(first)
        until(lambda: first not in server.workers() and len(server.workers()) == 2, "another worker")
        until(lambda: len(diary(server)) >= before + 6, lambda: f"hooks of the new worker: {diary(server)[before:]}")
    assert diary(server)[before:][::2] == ["post-fork", "accepting", "accepting1"]


def test_with_lazy_apps_the_worker_that_loads_the_app_runs_the_hooks_around_it(make):
    hooks = {f"hook-{name}": f"exec:echo {name} $PPID >> diary" for name in ("pre-app", "post-app")}
    server = make(processes=2, lazy_apps=True, **hooks).start()
    workers = set(server.settle())
    until(lambda: len(diary(server)) == 8, "four hooks")
    assert set(map(int, diary(server)[1::2])) == workers


@pytest.mark.parametrize(
    "option, value, sentence",
    [
        ("exec-asap", "exit 3", r"the hook `exit 3` \(asap\) failed: it exited with code 3"),
        ("hook-pre-jail", "mkdir:no/such/place", "No such file or directory"),
        ("exec-pre-app", "exit 4", r"\(pre app\) failed: it exited with code 4"),
        ("hook-post-app", "exec:kill -9 $$", r"\(post app\) failed: it was killed by signal 9"),
        ("hook-post-fork", "exec:false", r"\(post-fork\) failed"),
        ("hook-accepting1", "unlink:nothing", r"\(accepting1\) failed: No such file"),
        ("hook-master-start", "exec:false", r"\(master-start\) failed"),
        ("hook-asap", "print", "has no action"),
        ("hook-post-fork", "fly:away", "there is no hook action `fly`"),
        ("hook-as-user-atexit", "chmod:x", "the hook action `chmod` takes FILE MODE"),
        ("hook-touch", "alone", "takes a file and what to do"),
    ],
)
def test_a_hook_that_fails_ends_the_start_with_1_and_its_line(make, option, value, sentence):
    server = make(**{option: value}).launch()
    assert server.wait() == 1
    server.log.wait_for(sentence)
    assert re.search(rf"--> uwsgi.ini:\d+: {option} = ", server.log.text()), server.log.text()
    assert not server.pidfile.exists()


def test_a_failing_hook_without_need_app_ends_the_start_too(make):
    server = make(need_app=False, exec_pre_app="exit 5").launch()
    assert server.wait() == 1


@pytest.mark.parametrize("option, value", [("exec-pre-app", "exit 4"), ("hook-accepting", "exec:false"), ("hook-asap", "x")])
def test_a_hook_that_fails_at_a_reload_keeps_the_old_code(make, option, value):
    server = make(processes=2).start()
    with Invariant(server, lambda: status(server)):
        server.set(**{option: value})
        done = server.run("--reload", "uwsgi.pid")
        assert done.code != 0 and "hook" in done.text, done
        server.set(**{option: None})
    assert server.run("--reload", "uwsgi.pid").code == 0


def test_what_hooks_change_reaches_the_app(make):
    server = make(hook_asap="putenv:HOOKED=yes").start()
    assert http_client.get(server.port).text.startswith("yes ")


def test_as_root_and_as_user_are_who_they_say(make):
    if not ROOT:
        pytest.skip("needs root")
    server = make(
        uid=NOBODY,
        gid=NOBODY,
        exec_as_root="id -u > root",
        hook_as_root="mkdir:run",
        exec_as_user="echo $(id -u) > run/user",
    )
    server.set(**{"hook-as-root": ["mkdir:run", f"chown:run {NOBODY} {NOBODY}"]})
    keep = server.directory / "python"
    keep.mkdir()
    server.prefix = open_to_all(keep)
    server.start()
    assert (server.directory / "root").read_text() == "0\n"
    assert (server.directory / "run/user").read_text() == f"{NOBODY}\n"


def test_a_hook_may_make_the_directory_of_the_socket(make):
    server = make(hook_asap="mkdir:run", socket="run/site.sock").start()
    assert (server.directory / "run/site.sock").is_socket()


def test_touching_a_file_runs_its_hook_and_no_command_holds_the_master_up(make):
    server = make(processes=2)
    flag, other = server.directory / "flag", server.directory / "other"
    flag.touch()
    server.set(**{"hook-touch": f"{flag} print:it was touched", "touch-exec": f"{other} echo begun > begun; exec sleep 60"})
    server.start()
    server.log.wait_for("ready in")
    with Invariant(server, lambda: status(server)):
        mark = server.log.mark()
        os.utime(flag, (1, 1))
        server.log.wait_for(r'running "print:it was touched" \(touch\)...\nit was touched', mark)
        other.touch()
        until((server.directory / "begun").exists, "the command")
        # The master answers while the command runs, and takes it along when it ends.
        assert server.run("--reload", "uwsgi.pid").code == 0
        sleeper = next(pid for pid in processes.descendants(server.master) if processes.title(pid) == "sleep 60")
        processes.kill(sleeper)
        server.log.wait_for("failed: it was killed by signal 9", mark)
    assert server.stop() == 0


def test_a_signal_may_be_given_another_meaning(make):
    server = make(processes=2, hook_master_start=["unix_signal:15 gracefully_kill_them_all", "unix_signal:10 grace_them_all"])
    server.start()
    server.log.wait_for("ready in")
    with Invariant(server, lambda: status(server)):
        mark = server.log.mark()
        server.signal(signal.SIGUSR1)
        server.log.wait_for("reload done", mark)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_the_arguments_of_a_secret_hook_are_not_logged(make):
    server = make(hook_asap="!putenv:PASSWORD=quiet").start()
    text = server.log.text()
    assert 'running "putenv:…" (asap)...' in text and "quiet" not in text


def test_descriptors_of_the_instance_do_not_leak_into_commands(make):
    server = make(hook_accepting1="exec:ls -l /proc/self/fd > fds", exec_pre_app="ls -l /proc/self/fd > fds-app").start()
    until((server.directory / "fds").exists, "the hook")
    until(lambda: status(server) == 200, "an answer")
    for name in ("fds", "fds-app"):
        assert "socket" not in (server.directory / name).read_text()
