"""Puts a parent above pytest that adopts and reaps every orphan and leaves no process behind.

Servers daemonize, masters are killed, workers are orphaned: all of these end up as children of the
warden (a subreaper), which reaps them as init would and kills what is left when pytest has ended,
however it ended.
"""

import ctypes
import os
import signal

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def stand_guard():
    """Forks: the caller goes on in the child, the parent stays as the warden until the child ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    tests = os.fork()
    if tests == 0:
        prctl(PR_SET_CHILD_SUBREAPER, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(tests, signal.SIGTERM))
    os._exit(watch(tests))


def watch(tests):
    """Reaps until `tests` has ended, then kills and reaps every process it left; returns its exit code."""
    code = None
    while code is None:
        pid, status = os.wait()
        if pid == tests:
            code = os.waitstatus_to_exitcode(status)
    while True:
        for pid in children_of(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return code if code >= 0 else 128 - code


def children_of(pid):
    """The pids whose parent is `pid`."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def prctl(operation, argument):
    """prctl(2), which the standard library lacks."""
    if ctypes.CDLL(None, use_errno=True).prctl(operation, argument, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
