# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks with isolation audit, by packets: all that gets in today gets in, what strict would stop is listed with policies that
would let it in, and with these policies and strict the same traffic passes and no other. With and without br_netfilter."""
import json
import time

import bed as beds
import engine
import pytest
import test_strict as strict
from test_logged import FLOOD, cpu_s
from test_strict import BACK, DB, GUEST, SAFE, SAFE6, SHOP, SHOP6, SHOPS_PORT, TILL, TILL6, WEB

every_engine = pytest.mark.parametrize("lab", strict.ENGINES[:3], indirect=True, ids=lambda p: f"docker {p['version']}")
both_ways = pytest.mark.parametrize("filtered", [True, False], ids=["by br_netfilter", "by the bridge alone"])

# what happens in the network all day
ASKED = [("till", SHOP, "tcp", 80), ("till", SHOP6, "tcp", 80), ("till", SHOP, "udp", 53), ("shop", TILL6, "udp", 53), ("safe", TILL, "tcp", 443),
         ("shop", SAFE6, "tcp", 80), ("guest", SHOP, "tcp", 443), ("peer", beds.HOST_IP, "tcp", SHOPS_PORT)]
LISTED = {("till", "shop", "tcp", 80), ("till", "shop", "udp", 53), ("shop", "till", "udp", 53), ("safe", "till", "tcp", 443),
          ("shop", "safe", "tcp", 80), (GUEST, "shop", "tcp", 443), (beds.PEER_IP, "shop", "tcp", 80)}


class Watched(strict.World):
    daemon = None

    def filter_frames(self, filtered):
        for family in ("ip", "ip6"):
            self.bed.lab.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{family}tables={int(filtered)}")

    def run(self, isolation="audit", policies=(), **more):
        self.bed.write(strict.file(isolation, policies, **more))
        self.daemon = self.bed.run_daemon()
        self.daemon.wait_log("following the engine")
        self.settle()

    def settle(self):
        assert engine.wait_for(lambda: self.bed.harborwall("plan").returncode == 0, 10), self.bed.harborwall("plan").stdout[-2000:]

    def change(self, isolation, policies=(), **more):
        self.bed.write(strict.file(isolation, policies, **more))
        self.settle()

    def audit(self):
        done = self.bed.harborwall("audit", "--json")
        return done.returncode, json.loads(done.stdout)

    def listed(self):
        flows = self.audit()[1]["flows"]
        assert all(f["refused_by"] == "isolation" for f in flows), flows
        return {(f["source"], f["destination"], f["protocol"], f["port"]) for f in flows}

    def assert_listed(self, wanted):
        assert engine.wait_for(lambda: self.listed() == wanted, 5), (self.listed() ^ wanted, self.audit(), self.daemon.log()[-1500:])

    def bridge_table(self):
        return self.bed.lab.run("nft", "list", "table", "bridge", "harborwall", check=False).stdout

    def ports(self):
        return self.bed.lab.run("bridge", "-d", "link").stdout


@pytest.fixture
def world(lab):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": "nftables"}) as bed:
        made = Watched(bed)
        try:
            yield made
        finally:
            if made.daemon:
                made.daemon.end()
            made.filter_frames(True)


@both_ways
@every_engine
def test_the_policies_of_an_audit_let_in_what_it_saw_and_nothing_else(world, filtered):
    world.filter_frames(filtered)
    world.run()
    world.assert_open(world.outwards() + world.from_host())
    published = ("peer", SHOP, "tcp", 80)  # which Docker before 28 opens at the container's own address, too
    world.assert_closed([a for a in world.inwards() if a != published])  # what Docker closes is no matter of an audit
    time.sleep(0.5)
    code, told = world.audit()
    assert code == 0 and told["flows"] == [], told
    assert [(n["network"], n["audited"]) for n in told["networks"]] == [("web", "isolation")]
    world.assert_open(ASKED)
    world.assert_listed(LISTED)
    code, told = world.audit()
    assert code == 2 and told["state"] == "refused" and not told["borrowed"] and told["complete"], told
    text = world.bed.harborwall("audit")
    assert text.returncode == 2 and 'refused by "isolation": "strict" would be:' in text.stdout and "till -> shop 80/tcp" in text.stdout
    for policy in told["policies"]:
        assert json.dumps(policy) in text.stdout, "the same for people"
    assert "isolation strict would refuse something" in world.bed.harborwall("status").stdout
    world.assert_open(world.between())  # nothing is dropped
    time.sleep(0.5)  # the kernel reports in batches
    # it is known after a restart
    before = world.listed()
    world.daemon.end()
    world.run()
    assert world.listed() == before

    policies = told["policies"]
    world.change("docker")
    world.change("audit", policies)
    world.assert_open(ASKED)
    time.sleep(0.5)
    assert engine.wait_for(lambda: world.audit()[0] == 0, 3), (world.audit(), policies)
    world.change("strict", policies)
    world.assert_open(ASKED)
    world.assert_open(world.outwards() + world.from_host())
    same = [*ASKED, ("till", SHOP6, "udp", 53), ("shop", TILL, "udp", 53), ("safe", TILL6, "tcp", 443), ("shop", SAFE, "tcp", 80),
            published]
    world.assert_closed([a for a in world.between() + world.inwards() if a not in same])
    assert world.bed.harborwall("audit").returncode == 1, "no network is audited"


@both_ways
@strict.old_and_new
def test_what_no_policy_lets_in_is_listed_without_one(world, filtered):
    world.filter_frames(filtered)
    world.run(host=False)
    served = ("till", f"{WEB}.1", "tcp", SHOPS_PORT)
    proxied = world.open([served]) == {served}
    world.assert_open([("till", GUEST, "tcp", 80), ("host", SHOP, "tcp", 80)])
    wanted = {("till", "web", "tcp", 80), ("host", "shop", "tcp", 80)}
    assert proxied, "a program of the host serves it"
    world.assert_listed(wanted | {("till", "host", "tcp", SHOPS_PORT)})
    policies = world.audit()[1]["policies"]
    assert [(p["container_name"], p["from"], p["port"]) for p in policies] == [("shop", "host", 80)]
    text = world.bed.harborwall("audit").stdout
    for why in ("addresses that ips does not name", "ask the container itself"):
        assert why in text, text
    world.change("audit", policies, host=False)
    world.assert_open([("host", SHOP, "tcp", 80), ("host", SHOP, "tcp", 443)])
    world.assert_listed(wanted - {("host", "shop", "tcp", 80)} | {("till", "host", "tcp", SHOPS_PORT), ("host", "shop", "tcp", 443)})
    world.change("strict", policies, host=False)
    world.assert_open([("host", SHOP, "tcp", 80)])
    world.assert_closed([("host", SHOP, "tcp", 443), ("host", TILL, "tcp", 80)])
    world.change("strict", host=False)
    world.assert_closed([("till", GUEST, "tcp", 80), ("host", SHOP, "tcp", 80), served])


@pytest.mark.parametrize("lab", strict.ENGINES[:2], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_a_rule_of_others_opens_from_another_network_is_listed(world):
    for way in (["-s", f"{WEB}.0/24", "-d", f"{BACK}.0/24"], ["-d", f"{WEB}.0/24", "-s", f"{BACK}.0/24"]):
        world.bed.lab.run("iptables", "-I", "DOCKER-USER", *way, "-j", "ACCEPT")
    world.run()
    world.assert_open([("db", SHOP, "tcp", 80), ("till", DB, "tcp", 80)])
    world.assert_listed({("db", "shop", "tcp", 80)})
    policies = world.audit()[1]["policies"]
    assert [(p["container_name"], p["from"], p["port"]) for p in policies] == [("shop", "db", 80)]
    world.change("strict", policies)
    world.assert_open([("db", SHOP, "tcp", 80)])
    world.assert_closed([("db", SHOP, "tcp", 443), ("db", TILL, "tcp", 80)])


@strict.old_and_new
def test_audit_and_strict_leave_nothing_of_each_other_behind(world):
    world.run("docker")
    plain, ports = world.bridge_table(), world.ports()
    assert plain == ""
    world.change("audit")
    watching = world.bridge_table()
    assert "harborwall: audit frame" in watching and world.ports() == ports, "ports are as they were"
    world.change("strict")
    assert "audit" not in world.bridge_table() and world.ports() != ports
    world.assert_closed(world.between())
    world.change("audit")
    assert world.bridge_table() == watching and world.ports() == ports
    world.assert_open(world.between())
    world.change("docker")
    assert world.bridge_table() == "" and world.ports() == ports


EXCHANGE = """
import socket, sys, threading, time
me, other, mine, theirs, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((me, mine))
s.settimeout(0.05)
end = time.monotonic() + seconds
heard = 0
while time.monotonic() < end:
    s.sendto(b"?", (other, theirs))
    try:
        while True:
            s.recv(9)
            heard += 1
    except OSError:
        pass
