# SPDX-License-Identifier: GPL-2.0-or-later
"""Bans and other people's rules in DOCKER-USER: they bind what comes from outside, whatever a policy says, and never
what policies let containers say to each other. fail2ban itself is not needed, its rules are."""
import re
import time

import bed as beds
import engine
import pytest
import seed
from test_heal import ECHO, TALK, alive, in_namespace, inside

BALANCER = "172.18.103.2"
OUTSIDE = ("peer", BALANCER, "tcp", 443)  # a policy from an address outside
TRANSLATED = ("peer", beds.HOST_IP, "tcp", 81)  # a translation on ext0
BETWEEN = ("publicbackend", BALANCER, "tcp", 80)

# As fail2ban's actions iptables and iptables-multiport write them, and as people do by hand.
BANS = {
    "one rule": ["-I DOCKER-USER 1 -s 192.0.2.2 -j DROP"],
    "fail2ban": ["-N f2b-web", "-A f2b-web -j RETURN", "-I DOCKER-USER 1 -p tcp -m multiport --dports 81,443 -j f2b-web",
                 "-I f2b-web 1 -s 192.0.2.2 -j REJECT --reject-with icmp-port-unreachable"],
    "before all others": ["-t raw -I PREROUTING 1 -s 192.0.2.2 -j DROP"],
}
VARIANTS = [("20", False), ("26", False), ("28", False), ("20", True), ("28", True)]


def variant_name(variant):
    return f"docker {variant[0]}, iptables-{'legacy' if variant[1] else 'nft'}"


def config():
    wanted = seed.widened()
    wanted["policies"] += [{"selector": "smarthostloadbalancer", "from": "192.0.2.2", "port": [443, 7001]},
                           {"selector": "smarthostloadbalancer", "from": "smarthostbackend-1", "port": 7001}]
    return wanted


@pytest.fixture(params=VARIANTS, ids=variant_name)
def banning(request, labs):
    from conftest import need_engine
    version, legacy = request.param
    need_engine(version)
    lab = labs.take(version=version, legacy=legacy)
    with beds.Bed(lab) as bed:
        seed.containers(bed)
        bed.write(config())
        bed.prober.serve_at("smarthostloadbalancer")
        yield bed
    lab.run("iptables", "-F", "DOCKER-USER")
    lab.run("iptables", "-A", "DOCKER-USER", "-j", "RETURN") if version != "28" else None
    lab.run("sh", "-c", "iptables -F f2b-web; iptables -X f2b-web; true", check=False)
    labs.give_back(lab)


def backends(bed):
    return ["nftables", "iptables-legacy" if bed.lab.legacy else "iptables-nft"]


def iptables(bed, rules):
    for rule in rules:
        bed.lab.run("iptables", *rule.split())


def lift(bed, rules):
    """The same, taken back."""
    for rule in rules:
        if not rule.startswith("-N"):
            bed.lab.run("iptables", *re.sub("-[IA] ([A-Zfb2a-z0-9-]+)( 1)?", r"-D \1", rule, count=1).split())
    for rule in rules:
        if rule.startswith("-N"):
            bed.lab.run("iptables", "-X", rule.split()[1])


EVERYBODY = {OUTSIDE, TRANSLATED, BETWEEN}


def ask(bed, flows, timeout):
    questions = {}
    for source, *target in flows:
        questions.setdefault(source, []).append(target)
    return {flow for flow, answer in bed.prober.ask_all(questions, timeout).items() if answer}


def assert_gets_in(bed, expected, *why):
    """Exactly these. A busy machine answers late, a rule that is not there never."""
    got = ask(bed, EVERYBODY, 0.7)
    if expected - got:
        got |= ask(bed, expected - got, 3)
    assert got == expected, why


def test_whom_a_foreign_rule_bans_no_policy_lets_in(banning):
    bed = banning
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        for how, rules in BANS.items():
            bed.apply()
            assert_gets_in(bed, EVERYBODY, backend, how)
            iptables(bed, rules)
            assert_gets_in(bed, {BETWEEN}, backend, how, "at once")
            bed.apply()
            assert_gets_in(bed, {BETWEEN}, backend, how, "behind a pass")
            assert bed.harborwall("plan", "-q").returncode == 0
            lift(bed, rules)
            assert_gets_in(bed, EVERYBODY, backend, how, "lifted")


