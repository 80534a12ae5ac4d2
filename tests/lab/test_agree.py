# SPDX-License-Identifier: GPL-2.0-or-later
"""Three answers to one question: what packets do, what the tests' oracle reads in the file, and what `harborwall test` says of
it. Random files; every connection that was tried becomes a test of the file."""
import ipaddress
import json
import os
import random

import bed as beds
import pytest
import randomconfig

ROUNDS = int(os.environ.get("AGREE_ROUNDS", "2"))
CELLS = [("20", "nftables"), ("20", "iptables-nft"), ("28", "nftables"), ("28", "iptables-nft")]


def declared(config, ip):
    return any(ipaddress.ip_address(ip) in ipaddress.ip_network(n["subnet"]) for n in config["networks"].values())


def from_the_host_alone(config):
    """What comes to the host's own address is asked by interface: whoever comes in there."""
    return not any(p.get("iface") == beds.HOST_IFACE and "from" in p for p in config["policies"])


def as_tests(config, got, world):
    """A container with several addresses is asked by none of them: the kernel chooses."""
    sources = {name: next(iter(networks.values())) for name, networks in world.containers.items() if len(networks) == 1}
    sources |= {"host": "host", beds.PEER: beds.PEER_IP}
    for (source, ip, proto, port), answer in got.items():
        test = {"to": ip, "port": port, "proto": proto, "expect": "open" if answer else "closed"}
        if ip == beds.HOST_IP and source == beds.PEER and from_the_host_alone(config):
            yield {**test, "from": beds.HOST_IFACE, "to": "host"}
        elif source in sources and ip != beds.HOST_IP and declared(config, ip):
            yield {**test, "from": sources[source]}


def disagreements(bed, config):
    difference, got, world = bed.matrix()
    assert not any(difference), (difference, config)  # packets and oracle
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
    seed = int(os.environ.get("AGREE_SEED", random.randrange(1000)))
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = randomconfig.build(bed, seed)
        asked = 0
        for turn in range(ROUNDS):
            bed.write(config)
            bed.apply()
            n, wrong = disagreements(bed, config)
            asked += n
            assert not wrong, f"seed {seed}, round {turn}: {wrong[:5]}\n{json.dumps(config)}"
            randomconfig.change(config, seed + turn)
    print(f"figures: agree: {asked} connections, seed {seed}")
    assert asked > 100 * ROUNDS
