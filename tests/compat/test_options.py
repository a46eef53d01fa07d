"""Options of the ini file: the app is found, and finds itself, as under uWSGI."""

import json
import re

import pytest

from compat.differences import MISSING_SECTION, NO_APP, PIDFILE
from support import uwsgi_client


@pytest.fixture
def seen(uwsgi, rustwsgi, workshop):
    """What `where.py` says under each of the two for the same options: theirs, ours."""

    def seen(prepare=None, **options):
        found = []
        for program in (uwsgi, rustwsgi):
            server = workshop.server(program)
            server.install("where.py", "where.py")
            if prepare:
                prepare(server)
            address = server.directory / "site.sock"
            given = {key: value(server) if callable(value) else value for key, value in options.items()}
            server.set(socket=address, **given)
            server.start()
            answer = json.loads(uwsgi_client.request(str(address)).body)
            text = json.dumps(answer).replace(str(server.directory), "DIR")
            found.append(json.loads(text))
            server.kill()
        return found

    return seen


def own(path):
    """The entries of sys.path that are the site's, not Python's (uWSGI has `.` a second time, as an empty one)."""
    return [entry.rstrip("/") for entry in path if entry.startswith("DIR") or entry == "."]


CALLABLES = {
    "module": {"module": "where"},
    "wsgi": {"wsgi": "where"},
    "short-w": {"module": "where:application"},
    "named": {"module": "where:other"},
    "factory": {"module": "where:factory()"},
    "class": {"module": "where:Site"},
    "callable-option": {"module": "where", "callable": "other"},
    "callable-factory": {"module": "where", "callable": "factory()"},
    "colon-beats-callable": {"module": "where:other", "callable": "application"},
    "wsgi-file": {"wsgi_file": "where.py"},
    "wsgi-file-callable": {"wsgi_file": "where.py", "callable": "other"},
}


@pytest.mark.parametrize("form", CALLABLES)
def test_the_callable_is_found_alike(seen, form):
    theirs, ours = seen(**CALLABLES[form])

    for key in ("callable", "module", "file", "cwd"):
        assert ours[key] == theirs[key], key


def test_a_file_with_another_ending_is_an_app(seen):
    def prepare(server):
        (server.directory / "where.py").rename(server.directory / "site.wsgi")

    theirs, ours = seen(prepare, wsgi_file="site.wsgi")

    assert (ours["callable"], ours["file"]) == (theirs["callable"], theirs["file"])


def test_a_module_in_a_package_is_found(seen):
    def prepare(server):
        package = server.directory / "site_package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (server.directory / "where.py").rename(package / "wsgi.py")

    theirs, ours = seen(prepare, module="site_package.wsgi:application")

    assert ours["module"] == theirs["module"] == "site_package.wsgi"


def test_chdir_comes_before_the_app(seen):
    def prepare(server):
        (server.directory / "project").mkdir()
        (server.directory / "where.py").rename(server.directory / "project/where.py")

    theirs, ours = seen(prepare, chdir=lambda server: server.directory / "project", module="where")

    assert ours["cwd"] == theirs["cwd"] == "DIR/project"


def test_pythonpath_is_searched_in_the_same_order(seen):
    def prepare(server):
        for name in ("first", "second"):
            (server.directory / name).mkdir()
            source = (server.directory / "where.py").read_text()
            (server.directory / name / "shadowed.py").write_text(source)

    paths = lambda server: [server.directory / "first", server.directory / "second"]  # noqa: E731
    theirs, ours = seen(prepare, pythonpath=paths, module="shadowed")

    assert ours["file"] == theirs["file"]
    assert own(ours["path"]) == own(theirs["path"])


def test_the_directory_itself_is_on_the_path(seen):
    theirs, ours = seen(module="where")

    assert "." in theirs["path"] and "." in ours["path"]


