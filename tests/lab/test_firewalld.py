# SPDX-License-Identifier: GPL-2.0-or-later
"""A real firewalld before the engine: what its reloads flush is back, and what it refuses itself is said.
HARBORWALL_ROUNDS says how often it reloads."""
import os
import statistics

import bed as beds
import engine
import pytest
import seed
from reloads import converged, governed, reload, settled
from test_cells import REPORT, assert_nobody_gets_in_with_a_borrowed_source, assert_noop, clear

CELLS = [("20", False, "nftables"), ("28", False, "nftables"), ("20", True, "iptables"), ("28", False, "iptables")]
ROUNDS = int(os.environ.get("HARBORWALL_ROUNDS", "2"))
TIMES = {}  # what -> (median, worst) ms


def cell_name(cell):
    version, legacy, firewalld = cell
    return f"docker {version}, {'iptables-legacy' if legacy else 'iptables-nft'}, firewalld on {firewalld}"


@pytest.fixture(params=CELLS, ids=cell_name)
def cell(request):
    from conftest import need_engine
    version, legacy, firewalld = request.param
    need_engine(version)
    need_engine("firewalld")
    with engine.Lab(f"fw{os.getpid()}", version, legacy=legacy, firewalld=firewalld) as lab:
        lab.peer()
        with beds.Bed(lab) as bed:
            bed.name = cell_name(request.param)
            seed.containers(bed)
            bed.write(seed.widened())
            yield bed


def test_what_a_reload_flushes_is_back(cell):
    bed = cell
    bed.apply()
    bed.assert_matrix()
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    assert_noop(bed)
    daemon = bed.run_daemon({"WATCH_PERIOD_SECONDS": "3600"})
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: converged(bed), timeout=10)
    for option, rounds in (("--reload", ROUNDS), ("--complete-reload", 1)):
        took = [reload(bed, daemon, option)[1] for _ in range(rounds)]
        TIMES[f"{bed.name}, firewall-cmd {option}"] = (statistics.median(took), max(took))
        assert_nobody_gets_in_with_a_borrowed_source(bed)
    fought = [line for line in daemon.log().splitlines() if "keeps undoing" in line]
    assert not fought, fought  # Docker begins anew, and ours follow: nobody fights, and nothing waits
    daemon.end()
    assert_noop(bed)
    clear(bed)
    assert not beds.remains(bed)
    REPORT[bed.name] = bed.docker.call("GET", "/version")["Version"]


def bridge(bed, network):
    data = bed.docker.networks()[network]
    return data["Options"].get("com.docker.network.bridge.name", f"br-{data['Id'][:12]}")


@pytest.mark.parametrize("lab", [{"version": "28", "firewalld": "nftables"}], indirect=True, ids=["docker 28"])
def test_bridges_go_back_into_their_zone_without_waiting_for_dockerd(bed):
    """Which is frozen here: it would take a second."""
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.assert_matrix()
    daemon = bed.run_daemon({"WATCH_PERIOD_SECONDS": "3600"})
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: converged(bed), timeout=10)
    reload(bed, daemon, "--reload")
    daemon.wait_log("firewalld reloaded")  # so it has logged in at the bus by now
    bridges = {bridge(bed, n.get("name", key)) for key, n in bed.config["networks"].items()}
    with open(f"{bed.lab.folder}/dockerd.pid", encoding="ascii") as f:
        dockerd = f.read().strip()
    asker = bed.prober.agents["publicbackend"]  # found before, for the engine is asked where it lives

    def answered(port, timeout):
        asker.ask("probe", targets=[["172.18.103.2", "tcp", port]], timeout=timeout)
        return asker.answer()[0]
    assert answered(80, 0.7)
    bed.lab.run("kill", "-STOP", dockerd)
    try:
        bed.lab.run("firewall-cmd", "--reload")
        assert engine.wait_for(lambda: answered(80, 0.05), timeout=20), daemon.log()[-3000:]
        assert not answered(8080, 0.7)
        zone = set(bed.lab.run("firewall-cmd", "--zone=docker", "--list-interfaces").stdout.split())
        assert zone == bridges, daemon.log()[-3000:]  # and nobody else's
    finally:
        bed.lab.run("kill", "-CONT", dockerd)
    assert engine.wait_for(lambda: settled(bed), timeout=60)
    bed.assert_matrix(lambda key: governed(bed, key))
    daemon.end()


# --- what firewalld itself refuses ---

OUTSIDE = {"selector": "smarthostloadbalancer", "from": "192.0.2.2", "port": 443}
POLICY = ["--new-policy=to-containers", "--policy=to-containers --add-ingress-zone=ANY",
          "--policy=to-containers --add-egress-zone=docker", "--policy=to-containers --set-target=ACCEPT"]


def warnings(bed):
    return [li for li in bed.harborwall("plan").stdout.splitlines() if "firewalld refuses" in li]


@pytest.mark.parametrize("lab", [{"version": "20", "firewalld": "nftables"}], indirect=True, ids=["docker 20"])
def test_what_firewalld_refuses_is_said_and_the_remedy_works(bed):
    seed.containers(bed)
    config = seed.widened()
    config["policies"].append(OUTSIDE)
    bed.write(config)
    bed.apply()
    bed.prober.serve_at("smarthostloadbalancer")
    # by packets: an accept of ours ends only its own chain, firewalld's comes behind it
    assert not bed.prober.open("peer", "172.18.103.2", "tcp", 443)
    assert bed.prober.open("peer", "192.0.2.1", "tcp", 81)  # translated ones it takes
    said = warnings(bed)
    assert len(said) == 1 and "policies[4]" in said[0] and "target ACCEPT" in said[0], said
    found = bed.harborwall("doctor")
    assert found.returncode == 2 and "firewalld refuses" in found.stdout and "firewalld" in found.stdout
    for command in POLICY:
        bed.lab.run("firewall-cmd", "--permanent", *command.split())
    bed.lab.run("firewall-cmd", "--reload")
    assert engine.wait_for(lambda: bed.harborwall("apply", "-q").returncode == 0 and settled(bed), timeout=30)
    assert not warnings(bed)
    assert bed.prober.open("peer", "172.18.103.2", "tcp", 443)
    assert not bed.prober.open("peer", "172.18.103.2", "tcp", 8080)
