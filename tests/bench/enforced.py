# SPDX-License-Identifier: GPL-2.0-or-later
"""From the file to rules that stand: a scripted engine, a namespace, the real program and kernel."""
import collections
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import configs
import rivals
from spaces import (BUILD, ENFORCED, HARBORWALL, PASS, Containers, Figures, Namespace, Timings, memory, on_processor,
                    total)

import dockerd

PATIENCE_S = 60  # no pass takes that long
RESTORE = "iptables-nft-restore"
TURNS = 12  # of what takes milliseconds: a restore of 1 000 rules 11 to 28, as it comes
A_TURN = 6  # transactions


@contextlib.contextmanager
def docker_host(variant="nft"):
    """A namespace as Docker leaves one, forwarding on."""
    with Namespace() as ns:
        ns.run(f"iptables-{variant}-restore", stdin=dockerd.DOCKER_RULES)
        ns.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield ns


class Host:
    """A folder with a file, an engine on which all of it stands, and harborwall's environment."""

    def __init__(self, config, pids=None, **engine):
        self.config, self.pids, self.options = config, pids, engine

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = configs.write(self.config, f"{self.folder.name}/networks.json")
        self.engine = configs.converge(dockerd.Engine(self.folder.name, **self.options), self.config, pids=self.pids)
        self.engine.listen()
        self.engine.server.handle_error = lambda *_: None  # a client that ended while it was told something
        self.env = {"DOCKER_HOST": self.engine.host, "HARBORWALL_STATE": f"{self.folder.name}/state.json",
                    "HARBORWALL_LISTEN": f"{self.folder.name}/sock", "NETWORKS_CONFIG_PATH": self.path,
                    "WATCH_PERIOD_SECONDS": "3600"}
        return self

    def __exit__(self, *_):
        self.engine.close()
        self.folder.cleanup()

    def apply(self, ns, backend="nftables"):
        """Stages of the first pass."""
        took = ns.timed(HARBORWALL, "apply", "-q", "--timings", env={**self.env, "HARBORWALL_BACKEND": backend})
        return Timings(took.err).passes[0], took


class Daemon:
    """harborwall run; said() is what it wrote so far."""

    def __init__(self, host, ns, wrapper=()):
        self.host, self.ns, self.wrapper = host, ns, wrapper

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile()
        self.process = self.ns.start(*self.wrapper, HARBORWALL, "run", "--timings", env=self.host.env, stderr=self.log,
                                     stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        os.kill(self.pid(), signal.SIGTERM)
        self.process.wait()
        self.log.close()

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def pid(self):
        """nsenter and unshare become it; a wrapper's child is it."""
        pid = self.process.pid
        if self.wrapper:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
                pid = int(f.read().split()[0])
        return pid

    def n_passes(self):
        return self.said().count("timing observe_host ")

    def wait_for(self, ready):
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"bench: the daemon makes no pass:\n{self.said()[-2000:]}")
            time.sleep(0.02)

    def settle(self, passes=1):
        """Until it has made so many passes and works no more."""
        spent = 0
        self.wait_for(lambda: self.n_passes() >= passes)
        while (now := on_processor(self.pid())) - spent > 2:
            spent = now
            time.sleep(0.4)
        return self.n_passes()


# --- one load, beside what people run today ---

def note_lines(wall, cpu, text, prefix=""):
    """"name WALL CPU" of the benches' own programs."""
    for line in text.splitlines():
        name, ms, cpu_ms = line.split()
        wall.note(prefix + name, float(ms))
        cpu.note(prefix + name, float(cpu_ms))


def note_pass(wall, cpu, label, stages):
    for name, (ms, cpu_ms) in stages.items():
        wall.note(f"{label}: {name}", ms)
        cpu.note(f"{label}: {name}", cpu_ms)
    wall.note(label, total(stages, ENFORCED, 0))
    cpu.note(label, total(stages, ENFORCED, 1))


