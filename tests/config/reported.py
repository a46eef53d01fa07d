"""What a program says that a configuration amounts to: `(key, value)` in order, or that it refuses it."""

import json
import re
import resource
import subprocess
from dataclasses import dataclass

# More is a loop: uWSGI has several.
SECONDS = 1
MEMORY = 2 << 30
TIMEOUT = 60
# Both get something to serve, so that only what is in the case decides.
ENOUGH = ["--socket", "127.0.0.1:0", "--module", "app"]
# Prints, and ends before anything is started.
THEIRS = ["--show-config", "--hook-pre-jail", "exit:0"]
OURS = ["--show-config", "--json"]


@dataclass
class Report:
    """The outcome of one run."""

    settings: list[tuple[str, str]] | None
    output: str
    # It ended by a signal: a loop without end, no more memory.
    lost: bool = False
    # It would not start with it, shown or not.
    wrong: bool = False

    @property
    def refused(self):
        return self.settings is None

    def shown(self):
        """The lines to compare. What only steers the reading is left out: it says nothing about the outcome."""
        return [f"{key} = {value}" for key, value in self.settings if not steers(key)]

    @property
    def crashed(self):
        """Whether uWSGI's own handler of a segmentation fault had its say."""
        return "*** end of backtrace ***" in self.output

    def codes(self):
        """The codes of our errors."""
        return re.findall(r"^error\[(RW\d{4})\]", self.output, re.MULTILINE)

    def last(self):
        """What it said at the end."""
        return "shown" if not self.refused else self.output.strip()[-600:]


STEERING = re.compile(
    r"ini|include|inherit|strict|set|set-ph|set-placeholder|for(-glob|-times|-readline)?|end-?for|end-?if|end"
    r"|if-.+|ifenv|ifexists|ifdir|ifplugin"
)


def steers(key):
    """Whether a setting only says how to read the others."""
    return STEERING.fullmatch(key) is not None


def run(command, case, directory):
    """Runs a program on a case that lies in `directory`."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **case.environment}
    process = subprocess.Popen(
        [*command, *case.arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE
    )
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
    output, errors = process.communicate(timeout=TIMEOUT)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def theirs(uwsgi, case, directory):
    """uWSGI's view."""
    outcome = run([uwsgi, *THEIRS, *ENOUGH], case, directory)
    output = outcome.stderr.decode("utf-8", "surrogateescape")
    match = re.search(r"^;uWSGI instance configuration\n\[uwsgi\]\n(.*?)^;end of configuration$", output, re.MULTILINE | re.DOTALL)
    if match is None or outcome.returncode != 0:
        return Report(None, output, outcome.returncode < 0)
    settings = []
    for line in match[1].split("\n")[:-1]:
        key, separator, value = line.partition(" = ")
        # A value of several lines: only `many.txt` and `lines.txt` have more than one.
        if not separator:
            key, value = settings.pop() if settings else ("", "")
            value += "\n" + line
        settings.append((key, value))
    skip = len(ENOUGH) // 2 + 2
    return Report(settings[skip:], output)


def ours(rustwsgi, case, directory):
    """Our view."""
    outcome = run([rustwsgi, "--tolerate-unsupported", *OURS, *ENOUGH], case, directory)
    output = outcome.stderr.decode("utf-8", "surrogateescape")
    # What is refused for a value is shown all the same.
    if outcome.returncode != 0 and not outcome.stdout:
        return Report(None, output, outcome.returncode < 0, wrong=True)
    settings = [(setting["key"], setting["value"]) for setting in json.loads(outcome.stdout)]
    return Report(settings[3:], output, wrong=outcome.returncode != 0)
