# SPDX-License-Identifier: GPL-2.0-or-later
"""Proof of the tools: the prober finds nothing where a hand-made firewall does what the file says, and
finds what is missing, too much or misattributed where it does not."""
import os

import bed as beds
import byhand
import engine
import pytest
import seed


@pytest.fixture(scope="module")
def standing():
    """One for all: they change its rules alone."""
    from conftest import need_engine
    need_engine("20")
    with engine.Lab(f"hand{os.getpid()}", "20") as lab:
        lab.peer()
        with beds.Bed(lab) as bed:
            seed.containers(bed)
            bed.write(seed.widened())
            byhand.enforce(bed)
            yield bed


@pytest.fixture
def handmade(standing):
    byhand.rules(standing)
    return standing


def test_a_matrix_of_a_correct_firewall_equals_the_oracle(handmade):
    got = handmade.assert_matrix()
    through = {key for key, answer in got.items() if answer}
    assert ("publicbackend", "172.18.103.2", "tcp", 80) in through
    assert ("peer", "192.0.2.1", "tcp", 81) in through
    assert ("client", "10.66.0.1", "tcp", 80) in through
    assert ("peer", "172.18.103.2", "tcp", 81) not in through


def test_a_firewall_that_is_gone_is_reported_as_missing(handmade):
    handmade.lab.run("nft", "delete", "table", "inet", "byhand")
    difference, _, _ = handmade.matrix()
    assert {key[:2] for key, _ in difference.missing} >= {
        ("publicbackend", "172.18.103.2"), ("peer", "192.0.2.1"), ("client", "10.66.0.1")}
    assert not difference.extra


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


@pytest.mark.parametrize("proto, port, owner", [("tcp", 80, "172.18.104.3"), ("udp", 53, "172.18.104.2")])
def test_a_borrowed_source_is_seen_where_it_gets_in(handmade, proto, port, owner):
    name = "publicbackend" if owner.endswith(".3") else "smarthostbackend-1"
    honest = (name, owner, "172.18.103.2", proto, port, "smarthostloadbalancer")
    thieves = [(who, owner, "172.18.103.2", proto, port, "smarthostloadbalancer")
               for who in ("peer", "bystander")]
    assert handmade.prober.spoof([honest, *thieves]) == [honest]
    handmade.lab.run("nft", "-f", "-", stdin="flush set inet byhand managed")
    handmade.lab.run("conntrack", "-F")
    assert handmade.prober.spoof(thieves) == thieves


def test_the_generation_number_moves_with_every_transaction(handmade):
    before = handmade.prober.generation("host")
    assert handmade.prober.generation("host") == before
    byhand.nft(handmade.lab, "add table inet other")
    assert handmade.prober.generation("host") > before
