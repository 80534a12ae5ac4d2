# SPDX-License-Identifier: GPL-2.0-or-later
"""A port of its own at the target for each port that is asked for: "to_port" as a range or a list."""
import json
import time

import bed as beds
import pytest
import seed
from talks import Talk, assert_stand, still_heard

CELLS = [("20", "nftables"), ("26", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft"),
         ("20", "iptables-legacy"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy", "options": seed.WITH_IPV6}, b)
                                                      for v, b in CELLS], indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
SHOP, SHOP6 = "172.18.110.2", "fd18:110::2"
CONFIG = {"networks": {"web": {"subnet": "172.18.110.0/24", "subnet6": "fd18:110::/64"},
                       "back": {"subnet": "172.18.111.0/24", "subnet6": "fd18:111::/64"}},
          "ips": {SHOP: {"container_name": "shop", "ip6": SHOP6}, "172.18.110.3": {"container_name": "till", "ip6": "fd18:110::3"},
                  "172.18.111.2": {"container_name": "db", "ip6": "fd18:111::2"}}, "policies": []}
SERVED = [9000, 9002, 8443]  # nobody serves the ports between: what is led there gets no answer
PEER = {4: (beds.HOST_IP, beds.PEER_IP), 6: (beds.HOST_IP6, beds.PEER_IP6)}


def dnat(port, to_port, to="shop", **more):
    return {"nat": "dnat", "iface": "ext0", "to": to, "port": port, "to_port": to_port, "proto": ["tcp", "udp"], **more}


def lay_out(bed):
    for name in ("shop", "till", "db"):
        bed.docker.create(name, network="none")  # a server on two networks answers from either


def bed_of(lab, backend):
    return beds.Bed(lab, tcp=SERVED, udp=SERVED, env={"HARBORWALL_BACKEND": backend})


def who(bed, source, ip, proto, *ports):
    """Which container answers at each port of this address."""
    found = [bed.prober.open(source, ip, proto, port) for port in ports]
    return [answer and answer[0] for answer in found]


def explained(bed, source, port):
    told = json.loads(bed.harborwall("explain", source, "host", str(port), "--in", "ext0", "--json").stdout)
    return next((h["text"] for h in told["path"] if h["verdict"] == "translated"), None)


@every_cell
def test_each_port_is_led_to_its_own(lab, backend):
    with bed_of(lab, backend) as bed:
        lay_out(bed)
        bed.docker.create("vpn", privileged_net=True)
        bed.wire_tunnel("vpn")
        bed.write({**CONFIG, "policies": [
            dnat("8000-8003", "9000-9003"), dnat([443, 80], [8443, 9001]),
            dnat(["7000-7001", 7005], ["9001-9002", 9005], to=["shop", "till"], **{"from": ["192.0.2.0/24", "2001:db8:2::/64"]}),
            dnat([6000, 6001], [9002, 9001], name="vpn", iface="wg0", to="db"),
            {"nat": "dnat", "from": "host", "to": "db", "port": ["5000-5001", 5005], "to_port": ["9001-9002", 9000], "masquerade": True}]})
        bed.apply()
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout
        bed.prober.serve_at("shop", "till", "db", "peer", "client")
        for host, peer in PEER.values():
            for proto in ("tcp", "udp"):
                assert who(bed, "peer", host, proto, 8000, 8001, 8002, 8003) == ["shop", None, "shop", None]
                assert who(bed, "peer", host, proto, 443, 80, 9000, 7999, 8004) == ["shop", None, None, None, None]
                assert set(who(bed, "peer", host, proto, 7001)) < {"shop", "till"}
                assert who(bed, "peer", host, proto, 7000, 7005, 7002) == [None, None, None]
            assert who(bed, "host", host, "tcp", 5001, 5005, 5000, 5002) == ["db", "db", None, None]
            # only what was translated passes
            assert who(bed, "peer", SHOP6 if ":" in host else SHOP, "tcp", 9000, 9002) == [None, None]
            assert bed.prober.open("peer", host, "tcp", 8002)[1] == peer  # the source stays
            assert "shop" in explained(bed, peer, 8001) and explained(bed, peer, 8001).endswith("port 9001")
            assert "port 9001" in explained(bed, peer, 80) and not explained(bed, peer, 8004)
        for proto in ("tcp", "udp"):
            assert who(bed, "client", beds.TUNNEL_IP, proto, 6000, 6001, 6002) == ["db", None, None]
        # the same ports, led one further
        bed.write({**CONFIG, "policies": [dnat("8000-8002", "9001-9003")]})
        bed.apply()
        assert who(bed, "peer", beds.HOST_IP, "tcp", 8000, 8001, 8002) == [None, "shop", None]


@every_cell
def test_a_connection_ends_with_its_port(lab, backend):
    with bed_of(lab, backend) as bed:
        lay_out(bed)
        bed.write({**CONFIG, "policies": [dnat("8000-8003", "9000-9003")]})
        bed.apply()
        talks = {port: [Talk(bed, proto, "peer", "shop", host, port, served=port + 1000)
                        for proto, host in (("udp", beds.HOST_IP), ("tcp", beds.HOST_IP6))]
                 for port in (8000, 8001, 8002)}
        assert_stand([t for some in talks.values() for t in some])
        # one is left out, one is led elsewhere, one stays
        bed.write({**CONFIG, "policies": [dnat([8000, 8002, 8003], [9000, 9004, 9003])]})
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard(talks[8001], ended + 0.5)
        assert not still_heard([t for t in talks[8002] if " udp/" in t.name], ended + 0.5)
        assert all(t.lives() for t in talks[8000])
        assert bed.harborwall("plan").returncode == 0
