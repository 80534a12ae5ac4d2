# SPDX-License-Identifier: GPL-2.0-or-later
"""What doctor says of IPv6 beside the rules: networks that nobody closes, others' bridges that ip6tables cuts off, and
firewalld's filter of sources. Each by packets, and each remedy works."""
import errno
import json

import bed as beds
import engine
import pytest
import seed
from test_walls6 import IP6TABLES

SHOP6, BYSTANDER6, GUEST6 = "2001:db8:103::2", "2001:db8:5::2", "2001:db8:50::2"


def rows(bed, check):
    return [row["text"] for row in json.loads(bed.harborwall("doctor", "--json").stdout)["checks"]
            if row["check"] == check and not row["ok"]]


def shop():
    return {"networks": {"web": {"subnet": "172.18.103.0/24", "subnet6": "2001:db8:103::/64"}},
            "ips": {"172.18.103.2": {"container_name": "shop", "ip6": SHOP6}},
            "policies": [{"selector": "shop", "from": beds.PEER_IP6, "port": 80}]}


@pytest.mark.parametrize("lab", [{"version": "20"}, {"version": "20", "options": IP6TABLES}, {"version": "28"},
                                 {"version": "28", "options": ["--ip6tables=false"]}], indirect=True,
                         ids=["docker 20", "docker 20, ip6tables", "docker 28", "docker 28, --ip6tables=false"])
@pytest.mark.parametrize("declared", [True, False], ids=["a file with IPv6", "a file without"])
def test_networks_of_others_that_nobody_closes_are_named(bed, declared):
    open_to_all = bed.lab.version == "20" and "--ip6tables" not in bed.lab.options or "--ip6tables=false" in bed.lab.options
    bed.docker.create_network("elsewhere", "172.30.5.0/24", subnet6="2001:db8:5::/64")
    bed.docker.create("bystander", network="elsewhere")
    bed.docker.create("shop")
    config = shop()
    if not declared:
        del config["networks"]["web"]["subnet6"], config["ips"]["172.18.103.2"]["ip6"]
        config["policies"] = []
    bed.write(config)
    bed.apply()
    bed.prober.serve_at("bystander", "shop", "peer")
    address = bed.docker.containers()["bystander"]["NetworkSettings"]["Networks"]["elsewhere"]["GlobalIPv6Address"]
    assert engine.wait_for(lambda: bed.prober.open("host", address, "tcp", 8080), 5)
    assert bool(bed.prober.open("peer", address, "tcp", 8080)) == open_to_all
    said = [text for text in rows(bed, "isolation6") if "elsewhere" in text]
    assert len(said) == open_to_all, said
    if open_to_all:
        assert "2001:db8:5::/64" in said[0] and "nobody closes it" in said[0]
        assert ("--experimental --ip6tables" in said[0]) == (bed.lab.version == "20"), said
    assert not [text for text in rows(bed, "isolation6") if '"web"' in text]


@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True, ids=["docker 28"])
def test_a_bridge_of_others_that_ip6tables_cuts_off_is_named_and_the_remedy_works(bed):
    """As libvirt's would be: dockerd sets the policy of FORWARD when the file's network has it turn forwarding on."""
    bed.lab.run("sh", "-ec", """
        ip link add vm0 type bridge; ip addr add 2001:db8:50::1/64 dev vm0 nodad; ip link set vm0 up
        ip netns add guest; ip link add vmp type veth peer name eth0 netns guest; ip link set vmp master vm0 up
        ip -n guest addr add 2001:db8:50::2/64 dev eth0 nodad; ip -n guest link set eth0 up
        ip -n guest link set lo up; ip -n guest route add default via 2001:db8:50::1
        ip -6 route replace default via 2001:db8:2::2 dev ext0
        ip netns exec peer ip -6 route replace 2001:db8:50::/64 via 2001:db8:2::1""")
    bed.docker.create("shop")
    bed.write(shop())

    def reaches(netns, ip):
        """Nobody listens there: who answers refuses, and what is dropped is not answered."""
        done = bed.lab.run("ip", "netns", "exec", netns, "python3", "-c", f"import socket\ns = socket.socket(socket.AF_INET6)\n"
                           f"s.settimeout(1)\nprint(s.connect_ex(('{ip}', 9)))")
        return done.stdout.strip() == str(errno.ECONNREFUSED)
    assert engine.wait_for(lambda: reaches("guest", "2001:db8:50::1"), 5)
    bed.apply()
    assert not reaches("guest", beds.PEER_IP6)
    said = rows(bed, "forward6")
    assert len(said) == 1 and "bridge vm0 routes (2001:db8:50::/64)" in said[0], said
    for command in said[0].split(": ip6tables", 1)[1].split("; "):
        bed.lab.run("ip6tables", *command.replace("ip6tables ", "").split())
    assert reaches("guest", beds.PEER_IP6) and not reaches("peer", GUEST6)
    assert not rows(bed, "forward6") and not rows(bed, "unmanaged")
    bed.apply()
    bed.prober.serve_at("shop", "peer")
    assert bed.prober.open("peer", SHOP6, "tcp", 80) and not bed.prober.open("peer", SHOP6, "tcp", 81)


def two_networks():
    """shop stands on both; api is on a third one, and asks it by the address that its answers do not leave by."""
    config = shop()
    config["networks"]["back"] = {"subnet": "172.18.104.0/24", "subnet6": "2001:db8:104::/64"}
    config["networks"]["third"] = {"subnet": "172.18.105.0/24", "subnet6": "2001:db8:105::/64"}
    config["ips"]["172.18.104.2"] = {"container_name": "shop", "ip6": "2001:db8:104::2"}
    config["ips"]["172.18.105.2"] = {"container_name": "api", "ip6": "2001:db8:105::2"}
    config["policies"] = [{"selector": "shop", "from": "api", "port": 80}]
    return config


@pytest.mark.parametrize("lab", [{"version": "28", "firewalld": "nftables"}, {"version": "28", "firewalld": "iptables"}], indirect=True,
                         ids=lambda lab: f"firewalld on {lab['firewalld']}")
def test_firewallds_filter_of_sources_is_named_where_it_matters_and_the_remedy_works(bed):
    conf = "/etc/firewalld/firewalld.conf"
    bed.lab.run("sed", "-i", "s/^IPv6_rpfilter=.*/IPv6_rpfilter=yes/", conf)
    bed.lab.run("firewall-cmd", "--reload")
    bed.docker.create("shop")
    bed.docker.create("api")
    bed.write(shop())
    bed.harborwall("apply")
    assert not rows(bed, "rp_filter6"), "nobody stands on two networks"
    bed.write(two_networks())
    bed.harborwall("apply")
    said = rows(bed, "rp_filter6")
    assert len(said) == 1 and "firewalld (IPv6_rpfilter)" in said[0] and 'container "shop"' in said[0], said
    asked = ["2001:db8:103::2", "2001:db8:104::2"]
    bed.prober.serve_at("shop", "api")

    def answered():
        got = bed.prober.ask_all({"api": [[ip, "tcp", 80] for ip in asked]})
        return sum(bool(answer) for answer in got.values())
    assert answered() == 1
    assert "set IPv6_rpfilter=no in /etc/firewalld/firewalld.conf and firewall-cmd --reload" in said[0]
    bed.lab.run("sed", "-i", "s/^IPv6_rpfilter=.*/IPv6_rpfilter=no/", conf)
    bed.lab.run("firewall-cmd", "--reload")
    assert engine.wait_for(lambda: bed.harborwall("apply", "-q").returncode in (0, 2) and answered() == 2, 20)
    assert not rows(bed, "rp_filter6")
