# SPDX-License-Identifier: GPL-2.0-or-later
"""Fifty files as people write them, each with tests that say all of it: whoever loses a policy or widens one is told so by a
test of his own file."""
import concurrent.futures
import ipaddress
import json
import os
import random
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(HERE, "../../build/harborwall"))
FILES = 50
OUTSIDE = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
ALL = (1, 65535)
TIERS = {"edge": [("proxy", 1, 3), ("vpn", 1, 1)], "app": [("web", 1, 4), ("api", 1, 4), ("worker", 1, 3)],
         "data": [("db", 1, 2), ("cache", 1, 2), ("queue", 1, 1)], "ops": [("metrics", 1, 1), ("logs", 1, 1)]}
USUAL = [("any", "proxy", [80, 443]), ("proxy", "web", 8080), ("web", "api", [8080, 8443]), ("api", "db", 5432), ("api", "cache", 6379),
         ("worker", "queue", "5671-5672"), ("worker", "db", 5432), ("metrics", "app", "9100-9110"), ("app", "logs", 514),
         (OUTSIDE[0], "metrics", 3000), ("vpn", "data", [5432, 6379]), (OUTSIDE[1], "vpn", 51820)]


def build(seed):
    r = random.Random(seed)
    config = {"networks": {}, "ips": {}, "policies": []}
    for i, (tier, services) in enumerate(TIERS.items()):
        config["networks"][tier] = {"subnet": f"172.20.{i}.0/24", **({"internal": True} if tier == "data" and r.random() < 0.5 else {})}
        n = 2
        for service, low, high in services:
            for k in range(r.randint(low, high)):
                config["ips"][f"172.20.{i}.{n}"] = {"container_name": f"{service}-{k + 1}", "service_name": service}
                n += 1
    for source, target, port in r.sample(USUAL, r.randint(5, len(USUAL))):
        subject = {"selector": target} if target in TIERS else {"service_name": target}
        udp = {"proto": "udp"} if port in (514, 51820) else {"proto": ["tcp", "udp"]} if r.random() < 0.1 else {}
        config["policies"].append({**subject, "from": source, "port": port, **udp})
    if r.random() < 0.6:  # the world comes in by the host's own address
        config["policies"].append({"container_name": "proxy-1", "nat": "dnat", "iface": "eth0", "to": "proxy-1", "port": [80, 443]})
    if r.random() < 0.3:
        config["policies"].append({"container_name": "vpn-1", "nat": "dnat", "iface": "eth0", "to": "vpn-1", "port": 51820, "proto": "udp"})
    return config


# --- what a file means, in sets ---

def ranges(port):
    if port is None:
        return [ALL]
    items = port if isinstance(port, list) else [port]
    return sorted((int(str(i).split("-")[0]), int(str(i).split("-")[-1])) for i in items)


def protos(policy):
    proto = policy.get("proto", "tcp")
    return proto if isinstance(proto, list) else [proto]


def holders(config, name):
    if name in config["networks"]:
        return {ip for ip in config["ips"] if network(config, ip) == name}
    return {ip for ip, a in config["ips"].items() if name in (a["service_name"], a["container_name"])}


def network(config, ip):
    return next(n for n, v in config["networks"].items() if ipaddress.ip_address(ip) in ipaddress.ip_network(v["subnet"]))


def meaning(config):
    """(source, target address, protocol) -> ports. A source is an address of the file or one of OUTSIDE."""
    found = {}
    for p in config["policies"]:
        if "nat" in p:
            found.setdefault((p["iface"], "host", *protos(p)), set()).update(ranges(p["port"]))
            continue
        name = p["from"]
        sources = {*config["ips"], *OUTSIDE} if name == "any" else {name} if name in OUTSIDE else holders(config, name)
        for target in holders(config, p.get("selector", p.get("service_name"))):
            for source in sources:
                if source not in config["ips"] or network(config, source) != network(config, target):
                    for proto in protos(p):
                        found.setdefault((source, target, proto), set()).update(ranges(p.get("port")))
    return {key: merged(value) for key, value in found.items()}


def merged(spans):
    out = []
    for low, high in sorted(spans):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def gaps(spans):
    at, out = 1, []
    for low, high in spans:
        if at < low:
            out.append((at, low - 1))
        at = high + 1
    return out + ([(at, 65535)] if at <= 65535 else [])


def complete(config):
    """What must be open, and all the rest closed."""
    means, tests = meaning(config), []
    for (source, target, proto), spans in means.items():
        if target == "host":
            tests += [{"from": source, "to": target, "proto": proto, "expect": "untranslated", "port": [f"{low}-{high}" for low, high in gaps(spans)]}]
            other = {"tcp": "udp", "udp": "tcp"}[proto]
            if (source, target, other) not in means:
                tests.append({"from": source, "to": target, "proto": other, "expect": "untranslated"})
            tests += [{"from": source, "to": target, "proto": proto, "expect": "open", "port": f"{low}-{high}"} for low, high in spans]
    for target in config["ips"]:
        for source in (*config["ips"], *OUTSIDE):
            if source in config["ips"] and network(config, source) == network(config, target):
                continue
            for proto in ("tcp", "udp"):
                spans = means.get((source, target, proto), [])
                for expect, parts in (("open", spans), ("closed", gaps(spans))):
                    if parts:
                        tests.append({"from": source, "to": target, "proto": proto, "expect": expect,
                                      "port": [f"{low}-{high}" if low < high else low for low, high in parts]})
    return tests


# --- slips ---

def slips(config):
    for i, p in enumerate(config["policies"]):
        others = config["policies"][:i], config["policies"][i + 1:]
        yield f"policies[{i}] is lost", [*others[0], *others[1]]
        if "nat" in p:
            yield f"policies[{i}] is for another port", [*others[0], {**p, "port": 8443}, *others[1]]
            yield f"policies[{i}]: one port more", [*others[0], {**p, "port": [*(p["port"] if isinstance(p["port"], list) else [p["port"]]), 22]}, *others[1]]
            yield f"policies[{i}]: udp, too", [*others[0], {**p, "proto": ["tcp", "udp"]}, *others[1]]
            continue
        for what, change in (("every port", {"port": "1-65535"}), ("from anybody", {"from": "any"}), ("udp, too", {"proto": ["tcp", "udp"]}),
                             ("one port more", {"port": [*(p["port"] if isinstance(p["port"], list) else [p["port"]]), 22]}),
                             ("a whole network", {"selector": "data"})):
            yield f"policies[{i}]: {what}", [*others[0], {**p, **change}, *others[1]]


def accepts(folder, config):
    path = f"{folder}/networks-{random.getrandbits(64):x}.json"
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    done = subprocess.run([HARBORWALL, "check", "-q", path], stderr=subprocess.PIPE, text=True, check=False)
    os.unlink(path)
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", range(5))
def test_every_slip_is_caught_by_a_test_of_the_file(tmp_path, part):
    caught = 0
    for seed in range(part, FILES, 5):
        config = build(seed)
        config["tests"] = complete(config)
        ok, said = accepts(tmp_path, config)
        assert ok, f"seed {seed}: {said[:1000]}"
        means = meaning(config)
        wrong = [(what, policies) for what, policies in slips(config) if meaning({**config, "policies": policies}) != means]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (what, _), (ok, said) in zip(wrong, pool.map(lambda w: accepts(tmp_path, {**config, "policies": w[1]}), wrong)):
                assert not ok and "tests[" in said, f"seed {seed}: {what}: {said[:500]}"
                caught += 1
    assert caught > 200
    print(f"figures: corpus: {caught} slips caught")
