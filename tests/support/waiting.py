"""Waiting for an event, with a deadline and a sentence that says what was waited for."""

import threading
import time

TICK = 0.01


def until(condition, what, timeout=10.0):
    """Calls `condition` until it returns something true and returns that; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what() if callable(what) else what}")
        pause.wait(TICK)


def stays(condition, what, seconds):
    """Fails as soon as `condition` is no longer true within `seconds`."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        assert condition(), what
        pause.wait(TICK)
