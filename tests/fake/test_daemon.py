# SPDX-License-Identifier: GPL-2.0-or-later
"""What makes the daemon look: every way in which people and programs replace a file, signals, the period;
what it says to a service manager; who it names when somebody keeps undoing its work."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import Case  # noqa: E402
from test_storm import Daemon  # noqa: E402

PORTS = {"old": 80, "new": 81}


def text(port):
    return json.dumps({"networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
                       "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
                       "policies": [{"selector": "api", "from": "proxy", "port": port}]})


def put(path, port):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text(port))


class Running:
    """A scripted engine and a daemon on case.folder/config/networks.json."""

    def __init__(self, case, path=None, **env):
        self.case, self.folder = case, f"{case.folder}/config"
        self.file = path or f"{self.folder}/networks.json"
        self.engine = dockerd.Engine(case.folder)
        self.engine.listen()
        for name in ("proxy", "api"):
            self.engine.add_container(name)
        self.daemon = Daemon(case, self.file, **env)

    def enforced(self, port):
        done = self.case.nft("list", "set", "inet", "harborwall", "allow")
        return re.findall(r"172\.18\.103\.2 \. 172\.18\.104\.2 \. tcp \. (\d+)", done) == [str(port)]

    def wait(self, port, timeout=20):
        end = time.monotonic() + timeout
        while not self.enforced(port):
            assert time.monotonic() < end, f"port {port} is not enforced\n{self.daemon.text()[-3000:]}"
            time.sleep(0.01)

    def end(self):
        if self.daemon.process.poll() is None:
            self.daemon.process.send_signal(signal.SIGTERM)
            assert self.daemon.process.wait(10) == 0
        self.engine.close()


@pytest.fixture
def case(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    os.mkdir(f"{case.folder}/config")
    put(f"{case.folder}/config/networks.json", PORTS["old"])
    yield case
    case.end()


@pytest.fixture
def start(case):
    """Starts it; with a period that is too long to be what finds a change, unless told otherwise."""
    running = []

    def begin(**arguments):
        running.append(Running(case, **{"WATCH_PERIOD_SECONDS": "600", **arguments}))
        running[-1].daemon.wait(lambda s: s.get("healthy"))
        running[-1].wait(PORTS["old"])
        return running[-1]
    yield begin
    for r in running:
        r.end()


# --- the file ---

SLIPS = {"a section's name": lambda c: {("ipss" if k == "ips" else k): v for k, v in c.items()},
         "nothing declared": lambda c: {},
         "no policies": lambda c: {k: v for k, v in c.items() if k != "policies"},
         "a port that is null": lambda c: {**c, "policies": [{**c["policies"][0], "port": None}]},
         "an action that is no field": lambda c: {**c, "policies": [{**c["policies"][0], "port": 81, "action": "deny"}]}}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_file_takes_nothing_away_and_opens_nothing(start, slip):
    running = start()
    ends = {c["name"]: set(c["ends"]) for c in running.engine.containers.values()}
    assert "web" in ends["proxy"] and "back" in ends["api"]
    table = running.case.nft("-s", "list", "table", "inet", "harborwall")
    with open(running.file + ".new", "w", encoding="utf-8") as f:
        json.dump(SLIPS[slip](json.loads(text(PORTS["old"]))), f)
    os.rename(running.file + ".new", running.file)
    running.daemon.wait(lambda s: not s.get("healthy"))
    assert "config refused, what stands stays" in running.daemon.text()
    assert {c["name"]: set(c["ends"]) for c in running.engine.containers.values()} == ends
    assert running.case.nft("-s", "list", "table", "inet", "harborwall") == table


def rename(file, port):
    put(f"{file}.new", port)
    os.rename(f"{file}.new", file)


def write_in_place(file, port):
    put(file, port)


def write_slowly(file, port):
    with open(file, "w", encoding="utf-8") as f:
        for c in text(port):
            f.write(c)
            f.flush()


def swap_as_vim(file, port):
    """backupcopy=no: the old one is moved away, a new one written in its place, the backup removed."""
    os.rename(file, f"{file}~")
    put(file, port)
    os.unlink(f"{file}~")


def swap_as_sed(file, port):
    subprocess.run(["sed", "-i", f's/"port": [0-9]*/"port": {port}/', file], check=True)


def delete_and_bring_back(file, port):
    os.unlink(file)
    time.sleep(0.3)
    put(file, port)


def remake_the_folder(file, port):
    folder = os.path.dirname(file)
    shutil.rmtree(folder)
    time.sleep(0.3)
    os.mkdir(folder)
    put(file, port)


def remake_the_folder_around_a_shell(file, port):
    """Who stands in a folder keeps the kernel from telling that it is gone."""
    with subprocess.Popen(["cat"], cwd=os.path.dirname(file), stdin=subprocess.PIPE) as shell:
        remake_the_folder(file, port)
        time.sleep(0.3)
        shell.stdin.close()


def rename_the_folder(file, port):
    folder = os.path.dirname(file)
    os.mkdir(f"{folder}.new")
    put(f"{folder}.new/networks.json", port)
    os.rename(folder, f"{folder}.old")
    os.rename(f"{folder}.new", folder)


@pytest.mark.parametrize("change", [rename, write_in_place, write_slowly, swap_as_vim, swap_as_sed, delete_and_bring_back,
                                    remake_the_folder, remake_the_folder_around_a_shell, rename_the_folder], ids=lambda f: f.__name__)
def test_a_changed_file_is_seen_at_once_and_again(start, change):
    running = start()
    change(running.file, PORTS["new"])
    running.wait(PORTS["new"])
    if change is rename_the_folder:
        shutil.rmtree(f"{running.folder}.old")
    change(running.file, 82)  # what is watched now is not what was watched first
    running.wait(82)


def test_a_config_map_that_is_switched_is_seen_at_once(case, start):
    """As Kubernetes does it: networks.json -> ..data/networks.json, ..data -> a folder with a time in its name."""
    folder = f"{case.folder}/config"
    os.unlink(f"{folder}/networks.json")

    def switch(number, port):
        os.mkdir(f"{folder}/..2026_{number}")
        put(f"{folder}/..2026_{number}/networks.json", port)
        os.symlink(f"..2026_{number}", f"{folder}/..data_tmp")
        os.rename(f"{folder}/..data_tmp", f"{folder}/..data")
        if number:
            shutil.rmtree(f"{folder}/..2026_{number - 1}")
    switch(0, PORTS["old"])
    os.symlink("..data/networks.json", f"{folder}/networks.json")
    running = start()
    for number, port in ((1, 81), (2, 82), (3, 83)):
        switch(number, port)
        running.wait(port)


def test_a_symlink_that_points_elsewhere_is_seen_at_once_and_so_are_writes_there(case, start):
    file = f"{case.folder}/config/networks.json"
    os.makedirs(f"{case.folder}/a")
    os.makedirs(f"{case.folder}/b")
    put(f"{case.folder}/a/one.json", PORTS["old"])
    put(f"{case.folder}/b/two.json", 81)
    os.unlink(file)
    os.symlink(f"{case.folder}/a/one.json", file)
    running = start()
    os.symlink(f"{case.folder}/b/two.json", f"{file}.new")
    os.rename(f"{file}.new", file)
    running.wait(81)
    put(f"{case.folder}/b/two.json", 82)
    running.wait(82)
    rename(f"{case.folder}/b/two.json", 83)
    running.wait(83)


def test_a_symlinked_folder_that_points_elsewhere_is_seen_at_once(case, start):
    os.rename(f"{case.folder}/config", f"{case.folder}/v1")
    os.symlink("v1", f"{case.folder}/config")
    running = start()
    os.mkdir(f"{case.folder}/v2")
    put(f"{case.folder}/v2/networks.json", 81)
    os.symlink("v2", f"{case.folder}/config.new")
    os.rename(f"{case.folder}/config.new", f"{case.folder}/config")
    running.wait(81)
    rename(f"{case.folder}/v2/networks.json", 82)
    running.wait(82)


def test_a_file_that_is_mounted_alone_is_followed_in_place_and_its_replacement_is_not_ours_to_see(case, start):
    """The mount holds the inode: a rename outside shows nothing inside, a write in place does."""
    outside, inside = f"{case.folder}/outside.json", f"{case.folder}/config/networks.json"
    put(outside, PORTS["old"])
    subprocess.run(["mount", "--bind", outside, inside], check=True)
    try:
        running = start()
        put(outside, 81)
        running.wait(81)
        rename(outside, 82)  # another inode: in the mount nothing changed
        time.sleep(0.3)
        assert running.enforced(81)
        subprocess.run(["umount", inside], check=True)
        subprocess.run(["mount", "--bind", outside, inside], check=True)
        os.kill(running.daemon.process.pid, signal.SIGHUP)
        running.wait(82)
    finally:
        subprocess.run(["umount", inside], check=True)


def program_of(pid):
    """The name of its executable; none of a process that is gone, as strace's first child soon is."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return None


