"""The emperor: an instance for each configuration of a directory, as uWSGI's `--emperor` has it."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from support import http_client, processes, uwsgi_client
from support.ports import free_port
from support.waiting import stays, until


class Reign:
    """An emperor and the directory of its vassals."""

    def __init__(self, workshop, program, **options):
        self.server = workshop.server(program, master=None, need_app=None)
        self.vassals = self.server.directory / "vassals"
        self.vassals.mkdir()
        self.server.set(**{"emperor": self.vassals, "emperor-freq": 1, **options})
        self.server.install("hello.py")

    @property
    def log(self):
        return self.server.log

    def vassal(self, name, text=None, **options):
        """Writes a vassal's file; returns the port it serves HTTP on."""
        port = options.pop("port", None) or free_port()
        options = {
            "http-socket": f"127.0.0.1:{port}",
            "wsgi-file": self.server.directory / "app.py",
            "processes": 1,
            **options,
        }
        lines = [f"{key} = {value}" for key, value in options.items() if value is not None]
        (self.vassals / name).write_text(text or "\n".join(["[uwsgi]", *lines]) + "\n")
        return port

    def start(self, *arguments):
        self.server.launch(*arguments)
        self.log.wait_for("starting uWSGI Emperor")
        return self

    def masters(self):
        """The masters that run, by the name of their file."""
        pids = [pid for pid in processes.children(self.server.master) if processes.alive(pid)]
        return pids

    def accepts(self, name, since=0):
        self.log.wait_for(rf"\[emperor\] vassal {name} is ready to accept requests", since, 30)

    def touch(self, name):
        """Changes the file's time."""
        path = self.vassals / name
        later = path.stat().st_mtime_ns + 2_000_000_000  # uWSGI looks at whole seconds
        os.utime(path, ns=(later, later))


@pytest.fixture
def reign(workshop, rustwsgi):
    return lambda **options: Reign(workshop, rustwsgi, **{key.replace("_", "-"): value for key, value in options.items()})


def ok(port):
    return http_client.get(port).status == 200


def test_files_come_change_and_go(reign):
    here = reign()
    one = here.vassal("one.ini")
    here.start()
    here.accepts("one.ini")
    assert ok(one)
    here.log.wait_for(r"\[emperor\] vassal one.ini is now loyal")
    (first,) = here.masters()

    two = here.vassal("two.ini")
    here.accepts("two.ini")
    assert ok(two) and len(here.masters()) == 2

    mark = here.log.mark()
    here.touch("one.ini")
    here.log.wait_for(r"\[emperor\] reload the uwsgi instance one.ini", mark)
    here.log.wait_for("reload done: generation 2", mark)
    assert ok(one) and first in here.masters()

    (here.vassals / "one.ini").unlink()
    here.log.wait_for(r"\[emperor\] stop the uwsgi instance one.ini", mark)
    here.log.wait_for(r"\[emperor\] removed uwsgi instance one.ini", mark)
    assert not processes.alive(first) and ok(two)

    here.server.signal(signal.SIGTERM)
    assert here.server.wait() == 0
    assert processes.inside(here.server.directory) == []


def test_every_format_and_nothing_else_is_started(reign):
    here = reign()
    app = here.server.directory / "app.py"
    ports = {name: free_port() for name in ("a.yaml", "b.json", "c.xml")}
    here.vassal("a.yaml", f"uwsgi:\n  http-socket: 127.0.0.1:{ports['a.yaml']}\n  wsgi-file: {app}\n")
    here.vassal("b.json", json.dumps({"uwsgi": {"http-socket": f"127.0.0.1:{ports['b.json']}", "wsgi-file": str(app)}}))
    here.vassal(
        "c.xml",
        f"<uwsgi><http-socket>127.0.0.1:{ports['c.xml']}</http-socket><wsgi-file>{app}</wsgi-file></uwsgi>",
    )
    here.vassal("notes.txt", "nothing")
    here.vassal(".hidden.ini")
    here.start()
    for name, port in ports.items():
        here.accepts(name)
        assert ok(port)

    assert len(here.masters()) == 3


