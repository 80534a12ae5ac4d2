# SPDX-License-Identifier: GPL-2.0-or-later
"""Docker's nftables backend (docker29.py): what is enforced there, what can't be and is said, and what is closed when
parts of Docker's own tables are gone."""
import contextlib
import os

import bed as beds
import docker29
import engine
import pytest
import seed
from conftest import need_engine
from test_cells import REPORT, assert_nobody_gets_in_with_a_borrowed_source, assert_noop, clear, doctor

FWMARK = docker29.FWMARK
OPTION = f"--bridge-accept-fwmark={FWMARK}"
LOADBALANCER, SAFE = "172.18.103.2", "172.18.105.2"


@pytest.fixture
def stand_in(request):
    """A bed whose engine is the stand-in; every container's address is declared. Parametrized: engine 29's options."""
    need_engine("28")
    with engine.Lab(f"stand-in{os.getpid()}", "28", **docker29.OPTIONS) as lab:
        lab.peer()
        with docker29.Engine(lab, **getattr(request, "param", {"fwmark": FWMARK})) as behind, \
                beds.Bed(lab, env={"DOCKER_HOST": f"unix://{behind.path}"}) as bed:
            bed.engine, bed.tables = behind, behind.tables
            seed.containers(bed)
            bed.write(seed.dual(world()))
            yield bed


def world():
    """The seed's, and a network that is internal: with the address of one container, and a way from there."""
    config = seed.widened()
    config["ips"]["172.18.104.9"] = {"container_name": "wireguardproxy"}
    config["networks"]["vault"] = {"subnet": "172.18.105.0/24", "internal": True}
    config["ips"][SAFE] = {"container_name": "safe"}
    config["policies"].append({"selector": "smarthostloadbalancer", "from": "safe", "port": 443})
    return config


def cannot(text):
    """policy -> what is said of it."""
    said = {}
    for line in text.splitlines():
        if "cannot be enforced: " in line:
            said.setdefault(line.split(": ")[1], []).append(line.split("cannot be enforced: ")[1])
    return said


def tables(bed):
    return beds.without_counters("".join(bed.lab.run("nft", "-s", "list", "table", family, "docker-bridges").stdout
                                         for family in ("ip", "ip6")))


def resolver_of(bed, container):
    return beds.without_counters(bed.lab.inside(container, "nft", "list", "table", "ip", "docker-dns").stdout)


def opens(bed, source, ip, port, proto="tcp"):
    return bed.prober.open(source, ip, proto, port)


def test_the_matrix_holds_with_our_mark(stand_in):
    bed = stand_in
    bed.docker.create("safe", network="none")
    bed.apply()
    before, resolver = tables(bed), resolver_of(bed, "wireguardproxy")
    assert "dnat to 127.0.0.11" in resolver
    bed.assert_matrix()
    # wireguardproxy is publicbackend's neighbour here, on one bridge
    assert_nobody_gets_in_with_a_borrowed_source(bed, ("bystander",))
    assert_noop(bed)
    assert tables(bed) == before and "ip6 docker-bridges" in before
    assert '"api": "1.55"' in bed.harborwall("plan", "--json").stdout
    assert "Docker closes its networks" in doctor(bed).stdout
    # an API that has no word for it yet
    planned = bed.harborwall("plan", "--json", env={"DOCKER_API_VERSION": "1.44"})
    assert planned.returncode == 0 and '"firewall": "nftables"' in planned.stdout
    assert resolver_of(bed, "wireguardproxy") == resolver  # Docker's, beside our table in there
    clear(bed)
    assert not [li for li in beds.remains(bed)]
    REPORT["docker 29 --firewall-backend=nftables (stand-in), nftables"] = "tables of 29 around 28"


@pytest.mark.parametrize("stand_in", [{"fwmark": mark} for mark in ("0x2000000", "0x2000000/0x3000000", "0x2000000/0x6000000")],
                         indirect=True, ids=str)
