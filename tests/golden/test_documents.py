# SPDX-License-Identifier: GPL-2.0-or-later
"""What README.md and ARCHITECTURE.md show is what the program prints. Commands behind "# " need an engine: not here."""
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")


def text_of(name):
    with open(f"{ROOT}/{name}", encoding="utf-8") as f:
        return f.read()


README = text_of("README.md")


def run(folder, *arguments):
    return subprocess.run([HARBORWALL, *arguments], cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False).stdout


def shown():
    """Every indented block that begins with "$ harborwall": the command, and what it printed."""
    for block in re.findall(r"^    \$ harborwall (.*\n(?:(?:    .*)?\n)*)", README, re.M):
        command, _, output = block.partition("\n")
        yield command, re.sub(r"^    ", "", output, flags=re.M).strip("\n") + "\n"


@pytest.fixture(name="folder")
def folder_with_the_file(tmp_path):
    file = re.search(r"```json\n(.*?)```", README, re.S).group(1)
    (tmp_path / "networks.json").write_text(file)
    (tmp_path / "new.json").write_text(file.replace("[8080, ", "[8080, 8443, "))
    return tmp_path


@pytest.mark.parametrize("command, output", shown())
def test_the_readme_shows_what_the_program_prints(folder, command, output):
    printed = run(folder, *command.split())
    if "…" not in output:
        assert printed == output
    for piece in output.split("…\n"):  # what lies between is left out
        assert piece in printed, printed
        printed = printed.split(piece, 1)[1] if piece else printed


def test_the_readme_shows_commands():
    assert [command.split()[0] for command, _ in shown()] == ["check", "diff", "explain", "graph", "rules"]


def test_the_rules_in_the_architecture_are_those_of_the_example(tmp_path):
    config = json.loads(text_of("examples/networks.json"))
    config["ips"]["172.18.104.3"] = {"container_name": "publicbackend", "selector": "publicbackend"}
    (tmp_path / "networks.json").write_text(json.dumps(config))
    rules = run(tmp_path, "rules", "-q", "--counters", "off", "networks.json")
    assert f"```\n{rules}```\n" in text_of("ARCHITECTURE.md")
