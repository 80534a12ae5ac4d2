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


# --- networks without a bridge ---

LAN = {"subnet": "192.0.2.0/24", "gateway": "192.0.2.254", "driver": "macvlan"}  # the peer's, whose wire to this host is ext0
BACKENDS = [("20", "nftables"), ("20", "iptables-legacy"), ("26", "iptables-nft"), ("28", "nftables"), ("28", "iptables-nft")]
every_backend = pytest.mark.parametrize(
    "lab, backend", [({"version": v, "legacy": b == "iptables-legacy"}, b) for v, b in BACKENDS], indirect=["lab"],
    ids=[f"docker {v}, {b}" for v, b in BACKENDS])


def with_lan(**lan):
    config = with_networks(lan={**LAN, **lan})
    return {**config, "ips": {**CONFIG["ips"], "192.0.2.50": {"container_name": "printer"}},
            "policies": [*CONFIG["policies"],
                         {"selector": "proxy", "nat": "dnat", "iface": "ext0", "to": "proxy", "port": 81},
                         {"selector": "printer", "from": "proxy", "port": 631}]}


def make_lan(bed):
    bed.docker.call("POST", "/networks/create", {
        "Name": "lan", "CheckDuplicate": True, "Driver": "macvlan", "Options": {"parent": "ext0"},
        "IPAM": {"Config": [{"Subnet": LAN["subnet"], "Gateway": LAN["gateway"]}]}})


def assert_the_lan_is_as_it_was(bed):
    """Who is on it reaches who is on it, comes in by the translation, and no other way."""
    bed.prober.serve_at("proxy", "printer", "peer")
    assert bed.prober.open("peer", "192.0.2.50", "tcp", 80) == ("printer", "192.0.2.2")
    assert bed.prober.open("printer", "192.0.2.2", "tcp", 80) == ("peer", "192.0.2.50")
    assert bed.prober.open("peer", "192.0.2.1", "tcp", 81) == ("proxy", "192.0.2.2")
    assert not bed.prober.open("peer", "192.0.2.1", "tcp", 80)
    assert not bed.prober.open("peer", "172.18.103.2", "tcp", 81)
    assert_only_port_80(bed)


@every_backend
def test_a_macvlan_network_is_neither_closed_nor_tied_to_a_bridge(bed, backend):
    bed.env["HARBORWALL_BACKEND"] = backend
    containers(bed, "proxy", "api", "printer")
    make_lan(bed)
    bed.write(with_lan())
    bed.apply()
    assert bed.docker.addresses("printer")["lan"] == "192.0.2.50"
    assert_the_lan_is_as_it_was(bed)
    assert "192.0.2.0/24" not in "".join(rules(bed)), "nothing of ours is about it"
    flush(bed, backend)  # nobody closes anything now, so we do
    bed.apply()
    assert_the_lan_is_as_it_was(bed)
    assert "192.0.2.0/24" not in "".join(rules(bed))


@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True)
def test_what_policies_can_do_for_a_macvlan_network_is_said_by_check_and_plan(bed):
    containers(bed, "proxy", "api", "printer")
    make_lan(bed)
    bed.write(with_lan())
    assert "lan has driver macvlan: what goes there does not pass this host" in bed.harborwall("check").stderr
    bed.write(with_lan(driver="bridge"))  # the engine knows better
    planned = bed.harborwall("plan").stdout
    assert 'warning: networks.lan: the Docker network "lan" has driver macvlan: its packets do not pass this host' in planned
    bed.apply()
    assert_the_lan_is_as_it_was(bed)


def rules(bed):
    """What stands of ours on the host, in whatever language."""
    nft = bed.lab.run("nft", "list", "ruleset").stdout
    saved = bed.lab.run("iptables-nft-save").stdout + bed.lab.run("iptables-legacy-save").stdout
    return [nft[nft.index("table inet harborwall"):]] if "table inet harborwall" in nft else \
        [line for line in saved.splitlines() if "HARBORWALL" in line]


def flush(bed, backend):
    if backend == "iptables-legacy":
        bed.lab.run("sh", "-ec", "for t in raw nat filter; do iptables-legacy -t $t -F; done; iptables-legacy -P FORWARD ACCEPT")
    else:
        bed.lab.run("nft", "flush", "ruleset")