def test_other_words_for_the_mark_are_taken_too(stand_in):
    bed = stand_in
    bed.apply()
    assert not cannot(bed.harborwall("plan").stdout)
    bed.prober.serve_at("smarthostloadbalancer")
    assert opens(bed, "publicbackend", LOADBALANCER, 80) and not opens(bed, "publicbackend", LOADBALANCER, 8080)


# --- what can't be enforced ---

@pytest.mark.parametrize("stand_in", [{}], indirect=True, ids=["no option"])
def test_without_the_option_each_policy_that_needs_the_mark_is_named(stand_in):
    """Allows, host translations and in-container translations need it; published ports do not."""
    bed = stand_in
    bed.docker.create("shop", publish={"9090": 80})
    config = world()
    bed.write(config)
    assert bed.harborwall("apply").returncode == 1
    said = cannot(bed.harborwall("plan").stdout)
    assert set(said) == {f"policies[{i}]" for i in range(len(config["policies"]))}
    assert all(OPTION in text for texts in said.values() for text in texts)
    assert "takes no mark" in doctor(bed).stdout
    difference, _, _ = bed.matrix()
    assert not difference.extra
    bed.prober.serve_at("smarthostloadbalancer", "shop")
    assert not opens(bed, beds.PEER, beds.HOST_IP, 81)  # the host's translation
    assert not opens(bed, "client", beds.TUNNEL_IP, 80)  # wireguardproxy's
    assert opens(bed, beds.PEER, beds.HOST_IP, 9090)[0] == "shop"
    bed.engine.restart(FWMARK)
    assert bed.harborwall("plan").returncode == 0
    assert opens(bed, beds.PEER, beds.HOST_IP, 81) and opens(bed, "client", beds.TUNNEL_IP, 80)
    assert opens(bed, beds.PEER, beds.HOST_IP, 9090)


@pytest.mark.parametrize("stand_in", [{}], indirect=True, ids=["no option"])
def test_a_host_translation_alone_needs_the_mark(stand_in):
    bed = stand_in
    config = world()
    config["policies"] = [config["policies"][3]]
    bed.write(config)
    assert bed.harborwall("apply").returncode == 1
    assert list(cannot(bed.harborwall("plan").stdout)) == ["policies[0]"]
    bed.prober.serve_at("smarthostloadbalancer")
    assert not opens(bed, beds.PEER, beds.HOST_IP, 81)
    # to where Docker drops nothing it needs none
    config["policies"][0]["to"] = "198.51.100.7"
    bed.write(config)
    assert not cannot(bed.harborwall("plan").stdout)


OUTSIDE = [{"selector": "smarthostloadbalancer", "from": beds.PEER_IP, "port": 443},
           {"selector": "smarthostloadbalancer", "from": "any", "port": 8080}]


def test_what_comes_from_outside_is_void_unless_its_interface_is_trusted(stand_in):
    bed = stand_in
    config = world()
    config["policies"] += OUTSIDE
    bed.write(config)
    assert bed.harborwall("apply").returncode == 1
    said = cannot(bed.harborwall("plan").stdout)
    assert set(said) == {"policies[5]", "policies[6]"}
    networks = bed.docker.networks()
    names = {name: docker29.bridge_of(n) for name, n in networks.items()}
    whole = networks["smarthost-loadbalancer"]["Options"][docker29.TRUSTED] + ":ext0"
    assert {names["smarthost_backend-1"], names["vault"]} <= set(whole.split(":"))
    for policy in said:
        [text] = said[policy]
        assert "drops what comes in by ext0" in text and f"{docker29.TRUSTED}={whole}," in text, text
        assert "--allow-direct-routing" in text
    bed.prober.serve_at("smarthostloadbalancer")
    assert not opens(bed, beds.PEER, LOADBALANCER, 443) and not opens(bed, beds.PEER, LOADBALANCER, 8080)
    assert opens(bed, "publicbackend", LOADBALANCER, 80)
    # as the message says: created with all of it
    clear(bed)
    config["networks"]["smarthost-loadbalancer"]["options"] = {docker29.TRUSTED: whole}
    bed.write(config)
    bed.apply()
    assert not cannot(bed.harborwall("plan").stdout)
    [note] = [li for li in bed.harborwall("plan", "-v").stdout.splitlines() if "other networks" in li]
    assert "policies[6]: containers of 2 other networks (\"bridge\" …) stay out" in note, note
    bed.assert_matrix(lambda key: key[0] != "bystander")
    assert not opens(bed, "bystander", LOADBALANCER, 8080)
    assert opens(bed, beds.PEER, LOADBALANCER, 443) and opens(bed, beds.PEER, LOADBALANCER, 8080)
    assert not opens(bed, beds.PEER, LOADBALANCER, 81)
    assert_nobody_gets_in_with_a_borrowed_source(bed, ("bystander",))


