"""The measuring itself, without a server: `python3 -m unittest discover -s benches` (a second)."""

import os
import signal
import subprocess
import sys
import unittest

from harness import processes, report
from harness.scenarios import SCENARIOS, chosen

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


class Processes(unittest.TestCase):
    def test_cpu_of_children_is_counted_while_they_live_and_after(self):
        script = f"import os, sys\npid = os.fork()\nif not pid:\n    exec({BURN!r}); print('burnt', flush=True); sys.stdin.readline(); os._exit(0)\nos.wait(); print('reaped', flush=True); sys.stdin.readline()"
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
            try:
                self.assertEqual(parent.stdout.readline(), "burnt\n")
                self.assertEqual(len(processes.tree(parent.pid)), 2)
                alive = processes.usage(parent.pid)
                parent.stdin.write("\n")
                parent.stdin.flush()
                self.assertEqual(parent.stdout.readline(), "reaped\n")
                self.assertEqual(len(processes.tree(parent.pid)), 1)
                reaped = processes.usage(parent.pid)
                for found in (alive, reaped):
                    self.assertGreater(found.cpu, 0.25)
                    self.assertLess(found.cpu, 0.9)
                self.assertGreater(processes.memory(parent.pid)[0], 1)
            finally:
                parent.kill()

    def test_born_tells_a_living_process_from_a_zombie(self):
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        try:
            self.assertGreater(processes.born(child.pid), 0)
        finally:
            child.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            self.assertIsNone(processes.born(child.pid))
            child.wait()


class Report(unittest.TestCase):
    @staticmethod
    def rounds(*cpu_us, errors=0, cpu_seconds=1.0):
        return [
            {
                "cpu_us": cpu, "user_us": cpu / 4, "sys_us": cpu * 3 / 4, "rate": 1e6 / cpu, "p50_us": 1.0, "p99_us": 2.0,
                "max_us": 3.0, "client_cpu_us": 1.0, "answered": 10, "errors": errors, "starved": 0, "switches": 0.1,
                "cpu_seconds": cpu_seconds, "others_share": 0.0,
            }
            for cpu in cpu_us
        ]

    def result(self, **servers):
        references = {"a": servers["a"]}
        extra = {"libpython": [], "pss_mib": None, "rss_mib": None, "syscalls": None}
        summaries = {name: report.summary(rounds, references) | extra for name, rounds in servers.items()}
        return {"scenario": "s", "title": "t", "connections": 16, "servers": summaries}

    def test_the_ratio_is_the_median_of_paired_rounds(self):
        # The machine is twice as slow in the last round: pairs see 0.5 each time, medians of columns would not.
        result = self.result(a=self.rounds(20, 30, 60), b=self.rounds(10, 15, 30))
        self.assertEqual(result["servers"]["b"]["ratio"], {"a": 0.5})
        self.assertEqual(result["servers"]["b"]["cpu_us"], 15)
        self.assertEqual(result["servers"]["b"]["cpu_us_min"], 10)
        self.assertEqual(report.notes(result, "a"), [])

    def test_a_small_difference_is_called_none(self):
        lines = report.table(self.result(a=self.rounds(20, 20), b=self.rounds(21, 21)), "a").splitlines()
        self.assertIn("1.05 ~", lines[3])

    def test_too_little_cpu_is_said(self):
        result = self.result(a=self.rounds(20, cpu_seconds=0.5), b=self.rounds(20, 20, cpu_seconds=0.5))
        self.assertEqual([note.split()[1] for note in report.notes(result, "a")], ["a"])


class Scenarios(unittest.TestCase):
    def test_names_are_unique_and_apps_exist(self):
        self.assertEqual(len({scenario.name for scenario in SCENARIOS}), len(SCENARIOS))
        for scenario in SCENARIOS:
            self.assertTrue(scenario.app_path.is_file(), scenario.name)
            self.assertEqual(scenario.pinned, scenario.processes == scenario.threads == 1)

    def test_choosing(self):
        self.assertEqual([scenario.name for scenario in chosen(["hello14-tcp"])], ["hello14-tcp"])
        self.assertTrue(all(scenario.default for scenario in chosen([])))
        self.assertEqual(len(chosen(["all"])), len(SCENARIOS))
        with self.assertRaises(LookupError):
            chosen(["nope"])


if __name__ == "__main__":
    unittest.main()
