# SPDX-License-Identifier: GPL-2.0-or-later
"""The same packets everywhere: engines x the variant of iptables that Docker uses x our backends."""
import bed as beds
import engine
import pytest
import seed

CELLS = [(version, legacy, backend) for version in ("20", "26", "28") for legacy in (False, True)
         for backend in ("nftables", "iptables-legacy" if legacy else "iptables-nft")]
REPORT = []


def cell_name(cell):
    version, legacy, backend = cell
    return f"docker {version}, {'iptables-legacy' if legacy else 'iptables-nft'}, {backend}"


@pytest.fixture(params=CELLS, ids=cell_name)
def cell(request):
    """A bed in which the widened example stands."""
    from conftest import need_engine
    version, legacy, backend = request.param
    need_engine(version)
    with engine.Lab("cell", version, legacy=legacy) as lab:
        lab.peer()
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.before = beds.rule_dumps(lab)
            bed.write(seed.widened())
            bed.apply()
            bed.name = cell_name(request.param)
            bed.exact = bed.docker.call("GET", "/version")["Version"]
            yield bed


def assert_noop(bed):
    posts, before = bed.lab.posts(), beds.rule_dumps(bed.lab)
    planned = bed.harborwall("plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "nothing to do" in bed.apply().stdout
    assert bed.lab.posts() == posts and beds.rule_dumps(bed.lab) == before


def test_the_matrix_and_what_the_engine_does_to_it(cell):
    """One engine for all of it: starting one costs more than the questions."""
    bed, docker = cell, cell.docker
    clear(bed)
    assert beds.rule_dumps(bed.lab) == bed.before
    bed.apply()
    bed.assert_matrix()
    assert_noop(bed)
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    # a policy less, a policy more
    config = bed.config
    gone = config["policies"].pop(0)
    config["policies"].append({"selector": "smarthostbackend-1", "from": "publicbackend", "port": 8080})
    config["policies"].append({"selector": "publicbackend", "from": "smarthostloadbalancer", "port": "8000-8100"})
    bed.write(config)
    bed.apply()
    bed.assert_matrix()
    config["policies"].insert(0, gone)
    bed.write(config)
    bed.apply()
    # what the engine does to it
    docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    docker.restart("smarthostloadbalancer")
    bed.apply()
    bed.assert_matrix()
    bed.lab.engine("restart")
    bed.prober.__exit__()
    for name in ("smarthostloadbalancer", "smarthostbackend-1", "publicbackend", "wireguardproxy", "bystander"):
        docker.start(name)
    bed.lab.tunnel("wireguardproxy", "wg0")
    bed.apply()
    bed.assert_matrix()
    assert_noop(bed)
    clear(bed)
    assert not beds.remains(bed)
    REPORT.append((bed.name, bed.exact))


def clear(bed):
    done = bed.harborwall("clear", "--networks")
    assert done.returncode == 0, done.stdout + done.stderr


def assert_nobody_gets_in_with_a_borrowed_source(bed):
    honest = ("publicbackend", "172.18.104.3", "172.18.103.2", "tcp", 80, "smarthostloadbalancer")
    thieves = [(who, "172.18.104.3", "172.18.103.2", "tcp", 80, "smarthostloadbalancer")
               for who in ("peer", "bystander", "wireguardproxy")]
    assert bed.prober.spoof([honest, *thieves]) == [honest]
