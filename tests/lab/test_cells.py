# SPDX-License-Identifier: GPL-2.0-or-later
"""The same packets everywhere: engines x the variant of iptables that Docker uses x our backends."""
import json
import os

import bed as beds
import engine
import pytest
import seed
import standins
from reloads import reload

CELLS = [(version, legacy, backend) for version in ("20", "26", "28") for legacy in (False, True)
         for backend in ("nftables", "iptables-legacy" if legacy else "iptables-nft")]
# In which the engine restarts, and a firewalld comes: each engine, and each pair of variant and backend.
TOLD = [("20", False, "nftables"), ("20", True, "iptables-legacy"), ("26", False, "iptables-nft"), ("26", True, "nftables"),
        ("28", False, "nftables"), ("28", True, "iptables-legacy")]
EXPECTED = {"20": "20.10.24", "26": "26.1.5", "28": "28.5.2"}  # what the suites held when the facts were measured
RELOADS = {}  # cell -> ms of a firewalld's reload, from its end to the first right packet, and until Docker has done
REPORT = {}  # cell -> the engine's exact version: those that passed


def cell_name(cell):
    version, legacy, backend = cell
    return f"docker {version}, {'iptables-legacy' if legacy else 'iptables-nft'}, {backend}"


def table(report):
    """Lines for people: every cell, those too that did not pass or were not run; engines that are not the expected ones."""
    if not report:
        return []
    names = [cell_name(c) for c in CELLS]
    if not report.keys() & set(names):  # other files' cells
        names = []
    lines = [f"{name:<46} {report.get(name, 'NOT PASSED HERE')}" for name in names + [n for n in report if n not in names]]
    return lines + unexpected(report)


def unexpected(report):
    return [f"!!! engine {version} is {exact} now, not {expected}: read what it changed, then expect it"
            for version, expected in EXPECTED.items()
            for exact in sorted({e for n, e in report.items() if n.startswith(f"docker {version}")})
            if exact.split("+")[0] != expected]


def test_an_engine_that_is_no_longer_the_expected_one_is_said_and_no_cell_is_left_out():
    known = {f"docker {version}, iptables-nft, nftables": f"{exact}+dfsg1" for version, exact in EXPECTED.items()}
    assert unexpected(known) == [] and table({}) == []
    moved = {**known, "docker 28, iptables-nft, nftables": "28.6.0+dfsg1", "docker 28, odd": "28.5.2+dfsg4", "no Docker, nftables": "none"}
    assert unexpected(moved) == ["!!! engine 28 is 28.6.0+dfsg1 now, not 28.5.2: read what it changed, then expect it"]
    lines = table(moved)
    assert lines[-1] == unexpected(moved)[0] and len(lines) == len(CELLS) + 3  # two cells beside them, and the loud line
    assert sum("NOT PASSED HERE" in line for line in lines) == len(CELLS) - len(EXPECTED)
    assert all(any(line.startswith(name) and line.endswith(exact) for line in lines) for name, exact in moved.items())


