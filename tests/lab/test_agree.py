# SPDX-License-Identifier: GPL-2.0-or-later
"""Four answers to one question: what packets do, what the tests' oracle reads in the file, what core/reach says and what the
kernel says of one traced packet (both told by `harborwall test --packets`). Random files and random rules of others in
DOCKER-USER; every connection that was tried becomes a test of the file. AGREE_SEED chooses others, AGREE_ROUNDS more."""
import collections
import ipaddress
import json
import os
import random

import bed as beds
import docker29
import oracle
import pytest
import randomconfig
from seed import WITH_IPV6

ROUNDS = int(os.environ.get("AGREE_ROUNDS", "2"))
SEED = int(os.environ.get("AGREE_SEED", "201"))
OF_A_ROUND = 120  # connections that are compared, so that many files are
CELLS = [(version, "nftables") for version in ("20", "26", "28", "29")]  # with both families
CELLS += [(version, backend) for version in ("20", "28") for backend in ("iptables-nft", "iptables-legacy")]


def declared(config, ip):
    return any(ipaddress.ip_address(ip) in subnet for n in config["networks"].values() for subnet in oracle.subnets(n))


def asked_by_interface(config, world):
    """What comes to the host's own address: by the interface, where the file names it, whoever comes in there. The file's
    tests go as if every container ran, and ask in both families."""
    doors = [p for p in config["policies"] if p.get("iface") == beds.HOST_IFACE and p.get("nat") == "dnat" and "name" not in p]
    six = any("subnet6" in n for n in config["networks"].values())
    return not six and doors and not any("from" in p for p in doors) and set(targets(doors)) <= set(world.containers)


def assert_clients_keep_their_target(config, got, world):
    """The oracle does not say which one of several it is."""
    _, _, host = world.outside[beds.PEER]
    for policy in oracle.Config(config).policies:
        if policy.nat == "dnat" and policy.iface == beds.HOST_IFACE:
            who = {answer[0] for (source, ip, proto, port), answer in got.items()
                   if answer and (source, ip) == (beds.PEER, host) and policy.speaks(proto, port)}
            assert len(who) < 2, (policy.raw, who)


def targets(policies):
    return [to for p in policies for to in oracle.as_list(p["to"])]


def is_denied(config, ip):
    return any(n.get("egress") == "deny" and ipaddress.ip_address(ip) in subnet for n in config["networks"].values() for subnet in oracle.subnets(n))


def asked_by_itself(config, world):
    """The same of what the host itself begins."""
    six = any("subnet6" in n for n in config["networks"].values())
    own = [p for p in config["policies"] if p.get("nat") == "dnat" and "host" in oracle.as_list(p.get("from"))]
    return not six and own and set(targets(own)) <= set(world.containers)


def names_entrance(config):
    """Then a test without an interface would ask for every way in."""
    return any(p.get("iface") == beds.HOST_IFACE and "nat" not in p for p in config["policies"])


def as_tests(config, got, world):
    """Of one family. A container with several addresses is asked by none of them: the kernel chooses. By what is left to
    others no policy counts, and nothing of theirs is predicted: what containers send out is asked where no rule of others
    is about it."""
    sources = {name: next(iter(networks.values())) for name, networks in world.containers.items() if len(networks) == 1}
    peer, _, host = world.outside[beds.PEER]
    sources |= {"host": "host", beds.PEER: peer}
    stopped = set(targets(p for p in config["policies"] if p.get("nat") == "dnat")) - set(world.containers)
    for (source, ip, proto, port), answer in got.items():
        if beds.family_of(ip) != world.family or stopped and ip in world.containers.get("vpn", {}).values():
            continue
        test = {"to": ip, "port": port, "proto": proto, "expect": "open" if answer else "closed"}
        if ip == host and source == beds.PEER and asked_by_interface(config, world) and not world.stops:
            yield {**test, "from": beds.HOST_IFACE, "to": "host"}
        elif ip == host and source == "host" and asked_by_itself(config, world):
            yield {**test, "from": "host", "to": "host"}
        elif source in sources and ip != host and (declared(config, ip) or ip == peer and is_denied(config, sources[source])):
            by = {"iface": beds.HOST_IFACE} if source == beds.PEER and names_entrance(config) else {}
            yield {**test, "from": sources[source], **by}


