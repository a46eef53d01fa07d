"""The smallest app that says who answered."""

import os


def application(environ, start_response):
    body = b"hello\n"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("X-Answered-By", str(os.getpid()))]
    start_response("200 OK", headers)
    return [body]
