# SPDX-License-Identifier: GPL-2.0-or-later
"""seed.dual(seed.widened()) enforced by hand on engine 20: what proves the prober before there is a program. There
Docker writes no rules for IPv6, so what stands here closes the networks itself."""
import engine

HOST_TABLE = """
table inet byhand
delete table inet byhand
table inet byhand {{
  set ok {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service
    elements = {{ 172.18.104.3 . 172.18.103.2 . tcp . 80, 172.18.104.2 . 172.18.103.2 . udp . 53,
                  {proxy} . 172.18.103.2 . tcp . 80 }} }}
  set ok6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service
    elements = {{ fd18:104::3 . fd18:103::2 . tcp . 80, fd18:104::2 . fd18:103::2 . udp . 53,
                  {proxy6} . fd18:103::2 . tcp . 80 }} }}
  set managed {{ type ipv4_addr; flags interval; elements = {{ 172.18.103.0/24, 172.18.104.0/24 }} }}
  set managed6 {{ type ipv6_addr; flags interval; elements = {{ fd18:103::/64, fd18:104::/64 }} }}
  chain pre {{ type nat hook prerouting priority -110;
    iifname "ext0" fib daddr type local meta nfproto ipv4 tcp dport 81 dnat ip to 172.18.103.2
    iifname "ext0" fib daddr type local meta nfproto ipv6 tcp dport 81 dnat ip6 to fd18:103::2
  }}
  chain fw {{ type filter hook forward priority -10;
    ct state established,related meta mark set meta mark or 0x2000000
    ip saddr @managed fib saddr . iif oif missing return
    ip6 saddr @managed6 fib saddr . iif oif missing return
    ct state new ip saddr . ip daddr . ip protocol . th dport @ok meta mark set meta mark or 0x2000000
    ct state new ip6 saddr . ip6 daddr . meta l4proto . th dport @ok6 meta mark set meta mark or 0x2000000
    ct status dnat iifname "ext0" ip daddr 172.18.103.2 tcp dport 81 meta mark set meta mark or 0x2000000
    ct status dnat iifname "ext0" ip6 daddr fd18:103::2 tcp dport 81 meta mark set meta mark or 0x2000000
  }}
  chain closed {{ type filter hook forward priority 10;
    meta mark & 0x2000000 == 0 ip6 daddr fd18:103::/64 iifname != "hw-front" ct state new drop
    meta mark & 0x2000000 == 0 ip6 daddr fd18:104::/64 iifname != "hw-back" ct state new drop
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
    iifname "wg0" fib daddr type local meta nfproto ipv4 tcp dport 80 dnat ip to 172.18.103.2
    iifname "wg0" fib daddr type local meta nfproto ipv6 tcp dport 80 dnat ip6 to fd18:103::2
  }
  chain post { type nat hook postrouting priority 90;
    ct status dnat ip daddr 172.18.103.2 tcp dport 80 masquerade
    ct status dnat ip6 daddr fd18:103::2 tcp dport 80 masquerade
  }
}
"""
FORWARD = "for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 >/proc/sys/net/$f; done"


def nft(lab, text, container=None):
    if container:
        return lab.inside(container, "nft", "-f", "-", stdin=text)
    return lab.run("nft", "-f", "-", stdin=text)


def attach(docker):
    docker.create_network("smarthost-loadbalancer", "172.18.103.0/24", "172.18.103.1", "hw-front", subnet6="fd18:103::/64")
    docker.create_network("smarthost_backend-1", "172.18.104.0/24", "172.18.104.1", "hw-back", subnet6="fd18:104::/64")
    docker.disconnect("none", "smarthostbackend-1")
    docker.connect("smarthost-loadbalancer", "smarthostloadbalancer", "172.18.103.2", "fd18:103::2")
    docker.connect("smarthost_backend-1", "smarthostbackend-1", "172.18.104.2", "fd18:104::2")
    docker.connect("smarthost_backend-1", "publicbackend", "172.18.104.3", "fd18:104::3")


def enforce(bed):
    lab, docker = bed.lab, bed.docker
    attach(docker)
    for container, there, here in (("publicbackend", 103, 104), ("smarthostloadbalancer", 104, 103)):
        lab.inside(container, "ip", "route", "add", f"172.18.{there}.0/24", "via", f"172.18.{here}.1")
        lab.inside(container, "ip", "route", "add", f"fd18:{there}::/64", "via", f"fd18:{here}::1")
    lab.run("iptables", "-I", "DOCKER-USER", "-m", "mark", "--mark", "0x2000000/0x2000000", "-j", "ACCEPT")
    lab.inside("wireguardproxy", "sh", "-c", FORWARD)
    rules(bed)


def rules(bed):
    """What tests change of it, whole again."""
    proxy, proxy6 = (bed.docker.addresses("wireguardproxy", family)["bridge"] for family in engine.ADDRESS_OF)
    nft(bed.lab, HOST_TABLE.format(proxy=proxy, proxy6=proxy6))
    nft(bed.lab, PROXY_TABLE, "wireguardproxy")
    bed.lab.run("conntrack", "-F")