@pytest.fixture(params=CELLS, ids=cell_name)
def cell(request):
    """A bed in which the widened example stands, with SCTP, and in both families."""
    from conftest import need_engine
    version, legacy, backend = request.param
    need_engine(version)
    need_engine("firewalld")
    with engine.Lab(f"cell{os.getpid()}", version, legacy=legacy, options=seed.WITH_IPV6) as lab:
        lab.peer()
        with beds.Bed(lab, sctp=seed.SCTP, env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.before = beds.rule_dumps(lab)
            bed.write(seed.dual(with_outside(seed.with_sctp())))
            bed.apply()
            bed.name, bed.told = cell_name(request.param), request.param in TOLD
            bed.exact = bed.docker.call("GET", "/version")["Version"]
            yield bed


def assert_noop(bed):
    posts, before = bed.lab.posts(), beds.rule_dumps(bed.lab)
    planned = bed.harborwall("plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "nothing to do" in bed.apply().stdout
    assert bed.lab.posts() == posts and beds.rule_dumps(bed.lab) == before


def assert_healed(bed, daemon):
    """Nobody but the daemon has put it right."""
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, 20, 0.1), daemon.log()[-3000:]
    bed.assert_matrix()


def test_the_matrix_and_what_the_engine_does_to_it(cell):
    """One engine for all of it: starting one costs more than the questions."""
    bed, backend = cell, cell.env["HARBORWALL_BACKEND"]
    clear(bed)
    after = beds.rule_dumps(bed.lab)
    assert after == bed.before or backend != "nftables" and beds.rules_alone(after) == beds.rules_alone(bed.before)
    bed.apply()
    bed.assert_matrix()
    assert_noop(bed)
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    # a policy less, a policy more
    config = bed.config
    gone = config["policies"].pop(0)
    config["policies"].append({"selector": "smarthostbackend-1", "from": "publicbackend", "port": 8080})
    config["policies"].append({"selector": "publicbackend", "from": "smarthostloadbalancer", "port": "8000-8100"})
    bed.write(config)
    bed.apply()
    bed.assert_matrix()
    config["policies"].insert(0, gone)
    bed.write(config)
    if bed.told:
        what_the_engine_does_to_it(bed)
    clear(bed)
    assert not beds.remains(bed)
    REPORT[bed.name] = bed.exact


def what_the_engine_does_to_it(bed):
    """Under a daemon."""
    config = bed.config
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    bed.docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    bed.docker.restart("smarthostloadbalancer")
    assert_healed(bed, daemon)
    for stops in ("kill9", "stop"):
        if stops == "stop":  # up to Docker 27 firewalld refuses what comes from outside, whatever we admit
            config["policies"] = [p for p in config["policies"] if beds.OUTSIDE not in p.get("from", ())]
            bed.write(config)
            assert_healed(bed, daemon)
        bed.lab.engine(stops)
        if stops == "stop":  # a firewalld that comes later: Docker asks for one only when it starts
            bed.lab.start_firewalld("iptables" if bed.lab.legacy else "nftables")
        bed.lab.engine("start")
        seed.start_all(bed)
        assert_healed(bed, daemon)
    RELOADS[bed.name] = reload(bed, daemon, "--reload")
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    daemon.end()
    assert_noop(bed)


def clear(bed):
    done = bed.harborwall("clear", "--networks")
    assert done.returncode == 0, done.stdout + done.stderr


def with_outside(config):
    """A network beyond the host may come in, too."""
    config["policies"].append({"selector": "smarthostloadbalancer", "from": beds.OUTSIDE, "port": 443})
    return config


def assert_nobody_gets_in_with_a_borrowed_source(bed, thieves=("bystander", "wireguardproxy")):
    for world in bed.worlds():
        balancer = world.containers["smarthostloadbalancer"]["smarthost-loadbalancer"]
        bed.assert_sources(balancer, [("tcp", 80), ("tcp", 443), ("udp", 53)], thieves)


# --- where nobody writes Docker's drops ---

def closed_without_docker(bed):
    bed.assert_matrix(bed.into_managed)
    assert_nobody_gets_in_with_a_borrowed_source(bed)


# 28 goes on to write those of IPv6 unless it is told that, too
NO_RULES = [("20", ["--iptables=false"]), ("28", ["--iptables=false"]), ("28", ["--iptables=false", "--ip6tables=false"])]


@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
@pytest.mark.parametrize("lab", [{"version": v, "options": options + seed.WITH_IPV6} for v, options in NO_RULES], indirect=True,
                         ids=[f"docker {v} {' '.join(options)}" for v, options in NO_RULES])
def test_an_engine_that_writes_no_rules(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        before = beds.rule_dumps(lab)
        bed.write(seed.dual(with_outside(seed.widened())))
        bed.apply()
        closed_without_docker(bed)
        assert_noop(bed)
        clear(bed)
        assert not beds.remains(bed)
        assert beds.rule_dumps(lab)["nft"] == before["nft"] or backend != "nftables"
        off = " ".join(option for option in lab.options if "tables" in option)
        REPORT[f"docker {lab.version} {off}, {backend}"] = bed.docker.call("GET", "/version")["Version"]


@pytest.fixture
def no_docker(request):
    """A bed of stand-ins, and no engine anywhere."""
    with engine.Lab(f"bare{os.getpid()}", "none", legacy=request.param == "iptables-legacy") as lab:
        lab.peer()
        with beds.Bed(lab, env={"HARBORWALL_BACKEND": request.param}) as bed:
            config = seed.dual(with_outside(seed.widened()))
            config["networks"]["smarthost-loadbalancer"]["bridge_name"] = "balancer0"
            config["networks"]["smarthost_backend-1"]["bridge_name"] = "backend0"
            bed.write(config)
            standins.lay_out(bed)
            yield bed


@pytest.mark.parametrize("no_docker", ["nftables", "iptables-nft", "iptables-legacy"], indirect=True)
def test_a_host_without_any_docker_is_closed_but_for_what_the_file_allows(no_docker):
    bed, backend = no_docker, no_docker.env["HARBORWALL_BACKEND"]
    before = beds.rule_dumps(bed.lab)
    planned = bed.harborwall("plan")
    assert planned.returncode == 2 and "warning: host: no Docker engine" in planned.stdout, planned.stdout + planned.stderr
    assert not {"network", "connection"} & {step["object"] for step in json.loads(bed.harborwall("plan", "--json").stdout)["steps"]}
    assert "The file alone is enforced" in bed.apply().stdout
    closed_without_docker(bed)
    assert_noop(bed)
    # a policy less, a policy more
    config = bed.config
    config["policies"][2:3] = [{"selector": "publicbackend", "from": "smarthostloadbalancer", "port": 8080}]
    bed.write(config)
    bed.apply()
    closed_without_docker(bed)
    clear(bed)
    assert not beds.remains(bed)
    after = beds.rule_dumps(bed.lab)
    assert after["ip_forward"] == before["ip_forward"] and (after == before or backend != "nftables")
    REPORT[f"no Docker, {backend}"] = "none"


@pytest.mark.parametrize("no_docker", ["nftables"], indirect=True)
def test_a_daemon_on_a_host_without_any_docker_follows_the_file(no_docker):
    bed = no_docker
    daemon = bed.run_daemon()
    daemon.wait_log("The file alone is enforced")
    closed_without_docker(bed)
    config = bed.config
    config["policies"][2:3] = [{"selector": "publicbackend", "from": "smarthostloadbalancer", "port": 8080}]
    bed.write(config)
    assert engine.wait_for(lambda: "8080" in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout), daemon.log()
    closed_without_docker(bed)
    status = bed.harborwall("status")
    assert status.returncode == 2 and "warning: host: no Docker engine" in status.stdout
    assert "level=error" not in daemon.log()


@pytest.mark.parametrize("backend", ["nftables", "iptables-nft"])
@pytest.mark.parametrize("lab", [{"version": "20", "options": ["--iptables=false"]}], indirect=True, ids=["--iptables=false"])
def test_a_translation_for_one_source_lets_no_borrowed_one_in_where_nobody_else_drops(lab, backend):
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        seed.containers(bed)
        config = seed.widened()
        config["policies"][-1] |= {"from": "publicbackend", "iface": "hw-owned"}
        config["networks"]["smarthost_backend-1"]["bridge_name"] = "hw-owned"
        config["policies"].append({**config["policies"][-1], "iface": "ext0"})
        bed.write(config)
        bed.apply()
        honest = ("publicbackend", "172.18.104.3", "172.18.104.1", "tcp", 81, "smarthostloadbalancer")
        thief = ("peer", "172.18.104.3", "192.0.2.1", "tcp", 81, "smarthostloadbalancer")
        assert bed.prober.spoof([honest, thief]) == [honest]


@pytest.mark.parametrize("lab", [{"version": "20"}, {"version": "28"}], indirect=True, ids=["docker 20", "docker 28"])
def test_flushed_chains_are_closed_by_ours_until_the_engine_writes_its_own(bed):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.lab.run("nft", "flush", "ruleset")
    bed.apply()
    bed.assert_matrix(bed.into_managed)
    assert "closed" in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    bed.lab.engine("restart")
    seed.start_all(bed)
    said = bed.apply().stdout
    ours = "closed" in bed.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    # up to 27 Docker closes the outside by a policy that it sets only when it turns forwarding on
    assert ours == (bed.lab.version == "20") == ("the policy of FORWARD is ACCEPT" in said)
    bed.assert_matrix(bed.into_managed)


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "26", "28")], indirect=True, ids=lambda v: f"docker {v['version']}")
def test_a_daemon_is_degraded_while_docker_s_drops_are_lost(bed):
    bed.write(seed.widened())
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0)
    bed.lab.run("nft", "flush", "ruleset")
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 2)
    assert "if they should, restart dockerd; harborwall closes its networks itself" in bed.harborwall("status").stdout
    bed.lab.engine("restart")
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0), bed.harborwall("status").stdout
    # one that is started without drops has lost none
    bed.lab.engine("stop")
    bed.lab.run("nft", "flush", "ruleset")
    bed.lab.engine("start", "-D", "--iptables=false")
    daemon.wait_log("following the engine", times=3)
    assert engine.wait_for(lambda: bed.harborwall("status").returncode == 0), bed.harborwall("status").stdout
    assert "harborwall closes its networks itself" in bed.harborwall("status").stdout
    daemon.end()


