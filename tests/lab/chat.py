# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ends that both keep talking, whatever they hear: chat.py serve|call tcp|udp ADDRESS PORT [QUIET_S]

A line on stderr for every message that comes: the time (monotonic, the same for every process here). A side that is
quiet says one word first and then nothing for so long."""
import select
import socket
import sys
import time

PAUSE_S = 0.05


def say(s, to):
    try:
        s.sendto(b"word", to) if to else s.send(b"word")
    except OSError:
        pass


def hear(s):
    """The sender of what came, None for an end."""
    try:
        data, sender = s.recvfrom(65536)
    except OSError:
        return None
    if data:
        print(f"{time.monotonic():.3f}", file=sys.stderr, flush=True)
    return (sender or True) if data else None


def talk(s, quiet=0.0, knows=False):
    """A datagram socket that does not know whom to talk to waits, and talks to whoever spoke last."""
    datagrams = s.type == socket.SOCK_DGRAM
    waits_for, to = datagrams and not knows, None
    if not waits_for:
        say(s, to)
    speaks_at = time.monotonic() + quiet
    while True:
        if select.select([s], [], [], PAUSE_S)[0]:
            sender = hear(s)
            if not sender and not datagrams:
                return
            if waits_for and sender:
                to = sender
        if time.monotonic() >= speaks_at and (to or not waits_for):
            say(s, to)
            speaks_at = time.monotonic() + PAUSE_S


def main():
    role, proto, address, port = sys.argv[1:5]
    quiet = float(sys.argv[5]) if len(sys.argv) > 5 else 0.0
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if role == "call":
        s.settimeout(5)
        s.connect((address, int(port)))  # of datagrams too: only the one that was asked is heard
        s.settimeout(None)
        talk(s, quiet=quiet, knows=True)
        return
    s.bind((address, int(port)))
    if proto == "tcp":
        s.listen(8)
    print("serves", file=sys.stderr, flush=True)
    if proto == "udp":
        talk(s, quiet)
    while True:
        talk(s.accept()[0], quiet, knows=True)


main()
