"""The uwsgi protocol as bytes, the way nginx sends it and in every way it should not be sent."""

import socket
import struct

from .http_client import connect, parse, receive_all


def pairs(variables):
    """The block of variables: length, key, length, value, again and again."""
    if hasattr(variables, "items"):
        variables = variables.items()
    block = b""
    for key, value in variables:
        key, value = encoded(key), encoded(value)
        block += struct.pack("<H", len(key)) + key + struct.pack("<H", len(value)) + value
    return block


def packet(variables, modifier1=0, modifier2=0, size=None):
    """A whole packet; `size` overrides what the header says about the length of the block."""
    block = variables if isinstance(variables, bytes) else pairs(variables)
    return struct.pack("<BHB", modifier1, len(block) if size is None else size, modifier2) + block


def encoded(value):
    """Native strings of WSGI are latin-1."""
    return value if isinstance(value, bytes) else str(value).encode("latin-1")


def variables(path="/", method="GET", query="", length="", **more):
    """The variables that nginx's stock `uwsgi_params` sends."""
    return {
        "QUERY_STRING": query,
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": length,
        "REQUEST_URI": path + ("?" + query if query else ""),
        "PATH_INFO": path,
        "DOCUMENT_ROOT": "/srv/www",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "51234",
        "SERVER_PORT": "80",
        "SERVER_NAME": "localhost",
        "HTTP_HOST": "localhost",
        **more,
    }


def exchange(address, data, half_close=False, timeout=10.0):
    """Sends bytes, returns every byte that came back until the peer closed."""
    with connect(address, timeout) as stream:
        try:
            stream.sendall(data)
            if half_close:
                stream.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return receive_all(stream)


def send(address, data, half_close=False, timeout=10.0):
    """Like `exchange`, with the answer parsed; None if nothing came back."""
    return parse(exchange(address, data, half_close, timeout))


def request(address, path="/", method="GET", query="", body=b"", timeout=10.0, **more):
    """One well-formed request."""
    length = str(len(body)) if body else ""
    data = packet(variables(path, method, query, length, **more)) + body
    return send(address, data, timeout=timeout)


def ping(address):
    """The answer to a ping packet."""
    return exchange(address, packet(b"", modifier1=100))
