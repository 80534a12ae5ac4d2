# SPDX-License-Identifier: GPL-2.0-or-later
"""apply --confirm: a file is tried, and unless somebody confirms in time, what stood before stands again: rules,
networks, connections. Over restarts of the daemon, over a boot, and killed at any moment."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_brake import Host  # noqa: E402
from test_errors import HARBORWALL, Case  # noqa: E402

LONG, SHORT = "60", "1"
BOXES = 4


def config(boxes, policies, networks, port, base=10):
    return {"networks": {f"net{i}": {"subnet": f"172.18.{100 + i}.0/24"} for i in networks},
            "ips": {f"172.18.{100 + networks[i % len(networks)]}.{base + i}": {"container_name": f"box{i}"} for i in range(boxes)},
            "policies": [{"selector": "box0", "from": "192.0.2.1", "port": port + i} for i in range(policies)]}


OLD = config(3, 4, [0], 1000)
NEW = config(4, 5, [0, 1], 5000, base=20)  # box0 and box2 move, box1 changes its network, box3 comes
EDIT = config(3, 2, [0], 7000)


class Trial(Host):
    def __init__(self, case):
        super().__init__(case)
        self.new = f"{case.folder}/config/new.json"
        self.state = case.folder
        self.write(OLD)
        self.put(self.new, NEW)

    @staticmethod
    def put(path, content):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(content, f)

    def text(self):
        with open(self.file, encoding="utf-8") as f:
            return json.load(f)

    def stands_now(self):
        """What an apply changes: networks, who is connected where, and the rules."""
        with self.engine.lock:
            networks = sorted(n["Name"] for n in self.engine.networks.values() if n["Name"].startswith("net"))
            ends = {c["name"]: sorted((n, e["static"]) for n, e in c["ends"].items() if n.startswith("net"))
                    for c in self.engine.containers.values()}
        blocks = re.split(r"\n\n|\n(?=table )", self.case.nft("-s", "list", "ruleset"))
        return networks, ends, sorted(b.strip("{}\n \t") for b in blocks if "harborwall_lock" not in b)

    def is_as(self, expected):
        """At once, but that the pass that removes a network leaves its bridge in a set for the next one."""
        until = time.monotonic() + 1
        now = self.stands_now()
        while now != expected and time.monotonic() < until:
            now = self.stands_now()
        assert now[:2] == expected[:2]
        different = [b for b in now[2] if b not in expected[2]], [b for b in expected[2] if b not in now[2]]
        assert different == ([], []), "\n\n".join(("now:", *different[0], "expected:", *different[1]))

    def ports(self):
        return sorted({int(p) for p in re.findall(r"192\.0\.2\.1 \. 172\.18\.\d+\.\d+ \. tcp \. (\d+)",
                                                  self.case.nft("list", "ruleset"))})

    def begin(self, *words, under=()):
        """A trial without a daemon: the command waits."""
        return subprocess.Popen(
            ["nsenter", "-t", str(self.case.holder.pid), "-n", *under, HARBORWALL, "apply", "-c", self.file, "--confirm", *words],
            cwd=self.state, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "DOCKER_HOST": self.case.host, "HARBORWALL_STATE": f"{self.state}/state.json",
                 "HARBORWALL_LISTEN": f"{self.state}/sock", "ASAN_OPTIONS": "detect_leaks=0"})

    def apply(self, *words, code=None, **more):
        done = self.harborwall("apply", *words, **more)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done

    def confirm(self, word, code=0):
        return self.apply("--confirm", word, code=code)

    def wait_until(self, claim, timeout=20):
        end = time.monotonic() + timeout
        while not claim():
            assert time.monotonic() < end, self.stands_now()
            time.sleep(0.02)

    def boot(self):
        """The trial is of another boot of the host."""
        for name in ("trial", "trial.taken"):
            if os.path.exists(f"{self.state}/{name}"):
                with open(f"{self.state}/{name}", "rb") as f:
                    words = f.read().split(b" ", 3)
                words[2] = b"0" * 36
                with open(f"{self.state}/{name}", "wb") as f:
                    f.write(b" ".join(words))

    @staticmethod
    def wait_on_trial(trial):
        """Kills it when it has done all but wait; False: it had ended before."""
        for line in trial.stdout:
            if line.startswith("on trial for"):
                with open(f"/proc/{trial.pid}/task/{trial.pid}/children", encoding="ascii") as f:
                    child = f.read().split()
                os.kill(int(child[0]) if child else trial.pid, signal.SIGKILL)
                return True
        return False

    def has_trial(self):
        return os.path.exists(f"{self.state}/trial")


@pytest.fixture
def host(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    case = Case(tmp_path)
    with_boxes = Trial(case)
    for i in range(8):  # test_brake's
        if i >= BOXES:
            with_boxes.engine.containers.pop(with_boxes.engine.find(with_boxes.engine.containers, f"box{i}"))
    yield with_boxes
    with_boxes.stop()
    with_boxes.engine.close()
    case.end()


@pytest.fixture
def alone(host):
    host.apply(code=0)
    host.old = host.stands_now()
    assert host.ports() == list(range(1000, 1004))
    return host


@pytest.fixture
def running(host):
    host.start().wait(lambda s: s.get("healthy"))
    host.old = host.stands_now()
    return host


def end(process, code):
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, out + err
    return out + err


NEW_PORTS, OLD_PORTS, EDIT_PORTS = list(range(5000, 5005)), list(range(1000, 1004)), [7000, 7001]


# --- without a daemon ---

def test_nobody_confirms_and_everything_is_as_it_was(alone):
    trial = alone.begin(SHORT, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    text = end(trial, 1)
    assert "nobody confirmed in time" in text and "back to the last good generation" in text
    alone.is_as(alone.old)
    assert alone.text() == OLD
    assert "nothing to do" in alone.apply(code=0).stdout
    assert sorted(f for f in os.listdir(alone.state) if f.startswith("trial")) == []


def test_confirmed_in_time_it_stays_and_is_the_file(alone):
    os.chmod(alone.file, 0o640)
    trial = alone.begin(LONG, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    alone.wait_until(alone.has_trial)
    assert "confirmed" in alone.confirm("yes").stdout
    assert "on trial for 60 s" in end(trial, 0)
    assert alone.text() == NEW and os.stat(alone.file).st_mode & 0o777 == 0o640
    assert not alone.has_trial() and "nothing to do" in alone.apply(code=0).stdout
    alone.start().wait(lambda s: s.get("healthy"))
    assert alone.ports() == NEW_PORTS


def test_plan_says_that_a_file_is_on_trial_and_how_long(alone):
    assert "trial" not in alone.harborwall("plan").stdout
    trial = alone.begin(LONG, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    alone.wait_until(alone.has_trial)
    told = alone.harborwall("plan")  # of the file that stood before
    left = re.search(r"note: trial: another file than this one is in force, (\d+) s left; .* --confirm yes keeps it, .*--confirm no goes back", told.stdout)
    assert told.returncode == 2 and left and 0 < int(left[1]) <= 60, told.stdout
    with open(alone.new, encoding="utf-8") as f:
        alone.write(f.read())
    told = alone.harborwall("plan")
    assert told.returncode == 0 and "note: trial: this file is in force for " in told.stdout, told.stdout
    assert "this file is in force for " in json.loads(alone.harborwall("plan", "--json").stdout)["findings"][-1]["text"]
    assert alone.has_trial()
    alone.confirm("no")
    end(trial, 1)
    assert "trial" not in alone.harborwall("plan").stdout


@pytest.mark.parametrize("how", ["no", "INT", "TERM"])
def test_it_is_ended_before_its_time(alone, how):
    trial = alone.begin(LONG, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    if how == "no":
        alone.confirm("no")
    else:
        time.sleep(0.3)
        trial.send_signal(getattr(signal, f"SIG{how}"))
    end(trial, 1)
    alone.is_as(alone.old)


def test_it_outlives_the_terminal_that_the_change_cut_off(alone):
    trial = alone.begin(SHORT, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    trial.send_signal(signal.SIGHUP)
    trial.stdout.close()
    trial.stderr.close()
    assert trial.wait(20) == 1
    alone.is_as(alone.old)


def test_killed_while_it_waits_the_next_apply_goes_back(alone):
    trial = alone.begin("2", alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    trial.kill()
    trial.communicate()
    assert "a trial of" in alone.apply(code=1).stderr  # its time is not over
    assert alone.ports() == NEW_PORTS
    time.sleep(2.1)
    alone.apply(code=0)
    alone.is_as(alone.old)


def test_killed_while_it_waits_it_can_be_confirmed(alone):
    trial = alone.begin(LONG, alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    trial.kill()
    trial.communicate()
    alone.confirm("yes")
    assert alone.text() == NEW and alone.ports() == NEW_PORTS


def test_the_file_itself_on_trial_is_not_enforced_again_unless_somebody_accepts_it(alone):
    alone.write(NEW)
    end(alone.begin(SHORT), 1)
    alone.is_as(alone.old)
    assert alone.text() == NEW, "what somebody wrote is not written over"
    done = alone.apply(code=1)
    assert "nobody confirmed" in done.stderr
    alone.is_as(alone.old)
    alone.start().wait(lambda s: s.get("held"))
    assert "on trial" in alone.daemon.status()["held"]["takes"]
    alone.is_as(alone.old)
    accept = alone.daemon.status()["held"]["accept"].split()[2:]
    alone.apply(*accept, code=0)
    alone.daemon.wait(lambda s: s["healthy"] and not s["held"])
    assert alone.ports() == NEW_PORTS
    alone.stop()
    alone.start().wait(lambda s: s.get("healthy") and not s["held"])


def test_the_file_itself_confirmed_stays(alone):
    alone.write(NEW)
    trial = alone.begin(LONG)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    alone.confirm("yes")
    end(trial, 0)
    assert "nothing to do" in alone.apply(code=0).stdout and alone.ports() == NEW_PORTS


def test_an_apply_that_fails_is_rolled_back_at_once(alone):
    alone.engine.script("POST", "/networks/create", status=500, message="out of luck", times=99)
    text = end(alone.begin(LONG, alone.new), 1)
    assert "the trial is given up" in text and "out of luck" in text
    alone.is_as(alone.old)
    assert not alone.has_trial()


def test_a_daemon_that_starts_takes_the_trial_over(alone):
    trial = alone.begin("3", alone.new)
    alone.wait_until(lambda: alone.ports() == NEW_PORTS)
    alone.start().wait(lambda s: s.get("trial") and s["healthy"])
    assert alone.ports() == NEW_PORTS
    end(trial, 1)
    alone.daemon.wait(lambda s: s["healthy"] and not s["trial"])
    alone.is_as(alone.old)


def test_of_two_that_begin_at_once_one_is_told(alone):
    alone.put(f"{alone.case.folder}/config/other.json", EDIT)
    both = [alone.begin("3", alone.new), alone.begin("3", f"{alone.case.folder}/config/other.json")]
    texts = [end(process, 1) for process in both]
    assert sorted("trial" in t and "nobody confirmed in time" not in t for t in texts) == [False, True], texts
    alone.is_as(alone.old)


REFUSALS = [
    ("no way back", lambda h: os.unlink(f"{h.state}/last-good.json"), "new.json", "no last good generation"),
    ("nothing new", lambda h: h.put(h.new, OLD), "new.json", "is in force already"),
    ("a broken file", lambda h: h.put(h.new, {}), "new.json", "networks"),
    ("no such file", lambda h: None, "nothing.json", "No such file"),
]


@pytest.mark.parametrize("break_it, file, words", [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_what_can_not_be_tried_is_refused_before_anything_changes(alone, break_it, file, words):
    break_it(alone)
    if "already" in words:
        with open(alone.file, encoding="utf-8") as old, open(alone.new, "w", encoding="utf-8") as new:
            new.write(old.read())
    assert words in end(alone.begin(LONG, f"{alone.case.folder}/config/{file}"), 1)
    alone.is_as(alone.old)
    assert not alone.has_trial()


def test_without_tests_there_is_nothing_that_tests_could_confirm(alone):
    assert "has no tests" in end(alone.begin("tests", alone.new), 1)
    alone.is_as(alone.old)


def test_the_file_s_own_tests_confirm(alone):
    alone.put(alone.new, {**NEW, "tests": [{"from": "192.0.2.1", "to": "box0", "port": 5000, "expect": "open"}]})
    assert "confirmed" in end(alone.begin("tests", alone.new), 0)
    assert alone.ports() == NEW_PORTS and alone.text()["tests"]


# --- with a daemon ---

def test_the_daemon_goes_back_by_itself(running):
    done = running.apply("--confirm", "2", running.new, code=0)
    assert "on trial for 2 s" in done.stdout and "--confirm yes" in done.stdout
    status = running.daemon.status()
    assert status["healthy"] and 1 <= status["trial"]["seconds_left"] <= 2 and running.ports() == NEW_PORTS
    assert "--confirm yes" in status["trial"]["confirm"]
    assert "trial " in running.harborwall("status").stdout
    running.daemon.wait(lambda s: s["healthy"] and not s["trial"])
    running.is_as(running.old)
    assert running.text() == OLD
    assert running.confirm("yes", code=1).stderr == "harborwall: no trial runs\n"


def test_confirmed_the_daemon_stays_with_it_over_a_restart(running):
    running.apply("--confirm", "60", running.new, code=0)
    running.confirm("yes")
    running.daemon.wait(lambda s: s["healthy"] and not s["trial"])
    running.stop()
    running.start().wait(lambda s: s.get("healthy"))
    assert running.ports() == NEW_PORTS and running.text() == NEW


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
@pytest.mark.parametrize("away", [False, True], ids=["back in time", "away"])
def test_a_trial_goes_on_over_a_restart_and_ends_in_time(running, how, away):
    running.apply("--confirm", "2" if away else "3", running.new, code=0)
    running.daemon.process.send_signal(how)
    running.daemon.process.wait(10)
    assert running.ports() == NEW_PORTS
    if away:
        time.sleep(2.1)
        running.start().wait(lambda s: s.get("healthy") and not s["trial"])
    else:
        running.start().wait(lambda s: s.get("trial"))
        assert running.ports() == NEW_PORTS
        running.daemon.wait(lambda s: s.get("healthy") and not s["trial"])
    running.is_as(running.old)


@pytest.mark.parametrize("spoil", ["boot", "clock", "nonsense"])
def test_a_time_that_can_not_be_told_is_over(running, spoil):
    running.apply("--confirm", LONG, running.new, code=0)
    running.daemon.process.kill()
    running.daemon.process.wait()
    if spoil == "boot":
        running.boot()
    else:
        with open(f"{running.state}/trial", "rb") as f:
            text = f.read()
        words = text.split(b" ")
        words[3] = b"9" * 14 if spoil == "clock" else b"x"
        with open(f"{running.state}/trial", "wb") as f:
            f.write(b" ".join(words))
    running.start().wait(lambda s: s.get("healthy") and not s["trial"])
    running.is_as(running.old)


def test_who_comes_during_a_trial_is_told(running):
    running.apply("--confirm", LONG, running.new, code=0)
    for words in ([], ["--confirm", "9", running.new], ["--accept", "0123456789abcdef"], ["--yes"]):
        done = running.apply(*words, code=1)
        assert re.search(r"a trial of [0-9a-f]{16} runs for another \d+ s: keep it with .*--confirm yes, or end it with .*--confirm no",
                         done.stderr), done.stderr
    assert running.ports() == NEW_PORTS
    running.confirm("no")
    running.is_as(running.old)
    assert not running.daemon.status()["trial"]
    assert "no trial runs" in running.confirm("no", code=1).stderr


def test_an_edit_during_a_trial_waits_for_its_end_and_is_not_overwritten(running):
    running.apply("--confirm", "3", running.new, code=0)
    running.write(EDIT)
    running.daemon.wait_log("the file has changed during a trial")
    assert running.ports() == NEW_PORTS
    assert "has changed since the trial began" in running.confirm("yes", code=1).stderr
    assert running.text() == EDIT
    running.daemon.wait(lambda s: s["healthy"] and not s["trial"] and running.ports() == EDIT_PORTS)


def test_a_file_that_takes_much_is_tried_all_the_same_and_going_back_is_not_held_either(running):
    more = {**NEW, "policies": config(3, 60, [0, 1], 5000)["policies"]}
    running.put(running.new, more)
    for content, ports in ((more, list(range(5000, 5060))), (config(0, 0, [0], 1), [])):
        running.put(running.new, content)
        running.apply("--confirm", "2", running.new, code=0)
        assert running.ports() == ports
        running.daemon.wait(lambda s: s["healthy"] and not s["held"] and not s["trial"])
        running.is_as(running.old)


def test_the_held_file_can_be_tried_and_is_held_again_after_it(host):
    host.write({**OLD, "policies": config(3, 24, [0], 1000)["policies"]})
    host.start().wait(lambda s: s.get("healthy"))
    old = host.stands_now()
    host.write(EDIT)
    held = host.wait_held()["generation"]
    host.apply("--confirm", "2", code=0)
    assert host.ports() == EDIT_PORTS
    host.daemon.wait(lambda s: not s["trial"] and s["held"])
    host.is_as(old)
    assert host.daemon.status()["held"]["generation"] == held
    host.apply("--confirm", "60", code=0)
    host.confirm("yes")
    host.daemon.wait(lambda s: s["healthy"] and not s["held"])
    assert host.ports() == EDIT_PORTS


def test_what_the_daemon_enforces_already_is_nothing_to_try(running):
    running.write(EDIT)
    running.daemon.wait(lambda s: running.ports() == EDIT_PORTS and s["healthy"])
    done = running.apply("--confirm", "9", code=1)
    assert "is in force already" in done.stderr and "FILE" in done.stderr


def test_a_container_that_starts_during_a_trial_is_bound_by_it(running):
    running.apply("--confirm", "3", running.new, code=0)
    ident = running.engine.find(running.engine.containers, "box1")
    with running.engine.lock:
        where = [n for n in running.engine.containers[ident]["ends"] if n.startswith("net")]
        assert where == ["net1"]
        del running.engine.containers[ident]["ends"]["net1"]
        running.engine.tell_connection("disconnect", ident, running.engine.find(running.engine.networks, "net1"))
    running.wait_until(lambda: "net1" in running.engine.containers[ident]["ends"])
    running.case.nft("delete", "table", "inet", "harborwall")  # what is tried is healed, too
    running.wait_until(lambda: running.ports() == NEW_PORTS)
    running.daemon.wait(lambda s: s["healthy"] and not s["trial"])
    running.is_as(running.old)


def test_a_file_that_can_not_be_written_is_confirmed_by_who_can(running):
    running.apply("--confirm", LONG, running.new, code=0)
    nsenter = ["nsenter", "-t", str(running.case.holder.pid), "-n"]
    folder = os.path.dirname(running.file)
    env = {"PATH": os.environ["PATH"], "DOCKER_HOST": running.case.host, "HARBORWALL_STATE": f"{running.state}/state.json",
           "HARBORWALL_LISTEN": f"{running.state}/sock", "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([*nsenter, "unshare", "-m", "sh", "-c", f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && "
                           f"exec {HARBORWALL} apply -c {running.file} --confirm yes"], text=True, capture_output=True, env=env, check=False)
    assert done.returncode == 1 and "copy the file that was tried" in done.stderr and "Read-only" in done.stderr, done.stderr
    running.write(NEW)
    running.confirm("yes")
    running.daemon.wait(lambda s: s["healthy"] and not s["trial"])
    assert running.ports() == NEW_PORTS


def test_a_daemon_with_its_state_elsewhere_is_not_mistaken_for_one_that_tries(running):
    os.mkdir(f"{running.case.folder}/elsewhere")
    os.link(f"{running.state}/last-good.json", f"{running.case.folder}/elsewhere/last-good.json")
    done = running.apply("--confirm", "9", running.new, HARBORWALL_STATE=f"{running.case.folder}/elsewhere/state.json", code=1)
    assert "HARBORWALL_STATE must be the same" in done.stderr
    running.is_as(running.old)


def test_clear_ends_a_trial(running):
    running.apply("--confirm", LONG, running.new, code=0)
    running.stop()
    assert running.harborwall("clear").returncode == 0
    assert not running.has_trial()
    running.start().wait(lambda s: s.get("healthy"))
    assert running.ports() == OLD_PORTS


# --- killed at every step ---

# Calls that change a file: each is a step. The others talk to the kernel and to the engine, and most of them only ask:
# some, or with HARBORWALL_KILLS=1 each of them.
FILES, TALKS = ("rename", "renameat2", "fsync", "unlink"), ("sendto", "sendmsg")
EVERY = int(os.environ.get("HARBORWALL_KILLS", "23"))


def killing(call, nth):
    """Killed at the nth of these calls, before it is made."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"]


