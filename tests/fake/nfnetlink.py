# SPDX-License-Identifier: GPL-2.0-or-later
"""nf_tables and conntrack at the wire, without their tools and without our code: a table as the kernel dumps it, and the
same table written again with another attribute somewhere (linux/netfilter/nf_tables.h); connections that nobody opened."""
import collections
import ctypes
import dataclasses
import os
import socket
import struct

NETLINK_NETFILTER, SUBSYSTEM, CONNTRACK, INET, IPV4 = 12, 10, 1, 1, 2
REQUEST, MULTI, ACK, DUMP, CREATE, APPEND, REPLACE = 1, 2, 4, 0x300, 0x400, 0x800, 0x100
DONE, ERROR, BATCH_BEGIN, BATCH_END = 3, 2, 16, 17
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, _, NEWRULE, GETRULE, _, NEWSET, GETSET, _, NEWSETELEM, GETSETELEM = range(14)
SOL_NETLINK, CAP_ACK, SO_SNDBUFFORCE, SO_RCVBUFFORCE = 270, 10, 32, 33
NESTED, TYPE_MASK = 0x8000, 0x3fff


@dataclasses.dataclass
class Attribute:
    kind: int
    value: object  # bytes, or a list of attributes

    def encoded(self):
        value = self.value if isinstance(self.value, bytes) else b"".join(a.encoded() for a in self.value)
        kind = self.kind if isinstance(self.value, bytes) else self.kind | NESTED
        return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)

    def copy(self):
        return Attribute(self.kind, self.value if isinstance(self.value, bytes) else [a.copy() for a in self.value])


# Which attributes hold others, by kind; None stands for every kind. What an expression holds depends on its name.
EXPRESSION = {2: "by name"}
WITHIN = {"cmp": {3: {}}, "bitwise": {4: {}, 5: {}, 7: {}}, "immediate": {2: {2: {}}}}
SHAPES = {
    NEWTABLE: {}, NEWCHAIN: {4: {}}, NEWRULE: {4: {1: EXPRESSION}}, NEWSET: {9: {2: {1: {}}}, 17: EXPRESSION, 18: {1: EXPRESSION}},
    NEWSETELEM: {3: {1: {1: {}, 2: {2: {}}, 7: EXPRESSION, 10: {}, 11: {1: EXPRESSION}}}},
}
# What the kernel numbers and counts by itself: handles, uses, positions, a set's type and count, what is left of a timeout.
ITS_OWN = {NEWTABLE: {3, 4}, NEWCHAIN: {2, 6}, NEWRULE: {3, 6}, NEWSET: {16, 19, 20}, NEWSETELEM: set()}


def parse(data, shape):
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        kind, value = kind & TYPE_MASK, data[4:length]
        inner = shape.get(kind)
        if inner == "by name":
            inner = WITHIN.get(name_of(found), {})
        found.append(Attribute(kind, value if inner is None else parse(value, inner)))
        data = data[(length + 3) & ~3:]
    return found


def name_of(expression):
    return expression[0].value.rstrip(b"\0").decode()


def find(attributes, kind):
    return next((a for a in attributes if a.kind == kind), None)


def canonical(table):
    """Elements sorted: the kernel lists them by their hashes, with another seed in every set."""
    def elements(message):
        return Message(message.kind, [Attribute(a.kind, sorted(a.value, key=Attribute.encoded)) if a.kind == 3 else a
                                      for a in message.attributes])
    return [elements(m) if m.kind == NEWSETELEM else m for m in table]


def u32(value):
    return struct.pack(">I", value)


def u64(value):
    return struct.pack(">Q", value)


@dataclasses.dataclass
class Message:
    kind: int
    attributes: list

    def copy(self):
        return Message(self.kind, [a.copy() for a in self.attributes])

    def encoded(self, flags, sequence, family=INET, subsystem=SUBSYSTEM):
        body = struct.pack(">BBH", family, 0, 0) + b"".join(a.encoded() for a in self.attributes)
        return header(len(body), subsystem << 8 | self.kind, flags, sequence) + body


def header(length, kind, flags, sequence):
    return struct.pack("=IHHII", 16 + length, kind, flags, sequence, 0)


Connection = collections.namedtuple("Connection", "src sport dst dport proto mark answers", defaults=[None])


def tuple_of(kind, src, sport, dst, dport, proto):
    ends = [Attribute(1, socket.inet_aton(src)), Attribute(2, socket.inet_aton(dst))]
    ports = [Attribute(1, bytes([proto])), Attribute(2, struct.pack(">H", sport)), Attribute(3, struct.pack(">H", dport))]
    return Attribute(kind, [Attribute(1, ends), Attribute(2, ports)])


def connection_message(c):
    """answers: (address, port) of who answers instead of the one that was asked."""
    address, port = c.answers or (c.dst, c.dport)
    status = 1 << 3 | 1 << 1 | (1 << 5 | 1 << 8 | 1 << 7 if c.answers else 0)  # confirmed, answered; translated
    return Message(0, [tuple_of(1, c.src, c.sport, c.dst, c.dport, c.proto),
                       tuple_of(2, address, port, c.src, c.sport, c.proto),
                       Attribute(3, u32(status)), Attribute(7, u32(600)), Attribute(8, u32(c.mark))])


