# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a translation when the container that it lives in is removed: nothing that arrives by the host's own
interface of that name is translated."""
import bed as beds
import engine
import pytest

ENGINES = ["20", "28"]
every_engine = pytest.mark.parametrize("lab", [{"version": v} for v in ENGINES], indirect=True, ids=ENGINES)
WG0 = ("client", "10.66.0.1", "tcp", 80)


def config(name="wireguard"):
    return {
        "networks": {"web": {"subnet": "172.18.103.0/24"}},
        "ips": {"172.18.103.2": {"container_name": "proxy"}},
        "policies": [
            {"container_name": "proxy", "nat": "dnat", "name": name, "iface": "wg0", "to": "proxy", "port": 80}]}


def own_wg0(bed):
    """The client's tunnel now ends on the host."""
    bed.lab.run("sh", "-ec", """
        ip netns del client; ip netns add client
        ip link add wg0 type veth peer name eth0 netns client
        ip addr add 10.66.0.1/24 dev wg0; ip link set wg0 up
        ip -n client addr add 10.66.0.2/24 dev eth0; ip -n client link set eth0 up""")
    bed.tunnels = {}


def asks(bed):
    agent = bed.prober.agents.pop(beds.CLIENT, None)
    if agent:
        agent.close()
    bed.prober.serve_at("proxy")
    return bed.prober.open(*WG0)


@pytest.fixture
def vpn(bed):
    """With the tunnel's end in the container."""
    bed.docker.create("proxy")
    bed.docker.create("wireguard", privileged_net=True)
    bed.wire_tunnel("wireguard")
    bed.write(config())
    return bed


@every_engine
def test_apply_leaves_what_comes_by_the_hosts_own_wg0_alone(vpn):
    vpn.apply()
    assert asks(vpn)[0] == "proxy"
    vpn.docker.remove("wireguard")
    own_wg0(vpn)
    done = vpn.apply()
    assert 'waiting: policies[0]: there is no container "wireguard" any more' in done.stdout
    assert asks(vpn) is None
    vpn.write(config(name="nobody"))
    assert 'there is no container "nobody"; the rule is on the host' in vpn.apply().stdout
    assert asks(vpn)[0] == "proxy", "what never was a container is the host's"


@every_engine
def test_the_daemon_leaves_what_comes_by_the_hosts_own_wg0_alone(vpn):
    daemon = vpn.run_daemon()
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: asks(vpn), timeout=5)[0] == "proxy"
    vpn.docker.remove("wireguard")
    own_wg0(vpn)
    daemon.wait_log("any more")
    assert asks(vpn) is None
    daemon.end()
    again = vpn.run_daemon()
    again.wait_log("any more")
    assert asks(vpn) is None
