# SPDX-License-Identifier: GPL-2.0-or-later
"""A host boots: the daemon starts before the engine, the engine starts its containers before it answers anybody, and they send
from their first moment. What no policy allows passes at no time, by counters behind every other hook."""
import bed as beds
import engine
import pytest
from conftest import need_engine
from seed import WITH_IPV6

WEB, WEB6, OLD, OLD6 = "172.18.103", "fd18:103:", "172.18.105", "fd18:105:"
SHOP, SHOP6, TILL, TILL6, ALLOWED, ALLOWED6 = f"{WEB}.2", f"{WEB6}:2", f"{OLD}.2", f"{OLD6}:2", f"{WEB}.3", f"{WEB6}:3"
OUT = [beds.PEER_IP, beds.PEER_IP6]
# who -> (the size of its requests, by which the counters tell them, where they go)
SENDERS = {"shop": (101, OUT), "till": (102, OUT), "allowed": (103, OUT), "guest": (104, OUT), "stranger": (105, [SHOP, SHOP6])}
HOMES = {"shop": ("web", SHOP, SHOP6), "till": ("old", TILL, TILL6), "allowed": ("web", ALLOWED, ALLOWED6),
         "guest": ("elsewhere", "172.30.5.2", "fd30:5::2"), "stranger": ("elsewhere", "172.30.5.3", "fd30:5::3")}
ALL = [f"{who}{family}" for who in SENDERS for family in (4, 6)]
OPEN = [name for name in ALL if name.startswith(("allowed", "guest"))]
CLOSED = [name for name in ALL if name not in OPEN]
CONFIG = {"networks": {"web": {"subnet": f"{WEB}.0/24", "subnet6": f"{WEB6}:/64", "egress": "deny"},
                       "old": {"subnet": f"{OLD}.0/24", "subnet6": f"{OLD6}:/64", "egress": "deny"}},
          "ips": {SHOP: {"ip6": SHOP6, "container_name": "shop"}, ALLOWED: {"ip6": ALLOWED6, "container_name": "allowed"},
                  TILL: {"ip6": TILL6, "container_name": "till"}},
          "policies": [{"container_name": "allowed", "to": OUT, "proto": "icmp"}]}
SEND = "trap 'exit 0' TERM; while :; do for ip in {ips}; do ping -c 1 -W 1 -s {size} $ip & done; usleep 50000; done >/dev/null 2>&1"
LISTEN = """import os, socket, sys
s = socket.socket(socket.AF_UNIX, int(sys.argv[2]))
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
s.bind(sys.argv[1])
if int(sys.argv[2]) == socket.SOCK_STREAM:
    s.listen(50)
print("listens", file=sys.stderr, flush=True)
while True:
    print(s.recv(4096).decode() if int(sys.argv[2]) == socket.SOCK_DGRAM else sys.stdin.read() or __import__("time").sleep(999), file=sys.stderr, flush=True)
"""
STREAM, DATAGRAM = "1", "2"
# nobody writes Docker's drops in the third
ENGINES = [("20", ()), ("28", ()), ("28", ("--iptables=false", "--ip6tables=false"))]
every_engine = pytest.mark.parametrize("version, options", ENGINES, ids=["docker 20", "docker 28", "docker 28 without iptables"])