def test_a_signal_during_the_start_ends_nothing(case):
    """SIGHUP comes while the first socket is opened, which strace delays."""
    running = Running(case, under=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=socket",
                                   "-e", "inject=socket:delay_enter=500000:when=1"])
    tracer = running.daemon.process.pid
    pid, end = None, time.monotonic() + 20
    while pid is None:
        assert time.monotonic() < end
        time.sleep(0.01)
        with open(f"/proc/{tracer}/task/{tracer}/children", encoding="ascii") as f:
            pid = next((int(child) for child in f.read().split() if program_of(child) == "harborwall"), None)
    time.sleep(0.25)  # it is linked, and waits
    os.kill(pid, signal.SIGHUP)
    running.daemon.wait(lambda s: s.get("healthy"))
    os.kill(pid, signal.SIGTERM)
    assert running.daemon.process.wait(10) == 0
    running.end()


def test_what_inotify_does_not_tell_is_found_by_the_period(case, start):
    """Mounted over: no event reaches the folder that was watched."""
    running = start(WATCH_PERIOD_SECONDS="1")
    other = f"{case.folder}/other"
    os.mkdir(other)
    put(f"{other}/networks.json", 81)
    subprocess.run(["mount", "--bind", other, running.folder], check=True)
    try:
        running.wait(81, timeout=4)
        rename(f"{other}/networks.json", 82)  # by now it is what is watched
        running.wait(82, timeout=4)
    finally:
        subprocess.run(["umount", running.folder], check=True)


