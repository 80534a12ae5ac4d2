# SPDX-License-Identifier: GPL-2.0-or-later
"""A host without Docker: namespaces on bridges, laid out by hand, that answer the bed's questions as an engine would."""
import ipaddress

HOST = {"Running": True}


class StandIns:
    def __init__(self, lab):
        self.lab, self.bridges, self.ends = lab, {}, {}

    def create_network(self, name, subnet, bridge):
        self.bridges[name] = (bridge, ipaddress.ip_network(subnet))

    def create(self, name, network, ip):
        bridge, subnet = self.bridges[network]
        self.lab.stand_in(name, bridge, f"{ip}/{subnet.prefixlen}", str(next(subnet.hosts())))
        self.ends[name] = (network, ip)

    def addresses(self, name):
        network, ip = self.ends[name]
        return {network: ip}

    def containers(self):
        return {name: {"State": HOST, "HostConfig": {"NetworkMode": network},
                       "NetworkSettings": {"Networks": {network: {"IPAddress": ip}}}}
                for name, (network, ip) in self.ends.items()}

    def networks(self):
        return {name: {"IPAM": {"Config": [{"Subnet": str(subnet)}]}} for name, (_, subnet) in self.bridges.items()}


def lay_out(bed):
    """The seed's containers where the widened example has them, and two that it does not place."""
    docker = bed.docker
    for name, network in bed.config["networks"].items():
        docker.create_network(name, network["subnet"], network["bridge_name"])
    docker.create_network("plain", "172.17.0.0/16", "plain0")
    docker.create_network("elsewhere", "172.30.5.0/24", "elsewhere0")
    docker.create("smarthostloadbalancer", "smarthost-loadbalancer", "172.18.103.2")
    docker.create("smarthostbackend-1", "smarthost_backend-1", "172.18.104.2")
    docker.create("publicbackend", "smarthost_backend-1", "172.18.104.3")
    docker.create("wireguardproxy", "plain", "172.17.0.2")
    docker.create("bystander", "elsewhere", "172.30.5.2")
    bed.wire_tunnel("wireguardproxy")