def bare_restore(tool, path):
    with docker_host("legacy" if "legacy" in tool else "nft") as ns:
        return rivals.timed(ns, path, tool, "--noflush")


def backend_round(wall, host, backend):
    """Our restore beside the bare one, of the same text; three times, the other one first in turn."""
    path = f"{host.folder.name}/{backend}.rules"

    def ours():
        with docker_host(backend.split("-")[1]) as ns:
            stages, _ = host.apply(ns, backend)
        wall.note(f"harborwall {backend}: commit", stages["commit"][0])

    def bare():
        wall.note(f"{backend}-restore of the same text", bare_restore(f"{backend}-restore", path)[0])
    with docker_host(backend.split("-")[1]) as ns, open(path, "w", encoding="utf-8") as f:
        f.write(ns.run(HARBORWALL, "rules", "-q", "--backend", backend, env=host.env).stdout)
    for one in (ours, bare, bare, ours, ours, bare):
        one()


def rival_round(wall, cpu, name, path):
    ms, cpu_ms = rivals.load(name, path)
    wall.note(name, ms)
    cpu.note(name, cpu_ms)


def transaction_round(wall, cpu, host, texts):
    """The transaction alone, and how many of it a restore takes that runs beside it: this kind of machine runs at its
    full or at half its speed for milliseconds at a time, a restore at some of both."""
    with Namespace() as ns:
        note_lines(wall, cpu, ns.timed(f"{BUILD}/tests/bench_commit", host.path, str(A_TURN)).out, "transaction: ")
    if RESTORE in texts:
        rival_round(wall, cpu, RESTORE, texts[RESTORE])
        cpu.note(f"{RESTORE} / ours", cpu.values[RESTORE][-1] / statistics.median(cpu.values["transaction: ours"][-A_TURN:]))


def load(n, rounds, kind, iptables_most, budget_s, containers=None):
    """(wall, cpu) figures of n policies, of so many rounds or of those that the budget allows. kind "pairs" has
    rivals, one rule a policy; "graph" has our own texts, "few" pairs of so many containers, without rivals."""
    wall, cpu, started = Figures(), Figures(), time.monotonic()
    config, flows = (configs.graph(n), []) if kind == "graph" else configs.pairs(n, containers)
    config = configs.dual(config) if kind == "dual" else config
    with Host(config) as host:
        answers = [configs.write(list(host.engine.networks.values()), f"{host.folder.name}/engine-networks"),
                   configs.write(host.engine.list_containers(), f"{host.folder.name}/engine-containers")]
        texts = rivals.prepare(host.folder.name, flows) if kind == "pairs" else {}
        for i in range(rounds):
            if i and (time.monotonic() - started) * (i + 1) / i > budget_s:
                break
            with docker_host() as ns:
                stages, took = host.apply(ns)
                note_pass(wall, cpu, "harborwall", stages)
                wall.note("harborwall apply, the whole program", took.wall)
            for name, path in texts.items():
                if name != RESTORE:
                    rival_round(wall, cpu, name, path)
            for _ in range(TURNS if n <= 1000 else 1):
                transaction_round(wall, cpu, host, texts)
            note_lines(wall, cpu, subprocess.run([f"{BUILD}/tests/bench_stages", host.path, *answers], check=True, text=True,
                                                 stdout=subprocess.PIPE).stdout, "core: ")
            for backend in ("iptables-nft", "iptables-legacy") if n <= iptables_most else ():
                backend_round(wall, host, backend)
    return wall, cpu


