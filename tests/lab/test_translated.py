# SPDX-License-Identifier: GPL-2.0-or-later
"""Which source the target of a translation sees, and who reaches it by the way of the host from its own network."""
import time

import bed as beds
import pytest
from talks import Talk, assert_stand, still_heard

CELLS = [("20", "nftables"), ("26", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy"}, b) for v, b in CELLS],
                                     indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
SHOP, GATE = "172.18.110.2", "172.18.110.1"
CONFIG = {"networks": {"web": {"subnet": "172.18.110.0/24", "bridge_name": "br-web"},
                       "inner": {"subnet": "172.18.120.0/24", "internal": True}},
          "ips": {SHOP: {"container_name": "shop"}, "172.18.110.3": {"container_name": "caller"},
                  "172.18.120.2": {"container_name": "hidden"}}, "policies": []}


def dnat(port, to="shop", **more):
    return {"nat": "dnat", "iface": "ext0", "to": to, "port": port, "to_port": 80, "proto": ["tcp", "udp"], **more}


@every_cell
def test_the_target_sees_the_source_that_the_policy_says(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        for name in ("shop", "caller", "hidden"):
            bed.docker.create(name, **({"network": "none"} if name == "hidden" else {}))
        bed.docker.create("vpn", privileged_net=True)
        bed.wire_tunnel("vpn")
        inside = bed.docker.addresses("vpn")["bridge"]
        bed.lab.run("ip", "route", "add", "10.66.0.0/24", "via", inside)
        tunnel = {"name": "vpn", "iface": "wg0"}
        bed.write({**CONFIG, "policies": [
            dnat(8001), dnat(8002, masquerade=True), dnat(8003, masquerade=False), dnat(8004, to="hidden"),
            dnat(8005, **tunnel), dnat(8006, masquerade=True, **tunnel),
            dnat(8007, masquerade=False, **{**tunnel, "from": "10.66.0.0/24"})]})
        bed.apply()
        bed.prober.serve_at("shop", "caller", "hidden", "peer", "client")
        for proto in ("tcp", "udp"):
            seen = {port: bed.prober.open("peer", beds.HOST_IP, proto, port) for port in (8001, 8002, 8003, 8004, 8000)}
            # auto: the source stays, but for a target without a way back of its own
            assert seen == {8001: ("shop", beds.PEER_IP), 8002: ("shop", GATE), 8003: ("shop", beds.PEER_IP),
                            8004: ("hidden", "172.18.120.1"), 8000: None}
            seen = {port: bed.prober.open("client", beds.TUNNEL_IP, proto, port) for port in (8005, 8006, 8007, 8000)}
            assert seen == {8005: ("shop", inside), 8006: ("shop", inside), 8007: ("shop", beds.CLIENT_IP), 8000: None}


@every_cell
def test_neighbours_reach_the_target_by_the_address_of_the_host(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        for name in ("shop", "caller"):
            bed.docker.create(name)
        bed.write({**CONFIG, "policies": [dnat(8001, iface="br-web"), dnat(8002, iface="br-web", masquerade=True),
                                          dnat(8004)]})
        bed.apply()
        bed.prober.serve_at("shop", "caller", "peer")
        for proto in ("tcp", "udp"):
            seen = {port: bed.prober.open("caller", GATE, proto, port) for port in (8001, 8002, 8004)}
            assert seen == {8001: ("shop", GATE), 8002: ("shop", GATE), 8004: None}
            assert not bed.prober.open("peer", beds.HOST_IP, proto, 8001)


@every_cell
def test_a_connection_ends_although_another_port_leads_to_the_same_one(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        bed.docker.create("shop", network="none")
        bed.write({**CONFIG, "policies": [dnat(8001, to_port=7000), dnat(8002, to_port=7000)]})
        bed.apply()
        gone = [Talk(bed, proto, "peer", "shop", beds.HOST_IP, 8001, served=7000) for proto in ("tcp", "udp")]
        assert_stand(gone)
        bed.write({**CONFIG, "policies": [dnat(8002, to_port=7000)]})
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard(gone, ended + 0.5)