print(heard)"""


@strict.old_and_new
def test_a_reply_without_connection_tracking_is_no_connection(world):
    """Ports of both sides below the ephemeral ones: who was seen first has begun. Before the audit nobody was seen."""
    world.filter_frames(False)
    world.run()
    lab = world.bed.lab
    agents = [lab.spawn("nsenter", f"--net={lab.own_netns(who)}", "/usr/bin/python3", "-c", EXCHANGE, me, other, mine, theirs, "3")
              for who, me, other, mine, theirs in (("till", TILL, SHOP, "4000", "5000"),)]
    assert engine.wait_for(lambda: world.listed() == {("till", "shop", "udp", 5000)}, 3), world.listed()
    agents.append(lab.spawn("nsenter", f"--net={lab.own_netns('shop')}", "/usr/bin/python3", "-c", EXCHANGE, SHOP, TILL, "5000", "4000", "2"))
    for agent in agents:
        agent.process.wait(20)
    # replies alone, from a port that serves to one that is ephemeral: the other side has begun it
    lab.inside("safe", "/usr/bin/python3", "-c", EXCHANGE, SAFE, TILL, "54", "40000", "0.3")
    world.assert_listed({("till", "shop", "udp", 5000), ("till", "safe", "udp", 54)})
    assert [f["count"] for f in world.audit()[1]["flows"]] == [1, 1], "one talk each"


PING = """
import socket, struct, sys
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
s.settimeout(1)
answers = 0
for n in range(3):
    kind = 128 if six else 8
    s.sendto(struct.pack("!BBHHH", kind, 0, 0xffff - (kind << 8) - 77 - n, 77, n), (sys.argv[1], 0))
    try:
        while s.recv(99)[0 if six else 20] != kind + (1 if six else -8):
            pass
        answers += 1
    except OSError:
        pass
