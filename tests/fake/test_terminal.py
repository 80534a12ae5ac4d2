# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person at a terminal sees and is asked, and what Ctrl-C leaves."""
import os
import re
import signal
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal  # noqa: E402
from test_errors import CONFIG, HARBORWALL, Case, case, engine  # noqa: E402, F401
from test_storm import Daemon  # noqa: E402

QUESTION = "[y/N] "


def stands(case):
    return "allow" in case.nft("list", "ruleset")


# --- the question ---

@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "what\n"], ids=["no", "nothing", "end of file", "nonsense"])
def test_apply_shows_the_plan_and_asks_and_does_nothing_without_a_yes(case, engine, answer):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        assert "+ network    web 172.18.103.0/24" in t.plain() and "+ connection proxy to web" in t.plain()
        t.type(answer)
        assert t.end() == 1
        assert "nothing was done" in t.plain()
    assert not engine.writes() and not stands(case)


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "Y\n"])
def test_a_yes_has_it_done(case, engine, answer):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        t.type(answer)
        assert t.end() == 0, t.text()
    assert stands(case) and case.run("plan").returncode == 0


def test_yes_beforehand_skips_the_question(case, engine):
    for verb in ("apply", "clear"):
        with Terminal(case, verb, "--yes") as t:
            assert t.end() == 0, t.text()
            assert QUESTION not in t.plain()
        assert stands(case) == (verb == "apply")


def test_nothing_to_do_is_not_asked_about(case, engine):
    assert case.run("apply").returncode == 0
    with Terminal(case, "apply") as t:
        assert t.end() == 0
        assert "nothing to do" in t.plain() and QUESTION not in t.plain()


@pytest.mark.parametrize("verb", ["apply", "clear"])
def test_whoever_pipes_is_not_asked(case, engine, verb):
    """As before: scripts have no hands."""
    assert case.run("apply").returncode == 0
    assert case.run(verb).returncode == 0
    with Terminal(case, verb, command=["sh", "-c", f"{HARBORWALL} {verb} -c networks.json | cat"]) as t:
        assert t.end() == 0
        assert QUESTION not in t.plain()


def test_clear_shows_what_goes_and_asks(case, engine):
    assert case.run("apply").returncode == 0
    written = len(engine.writes())
    with Terminal(case, "clear", "--networks") as t:
        t.wait(QUESTION)
        assert "- network    web" in t.plain() and "- connection proxy from web" in t.plain()
        assert "~ forwarding host: net.ipv4.ip_forward = 0, as it was" in t.plain()
        t.type("n\n")
        assert t.end() == 1
    assert len(engine.writes()) == written and stands(case)


def test_clear_in_a_dry_run_shows_what_would_go_and_does_nothing(case, engine):
    assert case.run("apply").returncode == 0
    written, before = len(engine.writes()), case.nft("list", "ruleset")
    done = case.run("clear", "--dry-run")
    assert done.returncode == 0 and "- connection proxy from web" in done.stdout and "- firewall" in done.stdout
    assert "ip_forward = 0, as it was" in done.stdout and "- network " not in done.stdout
    assert "- network    web" in case.run("clear", "--dry-run", "--networks").stdout
    assert len(engine.writes()) == written and case.nft("list", "ruleset") == before
    assert case.run("clear").returncode == 0
    assert "nothing to do" in case.run("clear", "--dry-run").stdout


def test_what_changed_while_a_person_thought_is_shown_again(case, engine):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        engine.attach(engine.find(engine.containers, "api"), engine.find(engine.networks, "none"), None, {})
        t.type("y\n")
        t.wait("changed meanwhile")
        t.wait("- connection api from none")
        t.type("n\n")
        assert t.end() == 1
    assert not engine.writes()


def test_nobody_is_kept_waiting_by_a_question(case, engine):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        assert case.run("apply").returncode == 0
        t.type("y\n")
        assert t.end() == 0
        assert "nothing to do" in t.plain()


# --- beside the daemon ---

@pytest.fixture
def daemon(case, engine):
    daemon = Daemon(case)
    daemon.wait(lambda s: s.get("healthy"))
    yield daemon
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


BIG = {"networks": CONFIG["networks"], "ips": {**CONFIG["ips"], **{f"172.18.103.{10 + i}": {"container_name": f"box{i}"}
                                                                  for i in range(6)}}, "policies": []}


