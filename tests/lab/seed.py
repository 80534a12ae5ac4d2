# SPDX-License-Identifier: GPL-2.0-or-later
"""The original description's example, the containers that it names, and the same by hand in nft."""
import concurrent.futures
import copy

import pool

SEED = {
    "networks": {
        "smarthost-loadbalancer": {"network_name": "smarthost-loadbalancer",
                                   "subnet": "172.18.103.0/24", "gateway": "172.18.103.1"},
        "smarthost_backend-1": {"network_name": "smarthost_backend-1",
                                "subnet": "172.18.104.0/24", "gateway": "172.18.104.1"},
    },
    "ips": {
        "172.18.103.2": {"ip": "172.18.103.2", "container_name": "smarthostloadbalancer",
                         "selector": "smarthostloadbalancer", "service_name": "smarthost-proxy"},
        "172.18.104.2": {"ip": "172.18.104.2", "container_name": "smarthostbackend-1",
                         "selector": "smarthostbackend-1", "service_name": "smarthost-proxy"},
    },
    "policies": [
        {"service_name": "smarthost-proxy", "container_name": "smarthost_loadbalancer",
         "selector": "smarthostloadbalancer", "from": "publicbackend", "port": 80, "proto": "tcp"},
        {"service_name": "smarthost-proxy", "container_name": "smarthost_loadbalancer",
         "selector": "smarthostloadbalancer", "name": "wireguardproxy", "iface": "wg0",
         "nat": "dnat", "to": "smarthostloadbalancer", "port": 80, "proto": "tcp"},
    ],
}


def example():
    """The seed's file as it stands: publicbackend has no address in it, so its policy waits."""
    return copy.deepcopy(SEED)


def widened():
    """The same with an address for publicbackend, a way in from outside, and udp."""
    config = example()
    config["ips"]["172.18.104.3"] = {"ip": "172.18.104.3", "container_name": "publicbackend",
                                     "selector": "publicbackend"}
    config["policies"] += [
        {"selector": "smarthostloadbalancer", "from": "smarthostbackend-1", "port": 53, "proto": "udp"},
        {"selector": "smarthostloadbalancer", "iface": "ext0", "nat": "dnat",
         "to": "smarthostloadbalancer", "port": 81, "proto": "tcp"},
    ]
    return config


# What the peer is called in the other family.
TWINS = {"192.0.2.0/24": "2001:db8:2::/64", "192.0.2.2": "2001:db8:2::2"}
WITH_IPV6 = ["--ipv6", "--fixed-cidr-v6=fd17::/64"]  # options of an engine whose default network has it, too


def dual(config):
    """The same with IPv6 beside every IPv4: fd18:103::2 beside 172.18.103.2."""
    config = copy.deepcopy(config)
    for network in config["networks"].values():
        network["subnet6"] = six(network["subnet"].split("/")[0]) + "/64"
    for key, entry in config["ips"].items():
        entry["ip6"] = six(key)
    for policy in config["policies"]:
        sources = policy.get("from", [])
        sources = sources if isinstance(sources, list) else [sources]
        if twins := [TWINS[source] for source in sources if source in TWINS]:
            policy["from"] = sources + twins
    return config


def six(ip):
    _, high, low, last = ip.split(".")
    return f"fd{high}:{low}::{last if last != '0' else ''}"


SCTP = [80, 3868]


def with_sctp():
    """The same with a third protocol, on each of the ways: forwarded, translated on the host, and in a container."""
    config = widened()
    config["policies"] += [
        {"selector": "smarthostloadbalancer", "from": "smarthostbackend-1", "port": 3868, "proto": "sctp"},
        {"selector": "smarthostbackend-1", "iface": "ext0", "nat": "dnat", "to": "smarthostbackend-1", "port": 80, "to_port": 3868,
         "proto": "sctp"},
        {"selector": "smarthostloadbalancer", "name": "wireguardproxy", "iface": "wg0", "nat": "dnat",
         "to": "smarthostloadbalancer", "port": 3868, "proto": "sctp"},
    ]
    return config


def containers(bed):
    """As people have them before the first pass: on bridge, on none, on a network of their own, which has IPv6 where the
    default one has. In a lab that served before they stand (pool.py)."""
    docker = bed.docker
    if bed.lab.seeded:
        bed.wire_tunnel("wireguardproxy")
        return
    docker.create("smarthostloadbalancer")
    docker.create("smarthostbackend-1", network="none")
    docker.create("publicbackend")
    docker.create("wireguardproxy", privileged_net=True)
    docker.create_network("elsewhere", "172.30.5.0/24", subnet6="fd30:5::/64" if "--ipv6" in bed.lab.options else None)
    docker.create("bystander", network="elsewhere")
    bed.wire_tunnel("wireguardproxy")
    if hasattr(bed.lab, "arguments"):
        bed.lab.seeded = pool.picture(bed.lab)


def start_all(bed):
    """The same again, behind an engine that took them with it."""
    names = ["smarthostloadbalancer", "smarthostbackend-1", "publicbackend", "wireguardproxy", "bystander"]
    bed.prober.__exit__()
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(bed.docker.start, names))
    bed.lab.tunnel("wireguardproxy", "wg0")
