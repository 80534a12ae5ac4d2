# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces to measure in, and programs run there with a clock on each."""
import ctypes
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
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; ip link add docker0 type bridge; echo; exec sleep 3600"],
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


def hooks_in_use():
    """A namespace whose rules hang in every hook, as some do on every Docker host. The first user of a hook in the whole
    kernel pays for switching it on in the running code, 2 ms on a virtual machine: that is nobody's work here."""
    chains = [(f"{kind}-{hook}", kind, hook) for kind, hooks in
              (("filter", "prerouting input forward output postrouting"), ("nat", "prerouting input output postrouting"))
              for hook in hooks.split()]
    ns = Namespace().__enter__()
    ns.run("nft", "-f", "-", stdin="table inet held {\n" + "\n".join(
        f"chain {name} {{ type {kind} hook {hook} priority 0; }}" for name, kind, hook in chains) + "\n}")
    return ns


# A bridge needs no module that a small kernel lacks, and takes routes as well as a container's veth.
LINKS = "link add eth0 type bridge\naddress add {}/24 dev eth0\nlink set eth0 up\nlink set lo up\n"
WITHOUT_WIRES = "link set lo up\n"


class Containers:
    """Processes in network namespaces of their own, as the containers of a file's addresses are.
    links: what is in them. Use as a context."""

    def __init__(self, config, names=None, links=LINKS):
        self.links = links
        self.addresses = {a["container_name"]: ip for ip, a in config["ips"].items()
                          if names is None or a["container_name"] in names}

    def __enter__(self):
        self.parent = subprocess.Popen([sys.executable, "-B", f"{HERE}/spaces.py", self.links, *self.addresses.values()],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pids = {name: int(self.parent.stdout.readline()) for name in self.addresses}
        return self

    def __exit__(self, *_):
        self.parent.stdin.close()
        self.parent.wait()
        self.parent.stdout.close()


def hold(links, *addresses):
    """A child for each, in a namespace of its own that has the address, until stdin ends."""
    clone_newnet, pr_set_pdeathsig, sigkill = 0x40000000, 1, 9
    libc = ctypes.CDLL(None, use_errno=True)
    for address in addresses:
        ours, theirs = os.pipe()
        pid = os.fork()
        if not pid:
            libc.prctl(pr_set_pdeathsig, sigkill)
            if libc.unshare(clone_newnet):
                os._exit(1)
            with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
                f.write("0")
            subprocess.run(["ip", "-batch", "-"], input=links.format(address), text=True, check=True)
            os.write(theirs, b".")
            while True:
                time.sleep(3600)
        os.close(theirs)
        if not os.read(ours, 1):
            sys.exit("spaces: no network namespace to be had")
        os.close(ours)
        print(pid, flush=True)
    sys.stdin.read()


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


class Timings:
    """What --timings said: a list of passes, each {stage: (wall ms, processor ms)}, several of a stage summed."""

    @staticmethod
    def begins(stage, one):
        """The first stage of another pass: one that stands still ends with observe_host; containers are asked
        about between compile and diff."""
        if stage == "engine":
            return "observe_host" in one and ("compile" not in one or "diff" in one)
        return stage in ("read", "parse", "observe_host") and "observe_host" in one

    def __init__(self, text):
        self.passes = [{}]
        for line in text.splitlines():
            words = line.split()
            if len(words) != 4 or words[0] != "timing":
                continue
            if self.begins(words[1], self.passes[-1]):
                self.passes.append({})
            one = self.passes[-1]
            wall, cpu = one.get(words[1], (0, 0))
            one[words[1]] = (wall + float(words[2]), cpu + float(words[3]))


ENFORCED = ("read", "parse", "resolve", "observe_host", "compile", "encode", "observe_containers", "diff", "apply")
PASS = ENFORCED[2:]


def total(stages, names, clock):
    """ms of these stages, the engine's calls aside. clock: 0 wall, 1 processor."""
    return sum(stages.get(name, (0, 0))[clock] for name in names) - stages.get("engine", (0, 0))[clock]


def on_processor(pid):
    """ms that a process has run, its kernel work included, to the nanosecond (not to the tick)."""
    spent = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            spent += int(f.read().split()[0])
    return spent / 1e6


def memory(pid):
    """VmHWM and RssAnon in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        lines = dict(line.split(":", 1) for line in f)
    return [int(lines[name].split()[0]) / 1024 for name in ("VmHWM", "RssAnon")]


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


if __name__ == "__main__":
    hold(*sys.argv[1:])
