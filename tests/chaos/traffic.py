# SPDX-License-Identifier: GPL-2.0-or-later
"""Traffic that never pauses: one process with sockets in every namespace of a bed, told what to do by JSON lines as
tests/lab/agent.py is. While it runs it sends

- a TCP stream and a UDP stream of numbered messages from client to server, which echoes them,
- new connections of both protocols to the same port,
- connections to ports that policies come and go for,
- packets that no file ever allows, and packets with borrowed addresses,

and writes down what was lost, what broke, and, with the kernel's own time of arrival, what came through that
must not. It says what was; whether that was right is the story's to judge (tests/chaos/story.py)."""
import collections
import contextlib
import ctypes
import os
import random
import selectors
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lab"))
import agent  # noqa: E402
import crafted  # noqa: E402

TICK = 0.02
PORT, CLOSED = 7000, 7001  # the policy that always stands; one that never does
TALKS = [7101, 7102, 7103]
ANSWER_BY = 0.4  # of a new connection
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
NETLINK_NETFILTER, NFNLGRP_NFTABLES, NEWGEN = 12, 7, 15
LIBC = ctypes.CDLL(None, use_errno=True)


def attributes(data):
    while len(data) >= 4:
        size, kind = struct.unpack("=HH", data[:4])
        if size < 4:
            return
        yield kind & 0x3FFF, data[4:size]
        data = data[size + 3 & ~3:]


def text(value):
    return (value or b"").rstrip(b"\0").decode(errors="replace")


