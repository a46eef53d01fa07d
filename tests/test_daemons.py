"""Attached daemons: started, restarted, ended with the instance; smart ones outlive it."""

import os
import signal

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import stays, until


@pytest.fixture
def make(rustwsgi, workshop):
    """A server that is not started, with an HTTP port."""

    def make(**options):
        server = workshop.server(rustwsgi, "hello.py", pidfile="uwsgi.pid", processes=2)
        server.port = free_port()
        server.set(**{"http_socket": f"127.0.0.1:{server.port}"} | options)
        return server

    return make


def status(server):
    return http_client.get(server.port).status


def pid_of(server, name):
    """The pid that a daemon wrote into a file."""
    path = server.directory / name
    return int(until(lambda: path.exists() and path.read_text().strip(), f"{name}"))


def another(server, name, old, timeout=10):
    """The pid in the file once it is not `old`."""
    return until(lambda: (pid := pid_of(server, name)) != old and pid, f"another pid in {name}", timeout)


DAEMON = "echo $$ > d.pid; exec sleep 300"


def test_a_daemon_begins_with_the_instance_and_ends_with_it(make):
    server = make(attach_daemon=DAEMON).start()
    daemon = pid_of(server, "d.pid")
    server.log.wait_for(r'\[uwsgi-daemons\] spawning "echo .* \(uid: \d+ gid: \d+\)')
    assert os.getsid(daemon) == daemon
    leads_to = processes.descriptors(daemon)
    assert leads_to[0] == "/dev/null" and set(leads_to) == {0, 1, 2}

    assert server.stop() == 0
    assert not processes.alive(daemon)
    text = server.log.text()
    assert f"[uwsgi-daemons] stopping daemon (pid: {daemon}): " in text
    assert text.index("worker 1 (pid") < text.index("stopping daemon") < text.index("goodbye")


def test_a_daemon_that_dies_is_started_again_with_a_pause(make):
    server = make(attach_daemon=DAEMON).start()
    with Invariant(server, lambda: status(server)):
        first = pid_of(server, "d.pid")
        processes.kill(first)
        server.log.wait_for(r'\[uwsgi-daemons\] throttling ".*" for 1 seconds')
        second = another(server, "d.pid", first)
        server.log.wait_for(r'\[uwsgi-daemons\] respawning ".*"')
        processes.kill(second)
        server.log.wait_for(r'throttling ".*" for 2 seconds')
        another(server, "d.pid", second)


def test_the_pause_has_a_limit(make):
    server = make(attach_daemon2="cmd=exit 1,max_throttle=1").start()
    server.log.wait_for(r'respawning "exit 1"')
    until(lambda: server.log.count("throttling") >= 3, "three pauses")
    assert server.log.count("for 1 seconds") == server.log.count("throttling")
    assert server.stop() == 0


def test_a_reload_starts_daemons_anew_when_the_old_ones_are_gone(make):
    server = make(attach_daemon=DAEMON).start()
    first = pid_of(server, "d.pid")
    with Invariant(server, lambda: status(server)):
        assert server.run("--reload", "uwsgi.pid").code == 0
        second = another(server, "d.pid", first)
        assert not processes.alive(first)
    server.set(attach_daemon=None)
    assert server.run("--reload", "uwsgi.pid").code == 0
    processes.ended(second)
    assert server.stop() == 0


def test_a_reload_that_fails_leaves_daemons_alone(make):
    server = make(attach_daemon=DAEMON).start()
    daemon = pid_of(server, "d.pid")
    with Invariant(server, lambda: status(server)):
        (server.directory / "app.py").write_text("import nothing_of_that_name\n")
        assert server.run("--reload", "uwsgi.pid").code != 0
        server.install("hello.py")
        assert pid_of(server, "d.pid") == daemon and processes.alive(daemon)


def test_one_that_does_not_end_is_killed_after_reload_mercy(make):
    server = make(attach_daemon="trap '' TERM; echo $$ > d.pid; while :; do sleep 1; done", reload_mercy=1).start()
    daemon = pid_of(server, "d.pid")
    assert server.stop() == 0
    assert not processes.alive(daemon)
    assert f"daemon did not die in time, killing (pid: {daemon})" in server.log.text()


def test_signals_and_places_of_its_own(make):
    server = make()
    (server.directory / "place").mkdir()
    command = "trap 'echo got > ../signal; exit 0' USR1; pwd > ../place.txt; echo $$ > ../d.pid; while :; do sleep 0.1; done"
    server.set(attach_daemon2=f"cmd={command},stopsignal=USR1,chdir={server.directory}/place")
    server.start()
    pid_of(server, "d.pid")
    assert (server.directory / "place.txt").read_text().strip().endswith("/place")
    assert server.stop() == 0
    assert (server.directory / "signal").exists()


def test_another_user(make):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    server = make(attach_daemon2="cmd=exec sleep 301,uid=65534,gid=65534").start()
    found = lambda: [pid for pid in processes.children(server.master) if processes.title(pid) == "sleep 301"]
    (daemon,) = until(found, "the daemon")
    assert processes.owner(daemon) == (65534, 65534)
    assert processes.groups(daemon) == []


