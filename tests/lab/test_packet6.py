# SPDX-License-Identifier: GPL-2.0-or-later
"""explain --packet in IPv6: what the kernel says of a traced packet, what is predicted, and what packets do are the same."""
import json

import bed as beds
import pytest
import seed

BALANCER, BACKEND, PUBLIC = "fd18:103::2", "fd18:104::2", "fd18:104::3"
SPELLED = {BALANCER: "FD18:0103:0:0:0:0:0:2", BACKEND: "fd18:104:0::0.0.0.2", PUBLIC: "Fd18:0104::0003"}
ENGINES = [{"version": "20"}, {"version": "20", "more": ["--experimental", "--ip6tables"]}, {"version": "26"},
           {"version": "28"}, {"version": "28", "legacy": True}]


def config():
    wanted = seed.with_sctp()
    wanted["policies"] += [{"selector": "smarthostloadbalancer", "from": "192.0.2.2", "port": 443},
                           {"selector": "smarthostloadbalancer", "from": "publicbackend", "proto": "icmp"},
                           {"selector": "smarthostloadbalancer", "from": PUBLIC, "port": 8443}]
    return seed.dual(wanted)


@pytest.fixture(params=ENGINES, ids=lambda e: f"docker {e['version']}{' ip6tables' if 'more' in e else ''}{' legacy' if 'legacy' in e else ''}")
def asking(request, labs):
    from conftest import need_engine
    version = request.param["version"]
    need_engine(version)
    lab = labs.take(version=version, legacy=request.param.get("legacy", False), options=seed.WITH_IPV6 + request.param.get("more", []))
    with beds.Bed(lab, tcp=[80, 8080, 8443], udp=[53], sctp=[3868]) as bed:
        seed.containers(bed)
        bed.write(config())
        bed.apply()
        bed.prober.serve_at("smarthostloadbalancer", "publicbackend", "smarthostbackend-1", "bystander", "host", "peer")
        yield bed
    lab.run("sh", "-c", "nft delete table inet other; ip6tables -D DOCKER-USER -d fd18:103::2 -j DROP", check=False)
    labs.give_back(lab)


