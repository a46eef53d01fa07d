"""The master FIFO: a letter is a command, a bad one is logged, and nobody is ever blocked by it."""

import os
import stat
import time

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.site import Site
from support.waiting import stays, until


@pytest.fixture
def site(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, master_fifo=["cmd.fifo", "other.fifo"])
    site.server.start()
    return site


def send(site, letters, name="cmd.fifo"):
    """Writes letters as `echo -n` does, but never waits for a reader."""
    fifo = os.open(site.server.directory / name, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fifo, letters.encode())
    finally:
        os.close(fifo)


def test_it_is_there_for_its_owner_alone(site):
    about = (site.server.directory / "cmd.fifo").stat()

    assert stat.S_ISFIFO(about.st_mode) and stat.S_IMODE(about.st_mode) == 0o600


@pytest.mark.parametrize("letter", ["r", "R", "r\n"])
def test_r_reloads(site, letter):
    with Invariant(site.server, site.status):
        site.write("2")

        send(site, letter)

        until(lambda: site.version() == "2", "the new code")


@pytest.mark.parametrize("letter", ["w", "W"])
def test_w_replaces_the_workers_and_not_the_zygote(site, letter):
    with Invariant(site.server, site.status):
        workers, zygotes = site.server.settle(), site.server.zygotes()
        mark = site.server.log.mark()

        send(site, letter)

        site.server.log.wait_for("workers reloading complete", mark)
        assert not set(workers) & set(site.server.settle()) and site.server.zygotes() == zygotes


def test_c_replaces_one_worker_after_the_other(site):
    with Invariant(site.server, site.status):
        workers = site.server.settle()
        mark = site.server.log.mark()

        send(site, "c")

        site.server.log.wait_for("chain reloading complete", mark)
        assert not set(workers) & set(site.server.settle())
        assert [line for line in site.server.log.lines(mark) if "victim" in line] == [
            "chain next victim is worker 1",
            "chain next victim is worker 2",
        ]


@pytest.mark.parametrize("letter", ["q", "Q"])
def test_q_stops(site, letter):
    everybody = processes.descendants(site.server.master)

    send(site, letter)

    assert site.server.wait() == 0
    for pid in everybody:
        processes.ended(pid)


def test_p_pauses_and_resumes_and_no_connection_is_lost(site):
    with Invariant(site.server, site.status):
        mark = site.server.log.mark()
        send(site, "p")
        for worker in (1, 2):
            site.server.log.wait_for(rf"\*\*\* worker {worker} suspended \*\*\*", mark)
        with http_client.Connection(site.port) as waiting:
            waiting.send(http_client.request_bytes("GET", "/"))
            waiting.stream.settimeout(0.5)
            with pytest.raises(TimeoutError):
                waiting.stream.recv(1)
            waiting.stream.settimeout(10)

            send(site, "p")

            assert waiting.answer().status == 200
        site.server.log.wait_for(r"\*\*\* worker 1 resumed \*\*\*", mark)


def test_workers_that_come_during_a_pause_pause_too(site):
    with Invariant(site.server, site.status):
        send(site, "p")
        site.server.log.wait_for(r"worker 2 suspended")
        site.write("2")
        mark = site.server.log.mark()
        send(site, "r")
        site.server.log.wait_for("reload done", mark)
        with http_client.Connection(site.port) as waiting:
            waiting.send(http_client.request_bytes("GET", "/"))
            waiting.stream.settimeout(0.5)
            with pytest.raises(TimeoutError):
                waiting.stream.recv(1)
            waiting.stream.settimeout(10)
            send(site, "p")
            assert waiting.answer().text == "2\n"


def test_s_tells_how_it_goes(site):
    assert site.status() == 200
    mark = site.server.log.mark()

    send(site, "s")

    site.server.log.wait_for(r"master pid \d+: serving for \d+ s, generation 1, [01] requests", mark)
    site.server.log.wait_for(r"worker 2 \(pid: \d+, generation 1\): (idle|busy)", mark)


@pytest.mark.parametrize("deleted", [True, False])
def test_P_writes_the_pid_file_again(site, deleted):
    if deleted:
        site.server.pidfile.unlink()
    else:
        site.server.pidfile.write_text("nonsense")

    send(site, "P")

    until(lambda: site.server.pidfile.exists() and site.server.pidfile.read_text() == f"{site.server.master}\n", "the pid")
    assert site.reload().code == 0


def test_plus_and_minus_change_the_number_of_workers(site):
    with Invariant(site.server, site.status):
        send(site, "-")
        until(lambda: len(site.server.workers()) == 1, "one worker")
        send(site, "+")
        until(lambda: len(site.server.workers()) == 2, "two workers")


def test_what_is_no_letter_is_logged_and_the_rest_is_done(site):
    site.write("2")
    mark = site.server.log.mark()

    send(site, "z\nSr")

    until(lambda: site.version() == "2", "the new code")
    assert site.server.log.count("master FIFO: `z` is no command", mark) == 1
    assert site.server.log.count("master FIFO: `S` does nothing: there are no subscriptions", mark) == 1


def test_a_deleted_one_is_made_again(site):
    (site.server.directory / "cmd.fifo").unlink()
    until(lambda: (site.server.directory / "cmd.fifo").exists(), "the FIFO")
    site.write("2")

    send(site, "r")

    until(lambda: site.version() == "2", "the new code")


def test_a_digit_picks_another(site):
    assert not (site.server.directory / "other.fifo").exists()
    mark = site.server.log.mark()

    send(site, "17")

    site.server.log.wait_for("active master fifo is now .*other.fifo", mark)
    site.server.log.wait_for("there is no FIFO 7: 2 are configured", mark)
    with pytest.raises(OSError):
        send(site, "r")
    site.write("2")
    send(site, "r", "other.fifo")
    until(lambda: site.version() == "2", "the new code")


def test_a_flood_of_letters_is_one_reload_more(site):
    with Invariant(site.server, site.status):
        site.write("2")
        mark = site.server.log.mark()

        send(site, "r" * 1000)

        until(lambda: site.version() == "2", "the new code")
        stays(lambda: site.status() == 200, "it serves", 1.0)
        assert site.server.log.count("reload done", mark) <= 4


def test_something_else_in_its_place_fails_the_start(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, master_fifo="cmd.fifo")
    (site.server.directory / "cmd.fifo").write_text("r")

    outcome = site.server.run("--ini", "uwsgi.ini")

    assert outcome.code == 1 and "error[RW0510]: cannot make the master FIFO" in outcome.stderr
    assert (site.server.directory / "cmd.fifo").read_text() == "r"


def test_one_that_was_left_is_taken_over(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, master_fifo="cmd.fifo")
    os.mkfifo(site.server.directory / "cmd.fifo")
    site.server.start()
    start = time.monotonic()

    send(site, "q")

    assert site.server.wait() == 0 and time.monotonic() - start < 5
