# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that no policy admits any more are ended, each of them, and no other. Nobody opened them: they are
entries of conntrack that bear our bit, as if they had been admitted. tests/lab sends packets through real ones."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
import nfnetlink as nl  # noqa: E402
from test_errors import CONFIG, Case  # noqa: E402

PROXY, API = "172.18.103.2", "172.18.104.2"
TCP, UDP, SCTP = 6, 17, 132
OURS = 0x2000000
MANY = 70000  # more than one round takes


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    host = Case(tmp_path)
    with dockerd.Engine(host.folder) as engine:
        for name in ("proxy", "api"):
            engine.add_container(name)
        host.kernel = nl.Kernel(host.holder.pid)
        yield host
        host.kernel.close()
    host.end()


def write(host, *policies):
    with open(f"{host.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump({**CONFIG, "policies": policies}, f)


def apply(host, *policies):
    write(host, *policies)
    done = host.run("apply", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def allowed(**more):
    return {"selector": "api", "from": "proxy", **more}


def asked(sport, dport, proto=UDP, src=PROXY, mark=OURS):
    return nl.Connection(src, sport, API, dport, proto, mark)


def test_of_two_ports_the_one_that_was_revoked_is_closed(host):
    apply(host, allowed(port=80, proto="udp"), allowed(port=81, proto="udp"))
    host.kernel.connect([asked(1000, 80), asked(1001, 81), asked(80, 81)])
    apply(host, allowed(port=80, proto="udp"))
    assert host.kernel.connections() == {(1000, API, 80)}


def test_of_two_protocols_the_one_that_was_revoked_is_closed(host):
    apply(host, allowed(port=80, proto=["udp", "sctp"]))
    host.kernel.connect([asked(1000, 80), asked(1001, 80, SCTP)])
    assert len(host.kernel.connections()) == 2
    apply(host, allowed(port=80, proto="udp"))
    assert host.kernel.connections() == {(1000, API, 80)}


def test_what_the_rules_admitted_ends_and_what_others_did_stays_whatever_the_marks_say(host):
    """Others write marks, too: whole words, and at times our own bits."""
    apply(host, allowed(port=80, proto="udp"), allowed(port=81, proto="udp"))
    host.kernel.connect([asked(1000, 81), asked(1001, 81, mark=0), asked(1002, 81, mark=0x1000000),
                         asked(1003, 82), asked(1004, 82, mark=0), asked(1005, 82, mark=0x3000000)])
    apply(host, allowed(port=80, proto="udp"))
    assert host.kernel.connections() == {(1003, API, 82), (1004, API, 82), (1005, API, 82)}


PEER, HOST = "192.0.2.2", "192.0.2.1"
TRANSLATED = nl.Connection(PEER, 1000, HOST, 8080, UDP, OURS, (PROXY, 80))


def translation(**more):
    return {"selector": "proxy", "nat": "dnat", "iface": "ext0", "to": "proxy", "port": 8080, "proto": "udp", **more}


def test_a_translation_that_leads_to_another_port_ends_what_it_led_to_the_first(host):
    apply(host, translation(to_port=80))
    host.kernel.connect([TRANSLATED])
    apply(host, translation(to_port=80), allowed(port=80))
    assert host.kernel.connections() == {(1000, HOST, 8080)}
    apply(host, translation(to_port=81), allowed(port=80))
    assert not host.kernel.connections()


def test_a_policy_for_the_port_that_was_asked_for_does_not_keep_what_was_translated(host):
    from_peer = {"selector": "proxy", "from": "192.0.2.0/24", "port": 8080, "proto": "udp"}
    apply(host, translation(to_port=80), from_peer)
    host.kernel.connect([TRANSLATED, nl.Connection(PEER, 1001, PROXY, 8080, UDP, OURS)])
    apply(host, from_peer)
    assert host.kernel.connections() == {(1001, PROXY, 8080)}


def test_however_many_there_are_all_of_them_are_closed(host):
    apply(host, allowed(proto="udp"), allowed(port=81, proto="udp", selector="proxy", **{"from": "api"}))
    host.kernel.connect([asked(1 + i % 65000, 1 + i // 65000) for i in range(MANY)])
    assert len(host.kernel.connections()) == MANY
    apply(host, allowed(port=2, proto="udp"))
    assert host.kernel.connections() == {(1 + i % 65000, API, 2) for i in range(65000, MANY)}


def test_a_revocation_that_fails_is_told_and_no_success(host):
    """strace makes the socket fail that conntrack is asked by."""
    apply(host, allowed(port=80, proto="udp"), allowed(port=81, proto="udp"))
    host.kernel.connect([asked(1000, 81)])
    write(host, allowed(port=80, proto="udp"))
    traced = f"{host.folder}/trace"
    host.run("apply", under=["strace", "-f", "-qq", "-o", traced, "-e", "trace=socket"])
    with open(traced, encoding="ascii") as f:
        calls = [line for line in f if "socket(" in line]
    calls = [line for line in calls if line.split()[0] == calls[0].split()[0]]  # strace counts for each process by itself
    nth = next(i for i, line in enumerate(calls, 1) if "SOCK_RAW, NETLINK_NETFILTER" in line)
    apply(host, allowed(port=80, proto="udp"), allowed(port=81, proto="udp"))
    host.kernel.connect([asked(1000, 81)])
    write(host, allowed(port=80, proto="udp"))
    done = host.run("apply", under=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=socket", "-e",
                                    f"inject=socket:error=EMFILE:when={nth}+"])
    assert done.returncode == 1 and "revoke: " in done.stderr and "Too many open files" in done.stderr, done
    assert host.kernel.connections() == {(1000, API, 81)}
