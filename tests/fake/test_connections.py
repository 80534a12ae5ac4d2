# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks and connections: what stands in the way of them, what they keep when they are made anew, and that no failure loses it."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import CONFIG, HARBORWALL, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

TUNNEL = ["link add tun9 type bridge", "addr add 10.9.9.1/24 dev tun9", "link set tun9 up"]


def ip(case, *commands):
    for command in commands:
        subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", "ip", *command.split()], check=True)


def made(engine):
    return {n["Name"] for n in engine.networks.values()} & set(CONFIG["networks"])


# what the host routes, and what apply says of "web" (172.18.103.0/24): the kind of finding and a word of it, or nothing
ROUTES = {
    "half of everything leads into a tunnel": ("route add 128.0.0.0/1 via 10.9.9.2", None),
    "everything private is dropped": ("route add blackhole 172.16.0.0/12", None),
    "everything private is refused": ("route add unreachable 172.16.0.0/12", None),
    "a wider route leads into a tunnel": ("route add 172.16.0.0/12 via 10.9.9.2", "note: networks.web: 172.16.0.0/12 leads to tun9"),
    "the same prefix leads into a tunnel": ("route add 172.18.103.0/24 via 10.9.9.2",
                                            "conflict: networks.web: subnet 172.18.103.0/24 overlaps 172.18.103.0/24 of the host, which leads to tun9"),
    "a part of it leads into a tunnel": ("route add 172.18.103.128/25 via 10.9.9.2", "conflict: networks.web: "),
    "one of its addresses is the host's": ("addr add 172.18.103.9/32 dev tun9", "conflict: networks.web: "),
    "a part of it leads by two ways": ("route add 172.18.103.128/25 nexthop via 10.9.9.2 nexthop via 10.9.9.3",
                                       "conflict: networks.web: subnet 172.18.103.0/24 overlaps 172.18.103.128/25 of the host, which leads to several interfaces"),
    "the same prefix is dropped": ("route add blackhole 172.18.103.0/24", "warning: networks.web: the blackhole route to 172.18.103.0/24"),
    "a part of it is prohibited": ("route add prohibit 172.18.103.128/25", "warning: networks.web: the prohibit route to 172.18.103.128/25"),
}


@pytest.mark.parametrize("name", ROUTES)
def test_only_a_route_that_takes_its_packets_elsewhere_keeps_a_network_from_being_made(case, engine, name):
    command, said = ROUTES[name]
    refused = bool(said) and said.startswith("conflict")
    ip(case, *TUNNEL, command)
    planned = [line for line in case.run("plan").stdout.splitlines() if ": networks.web: " in line]
    assert len(planned) == (1 if said else 0) and all(line.startswith(said) for line in planned), planned
    done = case.run("apply")
    assert made(engine) == ({"back"} if refused else {"web", "back"}), "one conflict does not stop the other network"
    assert "back" in engine.containers[engine.find(engine.containers, "api")]["ends"]
    assert done.returncode == (1 if refused else 0), done.stdout + done.stderr


def test_a_bridge_that_is_left_of_another_engine_is_no_conflict(case, engine):
    """Docker takes over a bridge of the name that it is told, with the addresses that are on it."""
    case.write({**CONFIG, "networks": {**CONFIG["networks"], "web": {"subnet": "172.18.103.0/24", "bridge_name": "hw-web"}}})
    ip(case, "link add hw-web type bridge", "addr add 172.18.103.1/24 dev hw-web", "link set hw-web up")
    assert case.run("apply").returncode == 0
    assert "web" in made(engine)


# --- connections that are made anew ---

SETTINGS = {"Aliases": ["db", "data"], "Links": ["api:backend"], "DriverOpts": {"com.example.x": "1"},
            "IPAMConfig": {"IPv6Address": "fd00::9", "LinkLocalIPs": ["169.254.9.9"]}, "GwPriority": 7,
            "MacAddress": "02:42:aa:bb:cc:01"}
