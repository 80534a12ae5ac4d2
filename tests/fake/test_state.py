# SPDX-License-Identifier: GPL-2.0-or-later
"""A translation whose `name` was a container waits when that container is gone; it never moves to the host by that."""
import json
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import CONFIG, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

DNAT = {"selector": "proxy", "nat": "dnat", "name": "wireguard", "iface": "wg0", "to": "proxy", "port": 80}
FILE = {**CONFIG, "policies": CONFIG["policies"] + [DNAT]}
GONE = 'waiting: policies[1]: there is no container "wireguard" any more'
NEVER = 'warning: policies[1]: name: there is no container "wireguard"; the rule is on the host'


@pytest.fixture
def vpn(case, engine):
    case.write(FILE)
    engine.add_container("wireguard")
    return engine


def remove(engine, name):
    del engine.containers[engine.find(engine.containers, name)]


def on_the_host(case):
    return '"wg0"' in case.nft("list", "table", "inet", "harborwall")


def state(case):
    with open(f"{case.folder}/state.json", encoding="utf-8") as f:
        return json.load(f)


def applied(case, *said):
    done = case.run("apply")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(words in done.stdout for words in said), done.stdout
    return done


def test_a_container_that_is_gone_keeps_its_translation_off_the_host(case, vpn):
    applied(case)
    remove(vpn, "wireguard")
    assert GONE in case.run("plan").stdout
    applied(case, GONE)
    assert not on_the_host(case)
    vpn.add_container("wireguard")
    assert GONE not in applied(case).stdout, "another one of that name takes it"


def test_a_container_that_was_never_started_counts_too_and_so_does_one_that_is_renamed(case, vpn):
    applied(case)
    vpn.containers[vpn.find(vpn.containers, "wireguard")]["name"] = "wireguard-old"
    applied(case, GONE)
    assert not on_the_host(case)


def test_a_name_that_never_was_a_container_is_on_the_host_with_a_warning(case, vpn):
    remove(vpn, "wireguard")
    applied(case, NEVER)
    assert on_the_host(case)
    vpn.add_container("wireguard")
    applied(case)
    assert not on_the_host(case), "it moves into the container that comes"
    remove(vpn, "wireguard")
    applied(case, GONE)
    assert not on_the_host(case), "and never back"


def test_what_is_lost_with_the_state_file_is_only_that(case, vpn):
    applied(case)
    os.unlink(f"{case.folder}/state.json")
    applied(case)
    assert "wireguard" in state(case)["containers"], "who is there is remembered anew"
    os.unlink(f"{case.folder}/state.json")
    remove(vpn, "wireguard")
    applied(case, NEVER)


@pytest.mark.parametrize("text, said", [
    ("{", "line 1, column 2: the text ends too early"), ("[]", "line 1, column 1: expected an object, found a list"),
    ('{"version": 1,\n "containers": 3}', "line 2, column 16: expected a list, found a number"),
    ('{"version": 1,\n\n "containers": ["\u00e9", 4]}', "line 3, column 22: expected a string, found a number"),
    ('{"version": 1, "containers": ["wire\\u0000guard"]}', "line 1, column 31: a NUL character in a name"),
    ('{"connections": [{"container": "c1", "name": "web"}]}', "line 1, column 18: a name is missing here"),
    ('{"connections": [{"container": "c1", "name": "web", "network": "n", "settings": {"IPAMConfig": 4}}]}',
     "line 1, column 18: these settings are no connection's"),
    ('{"networks": [{"name": "web"}]}', "line 1, column 15: settings are missing here")])
def test_a_state_file_that_cannot_be_read_makes_names_wait_and_is_left_alone(case, vpn, text, said):
    remove(vpn, "wireguard")
    with open(f"{case.folder}/state.json", "w", encoding="utf-8") as f:
        f.write(text)
    planned = case.run("plan").stdout
    assert 'waiting: policies[1]: there is no container "wireguard", and whether it was one is not known: ' in planned, planned
    assert f"state.json can't be read ({said})" in planned and "remove it" in planned, planned
    case.run("apply")
    assert not on_the_host(case)
    with open(f"{case.folder}/state.json", encoding="utf-8") as f:
        assert f.read() == text


def test_names_that_the_file_mentions_no_more_are_forgotten(case, vpn):
    applied(case)
    assert state(case)["containers"] == ["wireguard"]
    remove(vpn, "wireguard")
    applied(case)
    assert state(case)["containers"] == ["wireguard"]
    case.write(CONFIG)
    applied(case)
    assert state(case).get("containers", []) == []
    case.write(FILE)
    applied(case, NEVER)


def test_a_policy_that_waits_for_something_else_is_not_forgotten(case, vpn):
    applied(case)
    remove(vpn, "wireguard")
    case.write({**CONFIG, "policies": CONFIG["policies"] + [{**DNAT, "to": "nobody-of-this-name"}]})
    applied(case)
    case.write(FILE)
    applied(case, GONE)


def test_what_the_host_had_before_stays_in_a_state_file_of_an_older_version(case, vpn):
    with open(f"{case.folder}/state.json", "w", encoding="utf-8") as f:
        f.write('{"version": 1, "before": {"ip_forward": 0, "forward_policy": "ACCEPT", "variant": "nft"}}\n')
    applied(case)
    assert state(case)["before"] == {"ip_forward": 0, "forward_policy": "ACCEPT", "variant": "nft"}
    assert state(case)["containers"] == ["wireguard"]


def test_nothing_is_written_where_nothing_is_new(case, vpn):
    applied(case)
    before = os.stat(f"{case.folder}/state.json")
    applied(case, "nothing to do")
    case.run("plan")
    assert os.stat(f"{case.folder}/state.json") == before


def test_an_engine_that_does_not_answer_moves_nothing(case, vpn):
    applied(case)
    stood = case.nft("list", "ruleset")
    vpn.script("GET", "/containers/json", status=500, message="out of luck", times=99)
    assert case.run("apply").returncode == 1
    assert case.nft("list", "ruleset") == stood


def test_a_daemon_keeps_it_off_the_host_and_so_does_the_one_after_it(case, vpn):
    daemon = Daemon(case, f"{case.folder}/networks.json", WATCH_PERIOD_SECONDS="600")
    daemon.wait(lambda s: s.get("healthy"))
    ident = vpn.find(vpn.containers, "wireguard")
    remove(vpn, "wireguard")
    vpn.tell("container", "destroy", ident, {"name": "wireguard"})
    daemon.wait(lambda s: any("any more" in f["text"] for f in s.get("findings", ())))
    assert not on_the_host(case)
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait(10)
    again = Daemon(case, f"{case.folder}/networks.json", WATCH_PERIOD_SECONDS="600")
    again.wait(lambda s: any("any more" in f["text"] for f in s.get("findings", ())))
    assert not on_the_host(case)
    os.unlink(f"{case.folder}/state.json")  # what a running daemon knows it knows
    passes = again.status()["passes"]
    again.process.send_signal(signal.SIGHUP)
    again.wait(lambda s: s["passes"] > passes)
    assert not on_the_host(case)
    again.process.send_signal(signal.SIGTERM)
    assert again.process.wait(10) == 0
