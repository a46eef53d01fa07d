"""An app that says which one it is, and what it sees of the paths."""

import json


def make(name):
    """A WSGI app of that name."""

    def app(environ, start_response):
        seen = {key: environ.get(key) for key in ("SCRIPT_NAME", "PATH_INFO")}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"app": name, **seen}).encode()]

    return app


application = make("application")
blog = make("blog")
shop = make("shop")


def factory():
    """Makes an app."""
    return make("made")
