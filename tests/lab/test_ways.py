# SPDX-License-Identifier: GPL-2.0-or-later
"""A tunnel that takes everything: the container's own routes and rules decide where its answers leave."""
import bed as beds
import engine
import pytest
import seed

VPN, BALANCER, BACKEND = "172.18.104.9", "172.18.103.2", "172.18.104.2"

# What tunnels' programs write into the namespace; wg0 is there.
TUNNELS = {
    "wg-quick": ["ip route add default dev wg0 table 51820", "ip rule add not fwmark 51820 table 51820",
                 "ip rule add table main suppress_prefixlength 0"],
    "without the rule that spares main": ["ip route add default dev wg0 table 51820", "ip rule add not fwmark 51820 table 51820"],
    "default": ["ip route replace default dev wg0"],
    "halves": ["ip route add 0.0.0.0/1 dev wg0", "ip route add 128.0.0.0/1 dev wg0"],
    "private addresses": ["ip route add 172.16.0.0/12 dev wg0", "ip route add 192.0.0.0/16 dev wg0"],
    "a table of its own": ["ip route add default dev wg0 table 100", "ip rule add pref 100 table 100"],
    "by source": ["ip route add default dev wg0 table 200", f"ip rule add from {VPN} table 200"],
}
UNDO = {"wg-quick": ["ip rule del table main suppress_prefixlength 0", "ip rule del not fwmark 51820 table 51820",
                     "ip route flush table 51820"]}


def lay(bed, lines):
    bed.lab.inside("wireguardproxy", "sh", "-ec", "\n".join(lines))


def config():
    """The VPN container answers, asks and translates, on the host's side and on its own."""
    config = seed.widened()
    config["ips"][VPN] = {"container_name": "wireguardproxy"}
    config["policies"] += [
        {"selector": "wireguardproxy", "from": "smarthostloadbalancer", "port": 80},
        {"selector": "wireguardproxy", "from": beds.PEER_IP, "port": 443},
        {"selector": "wireguardproxy", "nat": "dnat", "iface": "ext0", "to": "wireguardproxy", "port": 8080},
        {"selector": "smarthostloadbalancer", "from": "wireguardproxy", "port": 8080}]
    return config


FLOWS = [("smarthostloadbalancer", VPN, "tcp", 80),   # answers
         ("peer", VPN, "tcp", 443),                   # … to somebody beyond the host
         ("peer", beds.HOST_IP, "tcp", 8080),         # … to anybody, through the host's translation
         ("wireguardproxy", BALANCER, "tcp", 8080),   # asks
         ("client", beds.TUNNEL_IP, "tcp", 80)]       # translates
CLOSED = [("bystander", VPN, "tcp", 80), ("peer", VPN, "tcp", 80), ("smarthostloadbalancer", VPN, "tcp", 443)]


def opened(bed):
    got = bed.prober.ask_all({source: [list(f[1:]) for f in FLOWS + CLOSED if f[0] == source]
                              for source in {f[0] for f in FLOWS + CLOSED}})
    return {flow for flow, answer in got.items() if answer}


def containers(bed, alone):
    """alone: on no network but the one that is declared, so that its default route looks right."""
    docker = bed.docker
    docker.create("smarthostloadbalancer")
    docker.create("smarthostbackend-1", network="none")
    docker.create("publicbackend")
    docker.create("wireguardproxy", network="none" if alone else "bridge", privileged_net=True)
    docker.create_network("elsewhere", "172.30.5.0/24")
    docker.create("bystander", network="elsewhere")


@pytest.fixture(params=[(v, a) for v in ("20", "28") for a in (True, False)],
                ids=lambda p: f"docker {p[0]}, {'alone' if p[1] else 'on bridge, too'}")
def tunnelled(request):
    from conftest import need_engine
    version, alone = request.param
    need_engine(version)
    with engine.Lab(f"ways{version}", version) as lab:
        lab.peer()
        with beds.Bed(lab) as bed:
            containers(bed, alone)
            bed.wire_tunnel("wireguardproxy")
            bed.write(config())
            bed.apply()
            bed.prober.serve_at("peer", "client", *bed.docker.containers())
            yield bed


def converged(bed):
    return bed.harborwall("plan", "-q").returncode == 0


def change_tunnel(bed, name, lines):
    """Another tunnel with these routes and rules; the daemon has made of them what is to be made."""
    bed.docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    lay(bed, lines)
    assert engine.wait_for(lambda: converged(bed), 10), name + bed.harborwall("plan").stdout
    bed.prober.serve_at("client", "wireguardproxy")


