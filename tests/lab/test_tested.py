# SPDX-License-Identifier: GPL-2.0-or-later
"""test --packets: the file's tests are proved by packets on the host, and whoever stops one or lets one through is named."""
import json

import bed as beds
import engine
import pytest

DB, WEB = "172.18.121.2", "172.18.120.2"
CONFIG = {
    "networks": {"front": {"subnet": "172.18.120.0/24"}, "back": {"subnet": "172.18.121.0/24"}},
    "ips": {WEB: {"container_name": "web"}, "172.18.120.3": {"container_name": "away"}, DB: {"container_name": "db"},
            "172.18.121.3": {"container_name": "db-2"}},
    "policies": [{"selector": "db", "from": "web", "port": 5432}, {"selector": "db-2", "from": "web", "port": 5432, "proto": ["tcp", "udp"]},
                 {"container_name": "web", "from": beds.OUTSIDE, "port": 80}],
    "tests": [{"from": "web", "to": "db", "port": 5432, "expect": "open"},
              {"from": "web", "to": "db-2", "port": 5432, "proto": ["tcp", "udp"], "expect": "open"},
              {"from": "any", "to": "back", "port": 22, "expect": "closed"},
              {"from": "db", "to": "web", "proto": "icmp", "expect": "closed"},
              {"from": beds.PEER_IP, "to": "web", "port": 80, "expect": "open"},
              {"from": "away", "to": "db", "expect": "closed"},
              {"from": "web", "to": "away", "port": 80, "expect": "open"},
              {"from": "host", "to": "back", "port": 80, "expect": "open"}]}
ASKED = [1, 2, 4, 1, 0, 0, 0, 2]  # packets of each: web and stranger ask both of back, nobody answers for away
CELLS = [(v, b) for v in ("20", "26", "28") for b in ("nftables", "iptables-nft")] + [("20", "iptables-legacy"), ("28", "iptables-legacy")]


@pytest.fixture(params=CELLS, ids=[f"docker {v}, {b}" for v, b in CELLS])
def host(request, labs):
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    with engine.Lab("tested", version, legacy=backend == "iptables-legacy") as lab:
        lab.peer()
        with beds.Bed(lab, tcp=[80, 5432], udp=[5432], env={"HARBORWALL_BACKEND": backend}) as bed:
            for name in ("web", "db", "db-2", "stranger"):
                bed.docker.create(name)
            bed.docker.create("away", start=False)
            bed.write(CONFIG)
            bed.apply()
            bed.prober.serve_at("web", "db", "db-2")
            yield bed


def test(bed, *words):
    done = bed.harborwall("test", "--packets", "--json", *words)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["tests"]


test.__test__ = False


def heard(bed):
    return [p for name in ("web", "db", "db-2") for p in bed.prober.agent(name).do("heard")]


def test_tests_that_hold_are_proved_and_nobody_gets_a_packet(host):
    heard(host)
    code, told = test(host)
    assert (code, [t["holds"] for t in told]) == (0, [True] * len(told)), told
    assert [sum(p["kernel"] != "unknown" for p in t["packets"]) for t in told] == ASKED, told
    assert not heard(host)
    for t in told:
        for p in t["packets"]:
            if p["kernel"] != "unknown":
                assert (p["kernel"] == "passed") == (t["expect"] == "open") == (p["answer"] == "open"), p
    assert "harborwall_trace" not in host.lab.run("nft", "list", "tables").stdout
    text = host.harborwall("test", "--packets").stdout
    assert "ok     tests[0]: web -> db 5432/tcp is open; the kernel agrees, by 1 packet\n" in text, text
    assert "tests[4]: 192.0.2.2 -> web 80/tcp is open; the kernel was not asked: nothing that runs here can send such a packet" in text
    assert text.endswith("8 tests, 0 failed; 10 packets sent, none for 3 tests\n"), text
    assert host.prober.open("web", DB, "tcp", 5432) and not host.prober.open("web", DB, "tcp", 80)
    assert heard(host)  # whoever listens does hear


def test_who_stops_a_packet_that_the_file_lets_through_is_named(host):
    host.lab.run("nft", "add table inet other; add chain inet other f { type filter hook forward priority 5; }; "
                        "add rule inet other f meta length 40 tcp dport 5432 drop")
    code, told = test(host)
    assert (code, [t["test"] for t in told if not t["holds"]]) == (2, [0, 1]), told
    assert "web (172.18.120.2) -> db (172.18.121.2) 5432/tcp should be open, and the kernel stops it: inet other f, rule" in told[0]["why"]
    text = host.harborwall("test", "--packets", "-q").stdout
    assert text.count("FAILED") == text.count("\n") == 2, text
    assert host.harborwall("test").returncode == 0  # the file alone is right


def test_a_ban_that_stops_what_nobody_here_can_send_is_known(host):
    host.prober.serve_at(beds.PEER)
    assert host.prober.open(beds.PEER, WEB, "tcp", 80)
    host.lab.run("iptables", "-I", "DOCKER-USER", "-s", beds.PEER_IP, "-j", "DROP")
    assert not host.prober.open(beds.PEER, WEB, "tcp", 80)
    code, told = test(host)
    assert (code, [t["test"] for t in told if not t["holds"]]) == (2, [4]), told
    assert "192.0.2.2 -> web (172.18.120.2) 80/tcp is closed on this host: " in told[4]["why"] and "DOCKER-USER" in told[4]["why"]


def test_who_lets_a_packet_through_that_the_file_does_not_is_named(host):
    for table, chain in (("filter", "FORWARD"), ("raw", "PREROUTING")):
        host.lab.run("iptables", "-t", table, "-I", chain, "-s", DB, "-d", WEB, "-j", "ACCEPT")
    heard(host)
    host.prober.open("db", WEB, "tcp", 80)
    assert heard(host)  # up to Docker 26 the answers are dropped
    code, told = test(host)
    assert (code, [t["test"] for t in told if not t["holds"]]) == (2, [3]), told
    assert "db (172.18.121.2) -> web (172.18.120.2) icmp/echo-request should be closed, and the kernel lets it through: it would leave by" in told[3]["why"]


def test_a_host_that_is_not_as_the_file_says_fails(host):
    wanted = json.loads(json.dumps(CONFIG))
    wanted["policies"][0]["port"] = wanted["tests"][0]["port"] = 5433
    host.write(wanted)
    done = host.harborwall("test", "--packets")
    assert done.returncode == 2 and "FAILED tests[0]: web -> db 5433/tcp is open: " in done.stdout, done.stdout
    assert done.stdout.endswith("the host is not as the file says, see harborwall plan\n")
    host.apply()
    assert test(host)[0] == 0
