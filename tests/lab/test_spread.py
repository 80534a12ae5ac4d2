# SPDX-License-Identifier: GPL-2.0-or-later
"""A translation with several targets: each client has one of them and keeps it."""
import collections
import ipaddress
import json
import re
import sys
import time

import bed as beds
import engine
import pytest
from talks import Talk, assert_stand, still_heard

NAMES = ["web-1", "web-2", "web-3"]
CLIENTS, CLIENTS6 = "10.200.0.0/16", "fd00:200::/64"  # behind the peer
SITES6 = "2600::/12"  # the same, so wide that there are many sites; ip6tables tells only these apart
TUNNELED = "10.201.0.0/16"  # behind the tunnel's client
N = 1000
CELLS = [("20", "nftables"), ("26", "nftables"), ("28", "nftables"), ("29", "nftables"), ("20", "iptables-nft"), ("28", "iptables-nft"), ("28", "iptables-legacy")]
every_cell = pytest.mark.parametrize("lab, backend", [({"version": v, "legacy": b == "iptables-legacy"}, b) for v, b in CELLS],
                                     indirect=["lab"], ids=[f"docker {v}, {b}" for v, b in CELLS])

# From each of many source addresses one question: prints who answers it, "-" where nobody does.
MANY = """import ipaddress, select, socket, sys, time
proto, ip, port, net, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), ipaddress.ip_network(sys.argv[4]), int(sys.argv[5])
apart = int(sys.argv[6])  # how far addresses are from each other
family = socket.AF_INET6 if ":" in ip else socket.AF_INET
said, waiting = {}, {}
def ask(i):
    s = socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_IP, 15, 1) if family == socket.AF_INET else s.setsockopt(41, 78, 1)  # IP(V6)_FREEBIND
    s.bind((str(net[apart * (i + 1)]), 0))
    s.setblocking(False)
    s.connect_ex((ip, port))
    if proto == "udp":
        s.send(b"who?")
    waiting[s] = i
def take(until):
    while waiting and time.monotonic() < until:
        for s in select.select(list(waiting), [], [], 0.05)[0]:
            try:
                data = s.recv(256)
            except OSError:
                data = b""
            if data:
                said[waiting[s]] = data.split()[0].decode()
            del waiting[s]
            s.close()
def give_up():
    take(time.monotonic() + 3)
    for s in list(waiting):
        del waiting[s]
        s.close()
for turn in range(2):  # a busy machine's server may be too late once
    for i in range(n):
        if i not in said:
            ask(i)
        if len(waiting) > 200:
            give_up()
    give_up()
print(*(said.get(i, "-") for i in range(n)))
"""


def answers(bed, proto, ip, port, net, n=N, who="peer"):
    """Of a net as wide as SITES6 from as many sites, else from neighbours."""
    done = bed.lab.run("ip", "netns", "exec", who, sys.executable, "-I", "-S", "-c", MANY, proto, ip, str(port), net, str(n), str(apart(net)))
    return done.stdout.split()


def apart(net):
    return 1 << 96 if net == SITES6 else 1


def assert_even(got, names=tuple(NAMES)):
    share = collections.Counter(got)
    assert set(share) == set(names), share
    fair = len(got) / len(names)
    assert all(abs(share[name] - fair) <= 0.1 * fair for name in names), share


def lay_out(bed, apart=False):
    """The targets on one network, or each on its own; clients behind the peer."""
    config = {"networks": {}, "ips": {}, "policies": []}
    for i, name in enumerate(NAMES):
        network = f"net{i if apart else 0}"
        config["networks"].setdefault(network, {"subnet": f"172.18.{110 + (i if apart else 0)}.0/24",
                                                "subnet6": f"fd18:{110 + (i if apart else 0)}::/64"})
        ip = f"172.18.{110 + (i if apart else 0)}.{2 + i}"
        config["ips"][ip] = {"container_name": name, "ip6": f"fd18:{110 + (i if apart else 0)}::{2 + i}"}
        bed.docker.create(name)
    bed.lab.run("sh", "-ec", f"ip route add {CLIENTS} via {beds.PEER_IP}; ip -6 route add {CLIENTS6} via {beds.PEER_IP6}; "
                             f"ip -n peer route add local {CLIENTS} dev lo; ip -n peer -6 route add local {CLIENTS6} dev lo; "
                             f"ip -6 route add {SITES6} via {beds.PEER_IP6}; ip -n peer -6 route add local {SITES6} dev lo")
    return config


