# SPDX-License-Identifier: GPL-2.0-or-later
"""One seed's story: random things happen to a daemon, its file, its engine and its kernel while traffic flows.

    story.py SEED FOLDER CGROUP, inside namespaces of its own that tests/chaos/run makes.

Even seeds are gentle: nothing that others break stands in the way of traffic, so not one datagram may be lost and
not one forbidden packet arrive, whatever the daemon does or suffers. Odd seeds are rough: others also delete what
the daemon wrote, and it has HEAL seconds to put it right. Every third host has both families, and its traffic is of
IPv6. In the end: the plan is empty, the packet matrix is what the oracle says, revoked connections are dead, and
clear and apply lead to the same state."""
import json
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab"), os.path.join(os.path.dirname(HERE), "fake")]
import deeds  # noqa: E402
import host  # noqa: E402
import judge  # noqa: E402

BEGINNING = 2  # seconds, on a machine that has nothing else to do
SETTLE = 20  # seconds after the last event: a retry may be that far off


class Story(deeds.Deeds):
    def __init__(self, name, folder, cgroup, seed=None):
        self.name, self.seed = name, int(name) if seed is None else seed
        self.r, self.rough = random.Random(self.seed), self.seed % 2 == 1
        # the host has both families, and its traffic is of IPv6
        self.dual = self.name.isdigit() and self.seed % 3 == 0
        self.said, self.began = [], time.time()
        self.judge = judge.Judge()
        self.host = host.Host(self, folder, cgroup)
        self.files_begin()

    def say(self, text):
        self.said.append(f"{time.time() - self.began:7.3f} {text}")

    def run(self):
        started = time.time()
        self.host.begin()
        self.host.start_daemon()
        self.settled("the beginning")
        self.judge.busy = max(1.0, (time.time() - started) / BEGINNING)
        self.host.go()
        time.sleep(0.3)
        for _ in range(self.r.randint(12, 18)):
            self.host.watch_daemon()
            self.deed()
            time.sleep(self.r.choice([0, 0.01, 0.05, 0.15, 0.4]) * self.r.random())
        return self.finish()

    def finish(self):
        self.make_peace()
        settled = self.settled("the end")
        time.sleep(0.5)
        self.host.assert_matrix(self.both(self.config))
        self.wait_for_stream()
        before = self.host.traffic.do("report")
        time.sleep(0.3)
        report = self.host.traffic.do("stop")
        self.judge.assert_report(report, before, self.open_talks())
        self.host.end_daemon()
        if any(word in self.host.log() for word in ('error=""', "Sanitizer")):
            raise AssertionError("the log tells of a failure that has no name")
        self.host.assert_same_as_fresh()
        return {"seed": self.seed, "style": self.host.engine.law.style, "backend": self.host.backend,
                "settled_ms": round(1000 * settled), "windows_ms": self.judge.windows(report), "deaths": self.host.deaths,
                "datagrams": report["datagrams"], "packets": sum(report["made"].values()),
                "excused": len(report["lost"])}

    def wait_for_stream(self):
        """TCP doubles its waits: after a long break it needs some time to find out that the way is open again."""
        started, echoed = time.time(), None
        while time.time() < started + SETTLE:
            now = self.host.traffic.do("report")["streams"]["stream"]["echoed"]
            if echoed not in (None, now):
                return
            echoed = now
            time.sleep(0.2)

    def settled(self, when):
        """How long it took; the plan must be empty and stay so."""
        started = time.time()
        quiet = 0
        while quiet < 2:
            self.host.watch_daemon()
            done = self.host.harborwall("plan")
            quiet = quiet + 1 if done.returncode == 0 else 0
            took = time.time() - started
            if not quiet and took > SETTLE * self.judge.busy:
                raise AssertionError(f"{when}: not settled after {took:.0f} s:\n{done.stdout}{done.stderr}")
            time.sleep(0.1)
        return took


def main(kind):
    story = kind(*sys.argv[1:4])
    try:
        print(json.dumps(story.run()), flush=True)
        code = 0
    except Exception as e:  # the whole story is what a person needs
        import traceback
        print(f"story {story.name}: {type(e).__name__}: {e}\n" + traceback.format_exc(limit=-3))
        print("what happened:\n" + "\n".join(story.said))
        print("the daemon's log:\n" + story.host.log()[-6000:])
        print("the plan:\n" + story.host.plan_text())
        print("the file:\n" + json.dumps(story.config, indent=1), flush=True)
        code = 1
    story.host.end()
    sys.stdout.flush()
    os._exit(code)  # engine threads may still wait for somebody


if __name__ == "__main__":
    main(Story)
