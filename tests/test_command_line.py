"""The command line under the name `uwsgi`, beside uWSGI itself: what is printed, the exit code, the settings.

A link named `uwsgi` makes rustwsgi answer as uWSGI does. uWSGI writes the settings (`--show-config`) to stderr,
between two comments.
"""

import subprocess

import pytest

FILES = {
    "site.ini": "[uwsgi]\nkind = v\nprocesses = 4\nenv = A=1\nenv = B=2\nmaster = true\nvacuum =\nbare\nx = %(kind)y\n",
    "print.ini": "[uwsgi]\nk = v\nprint = later %(k)\niprint = now %(k)\nprint\niprint = 1\n",
    "exit.ini": "[uwsgi]\niprint = before\nexit = 3\niprint = behind\n",
    "exit-bare.ini": "[uwsgi]\nexit\n",
    "exit-word.ini": "[uwsgi]\nexit = soon\n",
    "exit-if.ini": "[uwsgi]\nif-not-env = NEVER_SET\nexit = 7\nendif =\n",
    "exit-not.ini": "[uwsgi]\nif-env = NEVER_SET\nexit = 7\nendif =\nk = v\n",
    "resolve.ini": "[uwsgi]\nresolve = ip=localhost\nsite = %(ip):80\nresolve = ip=127.0.0.2\n",
    "outer.ini": "[uwsgi]\ninclude = inner.ini\nend = 1\n",
    "inner.ini": "[uwsgi]\nk = v\n",
    "late.ini": "[uwsgi]\ninject-after = facts.txt\ninclude = inner.ini\nz = 1\n",
    "open-ended.ini": "[uwsgi]\nk = v",
    "whole.txt": "[uwsgi]\nb = 2\n",
    "facts.txt": "fact = %n %d\n",
    "other.txt": "[other]\nq = 1\n",
    "site.yml": "uwsgi:\n  k: v\n",
    "more.txt": "  more: 1\n",
}


@pytest.fixture
def ask(uwsgi, rustwsgi, tmp_path):
    """Asks both the same; answers with the two outcomes. uWSGI starts where nothing stops it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    link = tmp_path / "bin/uwsgi"
    link.parent.mkdir()
    link.symlink_to(rustwsgi.path)

    def run(program, words, stdin):
        return subprocess.run(
            [program, *words],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
        )

    return lambda *words, stdin="": [run(program, words, stdin) for program in (uwsgi.path, link)]


def settings(outcome):
    lines = outcome.stderr.splitlines()
    if ";uWSGI instance configuration" not in lines:
        return None
    return lines[lines.index(";uWSGI instance configuration") : lines.index(";end of configuration")]


@pytest.mark.parametrize(
    "words",
    [
        "--version",
        "--get kind site.ini",
        "--get kind --get processes --ini site.ini",
        "--get x site.ini",
        "--get env site.ini",
        "--get bare site.ini",
        "--get vacuum site.ini",
        "--get nowhere site.ini",
        "--get workers site.ini",
        "--get workers --workers 3",
        "--get processes -p 3",
        "--get master --master",
        "--exit",
        "--exit=5",
        "--exit=300",
        "--exit=-1",
        "--ini exit.ini",
        "--ini exit-bare.ini",
        "--ini exit-word.ini",
        "--ini exit-if.ini",
        "--no-such-option",
        "-Z",
        "--pyth x",
        "--processes",
        "--proces",
        "absent.ini",
        "--ini absent.ini",
        "--ini site.ini:absent --strict --socket",
        "absent",
        "--resolve ip",
        "--resolve ip=",
        "--resolve processes=localhost",
        "--inject-after absent --ini site.ini",
    ],
)
def test_what_is_said_and_the_exit_code_are_the_same(ask, words):
    theirs, ours = ask(*words.split())

    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), ours.stderr


@pytest.mark.parametrize(
    "words",
    [
        "site.ini",
        "--ini print.ini",
        "--ini print.ini --print after",
        "--ini exit-not.ini",
        "--ini resolve.ini",
        "--resolve q=localhost --set z=%(q)",
        "--inject-before whole.txt --ini open-ended.ini",
        "--inject-after facts.txt --ini open-ended.ini",
        "--inject-after facts.txt --inject-after whole.txt --ini print.ini",
        "--inject-after facts.txt --ini outer.ini",
        "--inject-after facts.txt inner.ini",
        "--inject-after facts.txt --inherit inner.ini",
        "--inject-before other.txt --inject-before facts.txt --ini inner.ini",
        "--inject-after more.txt --yaml site.yml",
        "--ini late.ini",
        "--ini inner.ini --inject-after facts.txt",
        "--http-time 30 --http-socket :0",
        "--proces 2 -p3 -p 4 --processes=5 --workers 6",
        "-MT -C660 -C --chmod-socket=664 --need-app -t60",
        "--max-requests -1 --env A=1=2",
        "-s :0 --uwsgi-socket :0 --socket=:0",
        "-x=1 -S a=b -S c=%(a)",
        "-H venv -w module -i",
    ],
)
def test_the_settings_are_the_same(ask, words):
    theirs, ours = ask("--show-config", "--no-server", *words.split())

    assert settings(ours) == settings(theirs), ours.stderr
    assert ours.stdout == theirs.stdout


def test_stdin_is_surrounded_too(ask):
    theirs, ours = ask("--show-config", "--inject-after", "facts.txt", "--ini", "-", stdin="[uwsgi]\nk = v\n")

    assert settings(theirs) and settings(ours) == settings(theirs)


def test_a_line_of_a_surrounding_file_is_named_where_it_stands(rustwsgi, tmp_path):
    (tmp_path / "site.ini").write_text("[uwsgi]\nvaccum = true\n")
    (tmp_path / "more.txt").write_text("; more\nprocess = 4\n")
    done = subprocess.run(
        [rustwsgi.path, "--inject-after", "more.txt", "--check", "site.ini"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert " --> site.ini:2\n 2 | vaccum = true\n" in done.stdout
    assert " --> more.txt:2\n 2 | process = 4\n" in done.stdout


def test_an_end_by_exit_is_said(rustwsgi, tmp_path):
    (tmp_path / "site.ini").write_text("[uwsgi]\nexit = 3\n")
    done = subprocess.run(
        [rustwsgi.path, "--ini", "site.ini"], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 3
    assert done.stderr == (
        "error[RW0119]: the configuration ends the start here, with exit code 3\n  --> site.ini:2: exit = 3\n"
    )
