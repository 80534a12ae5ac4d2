# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces to measure in, and programs run there with a clock on each."""
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("HARBORWALL_BUILD", f"{ROOT}/build")
HARBORWALL = os.environ.get("HARBORWALL", f"{BUILD}/harborwall")
sys.path.insert(0, f"{ROOT}/tests/fake")


class Took:
    """wall and cpu in ms; cpu is what the program and its children were charged, the kernel's work included."""

    def __init__(self, wall, cpu, out, err):
        self.wall, self.cpu, self.out, self.err = wall, cpu, out, err


class Namespace:
    """A network namespace held by a process that sleeps. Use as a context."""

    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep 3600"],
                                       stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.pid = self.holder.pid
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def argv(self, *argv):
        # in a cgroup namespace every process of ours is at "/", as for a harborwall in a container
        return ["nsenter", "-t", str(self.pid), "-n", "unshare", "-C", *argv]

    def run(self, *argv, stdin=None, env=None, check=True):
        return subprocess.run(self.argv(*argv), input=stdin, text=True, check=check, capture_output=True,
                              env={**os.environ, **(env or {})})

    def start(self, *argv, env=None, **more):
        return subprocess.Popen(self.argv(*argv), env={**os.environ, **(env or {})}, **more)

    def timed(self, *argv, stdin=None, env=None):
        """stdin is a path. Ends the bench where the program fails: a failure measures nothing."""
        with open(stdin or os.devnull, "rb") as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            done = subprocess.Popen(self.argv(*argv), stdin=given, stdout=out, stderr=err, env={**os.environ, **(env or {})})
            status = done.wait()
            wall = 1000 * (time.perf_counter() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            out.seek(0)
            err.seek(0)
            took = Took(wall, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime),
                        out.read().decode(errors="replace"), err.read().decode(errors="replace"))
        if status:
            sys.exit(f"bench: {' '.join(argv)[:200]} ended with {status}: {took.err[:2000]}")
        return took


class Figures:
    """name → values of every round; what is read is the median."""

    def __init__(self):
        self.values = {}

    def note(self, name, value):
        self.values.setdefault(name, []).append(value)

    def median(self, name):
        return statistics.median(self.values[name])

    def ratio(self, one, other):
        """Of each round's pair, then the median: what disturbs a round disturbs both."""
        return statistics.median(a / b for a, b in zip(self.values[one], self.values[other]))

    def medians(self):
        return {name: statistics.median(values) for name, values in self.values.items()}


def passes(text):
    """What --timings said: one {stage: ms} for every pass, stages that came several times summed."""
    found, rest = [{}], {}
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3 or words[0] != "timing":
            continue
        if words[1] in ("engine", "observe_host") and "diff" in found[-1]:
            found.append({})
        found[-1][words[1]] = found[-1].get(words[1], 0) + float(words[2])
        rest.setdefault(words[1], 0)
    return found


class Criteria:
    """The list that the bench ends with: what was wanted, what was measured."""

    def __init__(self):
        self.items = []

    def at_most(self, what, value, limit, unit=""):
        self.items.append({"what": what, "value": value, "limit": limit, "unit": unit, "sign": "<=", "met": value <= limit})

    def at_least(self, what, value, limit, unit=""):
        self.items.append({"what": what, "value": value, "limit": limit, "unit": unit, "sign": ">=", "met": value >= limit})

    def not_measured(self, what, why):
        self.items.append({"what": what, "value": None, "limit": None, "unit": why, "sign": "", "met": None})

    def print(self):
        width = max(len(item["what"]) for item in self.items)
        for item in self.items:
            if item["met"] is None:
                print(f"not measured  {item['what']:{width}}  {item['unit']}")
                continue
            print(f"{'met ' if item['met'] else 'MISS'}  {item['what']:{width}}  {item['value']:8.3g} {item['sign']} "
                  f"{item['limit']:.3g} {item['unit']}")


def table(title, columns, rows):
    """rows: (name, [value or None])."""
    print(f"\n{title:56}" + "".join(f"{c:>12}" for c in columns))
    for name, values in rows:
        print(f"  {name:54}" + "".join(f"{'-' if v is None else f'{v:.2f}' if v < 1000 else f'{v:.0f}':>12}" for v in values))
    sys.stdout.flush()