AS_DECLARED = {**SETTINGS, "IPAMConfig": {**SETTINGS["IPAMConfig"], "IPv4Address": "172.18.103.2"}}
CONNECT = "/networks/web/connect"


@pytest.fixture
def elsewhere(case, engine):
    """proxy is on web already, with an address that the file does not say, and with everything that an endpoint can have."""
    engine.add_network("web", "172.18.103.0/24", "172.18.103.1")
    proxy = engine.containers[engine.find(engine.containers, "proxy")]
    del proxy["ends"]["bridge"]
    engine.attach(proxy["id"], engine.find(engine.networks, "web"), "172.18.103.77", dict(SETTINGS))
    proxy["mode"], engine.mac_address = "web", SETTINGS["MacAddress"]
    return engine


def end_of(engine, name, network="web"):
    """(address, the rest) of a connection, or None."""
    end = engine.containers[engine.find(engine.containers, name)]["ends"].get(network)
    return end and (end["static"], {k: v for k, v in end["config"].items() if k != "NetworkID"})


def kept(case):
    with open(f"{case.folder}/state.json", encoding="utf-8") as f:
        return json.load(f)["connections"]


def posts(engine, path):
    return [json.loads(body) for method, p, body in engine.calls if method == "POST" and re.search(path, p)]


def test_everything_that_an_endpoint_had_is_asked_for_again_but_for_its_address(case, elsewhere):
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED), "and the short id is nobody's alias"
    assert not kept(case)
    assert "nothing to do" in case.run("apply").stdout


def test_a_connection_that_was_there_before_stays_when_it_leaves_the_file(case, elsewhere):
    """As a network does; one that we made goes."""
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "api", "back")[1]["DriverOpts"] == {"io.harborwall.managed": "1"}
    case.write({**CONFIG, "ips": {}, "policies": []})
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED) and end_of(elsewhere, "api", "back") is None
    assert case.run("clear", "--networks").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED)


def test_a_connection_of_ours_that_moves_stays_ours(case, engine):
    assert case.run("apply").returncode == 0
    moved = json.loads(json.dumps(CONFIG).replace("172.18.103.2", "172.18.103.9"))
    case.write(moved)
    assert case.run("apply").returncode == 0
    assert end_of(engine, "proxy")[0] == "172.18.103.9" and end_of(engine, "proxy")[1]["DriverOpts"] == {"io.harborwall.managed": "1"}
    case.write({**CONFIG, "ips": {}, "policies": []})
    assert case.run("apply").returncode == 0
    assert end_of(engine, "proxy") is None


def test_a_connection_that_is_refused_is_put_back_as_it_was_and_left_alone(case, elsewhere):
    elsewhere.script("POST", CONNECT, status=403, message="Address already in use", times=1)
    done = case.run("apply")
    assert done.returncode == 1
    assert "conflict: ips[\"172.18.103.2\"]: network web: connect proxy: POST /networks/web/connect: 403 Address already in use; " \
        "it is connected again as it was" in done.stdout
    assert end_of(elsewhere, "proxy") == ("172.18.103.77", {**SETTINGS, "IPAMConfig": {**SETTINGS["IPAMConfig"], "IPv4Address": "172.18.103.77"}})
    assert len(posts(elsewhere, "/networks/web/disconnect")) == 1, "tried once"
    assert not kept(case)
    assert case.run("apply").returncode == 0, "whoever asks tries again"
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED)


def test_a_daemon_does_not_try_a_refused_connection_again_and_again(case, elsewhere):
    elsewhere.script("POST", CONNECT, status=403, message="Address already in use", times=1)
    daemon = Daemon(case, f"{case.folder}/networks.json", WATCH_PERIOD_SECONDS="1")
    daemon.wait(lambda s: any("as it was" in f["text"] for f in s.get("findings", ())))
    time.sleep(2.5)
    assert len(posts(elsewhere, "/networks/web/disconnect")) == 1
    assert end_of(elsewhere, "proxy")[0] == "172.18.103.77"
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait(lambda s: s.get("healthy"))
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED)
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


