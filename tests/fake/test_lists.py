# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists in files: followed like the file itself; one that is broken or gone changes nothing that stands, also over a
restart; and what is accepted or kept as the last good one is the file with its lists."""
import json
import os
import re
import signal
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_brake import Host, config  # noqa: E402
from test_errors import Case  # noqa: E402

OFFICE = [f"198.51.100.{16 * i}/28" for i in range(0, 16, 2)]  # no two of them touch


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    host = Host(case)
    host.write(wanted())
    put(host, OFFICE)
    yield host
    host.stop()
    host.engine.close()
    case.end()


def wanted(**changes):
    return {**config(boxes=2, policies=0), "policies": [{"selector": "box0", "from": "@office.txt", "port": 80}], **changes}


def list_file(host, name="office.txt"):
    return os.path.join(os.path.dirname(host.file), name)


def put(host, lines, name="office.txt"):
    """As an editor does."""
    with open(list_file(host, name) + ".new", "w", encoding="utf-8") as f:
        f.write("# office\n" + "\n".join(lines) + "\n")
    os.rename(list_file(host, name) + ".new", list_file(host, name))


def stands(host, name="from_office.txt"):
    """The prefixes that may come, by the kernel."""
    answer = host.case.nft("-j", "list", "set", "inet", "harborwall", name)
    if not answer:
        return []
    items = json.loads(answer)["nftables"][1]["set"].get("elem", [])
    return sorted(f"{i['prefix']['addr']}/{i['prefix']['len']}" if isinstance(i, dict) else i for i in items)


def wait_stands(host, expected, timeout=10):
    end = time.monotonic() + timeout
    while stands(host) != sorted(expected):
        assert time.monotonic() < end, f"{stands(host)}\n{host.daemon.text()[-2000:]}"
        time.sleep(0.03)


def test_a_list_that_is_edited_while_the_daemon_runs_is_applied(host):
    daemon = host.start()
    daemon.wait(lambda s: s.get("healthy"))
    assert stands(host) == sorted(OFFICE)
    put(host, OFFICE[1:] + ["203.0.113.0/24"])
    wait_stands(host, OFFICE[1:] + ["203.0.113.0/24"])
    with open(list_file(host), "a", encoding="utf-8") as f:
        f.write("192.0.2.9\n")
    wait_stands(host, OFFICE[1:] + ["203.0.113.0/24", "192.0.2.9"])
    assert len(daemon.status()["policy_list"]) == 1


def test_a_list_in_a_folder_below_and_one_behind_a_link_are_followed_too(host):
    os.mkdir(list_file(host, "lists"))
    put(host, OFFICE, "lists/office.txt")
    os.symlink("lists/office.txt", list_file(host, "link"))
    host.write(wanted(policies=[{"selector": "box0", "from": "@lists/office.txt", "port": 80},
                                {"selector": "box1", "from": ["@link", "192.0.2.9"], "port": 81}]))
    host.start().wait(lambda s: s.get("healthy"))
    put(host, OFFICE[1:], "lists/office.txt")
    end = time.monotonic() + 10
    while stands(host, "from_lists/office.txt") != sorted(OFFICE[1:]) or "192.0.2.9" not in stands(host, "from_link_and_more"):
        assert time.monotonic() < end, host.daemon.text()[-2000:]
        time.sleep(0.03)


@pytest.mark.parametrize("broken", ["10.0.0.1/8", "office", None, "a folder"])
def test_a_broken_list_keeps_what_stood_and_status_says_where(host, broken):
    daemon = host.start()
    daemon.wait(lambda s: s.get("healthy"))
    if broken in (None, "a folder"):
        os.unlink(list_file(host))
    if broken == "a folder":
        os.mkdir(list_file(host))
    elif broken:
        put(host, [OFFICE[0], broken])
    daemon.wait(lambda s: s.get("healthy") is False and "office.txt" in json.dumps(s))
    text = json.dumps(daemon.status())
    assert "office.txt:3:1: error: " in text if broken not in (None, "a folder") else "mend or replace the file" in text
    assert stands(host) == sorted(OFFICE)
    host.case.nft("delete", "table", "inet", "harborwall")  # it is healed, too
    wait_stands(host, OFFICE)
    if broken == "a folder":
        os.rmdir(list_file(host))
    put(host, OFFICE[2:])
    wait_stands(host, OFFICE[2:])
    daemon.wait(lambda s: s.get("healthy"))


@pytest.mark.parametrize("first", ["run", "apply"])
def test_after_a_restart_with_a_broken_list_the_last_good_one_is_enforced(host, first):
    if first == "run":
        host.start().wait(lambda s: s.get("healthy"))
        host.stop()
    else:
        done = host.harborwall("apply", "--yes")
        assert done.returncode == 0, done.stdout + done.stderr
    os.unlink(list_file(host))
    host.case.nft("delete", "table", "inet", "harborwall")
    host.start()
    wait_stands(host, OFFICE)
    host.daemon.wait_log("the last good config is enforced instead")
    put(host, OFFICE[1:])
    wait_stands(host, OFFICE[1:])


def test_a_list_that_says_the_same_is_no_new_configuration(host):
    daemon = host.start()
    daemon.wait(lambda s: s.get("healthy"))
    put(host, OFFICE)
    os.kill(daemon.process.pid, signal.SIGHUP)
    time.sleep(0.7)
    assert daemon.text().count("config loaded") == 1
    host.stop()
    host.start().wait(lambda s: s.get("healthy"))
    assert daemon.text().count("held") == 0


def test_what_was_accepted_with_one_list_is_not_accepted_with_another(host):
    many = [{"selector": "box0", "from": "192.0.2.1", "port": 1000 + i} for i in range(24)]
    host.write(wanted(policies=wanted()["policies"] + many))
    daemon = host.start()
    daemon.wait(lambda s: s.get("healthy"))
    host.write(wanted())
    digest = re.search(r"--accept (\w+)", json.dumps(host.wait_held() and daemon.status()))
    digest = digest[1] if digest else f"{daemon.status()['held']}"
    put(host, OFFICE[1:])
    time.sleep(0.5)
    done = host.harborwall("apply", "--yes", "--accept", re.search(r"[0-9a-f]{16}", str(digest))[0])
    assert done.returncode == 1, done.stdout + done.stderr
    daemon.wait(lambda s: s.get("held"))
    digest = re.search(r"[0-9a-f]{16}", json.dumps(daemon.status()["held"]))[0]
    done = host.harborwall("apply", "--yes", "--accept", digest)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_stands(host, OFFICE[1:])


def test_every_verb_reads_the_lists_beside_the_file_that_it_is_given(host, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "networks.json").write_text(json.dumps(wanted()))
    (other / "office.txt").write_text("\n".join(OFFICE[1:]) + "\n")
    for verb in (["check"], ["rules"], ["graph"], ["test"]):
        done = host.case.run(*verb, "-c", str(other / "networks.json"))
        assert done.returncode == 0, done.stdout + done.stderr
    assert OFFICE[0] not in host.case.run("rules", "-c", str(other / "networks.json")).stdout
    done = host.case.run("diff", host.file, str(other / "networks.json"))
    assert done.returncode == 2 and OFFICE[0] in done.stdout, done.stdout + done.stderr
    for source, expected in ((OFFICE[0], 2), (OFFICE[1], 0)):
        done = host.case.run("explain", source.replace("/28", ""), "box0", "80", "-c", str(other / "networks.json"))
        assert done.returncode == expected, done.stdout + done.stderr


MANY = [f"203.0.113.{2 * i}" for i in range(48)]


@pytest.mark.parametrize("lines, expected", [
    (MANY[:30], MANY[:30]), ([*MANY[:6], "203.0.113.0/25"], ["203.0.113.0/25"]), (MANY[:20], MANY), (MANY[27:], MANY), ([], MANY)],
    ids=["most of it", "merged", "cut off", "its end alone", "empty"])
def test_a_list_of_which_most_goes_is_held(host, lines, expected):
    put(host, MANY)
    daemon = host.start()
    wait_stands(host, MANY)
    put(host, lines)
    if expected is MANY and lines:
        accept = host.wait_held()["accept"].split()
        assert f"{48 - len(lines)} of 48 prefixes would leave their lists (203.0.113." in host.harborwall("status").stdout
        assert stands(host) == sorted(MANY)
        done = host.harborwall(*accept[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        expected = lines
    elif not lines:
        daemon.wait(lambda s: s.get("healthy") is False)
    wait_stands(host, expected)


def test_the_iptables_backends_refuse_a_product_of_lists_that_is_too_large_and_keep_what_stands(host):
    """300 sources that may reach 340 addresses: 102 000 rules."""
    env = {"HARBORWALL_BACKEND": "iptables-nft"}
    daemon = host.start(**env)
    daemon.wait_log("what=pass")
    rules = lambda: sorted(li for li in host.case.iptables("-S").splitlines() if "--dport 80 " in li)  # noqa: E731
    before = rules()
    assert sum("198.51.100." in li for li in before) >= len(OFFICE), before
    product = {"networks": {"net0": {"subnet": "172.18.100.0/22"}},
               "ips": {f"172.18.{100 + i // 250}.{2 + i % 250}": {"container_name": f"box{i}", "service_name": "all"} for i in range(340)},
               "policies": [{"service_name": "all", "from": [f"10.{i // 256}.{i % 256}.0/24" for i in range(0, 600, 2)], "port": 80}]}
    done = host.case.run("rules", "--backend", "iptables-nft", "-c", put_other(host, product))
    assert done.returncode == 1 and "102000 rules of iptables, most of them for policies[0] (300 sources, 340 addresses" in done.stderr
    assert not done.stdout
    product["networks"], product["ips"] = {**wanted()["networks"]}, {**wanted()["ips"], **{
        f"172.18.100.{20 + i}": {"container_name": f"far{i}", "service_name": "all"} for i in range(200)}}
    product["policies"] = [{"service_name": "all", "from": [f"10.{i // 256}.{i % 256}.0/24" for i in range(0, 1200, 2)], "port": 80}]
    host.write(product)
    daemon.wait(lambda s: s.get("healthy") is False and "120000 rules of iptables" in json.dumps(s))
    assert rules() == before
    host.case.iptables("-F", "HARBORWALL")  # what stands is healed meanwhile
    daemon.wait(lambda s: rules() == before)
    done = host.harborwall("apply", "--yes", **env)
    assert done.returncode == 1, done.stdout + done.stderr
    host.write(wanted())
    daemon.wait(lambda s: "rules of iptables" not in json.dumps(s))
    assert rules() == before


def put_other(host, content):
    path = f"{host.case.folder}/other.json"
    with open(path, "w", encoding="utf-8") as f:
        json.dump(content, f)
    return path
