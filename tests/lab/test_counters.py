# SPDX-License-Identifier: GPL-2.0-or-later
"""What status and /metrics say that a policy let through is what was sent: one for every new connection, whatever it
talks afterwards, and nothing for what was refused."""
import json
import re
import time

import bed as beds
import engine
import pytest
import seed

# seed.widened()'s own policies are 0 to 3: tcp/80, the translation in wireguardproxy, udp/53, the one on ext0
LIST, RANGE, HIDDEN, EVERY = 4, 5, 6, 7


def config():
    wanted = seed.widened()
    wanted["policies"] += [
        {"selector": "smarthostloadbalancer", "from": "publicbackend", "port": [81, 8080]},
        {"selector": "smarthostloadbalancer", "from": "smarthostbackend-1", "port": "440-445", "proto": ["tcp", "udp"]},
        {"name": "wireguardproxy", "iface": "eth0", "nat": "masquerade", "to": "192.0.2.2"},
        {"selector": "publicbackend", "from": "smarthostloadbalancer"}]
    return seed.dual(wanted)


BACKENDS = [("20", "nftables"), ("28", "nftables"), ("20", "iptables-nft"), ("28", "iptables-legacy")]


@pytest.fixture(params=BACKENDS, ids=[f"docker {v}, {b}" for v, b in BACKENDS])
def running(request):
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    with engine.Lab("count", version, legacy=backend == "iptables-legacy", options=seed.WITH_IPV6) as lab:
        lab.peer()
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.write(config())
            bed.apply()
            bed.daemon = bed.run_daemon()
            bed.daemon.wait_log("following the engine")
            bed.prober.serve_at("smarthostloadbalancer", "smarthostbackend-1", "publicbackend", "bystander", "wireguardproxy",
                                beds.PEER, beds.CLIENT)
            time.sleep(0.3)
            yield bed


def pages(bed):
    page = bed.lab.run("curl", "-s", "--unix-socket", "/run/harborwall.sock", "http://h/metrics").stdout
    found = {int(i): int(n) for i, n in
             re.findall(r'^harborwall_policy_packets_total\{policy="policies\[(\d+)\]",name="[^"]+"\} (\d+)$', page, re.M)}
    told = json.loads(bed.harborwall("status", "--json").stdout)["policy_list"]
    return found, {p["policy"]: p["packets"] for p in told if "packets" in p}


def counted(bed):
    """Of each policy, as scrapers have it; status says the same, but for a file that came between the two.
    Of a new file neither says a count before the pass that has asked the engine again."""
    seen = []

    def alike():
        seen[:] = pages(bed)
        return seen[0] == seen[1]
    assert engine.wait_for(alike, 3), seen
    return seen[0]


def new_since(bed, before):
    return {i: n - before[i] for i, n in counted(bed).items() if n != before[i]}


def named_as_never_hit(bed):
    line = re.search(r"^never hit  (\d+) of 8 policies: (.*)$", bed.harborwall("status").stdout, re.M)
    named = {int(i) for i in re.findall(r"policies\[(\d+)\]", line[2])}
    assert len(named) == int(line[1])
    return named


LB, BACK, PUBLIC = "172.18.103.2", "172.18.104.2", "172.18.104.3"
TWINS = {**{ip: seed.six(ip) for ip in (LB, BACK, PUBLIC)}, beds.HOST_IP: beds.HOST_IP6, beds.TUNNEL_IP: beds.TUNNEL_IP6}
ASKED = [  # who, whom, and the policy that lets it through
    ("publicbackend", (LB, "tcp", 80), 0), (beds.CLIENT, (beds.TUNNEL_IP, "tcp", 80), 1),
    ("smarthostbackend-1", (LB, "udp", 53), 2), (beds.PEER, (beds.HOST_IP, "tcp", 81), 3),
    ("publicbackend", (LB, "tcp", 81), LIST), ("publicbackend", (LB, "tcp", 8080), LIST),
    ("smarthostbackend-1", (LB, "tcp", 443), RANGE), ("wireguardproxy", (beds.PEER_IP, "tcp", 80), HIDDEN),
    ("smarthostloadbalancer", (PUBLIC, "tcp", 443), EVERY)]
