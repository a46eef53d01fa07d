"""The faults, each done the same way to rustwsgi and to uWSGI: what happens to the clients is measured.

`test_faults.py` demands that rustwsgi keeps what it promises; `benches/reliability.py` prints both beside each other.
The numbers are those of `docs/reliability.md`.
"""

import os
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import http_client, processes, uwsgi_client
from .faulty import Asking, Census, Fault, Finding, share, told, unhurt, until_or_none
from .load import SLOW, Load
from .ports import free_port
from .unprivileged import open_to_all
from .waiting import until

FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
BROKEN = {
    "a syntax error": "def application(:\n",
    "an ImportError": "import not_there_at_all\n",
    "sys.exit()": "import sys\nsys.exit(3)\n",
    "a hang": "import time\ntime.sleep(3600)\n",
    "a segmentation fault": "import ctypes\nctypes.string_at(0)\n",
    "a leak up to its limit": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
    "kept = []\nwhile True:\n    kept.append(b'x' * (1 << 22))\n",
}

FAULTS = []


def fault(number, done, ours_only=False, ends=False, **options):
    """Puts a function into the list."""

    def enter(act):
        FAULTS.append(Fault(number, done, act, options, ours_only, ends))
        return act

    return enter


# Reload


def all_roads(site):
    """Both protocols, each over both kinds of sockets."""
    site.roads = {
        ("uwsgi", "unix"): site.socket,
        ("uwsgi", "tcp"): f"127.0.0.1:{free_port()}",
        ("http", "unix"): site.server.directory / "http.sock",
        ("http", "tcp"): f"127.0.0.1:{site.port}",
    }
    site.server.set(socket=None, **{"http-socket": None})
    for option, protocol in (("socket", "uwsgi"), ("http-socket", "http")):
        site.server.set(**{option: [address for road, address in site.roads.items() if road[0] == protocol]})


def storm(speaks, kind):
    """Reloads under busy clients of nginx, which speaks that protocol over that kind of socket."""

    def act(site, workshop, scale=1.0):
        nginx = workshop.nginx(site.roads[speaks, kind], speaks=speaks)
        reloads, pause = int(100 * scale), threading.Event()
        with Load(nginx.port, "/", 16 if scale <= 1 else 64) as load, Census(site.server.master) as census:
            for number in range(reloads):
                site.write(str(number))
                site.server.signal(signal.SIGHUP)
                pause.wait(0.1)
            report = load.finish()
        last = until_or_none(lambda: site.probe() == 200 and site.version() == str(reloads - 1), 10)
        limit = 2 * site.server.wanted + 2
        kept = unhurt(report) and census.most <= limit and bool(last) and report["answers"] > reloads
        code = "the last code serves" if last else "10 s later it does not serve the last code"
        if not last and site.probe() is None:
            code = "10 s later nothing answers any more"
        return Finding(kept, f"{told(report)}; at most {census.most} processes below the master; {code}")

    act.__name__ = f"reloads_{speaks}_{kind}"
    return act


for _speaks, _kind in [("uwsgi", "unix"), ("uwsgi", "tcp"), ("http", "unix"), ("http", "tcp")]:
    fault(
        "61",
        f"10 reloads a second under busy clients of nginx, {'HTTP kept alive' if _speaks == 'http' else 'uwsgi'} "
        f"over {'a UNIX socket' if _kind == 'unix' else 'TCP'}",
        prepare=all_roads,
    )(storm(_speaks, _kind))


@fault("63", "a reload while a request is stuck for 8 s")
def reload_with_a_stuck_request(site, workshop, scale=1.0):
    with http_client.connect(site.port, timeout=30) as stream:
        stream.sendall(http_client.request_bytes("GET", f"/sleep?{8 if scale >= 1 else 4}"))
        time.sleep(0.3)
        with Asking(site) as asking:
            site.write("2")
            start = time.monotonic()
            site.server.signal(signal.SIGHUP)
            until_or_none(lambda: "2" in asking.versions, 20)
            took = time.monotonic() - start
        whole = http_client.receive_all(stream).endswith(b"1\n")
    kept = not asking.failures and asking.slowest < SLOW and took < 3 and whole
    stuck = "the stuck one was answered" if whole else "the stuck one was lost"
    return Finding(kept, f"{asking.said()}; new code after {took:.1f} s; {stuck}")


