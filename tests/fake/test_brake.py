# SPDX-License-Identifier: GPL-2.0-or-later
"""A new file that takes most of what stands away is held by the daemon: what stood is enforced on, and healed, until
somebody accepts exactly this file."""
import json
import os
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import Case  # noqa: E402
from test_storm import Daemon  # noqa: E402

BOXES = 8


def config(boxes=BOXES, policies=24, networks=1, port=1000):
    return {"networks": {f"net{i}": {"subnet": f"172.18.{100 + i}.0/24"} for i in range(networks)},
            "ips": {f"172.18.100.{10 + i}": {"container_name": f"box{i}"} for i in range(boxes)},
            "policies": [{"selector": "box0", "from": "192.0.2.1", "port": port + i} for i in range(policies)]}


class Host:
    """An engine, a config, and a daemon that comes and goes."""

    def __init__(self, case):
        self.case, self.daemon = case, None
        self.file = f"{case.folder}/config/networks.json"
        os.mkdir(f"{case.folder}/config")
        self.engine = dockerd.Engine(case.folder)
        self.engine.listen()
        for i in range(BOXES):
            self.engine.add_container(f"box{i}")

    def write(self, content):
        with open(f"{self.file}.new", "w", encoding="utf-8") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        os.rename(f"{self.file}.new", self.file)

    def start(self, **env):
        self.daemon = Daemon(self.case, self.file, **{"WATCH_PERIOD_SECONDS": "600", **env})
        return self.daemon

    def stop(self):
        if self.daemon and self.daemon.process.poll() is None:
            self.daemon.process.send_signal(signal.SIGTERM)
            assert self.daemon.process.wait(10) == 0

    def harborwall(self, verb, *options, **env):
        return self.case.run(verb, "-c", self.file, *options, HARBORWALL_LISTEN=f"{self.case.folder}/sock", **env)

    def connected(self):
        with self.engine.lock:
            return sum("net0" in c["ends"] for c in self.engine.containers.values())

    def ports(self):
        return len(set(re.findall(r"192\.0\.2\.1 \. 172\.18\.100\.10 \. tcp \. (\d+)", self.case.nft("list", "table", "inet", "harborwall"))))

    def wait_held(self):
        self.daemon.wait(lambda s: s.get("held"))
        return self.daemon.status()["held"]

    def stands(self, boxes=BOXES, policies=24):
        assert (self.connected(), self.ports()) == (boxes, policies)


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    host = Host(case)
    host.write(config())
    yield host
    host.stop()
    host.engine.close()
    case.end()


@pytest.fixture
def running(host):
    host.start().wait(lambda s: s.get("healthy"))
    host.stands()
    return host


TAKES = [("containers", config(boxes=3), "5 of 8 containers would be disconnected (box3, box4, box5 and 2 more)"),
         ("policies", config(policies=3), "21 of 24 policies would be closed (box0 from 192.0.2.1"),
         ("ports", config(port=5000), "24 of 24 policies would be closed"),
         ("everything", {"networks": {}, "ips": {}, "policies": []}, "8 of 8 containers would be disconnected")]


@pytest.mark.parametrize("taking, words", [t[1:] for t in TAKES], ids=[t[0] for t in TAKES])
def test_a_file_that_takes_too_much_is_held_and_what_stood_is_healed(running, taking, words):
    posts = len(running.engine.writes())
    running.write(taking)
    held = running.wait_held()
    status = running.daemon.status()
    assert words in held["takes"] and not status["healthy"] and not status["config_refused"]
    assert status["policies"]["total"] == 24
    running.daemon.wait_log("config held, what stands stays")
    assert held["accept"] == f"harborwall apply -c {running.file} --accept {held['generation']}"
    assert held["accept"] in running.daemon.text()
    text = running.harborwall("status")
    assert text.returncode == 2 and words in text.stdout and held["accept"] in text.stdout
    running.stands()
    assert len(running.engine.writes()) == posts
    running.case.nft("delete", "table", "inet", "harborwall")  # what stands is looked after
    running.daemon.wait(lambda s: running.ports() == 24)
    ident = running.engine.find(running.engine.containers, "box7")
    with running.engine.lock:
        del running.engine.containers[ident]["ends"]["net0"]
        running.engine.tell_connection("disconnect", ident, running.engine.find(running.engine.networks, "net0"))
    running.daemon.wait(lambda s: running.connected() == BOXES)
    assert running.daemon.status()["held"] == held


