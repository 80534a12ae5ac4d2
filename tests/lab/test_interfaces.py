# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy that names an interface lets in what comes by that one alone."""
import json
import time

import bed as beds
import engine
import pytest
from talks import Talk, assert_stand, still_heard

SECOND, SECOND6 = "198.51.100.0/24", "2001:db8:4::/64"
SECOND_IP, SECOND_IP6 = "198.51.100.2", "2001:db8:4::2"
SHOP, SHOP6 = "172.18.110.2", "fd18:110::2"
OUTSIDE = [beds.OUTSIDE, SECOND]
OUTSIDE6 = [beds.OUTSIDE6, SECOND6]
CELLS = [(version, backend) for version in ("20", "26", "28") for backend in ("nftables", "iptables-nft")]
CELLS += [("29", "nftables"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy"}, b) for v, b in CELLS],
                                     indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])


def second_wire(lab):
    """Another host outside, on an interface of its own: ext1."""
    lab.run("sh", "-ec", """
        ip netns add second
        ip link add ext1 type veth peer name eth0 netns second
        ip addr add 198.51.100.1/24 dev ext1
        ip addr add 2001:db8:4::1/64 dev ext1 nodad
        ip link set ext1 up
        ip -n second addr add 198.51.100.2/24 dev eth0
        ip -n second addr add 2001:db8:4::2/64 dev eth0 nodad
        ip -n second link set eth0 up
        ip -n second link set lo up
        ip -n second route add default via 198.51.100.1
        ip -n second route add default via 2001:db8:4::1""")


def declared(v6):
    config = {"networks": {"web": {"subnet": "172.18.110.0/24"}, "callers": {"subnet": "172.18.120.0/24", "bridge_name": "br-callers"},
                           "others": {"subnet": "172.18.130.0/24"}},
              "ips": {SHOP: {"container_name": "shop"}, "172.18.120.2": {"container_name": "caller"},
                      "172.18.130.2": {"container_name": "other"}}, "policies": []}
    if v6:
        for network in config["networks"].values():
            network["subnet6"] = network["subnet"].replace("172.18.", "fd18:").replace(".0/24", "::/64")
        for ip, entry in config["ips"].items():
            entry["ip6"] = ip.replace("172.18.", "fd18:").replace(".2", "::2")
    return config


def who_opens(bed, ip, proto, port):
    return [who for who in ("peer", "second", "caller", "other") if bed.prober.open(who, ip, proto, port)]


def lay_out(bed):
    second_wire(bed.lab)
    for name in ("shop", "caller", "other"):
        bed.docker.create(name, "none")  # its default route leads to the network that the file gives it


@every_cell
def test_what_comes_by_another_interface_does_not_pass(lab, backend):
    v6 = backend == "nftables"
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        outside = OUTSIDE + (OUTSIDE6 if v6 else [])
        config = declared(v6)
        config["policies"] = [
            {"selector": "shop", "from": outside, "iface": "ext0", "port": 443, "proto": ["tcp", "udp"]},
            {"selector": "shop", "from": "any", "iface": "ext1", "port": 80, "proto": ["tcp", "udp"]},
            {"selector": "shop", "from": "any", "iface": "br-callers", "port": 81},
            {"selector": "shop", "from": outside, "port": 8080},
            {"selector": "shop", "from": beds.PEER_IP, "iface": "ext1", "port": "8081-8082"},
        ]
        bed.write(config)
        bed.apply()
        bed.prober.serve_at("shop", "peer", "second", "caller", "other")
        for ip in (SHOP, SHOP6)[:1 + v6]:
            assert who_opens(bed, ip, "tcp", 443) == ["peer"]
            assert who_opens(bed, ip, "tcp", 80) == ["second"] == who_opens(bed, ip, "udp", 80)
            assert who_opens(bed, ip, "tcp", 81) == ["caller"]
            assert who_opens(bed, ip, "tcp", 8080) == ["peer", "second"]
        # the address of somebody who may come by the other one, and a list's
        attempts = [(who, source, SHOP, "tcp", port, "shop") for who in ("peer", "second")
                    for source in (beds.PEER_IP, SECOND_IP) for port in (443, 80, 8081)]
        assert bed.prober.spoof(attempts) == [a for a in attempts if
                                              (a[0], a[4]) in (("peer", 443), ("second", 80))
                                              or (a[0], a[1], a[4]) == ("second", beds.PEER_IP, 8081)]
        assert bed.harborwall("plan").returncode == 0
        # and the file's reader says what the packets say
        for who, source, port, passes in (("ext0", beds.PEER_IP, 443, True), ("ext1", beds.PEER_IP, 443, False),
                                          ("ext0", SECOND_IP, 80, False), ("ext1", SECOND_IP, 80, True)):
            told = json.loads(bed.harborwall("explain", source, "shop", str(port), "--in", who, "--json").stdout)
            assert (told["verdict"] == "allowed") == passes, told


@every_cell
def test_a_connection_ends_when_its_interface_is_no_longer_named(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        lay_out(bed)
        config = declared(False)
        by_first = {"selector": "shop", "from": OUTSIDE, "iface": "ext0", "port": ["7001", "7002"], "proto": ["tcp", "udp"]}
        by_second = {**by_first, "iface": "ext1"}
        config["policies"] = [by_first, by_second]
        bed.write(config)
        bed.apply()
        first = [Talk(bed, proto, "peer", "shop", SHOP, 7001) for proto in ("tcp", "udp")]
        second = [Talk(bed, proto, "second", "shop", SHOP, 7002) for proto in ("tcp", "udp")]
        assert_stand(first + second)
        config["policies"] = [by_second]
        bed.write(config)
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard(first, ended + 0.5)
        assert all(t.lives() for t in second), [(t.name, t.heard(ended)) for t in second]
        # what is said of a live one
        flows = json.loads(bed.harborwall("flows", "--json").stdout)["connections"]
        assert [c["policy"] for c in flows if c["source"] == SECOND_IP and c["protocol"] == "tcp"] == [0], flows
        bed.write({**config, "policies": []})
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard(second, ended + 0.5)


@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True, ids=["docker 28"])
def test_a_mark_that_another_program_overwrites_closes_nothing(bed):
    """An established packet without our bit is looked up once more, by the interface it goes by, in either direction."""
    lay_out(bed)
    config = declared(False)
    config["policies"] = [{"selector": "shop", "from": OUTSIDE, "iface": "ext0", "port": 7001}]
    bed.write(config)
    bed.apply()
    talk = Talk(bed, "tcp", "peer", "shop", SHOP, 7001)
    assert_stand([talk])
    bed.lab.run("nft", "add table ip marker; add chain ip marker f { type filter hook forward priority 100; }; "
                       "add rule ip marker f ct mark set 0x7")
    assert talk.lives() and talk.lives()


@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True, ids=["docker 28"])
def test_an_interface_that_comes_later_counts_when_it_is_there(bed):
    for name in ("shop", "caller", "other"):
        bed.docker.create(name)
    config = declared(False)
    config["policies"] = [{"selector": "shop", "from": "any", "iface": "ext1", "port": 80}]
    bed.write(config)
    assert "there is no interface \"ext1\" on the host" in bed.apply().stdout
    second_wire(bed.lab)
    bed.prober.serve_at("shop", "peer", "second", "caller", "other")
    assert who_opens(bed, SHOP, "tcp", 80) == ["second"]
    assert engine.wait_for(lambda: "ext1" not in bed.harborwall("plan").stdout)
