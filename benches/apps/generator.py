"""A streamed answer of 100 chunks, length not known beforehand."""

CHUNK = b"y" * 100


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return (CHUNK for _ in range(100))
