"""Missing or wrong things stop the start: one clear message, an exit code, and no socket touched.

`--stop` and `--reload` never signal a process that is not ours.
"""

import os
import re
import socket
import subprocess
import sys

import pytest

from support import processes, unprivileged, uwsgi_client
from support.invariant import Invariant
from support.ports import free_port

BOOT_ERROR = 1
APP_FAILED = 22


@pytest.fixture
def server(rustwsgi, workshop):
    """A server whose socket lies in a directory of its own, so that touching it would show."""
    server = workshop.server(rustwsgi, "hello.py")
    (server.directory / "run").mkdir()
    server.socket = server.directory / "run/site.sock"
    server.set(socket=server.socket)
    return server


def refusal(server, code, exit_code, *arguments):
    """Starts, expects the refusal `code` and nothing beside it; returns the text."""
    run = server.directory / "run"
    before = os.stat(run).st_mtime_ns

    outcome = server.run(*(arguments or ("--ini", "uwsgi.ini")))

    assert outcome.code == exit_code, outcome
    assert re.findall(r"error\[(RW\d{4})\]", outcome.text) == [code], outcome
    assert os.stat(run).st_mtime_ns == before, "the socket was touched"
    assert processes.inside(server.directory) == [], "a process was left behind"
    assert "panicked" not in outcome.text
    return outcome.text


# The configuration


def test_no_such_ini(server):
    text = refusal(server, "RW0111", BOOT_ERROR, "--ini", "absent.ini")

    assert "absent.ini" in text


def test_no_such_section_names_the_ones_there_are(server):
    text = refusal(server, "RW0110", BOOT_ERROR, "--ini", "uwsgi.ini:live")

    assert "live" in text and "[uwsgi]" in text


def test_an_ini_without_a_uwsgi_section(server):
    server.ini.write_text("[site]\nmodule = app\n")

    assert "site" in refusal(server, "RW0110", BOOT_ERROR)


def test_no_app(server):
    server.set(wsgi_file=None)

    assert "module" in refusal(server, "RW0121", BOOT_ERROR)


def test_nothing_to_serve_on(server):
    server.set(socket=None)

    assert "socket" in refusal(server, "RW0120", BOOT_ERROR)


def test_a_value_that_is_none_says_where_it_was_set(server):
    server.set(processes="-3")

    assert re.search(r"--> \S*uwsgi\.ini:\d+: processes = -3", refusal(server, "RW0107", BOOT_ERROR))


@pytest.mark.parametrize("address", ["127.0.0.1:http", "127.0.0.1:99999", "300.1.2.3.4:80"])
def test_an_address_that_cannot_be_understood(server, address):
    server.set(http_socket=address)

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == BOOT_ERROR
    assert len(re.findall(r"error\[RW03\d\d\]", outcome.text)) == 1, outcome
    assert not server.socket.exists()


def test_an_unknown_command_line_option_is_refused_with_a_suggestion(server):
    text = refusal(server, "RW0101", BOOT_ERROR, "--proceses", "3", "--ini", "uwsgi.ini")

    assert "proceses" in text and "processes" in text


def test_a_directory_that_is_not_there(server):
    server.set(chdir=server.directory / "absent")

    assert "absent" in refusal(server, "RW0310", BOOT_ERROR)


def test_an_unknown_user(server):
    server.set(uid="nobody-by-that-name")

    assert "nobody-by-that-name" in refusal(server, "RW0304", BOOT_ERROR)


def test_a_log_that_cannot_be_written(server):
    server.set(logto="absent/site.log")

    text = refusal(server, "RW0601", BOOT_ERROR)

    assert "absent/site.log" in text
    assert re.search(r"--> uwsgi.ini:\d+: logto = absent/site.log", text)


# The app


def test_a_module_that_is_not_found_says_where_was_looked(server):
    server.set(wsgi_file=None, module="blog.wsgi")

    text = refusal(server, "RW0201", APP_FAILED)

    assert "blog" in text
    assert str(server.directory) in text, "not the working directory"
    assert re.search(r"lib/python3\.\d+", text), "not sys.path"
    assert re.search(r"--> \S*uwsgi\.ini:\d+: module = blog\.wsgi", text)