@pytest.mark.parametrize("stand_in", [{"fwmark": FWMARK, "direct": True}], indirect=True, ids=["--allow-direct-routing"])
def test_allow_direct_routing_is_seen(stand_in):
    """Also where networks were made without trust in each other."""
    bed = stand_in
    bed.docker.create_network("smarthost-loadbalancer", "172.18.103.0/24", "172.18.103.1")
    config = world()
    config["policies"] += OUTSIDE
    bed.write(config)
    bed.apply()
    assert not cannot(bed.harborwall("plan").stdout)
    bed.assert_matrix()
    assert opens(bed, beds.PEER, LOADBALANCER, 443) and not opens(bed, beds.PEER, LOADBALANCER, 81)
    assert_nobody_gets_in_with_a_borrowed_source(bed, ("bystander",))


def test_a_network_that_was_made_without_trust_is_told_all_that_it_needs(stand_in):
    bed = stand_in
    bed.docker.create_network("smarthost-loadbalancer", "172.18.103.0/24", "172.18.103.1",
                              Options={docker29.TRUSTED: "eth7"})
    assert bed.harborwall("apply").returncode == 1
    said = cannot(bed.harborwall("plan").stdout)
    names = {name: docker29.bridge_of(n) for name, n in bed.docker.networks().items()}
    assert set(said) == {"policies[0]", "policies[1]", "policies[2]", "policies[4]"}
    whole = said["policies[0]"][0].split(docker29.TRUSTED + "=")[1].split(",")[0]
    assert set(whole.split(":")) == {"eth7", names["smarthost_backend-1"], names["vault"]}
    assert all(f"{docker29.TRUSTED}={whole}," in text for texts in said.values() for text in texts)
    bed.prober.serve_at("smarthostloadbalancer")
    assert not opens(bed, "publicbackend", LOADBALANCER, 80)


def test_nothing_leads_into_an_internal_network_and_only_such_policies_are_named(stand_in):
    bed = stand_in
    bed.docker.create("safe", network="none")
    config = world()
    config["policies"] += [{"selector": "safe", "from": "publicbackend", "port": 80},
                           {"selector": "safe", "iface": "ext0", "nat": "dnat", "to": "safe", "port": 443}]
    bed.write(config)
    assert bed.harborwall("apply").returncode == 1
    said = cannot(bed.harborwall("plan").stdout)
    assert set(said) == {"policies[5]", "policies[6]"}
    assert all("network \"vault\" is internal" in text for texts in said.values() for text in texts)
    bed.prober.serve_at("safe", "smarthostloadbalancer")
    assert not opens(bed, "publicbackend", SAFE, 80) and not opens(bed, beds.PEER, beds.HOST_IP, 443)
    assert opens(bed, "publicbackend", LOADBALANCER, 80) and opens(bed, "safe", LOADBALANCER, 443)


# --- backends that would be void, and an engine that only says so ---

def test_the_backends_of_iptables_are_refused(stand_in):
    bed = stand_in
    for backend in ("iptables-nft", "iptables-legacy"):
        done = bed.harborwall("apply", env={"HARBORWALL_BACKEND": backend})
        assert done.returncode == 1 and "would have no effect" in done.stderr and "BACKEND=nftables" in done.stderr, done.stderr
    assert not beds.remains(bed)