# --- switching ---

@pytest.mark.shared
@pytest.mark.parametrize("lab", [{"options": seed.WITH_IPV6}], indirect=True, ids=["docker 20"])
def test_a_backend_that_was_left_leaves_nothing(bed):
    seed.containers(bed)
    bed.write(seed.dual(seed.widened()))
    for backend, sign in [("nftables", "inet harborwall"), ("iptables-nft", "HARBORWALL-FRESH"),
                          ("nftables", "inet harborwall")]:
        bed.env["HARBORWALL_BACKEND"] = backend
        bed.apply()
        bed.assert_matrix()
        assert_noop(bed)
        rest = beds.remains(bed)
        assert any(sign in line for line in rest)
        other = "HARBORWALL" if backend == "nftables" else "inet harborwall"
        # the hand-off rule's comment names the table
        assert not [li for li in rest if other in li and "comment" not in li], rest


@pytest.mark.shared
def test_the_variant_that_docker_does_not_use_is_refused(bed):
    seed.containers(bed)
    bed.write(seed.widened())
    done = bed.harborwall("apply", env={"HARBORWALL_BACKEND": "iptables-legacy"})
    assert done.returncode == 1 and "would have no effect" in done.stderr and "iptables-nft" in done.stderr
    assert not beds.remains(bed)


