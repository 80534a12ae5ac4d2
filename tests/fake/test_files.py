# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are not what they should be: one that drips, temporaries that a killed daemon left, an engine of which a part
may not be asked."""
import glob
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import CONFIG, HARBORWALL, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def start(case):
    running = []

    def begin(**env):
        running.append(Daemon(case, **{"WATCH_PERIOD_SECONDS": "600", **env}))
        return running[-1]
    yield begin
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()


class Drip:
    """A pipe with a name that gets a byte now and then."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self.ended = path, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        fd = os.open(self.path, os.O_RDWR)
        while not self.ended.wait(0.3):
            os.write(fd, b" ")
        os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_a_file_that_drips_hangs_no_daemon(case, start):
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    os.unlink(f"{case.folder}/networks.json")
    with Drip(f"{case.folder}/networks.json"):
        os.kill(daemon.process.pid, signal.SIGHUP)
        time.sleep(0.3)
        case.nft("delete", "table", "inet", "harborwall")
        started = time.monotonic()
        daemon.wait_log("config unreadable, what stands stays", timeout=4)
        while "allow" not in case.nft("list", "table", "inet", "harborwall"):
            assert time.monotonic() - started < 5
            time.sleep(0.05)
        os.kill(daemon.process.pid, signal.SIGHUP)
        started = time.monotonic()
        daemon.process.terminate()
        assert daemon.process.wait(5) == 0 and time.monotonic() - started < 3


def test_a_pipe_that_never_ends_is_given_up_and_a_slow_one_is_not(tmp_path):
    drip = subprocess.Popen("while :; do printf ' '; sleep 1; done", shell=True, stdout=subprocess.PIPE)
    started = time.monotonic()
    done = subprocess.run([HARBORWALL, "check", "/dev/stdin"], stdin=drip.stdout, text=True, capture_output=True, timeout=60, check=False)
    drip.kill()
    drip.wait()
    drip.stdout.close()
    assert done.returncode == 1 and "timed out" in done.stderr.lower() and 9 < time.monotonic() - started < 15
    text = json.dumps(CONFIG)
    slow = subprocess.Popen(["sh", "-c", 'for part; do printf %s "$part"; sleep 0.7; done', "sh", text[:50], text[50:90], text[90:]],
                            stdout=subprocess.PIPE)
    done = subprocess.run([HARBORWALL, "check", "/dev/stdin"], stdin=slow.stdout, text=True, capture_output=True, timeout=60, check=False)
    slow.wait()
    slow.stdout.close()
    assert done.returncode == 0, done.stderr


def test_daemons_that_are_killed_while_they_write_leave_one_file_at_most(case):
    """strace kills it at the rename, each time anew."""
    for n in range(4):
        with open(f"{case.folder}/networks.json", "w", encoding="utf-8") as f:
            json.dump({**CONFIG, "policies": [{"selector": "api", "from": "proxy", "port": 80 + n}]}, f)
        daemon = Daemon(case, under=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2", "-e",
                                     "inject=rename,renameat,renameat2:signal=KILL:when=1"])
        daemon.process.wait(20)
    assert len(glob.glob(f"{case.folder}/last-good.json*")) <= 1, os.listdir(case.folder)
    daemon = Daemon(case)
    try:
        daemon.wait(lambda s: s.get("healthy"))
        assert sorted(glob.glob(f"{case.folder}/last-good.json*")) == [f"{case.folder}/last-good.json"]
    finally:
        daemon.process.kill()
        daemon.process.wait()


def test_two_that_write_one_file_at_a_time_leave_it_whole(case):
    """Two applies: each keeps what the host had before in the same file."""
    case.inside("sysctl", "-qw", "net.ipv4.ip_forward=0")
    for _ in range(10):
        both = [subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", HARBORWALL, "apply", "-c", f"{case.folder}/networks.json"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env={**os.environ, "DOCKER_HOST": case.host, "HARBORWALL_STATE": f"{case.folder}/state.json",
                                      "ASAN_OPTIONS": "detect_leaks=0"}) for _ in range(2)]
        for process in both:
            process.wait()
        with open(f"{case.folder}/state.json", encoding="utf-8") as f:
            json.load(f)
        assert not [name for name in os.listdir(case.folder) if name.startswith("state.json.")]
        case.run("clear", "-q")


# --- an engine behind a proxy that lets some questions through ---

@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_an_engine_that_may_not_be_asked_for_its_info_is_used_all_the_same(case, start, status, engine):
    engine.script("GET", "/info", status=status, body="<html>Forbidden\x1b[31m</html>", times=1000)
    done = case.run("plan")
    assert done.returncode == 2 and "/info" in done.stdout and str(status) in done.stdout, done.stdout + done.stderr
    done = case.run("apply")
    assert done.returncode == 0 and "\x1b" not in done.stdout, done.stdout + done.stderr
    assert "172.18.103.2 . 172.18.104.2 . tcp . 80" in case.nft("list", "table", "inet", "harborwall")
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    assert [f for f in daemon.status()["findings"] if "/info" in f["text"]]
    assert case.run("doctor").stdout.count("/info") == 1


def test_an_engine_whose_info_fails_for_another_reason_is_not(case, engine):
    engine.script("GET", "/info", status=500, message="out of luck", times=1000)
    assert case.run("plan").returncode == 1