def test_a_file_that_is_gone_or_broken_changes_nothing_and_the_next_good_one_counts(start):
    running = start()
    with open(running.file, "w", encoding="utf-8") as f:
        f.write("{")
    running.daemon.wait(lambda s: s["config_refused"] and not s["healthy"])
    assert running.enforced(PORTS["old"])
    os.unlink(running.file)
    running.daemon.wait_log("config unreadable, what stands stays")
    assert running.enforced(PORTS["old"])
    put(running.file, 81)
    running.wait(81)
    running.daemon.wait(lambda s: s["healthy"])


def test_status_says_why_a_file_was_refused(case, start):
    running = start()

    def status():
        return case.run("status", HARBORWALL_LISTEN=f"{case.folder}/sock")
    with open(running.file, "w", encoding="utf-8") as f:
        f.write('{"networks": {},\n "ips": {},\n "policies": [{"port": 70000}, {"proto": "tpc"}]}\n')
    running.daemon.wait(lambda s: s["config_refused"])
    first = f"{running.file}:3:24: error: policies[0].port: 70000 is not a port"
    assert running.daemon.status()["config_error"].startswith(first)
    done = status()
    assert done.returncode == 2 and f"refused: {first}" in done.stdout and "tpc" not in done.stdout
    os.unlink(running.file)
    running.daemon.wait(lambda s: "No such file" in s["config_error"])
    done = status()
    assert done.returncode == 2 and f"refused: open {running.file}: No such file or directory" in done.stdout
    put(running.file, PORTS["old"])
    running.daemon.wait(lambda s: s["healthy"] and not s["config_error"])
    assert "refused:" not in status().stdout


def test_a_start_without_any_file_is_ready_degraded_and_takes_the_file_that_comes(case):
    file = f"{case.folder}/config/networks.json"
    os.unlink(file)
    running = Running(case, WATCH_PERIOD_SECONDS="600")
    try:
        running.daemon.wait(lambda s: s and not s["healthy"] and "no valid file yet" in s["last_error"])
        asked = subprocess.run(["curl", "-s", "-X", "POST", "--max-time", "5", "--unix-socket", f"{case.folder}/sock",
                                "http://h/pass"], text=True, capture_output=True, check=False)
        assert "no valid file yet" in asked.stdout
        put(file, 81)
        running.wait(81)
        running.daemon.wait(lambda s: s["healthy"])
    finally:
        running.end()


