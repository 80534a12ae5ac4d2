# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal: what it prints, what is typed, and the keys that are signals."""
import os
import pty
import re
import select
import subprocess
import time

from test_errors import HARBORWALL


class Terminal:
    """Use as a context. What the program wrote is text()."""

    def __init__(self, case, verb, *options, command=None, **env):
        self.master, slave = pty.openpty()
        self.said = b""
        argv = command or [HARBORWALL, verb, "-c", "networks.json", *options]
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(case.holder.pid), "-n", "setsid", "-c", "-w", *argv], cwd=case.folder, stdin=slave, stdout=slave,
            stderr=slave, env={"PATH": os.environ["PATH"], "TERM": "xterm", "DOCKER_HOST": case.host, "HARBORWALL_LISTEN":
                               f"{case.folder}/sock", "HARBORWALL_STATE": f"{case.folder}/state.json",
                               "ASAN_OPTIONS": "detect_leaks=0", **env})
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def read(self, seconds):
        """False once nothing more will come."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.said += data
        return bool(data)

    def text(self):
        return self.said.decode(errors="replace").replace("\r\n", "\n")

    def plain(self):
        return re.sub(r"\x1b\[[0-9;]*m", "", self.text())

    def wait(self, words, timeout=20):
        end = time.monotonic() + timeout
        while words not in self.plain():
            assert time.monotonic() < end and self.read(0.2), f"no {words!r} in\n{self.text()}"

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, timeout=30):
        """-> its exit code."""
        end = time.monotonic() + timeout
        while self.read(0.2):
            assert time.monotonic() < end, f"it does not end\n{self.text()}"
        return self.process.wait(timeout)
