# SPDX-License-Identifier: GPL-2.0-or-later
"""Other people's firewalls of IPv6 on the way of what policies let in: packets stop, and plan and doctor say which
policies, where, and what helps. IPv4 goes on meanwhile."""
import functools
import json

import bed as beds
import engine
import pytest
import seed
from test_bans import config
from test_walls import ALL_ON_THE_HOST, legacy_tables as legacy_tables_of, said

legacy_tables = functools.partial(legacy_tables_of, names="ip6_tables_names")

BALANCER6 = "fd18:103::2"
OUTSIDE6 = ("peer", BALANCER6, "tcp", 443)
TRANSLATED6 = ("peer", beds.HOST_IP6, "tcp", 81)
BETWEEN6 = ("publicbackend", BALANCER6, "tcp", 80)
FLOWS6 = {OUTSIDE6, TRANSLATED6, BETWEEN6}
FLOWS4 = {("peer", "172.18.103.2", "tcp", 443), ("peer", beds.HOST_IP, "tcp", 81), ("publicbackend", "172.18.103.2", "tcp", 80)}
CLOSED = {("peer", BALANCER6, "tcp", 8080), ("bystander", BALANCER6, "tcp", 80)}

MARKED = "insert rule ip6 fw forward meta mark and 0x2000000 == 0x2000000 accept"
DROPS = """table ip6 fw { chain forward { type filter hook forward priority filter; policy drop;
ct state established,related accept
%s
}
}"""
IP6TABLES = ["--experimental", "--ip6tables"]  # before 27 dockerd writes rules of IPv6 only with these
CELLS = {"docker 20": {"version": "20"}, "docker 20, ip6tables": {"version": "20", "options": IP6TABLES},
         "docker 28": {"version": "28"}, "docker 20, legacy": {"version": "20", "legacy": True},
         "docker 28, legacy": {"version": "28", "legacy": True}}


@pytest.fixture(params=CELLS, ids=str)
def walled(request, labs):
    from conftest import need_engine
    made = CELLS[request.param]
    need_engine(made["version"])
    lab = labs.take(**{**made, "options": made.get("options", []) + seed.WITH_IPV6})
    with beds.Bed(lab) as bed:
        bed.has_user = made["version"] == "28"
        seed.containers(bed)
        bed.write(seed.dual(config()))
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer", "client")
        yield bed
        for family in ("ip6", "inet"):
            lab.run("nft", "delete", "table", family, "fw", check=False)
    labs.give_back(lab)


def opened(bed):
    """Which of the flows get in; those of IPv4 always do."""
    asked = {}
    for source, *target in FLOWS6 | FLOWS4 | CLOSED:
        asked.setdefault(source, []).append(target)
    got = bed.prober.ask_all(asked, timeout=1.5)
    found = {key for key, answer in got.items() if answer}
    assert FLOWS4 <= found, FLOWS4 - found
    return found - FLOWS4


def through_tunnel(bed):
    return bed.prober.open("client", beds.TUNNEL_IP6, "tcp", 80, timeout=2)


def lay(bed, text):
    bed.lab.run("nft", "-f", "-", stdin=text)


def test_a_host_without_walls_is_told_of_none(walled):
    bed = walled
    before = legacy_tables(bed), legacy_tables(bed, "wireguardproxy")
    assert said(bed) == {}
    assert opened(bed) == FLOWS6 and through_tunnel(bed)
    lay(bed, "table ip6 fw { set bad { type ipv6_addr; elements = { 2001:db8:77::7 } }\n"
        "chain forward { type filter hook forward priority filter;\nip6 saddr @bad drop\nct state invalid drop\n"
        "ip6 saddr 2001:db8:77::/48 drop\nip6 daddr fd18:99::/64 tcp dport 80 drop\nmeta l4proto ipv6-icmp drop\n}\n}\n"
        "table inet fw { chain forward { type filter hook forward priority filter;\nip saddr 203.0.113.7 drop\n"
        "ip6 saddr 2001:db8:77::7 drop\n}\n}")
    assert said(bed) == {}
    assert opened(bed) == FLOWS6
    assert (legacy_tables(bed), legacy_tables(bed, "wireguardproxy")) == before, "looking has made tables"


def test_a_chain_of_ipv6_that_drops_is_named_and_the_remedy_works(walled):
    bed = walled
    lay(bed, DROPS % "")
    assert opened(bed) == set()
    found = said(bed)
    assert set(found) == ALL_ON_THE_HOST, found
    assert all("table ip6 fw, chain forward, stops what it admits in IPv6" in text and MARKED in text for text in found.values()), found
    explained = bed.harborwall("explain", "publicbackend", BALANCER6, "80").stdout
    assert "table ip6 fw" in explained and "denied" in explained.splitlines()[0], explained
    bed.lab.run("nft", *MARKED.split())
    assert opened(bed) == FLOWS6
    assert said(bed) == {}


