# SPDX-License-Identifier: GPL-2.0-or-later
"""explain --packet: the kernel is asked with one packet, which nobody gets, and nothing is left behind."""
import json
import signal

import bed as beds
import engine
import pytest
import seed

BALANCER, BACKEND, PUBLIC, ABSENT = "172.18.103.2", "172.18.104.2", "172.18.104.3", "172.18.104.77"
VARIANTS = [("20", False), ("28", False), ("20", True), ("28", True)]


def config():
    wanted = seed.with_sctp()
    wanted["policies"] += [{"selector": "smarthostloadbalancer", "from": "192.0.2.2", "port": 443},
                           {"selector": "smarthostloadbalancer", "from": "publicbackend", "proto": "icmp"}]
    return wanted


@pytest.fixture(params=VARIANTS, ids=lambda v: f"docker {v[0]}, iptables-{'legacy' if v[1] else 'nft'}")
def asking(request, labs):
    from conftest import need_engine
    version, legacy = request.param
    need_engine(version)
    lab = labs.take(version=version, legacy=legacy)
    with beds.Bed(lab, tcp=[80, 8080], udp=[53], sctp=[3868]) as bed:
        seed.containers(bed)
        bed.write(config())
        bed.prober.serve_at("smarthostloadbalancer", "publicbackend", "host", "peer")
        yield bed
    lab.run("sh", "-c", "nft delete table inet other; iptables -D DOCKER-USER -d 192.0.2.2 -j DROP", check=False)
    labs.give_back(lab)


def backends(bed):
    return ["nftables", "iptables-legacy" if bed.lab.legacy else "iptables-nft"]