def test_a_file_that_is_not_there(server):
    server.set(wsgi_file="absent.py")

    assert "absent.py" in refusal(server, "RW0201", APP_FAILED)


def test_a_missing_package_is_told_from_a_missing_module(server):
    server.install("import a_package_nobody_installed\n")

    text = refusal(server, "RW0202", APP_FAILED)

    assert "a_package_nobody_installed" in text


def test_a_callable_that_is_missing_says_what_there_is(server):
    server.install("def aplication(environ, start_response):\n    return []\n")

    text = refusal(server, "RW0210", APP_FAILED)

    assert "`application`" in text and "aplication" in text


def test_a_callable_that_is_not_one(server):
    server.install("application = 'text'\n\n")

    assert "str" in refusal(server, "RW0211", APP_FAILED)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def application(:\n    pass\n", "SyntaxError"),
        ("raise RuntimeError('no database, on purpose')\n", "no database, on purpose"),
        ("import sys\nsys.exit('leaving at import')\n", "leaving at import"),
    ],
    ids=["syntax-error", "exception", "sys-exit"],
)
def test_an_app_that_raises_at_import_shows_its_traceback_once(server, source, said):
    server.install(source)

    text = refusal(server, "RW0212", APP_FAILED)

    assert text.count(said) >= 1 and "app.py" in text
    assert text.count("Traceback (most recent call last)") <= 1


@pytest.mark.parametrize(
    "source", ["import os\nos._exit(7)\n", "import ctypes\nctypes.string_at(0)\n"], ids=["exit", "segfault"]
)
def test_an_app_that_kills_its_process_at_import(server, source):
    server.install(source)

    refusal(server, "RW0215", APP_FAILED)


# The virtual environment


def test_a_home_that_is_not_there(server):
    server.set(home=server.directory / "absent-venv")

    assert "absent-venv" in refusal(server, "RW0203", BOOT_ERROR)


def test_a_home_that_is_no_virtual_environment(server):
    (server.directory / "not-a-venv").mkdir()
    server.set(home="not-a-venv")

    assert "not-a-venv" in refusal(server, "RW0203", BOOT_ERROR)


