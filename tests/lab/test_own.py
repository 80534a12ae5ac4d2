# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations of what this host itself begins: "from": "host"."""
import json
import re
import time

import bed as beds
import engine
import pytest
import seed
from talks import Talk, assert_stand, still_heard

CELLS = [("20", "nftables"), ("26", "nftables"), ("28", "nftables"), ("29", "nftables"), ("20", "iptables-nft"), ("26", "iptables-nft"), ("28", "iptables-nft"),
         ("20", "iptables-legacy"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy", "options": seed.WITH_IPV6}, b)
                                                      for v, b in CELLS], indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
SHOP, GATE, SHOP6, GATE6 = "172.18.110.2", "172.18.110.1", "fd18:110::2", "fd18:110::1"
CONFIG = {"networks": {"web": {"subnet": "172.18.110.0/24", "subnet6": "fd18:110::/64", "bridge_name": "br-web"},
                       "inner": {"subnet": "172.18.120.0/24", "subnet6": "fd18:120::/64", "internal": True}},
          "ips": {SHOP: {"container_name": "shop", "ip6": SHOP6}, "172.18.110.3": {"container_name": "caller", "ip6": "fd18:110::3"},
                  "172.18.120.2": {"container_name": "hidden", "ip6": "fd18:120::2"}}, "policies": []}
NAMES = ("shop", "caller", "hidden")


def own(port, to="shop", **more):
    return {"nat": "dnat", "from": "host", "to": to, "port": port, "to_port": 80, "proto": ["tcp", "udp"], **more}


def lay_out(bed):
    for name in NAMES:
        bed.docker.create(name, **({"network": "none"} if name == "hidden" else {}))


def serve(bed):
    """Until link-local addresses of IPv6 are settled, a second after the start, no neighbour is found."""
    bed.prober.serve_at(*NAMES, "peer")
    for name in NAMES:
        assert engine.wait_for(lambda name=name: not re.search("tentative", bed.lab.inside(name, "ip", "-6", "addr").stdout), 5), name


def seen(bed, source, ip, ports, proto):
    return {port: bed.prober.open(source, ip, proto, port) for port in ports}


@every_cell
def test_the_hosts_own_connections_are_translated_and_nobody_elses(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [
            own(8001), own(8002, masquerade=True), own(8003, masquerade=False), own(8004, to="hidden"),
            own(8005, **{"from": ["host", beds.OUTSIDE, beds.OUTSIDE6], "iface": "ext0"}),
            own(8006, iface="ext0", **{"from": "any"})]})
        bed.apply()
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout
        serve(bed)
        ports = (8001, 8002, 8003, 8004, 8005, 8006, 8000)
        for proto in ("tcp", "udp"):
            for host, gate, hidden, peer in ((beds.HOST_IP, GATE, "172.18.120.1", beds.PEER_IP), (beds.HOST_IP6, GATE6, "fd18:120::1", beds.PEER_IP6)):
                assert seen(bed, "host", host, ports, proto) == {
                    8001: ("shop", host), 8002: ("shop", gate), 8003: ("shop", host), 8004: ("hidden", hidden), 8005: ("shop", host),
                    8006: None, 8000: None}
                assert bed.prober.open("host", gate, proto, 8001) == ("shop", gate)
                # not what others send to the same addresses, but for who is named beside the host
                assert seen(bed, "peer", host, ports, proto) == {**dict.fromkeys(ports), 8005: ("shop", peer), 8006: ("shop", peer)}
                assert not bed.prober.open("caller", gate, proto, 8001)
            for loopback in ("127.0.0.1", "127.0.0.2", "::1"):
                assert not bed.prober.open("host", loopback, proto, 8001)
        # core/reach says the same
        assert explained(bed, 8001)["verdict"] == "allowed" and "shop" in translated(explained(bed, 8001))
        assert not translated(explained(bed, 8000)) and not translated(explained(bed, 8006))
        for source in ("ext0", "br-web"):
            assert not translated(json.loads(bed.harborwall("explain", source, "host", "8001", "--json").stdout))


def explained(bed, port):
    return json.loads(bed.harborwall("explain", "host", "host", str(port), "--json").stdout)


def translated(told):
    return " ".join(h["text"] for h in told["path"] if h["verdict"] == "translated")


@every_cell
def test_a_connection_of_the_hosts_own_ends_with_its_policy(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [own(7001, to_port=7003), own(7002, to_port=7004)]})
        bed.apply()
        gone, stays = (Talk(bed, "tcp", "host", "shop", beds.HOST_IP, port, served=port + 2) for port in (7001, 7002))
        assert_stand([gone, stays])
        bed.write({**CONFIG, "policies": [own(7002, to_port=7004)]})
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard([gone], ended + 0.5)
        assert stays.lives()
        assert bed.harborwall("plan").returncode == 0


@every_cell
def test_masquerade_false_is_kept_where_other_policies_masquerade(lab, backend):
    """On the same target and port, from its own network and from the host."""
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)

        def hairpin(port, **more):
            return {"nat": "dnat", "iface": "br-web", "to": "shop", "port": port, "to_port": 80, **more}
        bed.write({**CONFIG, "policies": [
            hairpin(8001), hairpin(8002, masquerade=True), hairpin(8003, masquerade=False), hairpin("8010-8019"),
            hairpin("8020-8029", masquerade=False), hairpin(8030, masquerade=False, **{"from": "172.18.120.0/24"}),
            own(8002, masquerade=False), own(8003, masquerade=True), own("8020-8029", masquerade=True), own("8010-8019", masquerade=False)]})
        bed.apply()
        serve(bed)
        for host, gate, caller in ((beds.HOST_IP, GATE, "172.18.110.3"), (beds.HOST_IP6, GATE6, "fd18:110::3")):
            assert seen(bed, "caller", gate, (8001, 8002, 8011), "tcp") == dict.fromkeys((8001, 8002, 8011), ("shop", gate))
            told = [bed.harborwall("explain", "caller", gate, str(port)).stdout for port in (8001, 8002, 8003, 8011, 8022)]
            assert ["masqueraded: it comes from this host" in text for text in told] == [True, True, False, True, False], told
            # the target sees who calls, and answers him over the bridge itself: he takes no answer from there
            for port in (8003, 8022):
                assert bed.prober.open("caller", gate, "tcp", port) in (None, ("shop", caller))
                assert caller in sources_seen(bed, caller, gate, port)
            assert seen(bed, "host", host, (8002, 8003, 8022, 8011), "tcp") == {
                8002: ("shop", host), 8003: ("shop", gate), 8022: ("shop", gate), 8011: ("shop", host)}


def sources_seen(bed, caller, gate, port):
    """Of conntrack's entries of this port: whom the target answers."""
    family = "ipv6" if ":" in gate else "ipv4"
    lines = [line for line in bed.lab.run("conntrack", "-L", "-f", family, "-p", "tcp", check=False).stdout.splitlines() if f"dport={port} " in line]
    assert lines, port
    return {line.split("dst=")[2].split()[0] for line in lines}