def test_names_that_others_make_beside_the_config_s_folder_wake_nobody(case, start):
    running = start()
    rename(running.file, PORTS["new"])  # what is watched from then on counts, too
    running.wait(PORTS["new"])
    time.sleep(1)

    def woken():
        with open(f"/proc/{running.daemon.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M)[1])
    before = woken()
    for n in range(100):
        os.mkdir(f"{case.folder}/other{n}")
        os.rmdir(f"{case.folder}/other{n}")
        time.sleep(0.002)
    assert woken() - before < 10


# --- other reasons ---

def test_a_signal_makes_it_look_at_everything(case, start):
    running = start()
    before = running.daemon.status()["passes"]
    os.kill(running.daemon.process.pid, signal.SIGHUP)
    running.daemon.wait(lambda s: s["passes"] > before and "signal" in s["last_reason"])


def test_the_period_makes_it_look_at_everything(start):
    running = start(WATCH_PERIOD_SECONDS="1")
    before = running.daemon.status()["passes"]
    running.daemon.wait(lambda s: s["passes"] >= before + 2 and s["last_reason"] == "period", timeout=5)


def inside(case, *command, stdin=None):
    return subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", *command], input=stdin, text=True, stdout=subprocess.PIPE,
                          check=True).stdout


LATE = """*filter
-D FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-USER
COMMIT
"""


def test_legacy_rules_that_only_change_places_are_seen(case, start):
    """Between two looks, and of the same size as before: dockerd does so when it starts or firewalld reloads."""
    def restore(text):
        inside(case, "iptables-legacy-restore", "--noflush", stdin=text)

    def hands_over_in(chain):
        save = inside(case, "iptables-legacy-save", "-t", "filter")
        return set(re.findall(r"-A (\S+) -m mark", save)) == {chain}
    restore(dockerd.DOCKER_RULES)
    running = start()
    end = time.monotonic() + 20
    while not hands_over_in("DOCKER-USER"):
        assert time.monotonic() < end, running.daemon.text()[-2000:]
        time.sleep(0.1)
    time.sleep(1.5)  # what that changed has been looked at
    restore(LATE)
    while not hands_over_in("FORWARD"):
        assert time.monotonic() < end, running.daemon.text()[-2000:]
        time.sleep(0.1)


def test_a_legacy_filter_that_nobody_made_is_not_made_by_looking(case):
    """Only raw drops stand, as Docker 28 writes them; to ask the kernel about a legacy table makes it."""
    inside(case, "iptables-legacy", "-t", "raw", "-A", "PREROUTING", "-d", "172.18.104.2", "!", "-i", "br0", "-j", "DROP")
    running = Running(case, WATCH_PERIOD_SECONDS="1")  # it looks again, and again
    running.daemon.wait(lambda s: s.get("healthy") and s["passes"] > 3)
    save = inside(case, "iptables-legacy-save", "-t", "raw")
    running.end()
    assert re.findall(r"-A PREROUTING .*-j (\w+)", save) == ["ACCEPT", "DROP"]  # ours, before Docker's
    assert inside(case, "cat", "/proc/self/net/ip_tables_names").split() == ["raw"]


def events():
    yield "container start", lambda e: e.start("api")
    yield "network create", lambda e: e.tell("network", "create", "f" * 64, {"name": "x", "type": "bridge"})
    yield "network destroy", lambda e: e.tell("network", "destroy", "f" * 64, {"name": "x", "type": "bridge"})
    yield "network connect", lambda e: e.tell("network", "connect", "f" * 64, {"name": "x", "container": "c"})
    yield "network disconnect", lambda e: e.tell("network", "disconnect", "f" * 64, {"name": "x", "container": "c"})
    yield "container rename", lambda e: e.tell("container", "rename", "c" * 64, {"name": "x"})
    yield "container die", lambda e: e.stop("api")
    yield "daemon reload", lambda e: e.tell("daemon", "reload", "LIES", {"name": "host"})
    yield "the stream breaking off and coming back", lambda e: e.cut_streams()


@pytest.mark.parametrize("happen", [pytest.param(f, id=name) for name, f in events()])
def test_the_engine_s_word_makes_it_look(start, happen):
    running = start()
    time.sleep(0.3)
    before = running.daemon.status()["passes"]
    happen(running.engine)
    running.daemon.wait(lambda s: s["passes"] > before and "engine" in s["last_reason"], timeout=4)


# --- the service manager ---