@pytest.mark.parametrize("backend", ["nftables", ""], ids=["nftables", "the same"])
@pytest.mark.parametrize("lab", [{"version": "28", "legacy": legacy, "environment": ["DOCKER_FIREWALL_BACKEND=nftables"]}
                                 for legacy in (False, True)], indirect=True, ids=["iptables-nft", "iptables-legacy"])
def test_an_engine_28_that_says_nftables_writes_iptables(bed, backend):
    variant = "iptables-legacy" if bed.lab.legacy else "iptables-nft"
    backend = backend or variant
    bed.env["HARBORWALL_BACKEND"] = backend
    seed.containers(bed)
    bed.write(seed.widened())
    assert '"Driver":"nftables"' in bed.docker.call("GET", "/info", raw=True).decode()
    bed.apply()
    bed.assert_matrix()
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    assert_noop(bed)
    assert f'"firewall": "{variant}"' in bed.harborwall("plan", "--json").stdout
    clear(bed)
    assert not beds.remains(bed)
    REPORT[f"docker 28, {variant}, DOCKER_FIREWALL_BACKEND=nftables, {backend}"] = bed.docker.call("GET", "/version")["Version"]


# --- parts of Docker's tables are gone ---

T = "ip docker-bridges"
WEB, VAULT = "hw-web", "hw-vault"
#  what is done -> who gets in where he must not, and a word of what is said
LOSSES = {
    f"delete table {T}": ("web vault out", "docker-bridges is not there"),
    f"flush table {T}": ("web vault out", "filter-FORWARD"),
    f"add table {T} {{ flags dormant; }}": ("web vault out", "dormant"),
    f"flush chain {T} filter-FORWARD": ("web vault out", "filter-FORWARD"),
    f"delete chain {T} filter-FORWARD": ("web vault out", "filter-FORWARD"),
    f"flush map {T} filter-forward-in-jumps": ("web vault", "filter-forward-in-jumps"),
    f"delete element {T} filter-forward-in-jumps {{ {WEB} }}": ("web", "filter-forward-in-jumps"),
    f"flush chain {T} filter-forward-in__{WEB}": ("web", f"chain filter-forward-in__{WEB}"),
    f"flush chain {T} filter-forward-in__{VAULT}": ("vault", f"chain filter-forward-in__{VAULT}"),
    f"flush map {T} filter-forward-out-jumps": ("out", "filter-forward-out-jumps"),
    f"flush chain {T} filter-forward-out__{VAULT}": ("out", f"chain filter-forward-out__{VAULT}"),
}


def flushable():
    """Two networks, trusted by the outside, so that nothing but the forward chains keeps it out of them."""
    return {"networks": {"web": {"subnet": "172.18.103.0/24", "bridge_name": WEB, "options": {docker29.TRUSTED: "ext0"}},
                         "vault": {"subnet": "172.18.105.0/24", "bridge_name": VAULT, "internal": True}},
            "ips": {LOADBALANCER: {"container_name": "smarthostloadbalancer"}, SAFE: {"container_name": "safe"}},
            "policies": [{"selector": "smarthostloadbalancer", "from": beds.PEER_IP, "port": 80}]}


@contextlib.contextmanager
def flushable_bed(name, config, containers):
    """One bed for all of it: every test has dockerd write its tables anew."""
    need_engine("28")
    with engine.Lab(f"{name}{os.getpid()}", "28", **docker29.OPTIONS) as lab:
        lab.peer()
        with docker29.Engine(lab, FWMARK) as behind, beds.Bed(lab, env={"DOCKER_HOST": f"unix://{behind.path}"}) as bed:
            bed.engine = behind
            for container in containers:
                bed.docker.create(container, network="none")
            bed.write(config)
            bed.apply()
            yield bed


@pytest.fixture(scope="module")
def flushed():
    with flushable_bed("flushed", flushable(), ["smarthostloadbalancer", "safe"]) as bed:
        # what a way out of the internal network needs beside Docker's leave
        bed.lab.inside("safe", "ip", "route", "add", "default", "via", "172.18.105.1")
        bed.lab.run("ip", "netns", "exec", "peer", "ip", "route", "replace", "172.18.0.0/16", "via", beds.HOST_IP)
        yield bed


