# SPDX-License-Identifier: GPL-2.0-or-later
"""What a packet pays for the rules: client, router and server in namespaces, rules on the router.

One thread plays client and server (packets.c), so that all work of a packet is on its account. Every
set of rules has a trio of namespaces of its own; rounds go from trio to trio."""
import contextlib
import subprocess

import configs
import enforced
from spaces import BUILD, Figures, Namespace

import dockerd

PORT = 5201
CONNECTIONS, ROUND_TRIPS = 3000, 5000
TURNS, PART = 40, 3


class Trio:
    """Use as a context: client – router – server, addresses of two of the file's containers."""

    def __init__(self, n, lists=0, length=0):
        """lists: of so many prefixes, all for the server's port; the client is in the last one."""
        self.config, flows = configs.pairs(n)
        ips = list(self.config["ips"])
        self.client = ips[0]
        self.server = next(ip for ip in ips if ip.rsplit(".", 1)[0] != self.client.rsplit(".", 1)[0])
        self.flows = [*flows, (self.client, self.server, PORT)]
        ends = [self.config["ips"][ip]["container_name"] for ip in (self.client, self.server)]
        sources = [configs.prefixes(length, "country", seed=i) for i in range(lists)] or [[]]
        sources[-1].append(self.client)
        self.config["policies"] += [{"selector": ends[1], "from": s if lists else ends[0], "port": PORT} for s in sources]
        for i, ip in ((0, self.client), (2, self.server)):  # the iptables backends tie a source to its bridge
            network = next(n for n in self.config["networks"].values() if n["subnet"] == f"{ip.rsplit('.', 1)[0]}.0/24")
            network["bridge_name"] = f"port{i}"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.spaces = [stack.enter_context(Namespace()) for _ in range(3)]
            router = self.spaces[1]
            for i, address in ((0, self.client), (2, self.server)):
                gateway = f"{address.rsplit('.', 1)[0]}.1"
                router.run("ip", "link", "add", f"port{i}", "type", "veth", "peer", "name", "eth0", "netns",
                           str(self.spaces[i].pid))
                router.run("ip", "address", "add", f"{gateway}/24", "dev", f"port{i}")
                router.run("ip", "link", "set", f"port{i}", "up")
                self.spaces[i].run("ip", "address", "add", f"{address}/24", "dev", "eth0")
                self.spaces[i].run("ip", "link", "set", "eth0", "up")
                self.spaces[i].run("ip", "route", "add", "default", "via", gateway)
            router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def round(self, part):
        self.spaces[1].run("conntrack", "-F", check=False)
        argv = [f"{BUILD}/tests/bench_packets", str(self.spaces[0].pid), str(self.spaces[2].pid), self.server, str(PORT),
                str(CONNECTIONS // part), str(ROUND_TRIPS // part)]
        return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout

    # -- rules of the router --

    def nothing(self):
        pass

    def ours(self, backend):
        router = self.spaces[1]
        router.run("iptables-legacy-restore" if "legacy" in backend else "iptables-nft-restore", stdin=dockerd.DOCKER_RULES)
        with enforced.Host(self.config) as host:
            host.apply(router, backend)

    def iptables(self, variant):
        rules = [f"-A FORWARD -s {s}/32 -d {d}/32 -p tcp -m tcp --dport {p} -j ACCEPT" for s, d, p in self.flows]
        self.spaces[1].run(f"iptables-{variant}-restore", stdin="\n".join(
            ["*filter", ":FORWARD DROP [0:0]", "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT", *rules,
             "COMMIT", ""]))

    def nft_linear(self):
        rules = "\n".join(f"ip saddr {s} ip daddr {d} tcp dport {p} accept" for s, d, p in self.flows)
        self.spaces[1].run("nft", "-f", "-", stdin="table ip bench { chain c { type filter hook forward priority 0; policy "
                           f"drop;\nct state established,related accept\n{rules}\n}}\n}}\n")


KINDS = {"no rules at all": (Trio.nothing, (), (0,), (0,)),
         "harborwall, nftables": (Trio.ours, ("nftables",), (0, 1000, 10000, 100000), (0, 10000)),
         "harborwall, iptables-nft": (Trio.ours, ("iptables-nft",), (0, 1000, 10000), ()),
         "harborwall, iptables-legacy": (Trio.ours, ("iptables-legacy",), (0, 1000, 10000), ()),
         "iptables-legacy, one rule a policy": (Trio.iptables, ("legacy",), (0, 1000, 10000), (10000,)),
         "iptables-nft, one rule a policy": (Trio.iptables, ("nft",), (0, 1000, 10000), ()),
         "nft, one rule a policy": (Trio.nft_linear, (), (0, 1000, 10000), ())}


LISTS = {"one list of 10000": (1, 10000), "one list of 50000": (1, 50000), "ten lists of 1000": (10, 1000)}


def measure(rounds, quick, pair):
    """(wall, cpu) figures in µs: "KIND, N: new" and "KIND, N: established". And once more, as "beside: KIND, N: …", for a
    pair of them and for lists, in short turns: what the machine does in between, it does to all."""
    wall, cpu = Figures(), Figures()
    with contextlib.ExitStack() as stack:
        trios = {}
        for kind, (load, arguments, sizes, quick_sizes) in KINDS.items():
            for n in quick_sizes if quick else sizes:
                trios[f"{kind}, {n}"] = trio = stack.enter_context(Trio(n))
                load(trio, *arguments)
        beside = {name: trios[name] for name in pair}
        for name, shape in {} if quick else LISTS.items():
            beside[name] = stack.enter_context(Trio(0, *shape))
            beside[name].ours("nftables")
        for i in range(rounds):
            for name, trio in list(trios.items())[::1 if i % 2 else -1]:
                enforced.note_lines(wall, cpu, trio.round(3 if quick else 1), f"{name}: ")
        for i in range(TURNS):
            for name, trio in list(beside.items())[::1 if i % 2 else -1]:
                enforced.note_lines(wall, cpu, trio.round(PART), f"beside: {name}: ")
    return wall, cpu
