# SPDX-License-Identifier: GPL-2.0-or-later
"""The status socket and who asks there: clients that say nothing, too little or read nothing, a port that somebody else
holds, a path that is somebody else's."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import HARBORWALL, case, engine  # noqa: E402,F401
from test_storm import Daemon, config, write  # noqa: E402

PATIENCE = 14  # seconds: a silent client has ten
NOBODY = 65534
PORT = 9123

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def start(case):
    running = []

    def begin(**env):
        running.append(Daemon(case, **env))
        return running[-1]
    yield begin
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()


def knock(case):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.2)
    try:
        s.connect(f"{case.folder}/sock")
    except OSError:  # there is no room to wait in
        pass
    return s


def answers(daemon, timeout):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done = subprocess.run(["curl", "-s", "--max-time", "1", "--unix-socket", f"{daemon.case.folder}/sock", "http://h/status"],
                              text=True, capture_output=True, check=False)
        if done.stdout:
            return json.loads(done.stdout)
    return None


def try_send(s, data):
    try:
        s.send(data)
    except OSError:
        pass


def silent(_):
    pass


def dripping(s):
    """One byte of a header that never ends, again and again."""
    def drip():
        try:
            s.send(b"GET /status HTTP/1.1\r\nX: ")
            while True:
                s.send(b"a")
                time.sleep(0.5)
        except OSError:
            pass
    threading.Thread(target=drip, daemon=True).start()


def deaf(s):
    """Asks, and reads nothing of an answer that fills every buffer."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    try_send(s, b"GET /status HTTP/1.1\r\nHost: h\r\n\r\n")


@pytest.mark.parametrize("manner", [silent, dripping, deaf], ids=lambda f: f.__name__)
def test_clients_that_never_end_do_not_end_the_server(case, start, manner):
    write(case, config(5000))
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    clients = []
    while not clients or answers(daemon, 0.5):  # until it is full
        assert len(clients) < 200
        clients += [knock(case) for _ in range(20)]
        for s in clients[-20:]:
            manner(s)
        time.sleep(0.5)
    assert answers(daemon, PATIENCE), "nobody is answered any more"
    for s in clients:
        s.close()


def test_who_waits_for_a_pass_is_not_sent_away(case, start, engine):
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    engine.script("GET", "/networks$", delay=9, times=2)
    started = time.monotonic()
    done = subprocess.run(["curl", "-s", "-X", "POST", "--unix-socket", f"{case.folder}/sock", "http://h/pass"], text=True,
                          capture_output=True, timeout=60, check=False)
    assert "changes done" in done.stdout and time.monotonic() - started > 8


def test_a_silent_engine_delays_neither_status_nor_the_end(case, start, engine):
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    engine.script("GET", "/", delay=9, times=1000)
    os.kill(daemon.process.pid, signal.SIGHUP)
    time.sleep(0.5)
    for page in ("status", "status.txt", "metrics"):
        started = time.monotonic()
        done = subprocess.run(["curl", "-s", "--max-time", "5", "--unix-socket", f"{case.folder}/sock", f"http://h/{page}"],
                              text=True, capture_output=True, check=False)
        assert "20.10.24" in done.stdout or page == "metrics" and "harborwall_policies" in done.stdout
        assert time.monotonic() - started < 1, page
    started = time.monotonic()
    daemon.process.terminate()
    assert daemon.process.wait(5) == 0 and time.monotonic() - started < 1.5


# --- the path ---

def test_a_listen_path_that_is_a_file_is_refused_and_kept(case, start):
    path = f"{case.folder}/precious"
    with open(path, "w", encoding="ascii") as f:
        f.write("do not delete")
    daemon = start(HARBORWALL_LISTEN=path)
    assert daemon.process.wait(10) == 1
    assert "precious" in daemon.text() and "is not a socket" in daemon.text()
    with open(path, encoding="ascii") as f:
        assert f.read() == "do not delete"