INTRUSIONS = {"web": (beds.PEER, LOADBALANCER, 8080), "vault": (beds.PEER, SAFE, 80), "out": ("safe", beds.PEER_IP, 80)}


def intruders(bed):
    """Who gets in, or out, where Docker would not let him."""
    bed.prober.serve_at("smarthostloadbalancer", "safe", beds.PEER)
    asked = {}
    for source, ip, port in INTRUSIONS.values():
        asked.setdefault(source, []).append([ip, "tcp", port])
    got = bed.prober.ask_all(asked)
    return {name for name, (source, ip, port) in INTRUSIONS.items() if got[(source, ip, "tcp", port)]}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.replace(" " + T, ""))
def test_what_docker_lost_is_closed_by_us_and_named(flushed, loss):
    bed, (opened, word) = flushed, LOSSES[loss]
    bed.engine.restart(FWMARK)
    bed.apply()
    assert not intruders(bed) and opens(bed, beds.PEER, LOADBALANCER, 80)
    bed.lab.run("nft", *loss.split(" ", 2)[:2], *loss.split(" ", 2)[2].split())
    assert intruders(bed) == set(opened.split())  # or the test would show nothing
    bed.apply()
    assert not intruders(bed)
    assert opens(bed, beds.PEER, LOADBALANCER, 80)
    warned = [li for li in bed.harborwall("plan").stdout.splitlines() if li.startswith("warning: host: ")]
    assert len(warned) == 1 and word in warned[0] and "restart dockerd" in warned[0], warned
    assert warned[0].endswith("harborwall closes its networks itself")
    found = [li for li in doctor(bed).stdout.splitlines() if li.startswith("FINDING  isolation")]
    assert len(found) == 1 and word in found[0] and "restart dockerd" in found[0]
    assert_noop(bed)
    bed.engine.restart(FWMARK)
    bed.apply()
    assert "closed" not in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    assert not intruders(bed) and opens(bed, beds.PEER, LOADBALANCER, 80)
    assert "Docker closes its networks" in doctor(bed).stdout


def test_an_open_network_of_others_is_named_and_left_to_them(flushed):
    bed = flushed
    bed.engine.restart(FWMARK)
    bed.lab.run("nft", "flush", "chain", "ip", "docker-bridges", "filter-forward-in__docker0")
    bed.apply()
    [warned] = [li for li in bed.harborwall("plan").stdout.splitlines() if li.startswith("warning: host: ")]
    assert "network \"bridge\"" in warned and warned.endswith("restart dockerd")
    assert "closed" not in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout


def test_what_comes_back_by_parts_is_told_from_the_whole(flushed):
    """Docker writes anew what it touches, and all the rest stays away until dockerd starts."""
    bed = flushed
    bed.engine.restart(FWMARK)
    bed.apply()
    bed.lab.run("nft", "delete", "table", "ip", "docker-bridges")
    bed.docker.restart("smarthostloadbalancer")
    standing = bed.lab.run("nft", "list", "table", "ip", "docker-bridges").stdout
    assert "DROP DIRECT ACCESS" in standing and "filter-forward-in-jumps" in standing and "filter-FORWARD" not in standing
    assert intruders(bed) == {"web", "vault", "out"}
    bed.apply()
    assert not intruders(bed) and opens(bed, beds.PEER, LOADBALANCER, 80)
    bed.docker.create_network("late", "172.18.106.0/24", bridge="hw-late")
    assert "filter-forward-in__hw-late" in bed.lab.run("nft", "list", "table", "ip", "docker-bridges").stdout
    bed.apply()
    assert not intruders(bed) and "filter-FORWARD of table" in bed.harborwall("plan").stdout
    bed.docker.remove_network("late")
    bed.engine.restart(FWMARK)
    bed.apply()
    assert not intruders(bed)


def degraded(bed):
    done = bed.harborwall("status")
    return done.stdout if done.returncode == 2 else ""


