# SPDX-License-Identifier: GPL-2.0-or-later
"""Docker's nftables backend (docker29.py): what it lost of its table of IPv6 is closed and named, and IPv4 has nothing to
do with it."""
import bed as beds
import docker29
import pytest
from test_cells import assert_noop, doctor
from test_docker29 import FWMARK, VAULT, WEB, cannot, flushable_bed, opens

WEB4, WEB6, SAFE6, ALONE6 = "172.18.103.2", "fd18:103::2", "fd18:105::2", "fd18:106::2"
T = "ip6 docker-bridges"
# what is done -> who gets in where he must not, and a word of what is said
LOSSES = {
    f"delete table {T}": ("web vault alone out", "docker-bridges is not there"),
    f"flush table {T}": ("web vault alone out", "filter-FORWARD"),
    f"add table {T} {{ flags dormant; }}": ("web vault alone out", "dormant"),
    f"flush map {T} filter-forward-in-jumps": ("web vault alone", "filter-forward-in-jumps"),
    f"flush chain {T} filter-forward-in__{WEB}": ("web", f"chain filter-forward-in__{WEB}"),
    f"flush chain {T} filter-forward-in__hw-alone": ("alone", "chain filter-forward-in__hw-alone"),
    f"flush chain {T} filter-forward-out__{VAULT}": ("out", f"chain filter-forward-out__{VAULT}"),
}


def flushable():
    """Networks that are trusted by the outside, so that nothing but the forward chains keeps it out of them; one has IPv6
    alone."""
    trusting = {docker29.TRUSTED: "ext0"}
    return {"networks": {"web": {"subnet": "172.18.103.0/24", "subnet6": "fd18:103::/64", "bridge_name": WEB, "options": trusting},
                         "vault": {"subnet": "172.18.105.0/24", "subnet6": "fd18:105::/64", "bridge_name": VAULT, "internal": True},
                         "alone": {"subnet6": "fd18:106::/64", "bridge_name": "hw-alone", "options": trusting}},
            "ips": {WEB4: {"container_name": "smarthostloadbalancer", "ip6": WEB6},
                    "172.18.105.2": {"container_name": "safe", "ip6": SAFE6}, ALONE6: {"container_name": "alone"}},
            "policies": [{"selector": "smarthostloadbalancer", "from": [beds.PEER_IP, beds.PEER_IP6], "port": 80},
                         {"selector": "alone", "from": beds.PEER_IP6, "port": 80}]}


@pytest.fixture(scope="module")
def flushed():
    with flushable_bed("flushed6", flushable(), ["smarthostloadbalancer", "safe", "alone"]) as bed:
        # what a way out of the internal network needs beside Docker's leave
        bed.lab.inside("safe", "ip", "-6", "route", "add", "default", "via", "fd18:105::1")
        yield bed


INTRUSIONS = {"web": (beds.PEER, WEB6, 8080), "vault": (beds.PEER, SAFE6, 80), "alone": (beds.PEER, ALONE6, 8080),
              "out": ("safe", beds.PEER_IP6, 80)}
ADMITTED = [(beds.PEER, WEB6, 80), (beds.PEER, WEB4, 80), (beds.PEER, ALONE6, 80)]


def intruders(bed):
    """Who gets in, or out, where Docker would not let him; those whom policies admit do, always."""
    bed.prober.serve_at("smarthostloadbalancer", "safe", "alone", beds.PEER)
    asked = {}
    for source, ip, port in [*INTRUSIONS.values(), *ADMITTED]:
        asked.setdefault(source, []).append([ip, "tcp", port])
    got = bed.prober.ask_all(asked)
    assert all(got[(source, ip, "tcp", port)] for source, ip, port in ADMITTED), got
    return {name for name, (source, ip, port) in INTRUSIONS.items() if got[(source, ip, "tcp", port)]}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.replace(" " + T, ""))
def test_what_docker_lost_of_ipv6_is_closed_by_us_and_named(flushed, loss):
    bed, (opened, word) = flushed, LOSSES[loss]
    bed.engine.restart(FWMARK)
    bed.apply()
    assert not intruders(bed)
    bed.lab.run("nft", *loss.split(" ", 2)[:2], *loss.split(" ", 2)[2].split())
    assert intruders(bed) == set(opened.split())  # or the test would show nothing
    bed.apply()
    assert not intruders(bed)
    warned = [li for li in bed.harborwall("plan").stdout.splitlines() if li.startswith("warning: host: ")]
    assert len(warned) == 1 and word in warned[0] and "ip6 docker-bridges" in warned[0] and "restart dockerd" in warned[0], warned
    assert warned[0].endswith("harborwall closes IPv6 of its networks itself")
    found = [li for li in doctor(bed).stdout.splitlines() if li.startswith("FINDING  isolation6") and "of the file" in li]
    assert len(found) == 1 and word in found[0] and "restart dockerd" in found[0], doctor(bed).stdout
    assert "Docker closes its networks" in doctor(bed).stdout
    assert_noop(bed)
    bed.engine.restart(FWMARK)
    bed.apply()
    assert "closed" not in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    assert not intruders(bed)
    assert "Docker closes IPv6 of its networks" in doctor(bed).stdout


def test_a_flushed_drop_of_direct_access_of_ipv6_is_noticed(flushed):
    bed = flushed
    bed.engine.restart(FWMARK)
    bed.apply()
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    bed.lab.run("nft", "flush", "chain", "ip6", "docker-bridges", "raw-PREROUTING")
    daemon.wait_log("chain raw-PREROUTING of table ip6 docker-bridges lacks its drops")
    assert not intruders(bed)
    daemon.end()


def test_without_the_option_what_has_ipv6_alone_is_named_too(flushed):
    """Its network has no chain in the table of IPv4."""
    bed = flushed
    bed.engine.restart(None)
    bed.harborwall("apply")
    said = cannot(bed.harborwall("plan").stdout)
    assert set(said) == {"policies[0]", "policies[1]"}, said
    bed.prober.serve_at("alone", beds.PEER)
    assert not opens(bed, beds.PEER, ALONE6, 80)
    bed.engine.restart(FWMARK)
    bed.apply()
    assert not cannot(bed.harborwall("plan").stdout) and opens(bed, beds.PEER, ALONE6, 80)


def test_a_mode_of_one_family_says_nothing_of_the_other(flushed):
    """A network that Docker routes in IPv6 drops nothing there that comes directly."""
    bed = flushed
    config = flushable()
    config["networks"]["routed"] = {"subnet": "172.18.107.0/24", "subnet6": "fd18:107::/64",
                                    "options": {"com.docker.network.bridge.gateway_mode_ipv6": "routed"}}
    config["ips"]["172.18.107.2"] = {"container_name": "routed", "ip6": "fd18:107::2"}
    config["policies"] += [{"selector": "routed", "from": beds.PEER_IP6, "port": 80}, {"selector": "routed", "from": beds.PEER_IP, "port": 81}]
    bed.docker.create("routed", network="none")
    bed.write(config)
    bed.harborwall("apply")
    said = cannot(bed.harborwall("plan").stdout)
    assert set(said) == {"policies[3]"} and "drops what comes in by ext0" in said["policies[3]"][0], said
    bed.prober.serve_at("routed", beds.PEER)
    assert opens(bed, beds.PEER, "fd18:107::2", 80) and not opens(bed, beds.PEER, "fd18:107::2", 81)
    assert not opens(bed, beds.PEER, "172.18.107.2", 81)
