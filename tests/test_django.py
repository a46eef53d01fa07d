"""The example blog: Django, behind the blog's own nginx files and on the HTTP socket alone."""

import hashlib
import io
import json
import os
import re

import pytest
from PIL import Image

from support import http_client, processes
from support.blog import Blog, Browser, arrivals
from support.invariant import Invariant
from support.load import Load
from support.waiting import until

RELOADS = 20


@pytest.fixture(scope="module")
def blog(shared_workshop, rustwsgi, prepared_blog, venv):
    blog = Blog(shared_workshop, rustwsgi, prepared_blog, venv)
    blog.server.start()
    return blog


@pytest.fixture(scope="module")
def nginx(blog):
    return blog.nginx()


@pytest.fixture(params=["nginx", "http-socket"])
def port(request, blog, nginx):
    """The site, once through nginx and the uwsgi protocol, once on the HTTP socket."""
    return nginx.port if request.param == "nginx" else blog.port


@pytest.fixture
def browser(port):
    return Browser(port)


# Pages


def test_the_front_page_shows_the_posts(browser):
    page = browser.open("/")

    assert page.status == 200
    titles = [post["title"] for post in json.loads(browser.open("/api/posts/").body)["posts"]]
    assert titles and titles[0] in page.text


def test_a_post_has_its_page_and_takes_a_comment(browser):
    post = json.loads(browser.open("/api/posts/").body)["posts"][0]
    words = f"a comment {os.urandom(4).hex()}, with ünïcode"

    page = browser.submit(post["url"], {"name": "Reader", "text": words})

    assert page.status == 200 and words in page.text
    comments = json.loads(browser.open(f"/api/posts/{post['slug']}/").body)["comments"]
    assert words in [comment["text"] for comment in comments]


def test_the_json_endpoint_speaks_json(browser):
    page = browser.open("/api/posts/")

    assert page.headers["Content-Type"] == "application/json"
    assert json.loads(page.body)["count"] > 0


def test_what_is_not_there_is_a_404(browser):
    assert browser.open("/posts/no-such-post/").status == 404
    assert browser.open("/nothing/here").status == 404


@pytest.mark.parametrize("path", ["/static/blog/blog.css", "/static/admin/css/base.css"])
def test_static_files_are_served(browser, path):
    page = browser.open(path)

    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/css") and len(page.body) > 100


def test_a_page_without_an_icon_gets_the_site_s(browser):
    icon = browser.open("/favicon.ico")

    assert icon.status == 200 and icon.headers["Content-Type"] == "image/svg+xml"


def test_head_has_no_body(port):
    with http_client.Connection(port) as connection:
        answer = connection.request("HEAD", "/")
        assert answer.status == 200
        assert connection.request("GET", "/version/").status == 200


def test_forms_without_a_token_are_refused(browser):
    assert browser.open("/login/", b"username=demo").status == 403


# The admin


def test_admin_login_works_with_the_right_password_only(browser):
    refused = browser.submit("/admin/login/?next=/admin/", {"username": "demo", "password": "wrong"})
    assert "/admin/login/" in refused.url

    welcome = browser.login()

    assert welcome.status == 200 and welcome.url.endswith("/admin/")
    assert "Site administration" in welcome.text or "/admin/logout/" in welcome.text


def test_the_admin_lists_what_the_site_shows(browser):
    browser.login()

    page = browser.open("/admin/posts/post/")

    assert page.status == 200
    assert json.loads(browser.open("/api/posts/").body)["posts"][0]["title"] in page.text


# Uploads and downloads


def noise(megabytes):
    """A PNG of that many megabytes that no compression makes smaller."""
    side = int((megabytes * 1_048_576 / 3) ** 0.5) + 8
    picture = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(picture, "PNG", compress_level=0)
    return picture.getvalue()


@pytest.mark.parametrize("megabytes", [1, 20])
def test_an_uploaded_image_is_stored_and_served_byte_for_byte(blog, browser, megabytes):
    picture = noise(megabytes)
    assert len(picture) >= megabytes << 20
    browser.login()
    title = f"Noise of {megabytes} MB {os.urandom(4).hex()}"

    page = browser.submit(
        "/posts/new/",
        {"title": title, "summary": "Noise.", "body": "Nothing but noise."},
        [("image", "noise.png", "image/png", picture)],
    )

    assert page.status == 200, page.text[:2000]
    post = next(post for post in json.loads(browser.open("/api/posts/").body)["posts"] if post["title"] == title)
    stored = blog.project / "data" / post["image"].lstrip("/")
    assert stored.read_bytes() == picture, "not stored as it was sent"
    assert browser.open(post["image"]).body == picture, "not served as it was stored"