def put(case, config):
    import json
    with open(f"{case.folder}/new", "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.rename(f"{case.folder}/new", f"{case.folder}/networks.json")


@pytest.fixture
def held(case, engine):
    for i in range(6):
        engine.add_container(f"box{i}")
    put(case, BIG)
    daemon = Daemon(case, file="networks.json", cwd=case.folder)
    daemon.wait(lambda s: s.get("healthy"))
    put(case, CONFIG)
    daemon.wait(lambda s: s.get("held"))
    yield daemon
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0


@pytest.mark.parametrize("answer", ["y\n", "n\n"])
def test_beside_a_daemon_what_is_held_is_shown_and_a_yes_accepts_it(case, engine, held, answer):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        assert "- connection box0 from web" in t.plain() and "6 of 8 containers would be disconnected" in t.plain()
        t.type(answer)
        assert t.end() == (0 if answer == "y\n" else 1), t.text()
    connected = sum("web" in c["ends"] for c in engine.containers.values())
    assert connected == (1 if answer == "y\n" else 7)
    held.wait(lambda s: (s["held"] is None) == (answer == "y\n"))


def test_another_file_than_the_daemon_s_is_refused_before_anything_is_asked(case, engine, daemon):
    put(case, CONFIG)
    os.rename(f"{case.folder}/networks.json", f"{case.folder}/other.json")
    with Terminal(case, "apply", command=[HARBORWALL, "apply", "other.json"]) as t:
        assert t.end() == 1
        assert "uses another file" in t.plain() and QUESTION not in t.plain()


def test_what_a_colleague_writes_while_a_person_thinks_is_not_accepted(case, engine, held):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        put(case, {**CONFIG, "ips": {}})
        t.type("y\n")
        assert t.end() == 1
        assert "nothing accepted" in t.plain()
    assert sum("web" in c["ends"] for c in engine.containers.values()) == 7


def test_yes_beforehand_accepts_no_loss_that_nobody_looked_at(case, engine, held):
    done = case.run("apply", "--yes", HARBORWALL_LISTEN=f"{case.folder}/sock")
    assert done.returncode == 1 and "--accept" in done.stderr
    assert sum("web" in c["ends"] for c in engine.containers.values()) == 7


# --- while it works ---

def test_every_step_is_a_line_of_progress_and_the_sum_is_told(case, engine):
    with Terminal(case, "apply", "--yes") as t:
        assert t.end() == 0
        lines = [li for li in t.plain().splitlines() if re.match(r"\[ *\d+/\d+\] [-+~] ", li)]
        n = int(re.search(r"/(\d+)\]", lines[0])[1])
        assert [int(re.match(r"\[ *(\d+)", li)[1]) for li in lines[:n]] == list(range(1, n + 1))
        assert re.search(r"^\d+ added, \d+ changed$", t.plain(), re.M), t.plain()


def test_the_sum_is_told_to_pipes_too(case, engine):
    done = case.run("apply")
    assert re.search(r"^\d+ added", done.stdout, re.M) and "[" not in done.stdout.splitlines()[0]
    done = case.run("clear", "--networks")
    assert re.search(r"^1 changed, 5 removed$", done.stdout, re.M), done.stdout
    engine.script("POST", "/networks/web/connect", status=500, message="out of luck", times=99)
    done = case.run("apply")
    assert re.search(r"^\d+ added.*, 1 failed", done.stdout, re.M), done.stdout


def test_ctrl_c_stops_between_two_steps_and_says_what_was_done(case, engine):
    engine.script("POST", "/networks/(web|back)/connect", delay=2, done=True, status=200, body="{}", times=2)
    with Terminal(case, "apply", "--yes") as t:
        t.wait("+ connection")
        time.sleep(0.3)
        t.type("\x03")
        assert t.end() == 1, t.text()
        assert re.search(r"interrupted: \d+ of \d+ steps are left", t.plain()), t.plain()
        assert re.search(r"^3 added$", t.plain(), re.M), t.plain()
    assert sum(c[1].endswith("/connect") for c in engine.writes()) == 1, "the step that ran was finished, no other was begun"
    assert not stands(case)
    engine.scripts.clear()
    assert case.run("apply").returncode == 0 and case.run("plan").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_a_script_s_apply_stops_it_between_two_steps(case, engine, number):
    from test_together import slow_apply
    first = slow_apply(case, engine, 2)
    children = f"/proc/{first.process.pid}/task/{first.process.pid}/children"
    with open(children, encoding="ascii") as f:
        pids = f.read().split()
    os.kill(int(pids[0]) if pids else first.process.pid, number)
    done = first.end()
    assert done.returncode == 1 and "interrupted" in done.stderr, done
    assert "+ connection proxy to web" in done.stdout and "connection api" not in done.stdout
    assert sum(c[1].endswith("/connect") for c in engine.writes()) == 1


def test_ctrl_c_twice_ends_it_at_once(case, engine):
    engine.script("POST", "/networks/(web|back)/connect", delay=20, done=True, status=200, body="{}", times=1)
    with Terminal(case, "apply", "--yes") as t:
        t.wait("+ connection")
        time.sleep(0.3)
        started = time.monotonic()
        t.type("\x03")
        t.wait("stopping after this step")
        t.type("\x03")
        assert t.end() != 0
        assert time.monotonic() - started < 5


def test_ctrl_c_at_the_question_does_nothing(case, engine):
    with Terminal(case, "apply") as t:
        t.wait(QUESTION)
        t.type("\x03")
        assert t.end() != 0
    assert not engine.writes()


# --- plan ---

def test_a_plan_of_an_adoption_is_what_adopt_does(case, engine):
    rule = ["-s", "172.18.103.2", "-d", "172.18.104.2", "-p", "tcp", "--dport", "80", "-j", "ACCEPT"]
    case.iptables("-N", "DOCKER-USER", check=False)
    case.iptables("-I", "FORWARD", *rule)
    assert case.run("apply").returncode == 0
    assert case.run("plan").returncode == 0
    plan = case.run("plan", "--adopt")
    assert plan.returncode == 2 and "- leftover   host: 1 unmanaged rule of iptables-nft" in plan.stdout, plan.stdout
    assert case.run("apply", "--adopt").returncode == 0
    assert case.run("plan", "--adopt").returncode == 0


def test_a_plan_says_that_a_daemon_would_hold_the_file(case, engine):
    for i in range(6):
        engine.add_container(f"box{i}")
    put(case, BIG)
    assert case.run("apply").returncode == 0
    put(case, CONFIG)
    done = case.run("plan")
    assert "6 of 8 containers would be disconnected" in done.stdout and "--accept" in done.stdout
    assert case.run("apply").returncode == 0
    assert "would be disconnected" not in case.run("plan").stdout
