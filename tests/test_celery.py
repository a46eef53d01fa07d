"""The blog's celery.ini: real Redis and Celery that begin, reload and end with the site."""

import json
import subprocess

import pytest

from support import http_client, processes
from support.blog import SOURCE, Blog
from support.invariant import Invariant
from support.waiting import until


@pytest.fixture
def blog(workshop, rustwsgi, prepared_blog, venv):
    """The blog with what celery.ini adds to it, on addresses of the test's own."""
    blog = Blog(workshop, rustwsgi, prepared_blog, venv)
    added = {}
    for line in (SOURCE / "uWSGI_setting_file/celery.ini").read_text().splitlines():
        key, equals, value = line.partition(" = ")
        if equals and not line.startswith(";") and key != "ini":
            added.setdefault(key, []).append(value.replace(".venv/", f"{venv}/"))
    assert set(added) == {"attach-daemon", "attach-daemon2", "reload-mercy", "unique-cron"}
    blog.server.set(**added)
    return blog


def ask(blog, venv):
    """What a task answers, asked as the README does."""
    done = subprocess.run(
        [venv / "bin/python", "manage.py", "count_words"],
        cwd=blog.project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def celery(blog):
    """The pids of Celery's main processes."""
    return [pid for pid in processes.children(blog.server.master) if "celery" in processes.title(pid)]


def test_tasks_run_over_a_reload_and_nothing_is_left_behind(blog, venv):
    server = blog.server.start()
    status = lambda: http_client.get(blog.port, "/version/").status  # noqa: E731
    server.log.wait_for(r"celery@.* ready", timeout=60)
    answer = ask(blog, venv)
    assert answer["posts"] > 0 and answer["words"] > 100 and answer["version"] == "1.0"
    redis = int((blog.project / "data/redis.pid").read_text())
    assert "redis-server" in processes.title(redis)
    (before,) = celery(blog)

    with Invariant(server, status):
        mark = server.log.mark()
        blog.version("2.0")
        assert server.run("--reload", "uwsgi.pid").code == 0
        server.log.wait_for(r"celery@.* ready", mark, timeout=60)
        assert celery(blog) != [before] and not processes.alive(before)
        assert int((blog.project / "data/redis.pid").read_text()) == redis and processes.alive(redis)
        assert ask(blog, venv)["version"] == "2.0"

        mark = server.log.mark()
        (victim,) = celery(blog)
        processes.kill(victim)
        server.log.wait_for(r"celery@.* ready", mark, timeout=60)
        assert ask(blog, venv)["version"] == "2.0"

    left = [redis, *processes.descendants(server.master)]
    assert server.stop(timeout=40) == 0
    for pid in left:
        until(lambda pid=pid: not processes.alive(pid), lambda pid=pid: f"the end of {pid} {processes.title(pid)}")