REFUSED = [("bystander", (LB, "tcp", 80)), ("publicbackend", (LB, "tcp", 443)), ("smarthostbackend-1", (LB, "udp", 80)),
           (beds.PEER, (LB, "tcp", 80)), (beds.PEER, (beds.HOST_IP, "tcp", 80)), (beds.PEER, (PUBLIC, "tcp", 443))]


def test_a_new_connection_counts_once_for_its_policy_and_a_refused_one_for_none(running):
    bed = running
    never = {policy for *_, policy in ASKED}
    for who, target, policy in ASKED:
        assert named_as_never_hit(bed) == never, "before the first one"
        never.discard(policy)
        before = counted(bed)
        assert bed.prober.open(who, *target), (who, target)
        assert new_since(bed, before) == {policy: 1}, (who, target)
        if target[0] in TWINS:
            assert bed.prober.open(who, TWINS[target[0]], *target[1:]), (who, target)
            assert new_since(bed, before) == {policy: 2}, (who, target)
    state = json.loads(bed.harborwall("status", "--json").stdout)
    assert state["policies"]["never_hit"] == 0 and "never hit" not in bed.harborwall("status").stdout
    before = counted(bed)
    for who, target in REFUSED:
        assert not bed.prober.open(who, *target, timeout=0.2), (who, target)
    assert new_since(bed, before) == {}
    # a borrowed source is refused, and counts as such
    bed.prober.spoof([("peer", PUBLIC, LB, "tcp", 80, "smarthostloadbalancer")])
    assert new_since(bed, before) == {}


def test_counts_live_through_changes_of_the_file_and_go_with_their_policies(running):
    bed = running
    for _ in range(3):
        assert bed.prober.open("publicbackend", LB, "tcp", 80)
        assert bed.prober.open("publicbackend", LB, "tcp", 8080)
    before = counted(bed)
    assert before[0] == before[LIST] == 3
    wanted = config()
    wanted["policies"].insert(0, {"selector": "nobody", "from": "nowhere", "port": 80})
    bed.write(wanted)  # every index is another one now
    assert engine.wait_for(lambda: len(counted(bed)) == len(before) + 1)
    assert counted(bed) == {0: 0, **{i + 1: n for i, n in before.items()}}
    state = json.loads(bed.harborwall("status", "--json").stdout)
    assert state["policies"] == {"total": 9, "enforced": 8, "waiting": 1, "conflict": 0, "unenforceable": 0,
                                 "never_hit": 6}  # who waits can let nothing through
    first = state["policy_list"][0]
    assert first["name"] == "nobody from nowhere tcp/80" and first["state"] == "waiting" and "nowhere" in first["why"], first
    assert state["policy_list"][1]["name"] == "smarthostloadbalancer from publicbackend tcp/80"
    text = bed.harborwall("status").stdout
    assert "9 policies: 8 enforced, 1 waiting, 0 conflict, 0 unenforceable" in text and "waiting: policies[0]" in text
    assert "policies[1]" not in text


@pytest.mark.parametrize("running", BACKENDS[:2], indirect=True, ids=lambda p: f"docker {p[0]}")
def test_counters_that_are_not_wanted_are_not_there_and_no_packet_misses_them(running):
    bed = running
    bed.daemon.end()
    bed.env["HARBORWALL_COUNTERS"] = "off"
    bed.daemon = bed.run_daemon()
    bed.daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: "counter" not in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout)
    page = bed.lab.run("curl", "-s", "--unix-socket", "/run/harborwall.sock", "http://h/metrics").stdout
    assert "harborwall_policies" in page and "policy_packets" not in page
    bed.assert_matrix()