def ask(bed, *words):
    """Exit code, and everything that was told."""
    done = bed.harborwall("explain", *words, "--packet", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def parts(told):
    return [told, *([told["other_family"]] if "other_family" in told else [])]


def heard(bed, *endpoints):
    return [packet for endpoint in endpoints for packet in bed.prober.agent(endpoint).do("heard")]


def assert_nothing_is_left(bed, packet):
    assert "harborwall_trace" not in bed.lab.run("nft", "list", "tables").stdout
    for where in (bed.lab.run, lambda *command: bed.lab.inside(packet["sender"], *command)):
        if where is bed.lab.run or packet["sender"] != "host":
            assert f"sport={packet['source_port']} " not in where("conntrack", "-L", "-f", "ipv6").stdout, packet


# who asks, whom, what, the exit code, the kernel's answer
FLOWS = [
    (PUBLIC, BALANCER, "80", 0, "passed"),
    (PUBLIC, BALANCER, "8080", 2, "stopped"),
    (BACKEND, BALANCER, "53/udp", 0, "passed"),
    (PUBLIC, BALANCER, "53/udp", 2, "stopped"),
    (BACKEND, BALANCER, "3868/sctp", 0, "passed"),
    (PUBLIC, BALANCER, "3868/sctp", 2, "stopped"),
    (PUBLIC, BALANCER, "icmp", 0, "passed"),
    (BACKEND, BALANCER, "icmp", 2, "stopped"),
    (BALANCER, PUBLIC, "80", 2, "stopped"),
    ("bystander", BALANCER, "80", 2, "stopped"),
    (BACKEND, PUBLIC, "80", 0, "passed"),  # on one bridge
    (BACKEND, beds.PEER_IP6, "80", 0, "passed"),  # to the outside
    ("host", BALANCER, "80", 0, "passed"),
]


def test_the_kernel_answers_as_predicted_and_as_packets_do_and_nobody_gets_one(asking):
    bed = asking
    everybody = ("smarthostloadbalancer", "publicbackend", "smarthostbackend-1", "peer")
    heard(bed, *everybody)
    for source, target, traffic, code, verdict in FLOWS:
        got, told = ask(bed, SPELLED.get(source, source), SPELLED.get(target, target), traffic)
        assert "other_family" not in told, told
        packet = told["packet"]
        assert (got, packet["verdict"], packet["agrees"]) == (code, verdict, True), (source, target, traffic, told)
        assert told["flow"]["destination"] == packet["destination"] == target, told  # RFC 5952, whatever was written
        assert packet["source"] == told["flow"]["source"] or source == "host", told
        assert_nothing_is_left(bed, packet)
    assert not heard(bed, *everybody)
    names = {PUBLIC: "publicbackend", BACKEND: "smarthostbackend-1", BALANCER: "smarthostloadbalancer"}
    for source, target, traffic, _, verdict in FLOWS:
        port, _, proto = traffic.partition("/")
        if traffic != "icmp":
            answer = bed.prober.open(names.get(source, source), target, proto or "tcp", int(port), timeout=3)
            assert bool(answer) == (verdict == "passed"), (source, target, traffic, answer)
    assert heard(bed, *everybody)  # whoever listens does hear


def test_names_with_both_families_are_asked_in_both(asking):
    bed = asking
    code, told = ask(bed, "publicbackend", "smarthostloadbalancer", "80")
    assert code == 0 and told["verdict"] == "allowed"
    assert [(p["flow"]["source"], p["packet"]["destination"], p["packet"]["verdict"]) for p in parts(told)] == [
        ("172.18.104.3", "172.18.103.2", "passed"), (PUBLIC, BALANCER, "passed")], told
    # a policy of one family: the one that does not pass comes first
    code, told = ask(bed, "publicbackend", "smarthostloadbalancer", "8443")
    assert code == 2 and told["verdict"] == "partly"
    assert [(p["packet"]["destination"], p["packet"]["verdict"], p["packet"]["agrees"]) for p in parts(told)] == [
        ("172.18.103.2", "stopped", True), (BALANCER, "passed", True)], told
    text = bed.harborwall("explain", "publicbackend", "smarthostloadbalancer", "8443", "--packet").stdout
    assert "a packet sent from publicbackend as 172.18.104.3 -> 172.18.103.2 port 8443" in text
    assert f"a packet sent from publicbackend as {PUBLIC} -> {BALANCER} port 8443" in text, text
    assert bed.prober.open("publicbackend", BALANCER, "tcp", 8443, timeout=3)
    assert not bed.prober.open("publicbackend", "172.18.103.2", "tcp", 8443)
    # only one of them is shared
    code, told = ask(bed, "publicbackend", BALANCER, "80")
    assert code == 0 and [p["flow"]["source"] for p in parts(told)] == [PUBLIC]


def test_the_drop_that_is_predicted_is_the_one_that_the_kernel_names(asking):
    bed = asking
    for source, target, traffic, code, _ in FLOWS:
        if code == 2:
            _, told = ask(bed, source, target, traffic)
            packet = told["packet"]
            if bed.lab.legacy and bed.lab.closes_ipv6:
                assert "by a rule of iptables-legacy, which the kernel does not trace" in packet["end"], packet
                continue
            last = packet["trace"][-1]
            family = "" if last["family"] == "ip" else last["family"] + " "
            assert told["path"][-1]["stage"] == f"{family}{last['table']} {last['chain']}", told
            assert last["verdict"] == "drop" and (last["text"].endswith("-j DROP") if last["family"] == "ip6" else "drop" in last["text"]), last
            assert (last["family"] == "ip6") == bed.lab.closes_ipv6, last


def test_rules_of_others_in_ip6tables_are_shown_by_their_text(asking):
    bed = asking
    if bed.lab.version == "20" or not bed.lab.closes_ipv6:  # there is no DOCKER-USER of IPv6
        bed.lab.run("nft", "add table inet other; add chain inet other f { type filter hook forward priority 5; }; "
                           f"add rule inet other f ip6 daddr {BALANCER} drop")
    else:
        bed.lab.run("ip6tables", "-I", "DOCKER-USER", "1", "-d", BALANCER, "-j", "DROP")
    code, told = ask(bed, PUBLIC, BALANCER, "80")
    assert told["packet"]["verdict"] == "stopped" and code in (1, 2), told
    assert not bed.prober.open("publicbackend", BALANCER, "tcp", 80)
    last = told["packet"]["trace"][-1]if told["packet"]["trace"] else {}
    if bed.lab.legacy:
        assert "iptables-legacy" in told["packet"]["end"]
    elif bed.lab.version == "20" or not bed.lab.closes_ipv6:
        assert (last["family"], last["table"], last["chain"]) == ("inet", "other", "f")
    else:
        assert (last["family"], last["table"], last["text"]) == ("ip6", "filter", f"-A DOCKER-USER -d {BALANCER}/128 -j DROP")


def test_a_borrowed_address_is_sent_by_a_neighbour_and_what_nobody_here_can_send_is_said(asking):
    bed = asking
    bridge = bed.docker.networks()["elsewhere"]["Id"][:12]
    code, told = ask(bed, PUBLIC, BALANCER, "80", "--in", f"br-{bridge}")
    assert code == 2 and told["packet"]["sender"] == "bystander", told
    assert (told["packet"]["verdict"], told["packet"]["agrees"], told["packet"]["source"]) == ("stopped", True, PUBLIC), told
    assert not bed.prober.spoof([("bystander", PUBLIC, BALANCER, "tcp", 80, "smarthostloadbalancer")])
    for words, why in (((beds.PEER_IP6, "smarthostloadbalancer", "443"), f"{beds.PEER_IP6} is not the address of a running container"),
                       (("fd18:104::0:9", "smarthostloadbalancer", "80"), "fd18:104::9 is not the address of a running container")):
        done = bed.harborwall("explain", *words, "--packet")
        assert done.returncode == 1 and "no packet was sent" in done.stdout and why in done.stdout, done.stdout + done.stderr


def test_what_does_not_leave_its_container_or_goes_another_way_is_said(asking):
    bed = asking
    bed.prober.serve_at(beds.CLIENT)
    heard(bed, beds.CLIENT, "publicbackend")
    for words, why in ((("wireguardproxy", beds.CLIENT_IP6, "80"), f"its own namespace sends what goes there from {beds.TUNNEL_IP6}"),
                       (("publicbackend", PUBLIC, "80"), "it stays in its own namespace")):
        _, told = ask(bed, *words)
        packet = told["packet"]
        assert (packet["verdict"], packet["trace"]) == ("stopped", []) and why in packet["end"], told
    assert not heard(bed, beds.CLIENT, "publicbackend")
    bed.lab.inside("publicbackend", "nft", "add table inet own; add chain inet own out { type filter hook output priority 0; }; "
                                           "add rule inet own out ip6 daddr fd18:103::2 tcp dport 80 drop")
    code, told = ask(bed, "publicbackend", "smarthostloadbalancer", "80")
    bed.lab.inside("publicbackend", "nft", "delete table inet own")
    assert code == 1 and [p["packet"]["verdict"] for p in parts(told)] == ["passed", "stopped"], told
    assert "a rule in its own namespace drops it" in told["other_family"]["packet"]["end"]