def reload_onto(name, source):
    """A reload onto code that can't be imported."""

    def act(site, workshop, scale=1.0):
        with Asking(site) as asking:
            site.server.install(source)
            before = site.server.workers()
            site.server.signal(signal.SIGHUP)
            time.sleep(3.5 if scale >= 1 else 2)
        serves = site.probe() == 200
        same = serves and site.server.workers() == before
        said = f"{asking.said()}; " + ("the old code goes on serving" if serves else "nothing serves any more")
        return Finding(not asking.failures and asking.slowest < SLOW and same, said)

    act.__name__ = "reload_onto_" + name.split("(")[0].replace(" ", "_").replace(".", "_")
    return act


for _name, _source in BROKEN.items():
    fault("64", f"a reload onto code with {_name} at import", startup_timeout=1)(reload_onto(_name, _source))


@fault("65", "a reload onto an ini file that names a directory that is not there")
def reload_onto_a_bad_ini(site, workshop, scale=1.0):
    with Asking(site) as asking:
        site.server.set(chdir="/absent/directory")
        site.server.signal(signal.SIGHUP)
        time.sleep(2)
    serves = site.probe() == 200
    said = "the old configuration goes on serving" if serves else "nothing serves any more"
    return Finding(not asking.failures and serves, f"{asking.said()}; {said}")


@fault("47", "a reload onto code whose import takes 3 s")
def reload_with_a_slow_import(site, workshop, scale=1.0):
    with Asking(site) as asking:
        site.write("2")
        code = site.server.directory / "app.py"
        code.write_text(f"import time\ntime.sleep(3)\n{code.read_text()}")
        site.server.signal(signal.SIGHUP)
        new = until_or_none(lambda: "2" in asking.versions, 20)
    return Finding(bool(new) and not asking.failures and asking.slowest < SLOW, asking.said())


# Death


@fault("51", "`kill -9` of a worker every 200 ms under 8 busy clients of nginx", processes=4)
def workers_killed(site, workshop, scale=1.0):
    nginx = workshop.nginx(site.socket)
    kills, pause = 0, threading.Event()
    with Load(nginx.port, "/", 8) as load:
        end = time.monotonic() + 6 * scale
        while time.monotonic() < end:
            workers = site.server.workers()
            kills += bool(workers) and processes.kill(workers[kills % len(workers)])
            pause.wait(0.2)
        report = load.finish()
    whole = until_or_none(lambda: len(site.server.workers()) == 4, 15)
    # Each takes at most the request it had with it.
    kept = bool(whole) and len(report["failures"]) <= kills and report["slowest"] < 2 * SLOW
    return Finding(kept, f"{kills} kills: {told(report)}; " + ("all 4 are back" if whole else "not all came back"))


@fault("51z", "`kill -9` of the zygote under 8 busy clients of nginx", ours_only=True)
def zygote_killed(site, workshop, scale=1.0):
    nginx = workshop.nginx(site.socket)
    with Load(nginx.port, "/", 8) as load:
        for _ in range(3):
            old = site.server.zygotes()
            for pid in old:
                processes.kill(pid)
            until(lambda: site.server.zygotes() and not set(old) & set(site.server.zygotes()), "a new zygote")
            site.server.settle()
        report = load.finish()
    return Finding(unhurt(report), f"3 kills: {told(report)}")


@fault("53", "`kill -9` of the master", ends=True)
def master_killed(site, workshop, scale=1.0):
    pids = processes.descendants(site.server.master)
    site.server.process.kill()
    site.server.process.wait()
    time.sleep(1)
    left = [pid for pid in pids if processes.alive(pid)]
    said = f"{len(left)} of {len(pids)} processes are left after 1 s"
    answers = "; they go on answering" if left and site.probe() == 200 else ""
    try:
        site.server.start(timeout=5)
        again = site.probe() == 200
    except AssertionError:
        again = False
    return Finding(not left and again, f"{said}{answers}; the next start {'works' if again else 'fails'}")


