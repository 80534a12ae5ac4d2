# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden cases. check/NAME.json and what `check` says of it; rules/NAME.json and what `rules` prints.
ACCEPT=1 rewrites what comes out; the review reads it."""
import glob
import json
import os
import re
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


def rules_of(tmp_path, name, *options):
    """Of every namespace, one behind the other: the host's, then those of the containers that it names."""
    done = run(tmp_path, "rules", name, "rules", *options)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "# container" not in text, "one namespace at a time"
    named = re.search(r" in containers \(--container NAME\): (.*)", done.stderr)
    for container in named[1].split(", ") if named else ():
        done = run(tmp_path, "rules", name, "rules", "-q", "--container", container, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"# container {container}\n") and done.stdout.count("# container ") == 1
        text += done.stdout
    return text


@pytest.mark.parametrize("name", cases("rules"))
def test_rules(tmp_path, name):
    assert_golden(f"{HERE}/rules/{name}.nft", rules_of(tmp_path, name))


def test_a_container_without_rules_is_an_error_that_names_those_that_have_some(tmp_path):
    done = run(tmp_path, "rules", "every_field", "rules", "--container", "nobody")
    assert done.returncode == 1 and not done.stdout
    assert 'no rules in container "nobody", only in: ' in done.stderr and "vpn" in done.stderr


@pytest.mark.parametrize("name", ["every_field", "drivers_and_icc"])
@pytest.mark.parametrize("engine", ["20", "28"])
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
def test_rules_of_every_backend_side_by_side(tmp_path, backend, engine, name):
    text = rules_of(tmp_path, name, "--backend", backend, "--engine", engine)
    assert_golden(f"{HERE}/backends/{name}.{backend}.docker{engine}", text)


@pytest.mark.parametrize("name", [name for name in cases("diff") if name != "old"])
def test_diff(tmp_path, name):
    for which in ("old", name):
        with open(f"{HERE}/diff/{which}.json", "rb") as f:
            (tmp_path / f"{'old' if which == 'old' else 'new'}.json").write_bytes(f.read())
    done = [subprocess.run([HARBORWALL, "diff", *files], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=20, check=False)
            for files in (("old.json", "new.json"), ("new.json", "old.json"), ("--json", "old.json", "new.json"))]
    same = name.startswith("same_")
    assert [d.returncode for d in done] == [0 if same else 2] * 3, [d.stderr for d in done]
    assert ("the same flows" in done[0].stdout) == same
    assert json.loads(done[2].stdout)["same"] == same
    # what one opens, the other way closes
    there, back = ([sorted(line.split("  (policies")[0].split(None, 1)[1] for line in d.stdout.splitlines()
                           if line.startswith(word)) for word in words]
                   for d, words in ((done[0], ("opens", "closes")), (done[1], ("closes", "opens"))))
    assert there == back
    assert_golden(f"{HERE}/diff/{name}.txt", done[0].stdout)
