# SPDX-License-Identifier: GPL-2.0-or-later
"""Proof of the tools: the prober finds nothing where a hand-made firewall does what the file says, and
finds what is missing, too much or misattributed where it does not."""
import os
import subprocess

import bed as beds
import byhand
import crafted
import engine
import pytest
import seed


@pytest.fixture(scope="module")
def standing():
    """One for all: they change its rules alone."""
    from conftest import need_engine
    need_engine("20")
    with engine.Lab(f"hand{os.getpid()}", "20", options=seed.WITH_IPV6) as lab:
        lab.peer()
        with beds.Bed(lab, sctp=seed.SCTP) as bed:
            seed.containers(bed)
            bed.write(seed.dual(seed.widened()))
            byhand.enforce(bed)
            yield bed


@pytest.fixture
def handmade(standing):
    byhand.rules(standing)
    return standing


def test_a_matrix_of_a_correct_firewall_equals_the_oracle(handmade):
    got = handmade.assert_matrix()
    through = {key for key, answer in got.items() if answer}
    assert through >= {("publicbackend", "172.18.103.2", "tcp", 80), ("publicbackend", "fd18:103::2", "tcp", 80),
                       ("peer", "192.0.2.1", "tcp", 81), ("peer", "2001:db8:2::1", "tcp", 81),
                       ("client", "10.66.0.1", "tcp", 80), ("client", "fd66::1", "tcp", 80),
                       ("publicbackend", "172.18.104.2", "sctp", 80), ("publicbackend", "fd18:104::2", "sctp", 80)}
    closed = {("peer", "172.18.103.2", "tcp", 81), ("peer", "fd18:103::2", "tcp", 81)}
    assert closed <= got.keys() and not closed & through


def test_a_firewall_that_is_gone_is_reported_as_missing(handmade):
    handmade.lab.run("nft", "delete", "table", "inet", "byhand")
    difference, _, _ = handmade.matrix()
    assert {key[:2] for key, _ in difference.missing} >= {
        ("publicbackend", "172.18.103.2"), ("peer", "192.0.2.1"), ("client", "10.66.0.1"), ("peer", "2001:db8:2::1")}
    assert {key for key, _ in difference.extra} >= {("peer", "fd18:103::2", "tcp", 443), ("bystander", "fd18:104::3", "udp", 53)}
    assert all(":" in key[1] for key, _ in difference.extra), "Docker closes its networks in IPv4 alone"


def test_a_rule_too_many_is_reported_as_extra(handmade):
    byhand.nft(handmade.lab, "add element inet byhand ok { 172.18.104.3 . 172.18.103.2 . tcp . 443 }")
    difference, _, _ = handmade.matrix()
    assert [key for key, _ in difference.extra] == [("publicbackend", "172.18.103.2", "tcp", 443)]
    assert not difference.missing and not difference.wrong


def test_a_masqueraded_source_is_reported_as_wrong(handmade):
    handmade.lab.run("nft", "flush", "chain", "inet", "byhand", "post")
    difference, _, _ = handmade.matrix()
    assert ("publicbackend", "172.18.103.2", "tcp", 80) in [w[0] for w in difference.wrong]
    assert not difference.missing and not difference.extra


@pytest.mark.parametrize("proto, port, owner", [("tcp", 80, "172.18.104.3"), ("udp", 53, "172.18.104.2"),
                                                ("tcp", 80, "fd18:104::3"), ("udp", 53, "fd18:104::2")])
def test_a_borrowed_source_is_seen_where_it_gets_in(handmade, proto, port, owner):
    name = "publicbackend" if owner.endswith("3") else "smarthostbackend-1"
    target = "fd18:103::2" if ":" in owner else "172.18.103.2"
    honest = (name, owner, target, proto, port, "smarthostloadbalancer")
    thieves = [(who, owner, target, proto, port, "smarthostloadbalancer")
               for who in ("peer", "bystander")]
    assert handmade.prober.spoof([honest, *thieves]) == [honest]
    handmade.lab.run("nft", "-f", "-", stdin="flush set inet byhand managed\nflush chain inet byhand closed\n"
                     "flush set inet byhand managed6")
    handmade.lab.run("conntrack", "-F")
    assert handmade.prober.spoof(thieves) == thieves


@pytest.mark.parametrize("forms", [crafted.WHOLE[6], crafted.BROKEN], ids=["whole", "broken"])
def test_packets_of_every_shape_are_seen_where_they_arrive(handmade, forms):
    flow = ("smarthostbackend-1", "fd18:104::2", "fd18:103::2", "udp", 53, "smarthostloadbalancer")
    attempts = [(*flow, form) for form in forms]
    whole = [a for a in attempts if a[-1] != "first fragment alone"]
    assert handmade.prober.deliver(attempts) == whole
    assert handmade.prober.deliver([(*flow[:4], 80, flow[5], form) for form in forms]) == []


def test_the_generation_number_moves_with_every_transaction(handmade):
    before = handmade.prober.generation("host")
    assert handmade.prober.generation("host") == before
    byhand.nft(handmade.lab, "add table inet other")
    assert handmade.prober.generation("host") > before


def test_an_engine_that_several_want_at_once_is_fetched_once(tmp_path):
    """On a new machine suites start together. The lock was let go before the engine was in its place, and two of three skipped their tests."""
    env = {**os.environ, "HARBORWALL_LAB": str(tmp_path)}
    ways = [subprocess.Popen([engine.LAB, "fetch", "28"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(3)]
    said = [way.communicate(timeout=300)[0] for way in ways]
    assert [way.returncode for way in ways] == [0, 0, 0], said
    assert (tmp_path / "eng/28/usr/sbin/dockerd").exists()
