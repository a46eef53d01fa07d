"""The files of docs/deploy and the commands of docs/migrating.md are what they say."""

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess

import pytest
import yaml

from support import http_client, processes
from support.ports import free_port
from support.server import ROOT, Log
from support.waiting import until

DEPLOY = ROOT / "docs/deploy"
PAGES = sorted((ROOT / "docs").rglob("*.md"))
INIS = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(DEPLOY.glob("*.ini"))} | {
    f"{page.relative_to(ROOT)}#{number}": block
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```ini\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
    if block.startswith("[uwsgi]")
}
APP = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"


def fill(root, venv):
    """Everything that the files name, below a directory."""
    for path in ("srv/blog/blog", "run/blog", "run/rustwsgi", "etc/rustwsgi/vassals", "etc/uwsgi/apps-enabled"):
        (root / path).mkdir(parents=True)
    (root / "srv/blog/venv").symlink_to(venv)
    (root / "srv/blog/blog/__init__.py").touch()
    (root / "srv/blog/blog/wsgi.py").write_text(APP)
    shutil.copy(DEPLOY / "container.ini", root / "srv/blog")


def moved(text, root):
    """The same file with its absolute paths below a directory."""
    return re.sub(r"(?<![\w.])/(srv|run|etc/rustwsgi|etc/uwsgi)(?=/)", rf"{root}/\1", text)


@pytest.fixture
def site(workshop, rustwsgi, venv):
    server = workshop.server(rustwsgi)
    fill(server.directory, venv)
    yield server
    processes.sweep(server.directory)


@pytest.mark.parametrize("name", INIS)
def test_every_ini_passes_the_check(site, name):
    place = site.directory / "srv/blog/checked.ini"
    place.write_text(moved(INIS[name], site.directory))
    outcome = site.program.run("--check", place.name, cwd=place.parent)

    assert outcome.code == 0 and outcome.text.strip().endswith(" can be started: 0 warnings"), outcome


@pytest.mark.parametrize("units", [["blog.service", "blog.socket"], ["emperor.service"]], ids=" ".join)
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_understands_the_units(rustwsgi, workshop, units):
    directory = workshop.directory()
    paths = []
    for unit in units:
        text = (DEPLOY / unit).read_text().replace("/usr/local/bin/rustwsgi", str(rustwsgi.path))
        (directory / unit).write_text(text)
        paths.append(directory / unit)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if any(unit in line for unit in units)]

    assert done.returncode == 0 and ours == [], done.stderr


def unit_commands(name):
    """The commands of a unit, by key."""
    found = dict(re.findall(r"^(Exec\w+)=(.*)$", (DEPLOY / name).read_text(), re.MULTILINE))
    return {key: shlex.split(command) for key, command in found.items()}


def test_the_unit_starts_reloads_and_stops_the_site(site):
    root = site.directory
    ini = root / "srv/blog/blog.ini"
    ini.write_text(moved((DEPLOY / "blog.ini").read_text(), root))
    commands = unit_commands("blog.service")
    start, reload = ([moved(word, root) for word in commands[key][1:]] for key in ("ExecStart", "ExecReload"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket(socket.AF_UNIX) as listener:
        manager.bind(str(root / "notify"))
        manager.settimeout(20)
        # What blog.socket and blog.service have systemd do.
        listener.bind(str(root / "run/blog/blog.sock"))
        listener.listen(100)
        script = 'exec 3<&0; LISTEN_FDS=1 LISTEN_PID=$$ WATCHDOG_USEC=30000000 exec "$0" "$@" < /dev/null'
        environment = site.program.environment() | {"NOTIFY_SOCKET": str(root / "notify")}
        with open(site.log.path, "ab") as log:
            site.process = subprocess.Popen(
                ["/bin/sh", "-c", script, site.program.path, *start],
                cwd=root,
                env=environment,
                stdin=listener,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        said = ""
        while "READY=1" not in said:
            said = manager.recv(4096).decode()
        outcome = site.program.run(*reload, cwd=root)
        assert outcome.code == 0, outcome
        (root / "srv/blog/blog/wsgi.py").write_text("import nothing_of_this_name\n")
        outcome = site.program.run(*reload, cwd=root)
        assert outcome.code != 0 and "nothing_of_this_name" in outcome.text, outcome
        site.signal(signal.SIGTERM)
        assert site.wait() == 0
        assert (root / "run/blog/blog.sock").exists()


def check_nginx(directory, http):
    """Has nginx read a configuration."""
    shutil.copy("/etc/nginx/uwsgi_params", directory)
    (directory / "logs").mkdir(exist_ok=True)
    text = f"pid {directory}/pid; error_log {directory}/error.log; events {{}} http {{ access_log off; {http} }}"
    (directory / "nginx.conf").write_text(text)
    done = subprocess.run(
        ["nginx", "-t", "-p", directory, "-c", directory / "nginx.conf"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def nginx_blocks():
    found = {"nginx.conf": (DEPLOY / "nginx.conf").read_text()}
    for page in PAGES:
        for number, block in enumerate(re.findall(r"^```nginx\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)):
            found[f"{page.name}#{number}"] = block
    return found