def kill_everywhere(what, story, calls=FILES + TALKS):
    """story(under): True: the command came to its end."""
    killed = 0
    for call in calls:
        nth = 1
        while not story(killing(call, nth)):
            killed += 1
            nth += EVERY if call in TALKS else 1
    assert killed > 2
    print(f"figures: {what}: killed at {killed} calls")


def tried(host, *words):
    """A trial whose own process is gone."""
    trial = host.begin(LONG, *words)
    assert host.wait_on_trial(trial)
    trial.communicate()


def assert_rules_are_whole(host):
    """One transaction changes them: those of the old file, or those of the new one."""
    assert host.ports() in (OLD_PORTS, NEW_PORTS), host.ports()


def go_back(host, code=0):
    """The time is over."""
    host.boot()
    host.apply(code=code)
    host.is_as(host.old)
    assert not host.has_trial()


@pytest.mark.parametrize("itself", [False, True], ids=["another file", "the file itself"])
def test_killed_anywhere_while_it_applies_the_old_generation_comes_back(alone, itself):
    def story(under):
        alone.write(NEW if itself else OLD)
        trial = alone.begin(LONG, *([] if itself else [alone.new]), under=under)
        ended = alone.wait_on_trial(trial)
        trial.communicate(timeout=30)
        assert_rules_are_whole(alone)
        began = alone.has_trial()
        if began or not itself:
            go_back(alone, 1 if itself else 0)
        else:
            alone.is_as(alone.old)
        if itself:
            alone.write(OLD)
            alone.apply(code=0)
        return ended
    kill_everywhere("apply", story)


