# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks and connections of both families: what the engine is asked for, and what stands when one of the families can not be had."""
import json
import os
import re
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_connections import end_of, ip, posts  # noqa: E402
from test_errors import case, engine  # noqa: E402,F401

DUAL = {
    "networks": {"web": {"subnet": "172.18.103.0/24", "subnet6": "FD00:103:0::/64"},
                 "back": {"subnet": "172.18.104.0/24", "subnet6": "fd00:104::/64", "gateway6": "fd00:104::fffe", "ip_range6": "fd00:104:0:0:8000::/65"}},
    "ips": {"172.18.103.2": {"ip6": "fd00:103:0:0::2", "container_name": "proxy"}, "172.18.104.2": {"container_name": "api"},
            "FD00:104::2": {"container_name": "api"}},
    "policies": [{"selector": "api", "from": "proxy", "port": 80}],
}
POOL4 = {"Subnet": "172.18.103.0/24", "Gateway": "172.18.103.1", "IPRange": "172.18.103.128/25"}
POOL6 = {"Subnet": "fd00:103::/64", "Gateway": "fd00:103::1", "IPRange": "fd00:103:0:0:8000::/65"}
PROXY = {"IPv4Address": "172.18.103.2", "IPv6Address": "fd00:103::2"}


def asked(engine, path="/networks/web/connect"):
    return [body["EndpointConfig"]["IPAMConfig"] for body in posts(engine, path)]


def network(engine, name):
    return engine.networks[engine.find(engine.networks, name)]


def test_a_network_and_its_connections_are_made_with_both_families(case, engine):
    case.write(DUAL)
    done = case.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    bodies = {body["Name"]: body for body in posts(engine, "/networks/create")}
    assert bodies["web"]["EnableIPv6"] is True and "EnableIPv4" not in bodies["web"]
    assert bodies["web"]["IPAM"]["Config"] == [POOL4, POOL6]
    assert bodies["back"]["IPAM"]["Config"][1] == {"Subnet": "fd00:104::/64", "Gateway": "fd00:104::fffe", "IPRange": "fd00:104:0:0:8000::/65"}
    assert asked(engine) == [PROXY]
    assert asked(engine, "/networks/back/connect") == [{"IPv4Address": "172.18.104.2", "IPv6Address": "fd00:104::2"}], \
        "two entries of ips, one connection"
    assert "+ network    web 172.18.103.0/24 gateway 172.18.103.1 fd00:103::/64 gateway fd00:103::1  (networks.web)" in done.stdout
    assert "+ connection proxy to web as 172.18.103.2 and fd00:103::2" in done.stdout
    assert "nothing to do" in case.run("apply").stdout


def test_one_family_of_a_container_is_made_anew_with_both(case, engine):
    case.write(DUAL)
    assert case.run("apply").returncode == 0
    moved = {**DUAL, "ips": {**DUAL["ips"], "172.18.103.2": {"ip6": "fd00:103::7", "container_name": "proxy"}}}
    case.write(moved)
    done = case.run("apply")
    assert done.returncode == 0 and "has fd00:103::2, the file says fd00:103::7" in done.stdout, done.stdout
    assert asked(engine)[-1] == {**PROXY, "IPv6Address": "fd00:103::7"}
    assert "nothing to do" in case.run("apply").stdout


def test_a_connection_that_lacks_its_second_address_gets_it_and_keeps_the_first(case, engine):
    engine.add_network("web", pools=[POOL6, POOL4], subnet6="yes")
    proxy = engine.containers[engine.find(engine.containers, "proxy")]
    engine.attach(proxy["id"], engine.find(engine.networks, "web"), "172.18.103.2", {"Aliases": ["db"]})
    case.write(DUAL)
    done = case.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked(engine) == [PROXY] and end_of(engine, "proxy")[1]["Aliases"] == ["db"]
    assert "nothing to do" in case.run("apply").stdout


def test_addresses_are_swapped_in_ipv6(case, engine):
    both = {**DUAL, "ips": {"fd00:103::2": {"container_name": "proxy"}, "fd00:103::3": {"container_name": "api"}}, "policies": []}
    case.write(both)
    assert case.run("apply").returncode == 0
    case.write({**both, "ips": {"fd00:103::3": {"container_name": "proxy"}, "fd00:103::2": {"container_name": "api"}}})
    done = case.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert asked(engine)[-2:] == [{"IPv6Address": "fd00:103::3"}, {"IPv6Address": "fd00:103::2"}]


