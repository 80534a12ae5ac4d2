# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of ICMP: "icmp/echo-request" lets ping through and nothing else of ICMP, in both families."""
import json
import sys
import time

import bed as beds
import engine
import pytest
import seed

CELLS = [("20", "nftables"), ("26", "nftables"), ("28", "nftables"), ("29", "nftables"), ("20", "iptables-nft"), ("26", "iptables-nft"), ("28", "iptables-nft"),
         ("20", "iptables-legacy"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy", "options": seed.WITH_IPV6}, b)
                                                      for v, b in CELLS], indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
SHOP, SHOP6, DB, DB6 = "172.18.110.2", "fd18:110::2", "172.18.111.2", "fd18:111::2"
CONFIG = {"networks": {"web": {"subnet": "172.18.110.0/24", "subnet6": "fd18:110::/64"},
                       "back": {"subnet": "172.18.111.0/24", "subnet6": "fd18:111::/64", "egress": "deny"}},
          "ips": {SHOP: {"container_name": "shop", "ip6": SHOP6}, DB: {"container_name": "db", "ip6": DB6}}, "policies": []}
PING = "icmp/echo-request"
# of what begins something, and what does not: echo, timestamp, information, address mask; an answer, an unknown one
TYPES, TYPES6 = (8, 13, 15, 17, 0, 42), (128, 139, 129, 200)

TOOL = """import os, select, socket, struct, sys, time
do, family, ip = sys.argv[1], socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, sys.argv[2]
s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP)
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return 0xffff & ~(total + (total >> 16))
def send(kind, ident):
    data = struct.pack("!BBHHHQ", kind, 0, 0, ident, 7, 0x6861726200000000 + ident)
    if family == socket.AF_INET:
        data = data[:2] + struct.pack("!H", checksum(data)) + data[4:]
    s.sendto(data, (ip, 0))
if do == "send":
    for turn in range(3):  # a neighbour may have to be found first
        for kind in map(int, sys.argv[4:]):
            send(kind, int(sys.argv[3]) + kind)
        time.sleep(0.2)
elif do == "go-on":  # one connection that does not end
    while True:
        send(int(sys.argv[3]), 77)
        time.sleep(0.1)
else:
    print("listens", file=sys.stderr, flush=True)
    while True:
        data = s.recv(2048)
        data = data if family == socket.AF_INET6 else data[4 * (data[0] & 15):]
        if b"harb" in data:
            print(f"{time.monotonic():.3f}", data[0], file=sys.stderr, flush=True)
"""


def within(bed, endpoint):
    if endpoint == "host":
        return []
    if endpoint in bed.docker.containers():
        return ["nsenter", "-t", str(bed.docker.inspect(endpoint)["State"]["Pid"]), "-n"]
    return ["ip", "netns", "exec", endpoint]


def start(bed, endpoint, *words):
    return bed.lab.spawn(*within(bed, endpoint), sys.executable, "-I", "-S", "-c", TOOL, *map(str, words))


class Listener:
    def __init__(self, bed, endpoint, ip):
        self.process = start(bed, endpoint, "listen", "::" if ":" in ip else "0.0.0.0")
        assert engine.wait_for(lambda: "listens" in self.process.log(), 10), self.process.log()

    def types(self, since=0.0):
        return {int(kind) for at, kind in (line.split() for line in self.process.log().splitlines() if line[:1].isdigit()) if float(at) > since}


def arrive(bed, source, target, ip, asked=None, ident=1000):
    """Which types come to the target, when the source sends all of them to this address."""
    listener = Listener(bed, target, ip)
    bed.lab.run(*within(bed, source), sys.executable, "-I", "-S", "-c", TOOL, "send", asked or ip, str(ident), *map(str, TYPES6 if ":" in ip else TYPES))
    time.sleep(0.3)
    listener.process.process.kill()
    return listener.types()


def lay_out(bed):
    for name in ("shop", "db"):
        bed.docker.create(name)


@every_cell
def test_ping_passes_and_no_other_type(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [
            {"selector": "db", "from": "shop", "proto": ["tcp", PING]},
            {"selector": "shop", "from": "any", "proto": PING},
            {"selector": "db", "to": [beds.OUTSIDE, beds.OUTSIDE6], "proto": PING}]})
        bed.apply()
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout
        bed.prober.serve_at("shop", "db", "peer")
        for shop, db, peer, ping in ((SHOP, DB, beds.PEER_IP, {8}), (SHOP6, DB6, beds.PEER_IP6, {128})):
            assert arrive(bed, "shop", "db", db) == ping
            assert arrive(bed, "peer", "shop", shop) == ping and arrive(bed, "peer", "db", db) == set()
            assert arrive(bed, "db", "peer", peer) == ping  # out of a network with egress deny
            assert arrive(bed, "db", "shop", shop) == ping
            told = json.loads(bed.harborwall("explain", "shop", db, PING, "--packet", "--json").stdout)
            assert (told["verdict"], told["packet"]["verdict"]) == ("allowed", "passed"), told
            assert json.loads(bed.harborwall("explain", "shop", db, "icmp", "--json").stdout)["verdict"] == "partly"
        assert bed.prober.open("shop", DB, "tcp", 80) and not bed.prober.open("db", SHOP, "tcp", 80)
        # all of ICMP is what it was
        bed.write({**CONFIG, "policies": [{"selector": "db", "from": "shop", "proto": "icmp"}]})
        bed.apply()
        assert {8, 13} <= arrive(bed, "shop", "db", DB) <= {8, 13, 15, 17} and arrive(bed, "shop", "db", DB6) == {128, 139}
        assert arrive(bed, "db", "peer", beds.PEER_IP) == set() and arrive(bed, "peer", "shop", SHOP) == set()


@every_cell
def test_pings_that_go_on_end_with_their_policy(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [{"selector": "db", "from": "shop", "proto": "icmp"}]})
        bed.apply()
        listeners = [Listener(bed, "db", ip) for ip in (DB, DB6)]
        for ip, kind in ((DB, 8), (DB, 13), (DB6, 128), (DB6, 139)):
            start(bed, "shop", "go-on", ip, kind)
        assert engine.wait_for(lambda: [li.types() for li in listeners] == [{8, 13}, {128, 139}], 5)

        def heard():
            since = time.monotonic() + 0.3
            time.sleep(1.3)
            return [li.types(since) for li in listeners]
        bed.write({**CONFIG, "policies": [{"selector": "db", "from": "shop", "proto": PING}]})
        bed.apply()
        assert heard() == [{8}, {128}]
        bed.write(CONFIG)
        bed.apply()
        assert heard() == [set(), set()]


@every_cell
def test_ping_alone_is_translated(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [{"nat": "dnat", "iface": "ext0", "to": "shop", "proto": PING},
                                          {"nat": "dnat", "from": "host", "to": "db", "proto": PING}]})
        bed.apply()
        bed.prober.serve_at("shop", "db", "peer")
        for shop, db, host, ping in ((SHOP, DB, beds.HOST_IP, {8}), (SHOP6, DB6, beds.HOST_IP6, {128})):
            assert arrive(bed, "peer", "shop", shop, host) == ping
            assert arrive(bed, "peer", "shop", shop, ident=3000) == set()
            assert arrive(bed, "host", "db", db, host) == ping
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout
