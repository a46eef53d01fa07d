"""Answers with the status that the path names; `/200/big` with a large body."""


def application(environ, start_response):
    status, _, size = environ["PATH_INFO"][1:].partition("/")
    body = b"" if status == "204" else b"x" * (5000 if size else 5)
    start_response(f"{status} Whatever", [("X-Served-By", "statuses")])
    return [body] if body else []