# Stopped processes


@fault("52", "SIGSTOP of one idle worker of two for 3 s")
def worker_stopped(site, workshop, scale=1.0):
    victim = site.server.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        good, bad = site.ask_for(3)
    finally:
        processes.kill(victim, signal.SIGCONT)
    whole = until_or_none(lambda: len(site.server.workers()) == 2, 5)
    return Finding(not bad and bool(whole), f"{share(bad, good)} to answer within 1 s")


@fault("52z", "SIGSTOP of the zygote for 2 s, and a worker killed meanwhile", ours_only=True)
def zygote_stopped(site, workshop, scale=1.0):
    zygote, victim = site.server.zygotes()[0], site.server.workers()[0]
    os.kill(zygote, signal.SIGSTOP)
    try:
        processes.kill(victim)
        good, bad = site.ask_for(2)
    finally:
        processes.kill(zygote, signal.SIGCONT)
    whole = until_or_none(lambda: len(site.server.workers()) == 2, 5)
    return Finding(not bad and bool(whole), f"{share(bad, good)}; {'two workers again' if whole else 'one is missing'}")


@fault("54", "SIGSTOP of the master for 4 s, `harakiri = 2`, requests of 1 s meanwhile", harakiri=2)
def master_stopped(site, workshop, scale=1.0):
    before = site.server.workers()
    statuses = []
    site.server.signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            statuses.append(site.probe("/sleep?1", timeout=5))
    finally:
        site.server.signal(signal.SIGCONT)
    statuses.append(site.probe("/sleep?1", timeout=5))
    killed = len(set(before) - set(site.server.workers()))
    bad = sum(status != 200 for status in statuses)
    return Finding(not bad and not killed, f"{share(bad, len(statuses) - bad)}; {killed} workers killed afterwards")


# What the kernel refuses


def unprivileged(site):
    """Has the site run as a user that nobody else is: root may fork as much as it likes."""
    keep = site.server.directory / "python"
    keep.mkdir()
    user = 20_000 + os.getpid() % 30_000
    site.become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
    site.server.prefix = [*open_to_all(keep), *site.become]
    os.chown(site.server.directory, user, user)


@fault("55", "fork() fails for 3 s (`RLIMIT_NPROC`) while a worker of 4 is killed", processes=4, prepare=unprivileged)
def fork_fails(site, workshop, scale=1.0):
    def limit(number):
        for pid in [site.server.master, *processes.descendants(site.server.master)]:
            command = [*site.become, "prlimit", f"--pid={pid}", f"--nproc={number}:"]
            subprocess.run(command, check=processes.alive(pid))

    limit(1)
    processes.kill(site.server.workers()[0])
    good, bad = site.ask_for(3)
    fewer = len(site.server.workers()) < 4
    limit(resource.getrlimit(resource.RLIMIT_NPROC)[1])
    back = until_or_none(lambda: len(site.server.workers()) == 4, 10)
    alive = processes.alive(site.server.master)
    said = f"{share(bad, good)}; " + ("all 4 are back afterwards" if back else f"{len(site.server.workers())} of 4 are left afterwards")
    return Finding(fewer and not bad and bool(back) and alive, said if fewer else "fork() did not fail")


def few_files(site):
    """64 descriptors for each process."""
    site.server.prefix = ["prlimit", "--nofile=64:64", "--"]


def cpu(pids):
    """Seconds of CPU time that these have used."""
    ticks = 0
    for pid in pids:
        fields = processes.stat(pid)
        ticks += sum(map(int, fields[11:13])) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


@fault("56", "150 idle connections at 64 descriptors a process, for 3 s", prepare=few_files)
def connections_exhaust_files(site, workshop, scale=1.0):
    streams = [http_client.connect(site.port) for _ in range(90)]
    streams += [stream for _ in range(60) if (stream := idle(site.port))]
    pids = [site.server.master, *processes.descendants(site.server.master)]
    before = cpu(pids)
    time.sleep(3)
    burnt = (cpu(pids) - before) / 3
    for stream in streams:
        stream.close()
    back = until_or_none(lambda: site.probe() == 200, 10)
    same = pids == [site.server.master, *processes.descendants(site.server.master)]
    said = "serves again when they are closed" if back else "does not serve when they are closed"
    return Finding(bool(back) and same and burnt < 0.2, f"{burnt:.0%} of a CPU meanwhile; {said}")


