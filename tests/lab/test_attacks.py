# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container tries that may do anything in its namespace (NET_ADMIN, NET_RAW): nothing of it reaches a neighbour in a
strict network. Each attack is seen to work in the same network before it is strict, and has a line of its own in the
report."""
import random
import socket
import struct
import threading
import time

import bed as beds
import engine
import pytest
from agent import PACKET_OUTGOING, enter
from crafted import ICMP6, packed, packets, summed
from test_strict import BACK, GUEST, GUEST6, SAFE, SAFE6, SHOP, SHOP6, TILL, TILL6, WEB, WEB6, World

LINES = []  # for the report
ENGINES = [{"version": v} for v in ("20", "28")]
IPV4, IPV6, ARP, VLAN, SERVICE_VLAN, PRIVATE = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x88B5
BROADCAST = b"\xff" * 6
FLOOD = 2000
POLICIES = [{"selector": "shop", "from": "safe", "port": [53, 80], "proto": ["tcp", "udp"]}]  # whoever passes for the safe gets in


def within(path, make):
    """What make() returns, made in that network namespace: a socket belongs to the one where it was made."""
    made = []

    def work():
        enter(path)
        made.append(make())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return made[0]


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def text_of(hardware):
    return ":".join(f"{byte:02x}" for byte in hardware)


def link_local(hardware):
    return socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + b"\0" * 6 + bytes([hardware[0] ^ 2]) + hardware[1:3] + b"\xff\xfe" + hardware[3:])


class Seat:
    """A container's interface on the network: a socket for its frames, and the token of each frame that came in."""

    def __init__(self, bed, name, ip):
        listing = bed.lab.inside(name, "ip", "-o", "addr").stdout.splitlines()
        self.name, self.device = name, next(line.split()[1] for line in listing if f" {ip}/" in line)
        self.mac = mac(bed.lab.inside(name, "cat", f"/proc/self/root/sys/class/net/{self.device}/address", check=False).stdout.strip()
                       or bed.lab.inside(name, "ip", "-o", "link", "show", self.device).stdout.split("link/ether ")[1].split()[0])
        self.socket = within(bed.lab.netns(name), lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self.socket.bind((self.device, 3))
        self.socket.setblocking(False)

    def send(self, *frames):
        for frame in frames:
            self.socket.send(frame)

    def heard(self):
        """Frames that came in since it was asked last."""
        frames = []
        while True:
            try:
                data, (_, _, kind, _, _) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return frames
            if kind != PACKET_OUTGOING:
                frames.append(data)


def arp_reply(source, ip, to, to_ip):
    return frame(to, source, ARP, struct.pack("!HHBBH", 1, IPV4, 6, 4, 2) + source + packed(ip) + to + packed(to_ip))


def advertisement(source, source_ip, ip, to, to_ip):
    """An unsolicited one that overrides: ip is at source."""
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + packed(ip) + b"\2\1" + source
    body = summed(ICMP6, source_ip, to_ip, body, 2)
    return frame(to, source, IPV6, struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 255) + packed(source_ip) + packed(to_ip) + body)


def frame(to, source, kind, data):
    return to + source + struct.pack("!H", kind) + data


