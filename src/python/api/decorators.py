"""Offers the program's own uwsgidecorators behind everything that the site has installed."""

import sys
from importlib.machinery import ModuleSpec

NAME = "uwsgidecorators"


class Decorators:
    """Finds and loads the one module."""

    def __init__(self, source):
        self.source = source

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(NAME, self, origin=f"<rustwsgi {NAME}>") if name == NAME else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.source, f"<rustwsgi {NAME}>", "exec"), module.__dict__)

    def get_source(self, name):
        return self.source


def offer(source):
    sys.meta_path.append(Decorators(source))
