"""Three instances behind one nginx upstream: weights, backup, down, ip_hash, and instances that die under load."""

from collections import Counter

import pytest

from support import http_client, processes
from support.load import Load
from support.waiting import until

APP = """
import os

def application(environ, start_response):
    body = os.environ["SITE_NAME"].encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Answered-By", os.environ["SITE_NAME"])])
    return [body]
"""
# A request that nginx tries again may take as long as one more connection.
RETRIED = 3.0
RETRY = "uwsgi_next_upstream error timeout; uwsgi_next_upstream_tries 3; uwsgi_connect_timeout 1s;"


@pytest.fixture
def instances(rustwsgi, workshop):
    servers = []
    for name in ("one", "two", "three"):
        server = workshop.server(rustwsgi, APP, processes=2, pidfile="uwsgi.pid", env=f"SITE_NAME={name}")
        server.name = name
        server.address = server.directory / "site.sock"
        server.set(socket=server.address)
        servers.append(server.start())
    return servers


def upstreams(instances, *parameters):
    """The `server` lines of nginx for the three."""
    return [f"unix:{server.address} {more}" for server, more in zip(instances, parameters)]


def balanced(workshop, instances, *parameters, policy="", location=RETRY):
    """An nginx in front of the three."""
    return workshop.nginx(*upstreams(instances, *parameters), policy=policy, location=location)


def answers(nginx, count=300, **headers):
    """Who answered how often."""
    with http_client.Connection(nginx.port) as connection:
        got = [connection.request("GET", "/", headers.items()) for _ in range(count)]
    assert {answer.status for answer in got} == {200}
    return Counter(answer.text for answer in got)


def test_without_weights_each_gets_a_third(workshop, instances):
    nginx = balanced(workshop, instances, "", "", "")

    assert answers(nginx) == {"one": 100, "two": 100, "three": 100}


def test_traffic_follows_the_weights(workshop, instances):
    nginx = balanced(workshop, instances, "weight=3", "weight=2", "weight=1")

    assert answers(nginx) == {"one": 150, "two": 100, "three": 50}


def test_a_backup_gets_nothing_until_the_others_are_gone(workshop, instances):
    nginx = balanced(workshop, instances, "", "", "backup")
    assert answers(nginx)["three"] == 0

    for server in instances[:2]:
        assert server.run("--stop", "uwsgi.pid").code == 0

    assert answers(nginx) == {"three": 300}


def test_down_gets_nothing(workshop, instances):
    nginx = balanced(workshop, instances, "", "down", "")

    assert answers(nginx)["two"] == 0


def test_ip_hash_keeps_a_client_with_one(workshop, instances):
    nginx = balanced(workshop, instances, "", "", "", policy="ip_hash;")

    assert len(answers(nginx)) == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_when_one_goes_under_load_no_client_sees_an_error(workshop, instances, how):
    """TERM (with die-on-term, and the stop command's way) and KILL; then it comes back and is used again."""
    victim = instances[0]
    nginx = balanced(workshop, instances, *["max_fails=1 fail_timeout=1s"] * 3)

    with Load(nginx.port, "/", 16) as load:
        until(lambda: nginx.access.mark() > 10_000, "traffic")
        if how == "stop":
            assert victim.run("--stop", "uwsgi.pid").code == 0
        else:
            for pid in [victim.master, *processes.descendants(victim.master)]:
                processes.kill(pid)
        victim.process.wait(10)
        mark = nginx.access.mark()
        until(lambda: nginx.access.mark() > mark + 10_000, "traffic without it")
        assert set(answers(nginx, 100)) == {"two", "three"}
        report = load.check(slowest=RETRIED)
    assert set(report["answered_by"]) == {"one", "two", "three"}

    victim.start()
    until(lambda: answers(nginx, 30)["one"] > 0, "the instance to be used again", timeout=10)
    shares = answers(nginx)
    assert all(shares[name] >= 80 for name in ("one", "two", "three")), shares


def test_term_under_load_costs_no_client_an_error(rustwsgi, workshop, instances):
    victim = instances[1]
    victim.set(die_on_term=True)
    assert victim.run("--reload", "uwsgi.pid").code == 0
    nginx = balanced(workshop, instances, *["max_fails=1 fail_timeout=1s"] * 3)

    with Load(nginx.port, "/", 16) as load:
        until(lambda: nginx.access.mark() > 10_000, "traffic")
        victim.process.terminate()
        assert victim.wait() == 0
        load.check(slowest=RETRIED)


def test_a_rolling_restart_of_all_three_is_not_noticed(workshop, instances):
    nginx = balanced(workshop, instances, *["max_fails=1 fail_timeout=1s"] * 3)

    with Load(nginx.port, "/", 16) as load:
        for server in instances:
            assert server.run("--stop", "uwsgi.pid").code == 0
            server.wait()
            server.start()
            until(lambda: server.name in answers(nginx, 30), "it to be used again", timeout=10)
        load.check(slowest=RETRIED)


def test_a_reload_of_one_is_not_noticed(workshop, instances):
    nginx = balanced(workshop, instances, "", "", "")

    with Load(nginx.port, "/", 16) as load:
        for server in instances:
            assert server.run("--reload", "uwsgi.pid").code == 0
        load.check()
    assert nginx.failures() == []