def test_an_engine_that_is_lost_between_the_two_calls_loses_nothing(case, elsewhere):
    elsewhere.script("POST", CONNECT, cut=True, times=9)
    assert case.run("apply").returncode == 1
    assert end_of(elsewhere, "proxy") is None
    assert [(k["name"], k["network"]) for k in kept(case)] == [("proxy", "web")]
    elsewhere.scripts.clear()
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED)
    assert not kept(case)


def test_a_program_that_is_killed_between_the_two_calls_loses_nothing(case, elsewhere):
    elsewhere.script("POST", CONNECT, status=500, message="never told", delay=3, times=1)
    daemon = Daemon(case, f"{case.folder}/networks.json")
    end = time.monotonic() + 20
    while not posts(elsewhere, CONNECT) and time.monotonic() < end:
        time.sleep(0.02)
    daemon.process.kill()
    daemon.process.wait(10)
    assert end_of(elsewhere, "proxy") is None
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.2", AS_DECLARED)
    assert not kept(case)


def test_what_was_lost_comes_back_though_the_file_wants_it_no_more(case, elsewhere):
    elsewhere.script("POST", CONNECT, cut=True, times=9)
    assert case.run("apply").returncode == 1
    elsewhere.scripts.clear()
    case.write({**CONFIG, "ips": {"172.18.104.2": CONFIG["ips"]["172.18.104.2"]}, "policies": []})
    done = case.run("apply")
    assert done.returncode == 0 and "+ connection proxy to web as 172.18.103.77 and fd00::9  (it was there before)" in done.stdout
    assert end_of(elsewhere, "proxy")[0] == "172.18.103.77" and end_of(elsewhere, "proxy")[1]["Aliases"] == ["db", "data"]
    assert not kept(case)
    assert "nothing to do" in case.run("apply").stdout


def test_what_somebody_else_put_back_is_left_to_him_and_what_is_gone_is_forgotten(case, elsewhere):
    elsewhere.script("POST", CONNECT, cut=True, times=9)
    assert case.run("apply").returncode == 1
    elsewhere.scripts.clear()
    case.write({**CONFIG, "ips": {"172.18.104.2": CONFIG["ips"]["172.18.104.2"]}, "policies": []})
    proxy = elsewhere.find(elsewhere.containers, "proxy")
    elsewhere.attach(proxy, elsewhere.find(elsewhere.networks, "web"), "172.18.103.5", {})
    assert case.run("apply").returncode == 0
    assert end_of(elsewhere, "proxy") == ("172.18.103.5", {}) and not kept(case)
    del elsewhere.containers[proxy]["ends"]["web"]
    assert "nothing to do" in case.run("apply").stdout, "who disconnects it now means it"


def test_nothing_is_disconnected_that_could_not_be_written_down(case, elsewhere):
    assert case.run("apply", HARBORWALL_STATE="/proc/nowhere/state.json").returncode == 1
    assert end_of(elsewhere, "proxy") == ("172.18.103.77", SETTINGS)
    with open(f"{case.folder}/state.json", "w", encoding="utf-8") as f:
        f.write("{")
    assert case.run("apply").returncode == 1
    assert end_of(elsewhere, "proxy") == ("172.18.103.77", SETTINGS)
    assert not posts(elsewhere, "/networks/web/disconnect")


def test_nothing_is_disconnected_that_could_not_be_read(case, elsewhere):
    ident = elsewhere.find(elsewhere.containers, "proxy")
    real, answers = elsewhere.inspect_container, []

    def inspect(name):
        if name == ident:
            answers.append(real(name))
            if len(answers) > 1:
                raise OSError  # the connection breaks off
        return real(name)
    elsewhere.inspect_container = inspect
    assert case.run("apply").returncode == 1
    assert end_of(elsewhere, "proxy") == ("172.18.103.77", SETTINGS)


