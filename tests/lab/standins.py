# SPDX-License-Identifier: GPL-2.0-or-later
"""A host without Docker: namespaces on bridges, laid out by hand, that answer the bed's questions as an engine would."""
import ipaddress

HOST = {"Running": True}


class StandIns:
    def __init__(self, lab):
        self.lab, self.bridges, self.ends = lab, {}, {}

    def create_network(self, name, subnet, bridge, subnet6=None):
        self.bridges[name] = (bridge, [ipaddress.ip_network(s) for s in (subnet, subnet6) if s])

    def create(self, name, network, ip, ip6=None):
        bridge, subnets = self.bridges[network]
        ips = [address for address in (ip, ip6) if address]
        self.lab.stand_in(name, bridge, *(word for address, subnet in zip(ips, subnets)
                                          for word in (f"{address}/{subnet.prefixlen}", str(next(subnet.hosts())))))
        self.ends[name] = (network, ip, ip6)

    def addresses(self, name, family=4):
        network, *ips = self.ends[name]
        return {network: ips[family == 6]}

    def containers(self):
        return {name: {"State": HOST, "HostConfig": {"NetworkMode": network},
                       "NetworkSettings": {"Networks": {network: {"IPAddress": ip, "GlobalIPv6Address": ip6}}}}
                for name, (network, ip, ip6) in self.ends.items()}

    def networks(self):
        return {name: {"IPAM": {"Config": [{"Subnet": str(subnet)} for subnet in subnets]}} for name, (_, subnets) in self.bridges.items()}


def lay_out(bed):
    """The seed's containers where the widened example has them, and two that it does not place. All have the families that
    the file has."""
    docker, six = bed.docker, {ip: address.get("ip6") for ip, address in bed.config["ips"].items()}
    for name, network in bed.config["networks"].items():
        docker.create_network(name, network["subnet"], network["bridge_name"], network.get("subnet6"))
    both = any(six.values())
    docker.create_network("plain", "172.17.0.0/16", "plain0", "fd17::/64" if both else None)
    docker.create_network("elsewhere", "172.30.5.0/24", "elsewhere0", "fd30:5::/64" if both else None)
    for name, network, ip in (("smarthostloadbalancer", "smarthost-loadbalancer", "172.18.103.2"),
                              ("smarthostbackend-1", "smarthost_backend-1", "172.18.104.2"),
                              ("publicbackend", "smarthost_backend-1", "172.18.104.3")):
        docker.create(name, network, ip, six[ip])
    docker.create("wireguardproxy", "plain", "172.17.0.2", "fd17::2" if both else None)
    docker.create("bystander", "elsewhere", "172.30.5.2", "fd30:5::2" if both else None)
    bed.wire_tunnel("wireguardproxy")
