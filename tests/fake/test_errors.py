# SPDX-License-Identifier: GPL-2.0-or-later
"""An engine that is absent, refuses, breaks off or answers nonsense: one clear line, the right exit
code, and everything that does not depend on it done all the same."""
import json
import os
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")
CONFIG = {
    "networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
    "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
    "policies": [{"selector": "api", "from": "proxy", "port": 80}],
}


class Case:
    """A config in a folder, and a network namespace that stands for a host."""

    def __init__(self, folder):
        self.folder, self.host = str(folder), f"unix://{folder}/docker.sock"
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link add docker0 type bridge; echo; exec sleep 600"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.write(CONFIG)

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def write(self, config):
        with open(f"{self.folder}/networks.json", "w", encoding="utf-8") as f:
            json.dump(config, f)

    def inside(self, *command, stdin=None):
        return subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", *command], input=stdin, text=True,
                              stdout=subprocess.PIPE, check=True).stdout

    def nft(self, *words):
        done = subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "nft", *words], text=True, capture_output=True,
                              check=False)
        return done.stdout

    def iptables(self, *words, check=True):
        return subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "iptables-nft", *words], text=True, capture_output=True,
                              check=check).stdout

    def run(self, verb, *options, timeout=30, under=(), **env):
        done = subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", *under, HARBORWALL, verb, "-c", "networks.json",
                               *options], cwd=self.folder, text=True, capture_output=True, timeout=timeout,
                              env={"PATH": os.environ["PATH"], "DOCKER_HOST": self.host,
                                   "HARBORWALL_STATE": f"{self.folder}/state.json", "ASAN_OPTIONS": "detect_leaks=0", **env})
        assert "Sanitizer" not in done.stderr, done.stderr
        return done


