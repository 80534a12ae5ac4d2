#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: how long rules take, beside what people run today, in one run of one machine.

Every figure is the median of interleaved rounds in network namespaces of its own; read ratios, not
milliseconds. A table for people on stdout, the same as JSON with --json FILE."""
import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")
sys.path.insert(0, f"{ROOT}/tests/fake")
import dockerd  # noqa: E402


def config_of(n_policies, networks=20, containers=50):
    """A service graph: every policy opens one port of one container to one of another network."""
    r = random.Random(1)
    config, names = {"networks": {}, "ips": {}, "policies": []}, []
    for i in range(networks):
        config["networks"][f"net{i}"] = {"subnet": f"10.100.{i}.0/24"}
        for k in range(containers):
            names.append((i, f"svc-{i}-{k}", f"10.100.{i}.{k + 2}"))
            config["ips"][names[-1][2]] = {"container_name": names[-1][1], "selector": names[-1][1]}
    seen, flows = set(), []
    while len(flows) < n_policies:
        a, b, port = r.choice(names), r.choice(names), r.randint(1, 65535)
        if a[0] == b[0] or (a, b, port) in seen:
            continue
        seen.add((a, b, port))
        flows.append((a[2], b[2], port))
        config["policies"].append({"service_name": "shop", "container_name": b[1], "selector": b[1], "from": a[1],
                                   "port": port, "proto": "tcp"})
    return config, flows


class Namespace:
    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def run(self, *argv, stdin=None, env=None):
        return subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", *argv], input=stdin, text=True, check=True,
                              capture_output=True, env={**os.environ, **(env or {})})

    def timed(self, *argv, stdin=None, env=None):
        started = time.perf_counter()
        done = self.run(*argv, stdin=stdin, env=env)
        return 1000 * (time.perf_counter() - started), done


def restore_text(flows):
    lines = ["*filter", ":BENCH - [0:0]"]
    lines += [f"-A BENCH -s {s}/32 -d {d}/32 -p tcp -m tcp --dport {p} -j ACCEPT" for s, d, p in flows]
    return "\n".join([*lines, "COMMIT", ""])


def nft_linear(flows):
    rules = "\n".join(f"ip saddr {s} ip daddr {d} tcp dport {p} accept" for s, d, p in flows)
    return f"table inet bench {{ chain c {{ type filter hook forward priority 0\n{rules}\n}}\n}}\n"


def nft_set(flows):
    elements = ", ".join(f"{s} . {d} . tcp . {p}" for s, d, p in flows)
    return ("table inet bench { set ok { type ipv4_addr . ipv4_addr . inet_proto . inet_service\n"
            f"elements = {{ {elements} }}\n}}\n chain c {{ type filter hook forward priority 0\n"
            "ip saddr . ip daddr . meta l4proto . th dport @ok accept\n}\n}\n")


def stages(stderr):
    """--timings: {"commit": ms, …} of the first pass."""
    found = {}
    for line in stderr.splitlines():
        if line.startswith("timing "):
            _, name, ms = line.split()
            found.setdefault(name, float(ms))
    return found


def harborwall(folder, engine, backend="nftables"):
    """A first load from file to rules: wall time, and what the program itself says of its stages."""
    with Namespace() as ns:
        env = {"DOCKER_HOST": engine.host, "HARBORWALL_STATE": f"{folder}/state.json", "HARBORWALL_BACKEND": backend,
               "HARBORWALL_LISTEN": f"{folder}/sock"}
        first, done = ns.timed(HARBORWALL, "apply", "-q", "--timings", "-c", f"{folder}/networks.json", env=env)
        again, _ = ns.timed(HARBORWALL, "apply", "-q", "-c", f"{folder}/networks.json", env=env)
        return {"first": first, "again": again, **stages(done.stderr)}


def one_exec_per_rule(flows, tool, n):
    with Namespace() as ns:
        ns.run(tool, "-N", "BENCH")
        script = "\n".join(f"{tool} -I BENCH -s {s} -d {d} -p tcp --dport {p} -j ACCEPT" for s, d, p in flows[:n])
        ms, _ = ns.timed("sh", "-e", stdin=script)
        return ms * len(flows) / n


def with_tool(argv, text):
    with Namespace() as ns:
        return ns.timed(*argv, stdin=text)[0]


def measure(n, rounds):
    config, flows = config_of(n)
    found = {}

    def note(name, value):
        found.setdefault(name, []).append(value)
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/networks.json", "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)
        with dockerd.Engine(folder) as engine:
            for address in config["ips"].values():
                engine.add_container(address["container_name"])
            harborwall(folder, engine)  # makes the networks and connections; not counted
            for i in range(rounds):
                for name, ms in harborwall(folder, engine).items():
                    note(f"harborwall {name}", ms)
                for name, ms in harborwall(folder, engine, "iptables-nft").items():
                    if name == "commit":
                        note("harborwall, backend iptables-nft, commit", ms)
                note("nft -f, one set", with_tool(["nft", "-f", "-"], nft_set(flows)))
                note("iptables-nft-restore", with_tool(["iptables-nft-restore", "--noflush"], restore_text(flows)))
                note("iptables-legacy-restore", with_tool(["iptables-legacy-restore", "--noflush"], restore_text(flows)))
                if n <= 10000:
                    note("nft -f, linear rules", with_tool(["nft", "-f", "-"], nft_linear(flows)))
                if i == 0:
                    part = min(n, 300)
                    for tool in ("iptables-legacy", "iptables-nft"):
                        note(f"{tool}, one exec per rule{'' if part == n else ' (from 300)'}", one_exec_per_rule(flows, tool, part))
    return {name: statistics.median(values) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[10, 1000, 10000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("bench: needs root, for network namespaces")
    print(f"{platform.system()} {platform.release()}, {os.cpu_count()} cpus, median of {options.rounds} rounds, "
          f"{time.strftime('%Y-%m-%d')}")
    results = {}
    for n in options.sizes:
        results[n] = measure(n, options.rounds)
        commit = results[n].get("harborwall commit", 0) or results[n]["harborwall first"]
        print(f"\n{n} policies{'':24}ms   x commit")
        for name, ms in sorted(results[n].items(), key=lambda item: item[1]):
            print(f"  {name:36} {ms:9.2f}   {ms / commit:8.1f}", flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=2)


main()