def test_an_address_that_somebody_has_costs_nobody_his_connection(case, elsewhere):
    elsewhere.add_container("squatter", network="web", ip="172.18.103.2", running=True)
    done = case.run("apply")
    assert done.returncode == 1 and 'conflict: ips["172.18.103.2"]: 172.18.103.2 is in use by container "squatter"' in done.stdout
    assert end_of(elsewhere, "proxy") == ("172.18.103.77", SETTINGS)
    assert not posts(elsewhere, "/networks/web/disconnect")


def test_one_who_has_to_stay_keeps_the_next_one_where_he_is_too(case, engine):
    """a wants b's address, b wants one that a stranger has: neither moves. c and d swap theirs all the same."""
    ips = {"172.18.103.2": {"container_name": "xb"}, "172.18.103.3": {"container_name": "xa"},
           "172.18.103.4": {"container_name": "xd"}, "172.18.103.5": {"container_name": "xc"}}
    case.write({"networks": {"web": CONFIG["networks"]["web"]}, "ips": ips, "policies": []})
    engine.add_network("web", "172.18.103.0/24", "172.18.103.1")
    engine.add_container("stranger", network="web", ip="172.18.103.2", running=True)
    for name, last in (("xa", 9), ("xb", 3), ("xc", 4), ("xd", 5)):
        engine.add_container(name, network="web", ip=f"172.18.103.{last}", running=True)
    done = case.run("apply")
    assert done.returncode == 1 and done.stdout.count("is in use by container") == 2
    assert [end_of(engine, n)[0][-1] for n in ("xa", "xb", "xc", "xd")] == ["9", "3", "5", "4"]


@pytest.mark.parametrize("version, api, said", [
    ("20.10.24", "1.41", "its interface gets another name until the container restarts"),
    ("26.1.5", "1.45", "Docker 26.1.5 gives it another MAC address than 02:42:aa:bb:cc:01"),
    ("28.5.2", "1.51", "Docker 28.5.2 gives it another MAC address than 02:42:aa:bb:cc:01"),
    ("29.7.2", "1.52", None)])
def test_what_the_engine_will_not_keep_is_said_before(case, version, api, said):
    with dockerd.Engine(case.folder, version=version, api=api) as engine:
        engine.add_network("web", "172.18.103.0/24", "172.18.103.1")
        engine.add_container("api")
        engine.add_container("proxy", network="web", ip="172.18.103.77", running=True, pid=case.holder.pid, config=dict(SETTINGS))
        engine.mac_address = SETTINGS["MacAddress"]
        for verb in ("plan", "apply"):
            line = next(li for li in case.run(verb).stdout.splitlines() if li.startswith("- connection proxy from web"))
            assert line.startswith("- connection proxy from web  (has 172.18.103.77, the file says 172.18.103.2")
            assert (said in line) if said else line.endswith("says 172.18.103.2)"), line


# --- networks that are made anew ---

LABELS, OPTIONS = {"com.docker.compose.network": "default"}, {"com.docker.network.bridge.enable_icc": "true", "com.example.o": "1"}
POOL6 = {"Subnet": "fd00:200::/64", "Gateway": "fd00:200::1"}
NAMES = {"proxy": ["db", "data"], "dynamic": ["dyn"], "fixed": ["fix"], "stopped": ["st"]}


@pytest.fixture
def crowded(case, engine):
    """web stands with another subnet, as somebody else made it, with four on it that have names there."""
    ident = engine.add_network("web", "172.18.200.0/24", "172.18.200.1", bridge="br-web", labels=dict(LABELS), options=dict(OPTIONS))
    engine.networks[ident].update({"EnableIPv6": True, "Attachable": True})
    engine.networks[ident]["IPAM"]["Config"].append(POOL6)
    del engine.containers[engine.find(engine.containers, "proxy")]
    for name, aliases in NAMES.items():
        engine.add_container(name, network="web", ip="172.18.200.50" if name == "fixed" else None, running=name != "stopped",
                             pid=0, config={"Aliases": aliases})
    return engine


