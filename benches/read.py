#!/usr/bin/env python3
"""How long `--show-config` of a 200-line ini takes, whole process, beside uWSGI.

usage: read.py RUSTWSGI [UWSGI]: prints the median of 50 runs each, in milliseconds. uWSGI goes on to boot after
`--show-config`, so it is asked for `--get` of one option, which reads the same file and ends.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 50


def ini():
    lines = ["[uwsgi]", "base = /srv/blog", "socket = 127.0.0.1:3031", "module = blog.wsgi", "processes = 4"]
    lines += [f"name{number} = value{number}" for number in range(60)]
    lines += [f"env = NAME{number}=%(name{number % 60})" for number in range(100)]
    lines += [f"pythonpath = %(base)/lib{number}" for number in range(200 - len(lines))]
    return "\n".join(lines) + "\n"


def median(command):
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main():
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "uwsgi.ini")
        file.write_text(ini(), encoding="utf-8")
        print(f"rustwsgi --show-config: {median([sys.argv[1], '--show-config', '--ini', str(file)]):.1f} ms")
        if len(sys.argv) > 2:
            print(f"uwsgi --get processes: {median([sys.argv[2], '--get', 'processes', '--ini', str(file)]):.1f} ms")


if __name__ == "__main__":
    main()
