# SPDX-License-Identifier: GPL-2.0-or-later
"""Who listens to what rules log, and since when; what is said where nobody can."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import CONFIG, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

GROUP = 18519


def logged(log=True):
    return {**CONFIG, "policies": [{**CONFIG["policies"][0], "log": log}]}


def wait_for(claim, timeout=20):
    end = time.monotonic() + timeout
    while not claim() and time.monotonic() < end:
        time.sleep(0.02)
    return claim()


def replace(case, config):
    """As editors do, by rename: a daemon reads it whole."""
    with open(f"{case.folder}/new", "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.rename(f"{case.folder}/new", f"{case.folder}/networks.json")


def listens(case):
    """Netlink groups of this namespace that somebody listens to."""
    return GROUP in [int(line.split()[0]) for line in case.inside("cat", "/proc/self/net/netfilter/nfnetlink_log").splitlines()]


@pytest.fixture
def daemon(case, engine):
    """On a host that sends to the API what the proxy would, past a rule of the test's."""
    started = []

    def start(config, **env):
        case.write(config)
        started.append(Daemon(case, WATCH_PERIOD_SECONDS="600", **env))
        started[0].wait(lambda s: s.get("healthy"))
        return started[0]
    yield start
    for d in started:
        d.process.terminate()
        assert d.process.wait(10) == 0, d.text()


def send(case, n=1):
    case.inside("ip", "link", "add", "w0", "type", "veth", "peer", "name", "w1")
    case.inside("sh", "-c", "ip link set w0 up; ip link set w1 up; ip addr add 172.18.103.2/32 dev w0; ip route add 172.18.104.0/24 dev w0; "
                "ip neigh add 172.18.104.2 dev w0 lladdr 02:00:00:00:00:01")
    case.inside("/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("172.18.103.2", 0))
for _ in range({n}): s.sendto(b"", ("172.18.104.2", 9))""")


def log_what_leaves(case, prefix):
    case.inside("nft", "add table ip mine; add chain ip mine out { type filter hook output priority 0; }")
    case.inside("nft", f'add rule ip mine out udp dport 9 log prefix "{prefix}" group {GROUP}')


def test_the_daemon_listens_only_while_the_file_logs_something(case, daemon):
    running = daemon(logged(False))
    assert not listens(case)
    replace(case, logged())
    assert wait_for(lambda: listens(case))
    replace(case, logged(False))
    assert wait_for(lambda: not listens(case))
    replace(case, logged())
    assert wait_for(lambda: listens(case))
    assert "error" not in running.text()


def test_who_else_listens_is_said_once_and_the_rules_stand_all_the_same(case, daemon):
    other = subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", "/usr/bin/python3", "-c", f"""
import socket, struct, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
attr = struct.pack("HHBBBB", 5, 1, 1, 0, 0, 0)
body = struct.pack("BB", 0, 0) + struct.pack("!H", {GROUP}) + attr
s.send(struct.pack("IHHII", 16 + len(body), 4 << 8 | 1, 5, 1, 0) + body)
s.recv(1000)
print("listening", flush=True)
sys.stdin.read()"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "listening\n" and listens(case)
        running = daemon(logged())
        running.wait_log("connections are not logged")
        assert f"another program listens to nflog group {GROUP}" in running.text()
        assert "172.18.103.2 . 172.18.104.2 . tcp . 80" in case.nft("list", "set", "inet", "harborwall", "allow")
    finally:
        other.communicate("")
    running.process.send_signal(signal.SIGHUP)
    assert wait_for(lambda: listens(case)), "once the other one has gone"
    assert running.text().count("connections are not logged") == 1


def test_what_was_dropped_last_is_in_the_status_with_what_explains_it(case, daemon):
    running = daemon(logged())
    assert wait_for(lambda: listens(case))
    assert running.status()["dropped"] == []
    log_what_leaves(case, "harborwall: drop")
    send(case, 3)
    running.wait_log("what=dropped")
    running.wait(lambda s: s["dropped"] and s["dropped"][0]["count"] == 3)
    [dropped] = running.status()["dropped"]
    assert (dropped["source_name"], dropped["destination_name"], dropped["port"], dropped["protocol"]) == ("proxy", "api", 9, "udp")
    assert dropped["explain"] == "harborwall explain 172.18.103.2 172.18.104.2 9/udp"
    assert running.text().count("what=dropped") == 1 and 'text="no policy lets proxy reach api 9/udp"' in running.text()
    page = case.run("status", HARBORWALL_LISTEN=f"{case.folder}/sock").stdout
    assert "dropped: no policy lets proxy reach api 9/udp, 3, last at 2" in page and dropped["explain"] in page, page
    explained = case.run(*dropped["explain"].split()[1:])
    assert explained.returncode == 2 and "proxy" in explained.stdout, explained.stdout + explained.stderr


def test_what_others_log_to_our_group_is_nobodys_connection(case, daemon):
    running = daemon(logged())
    assert wait_for(lambda: listens(case))
    log_what_leaves(case, "somebody's")
    send(case, 3)
    time.sleep(0.5)
    assert not [line for line in running.text().splitlines() if "what=connection" in line or "what=dropped" in line]
