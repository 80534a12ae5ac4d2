# SPDX-License-Identifier: GPL-2.0-or-later
"""One endpoint of the packet matrix: a process inside a network namespace, told what to do by JSON lines.

    agent.py NETNS_PATH NAME      commands on stdin, one answer a line on stdout; ends with stdin

It listens on the tested ports in both families, answers who it is and whom it sees, connects to many targets at once,
sends packets with borrowed addresses, and remembers what arrived. It answers others while it asks. SCTP it speaks
itself (crafted.py), as far as a first chunk and its answer go.
"""
import ctypes
import json
import os
import selectors
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crafted import INIT, INIT_ACK, SCTP, family_of, packets, sctp, sctp_of, simple, token_of  # noqa: E402

CLONE_NEWNET = 0x40000000
IP_PKTINFO = 8
PACKET_OUTGOING = 4
ETHERTYPES = [0x0800, 0x86DD]
# For each family: where all addresses are, how to ask which one a datagram came to, and how to say which one answers.
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
CAME_TO = {socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO), socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)}
LEAVES_AS = {socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO), socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)}
RESEND_AFTER = 0.25  # a UDP question is asked twice: neighbours may not be known yet


def enter(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {path}")
    os.close(fd)


class Agent:
    def __init__(self, name):
        self.name = name
        self.selector = selectors.DefaultSelector()
        self.listening = set()
        self.heard = []    # packets that came in, as token_of() reads them
        self.pending = {}  # socket -> [index, proto, what to send again]
        self.ports = iter(range(20000, 60000))  # of SCTP: the kernel gives none away
        self.answers = []
        self.ended = False
        self.inbox = b""
        self.selector.register(0, selectors.EVENT_READ, self.on_command)

    # -- answering others --

    def serve(self, tcp, udp, sctp=()):
        for family in ANY:
            for port in tcp:
                self.listen(family, socket.SOCK_STREAM, "tcp", port, self.on_connection)
            for port in udp:
                self.listen(family, socket.SOCK_DGRAM, "udp", port, self.on_datagram)
            if sctp and ("sctp", family) not in self.listening:
                s = socket.socket(family, socket.SOCK_RAW, SCTP)
                s.setsockopt(*CAME_TO[family], 1)
                self.watch(s, self.on_chunk, ("sctp", family))
        self.listening |= {("sctp", port) for port in sctp}

    def listen(self, family, kind, proto, port, handler):
        if (proto, port, family) in self.listening:
            return None
        s = socket.socket(family, kind)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if proto == "tcp":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            # with several networks the answer must leave with the address that was asked
            s.setsockopt(*CAME_TO[family], 1)
        s.bind((ANY[family], port))
        if proto == "tcp":
            s.listen(64)
        self.watch(s, handler, (proto, port, family))
        return s

    def watch(self, s, handler, key):
        s.setblocking(False)
        self.selector.register(s, selectors.EVENT_READ, handler)
        self.listening.add(key)

    def answer(self, source):
        return f"{self.name} {source}\n".encode()

    def on_connection(self, listener):
        client, source = listener.accept()
        client.send(self.answer(source[0]))
        client.close()

    @staticmethod
    def came_to(s, size):
        """(data, the address that it was sent to, from where)"""
        data, ancillary, _, source = s.recvmsg(size, 64)
        for level, kind, info in ancillary:
            if (level, kind) == LEAVES_AS[s.family]:
                return data, info[4:8] if s.family == socket.AF_INET else info[:16], source
        return data, None, source

    @staticmethod
    def from_address(s, address):
        """As sendmsg takes it."""
        info = struct.pack("=I4s4s", 0, address, b"\0" * 4) if s.family == socket.AF_INET else address + b"\0" * 4
        return [(*LEAVES_AS[s.family], info)]

    def on_datagram(self, s):
        data, address, source = self.came_to(s, 64)
        if data != b"who?":
            if len(data) >= 4:  # one of crafted.py's, whole
                self.hear((source[0], None, "delivered", s.getsockname()[1], struct.unpack("!I", data[:4])[0]))
            return
        if address:
            s.sendmsg([self.answer(source[0])], self.from_address(s, address), 0, source)

    def on_chunk(self, s):
        data, address, source = self.came_to(s, 2048)
        sport, dport, kind, _ = sctp_of(self.payload(s, data)) or (None,) * 4
        if kind == INIT and address and ("sctp", dport) in self.listening:
            self.send_raw(simple(SCTP, socket.inet_ntop(s.family, address), source[0],
                                 sctp(INIT_ACK, dport, sport, 0x12345678, self.answer(source[0]))), source[0])

    @staticmethod
    def payload(s, data):
        """A raw socket hands out IPv4 with its header, IPv6 without."""
        return data[(data[0] & 15) * 4:] if s.family == socket.AF_INET and data else data

    @staticmethod
    def send_raw(data, to):
        with socket.socket(family_of(to), socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(data, (to, 0))

    # -- asking --

    KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_RAW, SCTP)}

    def ask(self, targets):
        self.answers = [None] * len(targets)
        for index, (ip, proto, port) in enumerate(targets):
            s = socket.socket(family_of(ip), *self.KINDS[proto])
            s.setblocking(False)
            own = next(self.ports) if proto == "sctp" else None
            question = {"tcp": b"", "udp": b"who?", "sctp": own and sctp(INIT, own, port, 0)}[proto]
            try:
                if s.connect_ex((ip, port if proto != "sctp" else 0)) not in (0, 115):  # EINPROGRESS
                    raise OSError("no route")
                if question:
                    s.send(question)
            except OSError:
                s.close()
                continue
            self.pending[s] = [index, own, question]
            self.selector.register(s, selectors.EVENT_READ, self.on_answer)

    def probe(self, targets, timeout):
        """targets: [[ip, proto, port], …] -> [[who, source seen], or null, …], all at once."""
        now = time.monotonic()
        self.ask(targets)
        asked_again = False
        while self.pending and time.monotonic() < now + timeout:
            self.turn(0.05)
            if not asked_again and time.monotonic() > now + RESEND_AFTER:
                asked_again = True
                self.ask_again()
        for s in list(self.pending):
            self.forget(s)
        return self.answers

    def ask_again(self):
        for s, (*_, question) in list(self.pending.items()):
            if question:
                try:
                    s.send(question)
                except OSError:
                    self.forget(s)

    def on_answer(self, s):
        index, own, _ = self.pending[s]
        try:
            data = s.recv(256)
        except OSError:  # refused, unreachable
            data = b""
        if own and data:  # whoever asks the same address by SCTP hears every answer
            _, dport, kind, words = sctp_of(self.payload(s, data)) or (0, 0, 0, b"")
            if (dport, kind) != (own, INIT_ACK):
                return
            data = words
        words = data.decode().split()
        if len(words) == 2:
            self.answers[index] = words
        self.forget(s)

    def forget(self, s):
        del self.pending[s]
        self.selector.unregister(s)
        s.close()

    # -- borrowed addresses --

    def sniff(self):
        for kind in ETHERTYPES:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, self.on_packet)

    def on_packet(self, s):
        data, (_, _, kind, _, _) = s.recvfrom(2048)
        if seen := None if kind == PACKET_OUTGOING else token_of(data):
            self.hear(seen)

    def hear(self, seen):
        if len(self.heard) < 10000:
            self.heard.append(seen)

    def spoof(self, messages):
        """messages: [[proto, src, dst, sport, dport, token, form], …]: sent as they are, source not ours."""
        for proto, src, dst, *rest in messages:
            for data in packets(proto, src, dst, *rest):
                self.send_raw(data, dst)

    # -- what the kernel holds here --

    def generation(self):
        """nf_tables' generation number: it moves with every transaction, ours or another's."""
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
        s.settimeout(2)
        s.send(struct.pack("=IHHII", 20, 10 << 8 | 16, 1, 1, 0) + struct.pack("!BBH", 0, 0, 0))  # GETGEN
        answer = s.recv(4096)
        s.close()
        return struct.unpack("!I", answer[24:28])[0]  # NFTA_GEN_ID comes first

    # -- commands --

    def on_command(self, _):
        data = os.read(0, 65536)
        if not data:
            self.ended = True
        self.inbox += data

    def obey(self, order):
        what = order.pop("do")
        if what == "serve":
            return self.serve(**order)
        if what == "probe":
            return self.probe(**order)
        if what == "sniff":
            return self.sniff()
        if what == "spoof":
            return self.spoof(**order)
        if what == "heard":
            heard, self.heard = self.heard, []
            return heard
        if what == "generation":
            return self.generation()
        raise ValueError(f"unknown order {what}")

    def turn(self, timeout):
        for key, _ in self.selector.select(timeout):
            try:
                key.data(key.fileobj)
            except OSError:
                pass  # a peer that went away is no trouble of ours

    def run(self):
        while not self.ended:
            self.turn(None)
            while b"\n" in self.inbox:
                line, self.inbox = self.inbox.split(b"\n", 1)
                try:
                    answer = {"ok": self.obey(json.loads(line))}
                except (OSError, ValueError, TypeError) as e:
                    answer = {"error": f"{type(e).__name__}: {e}"}
                os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    enter(sys.argv[1])
    Agent(sys.argv[2]).run()