class Host:
    """Has run harborwall for a while: the last good generation is saved. "old" was made by somebody else."""
    config, senders, homes = CONFIG, SENDERS, HOMES

    def __init__(self, lab, backend):
        self.lab, self.docker = lab, lab.docker
        lab.peer()
        self.bed = beds.Bed(lab, self.config, env={"HARBORWALL_BACKEND": backend})
        self.docker.create_network("old", f"{OLD}.0/24", f"{OLD}.1", subnet6=f"{OLD6}:/64")
        self.docker.create_network("elsewhere", "172.30.5.0/24", subnet6="fd30:5::/64")
        self.old = self.docker.networks()["old"]["Id"]
        self.bed.apply()  # makes "web"
        for name, (size, ips) in self.senders.items():
            self.create(name, self.command(size, ips))
        daemon = self.bed.run_daemon()
        daemon.wait_log("following the engine")
        assert engine.wait_for(lambda: self.bed.harborwall("plan", "-q").returncode == 0), daemon.log()
        daemon.end()

    @staticmethod
    def command(size, ips):
        return SEND.format(size=size, ips=" ".join(ips))

    def create(self, name, command):
        network, ip, ip6 = self.homes[name]
        self.docker.call("POST", f"/containers/create?name={name}", {
            "Image": "bb", "Cmd": ["sh", "-c", command], "HostConfig": {"NetworkMode": network, "RestartPolicy": {"Name": "always"}},
            "NetworkingConfig": {"EndpointsConfig": {network: {"IPAMConfig": engine.ipam(ip, ip6)}}}})
        self.docker.start(name)

    def listen(self, path, kind):
        spawned = self.lab.spawn("python3", "-u", "-c", LISTEN, path, kind)
        spawned.wait_log("listens")
        return spawned

    def shut_down(self):
        """What a boot leaves of it all: files. And counters, behind every chain of others."""
        self.lab.engine("stop")
        self.lab.run("sh", "-c", """
            for tool in iptables ip6tables; do for table in filter nat raw mangle; do
                $tool -t $table -F; $tool -t $table -X
                for chain in $($tool -t $table -S | sed -n 's/^-P \\([A-Z]*\\) .*/\\1/p'); do $tool -t $table -P $chain ACCEPT; done
            done; done 2>/dev/null
            nft flush ruleset
            for link in $(ip -o link show type bridge | cut -d: -f2); do ip link del $link; done""")
        self.count()

    def count(self):
        rules = [f"{icmp} type echo-request meta length {header + 8 + size} counter name {who}{family}" for who, (size, _) in self.senders.items()
                 for family, icmp, header in ((4, "icmp", 20), (6, "icmpv6", 40))]
        counters = "".join(f"counter {who}{family} {{ }}\n" for who in self.senders for family in (4, 6))
        self.lab.run("nft", "-f", "-", stdin="table inet seen {\n" + counters + "chain behind { type filter hook postrouting priority 400;\n"
                     + "\n".join(rules) + "\n}\n}\n")

    def counters(self):
        text = self.lab.run("nft", "list", "counters", "table", "inet", "seen").stdout.split()
        return {text[i + 1]: int(text[i + 4]) for i, word in enumerate(text) if word == "counter"}

    def passed(self, names=ALL):
        return {name for name, n in self.counters().items() if n} & set(names)

    def wait_for_senders(self):
        assert engine.wait_for(lambda: all(c["State"]["Running"] for c in self.docker.containers().values())), self.lab.log()[-2000:]


@pytest.fixture
def host(version, options, backend):
    need_engine(version)
    with engine.Lab("boot", version, legacy=backend == "iptables-legacy", options=[*WITH_IPV6, *options]) as lab:
        host = Host(lab, backend)
        with host.bed:
            yield host


BACKENDS = ["nftables", "iptables-nft", "iptables-legacy"]


@every_engine
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("socket", [False, True], ids=["no socket", "docker.socket"])
def test_nothing_passes_between_a_boot_and_the_first_pass(host, socket):
    """The order of the unit: the engine starts when the daemon is ready. docker.socket listens before that, and nobody answers
    there."""
    host.shut_down()
    manager = host.listen("/run/notify", DATAGRAM)
    listener = socket and host.listen("/run/docker.sock", STREAM)
    daemon = host.bed.run_daemon(env={"NOTIFY_SOCKET": "/run/notify"})
    assert engine.wait_for(lambda: "READY=1" in manager.log(), timeout=8), f"Docker's start waits for this: {daemon.log()}"
    if socket:
        listener.end(9)
    host.lab.engine("start")
    host.wait_for_senders()
    assert engine.wait_for(lambda: host.passed(OPEN) == set(OPEN), timeout=30), (host.counters(), daemon.log())
    assert not host.passed(CLOSED), (host.counters(), daemon.log())
    assert engine.wait_for(lambda: host.bed.harborwall("plan", "-q").returncode == 0, timeout=30), daemon.log()
    assert not host.passed(CLOSED), (host.counters(), daemon.log())
    daemon.end()


