# SPDX-License-Identifier: GPL-2.0-or-later
"""What others change about our table itself, in packets: a table that sleeps, or in which more stands than ours."""
import bed as beds
import engine
import pytest
import seed

ENGINES = ("20", "26", "28")
DORMANT = "add table inet harborwall { flags dormant; }"
SET_IN_A_RULE = "insert rule inet harborwall forward ip daddr { 172.18.103.2, 172.18.103.9 } drop"


def labs(**more):
    return pytest.mark.parametrize("lab", [{"version": v, **more} for v in ENGINES], indirect=True,
                                   ids=[f"docker {v}" for v in ENGINES])


def started(bed):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.assert_matrix(bed.into_managed)


@labs(options=["--iptables=false"])
def test_a_sleeping_table_that_alone_closes_networks_is_woken(lab):
    with beds.Bed(lab) as bed:
        started(bed)
        lab.run("nft", DORMANT)
        assert bed.prober.open("bystander", "172.18.103.2", "tcp", 8080), "it is open to everybody meanwhile"
        planned = bed.harborwall("plan")
        assert planned.returncode == 2 and "the table is dormant" in planned.stdout, planned.stdout + planned.stderr
        bed.apply()
        assert not bed.prober.open("bystander", "172.18.103.2", "tcp", 8080)
        bed.assert_matrix(bed.into_managed)
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        lab.run("nft", DORMANT)
        assert engine.wait_for(lambda: not bed.prober.open("bystander", "172.18.103.2", "tcp", 8080, 0.1)), daemon.log()
        bed.assert_matrix(bed.into_managed)


@labs()
@pytest.mark.shared
def test_a_sleeping_table_lets_what_is_declared_pass_again(bed):
    started(bed)
    bed.lab.run("nft", DORMANT)
    assert not bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80)
    bed.apply()
    bed.assert_matrix(bed.into_managed)


@labs()
@pytest.mark.shared
def test_a_foreign_rule_with_a_set_of_its_own_in_our_chain_goes(bed):
    started(bed)
    bed.lab.run("nft", SET_IN_A_RULE)
    assert not bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80)
    bed.apply()
    bed.assert_matrix(bed.into_managed)