print(answers)"""


@both_ways
@strict.old_and_new
def test_a_ping_is_one_connection_and_its_answers_are_none(world, filtered):
    def ping(who, ip):
        return world.bed.lab.inside(who, "/usr/bin/python3", "-c", PING, ip).stdout.strip()
    world.filter_frames(filtered)
    world.run()
    assert ping("till", SHOP) == ping("shop", SAFE6) == "3"
    world.assert_listed({("till", "shop", "icmp", 0), ("shop", "safe", "icmp", 0)})
    told = world.audit()[1]
    assert [f["count"] for f in told["flows"]] == [1, 1]
    world.change("strict", told["policies"])
    assert ping("till", SHOP) == ping("shop", SAFE6) == "3"
    assert ping("safe", SHOP) == ping("till", SAFE6) == "0"


@both_ways
@strict.old_and_new
def test_a_flood_hides_no_other_and_costs_little(world, filtered):
    world.filter_frames(filtered)
    world.run()
    lab = world.bed.lab
    idle, seconds = cpu_s(world.daemon.pid), 5
    flood = lab.spawn("nsenter", f"--net={lab.own_netns('shop')}", "/usr/bin/python3", "-c", FLOOD, SHOP, SAFE, "9", str(seconds))
    assert engine.wait_for(lambda: ("shop", "safe", "udp", 9) in world.listed(), 3), world.audit()
    world.assert_open([("till", SAFE, "tcp", 80), ("till", SHOP, "udp", 53)])
    assert flood.process.poll() is None, "it must last"
    assert engine.wait_for(lambda: {("till", "safe", "tcp", 80), ("till", "shop", "udp", 53)} <= world.listed(), 3), world.listed()
    flood.process.wait(20)
    took = cpu_s(world.daemon.pid) - idle
    print(f"figures: isolation audit: a flood of one container costs the daemon {100 * took / seconds:.2f} % of a core")
    assert took <= 0.05 * seconds


def test_the_iptables_backends_say_that_they_do_not_see_it(world):
    world.bed.write(strict.file("audit"))
    said = world.bed.harborwall("plan", env={"HARBORWALL_BACKEND": "iptables-nft"})
    assert 'isolation "audit", and nothing of it is seen' in said.stdout + said.stderr, said.stdout
    world.daemon = world.bed.run_daemon({"HARBORWALL_BACKEND": "iptables-nft"})
    world.daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: "iptables" in world.bed.harborwall("audit").stderr, 5)
    world.assert_open(ASKED)
    assert world.bridge_table() == ""
