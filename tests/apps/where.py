"""Says where it is and how it was loaded."""

import json
import os
import sys


def described(name):
    """An app that says under which name it was called."""

    def app(environ, start_response):
        body = json.dumps(
            {
                "callable": name,
                "module": __name__,
                "file": __file__,
                "cwd": os.getcwd(),
                "path": sys.path,
                "variables": {key: value for key, value in os.environ.items() if key.startswith("SITE_")},
                "main_module": "__main__" in sys.modules,
            }
        ).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    return app


def factory():
    """Makes an app, for `module:factory()`."""
    return described("factory()")


class Site:
    """An app written as a class: calling it makes the iterable."""

    def __init__(self, environ, start_response):
        self.app = described("Site")
        self.arguments = (environ, start_response)

    def __iter__(self):
        return iter(self.app(*self.arguments))


application = described("application")
other = described("other")
