# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of policies that change nothing, and of what a new file opens and closes."""
import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_daemon import Running, case  # noqa: E402,F401

API = {"selector": "api", "from": "proxy"}


def put(path, *policies):
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
                   "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
                   "policies": policies}, f, indent=1)


@pytest.fixture
def host(case):
    running = Running(case)
    running.wait(80)
    yield running
    running.end()


def logged(host, *words, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        lines = [line for line in host.daemon.text().splitlines() if all(word in line for word in words)]
        if lines:
            return lines
        time.sleep(0.05)
    raise AssertionError(f"{words} is not in the log\n{host.daemon.text()[-3000:]}")


def status(host, *words):
    return host.case.run("status", *words, HARBORWALL_LISTEN=f"{host.case.folder}/sock").stdout


def test_the_log_says_once_what_a_new_file_opens_and_closes(host):
    assert "flows" not in "".join(line for line in host.daemon.text().splitlines() if "changed" in line), "no file was in force"
    put(host.file, {**API, "port": 81}, {"selector": "proxy", "from": "api", "port": "8000-8001"})
    host.wait(81)
    lines = logged(host, "flows changed")
    assert len(lines) == 1
    assert 'proxy -> api 81/tcp  (policies[0]' in lines[0] and "api -> proxy 8000-8001/tcp  (policies[1]" in lines[0]
    opens, closes = lines[0].split("closes=")
    assert "80/tcp" in closes and "81/tcp" not in closes and "opens=" in opens
    put(host.file, {**API, "port": 81, "comment": "the same"}, {"selector": "proxy", "from": "api", "port": [8000, 8001]})
    logged(host, "the same flows")
    host.case.nft("delete", "table", "inet", "harborwall")  # healing is no change of the file
    host.wait(81)
    assert len(logged(host, "flows changed")) == 1 and len(logged(host, "the same flows")) == 1


def test_a_large_file_is_not_compared_while_hosts_wait_to_be_healed(host):
    put(host.file, {**API, "port": 81}, *({**API, "port": 1000 + i, "proto": "udp"} for i in range(2100)))
    host.wait(81)
    logged(host, "flows not compared")


def test_status_names_policies_that_change_nothing_with_both_places(host):
    put(host.file, {**API, "port": 81}, {**API, "port": 81, "comment": "again"}, {"selector": "proxy", "from": ["api", "nobody"], "port": 1})
    host.wait(81)
    text, told = status(host), json.loads(status(host, "--json"))
    assert f"warning: policies[1]: the same as policies[0] ({host.file}:" in text and "; remove one of the two" in text
    assert [w["path"] for w in told["warnings"]] == ["policies[1]"] and told["warnings"][0]["line"] > 1
    assert told["healthy"]


def test_plan_names_what_several_policies_cover_together_as_check_does(host):
    put(host.file, {**API, "port": 81}, {**API, "port": [82, 83]}, {"container_name": "172.18.104.2", "from": "proxy", "port": "81-83"})
    host.wait(81)
    words = ("plan", "check")
    said = [host.case.run(verb, host.file).stderr for verb in words]
    for text in said:
        assert "policies[2]: policies[0]" in text and " together allow all of it; remove this one" in text, said
