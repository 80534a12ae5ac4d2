# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose namespace it is that we write into: a pid that the engine tells may be somebody else's by now, and a namespace
that is held open may be a dead one's."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import spaces  # noqa: E402
from test_errors import CONFIG, Case  # noqa: E402
from test_storm import Daemon  # noqa: E402

TRANSLATED = {"selector": "proxy", "nat": "dnat", "name": "vpn", "iface": "wg0", "to": "proxy", "port": 80}


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    host = Case(tmp_path)
    with open(f"{host.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump({**CONFIG, "policies": [*CONFIG["policies"], TRANSLATED]}, f)
    with spaces.Engine(host.folder) as engine:
        for name in ("proxy", "api", "vpn"):
            engine.add_container(name)
        engine.start("vpn")
        host.engine = engine
        yield host
    host.end()


def table(host, pid=None):
    return host.engine.inside("vpn", "nft", "list", "ruleset", pid=pid)


def wait_for(claim, timeout=10):
    end = time.monotonic() + timeout
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_container_s_translation_stands_in_its_namespace_alone(host):
    assert host.run("apply").returncode == 0
    assert "wg0" in table(host) and "wg0" not in host.nft("list", "ruleset")


def test_a_pid_that_is_another_process_by_now_is_not_entered(host):
    stranger = spaces.sleeper()
    try:
        host.engine.lies[host.engine.find(host.engine.containers, "vpn")] = stranger.pid
        done = host.run("apply")
        assert table(host, stranger.pid) == "" and table(host) == ""
        assert f"process {stranger.pid} is no longer the container's" in done.stdout, done.stdout + done.stderr
    finally:
        spaces.end(stranger)


def test_a_pid_of_the_host_s_own_namespace_is_not_entered(host):
    """In a cgroup that bears the container's id: as of one that was started with --network host."""
    ident = host.engine.find(host.engine.containers, "vpn")
    with open(f"{host.engine.cgroup}/{ident}/cgroup.procs", "w", encoding="ascii") as f:
        f.write(str(host.holder.pid))
    try:
        host.engine.lies[ident] = host.holder.pid
        done = host.run("apply")
        assert "wg0" not in host.nft("list", "ruleset") and table(host) == ""
        assert "it runs in the host's network namespace" in done.stdout, done.stdout + done.stderr
    finally:
        with open(f"{host.engine.cgroup}/../cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(host.holder.pid))


def test_a_pid_that_is_gone_is_said_to_be(host):
    gone = subprocess.Popen(["true"])
    gone.wait()
    host.engine.lies[host.engine.find(host.engine.containers, "vpn")] = gone.pid
    done = host.run("apply")
    assert table(host) == "" and f"process {gone.pid}" in done.stdout, done.stdout + done.stderr


def test_a_namespace_whose_process_died_is_left_for_its_successor(host):
    """The engine tells nothing, and its list is the same as before."""
    daemon = Daemon(host, WATCH_PERIOD_SECONDS="600")
    try:
        wait_for(lambda: "wg0" in table(host))
        daemon.wait(lambda s: s.get("healthy"))
        first = host.engine.pid("vpn")
        host.engine.deaf = True
        with host.engine.lock:
            host.engine.stop("vpn")
            host.engine.start("vpn")
        assert host.engine.pid("vpn") != first and table(host) == ""
        os.kill(daemon.process.pid, signal.SIGHUP)
        wait_for(lambda: "wg0" in table(host))
    finally:
        daemon.process.terminate()
        assert daemon.process.wait(10) == 0


def test_a_list_that_needs_many_routes_does_not_read_all_routes_for_each(host):
    """A container without a default route answers each prefix of a list by a route of its own; one that somebody else
    wrote stays his."""
    sources = [f"10.{i}.0.0/16" for i in range(0, 250, 2)]
    with open(f"{host.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump({**CONFIG, "ips": {**CONFIG["ips"], "172.18.103.3": {"container_name": "vpn"}},
                   "policies": [{"selector": "vpn", "from": sources, "port": 80}]}, f)
    assert host.run("apply").returncode == 1  # no route leads there yet: it has no wire
    host.engine.inside("vpn", "sh", "-ec", "ip link add eth0 type bridge; ip address add 172.18.103.3/24 dev eth0; ip link set eth0 up; "
                       "ip route add 10.8.0.0/16 via 172.18.103.9")
    plan = host.run("plan").stdout
    assert re.findall("^. route +(.*)", plan, re.M) == ["vpn: 10.0.0.0/16 via 172.18.103.1 and 124 more  (policies[0])"], plan
    assert "    + 10.248.0.0/16 via 172.18.103.1  (policies[0])" in host.run("plan", "--rules").stdout
    step = next(s for s in json.loads(host.run("plan", "--json").stdout)["steps"] if s["object"] == "route")
    assert step["changes"][124] == {"action": "add", "text": "10.248.0.0/16 via 172.18.103.1", "policy": 0}
    trace = f"{host.folder}/trace"
    done = host.run("apply", under=["strace", "-f", "-qq", "-s", "64", "-o", trace, "-e", "trace=sendto,sendmsg"])
    routes = host.engine.inside("vpn", "ip", "route", "show").splitlines()
    ours = [li for li in routes if "via 172.18.103.1 " in li]
    assert len(ours) == len(sources) - 1 and any(li.startswith("10.8.0.0/16 via 172.18.103.9") for li in routes), routes
    assert done.returncode == 1 and "add route 10.8.0.0/16" in done.stderr, done.stdout + done.stderr
    with open(trace, encoding="utf-8", errors="replace") as f:
        dumps = f.read().count("nlmsg_type=0x1a ")  # RTM_GETROUTE; strace does not know sockets of other namespaces
    assert 0 < dumps < 40


def test_a_target_that_ends_is_left_out_before_the_engine_answers_about_it(host):
    """Docker 20 takes a container that ended apart for 150 ms, and answers no question about it meanwhile."""
    targets = {"api": "172.18.104.2", "proxy": "172.18.103.2"}
    for name in targets:
        host.engine.start(name)
    with open(f"{host.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump({**CONFIG, "policies": [{"nat": "dnat", "iface": "eth0", "to": [*targets], "port": 8080}]}, f)
    daemon = Daemon(host, WATCH_PERIOD_SECONDS="600")

    def leads_to():
        rules = host.nft("list", "chain", "inet", "harborwall", "prerouting")
        return [name for name, ip in targets.items() if ip in rules]
    try:
        daemon.wait(lambda s: s.get("healthy"))
        time.sleep(0.5)  # the pass that looks after the first one is over
        assert leads_to() == ["api", "proxy"]
        host.engine.script("GET", "/", delay=8, times=1000)
        ident = host.engine.find(host.engine.containers, "api")
        host.engine.halt(host.engine.containers[ident])
        host.engine.tell("container", "die", ident, {"name": "api"})
        wait_for(lambda: leads_to() == ["proxy"], 2)
    finally:
        host.engine.scripts.clear()
        daemon.process.terminate()
        assert daemon.process.wait(10) == 0
