# SPDX-License-Identifier: GPL-2.0-or-later
"""A container with NET_ADMIN does in its own namespace what it likes: it floods whoever listens there, and fills tables
of any name. It may spoil its own translations; everybody else's rules are looked after as before."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import spaces  # noqa: E402
from test_errors import CONFIG, Case  # noqa: E402
from test_spaces import TRANSLATED, table, wait_for  # noqa: E402
from test_storm import Daemon  # noqa: E402

HOSTILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile.py")
SOON = 4  # seconds: passes may be a second apart in a storm, and the machine is busy


class Host(Case):
    def write(self, port):
        config = {**CONFIG, "policies": [{"selector": "api", "from": "proxy", "port": port}, TRANSLATED]}
        with open(f"{self.folder}/new", "w", encoding="utf-8") as f:
            json.dump(config, f)
        os.rename(f"{self.folder}/new", f"{self.folder}/networks.json")

    def enforced(self, port):
        listed = self.nft("list", "set", "inet", "harborwall", "allow")
        return re.findall(r"172\.18\.103\.2 \. 172\.18\.104\.2 \. tcp \. (\d+)", listed) == [str(port)]

    def hostile(self, *arguments):
        process = subprocess.Popen(["nsenter", "-t", str(self.engine.pid("vpn")), "-n", "/usr/bin/python3", "-B", HOSTILE,
                                    *map(str, arguments)], stdout=subprocess.PIPE)
        process.stdout.readline()
        return process


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    host = Host(tmp_path)
    host.write(80)
    with spaces.Engine(host.folder) as engine:
        for name in ("proxy", "api", "vpn"):
            engine.add_container(name)
        engine.start("vpn")
        host.engine = engine
        engine.inside("vpn", "ip", "link", "set", "lo", "up")
        yield host
    host.end()


@pytest.mark.parametrize("what", ["routes", "addresses", "rules"])
def test_a_flood_in_a_container_s_namespace_holds_up_nobody_else(host, what):
    daemon = Daemon(host, WATCH_PERIOD_SECONDS="600")
    flood = []
    try:
        daemon.wait(lambda s: s.get("healthy"))
        wait_for(lambda: "wg0" in table(host))
        flood += [host.hostile(what), host.hostile(what)]
        time.sleep(1)
        host.nft("delete", "table", "inet", "harborwall")
        wait_for(lambda: host.enforced(80), SOON)
        host.write(81)
        wait_for(lambda: host.enforced(81), SOON)
        for _ in range(3):
            started = time.monotonic()
            assert daemon.status() and time.monotonic() - started < SOON
        for process in flood:
            spaces.end(process)
        flood.clear()
        # it listens again, and puts right what that one undid, too
        wait_for(lambda: "wg0" in table(host), SOON)
        daemon.wait(lambda s: s["healthy"])
        host.engine.inside("vpn", "nft", "delete", "table", "inet", "harborwall")
        wait_for(lambda: "wg0" in table(host), SOON)
        flood += [host.hostile(what), host.hostile(what)]
        time.sleep(1)
        daemon.process.terminate()
        assert daemon.process.wait(SOON) == 0
    finally:
        for process in flood:
            spaces.end(process)
        daemon.process.kill()
        daemon.process.wait()


JUNK = [("junk", "harborwall", 300000), ("sets", "harborwall", 5000), ("chains", "harborwall", 20000),
        ("junk", "mine", 300000), ("chains", "mine", 20000), ("tables", 4000)]


@pytest.mark.parametrize("junk", JUNK, ids=lambda j: " ".join(map(str, j)))
def test_a_container_s_junk_makes_no_pass_long_and_what_bears_our_name_goes(host, junk):
    assert spaces_filled(host, junk) > 0
    started = time.monotonic()
    planned = host.run("plan")
    assert time.monotonic() - started < 1.5 and planned.returncode == 2
    if "harborwall" in junk:
        assert "vpn: table inet harborwall" in planned.stdout, planned.stdout
        assert re.search(r"it holds more than \d+ kB", planned.stdout), planned.stdout
    started = time.monotonic()
    done = host.run("apply")
    took = time.monotonic() - started
    assert done.returncode == 0 and took < 6, (took, done.stdout[-2000:], done.stderr)
    assert host.enforced(80)
    listed = host.engine.inside("vpn", "nft", "list", "table", "inet", "harborwall")
    assert "wg0" in listed and "junk" not in listed and len(listed) < 3000
    assert host.run("plan").returncode == 0


def spaces_filled(host, junk):
    process = host.hostile(*junk)
    assert process.wait() == 0
    process.stdout.close()
    return len(host.engine.inside("vpn", "nft", "list", "tables"))


def test_routes_that_a_container_gives_our_protocol_number_are_not_all_taken_away(host):
    """They are its own trouble, which is named; the rest goes on."""
    host.engine.inside("vpn", "ip", "-batch", "-", input="".join(
        f"route add 11.{i >> 16}.{i >> 8 & 255}.{i & 255}/32 dev lo proto 104\n" for i in range(6000)))
    started = time.monotonic()
    done = host.run("apply")
    assert time.monotonic() - started < 3 and host.enforced(80)
    assert "more than 4096 routes bear our protocol number" in done.stdout + done.stderr, done.stdout[-3000:] + done.stderr
    assert done.stdout.count("route ") < 10


def test_rules_of_iptables_that_take_too_long_to_print_are_that_container_s_trouble(host):
    """plan and apply look for rules of network-go's there."""
    host.engine.inside("vpn", "iptables-nft-restore", input="*nat\n" + "".join(
        f"-A OUTPUT -d 11.{i >> 16}.{i >> 8 & 255}.{i & 255} -j ACCEPT\n" for i in range(300000)) + "COMMIT\n")
    started = time.monotonic()
    done = host.run("apply")
    assert done.returncode == 0 and time.monotonic() - started < 12, done.stdout + done.stderr
    assert "warning: vpn: unmanaged rules could not be looked for" in done.stdout, done.stdout
    assert host.enforced(80) and "wg0" in table(host)
