# SPDX-License-Identifier: GPL-2.0-or-later
"""apply --confirm by packets: what is tried passes until the time is over, live connections included; what passed
before passes all the time; and a file whose tests do not hold on this host is not kept."""
import json
import os
import time

import bed as beds
import docker29
import engine
import pytest
from talks import Talk, assert_stand, still_heard

DB, WEB = "172.18.121.2", "172.18.120.2"
OLD = {"networks": {"front": {"subnet": "172.18.120.0/24"}, "back": {"subnet": "172.18.121.0/24"}},
       "ips": {WEB: {"container_name": "web"}, DB: {"container_name": "db"}},
       "policies": [{"selector": "db", "from": "web", "port": 5432}]}
NEW = {**OLD, "policies": OLD["policies"] + [{"selector": "db", "from": "web", "port": 7000}, {"selector": "db", "from": "web", "port": 80}],
       "tests": [{"from": "web", "to": "db", "port": 80, "expect": "open"}]}
SECONDS = 12


CELLS = [(v, "nftables") for v in ("20", "26", "28", "29")] + [("28", "iptables-nft"), ("20", "iptables-legacy")]


@pytest.fixture(params=CELLS, ids=lambda cell: f"docker {cell[0]}, {cell[1]}")
def host(request):
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    with docker29.lab_of(f"confirm{os.getpid()}", version, legacy=backend == "iptables-legacy") as lab, \
            beds.Bed(lab, tcp=[80, 5432], env={"HARBORWALL_BACKEND": backend}) as bed:
        for name in ("web", "db"):
            bed.docker.create(name)
        bed.write(OLD)
        bed.new = os.path.join(bed.folder.name, "new.json")
        with open(bed.new, "w", encoding="utf-8") as f:
            json.dump(NEW, f)
        bed.daemon = bed.run_daemon()
        assert engine.wait_for(lambda: bed.status().get("healthy")), bed.daemon.log()
        bed.prober.serve_at("db")
        yield bed


def ways(bed):
    return [bool(bed.prober.open("web", DB, "tcp", port, 0.5)) for port in (5432, 80)]


def test_what_is_tried_passes_until_the_time_is_over(host):
    assert ways(host) == [True, False]
    done = host.harborwall("apply", "--confirm", str(SECONDS), host.new)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ways(host) == [True, True]
    talk = Talk(host, "tcp", "web", "db", DB, 7000)
    assert_stand([talk])
    host.daemon.send(9)
    assert talk.lives()
    host.daemon = host.run_daemon()
    assert engine.wait_for(lambda: host.status().get("trial")), host.daemon.log()
    assert ways(host) == [True, True] and talk.lives()
    assert engine.wait_for(lambda: not host.status().get("trial"), 2 * SECONDS), host.daemon.log()
    ended = time.monotonic()
    assert ways(host) == [True, False]
    assert not still_heard([talk], ended + 0.5)
    talk.end()
    assert host.status()["healthy"]


def test_the_tests_confirm_only_what_holds_on_this_host(host):
    other = "add table inet other; add chain inet other f { type filter hook forward priority 5; }; add rule inet other f tcp dport 80 drop"
    host.lab.run("nft", other)
    done = host.harborwall("apply", "--confirm", "tests", host.new)
    assert done.returncode == 1 and "tests[0]" in done.stdout and "going back" in done.stderr, done.stdout + done.stderr
    assert engine.wait_for(lambda: host.status()["healthy"] and not host.status()["trial"]), host.daemon.log()
    host.lab.run("nft", "delete table inet other")
    assert ways(host) == [True, False]
    done = host.harborwall("apply", "--confirm", "tests", host.new)
    assert done.returncode == 0 and "confirmed" in done.stdout, done.stdout + done.stderr
    assert ways(host) == [True, True]
    with open(host.file, encoding="utf-8") as f:
        assert json.load(f) == NEW
