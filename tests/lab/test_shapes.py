# SPDX-License-Identifier: GPL-2.0-or-later
"""However a packet looks, it passes by its addresses and its port: in fragments, behind extension headers, with options.
And the errors that TCP lives by come through, those of nobody's packets do not."""
import bed as beds
import crafted
import pytest
import seed

CELLS = [("20", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft"), ("26", "iptables-legacy"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy", "options": seed.WITH_IPV6}, b)
                                                     for v, b in CELLS],
                                     indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
BALANCER = {4: "172.18.103.2", 6: "fd18:103::2"}
BACKEND, PUBLIC = {4: "172.18.104.2", 6: "fd18:104::2"}, {4: "172.18.104.3", 6: "fd18:104::3"}
PEER = {4: beds.PEER_IP, 6: beds.PEER_IP6}
FAR = {4: "198.51.100.2", 6: "2001:db8:3::2"}

# To whoever comes, more than fits into one packet of any wire.
GIVE = """import socket
s = socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", file=__import__("sys").stderr, flush=True)
while True:
    c, _ = s.accept()
    c.settimeout(20)
    c.sendall(b"x" * 300000)
    c.close()
"""
TAKE = """import socket, sys
s = socket.create_connection((sys.argv[1], 443), 8)
s.settimeout(8)
n = 0
while d := s.recv(65536):
    n += len(d)
print(n)
"""


def families(config):
    return (4, 6) if "subnet6" in str(config["networks"]) else (4,)


def shapes(allowed, refused, target="smarthostloadbalancer"):
    """(attempts that must arrive, attempts that must not), of (sender, source, address, protocol, port)."""
    good, bad = [], []
    for flow in allowed:
        good += [(*flow, target, form) for form in crafted.WHOLE[beds.family_of(flow[2])]]
    for flow in refused:
        bad += [(*flow, target, form) for form in crafted.WHOLE[beds.family_of(flow[2])] + crafted.BROKEN]
    return good, bad


def config_with_outside():
    config = seed.widened()
    config["policies"] += [{"selector": "smarthostloadbalancer", "from": beds.OUTSIDE, "port": 443, "proto": ["tcp", "udp"]},
                           {"selector": "smarthostbackend-1", "from": beds.PEER_IP, "proto": "icmp"}]
    return config


def assert_that_shapes_change_nothing(bed):
    for family in families(bed.config):
        lb = BALANCER[family]
        udp = [("smarthostbackend-1", BACKEND[family], lb, "udp", 53), ("peer", PEER[family], lb, "udp", 443)]
        tcp = [("publicbackend", PUBLIC[family], lb, "tcp", 80), ("peer", PEER[family], lb, "tcp", 443)]
        others = [("smarthostbackend-1", BACKEND[family], lb, "udp", 80), ("peer", PEER[family], lb, "udp", 53),
                  ("publicbackend", PUBLIC[family], lb, "tcp", 443), ("peer", PEER[family], lb, "tcp", 80),
                  ("bystander", PEER[family], lb, "udp", 443), ("peer", PUBLIC[family], lb, "tcp", 80)]
        whole, bad = shapes(udp, others)
        got = bed.prober.deliver(whole)
        assert got == whole, f"stayed out: {set(whole) - set(got)}"
        good, _ = shapes(tcp, ())
        got = bed.prober.spoof(good + bad)
        assert got == good, f"got in: {set(got) - set(good)}, stayed out: {set(good) - set(got)}"


def assert_that_errors_alone_come_unasked(bed):
    """Echoes where a policy says so; of errors those that answer something. In IPv6 the others may come, too (RFC 4890)."""
    for family in families(bed.config):
        echo = ("peer", PEER[family], BACKEND[family], "icmp", 0, "smarthostbackend-1")
        refused = [("peer", PEER[family], BALANCER[family], "icmp", 0, "smarthostloadbalancer"),
                   ("bystander", PEER[family], BACKEND[family], "icmp", 0, "smarthostbackend-1")]
        if family == 4:
            refused += [("peer", PEER[4], BALANCER[4], "too big", 53, "smarthostloadbalancer"),
                        ("peer", BACKEND[4], BALANCER[4], "too big", 53, "smarthostloadbalancer"),
                        ("bystander", PEER[4], BALANCER[4], "too big", 53, "smarthostloadbalancer")]
        got = bed.prober.spoof([echo, *refused])
        assert got == [echo], got


def takes(bed, ip):
    """How much of it comes to the host behind the peer."""
    return bed.lab.run("ip", "netns", "exec", "far", "python3", "-c", TAKE, ip, check=False).stdout.strip()


def assert_that_large_packets_are_cut_to_fit(bed):
    """What is too large for a wire beyond the host: only the peer's message about it tells the container."""
    bed.lab.far()
    pid = str(bed.docker.inspect("smarthostloadbalancer")["State"]["Pid"])
    server = bed.lab.spawn("nsenter", "-t", pid, "-n", "python3", "-c", GIVE)
    server.wait_log("listening")
    for family in families(bed.config):
        assert takes(bed, BALANCER[family]) == "", "from there nobody may come yet"
    for policy in bed.config["policies"]:
        if policy.get("port") == 443:
            policy["from"] = [FAR[family] for family in families(bed.config)]
    bed.write(bed.config)
    bed.apply()
    for family in families(bed.config):
        assert takes(bed, BALANCER[family]) == "300000", f"IPv{family}"


@every_cell
def test_how_a_packet_looks_changes_nothing(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}, tcp=[80], udp=[53, 80, 443]) as bed:
        seed.containers(bed)
        bed.write(seed.dual(config_with_outside()))
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer", "smarthostbackend-1")
        assert_that_shapes_change_nothing(bed)
        assert_that_errors_alone_come_unasked(bed)
        assert_that_large_packets_are_cut_to_fit(bed)