class Scene:
    """till is the thief, shop the one it is after, safe who may reach the shop."""

    def __init__(self, world):
        self.world, self.bed = world, world.bed
        self.thief = Seat(self.bed, "till", TILL)
        self.shop, self.safe, self.guest = (Seat(self.bed, name, ip) for name, ip in (("shop", SHOP), ("safe", SAFE), ("guest", GUEST)))
        line = next(li for li in self.bed.lab.run("ip", "-o", "addr").stdout.splitlines() if f" {WEB}.1/" in li)
        self.bridge = line.split()[1]
        self.host = mac(self.bed.lab.run("ip", "-o", "link", "show", self.bridge).stdout.split("link/ether ")[1].split()[0])
        self.tokens = iter(range(random.randrange(1 << 28, 1 << 31), 1 << 32))

    def everyone(self):
        return (self.shop, self.safe, self.guest)

    def reached(self, frames):
        """How many neighbours hear of it, of frames that bear a token. frames: token -> what the thief sends."""
        token = next(self.tokens)
        for seat in self.everyone():
            seat.heard()
        for _ in range(3):
            self.thief.send(*frames(token))
            time.sleep(0.05)
        time.sleep(0.2)
        return sum(any(struct.pack("!I", token) in data for data in seat.heard()) for seat in self.everyone())

    def udp(self, token, source, src, dst, form="plain"):
        """To the shop itself, and by the host."""
        kind = IPV6 if ":" in dst else IPV4
        datagrams = packets("udp", src, dst, 4000, 53, token, form)
        return [frame(to, source, kind, data) for to in (self.shop.mac, self.host) for data in datagrams]

    def meet(self):
        """Everybody knows whom to look for: the hosts and the shop's tables have their neighbours, since just now: of an older
        entry the kernel asks the owner again."""
        for seat in self.everyone():
            self.bed.lab.inside(seat.name, "ip", "neigh", "flush", "all", check=False)
        self.world.open([("shop", SAFE, "tcp", 80), ("shop", SAFE6, "tcp", 80), ("safe", SHOP, "tcp", 80), ("safe", SHOP6, "tcp", 80),
                         *(("host", ip, "tcp", 80) for ip in (SHOP, SHOP6, GUEST, GUEST6))])
        time.sleep(1.2)  # a table does not take another address for a second

    def tables(self, name):
        return (self.bed.lab.run if name == "host" else lambda *c: self.bed.lab.inside(name, *c))("ip", "neigh").stdout

    def is_fooled(self, name, ip):
        """The table has the thief's hardware address for that one."""
        return any(line.startswith(f"{ip} ") and text_of(self.thief.mac) in line for line in self.tables(name).splitlines())

    def spoof(self, whom, ip, frames):
        self.meet()
        for _ in range(3):
            self.thief.send(*frames)
            time.sleep(0.3)
        return int(self.is_fooled(whom, ip))

    def port_of(self, hardware):
        lines = self.bed.lab.run("bridge", "fdb", "show", "br", self.bridge).stdout.splitlines()
        return next((li.split()[2] for li in lines if li.startswith(text_of(hardware)) and " self" not in li), None)


# --- the attacks: each says how many it reached ---

def raw_frames(s):
    return s.reached(lambda token: [frame(s.shop.mac, s.thief.mac, PRIVATE, struct.pack("!I", token) * 12)])


def vlan_tags(s):
    return s.reached(lambda token: [frame(to, s.thief.mac, VLAN, struct.pack("!HH", vid, IPV4) + packets("udp", TILL, SHOP, 4000, 53, token)[0])
                                    for to in (s.shop.mac, s.host, BROADCAST) for vid in (0, 1, 5)])


def broadcast(s):
    return s.reached(lambda token: [frame(BROADCAST, s.thief.mac, IPV4, packets("udp", TILL, ip, 4000, 53, token)[0])
                                    for ip in ("255.255.255.255", f"{WEB}.255", SHOP)] +
                     [frame(BROADCAST, s.thief.mac, PRIVATE, struct.pack("!I", token) * 12)])


def multicast(s):
    return s.reached(lambda token: [frame(b"\x01\x00\x5e\x00\x00\x01", s.thief.mac, IPV4, packets("udp", TILL, "224.0.0.1", 4000, 53, token)[0]),
                                    frame(b"\x01\x00\x5e\x01\x02\x03", s.thief.mac, IPV4, packets("udp", TILL, "239.1.2.3", 4000, 53, token)[0]),
                                    frame(b"\x33\x33\x00\x00\x00\x01", s.thief.mac, IPV6, packets("udp", TILL6, "ff02::1", 4000, 53, token)[0])])


def link_local_ipv6(s):
    return s.reached(lambda token: [frame(to, s.thief.mac, IPV6, packets("udp", source, link_local(s.shop.mac), 4000, 53, token)[0])
                                    for to in (s.shop.mac, s.host) for source in (link_local(s.thief.mac), TILL6)])


def borrowed_ip(s):
    return s.reached(lambda token: s.udp(token, s.thief.mac, SAFE, SHOP))


def borrowed_ip6(s):
    return s.reached(lambda token: s.udp(token, s.thief.mac, SAFE6, SHOP6))


def borrowed_mac(s):
    return s.reached(lambda token: s.udp(token, s.safe.mac, TILL, SHOP))


def borrowed_both(s):
    return s.reached(lambda token: s.udp(token, s.safe.mac, SAFE, SHOP))


def borrowed_both6(s):
    return s.reached(lambda token: s.udp(token, s.safe.mac, SAFE6, SHOP6))


def the_hosts_own(s):
    return s.reached(lambda token: s.udp(token, s.thief.mac, f"{WEB}.1", SHOP) + s.udp(token, s.host, f"{WEB}.1", SHOP))


def own_fragments(s):
    return s.reached(lambda token: [f for form in ("fragments", "last fragment first") for f in s.udp(token, s.thief.mac, TILL, SHOP, form)])


