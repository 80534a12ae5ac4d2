# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of doctor that need no real engine: each finding with its remedy, exit 2, and the same in JSON."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import CONFIG, HARBORWALL, Case, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402


def findings(done):
    """check -> texts of what is not right."""
    assert done.returncode in (0, 2), done.stdout + done.stderr
    page = json.loads(done.stdout)
    found = {}
    for row in page["checks"]:
        if not row["ok"]:
            found.setdefault(row["check"], []).append(row["text"])
    assert page["findings"] == sum(len(texts) for texts in found.values()) and (done.returncode == 2) == bool(found)
    return found


def inside(case, command):
    subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", *command.split()], check=True)


def without(case, capability):
    argv = ["nsenter", "-t", str(case.holder.pid), "-n", "setpriv", f"--bounding-set=-{capability}", HARBORWALL, "doctor", "--json",
            "-c", f"{case.folder}/networks.json"]
    return subprocess.run(argv, text=True, capture_output=True, check=False,
                          env={"PATH": os.environ["PATH"], "DOCKER_HOST": case.host, "ASAN_OPTIONS": "detect_leaks=0"})


def rows(done, check):
    return [(row["ok"], row["text"]) for row in json.loads(done.stdout)["checks"] if row["check"] == check]


def set_switch(case, name, value):
    subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", "sysctl", "-qw", f"{name}={value}"], check=True)


def test_forwarding_that_is_off_is_a_finding_until_it_is_on(case, engine):
    set_switch(case, "net.ipv4.ip_forward", 0)
    assert "apply turns it on" in findings(case.run("doctor", "--json"))["forwarding"][0]
    set_switch(case, "net.ipv4.ip_forward", 1)
    assert "forwarding" not in findings(case.run("doctor", "--json"))


@pytest.mark.parametrize("value, strict", [(0, False), (1, True), (2, False)])
def test_a_strict_rp_filter_is_a_finding(case, engine, value, strict):
    set_switch(case, "net.ipv4.conf.all.rp_filter", value)
    found = findings(case.run("doctor", "--json"))
    assert ("rp_filter" in found) == strict
    assert not strict or "net.ipv4.conf.all.rp_filter=2" in found["rp_filter"][0]


@pytest.mark.parametrize("name", ["sys_admin", "sys_ptrace"])
def test_a_capability_that_is_missing_is_named_with_the_flag_to_add(case, engine, name):
    assert [f"--cap-add {name.upper()}" in text for text in findings(without(case, name))["capabilities"]] == [True]


@pytest.mark.parametrize("variant", ["legacy", "nft"])
def test_net_raw_is_asked_for_where_docker_uses_iptables_legacy_alone(case, engine, variant):
    for command in ("-N DOCKER-USER", "-N DOCKER-ISOLATION-STAGE-1", "-I FORWARD -j DOCKER-ISOLATION-STAGE-1", "-I FORWARD -j DOCKER-USER"):
        inside(case, f"iptables-{variant} {command}")
    wanted = [(False, "NET_RAW is missing, which the tools of iptables-legacy demand; add --cap-add NET_RAW")]
    assert [row for row in rows(without(case, "net_raw"), "capabilities") if "NET_RAW" in row[1]] == (wanted if variant == "legacy" else [])
    had = [row for row in rows(case.run("doctor", "--json"), "capabilities") if "NET_RAW" in row[1]]
    assert had == ([(True, "NET_RAW")] if variant == "legacy" else [])


def test_a_firewalld_is_a_finding_while_no_daemon_puts_back_what_it_flushes(case, engine):
    assert not rows(case.run("doctor", "--json"), "firewalld")
    inside(case, "nft add table inet firewalld")
    assert "no daemon restores them; start harborwall run" in findings(case.run("doctor", "--json"))["firewalld"][0]
    daemon = Daemon(case, f"{case.folder}/networks.json")
    try:
        daemon.wait_log("following the engine")
        assert rows(case.run("doctor", "--json"), "firewalld") == [(True, "is running; the daemon restores what its reloads flush")]
    finally:
        daemon.process.kill()
        daemon.process.wait()


def test_podman_is_a_finding(case):
    with dockerd.Engine(case.folder, server="Libpod/4.3.1 (linux)"):
        done = case.run("doctor", "--json")
    assert "use Docker" in findings(done)["engine"][0]


def test_no_engine_is_a_finding(case):
    assert "start Docker" in findings(case.run("doctor", "--json"))["engine"][0]


def test_a_route_that_takes_a_networks_packets_away_is_a_finding(case, engine):
    engine.add_network("web", CONFIG["networks"]["web"]["subnet"])
    assert "overlap" not in findings(case.run("doctor", "--json"))
    for command in ("link add tun9 type bridge", "link set tun9 up", "route add 172.18.103.128/25 dev tun9"):
        subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", "ip", *command.split()], check=True)
    found = findings(case.run("doctor", "--json"))
    assert '"web"' in found["overlap"][0] and "tun9" in found["overlap"][0]


def test_a_running_network_go_is_a_finding(case, engine):
    engine.add_container("network-go", running=True)
    assert "docker rm -f network-go" in findings(case.run("doctor", "--json"))["network-go"][0]


def test_a_route_that_drops_a_networks_packets_is_a_finding_and_a_wider_one_is_none(case, engine):
    engine.add_network("web", CONFIG["networks"]["web"]["subnet"])
    inside(case, "ip route add blackhole 172.16.0.0/12")
    assert "overlap" not in findings(case.run("doctor", "--json"))
    inside(case, "ip route add blackhole 172.18.103.128/25")
    assert "172.18.103.128/25 leads to blackhole" in findings(case.run("doctor", "--json"))["overlap"][0]
