# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of sources, by packets: one inside passes and one outside does not, at every boundary; also when the file that
holds the list changes, breaks or goes while the daemon runs."""
import ipaddress
import os
import random

import bed as beds
import engine
import oracle
import pytest
import seed

CELLS = [("20", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft")]
WITH_BACKENDS = {"argvalues": [({"version": v}, b) for v, b in CELLS], "indirect": ["lab"],
                 "ids": [f"docker {v}, {b}" for v, b in CELLS]}
LB = "172.18.103.2"
ELSEWHERE = [f"203.0.113.{16 * i}/28" for i in range(0, 12, 2)]  # so that the list is no short one


def put(bed, *lines):
    """The list beside the file, replaced as editors do."""
    path = os.path.join(os.path.dirname(bed.file), "office.txt")
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("# the office\n" + "".join(line + "\n" for line in lines))
    os.rename(path + ".new", path)


def asks(bed, source):
    """Whether a packet of this source, from outside, arrives."""
    attempt = (beds.PEER, source, LB, "tcp", 443, "smarthostloadbalancer")
    return bed.prober.spoof([attempt]) == [attempt]


@pytest.mark.parametrize("lab, backend", **WITH_BACKENDS)
def test_a_list_in_a_file_is_followed_and_a_broken_one_changes_nothing(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        bed.prober.serve_at("smarthostloadbalancer", "publicbackend", beds.PEER)
        config = seed.widened()
        config["policies"].append({"selector": "smarthostloadbalancer", "from": ["@office.txt", "publicbackend", "nobody"], "port": 443})
        config["policies"].append({"nat": "dnat", "iface": beds.HOST_IFACE, "from": "@office.txt", "to": "smarthostloadbalancer",
                                   "port": 8080, "to_port": 80})
        put(bed, "192.0.2.0/30  # where the peer is", *ELSEWHERE)
        bed.write(config)
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()

        def is_open(who=beds.PEER, port=443):
            return bed.prober.open(who, LB, "tcp", port) is not None

        def is_translated():
            return bed.prober.open(beds.PEER, beds.HOST_IP, "tcp", 8080) is not None
        assert is_open() and is_open("publicbackend") and not is_open(port=8080) and is_translated()
        assert asks(bed, "192.0.2.3") and not asks(bed, "192.0.2.4")
        put(bed, "192.0.2.3", *ELSEWHERE)
        assert engine.wait_for(lambda: not is_open()), daemon.log()
        assert asks(bed, "192.0.2.3") and is_open("publicbackend") and not is_translated()
        put(bed, "192.0.2.2", *ELSEWHERE)
        assert engine.wait_for(is_open), daemon.log()
        assert not asks(bed, "192.0.2.3")
        put(bed, "192.0.2.2/24")  # broken
        daemon.wait_log("office.txt:2:1: error: 192.0.2.2/24 has host bits")
        assert is_open() and is_translated() and not asks(bed, "192.0.2.3")
        os.unlink(os.path.join(os.path.dirname(bed.file), "office.txt"))
        daemon.wait_log("office.txt: No such file")
        assert is_open() and is_open("publicbackend") and not asks(bed, "192.0.2.3")
        assert "office.txt" in bed.harborwall("status").stdout
        put(bed, *ELSEWHERE)
        assert engine.wait_for(lambda: not is_open()), daemon.log()
        assert is_open("publicbackend") and not is_translated()


# --- at random ---

def random_prefixes(r, n):
    """Overlapping, nested and adjacent ones, of lengths as a country's list has them; all beyond the host."""
    found = []
    while len(found) < n:
        near = ipaddress.ip_network(r.choice(found)) if found and r.random() < 0.5 else None
        bits = r.choice([12 if n < 100 else 16, 16, 18, 20, 22, 23, 24, 24, 24, 25, 26, 28, 30, 31, 32])
        if near is None:
            base = 11 << 24 | r.randrange(1 << 20) << 4
        elif r.random() < 0.4:  # the one behind or before it, of any length
            base = int(near.network_address) + r.choice([-1, near.num_addresses])
        else:  # within it, or around it
            base = int(near.network_address) + r.randrange(near.num_addresses)
        network = ipaddress.ip_network((base, bits), strict=False)
        if network.subnet_of(ipaddress.ip_network("11.0.0.0/8")):
            found.append(str(network))
    return found