@pytest.mark.parametrize("lab", [{"version": "20", "legacy": True, "options": seed.WITH_IPV6}], indirect=True, ids=["docker 20"])
def test_a_kernel_without_nf_tables_gets_iptables_legacy_unasked(lab):
    preload = os.path.join(os.path.dirname(engine.HARBORWALL), "tests", "no_nf_tables.so")
    with beds.Bed(lab, env={"LD_PRELOAD": preload}) as bed:
        seed.containers(bed)
        bed.write(seed.dual(seed.widened()))
        refused = bed.harborwall("apply", env={"HARBORWALL_BACKEND": "nftables"})
        assert refused.returncode == 1 and "this kernel lacks" in refused.stderr
        said = "this kernel has no nf_tables: the backend is iptables-legacy"
        assert said in bed.harborwall("plan").stdout
        bed.apply()
        bed.assert_matrix()
        assert_noop(bed)
        done = doctor(bed)
        assert done.returncode == 2 and "iptables-legacy is used instead" in done.stdout, done.stdout + done.stderr
        daemon = bed.run_daemon()
        daemon.wait_log("following the engine")
        assert "it answers" in bed.harborwall("clear").stderr
        bed.docker.restart("publicbackend")
        daemon.wait_log("object=route")
        bed.assert_matrix()
        assert said in bed.harborwall("status").stdout
        daemon.end()
        clear(bed)
        assert not beds.remains(bed)


# --- losses close, never open ---

LOSSES = {
    "our table": ["nft delete table inet harborwall"],
    "the hand-off rules": ["iptables -D DOCKER-USER 1", "iptables -D DOCKER-USER 1"],
    "our forward chain": ["nft flush chain inet harborwall forward"],
    "what is allowed": ["nft flush set inet harborwall allow"],
}


