"""Configurations that do not lie in a file: HTTP, a descriptor, a command, and what only uWSGI's binary has."""

import http.server
import json
import os
import subprocess
import threading

import pytest

ENOUGH = ["--http-socket", "127.0.0.1:0", "--module", "app"]
INI = b"[uwsgi]\nharakiri = 30\n[other]\nharakiri = 60\n"


class Answers(http.server.BaseHTTPRequestHandler):
    """A server of configurations, some of them not whole."""

    def do_GET(self):  # noqa: N802
        status, body, length = {
            "/uwsgi.ini": (200, INI, len(INI)),
            "/name.txt": (200, b"blog\n", 5),
            "/cut.ini": (200, INI, 1000),
            "/gone.ini": (404, b"", 0),
        }[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    """Where the server listens, without the scheme."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def shown(rustwsgi, directory, *arguments, **more):
    """The settings as `key: value`, or the refusal."""
    ended = subprocess.run([rustwsgi.path, *ENOUGH, *arguments, "--show-config", "--json-output"], cwd=directory,
                           capture_output=True, check=False, **more)
    if ended.returncode != 0:
        return ended.stderr.decode()
    return {setting["key"]: setting["value"] for setting in json.loads(ended.stdout)}


@pytest.mark.parametrize(("section", "seconds"), [("", "30"), (":other", "60")])
def test_an_ini_is_read_by_http(rustwsgi, workshop, web, section, seconds):
    assert shown(rustwsgi, workshop.directory(), "--ini", f"http://{web}/uwsgi.ini{section}")["harakiri"] == seconds


def test_a_value_is_read_by_http(rustwsgi, workshop, web):
    assert shown(rustwsgi, workshop.directory(), "--procname-prefix", f"@(http://{web}/name.txt)-")["procname-prefix"] == "blog-"


@pytest.mark.parametrize(
    ("name", "why"), [("gone.ini", "404"), ("cut.ini", f"{len(INI)} of 1000 bytes came")]
)
def test_what_is_not_there_or_not_whole_is_refused(rustwsgi, workshop, web, name, why):
    said = shown(rustwsgi, workshop.directory(), "--ini", f"http://{web}/{name}")

    assert "error[RW0111]" in said and why in said


def test_an_ini_is_read_from_a_descriptor(rustwsgi, workshop):
    read, write = os.pipe()
    os.write(write, INI)
    os.close(write)
    try:
        assert shown(rustwsgi, workshop.directory(), "--ini", f"fd://{read}", pass_fds=[read])["harakiri"] == "30"
    finally:
        os.close(read)


def test_a_command_runs_only_where_it_may(rustwsgi, workshop):
    command = ["--procname-prefix", "@(exec://echo made)"]

    assert shown(rustwsgi, workshop.directory(), "--allow-exec", *command)["procname-prefix"] == "made"
    assert "hint: allow-exec = true" in shown(rustwsgi, workshop.directory(), *command)


@pytest.mark.parametrize("scheme", ["data", "sym", "section", "call", "callint", "emperor"])
def test_what_only_uwsgi_has_is_refused(rustwsgi, workshop, scheme):
    for arguments in (["--ini", f"{scheme}://x"], ["--procname-prefix", f"@({scheme}://x)"]):
        said = shown(rustwsgi, workshop.directory(), *arguments)

        assert "error[RW0111]" in said and "put it into a file" in said
