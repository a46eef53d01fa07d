"""Signals to the master, the zygote and the workers, one by one: docs/signals.md says what each does."""

import signal

import pytest

from support import processes
from support.invariant import Invariant
from support.site import Site
from support.waiting import stays, until


@pytest.fixture
def site(rustwsgi, workshop):
    site = Site(workshop, rustwsgi)
    site.server.start()
    return site


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_these_stop(site, number):
    everybody = processes.descendants(site.server.master)

    site.server.signal(number)

    assert site.server.wait() == 0
    for pid in everybody:
        processes.ended(pid)
    site.server.log.wait_for(r"received")
    assert site.server.log.count(r"worker \d buried after \d+ seconds") == 2
    assert site.server.log.count(r"goodbye to uWSGI\.") == 1


def test_hup_reloads(site):
    with Invariant(site.server, site.status):
        site.write("2")
        mark = site.server.log.mark()

        site.server.signal(signal.SIGHUP)

        site.server.log.wait_for(r"^\w+ \w+ +\d+ \d\d:\d\d:\d\d \d+ - \.\.\.gracefully killing workers\.\.\.", mark)
        site.server.log.wait_for(r"Gracefully killing worker 2 \(pid: \d+\)", mark)
        until(lambda: site.version() == "2", "the new code")


def test_usr1_tells_how_it_goes(site):
    mark = site.server.log.mark()

    site.server.signal(signal.SIGUSR1)

    site.server.log.wait_for(r"serving for \d+ s, generation 1", mark)


def test_tstp_pauses_and_resumes(site):
    with Invariant(site.server, site.status):
        mark = site.server.log.mark()
        site.server.signal(signal.SIGTSTP)
        site.server.log.wait_for(r"\*\*\* PAUSE ", mark)
        site.server.log.wait_for("worker 1 suspended", mark)
        site.server.log.wait_for("worker 2 suspended", mark)

        site.server.signal(signal.SIGTSTP)

        site.server.log.wait_for("worker 1 resumed", mark)
        site.server.log.wait_for("worker 2 resumed", mark)


SILENT = [
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGPIPE,
    signal.SIGWINCH,
    signal.SIGURG,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGCHLD,
]


@pytest.mark.parametrize("number", SILENT)
def test_these_change_nothing(site, number):
    with Invariant(site.server, site.status):
        everybody = sorted(processes.descendants(site.server.master))

        site.server.signal(number)

        stays(lambda: site.status() == 200, "it serves", 0.5)
        assert sorted(processes.descendants(site.server.master)) == everybody
        assert site.server.log.count("^reload:") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1, signal.SIGTSTP, signal.SIGURG, signal.SIGWINCH])
def test_what_a_terminal_or_killall_sends_to_everybody_hurts_no_child(site, number):
    with Invariant(site.server, site.status):
        children = sorted([*site.server.settle(), *site.server.zygotes()])

        for pid in children:
            processes.kill(pid, number)

        stays(lambda: site.status() == 200, "it serves", 0.5)
        assert sorted([*site.server.settle(), *site.server.zygotes()]) == children


def test_hup_has_a_worker_finish_and_another_come(site):
    with Invariant(site.server, site.status):
        worker = site.server.settle()[0]

        processes.kill(worker, signal.SIGHUP)

        until(lambda: worker not in site.server.workers(), "its end")
        site.server.settle()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL])
def test_these_end_a_worker_and_another_comes(site, number):
    with Invariant(site.server, site.status):
        worker = site.server.settle()[0]

        processes.kill(worker, number)

        until(lambda: worker not in site.server.workers(), "its end")
        site.server.settle()


def test_usr2_has_a_worker_print_its_stack(site):
    with Invariant(site.server, site.status):
        worker = site.server.settle()[0]
        mark = site.server.log.mark()

        processes.kill(worker, signal.SIGUSR2)

        site.server.log.wait_for("most recent call first", mark)
        assert worker in site.server.workers()
