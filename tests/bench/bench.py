#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""make bench: how long rules take and what packets pay for them, beside what people run today.

Everything is measured in one run, round by round side by side, in network namespaces of its own; read
ratios of medians, not milliseconds. Ends with what was wanted and what was measured: processor time
(the kernel's work included) wherever it can be told, so that a busy machine says the same."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import configs
import enforced
import neighbours
import packets
import spaces
from spaces import ENFORCED, PASS, Criteria, Figures, total

STAGES = ("read", "parse", "resolve", "observe_host", "compile", "encode", "observe_containers", "diff", "apply")


def plan(quick):
    """What is measured: {policies: (rounds, seconds they may take)}, and how much of the rest."""
    if quick:
        return {"sizes": {1000: (3, 8), 10000: (1, 10)}, "graphs": {1000: (1, 5)}, "few": (1000, 20, 3, 5), "dual": (1000, 3, 5),
                "iptables_most": 1000, "execs_s": 1,
                "lists": {1000: ("disjoint", "country")}, "members": (100,), "list_rounds": 1, "big": 10000, "changes": (1, 2), "idle": (1000, 20), "spaces": (200, 1, 10), "calls": (50, 500, (500, 5000)),
                "packets": 3, "neighbours": ((28,), 8)}
    return {"sizes": {10: (5, 10), 1000: (7, 60), 10000: (5, 80), 100000: (3, 120)},
            "graphs": {1000: (3, 15), 10000: (3, 30), 100000: (1, 30)}, "few": (10000, 100, 9, 20), "dual": (10000, 9, 30),
            "iptables_most": 10000, "execs_s": 8,
            "lists": {10000: ("disjoint", "nested", "country"), 50000: ("adjacent", "disjoint", "country"), 100000: ()}, "members": (1000, 3000), "list_rounds": 3,
            "big": 100000, "changes": (5, 3), "idle": (10000, 100), "spaces": (200, 3, 40), "calls": (1000, 10000, (1000, 100000)),
            "packets": 7, "neighbours": (neighbours.ENGINES, 40)}


def environment():
    def first_line(*argv):
        return subprocess.run(argv, text=True, stdout=subprocess.PIPE, check=False).stdout.splitlines()[0]
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    return {"date": time.strftime("%Y-%m-%d"), "kernel": platform.release(), "cpus": os.cpu_count(), "cpu": model,
            "load": os.getloadavg()[0], "nft": first_line("nft", "--version"),
            "iptables": first_line("iptables-nft", "--version"),
            "harborwall": first_line(spaces.HARBORWALL, "--version")}


def print_load(n, kind, wall, cpu):
    """From the file to rules: what we take, stage by stage, and what others take."""
    ours = cpu.median("harborwall")
    rows = [(name, [wall.median(name), cpu.median(name), cpu.median(name) / ours] if name in cpu.values else
             [wall.median(name), None, None])
            for name in wall.values if ":" not in name or "commit" in name or name.startswith("transaction")]
    rows += [(f"    {stage}", [wall.median(f"harborwall: {stage}"), cpu.median(f"harborwall: {stage}"), None])
             for stage in ("engine", *STAGES) if f"harborwall: {stage}" in wall.values]
    rows = [row for row in rows if "bytes" not in row[0]]
    spaces.table(f"{n} policies, {kind}, {len(wall.values['harborwall'])} rounds: ms", ["wall", "processor", "x ours"], rows)


def judge_rest(criteria, what, cpu):
    """Everything but the JSON library's own parse within the kernel's time again: the library's is what it takes for
    the same file in the same rounds. What we take is all of it, for most of the file is read without the library."""
    budget = cpu.median("core: json") + 2 * cpu.median("transaction: kernel")
    criteria.at_most(f"file to enforced / (the JSON library's own parse + twice the kernel), {what}",
                     cpu.median("harborwall") / budget, 1,
                     f"(all of it is {cpu.median('harborwall') / cpu.median('transaction: kernel'):.1f} times the kernel)")


def judge_load(criteria, n, wall, cpu):
    if n >= 1000:
        criteria.at_most(f"commit / the kernel's own time, {n} policies",
                         cpu.ratio("transaction: ours", "transaction: kernel"), 1.15)
    criteria.at_most(f"one policy changed, kernel, {n} policies", 1000 * cpu.median("transaction: change_kernel"), 20, "us")
    if n == 1000:
        criteria.at_least("commit faster than iptables-nft-restore, 1000 policies",
                          cpu.median("iptables-nft-restore / ours"), 30, "times")
    if n >= 10000:
        criteria.at_most(f"file to enforced / iptables-nft-restore, {n} policies",
                         cpu.ratio("harborwall", "iptables-nft-restore"), 1 / 3)
        judge_rest(criteria, f"{n} policies", cpu)
    for backend in ("iptables-nft", "iptables-legacy"):
        if n >= 1000 and f"harborwall {backend}: commit" in wall.values:
            criteria.at_most(f"{backend}: our restore / the bare one, {n} policies",
                             wall.ratio(f"harborwall {backend}: commit", f"{backend}-restore of the same text"), 1.2,
                             "(by the clock)")


def loads(what, criteria, results):
    commit_1000 = None
    for n, (rounds, budget_s) in what["sizes"].items():
        wall, cpu = enforced.load(n, rounds, "pairs", what["iptables_most"], budget_s)
        print_load(n, "one rule each", wall, cpu)
        judge_load(criteria, n, wall, cpu)
        results[f"pairs {n}"] = {"wall": wall.medians(), "processor": cpu.medians()}
        commit_1000 = cpu.median("transaction: ours") if n == 1000 else commit_1000
    for n, (rounds, budget_s) in what["graphs"].items():
        wall, cpu = enforced.load(n, rounds, "graph", min(1000, what["iptables_most"]), budget_s)
        print_load(n, "a service graph", wall, cpu)
        results[f"graph {n}"] = {"wall": wall.medians(), "processor": cpu.medians()}
    n, few, rounds, budget_s = what["few"]
    wall, cpu = enforced.load(n, rounds, "few", 0, budget_s, few)
    print_load(n, f"one rule each, {few} containers", wall, cpu)
    judge_rest(criteria, f"{n} policies, {few} containers", cpu)
    results[f"pairs {n}, {few} containers"] = {"wall": wall.medians(), "processor": cpu.medians()}
    n, rounds, budget_s = what["dual"]
    wall, cpu = enforced.load(n, rounds, "dual", 0, budget_s)
    print_load(n, "one rule each, in both families", wall, cpu)
    criteria.at_most(f"commit / the kernel's own time, {n} policies in both families",
                     cpu.ratio("transaction: ours", "transaction: kernel"), 1.15)
    results[f"pairs {n}, both families"] = {"wall": wall.medians(), "processor": cpu.medians()}
    execs = enforced.one_process_per_rule(1000, what["execs_s"])
    spaces.table("1000 policies, as network-go did (made out of so many): ms", ["wall", "processor", "made of", "x commit"],
                 [(name, [ms, cpu, done, cpu / commit_1000]) for name, (ms, cpu, done) in execs.items()])
    results["one process per rule, 1000"] = execs
    for name in ("iptables-legacy", "iptables-nft"):
        _, ms, done = execs[f"{name}, one process per rule"]
        criteria.at_least(f"commit faster than one {name} per rule, 1000 policies", ms / commit_1000, 1000,
                          f"times (made out of {done})")


def life(what, criteria, results):
    """Each round with a daemon of its own: a load is compared with the changes behind it."""
    n, rounds, each = what["big"], *what["changes"]
    figures = Figures()
    for _ in range(rounds):
        first, ports, ranges, early, late = enforced.daemon_life(n, each)
        figures.note("first", total(first, ENFORCED, 1))
        for kind, changes in (("ports", ports), ("ranges", ranges)):
            figures.note(kind, statistics.median(total(one, PASS, 1) for one in changes))
        figures.note("resolve", statistics.median(one["resolve"][1] for one in ports))
    changed, whole = figures.ratio("ports", "first"), figures.ratio("ranges", "first")
    spaces.table(f"the daemon, {n} policies: processor ms", ["ms", "/ first", "MB peak", "MB after"],
                 [("the first load, from read to commit", [figures.median("first"), 1, *early]),
                  ("the pass after one policy's port changed", [figures.median("ports"), changed, None, None]),
                  ("    of which resolve", [figures.median("resolve"), None, None, None]),
                  ("the pass after one policy became a range", [figures.median("ranges"), whole, None, None]),
                  (f"after {2 * each} changes", [None, None, *late])])
    results["daemon"] = {"policies": n, **figures.medians(), "changed / first": changed, "memory": early, "later": late}
    criteria.at_most(f"one policy changed: the pass / the first load, {n} policies", changed, 1 / 4)
    criteria.at_most(f"peak memory, {n} policies", early[0], 300, "MB")
    criteria.at_most(f"RssAnon after the pass, {n} policies", early[1], 20, "MB")


def idle(what, criteria, results):
    policies, containers = what["idle"]
    first, found, stages = enforced.nothing_changed(configs.graph(policies, containers=containers), 5)
    spaces.table(f"nothing changed, {policies} policies, {containers} running containers: processor ms", ["ms", "/ first"],
                 [("the first load", [first, 1]), *((f"a pass for a {why}", [ms, ms / first]) for why, ms in found.items()),
                  *((f"    {stage}", [cpu, None]) for stage, (_, cpu) in stages.items())])
    wrote, writes = enforced.netlink_writes(policies // 10, containers // 10)
    results["nothing changed"] = {"first": first, **found, "writes": writes}
    if not wrote:
        sys.exit("bench: strace saw no netlink write in a first load: it sees none at all")
    criteria.at_most("nothing changed: netlink writes in 3 passes", writes, 0)
    for why, ms in found.items():
        criteria.at_most(f"nothing changed: pass for a {why} / the first load", ms / first, 1 / 20)


def print_list(what, wall, cpu, elements):
    names = [("compile", "harborwall: compile"), ("commit", "harborwall: commit"),
             ("the kernel alone: the same bytes", "transaction: kernel"), ("the pass behind it, that confirms it", "confirmed"),
             ("one policy goes or comes: the kernel alone", "transaction: change_kernel"), (enforced.RESTORE, enforced.RESTORE)]
    rows = [("from file to enforced", [wall.median("harborwall"), cpu.median("harborwall")])]
    rows += [(f"    {said}", [wall.median(name), cpu.median(name)]) for said, name in names if name in cpu.values]
    spaces.table(f"{what}, {elements} elements: ms", ["wall", "processor"], rows)


def lists(what, criteria, results):
    """Lists of sources as people have them, one policy each; services; ranges."""
    singles = {}
    for n, kinds in what["lists"].items():
        for kind in ("single", *kinds, *(f"{kind} in one list" for kind in kinds)):
            config, flows = configs.outside(n, kind.split()[0], "list" in kind)
            wall, cpu, elements = enforced.list_load(config, flows if (kind,) == kinds[-1:] else (), what["list_rounds"], "drop")
            print_list(f"{n} sources, {kind}", wall, cpu, elements)
            results[f"{n} sources, {kind}"] = {"elements": elements, **cpu.medians()}
            if kind == "single":
                singles[n] = cpu.median("harborwall: compile")
                bound = 2 * wall.median("transaction: kernel") + wall.median("harborwall: read") + wall.median("harborwall: parse")
                criteria.at_most(f"file to enforced / (twice the kernel's own time, read and parse), {n} single sources",
                                 wall.median("harborwall") / bound, 1)
                continue
            first, found, _ = enforced.nothing_changed(config, what["list_rounds"])
            criteria.at_most(f"compile / that of single addresses, {n} {kind} sources", cpu.median("harborwall: compile") / singles[n], 3)
            for why, ms in found.items():
                criteria.at_most(f"nothing changed: pass for a {why} / the first load, {n} {kind} sources", ms / first, 1 / 20)
            criteria.at_most(f"one source more or less, kernel, {n} {kind} sources", cpu.median("transaction: change_kernel"), 1, "ms")
            if enforced.RESTORE in cpu.values:
                criteria.at_most(f"file to enforced / iptables-nft-restore, {n} {kind} sources",
                                 cpu.median("harborwall") / cpu.median(enforced.RESTORE), 1 / 3)
    for name, config, most, compile_ms in (*((f"a service of {n} to a service of {n}", configs.services(n), 10 * n, 0.02 * n)
                                             for n in what["members"]),
                                           ("1000 policies between 10 services of 20", configs.mesh(1000, 10, 20), 20000, None),
                                           ("20000 port ranges of one pair", configs.ranges(20000), None, 100)):
        wall, cpu, elements = enforced.list_load(config, (), what["list_rounds"], "none")
        print_list(name, wall, cpu, elements)
        results[name] = {"elements": elements, **cpu.medians()}
        if most:
            criteria.at_most(f"elements, {name}", elements, most)
        if compile_ms:
            criteria.at_most(f"compile, {name}", cpu.median("harborwall: compile"), compile_ms, "ms")
        criteria.at_most(f"commit / the kernel's own time, {name}", cpu.median("harborwall: commit") / cpu.median("transaction: kernel"), 2)


def containers(what, criteria, results):
    n, *most = what["spaces"]
    found = enforced.spaces(n, *most)
    part = 10
    rival = [ms * n / part for ms in enforced.translations_by_process(part)]
    spaces.table(f"{n} containers with a translation each: ms", ["wall", "processor"],
                 [("their transactions and the host's", [found["commits"], found["commits cpu"]]),
                  ("all steps, forwarding and routes too", [found["steps"], found["steps cpu"]]),
                  ("their namespaces opened and read", [found["observed"], None]),
                  (f"nsenter iptables, as network-go did (made out of {part})", rival)])
    results["containers"] = {**found, "by process": rival}
    criteria.at_most(f"{n} containers' namespaces programmed", found["commits cpu"], 20, "ms")


def calls(what, criteria, results):
    networks, addresses, sizes = what["calls"]
    found = {n: enforced.engine_calls(networks, addresses, n) for n in sizes}
    names = sorted({name for asked, _ in found.values() for name in asked})
    spaces.table(f"calls to the engine, {networks} networks, {addresses} addresses", [f"{n} pol." for n in sizes],
                 [(name, [found[n][0][name] for n in sizes]) for name in names])
    few, many = (found[n] for n in sizes)
    lists = max(many[0][name] for name in ("GET /networks", "GET /containers/json"))
    results["engine calls"] = {str(n): dict(asked) for n, (asked, _) in found.items()}
    criteria.at_most("calls to the engine that more policies cause", sum(many[0].values()) - sum(few[0].values()), 0)
    criteria.at_most("lists fetched per pass", lists / many[1], 1)
    criteria.at_most("iptables backend: restores of the host's first pass", enforced.restores(100, "iptables-nft"), 1)


def data_plane(what, criteria, results, quick):
    many, one = (f"harborwall, nftables, {n}" for n in (what["big"], 0))
    wall, cpu = packets.measure(what["packets"], quick, (many, one))
    names = [name[:-len(": new")] for name in cpu.values if name.endswith(": new") and not name.startswith("beside: ")]
    spaces.table("packets: processor us", ["new conn.", "established"],
                 [(name, [cpu.median(f"{name}: new"), cpu.median(f"{name}: established")]) for name in sorted(names)])
    results["packets"] = {"wall": wall.medians(), "processor": cpu.medians()}
    criteria.at_most(f"a new connection at {what['big']} policies / at one",
                     cpu.ratio(f"beside: {many}: new", f"beside: {one}: new"), 1.05)
    for name in () if quick else packets.LISTS:
        criteria.at_most(f"a new connection by {name} prefixes / by one policy", cpu.ratio(f"beside: {name}: new", f"beside: {one}: new"),
                         1.15 if "ten" in name else 1.1)


def between(what, criteria, results):
    """Neighbours of a strict network beside those of a plain bridge."""
    engines, turns = what["neighbours"]
    for style in engines:
        wall, cpu = neighbours.measure(style, (50, 500), turns)
        names = [name[:-len(": new")] for name in cpu.values if name.endswith(": new")]
        spaces.table(f"neighbours, Docker {style}, 50 containers, 500 policies: processor us", ["new conn.", "established"],
                     [(name, [cpu.median(f"{name}: new"), cpu.median(f"{name}: established")]) for name in sorted(names)])
        results[f"neighbours, docker {style}"] = {"wall": wall.medians(), "processor": cpu.medians()}
        for way in neighbours.ways():
            for kind, said, most in (("new", "a new connection", 1.1), ("established", "an established packet", 1.3)):
                strict, bare = (cpu.ratio(f"{one}, {way}: {kind}", f"{neighbours.PLAIN}, {way}: {kind}")
                                for one in (neighbours.STRICT, neighbours.BARE))
                criteria.at_most(f"{said} of strict neighbours / of a plain bridge, {way}, Docker {style}", strict, most,
                                 f"(the host's stack without any rule: {bare:.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["all", "quick"], default="all", help="quick: a minute, not ten")
    parser.add_argument("--json", metavar="FILE", help="the figures once more, for programs")
    parser.add_argument("--only", metavar="PARTS", help="some of loads,lists,life,idle,containers,calls,packets,neighbours")
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("bench: needs root, for network namespaces")
    quick = options.what == "quick"
    what, criteria, results, started = plan(quick), Criteria(), {"environment": environment()}, time.monotonic()
    print(", ".join(f"{name} {value}" for name, value in results["environment"].items()))
    parts = {"loads": loads, "lists": lists, "life": life, "idle": idle, "containers": containers, "calls": calls,
             "packets": lambda *three: data_plane(*three, quick), "neighbours": between}
    held = spaces.hooks_in_use()
    for name, part in parts.items():
        if not options.only or name in options.only.split(","):
            part(what, criteria, results)
            print(f"({name}: {time.monotonic() - started:.0f} s since the start)", flush=True)
    held.__exit__()
    print()
    criteria.print()
    results["criteria"] = criteria.items
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=2)


main()