def test_whoever_has_an_ipv6_address_is_named_and_stays(case, engine):
    engine.add_network("web", pools=[POOL4, POOL6], subnet6="yes")
    squatter = engine.add_container("squatter", running=True)
    engine.attach(squatter, engine.find(engine.networks, "web"), None, {"IPAMConfig": {"IPv6Address": "fd00:103::2"}})
    case.write(DUAL)
    done = case.run("apply")
    assert done.returncode == 1
    assert 'conflict: ips["172.18.103.2"]: fd00:103::2 is in use by container "squatter"' in done.stdout
    assert not asked(engine) and asked(engine, "/networks/back/connect"), "and all others go on"


LACKS = {
    "made without IPv6": ({"pools": [POOL4]}, 'the Docker network "web" was created without IPv6, the file says fd00:103::/64'),
    "a subnet6 that is not enabled": ({"pools": [POOL4, POOL6]}, 'the Docker network "web" was created without IPv6, the file says fd00:103::/64'),
    "another subnet6": ({"pools": [POOL4, {**POOL6, "Subnet": "fd00:999::/64"}], "subnet6": "yes"},
                        'the Docker network "web" has subnet fd00:999::/64, the file says fd00:103::/64'),
    "another gateway6": ({"pools": [POOL4, {**POOL6, "Gateway": "fd00:103::9"}], "subnet6": "yes"},
                         'the Docker network "web" has gateway fd00:103::9, the file says fd00:103::1'),
}


@pytest.mark.parametrize("name", LACKS)
def test_where_one_family_stands_otherwise_the_other_goes_on(case, engine, name):
    kind, said = LACKS[name]
    engine.add_network("web", **kind)
    case.write(DUAL)
    done = case.run("apply")
    assert done.returncode == 1 and f"conflict: networks.web: {said}; change the file, or re-create it with apply --replace web" in done.stdout, done.stdout
    assert asked(engine) == [{"IPv4Address": "172.18.103.2"}]
    assert len(asked(engine, "/networks/back/connect")) == 1
    calls = len(engine.calls)
    case.run("apply")
    assert not [c for c in engine.calls[calls:] if c[0] == "POST"], "and is left alone"
    done = case.run("apply", "--replace", "web")
    assert done.returncode == 0, done.stdout + done.stderr
    assert network(engine, "web")["EnableIPv6"] and network(engine, "web")["IPAM"]["Config"] == [POOL4, POOL6]
    assert asked(engine)[-1] == PROXY
    assert "nothing to do" in case.run("apply").stdout


def test_a_network_of_ipv6_that_the_file_says_nothing_of_is_used(case, engine):
    engine.add_network("web", pools=[POOL6, POOL4], subnet6="yes")
    case.write({**DUAL, "networks": {"web": {"subnet": "172.18.103.0/24"}}, "ips": {"172.18.103.2": {"container_name": "proxy"}}, "policies": []})
    assert case.run("apply").returncode == 0
    assert asked(engine) == [{"IPv4Address": "172.18.103.2"}]
    assert "nothing to do" in case.run("apply").stdout


