# SPDX-License-Identifier: GPL-2.0-or-later
"""One endpoint of the packet matrix: a process inside a network namespace, told what to do by JSON lines.

    agent.py NETNS_PATH NAME      commands on stdin, one answer a line on stdout; ends with stdin

SCTP it speaks itself, as far as a first chunk and its answer go: the kernel need not know more of it than conntrack
does. It listens on the tested ports, answers who it is and whom it sees, connects to many targets at once,
sends packets with borrowed addresses, and remembers what arrived. It answers others while it asks.
"""
import ctypes
import json
import os
import selectors
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
IP_PKTINFO = 8
SCTP, INIT, INIT_ACK, COOKIE = 132, 1, 2, 7
PACKET_OUTGOING = 4
RESEND_AFTER = 0.25  # a UDP question is asked twice: neighbours may not be known yet


def enter(path):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {path}")
    os.close(fd)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sctp(kind, sport, dport, tag, words=b""):
    """One chunk that begins an association (RFC 9260), or answers; words go where an answer has its cookie."""
    cookie = struct.pack("!HH", COOKIE, 4 + len(words)) + words + b"\0" * (-len(words) % 4) if words else b""
    chunk = struct.pack("!BBHIIHHI", kind, 0, 20 + len(cookie), 0x12345678, 65536, 1, 1, 1) + cookie
    head = struct.pack("!HHII", sport, dport, tag, 0)
    return head[:8] + struct.pack("<I", crc32c(head + chunk)) + chunk


def sctp_of(data):
    """(src, dst, sport, dport, kind, words) of an IP packet as sctp() makes them, else None."""
    body = data[(data[0] & 15) * 4:]
    if len(body) < 32 or body[12] not in (INIT, INIT_ACK):
        return None
    words = body[36:32 + struct.unpack("!H", body[34:36])[0]] if len(body) > 36 else b""
    return (socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), *struct.unpack("!HH", body[:4]), body[12], words)


def ip_packet(number, src, dst, body):
    addresses = socket.inet_aton(src) + socket.inet_aton(dst)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, number, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def packet(proto, src, dst, sport, dport, token):
    """An IP packet whose token (32 bits) is the TCP sequence number or the UDP payload."""
    addresses = socket.inet_aton(src) + socket.inet_aton(dst)
    if proto == "tcp":
        number = 6
        body = struct.pack("!HHIIBBHHH", sport, dport, token, 0, 5 << 4, 0x02, 64240, 0, 0)
        place = 16
    else:
        number = 17
        body = struct.pack("!HHHHI", sport, dport, 12, 0, token)
        place = 6
    total = checksum(addresses + struct.pack("!BBH", 0, number, len(body)) + body)
    return ip_packet(number, src, dst, body[:place] + struct.pack("!H", total) + body[place + 2:])


def token_of(data):
    """(src, dst, proto, dport, token) of a packet as packet() makes them, else None."""
    if len(data) < 20:
        return None
    size, number = (data[0] & 15) * 4, data[9]
    body = data[size:]
    if number == 6 and len(body) >= 20 and body[13] & 0x12 == 0x02:
        token = struct.unpack("!I", body[4:8])[0]
    elif number == 17 and len(body) >= 12:
        token = struct.unpack("!I", body[8:12])[0]
    else:
        return None
    return (socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]),
            "tcp" if number == 6 else "udp", struct.unpack("!H", body[2:4])[0], token)


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
        for port in tcp:
            if ("tcp", port) not in self.listening:
                s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("0.0.0.0", port))
                s.listen(64)
                self.watch(s, self.on_connection, ("tcp", port))
        for port in udp:
            if ("udp", port) not in self.listening:
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                # With several networks the answer must leave with the address that was asked.
                s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
                s.bind(("0.0.0.0", port))
                self.watch(s, self.on_datagram, ("udp", port))
        if sctp and ("sctp", 0) not in self.listening:
            self.watch(socket.socket(socket.AF_INET, socket.SOCK_RAW, SCTP), self.on_chunk, ("sctp", 0))
        self.listening |= {("sctp", port) for port in sctp}

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

    def on_datagram(self, s):
        data, ancillary, _, source = s.recvmsg(64, 64)
        info = [d for level, kind, d in ancillary if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)]
        if data != b"who?" or not info:
            return
        reply_from = struct.pack("=I4s4s", 0, info[0][4:8], b"\0" * 4)
        s.sendmsg([self.answer(source[0])], [(socket.IPPROTO_IP, IP_PKTINFO, reply_from)], 0, source)

    def on_chunk(self, s):
        src, dst, sport, dport, kind, _ = sctp_of(s.recv(2048)) or (None,) * 6
        if kind == INIT and ("sctp", dport) in self.listening:
            self.send_raw(ip_packet(SCTP, dst, src, sctp(INIT_ACK, dport, sport, 0x12345678, self.answer(src))), src)

    @staticmethod
    def send_raw(data, to):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(data, (to, 0))

    # -- asking --

    KINDS = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_RAW, SCTP)}

    def ask(self, targets):
        self.answers = [None] * len(targets)
        for index, (ip, proto, port) in enumerate(targets):
            s = socket.socket(socket.AF_INET, *self.KINDS[proto])
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
            *_, dport, kind, words = sctp_of(data) or (0, 0, b"")
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
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        s.setblocking(False)
        self.selector.register(s, selectors.EVENT_READ, self.on_packet)

    def on_packet(self, s):
        data, (_, _, kind, _, _) = s.recvfrom(2048)
        seen = None if kind == PACKET_OUTGOING else token_of(data)
        if seen and len(self.heard) < 10000:
            self.heard.append(seen)

    def spoof(self, packets):
        """packets: [[proto, src, dst, sport, dport, token], …]: sent as they are, source not ours."""
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for proto, src, dst, sport, dport, token in packets:
            s.sendto(packet(proto, src, dst, sport, dport, token), (dst, 0))
        s.close()

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