def test_a_home_of_another_python_names_both_versions(server):
    home = server.directory / "old-venv"
    (home / "bin").mkdir(parents=True)
    (home / "lib/python3.9/site-packages").mkdir(parents=True)
    (home / "bin/python").symlink_to(sys.executable)
    (home / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.2\n")
    server.set(home=home)

    text = refusal(server, "RW0204", BOOT_ERROR)

    assert "3.9" in text
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in text


# The machine


def test_a_port_in_use_says_by_whom(server):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server.set(socket=f"127.0.0.1:{port}")

        text = refusal(server, "RW0301", BOOT_ERROR)

    assert str(port) in text
    assert str(os.getpid()) in text, "not by whom"


def test_an_http_port_in_use_leaves_the_other_socket_untouched(server):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        server.set(http_socket=f"127.0.0.1:{holder.getsockname()[1]}")

        refusal(server, "RW0301", BOOT_ERROR)

    assert not server.socket.exists()


def test_a_unix_socket_in_use_is_not_taken_over(server, rustwsgi, workshop):
    server.set(pidfile="uwsgi.pid")
    server.start()
    second = workshop.server(rustwsgi, "hello.py", socket=server.socket)
    (second.directory / "run").mkdir()

    with Invariant(server, lambda: uwsgi_client.request(str(server.socket)).status, rounds=20):
        inode = server.socket.stat().st_ino
        text = refusal(second, "RW0301", BOOT_ERROR)
        assert server.socket.stat().st_ino == inode

    assert str(server.master) in text, "not by whom"


def test_a_file_in_the_place_of_the_socket_is_never_deleted(server):
    server.socket.write_text("precious")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == BOOT_ERROR and len(re.findall(r"error\[RW", outcome.text)) == 1, outcome
    assert server.socket.read_text() == "precious"


@pytest.mark.parametrize("path", ["absent/site.sock", "x" * 120], ids=["no-directory", "too-long"])
def test_a_socket_path_that_cannot_be(server, path):
    server.set(socket=server.directory / path)

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == BOOT_ERROR and len(re.findall(r"error\[RW03\d\d\]", outcome.text)) == 1, outcome


def test_what_is_not_permitted_is_said(server):
    """As a user who may not write where the socket shall be."""
    program = server.directory / "rustwsgi"
    program.write_bytes(server.program.path.read_bytes())
    program.chmod(0o755)
    keep = server.directory / "keep"
    keep.mkdir()
    (server.directory / "run").chmod(0o555)

    done = subprocess.run(
        [*unprivileged.as_nobody(keep), program, "--ini", "uwsgi.ini"],
        cwd=server.directory,
        env=server.program.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    text = done.stdout + done.stderr
    assert done.returncode == BOOT_ERROR, text
    assert re.findall(r"error\[(RW\d{4})\]", text) in (["RW0305"], ["RW0302"]), text
    assert "site.sock" in text


# Two instances


def test_a_second_start_with_the_same_pidfile_is_refused(server):
    server.set(pidfile="uwsgi.pid")
    server.start()
    other = server.directory / "run/other.sock"

    with Invariant(server, lambda: uwsgi_client.request(str(server.socket)).status, rounds=20):
        server.set(socket=other)
        text = refusal_beside(server, "RW0501")

    assert str(server.master) in text and "uwsgi.pid" in text
    assert int((server.directory / "uwsgi.pid").read_text()) == server.master
    assert not other.exists()


def refusal_beside(server, *codes):
    """A refusal, by one of `codes`, while the first instance goes on."""
    outcome = server.run("--ini", "uwsgi.ini")
    assert outcome.code == BOOT_ERROR, outcome
    assert re.findall(r"error\[(RW\d{4})\]", outcome.text) in [[code] for code in codes], outcome
    return outcome.text


def test_a_second_start_of_everything_the_same_is_refused_and_harms_nothing(server):
    server.set(pidfile="uwsgi.pid", vacuum=True)
    server.start()

    with Invariant(server, lambda: uwsgi_client.request(str(server.socket)).status, rounds=20):
        for _ in range(20):
            refusal_beside(server, "RW0501", "RW0301")
        assert server.pidfile.exists() and server.socket.exists()


# --stop and --reload


@pytest.mark.parametrize("verb", ["--stop", "--reload"])
class TestPidfiles:
    """What a pid file may hold, and that nothing is signalled which is not ours."""

    def test_missing(self, server, verb):
        text = refusal(server, "RW0503", BOOT_ERROR, verb, "absent.pid")

        assert "absent.pid" in text

    def test_of_a_process_that_is_gone(self, server, verb):
        gone = subprocess.Popen(["true"])
        gone.wait()
        (server.directory / "stale.pid").write_text(f"{gone.pid}\n")

        text = refusal(server, "RW0502", BOOT_ERROR, verb, "stale.pid")

        assert str(gone.pid) in text

    def test_of_a_foreign_process_that_lives(self, server, verb):
        stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
        try:
            (server.directory / "foreign.pid").write_text(f"{stranger.pid}\n")

            text = refusal(server, "RW0502", BOOT_ERROR, verb, "foreign.pid")

            assert str(stranger.pid) in text
            assert stranger.poll() is None and processes.alive(stranger.pid)
        finally:
            stranger.kill()
            stranger.wait()

    @pytest.mark.parametrize(
        "content", [b"", b"abc", b"-1", b"0", b"1", b"9" * 30, b"12 34", b"\xff\xfe\0", b"1.5", b"-12"]
    )
    def test_with_garbage(self, server, verb, content):
        """Run in a pid namespace of its own: a bug here signals everything in reach."""
        (server.directory / "garbage.pid").write_bytes(content)
        command = [server.program.path, verb, "garbage.pid"]
        if os.geteuid() == 0:
            command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command]

        done = subprocess.run(
            command,
            cwd=server.directory,
            env=server.program.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            start_new_session=True,
        )

        assert done.returncode == BOOT_ERROR, done
        assert re.findall(r"error\[(RW\d{4})\]", done.stdout + done.stderr) in (["RW0503"], ["RW0502"]), done

    def test_that_is_a_directory_or_a_loop(self, server, verb):
        (server.directory / "directory.pid").mkdir()
        (server.directory / "loop.pid").symlink_to("loop.pid")

        for name in ("directory.pid", "loop.pid"):
            refusal(server, "RW0503", BOOT_ERROR, verb, name)

    def test_that_is_a_fifo_does_not_hang(self, server, verb):
        os.mkfifo(server.directory / "fifo.pid")

        refusal(server, "RW0503", BOOT_ERROR, verb, "fifo.pid")

    def test_without_a_file_named(self, server, verb):
        outcome = server.run(verb)

        assert outcome.code == BOOT_ERROR and "error[RW01" in outcome.text, outcome


def test_a_worker_named_in_a_pidfile_is_not_a_master(server):
    server.start()
    worker = server.workers()[0]
    (server.directory / "worker.pid").write_text(f"{worker}\n")

    with Invariant(server, lambda: uwsgi_client.request(str(server.socket)).status, rounds=20):
        outcome = server.run("--stop", "worker.pid")

        assert outcome.code == BOOT_ERROR, outcome
        assert server.workers() == [worker]


def test_a_port_that_became_free_is_taken(server):
    """The whole way round: refused while the port is taken, up as soon as it is free."""
    port = free_port()
    server.set(socket=f"127.0.0.1:{port}")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        refusal(server, "RW0301", BOOT_ERROR)

    server.start()

    assert uwsgi_client.request(f"127.0.0.1:{port}").status == 200
    assert server.stop() == 0


# Warnings with a code


def test_a_socket_that_nginx_cannot_open_is_told(server):
    server.set(umask="022")
    server.start()

    assert "warning[RW0303]: only " in server.log.text() and "chmod-socket" in server.log.text()


def test_a_socket_that_all_can_open_is_not(server):
    server.set(chmod_socket="666")
    server.start()

    assert "RW0303" not in server.log.text()


def test_http_on_a_uwsgi_socket_is_answered_and_told(server):
    server.start()

    answer = uwsgi_client.exchange(str(server.socket), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert b"400 Bad Request" in answer
    server.log.wait_for(r"warning\[RW0401\]: worker 1 refused a request")
    assert "http-socket" in server.log.text()


def test_a_head_over_the_buffer_size_is_told_with_one_that_would_do(server):
    server.set(buffer_size=4096)
    server.start()

    answer = uwsgi_client.exchange(str(server.socket), uwsgi_client.packet(uwsgi_client.variables(HTTP_COOKIE="c" * 6000)))

    assert b"431 " in answer
    server.log.wait_for(r"warning\[RW0402\]")
    server.log.wait_for(r"buffer-size = 8192")


def test_a_queue_over_the_limit_and_threads_off_are_found_by_the_check(server):
    server.set(listen=4_000_000, enable_threads="false")

    outcome = server.run("--check", "uwsgi.ini")

    assert outcome.code == 0
    assert "warning[RW0312]: `listen = 4000000`" in outcome.text and "warning[RW0214]" in outcome.text


# What is tried instead


def test_the_fallback_is_started_when_a_start_fails(server):
    server.set(fallback_config="other.ini", socket=server.directory / "absent/x.sock")
    (server.directory / "other.ini").write_text("[uwsgi]\nprint = the other one\nexit = 7\n")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == 7
    assert "error[RW0310]" in outcome.text and "starting with other.ini instead" in outcome.text
    assert "the other one" in outcome.stdout


def test_a_fallback_that_fails_too_is_the_end(server):
    server.set(fallback_config="absent.ini", processes="0")

    outcome = server.run("--ini", "uwsgi.ini")

    assert outcome.code == BOOT_ERROR
    assert "error[RW0107]" in outcome.text and "cannot read `absent.ini`" in outcome.text


def test_names_of_options_are_listed(server):
    names = server.run("--dump-options").stdout.split()

    assert {"ini", "socket", "processes", "workers"} < set(names) and "zerg" not in names
