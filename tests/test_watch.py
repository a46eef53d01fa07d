"""What reloads by itself: touched files, watched directories, Python files that somebody edits."""

import os

import pytest

from support import http_client, processes
from support.invariant import Invariant
from support.site import SOURCE, Site
from support.waiting import stays, until


@pytest.fixture
def make(rustwsgi, workshop):
    def make(**options):
        site = Site(workshop, rustwsgi, **options)
        site.server.start()
        return site

    return make


def path(site, name="flag"):
    return site.server.directory / name


# Touched files


@pytest.mark.parametrize("there", [True, False])
def test_touch_reload(rustwsgi, workshop, there):
    site = Site(workshop, rustwsgi, touch_reload=["flag", "uwsgi.ini"])
    if there:
        path(site).touch()
    site.server.start()
    with Invariant(site.server, site.status):
        assert site.server.log.count("unable to stat.. flag, events will be triggered as soon as") == (not there)
        site.write("2")

        path(site).touch()

        until(lambda: site.version() == "2", "the new code")
        until(lambda: {site.version() for _ in range(10)} == {"2"}, "the new code everywhere")
        site.server.log.wait_for(r"\*\*\* flag has been touched... grace them all !!! \*\*\*")


def test_touching_again_reloads_again_and_deleting_does_not(make):
    site = make(touch_reload="flag")
    for version in "23":
        site.write(version)
        path(site).touch()
        until(lambda version=version: {site.version() for _ in range(10)} == {version}, "the new code")
    site.write("4")
    path(site).unlink()

    stays(lambda: site.version() == "3", "the same code", 2.5)

    path(site).touch()
    until(lambda: site.version() == "4", "the new code")


def test_a_touch_with_broken_code_changes_nothing_and_the_next_one_works(make):
    site = make(touch_reload="flag")
    with Invariant(site.server, site.status):
        site.break_code()
        path(site).touch()
        site.server.log.wait_for("reload failed, the old code goes on serving")
        assert site.version() == "1"
        site.write("2")
        path(site).touch()
        until(lambda: site.version() == "2", "the new code")


def test_touch_workers_reload_replaces_workers_only(make):
    site = make(touch_workers_reload="flag", lazy_apps=True)
    with Invariant(site.server, site.status):
        zygotes = site.server.zygotes()
        site.write("2")

        path(site).touch()

        until(lambda: {site.version() for _ in range(10)} == {"2"}, "the new code")
        assert site.server.zygotes() == zygotes


def test_touch_chain_reload_goes_one_by_one(make):
    site = make(touch_chain_reload="flag", processes=3)
    with Invariant(site.server, site.status):
        workers = site.server.settle()

        path(site).touch()

        site.server.log.wait_for("chain reloading complete")
        assert not set(workers) & set(site.server.settle())


def test_a_chain_of_workers_that_fail_leaves_the_old_ones(make):
    site = make(touch_chain_reload="flag", lazy_apps=True)
    with Invariant(site.server, site.status):
        workers = site.server.settle()
        site.break_code()

        path(site).touch()

        site.server.log.wait_for(r"error\[RW0504\]: worker \d can't be replaced")
        until(lambda: sorted(site.server.workers()) == sorted(workers), "the old workers and no others")
        assert site.version() == "1"
        site.write("2")
        path(site).touch()
        until(lambda: {site.version() for _ in range(10)} == {"2"}, "the new code")


def test_fs_reload_sees_any_change_in_a_directory(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, fs_reload="watched")
    path(site, "watched").mkdir()
    site.server.start()
    with Invariant(site.server, site.status):
        for version, change in (
            ("2", lambda: path(site, "watched/a").write_text("x")),
            ("3", lambda: path(site, "watched/a").rename(path(site, "watched/b"))),
            ("4", lambda: path(site, "watched/b").unlink()),
        ):
            site.write(version)
            change()
            until(lambda version=version: site.version() == version, "the new code")


# Python files


def test_py_autoreload_sees_an_edited_module(make):
    site = make(py_autoreload=1)
    with Invariant(site.server, site.status):
        site.write("2")

        until(lambda: site.version() == "2", "the new code")
        site.server.log.wait_for(r"\[uwsgi-python-reloader\] file .*/app.py has been modified")


def test_py_autoreload_comes_back_when_broken_code_is_mended(make):
    site = make(py_autoreload=1)
    with Invariant(site.server, site.status):
        site.break_code()
        site.server.log.wait_for("reload failed, the old code goes on serving")
        assert site.version() == "1"

        site.write("2")

        until(lambda: site.version() == "2", "the new code")


def test_py_autoreload_picks_up_new_files_even_broken_ones(make):
    site = make(py_autoreload=1)
    with Invariant(site.server, site.status):
        site.server.install("def broken(:\n", "part.py")
        site.server.install("import part\n" + SOURCE.format(version="2"))
        site.server.log.wait_for("reload failed, the old code goes on serving")

        site.server.install("# mended\n", "part.py")

        until(lambda: site.version() == "2", "the new code")
        mark = site.server.log.mark()
        site.server.install("# edited\n", "part.py")
        site.server.log.wait_for(r"\[uwsgi-python-reloader\] file .*/part.py has been modified", mark)
        site.server.log.wait_for("reload done", mark)


def test_py_autoreload_knows_what_a_worker_imports_later(make):
    site = make(py_autoreload=1)
    site.server.install("\n", "late.py")
    site.server.install(SOURCE.format(version="2").replace("    body =", "    import late\n    body ="))
    until(lambda: site.version() == "2", "the new code")
    mark = site.server.log.mark()

    def edited():
        site.server.install("# edited\n", "late.py")
        os.utime(path(site, "late.py"), (1, 1))
        return site.server.log.count("file .*/late.py has been modified", mark)

    until(edited, "a reload")


def test_py_autoreload_ignores_what_it_is_told_to(rustwsgi, workshop):
    site = Site(workshop, rustwsgi, py_autoreload=1, py_auto_reload_ignore="part")
    site.server.install("\n", "part.py")
    site.server.install("import part\n" + SOURCE.format(version="1"))
    site.server.start()

    site.server.install("# edited\n", "part.py")

    mark = site.server.log.mark()
    stays(lambda: not site.server.log.count("has been modified", mark), "quiet", 2.5)


# How a reload goes


def test_exit_on_reload(make):
    site = make(exit_on_reload=True)

    site.server.signal(1)

    assert site.server.wait() == 0
    site.server.log.wait_for("uWSGI: GAME OVER .insert coin.")


def test_shutdown_delay_serves_on(make):
    site = make(shutdown_delay=2)

    site.server.signal(15)

    site.server.log.wait_for("serving on for 2 s")
    stays(lambda: site.status() == 200, "it serves", 1.0)
    assert site.server.wait() == 0


def test_a_second_stop_ends_the_delay(make):
    site = make(shutdown_delay=60)
    site.server.signal(15)
    site.server.log.wait_for("serving on for 60 s")

    site.server.signal(15)

    assert site.server.wait() == 0


def test_reload_on_term(make):
    site = make(reload_on_term=True)
    site.write("2")

    site.server.signal(15)

    until(lambda: site.version() == "2", "the new code")
    everybody = processes.descendants(site.server.master)
    assert site.stop().code == 0
    for pid in everybody:
        processes.ended(pid)
    with pytest.raises(OSError):
        http_client.get(site.port)