@pytest.mark.parametrize("taking", [config(boxes=4), config(policies=12)], ids=["containers", "policies"])
def test_half_is_not_too_much(running, taking):
    running.write(taking)
    running.daemon.wait(lambda s: s["healthy"] and s["policies"]["total"] == len(taking["policies"]) and
                        running.connected() == len(taking["ips"]))
    assert not running.daemon.status()["held"]


@pytest.mark.parametrize("again", ["signal", "restart", "restart without engine", "period"])
def test_what_is_held_stays_held(host, again):
    host.start(WATCH_PERIOD_SECONDS="1" if again == "period" else "600").wait(lambda s: s.get("healthy"))
    host.write(config(boxes=3))
    held = host.wait_held()
    passes = host.daemon.status()["passes"]
    if again == "signal":
        os.kill(host.daemon.process.pid, signal.SIGHUP)
        host.daemon.wait(lambda s: s["passes"] > passes)
    elif again == "period":
        host.daemon.wait(lambda s: s["passes"] > passes + 1)
    else:
        host.stop()
        if again == "restart without engine":
            host.engine.close()
        host.start()
        host.daemon.wait(lambda s: s.get("held"))
        if again == "restart without engine":
            host.engine.listen()
            host.daemon.wait(lambda s: s["engine_up"])
    host.daemon.wait(lambda s: s["held"] == held and s["policies"]["total"] == 24)
    host.stands()


def test_a_file_that_was_changed_while_the_daemon_was_away_is_held(running):
    running.stop()
    running.write(config(policies=1))
    running.start()
    assert "23 of 24 policies" in running.wait_held()["takes"]
    running.stands()


def test_at_a_first_start_what_stands_on_the_engine_counts(host):
    """Nobody knows any more which file that was; nothing can be healed either, and nothing is taken away."""
    assert host.harborwall("apply").returncode == 0
    os.unlink(f"{host.case.folder}/last-good.json")
    host.write(config(boxes=2, policies=1))
    host.start()
    assert "6 of 8 containers" in host.wait_held()["takes"]
    host.stands()


def test_at_a_first_start_without_an_engine_it_is_weighed_when_the_engine_comes(host):
    assert host.harborwall("apply").returncode == 0
    os.unlink(f"{host.case.folder}/last-good.json")
    host.write(config(boxes=2, policies=1))
    host.engine.close()
    host.start()
    host.daemon.wait(lambda s: s and not s["engine_up"])
    host.engine.listen()
    host.wait_held()
    assert host.connected() == BOXES
    host.stop()
    host.start()
    host.wait_held()
    assert host.connected() == BOXES


def test_a_further_edit_that_is_fine_is_taken(running):
    running.write(config(boxes=1, policies=0))
    running.wait_held()
    running.write(config(boxes=7, policies=23))
    running.daemon.wait(lambda s: s["healthy"] and not s["held"] and s["policies"]["total"] == 23)
    running.stands(7, 23)


def test_the_file_in_force_put_back_ends_it(running):
    before = running.daemon.status()["generation"]
    running.write(config(boxes=1, policies=0))
    running.wait_held()
    running.write(config())
    running.daemon.wait(lambda s: s["healthy"] and not s["held"])
    assert running.daemon.status()["generation"] == before
    running.stands()


def test_a_broken_file_after_a_held_one_is_what_is_told(running):
    running.write(config(boxes=1, policies=0))
    running.wait_held()
    running.write("{")
    running.daemon.wait(lambda s: s["config_refused"] and not s["held"])
    running.stands()


