# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks with egress deny, by packets: each way out is open before, closed with it, and open again by the policy that
says so and no further."""
import copy
import sys
import time

import bed as beds
import engine
import prober
import pytest
import talks
from talks import Talk

ENGINES = [{"version": v} for v in ("20", "26", "28", "29")]
every_engine = pytest.mark.parametrize("lab", ENGINES, indirect=True, ids=lambda p: f"docker {p['version']}")
old_and_new = pytest.mark.parametrize("lab", [ENGINES[0], ENGINES[2]], indirect=True, ids=lambda p: f"docker {p['version']}")
BACKENDS = ["nftables", "iptables-nft"]

WEB, BACK = "172.18.103", "172.18.104"
WEB6, BACK6 = "fd18:103:", "fd18:104:"
SHOP, TILL, DB = f"{WEB}.2", f"{WEB}.3", f"{BACK}.2"
SHOP6, TILL6, DB6 = f"{WEB6}:2", f"{WEB6}:3", f"{BACK6}:2"
HOST_PORT, SHOPS_PORT, STRANGERS_PORT = 7070, 8081, 8082  # of the host: its own service, and two that are published


def file(egress="deny", policies=()):
    config = {"networks": {"web": {"subnet": f"{WEB}.0/24", "subnet6": f"{WEB6}:/64", "egress": egress},
                           "back": {"subnet": f"{BACK}.0/24", "subnet6": f"{BACK6}:/64"}},
              "ips": {SHOP: {"ip6": SHOP6, "container_name": "shop"}, TILL: {"ip6": TILL6, "container_name": "till"},
                      DB: {"ip6": DB6, "container_name": "db"}},
              "policies": list(policies)}
    return config


class World(prober.Asking):
    """The shop's port is published by its own network, the stranger's by another one, which no file knows."""

    def __init__(self, bed, backend):
        self.bed, self.backend = bed, backend
        bed.env["HARBORWALL_BACKEND"] = backend
        docker = bed.docker
        docker.create_network("web", f"{WEB}.0/24", f"{WEB}.1", subnet6=f"{WEB6}:/64")
        docker.create_network("elsewhere", "172.30.5.0/24")
        docker.create("shop", network="web", ip=SHOP, ip6=SHOP6, publish={str(SHOPS_PORT): 80})
        docker.create("stranger", network="elsewhere", publish={str(STRANGERS_PORT): 80})
        for name in ("till", "db"):
            docker.create(name, "none")  # their default routes lead to the networks that the file gives them
        self.apply("open")
        bed.prober.serve_at("shop", "till", "db", "stranger", "peer", "host")
        bed.prober.agent("host").do("serve", tcp=[HOST_PORT], udp=[HOST_PORT], sctp=[])

    def apply(self, egress="deny", policies=()):
        self.bed.write(file(egress, policies))
        self.bed.apply()

    def ways_out(self, who):
        """What Docker leaves open: to the outside, and to the host by each of its addresses."""
        out = [(who, beds.PEER_IP, proto, port) for proto, port in (("tcp", 80), ("tcp", 81), ("udp", 53))]
        hosts = [beds.HOST_IP, f"{WEB}.1", f"{BACK}.1"]
        out += [(who, beds.PEER_IP6, "tcp", 80), (who, beds.PEER_IP6, "udp", 53)]
        hosts += [beds.HOST_IP6, f"{WEB6}:1", f"{BACK6}:1"]
        return out + [(who, ip, proto, HOST_PORT) for ip in hosts for proto in ("tcp", "udp")]

    def published(self):
        """Of those that are published for everybody, whichever a container of the network reaches without the prohibition."""
        return self.open([(who, beds.HOST_IP, "tcp", port) for who in ("till", "shop") for port in (SHOPS_PORT, STRANGERS_PORT)])

    def within(self):
        """What no egress is about: in the network, from the host, and whoever asks by a policy."""
        ways = [("till", SHOP, "tcp", 80), ("shop", TILL, "udp", 53), ("host", SHOP, "tcp", 80), ("peer", SHOP, "tcp", 443),
                ("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("db", SHOP, "tcp", 443), ("db", beds.PEER_IP, "tcp", 80),
                ("db", f"{BACK}.1", "tcp", HOST_PORT)]
        return [*ways, ("till", SHOP6, "tcp", 80), ("host", SHOP6, "tcp", 80), ("peer", SHOP6, "tcp", 443), ("db", SHOP6, "tcp", 443)]


INWARDS = {"selector": "shop", "from": [beds.OUTSIDE, beds.OUTSIDE6, "db"], "port": 443}


@pytest.fixture
def world(lab, request):
    with beds.Bed(lab, env={}) as bed:
        yield World(bed, getattr(request, "param", "nftables"))


def each(backends):
    return pytest.mark.parametrize("world", backends, indirect=True)


@each(["iptables-legacy"])
@pytest.mark.parametrize("lab", [{"version": "28", "legacy": True}], indirect=True, ids=["docker 28, legacy"])
def test_the_same_in_iptables_legacy(world):
    close_and_open(world)


@each(BACKENDS)
@every_engine
def test_every_way_out_is_closed_and_each_policy_opens_its_own(world):
    close_and_open(world)


def close_and_open(world):
    world.apply("open", [INWARDS])
    for who in ("shop", "till"):
        world.assert_open(world.ways_out(who))
    world.assert_open(world.within())
    published = world.published()
    assert ("till", beds.HOST_IP, "tcp", SHOPS_PORT) in published, "a hairpin"

    world.apply("deny", [INWARDS])
    for who in ("shop", "till"):
        world.assert_closed(world.ways_out(who))
    world.assert_closed(published)
    world.assert_open(world.within())
    assert world.bed.harborwall("plan").returncode == 0, "and nothing is left to do"

    world.apply("deny", [INWARDS, {"selector": "shop", "to": [beds.PEER_IP, beds.PEER_IP6], "port": 80},
                         {"selector": "shop", "to": "db", "port": 80}, {"selector": "db", "from": "till", "port": 443},
                         {"selector": "web", "to": "any", "port": 53, "proto": "udp"},
                         {"selector": "till", "to": ["host"], "port": [HOST_PORT, SHOPS_PORT]}])
    opened = [("shop", beds.PEER_IP, "tcp", 80), ("shop", DB, "tcp", 80), ("till", DB, "tcp", 443),
              *((who, beds.PEER_IP, "udp", 53) for who in ("shop", "till")), ("till", beds.HOST_IP, "tcp", SHOPS_PORT),
              *(("till", ip, "tcp", HOST_PORT) for ip in (beds.HOST_IP, f"{WEB}.1", f"{BACK}.1"))]
    opened += [("shop", beds.PEER_IP6, "tcp", 80), ("shop", DB6, "tcp", 80), ("till", DB6, "tcp", 443),
               *((who, beds.PEER_IP6, "udp", 53) for who in ("shop", "till")),
               *(("till", ip, "tcp", HOST_PORT) for ip in (beds.HOST_IP6, f"{WEB6}:1", f"{BACK6}:1"))]
    world.assert_open(opened)
    rest = [*world.ways_out("shop"), *world.ways_out("till"), *published,
            ("till", DB, "tcp", 80), ("shop", DB, "tcp", 443), ("till", DB, "udp", 53)]
    world.assert_closed([a for a in rest if a not in opened])
    world.assert_open(world.within())


@pytest.mark.parametrize("lab", ENGINES[2:3], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_a_way_around_by_another_network_is_named(world):
    around = 'networks.web: till is on the Docker network "bridge", too, and what it begins by that one is not denied'
    world.apply("deny")
    assert around not in world.bed.harborwall("plan").stdout
    world.bed.docker.connect("bridge", "till")
    said = world.bed.harborwall("plan")
    assert f"{around}; disconnect it there\n" in said.stdout and said.returncode == 0, said.stdout
    world.bed.lab.inside("till", "ip", "route", "replace", "default", "via", "172.17.0.1")
    world.assert_open([("till", beds.PEER_IP, "tcp", 80)])
    world.bed.docker.disconnect("bridge", "till")  # as it says
    assert around not in world.bed.harborwall("plan").stdout
    world.assert_closed([("till", beds.PEER_IP, "tcp", 80)])


@pytest.mark.parametrize("lab", [{**e, "options": ["--userland-proxy=false"]} for e in ENGINES[:3]], indirect=True,
                         ids=lambda p: f"docker {p['version']}")
@each(BACKENDS)
def test_published_ports_are_closed_where_the_kernel_leads_there_too(world):
    published = world.published()
    assert ("till", beds.HOST_IP, "tcp", SHOPS_PORT) in published, "a hairpin"
    world.apply("deny")
    world.assert_closed(published)
    world.apply("deny", [{"selector": "till", "to": "host", "port": SHOPS_PORT}])
    opened = [("till", beds.HOST_IP, "tcp", SHOPS_PORT)]
    world.assert_open(opened)
    world.assert_closed([a for a in published if a not in opened])
    world.assert_open([("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("till", SHOP, "tcp", 80)])


@each(BACKENDS)
@pytest.mark.parametrize("lab", ENGINES[:2], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_a_rule_of_others_opens_between_networks_is_closed(world):
    for way in (["-s", f"{WEB}.0/24", "-d", f"{BACK}.0/24"], ["-s", f"{BACK}.0/24", "-d", f"{WEB}.0/24"]):
        world.bed.lab.run("iptables", "-I", "DOCKER-USER", *way, "-j", "ACCEPT")
    world.assert_open([("till", DB, "tcp", 80), ("db", TILL, "tcp", 80)])
    world.apply("deny")
    world.assert_closed([("till", DB, "tcp", 80)])
    world.assert_open([("db", TILL, "tcp", 80)])


@each(BACKENDS)
@old_and_new
def test_nobody_gets_out_by_an_address_that_is_not_his(world):
    lifted = [{"selector": "shop", "to": beds.PEER_IP, "port": 53, "proto": "udp"}, {"selector": "db", "to": beds.PEER_IP, "port": 53, "proto": "udp"},
              {"selector": "shop", "to": "host", "port": HOST_PORT, "proto": "udp"}]
    world.apply("deny", [*lifted, {"selector": "db", "from": "shop", "port": 53, "proto": "udp"}])
    honest = [("shop", SHOP, beds.PEER_IP, "udp", 53, "peer"), ("shop", SHOP, DB, "udp", 53, "db")]
    thieves = [("till", source, ip, "udp", 53, target) for ip, target in ((beds.PEER_IP, "peer"), (DB, "db"))
               for source in (TILL, DB, f"{BACK}.77", "10.9.9.9", beds.PEER_IP, f"{beds.PEER_IP}2", f"{WEB}.1", beds.HOST_IP)]
    thieves += [("till", source, ip, "udp", 53, target) for ip, target in ((beds.PEER_IP6, "peer"), (DB6, "db"))
                for source in (TILL6, DB6, "2001:db8:ff::9", beds.PEER_IP6)]
    got = set(world.bed.prober.spoof(honest + thieves))
    assert got == set(honest), f"got out: {sorted(got - set(honest))}; stayed: {sorted(set(honest) - got)}"
    # an address of his own choice, on the interface
    own = device(world.bed.lab.inside("till", "ip", "-o", "addr").stdout, f"{TILL}/")
    world.bed.lab.inside("till", "ip", "addr", "add", f"{WEB}.99/24", "dev", own)
    world.bed.lab.inside("till", "ip", "route", "replace", "default", "via", f"{WEB}.1", "src", f"{WEB}.99")
    world.assert_closed(world.ways_out("till"))


def device(listing, address):
    """Of what `ip -o addr` lists the interface that has the address."""
    return next(line.split()[1] for line in listing.splitlines() if f" {address}" in line)


def call_link_local(world, proto_port):
    code = ("import socket, sys\ns = socket.socket(socket.AF_INET6)\ns.settimeout(1.5)\n"
            f"s.connect((sys.argv[1], {proto_port}, 0, socket.if_nametoindex(sys.argv[2])))\nprint('in')")
    bridge = device(world.bed.lab.run("ip", "-o", "addr").stdout, f"{WEB}.1/")
    own = device(world.bed.lab.inside("till", "ip", "-o", "addr").stdout, f"{TILL}/")
    local = world.bed.lab.run("ip", "-6", "-o", "addr", "show", "dev", bridge, "scope", "link").stdout.split()[3].split("/")[0]
    return "in" in world.bed.lab.inside("till", sys.executable, "-c", code, local, own, check=False).stdout


@old_and_new
def test_the_hosts_link_local_address_is_closed_and_neighbours_are_found(world):
    assert call_link_local(world, HOST_PORT)
    world.apply("deny", [{"selector": "shop", "to": beds.PEER_IP6, "port": 80}])
    assert not call_link_local(world, HOST_PORT)
    world.bed.lab.run("ip", "-6", "neigh", "flush", "all", check=False)
    world.bed.lab.inside("shop", "ip", "-6", "neigh", "flush", "all", check=False)
    world.assert_open([("shop", beds.PEER_IP6, "tcp", 80), ("host", SHOP6, "tcp", 80)])


@each(BACKENDS)
@old_and_new
def test_connections_end_that_egress_deny_revokes_and_those_of_policies_live(world):
    bed = world.bed
    ways = [("till", "peer", beds.PEER_IP), ("till", "host", f"{WEB}.1"), ("till", "host", beds.HOST_IP)]
    ways += [("till", "peer", beds.PEER_IP6), ("till", "host", f"{WEB6}:1")]
    revoked = [Talk(bed, proto, client, server, ip, 7200 + i) for i, (client, server, ip) in enumerate(ways) for proto in ("tcp", "udp")
               if (ip, proto) != (beds.HOST_IP, "udp")]  # its server answers from another address
    living = [Talk(bed, "tcp", "till", "shop", SHOP, 7300), Talk(bed, "tcp", "host", "till", TILL, 7301), Talk(bed, "tcp", "shop", "peer", beds.PEER_IP, 7302),
              Talk(bed, "udp", "shop", "peer", beds.PEER_IP, 7303), Talk(bed, "tcp", "shop", "host", f"{WEB}.1", 7304),
              Talk(bed, "tcp", "db", "peer", beds.PEER_IP, 7305)]
    talks.assert_stand(revoked + living)
    datagrams = [t for t in revoked if " udp/" in t.name and "-> host" in t.name]
    kept = [{"selector": "shop", "to": beds.PEER_IP, "port": [7302, 7303], "proto": ["tcp", "udp"]}, {"selector": "shop", "to": "host", "port": 7304}]
    world.apply("deny", kept)
    ended = time.monotonic()
    assert all(t.lives() for t in living), [(t.name, t.heard(ended)) for t in living]
    time.sleep(9)
    servers = [(t.name, t.heard(ended + 0.5)) for t in revoked if t.heard(ended + 0.5)[0]]
    assert not servers, servers
    # a policy that goes takes its connections with it
    world.apply("deny")
    ended = time.monotonic()
    time.sleep(9)
    gone, stay = [living[2], living[3], living[4]], [living[0], living[1], living[5]]
    assert not [(t.name, t.heard(ended + 0.5)) for t in gone if t.heard(ended + 0.5)[0]]
    assert all(t.lives() for t in stay), [(t.name, t.heard(ended)) for t in stay]
    # what goes on asking from one port is heard again when it may
    world.apply("open")
    assert datagrams and all(t.lives() for t in datagrams), [(t.name, t.heard(ended)) for t in datagrams]


@each(BACKENDS)
@old_and_new
def test_what_others_flush_is_closed_again(world):
    world.apply("deny")
    asked = [("till", beds.PEER_IP, "tcp", 80), ("till", f"{WEB}.1", "tcp", HOST_PORT)]
    daemon = world.bed.run_daemon()
    daemon.wait_log("following the engine")
    flushes = {"nftables": [["nft", "flush", "chain", "inet", "harborwall", c] for c in ("forward", "egress", "leaving", "input", "to_host")]
               + [["nft", "flush", "set", "inet", "harborwall", "denied"], ["nft", "delete", "table", "inet", "harborwall"]]}
    for flush in flushes.get(world.backend, [["iptables", "-F", "INPUT"], ["iptables", "-F", "HARBORWALL-LEAVE"]]):
        world.bed.lab.run(*flush)
        assert engine.wait_for(lambda: not world.open(asked), 5, 0.05), flush
    daemon.end()
