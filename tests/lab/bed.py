# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed: a lab with containers, a config file, harborwall, and the matrix over all of it."""
import ipaddress
import json
import os
import re
import tempfile

import engine
import oracle
import prober

PEER, PEER_IP, HOST_IFACE, HOST_IP = "peer", "192.0.2.2", "ext0", "192.0.2.1"
OUTSIDE = "192.0.2.0/24"  # where the peer is
PEER_IP6, HOST_IP6, OUTSIDE6 = "2001:db8:2::2", "2001:db8:2::1", "2001:db8:2::/64"
CLIENT, CLIENT_IP, TUNNEL_IP = "client", "10.66.0.2", "10.66.0.1"
CLIENT_IP6, TUNNEL_IP6 = "fd66::2", "fd66::1"
NOBODY = {4: "203.0.113.9", 6: "2001:db8:ff::9"}
PORTS = {"tcp": [80, 81, 443, 8080], "udp": [53, 80]}


def family_of(ip):
    return 6 if ":" in ip else 4


class Bed:
    """Use as a context. Containers are created through lab.docker, the rest through here."""

    def __init__(self, lab, config=None, tcp=None, udp=None, sctp=(), env=None):
        """env: harborwall's, beside what the lab gives it."""
        self.lab, self.docker, self.env = lab, lab.docker, env or {}
        self.room = tempfile.TemporaryDirectory(prefix="harborwall-test-")
        self.folder = tempfile.TemporaryDirectory(dir=self.room.name)  # a daemon sees what happens above it: not all of /tmp
        self.file = os.path.join(self.folder.name, "networks.json")
        self.config = None
        if config is not None:
            self.write(config)
        self.prober = prober.Prober(lab, tcp or PORTS["tcp"], udp or PORTS["udp"], sctp)
        self.tunnels = {}  # container -> iface
        self.stops = []  # rules of others in DOCKER-USER, as the oracle has them

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.prober.__exit__()
        self.folder.cleanup()
        self.room.cleanup()

    # -- the file --

    def write(self, config):
        """Replaces the file as editors do, by rename."""
        self.config = config
        self.write_text(json.dumps(config, indent=2) + "\n")

    def write_text(self, text):
        with open(self.file + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.file + ".new", self.file)

    # -- harborwall --

    def harborwall(self, verb, *options, check=False, env=None):
        return self.lab.run(engine.HARBORWALL, verb, "-c", self.file, *options, check=check, env={**self.env, **(env or {})})

    def apply(self, *options):
        done = self.harborwall("apply", *options)
        assert done.returncode == 0, f"apply: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def status(self):
        """What the daemon says; {} where none answers."""
        done = self.harborwall("status", "--json")
        return json.loads(done.stdout) if done.stdout else {}

    def run_daemon(self, env=None):
        return self.lab.spawn(engine.HARBORWALL, "run", "-c", self.file, env={**self.env, **(env or {})})

    # -- the world --

    def wire_tunnel(self, container, iface="wg0"):
        self.lab.tunnel(container, iface)
        self.tunnels[container] = iface

    def world(self, family=4):
        """What exists of one family."""
        containers, known = {}, set()
        for name, data in self.docker.containers().items():
            known.add(name)
            if data["State"]["Running"] and data["HostConfig"]["NetworkMode"] != "host":
                ends = data["NetworkSettings"]["Networks"]
                containers[name] = {n: ip for n, e in ends.items() if (ip := e.get(engine.ADDRESS_OF[family]))}
        networks = {}
        for name, data in self.docker.networks().items():
            pools = [(ipaddress.ip_network(p["Subnet"]), p) for p in data["IPAM"].get("Config") or []]
            for subnet, pool in [(subnet, p) for subnet, p in pools if subnet.version == family][:1]:
                networks[name] = (pool["Subnet"], pool.get("Gateway") or str(next(subnet.hosts())))
        outside, client, tunnel = {4: ((PEER_IP, HOST_IFACE, HOST_IP), CLIENT_IP, TUNNEL_IP),
                                   6: ((PEER_IP6, HOST_IFACE, HOST_IP6), CLIENT_IP6, TUNNEL_IP6)}[family]
        clients = {CLIENT: (client, c, i, tunnel) for c, i in self.tunnels.items() if c in containers}
        return oracle.World(containers, networks, known, {PEER: outside}, clients, self.lab.version != "none", family,
                            family == 4 or self.lab.closes_ipv6, [s for s in self.stops if family_of(s["source"]) == family])

    def worlds(self):
        """Of the families that the file speaks of."""
        both = any("subnet6" in network for network in self.config["networks"].values())
        return [self.world(family) for family in ((4, 6) if both else (4,))]

    def questions(self, world):
        """endpoint -> targets: every container, the host, the peer and the tunnel's client ask all."""
        ports = self.prober.ports()
        everything = [ip for networks in world.containers.values() for ip in networks.values()]
        asked, (_, _, host) = {}, world.outside[PEER]
        for name, networks in world.containers.items():
            asked[name] = [ip for ip in everything if ip not in networks.values()] + [host]
            if self.config and any(n.get("egress") for n in self.config["networks"].values()):
                asked[name].append(world.outside[PEER][0])
        asked["host"] = everything + [host]
        asked[PEER] = everything + [host]
        for name, (_, _, _, ip) in world.clients.items():
            asked[name] = [ip]
        return {name: [[ip, proto, port] for ip in ips for proto, port in ports] for name, ips in asked.items()}

    def matrix(self, only=lambda key: True):
        """(difference from what the config means, what was found, the worlds that it was sent in)."""
        worlds, asked, expected = self.worlds(), {}, {}
        for world in worlds:
            self.prober.serve_at(*world.containers, *world.outside, *world.clients)
            for name, targets in self.questions(world).items():
                asked.setdefault(name, []).extend(t for t in targets if only((name, *t)) and self.is_governed(world, name, t[0]))
        got = self.prober.ask_all(asked)
        for world in worlds:
            expected.update(oracle.Oracle(self.config, world).expected([key for key in got if family_of(key[1]) == world.family]))
        missing = prober.compare(expected, got).missing
        again = {name: [list(key[1:]) for key, _ in missing if key[0] == name] for name in {key[0] for key, _ in missing}}
        if again:  # a busy machine answers late, a rule that is not there never
            got.update(self.prober.ask_all(again, timeout=3))
        return prober.compare(expected, got), got, worlds

    def is_governed(self, world, source, ip):
        """Up to 26 engines write no rules for IPv6 unless they are told to: what the file does not declare they leave open."""
        return world.family == 4 or self.lab.closes_ipv6 or self.into_managed((source, ip)) or source != PEER and ip == PEER_IP6

    def assert_sources(self, ip, ports, thieves):
        """Everybody of them borrows an address of a neighbour's, of the peer's and of nobody's; the peer and a neighbour
        send their own, too."""
        family = family_of(ip)
        world, peer = self.world(family), {4: PEER_IP, 6: PEER_IP6}[family]
        who = oracle.Oracle(self.config, world)
        target, _ = world.owner(ip)
        neighbour = next(a for n in world.containers.values() for a in n.values() if any(who.allowed(a, ip, *p) for p in ports))
        owner, _ = world.owner(neighbour)
        attempts = [(sender, source, ip, proto, port, target) for sender in (PEER, owner, *thieves)
                    for source in (neighbour, peer, f"{peer}2", NOBODY[family]) for proto, port in ports]
        wanted = {a for a in attempts if who.lets_in(*a[:5])}
        got = set(self.prober.spoof(attempts))
        assert wanted and got == wanted, f"got in: {sorted(got - wanted)}\nstayed out: {sorted(wanted - got)}"

    def into_managed(self, key):
        """What leads to an address of a declared network, the host's own or the tunnel's."""
        return oracle.Config(self.config).network_of(key[1]) is not None or key[1] in (HOST_IP, TUNNEL_IP, HOST_IP6, TUNNEL_IP6)

    def assert_matrix(self, only=lambda key: True):
        difference, got, worlds = self.matrix(only)
        words = [*(line for world in worlds for line in oracle.Oracle(self.config, world).misplaced()), prober.explain(difference)]
        assert not any(words), "\n".join(w for w in words if w)
        return got


