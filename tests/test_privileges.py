"""Who the processes are and what they may: users, groups, capabilities, jails, limits, and what the user can't read."""

import grp
import json
import os
import pwd
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import http_client, processes, unprivileged
from support.invariant import Invariant
from support.site import Site
from support.waiting import until

NOBODY = unprivileged.NOBODY
BOOT_ERROR = 1
RAISES_LIMITS = re.search(r"^CapEff:\s(\w+)$", Path("/proc/self/status").read_text(), re.M)
RAISES_LIMITS = bool(int(RAISES_LIMITS[1], 16) >> 24 & 1)
may_raise_limits = pytest.mark.skipif(not RAISES_LIMITS, reason="this root lacks CAP_SYS_RESOURCE")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

# Tells what the app sees of itself.
SOURCE = """
import json
import os
import resource
import threading


def application(environ, start_response):
    status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    body = json.dumps({
        "pid": os.getpid(),
        "cwd": os.getcwd(),
        "root": os.readlink("/proc/self/root"),
        "groups": sorted(os.getgroups()),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
        "as": resource.getrlimit(resource.RLIMIT_AS),
        "nproc": resource.getrlimit(resource.RLIMIT_NPROC),
        "oom": int(open("/proc/self/oom_score_adj").read()),
        "env": dict(os.environ),
        "status": status,
    }).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def site(rustwsgi, workshop):
    """A site whose directory, program and Python every user can reach; `become` has it run as nobody."""
    site = Site(workshop, rustwsgi, processes=1)
    server = site.server
    server.install(SOURCE)
    program = server.directory / "rustwsgi"
    program.write_bytes(rustwsgi.path.read_bytes())
    program.chmod(0o755)
    server.program = type(rustwsgi)(rustwsgi.kind, program)
    keep = server.directory / "keep"
    keep.mkdir()
    server.prefix = unprivileged.open_to_all(keep)
    os.chown(server.directory, NOBODY, NOBODY)
    return site


def become(site, **options):
    site.server.set(**{"uid": "nobody", "gid": "nogroup"} | options)
    return site


def seen(site):
    """What the app says of itself."""
    return json.loads(http_client.get(site.port).body)


def refused(site, code):
    """Starts it in vain; the log."""
    server = site.server
    server.launch()
    assert server.wait(30) == BOOT_ERROR, server.log.text()
    text = server.log.text()
    assert f"error[{code}]" in text, text
    assert not site.socket.exists(), "a socket was left behind"
    return text


def no_capabilities(status):
    return {status[name].strip() for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}


# Who they are


def test_nothing_of_root_is_left(site):
    become(site).server.start()

    status = seen(site)["status"]
    assert status["Uid"].split() == [str(NOBODY)] * 4
    assert status["Gid"].split() == [str(NOBODY)] * 4
    assert no_capabilities(status)
    for pid in [site.server.master, *site.server.zygotes()]:
        assert processes.owner(pid) == (NOBODY, NOBODY)
        text = Path(f"/proc/{pid}/status").read_text()
        assert re.search(r"CapEff:\s0{16}\n", text), text


def test_a_user_without_a_group_takes_its_own(site):
    become(site, gid=None).server.start()

    status = seen(site)["status"]
    own = pwd.getpwnam("nobody").pw_gid
    assert status["Gid"].split() == [str(own)] * 4
    assert 0 not in seen(site)["groups"]


def test_supplementary_groups(site):
    become(site, uid="www-data", gid="www-data", add_gid=["daemon", "4242"]).server.start()

    expected = {*os.getgrouplist("www-data", pwd.getpwnam("www-data").pw_gid), grp.getgrnam("daemon").gr_gid, 4242}
    assert set(seen(site)["groups"]) == expected


def test_no_initgroups_leaves_only_what_is_added(site):
    become(site, uid="www-data", gid="www-data", no_initgroups=True, add_gid="4242").server.start()

    assert seen(site)["groups"] == [4242]


def test_capabilities_are_kept_by_name(site):
    become(site, cap="net_bind_service,CAP_CHOWN").server.start()

    status = seen(site)["status"]
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 10 | 1
    assert status["Uid"].split() == [str(NOBODY)] * 4


def test_capabilities_are_kept_over_a_reload(site):
    become(site, cap="net_bind_service").server.start()

    outcome = site.reload()

    assert outcome.code == 0, outcome
    assert int(seen(site)["status"]["CapEff"], 16) == 1 << 10


def test_no_new_privileges(site):
    become(site, no_new_privs=True).server.start()

    assert seen(site)["status"]["NoNewPrivs"].strip() == "1"
    assert "NoNewPrivs:\t1" in Path(f"/proc/{site.server.master}/status").read_text()


def test_privileges_can_be_gained_without(site):
    become(site).server.start()

    assert seen(site)["status"]["NoNewPrivs"].strip() == "0"


def test_the_master_stays_root_where_that_is_asked_for(site):
    become(site, master_as_root=True).server.start()

    assert processes.owner(site.server.master) == (0, 0)
    assert seen(site)["status"]["Uid"].split() == [str(NOBODY)] * 4
    outcome = site.reload()
    assert outcome.code == 0, outcome
    assert seen(site)["status"]["Uid"].split() == [str(NOBODY)] * 4


@pytest.mark.parametrize("option", ["drop_after_apps", "drop_after_init", None])
def test_when_privileges_are_dropped(site, option):
    site.server.install("import os, sys\nprint('imported by', os.geteuid(), file=sys.stderr)\n" + SOURCE)
    become(site, **({option: True} if option else {})).server.start()

    imported_by = 0 if option == "drop_after_apps" else NOBODY
    site.server.log.wait_for(rf"imported by {imported_by}$")
    assert seen(site)["status"]["Uid"].split() == [str(NOBODY)] * 4
    assert no_capabilities(seen(site)["status"])
    mark = site.server.log.mark()
    outcome = site.reload()
    assert outcome.code == 0, outcome
    site.server.log.wait_for(rf"imported by {imported_by}$", since=mark)
    assert seen(site)["status"]["Uid"].split() == [str(NOBODY)] * 4


def test_immediate_uid_owns_the_pid_file_and_the_sockets(site):
    site.server.set(immediate_uid="nobody", immediate_gid="nogroup")
    site.server.start()

    for path in (site.server.pidfile, site.socket):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
    assert processes.owner(site.server.master) == (NOBODY, NOBODY)
    assert no_capabilities(seen(site)["status"])
    assert seen(site)["groups"] == []


# Whose the sockets are


@pytest.mark.parametrize(
    "options, owner, mode",
    [
        ({}, (NOBODY, NOBODY), 0o755),
        ({"chmod_socket": "660"}, (NOBODY, NOBODY), 0o660),
        ({"chown_socket": "www-data:www-data", "chmod_socket": "600"}, ("www-data", "www-data"), 0o600),
        ({"chown_socket": "nobody:www-data", "chmod_socket": "664"}, (NOBODY, "www-data"), 0o664),
        ({"umask": "007"}, (NOBODY, NOBODY), 0o770),
    ],
)
def test_sockets_and_reloads(site, options, owner, mode):
    numbers = [
        one if isinstance(one, int) else (pwd.getpwnam(one).pw_uid, grp.getgrnam(one).gr_gid)[place]
        for place, one in enumerate(owner)
    ]
    become(site, **options).server.start()

    for reloaded in (False, True):
        stat = site.socket.stat()
        assert [stat.st_uid, stat.st_gid] == numbers
        assert stat.st_mode & 0o777 == mode
        if not reloaded:
            outcome = site.reload()
            assert outcome.code == 0, outcome


# What is found wrong before anything is opened


def test_an_unknown_user_and_the_likely_one(site):
    text = refused(become(site, uid="nobdy"), "RW0304")

    assert "--> uwsgi.ini:" in text and "hint: uid = nobody" in text


def test_an_unknown_group_and_the_likely_one(site):
    assert "hint: add-gid = www-data" in refused(become(site, add_gid="wwwdata"), "RW0304")


def test_an_unknown_capability(site):
    text = refused(become(site, cap="net_bind_servce"), "RW0103")

    assert "hint: cap = net_bind_service" in text


def test_namespaces_that_make_no_sense(site):
    assert "hint: unshare = mount" in refused(become(site, unshare="mounts"), "RW0103")


def test_a_namespace_for_pids_can_only_come_from_outside(site):
    assert "hint: start it as `unshare --pid --fork" in refused(become(site, unshare="pid"), "RW0103")


def test_a_closed_directory_is_named(site):
    closed = site.server.directory / "closed"
    (closed / "site").mkdir(parents=True)
    closed.chmod(0o700)
    os.chown(closed, 0, 0)

    text = refused(become(site, chdir=closed / "site", wsgi_file="app.py"), "RW0420")

    assert f"{closed} is mode 0700 of root:root" in text
    assert "running as nobody:nogroup" in text
    assert f"hint: chmod o+x {closed}" in text
    assert re.search(r"--> uwsgi.ini:\d+: chdir = ", text)


def test_an_application_that_the_user_may_not_read(site):
    app = site.server.directory / "app.py"
    os.chown(app, 0, 0)
    app.chmod(0o640)

    text = refused(become(site), "RW0420")

    assert f"the application's file `{app}` is closed to `nobody`" in text
    assert re.search(r"--> uwsgi.ini:\d+: wsgi-file = ", text)


def test_a_virtual_environment_that_the_user_may_not_read(site, venv):
    home = site.server.directory / "env"
    (home / "bin").mkdir(parents=True)
    (home / "pyvenv.cfg").write_text((venv / "pyvenv.cfg").read_text())
    (home / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}").mkdir(parents=True)
    home.chmod(0o700)
    os.chown(home, 0, 0)

    text = refused(become(site, home=home), "RW0420")

    assert f"the virtual environment `{home}` is closed to `nobody`" in text
    assert re.search(r"--> uwsgi.ini:\d+: home = ", text)


@pytest.mark.skipif(
    unprivileged.closed_parent(Path(sys.base_prefix).resolve()) is None, reason="every user can reach this Python"
)
def test_a_python_that_the_user_may_not_read(site):
    site.server.prefix = []

    text = refused(become(site), "RW0420")

    assert "Python's library" in text and re.search(r"--> uwsgi.ini:\d+: uid = ", text)


def test_what_vacuum_can_not_remove_is_said(site):
    directory = site.server.directory / "run"
    directory.mkdir()
    become(site, socket=directory / "site.sock", vacuum=True).server.start()

    text = site.server.log.text()
    assert "warning[RW0421]" in text and f"{directory} is mode 0755 of root:root" in text


def test_a_user_of_no_power_can_not_ask_for_a_jail(site):
    for option in ("chroot", "unshare", "cap"):
        site.server.set(chroot=None, unshare=None, cap=None)
        site.server.set(**{option: {"chroot": "/", "unshare": "uts", "cap": "chown"}[option]})
        site.server.prefix = unprivileged.as_nobody(site.server.directory / "keep")
        text = refused(site, "RW0305")
        assert f"`{option}` takes root" in text


def test_uid_is_ignored_without_root_and_said(site):
    site.server.prefix = unprivileged.as_nobody(site.server.directory / "keep")
    become(site, uid="www-data", gid="www-data").server.start()

    site.server.log.wait_for("ignored, because not started as root: `uid`, `gid`")
    assert seen(site)["status"]["Uid"].split() == [str(NOBODY)] * 4


# Limits


def test_limits(site):
    become(site, max_fd=4321, limit_as=4096, limit_nproc=2000, prio=5, oom_score_adj=300).server.start()

    told = seen(site)
    assert told["nofile"] == [4321, 4321]
    assert told["as"] == [4096 << 20, 4096 << 20]
    assert told["nproc"] == [2000, 2000]
    assert told["nice"] == 5
    assert told["oom"] == 300
    assert "RW0422" not in site.server.log.text()
    outcome = site.reload()
    assert outcome.code == 0, outcome
    assert seen(site)["nofile"] == [4321, 4321] and seen(site)["nice"] == 5
    assert "RW0422" not in site.server.log.text()


@may_raise_limits
def test_more_than_a_user_may_have_is_granted_by_root_and_kept(site):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = min(hard + 1000, int(Path("/proc/sys/fs/nr_open").read_text()))
    become(site, max_fd=more).server.start()

    for _ in range(2):
        assert seen(site)["nofile"] == [more, more]
        assert "RW0422" not in site.server.log.text()
        assert site.reload().code == 0


def test_a_priority_that_only_root_gives_outlives_a_reload(site):
    become(site, prio=-3).server.start()

    for _ in range(2):
        assert seen(site)["nice"] == -3
        assert "RW0422" not in site.server.log.text()
        assert site.reload().code == 0


def test_a_limit_that_is_refused_is_a_warning(site):
    site.server.prefix = unprivileged.as_nobody(site.server.directory / "keep")
    site.server.set(prio=-5)
    site.server.start()

    site.server.log.wait_for(r"warning\[RW0422\]: `prio` is not in force")
    assert site.status() == 200


def test_each_worker_has_its_processors(site):
    allowed = sorted(os.sched_getaffinity(0))
    become(site, processes=3, cpu_affinity=1).server.start()

    for worker, pid in re.findall(r"spawned uWSGI worker (\d+) \(pid: (\d+)", site.server.log.text()):
        assert os.sched_getaffinity(int(pid)) == {allowed[(int(worker) - 1) % len(allowed)]}
    site.server.log.wait_for(rf"mapping worker 1 to CPUs: {allowed[0]}$")


@may_raise_limits
def test_memory_is_locked_without_being_copied(site):
    become(site, never_swap=True).server.start()

    assert "RW0422" not in site.server.log.text()
    assert int(seen(site)["status"]["VmLck"].split()[0]) > 0
    assert site.reload().code == 0
    assert int(seen(site)["status"]["VmLck"].split()[0]) > 0


def test_pages_are_merged_where_the_kernel_can(site):
    become(site, ksm="").server.start()

    merged = Path(f"/proc/{seen(site)['pid']}/ksm_stat")
    if not merged.exists():
        site.server.log.wait_for(r"warning\[RW0422\]: `ksm` is not in force")
        return
    if "RW0422" not in site.server.log.text():
        assert "ksm_merge_any: yes" in merged.read_text()


def test_threads_have_the_stack_that_was_asked_for(site):
    become(site, threads=2, thread_stacksize=3000).server.start()

    def sizes():
        """Of mappings without a file; a thread's stack is one, its guard page apart."""
        maps = Path(f"/proc/{seen(site)['pid']}/maps").read_text()
        found = re.findall(r"^(\w+)-(\w+) rw-p 00000000 00:00 0 *$", maps, re.M)
        return [int(end, 16) - int(start, 16) for start, end in found]

    until(lambda: 3000 * 1024 in sizes(), lambda: f"a stack of 3000 kB: {sizes()}")