def everybody(engine):
    """name -> aliases of whom is on web."""
    return {c["name"]: c["ends"]["web"]["config"].get("Aliases") for c in engine.containers.values() if "web" in c["ends"]}


def web(engine):
    ident = engine.find(engine.networks, "web")
    return ident and engine.networks[ident]


def assert_replaced(case, engine):
    assert web(engine)["IPAM"]["Config"][0]["Subnet"] == "172.18.103.0/24" and web(engine)["IPAM"]["Config"][1:] == [POOL6]
    assert web(engine)["Labels"] == {**LABELS, "io.harborwall.managed": "1"} and web(engine)["EnableIPv6"] and web(engine)["Attachable"]
    assert web(engine)["Options"] == {**OPTIONS, "com.docker.network.bridge.name": "br-web"}
    assert everybody(engine) == NAMES
    assert end_of(engine, "proxy")[0] == "172.18.103.2" and end_of(engine, "fixed")[0] is None
    assert "nothing to do" in case.run("apply").stdout
    assert not kept(case) and not state_of_networks(case)


def assert_as_it_was(case, engine):
    assert web(engine)["IPAM"]["Config"] == [{"Subnet": "172.18.200.0/24", "Gateway": "172.18.200.1"}, POOL6]
    assert (web(engine)["Labels"], web(engine)["EnableIPv6"]) == (LABELS, True)
    assert web(engine)["Options"]["com.docker.network.bridge.name"] == "br-web"
    assert everybody(engine) == NAMES and end_of(engine, "fixed")[0] == "172.18.200.50"
    assert not kept(case) and not state_of_networks(case)


def state_of_networks(case):
    with open(f"{case.folder}/state.json", encoding="utf-8") as f:
        return json.load(f)["networks"]


def test_a_conflict_names_the_remedy_and_the_remedy_works(case, crowded):
    done = case.run("apply")
    assert done.returncode == 1 and "apply --replace web" in done.stdout
    assert everybody(crowded) == NAMES
    planned = case.run("plan", "--replace", "web").stdout.splitlines()
    steps = [line for line in planned if line[0] in "+-~" and "web" in line]
    assert [line.split("  (")[0] for line in steps] == [
        "- connection dynamic from web", "- connection fixed from web", "- connection proxy from web", "- connection stopped from web",
        "- network    web 172.18.200.0/24 fd00:200::/64", "+ network    web 172.18.103.0/24 gateway 172.18.103.1",
        "+ connection proxy to web as 172.18.103.2",
        "+ connection fixed to web", "+ connection dynamic to web", "+ connection stopped to web"], "\n".join(planned)
    assert "172.18.200.50 is no longer free there" in "\n".join(planned)
    done = case.run("apply", "--replace", "web")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_replaced(case, crowded)


def test_another_bridge_than_the_file_says_is_a_note_and_the_remedy_works(case, crowded):
    def write(**more):
        case.write({**CONFIG, "networks": {**CONFIG["networks"], "web": {"subnet": "172.18.200.0/24", **more}},
                    "ips": {"172.18.200.2": {"container_name": "proxy"}, "172.18.104.2": CONFIG["ips"]["172.18.104.2"]}})
    write()
    assert "has the bridge" not in case.run("apply").stdout, "the file leaves it open"
    write(bridge_name="own0")
    done = case.run("apply")
    assert done.returncode == 0 and 'has the bridge br-web, the file says own0; re-create it with apply --replace web' in done.stdout, done.stdout
    assert case.run("apply", "--replace", "web").returncode == 0
    assert everybody(crowded) == NAMES and web(crowded)["Options"]["com.docker.network.bridge.name"] == "own0"
    assert "has the bridge" not in case.run("apply").stdout
    refused = case.run("apply", "--replace", "web")
    assert refused.returncode == 1 and "is as the file says" in refused.stderr, refused.stderr


