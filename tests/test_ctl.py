"""`rustwsgi ctl`: every verb returns when it is done, with an exit code that says how it went."""

import json

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.site import Site
from support.waiting import until


@pytest.fixture
def site(rustwsgi, workshop):
    site = Site(workshop, rustwsgi)
    site.server.start()
    return site


def ctl(site, *words, instance="uwsgi.pid"):
    return site.server.run("ctl", instance, *words)


@pytest.mark.parametrize("instance", ["uwsgi.pid", "uwsgi.ini"])
def test_status_is_for_people_and_for_programs(site, instance):
    assert site.status() == 200

    text, data = ctl(site, "status", instance=instance), ctl(site, "status", "--json", instance=instance)

    assert text.code == 0 and "serving for" in text.stdout and "worker 2 (pid: " in text.stdout
    status = json.loads(data.stdout)
    assert status["pid"] == site.server.master and status["state"] == "serving" and status["generation"] == 1
    assert status["requests"] <= 1 and {worker["pid"] for worker in status["workers"]} == set(site.server.workers())
    assert [worker["id"] for worker in status["workers"]] == [1, 2]


def test_reload(site):
    site.write("2")

    outcome = ctl(site, "reload")

    assert outcome.code == 0 and "reload done" in outcome.stdout and site.version() == "2"
    site.break_code()
    outcome = ctl(site, "reload")
    assert outcome.code != 0 and "SyntaxError" in outcome.stderr and site.version() == "2"


@pytest.mark.parametrize("verb", ["reload-workers", "chain-reload"])
def test_workers_are_replaced_when_it_returns(site, verb):
    with Invariant(site.server, site.status):
        workers = site.server.settle()

        outcome = ctl(site, verb)

        assert outcome.code == 0 and "reloading complete" in outcome.stdout
        assert not set(workers) & set(site.server.settle())


@pytest.mark.parametrize("verb", ["reload-workers", "chain-reload"])
def test_workers_that_can_not_be_replaced_stay(rustwsgi, workshop, verb):
    site = Site(workshop, rustwsgi, lazy_apps=True)
    site.server.start()
    with Invariant(site.server, site.status):
        workers = site.server.settle()
        site.break_code()

        outcome = ctl(site, verb)

        assert outcome.code != 0 and "can't be replaced" in outcome.stderr
        until(lambda: sorted(site.server.workers()) == sorted(workers), "the old workers")


def test_pause_and_resume(site):
    with Invariant(site.server, site.status):
        assert ctl(site, "pause").stdout == "paused: connections wait\n"
        assert json.loads(ctl(site, "status", "--json").stdout)["state"] == "paused"
        with http_client.Connection(site.port) as waiting:
            waiting.send(http_client.request_bytes("GET", "/"))
            waiting.stream.settimeout(0.5)
            with pytest.raises(TimeoutError):
                waiting.stream.recv(1)
            waiting.stream.settimeout(10)
            assert ctl(site, "resume").stdout == "resumed\n"
            assert waiting.answer().status == 200


def test_workers(site):
    with Invariant(site.server, site.status):
        outcome = ctl(site, "workers", "-1")
        assert outcome.code == 0 and outcome.stdout == "1 workers serve\n" and len(site.server.workers()) == 1
        assert ctl(site, "workers", "-1").code == 1 and site.status() == 200
        assert ctl(site, "workers", "2").stdout == "2 workers serve\n" and len(site.server.workers()) == 2
        outcome = ctl(site, "workers", "+1")
        assert outcome.code == 1 and "RW0410" in outcome.stderr


def test_stop_returns_when_everybody_is_gone(site):
    everybody = [site.server.master, *processes.descendants(site.server.master)]

    outcome = ctl(site, "stop", instance="uwsgi.ini")

    assert outcome.code == 0 and site.server.wait() == 0
    assert not [pid for pid in everybody if processes.alive(pid)]
    assert ctl(site, "status").code != 0


def test_reopen_logs_after_the_file_was_moved(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, logto="site.log")
    site.server.log.path = site.server.directory / "site.log"
    site.server.start()
    with Invariant(site.server, site.status):
        workers = site.server.settle()
        moved = site.server.directory / "site.log.1"
        site.server.log.path.rename(moved)

        outcome = ctl(site, "reopen-logs")

        assert outcome.code == 0 and outcome.stdout.endswith("site.log reopened\n"), outcome
        site.server.log.wait_for("site.log reopened")
        everybody = [site.server.master, *workers, *site.server.zygotes()]
        until(
            lambda: all(processes.descriptors(pid)[2].endswith("/site.log") for pid in everybody),
            lambda: [processes.descriptors(pid)[2] for pid in everybody],
        )
        assert site.server.settle() == workers, "nobody had to be replaced"
        before = moved.read_text()
        for _ in range(20):
            assert site.status() == 200
        assert site.reload().code == 0
        assert site.status() == 200 and moved.read_text() == before


def test_touch_logreopen_does_the_same(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, logto="site.log", touch_logreopen="flag")
    site.server.log.path = site.server.directory / "site.log"
    site.server.start()
    with Invariant(site.server, site.status):
        site.server.log.path.rename(site.server.directory / "site.log.1")

        (site.server.directory / "flag").touch()

        site.server.log.wait_for("site.log reopened")
        assert site.status() == 200


def test_what_it_does_not_know(site):
    for words in (["dance"], [], ["stop", "--json"], ["status", "--loud"]):
        outcome = ctl(site, *words)
        assert outcome.code == 1 and "rustwsgi ctl PIDFILE|INI" in outcome.stderr


def test_an_ini_without_a_pidfile_is_explained(site):
    (site.server.directory / "other.ini").write_text("[uwsgi]\nsocket = :0\nneed-app = false\n")

    outcome = ctl(site, "status", instance="other.ini")

    assert outcome.code == 1 and "names no `pidfile`" in outcome.stderr