def list_load(config, flows, rounds, change):
    """(wall, cpu) figures of the first load, of the pass behind it that confirms it, of the kernel's own time for the
    transaction and for one policy that goes or comes; of the bare restore of the same rules, where there are flows. And how
    many elements stand."""
    wall, cpu = Figures(), Figures()
    with Host(config) as host:
        path = rivals.prepare(host.folder.name, flows).get(RESTORE) if flows else None
        for _ in range(rounds):
            with docker_host() as ns:
                took = ns.timed(HARBORWALL, "apply", "-q", "--timings", env=host.env)
                first, second = Timings(took.err).passes[:2]
                listed = json.loads(ns.run("nft", "-j", "list", "table", "inet", "harborwall").stdout)["nftables"]
                elements = sum(len(part.get("elem", ())) for one in listed for part in one.values())
            note_pass(wall, cpu, "harborwall", first)
            note_pass(wall, cpu, "confirmed", second)
            wall.note("apply", took.wall)
            with Namespace() as ns:
                note_lines(wall, cpu, ns.timed(f"{BUILD}/tests/bench_commit", host.path, "3", change).out,
                           "transaction: ")
            if path:
                rival_round(wall, cpu, RESTORE, path)
    return wall, cpu, elements


def one_process_per_rule(n, budget_s):
    """{name: (wall, processor ms for n rules, how many were really loaded)}, as network-go loaded them: on the host and, through
    nsenter, in a container."""
    _, flows = configs.pairs(n)
    return {f"{tool}, one process per rule{where}": rivals.one_exec_per_rule(flows, tool, bool(where), budget_s)
            for tool in ("iptables-legacy", "iptables-nft") for where in ("", " through nsenter")}


# --- the daemon ---

