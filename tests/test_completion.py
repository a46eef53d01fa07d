"""Completion as the shells do it, and the manual page without a warning from its formatter."""

import shutil
import subprocess

import pytest


@pytest.fixture
def generated(rustwsgi, tmp_path):
    """A directory with one configuration file; writes what `--generate` writes beside it."""
    (tmp_path / "site.ini").write_text("[uwsgi]\n")
    (tmp_path / "work").mkdir()
    shutil.move(tmp_path / "site.ini", tmp_path / "work/site.ini")

    def generate(what):
        done = subprocess.run([rustwsgi.path, "--generate", what], capture_output=True, text=True, check=True)
        (tmp_path / what).write_text(done.stdout)
        return tmp_path / what

    return generate


def shell(name):
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    return program


def run(script, *command):
    done = subprocess.run(
        command, cwd=script.parent / "work", capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


COMPLETED = [
    ("--http-so", ["--http-socket"]),
    ("--vacu", ["--vacuum"]),
    ("--ini si", ["site.ini"]),
    ("si", ["site.ini"]),
    ("--generate fi", ["fish"]),
    ("--processes ", []),
]


@pytest.mark.parametrize("typed, completed", COMPLETED)
def test_bash(generated, typed, completed):
    script = generated("bash")
    words = " ".join(f"'{word}'" for word in typed.split(" "))
    asked = (
        f"source {script}; complete -p rustwsgi > /dev/null || exit 1; COMP_WORDS=(rustwsgi {words});"
        " COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _rustwsgi; echo ${COMPREPLY[@]}"
    )

    assert run(script, shell("bash"), "--norc", "-c", asked) == completed


@pytest.mark.parametrize("typed, completed", COMPLETED)
def test_fish(generated, typed, completed):
    fish = shell("fish")
    script = generated("fish")
    asked = f"source {script}; complete -C 'rustwsgi {typed}' | cut -f 1"

    assert run(script, fish, "--no-config", "-c", asked) == completed


def test_zsh_can_read_its_script(generated):
    zsh = shell("zsh")
    script = generated("zsh")

    assert run(script, zsh, "-f", "-n", str(script)) == []
    assert "'--generate=[" in script.read_text()


def test_the_manual_page_has_no_warnings(generated):
    groff = shell("groff")
    script = generated("man")

    text = run(script, groff, "-man", "-ww", "-Tutf8", str(script))
    assert "RUSTWSGI(1)" in text[0]
