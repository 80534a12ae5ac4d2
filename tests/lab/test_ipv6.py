# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 as engines leave it, and as harborwall makes it: by packets."""
import re
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
CELLS = [({**lab, "legacy": backend == "iptables-legacy"}, is_open, backend) for backend in ("nftables", "iptables-nft", "iptables-legacy")
         for lab, is_open in (ENGINES[::2] if backend == "iptables-legacy" else ENGINES)]
every_engine = pytest.mark.parametrize("lab, is_open, backend", CELLS, indirect=["lab"], ids=[
    " ".join(["docker", lab["version"], *lab.get("options", ()), backend]) for lab, _, backend in CELLS])


def on(*cells):
    """Engines whose default network has IPv6, with one of our backends each."""
    return pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy", "options": seed.WITH_IPV6}, b)
                                                    for v, b in cells], indirect=["lab"], ids=[f"docker {v} {b}" for v, b in cells])


with_chains = on(("20", "iptables-nft"), ("28", "iptables-nft"), ("20", "iptables-legacy"), ("28", "iptables-legacy"))


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


def flush(bed):
    if not bed.lab.legacy:
        bed.lab.run("nft", "flush", "ruleset")
        return
    for family in ("iptables", "ip6tables"):
        for table in ("raw", "filter"):
            bed.lab.run(f"{family}-legacy", "-t", table, "-F")
            bed.lab.run(f"{family}-legacy", "-t", table, "-X")
        bed.lab.run(f"{family}-legacy", "-P", "FORWARD", "ACCEPT")


@every_engine
def test_an_outside_peer_reaches_a_declared_container_only_by_policy(bed, is_open, backend):
    """On the network that was there before: where the engine writes no rules for IPv6 every port was open, to the outside
    and to other networks."""
    bed.env["HARBORWALL_BACKEND"] = backend
    as_people_have_it(bed)
    for source in ("peer", "bystander"):
        assert reached(bed, source) == (EVERY_PORT if is_open else []), source
        assert reached(bed, source, "172.18.103.2") == []
    bed.write(shop())
    bed.apply()
    assert reached(bed, "peer") == [("tcp", 80)] and reached(bed, "bystander") == []
    # and when nothing is there any more but ours
    flush(bed)
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


@on(("20", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft"), ("28", "iptables-legacy"))
def test_no_byte_of_ipv6_passes_of_what_was_revoked_and_the_rest_goes_on(bed, backend):
    bed.env["HARBORWALL_BACKEND"] = backend
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


# --- the chains of ip6tables ---

@with_chains
def test_a_daemon_puts_back_what_ip6tables_loses(bed, backend):
    """Admission, everything, the jump, and where somebody tells of it the translation."""
    tool = backend.replace("iptables", "ip6tables")
    bed.env["HARBORWALL_BACKEND"] = backend
    seed.containers(bed)
    bed.write(stories.config())
    daemon = bed.run_daemon()
    stories.stands(bed, daemon)
    bed.assert_matrix()
    parent = "DOCKER-USER" if bed.lab.closes_ipv6 else "FORWARD"
    losses = ["-F HARBORWALL-FRESH", "-F HARBORWALL", f"-D {parent} -j HARBORWALL", "-t nat -F HARBORWALL-PRE"]
    for loss in losses[:3] if bed.lab.legacy else losses:
        stood = bed.lab.run(f"{tool}-save").stdout
        bed.lab.run(tool, *loss.split())
        assert engine.wait_for(lambda stood=stood: chains(bed, tool) == ours(stood), 20, 0.1), f"{loss}\n{daemon.log()[-3000:]}"
    stories.stands(bed, daemon)
    bed.assert_matrix()
    daemon.end()


def ours(save):
    return [line.split(" [")[0] for line in save.splitlines() if "HARBORWALL" in line]


def chains(bed, tool):
    return ours(bed.lab.run(f"{tool}-save").stdout)


@with_chains
def test_nobody_comes_from_a_bridge_without_ipv6_by_an_address_that_counts_elsewhere(bed, backend):
    """A container gives itself addresses of IPv6; the host forwards what it gets from there."""
    bed.env["HARBORWALL_BACKEND"] = backend
    bed.docker.create_network("web", "172.18.103.0/24", "172.18.103.1", subnet6=WEB6)
    bed.docker.create("shop", network="web", ip="172.18.103.2", ip6=SHOP6)
    bed.docker.create_network("four", "172.30.4.0/24", bridge="four0")
    bed.docker.create("thief", network="four")
    bed.write(shop())
    bed.apply()
    bed.lab.run("sysctl", "-qw", "net.ipv6.conf.four0.disable_ipv6=0", "net.ipv6.conf.four0.forwarding=1")
    mac = bed.lab.run("cat", "/sys/class/net/four0/address").stdout.strip()
    bed.lab.inside("thief", "sh", "-c", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0; ip -6 address add 2001:db8:4::2/64 dev eth0 nodad; "
                                        "ip -6 route add default via 2001:db8:4::1; "
                                        f"ip -6 neigh replace 2001:db8:4::1 lladdr {mac} dev eth0 nud permanent")
    bed.prober.serve_at("shop", "peer", "thief")
    honest = ("peer", beds.PEER_IP6, SHOP6, "tcp", 80, "shop")
    got = bed.prober.spoof([honest, ("thief", beds.PEER_IP6, SHOP6, "tcp", 80, "shop"), ("thief", "2001:db8:4::2", SHOP6, "tcp", 80, "shop")])
    assert got == [honest], got
    seen = re.findall(r"^\[(\d+):.* HARBORWALL-(?:RAW|SOURCE) -i four0 ", bed.lab.run(f"{backend.replace('iptables', 'ip6tables')}-save", "-c").stdout, re.M)
    assert any(int(n) >= 2 for n in seen), f"no packet of the thief's came to the host: {seen}"
