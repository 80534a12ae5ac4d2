# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules without our mark in ip6tables: those that open managed networks are named by doctor, those that say what a policy
says by plan, and apply --adopt removes these."""
import bed as beds
import pytest
import seed
from test_unmanaged import named
from test_walls6 import IP6TABLES

BALANCER6, BACKEND6 = "fd18:103::2", "fd18:104::2"
CELLS = {"docker 20": {"version": "20"}, "docker 20, ip6tables": {"version": "20", "options": IP6TABLES},
         "docker 26, ip6tables": {"version": "26", "options": IP6TABLES},
         "docker 28": {"version": "28"}, "docker 28, legacy": {"version": "28", "legacy": True}}
OPENERS = [
    (f"-I FORWARD 1 -d {BALANCER6.rsplit(':', 1)[0]}:/64 -p tcp --dport 8080 -j ACCEPT", ("peer", BALANCER6, "tcp", 8080)),
    ("-I FORWARD 1 -i ext0 -j ACCEPT", ("peer", BALANCER6, "tcp", 8080)),
    ("-I FORWARD 1 -s 2001:db8:2::/48 -d fd00::/8 -j ACCEPT", ("peer", BALANCER6, "udp", 53)),
]


@pytest.fixture(params=CELLS, ids=str)
def opened(request, labs):
    from conftest import need_engine
    made = CELLS[request.param]
    need_engine(made["version"])
    lab = labs.take(**{**made, "options": made.get("options", []) + seed.WITH_IPV6})
    with beds.Bed(lab) as bed:
        bed.ours_close = request.param == "docker 20"  # Docker writes nothing of IPv6 there
        bed.tool = f"ip6tables-{'legacy' if made.get('legacy') else 'nft'}"
        seed.containers(bed)
        bed.write(seed.dual(seed.widened()))
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer")
        yield bed
    labs.give_back(lab)


def ip6tables(bed, rule):
    bed.lab.run("ip6tables", *rule.split())


def undone(rule):
    return rule.replace("-I", "-D").replace(" 1 ", " ") if "-I" in rule else rule.replace("-A", "-D")


def test_neither_dockers_rules_nor_ours_nor_what_is_of_others_is_named(opened):
    bed = opened
    rules = ["-I FORWARD 1 -o ext0 -j ACCEPT", "-I FORWARD 1 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
             "-I FORWARD 1 -d 2001:db8:99::/48 -j ACCEPT"]
    assert named(bed) == []
    for rule in rules:
        ip6tables(bed, rule)
    assert named(bed) == []
    for rule in rules:
        ip6tables(bed, undone(rule))


def test_a_rule_that_opens_is_named_and_it_does(opened):
    bed = opened
    for rule, probe in OPENERS:
        assert not bed.prober.open(*probe) and not named(bed)
        ip6tables(bed, rule)
        # from 28 on Docker drops direct access in raw as well: there the rule waits for its chance
        assert bool(bed.prober.open(*probe)) == (not bed.ours_close and bed.lab.version != "28"), rule
        said = named(bed)
        if bed.ours_close:  # and so it opens nothing
            assert not said, (rule, said)
        else:
            assert len(said) == 1 and f"{bed.tool} -t filter -A {rule.split()[1]} " in said[0], (rule, said)
        ip6tables(bed, undone(rule))


def test_a_translation_to_a_managed_address_is_named(opened):
    bed = opened
    dnat = f"-t nat -A PREROUTING -i ext0 -p tcp --dport 9090 -j DNAT --to-destination [{BALANCER6}]:8080"
    ip6tables(bed, dnat)
    said = named(bed)
    assert len(said) == 1 and f"{bed.tool} -t nat -A PREROUTING" in said[0] and f"[{BALANCER6}]:8080" in said[0], said
    if bed.lab.version == "20":  # translated packets are let through as those of published ports are
        assert bool(bed.prober.open("peer", beds.HOST_IP6, "tcp", 9090)) == bed.ours_close
    ip6tables(bed, undone(dnat))
    assert not named(bed)


def test_what_a_policy_says_is_named_once_and_adopted(opened):
    bed = opened
    rule = f"-I FORWARD 1 -s fd18:104::3 -d {BALANCER6} -p tcp --dport 80 -j ACCEPT"
    ip6tables(bed, rule)
    inside = f"-t nat -A PREROUTING -i wg0 -p tcp --dport 80 -j DNAT --to-destination {BALANCER6}"
    bed.lab.inside("wireguardproxy", bed.tool, *inside.split())
    assert not named(bed)
    planned = bed.harborwall("plan").stdout
    assert f"{bed.tool} -t filter -A FORWARD -s fd18:104::3/128" in planned and "apply --adopt removes it" in planned, planned
    assert f"{bed.tool} -t nat -A PREROUTING -i wg0" in planned, planned
    done = bed.harborwall("apply", "--adopt")
    assert done.returncode == 0 and f"1 unmanaged rule of {bed.tool}" in done.stdout, done.stdout + done.stderr
    assert "-A FORWARD -s fd18:104::3/128" not in bed.lab.run(f"{bed.tool}-save").stdout
    assert "wg0" not in bed.lab.inside("wireguardproxy", f"{bed.tool}-save").stdout
    assert "nothing to do" in bed.apply().stdout
    assert bed.prober.open("publicbackend", BALANCER6, "tcp", 80)
    assert not bed.prober.open("publicbackend", BALANCER6, "tcp", 8080)