def ask(bed, *words):
    """Exit code, and the kernel's answer."""
    done = bed.harborwall("explain", *words, "--packet", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["packet"]


def heard(bed, *endpoints):
    """Every packet that began something, but for what the machine says by itself."""
    return [packet for endpoint in endpoints for packet in bed.prober.agent(endpoint).do("heard")]


def texts(packet):
    return [step.get("text", "") for step in packet["trace"]]


def assert_nothing_is_left(bed, packet):
    assert "harborwall_trace" not in bed.lab.run("nft", "list", "tables").stdout
    port = f"sport={packet['source_port']} "
    for where in (bed.lab.run, lambda *command: bed.lab.inside(packet["sender"], *command)):
        if where is bed.lab.run or packet["sender"] != "host":
            assert port not in where("conntrack", "-L").stdout, packet


# who asks, whom, what, the exit code, the kernel's answer
FLOWS = [
    ("publicbackend", "smarthostloadbalancer", "80", 0, "passed"),
    ("publicbackend", "smarthostloadbalancer", "8080", 2, "stopped"),
    ("smarthostbackend-1", "smarthostloadbalancer", "53/udp", 0, "passed"),
    ("publicbackend", "smarthostloadbalancer", "53/udp", 2, "stopped"),
    ("smarthostbackend-1", "smarthostloadbalancer", "3868/sctp", 0, "passed"),
    ("publicbackend", "smarthostloadbalancer", "3868/sctp", 2, "stopped"),
    ("publicbackend", "smarthostloadbalancer", "icmp", 0, "passed"),
    ("smarthostbackend-1", "smarthostloadbalancer", "icmp", 2, "stopped"),
    ("smarthostloadbalancer", "publicbackend", "80", 2, "stopped"),
    ("bystander", "smarthostloadbalancer", "80", 2, "stopped"),
    ("smarthostbackend-1", "publicbackend", "80", 0, "passed"),  # on one bridge
    ("smarthostbackend-1", "192.0.2.2", "80", 0, "passed"),  # to the outside
    ("smarthostbackend-1", "host", "8080", 0, "passed"),
    ("host", "smarthostloadbalancer", "80", 0, "passed"),
]


def test_the_kernel_answers_as_predicted_and_nobody_gets_a_packet(asking):
    bed = asking
    everybody = ("smarthostloadbalancer", "publicbackend", "host", "peer")
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        heard(bed, *everybody)
        for *flow, code, verdict in FLOWS:
            got, packet = ask(bed, *flow)
            assert (got, packet["verdict"], packet["agrees"]) == (code, verdict, True), (backend, flow, packet)
            assert packet["legacy_rules"] == bed.lab.legacy
            assert_nothing_is_left(bed, packet)
        # a packet that comes in at the host's own end passes its hooks, too: it was dropped behind them
        got = [p for p in heard(bed, "smarthostloadbalancer", "publicbackend", "peer") if p[1] != "192.0.2.255"]
        assert not got, (backend, got)
        assert bed.prober.open("publicbackend", BALANCER, "tcp", 80, timeout=3)
        assert heard(bed, "smarthostloadbalancer")  # whoever listens does hear


def test_the_rule_that_drops_is_shown_by_its_text(asking):
    bed = asking
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        code, packet = ask(bed, "publicbackend", "smarthostloadbalancer", "8080")
        assert code == 2
        if bed.lab.legacy:
            assert "a rule of iptables-legacy, which the kernel does not trace" in packet["end"]
        else:
            assert packet["trace"][-1]["verdict"] == "drop" and texts(packet)[-1].endswith("-j DROP"), packet
        bed.lab.run("iptables", "-I", "DOCKER-USER", "1", "-d", "192.0.2.2", "-j", "DROP")
        code, packet = ask(bed, "smarthostbackend-1", "192.0.2.2", "80")
        assert (code, packet["verdict"]) == (2, "stopped")
        if not bed.lab.legacy:
            assert texts(packet)[-1] == "-A DOCKER-USER -d 192.0.2.2/32 -j DROP"
            last = packet["trace"][-1]
            handle = bed.lab.run("nft", "-a", "list", "chain", "ip", "filter", "DOCKER-USER").stdout
            assert f"# handle {last['handle']}\n" in handle and (last["family"], last["table"]) == ("ip", "filter")
        bed.lab.run("iptables", "-D", "DOCKER-USER", "-d", "192.0.2.2", "-j", "DROP")


@pytest.mark.parametrize("asking", VARIANTS[:2], indirect=True, ids=lambda v: f"docker {v[0]}")
def test_the_drop_that_is_predicted_is_the_one_that_the_kernel_names(asking):
    """Docker 28 drops in raw what comes by a bridge that the network does not trust, else behind it."""
    bed = asking
    for backend in backends(bed):
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        seen = set()
        for *flow, code, _ in FLOWS:
            if code == 2:
                told = json.loads(bed.harborwall("explain", *flow, "--packet", "--json").stdout)
                last = told["packet"]["trace"][-1]
                assert told["path"][-1]["stage"] == f"{last['table']} {last['chain']}", (backend, flow, told)
                seen.add(last["chain"])
        assert seen == {"DOCKER-ISOLATION-STAGE-2", *(["PREROUTING"] if bed.lab.version == "28" else [])}, seen


def test_our_own_rules_are_shown_as_nft_prints_them(asking):
    bed = asking
    bed.apply()
    _, packet = ask(bed, "publicbackend", "smarthostloadbalancer", "80")
    ours = [step for step in packet["trace"] if (step["family"], step["table"]) == ("inet", "harborwall")]
    assert all("text" in step for step in ours if "handle" in step), ours
    listed = bed.lab.run("nft", "-a", "list", "table", "inet", "harborwall").stdout
    admits = next(step for step in ours if step.get("to") == "admit")
    assert "@allow goto admit" in admits["text"] and f"goto admit # handle {admits['handle']}\n" in listed


def test_a_rule_that_is_not_understood_makes_the_kernel_disagree(asking):
    bed = asking
    bed.apply()
    for rule, text in (("meta length 40 tcp dport 80 drop", "-A f -p tcp -m tcp --dport 80 … -j DROP"), ("meta length 40 drop", None)):
        bed.lab.run("nft", "add table inet other; add chain inet other f { type filter hook forward priority 5; }; "
                           f"add rule inet other f {rule}")
        code, packet = ask(bed, "publicbackend", "smarthostloadbalancer", "80")
        assert (code, packet["verdict"], packet["agrees"]) == (1, "stopped", False), packet
        last = packet["trace"][-1]
        assert (last["family"], last["table"], last["chain"], last.get("text")) == ("inet", "other", "f", text)
        told = bed.harborwall("explain", "publicbackend", "smarthostloadbalancer", "80", "--packet").stdout
        assert "the prediction was wrong: the packet should have passed\n" in told and f"rule {last['handle']}" in told
        bed.lab.run("nft", "delete table inet other")
    assert ask(bed, "publicbackend", "smarthostloadbalancer", "80")[0] == 0


def test_what_cannot_be_sent_from_here_is_said(asking):
    bed = asking
    bed.apply()
    before = bed.lab.run("nft", "-s", "list", "ruleset").stdout
    for words, why in ((("192.0.2.2", "smarthostloadbalancer", "443"), "192.0.2.2 is not the address of a running container"),
                       (("ext0", "host", "81"), "is not the address of a running container"),
                       (("172.18.104.9", "smarthostloadbalancer", "80"), "172.18.104.9 is not the address of a running container")):
        done = bed.harborwall("explain", *words, "--packet")
        assert done.returncode == 1 and "no packet was sent" in done.stdout and why in done.stdout, done.stdout + done.stderr
    assert bed.lab.run("nft", "-s", "list", "ruleset").stdout == before
    done = bed.harborwall("explain", "publicbackend", "host", "80", "--packet", "--engine", "28")
    assert done.returncode == 1 and "--packet asks this host's kernel: remove --engine" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_whoever_is_killed_meanwhile_leaves_nothing(asking, number):
    bed = asking
    bed.apply()
    before = bed.lab.run("nft", "-s", "list", "ruleset").stdout

    def tables():
        return bed.lab.run("nft", "list", "tables").stdout.count("harborwall_trace")

    # nobody answers there: the packet waits for the address
    running = bed.lab.spawn(engine.HARBORWALL, "explain", "-c", bed.file, "publicbackend", ABSENT, "80", "--packet", env=bed.env)
    assert engine.wait_for(lambda: tables() == 2, 15), running.log()  # of families inet and bridge
    running.send(number)
    assert engine.wait_for(lambda: not tables(), 2)
    assert bed.lab.run("nft", "-s", "list", "ruleset").stdout == before


def test_what_a_container_itself_refuses_never_comes_out(asking):
    bed = asking
    bed.apply()
    bed.lab.inside("publicbackend", "nft", "add table inet own; add chain inet own out { type filter hook output priority 0; }; "
                                           "add rule inet own out tcp dport 80 drop")
    code, packet = ask(bed, "publicbackend", "smarthostloadbalancer", "80")
    assert (code, packet["agrees"], packet["trace"]) == (1, False, []) and "a rule in its own namespace drops it" in packet["end"]
    assert ask(bed, "publicbackend", "smarthostloadbalancer", "8080")[0] == 2
    bed.lab.inside("publicbackend", "nft", "delete table inet own")


def test_what_would_not_come_to_this_host_is_not_sent(asking):
    """A packet that leaves a container by its tunnel, or stays in it, nobody here could stop."""
    bed = asking
    bed.apply()
    bed.prober.serve_at(beds.CLIENT, "publicbackend")
    heard(bed, beds.CLIENT, "publicbackend")
    for words, why in ((("wireguardproxy", beds.CLIENT_IP, "80"), "its own namespace sends what goes there from 10.66.0.1"),
                       (("publicbackend", PUBLIC, "80"), "it stays in its own namespace")):
        code, packet = ask(bed, *words)
        assert (packet["verdict"], packet["trace"]) == ("stopped", []) and why in packet["end"], (code, packet)
    assert not heard(bed, beds.CLIENT, "publicbackend")
    assert bed.prober.open("wireguardproxy", beds.CLIENT_IP, "tcp", 80, timeout=3)


def test_an_address_from_outside_is_not_at_home_on_a_network_that_no_file_knows(asking):
    """The engine's default network is no network of the file."""
    bed = asking
    bed.apply()
    bed.docker.create("borrower")
    code, packet = ask(bed, "192.0.2.2", BALANCER, "443", "--in", "docker0")
    assert (code, packet["verdict"], packet["agrees"]) == (2, "stopped", True), (code, packet)
    attempts = [(who, "192.0.2.2", BALANCER, "tcp", 443, "smarthostloadbalancer") for who in ("borrower", "peer")]
    assert bed.prober.spoof(attempts) == attempts[1:]
    done = bed.harborwall("explain", "192.0.2.2", BALANCER, "443", "--in", "ext0")
    assert done.returncode == 0 and "at smarthostloadbalancer" in done.stdout, done.stdout
    bed.docker.remove("borrower")
