# SPDX-License-Identifier: GPL-2.0-or-later
"""Other programs write connection marks, too: whole words, and at times our own bit."""
import re
import time

import bed as beds
import engine
import pytest
import seed
import talks
from talks import Talk

WRITERS = ["-j CONNMARK --save-mark", "-j CONNMARK --set-mark 0x1", "-j CONNMARK --set-mark 0"]
OURS, BOTH = "0x2000000", "0x3000000"
CELLS = [(v, b) for v in ("20", "26", "28") for b in ("nftables", "iptables-nft", "iptables-legacy")
         if v != "26" or b == "nftables"]


@pytest.fixture(params=CELLS, ids=lambda c: f"docker {c[0]}, {c[1]}")
def bed(request):
    """Networks with a way in from outside and from a neighbour; one of them is internal."""
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    legacy = backend == "iptables-legacy"
    with engine.Lab(f"marks{version}", version, legacy=legacy) as lab:
        lab.peer()
        lab.iptables = "iptables-legacy" if legacy else "iptables-nft"
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.docker.create("hidden")
            config = seed.widened()
            config["networks"]["inner"] = {"subnet": "172.18.105.0/24", "internal": True}
            config["ips"]["172.18.105.2"] = {"container_name": "hidden"}
            config["policies"] += [
                {"selector": "smarthostloadbalancer", "from": "publicbackend", "port": [7001, "7003-7004"]},
                {"selector": "smarthostloadbalancer", "from": "publicbackend", "port": 7002, "proto": "udp"},
                {"selector": "hidden", "from": beds.OUTSIDE, "port": 7001},
                {"selector": "hidden", "nat": "dnat", "iface": "ext0", "to": "hidden", "port": 7011},
                {"selector": "hidden", "nat": "dnat", "iface": "ext0", "to": "hidden", "port": "7012-7013"}]
            bed.write(config)
            bed.apply()
            yield bed


def mangle(bed, action, rule, chain="PREROUTING"):
    bed.lab.run(bed.lab.iptables, "-t", "mangle", action, chain, *rule.split())


def test_a_mark_that_others_overwrite_cuts_no_connection_of_ours_and_opens_none(bed):
    ours = [Talk(bed, "tcp", "publicbackend", "smarthostloadbalancer", "172.18.103.2", 7001),
            Talk(bed, "tcp", "publicbackend", "smarthostloadbalancer", "172.18.103.2", 7003),
            Talk(bed, "udp", "publicbackend", "smarthostloadbalancer", "172.18.103.2", 7002),
            Talk(bed, "tcp", "peer", "hidden", "172.18.105.2", 7001), Talk(bed, "tcp", "peer", "hidden", beds.HOST_IP, 7011),
            Talk(bed, "tcp", "peer", "hidden", beds.HOST_IP, 7012)]
    talks.assert_stand(ours)
    for writer in WRITERS:
        mangle(bed, "-A", writer)
        since = time.monotonic() + 0.2
        assert all(t.lives(since) for t in ours), (writer, [(t.name, t.heard(since)) for t in ours])
        bed.assert_matrix()
        mangle(bed, "-D", writer)
    for ip in ("172.18.103.2", "172.18.105.2"):
        bed.lab.run("conntrack", "-U", "-p", "tcp", "-d", ip, "--dport", "7001", "--mark", "0")
    since = time.monotonic() + 0.2
    assert all(t.lives(since) for t in ours), [(t.name, t.heard(since)) for t in ours]
    entries = bed.lab.run("conntrack", "-L", "-p", "tcp", "--dport", "7001").stdout
    # marked anew: what comes from outside bears one bit, what containers say to each other both
    assert sorted(re.findall(r"mark=(\d+)", entries)) == [str(int(OURS, 16)), str(int(BOTH, 16))], entries
    # our own bits on everything: nothing new gets in
    for bits in (OURS, BOTH):
        mangle(bed, "-A", f"-j CONNMARK --set-mark {bits}")
        bed.assert_matrix()
        mangle(bed, "-D", f"-j CONNMARK --set-mark {bits}")
    # without the mark, and then without the policy: revoked all the same
    mangle(bed, "-A", WRITERS[1])
    bed.config["policies"] = bed.config["policies"][:-5]
    bed.write(bed.config)
    bed.apply()
    ended = time.monotonic()
    time.sleep(4)
    assert not talks.still_heard(ours[:3], ended + 0.5)


def identity(bed, port):
    found = re.findall(r"id=(\d+)", bed.lab.run("conntrack", "-L", "-o", "id", "-p", "tcp", "--dport", str(port)).stdout)
    assert len(found) == 1, found
    return found


def test_a_foreign_connection_that_bears_our_bit_is_not_ours(bed):
    """One that a rule of the user's lets in, and one that Docker does."""
    mangle(bed, "-A", f"-p tcp -m multiport --ports 7021,7022 -j CONNMARK --set-mark {OURS}")
    mangle(bed, "-I", f"-p tcp -m multiport --ports 7023 -m conntrack --ctstate NEW -j CONNMARK --set-mark {OURS}")
    user = [["-p", "tcp", flag, port, "-j", "ACCEPT"] for port in ("7021", "7023") for flag in ("--dport", "--sport")]
    places = [("filter", "DOCKER-USER"), *([("raw", "PREROUTING")] if bed.lab.version == "28" else [])]

    def change(action):
        for rule in user:
            for table, chain in places:
                bed.lab.run(bed.lab.iptables, "-t", table, action, chain, *rule)
    change("-I")
    bed.apply()  # ours go to the top again
    bed.lab.inside("smarthostbackend-1", "ip", "route", "add", "172.18.103.2", "via", "172.18.104.1")
    foreign = [Talk(bed, "tcp", "smarthostbackend-1", "smarthostloadbalancer", "172.18.103.2", 7021),
               Talk(bed, "tcp", "publicbackend", "peer", beds.PEER_IP, 7022),
               Talk(bed, "tcp", "bystander", "smarthostloadbalancer", "172.18.103.2", 7023)]
    talks.assert_stand(foreign)
    before = [identity(bed, 7021), identity(bed, 7022)]
    # what is revoked is another one, once beside what stands, once with the whole table
    gone = bed.config["policies"].pop()
    bed.write(bed.config)
    bed.apply()
    bed.write({**bed.config, "policies": []})
    bed.apply()
    assert [identity(bed, 7021), identity(bed, 7022)] == before
    assert all(t.lives() for t in foreign[:2])
    bed.config["policies"].append(gone)
    bed.write(bed.config)
    bed.apply()
    # it is the user's own rule that lets it in: it ends with that rule, and not by our hand-off
    change("-D")
    ended = time.monotonic()
    time.sleep(4)
    assert not talks.still_heard(foreign[2:], ended + 0.3)