def test_a_touched_file_restarts_it(make):
    server = make()
    flag = server.directory / "flag"
    flag.touch()
    server.set(attach_daemon2=f"cmd={DAEMON},touch={flag}")
    server.start()
    first = pid_of(server, "d.pid")
    os.utime(flag, (1, 1))
    another(server, "d.pid", first)


def test_the_end_of_a_control_daemon_ends_the_instance(make):
    server = make(attach_control_daemon=DAEMON).start()
    server.log.wait_for("ready in")
    processes.kill(pid_of(server, "d.pid"), signal.SIGTERM)
    assert server.wait() == 0
    assert "a control daemon has ended" in server.log.text()


@pytest.mark.parametrize(
    "option, command",
    [
        ("smart-attach-daemon2", "exec sleep 300"),
        ("smart-attach-daemon", "sh -c 'echo $$ > s.pid; exec sleep 300' > /dev/null 2>&1 & sleep 0.2"),
    ],
)
def test_smart_daemons_live_on_and_are_found_again(make, option, command):
    server = make(**{option: f"s.pid,1 {command}"}).start()
    first = pid_of(server, "s.pid")
    try:
        with Invariant(server, lambda: status(server)):
            assert server.run("--reload", "uwsgi.pid").code == 0
            assert processes.alive(first) and pid_of(server, "s.pid") == first
        assert server.stop() == 0
        assert processes.alive(first)

        mark = server.log.mark()
        server.start()
        server.log.wait_for(rf"found valid/active pidfile for .* \(pid: {first}\)", mark)
        processes.kill(first)
        second = another(server, "s.pid", first)
        assert processes.alive(second)
        assert server.stop() == 0
    finally:
        processes.kill(pid_of(server, "s.pid"))


def test_nothing_outlives_a_master_that_is_killed(make):
    server = make(attach_daemon=["echo $$ > a.pid; exec sleep 300", "echo $$ > b.pid; exec sleep 300"]).start()
    pids = [pid_of(server, "a.pid"), pid_of(server, "b.pid")]
    processes.kill(server.master)
    server.wait()
    for pid in pids:
        processes.ended(pid)


def test_ctrl_c_in_the_terminal_reaches_daemons_once(make):
    server = make(attach_daemon="trap 'echo int >> signals' INT; trap 'echo term >> signals; exit' TERM; echo $$ > d.pid; while :; do sleep 0.1; done")
    server.start()
    pid_of(server, "d.pid")
    os.killpg(server.master, signal.SIGINT)
    assert server.wait() == 0
    assert (server.directory / "signals").read_text() == "term\n"


@pytest.mark.parametrize(
    "option, value, sentence",
    [
        ("attach-daemon2", "cmd=x,stopsig=2", "`attach-daemon2` has no key `stopsig`"),
        ("attach-daemon2", "sleep 3", "`sleep 3` is no `KEY=VALUE`"),
        ("attach-daemon2", "freq=3", "lacks the command"),
        ("smart-attach-daemon", "/run/x.pid", "a pid file and a command are needed"),
    ],
)
def test_mistakes_are_found_before_the_start(make, option, value, sentence):
    server = make(**{option: value}).launch()
    assert server.wait() == 1
    server.log.wait_for(sentence)
    assert f": {option} = {value}" in server.log.text()


def test_a_broken_definition_fails_the_reload(make):
    server = make(attach_daemon=DAEMON).start()
    daemon = pid_of(server, "d.pid")
    with Invariant(server, lambda: status(server)):
        server.set(attach_daemon2="cmd=x,nonsense=1")
        done = server.run("--reload", "uwsgi.pid")
        assert done.code != 0 and "nonsense" in done.text
    stays(lambda: processes.alive(daemon), "the daemon lives", 0.3)


def test_daemons_crons_and_hooks_find_the_apps_directory_and_env(make):
    server = make()
    site = server.directory / "site"
    site.mkdir()
    (server.directory / "app.py").rename(site / "app.py")
    note = 'echo "$(pwd) $COLOUR"'
    server.set(
        chdir="site",
        env="COLOUR=blue",
        attach_daemon=f"{note} > daemon; exec sleep 300",
        smart_attach_daemon2="s.pid exec sleep 300",
        cron=f"-1 -1 -1 -1 -1 {note} > cron",
        exec_pre_app=f"{note} > pre-app",
        hook_master_start=f"exec:{note} > master-start",
        exec_as_user_atexit=f"{note} > atexit",
    )
    server.start()
    smart = pid_of(server, "site/s.pid")
    try:
        for name in ("daemon", "cron", "pre-app", "master-start"):
            until(lambda name=name: (site / name).exists() and (site / name).read_text(), name)
            assert (site / name).read_text() == f"{site.resolve()} blue\n", name
        assert server.stop() == 0
        assert (site / "atexit").read_text() == f"{site.resolve()} blue\n"
    finally:
        processes.kill(smart)