def borrowed_fragments(s):
    return s.reached(lambda token: s.udp(token, s.thief.mac, SAFE, SHOP, "fragments") + s.udp(token, s.thief.mac, SAFE6, SHOP6, "fragments"))


def foreign_fragment(s):
    """The safe sends the first part of a datagram, which it may, and the thief the last one."""
    def parts(token):
        first, _ = packets("udp", SAFE, SHOP, 4000, 53, 1, "fragments")
        last = packets("udp", SAFE, SHOP, 4000, 53, 1, "fragments")[1]
        last = last[:20] + struct.pack("!I", token) + last[24:]
        for to in (s.shop.mac, s.host):
            s.safe.send(frame(to, s.safe.mac, IPV4, first))
        return [frame(to, s.thief.mac, IPV4, last) for to in (s.shop.mac, s.host)]
    return s.reached(parts)


def second_address(s):
    return s.reached(lambda token: s.udp(token, s.thief.mac, f"{WEB}.99", SHOP) + s.udp(token, s.thief.mac, f"{WEB6}:99", SHOP6) +
                     s.udp(token, s.thief.mac, f"{BACK}.2", SHOP))


def arp_to_neighbour(s):
    return s.spoof("shop", SAFE, [arp_reply(s.thief.mac, SAFE, to, SHOP) for to in (s.shop.mac, BROADCAST)])


def nd_to_neighbour(s):
    return s.spoof("shop", SAFE6, [advertisement(s.thief.mac, source, SAFE6, to, ip) for source in (SAFE6, TILL6, link_local(s.thief.mac))
                                   for to, ip in ((s.shop.mac, SHOP6), (b"\x33\x33\x00\x00\x00\x01", "ff02::1"))])


def arp_to_host(s):
    return s.spoof("host", SHOP, [arp_reply(s.thief.mac, SHOP, s.host, f"{WEB}.1")])


def nd_to_host(s):
    return s.spoof("host", SHOP6, [advertisement(s.thief.mac, source, SHOP6, s.host, f"{WEB6}:1")
                                   for source in (SHOP6, TILL6, link_local(s.thief.mac))])


def arp_of_guest(s):
    return s.spoof("host", GUEST, [arp_reply(s.thief.mac, GUEST, s.host, f"{WEB}.1")])


def nd_of_guest(s):
    return s.spoof("host", GUEST6, [advertisement(s.thief.mac, source, GUEST6, s.host, f"{WEB6}:1")
                                    for source in (GUEST6, TILL6, link_local(s.thief.mac))])


def tagged_twice(s):
    """The host takes off any number of tags of VLAN 0 before it looks what is in the frame."""
    def twice(data, inner=VLAN):
        return data[:12] + struct.pack("!HHHH", VLAN, 0, inner, 0) + data[12:]
    return sum(s.spoof("host", ip, [twice(data, inner) for data in frames for inner in (VLAN, SERVICE_VLAN)]) for ip, frames in (
        (SHOP, [arp_reply(s.thief.mac, SHOP, s.host, f"{WEB}.1")]),
        (SHOP6, [advertisement(s.thief.mac, source, SHOP6, s.host, f"{WEB6}:1") for source in (TILL6, link_local(s.thief.mac))])))


def discovery(s, kind, source, body):
    """Neighbour discovery of that type, to the host."""
    body = summed(ICMP6, source, f"{WEB6}:1", struct.pack("!BBH", kind, 0, 0) + body, 2)
    return frame(s.host, s.thief.mac, IPV6, struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 255) + packed(source) + packed(f"{WEB6}:1") + body)


def router(s):
    """On a host whose bridge takes what routers say: Docker turns that off."""
    def accept(value):
        s.bed.lab.run("sh", "-c", f"echo {value} >/proc/sys/net/ipv6/conf/{s.bridge}/accept_ra")

    accept(2)
    s.thief.send(discovery(s, 134, link_local(s.thief.mac), struct.pack("!BBHII", 64, 0, 1800, 0, 0)))
    time.sleep(0.3)
    found = s.bed.lab.run("ip", "-6", "route", "show", "default").stdout
    accept(0)
    s.bed.lab.run("ip", "-6", "route", "flush", "root", "::/0", "proto", "ra")
    return int(link_local(s.thief.mac) in found)


