"""Raises what the path says; writes for ever; reads its body in odd ways."""

import json
import os
import sys

STEPS = []


class Broken(Exception):
    """An exception of the site's own."""


def answer(start_response, value):
    """Answers with JSON."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


def endless(write_first=False):
    """Writes until it is told to stop, and notes how."""
    try:
        for number in range(2000):
            STEPS.append(number)
            yield b"x" * 65536
    except OSError as error:
        STEPS.append(f"OSError: {error}")
        raise
    except GeneratorExit:
        STEPS.append("GeneratorExit")
        raise


def application(environ, start_response):
    path, stream = environ["PATH_INFO"], environ["wsgi.input"]
    ok = lambda: start_response("200 OK", [("Content-Type", "text/plain")])  # noqa: E731
    if path == "/value-error":
        raise ValueError("early")
    if path == "/key-error":
        raise KeyError("late")
    if path == "/broken":
        raise Broken("of its own")
    if path == "/in-iterator":
        ok()
        return (1 / 0 for _ in [1])
    if path == "/after-first":
        ok()
        return (b"part" if number == 0 else 1 // 0 for number in range(2))
    if path == "/endless":
        STEPS.clear()
        ok()
        return endless()
    if path == "/writes":
        STEPS.clear()
        write = ok()
        try:
            for number in range(200):
                write(b"x" * 65536)
                STEPS.append(number)
        except OSError as error:
            STEPS.append(f"OSError: {error}")
        return []
    if path == "/steps":
        return answer(start_response, STEPS[-1:])
    if path == "/seek":
        first = stream.read(4)
        place = stream.tell()
        stream.seek(0)
        return answer(start_response, [first.decode(), place, len(stream.read()), type(stream).__name__])
    if path == "/length":
        return answer(start_response, len(stream.read()))
    if path == "/files":
        links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
        return answer(start_response, sum("(deleted)" in link for link in links))
    if path == "/bytes":
        ok()
        return b"bytes"
    if path == "/buffers":
        ok()
        return [bytearray(b"one "), memoryview(b"two")]
    if path == "/facts":
        return answer(start_response, {
            "argv": sys.argv, "executable": sys.executable, "debug": __debug__, "modules": sorted(sys.modules),
            "wrapper": "wsgi.file_wrapper" in environ, "pid": os.getpid(),
        })
    if path == "/slow-body":
        ok()
        return (b"" if number < 1 else b"late" for number in range(2))
    if path == "/headers":
        start_response("200 OK", [("Server", "secret"), ("X-Long", "y" * int(environ["QUERY_STRING"] or 1))])
        return [b"ok"]
    return answer(start_response, os.getpid())