def test_a_ban_cuts_what_it_would_cut_without_us(banning):
    """The packets of an established connection stop, as they would where Docker alone stands; others go on."""
    bed = banning
    inside(bed, "smarthostloadbalancer", "python3", "-c", ECHO, "7001")
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        time.sleep(1)
        outside = in_namespace(bed, "peer", "python3", "-c", TALK, BALANCER, "7001")
        between = inside(bed, "smarthostbackend-1", "python3", "-c", TALK, BALANCER, "7001")
        assert engine.wait_for(lambda: alive(outside) and alive(between)), outside.log() + between.log()
        iptables(bed, BANS["one rule"])
        assert engine.wait_for(lambda: not alive(outside), 5), (backend, outside.log()[-100:])
        bed.apply()
        assert not alive(outside) and alive(between), backend
        lift(bed, BANS["one rule"])
        outside.process.kill()
        between.process.kill()


def test_foreign_rules_do_not_stand_between_containers(banning):
    bed = banning
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        rules = ["-I DOCKER-USER 1 -s 172.18.104.3 -j DROP", "-I DOCKER-USER 1 -s 172.18.104.0/24 -j RETURN"]
        iptables(bed, rules)
        bed.apply()
        assert_gets_in(bed, EVERYBODY, backend)
        lift(bed, rules)


def test_all_at_the_top_if_one_says_so(banning):
    bed = banning
    wrong = bed.harborwall("plan", env={"HARBORWALL_HANDOFF": "bottom"})
    assert wrong.returncode == 64 and 'HARBORWALL_HANDOFF: "bottom" is none of behind, top' in wrong.stderr
    for backend in backends(bed):
        bed.env = {"HARBORWALL_BACKEND": backend, "HARBORWALL_HANDOFF": "top"}
        bed.apply()
        iptables(bed, BANS["one rule"])
        bed.apply()
        assert_gets_in(bed, EVERYBODY, backend)
        bed.env.pop("HARBORWALL_HANDOFF")
        bed.apply()
        assert_gets_in(bed, {BETWEEN}, backend)
        lift(bed, BANS["one rule"])
        assert_gets_in(bed, EVERYBODY, backend)


def test_a_rule_behind_dockers_return_is_never_reached_with_us_as_without(banning):
    """Up to 27 DOCKER-USER ends with a RETURN; what somebody appends to it is void, and our rule is no help to it."""
    bed = banning
    rule = ["-A DOCKER-USER -s 192.0.2.2 -j DROP"]
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        iptables(bed, rule)
        bed.apply()
        reached = {BETWEEN} if bed.lab.version == "28" else EVERYBODY
        assert_gets_in(bed, reached, backend)
        assert bed.harborwall("plan", "-q").returncode == 0
        lift(bed, rule)


def test_the_order_heals_and_nobody_fights(banning):
    bed = banning
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        daemon = bed.run_daemon({"WATCH_PERIOD_SECONDS": "3600"})
        daemon.wait_log("following the engine")
        for n in range(8):  # longer, and more often, than what an opponent undoes is put right at once
            rule = [f"-{'A' if n % 2 and bed.lab.version == '28' else 'I'} DOCKER-USER -s 203.0.113.{n} -j DROP"]
            iptables(bed, rule)
            assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, 5), (backend, n, daemon.log()[-2000:])
            assert bed.prober.open(*BETWEEN, timeout=3)
            time.sleep(0.7)
        iptables(bed, BANS["one rule"])
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, 5), daemon.log()[-2000:]
        assert_gets_in(bed, {BETWEEN}, backend)
        assert "keeps undoing" not in daemon.log(), daemon.log()
        daemon.end()
        bed.lab.run("iptables", "-F", "DOCKER-USER")
        bed.apply()
        assert_gets_in(bed, EVERYBODY, backend)