def crowd(s):
    """Many that ask for the host: its table of neighbours has a bound for all of its networks."""
    for i in range(FLOOD // 4):
        s.thief.send(discovery(s, 135, f"fe80::48:57:{i:x}", bytes(4) + packed(f"{WEB6}:1") + b"\1\1" + s.thief.mac))
    found = s.tables("host")
    s.bed.lab.run("ip", "-6", "neigh", "flush", "dev", s.bridge)
    return found.count("fe80::48:57:")


def stolen_port(s):
    """The forwarding table sends what is for the safe to the thief."""
    s.meet()
    own = s.port_of(s.thief.mac)
    for _ in range(5):
        s.thief.send(frame(s.host, s.safe.mac, PRIVATE, b"\0" * 46))
    return int(s.port_of(s.safe.mac) == own is not None)


def flooded_table(s):
    for i in range(FLOOD):
        s.thief.send(frame(s.host, b"\x02\x48\x57" + struct.pack("!I", i)[1:], PRIVATE, b"\0" * 46))
    listing = s.bed.lab.run("bridge", "fdb", "show", "br", s.bridge).stdout
    return sum(line.startswith("02:48:57:") for line in listing.splitlines())


def first_moment(s):
    """From its first packet on; the shop hears who asks for it, and what is broadcast."""
    own = mac(s.bed.docker.inspect("early")["NetworkSettings"]["Networks"]["web"].get("MacAddress") or "0") or None
    found = 0
    for _ in range(4):
        s.bed.docker.stop("early")
        for seat in s.everyone():
            seat.heard()
        s.bed.docker.start("early")
        own = mac(s.bed.docker.inspect("early")["NetworkSettings"]["Networks"]["web"]["MacAddress"])
        time.sleep(0.6)
        found += sum(data[6:12] == own and data[12:14] in (b"\x08\x00", b"\x08\x06", b"\x86\xdd") for seat in s.everyone() for data in seat.heard())
    return found


ATTACKS = {
    "ARP spoofing, a neighbour's table": arp_to_neighbour, "ND spoofing, a neighbour's table": nd_to_neighbour,
    "ARP spoofing, the host's table": arp_to_host, "ND spoofing, the host's table": nd_to_host,
    "ARP spoofing, the host's table, of an undeclared container": arp_of_guest,
    "ND spoofing, the host's table, of an undeclared container": nd_of_guest,
    "ARP and ND spoofing within two tags, the host's table": tagged_twice,
    "router advertisements, the host's routes": router, "flooding of the host's table of neighbours": crowd,
    "borrowed IP": borrowed_ip, "borrowed IP, IPv6": borrowed_ip6, "borrowed MAC": borrowed_mac, "borrowed MAC and IP": borrowed_both,
    "borrowed MAC and IP, IPv6": borrowed_both6, "the host's own addresses": the_hosts_own, "raw EtherTypes": raw_frames, "VLAN tags": vlan_tags,
    "broadcast": broadcast, "multicast": multicast, "link-local IPv6": link_local_ipv6, "fragments": own_fragments,
    "fragments with a borrowed IP": borrowed_fragments, "a fragment of a neighbour's datagram": foreign_fragment,
    "a second address": second_address, "a neighbour's place in the forwarding table": stolen_port,
    "flooding of the forwarding table": flooded_table, "the first moment after start": first_moment,
}


@pytest.mark.parametrize("lab", ENGINES, indirect=True, ids=lambda p: f"docker {p['version']}")
def test_no_attack_reaches_a_neighbour(lab):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": "nftables"}) as bed:
        world = World(bed)
        bed.docker.create("early", network="web", ip=f"{WEB}.77", ip6=f"{WEB6}:77", command=f"ping -c 1 -W 1 {SHOP}; ping -c 1 -W 1 {WEB}.99")
        scene = Scene(world)
        open_ = {name: attack(scene) or attack(scene) for name, attack in ATTACKS.items()}  # on a busy machine one may come too late
        bed.lab.run("ip", "neigh", "flush", "all")
        world.apply("strict", POLICIES)
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        world.assert_open([("safe", SHOP, "tcp", 80), ("safe", SHOP6, "udp", 53)])
        strict = {name: attack(scene) for name, attack in ATTACKS.items()}
        world.assert_open([("safe", SHOP, "tcp", 80), ("safe", SHOP6, "udp", 53)])
        world.assert_closed([("till", SHOP, "tcp", 80), ("till", SHOP6, "udp", 53)])
        daemon.end()
    LINES.extend(f"attack: docker {lab.version}: {name}: {open_[name]} reached where the network is not strict, {strict[name]} where it is"
                 for name in ATTACKS)
    assert not [name for name, n in open_.items() if not n], "the attack does nothing anywhere"
    assert not [name for name, n in strict.items() if n], "reached"