@pytest.mark.parametrize("name", nginx_blocks())
def test_nginx_understands_the_snippets(workshop, name):
    # An unprivileged port: `-t` opens what is listened on.
    check_nginx(workshop.directory(), re.sub(r"listen 80;", f"listen 127.0.0.1:{free_port()};", nginx_blocks()[name]))


@pytest.mark.skipif(not shutil.which("logrotate"), reason="no logrotate")
def test_logrotate_loses_no_line(site):
    root = site.directory
    log = root / "var/log/blog/blog.log"
    log.parent.mkdir(parents=True)
    log.parent.chmod(0o755)
    port = free_port()
    (root / "srv/blog/blog.ini").write_text(
        f"[uwsgi]\nchdir = {root}/srv/blog\nmodule = blog.wsgi\nhttp-socket = 127.0.0.1:{port}\nlogto = {log}\n"
    )
    site.launch("--ini", "srv/blog/blog.ini")
    written = Log(log)
    written.wait_for("^ready in")
    assert http_client.get(port, "/before").status == 200
    rules = root / "rules"
    rules.write_text((DEPLOY / "logrotate").read_text().replace("/var/log/blog", str(log.parent)))
    rules.chmod(0o644)
    done = subprocess.run(["logrotate", "--force", "-s", root / "state", rules], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert http_client.get(port, "/after").status == 200
    until(lambda: "GET /after" in log.read_text(), "the line")

    assert "GET /before" in (log.parent / "blog.log.1").read_text()
    assert "GET /before" not in log.read_text() and "\0" not in log.read_text()


def test_the_manifest_fits_the_image(site):
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ini = (DEPLOY / "container.ini").read_text()
    (port,) = container["ports"]
    assert re.search(rf"^http-socket = :{port['containerPort']}$", ini, re.MULTILINE)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        kind = container[probe].get("tcpSocket") or container[probe]["httpGet"]
        assert kind["port"] == port["name"]
    mercy = int(re.search(r"^worker-reload-mercy = (\d+)$", ini, re.MULTILINE)[1])
    (_, pause) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > mercy + int(pause)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_the_images_command_serves_as_process_1_and_stops(site):
    text = (DEPLOY / "Dockerfile").read_text()
    words = json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])
    assert words[0] == "rustwsgi" and re.search(r"^STOPSIGNAL SIGTERM$", text, re.MULTILINE)
    listened = re.search(r":(\d+)", (DEPLOY / "container.ini").read_text())[1]
    assert f"EXPOSE {listened}\n" in text
    port = free_port()
    ini = site.directory / "srv/blog/container.ini"
    ini.write_text(ini.read_text().replace(":8000", f"127.0.0.1:{port}"))
    site.prefix = ["unshare", "-fp", "--mount-proc", "--kill-child", "env", "-C", ini.parent]
    site.launch(*words[1:])
    site.log.wait_for("^ready in")
    assert http_client.get(port).text == "served"
    (init,) = processes.children(site.process.pid)
    processes.kill(init, signal.SIGTERM)
    assert site.wait() == 0


def migrating_commands():
    text = (ROOT / "docs/migrating.md").read_text()
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line]


@pytest.mark.parametrize("words", migrating_commands(), ids=" ".join)
def test_the_commands_of_the_migration_work(site, words):
    root = site.directory / "srv/blog"
    site.ini.rename(root / "uwsgi.ini")
    text = moved((DEPLOY / "blog.ini").read_text(), site.directory)
    (root / "uwsgi.ini").write_text(text.replace("[uwsgi]", "[uwsgi]\nplugins = python3\nmaster = true\ndie-on-term = true"))
    assert words[0] == "rustwsgi"
    if "--http-socket" not in words:
        outcome = site.program.run(*words[1:], cwd=root)
        assert outcome.code == 0 and outcome.stdout.strip(), outcome
        if words[1] == "convert":
            (root / "made.ini").write_text(outcome.stdout)
            outcome = site.program.run("--check", "made.ini", cwd=root)
            assert outcome.code == 0, outcome
        return
    port = free_port()
    site.prefix = ["env", "-C", root]
    site.launch(*(word.replace(":8000", f":{port}") for word in words[1:]))
    site.log.wait_for("^ready in")
    assert http_client.get(port).text == "served"


def test_what_has_no_use_here_says_so(rustwsgi, tmp_path):
    outcome = rustwsgi.run("--zerg", "/run/zerg.sock", "--http-socket", ":0", "--wsgi-file", "x.py", cwd=tmp_path)

    assert outcome.code == 1 and "docs/deploy/README.md" in outcome.text, outcome
