# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks and connections of both families on real engines: made, moved, made anew, and those that an engine does not make."""
import bed as beds
import pytest

every_engine = pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "26", "28")], indirect=True, ids=lambda p: f"docker {p['version']}")
WEB = {"subnet": "172.18.103.0/24", "subnet6": "fd00:103::/64"}


@pytest.fixture
def host(lab):
    with beds.Bed(lab, tcp=[80]) as bed:
        for name in ("shop", "till"):
            bed.docker.create(name, network="bridge")
        yield bed


def config(shop6="fd00:103::2", till6="fd00:103::3", web=None):
    return {"networks": {"web": web or WEB},
            "ips": {"172.18.103.2": {"ip6": shop6, "container_name": "shop"}, "172.18.103.3": {"ip6": till6, "container_name": "till"}}, "policies": []}


def own(bed, name, network="web"):
    end = bed.docker.inspect(name)["NetworkSettings"]["Networks"].get(network)
    return end and (end["IPAddress"], end["GlobalIPv6Address"])


def ipam(bed, name):
    network = bed.docker.call("GET", f"/networks/{name}")
    return network["EnableIPv6"], sorted(p["Subnet"] for p in network["IPAM"]["Config"])


@every_engine
def test_both_addresses_are_had_moved_and_swapped(host):
    host.write(config())
    host.apply()
    assert ipam(host, "web") == (True, ["172.18.103.0/24", "fd00:103::/64"])
    assert own(host, "shop") == ("172.18.103.2", "fd00:103::2") and own(host, "till") == ("172.18.103.3", "fd00:103::3")
    assert host.harborwall("plan").returncode == 0, "and nothing is left to do"
    host.write(config("fd00:103::3", "fd00:103::2"))
    host.apply()
    assert own(host, "shop") == ("172.18.103.2", "fd00:103::3") and own(host, "till") == ("172.18.103.3", "fd00:103::2")
    assert host.harborwall("plan").returncode == 0


@every_engine
def test_what_declares_no_ipv6_address_gets_one_of_the_network_s_pool(host):
    """Of a range that reaches the end of a /64, Docker 20 and 26 give none: connecting failed."""
    wanted = config()
    del wanted["ips"]["172.18.103.3"]["ip6"]
    host.write(wanted)
    host.apply()
    assert own(host, "shop") == ("172.18.103.2", "fd00:103::2")
    ip, ip6 = own(host, "till")
    assert ip == "172.18.103.3" and ip6.startswith("fd00:103:"), ip6
    host.docker.create("guest", network="web")
    assert all(own(host, "guest")), own(host, "guest")
    assert host.harborwall("plan").returncode == 0


@every_engine
def test_a_network_that_lacks_a_family_is_used_in_the_other_and_made_anew_with_both(host):
    host.docker.call("POST", "/networks/create", {"Name": "web", "IPAM": {"Config": [{"Subnet": "172.18.103.0/24"}]}})
    host.write(config())
    done = host.harborwall("apply")
    assert done.returncode == 1 and 'conflict: networks.web: the Docker network "web" was created without IPv6' in done.stdout
    assert own(host, "shop") == ("172.18.103.2", "")
    done = host.harborwall("apply", "--replace", "web")
    assert done.returncode == 0, done.stdout + done.stderr
    assert own(host, "shop") == ("172.18.103.2", "fd00:103::2") and ipam(host, "web")[0]
    assert host.harborwall("plan").returncode == 0


@every_engine
def test_a_network_of_ipv6_alone_takes_an_engine_that_makes_one(host):
    host.write({"networks": {"six": {"subnet6": "fd00:106::/64"}}, "ips": {"fd00:106::2": {"container_name": "shop"}}, "policies": []})
    done = host.harborwall("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    if host.lab.version == "28":
        assert own(host, "shop", "six") == ("", "fd00:106::2") and ipam(host, "six") == (True, ["fd00:106::/64"])
        assert host.harborwall("plan").returncode == 0
    else:
        assert "creates no network of IPv6 alone (28 does)" in done.stdout and own(host, "shop", "six") is None