def rule_dumps(lab):
    """What the host's firewall holds, as text without counters, and its forwarding switch."""
    nft = lab.run("nft", "-s", "list", "ruleset").stdout
    nft = re.sub(r"table inet harborwall_lock \{.*?\n\}\n", "", nft, flags=re.S)  # the daemon's, while it runs
    save = lab.run("iptables-save").stdout + lab.run("ip6tables-save").stdout
    kept = [line for line in save.splitlines() if not line.startswith("#")]
    return {"nft": without_counters(nft), "iptables": [line.split(" [")[0] for line in kept],
            "ip_forward": lab.run("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding").stdout}


def rules_alone(dumps):
    """The same without base chains that have no rule and drop nothing, and tables of nothing else: the tools of iptables make
    them and delete none."""
    chain, table = r"\tchain \w+ \{\n\t\ttype [^\n]*policy accept;\n\t\}\n+", r"table \w+ \w+ \{\n+\}\n+"
    return {**dumps, "nft": re.sub(r"\n+", "\n", re.sub(table, "", re.sub(chain, "", dumps["nft"]))),
            "iptables": [line for line in dumps["iptables"] if not re.match(r"\*|COMMIT|:\w+ ACCEPT", line)]}


def remains(bed):
    """Lines of ours in any firewall: the host's and the running containers', whoever wrote them."""
    found = []
    for name in [None, *(n for n, c in bed.docker.containers().items() if c["State"]["Running"])]:
        for tool in (["nft", "list", "ruleset"], *([f"{family}-{variant}-save"] for family in ("iptables", "ip6tables")
                                                   for variant in ("nft", "legacy"))):
            done = bed.lab.run(*tool) if name is None else bed.lab.inside(name, *tool)
            found += [f"{name or 'host'}: {line}" for line in done.stdout.splitlines() if "harborwall" in line.lower()]
    return found


def without_counters(text):
    return re.sub(r"counter packets \d+ bytes \d+", "counter", text)
