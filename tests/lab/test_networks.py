# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks and connections on real engines: what stands in the way of them, what they keep, what they are replaced by."""
import pytest

ENGINES = ["20", "26", "28"]
every_engine = pytest.mark.parametrize("lab", [{"version": v} for v in ENGINES], indirect=True, ids=ENGINES)

CONFIG = {
    "networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
    "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
    "policies": [{"selector": "api", "from": "proxy", "port": 80}],
}


def with_networks(**networks):
    return {**CONFIG, "networks": {**CONFIG["networks"], **networks}}


def containers(bed, *names):
    for name in names:
        bed.docker.create(name)


def assert_only_port_80(bed):
    """What the one policy admits passes, and nothing beside it."""
    bed.prober.serve_at("proxy", "api")
    assert bed.prober.open("proxy", "172.18.104.2", "tcp", 80) == ("api", "172.18.103.2")
    assert not bed.prober.open("proxy", "172.18.104.2", "tcp", 81)
    assert not bed.prober.open("api", "172.18.103.2", "tcp", 80)


@every_engine
def test_a_tunnel_that_takes_everything_stops_no_network_and_one_conflict_not_the_others(bed):
    """Half of everything into a tunnel, as VPN clients route; everything private dropped; a part of one subnet in use."""
    bed.lab.run("sh", "-ec", """
        ip link add tun9 type bridge; ip addr add 10.9.9.1/24 dev tun9; ip link set tun9 up
        ip route add 0.0.0.0/1 via 10.9.9.2; ip route add 128.0.0.0/1 via 10.9.9.2; ip route add blackhole 172.16.0.0/12
        ip route add 172.18.105.128/25 via 10.9.9.2""")
    containers(bed, "proxy", "api")
    bed.write(with_networks(taken={"subnet": "172.18.105.0/24"}))
    done = bed.harborwall("apply")
    assert done.returncode == 1 and "conflict: networks.taken: subnet 172.18.105.0/24 overlaps 172.18.105.128/25" in done.stdout
    assert {"web", "back"} < set(bed.docker.networks()) and "taken" not in bed.docker.networks()
    assert_only_port_80(bed)
