# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on a real engine: a file in, packets through, nothing else."""
import copy
import json
import os
import signal
import subprocess
import time

import bed as beds
import engine
import pytest
import randomconfig
import seed

SEEDS = [int(s) for s in os.environ.get("HARBORWALL_SEEDS", "1 2 3 4").split()]


def generations(bed):
    """nf_tables' transaction numbers, on the host and in every running container."""
    running = [n for n, c in bed.docker.containers().items() if c["State"]["Running"]]
    return {name: bed.prober.generation(name) for name in ["host", *running]}


def assert_converged(bed):
    """Nothing to plan, and an apply that writes nothing: no transaction, no call that changes the engine."""
    bed.prober.serve_at("host")
    before, posts = generations(bed), bed.lab.posts()
    done = bed.apply()
    assert "nothing to do" in done.stdout
    assert generations(bed) == before
    assert bed.lab.posts() == posts
    planned = bed.harborwall("plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr


@pytest.fixture
def standing(bed):
    """The seed's example, widened, applied."""
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    return bed


# --- the matrix ---

def test_the_seeds_own_file_is_enforced_to_the_letter(bed):
    seed.containers(bed)
    bed.write(seed.example())
    planned = bed.harborwall("plan")
    assert planned.returncode == 2 and "waiting" in planned.stdout
    bed.apply()
    got = bed.assert_matrix()
    assert got[("client", "10.66.0.1", "tcp", 80)][0] == "smarthostloadbalancer"
    assert_converged(bed)


def test_the_widened_example_is_enforced_to_the_letter(standing):
    got = standing.assert_matrix()
    assert got[("publicbackend", "172.18.103.2", "tcp", 80)] == ("smarthostloadbalancer", "172.18.104.3")
    assert got[("peer", "192.0.2.1", "tcp", 81)] == ("smarthostloadbalancer", "192.0.2.2")
    assert got[("peer", "172.18.103.2", "tcp", 81)] is None  # the translated port, asked directly
    assert_converged(standing)


@pytest.mark.parametrize("number", SEEDS)
def test_a_random_file_is_enforced_to_the_letter(bed, number):
    config = randomconfig.build(bed, number)
    bed.write(config)
    bed.apply()
    try:
        bed.assert_matrix()
        assert_converged(bed)
        randomconfig.change(config, number)
        bed.write(config)
        bed.apply()
        bed.assert_matrix()
    except AssertionError as e:
        raise AssertionError(f"seed {number}: {e}\n{json.dumps(config, indent=1)}") from e


def test_stopped_containers_are_connected_and_right_once_they_start(bed):
    for name, network in [("smarthostloadbalancer", "bridge"), ("smarthostbackend-1", "none"),
                          ("publicbackend", "bridge")]:
        bed.docker.create(name, network=network, start=False)
    bed.docker.create("wireguardproxy", privileged_net=True)
    bed.write(seed.widened())
    bed.apply()
    assert bed.docker.addresses("smarthostloadbalancer")["smarthost-loadbalancer"] == "172.18.103.2"
    for name in ("smarthostloadbalancer", "smarthostbackend-1", "publicbackend"):
        bed.docker.start(name)
    bed.apply()
    bed.assert_matrix()
    assert_converged(bed)


def test_a_wrong_address_is_made_right_and_swapped_addresses_too(standing):
    config = standing.config
    ips = config["ips"]
    a, b = ips["172.18.104.2"], ips["172.18.104.3"]
    ips["172.18.104.2"], ips["172.18.104.3"] = {**b, "ip": "172.18.104.2"}, {**a, "ip": "172.18.104.3"}
    standing.write(config)
    standing.apply()
    assert standing.docker.addresses("publicbackend")["smarthost_backend-1"] == "172.18.104.2"
    assert standing.docker.addresses("smarthostbackend-1")["smarthost_backend-1"] == "172.18.104.3"
    standing.assert_matrix()


def test_a_borrowed_source_address_gets_nobody_in(standing):
    flows = [("tcp", 80, "publicbackend", "172.18.104.3"), ("udp", 53, "smarthostbackend-1", "172.18.104.2")]
    for proto, port, owner, address in flows:
        honest = (owner, address, "172.18.103.2", proto, port, "smarthostloadbalancer")
        thieves = [(who, address, "172.18.103.2", proto, port, "smarthostloadbalancer")
                   for who in ("peer", "bystander", "wireguardproxy")]
        assert standing.prober.spoof([honest, *thieves]) == [honest]


# --- what left the file ---

def test_a_policy_that_left_the_file_is_closed_and_nothing_else_changes(standing):
    config = standing.config
    del config["policies"][0]
    standing.write(config)
    planned = standing.harborwall("plan", "--rules")
    assert planned.returncode == 2 and "closes  publicbackend -> smarthostloadbalancer 80/tcp" in planned.stdout
    assert "172.18.104.3 . 172.18.103.2 . tcp . 80" in planned.stdout
    assert standing.apply().stdout.count("\n") < 12
    got = standing.assert_matrix()
    assert got[("publicbackend", "172.18.103.2", "tcp", 80)] is None


def test_an_address_that_left_the_file_is_disconnected(standing):
    config = standing.config
    del config["ips"]["172.18.104.3"]
    standing.write(config)
    standing.apply()
    assert "smarthost_backend-1" not in standing.docker.addresses("publicbackend")
    assert "bridge" in standing.docker.addresses("publicbackend")
    standing.assert_matrix()


def test_a_network_that_left_the_file_goes_once_it_is_empty(standing):
    docker, config = standing.docker, standing.config
    docker.connect("smarthost_backend-1", "bystander")
    del config["networks"]["smarthost_backend-1"], config["ips"]["172.18.104.2"], config["ips"]["172.18.104.3"]
    standing.write(config)
    done = standing.apply()
    assert "still connected" in done.stdout and "smarthost_backend-1" in docker.networks()
    docker.disconnect("smarthost_backend-1", "bystander")
    standing.apply()
    assert "smarthost_backend-1" not in docker.networks()
    assert "elsewhere" in docker.networks()
    standing.assert_matrix()


def test_rules_of_others_stay_and_clear_leaves_the_host_as_it_was(bed):
    lab = bed.lab
    seed.containers(bed)
    lab.run("nft", "-f", "-", stdin="table inet mine { chain c { type filter hook input priority 0\ntcp dport 9 drop\n}\n}")
    lab.run("iptables", "-I", "DOCKER-USER", "-s", "203.0.113.7", "-j", "DROP")
    lab.run("iptables", "-N", "MINE")
    lab.run("iptables", "-A", "MINE", "-j", "RETURN")
    networks, addresses = bed.docker.networks().keys(), places(bed)
    before = beds.rule_dumps(lab)
    bed.write(seed.widened())
    bed.apply()
    during = beds.rule_dumps(lab)
    for line in before["iptables"]:
        assert line in during["iptables"]
    assert "table inet mine" in during["nft"]
    done = bed.harborwall("clear", "--networks")
    assert done.returncode == 0, done.stdout + done.stderr
    assert beds.rule_dumps(lab) == before
    assert bed.docker.networks().keys() == networks
    # a container that was on "none" now is nowhere, which is the same to it
    addresses["smarthostbackend-1"] = {}
    assert places(bed) == addresses
    again = bed.harborwall("clear", "--networks")
    assert again.returncode == 0 and "nothing to do" in again.stdout


def places(bed):
    return {name: bed.docker.addresses(name) for name in bed.docker.containers()}


@pytest.mark.parametrize("lab", [{"forward": True}, {"forward": False}], indirect=True,
                         ids=["forwarding was on", "forwarding was off"])
def test_forwarding_and_its_policy_are_given_back(lab, bed):
    seed.containers(bed)
    before = beds.rule_dumps(lab)
    bed.write(seed.widened())
    bed.apply()
    assert bed.harborwall("clear", "--networks").returncode == 0
    assert beds.rule_dumps(lab) == before


# --- the daemon ---

@pytest.fixture
def running(standing):
    standing.daemon = standing.run_daemon()
    standing.daemon.wait_log("following the engine")
    standing.prober.serve_at("smarthostloadbalancer")
    return standing


def tunnel_works(bed):
    return bed.prober.open("client", "10.66.0.1", "tcp", 80)


def test_translation_through_wg0_survives_a_restart_of_its_container(running):
    bed = running
    assert tunnel_works(bed)
    bed.docker.restart("wireguardproxy")
    started = time.monotonic()
    pid = str(bed.docker.inspect("wireguardproxy")["State"]["Pid"])
    assert engine.wait_for(lambda: "inet harborwall" in bed.lab.run(
        "nsenter", "-t", pid, "-n", "nft", "list", "tables").stdout, timeout=1.0)
    assert time.monotonic() - started < 1.0
    bed.lab.tunnel("wireguardproxy", "wg0")
    bed.prober.agents.pop("client").close()
    assert tunnel_works(bed)[0] == "smarthostloadbalancer"
    bed.assert_matrix()


def test_an_interface_that_is_not_there_is_noted_and_its_translation_works_once_it_comes(running):
    bed = running
    note = 'there is no interface "wg0" in container wireguardproxy: inactive until it exists'
    assert note not in bed.harborwall("plan").stdout
    bed.lab.inside("wireguardproxy", "ip", "link", "del", "wg0")
    planned = bed.harborwall("plan")
    assert planned.returncode == 0 and note in planned.stdout, planned.stdout
    bed.daemon.send(signal.SIGHUP)
    assert engine.wait_for(lambda: note in bed.harborwall("status").stdout, 5), bed.harborwall("status").stdout
    bed.lab.tunnel("wireguardproxy", "wg0")
    bed.prober.serve_at("smarthostloadbalancer")
    assert tunnel_works(bed)[0] == "smarthostloadbalancer" and not bed.prober.open("client", "10.66.0.1", "tcp", 443, 0.3)
    assert note not in bed.harborwall("plan").stdout
    bed.daemon.send(signal.SIGHUP)
    assert engine.wait_for(lambda: note not in bed.harborwall("status").stdout, 5)


def test_a_broken_file_changes_nothing_and_a_mended_one_is_taken_up(running):
    bed, config = running, copy.deepcopy(running.config)
    before = beds.rule_dumps(bed.lab)
    for text in ("{", "", json.dumps({**config, "networks": {}, "policies": [{"port": 70000}]})):
        refused = bed.daemon.log().count("what stands stays")
        bed.write_text(text)
        bed.daemon.wait_log("what stands stays", times=refused + 1)
    os.remove(bed.file)
    bed.daemon.wait_log("config unreadable")
    time.sleep(0.2)
    assert beds.rule_dumps(bed.lab) == before
    config["policies"].append({"selector": "smarthostloadbalancer", "from": "publicbackend", "port": 443})
    bed.write(config)
    assert engine.wait_for(lambda: bed.prober.open("publicbackend", "172.18.103.2", "tcp", 443), timeout=3)
    bed.assert_matrix()


def write_in_place(bed, text):
    with open(bed.file, "w", encoding="utf-8") as f:
        f.write(text)


def write_and_ask(bed, text):
    """Through a symlink that inotify has to follow, as configuration managers swap them."""
    folder = os.path.dirname(bed.file)
    os.makedirs(f"{folder}/..new", exist_ok=True)
    with open(f"{folder}/..new/networks.json", "w", encoding="utf-8") as f:
        f.write(text)
    os.symlink("..new/networks.json", f"{bed.file}.link")
    os.rename(f"{bed.file}.link", bed.file)


@pytest.mark.parametrize("write", [beds.Bed.write_text, write_in_place, write_and_ask])
def test_every_way_to_write_the_file_is_seen(running, write):
    config = copy.deepcopy(running.config)
    config["policies"].append({"selector": "smarthostloadbalancer", "from": "publicbackend", "port": 443})
    write(running, json.dumps(config))
    assert engine.wait_for(lambda: running.prober.open("publicbackend", "172.18.103.2", "tcp", 443), timeout=3)


def test_hup_makes_a_pass_and_term_leaves_everything_in_place(running):
    before = beds.rule_dumps(running.lab)
    running.lab.run("nft", "delete", "table", "inet", "harborwall")
    running.daemon.send(signal.SIGHUP)
    assert engine.wait_for(lambda: beds.rule_dumps(running.lab) == before)
    assert running.daemon.end() == 0
    assert beds.rule_dumps(running.lab) == before


def test_containers_that_come_later_are_taken_in(bed):
    bed.write(seed.widened())
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    seed.containers(bed)
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=5), daemon.log()
    bed.assert_matrix()


def test_an_idle_daemon_wakes_for_nothing(running, tmp_path):
    """Not one system call between two periods (which are 30 s apart)."""
    time.sleep(3)  # the pass that verifies is over, and curl has looked after its connection once
    trace = str(tmp_path / "trace")
    with subprocess.Popen(["strace", "-f", "-o", trace, "-p", str(running.daemon.pid)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as strace:
        time.sleep(5)
        strace.send_signal(signal.SIGINT)
    with open(trace, encoding="utf-8") as f:
        calls = [line for line in f if "(" in line and "strace: Process" not in line]
    # attaching interrupts the wait and lets it start again
    assert all("epoll_wait" in c or "restart_syscall" in c for c in calls) and len(calls) <= 2, "".join(calls)