def test_env_reaches_the_app_before_it_is_imported(seen):
    theirs, ours = seen(env=["SITE_NAME=blog", "SITE_EQUALS=a=b", "SITE_EMPTY=", "SITE_NAME=last"], module="where")

    assert ours["variables"] == theirs["variables"] == {"SITE_NAME": "last", "SITE_EQUALS": "a=b", "SITE_EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "workers"),
    [
        ("[uwsgi]\r\nmodule = where\r\nmaster = true\r\n", 1),
        ("; a comment\n# another\n[uwsgi]\n\n  module   =   where  \nmaster\n", 1),
        ("[other]\nmodule = nothing\n[uwsgi]\nmodule = where\nmaster = true", 1),
        ("[uwsgi]\nmodule = where\n[between]\nx = y\n[uwsgi]\nmaster = true\n", 1),
        ("[uwsgi]\nmodule = nothing\nmodule = where\nmaster = 1\n", 1),
        ("[uwsgi]\nmodule = where:application\nmaster = yes\nprocesses = 2x\n", 2),
    ],
    ids=["crlf", "comments-and-spaces", "other-section", "section-twice", "last-wins", "atoi"],
)
def test_the_ini_is_read_alike(uwsgi, rustwsgi, workshop, text, workers):
    for program in (uwsgi, rustwsgi):
        server = workshop.server(program)
        server.install("where.py", "where.py")
        address = server.directory / "site.sock"
        server.ini.write_bytes((text.rstrip() + f"\nsocket = {address}\n").encode())
        server.options["processes"] = workers
        server.start()
        assert len(server.settle()) == workers
        assert json.loads(uwsgi_client.request(str(address)).body)["callable"] == "application"
        server.kill()


def test_another_section_can_be_asked_for(uwsgi, rustwsgi, workshop):
    for program in (uwsgi, rustwsgi):
        server = workshop.server(program)
        server.install("where.py", "where.py")
        address = server.directory / "site.sock"
        server.ini.write_text(f"[uwsgi]\nmodule = nothing\n[live]\nmaster = true\nmodule = where\nsocket = {address}\n")
        server.start("--ini", "uwsgi.ini:live")
        assert uwsgi_client.request(str(address)).status == 200
        server.kill()


@pytest.mark.parametrize("order", ["ini-first", "ini-last", "bare-ini"])
def test_command_line_and_file_win_in_the_same_order(uwsgi, rustwsgi, workshop, order):
    arguments = {
        "ini-first": ["--ini", "uwsgi.ini", "--processes", "2"],
        "ini-last": ["--processes", "2", "--ini", "uwsgi.ini"],
        "bare-ini": ["uwsgi.ini", "--processes", "2"],
    }[order]
    for program in (uwsgi, rustwsgi):
        server = workshop.server(program, "hello.py", processes=3)
        server.set(socket=server.directory / "site.sock")
        server.options["processes"] = 2 if order == "ini-first" else 3
        server.start(*arguments)
        server.settle()
        server.kill()


def test_the_version_is_one_line(uwsgi, rustwsgi, workshop):
    for program in (uwsgi, rustwsgi):
        outcome = program.run("--version", cwd=workshop.directory())
        assert outcome.code == 0
        assert re.fullmatch(r".*\d+\.\d+\.\d+.*\n", outcome.stdout) and outcome.stderr == ""


# Different on purpose.


def test_a_missing_section_only_warns_under_uwsgi(uwsgi, rustwsgi, workshop):
    codes = []
    for program in (uwsgi, rustwsgi):
        server = workshop.server(program, "hello.py")
        outcome = server.run("--ini", "uwsgi.ini:absent")
        codes.append(("RW0110" in outcome.text, outcome.code != 0))

    assert codes == [(False, True), (True, True)], MISSING_SECTION


def test_a_broken_app_keeps_uwsgi_up_and_stops_our_start(uwsgi, rustwsgi, workshop):
    theirs, ours = (workshop.server(program, "import not_there_at_all\n") for program in (uwsgi, rustwsgi))
    for server in (theirs, ours):
        server.set(need_app=None, socket=server.directory / "site.sock")

    theirs.start()
    outcome = ours.run("--ini", "uwsgi.ini")

    assert uwsgi_client.request(str(theirs.directory / "site.sock")).status == 500, NO_APP
    assert outcome.code == 22, NO_APP


def test_a_stale_pidfile_fails_both(uwsgi, rustwsgi, workshop):
    codes = []
    for program in (uwsgi, rustwsgi):
        directory = workshop.directory()
        outcome = program.run("--stop", "absent.pid", cwd=directory)
        codes.append(outcome.code)

    assert codes[0] != 0 and codes[1] != 0, PIDFILE
