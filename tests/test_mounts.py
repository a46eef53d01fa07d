"""Several apps in one instance: `mount`, `manage-script-name`, and what happens when one is broken."""

import json

import pytest

from support import uwsgi_client
from support.invariant import Invariant


@pytest.fixture
def serve(rustwsgi, workshop):
    """Starts a server with the given options; returns a function that asks it for a path."""

    def serve(**options):
        server = workshop.server(rustwsgi)
        server.install("mounted.py", "mounted.py")
        address = server.directory / "site.sock"
        server.set(socket=address, **options)
        server.start()

        def ask(path, **more):
            answer = uwsgi_client.request(str(address), path, **more)
            if answer.status != 200:
                return answer.status
            found = json.loads(answer.body)
            return found["app"], found["SCRIPT_NAME"], found["PATH_INFO"]

        ask.server = server
        return ask

    return serve


MOUNTS = ["/blog=mounted:blog", "/blog/shop=mounted.py:shop", "/made=mounted:factory()"]


@pytest.mark.parametrize("lazy", [False, True], ids=["preloaded", "lazy"])
def test_the_longest_mountpoint_gets_the_request_and_the_paths_are_its_own(serve, lazy):
    ask = serve(module="mounted", mount=MOUNTS, manage_script_name=True, lazy_apps=lazy)

    assert ask("/") == ("application", "", "/")
    assert ask("/blog") == ("blog", "/blog", "")
    assert ask("/blog/") == ("blog", "/blog", "/")
    assert ask("/blog/a/b") == ("blog", "/blog", "/a/b")
    assert ask("/blogger") == ("application", "", "/blogger")
    assert ask("/blog/shop/cart") == ("shop", "/blog/shop", "/cart")
    assert ask("/blog/shopping") == ("blog", "/blog", "/shopping")
    assert ask("/made/x") == ("made", "/made", "/x")


def test_without_manage_script_name_the_front_end_chooses(serve):
    ask = serve(module="mounted", mount=MOUNTS)

    assert ask("/blog/a") == ("application", "", "/blog/a")
    assert ask("/a", SCRIPT_NAME="/blog") == ("blog", "/blog", "/a")
    assert ask("/a", SCRIPT_NAME="/unknown") == ("application", "/unknown", "/a")
    assert ask("/a", UWSGI_APPID="/made") == ("made", "", "/a")


def test_ignore_script_name_leaves_the_choice_to_nobody(serve):
    ask = serve(module="mounted", mount=MOUNTS, ignore_script_name=True)

    assert ask("/a", SCRIPT_NAME="/blog") == ("application", "/blog", "/a")


def test_the_first_mount_serves_the_rest_unless_there_is_no_default(serve):
    ask = serve(mount=MOUNTS, manage_script_name=True)
    assert ask("/elsewhere") == ("blog", "", "/elsewhere")

    strict = serve(mount=MOUNTS, manage_script_name=True, no_default_app=True)
    mark = strict.server.log.mark()
    with Invariant(strict.server, lambda: 200 if strict("/blog")[0] == "blog" else 0):
        assert strict("/elsewhere") == 500
        assert "no python application found" in strict.server.log.text(mark)


def test_the_log_counts_the_apps(serve):
    ask = serve(module="mounted", mount=MOUNTS, manage_script_name=True)
    mark = ask.server.log.mark()

    ask("/made/x")

    ask.server.log.wait_for(r"\|app: 3\|.*GET /made/x", mark)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("/b=mounted:absent", "has no `absent`"),
        ("/b=not_there:app", "no module named `not_there`"),
        ("/b=not_there.py", "no such file"),
        ("/b=broken:app", "broken.py:3"),
        ("b=mounted:blog", "takes `/path=module:callable`"),
    ],
)
def test_a_broken_mount_fails_the_start_and_names_the_line(rustwsgi, workshop, target, said):
    server = workshop.server(rustwsgi)
    server.install("mounted.py", "mounted.py")
    server.install("import os\n\nraise RuntimeError('on purpose')\n", "broken.py")
    server.set(socket=server.directory / "site.sock", module="mounted", mount=["/a=mounted:blog", target])
    line = server.ini.read_text().splitlines().index(f"mount = {target}") + 1

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == 22, outcome
    assert said in outcome.text and f"uwsgi.ini:{line}" in outcome.text


def test_without_need_app_the_other_apps_are_served(serve):
    ask = serve(module="mounted", mount=["/bad=not_there:app", "/blog=mounted:blog"], manage_script_name=True, need_app=False)

    assert ask("/blog/x") == ("blog", "/blog", "/x")
    assert ask("/bad/x") == ("application", "", "/bad/x")
    assert "no module named `not_there`" in ask.server.log.text()


def test_code_in_the_configuration_is_an_app(serve):
    ask = serve(eval="import mounted; application = mounted.make('evaluated')")

    assert ask("/x") == ("evaluated", "", "/x")
