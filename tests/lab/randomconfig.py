# SPDX-License-Identifier: GPL-2.0-or-later
"""Random containers and a random file about them, the same for the same seed."""
import collections
import random

NAMES = ["app-1", "app-2", "db", "cache", "web", "worker.1", "webhook"]
PORTS = [80, "80", "80-81", [81, 443], [53, "80-90"], 8080, None]
PROTOS = ["tcp", "tcp", "udp", ["tcp", "udp"], "any", None]


def build(bed, seed, only=None, dual=False, mixed=False, strict=False):
    """Creates the containers; the config is of their names. only: the network that they are on before; None: any. dual:
    most networks and addresses have IPv6, too. mixed: with what MIXED and OF_A_NETWORK add. strict: some
    networks are, and some of these closed to the host; of some the isolation is audited."""
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
        add_policy(r, config, mixed)
    if mixed:
        vary_networks(r, config)
    return config


def isolation(r):
    return r.choice([{}, {"isolation": "audit"}, {"isolation": "strict"}, {"isolation": "strict", "host": r.random() < 0.5}])


def change(config, seed, mixed=False):
    r = random.Random(seed + 1000)
    del config["policies"][r.randrange(len(config["policies"]))]
    add_policy(r, config, mixed)
    add_policy(r, config, mixed)
    if mixed:
        vary_networks(r, config)


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


# --- all features mixed: an entry for each ---

def egress(r, config):
    """What the subject may begin, whatever its network's egress."""
    inside = r.choice([*names(config), *sorted(config["ips"]), *sorted(config["networks"])])
    return {**subject(r, config), **traffic(r),
            "to": r.choice(["any", "192.0.2.2", inside, inside, ["192.0.2.0/24", "2001:db8:2::/64"], ["2001:db8:2::2", inside]])}


def from_iface(r, config):
    return {"iface": r.choice(["ext0", *(n["bridge_name"] for n in config["networks"].values())])}


def two_ports(r, config):
    """That no other dnat has; None where there are none left."""
    used = set(used_ports(config))
    free = [item for item in (80, 81, 443, 8080) if item not in used]
    return r.sample(free, 2) if len(free) >= 2 else None


def ports_to_one(r, config):
    """Of several ports to one of the target's."""
    pair = two_ports(r, config)
    if not pair:
        return {}
    return {"port": "80-81" if {80, 81} == set(pair) else pair, "to_port": 80}


def ports_one_to_one(r, config):
    """Each port to one of the target's."""
    pair = two_ports(r, config)
    if not pair:
        return {}
    if {80, 81} == set(pair) and r.random() < 0.5:
        return {"port": "80-81", "to_port": r.choice(["443-444", "80-81", "79-80"])}
    return {"port": pair, "to_port": r.sample([80, 81, 443, 8080], 2)}


def several_targets(r, config):
    return {"to": r.sample(singles(config), 2)} if len(singles(config)) > 1 else {}


def from_host(r, config):
    """Where some network is closed to the host."""
    closed = [n for n in config["networks"].values() if n.get("host") is False]
    return {"from": r.choice(["host", ["host", r.choice(names(config))]])} if closed else {}


# kind of policy -> ((how often, what is put into it), …); "another": instead of any kind
MIXED = {
    "another": ((0.3, egress),),
    "allow": ((0.2, from_iface),
              (0.2, from_host),
              (0.15, lambda r, config: {"log": True}),
              (0.2, lambda r, config: {"proto": r.choice(["sctp", ["tcp", "sctp"], ["udp", "sctp", "tcp"]])}),
              (0.1, lambda r, config: {"port": [80, "443-444", "8080-8090"]})),
    "egress": ((0.15, lambda r, config: {"log": True}),
               (0.2, lambda r, config: {"proto": r.choice(["sctp", ["udp", "sctp"]])})),
    "dnat": ((0.25, ports_to_one),
             (0.3, ports_one_to_one),
             (0.3, several_targets),
             (0.15, lambda r, config: {"log": True}),
             (0.25, lambda r, config: {"proto": r.choice(["udp", "sctp", ["tcp", "udp"], ["tcp", "udp", "sctp"]])})),
    "host dnat": ((0.2, lambda r, config: {"masquerade": False}),),
    "masquerade": (),
}
OF_A_NETWORK = ((0.2, {"egress": "audit"}),  # drops nothing
                (0.3, {"egress": "deny"}))


