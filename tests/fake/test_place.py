# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the engine's bridges are not: a sure sign is a container that runs on one of them."""
import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import assert_one_line, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

FLAG = "--network host"


@pytest.fixture
def away(case):
    """No bridge of the engine's is here."""
    subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", "ip", "link", "del", "docker0"], check=True)
    return case


def findings(done):
    return [(f["kind"], f["text"]) for f in json.loads(done.stdout)["findings"] if FLAG in f["text"]]


def test_a_running_container_on_a_bridge_that_is_not_here_is_a_sure_sign(away, engine):
    engine.start("api")
    for verb in ("plan", "apply", "clear"):
        assert_one_line(away.run(verb), FLAG, "docker0", '"api"')
    assert not engine.writes() and not away.nft("list", "ruleset")


def test_the_bridge_of_any_network_tells_that_it_is_the_right_place(case, engine):
    engine.start("api")
    assert not findings(case.run("plan", "--json"))
    assert case.run("apply").returncode == 0


@pytest.mark.parametrize("how", ["nobody runs", "on the host's network"])
def test_without_a_running_container_on_a_bridge_it_is_said_that_nobody_can_tell(away, engine, how):
    if how != "nobody runs":
        engine.add_container("hosted", network="host", running=True)
    done = away.run("plan", "--json")
    assert done.returncode == 2 and [kind for kind, _ in findings(done)] == ["warning"], done.stdout


def test_an_engine_without_bridges_has_none_to_miss(away, engine):
    del engine.networks[engine.find(engine.networks, "bridge")]
    engine.containers.clear()
    assert not findings(away.run("plan", "--json"))


def pump(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def serve_tcp(case, address, made):
    """The engine's socket once more, at an address in the case's namespace."""
    fd = os.open(f"/proc/{case.holder.pid}/ns/net", os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) == 0  # CLONE_NEWNET, of this thread only
    os.close(fd)
    listener = socket.create_server((address, 2375))
    made.append(listener)
    while True:
        try:
            client = listener.accept()[0]
        except OSError:
            return
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(f"{case.folder}/docker.sock")
        for pair in ((client, upstream), (upstream, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


@pytest.mark.parametrize("address, refused", [("127.0.0.1", True), ("10.9.9.1", False)])
def test_an_engine_on_another_machine_may_be_meant(away, engine, address, refused):
    engine.start("api")
    for command in ("link set lo up", "addr add 10.9.9.1/24 dev lo"):
        subprocess.run(["nsenter", "-t", str(away.holder.pid), "-n", "ip", *command.split()], check=True)
    made = []
    threading.Thread(target=serve_tcp, args=(away, address, made), daemon=True).start()
    while not made:
        time.sleep(0.01)
    done = away.run("plan", "--json", DOCKER_HOST=f"tcp://{address}:2375")
    made[0].shutdown(socket.SHUT_RDWR)
    if refused:
        assert_one_line(done, FLAG)
    else:
        assert done.returncode == 2 and [kind for kind, _ in findings(done)] == ["warning"], done.stdout + done.stderr


def test_a_daemon_that_starts_there_ends_and_one_that_is_told_later_changes_nothing(away, engine):
    daemon = Daemon(away, f"{away.folder}/networks.json")
    try:
        daemon.wait_log("following the engine")
        before = away.nft("list", "ruleset")
        engine.start("api")
        daemon.wait_log(FLAG)
        assert away.nft("list", "ruleset") == before
    finally:
        daemon.process.kill()
        daemon.process.wait()
    assert_one_line(away.run("plan"), FLAG)
    done = away.run("run", timeout=10, HARBORWALL_LISTEN=f"{away.folder}/other.sock")
    assert done.returncode == 1 and FLAG in done.stderr, done.stderr