def test_patterns_find_configurations_and_settings_reach_them(reign):
    here = reign()
    here.server.set(
        **{
            "emperor": here.server.directory / "sites/*/uwsgi.ini",
            "vassals-set": ["procname-prefix=under-"],
            "vassals-include-before": here.server.directory / "before.ini",
            "vassals-include": here.server.directory / "after.ini",
        }
    )
    port, app = free_port(), here.server.directory / "app.py"
    (here.server.directory / "before.ini").write_text(f"[uwsgi]\nprocesses = 3\nwsgi-file = {app}\n")
    (here.server.directory / "after.ini").write_text("[uwsgi]\nprocesses = 2\n")
    site = here.server.directory / "sites/blog"
    site.mkdir(parents=True)
    (site / "uwsgi.ini").write_text(f"[uwsgi]\nhttp-socket = 127.0.0.1:{port}\nprocesses = 1\n")
    here.start()
    here.log.wait_for(r"\[emperor\] vassal .*sites/blog/uwsgi.ini is ready")
    assert ok(port)

    (master,) = here.masters()
    titles = [processes.title(pid) for pid in processes.children(master)]
    assert sorted(titles) == ["under-rustwsgi worker 1", "under-rustwsgi worker 2", "under-rustwsgi zygote"]


def test_the_environment_is_the_vassals(reign):
    here = reign()
    here.server.install(
        "import os\n\ndef application(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [repr(sorted(key for key in os.environ if 'EMPEROR' in key or 'VASSAL_' in key)).encode()]\n"
    )
    port = here.vassal("a.ini", processes="$(UWSGI_WANTED)")
    here.server.prefix = ["env", "UWSGI_VASSAL_WANTED=2", "UWSGI_EMPEROR_FREQ=7"]
    here.start()
    here.accepts("a.ini")

    assert http_client.get(port).text == "[]"
    (master,) = here.masters()
    assert len([pid for pid in processes.children(master) if "worker" in processes.title(pid)]) == 2


def test_one_that_dies_is_started_again_and_others_notice_nothing(reign):
    here = reign()
    one, two = here.vassal("one.ini"), here.vassal("two.ini")
    here.start()
    for name, port in (("one.ini", one), ("two.ini", two)):
        here.accepts(name)
        assert ok(port)
        here.log.wait_for(f"vassal {name} is now loyal")
    before = here.masters()
    mark = here.log.mark()
    processes.kill(before[0])
    here.log.wait_for(r"\[emperor\] curse the uwsgi instance .*was killed by signal 9", mark)
    here.log.wait_for("is ready to accept requests", mark)

    assert ok(one) and ok(two)
    assert len(here.masters()) == 2 and before[1] in here.masters()
    assert "throttling" not in here.log.text(mark)


def test_one_that_never_comes_up_is_throttled(reign):
    here = reign(emperor_throttle=600, emperor_max_throttle=1500)
    good = here.vassal("good.ini")
    here.vassal("bad.ini", "[uwsgi]\nsocket = :0\nmodule = nothing_of_this_name\n")
    here.start()
    here.accepts("good.ini")
    here.log.wait_for("unloyal bad behaving vassal found: bad.ini throttling it... .1200 ms", timeout=30)
    here.log.wait_for("throttling it... .1500 ms", timeout=30)
    assert ok(good)

    # Corrected, it starts at the next look.
    port = here.vassal("bad.ini")
    here.accepts("bad.ini")
    assert ok(port)


def test_a_reload_that_fails_leaves_the_vassal_as_it_is(reign):
    here = reign()
    port = here.vassal("a.ini")
    here.start()
    here.accepts("a.ini")
    (master,) = here.masters()
    mark = here.log.mark()
    here.vassal("a.ini", port=port, **{"wsgi-file": "/nowhere.py"})
    here.touch("a.ini")
    here.log.wait_for("the old code goes on serving", mark)

    assert ok(port) and here.masters() == [master]


def test_hup_reloads_all_and_usr1_tells(reign):
    here = reign()
    ports = [here.vassal(name) for name in ("a.ini", "b.ini")]
    here.start()
    for name in ("a.ini", "b.ini"):
        here.accepts(name)
    masters = here.masters()
    mark = here.log.mark()
    here.server.signal(signal.SIGHUP)
    until(lambda: here.log.count("reload done: generation 2", mark) == 2, "two reloads", 30)
    here.server.signal(signal.SIGUSR1)
    here.log.wait_for(r"vassal b.ini: accepting \(pid: \d+\), 0 respawns", mark)

    assert here.masters() == masters and all(map(ok, ports))


