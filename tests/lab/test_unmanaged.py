# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules without our mark that open managed networks, left by an earlier tool or made by hand: doctor names them, and
neither Docker's own nor ours."""
import json

import bed as beds
import pytest
import seed
from test_bans import BALANCER, iptables, lift

VARIANTS = [("20", False), ("26", False), ("28", False), ("20", True)]
# what opens, and a probe that it lets in (up to 27, where Docker drops nothing in raw)
OPENERS = [
    ("-I DOCKER-USER 1 -d 172.18.103.0/24 -p tcp --dport 8080 -j ACCEPT", ("peer", BALANCER, "tcp", 8080)),
    ("-I FORWARD 1 -i ext0 -j ACCEPT", ("peer", BALANCER, "tcp", 8080)),
    ("-I FORWARD 1 -s 192.0.2.0/24 -d 172.16.0.0/12 -j ACCEPT", ("peer", BALANCER, "udp", 53)),
]


@pytest.fixture(params=VARIANTS, ids=lambda p: f"docker {p[0]}, iptables-{'legacy' if p[1] else 'nft'}")
def opened(request, labs):
    from conftest import need_engine
    version, legacy = request.param
    need_engine(version)
    lab = labs.take(version=version, legacy=legacy)
    with beds.Bed(lab) as bed:
        seed.containers(bed)
        bed.write(seed.widened())
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer")
        yield bed
    labs.give_back(lab)


def named(bed):
    rows = json.loads(bed.harborwall("doctor", "--json").stdout)["checks"]
    return [row["text"] for row in rows if row["check"] == "unmanaged" and not row["ok"]]


def test_neither_dockers_rules_nor_ours_are_named(opened):
    """Ports are published, and every backend's rules stand once."""
    bed = opened
    body = {"Image": "bb", "Cmd": ["sleep", "1000"], "HostConfig": {
        "NetworkMode": "smarthost-loadbalancer", "PortBindings": {"80/tcp": [{"HostPort": "8088"}]}}, "ExposedPorts": {"80/tcp": {}}}
    bed.docker.call("POST", "/containers/create?name=published", body)
    bed.docker.start("published")
    for backend in ("nftables", "iptables-legacy" if bed.lab.legacy else "iptables-nft"):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        assert named(bed) == []
    bed.docker.remove("published")
    iptables(bed, ["-I FORWARD 1 -o ext0 -j ACCEPT", "-I DOCKER-USER 1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                   "-I DOCKER-USER 1 -d 10.99.0.0/16 -j ACCEPT", "-A DOCKER-USER -j RETURN"])
    assert named(bed) == []
    lift(bed, ["-I FORWARD 1 -o ext0 -j ACCEPT", "-I DOCKER-USER 1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
               "-I DOCKER-USER 1 -d 10.99.0.0/16 -j ACCEPT", "-A DOCKER-USER -j RETURN"])


def test_a_rule_that_opens_is_named_and_it_does(opened):
    bed = opened
    variant = "legacy" if bed.lab.legacy else "nft"
    for rule, probe in OPENERS:
        assert not bed.prober.open(*probe) and not named(bed)
        iptables(bed, [rule])
        # from 28 on Docker drops direct access in raw as well: there the rule waits for its chance
        assert bool(bed.prober.open(*probe)) == (bed.lab.version != "28"), rule
        said = named(bed)
        assert len(said) == 1 and f"iptables-{variant} -t filter -A {rule.split()[1]} " in said[0], (rule, said)
        lift(bed, [rule])


def test_chains_that_others_lead_to_and_translations_are_looked_at(opened):
    bed = opened
    rules = ["-N OLD", "-A OLD -p tcp --dport 8080 -j ACCEPT", "-I FORWARD 1 -d 172.18.103.2 -j OLD"]
    iptables(bed, rules)
    assert bool(bed.prober.open("peer", BALANCER, "tcp", 8080)) == (bed.lab.version != "28")
    said = named(bed)
    assert len(said) == 1 and "-A OLD -p tcp -m tcp --dport 8080 -j ACCEPT" in said[0], said
    iptables(bed, ["-D FORWARD -d 172.18.103.2 -j OLD", "-F OLD", "-X OLD"])
    dnat = "-t nat -A PREROUTING -i ext0 -p tcp --dport 9090 -j DNAT --to-destination 172.18.103.2:8080"
    iptables(bed, [dnat])
    said = named(bed)
    assert len(said) == 1 and "-t nat -A PREROUTING" in said[0] and "172.18.103.2:8080" in said[0], said
    iptables(bed, [dnat.replace("-A", "-D")])
    assert not named(bed)


def test_what_a_policy_says_is_a_leftover_and_named_once(opened):
    bed = opened
    rule = "-I DOCKER-USER 1 -s 172.18.104.3 -d 172.18.103.2 -p tcp --dport 80 -j ACCEPT"
    iptables(bed, [rule])
    assert not named(bed)
    assert "apply --adopt removes it" in bed.harborwall("doctor").stdout
    lift(bed, [rule])