@pytest.mark.parametrize("how", ["no", "late"])
def test_killed_anywhere_while_it_goes_back_it_goes_on_later(alone, how):
    def story(under):
        alone.write(OLD if how == "no" else NEW)
        tried(alone, *([alone.new] if how == "no" else []))
        if how == "late":
            alone.boot()
        done = alone.apply(*(["--confirm", "no"] if how == "no" else []), under=under)
        assert_rules_are_whole(alone)
        go_back(alone, 0 if how == "no" else 1)
        alone.write(OLD)
        alone.apply(code=0)
        return done.returncode in (0, 1)
    kill_everywhere("roll-back", story)


def test_killed_anywhere_while_it_confirms_one_of_both_stands(alone):
    outcomes = set()

    def story(under):
        tried(alone, alone.new)
        new = alone.stands_now()
        done = alone.apply("--confirm", "yes", under=under)
        assert alone.ports() == NEW_PORTS
        alone.boot()
        later = alone.apply()
        kept = later.returncode == 0 and alone.text() == NEW
        alone.is_as(new if kept else alone.old)
        assert kept or done.returncode != 0, "it said that it is confirmed"
        assert kept or later.returncode == (1 if alone.text() == NEW else 0)
        outcomes.add((kept, alone.text() == NEW))
        if not kept and alone.text() == NEW:  # nor does a daemon enforce what nobody confirmed
            alone.start().wait(lambda s: s.get("held"))
            alone.is_as(alone.old)
            alone.stop()
        alone.write(OLD)
        alone.apply(code=0)
        alone.is_as(alone.old)
        return done.returncode == 0
    kill_everywhere("confirm", story)
    assert outcomes == {(False, False), (False, True), (True, True)}


