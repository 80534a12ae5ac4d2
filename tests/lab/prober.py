# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends the packets: one agent in every endpoint's namespace, all asking all at the same time.

A matrix is a dict (endpoint, dst ip, proto, port) -> (who answered, source address seen) or None.
"""
import collections
import json
import os
import random
import select
import subprocess
import sys
import time

import engine

AGENT = os.path.join(engine.HERE, "agent.py")
TIMEOUT = 0.7  # of a connection that a firewall swallows; open ones answer within milliseconds


class Agent:
    def __init__(self, name, netns):
        self.name = name
        self.inode = os.stat(netns).st_ino
        self.process = subprocess.Popen([sys.executable, "-I", "-S", AGENT, netns, name],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.inbox = b""

    def ask(self, do, **order):
        self.process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")

    def answer(self, timeout=30):
        while b"\n" not in self.inbox:
            if not select.select([self.process.stdout], [], [], timeout)[0]:
                raise engine.LabError(f"agent in {self.name} does not answer")
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                raise engine.LabError(f"agent in {self.name} ended")
            self.inbox += data
        line, self.inbox = self.inbox.split(b"\n", 1)
        answer = json.loads(line)
        if "error" in answer:
            raise engine.LabError(f"agent in {self.name}: {answer['error']}")
        return answer["ok"]

    def do(self, do, **order):
        self.ask(do, **order)
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Prober:
    """Agents for a lab's endpoints: running containers, "host", and named namespaces."""

    def __init__(self, lab, tcp, udp, sctp=()):
        self.lab, self.tcp, self.udp, self.sctp = lab, sorted(tcp), sorted(udp), sorted(sctp)
        self.agents = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for agent in self.agents.values():
            agent.close()
        self.agents = {}

    def agent(self, endpoint):
        """The endpoint's agent; a new one where the namespace is new (a restarted container)."""
        netns = self.lab.netns(endpoint)
        agent = self.agents.get(endpoint)
        if agent and agent.inode == os.stat(netns).st_ino:
            return agent
        if agent:
            agent.close()
        agent = self.agents[endpoint] = Agent(endpoint, netns)
        agent.ask("serve", tcp=self.tcp if endpoint != "host" else [],
                  udp=self.udp if endpoint != "host" else [], sctp=self.sctp if endpoint != "host" else [])
        agent.ask("sniff")
        agent.answer()
        agent.answer()
        return agent

    def matrix(self, sources, targets):
        """sources: endpoints; targets: addresses. Every tested port of every protocol."""
        return self.ask_all({s: [[ip, proto, port] for ip in targets for proto, port in self.ports()] for s in sources})

    def ports(self):
        return [(proto, port) for proto in ("tcp", "udp", "sctp") for port in getattr(self, proto)]

    def ask_all(self, questions, timeout=TIMEOUT):
        """questions: endpoint -> [[ip, proto, port], …]."""
        for name in questions:
            self.agent(name)
        for name, targets in questions.items():
            self.agents[name].ask("probe", targets=targets, timeout=timeout)
        found = {}
        for name, targets in questions.items():
            for target, answer in zip(targets, self.agents[name].answer()):
                found[(name, *target)] = tuple(answer) if answer else None
        return found

    def open(self, source, ip, proto, port, timeout=TIMEOUT):
        """One question: (who, source seen) or None. The target's agent must be there already."""
        return self.ask_all({source: [[ip, proto, port]]}, timeout)[(source, ip, proto, port)]

    def serve_at(self, *endpoints):
        for endpoint in endpoints:
            self.agent(endpoint)

    def spoof(self, attempts):
        """attempts: [(from endpoint, borrowed source, dst ip, proto, port, target endpoint, and where it is not plain how
        it looks: crafted.shaped), …] -> those of them whose packet arrived at the target, or the first piece of it."""
        return self.send_and_listen(attempts, lambda proto: proto != "delivered")

    def deliver(self, attempts):
        """The same of UDP -> those that came to the target's socket, whole."""
        return self.send_and_listen(attempts, lambda proto: proto == "delivered")

    def send_and_listen(self, attempts, counts):
        tokens = {}
        for attempt in attempts:
            attacker, source, ip, proto, port, target, *form = attempt
            token = random.randrange(1, 1 << 32)
            tokens[token] = attempt
            self.agent(target)
            # a source port of its own: no entry of an earlier attempt may answer for it
            sport = random.randrange(20000, 30000)
            self.agent(attacker).do("spoof", messages=[[proto, source, ip, sport, port, token, *form]])
        arrived, end = set(), time.monotonic() + 5
        while True:  # once more after the first has come; where none comes a busy machine is given its time
            time.sleep(0.3)
            settled = bool(arrived)
            for target in {a[5] for a in attempts}:
                for _, _, proto, _, token in self.agent(target).do("heard"):
                    if counts(proto) and token in tokens and tokens[token][5] == target:
                        arrived.add(token)
            if settled or time.monotonic() > end:
                break
        return [tokens[t] for t in tokens if t in arrived]

    def generation(self, endpoint):
        return self.agent(endpoint).do("generation")