def test_a_listen_path_at_which_somebody_listens_is_refused_and_kept(case, start, engine):
    daemon = start(HARBORWALL_LISTEN=engine.path)
    assert daemon.process.wait(10) == 1 and "somebody listens" in daemon.text()
    assert case.run("plan").returncode == 2, "the engine is still there"


def test_a_listen_path_that_is_a_link_is_refused_and_kept(case, start):
    os.symlink("elsewhere", f"{case.folder}/link")
    daemon = start(HARBORWALL_LISTEN=f"{case.folder}/link")
    assert daemon.process.wait(10) == 1 and "is not a socket" in daemon.text()
    assert os.readlink(f"{case.folder}/link") == "elsewhere"


def test_a_socket_that_a_killed_daemon_left_is_replaced(case, start):
    first = start()
    first.wait(lambda s: s.get("healthy"))
    first.process.kill()
    first.process.wait()
    assert os.path.exists(f"{case.folder}/sock")
    start().wait(lambda s: s.get("healthy"))


def test_a_socket_that_took_the_place_of_ours_is_left_there(case, start):
    daemon = start()
    daemon.wait(lambda s: s.get("healthy"))
    os.unlink(f"{case.folder}/sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{case.folder}/sock")
        daemon.process.terminate()
        assert daemon.process.wait(10) == 0
        assert os.path.exists(f"{case.folder}/sock")


# --- the client ---

SERVER = """
import os, socket, sys
kind, where, uid, what = sys.argv[1:]
if kind == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.bind(where)
    os.chmod(where, 0o666)
os.setuid(int(uid))
if kind == "tcp":
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(where)))
s.listen(8)
print(flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096)
    try:
        if what == "endless":
            c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
            while True:
                c.sendall(b"100000\\r\\n" + b"a" * 0x100000 + b"\\r\\n")
        body = what.encode().decode("unicode_escape").encode()
        c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    except OSError:
        pass
    c.close()
"""


@pytest.fixture
def impostor(case):
    """Whoever holds the place of the daemon's socket."""
    running = []

    def begin(kind, uid, what):
        where = f"{case.folder}/sock" if kind == "unix" else str(PORT)
        running.append(subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", "/usr/bin/python3", "-c", SERVER, kind, where,
                                         str(uid), what], stdout=subprocess.PIPE))
        running[-1].stdout.readline()
        return where if kind == "unix" else f"127.0.0.1:{PORT}"
    case.inside("ip", "link", "set", "lo", "up")
    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def status(case, where, *options):
    return subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", HARBORWALL, "status", *options], text=True, capture_output=True,
                          env={"PATH": os.environ["PATH"], "HARBORWALL_LISTEN": where, "ASAN_OPTIONS": "detect_leaks=0"}, timeout=60,
                          check=False)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_an_answer_of_another_user_is_not_believed(case, impostor, kind):
    where = impostor(kind, NOBODY, "healthy\\n")
    done = status(case, where)
    assert done.returncode == 1 and not done.stdout and f"user {NOBODY}" in done.stderr, done


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_an_answer_of_root_is_believed(case, impostor, kind):
    done = status(case, impostor(kind, 0, "healthy\\n"))
    assert done.returncode == 0 and done.stdout == "healthy\n"


# A process begins with the greatest size of the one that it was forked from: this one is small.
SPAWN = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, code, used = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(code), used.ru_maxrss)
"""


def test_an_answer_without_end_is_given_up(case, impostor):
    where = impostor("tcp", 0, "endless")
    before = time.monotonic()
    done = subprocess.run(["/usr/bin/python3", "-c", SPAWN, "/usr/bin/nsenter", "-t", str(case.holder.pid), "-n", HARBORWALL, "status",
                           "-q"], text=True, capture_output=True, check=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HARBORWALL_LISTEN": where, "ASAN_OPTIONS": "detect_leaks=0"})
    code, used = map(int, done.stdout.split())
    assert code == 1 and time.monotonic() - before < 9
    assert used < (400 << 10 if "asan" in HARBORWALL else 150 << 10)