def test_answers_go_back_where_the_tunnel_takes_everything(tunnelled):
    """Every kind of tunnel in turn; a daemon sees them come and go."""
    bed = tunnelled
    assert opened(bed) == set(FLOWS)
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    for name, lines in TUNNELS.items():
        change_tunnel(bed, name, lines)
        assert opened(bed) == set(FLOWS), (name, set(FLOWS) - opened(bed), bed.lab.inside("wireguardproxy", "ip", "route", "show",
                                                                                          "table", "all").stdout)
        # and only the answers: what it asks of others goes into the tunnel
        asked = bed.lab.inside("wireguardproxy", "ip", "route", "get", "192.0.77.1", "from", VPN).stdout
        assert "dev wg0" in asked, (name, asked)
        for undo in UNDO.get(name, []):
            lay(bed, [undo])
        if name in UNDO:
            assert engine.wait_for(lambda: converged(bed), 10), bed.harborwall("plan").stdout
            assert opened(bed) == set(FLOWS)
    daemon.end()
    assert bed.harborwall("clear").returncode == 0
    left = bed.lab.inside("wireguardproxy", "sh", "-c", "ip route show table all; ip rule").stdout
    assert "proto 104" not in left


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=["docker 20", "docker 28"])
def test_what_cannot_be_mended_is_named_and_the_rest_is(lab):
    with beds.Bed(lab) as bed:
        containers(bed, alone=True)
        bed.wire_tunnel("wireguardproxy")
        wanted = config()
        wanted["policies"] += [{"selector": "wireguardproxy", "from": "any", "port": 81},
                               {"selector": "wireguardproxy", "from": "bystander", "port": 81}]
        wanted["ips"]["172.18.105.9"] = {"container_name": "bystander"}
        wanted["networks"]["third"] = {"subnet": "172.18.105.0/24"}
        bed.write(wanted)
        bed.apply()
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        assert bed.harborwall("plan", "-q").returncode == 0
        # a rule refuses one network, the tunnel takes the rest
        lay(bed, [*TUNNELS["wg-quick"], "ip rule add pref 50 to 172.18.105.0/24 prohibit"])
        cannot = {f"policies[{len(wanted['policies']) - 2}]", f"policies[{len(wanted['policies']) - 1}]"}

        def named(text):
            return {word for line in text.splitlines() if "cannot be enforced" in line for word in line.replace(":", " ").split()
                    if word.startswith("policies[")}
        assert engine.wait_for(lambda: named(bed.harborwall("status").stdout) == cannot, 10), bed.harborwall("status").stdout
        planned = bed.harborwall("plan")
        assert planned.returncode == 1 and named(planned.stdout) == cannot, planned.stdout
        assert "leave by wg0 (rule " in planned.stdout and "to 172.18.105.9 are refused by its rule 50" in planned.stdout
        bed.prober.serve_at("peer", "client", *bed.docker.containers())
        assert opened(bed) == set(FLOWS)
        for line in ("ip rule del pref 50", *UNDO["wg-quick"]):
            lay(bed, [line])
        assert engine.wait_for(lambda: converged(bed), 10), bed.harborwall("plan").stdout
        assert named(bed.harborwall("status").stdout) == set()


@pytest.mark.shared
@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=["docker 20", "docker 28"])
@pytest.mark.parametrize("tunnel", ["wg-quick", "a table of its own"])
def test_a_translating_container_that_the_file_gives_no_address_finds_the_way_too(bed, tunnel):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.prober.serve_at("client", "smarthostloadbalancer")
    lay(bed, TUNNELS[tunnel])
    assert bed.harborwall("plan").returncode == 2
    bed.apply()
    assert bed.prober.open("client", beds.TUNNEL_IP, "tcp", 80)[0] == "smarthostloadbalancer"
    bed.assert_matrix(lambda key: key[0] in ("client", "peer"))


def test_a_tunnel_in_a_namespace_that_was_not_looked_into_before_is_seen(tunnelled):
    """One pass finds it, without a daemon that knew the container."""
    bed = tunnelled
    lay(bed, TUNNELS["wg-quick"])
    assert bed.harborwall("plan").returncode == 2
    bed.apply()
    assert opened(bed) == set(FLOWS)
    assert "nothing to do" in bed.apply().stdout
