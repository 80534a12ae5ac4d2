# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that init writes of a host changes nothing there, and, learned, keeps what was seen."""
import json
import os
import subprocess

import bed as beds
import engine
import pytest

NETWORKS = {"front": "172.30.1.0/24", "back": "172.30.2.0/24"}


@pytest.fixture
def host(lab):
    with beds.Bed(lab, tcp=[80, 5432, 5433], udp=[53]) as bed:
        for name, subnet in NETWORKS.items():
            bed.docker.call("POST", "/networks/create", {"Name": name, "Internal": name == "back",
                                                         "IPAM": {"Config": [{"Subnet": subnet}]}})
        for name, network in (("web", "front"), ("other", "front"), ("db", "back"), ("loner", "bridge")):
            bed.docker.create(name, network=network, publish={"8080": 80} if name == "web" else None)
        yield bed


def init(bed, *options):
    done = bed.lab.run(engine.HARBORWALL, "init", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def address(bed, name, network):
    return bed.docker.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]


@pytest.mark.parametrize("lab", [{"version": "20"}, {"version": "28"}], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_a_file_of_a_host_changes_nothing_there(host):
    text = init(host)
    config = json.loads(text)
    assert set(config["networks"]) == set(NETWORKS) and config["networks"]["back"]["internal"] is True
    assert {a["container_name"] for a in config["ips"].values()} == {"web", "other", "db"}
    assert any("8080 -> web 80/tcp" in line for line in config["x-published"])
    assert any(line.startswith("loner: ") for line in config["x-left-out"])
    host.write_text(text)
    assert host.harborwall("check").returncode == 0
    plan = json.loads(host.harborwall("plan", "--json").stdout)
    assert not [s for s in plan["steps"] if s["object"] in ("network", "connection")] and not plan["findings"], plan
    before = {name: address(host, name, network) for name, network in (("web", "front"), ("db", "back"))}
    host.apply()
    assert before == {name: address(host, name, network) for name, network in (("web", "front"), ("db", "back"))}
    assert host.harborwall("plan").returncode == 0


SEEN = [("web", "db", "tcp", 5432), ("web", "db", "tcp", 5433), ("db", "web", "udp", 53)]


@pytest.mark.parametrize("lab", [{"version": "20"}], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_is_learned_keeps_what_was_seen(host):
    host.lab.run("iptables", "-I", "DOCKER-USER", "-j", "ACCEPT", check=True)  # what stood before: everybody reaches everybody
    ips = {"web": address(host, "web", "front"), "db": address(host, "db", "back")}
    host.prober.serve_at("web", "db", "other")
    for source, target, proto, port in (*SEEN, ("other", "web", "tcp", 80)):  # the last one is on one network: no policy decides
        assert host.prober.open(source, ips[target], proto, port), (source, target, port)
    text = init(host, "--learn", "1")
    policies = json.loads(text)["policies"]
    assert [{k: v for k, v in p.items() if k != "comment"} for p in policies] == [
        {"container_name": "db", "from": "web", "port": [5432, 5433]}, {"container_name": "web", "from": "db", "port": 53, "proto": "udp"}]
    assert policies[0]["comment"] == "seen 2 times" and policies[1]["comment"] == "seen 1 time"
    host.write_text(text)
    assert host.harborwall("check").returncode == 0
    host.apply()
    host.lab.run("iptables", "-D", "DOCKER-USER", "-j", "ACCEPT", check=True)
    for source, target, proto, port in SEEN:
        assert host.prober.open(source, ips[target], proto, port), (source, target, port)
    assert not host.prober.open("other", ips["db"], "tcp", 5432) and not host.prober.open("web", ips["db"], "tcp", 80)


@pytest.mark.parametrize("wrong", ["0", "x", "1h", "-3", "99999999"])
def test_a_time_that_is_none_is_named(wrong):
    if os.geteuid():
        pytest.skip("needs root")
    done = subprocess.run([engine.HARBORWALL, "init", f"--learn={wrong}"], text=True, capture_output=True, check=False)
    assert done.returncode == 1 and f'--learn: expected seconds, 1 to 86400, found "{wrong}"' in done.stderr and not done.stdout