class Tracer:
    """Attached to the daemon: the calls count from now on."""

    def __init__(self, host, under):
        pid = host.daemon.process.pid
        self.host, self.process = host, subprocess.Popen([*under, "-p", str(pid)])

        def is_traced():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return "TracerPid:\t0" not in f.read()
        host.wait_until(is_traced)

    def end(self):
        """True: the daemon lives."""
        try:
            self.host.daemon.process.wait(0.5)
            lives = False
        except subprocess.TimeoutExpired:
            lives = True
            self.host.daemon.process.kill()
            self.host.daemon.process.wait()
        self.process.wait()
        return lives


@pytest.mark.parametrize("what", ["apply", "roll-back"])
def test_a_daemon_that_is_killed_anywhere_leaves_one_of_both_and_its_next_start_the_old_one(running, what):
    def story(under):
        if what == "roll-back":
            running.apply("--confirm", LONG, running.new, code=0)
        tracer = Tracer(running, under)
        try:
            running.apply("--confirm", *(["no"] if what == "roll-back" else [LONG, running.new]), timeout=10)
        except subprocess.TimeoutExpired:  # killed before it answered: the command tries the file itself, and waits
            assert what == "apply"
        assert_rules_are_whole(running)
        lived = tracer.end()
        running.boot()
        running.start().wait(lambda s: s.get("healthy") and not s["trial"])
        running.is_as(running.old)
        return lived
    kill_everywhere(f"the daemon's {what}", story, TALKS)