class Manager:
    """Stands in for systemd: what was said, in order."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def hear(self, start, timeout=5):
        """The fields of the next message that begins so."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            message = self.socket.recv(4096).decode()
            if message.startswith(start):
                return dict(line.split("=", 1) for line in message.splitlines())
        raise AssertionError(f"nothing begins with {start}")


def test_the_service_manager_is_told_of_start_reload_life_and_end(case):
    manager = Manager(case.folder)
    running = Running(case, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="400000", WATCH_PERIOD_SECONDS="600")
    try:
        manager.hear("READY=1")
        running.daemon.wait(lambda s: s.get("healthy"))
        manager.hear("WATCHDOG=1")
        first = time.monotonic()
        manager.hear("WATCHDOG=1")
        assert time.monotonic() - first < 0.4  # half of what it is given
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        os.kill(running.daemon.process.pid, signal.SIGHUP)
        reloading = manager.hear("RELOADING=1")
        assert before <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= time.clock_gettime(time.CLOCK_MONOTONIC)
        ready = manager.hear("READY=1")
        assert ready["STATUS"].startswith("healthy; 1 policies, 0 waiting; engine 20.10.24"), ready
        with open(running.file, "w", encoding="utf-8") as f:
            f.write("{")
        while "refused" not in ready["STATUS"]:
            ready = manager.hear("READY=1")
        running.daemon.process.send_signal(signal.SIGTERM)
        manager.hear("STOPPING=1")
    finally:
        running.end()


def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(case):
    manager = Manager(case.folder)
    running = Running(case, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="100000", WATCHDOG_PID="1", WATCH_PERIOD_SECONDS="600")
    try:
        manager.hear("READY=1")
        running.daemon.wait(lambda s: s.get("healthy"))
        manager.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            manager.hear("WATCHDOG=1")
    finally:
        running.end()


# --- scrapers ---

METRICS = {"build_info": "gauge", "config_last_reload_successful": "gauge", "config_last_reload_timestamp_seconds": "gauge",
           "trial_seconds_left": "gauge",
           "reconcile_duration_seconds": "histogram", "reconcile_total": "counter", "drift_repaired_total": "counter",
           "fought_objects": "gauge", "connections_revoked_total": "counter", "policies": "gauge",
           "policy_packets_total": "counter", "docker_up": "gauge"}


def test_metrics_are_what_scrapers_take(case, start):
    running = start()
    case.nft("delete", "table", "inet", "harborwall")
    running.wait(PORTS["old"])
    running.daemon.wait(lambda s: s["drift_repaired"] == 1)
    page = subprocess.run(["curl", "-s", "--unix-socket", f"{case.folder}/sock", "http://h/metrics"], text=True,
                          capture_output=True, check=True).stdout
    assert dict(re.findall(r"^# TYPE harborwall_(\w+) (\w+)$", page, re.M)) == METRICS
    assert re.findall(r"^# HELP harborwall_(\w+) ", page, re.M) == list(METRICS)
    values = dict(re.findall(r"^harborwall_(\S+) (\S+)$", page, re.M))
    buckets = [int(v) for k, v in values.items() if k.startswith("reconcile_duration_seconds_bucket")]
    assert buckets == sorted(buckets) and len(buckets) == 13
    assert buckets[-1] == int(values["reconcile_duration_seconds_count"]) >= 2
    assert int(values['reconcile_total{result="ok"}']) == buckets[-1] and float(values["reconcile_duration_seconds_sum"]) > 0
    assert values['drift_repaired_total{object="firewall"}'] == "1" and values['policies{state="enforced"}'] == "1"
    assert values["docker_up"] == values["config_last_reload_successful"] == "1"
    if shutil.which("promtool"):
        judged = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)
        assert judged.returncode == 0 and not judged.stdout + judged.stderr, judged.stdout + judged.stderr


# --- somebody who does not give in ---

def test_one_that_keeps_undoing_is_named_with_who_started_it(case, start):
    running = start()
    fighter = subprocess.Popen(["nsenter", "-t", str(case.holder.pid), "-n", "sh", "-c",
                                "while :; do nft delete table inet harborwall 2>/dev/null; sleep 0.02; done"])
    try:
        running.daemon.wait(lambda s: s["fought"] and not s["healthy"])
        fought = running.daemon.status()["fought"][0]
        assert fought["object"] == "firewall host: table inet harborwall" and fought["times"] > 3
        assert re.fullmatch(r"nft \(pid \d+(, started by sh)?\)", fought["by"]), fought
        # nobody else keeps these networks closed: it is never left open for longer than a second
        passes, repaired = running.daemon.status()["passes"], running.daemon.status()["drift_repaired"]
        time.sleep(4)
        now = running.daemon.status()
        assert now["passes"] - passes <= 16 and now["drift_repaired"] - repaired >= 3, (now, passes, repaired)
    finally:
        fighter.kill()
        fighter.wait()
    running.daemon.wait(lambda s: s["healthy"] and not s["fought"], timeout=15)
    running.wait(PORTS["old"])


