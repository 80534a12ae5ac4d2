# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose packets count as coming from where they say."""
import bed as beds
import engine
import pytest
import seed


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=["docker 20", "docker 28"])
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft"])
def test_a_network_that_comes_later_lends_nobody_an_outside_address(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        config = seed.widened()
        config["policies"].append({"selector": "smarthostloadbalancer", "from": beds.OUTSIDE, "port": 443})
        bed.write(config)
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        bed.docker.create_network("later", "172.30.7.0/24")
        bed.docker.create("latecomer", network="later")
        bed.prober.serve_at("smarthostloadbalancer", "latecomer", "peer")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        bed.assert_sources("172.18.103.2", [("tcp", 443), ("tcp", 80)], ("latecomer",))
        assert bed.prober.open("peer", "172.18.103.2", "tcp", 443)
        bed.docker.remove("latecomer")
        bed.docker.remove_network("later")
        assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        assert bed.prober.open("peer", "172.18.103.2", "tcp", 443)


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=["docker 20", "docker 28"])
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft"])
def test_what_the_host_routes_over_a_bridge_is_at_home_there_and_on_no_other(lab, backend):
    """A container that routes without translating: a network lies behind it."""
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        gate = bed.docker.addresses("wireguardproxy")["bridge"]
        lab.run("ip", "route", "add", "10.66.0.0/24", "via", gate)
        lab.inside("wireguardproxy", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        lab.run("ip", "-n", "client", "route", "replace", "default", "via", beds.TUNNEL_IP)
        config = seed.widened()
        config["policies"].append({"selector": "smarthostloadbalancer", "from": "10.66.0.0/16", "port": 443})
        bed.write(config)
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer", "client", "bystander", "peer")
        assert bed.prober.open("client", "172.18.103.2", "tcp", 443) == ("smarthostloadbalancer", beds.CLIENT_IP)
        attempts = [(who, source, "172.18.103.2", "tcp", 443, "smarthostloadbalancer")
                    for who in ("client", "bystander") for source in ("10.66.0.9", "10.66.1.9")]
        assert bed.prober.spoof(attempts) == attempts[:1]
