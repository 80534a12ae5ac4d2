# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 as engines leave it, and as harborwall makes it: by packets."""
import time

import bed as beds
import engine
import pytest
import seed
import stories
from talks import Talk, assert_stand, still_heard

WEB6, SHOP6 = "2001:db8:103::/64", "2001:db8:103::2"
EVERY_PORT = [("tcp", port) for port in beds.PORTS["tcp"]] + [("udp", port) for port in beds.PORTS["udp"]]
# what an engine leaves open to who routes packets to it, and what it needs to be told to close it
ENGINES = [({"version": "20"}, True), ({"version": "20", "options": ["--experimental", "--ip6tables"]}, False),
           ({"version": "26"}, True), ({"version": "26", "options": ["--experimental", "--ip6tables"]}, False),
           ({"version": "28"}, False), ({"version": "28", "options": ["--ip6tables=false"]}, True)]
every_engine = pytest.mark.parametrize("lab, is_open", ENGINES, indirect=["lab"], ids=[
    f"docker {lab['version']} {' '.join(lab.get('options', ()))}".strip() for lab, _ in ENGINES])


def as_people_have_it(bed):
    """A routable network of both families, made by hand, with a shop on it and a neighbour on another one."""
    bed.docker.create_network("web", "172.18.103.0/24", "172.18.103.1", subnet6=WEB6)
    bed.docker.create_network("elsewhere", "172.30.5.0/24", subnet6="2001:db8:5::/64")
    bed.docker.create("shop", network="web", ip="172.18.103.2", ip6=SHOP6)
    bed.docker.create("bystander", network="elsewhere")
    bed.prober.serve_at("shop", "peer", "bystander")
    assert bed.prober.open("host", SHOP6, "tcp", 80)


def reached(bed, source, ip=SHOP6):
    got = bed.prober.ask_all({source: [[ip, *port] for port in EVERY_PORT]})
    return [key[2:] for key, answer in got.items() if answer]


def shop(**more):
    return {"networks": {"web": {"subnet": "172.18.103.0/24", "gateway": "172.18.103.1", "subnet6": WEB6, **more}},
            "ips": {"172.18.103.2": {"container_name": "shop", "ip6": SHOP6}},
            "policies": [{"selector": "shop", "from": [beds.PEER_IP, beds.PEER_IP6], "port": 80}]}


@every_engine
def test_an_outside_peer_reaches_a_declared_container_only_by_policy(bed, is_open):
    """On the network that was there before: where the engine writes no rules for IPv6 every port was open, to the outside
    and to other networks."""
    as_people_have_it(bed)
    for source in ("peer", "bystander"):
        assert reached(bed, source) == (EVERY_PORT if is_open else []), source
        assert reached(bed, source, "172.18.103.2") == []
    bed.write(shop())
    bed.apply()
    assert reached(bed, "peer") == [("tcp", 80)] and reached(bed, "bystander") == []
    # and when nothing is there any more but ours
    bed.lab.run("nft", "flush", "ruleset")
    bed.apply()
    assert reached(bed, "peer") == [("tcp", 80)] and reached(bed, "bystander") == []
    config = shop()
    config["policies"] = []
    bed.write(config)
    bed.apply()
    assert reached(bed, "peer") == []


# --- routes that the uplink's router tells of ---

TELL = """import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, socket.if_nametoindex("eth0")))
"""


def default_route(bed):
    return bed.lab.run("ip", "-6", "route", "show", "default").stdout


def tell_of_router(bed):
    """The peer says that it is the way out: it is, for as long as the host listens to such words."""
    def learned():
        bed.lab.run("ip", "netns", "exec", "peer", "python3", "-c", TELL)
        return "proto ra" in default_route(bed)
    assert engine.wait_for(learned, 10, 0.2), default_route(bed)


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=lambda v: f"docker {v['version']}")
def test_a_host_does_not_lose_the_default_route_that_its_router_told_it(bed):
    tell_of_router(bed)
    bed.docker.create("shop")
    bed.docker.create("api")
    config = shop()
    config["networks"]["back"] = {"subnet": "172.18.104.0/24"}
    config["ips"]["172.18.104.2"] = {"container_name": "api"}
    config["policies"].append({"selector": "api", "from": beds.PEER_IP, "port": 80})
    bed.write(config)
    done = bed.harborwall("apply")
    assert "accept_ra=2" in done.stdout + done.stderr, done.stdout + done.stderr
    assert "proto ra" in default_route(bed)
    assert bed.lab.run("cat", "/proc/sys/net/ipv6/conf/all/forwarding").stdout == "0\n"
    assert "accept_ra" in bed.harborwall("doctor").stdout
    # what has nothing to do with it is done
    bed.prober.serve_at("api", "peer")
    assert bed.prober.open("peer", "172.18.104.2", "tcp", 80) and not bed.prober.open("peer", "172.18.104.2", "tcp", 81)
    # the remedy
    bed.lab.run("sysctl", "-w", "net.ipv6.conf.ext0.accept_ra=2")
    bed.apply()
    bed.prober.serve_at("shop")
    assert bed.prober.open("peer", SHOP6, "tcp", 80) and not bed.prober.open("peer", SHOP6, "tcp", 81)
    assert "proto ra" in default_route(bed)
    assert "accept_ra" not in bed.harborwall("doctor").stdout


@pytest.mark.parametrize("lab", [{"version": v, "options": seed.WITH_IPV6} for v in ("20", "28")], indirect=True,
                         ids=["docker 20", "docker 28"])
def test_a_daemon_heals_both_families(bed):
    """Table, hand-off and elements deleted, the file replaced, containers restarted, everything flushed."""
    seed.containers(bed)
    bed.write(stories.config())
    daemon = bed.run_daemon()
    stories.stands(bed, daemon)
    stories.assert_heals(bed, daemon)
    daemon.end()


@pytest.mark.parametrize("lab", [{"version": v, "options": seed.WITH_IPV6} for v in ("20", "28")], indirect=True,
                         ids=lambda v: f"docker {v['version']}")
def test_no_byte_of_ipv6_passes_of_what_was_revoked_and_the_rest_goes_on(bed):
    seed.containers(bed)
    config = seed.widened()
    for port in (7001, 7002):
        config["policies"].append({"selector": "smarthostloadbalancer", "from": ["publicbackend", beds.PEER_IP], "port": port,
                                   "proto": ["tcp", "udp"]})
    config = seed.dual(config)
    bed.write(config)
    bed.apply()
    lb = "fd18:103::2"
    told = {port: [Talk(bed, proto, client, "smarthostloadbalancer", lb, port)
                   for client, proto in (("peer", "tcp"), ("publicbackend", "udp"))] for port in (7001, 7002)}
    assert_stand(told[7001] + told[7002])
    del config["policies"][-1]
    bed.write(config)
    bed.apply()
    since = time.monotonic() + 0.5
    time.sleep(4)
    assert not still_heard(told[7002], since)
    assert all(talk.lives() for talk in told[7001]), [talk.name for talk in told[7001] if not talk.lives()]
