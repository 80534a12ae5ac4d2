# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls with typos, without root, into pipes: what people are told, and that help and the manual say what is taken."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from terminal import Terminal
from test_errors import HARBORWALL, ROOT, Case, case, engine  # noqa: F401

EXAMPLE = f"{ROOT}/examples/networks.json"


def call(*argv, user=None, **env):
    under = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--inh-caps=-all"] if user else []
    return subprocess.run([*under, HARBORWALL, *argv], text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0", **env})


def verbs():
    return re.findall(r"^  (\w+) ", call("--help").stdout, re.M)


def options(verb):
    """--name -> (what it takes, its values)."""
    found = re.findall(r"^  (?:-\w,|   ) --([a-z-]+)(?: ([A-Z]+))? +(.*)$", call(verb, "--help").stdout, re.M)
    return {name: (value, text) for name, value, text in found}


# --- typos ---

@pytest.mark.parametrize("argv, words", [
    (["plna"], ['unknown verb "plna"', '"plan"']), (["statsu"], ['"status"']), (["aply"], ['"apply"']), (["stat"], ['"status"']),
    (["xyzzy"], ['unknown verb "xyzzy"; see harborwall --help']), (["help", "chekc"], ['"check"']),
    (["plan", "--josn"], ['unknown option --josn', '"--json"', "see harborwall plan --help"]),
    (["--quite", "plan"], ['"--quiet"']), (["rules", "--backned", "x"], ['"--backend"']), (["check", "-z"], ["unknown option -z"]),
    (["check", "--json=yes"], ["--json takes no value"]), (["check", "-c"], ["-c needs a FILE"]), (["check", "--config"], ["--config needs a FILE"]),
    (["check", "--config="], ["--config needs a FILE"]),
    (["rules", "--engine", "x"], ['--engine: expected a version of Docker (20, 26, 28), found "x"']), (["rules", "--engine", "0"], ["expected a version"]),
    (["rules", "--engine", "-1"], ["expected a version"]), (["rules", "--engine", "28x"], ["expected a version"]), (["rules", "--engine", "99999999999"], ["expected a version"]),
    (["rules", "--backend", "nftable"], ['"nftable" is none of nftables, iptables-nft, iptables-legacy', '"nftables"']),
    (["plan", "--counters", "yes"], ['"yes" is none of auto, on, off']), (["plan", "--color=al"], ["none of auto, always, never"]),
    (["plan", "--strict"], ["plan has no option --strict (it is one of check)"]), (["apply", "--json"], ["apply has no option --json"]),
    (["rules", "--json"], ["no option --json"]), (["apply", "--dry-run"], ["(it is one of clear)"]), (["clear", "--adopt"], ["plan, apply"]),
    (["check", "a", "b"], ['too many arguments: "b"']), (["status", "a"], ["too many"]), (["completion"], ["completion needs SHELL: bash zsh fish"]),
    (["completion", "tcsh"], ["none of bash, zsh, fish"]), (["apply", "--accept", "123"], ["sixteen hexadecimal digits"]),
    (["apply", "--confirm", "0"], ["expected seconds (1 to 86400), yes, no or tests", '"0"']), (["apply", "--confirm", "ye"], ['"ye"']),
    (["apply", "--confirm", "yes", "new.json"], ["takes no FILE"]), (["apply", "--confirm", "9", "--adopt"], ["can't be combined with --adopt"])],
    ids=lambda p: " ".join(p)[:40])
def test_a_typo_is_an_error_that_says_what_was_meant(argv, words):
    done = call(*argv)
    assert done.returncode == 64 and not done.stdout, done
    assert done.stderr.startswith("harborwall: ") and done.stderr.count("\n") == 1
    for w in words:
        assert w in done.stderr, done.stderr


@pytest.mark.parametrize("name, value", [("HARBORWALL_BACKEND", "nft"), ("HARBORWALL_COUNTERS", "yes"), ("HARBORWALL_LOG", "jsno"),
                                         ("WATCH_PERIOD_SECONDS", "1m"), ("HARBORWALL_MARK", "1")])
def test_a_wrong_setting_is_named_and_help_comes_all_the_same(name, value):
    done = call("check", EXAMPLE, **{name: value})
    assert done.returncode == 64 and name in done.stderr and f'"{value}"' in done.stderr
    assert call("--help", **{name: value}).returncode == 0
    assert call("plan", "--help", **{name: value}).returncode == 0


def test_versions_of_docker_are_taken_as_people_write_them():
    path = f"{ROOT}/tests/golden/rules/every_field.json"
    texts = {call("rules", "-q", "--engine", version, path).stdout for version in ("28", "28.5.2", "28.0")}
    assert len(texts) == 1 and texts != {call("rules", "-q", "--engine", "20.10", path).stdout}


# --- help ---

def test_every_verb_has_a_help_of_its_own():
    for verb in verbs():
        done = call(verb, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: harborwall {verb}"), verb
        assert done.stdout == call("--help", verb).stdout == call("help", verb).stdout
        assert "exits: 0" in done.stdout and max(map(len, done.stdout.splitlines())) <= 110
    assert "strict" in options("check") and "--strict" not in call("plan", "--help").stdout
    assert call("help").stdout == call("--help").stdout


def manual(section):
    with open(f"{ROOT}/man/harborwall.8.scd", encoding="utf-8") as f:
        return f.read().split(f"# {section}\n")[1].split("\n# ")[0]


def test_the_manual_has_the_verbs_and_options_that_there_are():
    described = {re.match(r"\*(\w+)\*", li)[1]: li for li in manual("VERBS").split("\n") if re.match(r"\*\w+\*", li)}
    for verb in verbs():
        usage = call(verb, "--help").stdout.splitlines()[0]
        assert verb in described, f"the manual does not know {verb}"
        argument = re.search(rf"{verb} \[?([A-Z]+)\]?", usage)
        assert not argument or f"_{argument[1]}_" in described[verb], usage
    known = {name: value for verb in verbs() for name, (value, _) in options(verb).items()}
    in_manual = {}
    for heading in re.findall(r"^\*.*\*.*$", manual("OPTIONS"), re.M):
        for name, value in re.findall(r"\*--([a-z-]+)\*(?: _([A-Z]+)_)?", heading):
            in_manual[name] = value
    assert in_manual == known


def test_the_manual_says_which_verbs_an_option_belongs_to():
    common = set.intersection(*(set(options(v)) for v in verbs()))
    entries = re.split(r"^(?=\*)", manual("OPTIONS"), flags=re.M)
    for entry in entries:
        for name in re.findall(r"\*--([a-z-]+)\*", entry.split("\n")[0]):
            if name in common:
                continue
            body = entry.partition("\n")[2]
            of = set(re.findall(r"\w+", body.split(":")[0]))
            assert of == {v for v in verbs() if name in options(v)}, f"--{name}: {body!r}"


# --- without root ---

NOBODY = "65534"


@pytest.fixture
def readable():
    """A copy of the program that anybody may start, in a folder that anybody may enter."""
    if os.geteuid():
        pytest.skip("needs root, to be nobody")
    with tempfile.TemporaryDirectory(prefix="harborwall-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        path = shutil.copy(HARBORWALL, f"{folder}/harborwall")

        def run(*argv, **env):
            return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", path, *argv],
                                  text=True, capture_output=True, check=False, cwd=folder,
                                  env={"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0", **env})
        run.folder = folder
        yield run


@pytest.mark.parametrize("verb", ["run", "plan", "apply", "clear", "doctor"])
def test_who_is_not_root_is_told_so_before_anything_else(readable, verb):
    """No file, no Docker: none of it is said first."""
    done = readable(verb)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == f"harborwall: {verb} must run as root\n"


def test_check_and_rules_and_words_need_no_root(readable):
    shutil.copy(EXAMPLE, f"{readable.folder}/networks.json")
    os.chmod(f"{readable.folder}/networks.json", 0o644)
    for argv in (["check", "networks.json"], ["rules", "networks.json"], ["--help"], ["plan", "--help"], ["completion", "zsh"], ["--version"]):
        assert readable(*argv).returncode == 0, argv
    assert readable("plan", "--josn").returncode == 64


def test_packets_need_root_and_the_files_own_tests_do_not(readable):
    with open(EXAMPLE, encoding="utf-8") as f:
        config = json.load(f)
    config["tests"] = [{"from": "any", "to": "smarthostbackend-1", "port": 22, "expect": "closed"}]
    with open(f"{readable.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.chmod(f"{readable.folder}/networks.json", 0o644)
    assert readable("test", "networks.json").returncode == 0
    done = readable("test", "--packets", "networks.json")
    assert done.returncode == 1 and not done.stdout and "--packets asks this host's kernel: run as root" in done.stderr, done
    assert call("explain", "--packets", "a", "b", "80").stderr.count("explain has no option --packets (it is one of test)") == 1


def test_a_status_that_others_may_not_ask_for_says_so(readable):
    path = f"{readable.folder}/sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        os.chmod(path, 0o600)
        s.listen(1)
        done = readable("status", HARBORWALL_LISTEN=path)
    assert done.returncode == 1 and "must run as root" in done.stderr, done.stderr
    done = readable("status", HARBORWALL_LISTEN=f"{readable.folder}/nothing")
    assert done.returncode == 1 and "no daemon" in done.stderr and "root" not in done.stderr


# --- colours ---

def test_colours_are_for_terminals_and_for_who_asks(case, engine):
    with Terminal(case, "plan") as t:
        assert t.end() == 2
        assert "\x1b[32m+ \x1b[0m" in t.text()
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with Terminal(case, "plan", **env) as t:
            assert t.end() == 2 and "\x1b" not in t.text()
    with Terminal(case, "plan", "--color=never") as t:
        assert t.end() == 2 and "\x1b" not in t.text()
    assert "\x1b" not in case.run("plan").stdout
    assert "\x1b[32m+ \x1b[0m" in case.run("plan", "--color", "always").stdout
    assert "\x1b" not in case.run("plan", "--json", "--color", "always").stdout
    broken = case.run("check", "-c", "/dev/null", "--color=always")
    assert "\x1b[31m: error:\x1b[0m" in broken.stderr


# --- into a pipe ---

def test_a_reader_that_has_seen_enough_is_no_error_to_talk_about(tmp_path):
    done = subprocess.run(["sh", "-c", f"{HARBORWALL} --help 2>&1 >/dev/full | cat; {HARBORWALL} --help | true; "
                           f"{HARBORWALL} completion zsh | head -1"], text=True, capture_output=True, check=False)
    assert done.stdout.splitlines()[-1] == "#compdef harborwall"
    assert "No space left on device" in done.stdout and "Broken pipe" not in done.stderr + done.stdout
