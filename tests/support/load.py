"""Busy clients in a process of their own, so that the tests' own work does not slow them down.

As a program: `load.py ADDRESS PATH CLIENTS [HEADER]`; asks until its stdin ends, then prints what happened.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SLOW = 1.0


class Load:
    """`clients` keep-alive clients that ask for `path` without a pause until the block ends."""

    def __init__(self, port, path="/", clients=32, header="x-answered-by"):
        self.arguments = [f"127.0.0.1:{port}", path, str(clients), header]
        self.process = None
        self.report = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).resolve(), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "busy\n", "the clients did not get going"
        return self

    def __exit__(self, *_):
        self.finish()

    def finish(self):
        """Ends the clients, once; the report: answers, statuses, failures, slowest, answered_by."""
        if self.report is None:
            out, _ = self.process.communicate(timeout=60)
            self.report = json.loads(out)
        return self.report

    def check(self, at_least=100, slowest=SLOW):
        """Nothing but 200, nothing slower than `slowest` seconds, and enough asked to mean something."""
        report = self.finish()
        assert report["failures"] == [], f"{len(report['failures'])} failures, such as {report['failures'][:5]}"
        assert set(report["statuses"]) == {"200"}, report["statuses"]
        assert report["slowest"] < slowest, f"the slowest answer took {report['slowest']:.3f} s"
        assert report["answers"] >= at_least, f"only {report['answers']} answers"
        return report


class Clients:
    """What all clients of one process do and note."""

    def __init__(self, address, path, header):
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.header = header.lower()
        self.statuses = Counter()
        self.answered_by = Counter()
        self.failures = []
        self.slowest = 0.0
        self.begun = time.monotonic()
        self.over = asyncio.Event()

    async def client(self):
        """One client: asks, reads, asks again."""
        connection = None
        while not self.over.is_set():
            start = time.monotonic()
            try:
                if connection is None:
                    connection = await asyncio.open_connection(*self.address)
                async with asyncio.timeout(30):
                    stays = await self.ask(*connection)
                if not stays:
                    connection[1].close()
                    connection = None
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                self.failures.append([round(start - self.begun, 3), repr(error)])
                if connection is not None:
                    connection[1].close()
                connection = None
            self.slowest = max(self.slowest, time.monotonic() - start)

    async def ask(self, reader, writer):
        """One request; whether the connection may be used again."""
        start = time.monotonic()
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = head[0].split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        else:
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        self.statuses[status] += 1
        self.answered_by[headers.get(self.header, "")] += 1
        if status != "200":
            self.failures.append([round(start - self.begun, 3), status])
        return headers.get("connection", "").lower() != "close"

    async def run(self, clients):
        """Runs until stdin ends."""
        tasks = [asyncio.create_task(self.client()) for _ in range(clients)]
        while not self.statuses and not self.failures:
            await asyncio.wait(tasks, timeout=0.01)
        print("busy", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        self.over.set()
        await asyncio.gather(*tasks)

    def report(self):
        """What happened, ready for JSON."""
        return {
            "answers": sum(self.statuses.values()),
            "statuses": self.statuses,
            "failures": self.failures,
            "slowest": self.slowest,
            "answered_by": self.answered_by,
        }


def main():
    """Runs the clients of one process."""
    address, path, clients, header = sys.argv[1:]

    async def run():
        busy = Clients(address, path, header)
        await busy.run(int(clients))
        return busy.report()

    print(json.dumps(asyncio.run(run())), flush=True)


if __name__ == "__main__":
    main()