def idle(port):
    """A connection that may not come about, because the queue is full; None then."""
    stream = socket.socket()
    stream.setblocking(False)
    try:
        stream.connect(("127.0.0.1", port))
    except BlockingIOError:
        return stream
    except OSError:
        stream.close()
        return None
    return stream


@fault("56a", "the app opens files until there are none left, for 3 s, in one worker of two", prepare=few_files, threads=2)
def app_exhausts_files(site, workshop, scale=1.0):
    assert site.probe("/exhaust?3", timeout=5) == 200
    pids = [site.server.master, *processes.descendants(site.server.master)]
    before, start = cpu(pids), time.monotonic()
    with Asking(site) as asking:
        time.sleep(2.5)
        burnt = (cpu(pids) - before) / (time.monotonic() - start)
        time.sleep(1.5)
    back = until_or_none(lambda: site.probe() == 200, 10)
    kept = not asking.failures and bool(back) and burnt < 0.5
    return Finding(kept, f"{asking.said()}; {burnt:.0%} of a CPU meanwhile")


@fault("57", "started with the highest `RLIMIT_NOFILE` the machine gives", ends=True)
def many_files(site, workshop, scale=1.0):
    few, most = 1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    measured = []
    for limit in (few, most):
        site.server.kill()
        site.server.prefix = ["prlimit", f"--nofile={limit}:{most}", "--"]
        start = time.monotonic()
        site.server.start()
        took = time.monotonic() - start
        measured.append((took, processes.rss(site.server.master) / (1 << 20)))
    (before, rss_before), (after, rss_after) = measured
    said = f"{few} to {most}: start {before:.1f} s, then {after:.1f} s; master {rss_before:.0f} MB, then {rss_after:.0f} MB"
    return Finding(after < before + 1 and rss_after < rss_before * 1.1 + 1, said)


# Time