def change_one(host, ports=(7, 8)):
    policy = next(p for p in host.config["policies"][len(host.config["policies"]) // 2:] if isinstance(p.get("port"), int)
                  and "from" in p)
    policy["port"] = ports[0] if policy["port"] != ports[0] else ports[1]
    configs.write(host.config, f"{host.path}.new")
    os.rename(f"{host.path}.new", host.path)


def daemon_life(n, changes):
    """First load, one policy changed at a time, memory. (first pass, passes after a change of a port, passes after one
    to a range, [VmHWM, RssAnon] after the load, and at the end)."""
    with Host(configs.pairs(n)[0]) as host, docker_host() as ns, Daemon(host, ns) as daemon:
        daemon.settle()
        loaded = memory(daemon.pid())
        first = Timings(daemon.said()).passes[0]

        def after(*ports):
            known = daemon.n_passes()
            change_one(host, *ports)
            daemon.settle(known + 1)
            return next(p for p in Timings(daemon.said()).passes[known:] if "commit" in p)
        ports = [after() for _ in range(changes)]
        return first, ports, [after(("7-9", "17-19")) for _ in range(changes)], loaded, memory(daemon.pid())


def nothing_changed(config, times):
    """Processor ms of the daemon's first load until it stands, and of a pass of it that finds nothing to do: for a signal
    (the file is read again) and for an engine's event."""
    with Containers(config) as held:
        with Host(config, held.pids) as host, docker_host() as ns, Daemon(host, ns) as daemon:
            daemon.wait_for(lambda: "timing apply " in daemon.said())
            first = on_processor(daemon.pid())
            daemon.settle()
            found = {}
            for name, cause in (("signal", lambda: os.kill(daemon.pid(), signal.SIGHUP)),
                                ("event", lambda: host.engine.tell("network", "connect", "0" * 64, {"container": "x" * 64}))):
                figures = Figures()
                for _ in range(times):
                    n, before = daemon.n_passes(), on_processor(daemon.pid())
                    cause()
                    daemon.settle(n + 1)
                    figures.note(name, on_processor(daemon.pid()) - before)
                found[name] = figures.median(name)
            last = Timings(daemon.said()).passes[-1]
    return first, found, last


WRITES = re.compile(r"NFNL_MSG_BATCH_BEGIN|NFT_MSG_(?:NEW|DEL)|RTM_(?:NEW|DEL|SET)|sysctl")


def netlink_writes(policies, containers):
    """(in the first load, in passes that find nothing to do), as strace sees them."""
    config = configs.graph(policies, containers=containers)
    with Containers(config) as held, tempfile.NamedTemporaryFile() as trace:
        strace = ["strace", "-f", "-s", "64", "-e", "trace=sendto,sendmsg,write", "-o", trace.name]
        with Host(config, held.pids) as host, docker_host() as ns, Daemon(host, ns, strace) as daemon:
            n = daemon.settle()
            with open(trace.name, encoding="utf-8", errors="replace") as f:
                first = len(WRITES.findall(f.read()))
                for i in range(3):
                    os.kill(daemon.pid(), signal.SIGHUP)
                    daemon.settle(n + 1 + i)
                later = len(WRITES.findall(f.read()))
    return first, later


def spaces(n, rounds, budget_s):
    """n containers, each with a translation of its own: (commits, all steps) in ms, medians."""
    figures, started = Figures(), time.monotonic()
    config = {"networks": {"clients": {"subnet": "10.100.0.0/24"}, "servers": {"subnet": "10.101.0.0/24"}},
              "ips": {"10.101.0.2": {"container_name": "server"}}, "policies": []}
    for i in range(n):
        config["ips"][f"10.100.0.{i + 2}"] = {"container_name": f"client-{i}"}
        config["policies"].append({"selector": f"client-{i}", "nat": "dnat", "to": "server", "port": 8080})
    for i in range(rounds):
        if i and (time.monotonic() - started) * (i + 1) / i > budget_s:
            break
        with Containers(config, {f"client-{i}" for i in range(n)}) as held:
            with Host(config, held.pids) as host, docker_host() as ns:
                stages, _ = host.apply(ns)
                figures.note("commits", stages["commit"][0])
                figures.note("commits cpu", stages["commit"][1])
                figures.note("steps", stages["apply"][0])
                figures.note("steps cpu", stages["apply"][1])
                figures.note("observed", stages["observe_containers"][0] - stages["engine"][0])
                listed = subprocess.run(["nsenter", "-t", str(held.pids[f"client-{n - 1}"]), "-n", "nft", "list", "ruleset"], text=True,
                                        stdout=subprocess.PIPE, check=True).stdout
                if "dnat" not in listed:
                    sys.exit("bench: no translation stands in the last container")
    return figures.medians()


def translations_by_process(n):
    """The same as network-go did it: two iptables processes through nsenter for each container; (wall, processor) ms."""
    config = {"ips": {f"10.100.0.{i + 2}": {"container_name": f"client-{i}"} for i in range(n)}}
    with Containers(config) as held, Namespace() as ns:
        script = "".join(f"nsenter -t {pid} -n iptables-nft -t nat -A {rule}\n" for pid in held.pids.values() for rule in (
            "PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.101.0.2:8080", "POSTROUTING -j MASQUERADE"))
        with tempfile.NamedTemporaryFile("w") as f:
            f.write(script)
            f.flush()
            took = ns.timed("sh", "-e", stdin=f.name)
            return took.wall, took.cpu


def engine_calls(networks, addresses, policies):
    """{what is asked: how often} in one apply, and how many passes that were."""
    config, _ = configs.pairs(policies, containers=addresses, networks=networks)
    with Host(config) as host, docker_host() as ns:
        _, took = host.apply(ns)
        calls = collections.Counter(f"{c[0]} {re.sub('[0-9a-f]{64}', 'ID', c[1])}" for c in host.engine.calls)
        return calls, len([p for p in Timings(took.err).passes if "diff" in p])


def restores(policies, backend):
    """How many *-restore programs the first pass of an apply starts."""
    with Host(configs.graph(policies)) as host, docker_host(backend.split("-")[1]) as ns, \
            tempfile.NamedTemporaryFile() as trace:
        ns.timed("strace", "-f", "-e", "trace=execve", "-o", trace.name, HARBORWALL, "apply", "-q",
                 env={**host.env, "HARBORWALL_BACKEND": backend})
        with open(trace.name, encoding="utf-8", errors="replace") as f:
            return len(re.findall(r'execve\("[^"]*restore".* = 0$', f.read(), re.M))
