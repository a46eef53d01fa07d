"""What the fault tests ask for: a version to edit, and every way in which a request can go wrong."""

import ctypes
import os
import select
import threading

VERSION = "1"
KEPT = []


def application(environ, start_response):
    """Does what the path says, with the number in the query; says its version."""
    act = ACTS.get(environ["PATH_INFO"])
    if act:
        act(float(environ["QUERY_STRING"] or 0))
    body = f"{VERSION}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Answered-By", str(os.getpid()))])
    return [body]


def sleep(seconds):
    """Not `time.sleep`, which libfaketime breaks."""
    select.select([], [], [], seconds)


def spin(_):
    while True:
        pass


def hold(_):
    """`PyDLL` keeps the GIL."""
    libc = ctypes.PyDLL(None)
    while True:
        libc.sleep(60)


def leak(megabytes):
    KEPT.append(b"x" * int(megabytes * (1 << 20)))


def exhaust(seconds):
    """Opens files until there is none left to open, and closes them after so many seconds."""
    files = []
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        threading.Timer(seconds, lambda: [os.close(file) for file in files]).start()


ACTS = {"/sleep": sleep, "/spin": spin, "/hold": hold, "/leak": leak, "/exhaust": exhaust}