def false_clock(site):
    """A wall clock that the test sets, by libfaketime; the monotonic one goes on."""
    site.clock = site.server.directory / "clock"
    site.clock.write_text("+0\n")
    site.server.prefix = [
        "env",
        f"LD_PRELOAD={FAKETIME}",
        f"FAKETIME_TIMESTAMP_FILE={site.clock}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]


@fault("93", "the wall clock jumps by an hour, back and by ten years, `harakiri = 5`, requests of 2 s", harakiri=5, prepare=false_clock)
def clock_jumps(site, workshop, scale=1.0):
    before, statuses = site.server.workers(), []
    for offset in (3600, -3600, 315_360_000, 0) if scale >= 1 else (3600, 0):
        asking = threading.Thread(target=lambda: statuses.append(site.probe("/sleep?2", timeout=20)))
        asking.start()
        time.sleep(0.7)
        site.clock.write_text(f"{offset:+d}\n")
        asking.join()
    killed = len(set(before) - set(site.server.workers()))
    bad = sum(status != 200 for status in statuses)
    return Finding(not bad and not killed, f"{share(bad, len(statuses) - bad)}; {killed} of {len(before)} workers killed")


# Requests that hang


def hang(path, what):
    """A request that hangs in one of the ways of the app."""

    def act(site, workshop, scale=1.0):
        mark, start = site.server.log.mark(), time.monotonic()
        status = site.probe(path, timeout=20)
        took = time.monotonic() - start
        back = until_or_none(lambda: site.probe() == 200, 10)
        line = any("app.py" in text for text in site.server.log.lines(mark))
        said = f"ended after {took:.1f} s; the log has {'the line of Python' if line else 'no line of Python'}"
        return Finding(status is None and took < 3.3 and bool(back) and line, said)

    act.__name__ = "harakiri_" + what
    return act


fault("37", "`while True: pass` in a request, `harakiri = 2`", harakiri=2, processes=1)(hang("/spin", "loop"))
fault("38", "C code that keeps the GIL for ever, `harakiri = 2`", harakiri=2, processes=1)(hang("/hold", "c"))


@fault("40", "one of 8 threads hangs, `harakiri = 2`; 7 requests of 1 s begin just before", harakiri=2, threads=8, processes=1)
def harakiri_of_one_thread(site, workshop, scale=1.0):
    statuses, taken = [], []

    def hangs():
        start = time.monotonic()
        taken.append((site.probe("/sleep?30", timeout=20), time.monotonic() - start))

    threads = [threading.Thread(target=hangs)]
    threads[0].start()
    time.sleep(1.5)
    ask = lambda: statuses.append(site.probe("/sleep?1", timeout=20))
    threads += [threading.Thread(target=ask) for _ in range(7)]
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    status, took = taken[0]
    stuck = status is None and took < 5
    bad = sum(status != 200 for status in statuses)
    back = until_or_none(lambda: site.probe() == 200, 10)
    end = f"was ended after {took:.1f} s" if took < 20 else "is not ended after 20 s"
    return Finding(stuck and not bad and bool(back), f"the 7: {share(bad, 7 - bad)}; the one that hangs {end}")


# Coming and going


@fault("69", "`max-requests = 20` in all of 4 workers under 8 busy clients of nginx", processes=4, max_requests=20)
def max_requests(site, workshop, scale=1.0):
    nginx = workshop.nginx(site.socket)
    with Load(nginx.port, "/", 8) as load:
        time.sleep(4 * scale)
        report = load.finish()
    return Finding(unhurt(report), told(report))


@fault("70", "a square wave of load, `cheaper = 1` of 4", processes=4, cheaper=1, cheaper_overload=1, cheaper_initial=1)
def cheaper_wave(site, workshop, scale=1.0):
    nginx = workshop.nginx(site.socket)
    reports = []
    for _ in range(max(1, int(2 * scale))):
        for clients, seconds in ((8, 3), (1, 3 if scale >= 1 else 1)):
            with Load(nginx.port, "/sleep?0.02", clients) as load:
                time.sleep(seconds)
                reports.append(load.finish())
    bad = sum(len(report["failures"]) for report in reports)
    good = sum(report["statuses"].get("200", 0) for report in reports)
    slowest = max(report["slowest"] for report in reports)
    return Finding(not bad and slowest < SLOW, f"{share(bad, good)}, slowest {slowest:.2f} s")


@fault("45", "each request leaks 1 MB, `reload-on-rss = 80`, 4 busy clients of nginx", processes=2, **{"reload-on-rss": 80})
def leaks(site, workshop, scale=1.0):
    nginx = workshop.nginx(site.socket)
    with Load(nginx.port, "/leak?1", 4) as load:
        time.sleep(4 * scale)
        report = load.finish()
        most = max(map(processes.rss, site.server.workers())) >> 20
    # What is left of the leak is below the limit, and not what the fault is about.
    site.reload()
    return Finding(unhurt(report) and most < 400, f"{told(report)}; the largest worker at the end: {most} MB")


@fault("73", "a second start on the same UNIX socket")
def started_twice(site, workshop, scale=1.0):
    other = workshop.server(site.server.program, "hello.py", socket=site.socket, processes=1)
    other.launch()
    time.sleep(2)
    refused = other.process.poll() not in (None, 0)
    other.kill()
    try:
        answer = uwsgi_client.request(str(site.socket), timeout=2)
        first = answer is not None and answer.status == 200
    except OSError:
        first = False
    said = f"the second {'is refused' if refused else 'starts'}; the first {'goes on answering' if first else 'is cut off'}"
    return Finding(refused and first, said)


@fault("76", "`--stop` with a pid file that names a process of somebody else")
def pid_of_somebody_else(site, workshop, scale=1.0):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        (site.server.directory / "other.pid").write_text(f"{sleeper.pid}\n")
        outcome = site.server.run("--stop", "other.pid")
        time.sleep(0.3)
        lives = sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()
    return Finding(lives and outcome.code != 0, "it is left alone" if lives else "it is killed")
