# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict network while the host boots, and while the engine, the daemon and containers start again: containers send from their
first moment, and what no policy allows comes out of no port of the bridge at any time, by counters behind every other hook there."""
import signal
import time

import engine
import pytest
from conftest import need_engine
from seed import WITH_IPV6
from test_start import DATAGRAM, STREAM, WEB, WEB6, Host

SHOP, SHOP6, TILL, TILL6, SAFE, SAFE6 = f"{WEB}.2", f"{WEB6}:2", f"{WEB}.3", f"{WEB6}:3", f"{WEB}.4", f"{WEB6}:4"
ALL_NODES = "ff02::1%eth0"
SIZES = {"till": (101, [SHOP, SHOP6]), "shop": (102, [TILL, TILL6, ALL_NODES]), "safe": (103, [SHOP, SHOP6, ALL_NODES]), "guest": (104, [SHOP, SHOP6]),
         "stranger": (105, [SHOP, SHOP6])}
RAW = "raw"  # frames for everybody that the table of family bridge does not know: ARP of nobody
OPEN = ["till4", "till6"]
CLOSED = [f"{who}{family}" for who in SIZES if who != "till" for family in (4, 6)] + [RAW]
COUNT = """table bridge seen {{ }}
delete table bridge seen
table bridge seen {{
{counters}
chain behind {{
type filter hook postrouting priority 400;
arp daddr ip 203.0.113.9 arp saddr ip 0.0.0.0 counter name raw
{rules}
}}
}}
"""


class StrictHost(Host):
    config = {"networks": {"web": {"subnet": f"{WEB}.0/24", "subnet6": f"{WEB6}:/64", "isolation": "strict"}},
              "ips": {ip: {"ip6": ip6, "container_name": who} for who, ip, ip6 in (("shop", SHOP, SHOP6), ("till", TILL, TILL6), ("safe", SAFE, SAFE6))},
              "policies": [{"container_name": "shop", "from": "till", "proto": "icmp"}]}
    senders = SIZES
    homes = {"shop": ("web", SHOP, SHOP6), "till": ("web", TILL, TILL6), "safe": ("web", SAFE, SAFE6), "guest": ("web", f"{WEB}.200", f"{WEB6}:200"),
             "stranger": ("elsewhere", "172.30.5.3", "fd30:5::3")}

    def __init__(self, lab, filtered):
        """filtered: what a bridge passes between its ports goes by the forward hook, too (br_netfilter)."""
        self.filtered = filtered
        for family in ("ip", "ip6"):
            lab.run("sh", "-c", f"echo {int(filtered)} >/proc/sys/net/bridge/bridge-nf-call-{family}tables")
        super().__init__(lab, "nftables")

    @staticmethod
    def command(size, ips):
        raw = "" if size == SIZES["stranger"][0] else "arping -D -I eth0 -c 1 -w 1 203.0.113.9 & "  # the stranger's network is not strict
        return Host.command(size, ips).replace("usleep", f"{raw}usleep")

    def count(self):
        rules = [f"{icmp} type echo-request {length} {size + more} counter name {who}{family}" for who, (size, _) in self.senders.items()
                 for family, icmp, length, more in ((4, "icmp", "ip length", 28), (6, "icmpv6", "ip6 length", 8))]
        counters = "\n".join(f"counter {name} {{ }}" for name in OPEN + CLOSED)
        self.lab.run("nft", "-f", "-", stdin=COUNT.format(counters=counters, rules="\n".join(rules)))

    def counters(self):
        text = self.lab.run("nft", "list", "counters", "table", "bridge", "seen").stdout.split()
        return {text[i + 1]: int(text[i + 4]) for i, word in enumerate(text) if word == "counter"}

    def assert_served(self, daemon):
        """From now on the policies let in, and nothing else got in since the counters were made."""
        before = self.counters()
        assert engine.wait_for(lambda: all(self.counters()[name] > before[name] for name in OPEN), timeout=30), (self.counters(), daemon.log())
        self.assert_closed(daemon)
        assert engine.wait_for(lambda: self.bed.harborwall("plan", "-q").returncode == 0, timeout=30), daemon.log()
        self.assert_closed(daemon)

    def start_engine(self, daemon):
        self.lab.engine("start")
        self.wait_for_senders()
        self.assert_served(daemon)

    def assert_closed(self, daemon=None):
        assert not self.passed(CLOSED), (self.counters(), daemon and daemon.log())

    def assert_filtered(self):
        """The engine did not decide otherwise."""
        assert self.lab.run("cat", "/proc/sys/net/bridge/bridge-nf-call-iptables").stdout.strip() == str(int(self.filtered))


@pytest.fixture
def host(version, options, filtered):
    need_engine(version)
    with engine.Lab("strictboot", version, options=[*WITH_IPV6, *options]) as lab:
        host = StrictHost(lab, filtered)
        with host.bed:
            yield host


two_engines = pytest.mark.parametrize("version", ["20", "28"], ids=["docker 20", "docker 28"])
plain = pytest.mark.parametrize("options", [()], ids=["plain"])
restored = pytest.mark.parametrize("options", [("--live-restore",)], ids=["live-restore"])
both_ways = pytest.mark.parametrize("filtered", [True, False], ids=["br_netfilter", "no br_netfilter"])
unfiltered = pytest.mark.parametrize("filtered", [False], ids=["no br_netfilter"])


@two_engines
@both_ways
@plain
@pytest.mark.parametrize("socket", [False, True], ids=["no socket", "docker.socket"])
def test_nothing_passes_between_a_boot_and_the_first_pass(host, socket):
    """docker.socket listens from the start, and nobody answers there until the containers run."""
    host.shut_down()
    manager = host.listen("/run/notify", DATAGRAM)
    listener = socket and host.listen("/run/late.sock", STREAM)
    daemon = host.bed.run_daemon(env={"NOTIFY_SOCKET": "/run/notify", **({"DOCKER_HOST": "unix:///run/late.sock"} if socket else {})})
    assert engine.wait_for(lambda: "READY=1" in manager.log(), timeout=8), f"Docker's start waits for this: {daemon.log()}"
    host.lab.engine("start")
    host.wait_for_senders()
    if socket:
        time.sleep(1)
        host.assert_closed(daemon)
        host.lab.run("ln", "-sf", "/run/docker.sock", "/run/late.sock")
        listener.end(9)
    host.assert_filtered()
    host.assert_served(daemon)
    daemon.end()


@two_engines
@unfiltered
@plain
def test_without_the_daemon_before_it_everything_passes(host):
    """What the other tests would see."""
    host.shut_down()
    host.lab.engine("start")
    host.wait_for_senders()
    seen = [name for name in OPEN + CLOSED if "stranger" not in name]  # between networks Docker closes
    assert engine.wait_for(lambda: host.passed(seen) == set(seen)), host.counters()


@two_engines
@unfiltered
@plain
def test_nothing_passes_while_the_engine_and_its_containers_start_again(host):
    daemon = host.bed.run_daemon()
    daemon.wait_log("following the engine")
    host.count()
    host.assert_served(daemon)
    for _ in range(2):
        host.lab.engine("stop")
        host.start_engine(daemon)
    daemon.end()


@two_engines
@unfiltered
@pytest.mark.parametrize("options", [(), ("--live-restore",)], ids=["plain", "live-restore"])
def test_nothing_passes_when_the_engine_is_killed_or_makes_the_bridge_anew(host, options):
    """Containers end meanwhile, and their policy starts them again."""
    daemon = host.bed.run_daemon()
    daemon.wait_log("following the engine")
    host.count()
    host.lab.run("kill", "-9", *(str(host.docker.inspect(name)["State"]["Pid"]) for name in ("shop", "till", "safe")))
    host.lab.engine("kill9")
    time.sleep(0.5)
    host.assert_closed(daemon)
    host.start_engine(daemon)
    bridge = host.docker.networks()["web"]["Options"]["com.docker.network.bridge.name"]
    host.lab.engine("kill9")
    host.lab.run("ip", "link", "del", bridge)
    host.lab.engine("start")
    host.wait_for_senders()
    for name in ("shop", "till", "safe", "guest") if options else ():  # their ports went with the bridge
        host.docker.restart(name)
    host.assert_served(daemon)
    daemon.end()


@two_engines
@unfiltered
@restored
def test_nothing_passes_while_the_daemon_is_killed_and_starts_again(host):
    host.count()
    for _ in range(3):
        daemon = host.bed.run_daemon()
        daemon.wait_log("following the engine")
        host.assert_served(daemon)
        daemon.end(signal.SIGKILL)
        time.sleep(0.3)
        host.assert_closed()
    host.lab.engine("stop")  # containers go on
    daemon = host.bed.run_daemon()
    daemon.wait_log("started")
    time.sleep(0.5)
    host.start_engine(daemon)
    daemon.end()


@two_engines
@unfiltered
@restored
def test_ports_that_are_new_are_closed_before_the_engine_answers(host):
    """Containers started again while no daemon ran, and what is no packet passes between two of them. The next daemon ends that at
    once."""
    for name in SIZES:
        host.docker.restart(name)
    host.lab.engine("stop")  # containers go on
    host.count()
    assert engine.wait_for(lambda: host.passed([RAW]), timeout=10), "nobody has closed them yet"
    assert not host.passed([name for name in CLOSED if name[:-1] not in ("shop", "safe") and name != RAW]), host.counters()
    daemon = host.bed.run_daemon()
    daemon.wait_log("started")
    time.sleep(1)
    host.count()
    time.sleep(1)
    host.assert_closed(daemon)
    host.lab.engine("start")
    host.assert_served(daemon)
    daemon.end()
