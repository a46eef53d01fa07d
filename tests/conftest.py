"""Fixtures: the programs, and factories for servers and nginx that end whatever they started."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Processes must find the working directory again after a reload of their own; no .pyc races with edits.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

from support import blog, warden  # noqa: E402
from support.nginx import Nginx  # noqa: E402
from support.server import ROOT, Program, Server  # noqa: E402

SHOWN = 80


def pytest_configure(config):
    if not config.getoption("collectonly"):
        warden.stand_guard()


@pytest.fixture(scope="session")
def rustwsgi():
    """Our program: `$RUSTWSGI` or the release build."""
    path = Path(os.environ.get("RUSTWSGI", ROOT / "target/release/rustwsgi"))
    assert path.exists(), f"{path} is missing: cargo build --release"
    return Program("uwsgi" if path.name == "uwsgi" else "rustwsgi", path.resolve())


@pytest.fixture(scope="session")
def uwsgi():
    """The program we succeed: `$UWSGI` or the one pip installed beside the Python that runs the tests."""
    path = Path(os.environ.get("UWSGI", Path(sys.prefix) / "bin/uwsgi"))
    assert path.exists(), f"{path} is missing: pip install -r tests/requirements.txt"
    return Program("uwsgi", path)


@pytest.fixture(scope="session")
def venv():
    """The virtual environment with Django in it."""
    return Path(sys.prefix)


@pytest.fixture(scope="session")
def prepared_blog(venv, tmp_path_factory):
    """The example blog with a database, posts and static files; copied by whoever serves it."""
    target = tmp_path_factory.mktemp("blog") / "blog"
    blog.prepare(target, venv)
    return target


class Workshop:
    """Makes directories, servers and nginxes, and takes all of them down again."""

    def __init__(self):
        self.made = []
        self.directories = []

    def directory(self):
        """A new directory with a short path (a UNIX socket's is limited), readable by every user."""
        path = Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))
        path.chmod(0o755)
        self.directories.append(path)
        return path

    def server(self, program, app=None, directory=None, **options):
        """A server that is not started yet."""
        server = Server(program, directory or self.directory(), app, **options)
        self.made.append(server)
        return server

    def nginx(self, *upstreams, **more):
        """A running nginx."""
        nginx = Nginx(self.directory(), *upstreams, **more)
        self.made.append(nginx)
        return nginx.start()

    def close(self):
        """Ends all, newest first; pytest shows what the logs said last if the test failed."""
        for thing in reversed(self.made):
            if isinstance(thing, Server):
                thing.kill()
                print(f"--- {thing.log.path}", *thing.log.lines()[-SHOWN:], sep="\n")
            else:
                thing.stop()
        for directory in self.directories:
            shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def workshop():
    """A workshop for one test."""
    shop = Workshop()
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def shared_workshop():
    """A workshop for servers that the tests of one file share."""
    shop = Workshop()
    yield shop
    shop.close()
