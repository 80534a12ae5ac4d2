# SPDX-License-Identifier: GPL-2.0-or-later
"""Several at once: whoever changes the host does so alone, and who comes second waits, or says whom for."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import CONFIG, HARBORWALL, Case, case, engine  # noqa: E402, F401
from test_storm import Daemon  # noqa: E402

SLOW = 3


class Apply:
    """One that runs on beside the test."""

    def __init__(self, case, verb="apply", *options):
        self.process = subprocess.Popen(
            ["nsenter", "-t", str(case.holder.pid), "-n", HARBORWALL, verb, "-c", "networks.json", *options], cwd=case.folder,
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "DOCKER_HOST": case.host, "HARBORWALL_STATE": f"{case.folder}/state.json",
                 "HARBORWALL_LISTEN": f"{case.folder}/sock", "ASAN_OPTIONS": "detect_leaks=0"})

    def end(self, timeout=60):
        out, err = self.process.communicate(timeout=timeout)
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def slow_apply(case, engine, seconds=SLOW):
    """An apply that is in the middle of its work, for so long: its first connection takes its time."""
    engine.script("POST", "/networks/web/connect", delay=seconds, done=True, status=200, body="{}")
    first = Apply(case)
    end = time.monotonic() + 10
    while not any("/connect" in c[1] for c in engine.writes()):
        assert time.monotonic() < end and first.process.poll() is None, engine.calls
        time.sleep(0.01)
    return first


def connects(engine):
    return sorted(c[1].split("/networks/")[1] for c in engine.writes() if c[1].endswith("/connect"))


def test_a_second_apply_waits_for_the_first_and_finds_nothing_left(case, engine):
    first, started = slow_apply(case, engine), time.monotonic()
    second = Apply(case).end()
    assert time.monotonic() - started > SLOW - 1, "it did not wait"
    first = first.end()
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert connects(engine) == ["back/connect", "web/connect"]
    assert re.search(r"waiting for another harborwall \(pid \d+, apply\)", second.stderr), second.stderr
    assert "nothing to do" in second.stdout


def test_many_at_once_end_well_and_do_the_work_once(case, engine):
    engine.script("POST", "/connect", delay=0.3, times=9, done=True, status=200, body="{}")
    done = [a.end() for a in [Apply(case) for _ in range(8)]]
    assert [d.returncode for d in done] == [0] * 8, "\n".join(d.stderr for d in done)
    assert connects(engine) == ["back/connect", "web/connect"]


def test_who_waited_too_long_says_for_whom(case, engine):
    first = slow_apply(case, engine, 40)
    second = Apply(case).end()
    assert second.returncode == 1
    assert re.search(r"another harborwall is still changing this host \(pid \d+, apply\)", second.stderr), second.stderr
    assert not second.stdout
    assert first.end().returncode == 0


def test_whoever_died_at_work_is_not_waited_for(case, engine):
    first = slow_apply(case, engine, 20)
    first.process.kill()
    first.end()
    started = time.monotonic()
    assert Apply(case).end().returncode == 0
    assert time.monotonic() - started < 10


def test_clear_beside_an_apply_waits_and_leaves_nothing(case, engine):
    first = slow_apply(case, engine)
    cleared = Apply(case, "clear").end()
    assert cleared.returncode == 0, cleared.stderr
    assert first.end().returncode == 0
    assert not case.nft("list", "ruleset")
    assert not any("web" in c["ends"] or "back" in c["ends"] for c in engine.containers.values())


def test_a_plan_beside_an_apply_says_so(case, engine):
    first = slow_apply(case, engine)
    plan = Apply(case, "plan").end()
    assert plan.returncode == 2
    assert re.search(r"another harborwall is changing this host \(pid \d+, apply\)", plan.stderr), plan.stderr
    assert first.end().returncode == 0


def test_a_daemon_that_starts_beside_an_apply_waits_and_runs(case, engine):
    first = slow_apply(case, engine)
    daemon = Daemon(case)
    try:
        daemon.wait(lambda s: s.get("healthy"))
        assert first.end().returncode == 0
        assert connects(engine) == ["back/connect", "web/connect"]
    finally:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0


def test_a_second_daemon_is_refused_at_once(case, engine):
    daemon = Daemon(case)
    try:
        daemon.wait(lambda s: s.get("healthy"))
        started = time.monotonic()
        second = Apply(case, "run").end()
        assert second.returncode == 1 and "another harborwall is running on this host (pid" in second.stderr
        assert time.monotonic() - started < 5
    finally:
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
