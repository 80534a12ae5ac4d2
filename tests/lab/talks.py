# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections whose two ends keep talking (chat.py), and what each of them hears from when on."""
import os
import re
import sys
import time

import engine

CHAT = os.path.join(engine.HERE, "chat.py")


def spawn(bed, endpoint, *arguments):
    command = [sys.executable, "-I", "-S", CHAT, *arguments]
    if endpoint == "host":
        return bed.lab.spawn(*command)
    if endpoint in bed.docker.containers():
        pid = str(bed.docker.inspect(endpoint)["State"]["Pid"])
        return bed.lab.spawn("nsenter", "-t", pid, "-n", *command)
    return bed.lab.spawn("ip", "netns", "exec", endpoint, *command)


class Talk:
    """From a client to the server, by way of ip: another address than the server's where something translates."""

    def __init__(self, bed, proto, client, server, ip, port, quiet=0, served=None):
        self.name = f"{client} -> {server} by {ip} {proto}/{port}{' (quiet)' if quiet else ''}"
        self.server = spawn(bed, server, "serve", proto, "::" if ":" in ip else "0.0.0.0", str(served or port), str(quiet))
        assert engine.wait_for(lambda: "serves" in self.server.log(), 10), self.name
        self.client = spawn(bed, client, "call", proto, ip, str(port), str(quiet))

    def heard(self, since=0.0):
        """(by the server, by the client): how many messages came after that time."""
        return tuple(sum(float(line) > since for line in re.findall(r"^\d+\.\d{3}$", side.log(), re.M))
                     for side in (self.server, self.client))

    def stands(self):
        return all(self.heard())

    def lives(self, since=None, timeout=3):
        """Both sides hear something new, of what was said just now."""
        since = time.monotonic() if since is None else since
        return engine.wait_for(lambda: all(self.heard(since)), timeout)

    def silence(self, since):
        """The longest time, in seconds, that a side has heard nothing since then."""
        now, longest = time.monotonic(), 0.0
        for side in (self.server, self.client):
            times = [t for t in map(float, re.findall(r"^\d+\.\d{3}$", side.log(), re.M)) if t > since]
            longest = max(longest, *(b - a for a, b in zip([since, *times], [*times, now])))
        return longest

    def end(self):
        for side in (self.client, self.server):
            side.process.kill()


def assert_stand(talks):
    assert engine.wait_for(lambda: all(t.stands() for t in talks), 10), [
        (t.name, t.heard(), t.client.log()[-200:]) for t in talks if not t.stands()]


def still_heard(talks, since):
    """Those at whose ends anything came after that time: (name, (server, client))."""
    return [(t.name, t.heard(since)) for t in talks if any(t.heard(since))]
