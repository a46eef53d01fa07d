"""Burns Python and then waits, as an app does that asks a database: `/?cpu=MS&sleep=MS`."""

import time
from urllib.parse import parse_qs

BODY = b"done"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    burn = float(query.get("cpu", ["0"])[0]) / 1e3
    sleep = float(query.get("sleep", ["0"])[0]) / 1e3
    if burn:
        until = time.thread_time() + burn
        while time.thread_time() < until:
            sum(range(500))  # the clock is a syscall: ask it seldom
    if sleep:
        time.sleep(sleep)
    start_response("200 OK", HEADERS)
    return [BODY]
