"""The load generator: building it, running it, and strace beside it."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import processes

CRATE = Path(__file__).resolve().parent.parent / "loadgen"
PROGRAM = CRATE / "target" / "release" / "loadgen"


def build():
    """Builds it (a second when it is built already)."""
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", str(CRATE / "Cargo.toml")],
        check=True, env=environment,
    )


def run(scenario, endpoint, cpus, requests=None, seconds=None):
    """One load, bounded by `requests` or `seconds`. Returns what loadgen saw; raises when it saw no good answer."""
    bounds = ["--requests", str(requests)] if requests else ["--seconds", str(seconds)]
    command = [
        str(PROGRAM), *endpoint.loadgen_arguments, *bounds,
        "--protocol", scenario.protocol, "--vars", str(scenario.variables), "--uri", scenario.uri,
        "--body", str(scenario.body), "--connections", str(scenario.connections), "--expect", scenario.expect,
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=(seconds or 0) + 120, start_new_session=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, cpus)) if cpus else None,
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"loadgen failed: {done.stderr.strip()}")
    seen = json.loads(done.stdout)
    if not seen["answered"]:
        raise RuntimeError(f"not one good answer at `{endpoint.address}`: {seen['error_kinds']}")
    return seen


def syscalls(scenario, running, cpus, requests=2000):
    """(syscalls per request, the busiest ones per request) under strace; (None, {}) where it is missing or forbidden."""
    strace = shutil.which("strace")
    if not strace:
        return None, {}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        messages, table = Path(directory, "messages"), Path(directory, "table")
        pids = processes.tree(running.pid)
        targets = [argument for pid in pids for argument in ("-p", str(pid))]
        with open(messages, "wb") as sink:
            tracer = subprocess.Popen(
                [strace, "-c", "-f", "-U", "name,calls", "-o", str(table), *targets],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
            )
        try:
            if not _attached(tracer, messages, pids):
                return None, {}
            answered = run(scenario, running.endpoint, cpus, requests=requests)["answered"]
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(10)
            except subprocess.TimeoutExpired:
                tracer.kill()
                tracer.wait()
        calls = {name: int(count) for name, count in re.findall(r"^\s*(\w+)\s+(\d+)\s*$", table.read_text(), re.M)}
    calls.pop("total", None)
    busiest = {name: round(count / answered, 2) for name, count in calls.items() if count > answered / 20}
    return round(sum(calls.values()) / answered, 2), busiest


def _attached(tracer, messages, pids):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and tracer.poll() is None:
        seen = set(re.findall(r"Process (\d+) attached", messages.read_text(errors="replace")))
        if seen.issuperset(map(str, pids)):
            return True
        time.sleep(0.02)
    return False
