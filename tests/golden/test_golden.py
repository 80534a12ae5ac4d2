# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden cases. check/NAME.json and what `check` says of it; rules/NAME.json and what `rules` prints.
ACCEPT=1 rewrites what comes out; the review reads it."""
import glob
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(HERE, "../../build/harborwall"))


def cases(folder):
    return sorted(os.path.basename(p)[:-5] for p in glob.glob(f"{HERE}/{folder}/*.json"))


def run(tmp_path, folder, name, *verb):
    """With the file as networks.json in the working directory: no path of this machine gets out."""
    with open(f"{HERE}/{folder}/{name}.json", "rb") as f:
        (tmp_path / "networks.json").write_bytes(f.read())
    return subprocess.run([HARBORWALL, *verb, "networks.json"], cwd=tmp_path, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)


def assert_golden(path, text):
    if os.environ.get("ACCEPT"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        assert text == f.read()


@pytest.mark.parametrize("name", cases("check"))
def test_check(tmp_path, name):
    done = run(tmp_path, "check", name, "check", "-q" if name.startswith("error_") else "-v")
    assert_golden(f"{HERE}/check/{name}.stderr", done.stderr)
    assert done.returncode == (1 if " error: " in done.stderr else 0)
    if name.startswith("error_"):
        assert " error: " in done.stderr


@pytest.mark.parametrize("name", cases("rules"))
def test_rules(tmp_path, name):
    done = run(tmp_path, "rules", name, "rules")
    assert done.returncode == 0, done.stderr
    assert_golden(f"{HERE}/rules/{name}.nft", done.stdout)


@pytest.mark.parametrize("name", ["every_field", "drivers_and_icc"])
@pytest.mark.parametrize("engine", ["20", "28"])
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
def test_rules_of_every_backend_side_by_side(tmp_path, backend, engine, name):
    done = run(tmp_path, "rules", name, "rules", "--backend", backend, "--engine", engine)
    assert done.returncode == 0, done.stderr
    assert_golden(f"{HERE}/backends/{name}.{backend}.docker{engine}", done.stdout)