def asked(bed):
    """Beside one_address: what Docker alone lets out is not asked of containers with several networks, one of which may be
    left by and another not, nor where rules of others may keep the answers out."""
    answers, worlds = one_address(bed), bed.worlds()
    several = {name for name, ends in worlds[0].containers.items() if len(ends) > 1}
    outside = {beds.PEER_IP, beds.PEER_IP6}
    return lambda key: answers(key) and (key[1] not in outside or key[0] not in several and not (bed.stops and key[1] == beds.PEER_IP))


def one_address(bed):
    """From 28 on Docker drops an answer, before conntrack sees it, that leaves a container by another network than its address
    is of: containers with several networks are asked elsewhere, by sources that the file has a route back to."""
    worlds = bed.worlds()
    several = {name for name, ends in worlds[0].containers.items() if len(ends) > 1}
    several |= {ip for world in worlds for name in several for ip in world.containers.get(name, {}).values()}
    return lambda key: bed.lab.version != "28" or not {key[0], key[1]} & several


# --- rules of others ---

def random_stops(r, config):
    """What a person or fail2ban puts into DOCKER-USER about those outside: a drop, or a RETURN that leads past ours."""
    for _ in range(r.choice([0, 0, 1, 2])):
        source = r.choice([beds.PEER_IP, beds.OUTSIDE, "0.0.0.0/0"])
        yield {"source": source, "to": r.choice([*config["ips"], *(n["subnet"] for n in config["networks"].values()), "0.0.0.0/0"]),
               **r.choice([{}, {"proto": "tcp", "port": r.choice([80, 443])}, {"proto": "udp", "port": 53}])}, r.choice(["DROP", "RETURN"])


def put_stops(bed, stops):
    bed.lab.run("sh", "-c", "iptables -S DOCKER-USER 2>/dev/null | grep -v harborwall: | grep -e '-j DROP' -e '-i ext0.*-j RETURN' | "
                            "sed s/^-A/-D/ | while read -r rule; do iptables $rule; done")
    for stop, target in stops:
        port = ["-p", stop["proto"], "--dport", str(stop["port"])] if "proto" in stop else []
        bed.lab.run("iptables", "-I", "DOCKER-USER", "-i", beds.HOST_IFACE, "-s", stop["source"], "-d", stop["to"], *port, "-j", target)
    bed.stops = [stop for stop, _ in stops]


# --- answers ---

