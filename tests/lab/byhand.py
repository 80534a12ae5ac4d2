# SPDX-License-Identifier: GPL-2.0-or-later
"""seed.widened() enforced by hand on engine 20: what proves the prober before there is a program."""

HOST_TABLE = """
table inet byhand
delete table inet byhand
table inet byhand {{
  set ok {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service
    elements = {{ 172.18.104.3 . 172.18.103.2 . tcp . 80, 172.18.104.2 . 172.18.103.2 . udp . 53,
                  {proxy} . 172.18.103.2 . tcp . 80 }} }}
  set managed {{ type ipv4_addr; flags interval; elements = {{ 172.18.103.0/24, 172.18.104.0/24 }} }}
  chain pre {{ type nat hook prerouting priority -110;
    iifname "ext0" fib daddr type local tcp dport 81 dnat ip to 172.18.103.2
  }}
  chain fw {{ type filter hook forward priority -10;
    ct state established,related meta mark set meta mark or 0x2000000
    ip saddr @managed fib saddr . iif oif missing return
    ct state new ip saddr . ip daddr . ip protocol . th dport @ok meta mark set meta mark or 0x2000000
    ct status dnat iifname "ext0" ip daddr 172.18.103.2 tcp dport 81 meta mark set meta mark or 0x2000000
  }}
  chain post {{ type nat hook postrouting priority 90;
    ip saddr . ip daddr . ip protocol . th dport @ok snat ip to ip saddr
  }}
}}
"""

PROXY_TABLE = """
table inet byhand
delete table inet byhand
table inet byhand {
  chain pre { type nat hook prerouting priority -110;
    iifname "wg0" fib daddr type local tcp dport 80 dnat ip to 172.18.103.2
  }
  chain post { type nat hook postrouting priority 90;
    ct status dnat ip daddr 172.18.103.2 tcp dport 80 masquerade
  }
}
"""


def nft(lab, text, container=None):
    if container:
        return lab.inside(container, "nft", "-f", "-", stdin=text)
    return lab.run("nft", "-f", "-", stdin=text)


def attach(docker):
    docker.create_network("smarthost-loadbalancer", "172.18.103.0/24", "172.18.103.1", "hw-front")
    docker.create_network("smarthost_backend-1", "172.18.104.0/24", "172.18.104.1", "hw-back")
    docker.disconnect("none", "smarthostbackend-1")
    docker.connect("smarthost-loadbalancer", "smarthostloadbalancer", "172.18.103.2")
    docker.connect("smarthost_backend-1", "smarthostbackend-1", "172.18.104.2")
    docker.connect("smarthost_backend-1", "publicbackend", "172.18.104.3")


def enforce(bed):
    lab, docker = bed.lab, bed.docker
    attach(docker)
    lab.inside("publicbackend", "ip", "route", "add", "172.18.103.0/24", "via", "172.18.104.1")
    lab.inside("smarthostloadbalancer", "ip", "route", "add", "172.18.104.0/24", "via", "172.18.103.1")
    lab.run("iptables", "-I", "DOCKER-USER", "-m", "mark", "--mark", "0x2000000/0x2000000", "-j", "ACCEPT")
    lab.inside("wireguardproxy", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    rules(bed)


def rules(bed):
    """What tests change of it, whole again."""
    nft(bed.lab, HOST_TABLE.format(proxy=bed.docker.addresses("wireguardproxy")["bridge"]))
    nft(bed.lab, PROXY_TABLE, "wireguardproxy")
    bed.lab.run("conntrack", "-F")
