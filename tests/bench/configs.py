# SPDX-License-Identifier: GPL-2.0-or-later
"""Files to measure with: seeded, so that one name is one file on every machine.

pairs: every policy is one flow, container to container of another network, one port: what rivals
can be given word for word. graph: services in tiers, as people write them: names that stand for
several containers, shared services, address ranges, port lists, udp, translations."""
import ipaddress
import json
import random

TIERS = ("edge", "web", "app", "data")
SHARED = (("resolver", 53, "udp"), ("collector", 24224, "tcp"), ("auth", 8443, "tcp"), ("metrics", 9100, "tcp"))
PORTS = (80, 443, 3000, 5432, 5672, 6379, 8080, 8443, 9000, 9200)


def subnet_of(i):
    return f"10.{100 + i // 256}.{i % 256}"


class Graph:
    """Containers of services; service s stands on network s modulo their number."""

    def __init__(self, containers, networks, seed):
        self.r = random.Random(seed)
        self.config = {"networks": {}, "ips": {}, "policies": []}
        self.n_networks, self.doors = networks, 0
        self.names = []  # (service number, container's name, address)
        for i in range(networks):
            self.config["networks"][f"net{i}"] = {"subnet": f"{subnet_of(i)}.0/24"}
        self.services, hosts = [], [1] * networks
        while len(self.names) < containers:
            s = len(self.services)
            n = s % networks
            stack, tier = divmod(s, len(TIERS))
            name = SHARED[s][0] if s < len(SHARED) and containers > 20 else f"storefront{stack}-{TIERS[tier]}"
            self.services.append((name, []))
            for k in range(min(1 + s % 4, containers - len(self.names))):
                hosts[n] += 1
                ip = f"{subnet_of(n)}.{hosts[n]}"
                self.names.append((s, f"{name}-{k + 1}", ip))
                self.services[s][1].append(self.names[-1])
                self.config["ips"][ip] = {"container_name": self.names[-1][1], "selector": self.names[-1][1],
                                          "service_name": name}
        self.seen = set()

    def policy(self, fields):
        """Once each: two policies that say the same are one."""
        key = json.dumps(fields, sort_keys=True)
        if key in self.seen:
            return
        self.seen.add(key)
        fields["comment"] = f"edge {len(self.seen)} of the service graph"
        self.config["policies"].append(fields)

    def subject(self, name):
        return {"service_name": self.services[name[0]][0], "container_name": name[1], "selector": name[1]}

    def port(self):
        return self.r.choice(PORTS) if self.r.random() < 0.3 else self.r.randint(1024, 65535)

    def apart(self, service, other):
        """On two networks: within one, containers talk anyway."""
        return service % self.n_networks != other % self.n_networks

    def replica(self):
        a, b = self.r.choice(self.names), self.r.choice(self.names)
        if self.apart(a[0], b[0]):
            self.policy({**self.subject(b), "from": a[1], "port": self.port(), "proto": "tcp"})

    def service(self):
        """Both ends by the prefix of their containers' names: several flows."""
        a = self.r.randrange(len(self.services))
        b = (a + self.r.randint(1, 3)) % len(self.services)
        if self.apart(a, b):
            self.policy({"selector": self.services[b][0], "from": self.services[a][0], "port": self.port(), "proto": "tcp"})

    def shared(self):
        i = self.r.randrange(min(len(SHARED), len(self.services)))
        a = self.r.choice(self.names)
        if self.apart(a[0], i):
            port = SHARED[i][1] if self.r.random() < 0.5 else self.port()
            self.policy({"selector": self.services[i][0], "from": a[1], "port": port, "proto": SHARED[i][2]})

    def outside(self):
        b, third = self.r.choice(self.names), self.r.randint(0, 255)
        self.policy({**self.subject(b), "from": f"192.168.{third}.0/24", "port": self.port(), "proto": "tcp"})

    def ports(self):
        a, b, low = self.r.choice(self.names), self.r.choice(self.names), self.r.randint(1024, 60000)
        if self.apart(a[0], b[0]):
            ports = f"{low}-{low + self.r.choice((9, 99))}" if self.r.random() < 0.3 else [80, 443, low]
            self.policy({**self.subject(b), "from": a[1], "port": ports, "proto": "tcp"})

    def translated(self):
        b = self.r.choice(self.names)
        self.doors += 1
        self.policy({**self.subject(b), "nat": "dnat", "iface": "ext0", "to": b[1], "port": 10000 + self.doors,
                     "to_port": self.r.choice(PORTS), "proto": "tcp"})

    def inside(self):
        """A translation in a container's own namespace, as of a VPN's or a proxy's."""
        a, b = self.r.choice(self.names), self.r.choice(self.names)
        if self.apart(a[0], b[0]):
            self.doors += 1
            self.policy({**self.subject(a), "nat": "dnat", "to": b[1], "port": 10000 + self.doors,
                         "to_port": self.r.choice(PORTS), "proto": "tcp"})

    def build(self, policies):
        kinds = {self.replica: 71, self.service: 8, self.shared: 9, self.outside: 3, self.ports: 7, self.translated: 1,
                 self.inside: 1}
        if len(self.services) < 2:
            kinds = {self.outside: 9, self.translated: 1}
        while len(self.config["policies"]) < policies:
            self.r.choices(list(kinds), kinds.values())[0]()
        return self.config


