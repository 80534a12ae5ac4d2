# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks with egress audit, by packets: nothing is stopped, what deny would stop is listed with policies that would allow
it, and with these policies and deny the same traffic passes and no other."""
import glob
import json
import os
import time

import bed as beds
import engine
import pytest
from test_egress import DB, HOST_PORT, INWARDS, SHOP, SHOP6, SHOPS_PORT, TILL, WEB, WEB6, World, file
from test_logged import FLOOD, cpu_s


def cells(versions, legacy=("20", "28")):
    """Engines, each with every backend."""
    them = [({"version": v}, backend) for v in versions for backend in ("nftables", "iptables-nft")]
    them += [({"version": v, "legacy": True}, "iptables-legacy") for v in legacy]
    return pytest.mark.parametrize("lab, backend", them, indirect=["lab"], ids=[f"docker {p['version']}, {b}" for p, b in them])


every_cell = cells(["20", "28"])

# what the shop and the till do all day
ASKED = [("shop", beds.PEER_IP, "tcp", 80), ("shop", beds.PEER_IP, "tcp", 81), ("shop", beds.PEER_IP6, "tcp", 80),
         ("shop", beds.PEER_IP6, "tcp", 81), ("till", beds.PEER_IP, "udp", 53), ("till", f"{WEB}.1", "tcp", HOST_PORT),
         ("shop", f"{WEB6}:1", "udp", HOST_PORT), ("till", beds.HOST_IP, "tcp", SHOPS_PORT)]
LISTED = {("shop", beds.PEER_IP, "tcp", 80), ("shop", beds.PEER_IP, "tcp", 81), ("shop", beds.PEER_IP6, "tcp", 80),
          ("shop", beds.PEER_IP6, "tcp", 81), ("till", beds.PEER_IP, "udp", 53), ("till", "host", "tcp", HOST_PORT),
          ("shop", "host", "udp", HOST_PORT), ("till", "host", "tcp", SHOPS_PORT)}


class Audited(World):
    daemon = None

    def run(self, egress="audit", policies=()):
        self.bed.write(file(egress, policies))
        self.daemon = self.bed.run_daemon()
        self.daemon.wait_log("following the engine")
        self.follow()

    def follow(self):
        """The daemon does what the file says by now."""
        assert engine.wait_for(lambda: self.bed.harborwall("plan").returncode == 0, 10), self.daemon.log()[-2000:]

    def lead_out(self, prefix):
        """What no route leads to does not pass today, and no audit lists it."""
        self.bed.lab.run("ip", "route", "add", prefix, "via", beds.PEER_IP)

    def change(self, egress, policies):
        self.bed.write(file(egress, policies))
        self.follow()

    def audit(self):
        done = self.bed.harborwall("audit", "--json")
        return done.returncode, json.loads(done.stdout)

    def listed(self):
        return {(f["source"], f["destination"], f["protocol"], f["port"]) for f in self.audit()[1]["flows"]}


@pytest.fixture
def world(lab, backend):
    with beds.Bed(lab, env={}) as bed:
        made = Audited(bed, backend)
        try:
            yield made
        finally:
            if made.daemon:
                made.daemon.end()


@cells(["20", "26", "28", "29"])
def test_the_policies_of_an_audit_allow_what_it_saw_and_nothing_else(world):
    others = [INWARDS]
    world.run("audit", others)
    assert engine.wait_for(lambda: world.audit()[0] == 0, 3), (world.audit(), world.daemon.log()[-1500:])
    world.assert_open(world.within())          # in the network, from the host, by policies: no egress
    world.assert_closed([("till", DB, "tcp", 80)])  # what Docker closes is no matter of an audit
    assert world.audit()[1]["flows"] == [], "nothing of this would be refused"
    world.assert_open(ASKED)
    assert engine.wait_for(lambda: world.listed() == LISTED, 5), (world.listed() ^ LISTED)
    code, told = world.audit()
    assert code == 2 and told["complete"] and told["state"] == "refused" and not told["borrowed"]
    assert [n["network"] for n in told["networks"]] == ["web"] and told["networks"][0]["last_new"]
    text = world.bed.harborwall("audit")
    assert text.returncode == 2 and "till -> host" in text.stdout and "to allow it" in text.stdout
    for policy in told["policies"]:
        assert json.dumps(policy) in text.stdout, "the same for people"
    assert "egress deny would refuse something" in world.bed.harborwall("status").stdout
    # it is known after a restart
    world.daemon.end()
    assert world.bed.harborwall("audit").returncode == 1, "nobody watches"
    world.run("audit", others)
    assert world.listed() == LISTED

    world.change("audit", others + told["policies"])
    assert engine.wait_for(lambda: world.audit()[0] == 0, 5), world.audit()
    world.assert_open(ASKED)
    time.sleep(0.5)
    assert engine.wait_for(lambda: world.audit()[0] == 0, 3), (world.audit(), world.daemon.log()[-1500:])
    world.change("deny", others + told["policies"])
    world.assert_open(ASKED)
    world.assert_open(world.within())
    everything = [*world.ways_out("shop"), *world.ways_out("till")]
    same = [("till", ip, "tcp", HOST_PORT) for ip in (beds.HOST_IP, f"{WEB}.1", "172.18.104.1", beds.HOST_IP6, f"{WEB6}:1", "fd18:104::1")]
    same += [("shop", ip, "udp", HOST_PORT) for ip in (beds.HOST_IP, f"{WEB}.1", "172.18.104.1", beds.HOST_IP6, f"{WEB6}:1", "fd18:104::1")]
    world.assert_closed([a for a in everything if a not in ASKED and a not in same])
    assert world.bed.harborwall("audit").returncode == 1, "no network is audited"


@cells(["20", "26"], ["20"])
def test_what_a_rule_of_others_opens_to_another_network_is_listed(world):
    for way in (["-s", f"{WEB}.0/24", "-d", "172.18.104.0/24"], ["-d", f"{WEB}.0/24", "-s", "172.18.104.0/24"]):
        world.bed.lab.run("iptables", "-I", "DOCKER-USER", *way, "-j", "ACCEPT")
    world.run()
    world.assert_open([("till", DB, "tcp", 80)])
    assert engine.wait_for(lambda: world.listed() == {("till", "db", "tcp", 80)}, 5), world.listed()
    policies = world.audit()[1]["policies"]
    world.change("deny", policies)
    world.assert_open([("till", DB, "tcp", 80)])
    world.assert_closed([("shop", DB, "tcp", 80), ("till", DB, "tcp", 443)])


@every_cell
def test_one_network_is_audited_while_another_one_is_denied(world):
    config = file("audit", [{"selector": "db", "to": beds.PEER_IP, "port": 81}, {"selector": "db", "to": "host", "port": 7071}])
    config["networks"]["back"]["egress"] = "deny"
    world.bed.prober.agent("host").do("serve", tcp=[7071], udp=[], sctp=[])
    world.bed.write(config)
    world.daemon = world.bed.run_daemon()
    world.daemon.wait_log("following the engine")
    world.follow()
    world.assert_open(ASKED)
    world.assert_open([("db", beds.PEER_IP, "tcp", 81), ("db", "172.18.104.1", "tcp", 7071)])
    world.assert_closed([("db", beds.PEER_IP, "tcp", 80), ("db", beds.PEER_IP6, "tcp", 80), ("db", "172.18.104.1", "tcp", HOST_PORT)])
    honest = [("db", DB, beds.PEER_IP, "udp", 53, "peer")]
    assert not world.bed.prober.spoof([("db", SHOP, beds.PEER_IP, "tcp", 81, "peer"), *honest]), "denied as ever, whoever's address it is"
    assert engine.wait_for(lambda: world.listed() == LISTED, 5), world.listed() ^ LISTED
    dropped = json.loads(world.bed.harborwall("status", "--json").stdout)["dropped"]
    assert {d["source_name"] for d in dropped} == {"db"}


@every_cell
def test_a_flood_of_one_container_hides_no_other_while_it_lasts(world):
    world.run()
    world.assert_open([("till", beds.PEER_IP, "tcp", 81)])  # the way is known
    lab = world.bed.lab
    flood = lab.spawn("nsenter", f"--net={lab.own_netns('shop')}", "/usr/bin/python3", "-c", FLOOD, SHOP, beds.PEER_IP, "9", "10")
    engine.wait_for(lambda: ("shop", beds.PEER_IP, "udp", 9) in world.listed(), 5)
    time.sleep(1)
    asked = [("till", beds.PEER_IP, "tcp", 80), ("till", beds.PEER_IP6, "tcp", 80), ("till", f"{WEB}.1", "tcp", HOST_PORT)]
    world.assert_open(asked)
    assert flood.process.poll() is None, "it must last"
    assert engine.wait_for(lambda: {("till", beds.PEER_IP, "tcp", 80), ("till", beds.PEER_IP6, "tcp", 80), ("till", "host", "tcp", HOST_PORT)}
                           <= world.listed(), 3), world.listed()
    flood.process.wait(20)


SCAN = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 400):
    s.sendto(b"", (sys.argv[1], port))
for last in range(1, 60):
    s.sendto(b"", (f"203.0.113.{last}", 9))
"""


