"""A small HTTP client over raw sockets: what was sent and received stays visible as bytes."""

import socket
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One HTTP response as it came over the wire."""

    status: int
    reason: str
    version: str
    headers: list = field(default_factory=list)
    body: bytes = b""
    raw: bytes = b""

    def header(self, name):
        """The value of the first header of that name, or None."""
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        """Every value of the header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self):
        """The body as text."""
        return self.body.decode()


def parse(raw):
    """Reads a response that ends with the connection; None if there are no bytes."""
    if not raw:
        return None
    head, found, body = raw.partition(b"\r\n\r\n")
    assert found, f"no end of headers in {raw[:200]!r}"
    version, status, reason, headers = read_head(head)
    answer = Answer(status, reason, version, headers, body, raw)
    if (answer.header("transfer-encoding") or "").lower() == "chunked":
        answer.body = unchunk(body)
    return answer


def read_head(head):
    """Splits status line and headers."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, reason = (first.split(" ", 2) + [""])[:3]
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name, value.strip()))
    return version, int(status), reason, headers


def unchunk(body):
    """Takes the chunk framing off a whole body."""
    parts = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return b"".join(parts)
        parts.append(body[:length])
        assert body[length : length + 2] == b"\r\n", "a chunk does not end where it says"
        body = body[length + 2 :]


def connect(address, timeout=10.0):
    """A connected socket; `address` is a path, `@abstract`, `host:port` or a port on loopback."""
    if isinstance(address, int):
        address = f"127.0.0.1:{address}"
    if address.startswith(("/", "@")):
        stream = socket.socket(socket.AF_UNIX)
        target = "\0" + address[1:] if address.startswith("@") else address
    else:
        host, _, port = address.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        stream = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        target = (host, int(port))
    stream.settimeout(timeout)
    try:
        stream.connect(target)
    except BaseException:
        stream.close()
        raise
    return stream


def receive_all(stream):
    """Everything until the peer closes; a reset ends it too."""
    parts = []
    try:
        while part := stream.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


class Connection:
    """One HTTP/1.1 connection on which several requests can be made."""

    def __init__(self, address, timeout=10.0):
        self.stream = connect(address, timeout)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection."""
        self.stream.close()

    def send(self, data):
        """Sends bytes as they are."""
        self.stream.sendall(data)

    def request(self, method, path, headers=(), body=b"", version="HTTP/1.1"):
        """Sends one request and reads its answer."""
        self.send(request_bytes(method, path, headers, body, version))
        return self.answer(method)

    def answer(self, method="GET"):
        """Reads one answer by its framing; None if the peer closed before a byte of it."""
        while b"\r\n\r\n" not in self.rest:
            if not self.more():
                assert not self.rest, f"the head ended early: {self.rest!r}"
                return None
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        version, status, reason, headers = read_head(head)
        answer = Answer(status, reason, version, headers, raw=head)
        if method == "HEAD" or status in (204, 304) or status < 200:
            return answer
        length = answer.header("content-length")
        if (answer.header("transfer-encoding") or "").lower() == "chunked":
            answer.body = self.chunks()
        elif length is not None:
            answer.body = self.exactly(int(length))
        else:
            while self.more():
                pass
            answer.body, self.rest = self.rest, b""
        return answer

    def chunks(self):
        """Reads a chunked body."""
        parts = []
        while True:
            length = int(self.line().split(b";")[0], 16)
            parts.append(self.exactly(length))
            assert self.line() == b"", "a chunk does not end where it says"
            if length == 0:
                return b"".join(parts)

    def line(self):
        """Reads up to the next CRLF."""
        while b"\r\n" not in self.rest:
            assert self.more(), "the answer ended in the middle of a line"
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line

    def exactly(self, length):
        """Reads `length` bytes."""
        while len(self.rest) < length:
            assert self.more(), f"the answer ended after {len(self.rest)} of {length} bytes"
        data, self.rest = self.rest[:length], self.rest[length:]
        return data

    def more(self):
        """Reads what is there; False at the end."""
        data = self.stream.recv(1 << 18)
        self.rest += data
        return bool(data)

    def closed_by_peer(self):
        """Whether the peer has ended the connection, waiting for it."""
        return self.stream.recv(1) == b""


def request_bytes(method, path, headers=(), body=b"", version="HTTP/1.1"):
    """The bytes of one request, with Host and Content-Length where they are not given."""
    lines = [f"{method} {path} {version}"]
    given = {name.lower() for name, _ in headers}
    if "host" not in given:
        lines.append("Host: localhost")
    if body and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(address, path="/", headers=(), timeout=10.0):
    """One GET on a connection of its own."""
    with Connection(address, timeout) as connection:
        return connection.request("GET", path, [*headers, ("Connection", "close")])


def post(address, path, body, headers=(), timeout=30.0):
    """One POST on a connection of its own."""
    with Connection(address, timeout) as connection:
        return connection.request("POST", path, [*headers, ("Connection", "close")], body)
