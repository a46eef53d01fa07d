"""Small sites whose code the tests edit: one app module that says its version and who answers."""

from . import http_client
from .ports import free_port

SOURCE = """
import os

VERSION = {version!r}


def application(environ, start_response):
    body = f"{{VERSION}}\\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Answered-By", str(os.getpid()))])
    return [body]
"""
BROKEN = "VERSION = 'broken'\n\ndef application(environ, start_response:\n"


class Site:
    """A server in front of which nothing stands, with its HTTP port, its unix socket and its code."""

    def __init__(self, workshop, program, **options):
        self.server = workshop.server(program, wsgi_file="app.py", pidfile="uwsgi.pid", processes=2)
        self.port = free_port()
        self.socket = self.server.directory / "site.sock"
        self.write("1")
        self.server.set(**{"http_socket": f"127.0.0.1:{self.port}", "socket": self.socket} | options)

    def write(self, version):
        """Edits the code so that it says another version."""
        self.server.install(SOURCE.format(version=version))

    def break_code(self):
        """Edits the code so that it can't be imported."""
        self.server.install(BROKEN)

    def version(self):
        """What the site says now."""
        return http_client.get(self.port).text.strip()

    def status(self):
        """The status of one request."""
        return http_client.get(self.port).status

    def reload(self, *more, timeout=60):
        """The command of every day."""
        return self.server.run("--reload", "uwsgi.pid", *more, timeout=timeout)

    def stop(self, *more):
        """The other one."""
        return self.server.run("--stop", "uwsgi.pid", *more)