def test_what_a_table_for_both_families_says_of_one_is_of_that_one(walled):
    bed = walled
    lay(bed, "table inet fw { chain forward { type filter hook forward priority 5;\nip6 saddr 2001:db8:2::/64 drop\n}\n}")
    assert opened(bed) == {BETWEEN6}
    found = said(bed)
    assert set(found) == {4} and "-s 2001:db8:2::/64" not in found[4] and "in IPv6" in found[4], found
    bed.lab.run("nft", "delete", "table", "inet", "fw")
    lay(bed, "table inet fw { chain forward { type filter hook forward priority 5; policy drop;\nmeta nfproto ipv4 accept\n"
        "ct state established,related accept\n}\n}")
    assert opened(bed) == set()
    found = said(bed)
    assert set(found) == ALL_ON_THE_HOST and all("in IPv6" in text for text in found.values()), found
    bed.lab.run("nft", "delete", "table", "inet", "fw")
    # and of a part of the addresses
    lay(bed, "table ip6 fw { chain forward { type filter hook forward priority 5;\n"
        "ip6 saddr fd18:104::/64 ip6 daddr fd18:103::2 tcp dport 1-1000 drop\n}\n}")
    assert opened(bed) == {OUTSIDE6, TRANSLATED6}
    assert set(said(bed)) == {0}


def test_the_other_variants_forward_is_a_wall_too(walled):
    bed = walled
    other = "ip6tables-nft" if bed.lab.legacy else "ip6tables-legacy"
    remedy = ["FORWARD", "-m", "mark", "--mark", "0x2000000/0x2000000", "-j", "ACCEPT"]
    if not bed.has_user:  # nothing of Docker's in either, so that the variant which is there is the one that we use
        bed.lab.run("ip6tables", "-P", "FORWARD", "ACCEPT")
        bed.apply()
    bed.lab.run(other, "-P", "FORWARD", "DROP")
    assert opened(bed) == set()
    found = said(bed)
    assert set(found) == ALL_ON_THE_HOST and all(f"{other} -I {' '.join(remedy)}" in t for t in found.values()), found
    bed.lab.run(other, "-I", *remedy)
    assert opened(bed) == FLOWS6
    assert said(bed) == {}
    bed.lab.run(other, "-D", *remedy)
    bed.lab.run(other, "-P", "FORWARD", "ACCEPT")


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_the_firewall_of_a_container_that_translates_is_named_and_the_remedy_works(walled, variant):
    bed, tool = walled, f"ip6tables-{variant}"
    remedy = f"{tool} -I FORWARD -m connmark --mark 0x2000000/0x2000000 -j ACCEPT"

    def inside(*commands):
        for command in commands:
            bed.lab.inside("wireguardproxy", *command.split())
    assert through_tunnel(bed)
    inside(f"{tool} -P FORWARD DROP")
    assert not through_tunnel(bed) and bed.prober.open("client", beds.TUNNEL_IP, "tcp", 80)
    found = said(bed)
    assert set(found) == {1} and "wireguardproxy" in found[1] and remedy in found[1], found
    inside(remedy)
    assert through_tunnel(bed) and said(bed) == {}
    inside(remedy.replace("-I", "-D"), f"{tool} -P FORWARD ACCEPT")
    assert through_tunnel(bed) and said(bed) == {}


def test_a_foreign_rule_in_docker_user_of_ip6tables_that_voids_a_policy_is_a_finding(walled):
    bed = walled
    if not bed.has_user:
        return  # there is no such chain: ours is at the top of FORWARD
    bed.lab.run("ip6tables", "-I", "DOCKER-USER", "1", "-s", beds.PEER_IP6, "-j", "DROP")
    bed.apply()
    assert opened(bed) == {BETWEEN6}
    found = said(bed)
    assert set(found) == {4} and f"a foreign rule in DOCKER-USER stops what it admits in IPv6: -A DOCKER-USER -s {beds.PEER_IP6}/128 -j DROP" \
        in found[4], found
    bed.lab.run("ip6tables", "-D", "DOCKER-USER", "-s", beds.PEER_IP6, "-j", "DROP")
    assert said(bed) == {} and opened(bed) == FLOWS6


def test_what_ufw_lays_before_all_others_is_named(walled):
    """ufw's chains of IPv6, where they stand before Docker's: a ban of ours there comes before our rule."""
    bed = walled
    if not bed.has_user:
        return
    for rule in ("-N ufw6-before-forward", "-A ufw6-before-forward -m rt --rt-type 0 -j DROP",
                 f"-A ufw6-before-forward -s {beds.PEER_IP6} -p tcp --dport 443 -j REJECT --reject-with icmp6-port-unreachable",
                 "-I FORWARD 1 -j ufw6-before-forward"):
        bed.lab.run("ip6tables", *rule.split())
    bed.apply()
    assert opened(bed) == {TRANSLATED6, BETWEEN6}
    found = said(bed)
    assert set(found) == {4} and "ufw6-before-forward" in found[4] and "a foreign rule in FORWARD" in found[4], found
    for rule in ("-D FORWARD -j ufw6-before-forward", "-F ufw6-before-forward", "-X ufw6-before-forward"):
        bed.lab.run("ip6tables", *rule.split())
    assert said(bed) == {} and opened(bed) == FLOWS6


def test_a_daemon_says_it_while_it_is_so(walled):
    bed = walled
    daemon = bed.run_daemon({"WATCH_PERIOD_SECONDS": "3600"})
    daemon.wait_log("following the engine")

    def void():
        page = json.loads(bed.harborwall("status", "--json").stdout)
        return {p["policy"] for p in page["policy_list"] if p["state"] == "unenforceable"}
    assert engine.wait_for(lambda: void() == set())
    lay(bed, DROPS % "")
    assert engine.wait_for(lambda: void() == ALL_ON_THE_HOST, 5), daemon.log()
    assert "table ip6 fw" in bed.harborwall("status").stdout and "table ip6 fw" in daemon.log()
    bed.lab.run("nft", *MARKED.split())
    assert engine.wait_for(lambda: void() == set(), 5), daemon.log()
    daemon.end()