def test_nothing_is_left_when_the_emperor_is_killed(reign):
    here = reign()
    port = here.vassal("a.ini")
    here.start()
    here.accepts("a.ini")
    (master,) = here.masters()
    processes.kill(here.server.master)
    here.server.wait()

    processes.ended(master)
    until(lambda: processes.inside(here.server.directory) == [], "the end of everything")
    assert "lost connection with my emperor" in here.log.text()
    with pytest.raises(OSError):
        http_client.get(port)


def test_requests_in_hand_are_finished_when_the_emperor_stops(reign):
    here = reign()
    here.server.install(
        "import time\n\ndef application(environ, start_response):\n    time.sleep(1.5)\n"
        "    start_response('200 OK', [])\n    return [b'whole']\n"
    )
    port = here.vassal("a.ini")
    here.start()
    here.accepts("a.ini")
    with http_client.connect(port) as stream:
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        time.sleep(0.3)
        here.server.signal(signal.SIGTERM)
        assert http_client.receive_all(stream).endswith(b"whole")
    assert here.server.wait() == 0


def test_on_demand_starts_with_the_first_connection(reign):
    here = reign(emperor_on_demand_extension=".socket")
    path = here.server.directory / "blog.sock"
    here.vassal("a.ini", **{"http-socket": None})
    (here.vassals / "a.ini.socket").write_text(f"{path}\n")
    here.start()
    here.log.wait_for('a.ini -> "on demand" instance detected')
    stays(lambda: here.masters() == [], "it started before anyone asked", 1.5)

    assert uwsgi_client.request(str(path), timeout=20).status == 200
    here.log.wait_for("a.ini is now loyal")
    (master,) = here.masters()
    processes.kill(master)
    until(lambda: here.masters() == [], "its end")
    assert uwsgi_client.request(str(path), timeout=20).status == 200

    (here.vassals / "a.ini").unlink()
    until(lambda: not path.exists(), "the socket to go")
    until(lambda: here.masters() == [], "the vassal to go")


@pytest.mark.skipif(os.getuid() != 0, reason="changes users")
def test_tyrant_runs_vassals_as_the_owners_of_their_files(reign):
    here = reign(emperor_tyrant="true")
    port = here.vassal("a.ini")
    here.vassal("root.ini")
    os.chown(here.vassals / "a.ini", 65534, 65534)
    here.start()
    here.log.wait_for(r"\[emperor-tyrant\] invalid permissions for vassal root.ini")
    here.accepts("a.ini")

    assert ok(port)
    (master,) = here.masters()
    assert processes.owner(master) == (65534, 65534) and processes.groups(master) == []
    assert processes.owner(here.server.master) == (0, 0)


def test_figures_are_served_as_json(reign):
    address = free_port()
    here = reign(emperor_stats=f"127.0.0.1:{address}")
    port = here.vassal("a.ini")
    here.vassal("bad.ini", "[uwsgi]\nsocket = :0\nmodule = nothing_of_this_name\n")
    here.start()
    here.accepts("a.ini")
    assert ok(port)
    here.log.wait_for("a.ini is now loyal")
    here.log.wait_for("removed uwsgi instance bad.ini")

    def figures():
        with http_client.connect(address) as stream:
            return json.loads(http_client.receive_all(stream))

    told = figures()
    assert told["version"] == "2.0.31" and told["pid"] == here.server.master
    assert told["emperor"] == [str(here.vassals)] and told["emperor_tyrant"] == 0
    (vassal,) = [it for it in told["vassals"] if it["id"] == "a.ini"]
    assert [vassal["pid"]] == [pid for pid in here.masters() if pid == vassal["pid"]]
    assert (vassal["accepting"], vassal["loyal"], vassal["respawns"]) == (1, 1, 0)
    assert [it["id"] for it in told["blacklist"]] == ["bad.ini"]