class Endpoint(agent.Agent):
    """A namespace: listeners, a sniffer, and a place to make sockets in."""

    def __init__(self, name, pid, selector, heard):
        # no super().__init__: this process has one inbox, not one an endpoint
        self.name, self.selector, self.sockets = name, selector, []
        self.listening, self.pending, self.answers, self.heard = set(), {}, [], heard
        self.netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def inside(self):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if LIBC.setns(self.netns, agent.CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns into {self.name}")
            yield
        finally:
            if LIBC.setns(home, agent.CLONE_NEWNET):
                os.abort()
            os.close(home)

    def watch(self, s, handler, key):
        super().watch(s, handler, key)
        self.sockets.append(s)

    def socket(self, *kind):
        with self.inside():
            s = socket.socket(*kind)
        s.setblocking(False)
        return s

    def raw(self, family):
        s = self.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.sockets.append(s)
        return s

    # -- echoes --

    def echo(self, tcp, udp):
        with self.inside():
            for family in agent.ANY:
                for port in tcp:
                    self.listen(family, socket.SOCK_STREAM, "tcp", port, self.on_caller)
                for port in udp:
                    s = self.listen(family, socket.SOCK_DGRAM, "udp", port, self.on_message)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def on_caller(self, listener):
        client, _ = listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(client, selectors.EVENT_READ, self.on_words)
        self.sockets.append(client)

    def on_words(self, client):
        try:
            data = client.recv(65536)
            if data:
                client.send(data)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.selector.unregister(client)
        self.sockets.remove(client)
        client.close()

    def on_message(self, s):
        while True:
            data, address, source = self.came_to(s, 64)
            s.sendmsg([data], self.from_address(s, address), 0, source)

    # -- ears --

    def sniff(self):
        for kind in agent.ETHERTYPES:
            with self.inside():
                s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
            s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            self.watch(s, self.on_packet, ("packets", kind))

    def on_packet(self, s):
        while True:
            data, ancillary, _, (_, _, kind, _, _) = s.recvmsg(2048, 64)
            seen = None if kind == agent.PACKET_OUTGOING else crafted.token_of(data)
            if seen:
                stamp = [struct.unpack("=qq", d[:16]) for level, what, d in ancillary
                         if (level, what) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
                self.heard(self.name, seen, stamp[0][0] + stamp[0][1] / 1e9 if stamp else time.time())

    def close(self):
        for s in self.sockets:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(s)
            s.close()
        os.close(self.netns)


class Stream:
    """Numbered messages over one TCP connection, echoed: told when it broke, or an echo was out of order."""

    def __init__(self, traffic, port, patience=None):
        """patience: seconds without an echo after which it begins anew; None: never."""
        self.traffic, self.port, self.patience, self.total = traffic, port, patience, 0
        self.socket, self.open, self.sent, self.echoed, self.rest = None, False, 0, 0, b""
        self.since = self.last = self.retry_at = 0.0
        self.breaks, self.wrong = [], 0

    def drop(self, broke=False):
        if self.socket:
            self.traffic.forget(self.socket)
        if broke and self.open:
            self.breaks.append(time.time())
        self.socket, self.open = None, False
        self.retry_at = time.time() + 0.2

    def tick(self, now):
        try:
            if not self.socket and now >= self.retry_at:
                self.socket = self.traffic.caller(socket.SOCK_STREAM)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.socket.connect_ex((self.traffic.server_ip, self.port))
                self.sent, self.echoed, self.since = 0, 0, now
                self.rest = b""
                self.traffic.selector.register(self.socket, selectors.EVENT_READ, self.on_echo)
                self.retry_at, self.last = now + 0.5, now
            elif self.socket and self.open and self.patience and now > self.last + self.patience:
                self.drop()
            elif self.socket:
                self.socket.send(struct.pack("!Q", self.sent))
                self.sent += 1
                self.since, self.open = self.since if self.open else now, True
        except BlockingIOError:
            if not self.open and now >= self.retry_at:
                self.drop()
        except OSError:
            self.drop(broke=True)

    def on_echo(self, s):
        try:
            data = s.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self.drop(broke=True)
        self.rest += data
        while len(self.rest) >= 8:
            self.wrong += struct.unpack("!Q", self.rest[:8])[0] != self.echoed
            self.echoed += 1
            self.total += 1
            self.rest = self.rest[8:]
        self.last = time.time()
        return None


class Datagrams:
    """Numbered datagrams of one connected socket, echoed: those that did not come back are lost."""

    def __init__(self, traffic):
        self.traffic, self.socket, self.sent, self.n, self.late = traffic, None, {}, 0, []

    def drop(self):
        self.late = self.lost(time.time())
        if self.socket:
            self.traffic.forget(self.socket)
        self.socket, self.sent = None, {}

    def tick(self, now):
        if not self.socket:
            self.socket = self.traffic.caller(socket.SOCK_DGRAM)
            self.socket.connect((self.traffic.server_ip, PORT))
            self.traffic.selector.register(self.socket, selectors.EVENT_READ, self.on_echo)
        self.n += 1
        self.sent[self.n] = now
        with contextlib.suppress(OSError):
            self.socket.send(struct.pack("!I", self.n) + b"UDP!")

    def on_echo(self, s):
        try:
            while True:
                self.sent.pop(struct.unpack("!I", s.recv(64)[:4])[0], None)
        except OSError:
            pass

    def lost(self, now):
        # what came back while this process had no turn is not read yet
        late = [] if now < self.traffic.starved + ANSWER_BY else [t for t in self.sent.values() if t < now - ANSWER_BY]
        return self.late + sorted(late)


class Traffic(agent.Agent):
    def __init__(self):
        super().__init__("traffic")
        self.endpoints, self.tokens, self.arrivals, self.failed = {}, {}, [], {"tcp": [], "udp": []}
        self.made = collections.Counter()
        self.fresh = {}  # socket -> (proto, since)
        self.random, self.n_hostile = random.Random(1), 0
        self.going, self.next_tick, self.ticks = False, 0.0, 0
        self.starved = 0.0  # when it last had no turn for long
        self.stream, self.datagrams = Stream(self, PORT), Datagrams(self)
        self.talks = {port: Stream(self, port, patience=1) for port in TALKS}
        self.listen()

    # -- who changes the host's rules --

    def listen(self):
        """Every transaction of nf_tables: when, by which program, on which tables."""
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        s.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        self.transactions, self.touched = [], set()
        self.watch(s, self.on_transaction, ("rules", 0))

    def on_transaction(self, s):
        while True:
            data, at = s.recv(1 << 20), 0
            while at + 20 <= len(data):
                size, kind = struct.unpack("=IH", data[at:at + 6])
                attrs = dict(attributes(data[at + 20:at + size]))
                if kind & 0xFF == NEWGEN:
                    self.transactions.append([time.time(), text(attrs.get(3)), sorted(self.touched)])
                    self.touched = set()
                else:
                    self.touched.add(text(attrs.get(1)))
                at += size + 3 & ~3

    # -- orders --

    def obey(self, order):
        return getattr(self, "do_" + order.pop("do"))(**order)

    def do_wire(self, name, pid, tcp, udp, role=""):
        e = self.endpoints[name] = Endpoint(name, pid, self.selector, self.on_heard)
        with e.inside():
            e.serve(tcp, udp)
        if role:
            e.sniff()
        if role == "server":
            e.echo([PORT, *TALKS], [PORT])
        e.senders = {family: e.raw(family) for family in agent.ANY}

    def do_unwire(self, name):
        if self.going and name in (self.names["client"], self.names["server"]):
            self.do_forgive()
        self.endpoints.pop(name).close()

    def do_rename(self, old, new):
        e = self.endpoints[new] = self.endpoints.pop(old)
        e.name = new

    def do_go(self, names, client_ip, server_ip):
        """names: who plays client, server, stranger, peer."""
        self.names, self.client_ip, self.server_ip = names, client_ip, server_ip
        self.own = {}
        self.going, self.next_tick = True, time.time()

    def do_stranger(self, addresses):
        """endpoint -> its own address, for packets that bear it."""
        self.own = addresses

    def do_stop(self):
        self.going = False
        end = time.time() + ANSWER_BY + 0.1
        while time.time() < end:
            self.turn(0.01)
        self.judge_fresh(time.time())
        return self.do_report()

    def do_report(self):
        now = time.time()
        streams = {"stream": self.stream, **{str(p): s for p, s in self.talks.items()}}
        return {"lost": self.datagrams.lost(now), "datagrams": self.datagrams.n, "made": dict(self.made),
                "transactions": self.transactions,
                "failed": self.failed, "arrivals": self.arrivals,
                "streams": {k: {"breaks": s.breaks, "since": s.since, "wrong": s.wrong, "echoed": s.total}
                            for k, s in streams.items()}}

    def do_forgive(self):
        """Everything begins anew: an end is restarted."""
        for s in [self.stream, self.datagrams, *self.talks.values()]:
            s.drop()
        for s in list(self.fresh):
            self.forget(s)
        self.fresh = {}

    def do_matrix(self, questions, timeout):
        asked = {name: self.endpoints[name] for name in questions}
        for name, e in asked.items():
            with e.inside():
                e.ask(questions[name])
        end, again = time.monotonic() + timeout, time.monotonic() + agent.RESEND_AFTER
        while time.monotonic() < end and any(e.pending for e in asked.values()):
            self.turn(0.02)
            if again and time.monotonic() > again:
                again = None
                for e in asked.values():
                    e.ask_again()
        for e in asked.values():
            for s in list(e.pending):
                e.forget(s)
        return {name: e.answers for name, e in asked.items()}

    # -- what is sent --

    def caller(self, kind):
        """A socket of the client, with its declared address whatever the routes say at this moment."""
        s = self.endpoints[self.names["client"]].socket(crafted.family_of(self.client_ip), kind)
        s.bind((self.client_ip, 0))
        return s

    def forget(self, s):
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(s)
        s.close()

    def on_heard(self, where, seen, at):
        flow = self.tokens.get(seen[4])
        if flow and where == flow[2]:
            self.arrivals.append([at, flow[0], flow[1]])

    def hostile(self, flow, sender, source, target, ip, proto, port):
        """One packet that must not arrive at target. Flows are told apart by name."""
        e = self.endpoints.get(self.names.get(sender, sender))
        if not e or not source:
            return
        token = self.random.randrange(1, 1 << 32)
        self.tokens[token] = (flow, time.time(), self.names[target])
        packet = crafted.packet(proto, source, ip, self.next_port(), port, token)
        with contextlib.suppress(OSError):
            e.senders[crafted.family_of(ip)].sendto(packet, (ip, 0))
            self.made[flow] += 1

    def next_port(self):
        """Below those that the kernel gives, and not twice: no other connection's entry may answer for a packet."""
        self.n_hostile += 1
        return 10000 + self.n_hostile % 20000

    def send_hostile(self, proto):
        c, s = self.client_ip, self.server_ip
        for sender in ("stranger", "peer"):
            own = self.own.get(sender)
            self.hostile(f"{sender} to server", sender, own, "server", s, proto, PORT)
            self.hostile(f"{sender} as client", sender, c, "server", s, proto, PORT)
            self.hostile(f"{sender} as server", sender, s, "client", c, proto, PORT)
        self.hostile("client to a closed port", "client", c, "server", s, proto, CLOSED)
        self.hostile("server to client", "server", s, "client", c, proto, PORT)

    def open_fresh(self, proto, now):
        s = self.caller(socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
        self.fresh[s] = (proto, now)
        self.made[f"new {proto}"] += 1
        with contextlib.suppress(OSError):
            s.connect_ex((self.server_ip, PORT))
            if proto == "udp":
                s.send(b"new!")
        self.selector.register(s, selectors.EVENT_WRITE if proto == "tcp" else selectors.EVENT_READ, self.on_fresh)

    def on_fresh(self, s):
        proto, _ = self.fresh[s]
        try:
            if proto == "udp":
                s.recv(64)
            elif s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError
        except OSError:
            self.selector.unregister(s)
            return  # judged when its time is up
        self.fresh.pop(s)
        self.forget(s)

    def judge_fresh(self, now):
        for s, (proto, since) in list(self.fresh.items()):
            if now > max(since, self.starved) + ANSWER_BY:
                self.failed[proto].append(since)
                self.fresh.pop(s)
                self.forget(s)

    def tick(self):
        now = time.time()
        if not self.going or now < self.next_tick:
            return
        if now > self.next_tick + 0.1:
            self.starved = now
        self.next_tick = max(self.next_tick + TICK, now)
        self.ticks += 1
        self.judge_fresh(now)
        if self.names["client"] not in self.endpoints or self.names["server"] not in self.endpoints:
            return
        self.stream.tick(now)
        self.datagrams.tick(now)
        if self.ticks % 5 == 0:
            for talk in self.talks.values():
                talk.tick(now)
        self.open_fresh("udp", now)
        if self.ticks % 4 == 0:
            self.open_fresh("tcp", now)
        self.send_hostile("tcp" if self.ticks % 2 else "udp")

    def turn(self, timeout):
        super().turn(TICK / 2 if self.going else timeout)
        self.tick()


if __name__ == "__main__":
    Traffic().run()