@every_cell
def test_who_asks_for_everything_hides_nobody_and_costs_little(world):
    world.run()
    world.lead_out("203.0.113.0/24")
    world.bed.lab.inside("shop", "/usr/bin/python3", "-c", SCAN, beds.PEER_IP)
    world.assert_open([("till", beds.PEER_IP, "tcp", 80)])
    assert engine.wait_for(lambda: ("till", beds.PEER_IP, "tcp", 80) in world.listed(), 5)
    told = world.audit()[1]
    assert told["left_out"] > 40 and not told["complete"] and len([f for f in told["flows"] if f["source"] == "shop"]) <= 64
    idle, seconds = cpu_s(world.daemon.pid), 4
    sent = float(world.bed.lab.inside("shop", "/usr/bin/python3", "-c", FLOOD, SHOP, beds.PEER_IP, "9", str(seconds)).stdout)
    took = cpu_s(world.daemon.pid) - idle
    print(f"figures: audit: {sent:.0f} connections a second cost the daemon {100 * took / seconds:.2f} % of a core")
    assert sent > 5000 and took <= 0.05 * seconds
    assert engine.wait_for(lambda: not world.audit()[1]["complete"], 3)


@every_cell
def test_many_addresses_of_one_port_are_one_policy(world):
    world.run()
    world.lead_out("203.0.113.0/24")
    world.bed.lab.inside("shop", "/usr/bin/python3", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for last in range(1, 60): s.sendto(b"", (f"203.0.113.{last}", 123))
for last in range(1, 4): s.sendto(b"", (f"203.0.113.{last}", 124))""")
    assert engine.wait_for(lambda: len(world.audit()[1]["policies"]) == 2, 5), world.audit()
    few, many = sorted(world.audit()[1]["policies"], key=lambda p: p["to"] == "any")
    assert (many["to"], many["port"], many["proto"]) == ("any", 123, "udp")
    assert (sorted(few["to"]), few["port"]) == ([f"203.0.113.{n}" for n in (1, 2, 3)], 124)


@every_cell
def test_a_borrowed_source_is_counted_and_blamed_on_nobody(world):
    world.run()
    world.bed.prober.spoof([("till", DB, beds.PEER_IP, "udp", 53, "peer"), ("till", "10.9.9.9", beds.PEER_IP, "udp", 53, "peer")])
    assert engine.wait_for(lambda: world.audit()[1]["borrowed"], 5), world.audit()
    assert world.audit()[1]["policies"] == []


@pytest.fixture
def mute(tmp_path):
    """A folder for PATH: the tools of iptables where NFLOG is not installed."""
    extensions, tools = tmp_path / "extensions", tmp_path / "tools"
    extensions.mkdir()
    tools.mkdir()
    [folder] = glob.glob("/usr/lib/*/xtables")
    for name in os.listdir(folder):
        if "NFLOG" not in name:
            (extensions / name).symlink_to(f"{folder}/{name}")
    for tool in ("iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"):
        path = tools / f"{tool}-restore"
        path.write_text(f'#!/bin/sh\nXTABLES_LIBDIR={extensions} exec /usr/sbin/{tool}-restore "$@"\n')
        path.chmod(0o755)
    return str(tools)


@pytest.mark.parametrize("lab, backend", [({"version": "28"}, "iptables-nft"), ({"version": "20", "legacy": True}, "iptables-legacy")],
                         indirect=["lab"], ids=["docker 28, iptables-nft", "docker 20, iptables-legacy"])
def test_where_the_tools_lack_nflog_all_else_is_enforced_and_it_is_said(world, mute):
    bed = world.bed
    config = file("audit", [{"selector": "db", "to": beds.PEER_IP, "port": 81, "log": True}, INWARDS])
    config["networks"]["back"]["egress"] = "deny"
    bed.write(config)
    bed.env["PATH"] = f"{mute}:{bed.lab.path}"
    world.daemon = bed.run_daemon()
    world.daemon.wait_log("following the engine")
    world.follow()
    world.assert_open([("db", beds.PEER_IP, "tcp", 81), ("db", SHOP, "tcp", 443), ("till", beds.PEER_IP, "tcp", 80)])
    world.assert_closed([("db", beds.PEER_IP, "tcp", 80), ("db", SHOP, "tcp", 80)])
    said = bed.harborwall("plan").stdout
    assert "warning: host: nothing is logged, so egress \"audit\" sees nothing" in said and "--nflog-prefix" in said, said
    assert "nothing is logged" in bed.harborwall("doctor").stdout
    blind = bed.harborwall("audit")
    assert blind.returncode == 1 and "can't log" in blind.stderr, blind.stderr
    # it is installed: the next pass that has something to do logs
    for name in os.listdir(mute):
        os.remove(f"{mute}/{name}")
    assert engine.wait_for(lambda: "nothing is logged" not in bed.harborwall("plan").stdout, 5)
    bed.write({**config, "policies": config["policies"] + [{"selector": "db", "to": beds.PEER_IP, "port": 82}]})
    world.follow()
    world.assert_closed([("db", beds.PEER_IP, "tcp", 80)])
    world.assert_open([("till", beds.PEER_IP, "tcp", 80)])
    assert engine.wait_for(lambda: ("till", beds.PEER_IP, "tcp", 80) in world.listed(), 5), world.audit()
    assert [d["source_name"] for d in json.loads(bed.harborwall("status", "--json").stdout)["dropped"]] == ["db"]


@cells(["28"], ["20"])
def test_a_mark_that_others_set_is_no_report_and_clear_leaves_no_rule(world):
    lab, tool = world.bed.lab, "iptables-legacy" if world.backend == "iptables-legacy" else "iptables-nft"
    lab.run(tool, "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-xmark", "0x1000000/0x1000000")
    world.run("audit", [INWARDS, {"selector": "till", "to": beds.PEER_IP, "port": 80}, {"selector": "till", "to": "host", "port": HOST_PORT}])
    world.assert_open([("till", beds.PEER_IP, "tcp", 80), ("till", f"{WEB}.1", "tcp", HOST_PORT), ("db", SHOP, "tcp", 443)])
    world.assert_open([("till", beds.PEER_IP, "tcp", 81)])
    assert engine.wait_for(lambda: ("till", beds.PEER_IP, "tcp", 81) in world.listed(), 5), world.audit()
    time.sleep(0.3)
    assert world.listed() == {("till", beds.PEER_IP, "tcp", 81)} and not world.audit()[1]["borrowed"], world.audit()
    world.daemon.end()
    world.daemon = None
    world.bed.harborwall("clear", check=True)
    saved = lab.run("iptables-nft-save").stdout + lab.run("iptables-legacy-save").stdout + lab.run("nft", "list", "ruleset").stdout
    assert "harborwall" not in saved.lower()