Difference = collections.namedtuple("Difference", "missing extra wrong")


def is_as_wanted(answer, want):
    """want: the one who answers, or a tuple of those of whom one does; the sources that it may see."""
    who, sources = want
    return (answer[0] in who if isinstance(who, tuple) else answer[0] == who) and answer[1] in sources


def compare(expected, got):
    """expected: key -> (who, set of acceptable sources) for what must be open; got: a matrix.
    Everything that was probed and is not expected must be closed."""
    missing, extra, wrong = [], [], []
    for key, answer in sorted(got.items()):
        want = expected.get(key)
        if want and want[0] == "?":  # which of several targets is asked is not said, and one of them is closed
            continue
        if want and not answer:
            missing.append((key, want))
        elif answer and not want:
            extra.append((key, answer))
        elif answer and not is_as_wanted(answer, want):
            wrong.append((key, want, answer))
    return Difference(missing, extra, wrong)


def explain(difference):
    """The differences in words, one a line; empty if there is none."""
    lines = []
    for (src, ip, proto, port), want in difference.missing:
        lines.append(f"missing: {src} -> {ip} {proto}/{port} should reach {want[0]}")
    for (src, ip, proto, port), answer in difference.extra:
        lines.append(f"extra:   {src} -> {ip} {proto}/{port} got through to {answer[0]} as {answer[1]}")
    for (src, ip, proto, port), want, answer in difference.wrong:
        lines.append(f"wrong:   {src} -> {ip} {proto}/{port} reached {answer[0]} as {answer[1]}, "
                     f"wanted {want[0]} as {'|'.join(sorted(want[1]))}")
    return "\n".join(lines)


def table(got, names=None, only=None):
    """Who got through, for people. names: address -> how to call it; only: a filter over keys."""
    names = names or {}
    rows = [("from", "to", "port", "result")]
    for (src, ip, proto, port), answer in got.items():
        if only and not only((src, ip, proto, port)):
            continue
        result = f"open: {answer[0]} sees {answer[1]}" if answer else "closed"
        rows.append((src, names.get(ip, ip), f"{port}/{proto}", result))
    widths = [max(len(r[i]) for r in rows) for i in range(3)]
    return "\n".join("  ".join([*(r[i].ljust(widths[i]) for i in range(3)), r[3]]) for r in rows)


class Asking:
    """A world with a bed: which of its questions, each (source, ip, proto, port), somebody answers. A busy machine may be
    late, so those that nobody answered are asked once more, with patience."""

    def answers(self, asked):
        """{question: (who answered, whom it saw)}"""
        def ask(those, timeout):
            by_source = {}
            for source, *target in those:
                by_source.setdefault(source, []).append(target)
            return {key: answer for key, answer in self.bed.prober.ask_all(by_source, timeout).items() if answer}
        found = ask(asked, 0.7)
        return {**found, **ask([a for a in asked if a not in found], 2)}

    def open(self, asked):
        return set(self.answers(asked))

    def assert_open(self, asked):
        found = self.open(asked)
        assert found == set(asked), f"closed: {sorted(set(asked) - found)}"

    def assert_closed(self, asked):
        found = self.open(asked)
        assert not found, f"open: {sorted(found)}"