# --- networks whose containers Docker keeps apart ---

ICC = "com.docker.network.bridge.enable_icc"
APART = {"networks": {"apart": {"subnet": "172.18.105.0/24", "options": {ICC: "false"}}},
         "ips": {"172.18.105.2": {"container_name": "db"}, "172.18.105.3": {"container_name": "app"},
                 "172.18.105.4": {"container_name": "other"}},
         "policies": [{"selector": "db", "from": "app", "port": 80}]}


def assert_kept_apart(bed):
    bed.prober.serve_at("db", "app", "other")
    for proto in ("tcp", "udp"):
        assert bool(bed.prober.open("app", "172.18.105.2", proto, 80)) == (proto == "tcp")
        assert not bed.prober.open("other", "172.18.105.2", proto, 80)
    assert not bed.prober.open("app", "172.18.105.2", "tcp", 81)
    assert not bed.prober.open("db", "172.18.105.3", "tcp", 80)


@every_backend
def test_policies_open_what_docker_closes_within_a_network_and_no_more(bed, backend):
    bed.env["HARBORWALL_BACKEND"] = backend
    containers(bed, "db", "app", "other")
    bed.write(APART)
    checked = bed.harborwall("check")
    assert "reach each other anyway" not in checked.stderr, checked.stderr
    bed.apply()
    assert_kept_apart(bed)
    flush(bed, backend)
    bed.apply()
    assert_kept_apart(bed)
    assert "nothing to do" in bed.apply().stdout


@every_engine
def test_a_network_that_was_made_with_icc_off_is_kept_apart_whatever_the_file_says(bed):
    containers(bed, "db", "app", "other")
    bed.docker.call("POST", "/networks/create", {
        "Name": "apart", "CheckDuplicate": True, "Options": {ICC: "false"}, "IPAM": {"Config": [{"Subnet": "172.18.105.0/24"}]}})
    bed.write({**APART, "networks": {"apart": {"subnet": "172.18.105.0/24"}}})
    bed.apply()
    assert_kept_apart(bed)


@every_engine
def test_where_bridges_pass_no_filter_the_open_network_is_told(bed):
    containers(bed, "db", "app", "other")
    bed.write(APART)
    bed.apply()
    assert_kept_apart(bed)
    told = "warning: networks.apart: its containers reach each other although it has enable_icc=false"
    assert told not in bed.harborwall("plan").stdout
    bed.lab.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
    assert bed.prober.open("other", "172.18.105.2", "tcp", 81)
    assert told in bed.harborwall("plan").stdout
    bed.lab.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    assert told not in bed.harborwall("plan").stdout
    assert_kept_apart(bed)


@every_engine
def test_a_network_that_stands_more_open_than_declared_is_a_conflict(bed):
    containers(bed, "db", "app", "other")
    bed.docker.create_network("apart", "172.18.105.0/24")
    bed.docker.create_network("in", "172.18.106.0/24")
    bed.write({**APART, "networks": {**APART["networks"], "in": {"subnet": "172.18.106.0/24", "internal": True}}})
    done = bed.harborwall("apply")
    assert done.returncode == 1
    assert 'conflict: networks.apart: the Docker network "apart" was made without enable_icc=false' in done.stdout
    assert 'conflict: networks.in: the Docker network "in" was made without internal' in done.stdout
    assert "apply --replace apart" in done.stdout and "apply --replace in" in done.stdout
    assert bed.docker.addresses("db")["apart"] == "172.18.105.2", "and used all the same"


@every_engine
def test_a_container_that_translates_reaches_a_neighbour_that_docker_closes(bed):
    containers(bed, "db", "app", "other")
    bed.docker.create("relay", privileged_net=True)
    bed.wire_tunnel("relay")
    bed.write({**APART, "ips": {**APART["ips"], "172.18.105.5": {"container_name": "relay"}},
               "policies": [*APART["policies"], {"selector": "db", "nat": "dnat", "name": "relay", "iface": "wg0", "to": "db", "port": 81}]})
    bed.apply()
    assert_kept_apart(bed)
    bed.prober.serve_at("client", "relay")
    assert bed.prober.open("client", "10.66.0.1", "tcp", 81) == ("db", "172.18.105.5")
    assert not bed.prober.open("relay", "172.18.105.2", "tcp", 80)