def sample(r, tests):
    """Few are open: of these as many as of the others."""
    by = {expect: [t for t in tests if t["expect"] == expect] for expect in ("open", "closed")}
    few = min(len(by["open"]), OF_A_ROUND // 2)
    return r.sample(by["open"], few) + r.sample(by["closed"], min(len(by["closed"]), OF_A_ROUND - few))


def ask(bed, config, tests):
    bed.write({**config, "tests": tests})
    done = bed.harborwall("test", "--packets", "--json")
    bed.write(config)
    assert done.returncode in (0, 2), done.stderr
    told = json.loads(done.stdout)["tests"]
    assert len(told) == len(tests)
    return told


def compare(told):
    """(how many answers core/reach gave, how many the kernel, what disagrees)"""
    predicted = traced = 0
    wrong = []
    for test in told:
        if "left to this host" in test.get("why", ""):  # its own firewall: no file says anything about it
            continue
        assert len(test["packets"]) == 1, test
        packet = test["packets"][0]
        predicted += 1
        if packet["answer"] != test["expect"]:
            wrong.append((test["flow"], "packets", test["expect"], "core/reach", packet["answer"]))
        if packet["kernel"] == "unknown":
            continue
        traced += 1
        # a container that translates is behind the host: what becomes of it there no packet of ours tells
        if packet["kernel"] != ("passed" if test["expect"] == "open" else packet["expected"]):
            wrong.append((test["flow"], "packets", test["expect"], "kernel", packet["kernel"], packet["end"]))
    return predicted, traced, wrong


def entrance(bed, sender):
    """The interface that its packets come in by."""
    if sender == beds.PEER:
        return beds.HOST_IFACE
    network = bed.docker.networks()[next(iter(bed.world().containers[sender]))]
    return (network.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}"


def explain_borrowed(bed, attempt, arrived):
    """1 if the kernel was asked, too: by a packet of whoever sits there."""
    sender, source, ip, proto, port, _ = attempt
    done = bed.harborwall("explain", source, ip, f"{port}/{proto}", "--in", entrance(bed, sender), "--packet", "--json")
    assert done.stdout, (attempt, done.stderr)
    told = json.loads(done.stdout)
    assert (told["verdict"] == "allowed") == arrived, f"{attempt} {arrived} {json.dumps(told)}"
    if sender == beds.PEER:
        assert told["packet"]["verdict"] == "unknown", told
        return 0
    assert (told["packet"]["verdict"] == "passed") == arrived, (attempt, arrived, told)
    return 1


def borrowed(bed, r, config, world):
    """Neighbours' addresses and others' in the packets of those who have them not: (how many were sent, of how many the
    kernel told, and how many arrived, for they are at home there)."""
    who = oracle.Oracle(config, world)
    ends = {name: list(n.values()) for name, n in world.containers.items() if n}
    targets = [(name, ip) for name, ips in ends.items() for ip in ips if declared(config, ip)]
    every = [ip for ips in ends.values() for ip in ips] + [world.outside[beds.PEER][0], beds.NOBODY[world.family]]
    attempts = []
    for _ in range(20):
        name, ip = r.choice(targets)
        sender = r.choice([n for n in (*ends, beds.PEER) if n != name and not set(world.containers.get(n, {})) & set(world.containers[name])] or [beds.PEER])
        source = r.choice(every)
        if source not in ends[name] and len(ends.get(sender, [0])) == 1 and not (bed.stops and sender == beds.PEER):
            attempts.append((sender, source, ip, *r.choice([("tcp", 80), ("tcp", 443), ("udp", 53)]), name))
    attempts = list(dict.fromkeys(attempts))
    wanted = {a for a in attempts if who.lets_in(*a[:5])}
    got = set(bed.prober.spoof(attempts)) if attempts else set()
    assert got == wanted, f"got in: {sorted(got - wanted)}, stayed out: {sorted(wanted - got)}\n{json.dumps(config)}"
    return len(attempts), sum(explain_borrowed(bed, a, a in got) for a in attempts if who.is_told(*a[:2])), len(got)


def a_round(bed, config, r):
    put_stops(bed, list(random_stops(r, config)) if bed.lab.version != "29" else [])  # which has no DOCKER-USER
    bed.write(config)
    bed.apply()
    difference, got, worlds = bed.matrix(asked(bed))
    assert not any(difference), f"packets and the oracle: {difference}\n{bed.stops}\n{json.dumps(config)}"
    tests = [test for world in worlds for test in as_tests(config, got, world)]
    for world in worlds:
        assert_clients_keep_their_target(config, got, world)
    predicted, traced, wrong = compare(ask(bed, config, sample(r, tests)))
    assert not wrong, f"{wrong[:5]}\n{bed.stops}\n{json.dumps(config)}"
    by_family = [borrowed(bed, r, config, world) for world in worlds]
    return predicted, traced, *map(sum, zip(*by_family))


@pytest.mark.parametrize("version, backend", CELLS, ids=[f"docker {v}, {b}" for v, b in CELLS])
def test_packets_the_oracle_the_file_and_the_kernel_agree(version, backend, untouched):
    from conftest import need_engine
    need_engine(version)
    total, features = [0, 0, 0, 0, 0], collections.Counter()
    with docker29.lab_of(f"agree{os.getpid()}", version, legacy=backend == "iptables-legacy", options=WITH_IPV6) as lab:
        with beds.Bed(lab, sctp=[80], env={"HARBORWALL_BACKEND": backend}) as bed:
            r = random.Random(SEED)
            config = randomconfig.build(bed, SEED, "none", True, mixed=True, strict=backend == "nftables")
            for turn in range(ROUNDS):
                try:
                    features += randomconfig.features(config)
                    total = [a + b for a, b in zip(total, a_round(bed, config, r))]
                except AssertionError as e:
                    raise AssertionError(f"seed {SEED}, round {turn}: {e}\n{json.dumps(config)}") from e
                randomconfig.change(config, SEED + turn, mixed=True)
    print(f"figures: agree: docker {version}, {backend}, seed {SEED}: {total[0]} connections by packets, oracle and core/reach, "
          f"{total[1]} of them by the kernel, too; {total[2]} with borrowed sources, {total[3]} of them by the kernel, too, "
          f"{total[4]} arrived; 0 disagreements; {', '.join(f'{n} {feature}' for feature, n in sorted(features.items()))}")
    assert total[0] > 10 * ROUNDS and total[1] > 10 * ROUNDS
