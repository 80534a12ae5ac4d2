# SPDX-License-Identifier: GPL-2.0-or-later
"""What `rules` prints of a namespace is what nft takes there, or iptables-restore and ip6tables-restore."""
import glob
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")
GOLDEN = f"{ROOT}/tests/golden"


def namespaces(path):
    """A golden file has those of all namespaces, one behind the other."""
    with open(path, encoding="utf-8") as f:
        return [part for part in re.split(r"^(?=# (?:host$|container ))", f.read(), flags=re.M) if part]


def taken(text, *command):
    done = subprocess.run(["unshare", "-n", *command], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr + text


def known_here(text):
    """nft 1.0.6 has no word for the target of a neighbour advertisement, and names no set of it otherwise."""
    word = "table bridge t { chain c { icmpv6 taddr ::1 drop\n } }"
    if subprocess.run(["unshare", "-n", "nft", "-c", "-f", "-"], input=word, text=True, capture_output=True, check=False).returncode:
        text = re.sub(r"^.*icmpv6 taddr.*\n", "", text, flags=re.M)
    return text


@pytest.mark.parametrize("path", sorted(glob.glob(f"{GOLDEN}/rules/*.nft")), ids=os.path.basename)
def test_nft_takes_the_text(path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    for text in namespaces(path):
        assert text.count("table inet harborwall {") <= 1
        taken(known_here(text), "nft", "-c", "-f", "-")


def taken_by_iptables(path, root=""):
    """Each family by its own tool, where Docker's chain stands. root: what stands before the tools."""
    tool = "iptables-legacy" if "legacy" in path else "iptables-nft"
    for text in namespaces(path):
        four, *six = re.split(r"^# for (ip6tables-\w+)-restore\n", text, flags=re.M)
        for which, rules in [(tool, four), *zip(six[::2], six[1::2])]:
            taken(rules, "sh", "-c", f"{root} {which} -N DOCKER-USER && exec {root} {which}-restore --noflush --test")
        assert six[::2] in ([], [tool.replace("iptables", "ip6tables")])


OF_IPTABLES = sorted(glob.glob(f"{GOLDEN}/backends/*iptables*"))


@pytest.mark.parametrize("path", OF_IPTABLES, ids=os.path.basename)
def test_iptables_restore_takes_the_text(path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    taken_by_iptables(path)


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
def test_iptables_restore_takes_as_many_targets_as_a_policy_may_have(tmp_path, backend):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    config = {"networks": {"web": {"subnet": "172.18.103.0/24"}},
              "ips": {f"172.18.103.{n}": {"container_name": f"web-{n}"} for n in range(2, 34)},
              "policies": [{"nat": "dnat", "iface": "eth0", "to": [f"web-{n}" for n in range(2, 34)], "port": 80}]}
    (tmp_path / "networks.json").write_text(json.dumps(config))
    text = subprocess.run([HARBORWALL, "rules", "--backend", backend, f"{tmp_path}/networks.json"], text=True, capture_output=True,
                          check=True).stdout
    assert text.count("--cluster-total-nodes 32 ") >= 32
    path = tmp_path / f"targets.{backend}.docker28"
    path.write_text(text)
    taken_by_iptables(str(path))


def test_the_tools_of_the_image_take_the_text(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    subprocess.run([f"{ROOT}/packaging/closure", f"{tmp_path}/root-fs", HARBORWALL], check=True)
    for path in OF_IPTABLES:
        taken_by_iptables(path, f"chroot {tmp_path}/root-fs")
