"""Decorators over the module uwsgi: what uWSGI's module of this name offers, as far as rustwsgi has it.

Without a server (in tests, in a shell) it can be imported: the decorators then leave functions as they are.
"""

import functools
import threading
import warnings

try:
    import uwsgi
except ImportError:
    uwsgi = None
    warnings.warn("uwsgidecorators: no server runs this process, the decorators do nothing", stacklevel=2)

# Functions that run in each worker after the fork, in order.
postfork_chain = []


def _run_postfork_chain():
    for function in postfork_chain:
        function()


if uwsgi is not None:
    _assigned_before = uwsgi.__dict__.get("post_fork_hook")
    if _assigned_before is not None:
        postfork_chain.append(_assigned_before)
    uwsgi.post_fork_hook = _run_postfork_chain


class postfork:
    """Runs the function in each worker after the fork: `@postfork`, or `@postfork(2)` in worker 2 alone."""

    def __init__(self, function):
        if callable(function):
            self.worker, self.function = 0, function
            functools.update_wrapper(self, function)
            postfork_chain.append(self)
        else:
            self.worker, self.function = function, None

    def __call__(self, *args, **kwargs):
        if self.function is not None:
            if self.worker == 0 or uwsgi is None or uwsgi.worker_id() == self.worker:
                return self.function(*args, **kwargs)
            return None
        self.function = args[0]
        postfork_chain.append(self)
        return self


def lock(function):
    """Calls the function with lock 0 held, which all processes share."""
    if uwsgi is None:
        return function

    @functools.wraps(function)
    def locked(*args, **kwargs):
        uwsgi.lock()
        try:
            return function(*args, **kwargs)
        finally:
            uwsgi.unlock()

    return locked


def thread(function):
    """Makes a call start the function in a daemon thread and return the function."""

    @functools.wraps(function)
    def started(*args, **kwargs):
        threading.Thread(target=function, args=args, kwargs=kwargs, daemon=True).start()
        return function

    return started


class harakiri:
    """Has the worker killed where a call takes longer than so many seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, function):
        if uwsgi is None:
            return function

        @functools.wraps(function)
        def limited(*args, **kwargs):
            uwsgi.set_user_harakiri(self.seconds)
            try:
                return function(*args, **kwargs)
            finally:
                uwsgi.set_user_harakiri(0)

        return limited


def setprocname(name):
    """Sets what `ps` shows for each worker, after the fork, and leaves the function as it is."""

    def named(function):
        if uwsgi is not None:
            postfork_chain.append(lambda: uwsgi.setprocname(name))
        return function

    return named


def _missing(name, part):
    """A decorator that needs a part of uWSGI that is not there."""

    def decorator(*args, **kwargs):
        if uwsgi is None:
            function = args[0] if len(args) == 1 and callable(args[0]) and not kwargs else None
            return function if function is not None else (lambda function: function)
        raise NotImplementedError(f"uwsgidecorators.{name} needs {part}, not built in rustwsgi yet")

    decorator.__name__ = decorator.__qualname__ = name
    decorator.__doc__ = f"Needs {part}, not built in rustwsgi yet: raises NotImplementedError under a server."
    return decorator


signal = _missing("signal", "the signal framework")
timer = _missing("timer", "the signal framework")
rbtimer = _missing("rbtimer", "the signal framework")
mstimer = _missing("mstimer", "the signal framework")
cron = _missing("cron", "the signal framework")
filemon = _missing("filemon", "the signal framework")
spool = _missing("spool", "the spooler")
spoolforever = _missing("spoolforever", "the spooler")
spoolraw = _missing("spoolraw", "the spooler")
mule = _missing("mule", "mules")
muleloop = _missing("muleloop", "mules")
mulemsg = _missing("mulemsg", "mules")
mulefunc = _missing("mulefunc", "mules")
farm = _missing("farm", "mules")
rpc = _missing("rpc", "remote procedure calls")
