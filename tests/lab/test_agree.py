# SPDX-License-Identifier: GPL-2.0-or-later
"""Three answers to one question: what packets do, what the tests' oracle reads in the file, and what `harborwall test` says of
it. Random files, others with AGREE_SEED and AGREE_ROUNDS; every connection that was tried becomes a test of the file."""
import ipaddress
import json
import os

import bed as beds
import pytest
import randomconfig

ROUNDS = int(os.environ.get("AGREE_ROUNDS", "2"))
CELLS = [("20", "nftables"), ("20", "iptables-nft"), ("28", "nftables"), ("28", "iptables-nft")]


def declared(config, ip):
    return any(ipaddress.ip_address(ip) in ipaddress.ip_network(n["subnet"]) for n in config["networks"].values())


def asked_by_interface(config, world):
    """What comes to the host's own address: by the interface, where the file names it, whoever comes in there. The file's
    tests go as if every container ran."""
    doors = [p for p in config["policies"] if p.get("iface") == beds.HOST_IFACE and "name" not in p]
    return doors and not any("from" in p for p in doors) and all(p["to"] in world.containers for p in doors)


def as_tests(config, got, world):
    """A container with several addresses is asked by none of them: the kernel chooses."""
    sources = {name: next(iter(networks.values())) for name, networks in world.containers.items() if len(networks) == 1}
    sources |= {"host": "host", beds.PEER: beds.PEER_IP}
    stopped = {p["to"] for p in config["policies"] if p.get("nat")} - set(world.containers)  # targets of translations
    for (source, ip, proto, port), answer in got.items():
        if stopped and ip in world.containers["vpn"].values():
            continue
        test = {"to": ip, "port": port, "proto": proto, "expect": "open" if answer else "closed"}
        if ip == beds.HOST_IP and source == beds.PEER and asked_by_interface(config, world):
            yield {**test, "from": beds.HOST_IFACE, "to": "host"}
        elif source in sources and ip != beds.HOST_IP and declared(config, ip):
            yield {**test, "from": sources[source]}


def one_address(bed):
    """From 28 on Docker drops an answer, before conntrack sees it, that leaves a container by another network than its address
    is of: containers with several networks are asked elsewhere, by sources that the file has a route back to."""
    networks = bed.world().containers
    several = {name for name, ends in networks.items() if len(ends) > 1}
    several |= {ip for name in several for ip in networks[name].values()}
    return lambda key: bed.lab.version != "28" or not {key[0], key[1]} & several


def disagreements(bed, config):
    difference, got, (world,) = bed.matrix(one_address(bed))
    assert not any(difference), f"packets and the oracle: {difference}\n{json.dumps(config)}"
    tests = list(as_tests(config, got, world))
    bed.write({**config, "tests": tests})
    done = bed.harborwall("test", "--json")
    assert done.returncode in (0, 2), done.stderr
    bed.write(config)
    told = json.loads(done.stdout)["tests"]
    assert len(told) == len(tests)
    left = [t for t in told if "left to this host" in t.get("why", "")]  # its own firewall: no file says anything about it
    return len(tests) - len(left), [(t["flow"], t["expect"], t["why"]) for t in told if not t["holds"] and t not in left]


@pytest.mark.parametrize("lab, backend", [({"version": v}, b) for v, b in CELLS], indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])
def test_packets_the_oracle_and_the_file_agree(lab, backend):
    seed = int(os.environ.get("AGREE_SEED", "201"))
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = randomconfig.build(bed, seed, "none")
        asked = 0
        for turn in range(ROUNDS):
            bed.write(config)
            bed.apply()
            try:
                n, wrong = disagreements(bed, config)
            except AssertionError as e:
                raise AssertionError(f"seed {seed}, round {turn}: {e}") from e
            asked += n
            assert not wrong, f"seed {seed}, round {turn}: {wrong[:5]}\n{json.dumps(config)}"
            randomconfig.change(config, seed + turn)
    print(f"figures: agree: {asked} connections, seed {seed}")
    assert asked > 10 * ROUNDS
