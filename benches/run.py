#!/usr/bin/env python3
"""Benchmark of rustwsgi: server CPU time per request, side by side with uWSGI, in one run.

    python3 benches/run.py                          the default scenarios, uwsgi against rustwsgi
    python3 benches/run.py --list                   scenarios and servers
    python3 benches/run.py --scenario hello14-unix --strace --json result.json

Needs cargo, and a compiler with Python headers for uWSGI, which pip builds into `benches/.venv`. The method is in README.md.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
import venv
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

from harness import load, processes, report
from harness.scenarios import SCENARIOS, chosen
from harness.servers import Running, Server, rustwsgi_command, uwsgi_command

HERE = Path(__file__).resolve().parent
HOME = HERE / ".venv"
PACKAGES = ["uWSGI==2.0.31"]
WARM_UP = 1500


def main():
    options = arguments()
    if options.list:
        return print_list(known_servers(options))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return bench(options)
    except KeyboardInterrupt:
        return fail("interrupted; every server was stopped", 130)
    except (LookupError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return fail(str(error), 1)


def bench(options):
    """The whole run: prepare, then one scenario after the other."""
    scenarios = chosen(options.scenario)
    servers = chosen_servers(options)
    prepare(options)
    for server in servers:
        if problem := server.missing():
            hint = "; `cargo build --release` makes it, `RUSTWSGI` names another" if server.name == "rustwsgi" else ""
            return fail(problem + hint, 1)
    baseline = options.baseline or servers[0].name
    if baseline not in {server.name for server in servers}:
        return fail(f"`--baseline {baseline}` is not among the servers", 2)

    results = []
    for number, scenario in enumerate(scenarios, 1):
        progress(f"[{number}/{len(scenarios)}] {scenario.name}: starting")
        result = measure(scenario, servers, baseline, options, f"[{number}/{len(scenarios)}]")
        progress("")
        print(report.table(result, baseline), end="\n\n", flush=True)
        results.append(result)
    print(f"ratio: median of the {options.rounds} paired rounds, to {baseline}; ~ less than 10 % apart: no difference")
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": machine(), "baseline": baseline, "results": results}, indent=1) + "\n")
        print(f"numbers of every round: {options.json}")
    return 1 if any(server["errors"] for result in results for server in result["servers"].values()) else 0


def measure(scenario, servers, baseline, options, mark):
    """All servers run at once, each idle but for its turn: A B A B, so that both meet the same moods of the machine."""
    server_cpus, client_cpus = cpus(scenario)
    with ExitStack() as stack:
        started = {server.name: stack.enter_context(Running(server, scenario, HOME, server_cpus)) for server in servers}
        for name, running in started.items():
            running.wait_until_it_listens()
            load.run(scenario, running.endpoint, client_cpus, requests=1)
            progress(f"{mark} {scenario.name}: warming up {name}")
            load.run(scenario, running.endpoint, client_cpus, requests=warm_up(scenario))
            if running.process.poll() is not None:
                raise RuntimeError(f"`{name}` ended while warming up:\n{running.log_tail()}")

        rounds = {name: [] for name in started}
        for number in range(1, options.rounds + 1):
            for name, running in started.items():
                progress(f"{mark} {scenario.name}: round {number}/{options.rounds}, {name}")
                rounds[name].append(one_round(scenario, running, client_cpus, options.seconds * scenario.stretch))

        references = {name: rounds[name] for name in started if name in (baseline, "rustwsgi-old")}
        summaries = {}
        for name, running in started.items():
            each = summaries[name] = report.summary(rounds[name], references)
            each["libpython"] = processes.libpython(running.pid)
            each["pss_mib"], each["rss_mib"] = processes.memory(running.pid)
            each["processes"] = len(processes.tree(running.pid))
            each["command"], each["rounds"] = running.command, rounds[name]
            each["syscalls"], each["syscalls_by_name"] = None, {}
            if options.strace:
                progress(f"{mark} {scenario.name}: strace on {name}")
                each["syscalls"], each["syscalls_by_name"] = load.syscalls(scenario, running, client_cpus, bounded(scenario, 2000))
    return {
        "scenario": scenario.name, "title": scenario.title, "connections": scenario.connections,
        "pinned": bool(server_cpus), "servers": summaries,
    }


def one_round(scenario, running, client_cpus, seconds):
    """One load, with the server's usage read before and after it."""
    (busy, stolen), wall, before = processes.machine_busy(), time.monotonic(), processes.usage(running.pid)
    seen = load.run(scenario, running.endpoint, client_cpus, seconds=seconds)
    used, wall = processes.usage(running.pid) - before, time.monotonic() - wall
    busy, stolen = (now - then for now, then in zip(processes.machine_busy(), (busy, stolen)))
    answered = seen["answered"]
    client = seen["client_cpu_us"] * answered / 1e6
    others = max(0.0, busy + stolen - used.cpu - client) / (wall * (os.cpu_count() or 1))
    return seen | {
        "cpu_seconds": used.cpu, "cpu_us": used.cpu / answered * 1e6, "user_us": used.user / answered * 1e6,
        "sys_us": used.system / answered * 1e6, "switches": used.switches / answered, "others_share": others,
    }


