"""A real nginx, unprivileged in spirit: its own prefix, its own config, ended with the test."""

import os
import re
import signal
import subprocess
from pathlib import Path

from .http_client import connect
from .ports import free_port
from .server import Log
from .waiting import until

PARAMS = """
uwsgi_param QUERY_STRING $query_string;
uwsgi_param REQUEST_METHOD $request_method;
uwsgi_param CONTENT_TYPE $content_type;
uwsgi_param CONTENT_LENGTH $content_length;
uwsgi_param REQUEST_URI $request_uri;
uwsgi_param PATH_INFO $document_uri;
uwsgi_param DOCUMENT_ROOT $document_root;
uwsgi_param SERVER_PROTOCOL $server_protocol;
uwsgi_param REQUEST_SCHEME $scheme;
uwsgi_param HTTPS $https if_not_empty;
uwsgi_param REMOTE_ADDR $remote_addr;
uwsgi_param REMOTE_PORT $remote_port;
uwsgi_param SERVER_PORT $server_port;
uwsgi_param SERVER_NAME $server_name;
"""

CONFIG = """
daemon off;
worker_processes 1;
{user}
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 2048; }}
http {{
    access_log access.log;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    keepalive_requests 1000000;
    {http}
    upstream site {{
        {upstream}
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        client_max_body_size 75M;
        {server}
        location / {{
            {passes}
            {location}
        }}
    }}
}}
"""

# How a request is passed on, by protocol; HTTP keeps its connections.
PASSES = {
    "uwsgi": "include uwsgi_params; uwsgi_pass site;",
    "http": 'proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection "";',
}
KEPT = "keepalive 16;"


def upstream_address(address):
    """An address as nginx writes it."""
    return f"unix:{address}" if str(address).startswith("/") else str(address)


class Nginx:
    """One nginx in front of upstream servers; each is an address or a whole `server` directive's argument."""

    def __init__(self, directory, *upstreams, policy="", http="", server="", location="", speaks="uwsgi"):
        self.directory = Path(directory)
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process = None
        self.speaks = speaks
        self.blocks = {"http": http, "server": server, "location": location}
        (self.directory / "uwsgi_params").write_text(PARAMS)
        self.configure(*upstreams, policy=policy)
        self.errors = Log(self.directory / "error.log")
        self.access = Log(self.directory / "access.log")

    def configure(self, *upstreams, policy=""):
        """Writes the config; a running nginx takes it over with `reload`."""
        lines = [policy] if policy else []
        lines += [f"server {upstream_address(address)};" for address in upstreams]
        lines += [KEPT] if self.speaks == "http" else []
        config = CONFIG.format(
            user="user root;" if os.geteuid() == 0 else "",
            port=self.port,
            upstream="\n        ".join(lines),
            passes=PASSES[self.speaks],
            **self.blocks,
        )
        (self.directory / "nginx.conf").write_text(config)

    def start(self):
        """Starts it and waits until its port answers."""
        self.process = subprocess.Popen(
            ["nginx", "-p", self.directory, "-e", "error.log", "-c", "nginx.conf"],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=open(self.directory / "stderr.log", "wb"),
            start_new_session=True,
        )
        until(self.listening, lambda: f"nginx:\n{(self.directory / 'stderr.log').read_text()}")
        return self

    def listening(self):
        """Whether its port takes connections."""
        try:
            connect(self.port).close()
        except OSError:
            return False
        return True

    def reload(self):
        """Takes over a changed config and waits until the old workers are gone."""
        mark = self.errors.mark()
        self.process.send_signal(signal.SIGHUP)
        self.errors.wait_for(r"worker process \d+ exited with code 0", mark)

    def stop(self):
        """Ends it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def failures(self):
        """What it had to report about its upstreams."""
        return [line for line in self.errors.lines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]