def test_chdir2_comes_after_the_app(site):
    elsewhere = site.server.directory / "elsewhere"
    elsewhere.mkdir()
    become(site, chdir2="elsewhere").server.start()

    assert seen(site)["cwd"] == str(elsewhere)


def test_variables_come_and_go_in_order(site):
    secrets = site.server.directory / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "TOKEN").write_text("geheim \n")
    (secrets / "COLOUR").write_text("")
    os.chown(secrets, 0, 0)
    become(site, env=["A=1", "COLOUR=red"], unenv=["A", "HOME"], envdir="secrets").server.start()

    told = seen(site)["env"]
    assert told["TOKEN"] == "geheim"
    assert not {"A", "HOME", "COLOUR"} & set(told)


def test_a_directory_of_variables_that_is_not_there(site):
    assert "cannot read `envdir = absent`" in refused(become(site, envdir="absent"), "RW0311")


def test_reaper_leaves_no_zombie(site):
    site.server.install(
        SOURCE.replace("    status =", "    os.posix_spawn('/bin/true', ['true'], {})\n    status =")
    )
    become(site, reaper=True).server.start()
    (worker,) = site.server.settle()

    for _ in range(20):
        assert site.status() == 200

    # The last request's child may have ended after it.
    until(lambda: site.status() == 200 and len(processes.children(worker)) <= 1, "the children to be reaped")