@pytest.mark.shared
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_fails_closed_for_managed_flows_and_open_for_nobody(bed, loss):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    for command in LOSSES[loss]:
        bed.lab.run(*command.split())
    difference, _, _ = bed.matrix()
    assert not difference.extra, difference.extra
    assert difference.missing
    bed.apply()
    bed.assert_matrix()


# --- Docker's raw drops ---

TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"


@pytest.mark.shared
@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True, ids=["docker 28"])
def test_networks_trust_the_bridges_that_policies_lead_over_and_no_others(bed):
    seed.containers(bed)
    config = seed.widened()
    config["policies"].append({"selector": "smarthostloadbalancer", "from": beds.PEER_IP, "port": 443})
    bed.write(config)
    bed.apply()
    networks = bed.docker.networks()
    bridges = {name: n["Options"].get("com.docker.network.bridge.name") for name, n in networks.items() if n["Options"]}
    trust = {name: set(filter(None, n["Options"].get(TRUSTED, "").split(":"))) for name, n in networks.items()}
    balancer, backend = "smarthost-loadbalancer", "smarthost_backend-1"
    # wireguardproxy stands on docker0 and asks for those who come by its tunnel
    assert trust[balancer] == {bridges[backend], "docker0"} and trust[backend] == {bridges[balancer]}
    assert not trust["elsewhere"] and not trust["bridge"]
    bed.assert_matrix()
    bed.prober.serve_at("smarthostloadbalancer")
    declared, outside = ("publicbackend", "172.18.103.2", "tcp", 80), (beds.PEER, "172.18.103.2", "tcp", 443)
    undeclared = [("publicbackend", "172.18.103.2", "tcp", 8080), (beds.PEER, "172.18.103.2", "tcp", 80),
                  ("bystander", "172.18.103.2", "tcp", 80)]
    assert bed.prober.open(*declared) and bed.prober.open(*outside)
    assert not any(bed.prober.open(*flow) for flow in undeclared)
    # trust alone lifts Docker's drop between the networks; from outside our exception does
    ours = [li for li in bed.lab.run("iptables", "-t", "raw", "-S", "PREROUTING").stdout.splitlines() if "harborwall" in li]
    assert len(ours) == 1
    bed.lab.run("iptables", "-t", "raw", "-D", "PREROUTING", "1")
    assert bed.prober.open(*declared) and not bed.prober.open(*outside)
    assert not any(bed.prober.open(*flow) for flow in undeclared)


# --- taking over from network-go ---

NETWORK_GO = {
    "host": ["-t filter -I DOCKER-USER -s 172.18.104.3 -d 172.18.103.2 -p tcp --dport 80 -j ACCEPT",
             "-t filter -I DOCKER-USER -s 172.18.103.2 -d 172.18.104.3 -p tcp --sport 80 -m state --state RELATED,ESTABLISHED -j ACCEPT",
             "-t nat -I PREROUTING -i ext0 -p tcp --dport 81 -j DNAT --to-destination 172.18.103.2:81",
             "-t nat -I POSTROUTING -d 172.18.103.2 -p tcp --dport 81 -j MASQUERADE"],
    "wireguardproxy": ["-t nat -I PREROUTING -i wg0 -p tcp --dport 80 -j DNAT --to-destination 172.18.103.2:80",
                       "-t nat -I POSTROUTING -d 172.18.103.2 -p tcp --dport 80 -j MASQUERADE"],
}
FOREIGN = {
    "host": ["-t filter -A DOCKER-USER -s 203.0.113.7 -d 172.18.103.2 -p tcp --dport 80 -j ACCEPT",
             "-t filter -A DOCKER-USER -s 172.18.104.3 -d 172.18.103.2 -p tcp --dport 80 -m comment --comment mine -j ACCEPT",
             "-t nat -A PREROUTING -i ext0 -p tcp --dport 9999 -j DNAT --to-destination 172.18.103.2:81"],
    "wireguardproxy": ["-t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j DNAT --to-destination 172.18.103.2:80"],
}