def test_what_is_undone_now_and_then_is_put_right_at_once(case, start):
    running = start()
    for _ in range(3):
        case.nft("delete", "table", "inet", "harborwall")
        running.wait(PORTS["old"], timeout=1)
        time.sleep(0.3)
    assert running.daemon.status()["healthy"]


def test_an_engine_that_takes_its_time_does_not_keep_a_flushed_host_waiting(case, start):
    running = start()
    time.sleep(0.5)  # the pass that looks after the first one is over
    running.engine.script("GET", "/", delay=8, times=1000)
    case.nft("flush", "ruleset")
    running.wait(PORTS["old"], timeout=2)
    running.engine.scripts.clear()


def many(port, *more):
    """Of 600 policies and more, the one in the middle says this port."""
    config = json.loads(text(port))
    others = [{"selector": "proxy", "from": "api", "port": 1000 + 2 * i} for i in range(600)]
    config["policies"] = others[:300] + config["policies"] + others[300:] + list(more)
    return config


def put_config(running, config):
    with open(f"{running.file}.new", "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.rename(f"{running.file}.new", running.file)


def write(running, config):
    """-> the generation before."""
    before = running.daemon.status()["generation"]
    put_config(running, config)
    return before


def loaded(running, before):
    running.daemon.wait(lambda s: s["generation"] != before)


def settled(running):
    """The whole was compared since, and there was nothing to do."""
    running.daemon.wait(lambda s: "verify" in s["last_reason"] and s["healthy"])
    time.sleep(0.3)
    assert running.case.run("plan", "-c", running.file, "-q").returncode == 0
    assert "error" not in running.daemon.text()


def done_by_passes(running):
    """How much each pass did that did something."""
    return [re.search(r"done=(\d+)", line)[1] for line in running.daemon.text().splitlines()
            if re.search(r"\bpass\b.* done=", line)]


@pytest.fixture
def among_many(start):
    running = start()
    loaded(running, write(running, many(80)))
    settled(running)
    return running


def test_of_many_policies_one_that_changed_is_one_step(among_many):
    running = among_many
    said = len(done_by_passes(running))
    write(running, many(81))
    running.wait(81)
    settled(running)
    assert done_by_passes(running)[said:] == ["1"], running.daemon.text()
    assert "policies[300]" in running.daemon.text(), "the plan's line names the policy"
    # a comment says nothing
    loaded(running, write(running, {**many(81), "policies": [{**p, "comment": "so"} for p in many(81)["policies"]]}))
    time.sleep(0.3)
    assert running.enforced(81) and len(done_by_passes(running)) == said + 1


def test_a_change_that_meets_a_table_that_others_changed_is_compared_whole(among_many):
    """In one pass: what stands is not what the file before says."""
    running = among_many
    before = running.daemon.status()["generation"]
    running.daemon.process.send_signal(signal.SIGSTOP)
    running.case.nft("flush", "set", "inet", "harborwall", "allow")
    put_config(running, many(81))
    running.daemon.process.send_signal(signal.SIGCONT)
    loaded(running, before)
    running.wait(81)
    settled(running)


def test_who_did_not_listen_to_its_own_large_change_hears_the_next_one(case):
    """It is deaf to transactions of ours that are large, be they a restore or a batch."""
    def flush_chains():
        inside(case, "iptables-nft", "-F")

    def delete_table():
        case.nft("delete", "table", "inet", "harborwall")

    file = f"{case.folder}/config/networks.json"
    config = json.loads(text(PORTS["old"]))
    config["policies"] = [{"selector": "api", "from": "proxy", "port": 1 + i} for i in range(1000)]
    with open(file, "w", encoding="utf-8") as f:
        json.dump(config, f)
    for backend, undo, stands in (
            ("iptables-nft", flush_chains, lambda: inside(case, "iptables-nft-save").count("-A HARBORWALL-") >= 1000),
            ("nftables", delete_table, lambda: case.nft("list", "ruleset").count("172.18.103.2 . 172.18.104.2") >= 1000)):
        running = Running(case, HARBORWALL_BACKEND=backend, WATCH_PERIOD_SECONDS="600")
        try:
            running.daemon.wait(lambda s: s.get("healthy"))
            time.sleep(1)  # what that changed has been looked at
            before = running.daemon.status()["passes"]
            assert stands()
            undo()  # put right so soon that nobody sees it
            running.daemon.wait(lambda s: s["passes"] > before, timeout=20)
            end = time.monotonic() + 20
            while not stands():
                assert time.monotonic() < end, running.daemon.text()[-3000:]
                time.sleep(0.1)
        finally:
            running.end()


def test_numbers_in_a_json_log_are_numbers(case, start):
    running = start(HARBORWALL_LOG="json")
    lines = [json.loads(line) for line in running.daemon.text().splitlines()]
    loaded = next(li for li in lines if li["what"] == "config loaded")
    assert (loaded["networks"], loaded["addresses"], loaded["policies"]) == (2, 2, 1)
    passed = next(li for li in lines if li["what"] == "pass")
    assert isinstance(passed["done"], int) and isinstance(passed["ms"], int) and "failed" not in passed
    for line in lines:
        for name, value in line.items():
            assert not (isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)), (name, value)


