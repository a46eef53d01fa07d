"""`rustwsgi convert`: what it writes is read by uWSGI and by us, and means what it was made from."""

import shutil

import pytest

from config import reported
from config.generator import Case, Generator

# Cases that both have to be able to read; more are tried until there are enough.
FLATTENED = 60
GUNICORN = """\
import multiprocessing
import os

bind = os.environ.get("BIND", "0.0.0.0:8000")
workers = multiprocessing.cpu_count() * 2 + 1
threads = 4
timeout = 45
raw_env = ["DJANGO_SETTINGS_MODULE=blog.settings", "RATE=50%"]
wsgi_app = "blog.wsgi"
accesslog = "-"


def post_fork(server, worker):
    server.log.info("forked")
"""


@pytest.fixture
def directory(workshop):
    """An empty directory."""
    return workshop.directory()


def effective(report):
    """The options, without what only steers, and without placeholders of their own."""
    assert not report.refused, report.output
    return [(key, value) for key, value in report.settings if not reported.steers(key)]


def test_a_flat_ini_means_the_same_to_uwsgi(uwsgi, rustwsgi, directory):
    compared = 0
    number = 500_000
    names = set(uwsgi.run("--dump-options", cwd=directory).stdout.split())
    while compared < FLATTENED:
        number += 1
        assert number < 500_000 + 10 * FLATTENED, "too many cases could not be read"
        case = Generator(number).case()
        # Values of several lines, or with blanks at their ends, can't be written in an ini; the environment and the command line are not in it.
        if any(key.startswith("UWSGI_") for key in case.environment) or "command line" in case.features:
            continue
        target = directory / str(number)
        for name, content in case.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        asked = case.arguments[-1].removeprefix("--ini=")
        before = reported.theirs(uwsgi.path, case, target)
        converted = rustwsgi.run("convert", asked, cwd=target, **case.environment)
        if before.refused or converted.code != 0 or any("\n" in value or value != value.strip() for _, value in before.settings):
            continue
        # What came in as text is a variable in a file; the file says so.
        if any("$(" in value or "@(" in value for key, value in effective(before) if key in names):
            assert "is looked up anew in this file" in converted.stdout
            continue
        (target / "flat.ini").write_text(converted.stdout)
        after = reported.theirs(uwsgi.path, Case({}, case.environment, ["--ini", "flat.ini"]), target)
        expected = [(key, value) for key, value in effective(before) if key in names]
        assert effective(after) == expected, f"case {number}\n{case.text()}\n{converted.stdout}"
        compared += 1
        shutil.rmtree(target)


@pytest.mark.parametrize("program", ["uwsgi", "rustwsgi"])
def test_a_converted_gunicorn_file_is_read_by_both(request, rustwsgi, directory, program):
    (directory / "gunicorn.conf.py").write_text(GUNICORN)
    converted = rustwsgi.run("convert", "gunicorn.conf.py", cwd=directory)
    assert (converted.code, converted.stderr) == (0, "")
    (directory / "uwsgi.ini").write_text(converted.stdout)

    read = {"uwsgi": reported.theirs, "rustwsgi": reported.ours}[program]
    report = read(request.getfixturevalue(program).path, Case({}, {"BIND": ":9"}, ["--ini", "uwsgi.ini"]), directory)

    settings = dict(effective(report))
    assert settings["http-socket"] == ":9"
    assert settings["harakiri"] == "45" and settings["threads"] == "4"
    assert settings["module"] == "blog.wsgi:application"
    assert settings["env"] == "RATE=50%"
    assert int(settings["processes"]) % 2 == 1
    assert "post_fork() (code" in converted.stdout


def test_gunicorns_own_configuration_file_is_found(rustwsgi, directory):
    (directory / "gunicorn.conf.py").write_text("workers = 7\n")

    converted = rustwsgi.run("convert", "gunicorn", "blog:app", "--threads", "2", cwd=directory)

    assert "\nprocesses = 7\n" in converted.stdout and "\nthreads = 2\n" in converted.stdout


def test_a_quoted_command_line_is_one_too(rustwsgi, directory):
    converted = rustwsgi.run("convert", "gunicorn 'blog:app' --bind unix:/run/b.sock -w2", cwd=directory)

    assert "\nhttp-socket = /run/b.sock\n" in converted.stdout and "\nprocesses = 2\n" in converted.stdout


def test_nothing_is_run(rustwsgi, directory):
    (directory / "gunicorn.conf.py").write_text("open('ran', 'w')\nworkers = __import__('os').system('touch ran')\n")

    converted = rustwsgi.run("convert", "gunicorn.conf.py", cwd=directory)

    assert converted.code == 0 and "computed" in converted.stdout
    assert not (directory / "ran").exists()


def test_what_cannot_be_converted_is_refused_with_examples(rustwsgi, directory):
    for words in ([], ["uvicorn", "blog:app"], ["missing.conf.py"], ["missing.ini"], ["gunicorn", "-c", "missing.py", "a"]):
        outcome = rustwsgi.run("convert", *words, cwd=directory)
        assert outcome.code == 1 and outcome.stdout == "" and outcome.stderr.startswith("error[RW")


@pytest.mark.parametrize(
    "line, environment, settings",
    [
        ("web: gunicorn blog -b :$PORT -w 2", {"PORT": "8042"}, {"http-socket": ":8042", "processes": "2"}),
        ("gunicorn blog -b 0.0.0.0:${PORT:-8000}", {}, {"http-socket": "0.0.0.0:8000"}),
        ("gunicorn blog -b 0.0.0.0:${PORT:-8000}", {"PORT": "1"}, {"http-socket": "0.0.0.0:1"}),
        ("A=b exec poetry run gunicorn blog --workers=$N", {"N": "7"}, {"env": "A=b", "processes": "7"}),
    ],
)
def test_a_line_of_a_procfile_or_a_script_keeps_its_variables(rustwsgi, directory, line, environment, settings):
    converted = rustwsgi.run("convert", line, cwd=directory)
    assert converted.code == 0, converted
    (directory / "made.ini").write_text(converted.stdout)

    shown = {}
    for name in settings:
        shown[name] = rustwsgi.run("--get", name, "made.ini", cwd=directory, **environment).stdout.strip()
    assert shown == settings
    assert ("poetry run: goes in front" in converted.stdout) == ("poetry" in line)