def warm_up(scenario):
    return bounded(scenario, WARM_UP)


def bounded(scenario, requests):
    """Fewer requests where each takes long (the scenarios that are stretched most)."""
    return max(scenario.connections, int(requests / scenario.stretch))


def cpus(scenario):
    """(of the server, of the client): two different ones for a single core, no choice otherwise."""
    available = sorted(os.sched_getaffinity(0))
    if not scenario.pinned or len(available) < 2:
        return None, None
    return {available[-1]}, {available[0]}


def prepare(options):
    """The load generator and the peers, made once and kept in `benches/`."""
    progress("building the load generator")
    load.build()
    marker = HOME / "packages"
    wanted = "\n".join([platform.python_version(), *PACKAGES])
    if not marker.is_file() or marker.read_text() != wanted:
        progress(f"installing {', '.join(PACKAGES)} into {HOME} (a minute)")
        venv.create(HOME, with_pip=True, clear=True)
        done = subprocess.run(
            [HOME / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
            capture_output=True, text=True,
        )
        if done.returncode:
            raise RuntimeError(f"pip could not install {', '.join(PACKAGES)}:\n{done.stderr[-2000:]}")
        marker.write_text(wanted)
    progress("")


def known_servers(options):
    """Every server that can be named. `uwsgi2` is uWSGI once more: its ratio shows what the measuring itself is worth."""
    uwsgi = Path(os.environ.get("UWSGI") or HOME / "bin" / "uwsgi")
    rustwsgi = Path(os.environ.get("RUSTWSGI") or HERE.parent / "target" / "release" / "rustwsgi")
    known = [
        Server("uwsgi", uwsgi, uwsgi_command),
        Server("uwsgi2", uwsgi, uwsgi_command),
        Server("rustwsgi", rustwsgi.absolute(), rustwsgi_command),
    ]
    if options.old:
        known.append(Server("rustwsgi-old", Path(options.old).absolute(), rustwsgi_command))
    return {server.name: server for server in known}


def chosen_servers(options):
    known = known_servers(options)
    names = options.server.split(",") if options.server else ["uwsgi", "rustwsgi"]
    if options.old and "rustwsgi-old" not in names:
        names.append("rustwsgi-old")
    for name in names:
        if name not in known:
            raise LookupError(f"unknown server `{name}`; known: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def machine():
    """What a reader must know to compare two runs."""
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "command": sys.argv, "cpu": model,
        "cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "load": os.getloadavg(),
    }


def arguments():
    parser = argparse.ArgumentParser(description="server CPU time per request, side by side in one run")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every server [5]")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a round; some scenarios stretch it [1.0]")
    parser.add_argument("--scenario", nargs="+", default=[], metavar="NAME", help="`all`, or names from `--list`")
    parser.add_argument("--server", metavar="A,B", help="[uwsgi,rustwsgi]; the first is the baseline")
    parser.add_argument("--baseline", metavar="NAME", help="server the ratios are taken to [the first]")
    parser.add_argument("--old", metavar="PATH", help="a previous rustwsgi binary as one more server")
    parser.add_argument("--strace", action="store_true", help="count syscalls per request (after the rounds)")
    parser.add_argument("--json", metavar="FILE", help="write the numbers of every round")
    parser.add_argument("--list", action="store_true", help="print scenarios and servers, and end")
    options = parser.parse_args()
    if options.rounds < 1 or not 0 < options.seconds <= 600:
        parser.error("`--rounds` is at least 1, `--seconds` between 0 and 600")
    return options


def print_list(servers):
    for scenario in SCENARIOS:
        print(f"{scenario.name:20} {'*' if scenario.default else ' '} {scenario.title}")
    print("* default", end="\n\n")
    for server in servers.values():
        print(f"{server.name:20}   {server.program}")
    return 0


def progress(text):
    """One line that is overwritten on a terminal; a line each in a log."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def fail(message, code):
    progress("")
    print(f"run.py: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