ALONE = {"networks": {"six": {"subnet6": "fd00:106::/64"}, "back": {"subnet": "172.18.104.0/24"}},
         "ips": {"fd00:106::2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}}, "policies": []}


def test_a_network_of_ipv6_alone_waits_for_an_engine_that_makes_one(case, engine):
    case.write(ALONE)
    done = case.run("apply")
    assert done.returncode == 0, done.stdout
    assert "waiting: networks.six: Docker 20.10.24 creates no network of IPv6 alone (28 does); write subnet, too" in done.stdout
    assert [n["Name"] for n in engine.networks.values() if n["Name"] in ("six", "back")] == ["back"]
    assert "api" in [engine.containers[i]["name"] for i in engine.containers if "back" in engine.containers[i]["ends"]]


@pytest.fixture
def newer(case):
    with dockerd.Engine(case.folder, version="28.5.2", api="1.51") as engine:
        for name in ("proxy", "api"):
            engine.add_container(name)
        yield engine


def test_an_engine_that_makes_one_is_asked_for_no_ipv4(case, newer):
    engine = newer
    case.write(ALONE)
    done = case.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    body = next(b for b in posts(engine, "/networks/create") if b["Name"] == "six")
    assert (body["EnableIPv4"], body["EnableIPv6"]) == (False, True) and [p["Subnet"] for p in body["IPAM"]["Config"]] == ["fd00:106::/64"]
    assert asked(engine, "/networks/six/connect") == [{"IPv6Address": "fd00:106::2"}]


def test_a_network_waits_where_its_making_would_cost_the_host_its_default_route(case, engine):
    """dockerd turns IPv6 forwarding on, and the kernel then forgets routes that routers advertised."""
    ip(case, "link add ext0 type veth peer name ext1", "link set ext0 up", "link set ext1 up", "-6 route add default via fe80::1 dev ext0 proto ra")
    case.write(DUAL)
    done = case.run("apply")
    waits = [line for line in done.stdout.splitlines() if line.startswith("waiting: networks.web: ")]
    assert len(waits) == 1 and "accept_ra" in waits[0], done.stdout
    assert not posts(engine, "/networks/create")
    case.inside("sysctl", "-qw", "net.ipv6.conf.ext0.accept_ra=2")
    assert case.run("apply").returncode == 0
    assert len(posts(engine, "/networks/create")) == 2


def test_a_route_of_the_host_within_a_subnet6_keeps_the_network_from_being_made(case, engine):
    ip(case, "link add tun9 type bridge", "link set tun9 up", "-6 route add fd00:103:0:0:1::/80 dev tun9")
    case.write(DUAL)
    done = case.run("apply")
    assert "conflict: networks.web: subnet fd00:103::/64 overlaps fd00:103:0:0:1::/80 of the host, which leads to tun9" in done.stdout, done.stdout
    assert [b["Name"] for b in posts(engine, "/networks/create")] == ["back"]


def test_a_refused_ipv6_address_is_put_back_and_left_alone(case, engine):
    case.write(DUAL)
    assert case.run("apply").returncode == 0
    engine.script("POST", "/networks/web/connect", status=403, message="Address already in use", times=1)
    case.write({**DUAL, "ips": {**DUAL["ips"], "172.18.103.2": {"ip6": "fd00:103::7", "container_name": "proxy"}}})
    done = case.run("apply")
    assert done.returncode == 1 and "it is connected again as it was" in done.stdout, done.stdout
    assert asked(engine)[-1] == PROXY and re.search("403 Address already in use", done.stdout)


def test_a_draft_has_both_families_and_plans_nothing(case, engine):
    case.write({**DUAL, "policies": []})
    assert case.run("apply").returncode == 0
    draft = case.run("init")
    assert draft.returncode == 0, draft.stderr
    text = json.loads(draft.stdout)
    assert text["networks"]["web"] == {"subnet": "172.18.103.0/24", "gateway": "172.18.103.1", "subnet6": "fd00:103::/64", "gateway6": "fd00:103::1"}
    assert text["ips"]["172.18.103.2"] == {"ip6": "fd00:103::2", "container_name": "proxy"}
    case.write(text)
    assert "nothing to do" in case.run("plan").stdout


def test_ipv6_that_stands_open_and_that_the_file_does_not_name_is_told(case, engine):
    engine.add_network("web", pools=[POOL4, POOL6], subnet6="yes")
    told = 'networks.web: the Docker network "web" has fd00:103::/64, which the file does not name and which is open to everybody'
    four = {**DUAL, "networks": {"web": {"subnet": "172.18.103.0/24"}}, "ips": {"172.18.103.2": {"container_name": "proxy"}}, "policies": []}
    case.write(four)
    assert told in (done := case.run("plan")).stdout + done.stderr, done.stdout + done.stderr
    assert 'write "subnet6": "fd00:103::/64"' in done.stdout + done.stderr
    four["networks"]["web"]["isolation"] = "open"
    case.write(four)
    assert told not in (done := case.run("plan")).stdout + done.stderr
    four["networks"]["web"] = DUAL["networks"]["web"]
    case.write(four)
    assert told not in (done := case.run("plan")).stdout + done.stderr


# --- the iptables backends ---

@pytest.fixture(params=["iptables-nft", "iptables-legacy"])
def chains(case, engine, request):
    """A case whose tools of ip6tables are asked for by a backend, and note that they were run."""
    tools = os.path.join(case.folder, "tools")
    os.mkdir(tools)
    for tool in ("save", "restore"):
        name = f"{request.param.replace('iptables', 'ip6tables')}-{tool}"
        path = os.path.join(tools, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\necho {tool} >>{case.folder}/ran\n[ -e {case.folder}/broken-{tool} ] && exit 1\nexec {shutil.which(name)} \"$@\"\n")
        os.chmod(path, 0o755)
    case.env = {"HARBORWALL_BACKEND": request.param, "PATH": f"{tools}:{os.environ['PATH']}"}
    return case


def ran(case):
    """Which tools of ip6tables were run since this was asked last."""
    try:
        with open(f"{case.folder}/ran", encoding="utf-8") as f:
            said = f.read().split()
        os.remove(f"{case.folder}/ran")
    except FileNotFoundError:
        said = []
    return said


def saved(case, family):
    """Our chains and rules and the jumps to them, as the tool prints them."""
    tool = case.env["HARBORWALL_BACKEND"].replace("iptables", family)
    return [line.split(" [")[0] for line in case.inside(f"{tool}-save").splitlines() if "HARBORWALL" in line]


FOUR = {"networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
        "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}}, "policies": DUAL["policies"]}


def test_chains_of_both_families_are_made_read_back_and_removed(chains):
    case, tool = chains, chains.env["HARBORWALL_BACKEND"].replace("iptables", "ip6tables")
    case.write(DUAL)
    planned = case.run("plan", **case.env).stdout
    for line in (f"host: {case.env['HARBORWALL_BACKEND']} chains HARBORWALL* (", f"host: {tool} chains HARBORWALL* ("):
        assert planned.count(f"+ firewall   {line}") == 1, planned
    done = case.run("apply", **case.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran(case).count("restore") == 1, "one restore makes all of it"
    both = [saved(case, family) for family in ("iptables", "ip6tables")]
    assert any("-s fd00:103::2/128 -d fd00:104::2/128 -p tcp -m tcp --dport 80 " in line for line in both[1])
    assert not any("172.18" in line for line in both[1]) and not any("fd00" in line for line in both[0])
    assert "nothing to do" in case.run("apply", **case.env).stdout
    assert "restore" not in ran(case)
    # a rule of one family is lost, and that family alone is written
    case.inside(tool, "-F", "HARBORWALL-FRESH")
    done = case.run("apply", **case.env)
    assert done.stdout.count("chains HARBORWALL*") == 1 and f"~ firewall   host: {tool} chains HARBORWALL* (1 rewritten)" in done.stdout, done.stdout
    assert [saved(case, family) for family in ("iptables", "ip6tables")] == both
    # the file has IPv4 alone again
    case.write(FOUR)
    done = case.run("apply", **case.env)
    assert f"- firewall   host: {tool} chains HARBORWALL* (" in done.stdout and not saved(case, "ip6tables"), done.stdout
    assert not any("fd00" in line for line in saved(case, "iptables"))
    case.write(DUAL)
    assert case.run("apply", **case.env).returncode == 0 and saved(case, "ip6tables") == both[1]
    assert case.run("clear", **case.env).returncode == 0
    assert not saved(case, "iptables") and not saved(case, "ip6tables")


def test_a_file_without_ipv6_asks_nothing_of_ip6tables(chains):
    case = chains
    case.write(FOUR)
    assert case.run("apply", **case.env).returncode == 0 and saved(case, "iptables")
    assert "nothing to do" in case.run("apply", **case.env).stdout
    assert case.run("clear", **case.env).returncode == 0
    assert not ran(case) and "ip6" not in case.nft("list", "ruleset")


def test_chains_of_both_families_go_when_the_backend_changes_and_come_back(chains):
    case = chains
    case.write(DUAL)
    assert case.run("apply", **case.env).returncode == 0
    both = [saved(case, family) for family in ("iptables", "ip6tables")]
    done = case.run("apply", **{**case.env, "HARBORWALL_BACKEND": "nftables"})
    assert done.returncode == 0 and done.stdout.count("no longer used") == 2, done.stdout
    left = [line for family in ("iptables", "ip6tables") for line in saved(case, family)]
    assert not left and "fd00:103::2" in case.nft("list", "table", "inet", "harborwall")
    assert case.run("apply", **case.env).returncode == 0
    assert [saved(case, family) for family in ("iptables", "ip6tables")] == both and not case.nft("list", "table", "inet", "harborwall")


def test_ipv6_is_not_forwarded_before_its_rules_stand(chains):
    """On engines that leave IPv6 open our chains alone close it."""
    case = chains
    case.write(DUAL)
    open(f"{case.folder}/broken-restore", "w", encoding="utf-8").close()
    done = case.run("apply", **case.env)
    assert done.returncode == 1 and "ip6tables" in done.stderr, done.stdout + done.stderr
    assert case.inside("cat", "/proc/sys/net/ipv6/conf/all/forwarding").strip() == "0"
    assert saved(case, "iptables"), "and IPv4 goes on"
    os.remove(f"{case.folder}/broken-restore")
    assert case.run("apply", **case.env).returncode == 0
    assert case.inside("cat", "/proc/sys/net/ipv6/conf/all/forwarding").strip() == "1" and saved(case, "ip6tables")
