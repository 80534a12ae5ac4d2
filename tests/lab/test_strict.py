# SPDX-License-Identifier: GPL-2.0-or-later
"""Strict networks, by packets: policies and replies get in, nothing else does, from a neighbour neither."""
import json
import re
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

WEB, BACK = "172.18.103", "172.18.104"
WEB6, BACK6 = "fd18:103:", "fd18:104:"
SHOP, TILL, SAFE, GUEST, DB = f"{WEB}.2", f"{WEB}.3", f"{WEB}.4", f"{WEB}.200", f"{BACK}.2"
SHOP6, TILL6, SAFE6, GUEST6, DB6 = f"{WEB6}:2", f"{WEB6}:3", f"{WEB6}:4", f"{WEB6}:200", f"{BACK6}:2"
HOST_PORT, SHOPS_PORT = 7070, 8081
ASKED = (("tcp", 80), ("tcp", 443), ("udp", 53))


def file(isolation="strict", policies=(), **more):
    return {"networks": {"web": {"subnet": f"{WEB}.0/24", "subnet6": f"{WEB6}:/64", "isolation": isolation, **more},
                         "back": {"subnet": f"{BACK}.0/24", "subnet6": f"{BACK6}:/64"}},
            "ips": {SHOP: {"ip6": SHOP6, "container_name": "shop"}, TILL: {"ip6": TILL6, "container_name": "till"},
                    SAFE: {"ip6": SAFE6, "container_name": "safe"}, DB: {"ip6": DB6, "container_name": "db"}},
            "policies": list(policies)}