def test_the_command_of_the_log_accepts_it(running):
    running.write(config(boxes=1, policies=0))
    held = running.wait_held()
    done = running.harborwall(*held["accept"].split()[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    running.stands(1, 0)
    running.daemon.wait(lambda s: s["healthy"] and not s["held"] and s["generation"] == held["generation"])
    running.stop()
    running.start().wait(lambda s: s.get("healthy"))  # it is in force: nothing to hold


def test_accepted_once_is_not_accepted_for_ever(running):
    less = config(boxes=1, policies=0)
    running.write(less)
    assert running.harborwall("apply", "--accept", running.wait_held()["generation"]).returncode == 0
    running.write(config())
    running.daemon.wait(lambda s: s["healthy"] and s["policies"]["total"] == 24)
    running.write(less)
    running.wait_held()
    running.stands()


@pytest.mark.parametrize("edit", [config(boxes=2, policies=0), config(boxes=7)], ids=["another one to hold", "a fine one"])
def test_what_a_colleague_wrote_since_is_not_accepted(running, edit):
    running.write(config(boxes=1, policies=0))
    shown = running.wait_held()["generation"]
    running.write(edit)
    running.daemon.wait(lambda s: (s["held"] or {}).get("generation") != shown)
    done = running.harborwall("apply", "--accept", shown)
    assert done.returncode == 1 and shown in done.stderr, done.stdout + done.stderr
    running.daemon.wait(lambda s: running.connected() == (7 if len(edit["ips"]) == 7 else BOXES))


def test_a_colleague_between_the_look_and_the_daemon_s_own_is_noticed(running):
    """The file was as shown when the command read it, and another one when the daemon did."""
    running.write(config(boxes=1, policies=0))
    shown = running.wait_held()["generation"]
    running.write(config(boxes=2, policies=0))
    running.daemon.wait(lambda s: s["held"] and s["held"]["generation"] != shown)
    asked = running.case.run("status", HARBORWALL_LISTEN=f"{running.case.folder}/sock")
    assert asked.returncode == 2
    done = subprocess.run(["curl", "-s", "-w", "%{http_code}", "-X", "POST", "--unix-socket", f"{running.case.folder}/sock",
                           f"http://h/pass?accept={shown}"], text=True, capture_output=True, check=True)
    assert done.stdout.endswith("500") and "nothing accepted" in done.stdout
    running.stands()
    running.write(config(boxes=1, policies=0))  # nor is it accepted when it comes back
    running.daemon.wait(lambda s: s["held"] and s["held"]["generation"] == shown)
    running.stands()


def test_apply_beside_the_daemon_says_what_is_held_and_fails(running):
    running.write(config(boxes=1, policies=0))
    held = running.wait_held()
    done = running.harborwall("apply")
    assert done.returncode == 1 and held["takes"] in done.stderr and held["accept"] in done.stderr
    running.stands()


def test_apply_without_a_daemon_has_no_brake_and_a_daemon_that_comes_goes_on_from_there(host):
    assert host.harborwall("apply").returncode == 0
    host.write(config(boxes=1, policies=0))
    assert host.harborwall("apply").returncode == 0
    host.stands(1, 0)
    host.start().wait(lambda s: s.get("healthy") and not s["held"])


def test_after_clear_nothing_stands_that_could_be_taken(running):
    running.stop()
    assert running.harborwall("clear").returncode == 0
    assert not os.path.exists(f"{running.case.folder}/last-good.json")
    running.write(config(boxes=1, policies=0))
    running.start().wait(lambda s: s.get("healthy") and not s["held"])
    running.stands(1, 0)


def test_networks_that_leave_are_weighed_too(host):
    host.write(config(networks=6))
    host.start().wait(lambda s: s.get("healthy"))
    host.write(config(networks=2))
    assert "4 of 6 networks would be removed (net2, net3, net4 and 1 more)" in host.wait_held()["takes"]
    assert sum(n["Name"].startswith("net") for n in host.engine.networks.values()) == 6


def test_a_file_whose_own_tests_fail_is_refused_and_what_stood_stays(running):
    tests = [{"from": "192.0.2.1", "to": "box0", "port": "1000-1023", "expect": "open"}]
    running.write({**config(policies=25), "tests": tests})
    running.daemon.wait(lambda s: s["policies"]["total"] == 25)
    running.write({**config(policies=23), "tests": tests})
    running.daemon.wait(lambda s: s.get("config_refused"))
    assert "tests[0]: 192.0.2.1 -> box0 1000-1023/tcp should be open, but 192.0.2.1 -> box0 (172.18.100.10) 1023/tcp is closed" \
        in running.daemon.status()["config_error"]
    running.stands(policies=25)
    running.write({**config(policies=24), "tests": tests})
    running.daemon.wait(lambda s: s["healthy"] and s["policies"]["total"] == 24)
