# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container with NET_ADMIN can do in its own network namespace to whoever listens there, until it is killed:

    hostile.py routes       adds and deletes a thousand routes over and over
    hostile.py addresses    … addresses
    hostile.py rules        … elements of a set of its own
    hostile.py junk NAME N  fills table inet NAME with a set of N elements, once
    hostile.py sets NAME N  … with N sets;  chains NAME N  … with N chains, a rule in each
    hostile.py tables N     makes N tables
"""
import socket
import struct
import sys

REQUEST, ACK, CREATE, APPEND = 1, 4, 0x400, 0x800
ROUTE, NETFILTER = 0, 12
NEWADDR, DELADDR, NEWROUTE, DELROUTE = 20, 21, 24, 25
NFTABLES, INET = 10 << 8, 1
NEWTABLE, NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM, DELSETELEM = (NFTABLES | n for n in (0, 3, 6, 9, 12, 14))
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def text(kind, value):
    return attribute(kind, value.encode() + b"\0")


def u32(kind, value):
    return attribute(kind, struct.pack(">I", value))


def message(kind, flags, body):
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 1, 0) + body


def connect(protocol):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    for size in SO_SNDBUFFORCE, SO_RCVBUFFORCE:
        s.setsockopt(socket.SOL_SOCKET, size, 256 << 20)
    return s


def index_of(name):
    return socket.if_nametoindex(name)


def route(kind, i):
    body = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 4, 0, 1, 0)  # of table main, boot, a unicast one
    return message(kind, CREATE if kind == NEWROUTE else 0, body + attribute(1, struct.pack(">I", 0x0b000000 + i)) +
                   attribute(4, struct.pack("=I", index_of("lo"))))


def address(kind, i):
    body = struct.pack("=BBBBI", 2, 32, 0, 0, index_of("lo"))
    return message(kind, CREATE if kind == NEWADDR else 0, body + attribute(2, struct.pack(">I", 0x0b000000 + i)))


def nf(kind, body, flags=0):
    return message(kind, flags, struct.pack(">BBH", INET, 0, 0) + body)


def batch(*messages):
    end = [struct.pack("=IHHII", 20, kind, REQUEST, 1, 0) + struct.pack(">BBH", 0, 0, 10) for kind in (16, 17)]
    return end[0] + b"".join(messages) + end[1]


def new_set(table, name, number):
    return nf(NEWSET, text(1, table) + text(2, name) + u32(3, 0) + u32(4, 7) + u32(5, 4) + u32(10, number), CREATE)


def elements(kind, table, name, first, n):
    """Of no more than a message's attribute can hold."""
    parts = []
    for start in range(first, first + n, 2000):
        some = b"".join(attribute(1, attribute(1, attribute(1, struct.pack(">I", i)))) for i in range(start, min(start + 2000, first + n)))
        parts.append(nf(kind, text(1, table) + text(2, name) + attribute(3, some), CREATE if kind == NEWSETELEM else 0))
    return parts


def over_and_over(protocol, *pieces):
    s = connect(protocol)
    s.setblocking(False)
    print(flush=True)
    while True:
        for piece in pieces:
            try:
                s.send(piece)
                while s.recv(1 << 20):
                    pass
            except OSError:  # nothing is said of what was taken
                pass


def once(*messages):
    s = connect(NETFILTER)
    s.send(batch(*messages))
    print(flush=True)


def main(what, *arguments):
    if what in ("routes", "addresses"):
        make, kinds = (route, (NEWROUTE, DELROUTE)) if what == "routes" else (address, (NEWADDR, DELADDR))
        over_and_over(ROUTE, *(b"".join(make(kind, i) for i in range(1000)) for kind in kinds))
    if what == "rules":
        s = connect(NETFILTER)
        s.send(batch(nf(NEWTABLE, text(1, "mine"), CREATE), new_set("mine", "s", 1)))
        over_and_over(NETFILTER, *(batch(*elements(kind, "mine", "s", 1, 1000)) for kind in (NEWSETELEM, DELSETELEM)))
    table, n = arguments[0], int(arguments[-1])
    if what == "junk":
        once(nf(NEWTABLE, text(1, table), CREATE), new_set(table, "junk", 1), *elements(NEWSETELEM, table, "junk", 1, n))
    if what == "sets":
        once(nf(NEWTABLE, text(1, table), CREATE), *(new_set(table, f"s{i}", i + 1) for i in range(n)))
    if what == "chains":
        chains = [nf(NEWCHAIN, text(1, table) + text(3, f"c{i}"), CREATE) for i in range(n)]
        rules = [nf(NEWRULE, text(1, table) + text(2, f"c{i}") + attribute(4, b""), CREATE | APPEND) for i in range(n)]
        once(nf(NEWTABLE, text(1, table), CREATE), *chains, *rules)
    if what == "tables":
        once(*(nf(NEWTABLE, text(1, f"t{i}"), CREATE) for i in range(n)))


main(*sys.argv[1:])
