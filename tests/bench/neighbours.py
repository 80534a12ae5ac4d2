# SPDX-License-Identifier: GPL-2.0-or-later
"""What a strict network costs between neighbours: the same containers, file and rules of Docker on a plain bridge and on one
whose ports are closed, with br_netfilter and without.

One thread plays both ends (packets.c), each bed has a host and containers of its own, and rounds go from bed to bed."""
import contextlib
import json
import os
import subprocess
import sys

import configs
import enforced
import spaces
from spaces import HARBORWALL, Containers, Figures, Namespace

sys.path.insert(0, f"{spaces.ROOT}/tests/chaos")
import wired  # noqa: E402

BRIDGE, CLIENT, SERVER, PORT, CLOSED_PORT = "neighbours", "10.100.0.2", "10.100.0.3", 5201, 9
CONNECTIONS, ROUND_TRIPS = 1000, 1500
FILTERS = "/proc/sys/net/bridge/bridge-nf-call-iptables"
ENGINES = {20: {}, 28: {"version": "28.5.2", "api": "1.51", "firewall": "iptables"}}
PLAIN, STRICT, BARE = "a plain bridge", "strict", "strict ports, no rules at all"

# In every container of such a network: connections are tracked there, too.
RESOLVER = """*nat
:DOCKER_OUTPUT - [0:0]
:DOCKER_POSTROUTING - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A POSTROUTING -d 127.0.0.11/32 -j DOCKER_POSTROUTING
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:40000
-A DOCKER_POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 40000 -j SNAT --to-source :53
COMMIT
"""


def rules(style, addresses):
    """Docker's, as it writes them for the network and what runs there."""
    law = wired.Law(style)
    tables = law.shared([BRIDGE], [(BRIDGE, "10.100.0.0/24")], [(BRIDGE, ip) for ip in addresses])
    chains = law.own_chains([BRIDGE])
    tables["filter"] = [":FORWARD DROP [0:0]", ":DOCKER-USER - [0:0]", *(f":{chain} - [0:0]" for chain in chains), *tables["filter"],
                        *(f"-A {chain} {rule}" for chain, inside in chains.items() for rule in inside)]
    return "".join("\n".join([f"*{table}", *lines, "COMMIT", ""]) for table, lines in tables.items())


class Bed:
    """Use as a context: a host whose containers sit on one bridge."""

    def __init__(self, style, kind, what):
        self.style, self.kind, self.isolation = style, kind, "docker" if kind == PLAIN else "strict"
        self.config = configs.neighbours(*what, self.isolation, BRIDGE, (CLIENT, SERVER, PORT))
        self.names = {a["container_name"]: ip for ip, a in self.config["ips"].items() if kind != BARE or ip in (CLIENT, SERVER)}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.pids = stack.enter_context(Containers(self.config, set(self.names), links=spaces.WITHOUT_WIRES)).pids
            self.ns = stack.enter_context(Namespace())
            self.wire()
            self.ns.run("iptables-nft-restore", stdin=rules(self.style, self.names.values()))
            host = stack.enter_context(enforced.Host(self.config, self.pids, **ENGINES[self.style]))
            for container in host.engine.containers.values():
                container["ends"] = {"shop": end for name, end in container["ends"].items() if name == "shop"}
                container["ends"]["shop"]["config"]["MacAddress"] = wired.Engine.mac(container["ends"]["shop"]["static"])
            host.apply(self.ns)
            self.check(host)
            if self.kind == BARE:
                self.ns.run("nft", "flush", "ruleset")
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def wire(self):
        lines = [f"link add {BRIDGE} type bridge", f"address add 10.100.0.1/24 dev {BRIDGE}", f"link set {BRIDGE} up"]
        for i, (name, ip) in enumerate(self.names.items()):
            lines += [f"link add veth{i} type veth peer name eth0 address {wired.Engine.mac(ip)} netns {self.pids[name]}",
                      f"link set veth{i} master {BRIDGE} up"]
        self.ns.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")
        for name, ip in self.names.items():
            wired.inside(self.pids[name], "ip", "-batch", "-", stdin=f"address add {ip}/24 dev eth0\nlink set eth0 up\n"
                         "route add default via 10.100.0.1\n")
        for ip in (CLIENT, SERVER):
            wired.inside(self.pid(ip), "iptables-nft-restore", stdin=RESOLVER)
        self.ns.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def pid(self, ip):
        return str(self.pids[self.config["ips"][ip]["container_name"]])

    # -- is it what it is said to be --

    def check(self, host):
        """Nothing is left to do, and every port is as it shall be."""
        done = self.ns.run(HARBORWALL, "plan", "-q", env=host.env, check=False)
        ports = json.loads(self.ns.run("ip", "-d", "-j", "link", "show", "master", BRIDGE).stdout)
        closed = [p["ifname"] for p in ports if all(p["linkinfo"]["info_slave_data"][flag] for flag in ("isolated", "locked"))]
        entries = json.loads(self.ns.run("bridge", "-j", "fdb", "show", "br", BRIDGE).stdout)
        static = [e for e in entries if e.get("state") == "static" and e.get("master") == BRIDGE]
        proxy = self.ns.run("cat", f"/proc/sys/net/ipv4/conf/{BRIDGE}/proxy_arp_pvlan").stdout.strip()
        table = "table bridge harborwall" in self.ns.run("nft", "list", "tables").stdout
        n = len(self.names) if self.isolation == "strict" else 0
        found = (done.returncode, len(ports), len(closed), len(static), proxy, table, self.refuses())
        wanted = (0, len(self.names), n, n, str(int(n > 0)), n > 0, n > 0)
        if found != wanted:
            sys.exit(f"bench: {self.kind}: (plan, ports, closed, entries, proxy, table, refuses) {found}, not {wanted}:\n"
                     f"{done.stdout}{done.stderr}")

    def refuses(self):
        """What no policy lets in: where nothing drops it, the server says that nobody listens."""
        asked = subprocess.run(["nsenter", "-t", self.pid(CLIENT), "-n", "timeout", "0.5", "bash", "-c",
                                f"</dev/tcp/{SERVER}/{CLOSED_PORT}"], stderr=subprocess.DEVNULL, check=False)
        return asked.returncode == 124

    # -- traffic --

    def round(self, filtered):
        if filtered is not None:
            self.ns.run("sh", "-c", f"echo {int(filtered)} >{FILTERS}")
        self.ns.run("conntrack", "-F", check=False)
        argv = [f"{spaces.BUILD}/tests/bench_packets", self.pid(CLIENT), self.pid(SERVER), SERVER, str(PORT), str(CONNECTIONS),
                str(ROUND_TRIPS)]
        return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE).stdout


def ways():
    """{how it is called: whether br_netfilter asks the rules for what a bridge passes}."""
    return {"with br_netfilter": True, "without br_netfilter": False} if os.path.exists(FILTERS) else {"without br_netfilter": None}


def measure(style, what, turns):
    """(wall, cpu) figures in µs: "KIND, WAY: new" and "KIND, WAY: established"."""
    wall, cpu = Figures(), Figures()
    with contextlib.ExitStack() as stack:
        beds = [stack.enter_context(Bed(style, kind, what)) for kind in (PLAIN, STRICT, BARE)]
        for i in range(turns):
            for way, filtered in ways().items():
                for bed in beds[::1 if i % 2 else -1]:
                    enforced.note_lines(wall, cpu, bed.round(filtered), f"{bed.kind}, {way}: ")
    return wall, cpu