# --- interfaces that are not there ---

def test_an_interface_that_is_not_there_is_noted_until_it_comes(case, start):
    """Nobody is told of new interfaces, for each container brings some: the next pass looks."""
    running = start(WATCH_PERIOD_SECONDS="1")
    config = json.loads(text(80))
    config["policies"] += [{"selector": "api", "nat": "dnat", "iface": "eht0", "to": "api", "port": port} for port in (81, 82)]
    note = 'note: policies[1]: there is no interface "eht0" on the host: inactive until it exists (2 policies name it)'
    with open(f"{running.file}.new", "w", encoding="utf-8") as f:
        json.dump(config, f)
    os.rename(f"{running.file}.new", running.file)
    running.daemon.wait(lambda s: s["policies"]["total"] == 3 and any("eht0" in f["text"] for f in s["findings"]))

    def said():
        done = case.run("status", HARBORWALL_LISTEN=f"{case.folder}/sock")
        assert done.returncode == 0, "a note is no trouble"
        return note in done.stdout
    assert said()
    planned = case.run("plan", "-c", running.file)
    assert planned.returncode == 0 and note in planned.stdout and "nothing to do" in planned.stdout
    ip = ["nsenter", "-t", str(case.holder.pid), "-n", "ip"]
    subprocess.run([*ip, "link", "add", "eht0", "type", "veth", "peer", "name", "other"], check=True)
    running.daemon.wait(lambda s: not any("eht0" in f["text"] for f in s["findings"]), timeout=5)
    assert not said() and note not in case.run("plan", "-c", running.file).stdout
    subprocess.run([*ip, "link", "del", "eht0"], check=True)
    running.daemon.wait(lambda s: any("eht0" in f["text"] for f in s["findings"]), timeout=5)


def dumps_of_elements(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().count("NFT_MSG_GETSETELEM")


def test_what_our_own_transaction_wrote_is_not_read_back_before_the_period(case, tmp_path):
    """Nor is it believed where somebody else wrote as well."""
    file = f"{case.folder}/config/networks.json"
    with open(file, "w", encoding="utf-8") as f:
        json.dump(many(80), f)
    trace = tmp_path / "trace"
    running = Running(case, under=("strace", "-D", "-f", "-qq", "-s", "256", "-e", "trace=sendto,sendmsg", "-o", str(trace)),
                      WATCH_PERIOD_SECONDS="8")
    try:
        running.wait(80)
        settled(running)
        first = dumps_of_elements(trace)  # of other tables: ours did not stand
        write(running, many(81))
        running.wait(81)
        settled(running)
        assert dumps_of_elements(trace) == first, "it read what it wrote"
        running.daemon.wait(lambda s: "period" in s["last_reason"])
        assert dumps_of_elements(trace) > first, "the period reads it"
        case.nft("delete", "element", "inet", "harborwall", "allow", "{ 172.18.103.2 . 172.18.104.2 . tcp . 81 }")
        running.wait(81)
    finally:
        running.end()
