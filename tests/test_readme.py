"""What README.md says to type works as it stands there, and what the pages point at exists."""

import re
import shlex

import pytest

from support import http_client, processes
from support.server import ROOT, Log

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benches/README.md"]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands(prefix):
    """The lines of the `sh` blocks that begin with `prefix`, as words."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(prefix)]


@pytest.fixture
def site(workshop, rustwsgi, venv):
    """The site of README's `uwsgi.ini`, moved to a scratch directory with everything that it names."""
    server = workshop.server(rustwsgi)
    root = server.directory
    for path in ("srv/blog/blog", "run/blog"):
        (root / path).mkdir(parents=True)
    (root / "srv/blog/venv").symlink_to(venv)
    (root / "srv/blog/blog/__init__.py").touch()
    (root / "srv/blog/blog/wsgi.py").write_text(
        "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"
    )
    (ini,) = blocks("ini")
    server.ini.write_text(re.sub(r"(?<== )/(srv|run)/", rf"{root}/\1/", ini))
    yield server
    processes.sweep(root)


def test_the_ini_is_understood_without_a_warning(site):
    outcome = site.run("--ini", "uwsgi.ini", "--show-config")

    assert outcome.code == 0 and "warning" not in outcome.text, outcome


def test_the_everyday_commands_run_the_site_of_the_ini_behind_nginx(site, workshop):
    start, reload, stop = [words[1:] for words in commands("rustwsgi")]
    (block,) = blocks("nginx")
    address = re.search(r"uwsgi_pass unix:(\S+);", block)[1]
    (ini,) = blocks("ini")
    assert f"socket = {address}\n" in ini

    outcome = site.run(*start)
    assert outcome.code == 0, outcome
    nginx = workshop.nginx(f"{site.directory}{address}")
    assert http_client.get(nginx.port).text == "served"
    for words in (reload, stop):
        outcome = site.run(*words)
        assert outcome.code == 0, outcome

    assert processes.inside(site.directory) == []
    assert not (site.directory / "uwsgi.pid").exists()
    assert Log(site.directory / "uwsgi.log").count("goodbye to uWSGI") == 1


def test_the_commands_that_explain_do(rustwsgi, tmp_path):
    mentioned = re.findall(r"`rustwsgi (--(?:help|explain|version)[^`]*)`", README)
    assert len(mentioned) >= 3

    for words in mentioned:
        outcome = rustwsgi.run(*shlex.split(words), cwd=tmp_path)
        assert outcome.code == 0 and outcome.stdout.strip(), outcome


def test_make_knows_the_targets():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z-]+)", "\n".join(re.findall(r"```sh.*?```|`make [^`]+`", README, re.DOTALL))))

    assert {"demo", "demo-stop", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_lead_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []
