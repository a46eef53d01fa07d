"""Commands at fixed times: once in a minute, over reloads, with an end."""

import datetime
import re
import time

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.ports import free_port
from support.waiting import until


@pytest.fixture
def make(rustwsgi, workshop):
    """A server that is not started, with an HTTP port."""

    def make(**options):
        server = workshop.server(rustwsgi, "hello.py", pidfile="uwsgi.pid", processes=2)
        server.port = free_port()
        server.set(**{"http_socket": f"127.0.0.1:{server.port}"} | options)
        return server

    return make


@pytest.fixture
def minute():
    """The current minute of the local clock, with half of it still to come."""
    until(lambda: time.time() % 60 < 30, "the first half of a minute", timeout=40)
    return datetime.datetime.now()


def status(server):
    return http_client.get(server.port).status


def lines(server, name):
    path = server.directory / name
    return path.read_text().split() if path.exists() else []


def test_what_is_due_now_runs_once_over_reloads(make, minute):
    now = f"{minute.minute} {minute.hour} {minute.day} {minute.month} {minute.isoweekday()}"
    never = f"{(minute.minute + 30) % 60} -1 -1 -1 -1"
    server = make(
        cron=[f"{now} echo now >> ran", f"{never} echo never >> ran", "-1 -1 -1 -1 -1 echo each >> ran"],
        cron2=f"minute={minute.minute},week={minute.isoweekday()} echo keyed >> ran",
    ).start()
    server.log.wait_for("ready in")
    until(lambda: len(lines(server, "ran")) == 3, "three commands")
    with Invariant(server, lambda: status(server)):
        for _ in range(3):
            assert server.run("--reload", "uwsgi.pid").code == 0
    assert sorted(lines(server, "ran")) == ["each", "keyed", "now"]
    assert re.search(r'^\[uwsgi-cron\] running "echo now >> ran" \(pid \d+\)$', server.log.text(), re.MULTILINE)
    server.log.wait_for(r'\[uwsgi-cron\] command "echo now >> ran" running with pid \d+ exited after 0 second\(s\)')
    assert server.stop() == 0


def test_a_command_is_killed_at_its_harakiri_with_what_it_started(make):
    server = make(cron="-1 -1 -1 -1 -1 echo $$ > cron.pid; sleep 300; true", cron_harakiri=1).start()
    with Invariant(server, lambda: status(server)):
        found = until(lambda: lines(server, "cron.pid"), "the command")
        server.log.wait_for(r'\*\*\* HARAKIRI ON CRON "echo .*" \(pid: \d+\) \*\*\*')
        server.log.wait_for("exited after 1 second.*: it was killed by signal 9")
        processes.ended(int(found[0]))
        assert not [pid for pid in processes.descendants(server.master) if "sleep 300" in processes.title(pid)]


def test_what_runs_is_left_alone_by_a_reload_and_ended_by_a_stop(make):
    server = make(unique_cron="-1 -1 -1 -1 -1 echo $$ >> cron.pid; exec sleep 300").start()
    pid = int(until(lambda: lines(server, "cron.pid"), "the command")[0])
    with Invariant(server, lambda: status(server)):
        assert server.run("--reload", "uwsgi.pid").code == 0
        assert processes.alive(pid) and len(lines(server, "cron.pid")) == 1
    assert server.stop() == 0
    assert not processes.alive(pid)


@pytest.mark.parametrize(
    "option, value, sentence",
    [
        ("cron", "* * * * * true", "`*` is no number"),
        ("cron", "61 -1 -1 -1 -1 true", "the minute is 0 to 59"),
        ("cron", "0 4 -1 -1 -1", "the command is missing"),
        ("cron2", "minutes=3 true", "`cron2` has no key `minutes`"),
        ("cron2", "legion=x true", "rustwsgi does not have legions yet"),
    ],
)
def test_mistakes_are_found_before_the_start(make, option, value, sentence):
    server = make(**{option: value}).launch()
    assert server.wait() == 1
    server.log.wait_for(re.escape(sentence))
    assert f": {option} = {value}" in server.log.text()


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_each_minute_brings_one_start_and_a_unique_one_waits(make):
    server = make(
        cron="-1 -1 -1 -1 -1 date +%%M >> each", unique_cron="-1 -1 -1 -1 -1 echo $$ >> unique; exec sleep 300"
    ).start()
    with Invariant(server, lambda: status(server)):
        until(lambda: len(lines(server, "each")) >= 3, "three minutes", timeout=150)
    assert len(set(lines(server, "each"))) == len(lines(server, "each"))
    assert len(lines(server, "unique")) == 1
