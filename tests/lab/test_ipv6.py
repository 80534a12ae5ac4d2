# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 as engines leave it: by packets."""
import bed as beds
import engine
import pytest

WEB6, SHOP6 = "2001:db8:103::/64", "2001:db8:103::2"
EVERY_PORT = [("tcp", port) for port in beds.PORTS["tcp"]] + [("udp", port) for port in beds.PORTS["udp"]]
# what an engine leaves open to who routes packets to it, and what it needs to be told to close it
ENGINES = [({"version": "20"}, True), ({"version": "20", "options": ["--experimental", "--ip6tables"]}, False),
           ({"version": "26"}, True), ({"version": "26", "options": ["--experimental", "--ip6tables"]}, False),
           ({"version": "28"}, False), ({"version": "28", "options": ["--ip6tables=false"]}, True)]
every_engine = pytest.mark.parametrize("lab, is_open", ENGINES, indirect=["lab"], ids=[
    f"docker {lab['version']} {' '.join(lab.get('options', ()))}".strip() for lab, _ in ENGINES])


def as_people_have_it(bed):
    """A routable network of both families, made by hand, with a shop on it and a neighbour on another one."""
    bed.docker.create_network("web", "172.18.103.0/24", "172.18.103.1", subnet6=WEB6)
    bed.docker.create_network("elsewhere", "172.30.5.0/24", subnet6="2001:db8:5::/64")
    bed.docker.create("shop", network="web", ip="172.18.103.2", ip6=SHOP6)
    bed.docker.create("bystander", network="elsewhere")
    bed.prober.serve_at("shop", "peer", "bystander")
    assert bed.prober.open("host", SHOP6, "tcp", 80)


def reached(bed, source, ip=SHOP6):
    got = bed.prober.ask_all({source: [[ip, *port] for port in EVERY_PORT]})
    return [key[2:] for key, answer in got.items() if answer]


@every_engine
def test_what_engines_leave_open_in_ipv6(bed, is_open):
    """Before harborwall: every port from outside and from other networks, where the engine writes no rules for IPv6."""
    as_people_have_it(bed)
    assert bed.lab.closes_ipv6 is not is_open
    for source in ("peer", "bystander"):
        assert reached(bed, source) == (EVERY_PORT if is_open else []), source
        assert reached(bed, source, "172.18.103.2") == []
