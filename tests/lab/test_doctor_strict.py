# SPDX-License-Identifier: GPL-2.0-or-later
"""What doctor says of strict networks: what the kernel lacks, what stands, what it costs, and what passes all the same."""
import json

import bed as beds
import pytest
from test_ports import World, file, two_engines
from test_strict_refused import WITHOUT


@pytest.fixture
def world(lab):
    with beds.Bed(lab) as bed:
        yield World(bed)


def rows(world, env=None):
    """(finding, text) of each."""
    done = world.bed.harborwall("doctor", "--json", env=env)
    return [(not row["ok"], row["text"]) for row in json.loads(done.stdout)["checks"] if row["check"] == "strict"]


def says(said, text, finding=False):
    return any(found == finding and text in row for found, row in said)


@two_engines
def test_what_stands_what_it_costs_and_what_passes(world):
    world.apply("docker")
    assert rows(world) == []
    world.bed.write(file())
    rules = beds.rule_dumps(world.lab)
    said = rows(world)
    assert says(said, "table bridge harborwall can be made") and says(said, "3 of 3 ports are not isolated and locked", True), said
    assert beds.rule_dumps(world.lab) == rules and world.ports()[world.port_of("shop")]["isolated"] is False, "it changes nothing"
    world.apply()
    said = rows(world)
    assert says(said, 'network "web": 3 ports, all isolated and locked') and says(said, "table bridge harborwall stands"), said
    assert says(said, "no daemon runs", True), said
    for filtered, text in ((1, "about a tenth more than a plain bridge: br_netfilter is on"), (0, "1.6 times for a packet: br_netfilter is off")):
        world.lab.run("sh", "-c", f"echo {filtered} >/proc/sys/net/bridge/bridge-nf-call-iptables")
        assert says(rows(world), text), rows(world)
    world.lab.run("bridge", "link", "set", "dev", world.port_of("till"), "locked", "off")
    assert says(rows(world), f"1 of 3 ports are not isolated and locked, such as {world.port_of('till')}", True), rows(world)
    daemon = world.bed.run_daemon()
    daemon.wait_log("following the engine")
    assert says(rows(world), "raw EtherTypes, VLAN frames and link-local IPv6"), rows(world)
    assert not [text for found, text in rows(world) if found], rows(world)
    daemon.end()
    for name in ("shop", "till", "db"):
        world.docker.remove(name)
    assert says(rows(world), "no container is there"), rows(world)


@two_engines
@pytest.mark.parametrize("lacks, text", [("bridge tables", "table bridge harborwall can't be made"), ("nf_tables", "no nf_tables: a file with a strict network is refused")])
def test_what_the_kernel_lacks(world, lacks, text):
    world.bed.write(file())
    said = rows(world, WITHOUT[lacks])
    assert says(said, text, True), said
    assert says(said, 'write isolation "docker"', True), said
    world.bed.write(file("docker"))
    assert rows(world, WITHOUT[lacks]) == []
