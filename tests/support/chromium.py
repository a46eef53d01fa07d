"""A headless Chromium, driven over a pipe: opens a page, asks it, takes a picture of it."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One browser with one page; `directory` is its profile."""

    def __init__(self, directory, width, height):
        theirs_in, self.out = os.pipe()
        self.back, theirs_out = os.pipe()
        self.rest = b""
        self.number = 0
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        pipes = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", pipes, "bash", str(theirs_in), str(theirs_out), PROGRAM, *switches,
             f"--user-data-dir={directory}", f"--window-size={width},{height}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def __enter__(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return self

    def __exit__(self, *_):
        os.close(self.out)
        os.close(self.back)
        self.process.kill()
        self.process.wait()

    def call(self, method, timeout=30, **params):
        """One command of the DevTools protocol; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if hasattr(self, "session"):
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout
        while True:
            while b"\0" in self.rest:
                text, _, self.rest = self.rest.partition(b"\0")
                answer = json.loads(text)
                if answer.get("id") == self.number:
                    assert "error" not in answer, answer
                    return answer["result"]
            assert select.select([self.back], [], [], max(deadline - time.monotonic(), 0))[0], f"no answer to {method}"
            part = os.read(self.back, 1 << 16)
            assert part, "Chromium ended"
            self.rest += part

    def open(self, url, dark=False):
        """Goes to a page."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=url)

    def ask(self, expression):
        """What an expression of JavaScript is worth on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self, path):
        """Writes a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
