# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom a policy is for: names are looked up as everywhere else, and a name that nobody has opens, translates and
masquerades nothing."""
import os

import bed as beds
import engine
import pytest
import seed
from conftest import need_engine

CELLS = [("20", "nftables"), ("20", "iptables-nft"), ("26", "nftables"), ("28", "nftables"), ("28", "iptables-nft")]
BALANCER, OLD, SHOP, GATEWAY = "172.18.103.2", "172.18.103.11", "172.18.103.12", "172.18.103.1"


def named():
    config = seed.widened()
    config["networks"]["smarthost-loadbalancer"]["bridge_name"] = "hw-front"
    config["ips"][OLD] = {"container_name": "web-old"}
    config["ips"][SHOP] = {"container_name": "shop-1", "service_name": "web"}
    config["policies"] += [
        {"selector": "web", "from": "publicbackend", "port": 8080},  # the service, not the beginning of web-old
        {"selector": "smarthost-loadbalancer", "from": "smarthostbackend-1", "port": 443},  # a network
        {"selector": SHOP, "from": "smarthostbackend-1", "port": 81},
        {"selector": "smarthostloadbalancer", "iface": "ext0", "nat": "dnat", "to": "smarthostloadbalancer", "port": 53, "proto": "udp"},
        {"selector": "nobody", "service_name": "web", "from": "publicbackend", "port": 443},
        {"selector": "nobody", "iface": "ext0", "nat": "dnat", "to": "smarthostloadbalancer", "port": 8080},
        {"selector": "nobody", "iface": "hw-front", "nat": "masquerade"},
    ]
    return config


@pytest.fixture(params=CELLS, ids=lambda cell: f"docker {cell[0]}, {cell[1]}")
def bed(request):
    version, backend = request.param
    need_engine(version)
    with engine.Lab(f"names{os.getpid()}", version) as lab:
        lab.peer()
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            for name in ("web-old", "shop-1", "web", "pair-1", "pair-2"):
                bed.docker.create(name)
            yield bed


def seen_by_the_balancer(bed):
    """What source the balancer sees of the peer that comes in through the host: by tcp, by udp."""
    keys = [[beds.HOST_IP, "tcp", 81], [beds.HOST_IP, "udp", 53]]
    got = bed.prober.ask_all({beds.PEER: keys})
    assert [answer and answer[0] for answer in got.values()] == ["smarthostloadbalancer"] * 2, got
    return [answer[1] for answer in got.values()]


def test_a_subject_is_looked_up_like_any_other_name_and_nobody_is_nobody(bed):
    bed.write(named())
    planned = bed.harborwall("plan").stdout
    bed.apply()
    got = bed.assert_matrix(bed.into_managed)
    assert got[("publicbackend", SHOP, "tcp", 8080)] and not got[("publicbackend", OLD, "tcp", 8080)]
    assert got[("smarthostbackend-1", OLD, "tcp", 443)] and not got[("smarthostbackend-1", OLD, "tcp", 81)]
    assert got[("smarthostbackend-1", SHOP, "tcp", 81)]
    assert not got[("publicbackend", SHOP, "tcp", 443)] and not got[(beds.PEER, beds.HOST_IP, "tcp", 8080)]
    assert seen_by_the_balancer(bed) == [beds.PEER_IP, beds.PEER_IP]
    assert planned.count('nothing in the file is named "nobody"') == 3, planned
    # now somebody is named, and one protocol; then every one
    config = named()
    config["policies"][-1] |= {"selector": beds.PEER_IP, "proto": "tcp"}
    bed.write(config)
    bed.apply()
    assert seen_by_the_balancer(bed) == [GATEWAY, beds.PEER_IP]
    del config["policies"][-1]["proto"]
    bed.write(config)
    bed.apply()
    assert seen_by_the_balancer(bed) == [GATEWAY, GATEWAY]


def test_a_translation_stands_where_its_names_say_and_nowhere_else(bed):
    config = named()
    config["ips"] |= {f"172.18.104.2{i}": {"container_name": f"pair-{i}", "service_name": "pair"} for i in (1, 2)}
    there = {"nat": "dnat", "to": "smarthostloadbalancer"}
    config["policies"][4:] = [
        config["policies"][7],  # udp, through the host
        {**there, "service_name": "pair", "port": 8080},  # in both of them
        {**there, "name": "web", "port": 443},  # a container of the engine, not the beginning of web-old
        {**there, "name": "nosuch", "port": 8080},  # nobody, and no interface: not on the host's every one
        {**there, "name": "nosuch", "iface": "ext0"},  # nobody: not every port of the host
        {"name": "nosuch", "iface": "hw-front", "nat": "masquerade"}]
    bed.write(config)
    bed.apply()
    got = bed.assert_matrix()
    web = bed.docker.addresses("web")["bridge"]
    for ip in ("172.18.104.21", "172.18.104.22"):
        assert got[("publicbackend", ip, "tcp", 8080)][0] == "smarthostloadbalancer"
    assert got[("publicbackend", web, "tcp", 443)][0] == "smarthostloadbalancer"
    assert got[("smarthostloadbalancer", OLD, "tcp", 443)][0] == "web-old"
    assert not any(got[(beds.PEER, beds.HOST_IP, "tcp", port)] for port in (80, 443, 8080))
    assert seen_by_the_balancer(bed) == [beds.PEER_IP, beds.PEER_IP]
    waiting = [li for li in bed.harborwall("plan").stdout.splitlines() if li.startswith("waiting: ")]
    assert [li.split(": ")[1] for li in waiting] == ["policies[7]", "policies[8]", "policies[9]"], waiting