REVOKED = 0x48575256  # the whole mark of an entry that stays so that nothing comes in its place


class Refused(Exception):
    pass


class Kernel:
    """A socket in the network namespace of a process."""

    def __init__(self, pid):
        libc, clone_newnet = ctypes.CDLL(None, use_errno=True), 0x40000000
        home, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        assert libc.setns(there, clone_newnet) == 0
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.setsockopt(SOL_NETLINK, CAP_ACK, 1)
        for size in SO_SNDBUFFORCE, SO_RCVBUFFORCE:
            self.socket.setsockopt(socket.SOL_SOCKET, size, 8 << 20)
        assert libc.setns(home, clone_newnet) == 0
        os.close(home)
        os.close(there)
        self.socket.settimeout(5)
        self.sequence = 0

    def close(self):
        self.socket.close()

    def answers(self, until_done):
        while True:
            data = self.socket.recv(1 << 20)
            while len(data) >= 16:
                length, kind, _, sequence, _ = struct.unpack_from("=IHHII", data)
                body, data = data[16:length], data[(length + 3) & ~3:]
                if sequence > self.sequence or kind == DONE and sequence == self.sequence:
                    return
                if kind == ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code:
                        raise Refused(os.strerror(code))
                    if not until_done:
                        return
                elif sequence == self.sequence:
                    yield kind & 0xff, body[4:]

    def drain(self):
        """What else is said of a transaction is there when it has been sent."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(1 << 20):
                pass
        except BlockingIOError:
            self.socket.settimeout(5)

    def dump(self, kind, *attributes):
        self.sequence += 1
        self.socket.send(Message(kind, list(attributes)).encoded(REQUEST | DUMP, self.sequence))
        return [Message(k, [a for a in parse(body, SHAPES[k]) if a.kind not in ITS_OWN[k]]) for k, body in self.answers(True)]

    def table(self, name=b"harborwall\0"):
        """Every message that it is made of, in the order in which it can be made again."""
        named = [m for m in self.dump(GETTABLE) if find(m.attributes, 1).value == name]
        sets = self.dump(GETSET, Attribute(1, name))
        elements = [m for s in sets for m in self.dump(GETSETELEM, Attribute(1, name), Attribute(2, find(s.attributes, 2).value))]
        chains = [m for m in self.dump(GETCHAIN) if find(m.attributes, 1).value == name]
        return named + sets + chains + elements + self.dump(GETRULE, Attribute(1, name))

    def replace(self, messages, name=b"harborwall\0"):
        """In one transaction the table goes and these come."""
        self.commit([Message(DELTABLE, [Attribute(1, name)]), *messages])

    def commit(self, messages):
        batch, first = [], self.sequence + 1
        body = struct.pack(">BBH", 0, 0, SUBSYSTEM)
        for i, m in enumerate(messages, first + 1):
            flags = REQUEST | (0 if m.kind == DELTABLE else CREATE | (APPEND if m.kind == NEWRULE else 0))
            numbered = Message(m.kind, [*m.attributes, Attribute(10, u32(i))]) if m.kind == NEWSET else m
            batch.append(numbered.encoded(flags, i))
        self.sequence = first + len(batch) + 1
        text = header(4, BATCH_BEGIN, REQUEST, first) + body + b"".join(batch)
        # what is last asks for an answer, behind those that were refused
        self.socket.send(text + header(4, BATCH_END, REQUEST | ACK, self.sequence) + body)
        try:
            list(self.answers(False))
        finally:
            self.drain()

    # -- connections --

    def connect(self, connections, at_once=200):
        """As if they had been opened: entries in conntrack. What is there already is left as it is."""
        for i in range(0, len(connections), at_once):
            batch = b""
            for c in connections[i:i + at_once]:
                self.sequence += 1
                batch += connection_message(c).encoded(REQUEST | CREATE, self.sequence, IPV4, CONNTRACK)
            self.socket.send(batch)
        self.drain()

    def connections(self):
        """(source port, asked address and port) of every entry whose packets are not dropped as revoked."""
        self.sequence += 1
        self.socket.send(Message(1, []).encoded(REQUEST | DUMP, self.sequence, IPV4, CONNTRACK))
        shape = {1: {1: {}, 2: {}}}
        found = set()
        for _, body in self.answers(True):
            mark = find(parse(body, shape), 8)
            if mark and struct.unpack(">I", mark.value)[0] == REVOKED:
                continue
            ends, ports = (find(find(parse(body, shape), 1).value, kind).value for kind in (1, 2))
            sport, dport = (struct.unpack(">H", find(ports, kind).value)[0] for kind in (2, 3))
            found.add((sport, socket.inet_ntoa(find(ends, 2).value), dport))
        return found