def test_the_most_open_files_cost_nothing(site):
    """RLIMIT_NOFILE as high as it gets (containers have 2^30): neither memory nor time may be sized by it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if RAISES_LIMITS:
        most = min(1 << 30, int(Path("/proc/sys/fs/nr_open").read_text()))
    figures = {}
    plain = site.server.prefix
    for files in (1024, most):
        site.server.prefix = [*plain, "prlimit", f"--nofile={files}:{files}"]
        best = float("inf")
        for _ in range(3):
            began = time.monotonic()
            site.server.start()
            best = min(best, time.monotonic() - began)
            assert seen(site)["nofile"] == [files, files]
            pids = [site.server.master, *site.server.zygotes(), *site.server.workers()]
            memory = sum(processes.rss(pid) for pid in pids)
            site.server.stop()
            site.server.log.path.unlink()
        figures[files] = best, memory
    (time_few, memory_few), (time_most, memory_most) = figures[1024], figures[most]
    assert memory_most <= memory_few * 1.05 + (1 << 20), figures
    assert time_most <= time_few * 1.5 + 0.2, figures


# Isolation


@pytest.fixture
def jail(site):
    """A directory with all that Python needs, and the site in it; mounts are private to the started process."""
    jail = site.server.directory / "jail"
    site_directory = jail / "site"
    site_directory.mkdir(parents=True)
    (site_directory / "app.py").write_text(SOURCE)
    os.chown(site_directory, NOBODY, NOBODY)
    binds = []
    base = Path(sys.base_prefix).resolve()
    for place in dict.fromkeys(["/usr", "/lib", "/lib64", "/proc", "/dev", str(base)]):
        if Path(place).exists() and not (place == str(base) and place.startswith("/usr")):
            (jail / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
            binds.append(f"mount --rbind {place} {jail}{place}")
    script = "set -e; " + "; ".join(binds) + '; exec "$@"'
    site.server.prefix = ["unshare", "--mount", "sh", "-c", script, "sh", *site.server.prefix]
    (site.server.directory / "app.py").unlink()
    return become(site, chroot="jail", chdir="/site", socket="site.sock")


def test_the_app_runs_in_a_jail(jail):
    jail.server.start()

    told = seen(jail)
    assert told["cwd"] == "/site" and told["status"]["Uid"].split() == [str(NOBODY)] * 4
    root = jail.server.directory / "jail"
    assert os.readlink(f"/proc/{told['pid']}/root") == str(root)
    assert no_capabilities(told["status"])
    assert (root / "site/site.sock").is_socket(), "the socket is named as seen from inside"
    assert processes.owner(jail.server.master) == (0, 0)
    jail.server.log.wait_for(r"the master stays root \(`chroot`\)")


def test_a_jail_and_its_ini_survive_a_reload(jail):
    jail.server.start()
    worker = seen(jail)["pid"]
    jail.server.set(env="COLOUR=green")

    outcome = jail.reload()

    assert outcome.code == 0, outcome
    told = seen(jail)
    assert told["pid"] != worker and told["env"]["COLOUR"] == "green"
    assert os.readlink(f"/proc/{told['pid']}/root") == str(jail.server.directory / "jail")
    assert told["status"]["Uid"].split() == [str(NOBODY)] * 4


def test_a_zygote_that_was_killed_comes_back_in_the_jail(jail):
    jail.server.start()

    with Invariant(jail.server, jail.status):
        (zygote,) = jail.server.settle() and jail.server.zygotes()
        processes.kill(zygote)
        until(lambda: jail.server.zygotes() not in ([], [zygote]), "another zygote")
        jail.server.log.wait_for("reload done")

    assert os.readlink(f"/proc/{jail.server.zygotes()[0]}/root") == str(jail.server.directory / "jail")
    assert seen(jail)["status"]["Uid"].split() == [str(NOBODY)] * 4


def test_a_jail_that_is_not_there(site):
    become(site, chroot="absent", chdir=None).server.launch()

    assert site.server.wait(30) == BOOT_ERROR
    assert re.search(r"error\[RW0(310|423)\]", site.server.log.text()), site.server.log.text()


def test_namespaces_of_its_own(site):
    become(site, unshare="uts,ipc").server.start()

    for pid in [site.server.master, seen(site)["pid"]]:
        for kind, own in (("uts", True), ("ipc", True), ("net", False)):
            assert (os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")) == own
    assert site.reload().code == 0
    assert os.readlink(f"/proc/{seen(site)['pid']}/ns/uts") == os.readlink(f"/proc/{site.server.master}/ns/uts")


def test_an_application_without_a_network_is_served_all_the_same(site):
    become(site, unshare="net").server.start()

    told = seen(site)
    assert os.readlink(f"/proc/{told['pid']}/ns/net") != os.readlink("/proc/self/ns/net")
    outcome = site.reload()
    assert outcome.code == 0, outcome
    assert site.status() == 200
    outcome = site.stop()
    assert outcome.code == 0, outcome


@pytest.fixture
def cgroup():
    """The path of a control group that does not exist yet."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(",") and os.access(place, os.W_OK):
            group = Path(place) / f"rustwsgi-test-{os.getpid()}"
            try:
                group.mkdir()
                group.rmdir()
            except OSError:
                continue
            yield group
            if group.exists():
                until(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
                group.rmdir()
            return
    pytest.skip("no control group can be made here")


def test_a_control_group(site, cgroup):
    become(site, cgroup=cgroup, cgroup_opt=["cgroup.max.descendants=3", "absent.file=1"]).server.start()

    inside = {int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()}
    assert {site.server.master, *site.server.zygotes(), *site.server.workers()} <= inside
    assert (cgroup / "cgroup.max.descendants").read_text().strip() == "3"
    assert cgroup.stat().st_mode & 0o777 == 0o700
    assert "absent.file" in site.server.log.text() and "warning[RW0422]" in site.server.log.text()
    site.server.stop()


def test_a_control_group_that_is_none(site):
    directory = site.server.directory / "plain"
    become(site, cgroup=directory)

    assert "is no control group" in refused(site, "RW0423")


# A whole life


def test_a_dropped_instance_stops_and_leaves_nothing(site):
    become(site, vacuum=True).server.start()
    assert site.status() == 200
    family = [site.server.master, *processes.descendants(site.server.master)]

    assert site.server.stop() == 0

    for pid in family:
        assert not processes.alive(pid)
    assert not site.socket.exists() and not site.server.pidfile.exists()


def test_workers_can_not_be_traced_into_the_master(site):
    """A worker is the master's user: the kernel has to keep it off all the same."""
    become(site).server.start()

    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat", f"/proc/{site.server.master}/environ"],
        capture_output=True,
        timeout=10,
    )
    assert done.returncode != 0