def test_a_download_of_100_mb_arrives_whole(blog, port):
    digest, total = hashlib.sha256(), 0
    with http_client.Connection(port, timeout=60) as connection:
        connection.send(http_client.request_bytes("GET", "/download/100/", [("Connection", "close")]))
        while b"\r\n\r\n" not in connection.rest:
            assert connection.more()
        head, _, body = connection.rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head, re.IGNORECASE)[1])
        while total + len(body) < length:
            digest.update(body)
            total += len(body)
            body = connection.stream.recv(1 << 20)
            assert body, f"the download ended after {total} of {length} bytes"
        digest.update(body)
        total += len(body)

    assert total == length >= 100_000_000
    with open(blog.project / "data/downloads/sample-100.bin", "rb") as sample:
        assert digest.hexdigest() == hashlib.file_digest(sample, "sha256").hexdigest()


def test_downloads_do_not_make_the_workers_grow(blog, port):
    for _ in range(2):
        Browser(port).open("/download/20/")
    before = max(map(processes.rss, blog.server.workers()))

    for _ in range(6):
        Browser(port).open("/download/20/")

    assert max(map(processes.rss, blog.server.workers())) < before + (4 << 20)


def test_streaming_arrives_line_by_line(port):
    times = arrivals(port, "/stream/?lines=5&delay=0.3")

    assert len(times) == 5
    gaps = [after - before for before, after in zip(times, times[1:])]
    assert all(gap > 0.15 for gap in gaps), f"held back: {gaps}"


# Many at once


def test_200_parallel_clients_all_get_their_page(blog, nginx):
    with Invariant(blog.server, lambda: http_client.get(blog.port, "/version/").status):
        with Load(nginx.port, "/whoami/", clients=200) as load:
            wait_for_growth(nginx.access, 150_000)
        load.check(at_least=1000, slowest=10)
    assert nginx.failures() == []


def test_200_parallel_clients_on_the_http_socket(blog):
    with Invariant(blog.server, lambda: http_client.get(blog.port, "/version/").status):
        with Load(blog.port, "/api/posts/", clients=200) as load:
            wait_for_growth(blog.server.log, 150_000)
        load.check(at_least=500, slowest=10)


def wait_for_growth(log, size):
    """Waits until enough requests were logged."""
    end = log.mark() + size
    until(lambda: log.mark() >= end, "requests in the log", timeout=60)


def test_all_workers_and_threads_take_part(blog, nginx):
    with Load(nginx.port, "/whoami/", clients=32):
        seen = set()

        def everyone():
            who = json.loads(http_client.get(nginx.port, "/whoami/").body)
            seen.add((who["pid"], who["thread"]))
            return {pid for pid, _ in seen} == set(blog.server.workers())

        until(everyone, lambda: f"an answer of every worker, got {seen}", timeout=20)


# Editing


@pytest.fixture
def own(workshop, rustwsgi, prepared_blog, venv):
    """A blog that one test may edit."""
    blog = Blog(workshop, rustwsgi, prepared_blog, venv)
    blog.server.start()
    return blog


def version(blog):
    return http_client.get(blog.port, "/version/").text.strip()


def reload(blog):
    return blog.server.run("--reload", "uwsgi.pid")


def test_an_edited_view_is_served_after_a_reload(own):
    own.version("2.0")

    assert reload(own).code == 0

    assert {version(own) for _ in range(20)} == {"2.0"}


def test_a_view_with_a_syntax_error_leaves_the_old_code_serving(own):
    old = version(own)
    views = own.project / "apps/probes/views.py"
    text = views.read_text()

    with Invariant(own.server, lambda: http_client.get(own.port, "/version/").status):
        mark = own.server.log.mark()
        views.write_text(text + "\n\ndef broken(:\n")
        outcome = reload(own)
        assert outcome.code != 0, outcome
        assert "SyntaxError" in outcome.text and "views.py" in outcome.text, outcome
        own.server.log.wait_for("SyntaxError", mark)
        assert {version(own) for _ in range(20)} == {old}

    views.write_text(text)
    own.version("3.0")
    assert reload(own).code == 0
    assert version(own) == "3.0"


def test_reload_under_load_loses_and_delays_nothing(own):
    nginx = own.nginx()

    with (
        Invariant(own.server, lambda: http_client.get(own.port, "/version/").status),
        Load(nginx.port, "/version/", 32) as load,
    ):
        for number in range(RELOADS):
            # Two edits of the same length within a second are one and the same for Python's .pyc files.
            text = "v" * (number + 2)
            own.version(text)
            outcome = reload(own)
            assert outcome.code == 0, outcome
            assert version(own) == text
        report = load.check(at_least=1000)

    print(report["answers"], "answers, the slowest took", report["slowest"])
    assert nginx.failures() == []
