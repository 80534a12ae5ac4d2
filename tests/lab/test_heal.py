# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon puts right what others undo, before a person notices. Times are printed, and bounded widely:
they are this machine's. HARBORWALL_ROUNDS says how often each thing is done."""
import os
import statistics
import time

import bed as beds
import engine
import pytest
import seed

ROUNDS = int(os.environ.get("HARBORWALL_ROUNDS", "3"))
TIMES = {}


@pytest.fixture(params=["20", "28"], ids=lambda v: f"docker {v}")
def running(request):
    from conftest import need_engine
    need_engine(request.param)
    with engine.Lab("heal", request.param) as lab:
        lab.peer()
        with beds.Bed(lab) as bed:
            seed.containers(bed)
            bed.write(seed.widened())
            bed.apply()
            bed.daemon = bed.run_daemon()
            bed.daemon.wait_log("following the engine")
            bed.prober.serve_at("smarthostloadbalancer")
            time.sleep(0.5)
            yield bed


def heal(bed, what, disturb, healed, limit):
    """Median over the rounds of the time from the cause to the cure."""
    took = []
    for _ in range(ROUNDS):
        time.sleep(0.3)  # a pass that just was holds the next one back
        disturb()
        started = time.monotonic()
        assert engine.wait_for(healed, timeout=limit, step=0.002), f"{what}: not healed\n{bed.daemon.log()[-3000:]}"
        took.append(1000 * (time.monotonic() - started))
    TIMES[f"docker {bed.lab.version}: {what}"] = statistics.median(took)


def reaches(bed, timeout=0.02):
    return bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80, timeout=timeout)


def test_what_others_undo_is_made_right(running):
    bed, run = running, running.lab.run
    heal(bed, "table deleted", lambda: run("nft", "delete", "table", "inet", "harborwall"), lambda: reaches(bed), 3)
    heal(bed, "hand-off rule deleted", lambda: run("iptables", "-D", "DOCKER-USER", "1"), lambda: reaches(bed), 3)
    heal(bed, "element deleted", lambda: run("nft", "flush", "set", "inet", "harborwall", "allow"), lambda: reaches(bed), 3)
    heal(bed, "rule put before ours", lambda: run("iptables", "-I", "DOCKER-USER", "-s", "203.0.113.9", "-j", "DROP"),
         lambda: "harborwall" in run("iptables", "-S", "DOCKER-USER").stdout.splitlines()[1], 3)

    def in_container():
        return "masquerade" in bed.lab.inside("wireguardproxy", "nft", "list", "ruleset").stdout
    heal(bed, "table in a container flushed", lambda: bed.lab.inside("wireguardproxy", "nft", "delete", "table", "inet",
                                                                      "harborwall"), in_container, 3)

    def routed():
        return "172.18.103.0/24" in bed.lab.inside("publicbackend", "ip", "route").stdout
    heal(bed, "route deleted", lambda: bed.lab.inside("publicbackend", "ip", "route", "del", "172.18.103.0/24"), routed, 3)
    bed.assert_matrix()


def test_a_flushed_ruleset_is_closed_at_once(running):
    bed = running

    def right():
        table = bed.lab.run("nft", "list", "table", "inet", "harborwall", check=False).stdout
        return "closed" in table and reaches(bed)
    heal(bed, "nft flush ruleset", lambda: bed.lab.run("nft", "flush", "ruleset"), right, 3)
    bed.assert_matrix(bed.into_managed)


def test_an_engine_that_restarts_or_dies_is_followed(running):
    bed = running
    for what in ("restart", "kill9"):
        bed.lab.engine(what)
        if what == "kill9":
            bed.lab.engine("start")
        bed.prober.__exit__()
        for name in ("smarthostloadbalancer", "smarthostbackend-1", "publicbackend", "wireguardproxy", "bystander"):
            bed.docker.start(name)
        bed.lab.tunnel("wireguardproxy", "wg0")
        started = time.monotonic()
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=8), bed.daemon.log()[-3000:]
        TIMES[f"docker {bed.lab.version}: engine {what}"] = 1000 * (time.monotonic() - started)
        bed.assert_matrix()