@pytest.mark.parametrize("lab", [{"legacy": False}, {"legacy": True}], indirect=True, ids=["nft", "legacy"])
def test_rules_of_network_go_are_adopted_completely_and_others_stay(bed):
    tool = "iptables-legacy" if bed.lab.legacy else "iptables-nft"

    def write(rules):
        for where, lines in rules.items():
            for line in lines:
                command = [tool, *line.split()]
                bed.lab.run(*command) if where == "host" else bed.lab.inside(where, *command)

    def saved():
        return {"host": bed.lab.run(f"{tool}-save").stdout,
                "wireguardproxy": bed.lab.inside("wireguardproxy", f"{tool}-save").stdout}

    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    write(FOREIGN)
    before = {k: [li for li in v.splitlines() if li.startswith("-A")] for k, v in saved().items()}
    write(NETWORK_GO)
    planned = bed.harborwall("plan")
    assert planned.stdout.count("apply --adopt removes it") == 6, planned.stdout
    assert bed.harborwall("apply").returncode == 0
    done = bed.apply("--adopt")
    assert "unmanaged" in done.stdout
    after = {k: [li for li in v.splitlines() if li.startswith("-A")] for k, v in saved().items()}
    assert after == before
    assert "apply --adopt" not in bed.harborwall("plan").stdout


# --- doctor ---

def doctor(bed):
    return bed.harborwall("doctor")


def test_doctor_says_when_docker_user_is_not_asked_and_whose_namespace_is_shut(bed):
    bed.docker.create("stranger", user="1000")
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.lab.run("iptables", "-D", "FORWARD", "-j", "DOCKER-USER")
    found = [li for li in doctor(bed).stdout.splitlines() if li.startswith("FINDING")]
    assert len(found) == 1 and "FORWARD does not jump to it" in found[0] and "restart dockerd" in found[0], found
    bed.lab.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
    bed.lab.run("iptables", "-A", "FORWARD", "-j", "DOCKER-USER")
    bed.lab.run("iptables", "-D", "FORWARD", "1")  # now the last, as Docker 20 puts it with --live-restore
    found = [li for li in doctor(bed).stdout.splitlines() if li.startswith("FINDING")]
    assert len(found) == 1 and "behind Docker's own rules" in found[0], found
    done = bed.lab.run("setpriv", "--bounding-set=-sys_ptrace", engine.HARBORWALL, "doctor", "-c", bed.file, check=False)
    shut = [li for li in done.stdout.splitlines() if li.startswith("FINDING  namespace")]
    assert done.returncode == 2 and len(shut) == 1 and "stranger" in shut[0] and "--cap-add SYS_PTRACE" in shut[0], done.stdout


@pytest.mark.shared
def test_doctor_finds_nothing_on_a_host_that_is_right(bed):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    done = doctor(bed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Docker 20.10" in done.stdout and "firewall iptables-nft: DOCKER-USER" in done.stdout
    facts = json.loads(bed.harborwall("plan", "--json").stdout)["facts"]
    assert facts["engine"] == bed.docker.call("GET", "/version")["Version"] and facts["docker_user"] == "first"
    daemon = bed.run_daemon()
    daemon.wait_log("following the engine")
    assert json.loads(bed.harborwall("status", "--json").stdout)["facts"] == facts
    assert "firewall iptables-nft: DOCKER-USER; backend nftables" in bed.harborwall("status").stdout


def test_doctor_names_what_is_wrong_and_the_remedy(bed):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.apply()
    bed.docker.create("network-go")
    bed.lab.run("iptables", *NETWORK_GO["host"][0].split())
    bed.lab.run("sysctl", "-w", "net.ipv4.conf.all.rp_filter=1")
    bed.lab.run("sh", "-c", "iptables-legacy -N DOCKER-USER; iptables-legacy -N DOCKER-ISOLATION-STAGE-1;"
                "iptables-legacy -A FORWARD -j DOCKER-USER; iptables-legacy -A FORWARD -j DOCKER-ISOLATION-STAGE-1")
    done = doctor(bed)
    assert done.returncode == 2, done.stdout
    for words in ("docker rm -f network-go", "apply --adopt", "rp_filter=2", "in iptables-nft and in iptables-legacy"):
        assert words in done.stdout, done.stdout
    bed.write_text("{")
    assert "harborwall check says why" in doctor(bed).stdout
    bed.lab.engine("stop")
    done = doctor(bed)
    assert done.returncode == 2 and "docker.sock" in done.stdout