def as_list(value):
    return value if isinstance(value, list) else [value]


def kinds(policy):
    if "nat" not in policy:
        return ["allow" if "from" in policy else "egress"]
    return [policy["nat"], *(["host dnat"] if policy["nat"] == "dnat" and policy.get("iface") == "ext0" else [])]


def features(config):
    """How often each is in a file."""
    found = collections.Counter(f"egress {n['egress']}" for n in config["networks"].values() if "egress" in n)
    found.update(f"isolation {n['isolation']}" for n in config["networks"].values() if "isolation" in n)
    for policy in config["policies"]:
        found.update(kinds(policy)[-1:])
        found.update(field for field in ("log", "to_port") if field in policy)
        found.update(f"{field} list" for field in ("proto", "port", "to", "from") if isinstance(policy.get(field), list))
        found.update(["ports one to one"] if isinstance(policy.get("to_port"), (str, list)) else [])
        found.update(["iface of allow"] if kinds(policy) == ["allow"] and "iface" in policy else [])
        found.update(["masquerade false"] if policy.get("masquerade") is False else [])
        found.update(["from host"] if kinds(policy) == ["allow"] and "host" in as_list(policy["from"]) else [])
        found.update(["sctp"] if "sctp" in as_list(policy.get("proto")) else [])
    return found


def vary(r, config, policy):
    for kind in kinds(policy):
        for share, draw in MIXED[kind]:
            if r.random() < share:
                policy |= draw(r, config)
    if "nat" not in policy and "host" in as_list(policy.get("from")):
        policy.pop("iface", None)
    if policy.get("proto") == "any":
        policy.pop("port", None)
    return policy


def vary_networks(r, config):
    for network in config["networks"].values():
        for field in {field for _, fields in OF_A_NETWORK for field in fields}:
            network.pop(field, None)
        for share, fields in OF_A_NETWORK:
            if r.random() < share:
                network |= fields


def add_policy(r, config, mixed=False):
    for share, draw in MIXED["another"] if mixed else ():
        if r.random() < share:
            config["policies"].append(vary(r, config, draw(r, config)))
            return
    policy = plain_policy(r, config)
    if policy:
        config["policies"].append(vary(r, config, policy) if mixed else policy)


def used_ports(config):
    for policy in config["policies"]:
        for item in as_list(policy["port"]) if policy.get("nat") == "dnat" else ():
            low, _, high = str(item).partition("-")
            yield from range(int(low), int(high or low) + 1)


def plain_policy(r, config):
    kind = r.random()
    if kind < 0.55:
        policy = {**subject(r, config), "from": source(r, config), **traffic(r)}
    elif kind < 0.67:
        policy = masquerade(r, config)
    else:
        if not singles(config):
            return None
        used = set(used_ports(config))
        port = next((p for p in r.sample([80, 81, 443, 8080], 4) if p not in used), None)
        if port is None:
            return None
        policy = {"selector": "vpn", "nat": "dnat", "to": r.choice(singles(config)), "port": port,
                  **({"to_port": 80} if r.random() < 0.3 else {})}
        if kind < 0.85:
            policy |= {"iface": "ext0", **({"masquerade": True} if r.random() < 0.2 else {})}
            if r.random() < 0.3:  # the host's own connections, alone or too
                policy |= r.choice([{"from": "host"}, {"from": ["host", "any"]}])
                if policy["from"] == "host":
                    del policy["iface"]
        elif kind < 0.97:
            policy |= {"iface": "wg0", "name": "vpn"}
        if r.random() < 0.15 and "name" not in policy and "from" not in policy:
            policy["from"] = r.choice(["192.0.2.0/24", "198.51.100.0/24"]) if "iface" in policy else "any"
    return policy