class World(prober.Asking):
    """The shop's port 80 is published. The guest sits on the network, and no file knows it."""

    def __init__(self, bed):
        self.bed = bed
        docker = bed.docker
        docker.create_network("web", f"{WEB}.0/24", f"{WEB}.1", subnet6=f"{WEB6}:/64")
        docker.create("shop", network="web", ip=SHOP, ip6=SHOP6, publish={str(SHOPS_PORT): 80})
        docker.create("guest", network="web", ip=GUEST, ip6=GUEST6)
        for name in ("till", "safe", "db"):
            docker.create(name)
        self.apply("docker")
        bed.prober.serve_at("shop", "till", "safe", "guest", "db", "peer", "host")
        bed.prober.agent("host").do("serve", tcp=[HOST_PORT], udp=[HOST_PORT], sctp=[])

    def apply(self, isolation="strict", policies=(), **more):
        self.bed.write(file(isolation, policies, **more))
        return self.bed.apply()

    def between(self):
        """Each container of the network to each other one."""
        four, six = {"shop": SHOP, "till": TILL, "safe": SAFE, "guest": GUEST}, {"shop": SHOP6, "till": TILL6, "safe": SAFE6, "guest": GUEST6}
        return [(who, ip, *asked) for at in (four, six) for who in at for other, ip in at.items() if who != other for asked in ASKED]

    def published(self):
        return [("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("db", beds.HOST_IP, "tcp", SHOPS_PORT), ("till", beds.HOST_IP, "tcp", SHOPS_PORT),
                ("till", f"{WEB}.1", "tcp", SHOPS_PORT), ("db", f"{BACK}.1", "tcp", SHOPS_PORT)]

    def inwards(self):
        """From beyond the network, by no published port."""
        return [(who, ip, *asked) for who in ("peer", "db") for ip in (SHOP, TILL, GUEST, SHOP6, TILL6, GUEST6) for asked in ASKED]

    def from_host(self):
        return [("host", ip, *asked) for ip in (SHOP, TILL, SHOP6, TILL6) for asked in ASKED]

    def outwards(self):
        hosts = [(who, ip, proto, HOST_PORT) for who in ("shop", "till") for ip in (f"{WEB}.1", f"{WEB6}:1", beds.HOST_IP) for proto in ("tcp", "udp")]
        return hosts + [(who, ip, *asked) for who in ("shop", "till", "guest") for ip in (beds.PEER_IP,) for asked in ASKED]


POLICIES = [{"selector": "shop", "from": "till", "port": 80}, {"selector": "safe", "from": ["shop", "db"], "port": 53, "proto": "udp"},
            {"selector": "till", "to": "safe", "port": 443}, {"selector": "till", "from": [beds.OUTSIDE, beds.OUTSIDE6], "port": 443}]
OPENED = [("till", SHOP, "tcp", 80), ("till", SHOP6, "tcp", 80), ("shop", SAFE, "udp", 53), ("shop", SAFE6, "udp", 53), ("till", SAFE, "tcp", 443),
          ("till", SAFE6, "tcp", 443), ("db", SAFE, "udp", 53), ("db", SAFE6, "udp", 53), ("peer", TILL, "tcp", 443), ("peer", TILL6, "tcp", 443)]


@pytest.fixture
def world(lab, request):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": "nftables"}) as bed:
        yield World(bed)


@every_engine
def test_policies_let_in_and_nothing_else_does(world):
    world.assert_open(world.between())
    world.assert_open([("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("till", beds.HOST_IP, "tcp", SHOPS_PORT)])
    world.apply("strict")
    world.assert_closed(world.between() + world.inwards())
    world.assert_open(world.from_host() + world.outwards())
    assert world.bed.harborwall("plan").returncode == 0, "and nothing is left to do"

    world.apply("strict", POLICIES)
    found = world.answers(OPENED)
    assert set(found) == set(OPENED), f"closed: {sorted(set(OPENED) - set(found))}"
    sources = {"till": (TILL, TILL6), "shop": (SHOP, SHOP6), "db": (DB, DB6), "peer": (beds.PEER_IP, beds.PEER_IP6)}
    assert not [(key, seen) for key, (_, seen) in found.items() if seen not in sources[key[0]]], "sources stay"
    world.assert_closed([a for a in world.between() + world.inwards() if a not in OPENED])
    world.assert_open(world.from_host() + world.outwards())
    assert world.bed.harborwall("plan").returncode == 0

    world.apply("docker", POLICIES)  # which is as it was
    world.assert_open(world.between())
    assert world.bed.harborwall("plan").returncode == 0


def passed_raw(world):
    """Packets that our rule before Docker's raw drops let pass."""
    listed = world.bed.lab.run("nft", "list", "chain", "ip", "raw", "PREROUTING").stdout
    return int(re.search(r"counter packets (\d+) bytes \d+ accept comment \"harborwall", listed).group(1))


@pytest.mark.parametrize("lab", ENGINES[2:3], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_neighbours_say_does_not_pass_dockers_raw_drops_one_by_one(world):
    world.apply("strict", POLICIES)
    before = passed_raw(world)
    world.assert_open([("till", SHOP, "tcp", 80)])
    assert passed_raw(world) >= before + 4  # both directions
    before = passed_raw(world)
    world.assert_closed([("safe", SHOP, "tcp", 80)])
    assert passed_raw(world) > before, "and the forward hook decides"


@every_engine
def test_published_ports_open_nothing(world):
    everywhere, loopback = world.published(), ("host", "127.0.0.1", "tcp", SHOPS_PORT)
    before = world.open([*everywhere, loopback])
    assert {("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("till", beds.HOST_IP, "tcp", SHOPS_PORT)} <= before
    world.apply("strict")
    world.assert_closed(everywhere)
    world.assert_open({loopback} & before)  # which docker-proxy serves, where there is one
    world.apply("strict", [{"selector": "shop", "from": [beds.OUTSIDE, "till"], "port": 80}])
    world.assert_open([("peer", beds.HOST_IP, "tcp", SHOPS_PORT), ("till", SHOP, "tcp", 80)])
    world.assert_closed([("db", beds.HOST_IP, "tcp", SHOPS_PORT)])


@every_engine
def test_the_host_stays_out_where_the_file_says_so(world):
    world.apply("strict", POLICIES, host=False)
    world.assert_closed(world.from_host() + world.published())
    world.assert_open(world.outwards() + OPENED)
    to_till = {"nat": "dnat", "from": "host", "to": "till", "port": 7400, "to_port": 80}
    world.apply("strict", [*POLICIES, to_till], host=False)
    world.assert_open([("host", f"{BACK}.1", "tcp", 7400)])
    # who answers by another network of his asks there for the gateway's hardware address
    world.bed.lab.inside("till", "ip", "route", "replace", "default", "via", "172.17.0.1")
    world.bed.lab.inside("till", "ip", "neigh", "flush", "all")
    world.assert_open([("host", f"{BACK}.1", "tcp", 7400)])
    world.assert_closed(world.from_host())
    world.apply("strict", POLICIES)
    world.assert_open(world.from_host())


@every_engine
def test_the_host_gets_in_by_a_policy_where_the_file_keeps_it_out(world):
    def health(*ports, subject="till", source="host"):
        return {"container_name": subject, "from": source, "port": list(ports), "proto": ["tcp", "udp"]}

    def explained(ip, port):
        told = json.loads(world.bed.harborwall("explain", "host", ip, str(port), "--packet", "--json").stdout)
        return told["verdict"], told["packet"]["verdict"]
    checks = [("host", ip, proto, port) for ip in (TILL, TILL6) for proto, port in (("tcp", 80), ("udp", 53))]
    world.apply("strict", POLICIES, host=False)
    world.assert_closed(world.from_host())
    world.apply("strict", [*POLICIES, health(80, 53), health(443, subject="safe", source=["host", "db"]),
                           {"service_name": "web", "from": "host", "port": 443}], host=False)
    assert world.bed.harborwall("plan").returncode == 0, world.bed.harborwall("plan").stdout
    opened = [*checks, *(("host", ip, "tcp", 443) for ip in (SAFE, SAFE6, SHOP, SHOP6, TILL, TILL6))]
    world.assert_open(opened)
    world.assert_open([("db", SAFE, "tcp", 443), *OPENED])
    world.assert_closed([a for a in world.from_host() if a not in opened])
    world.assert_closed([("peer", TILL, "tcp", 80), ("db", TILL, "tcp", 80)])
    world.assert_closed([("host", ip, "tcp", 443) for ip in (GUEST, GUEST6)])
    assert explained(TILL, 80) == explained(TILL6, 80) == ("allowed", "passed")
    assert explained(TILL, 81)[0] == explained(SHOP, 80)[0] == "denied"
    world.apply("strict", POLICIES, host=False)
    world.assert_closed(world.from_host())


@old_and_new
def test_the_hosts_own_connections_end_with_their_policy(world):
    def health(*ports):
        return {"container_name": "till", "from": "host", "port": list(ports), "proto": ["tcp", "udp"]}
    world.apply("strict", [health(7410, 7411, 7412)], host=False)
    stays, *gone = (Talk(world.bed, proto, "host", "till", ip, port) for proto, ip, port in (
        ("tcp", TILL, 7410), ("tcp", TILL6, 7411), ("udp", TILL, 7411), ("udp", TILL6, 7412)))
    talks.assert_stand([stays, *gone])
    world.apply("strict", [health(7410)], host=False)
    ended = time.monotonic()
    time.sleep(9)
    assert not [(t.name, t.heard(ended + 0.5)) for t in gone if t.heard(ended + 0.5)[0]]
    assert stays.lives()
    world.apply("strict", [health(7410, 7411, 7412)], host=False)
    assert all(t.lives(timeout=5) for t in (stays, *gone[1:]))  # datagrams find their way again


@old_and_new
def test_a_container_on_two_networks_answers_by_the_strict_one(world):
    """As where its default route leads there: with the address that it has on the other network, which is its own."""
    others = [("db", ip, beds.PEER_IP, "udp", 53, "peer") for ip in (f"{BACK}.77", SHOP)]
    asked = [("peer", ip, "tcp", port) for ip in (DB, f"{WEB}.9") for port in (80, 443)]

    def apply(isolation):
        both = file(isolation, [{"selector": "db", "from": "any", "port": 80}])
        both["ips"][f"{WEB}.9"] = {"container_name": "db"}
        world.bed.write(both)
        world.bed.apply()
        world.bed.lab.inside("db", "ip", "route", "replace", "default", "via", f"{WEB}.1")

    apply("docker")
    assert world.bed.prober.spoof(others) == others
    apply("strict")
    assert world.open(asked) == {a for a in asked if a[3] == 80}
    assert world.bed.prober.spoof(others) == []


@old_and_new
def test_egress_is_what_it_was(world):
    world.apply("strict", [*POLICIES, {"selector": "shop", "to": beds.PEER_IP, "port": 80}, {"selector": "shop", "to": "db", "port": 80}], egress="deny")
    opened = [("shop", beds.PEER_IP, "tcp", 80), ("shop", DB, "tcp", 80), *OPENED]
    world.assert_open(opened + world.from_host())
    world.assert_closed([a for a in world.outwards() + world.between() + world.inwards() if a not in opened])


@old_and_new
def test_connections_end_that_no_policy_admits_and_others_live(world):
    bed = world.bed
    policies = [{"selector": "shop", "from": ["db", beds.OUTSIDE], "port": [7302, 7305]}, {"selector": "till", "to": "safe", "port": [7303, 7309]}]
    world.apply("strict", policies + [{"selector": "till", "to": "safe", "port": [7200, 7201], "proto": ["tcp", "udp"]}])
    living = [Talk(bed, "tcp", "db", "shop", SHOP, 7302), Talk(bed, "tcp", "till", "safe", SAFE, 7303), Talk(bed, "tcp", "till", "safe", SAFE6, 7309),
              Talk(bed, "tcp", "till", "peer", beds.PEER_IP, 7304), Talk(bed, "tcp", "peer", "shop", SHOP, 7305), Talk(bed, "tcp", "till", "host", f"{WEB}.1", 7306)]
    hosts = [Talk(bed, "tcp", "host", "till", TILL, 7307), Talk(bed, "udp", "host", "till", TILL6, 7308)]
    revoked = [Talk(bed, proto, "till", "safe", ip, port) for ip, proto, port in ((SAFE, "tcp", 7200), (SAFE6, "udp", 7201), (SAFE6, "tcp", 7201))]
    talks.assert_stand(living + hosts + revoked)
    world.apply("strict", policies)
    ended = time.monotonic()
    assert all(t.lives() for t in living + hosts), [(t.name, t.heard(ended)) for t in living + hosts]
    time.sleep(9)
    assert not talks.still_heard(revoked, ended + 0.5)
    world.apply("strict", policies, host=False)
    ended = time.monotonic()
    time.sleep(9)
    assert not [(t.name, t.heard(ended + 0.5)) for t in hosts if t.heard(ended + 0.5)[0]]
    assert all(t.lives() for t in living), [(t.name, t.heard(ended)) for t in living]


@old_and_new
def test_connections_through_published_ports_end(world):
    bed = world.bed
    bed.docker.create("stall", network="web", ip=f"{WEB}.9", ip6=f"{WEB6}:9", publish={"8090": 7400, "8091": 7401, "8092": 7402})
    ways = [("peer", beds.HOST_IP), ("till", f"{WEB}.1"), ("db", f"{BACK}.1")]
    through = [Talk(bed, "tcp", who, "stall", ip, 8090 + i, served=7400 + i) for i, (who, ip) in enumerate(ways)]
    talks.assert_stand(through)
    world.apply("strict")
    ended = time.monotonic()
    time.sleep(9)
    assert not [(t.name, t.heard(ended + 0.5)) for t in through if t.heard(ended + 0.5)[0]]


MOST_SILENCE_S = 1.0


@old_and_new
@pytest.mark.parametrize("daemon, filtered", [(False, True), (True, True), (True, False)], ids=["apply", "daemon", "daemon, no br_netfilter"])
def test_neighbours_that_talk_go_on_when_the_network_becomes_strict_and_open_again(world, daemon, filtered):
    """They know each other's MAC addresses, which lead nowhere in a strict network. Without br_netfilter the kernel does not know their
    connections yet."""
    for family in ("ip", "ip6"):
        world.bed.lab.run("sh", "-c", f"echo {int(filtered)} >/proc/sys/net/bridge/bridge-nf-call-{family}tables")
    bed, policies = world.bed, [{"selector": "safe", "from": "till", "port": "7300-7310", "proto": ["tcp", "udp"]}]
    world.apply("docker", policies)
    running = [Talk(bed, "tcp", "till", "safe", SAFE, 7301), Talk(bed, "tcp", "till", "safe", SAFE6, 7302), Talk(bed, "udp", "till", "safe", SAFE, 7303)]
    talks.assert_stand(running)
    static = "02:00:00:00:00:77"  # somebody's own
    device = bed.lab.inside("till", "ip", "-o", "route", "get", GUEST).stdout.split(" dev ")[1].split()[0]
    bed.lab.inside("till", "ip", "neigh", "replace", GUEST, "lladdr", static, "nud", "permanent", "dev", device)
    if daemon:
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
    silences = {}
    for isolation in ("strict", "docker"):
        began = time.monotonic()
        bed.write(file(isolation, policies))
        _ = daemon or bed.apply()
        time.sleep(4)
        silences[isolation] = {t.name: round(t.silence(began), 3) for t in running}
    _ = daemon and daemon.end()
    print(f"figures: strict: docker {bed.lab.version}: longest silence in s: {silences}")
    assert all(s < MOST_SILENCE_S for how in silences.values() for s in how.values()), silences
    assert static in bed.lab.inside("till", "ip", "neigh", "show", GUEST).stdout


@old_and_new
def test_a_policy_for_the_whole_network_means_containers_of_the_file(world):
    world.apply("strict", [{"service_name": "web", "from": ["db", "till"], "port": 80}])
    world.assert_open([("db", SHOP, "tcp", 80), ("db", SAFE6, "tcp", 80), ("till", SHOP6, "tcp", 80), ("till", SAFE, "tcp", 80)])
    world.assert_closed([(who, ip, "tcp", 80) for who in ("db", "till") for ip in (GUEST, GUEST6)])


def run_in(world, name, code, *arguments):
    return world.bed.lab.inside(name, sys.executable, "-c", code, *arguments, check=False).stdout


LOOK_UP = """import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.connect(("127.0.0.11", 53))
s.send(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + bytes([len(sys.argv[1])]) + sys.argv[1].encode() + b"\\0\\0\\1\\0\\1")
print(socket.inet_ntoa(s.recv(512)[-4:]))"""
REFUSED = """import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
s.connect((sys.argv[1], int(sys.argv[2])))
for _ in range(4):
    try:
        s.send(b"?")
        s.recv(9)
    except ConnectionRefusedError:
        print("refused")
        break
    except TimeoutError:
        pass"""
NARROW = """import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(*((socket.IPPROTO_IPV6, 23) if ":" in sys.argv[1] else (socket.IPPROTO_IP, 10)), 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
s.connect((sys.argv[1], 9))
import sys
import time
for _ in range(6):
    try:
        s.send(b"?" * 1400)
        time.sleep(0.3)
    except OSError as e:
        print(e.strerror)
        break"""


@old_and_new
def test_dns_of_docker_errors_and_the_path_mtu_work(world):
    world.apply("strict", [{"selector": "safe", "from": "till", "port": 9, "proto": "udp"}])
    assert run_in(world, "till", LOOK_UP, "shop").strip() == SHOP
    for ip in (beds.PEER_IP, SAFE, SAFE6):  # nobody listens there, and says so
        assert run_in(world, "till", REFUSED, ip, "9").strip() == "refused", ip
    assert run_in(world, "till", REFUSED, SHOP, "9") == "", "and no policy lets it ask here"
    world.bed.lab.run("ip", "link", "set", beds.HOST_IFACE, "mtu", "1300")
    assert "too long" in run_in(world, "till", NARROW, beds.PEER_IP).lower()


@old_and_new
def test_a_container_may_give_itself_its_address_again_and_no_other(world):
    """It asks first whether somebody has that address (RFC 4862), and the host answers for everybody of the network."""
    world.apply("strict", POLICIES)
    device = world.bed.lab.inside("till", "ip", "-o", "addr", "show", "to", TILL).stdout.split()[1]
    world.bed.lab.inside("till", "ip", "addr", "del", f"{TILL6}/64", "dev", device)
    for ip in (TILL6, SAFE6):
        world.bed.lab.inside("till", "ip", "addr", "add", f"{ip}/64", "dev", device)

    def flags():
        return {ip: world.bed.lab.inside("till", "ip", "-6", "-o", "addr", "show", "to", ip).stdout for ip in (TILL6, SAFE6)}
    assert engine.wait_for(lambda: "tentative" not in flags()[TILL6] and "dadfailed" in flags()[SAFE6], 5), flags()
    world.assert_open([("till", SHOP6, "tcp", 80), ("host", TILL6, "tcp", 80)])


@pytest.mark.parametrize("watched", [False, True], ids=["while nobody watches", "beside the daemon"])
@old_and_new
def test_a_container_that_starts_again_is_reached_at_once(world, watched):
    """From Docker 28 on it has a new hardware address. The host knows the old one for half a minute: before a pass nobody
    believes what the container announces."""
    bed = world.bed
    world.apply("strict", POLICIES)
    daemon = bed.run_daemon() if watched else None
    if watched:
        daemon.wait_log("following the engine")
    for ip in (SAFE, SAFE6):
        assert bed.prober.open("host", ip, "tcp", 80)
        bed.docker.restart("safe")
        bed.prober.serve_at("safe")
        if watched:
            assert engine.wait_for(lambda: bed.harborwall("plan").returncode == 0, 3)
        else:
            bed.apply()
        assert bed.prober.open("host", ip, "tcp", 80, timeout=0.5), bed.lab.run("ip", "neigh").stdout


@pytest.mark.parametrize("lab", ENGINES[2:3], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_it_stops_is_logged_and_a_container_that_starts_is_let_in(world):
    world.apply("strict", POLICIES)
    daemon = world.bed.run_daemon()
    daemon.wait_log("following the engine")
    world.assert_closed([("safe", SHOP, "tcp", 80)])
    daemon.wait_log(f"what=dropped from=safe to=shop src={SAFE} dst={SHOP} proto=tcp port=80")
    for name in ("shop", "till"):
        world.bed.docker.restart(name)
        world.bed.prober.serve_at("shop", "till", "safe", "guest", "db", "peer")
        world.assert_open(OPENED)
        world.assert_closed([("safe", SHOP, "tcp", 80), ("shop", TILL, "tcp", 80)])
    daemon.end()
    assert world.bed.harborwall("plan").returncode == 0
    assert world.bed.harborwall("clear", "--yes").returncode == 0
    world.assert_open([("guest", SHOP, "tcp", 80)])  # clear takes the others away from the network
