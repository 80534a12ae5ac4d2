# SPDX-License-Identifier: GPL-2.0-or-later
"""A tunnel that takes everything of IPv6: the container's own routes and rules of that family decide where its answers
leave. IPv4 goes on meanwhile."""
import bed as beds
import engine
import pytest
import seed
from test_ways import FLOWS as FLOWS4, change_tunnel, config, containers, converged, lay

VPN6, BALANCER6 = "fd18:104::9", "fd18:103::2"
TUNNELS = {
    "wg-quick": ["ip -6 route add default dev wg0 table 51820", "ip -6 rule add not fwmark 51820 table 51820",
                 "ip -6 rule add table main suppress_prefixlength 0"],
    "without the rule that spares main": ["ip -6 route add default dev wg0 table 51820",
                                          "ip -6 rule add not fwmark 51820 table 51820"],
    "default": ["ip -6 route del default", "ip -6 route add default dev wg0"],
    "halves": ["ip -6 route add ::/1 dev wg0", "ip -6 route add 8000::/1 dev wg0"],
    "private addresses": ["ip -6 route add fc00::/7 dev wg0", "ip -6 route add 2001:db8::/32 dev wg0"],
    "a table of its own": ["ip -6 route add default dev wg0 table 100", "ip -6 rule add pref 100 table 100"],
    "by source": ["ip -6 route add default dev wg0 table 200", f"ip -6 rule add from {VPN6} table 200"],
    "a metric that is smaller": ["ip -6 route add default dev wg0 metric 50"],
}
UNDO = ["ip -6 rule del table main suppress_prefixlength 0", "ip -6 rule del not fwmark 51820 table 51820",
        "ip -6 route flush table 51820"]

FLOWS = [("smarthostloadbalancer", VPN6, "tcp", 80),   # answers
         ("peer", VPN6, "tcp", 443),                   # … to somebody beyond the host
         ("peer", beds.HOST_IP6, "tcp", 8080),         # … to anybody, through the host's translation
         ("wireguardproxy", BALANCER6, "tcp", 8080),   # asks
         ("client", beds.TUNNEL_IP6, "tcp", 80)]       # translates
CLOSED = [("bystander", VPN6, "tcp", 80), ("peer", VPN6, "tcp", 80), ("smarthostloadbalancer", VPN6, "tcp", 443)]


def opened(bed):
    asked = FLOWS + CLOSED + FLOWS4
    got = bed.prober.ask_all({source: [list(f[1:]) for f in asked if f[0] == source] for source in {f[0] for f in asked}})
    found = {flow for flow, answer in got.items() if answer}
    assert set(FLOWS4) <= found, set(FLOWS4) - found
    return found - set(FLOWS4)


def show(bed):
    return bed.lab.inside("wireguardproxy", "sh", "-c", "ip -6 rule; ip -6 route show table all").stdout


@pytest.fixture(params=[(v, a) for v in ("20", "28") for a in (True, False)],
                ids=lambda p: f"docker {p[0]}, {'alone' if p[1] else 'on bridge, too'}")
def tunnelled(request):
    from conftest import need_engine
    version, alone = request.param
    need_engine(version)
    with engine.Lab(f"ways6{version}", version, options=seed.WITH_IPV6) as lab:
        lab.peer()
        with beds.Bed(lab) as bed:
            containers(bed, alone)
            bed.wire_tunnel("wireguardproxy")
            bed.write(seed.dual(config()))
            bed.apply()
            bed.prober.serve_at("peer", "client", *bed.docker.containers())
            yield bed


def test_answers_go_back_where_the_tunnel_takes_everything(tunnelled):
    """Every kind of tunnel in turn; a daemon sees them come and go."""
    bed = tunnelled
    assert opened(bed) == set(FLOWS)
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    for name, lines in TUNNELS.items():
        change_tunnel(bed, name, lines)
        assert opened(bed) == set(FLOWS), (name, set(FLOWS) ^ opened(bed), show(bed))
        # and only the answers: what it asks of others goes into the tunnel
        asked = bed.lab.inside("wireguardproxy", "ip", "route", "get", "2001:db8:77::1", "from", VPN6).stdout
        assert "dev wg0" in asked, (name, asked)
    daemon.end()
    assert bed.harborwall("clear").returncode == 0
    assert "proto 104" not in show(bed)


def test_a_daemon_hears_of_rules_of_ipv6_alone(tunnelled):
    """The tunnel's table stands already, nothing but a rule of IPv6 comes and goes."""
    bed = tunnelled
    lay(bed, TUNNELS["wg-quick"][:1])
    bed.apply()
    daemon = bed.run_daemon({"WATCH_PERIOD_SECONDS": "3600"})
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: converged(bed), 10)
    lay(bed, TUNNELS["wg-quick"][1:])
    assert engine.wait_for(lambda: opened(bed) == set(FLOWS), 10), show(bed)
    lay(bed, UNDO)
    assert engine.wait_for(lambda: converged(bed), 10), bed.harborwall("plan").stdout
    assert opened(bed) == set(FLOWS)
    daemon.end()


def test_what_cannot_be_mended_is_named(tunnelled):
    bed = tunnelled
    lay(bed, [*TUNNELS["wg-quick"], f"ip -6 rule add pref 50 to {BALANCER6}/128 prohibit"])
    planned = bed.harborwall("plan")
    assert planned.returncode == 1, planned.stdout
    assert "cannot be enforced" in planned.stdout and f"to {BALANCER6} are refused by its rule 50" in planned.stdout, planned.stdout
    bed.harborwall("apply")
    assert opened(bed) == set(FLOWS) - {FLOWS[0], FLOWS[3]} - ({FLOWS[4]} if not bed.prober.open("client", beds.TUNNEL_IP6, "tcp", 80) else set())
    lay(bed, ["ip -6 rule del pref 50"])
    bed.apply()
    assert opened(bed) == set(FLOWS)