def test_the_addresses_that_fit_are_kept(case, crowded):
    case.write({**CONFIG, "networks": {**CONFIG["networks"], "web": {"subnet": "172.18.200.0/24", "gateway": "172.18.200.254"}},
                "ips": {"172.18.200.2": {"container_name": "proxy"}, "172.18.104.2": CONFIG["ips"]["172.18.104.2"]}})
    assert case.run("apply", "--replace", "web").returncode == 0
    assert everybody(crowded) == NAMES and end_of(crowded, "fixed")[0] == "172.18.200.50"
    assert web(crowded)["IPAM"]["Config"][0]["Gateway"] == "172.18.200.254"


FAILURES = {
    "who is on it can't be read": ("GET", "/containers/[^/]+/json", 3),
    "what it was can't be read": ("GET", "/networks/a", 1),
    "one of them can't leave": ("POST", "/networks/web/disconnect", 2),
    "it can't be removed": ("DELETE", "/networks/", 1),
    "it can't be made": ("POST", "/networks/create", 1),
    "the declared one can't come back": ("POST", CONNECT, 1),
    "another one can't come back": ("POST", CONNECT, 3),
}


def fail_at(engine, method, path, number, **how):
    """The call of that number, and those behind it."""
    calls = []

    class Pattern:
        @staticmethod
        def search(text):
            hit = re.search(path, text)
            calls.extend([text] if hit else [])
            return hit and len(calls) >= number
    engine.script(method, path, times=99, **how)
    engine.scripts[-1][1] = Pattern
    return calls


@pytest.mark.parametrize("how", [{"status": 500, "message": "out of luck"}, {"cut": True}, {"cut": True, "done": True}],
                         ids=["refused", "cut off", "done, and not told"])
@pytest.mark.parametrize("name", FAILURES)
def test_what_fails_in_the_middle_loses_nobody_and_is_ended_by_the_next_one(case, crowded, name, how):
    case.run("apply")
    calls = fail_at(crowded, *FAILURES[name], **how)
    case.run("apply", "--replace", "web")  # 0 where what was done and not told is all that failed
    assert len(calls) >= FAILURES[name][2]
    crowded.scripts.clear()
    assert len(everybody(crowded)) + len(kept(case)) >= len(NAMES), "whoever is not there is written down"
    case.run("apply")
    subnet = web(crowded)["IPAM"]["Config"][0]["Subnet"]
    if subnet == "172.18.200.0/24":
        assert_as_it_was(case, crowded)
        assert case.run("apply", "--replace", "web").returncode == 0
    assert_replaced(case, crowded)


@pytest.mark.parametrize("name", FAILURES)
def test_whoever_ends_it_by_hand_is_ended_by_replace_too(case, crowded, name):
    case.run("apply")
    fail_at(crowded, *FAILURES[name], cut=True)
    assert case.run("apply", "--replace", "web").returncode == 1
    crowded.scripts.clear()
    case.run("apply", "--replace", "web")
    if web(crowded)["IPAM"]["Config"][0]["Subnet"] == "172.18.200.0/24":
        assert case.run("apply", "--replace", "web").returncode == 0
    assert_replaced(case, crowded)


@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "after it is done"])
@pytest.mark.parametrize("name", [n for n in FAILURES if FAILURES[n][0] != "GET"])
def test_a_program_that_is_killed_in_the_middle_loses_nobody(case, crowded, name, done):
    case.run("apply")
    method, path, number = FAILURES[name]
    calls = fail_at(crowded, method, path, number, status=500, message="never told", delay=1 if not done else 0.5, done=done)
    program = subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", HARBORWALL, "apply", "-c", f"{case.folder}/networks.json",
                                "--replace", "web"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={"PATH": os.environ["PATH"], "DOCKER_HOST": case.host, "HARBORWALL_STATE": f"{case.folder}/state.json",
                                    "ASAN_OPTIONS": "detect_leaks=0"})
    end = time.monotonic() + 20
    while len(calls) < number:
        assert time.monotonic() < end
        time.sleep(0.01)
    program.kill()
    program.wait(10)
    time.sleep(0.7 if done else 1.2)  # the engine does what it was asked for all the same
    crowded.scripts.clear()
    case.run("apply")
    if web(crowded)["IPAM"]["Config"][0]["Subnet"] == "172.18.200.0/24":
        assert_as_it_was(case, crowded)
        assert case.run("apply", "--replace", "web").returncode == 0
    assert_replaced(case, crowded)