@every_cell
def test_clients_are_spread_evenly_and_keep_their_target(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = lay_out(bed, apart=True)
        config["policies"] = [{"nat": "dnat", "iface": "ext0", "to": "web", "port": 8000, "to_port": 80, "proto": ["tcp", "udp"]}]
        bed.write(config)
        bed.apply()
        bed.prober.serve_at(*NAMES, "peer")
        ways = [(beds.HOST_IP, CLIENTS), (beds.HOST_IP6, CLIENTS6 if backend == "nftables" else SITES6)]
        assert ("tells clients apart by the first 32 bits" in bed.harborwall("plan").stdout) == (backend != "nftables")
        for ip, net in ways:
            first = answers(bed, "tcp", ip, 8000, net)
            assert_even(first)
            assert answers(bed, "tcp", ip, 8000, net) == first
            assert answers(bed, "udp", ip, 8000, net) == first  # whatever the protocol
            assert set(answers(bed, "tcp", ip, 8001, net, 3)) == {"-"}
        # the translated flow alone may pass, and the target sees the client
        for name, ip in zip(NAMES, config["ips"]):
            assert not bed.prober.open("peer", ip, "tcp", 80)
        who, seen = bed.prober.open("peer", beds.HOST_IP, "tcp", 8000)
        assert who in NAMES and seen == beds.PEER_IP
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout
        # what core/reach says of a client is what he got
        for ip, net in ways:
            for i, who in enumerate(answers(bed, "tcp", ip, 8000, net, 6)):
                source = str(ipaddress.ip_network(net)[apart(net) * (i + 1)])
                told = json.loads(bed.harborwall("explain", source, "host", "8000", "--in", "ext0", "--json").stdout)
                assert who in next(h["text"] for h in told["path"] if h["verdict"] == "translated"), told
        # a list of addresses, one source, two targets
        config["policies"] = [{"nat": "dnat", "iface": "ext0", "from": CLIENTS, "to": list(config["ips"])[:2], "port": "8080-8081"}]
        bed.write(config)
        bed.apply()
        assert_even(answers(bed, "tcp", beds.HOST_IP, 8080, CLIENTS), NAMES[:2])
        assert not bed.prober.open("peer", beds.HOST_IP, "tcp", 8080)


@pytest.mark.parametrize("lab, backend", [({"version": v}, b) for v, b in (("20", "nftables"), ("28", "nftables"), ("28", "iptables-nft"))],
                         indirect=["lab"], ids=["docker 20, nftables", "docker 28, nftables", "docker 28, iptables-nft"])
def test_who_loses_his_target_gets_another_and_nobody_else_moves(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = lay_out(bed)
        config["policies"] = [{"nat": "dnat", "iface": "ext0", "to": "web", "port": 8000, "to_port": 80, "proto": ["tcp", "udp"]}]
        bed.write(config)
        daemon = bed.run_daemon({"DEBUG": "1"})
        daemon.wait_log("following the engine")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        bed.prober.serve_at(*NAMES)
        before = answers(bed, "udp", beds.HOST_IP, 8000, CLIENTS)
        assert_even(before)
        lost = before.index("web-2")
        bed.docker.call("POST", "/containers/web-2/kill")
        assert engine.wait_for(lambda: "172.18.110.3" not in rules(bed), 5)
        assert "not running: web-2; the other targets have its clients" in bed.harborwall("plan").stdout
        told = clock(daemon, r"action=die name=web-2")
        took = min(t for t in clock(daemon, r"what=pass reason=\S*target") if t > told[0]) - told[0]
        print(f"figures: a target that stops is left out {took * 1000:.0f} ms after the engine said so ({backend})")
        after = answers(bed, "tcp", beds.HOST_IP, 8000, CLIENTS)
        assert [b for b in before if b != "web-2"] == [a for b, a in zip(before, after) if b != "web-2"]
        moved = [a for b, a in zip(before, after) if b == "web-2"]
        assert after[lost] in ("web-1", "web-3")
        share = collections.Counter(moved)
        assert set(share) == {"web-1", "web-3"} and min(share.values()) > len(moved) / 3, share
        assert took < 1
        # the entries of datagrams that led there are gone, too
        assert answers(bed, "udp", beds.HOST_IP, 8000, CLIENTS) == after
        bed.docker.start("web-2")
        bed.prober.serve_at(*NAMES)
        assert engine.wait_for(lambda: "172.18.110.3" in rules(bed), 10)
        assert answers(bed, "tcp", beds.HOST_IP, 8000, CLIENTS) == before
        # nobody is left: what comes is refused or lost, and never the host's own service's
        for name in NAMES:
            bed.docker.call("POST", f"/containers/{name}/kill")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        assert set(answers(bed, "tcp", beds.HOST_IP, 8000, CLIENTS, 10)) == {"-"}


def clock(daemon, line):
    """When the daemon logged lines like this one, in seconds of the day."""
    pattern = r"^time=\S+T(\d+):(\d+):([\d.]+)Z.* " + line
    assert engine.wait_for(lambda: re.search(pattern, daemon.log(), re.M)), daemon.log()[-3000:]
    times = re.findall(pattern, daemon.log(), re.M)
    return [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in times]


def rules(bed):
    """What translates on the host."""
    tool = ["nft", "list", "chain", "inet", "harborwall", "prerouting"] if bed.env["HARBORWALL_BACKEND"] == "nftables" else \
        ["iptables", "-t", "nat", "-S", "HARBORWALL-PRE"]
    return bed.lab.run(*tool).stdout


@pytest.mark.parametrize("lab, backend", [({"version": v}, b) for v, b in (("20", "nftables"), ("28", "nftables"), ("28", "iptables-nft"))],
                         indirect=["lab"], ids=["docker 20, nftables", "docker 28, nftables", "docker 28, iptables-nft"])
def test_a_container_spreads_what_comes_by_its_tunnel(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = lay_out(bed, apart=True)
        bed.docker.create("vpn", privileged_net=True)
        bed.wire_tunnel("vpn")
        bed.lab.inside("vpn", "ip", "route", "add", TUNNELED, "via", beds.CLIENT_IP)
        bed.lab.run("ip", "-n", "client", "route", "add", "local", TUNNELED, "dev", "lo")
        config["policies"] = [{"selector": "web-1", "name": "vpn", "iface": "wg0", "nat": "dnat", "to": NAMES, "port": 80,
                               "proto": ["tcp", "udp"]}]
        bed.write(config)
        bed.apply()
        bed.prober.serve_at(*NAMES, "client")
        first = answers(bed, "tcp", beds.TUNNEL_IP, 80, TUNNELED, who="client")
        assert_even(first)
        assert answers(bed, "udp", beds.TUNNEL_IP, 80, TUNNELED, who="client") == first
        assert set(answers(bed, "tcp", beds.TUNNEL_IP, 81, TUNNELED, 3, who="client")) == {"-"}
        assert bed.harborwall("plan").returncode == 0, bed.harborwall("plan").stdout


@pytest.mark.parametrize("lab, backend", [({"version": "28"}, "nftables"), ({"version": "20"}, "iptables-nft")],
                         indirect=["lab"], ids=["docker 28, nftables", "docker 20, iptables-nft"])
def test_a_connection_lives_on_while_its_target_is_one_of_several_and_ends_with_it(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        config = lay_out(bed)
        policy = {"nat": "dnat", "iface": "ext0", "to": ["web-1", "web-2"], "port": 7001}
        bed.write({**config, "policies": [policy]})
        bed.apply()
        told = json.loads(bed.harborwall("explain", beds.PEER_IP, "host", "7001", "--in", "ext0", "--json").stdout)
        target = next(name for name in NAMES if name in next(h["text"] for h in told["path"] if h["verdict"] == "translated"))
        talk = Talk(bed, "tcp", "peer", target, beds.HOST_IP, 7001)
        assert_stand([talk])
        bed.write({**config, "policies": [{**policy, "to": NAMES}]})
        bed.apply()
        assert talk.lives()
        bed.write({**config, "policies": [{**policy, "to": [n for n in NAMES if n != target]}]})
        bed.apply()
        ended = time.monotonic()
        time.sleep(3)
        assert not still_heard([talk], ended + 0.5)
