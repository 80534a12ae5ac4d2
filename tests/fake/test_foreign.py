# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that others wrote reaches no terminal, log or page as it is: an escape sequence, a C1 control, a direction mark and
a newline are planted wherever we take text from, and must come out escaped wherever it comes out."""
import json
import os
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
import nfnetlink as nl  # noqa: E402
from test_errors import CONFIG, HARBORWALL, case, engine  # noqa: E402,F401
from test_storm import Daemon  # noqa: E402

EVIL = "e\x1b[31m\u009b1m\u202e\u2066v\x7fi\u2028l"
SHOWN = "\\u001b[31m\\u009b1m\\u202e\\u2066"  # as far as every place has room for
QUIET = EVIL.replace("\x1b", "").replace("\x7f", "")  # what is no control character of JSON
QUIET_SHOWN = "\\u009b1m\\u202e\\u2066"
DANGEROUS = [*range(0, 9), *range(11, 32), *range(0x7f, 0xa0), 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f), *range(0x2066, 0x206a)]


def write(case, config):
    with open(f"{case.folder}/networks.json", "w", encoding="utf-8") as f:
        json.dump(config, f, ensure_ascii=False)


def assert_harmless(*texts, shown=SHOWN):
    """shown: it got there at all."""
    for text in texts:
        found = [f"{ord(c):#x} in {line!r}" for line in text.splitlines() for c in line if ord(c) in DANGEROUS]
        assert not found, found[:5]
    if shown:
        # a log line or JSON quotes the backslash once more
        assert any(shown in t or shown.replace("\\", "\\\\") in t for t in texts), (shown, [t[-2000:] for t in texts])


def outputs(case, *verb, **env):
    done = case.run(*verb, **env)
    return done.stdout, done.stderr


def both(case, verb, *options, **env):
    for more in ((), ("--json",)):
        yield from outputs(case, verb, *options, *more, **env)


class Watched:
    """A daemon with every page, its log and what the service manager hears."""

    def __init__(self, case, **env):
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(f"{case.folder}/notify")
        self.manager.setblocking(False)
        self.daemon = Daemon(case, NOTIFY_SOCKET=f"{case.folder}/notify", WATCH_PERIOD_SECONDS="600", DEBUG="1", **env)
        self.daemon.wait(lambda s: s)

    def page(self, name):
        return subprocess.run(["curl", "-s", "--unix-socket", f"{self.daemon.case.folder}/sock", f"http://h/{name}"], text=True,
                              capture_output=True, check=True).stdout

    def heard(self):
        found = []
        try:
            while True:
                found.append(self.manager.recv(1 << 16).decode())
        except BlockingIOError:
            return found

    def texts(self):
        for message in self.heard():  # a newline would be another word to the service manager
            names = [line.split("=", 1)[0] for line in message.splitlines()]
            assert not set(names) - {"READY", "STATUS", "RELOADING", "MONOTONIC_USEC", "WATCHDOG", "STOPPING"}, message
            yield message
        for name in ("status", "status.txt", "metrics"):
            yield self.page(name)
        yield self.daemon.text()

    def end(self):
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.manager.close()


@pytest.fixture
def watch(case):
    running = []

    def begin(**env):
        running.append(Watched(case, **env))
        return running[-1]
    yield begin
    for w in running:
        w.end()


# --- the file ---

PLACES = {
    "a port": {"policies": [{"selector": "api", "from": "proxy", "port": EVIL}]},
    "a key": {"policies": [{"selector": "api", "from": "proxy", EVIL: 1}]},
    "a section": {EVIL: 1},
    "a name": {"policies": [{"selector": QUIET, "from": QUIET}]},
    "a subnet": {"networks": {EVIL: {"subnet": EVIL}}},
    "an address": {"ips": {EVIL: {"ip": EVIL, "container_name": EVIL}}},
    "a protocol": {"policies": [{"selector": "api", "from": "proxy", "proto": QUIET}]},
    "a kind": {"policies": [{"selector": "api", "nat": QUIET, "to": "api"}]},
    "an interface": {"policies": [{"selector": "api", "nat": "dnat", "to": "api", "iface": QUIET, "port": 1}]},
    "a number": {"policies": [{"selector": "api", "from": "proxy", "to_port": EVIL}]},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_file_full_of_it(tmp_path, place):
    path = tmp_path / "networks.json"
    path.write_text(json.dumps({**CONFIG, **place}, ensure_ascii=False), encoding="utf-8")
    texts = []
    for verb in (["check"], ["check", "--json"], ["check", "-v"], ["rules"]):
        done = subprocess.run([HARBORWALL, *verb, str(path)], capture_output=True, check=False)
        texts += [done.stdout.decode(), done.stderr.decode()]
    assert_harmless(*texts, shown=QUIET_SHOWN)


def test_a_file_that_is_no_json_and_no_utf8(tmp_path):
    path = tmp_path / "networks.json"
    path.write_bytes(b'{"a\x1b\x9b\xff\xc2\x9b": \x1b[31m}')
    for verb in (["check"], ["check", "--json"], ["plan"]):
        done = subprocess.run([HARBORWALL, *verb, str(path)], capture_output=True, check=False)
        assert_harmless(done.stdout.decode(), done.stderr.decode(), shown=None)


def test_a_path_and_an_argument(tmp_path):
    path = tmp_path / f"{EVIL}\n.json"
    for text in (json.dumps(CONFIG), "{"):
        path.write_text(text)
        for words in (["check", str(path)], ["check", "--json", str(path)], ["check", f"{path}.absent"], [EVIL], ["check", f"--{EVIL}"]):
            done = subprocess.run([HARBORWALL, *words], text=True, capture_output=True, check=False)
            assert_harmless(done.stdout, done.stderr)
            assert "\n.json" not in done.stderr


def test_comments_and_names_of_a_good_file(case, engine, watch):
    """C1 and direction marks are no control characters of JSON."""
    write(case, {**CONFIG, "policies": [{"selector": "api", "from": "proxy", "port": 80, "comment": QUIET},
                                        {"selector": "api", "from": QUIET, "port": 81}]})
    assert_harmless(*both(case, "plan", "-v"), *outputs(case, "check", "-v"), *outputs(case, "rules"), shown=QUIET_SHOWN)
    assert_harmless(*watch().texts(), shown=QUIET_SHOWN)


# --- the engine ---

def test_an_engine_s_version(case, engine, watch):
    engine.version = f"20.10.24{EVIL}\nREADY=1\nMAINPID=1"
    assert_harmless(*both(case, "plan"), *both(case, "doctor"))
    w = watch(HARBORWALL_LOG="json")
    w.daemon.wait(lambda s: s["engine_up"])
    assert_harmless(*w.texts())
    assert all(json.loads(line) for line in w.daemon.text().splitlines())
    assert_harmless(*outputs(case, "status", HARBORWALL_LISTEN=f"{case.folder}/sock"))


def test_names_of_networks_and_containers(case, engine, watch):
    engine.add_network(EVIL, "172.18.103.0/25")
    engine.add_network(f"{EVIL}\n+ forged", "172.18.104.0/25")
    engine.add_container(EVIL)
    texts = [*both(case, "plan"), *both(case, "doctor")]
    assert_harmless(*texts)
    assert not any(line.startswith("+ forged") for t in texts for line in t.splitlines())
    assert_harmless(*watch().texts())


@pytest.mark.parametrize("path", ["/networks$", "/networks/create", "/info", "/version"])
def test_an_engine_s_refusal(case, engine, watch, path):
    engine.script("POST" if path.endswith("create") else "GET", path, status=500, message=f"{EVIL}\nforged: yes", times=1000)
    texts = [*outputs(case, "plan"), *outputs(case, "apply"), *outputs(case, "doctor")]
    assert_harmless(*texts, shown=QUIET_SHOWN if path != "/info" else None)
    assert not any(line.startswith("forged") for t in texts for line in t.splitlines())
    assert_harmless(*watch().texts(), shown=QUIET_SHOWN if path != "/info" else None)


def test_an_engine_that_calls_itself_podman(case):
    with dockerd.Engine(case.folder, server=f"Libpod/{EVIL[:8]}"):
        assert_harmless(*outputs(case, "plan"), shown=None)


def test_events(case, engine, watch):
    w = watch()
    w.daemon.wait(lambda s: s["engine_up"])
    engine.tell("container", "start", "c" * 64, {"name": f"{EVIL}\nforged=yes"})
    w.daemon.wait_log("engine event")
    time.sleep(0.3)
    assert_harmless(*w.texts())
    assert "\nforged" not in w.daemon.text()


# --- the kernel ---

def test_comments_and_names_in_our_table(case, engine, watch):
    assert case.run("apply").returncode == 0
    case.inside("nft", "-f", "-", stdin=f'add rule inet harborwall forward accept comment "{EVIL}"\n')
    assert_harmless(*both(case, "plan", "-v"))
    kernel = nl.Kernel(case.holder.pid)
    kernel.replace([*kernel.table(), nl.Message(nl.NEWCHAIN, [nl.Attribute(1, b"harborwall\0"),
                                                              nl.Attribute(3, EVIL.encode() + b"\n+ forged\0")])])
    texts = [*both(case, "plan", "-v")]
    assert_harmless(*texts)
    assert not any(line.startswith("+ forged") for t in texts for line in t.splitlines())
    kernel.replace([*kernel.table(), nl.Message(nl.NEWSET, [
        nl.Attribute(1, b"harborwall\0"), nl.Attribute(2, EVIL.encode() + b"\0"), nl.Attribute(3, nl.u32(0)),
        nl.Attribute(4, nl.u32(99)), nl.Attribute(5, nl.u32(4))])])
    kernel.close()
    assert_harmless(*both(case, "plan", "-v"))
    assert_harmless(*watch().texts())


def test_names_of_interfaces(case, engine):
    name = "e\x1b[31m\u202ev"
    case.inside("ip", "link", "add", name, "type", "bridge")
    case.inside("ip", "addr", "add", "172.18.103.1/24", "dev", name)
    case.inside("ip", "link", "set", name, "up")
    assert_harmless(*both(case, "plan"), *both(case, "doctor"), shown="\\u001b[31m\\u202e")


def test_who_holds_the_lock(case, engine):
    """A table's comment is anybody's who may write rules."""
    holder = nl.Kernel(case.holder.pid)
    text = f"pid {EVIL}".encode()[:30] + b"\0"
    holder.commit([nl.Message(nl.NEWTABLE, [nl.Attribute(1, b"harborwall_lock\0"), nl.Attribute(2, nl.u32(2)),
                                             nl.Attribute(6, bytes([0, len(text)]) + text)])])
    assert_harmless(*outputs(case, "clear"), *outputs(case, "apply"), shown="\\u001b[31m")
    daemon = Daemon(case)
    assert daemon.process.wait(10) == 1
    assert_harmless(daemon.text(), shown="\\u001b[31m")
    holder.close()


FIGHTER = """
import sys, time
sys.path.insert(0, {here!r})
sys.dont_write_bytecode = True
import nfnetlink as nl
with open("/proc/self/comm", "wb") as f:
    f.write(b"\\x1b[31m\\xe2\\x80\\xae\\nx")
kernel = nl.Kernel("self")
while True:
    try:
        kernel.replace([])
    except nl.Refused:
        pass
    time.sleep(0.02)
"""


def test_the_name_of_who_undoes_our_table(case, engine, watch):
    w = watch()
    w.daemon.wait(lambda s: s["healthy"])
    here = os.path.dirname(os.path.abspath(__file__))
    fighter = subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", "/usr/bin/python3", "-c", FIGHTER.format(here=here)])
    try:
        w.daemon.wait(lambda s: s["fought"])
        assert_harmless(*w.texts(), shown="\\u001b[31m\\u202e\\u000ax")
        done = case.run("status", HARBORWALL_LISTEN=f"{case.folder}/sock")
        assert_harmless(done.stdout, shown="\\u001b[31m\\u202e\\u000ax")
    finally:
        fighter.kill()
        fighter.wait()
