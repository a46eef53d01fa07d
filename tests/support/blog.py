"""The example blog: a copy of its own for every use, made from one that is migrated and seeded once."""

import importlib.util
import io
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

from . import http_client
from .nginx import Nginx
from .ports import free_port
from .server import ROOT, Log

SOURCE = ROOT / "examples/blog"
USER, PASSWORD = "demo", "quiet-deploy"
NOT_COPIED = shutil.ignore_patterns("data", "__pycache__", "*.pyc", ".venv", "*.sock", "*.pid", "*.log")


def prepare(target, venv):
    """Copies the blog to `target` and gives it a database, posts and static files."""
    shutil.copytree(SOURCE, target, ignore=NOT_COPIED, dirs_exist_ok=True)
    for command in (
        ["migrate", "-v0"],
        ["seed", "--username", USER, "--password", PASSWORD],
        ["collectstatic", "--noinput", "-v0"],
    ):
        subprocess.run(
            [venv / "bin/python", "manage.py", *command],
            cwd=target,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


class Blog:
    """A blog served by one instance, with the blog's own nginx in front of it."""

    def __init__(self, workshop, program, prepared, venv, **options):
        self.workshop = workshop
        self.server = workshop.server(program, processes=2, threads=2, pidfile="uwsgi.pid", listen=1024)
        self.project = self.server.directory / "blog"
        shutil.copytree(prepared, self.project)
        self.socket = self.server.directory / "site.sock"
        self.port = free_port()
        self.server.set(
            **{
                "chdir": self.project,
                "module": "blog.wsgi:application",
                "home": venv,
                "env": "DJANGO_SETTINGS_MODULE=blog.settings",
                "socket": self.socket,
                "http-socket": f"127.0.0.1:{self.port}",
            }
            | options
        )

    def nginx(self):
        """The blog's own nginx files, filled in and started."""
        nginx = BlogNginx(
            self.workshop.directory(),
            BLOG=f"unix:{self.socket}",
            STATIC_ROOT=self.project / "data/static",
            MEDIA_ROOT=self.project / "data/media",
        )
        self.workshop.made.append(nginx)
        return nginx.start()

    def edit(self, name, text):
        """Replaces a file of the project."""
        (self.project / name).write_text(text)

    def version(self, version):
        """Edits what `/version/` answers."""
        self.edit("blog/version.py", f"VERSION = {version!r}\n")


class BlogNginx(Nginx):
    """nginx with the files of examples/blog/nginx."""

    def __init__(self, directory, **values):
        self.directory = Path(directory)
        self.port = free_port()
        self.process = None
        render = renderer()
        render.render(self.directory, LISTEN=f"127.0.0.1:{self.port}", WORKERS=1, **values)
        user = "user root;" if os.geteuid() == 0 else ""
        config = self.directory / "nginx.conf"
        config.write_text(f"daemon off;\n{user}\n" + config.read_text())
        self.errors = Log(self.directory / "error.log")
        self.access = Log(self.directory / "access.log")


def renderer():
    """The blog's own render.py."""
    spec = importlib.util.spec_from_file_location("blog_render", SOURCE / "nginx/render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Browser:
    """Follows redirects, keeps cookies, fills in forms."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def open(self, path, data=None, headers=()):
        """A request; the page with its `status`, `body`, and `url` after redirects."""
        request = urllib.request.Request(self.base + path, data, dict(headers))
        try:
            response = self.opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Page(response.status, response.read(), response.url, response.headers)

    def submit(self, path, fields, files=()):
        """Opens a form, fills it in and sends it."""
        form = self.open(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)[1]
        fields = {"csrfmiddlewaretoken": token, **fields}
        referer = [("Referer", self.base + path)]
        if not files:
            return self.open(path, urllib.parse.urlencode(fields).encode(), referer)
        boundary, body = multipart(fields, files)
        return self.open(path, body, [*referer, ("Content-Type", f"multipart/form-data; boundary={boundary}")])

    def login(self, path="/admin/login/?next=/admin/"):
        """Signs in as the seeded user."""
        return self.submit(path, {"username": USER, "password": PASSWORD})


class Page:
    """What a request ended with."""

    def __init__(self, status, body, url, headers):
        self.status, self.body, self.url, self.headers = status, body, url, headers

    @property
    def text(self):
        """The page as text."""
        return self.body.decode()


def multipart(fields, files):
    """A form with files: its boundary and its bytes."""
    boundary = "---------------------------" + os.urandom(12).hex()
    out = io.BytesIO()
    for name, value in fields.items():
        out.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, filename, kind, data in files:
        out.write(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            f"Content-Type: {kind}\r\n\r\n".encode()
        )
        out.write(data + b"\r\n")
    out.write(f"--{boundary}--\r\n".encode())
    return boundary, out.getvalue()


def arrivals(port, path):
    """When each line of a streamed answer arrived."""
    lines = []
    with http_client.Connection(port, timeout=30) as connection:
        connection.send(http_client.request_bytes("GET", path, [("Connection", "close")]))
        while connection.more():
            seen = connection.rest.count(b"line ")
            lines += [time.monotonic()] * (seen - len(lines))
    return lines
