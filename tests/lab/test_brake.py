# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that lost its addresses is held: what stood goes on passing, who was closed out stays out, and what is undone
meanwhile is healed; until somebody accepts it."""
import json

import bed as beds
import engine
import pytest
import seed


@pytest.fixture(params=["20", "26", "28"], ids=lambda v: f"docker {v}")
def running(request, labs):
    from conftest import need_engine
    need_engine(request.param)
    lab = labs.take(version=request.param)
    with beds.Bed(lab) as bed:
        seed.containers(bed)
        bed.write(four())
        bed.daemon = bed.run_daemon()
        assert engine.wait_for(lambda: bed.status().get("healthy")), bed.daemon.log()
        yield bed
    labs.give_back(lab)


def four():
    config = seed.widened()
    config["ips"]["172.18.104.4"] = {"container_name": "wireguardproxy"}
    return config


def test_who_talked_talks_on_until_the_loss_is_accepted(running):
    bed = running
    bed.assert_matrix()
    lost = four()
    lost["ips"] = {}
    bed.write_text(json.dumps(lost))
    assert engine.wait_for(lambda: bed.status().get("held")), bed.daemon.log()
    held = bed.status()["held"]
    assert held["takes"].startswith("4 of 4 containers would be disconnected"), held
    bed.lab.run("nft", "delete", "table", "inet", "harborwall")
    assert engine.wait_for(lambda: bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80, 0.1), 10)
    bed.assert_matrix()  # as the file in force says: bed.config is still that one
    bed.daemon.send(1)  # HUP
    assert engine.wait_for(lambda: bed.status()["last_reason"] == "signal")
    assert bed.status()["held"] == held
    bed.assert_matrix()
    done = bed.lab.run(*[engine.HARBORWALL, *held["accept"].split()[1:]], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bed.config = lost
    bed.assert_matrix()
    assert not bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80, 0.3)
    assert not any(set(bed.docker.addresses(name)) & set(lost["networks"]) for name in bed.docker.containers())
    assert bed.status()["healthy"] and not bed.status()["held"]
