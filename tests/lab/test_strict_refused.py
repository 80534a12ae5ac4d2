# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel refuses of a strict network, and what a second instance would do: nothing is half done. Rules, ports, forwarding
entries, proxies and switches are as they were, and who could talk before can."""
import os

import bed as beds
import engine
import pytest
from test_ports import WEB, World, file, two_engines

PRELOADS = os.path.join(os.path.dirname(engine.HARBORWALL), "tests")
WITHOUT = {"bridge tables": {"LD_PRELOAD": f"{PRELOADS}/no_bridge_tables.so"}, "nf_tables": {"LD_PRELOAD": f"{PRELOADS}/no_nf_tables.so"}}


@pytest.fixture
def world(lab):
    with beds.Bed(lab) as bed:
        world = World(bed)
        world.apply("docker")
        bed.prober.serve_at("shop", "till", "db")
        yield world


def everything(world):
    return beds.rule_dumps(world.lab), world.state()


def neighbours_talk(world):
    return all(world.bed.prober.open("till", ip, "tcp", 80, timeout=2) for ip in (f"{WEB}.2", "fd18:103::2"))


@two_engines
@pytest.mark.parametrize("lacks", WITHOUT)
def test_of_a_file_that_the_kernel_refuses_nothing_is_done(world, lacks):
    before = everything(world)
    world.bed.write(file())
    for _ in range(2):
        done = world.bed.harborwall("apply", env=WITHOUT[lacks])
        assert done.returncode == 1, done.stdout + done.stderr
        assert everything(world) == before, done.stdout + done.stderr
    world.bed.write(file("docker"))
    daemon = world.bed.run_daemon(env=WITHOUT[lacks])
    daemon.wait_log("following the engine")
    world.bed.write(file())
    assert engine.wait_for(lambda: any(word in daemon.log() for word in ("level=error what=step", "level=error what=\"pass failed", "refused"))), daemon.log()
    assert neighbours_talk(world)
    daemon.end()
    assert everything(world) == before, daemon.log()
    world.bed.apply()  # a kernel that can: what was refused is done from the start
    assert world.is_closed(), world.state()
    assert not neighbours_talk(world)


@two_engines
@pytest.mark.parametrize("lacks", ["bridge tables"])
def test_of_the_way_back_nothing_is_done_either(world, lacks):
    world.apply()
    before = everything(world)
    world.bed.write({**file("docker"), "policies": [{"container_name": "shop", "from": "any", "port": 80}]})
    done = world.bed.harborwall("apply", env=WITHOUT[lacks])
    assert done.returncode == 1, done.stdout + done.stderr
    assert everything(world) == before and world.is_closed(), done.stdout + done.stderr
    assert not neighbours_talk(world)


def refusing(message):
    return {"LD_PRELOAD": f"{PRELOADS}/refuse_route.so", "HARBORWALL_REFUSED": str(message)}


RTM_SETLINK, RTM_NEWNEIGH, RTM_DELNEIGH = 19, 28, 29


@two_engines
def test_what_is_refused_of_the_ports_alone_is_done_by_the_next_pass(world):
    """On the way back, too: while a port is ours the bridge bears the mark by which it is found again. The rules hold meanwhile."""
    before = world.state()

    def assert_mended(isolation, refused, is_right):
        world.bed.write(file(isolation))
        done = world.bed.harborwall("apply", env=refusing(refused))
        assert is_right() == (done.returncode == 0), (isolation, refused, done.stdout, done.stderr, world.state())
        assert isolation == "docker" or not neighbours_talk(world), (refused, done.stdout)
        world.bed.apply()
        assert is_right(), (isolation, refused, done.stdout, world.state())

    for refused in (RTM_SETLINK, RTM_NEWNEIGH, RTM_DELNEIGH):
        assert_mended("strict", refused, world.is_closed)
        assert_mended("docker", refused, lambda: world.state() == before)
        assert neighbours_talk(world)
    world.bed.write(file())
    assert world.bed.harborwall("apply", env=refusing(RTM_NEWNEIGH)).returncode == 1
    world.apply("docker")
    assert world.state() == before, "without the mark nothing was begun"


@two_engines
def test_a_second_instance_with_another_file_changes_nothing(world):
    world.apply()
    daemon = world.bed.run_daemon()
    daemon.wait_log("following the engine")
    before, path = everything(world), world.bed.folder.name + "/other.json"
    with open(path, "w", encoding="utf-8") as f:
        f.write(engine.json.dumps(file("docker")))
    for verb in ("run", "apply", "clear"):
        done = world.lab.run(engine.HARBORWALL, verb, "-c", path, check=False, env={"HARBORWALL_STATE": "/run/other-state.json", "HARBORWALL_LISTEN": "/run/other.sock"})
        assert done.returncode != 0, (verb, done.stdout, done.stderr)
        assert everything(world) == before, (verb, done.stdout, done.stderr)
    assert not neighbours_talk(world)
    daemon.end()
