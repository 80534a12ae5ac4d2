# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon in bad company: storms of events and writes, an engine that goes and comes back. Ends converged,
with few passes and bounded memory. HARBORWALL_STORM_SECONDS lengthens the storm."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import HARBORWALL, Case  # noqa: E402

SECONDS = int(os.environ.get("HARBORWALL_STORM_SECONDS", "6"))
PER_SECOND = 17  # 1 000 a minute


def config(policies):
    return {"networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
            "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
            "policies": [{"selector": "api", "from": "proxy", "port": 1 + i} for i in range(policies)]}


class Daemon:
    def __init__(self, case, file=None, under=(), cwd=None, **env):
        self.case, self.log = case, f"{case.folder}/log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["nsenter", "-t", str(case.holder.pid), "-n", *under, HARBORWALL, "run", "-c",
                 file or f"{case.folder}/networks.json"],
                stderr=log, cwd=cwd, env={**os.environ, "DOCKER_HOST": case.host, "HARBORWALL_STATE": f"{case.folder}/state.json",
                                 "HARBORWALL_LISTEN": f"{case.folder}/sock", "ASAN_OPTIONS": "detect_leaks=0", **env})

    def status(self):
        done = subprocess.run(["curl", "-s", "--unix-socket", f"{self.case.folder}/sock", "http://h/status"], text=True,
                              capture_output=True, check=False)
        return json.loads(done.stdout) if done.stdout else {}

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(next(li.split()[1] for li in f if li.startswith("RssAnon")))

    def wait(self, claim, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if claim(self.status()):
                return True
            time.sleep(0.05)
        raise AssertionError(f"{self.status()}\n{self.text()[-3000:]}")

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def wait_log(self, words, timeout=20):
        end = time.monotonic() + timeout
        while words not in self.text():
            assert time.monotonic() < end, f"no {words!r} in\n{self.text()[-3000:]}"
            time.sleep(0.02)


@pytest.fixture
def daemon(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    write(case, config(1000))
    with dockerd.Engine(case.folder) as engine:
        for name in ("proxy", "api"):
            engine.add_container(name)
        daemon = Daemon(case)
        daemon.engine = engine
        daemon.wait(lambda s: s.get("healthy"))
        yield daemon
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(10) == 0
    case.end()


def write(case, content):
    with open(f"{case.folder}/new", "w", encoding="utf-8") as f:
        json.dump(content, f)
    os.rename(f"{case.folder}/new", f"{case.folder}/networks.json")


def storm(daemon, once):
    """-> passes while it lasted."""
    before = daemon.status()["passes"]
    end = time.monotonic() + SECONDS
    n = 0
    while time.monotonic() < end:
        once(n)
        n += 1
        time.sleep(1 / PER_SECOND)
    time.sleep(1.5)
    return daemon.status()["passes"] - before


@pytest.mark.parametrize("kind", ["events", "writes"])
def test_a_storm_ends_converged_with_few_passes_and_bounded_memory(daemon, kind):
    def event(n):
        if n % 2:
            daemon.engine.stop("api")
        else:
            daemon.engine.tell("container", "start", daemon.engine.find(daemon.engine.containers, "api"), {"name": "api"})

    def edit(n):
        write(daemon.case, config(900 + n % 100))
    memory = daemon.memory_kb()
    passes = storm(daemon, event if kind == "events" else edit)
    assert passes <= 20 + 200 * SECONDS / 60, passes
    assert daemon.wait(lambda s: s["healthy"])
    assert daemon.case.run("plan", "-q").returncode == 0
    if "asan" not in HARBORWALL:
        print(f"{kind}: {passes} passes in {SECONDS} s, RssAnon {memory} -> {daemon.memory_kb()} kB")
        assert daemon.memory_kb() < 2 * memory + 4096


def test_an_engine_that_goes_and_comes_back_is_found_again(daemon):
    daemon.engine.close()
    daemon.wait(lambda s: not s["engine_up"] or not s["healthy"])
    daemon.engine.listen()
    daemon.wait(lambda s: s["healthy"] and s["engine_up"])


@pytest.mark.skipif("asan" in HARBORWALL, reason="its allocator is another one")
def test_many_passes_leave_memory_where_it_was():
    """make soak does the same for longer."""
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    done = subprocess.run([sys.executable, "-B", f"{os.path.dirname(os.path.abspath(__file__))}/soak.py", "passes", "100"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