@every_engine
@pytest.mark.parametrize("backend", ["nftables"])
def test_without_the_daemon_before_it_everything_passes(host, options):
    """What the test above would see."""
    host.shut_down()
    host.lab.engine("start")
    host.wait_for_senders()
    seen = [name for name in ALL if "stranger" not in name or options]  # between networks Docker closes where it writes rules
    assert engine.wait_for(lambda: host.passed() >= set(seen)), host.counters()


one_engine = pytest.mark.parametrize("version, options, backend", [("28", (), "nftables")], ids=["docker 28"])
CLOSES, CLOSES_NOTHING = "networks are closed until the engine answers", "nothing is closed before the first pass"


def handles(host):
    """Of our table and all that is in it: other ones if it was made again."""
    return [line for line in host.lab.run("nft", "-sa", "list", "table", "inet", "harborwall").stdout.splitlines() if "# handle" in line]


@one_engine
def test_rules_that_stand_are_not_touched(host):
    before = handles(host)
    manager = host.listen("/run/notify", DATAGRAM)
    host.lab.engine("stop")
    daemon = host.bed.run_daemon(env={"NOTIFY_SOCKET": "/run/notify"})
    assert engine.wait_for(lambda: "READY=1" in manager.log(), timeout=8)
    assert handles(host) == before
    host.lab.engine("start")
    daemon.wait_log("following the engine", timeout=30)
    assert CLOSES not in daemon.log() and CLOSES_NOTHING not in daemon.log()
    assert handles(host)[0] == before[0]
    daemon.end()


@one_engine
@pytest.mark.parametrize("left", [None, "{"], ids=["lost", "broken"])
def test_without_a_last_good_file_the_first_pass_closes_and_the_log_says_so(host, left):
    host.shut_down()
    path = "/var/lib/harborwall/last-good.json"
    host.lab.run("tee" if left else "rm", path, stdin=left or "")
    manager = host.listen("/run/notify", DATAGRAM)
    daemon = host.bed.run_daemon(env={"NOTIFY_SOCKET": "/run/notify"})
    assert engine.wait_for(lambda: "READY=1" in manager.log(), timeout=8)
    assert daemon.log().count(CLOSES_NOTHING) == 1
    assert "egress" in host.lab.run("nft", "list", "table", "inet", "harborwall").stdout  # no socket: the file alone, before Docker
    daemon.end()


@one_engine
def test_a_network_that_left_the_file_is_closed_until_the_engine_answers(host):
    """And clear takes away what stands without a first pass."""
    host.shut_down()
    host.bed.write({**CONFIG, "networks": {"web": CONFIG["networks"]["web"]}, "ips": {k: v for k, v in CONFIG["ips"].items() if k != TILL}})
    listener = host.listen("/run/docker.sock", STREAM)
    daemon = host.bed.run_daemon()
    daemon.wait_log(CLOSES)
    bridge = "br-" + host.old[:12]
    assert bridge in host.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    daemon.end()  # TERM while the first pass waits: the rules stay
    assert bridge in host.lab.run("nft", "list", "table", "inet", "harborwall").stdout
    listener.end(9)
    host.lab.engine("start")
    daemon = host.bed.run_daemon()
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: bridge not in host.lab.run("nft", "list", "set", "inet", "harborwall", "denied").stdout)
    daemon.end()
    host.bed.harborwall("clear", "--yes", check=True)
    assert "harborwall" not in host.lab.run("nft", "list", "tables").stdout