def test_hooks_and_wrapper_run(reign):
    here = reign()
    out = here.server.directory / "hooks"
    wrapper = here.server.directory / "wrapper.sh"
    wrapper.write_text(f'#!/bin/sh\necho "wrapped $@" >> {out}\nexec {here.server.program.path} "$@"\n')
    wrapper.chmod(0o755)
    here.server.set(
        **{
            "emperor-wrapper": wrapper,
            "vassals-start-hook": f"echo start $UWSGI_VASSAL_CONFIG >> {out}",
            "vassals-stop-hook": f"echo stop $UWSGI_VASSAL_CONFIG >> {out}",
        }
    )
    here.vassal("a.ini")
    here.start()
    here.accepts("a.ini")
    (here.vassals / "a.ini").unlink()
    until(lambda: "stop" in out.read_text(), "the stop hook")

    assert out.read_text().splitlines() == ["start a.ini", "wrapped --ini a.ini", "stop a.ini"]


def test_a_silent_vassal_is_killed_and_started_again(reign):
    here = reign(emperor_required_heartbeat=2)
    port = here.vassal("a.ini", heartbeat=1)
    here.start()
    here.accepts("a.ini")
    assert ok(port)
    (master,) = here.masters()
    stays(lambda: here.masters() == [master], "one that sends signs of life was killed", 3)
    mark = here.log.mark()
    os.kill(master, signal.SIGSTOP)
    here.log.wait_for("vassal a.ini sent no heartbeat in last 2 seconds, brutally respawning it", mark)
    here.accepts("a.ini", mark)
    assert ok(port)


def test_pid_files_the_background_and_stop(reign):
    here = reign(daemonize="emperor.log", pidfile="master.pid", emperor_pidfile="emperor.pid", vacuum="true")
    port = here.vassal("a.ini", daemonize=here.server.directory / "vassal.log")
    outcome = here.server.run("--ini", "uwsgi.ini")
    assert outcome.code == 0, outcome
    directory = here.server.directory
    assert (directory / "master.pid").read_text() == (directory / "emperor.pid").read_text()
    until(lambda: Path(directory / "vassal.log").exists() and "ready in" in (directory / "vassal.log").read_text(), "it")
    assert ok(port)
    for pidfile in ("master.pid", "emperor.pid"):
        outcome = here.server.run("--reload", pidfile)
        assert outcome.code == 0 and "told to reload: 1 of 1 vassals" in outcome.text, outcome
    until(lambda: "reload done: generation 2" in (directory / "vassal.log").read_text(), "the reload")
    outcome = here.server.run("--stop", "master.pid")
    assert outcome.code == 0, outcome

    assert processes.inside(directory) == []
    assert not (directory / "master.pid").exists()


def test_systemd_is_told(reign, workshop):
    path = workshop.directory() / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        here = reign()
        here.vassal("a.ini")
        here.server.prefix = ["env", f"NOTIFY_SOCKET={path}"]
        here.start()
        assert f"READY=1\nMAINPID={here.server.master}\n" in manager.recv(999).decode()
        here.server.signal(signal.SIGTERM)
        assert here.server.wait() == 0
        assert manager.recv(999).startswith(b"STOPPING=1")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"emperor": "pg://host=127.0.0.1"}, "RW0104"),
        ({"emperor": "/nowhere/at/all"}, "RW0310"),
        ({"http-socket": "127.0.0.1:0"}, "RW0134"),
        ({"emperor-broodlord": "4"}, "RW0104"),
    ],
)
def test_what_can_not_be_is_said(reign, options, code):
    here = reign()
    here.server.set(**options)
    outcome = here.server.run("--ini", "uwsgi.ini")

    assert outcome.code == 1 and code in outcome.text, outcome


def test_a_vassal_serves_under_uwsgis_emperor_and_uwsgi_under_ours(reign, uwsgi, rustwsgi, workshop):
    for emperor, wrapped in ((uwsgi, rustwsgi), (rustwsgi, uwsgi)):
        here = Reign(workshop, emperor, **{"emperor-wrapper": wrapped.path})
        port = here.vassal("a.ini", **{"master": "true", "die-on-term": "true"})
        here.start()
        here.accepts("a.ini")
        assert ok(port)
        here.log.wait_for("vassal a.ini is now loyal")
        mark = here.log.mark()
        here.touch("a.ini")
        here.log.wait_for("reload the uwsgi instance a.ini", mark)
        here.accepts("a.ini", mark)
        (here.vassals / "a.ini").unlink()
        here.log.wait_for("removed uwsgi instance a.ini", mark)
        here.server.kill()