@pytest.fixture
def case(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    yield case
    case.end()


@pytest.fixture
def engine(case):
    with dockerd.Engine(case.folder) as engine:
        for name in ("proxy", "api"):
            engine.add_container(name)
        yield engine


def assert_one_line(done, *words, status=1):
    assert done.returncode == status, done.stdout + done.stderr
    lines = [li for li in done.stderr.splitlines() if li.startswith("harborwall: ")]
    first = next((li for li in lines if all(w in li for w in words)), None)
    assert first, f"no line with {words} in\n{done.stderr}"
    assert len(done.stderr.splitlines()) == len(lines) <= 3, done.stderr  # and "not converged" where steps failed


@pytest.mark.parametrize("verb", ["plan", "apply"])
def test_no_socket_is_named(case, verb):
    assert_one_line(case.run(verb), "unix://", "docker.sock", "No such file")


def test_a_refused_connection_is_named(case):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{case.folder}/docker.sock")
    assert_one_line(case.run("plan"), "docker.sock", "refused")


def test_an_address_that_can_be_none_is_refused(case):
    assert_one_line(case.run("plan", DOCKER_HOST="ftp://x"), "DOCKER_HOST", "ftp://x")


@pytest.mark.parametrize("status, message", [(403, "Pool overlaps with other one on this address space"),
                                             (409, "network with name web already exists"), (500, "out of luck")])
def test_a_network_that_is_refused_is_named_and_the_other_is_made(case, engine, status, message):
    engine.script("POST", "/networks/create", status=status, message=message, times=99)
    done = case.run("apply")
    assert_one_line(done, "web", str(status), message)
    engine.scripts.clear()
    engine.script("POST", "/networks/create", status=status, message=message, times=1)
    case.run("apply")
    assert len([n for n in engine.networks.values() if n["Name"] in CONFIG["networks"]]) == 2, "tried again"


@pytest.mark.parametrize("status, message", [(403, "Address already in use"), (404, "No such container: c1"),
                                             (409, "conflict"), (500, "cannot program address")])
def test_a_connection_that_is_refused_is_named_and_the_other_is_made(case, engine, status, message):
    engine.script("POST", "/networks/web/connect", status=status, message=message, times=99)
    done = case.run("apply")
    assert done.returncode == 1
    assert f"{status} {message}" in done.stderr and "proxy" in done.stderr and "web" in done.stderr
    ends = {c["name"]: c["ends"].keys() for c in engine.containers.values()}
    assert "back" in ends["api"] and "web" not in ends["proxy"]


def test_a_container_that_is_gone_by_its_inspection_stops_nothing(case, engine):
    case.run("apply")
    engine.script("GET", "/containers/[^/]+/json", status=404, message="No such container", times=99)
    done = case.run("plan")
    assert done.returncode == 0 and "runtime error" not in done.stderr, done.stdout + done.stderr
    assert any(c[0] == "GET" and c[1].endswith("/json") and not c[1].endswith("containers/json") for c in engine.calls)


def test_a_missing_container_waits_and_is_no_failure(case, engine):
    ident = engine.find(engine.containers, "proxy")
    del engine.containers[ident]
    done = case.run("apply")
    assert done.returncode == 0, done.stderr
    assert 'there is no container "proxy" yet' in done.stdout
    assert case.run("plan").returncode == 0


def test_an_engine_that_finds_us_too_old_is_quoted(case, engine):
    engine.script("GET", "/(info|networks|containers/json)", status=400, times=99,
                  body="client version 1.41 is too old. Minimum supported API version is 1.44")
    assert_one_line(case.run("plan"), "too old", "400")


def test_an_api_version_that_the_engine_does_not_speak_is_named(case, engine):
    assert_one_line(case.run("plan", DOCKER_API_VERSION="1.99"), "1.99")


def test_podman_is_said_to_be_unsupported(case):
    with dockerd.Engine(case.folder, server="Libpod/4.3.1 (linux)"):
        assert_one_line(case.run("plan"), "Podman")


@pytest.mark.parametrize("body", ["", "[]", "{", '{"Name": 1}', "<html>", '[{"Name": {}}]', "[1]"])
def test_nonsense_is_an_error_and_never_an_empty_host(case, engine, body):
    """An engine whose answers can't be read must not look like one without containers."""
    engine.script("GET", "/networks$", status=200, body=body, times=9)
    done = case.run("plan")
    if body == "[]":
        assert done.returncode == 2
    else:
        assert_one_line(done, "networks")


def test_an_answer_that_breaks_off_is_an_error(case, engine):
    engine.script("GET", "/containers/json", cut=True, times=9)
    assert_one_line(case.run("plan"), "containers")


@pytest.mark.parametrize("lost", ["api", "proxy"])
def test_an_engine_lost_between_two_inspects_changes_nothing(case, engine, lost):
    """What it said of one container does not make the other one look absent."""
    assert case.run("apply").returncode == 0
    stood, written = case.nft("list", "ruleset"), len(engine.writes())
    engine.script("GET", f"/containers/{engine.find(engine.containers, lost)}/json", cut=True, times=9)
    done = case.run("apply")
    assert_one_line(done, f"inspect container {lost}", "closed the connection")
    assert case.nft("list", "ruleset") == stood and "allow" in stood
    assert len(engine.writes()) == written


def test_a_refusal_of_half_the_work_leaves_the_rest_and_the_next_apply_finishes(case, engine):
    engine.script("POST", "/networks/back/connect", status=500, message="later", times=2)
    assert case.run("apply").returncode == 1
    assert "back" not in engine.containers[engine.find(engine.containers, "api")]["ends"]
    assert case.run("apply").returncode == 0
    assert "back" in engine.containers[engine.find(engine.containers, "api")]["ends"]
    assert case.run("plan").returncode == 0


def test_a_plan_changes_nothing(case, engine):
    assert case.run("plan").returncode == 2
    assert not engine.writes()


@pytest.mark.parametrize("argv", [["plna"], ["plan", "--nope"], ["check", "a", "b"], ["plan", "--strict"]])
def test_a_wrong_call_exits_64(case, argv):
    done = subprocess.run([HARBORWALL, *argv], text=True, capture_output=True, check=False)
    assert done.returncode == 64 and done.stderr.count("\n") == 1