def test_a_daemon_closes_at_once_and_is_degraded_until_dockerd_starts(flushed):
    bed = flushed
    bed.engine.restart(FWMARK)
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0, 10, 0.1)
    bed.lab.run("nft", "flush", "chain", "ip", "docker-bridges", f"filter-forward-in__{WEB}")
    daemon.wait_log("harborwall closes its networks itself")
    assert not intruders(bed) and opens(bed, beds.PEER, LOADBALANCER, 80)
    assert "lacks its drop" in degraded(bed)
    bed.engine.restart(FWMARK)
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0, 10, 0.1)
    bed.lab.run("nft", "flush", "ruleset")
    assert engine.wait_for(lambda: "docker-bridges is not there" in degraded(bed), 10, 0.1)
    bed.engine.restart(FWMARK)
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0, 10, 0.1)
    # a network and a container that come and go are no losses
    said = daemon.log().count("level=warn")
    bed.docker.create_network("late", "172.18.106.0/24", bridge="hw-late")
    bed.docker.create("guest", network="late")
    bed.docker.stop("guest")
    bed.docker.remove("guest")
    bed.docker.remove_network("late")
    bed.docker.restart("smarthostloadbalancer")
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, 10, 0.1)
    assert bed.harborwall("status").returncode == 0 and daemon.log().count("level=warn") == said, daemon.log()[-2000:]
    daemon.end()


@pytest.mark.parametrize("stand_in", [{"fwmark": FWMARK}], indirect=True, ids=[""])
def test_a_flushed_drop_of_direct_access_is_told_from_allow_direct_routing(stand_in):
    """Both leave raw-PREROUTING empty: a daemon knows what it saw, and whether dockerd has started since."""
    bed = stand_in
    bed.docker.create_network("smarthost-loadbalancer", "172.18.103.0/24", "172.18.103.1")
    bed.write(world() | {"policies": []})
    bed.docker.create("shop", network="smarthost-loadbalancer", publish={"127.0.0.1:9090": 81},
                      ip=(shop := "172.18.103.50"))
    bed.apply()
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    bed.prober.serve_at("shop")
    bed.lab.run("ip", "netns", "exec", "peer", "ip", "route", "replace", "172.18.0.0/16", "via", beds.HOST_IP)
    assert not opens(bed, beds.PEER, shop, 81)
    bed.lab.run("nft", "flush", "chain", "ip", "docker-bridges", "raw-PREROUTING")
    assert opens(bed, beds.PEER, shop, 81)  # though it was published for the host alone
    daemon.wait_log("raw-PREROUTING")
    assert not opens(bed, beds.PEER, shop, 81) and not opens(bed, beds.PEER, shop, 80)
    assert "raw-PREROUTING" in degraded(bed)
    bed.engine.restart(FWMARK, direct=True)
    assert engine.wait_for(lambda: "raw-PREROUTING" not in bed.harborwall("status").stdout, 10, 0.1)
    assert opens(bed, beds.PEER, shop, 81) and not opens(bed, beds.PEER, shop, 80)
    assert "--allow-direct-routing, or chain raw-PREROUTING" in doctor(bed).stdout
    daemon.end()


def test_what_a_dead_dockerd_lost_is_closed_too(stand_in):
    """Nobody tells which networks there are: the chains do, and the file."""
    bed = stand_in
    bed.write(flushable())
    bed.apply()
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    bed.prober.serve_at("smarthostloadbalancer", beds.PEER)
    bed.lab.engine("kill9")
    assert engine.wait_for(lambda: "DOWN" in degraded(bed), 20, 0.1)
    assert not opens(bed, beds.PEER, LOADBALANCER, 8080) and opens(bed, beds.PEER, LOADBALANCER, 80)
    bed.lab.run("nft", "flush", "chain", "ip", "docker-bridges", f"filter-forward-in__{WEB}")
    daemon.wait_log(f"chain filter-forward-in__{WEB} of table ip docker-bridges lacks its drop")
    assert engine.wait_for(lambda: "closed" in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout)
    assert not opens(bed, beds.PEER, LOADBALANCER, 8080) and opens(bed, beds.PEER, LOADBALANCER, 80)
    daemon.end()
