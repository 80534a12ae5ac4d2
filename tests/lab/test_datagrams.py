# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of a sender that goes on: an entry of conntrack is translated by its first packet or never, so what was
there before a translation must begin anew."""
import time

import bed as beds
import engine
import pytest
import seed
import talks
from talks import Talk

CELLS = [(v, b) for v in ("20", "26", "28") for b in ("nftables", "iptables-nft", "iptables-legacy") if v != "26" or b == "nftables"]


@pytest.fixture(params=CELLS, ids=lambda c: f"docker {c[0]}, {c[1]}")
def bed(request):
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    with engine.Lab(f"datagrams{version}", version, legacy=backend == "iptables-legacy") as lab:
        lab.peer()
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.write(seed.widened())
            bed.apply()
            yield bed


def arrives(talk, timeout=5):
    """At the server, which is on two networks and answers by either: what it says is not looked at."""
    since = time.monotonic()
    return engine.wait_for(lambda: talk.heard(since)[0], timeout)


def dnat(port, **more):
    return {"selector": "smarthostloadbalancer", "nat": "dnat", "iface": "ext0", "to": "smarthostloadbalancer", "port": port,
            "proto": "udp", **more}


def test_a_translation_of_the_host_catches_who_sent_before_it_came(bed):
    caught = Talk(bed, "udp", "peer", "smarthostloadbalancer", beds.HOST_IP, 7020)
    beside = talks.spawn(bed, "peer", "call", "udp", beds.HOST_IP, "7021")
    time.sleep(1)
    assert not any(caught.heard())
    before = bed.lab.run("conntrack", "-L", "-o", "id", "-p", "udp", "--dport", "7021").stdout
    assert "id=" in before and "dport=7020" in bed.lab.run("conntrack", "-L", "-p", "udp").stdout
    bed.config["policies"].append(dnat(7020))
    bed.write(bed.config)
    bed.apply()
    assert arrives(caught)
    # what the host itself is asked on another port is left alone
    after = bed.lab.run("conntrack", "-L", "-o", "id", "-p", "udp", "--dport", "7021").stdout
    assert after.rsplit("id=", 1)[1] == before.rsplit("id=", 1)[1]
    beside.process.kill()


def test_a_translating_container_that_restarts_catches_who_went_on(bed):
    """Its tunnel is up before our rules are, and Docker's rules for names made it track connections."""
    bed.config["ips"]["172.18.104.9"] = {"container_name": "wireguardproxy"}
    bed.config["policies"].append(dnat(7022, iface="wg0", name="wireguardproxy"))
    bed.write(bed.config)
    bed.apply()
    relayed = Talk(bed, "udp", "client", "smarthostloadbalancer", beds.TUNNEL_IP, 7022)
    assert arrives(relayed)
    relayed.client.process.kill()
    bed.docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    relayed.client = talks.spawn(bed, "client", "call", "udp", beds.TUNNEL_IP, "7022")
    time.sleep(1)
    assert not arrives(relayed, 0.5)
    assert "dport=7022" in bed.lab.inside("wireguardproxy", "conntrack", "-L", "-p", "udp").stdout
    bed.apply()
    assert arrives(relayed)
