# SPDX-License-Identifier: GPL-2.0-or-later
"""Random containers and a random file about them, the same for the same seed."""
import random

NAMES = ["app-1", "app-2", "db", "cache", "web", "worker.1", "webhook"]
PORTS = [80, "80", "80-81", [81, 443], [53, "80-90"], 8080, None]
PROTOS = ["tcp", "tcp", "udp", ["tcp", "udp"], "any", None]


def build(bed, seed, only=None, dual=False, strict=False):
    """Creates the containers; the config is of their names. only: the network that they are on before; None: any. dual:
    most networks and addresses have IPv6, too. strict: some networks are, and some of these closed to the host."""
    r, other = random.Random(seed), random.Random(seed + 2000)
    config = {"networks": {}, "ips": {}, "policies": []}
    for i in range(r.randint(2, 4)):
        config["networks"][f"net{i}"] = {"subnet": f"172.{20 + seed % 8}.{i}.0/24", "bridge_name": f"hw-net{i}",
                                         **({"subnet6": f"fd{20 + seed % 8}:{i}::/64"} if dual and (not i or r.random() < 0.8) else {}),
                                         **({"network_name": f"real-{i}"} if r.random() < 0.3 else {}),
                                         **(isolation(other) if strict else {})}
    bed.docker.create_network("elsewhere", "172.30.5.0/24", subnet6="fd30:5::/64" if "--ipv6" in bed.lab.options else None)
    for name in ["vpn", *r.sample(NAMES, r.randint(3, 6))]:
        declare(r, config, name)
        bed.docker.create(name, network=only or (r.choice(["bridge", "none", "elsewhere"]) if name != "vpn" else "bridge"),
                          privileged_net=name == "vpn", start=name == "vpn" or r.random() < 0.85)
    bed.docker.create("bystander")
    bed.docker.create("other", network="elsewhere")
    bed.wire_tunnel("vpn")
    for _ in range(r.randint(4, 9)):
        add_policy(r, config)
    return config


def isolation(r):
    return r.choice([{}, {"isolation": "strict"}, {"isolation": "strict", "host": r.random() < 0.5}])


def change(config, seed):
    r = random.Random(seed + 1000)
    del config["policies"][r.randrange(len(config["policies"]))]
    add_policy(r, config)
    add_policy(r, config)


def declare(r, config, name):
    for key in r.sample(sorted(config["networks"]), 2 if r.random() < 0.25 and len(config["networks"]) > 1 else 1):
        base = config["networks"][key]["subnet"].rsplit(".", 1)[0]
        taken = {ip for ip in config["ips"]}
        ip = next(ip for ip in (f"{base}.{r.randint(2, 250)}" for _ in range(99)) if ip not in taken)
        config["ips"][ip] = {"container_name": name, "selector": name,
                             **({"service_name": r.choice(["front", "back"])} if r.random() < 0.5 else {})}
        subnet6 = config["networks"][key].get("subnet6")
        if subnet6 and r.random() < 0.85:
            config["ips"][ip]["ip6"] = subnet6.split("/")[0] + ip.rsplit(".", 1)[1]


def names(config):
    return sorted({a["container_name"] for a in config["ips"].values()})


def subject(r, config):
    name = r.choice(names(config))
    return r.choice([{"selector": name}, {"container_name": name}, {"selector": name, "service_name": "front"},
                     {"service_name": r.choice(["front", "back"])}])


def source(r, config):
    sixes = [a["ip6"] for a in config["ips"].values() if "ip6" in a]
    if sixes and r.random() < 0.3:
        return r.choice([r.choice(sixes), "2001:db8:2::/64", ["192.0.2.0/24", "2001:db8:2::/64"]])
    return r.choice([r.choice(names(config)), r.choice(names(config)), r.choice(sorted(config["ips"])),
                     r.choice(sorted(config["networks"])), "192.0.2.0/24", "any", "app", "front", "nobody"])


def traffic(r, ports=True):
    port, proto = r.choice(PORTS if ports else PORTS[:-1]), r.choice(PROTOS)
    return {**({"port": port} if port is not None and proto != "any" else {}), **({"proto": proto} if proto else {})}


def singles(config):
    """Containers with one address: what a translation can lead to by name."""
    every = [a["container_name"] for a in config["ips"].values()]
    return [n for n in sorted(set(every)) if every.count(n) == 1 and n != "vpn"]


def masquerade(r, config):
    """On the host: what leaves for the outside, or what comes from there into a network."""
    return {"nat": "masquerade", "iface": r.choice(["ext0", *(n["bridge_name"] for n in config["networks"].values() if "bridge_name" in n)]),
            **r.choice([{}, {"from": source(r, config)}, {"from": ["192.0.2.0/24", "2001:db8:2::/64"]}]),
            **r.choice([{}, {}, {"port": r.choice([80, 443, "80-81"]), "proto": r.choice(["tcp", "udp"])}])}


def add_policy(r, config):
    kind = r.random()
    if kind < 0.55:
        policy = {**subject(r, config), "from": source(r, config), **traffic(r)}
    elif kind < 0.67:
        policy = masquerade(r, config)
    else:
        if not singles(config):
            return
        used = [p for p in config["policies"] if p.get("nat") == "dnat"]
        port = next((p for p in r.sample([80, 81, 443, 8080], 4) if p not in [u["port"] for u in used]), None)
        if port is None:
            return
        policy = {"selector": "vpn", "nat": "dnat", "to": r.choice(singles(config)), "port": port,
                  **({"to_port": 80} if r.random() < 0.3 else {})}
        if kind < 0.85:
            policy |= {"iface": "ext0", **({"masquerade": True} if r.random() < 0.2 else {})}
        elif kind < 0.97:
            policy |= {"iface": "wg0", "name": "vpn"}
        if r.random() < 0.15 and "name" not in policy:
            policy["from"] = r.choice(["192.0.2.0/24", "198.51.100.0/24"]) if "iface" in policy else "any"
    config["policies"].append(policy)