def member(r, text):
    return text.removesuffix("/32") if r.random() < 0.5 else text


def random_config(r, n):
    """Lists of few and many, a file, and single prefixes, that overlap: n prefixes in all. -> (config, with no file, its lines)"""
    prefixes = random_prefixes(r, n)
    file = [member(r, p) for p in r.sample(prefixes, n // 3)]
    lists = [r.sample(prefixes, k) for k in (2, 4, 5, n // 4, n // 2)]
    ports = [80, 81, [80, 443], "443-8080", None]
    config = seed.widened()
    meant = seed.widened()
    for source in ["@office.txt", ["@office.txt", "192.0.2.77", r.choice(prefixes)], *[[member(r, p) for p in li] for li in lists],
                   *r.sample(prefixes, min(n, 8))]:
        port = r.choice(ports)
        policy = {"selector": r.choice(["smarthostloadbalancer", "publicbackend"]), **({"port": port} if port else {})}
        config["policies"].append({**policy, "from": source})
        listed = [s for item in oracle.as_list(source) for s in (file if item == "@office.txt" else [item])]
        meant["policies"].append({**policy, "from": listed})
    return config, meant, file


def boundaries(r, meant, n):
    found = {11 << 24 | r.randrange(1 << 24) for _ in range(n)}
    for policy in meant["policies"]:
        for text in oracle.as_list(policy.get("from")):
            try:
                network = ipaddress.ip_network(text)
            except ValueError:
                continue
            if network.subnet_of(ipaddress.ip_network("11.0.0.0/8")):
                first, last = int(network[0]), int(network[-1])
                found |= {first, last, first - 1, last + 1, r.randrange(first, last + 1)}
    return [str(ipaddress.ip_address(a)) for a in r.sample(sorted(found), min(n, len(found)))]


@pytest.mark.parametrize("n", [30, 1000])
@pytest.mark.parametrize("lab, backend", **WITH_BACKENDS)
def test_packets_of_random_overlapping_lists_are_as_the_oracle_says(lab, backend, n):
    number = int(os.environ.get("LISTS_SEED", random.randrange(100000)))
    r = random.Random(number)
    config, meant, file = random_config(r, n)
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        lab.run("ip", "route", "add", "11.0.0.0/8", "via", beds.PEER_IP)
        bed.prober.serve_at("smarthostloadbalancer", "publicbackend", beds.PEER)
        put(bed, *file)
        bed.write(config)
        bed.apply()
        assert bed.harborwall("plan", "-q").returncode == 0
        world = bed.world()
        says = oracle.Oracle(meant, world)
        owners = {ip: name for name in ("smarthostloadbalancer", "publicbackend") for ip in world.containers[name].values()}
        targets = [ip for ip in owners if ip.startswith("172.18.")]
        attempts = [(beds.PEER, source, ip, "tcp", port, owners[ip]) for source in boundaries(r, meant, 150)
                    for ip, port in [(r.choice(targets), r.choice([80, 81, 443, 8080])) for _ in range(2)]]
        attempts = sorted(set(attempts))
        expected = [a for a in attempts if says.lets_in(a[0], a[1], a[2], a[3], a[4])]
        assert 10 < len(expected) < len(attempts) - 10, f"seed {number}: {len(expected)} of {len(attempts)}"
        arrived = bed.prober.spoof(attempts)
        assert sorted(arrived) == sorted(expected), (f"seed {number}: passed {sorted(set(arrived) - set(expected))[:5]}, "
                                                     f"did not {sorted(set(expected) - set(arrived))[:5]}")