def test_a_network_that_can_not_be_made_is_there_again_as_it_was(case, crowded):
    case.run("apply")
    crowded.script("POST", "/networks/create", status=400, message="bad option", times=1)
    done = case.run("apply", "--replace", "web")
    assert done.returncode == 1
    assert_as_it_was(case, crowded)


def test_a_network_that_leaves_the_file_in_the_middle_comes_back(case, crowded):
    case.run("apply")
    fail_at(crowded, "POST", "/networks/create", 1, cut=True)
    assert case.run("apply", "--replace", "web").returncode == 1
    crowded.scripts.clear()
    assert web(crowded) is None
    case.write({"networks": {"back": CONFIG["networks"]["back"]}, "ips": {}, "policies": []})
    assert case.run("apply").returncode == 0
    assert_as_it_was(case, crowded)


def test_beside_a_daemon_it_is_refused_and_says_what_to_do(case, crowded):
    daemon = Daemon(case, f"{case.folder}/networks.json")
    daemon.wait(lambda s: any("--replace web" in f["text"] for f in s.get("findings", ())))
    done = case.run("apply", "--replace", "web", HARBORWALL_LISTEN=f"{case.folder}/sock")
    assert done.returncode == 1 and "stop it, run apply --replace, and start it again" in done.stderr
    assert web(crowded)["IPAM"]["Config"][0]["Subnet"] == "172.18.200.0/24"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    assert case.run("apply", "--replace", "web", "--replace", "back").returncode == 64
    assert case.run("apply", "--replace", "web").returncode == 0
    assert_replaced(case, crowded)


@pytest.mark.parametrize("name, said", [
    ("wbe", 'there is no network "wbe" in the file'), ("back", 'network "back" is as the file says; there is nothing to replace'),
    ("old", 'the new subnet of network "old" is in use'), ("lan", 'network "lan" has driver macvlan'),
    ("byid", 'container "guest" was started with the id of network "byid"'), ("twice", 'there are several networks "twice"'),
    ("none", 'there is no network "none" in the file')])
def test_only_a_conflict_that_can_be_ended_is_replaced(case, crowded, name, said):
    subnets = {"old": "10.9.9.0/24", "lan": "192.168.1.0/24", "byid": "172.18.110.0/24", "twice": "172.18.111.0/24"}
    case.write({**CONFIG, "networks": {**CONFIG["networks"], **{n: {"subnet": s} for n, s in subnets.items()}}})
    for index, n in enumerate(subnets):
        engine_id = crowded.add_network(n, f"172.18.{120 + index}.0/24", driver="macvlan" if n == "lan" else "bridge")
        if n == "byid":
            crowded.add_container("guest", network=engine_id)
        if n == "twice":
            crowded.add_network(n, "172.18.130.0/24")
    ip(case, *TUNNEL)
    case.run("apply")
    before = len(crowded.writes())
    for verb in ("plan", "apply"):
        done = case.run(verb, "--replace", name)
        assert done.returncode == 1 and f"harborwall: --replace: {said}" in done.stderr, done.stdout + done.stderr
    assert len(crowded.writes()) == before
    assert everybody(crowded) == NAMES


def test_clear_does_not_forget_what_is_away(case, crowded):
    case.run("apply")
    fail_at(crowded, "POST", CONNECT, 2, cut=True)
    assert case.run("apply", "--replace", "web").returncode == 1
    assert kept(case)
    crowded.script("GET", "/networks", cut=True, times=99)  # and the engine does not answer
    assert case.run("clear").returncode == 1
    assert kept(case)
    crowded.scripts.clear()
    assert case.run("clear").returncode == 0
    assert everybody(crowded) == NAMES
    assert not os.path.exists(f"{case.folder}/state.json")
