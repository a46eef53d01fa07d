"""Requests that hang in Python, in a sleep and in C with the GIL held; and ones that last a while."""

import ctypes
import os
import signal
import time


def application(environ, start_response):
    """Hangs where the path says; `/last` lasts as many seconds as the query says."""
    path = environ["PATH_INFO"]
    body = str(os.getpid())
    if path == "/sleep":
        hang_in_a_sleep()
    elif path == "/spin":
        hang_in_a_loop()
    elif path == "/c":
        hang_in_c()
    elif path == "/last":
        time.sleep(float(environ["QUERY_STRING"]))
    elif path == "/polite":
        body = hang_until_told()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]


def hang_in_a_sleep():
    time.sleep(60)


def hang_in_a_loop():
    while True:
        pass


def hang_in_c():
    """`PyDLL` keeps the GIL; pause() returns only for a signal that is handled."""
    libc = ctypes.PyDLL(None)
    while True:
        libc.sleep(60)


class Told(Exception):
    """The signal of `harakiri-graceful-signal` came."""


def told(number, frame):
    raise Told


if os.environ.get("POLITE"):
    signal.signal(signal.SIGTERM, told)


def hang_until_told():
    try:
        time.sleep(60)
    except Told:
        return "told"