def graph(policies, containers=None, networks=None, seed=1):
    containers = containers or max(10, min(1000, policies // 10))
    return Graph(containers, networks or max(2, containers // 10), seed).build(policies)


def pairs(policies, containers=None, networks=None, seed=1):
    """(config, flows): flow i, (source, destination, port), is what policy i says. Lines as long as the
    example's: 100 000 of them are 30 MB."""
    containers = containers or max(10, min(1000, policies // 10))
    g = Graph(containers, networks or max(2, containers // 10), seed)
    flows, seen = [], set()
    while len(flows) < policies:
        a, b, port = g.r.choice(g.names), g.r.choice(g.names), g.r.randint(1, 65535)
        if not g.apart(a[0], b[0]) or (a, b, port) in seen:
            continue
        seen.add((a, b, port))
        flows.append((a[2], b[2], port))
        g.config["policies"].append({**g.subject(b), "from": a[1], "port": port, "proto": "tcp",
                                     "comment": f"{a[1]} asks {b[1]}"})
    return g.config, flows


def neighbours(containers, policies, isolation, bridge, flow, seed=1):
    """One network, and policies between its containers, one port each; the last one is this flow."""
    r, net = random.Random(seed), subnet_of(0)
    config = {"networks": {"shop": {"subnet": f"{net}.0/24", "bridge_name": bridge, "isolation": isolation}},
              "ips": {f"{net}.{i + 2}": {"container_name": f"stall-{i}"} for i in range(containers)}, "policies": []}
    flows, names = {}, {ip: a["container_name"] for ip, a in config["ips"].items()}
    while len(flows) < policies - 1:
        flows[(*r.sample(list(names), 2), r.randint(1024, 5000))] = True
    for source, to, port in (*flows, flow):
        config["policies"].append({"container_name": names[to], "from": names[source], "port": port})
    return config


def six(ip):
    """10.100.3.7, alone or as a prefix, in IPv6: fd00:6403::7."""
    a, bits = (ip + "/").split("/")[:2]
    octets = [int(n) for n in a.split(".")]
    address = ipaddress.ip_address((0xFD00 << 112) | (octets[1] << 104) | (octets[2] << 96) | octets[3])
    return str(address) + (f"/{64 if bits == '24' else 96 + int(bits)}" if bits else "")


def dual(config):
    """The same with IPv6 beside every IPv4: twice as many flows."""
    for network in config["networks"].values():
        network["subnet6"] = six(network["subnet"])
    for ip, address in config["ips"].items():
        address["ip6"] = six(ip)
    return config


def write(config, path):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)
    return path


def converge(engine, config, running=False, pids=None):
    """The scripted engine as it looks when every network and connection of the file stands."""
    for key, network in config["networks"].items():
        subnet = network["subnet"]
        pools = [{"Subnet": s, "Gateway": str(ipaddress.ip_network(s)[1])} for s in (subnet, network.get("subnet6")) if s]
        engine.add_network(key, subnet, pools=pools, subnet6=network.get("subnet6"),
                           bridge=network.get("bridge_name"), labels={"io.harborwall.managed": "1"})
    by_subnet = {n["IPAM"]["Config"][0]["Subnet"]: ident for ident, n in engine.networks.items() if n["IPAM"]["Config"]}
    lengths = sorted({int(subnet.split("/")[1]) for subnet in by_subnet})
    for ip, address in config["ips"].items():
        name = address["container_name"]
        pid = (pids or {}).get(name, 0)
        ident = engine.add_container(name, running=running or bool(pid), pid=pid)
        network = next(by_subnet[subnet] for bits in lengths if (subnet := str(ipaddress.ip_network(f"{ip}/{bits}", False))) in by_subnet)
        engine.attach(ident, network, ip, {"DriverOpts": {"io.harborwall.managed": "1"},
                                           **({"IPAMConfig": {"IPv6Address": address["ip6"]}} if "ip6" in address else {})})
    return engine


# --- lists and services ---

def address(n):
    return f"{n >> 24}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def prefixes(n, kind, seed=1):
    """n different prefixes outside of every network of a file. disjoint and adjacent ones are /24; nested ones lie within each
    other; country has the lengths of a country's list, most of them /24 and longer, and they may lie within each other."""
    r, first = random.Random(seed), 11 << 24
    if kind == "single":
        return [address(first + 256 * i + 7) for i in range(n)]
    if kind in ("disjoint", "adjacent"):
        return [f"{address(first + 256 * i * (2 if kind == 'disjoint' else 1))}/24" for i in range(n)]
    lengths, found = (range(12, 31) if kind == "nested" else (16, 20, 22, 24, 24, 24, 24, 26, 28, 30, 32)), {}
    while len(found) < n:
        length = r.choice(lengths)
        found[f"{address(r.randrange(first, 99 << 24) >> 32 - length << 32 - length)}/{length}"] = True
    return list(found)


def outside(n, kind, together=False):
    """(config, flows): one policy for each source, or one for the list of them, all to one container and port."""
    config = {"networks": {"front": {"subnet": "10.0.0.0/24"}}, "ips": {"10.0.0.2": {"container_name": "lb"}}, "policies": []}
    sources = prefixes(n, kind)
    config["policies"] = [{"selector": "lb", "from": source, "port": 80} for source in ([sources] if together else sources)]
    return config, [(source, "10.0.0.2", 80) for source in sources]


def services(members):
    """One policy from a service of so many to another one, each on a network of its own."""
    config = {"networks": {}, "ips": {}, "policies": [{"service_name": "s0", "from": "s1", "port": 80}]}
    for s in range(2):
        config["networks"][f"net{s}"] = {"subnet": f"10.{s}.0.0/16"}
        for i in range(members):
            ip = f"10.{s}.{i + 2 >> 8}.{i + 2 & 255}"
            config["ips"][ip] = {"container_name": f"s{s}-{i}", "selector": f"c{s}x{i}", "service_name": f"s{s}"}
    return config


def mesh(policies, n_services, members, seed=1):
    """Policies between services, each on a network of its own."""
    r = random.Random(seed)
    config, seen = {"networks": {}, "ips": {}, "policies": []}, set()
    for s in range(n_services):
        config["networks"][f"net{s}"] = {"subnet": f"10.{s}.0.0/24"}
        for i in range(members):
            config["ips"][f"10.{s}.0.{i + 2}"] = {"container_name": f"s{s}-{i}", "selector": f"c{s}x{i}", "service_name": f"s{s}"}
    while len(seen) < policies:
        a, b, port = r.randrange(n_services), r.randrange(n_services), r.randint(1, 65535)
        if a != b and (a, b, port) not in seen:
            seen.add((a, b, port))
            config["policies"].append({"service_name": f"s{a}", "from": f"s{b}", "port": port})
    return config


def ranges(n, seed=1):
    """Port ranges that overlap, all between one pair of containers."""
    r = random.Random(seed)
    config = {"networks": {"a": {"subnet": "10.0.0.0/24"}, "b": {"subnet": "10.1.0.0/24"}},
              "ips": {"10.0.0.2": {"container_name": "x"}, "10.1.0.2": {"container_name": "y"}}, "policies": []}
    for _ in range(n):
        low = r.randint(1, 60000)
        config["policies"].append({"selector": "y", "from": "x", "port": f"{low}-{low + r.randint(1, 3000)}"})
    return config
