# SPDX-License-Identifier: GPL-2.0-or-later
"""Stories with a fixed course: what random ones found once. found.py NAME FOLDER CGROUP, as story.py."""
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time

import story
import wired

SEEDS = {"an_established_flow_loses_nothing_while_its_policy_is_spelled_otherwise": 5,  # that one is Docker 28; 1 is 20
         "an_established_flow_loses_nothing_while_the_table_is_made_anew": 5,
         "what_docker_drops_before_its_filter_stands_again_is_let_through": 5}

# Numbered datagrams as fast as they go, for so many seconds; the first ones are answered, and so established.
SEND = """import socket,sys,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.bind((sys.argv[1],0));s.connect((sys.argv[2],int(sys.argv[3])));s.settimeout(1)
for _ in range(3): s.send(b'first');s.recv(9)
n,end=0,time.time()+float(sys.argv[4])
while time.time()<end:
 s.send(b'%d'%n);n+=1
 t=time.perf_counter()+2e-5
 while time.perf_counter()<t: pass
time.sleep(1);s.send(b'last');print(n)"""
HEAR = """import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.setsockopt(1,33,64<<20);s.bind(('0.0.0.0',int(sys.argv[1])));n=0
print('ready',flush=True)
while 1:
 d,a=s.recvfrom(9)
 if d==b'last': break
 if d==b'first': s.sendto(d,a)
 else: n+=1
print(n)"""

VPN = {"selector": "vpn", "nat": "dnat", "name": "vpn", "iface": "wg0", "to": "server", "port": 80}


class Found(story.Story):
    """Client and server on two networks, each also on bridge; one translation inside vpn."""

    def __init__(self, name, folder, cgroup):
        super().__init__(name, folder, cgroup, seed=SEEDS.get(name, 1))
        self.host.forgetful = False  # no period helps

    def files_begin(self):
        super().files_begin()
        self.config["ips"] = {self.CLIENT_IP: {"container_name": "client"}, self.SERVER_IP: {"container_name": "server"},
                              "172.20.0.20": {"container_name": "vpn", "selector": "vpn"}}
        self.talks, self.random_policies = set(), [VPN]
        self.write_by_rename()

    def containers(self):
        return [(name, "bridge", True) for name in ("client", "server", "vpn")]

    def run(self):
        self.host.begin()
        self.host.start_daemon()
        self.settled("the beginning")
        self.deed()
        self.settled("the end")
        self.host.end_daemon()
        self.host.assert_same_as_fresh()
        return {"name": self.name}

    def deed(self):
        globals()[self.name](self)

    def without_policies(self):
        self.random_policies, self.policies = [], list
        self.write_by_rename()

    def table(self, pid=None):
        command = ["nft", "list", "table", "inet", "harborwall"]
        return wired.inside(pid, *command, check=False) if pid else wired.run(*command, check=False)

    def wait(self, claim, what, seconds=5):
        end = time.time() + seconds
        while not claim():
            assert time.time() < end, what
            time.sleep(0.02)


def what_a_dead_daemon_left_is_removed_by_one_that_started_before_the_engine(s):
    s.host.kill_daemon()
    s.host.engine.close()
    s.without_policies()
    s.host.start_daemon()
    s.wait(lambda: "pass failed" in s.host.log(), "no pass without an engine")
    s.engine_back()


def containers_are_not_forgotten_while_the_engine_does_not_answer(s):
    s.host.engine.script("GET", "/info", status=500, message="not now", times=2)
    os.kill(s.host.daemon_pid(), signal.SIGHUP)
    s.wait(lambda: "pass failed" in s.host.log(), "no pass without an engine")
    s.host.engine.scripts.clear()
    s.without_policies()


def what_is_in_a_container_goes_with_its_name(s):
    assert "dnat" in s.table(s.host.engine.pid("vpn"))
    s.host.engine.rename("vpn", "vpn_old")
    s.wait(lambda: not s.table(s.host.engine.pid("vpn_old")), "the table in the renamed container stays")


def what_is_in_a_container_goes_though_its_networks_change_at_the_same_time(s):
    os.kill(s.host.daemon_pid(), signal.SIGSTOP)
    s.host.engine.connect("elsewhere", "vpn")
    s.without_policies()
    os.kill(s.host.daemon_pid(), signal.SIGCONT)
    s.wait(lambda: not s.table(s.host.engine.pid("vpn")), "the table in the container stays")


def a_flushed_host_is_closed_though_the_engine_refuses_to_tell_of_a_container(s):
    s.host.engine.script("GET", "/containers/[^/]+/json", status=500, message="not now", times=99)
    s.host.stop("client")
    s.host.start("client")
    s.wait(lambda: "inspect container" in s.host.log(), "it was not asked")
    wired.run("nft", "flush", "ruleset")
    s.wait(lambda: "nobody else closes this network" in s.table(), "the host is open")
    s.host.engine.scripts.clear()


def a_host_whose_drops_go_while_the_engine_is_away_is_closed(s):
    s.host.engine.close()
    wired.run("nft", "flush", "table", "ip", "filter")
    wired.run("iptables-nft", "-P", "FORWARD", "ACCEPT")
    s.wait(lambda: "nobody else closes this network" in s.table(), "the host is open")
    s.engine_back()


def forwarding_that_others_turn_off_is_on_again_at_once(s):
    for pid in (None, s.host.engine.pid("vpn")):
        command = ["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"]
        wired.inside(pid, *command) if pid else wired.run(*command)
        read = ["cat", "/proc/sys/net/ipv4/ip_forward"]
        s.wait(lambda: (wired.inside(pid, *read) if pid else wired.run(*read)) == "1\n", "it stays off", seconds=2)


def a_container_whose_pid_was_told_wrong_is_looked_for_again(s):
    """The engine tells the right one from then on, and of no event."""
    engine = s.host.engine
    engine.lies[engine.find(engine.containers, "vpn")] = 1
    s.restart("vpn")
    s.wait(lambda: "no longer the container's" in s.host.log(), "the wrong one was not told")
    time.sleep(0.3)  # passes for what happened before
    engine.lies.clear()


def what_clear_gives_back_may_be_gone(s):
    """The policy of FORWARD, which others have flushed with its table meanwhile."""
    wired.run("sh", "-c", "iptables-nft -P FORWARD ACCEPT; echo 0 >/proc/sys/net/ipv4/ip_forward")
    s.send_hup()
    s.wait(lambda: s.host.forward_policy() == "DROP", "the policy stays")
    wired.run("nft", "flush", "ruleset")


def post(s, path):
    """As `apply` asks the daemon, without a process of its own."""
    asking = http.client.HTTPConnection("harborwall", timeout=30)
    asking.sock = socket.socket(socket.AF_UNIX)
    asking.sock.settimeout(30)
    asking.sock.connect(f"{s.host.folder}/status")
    try:
        asking.request("POST", path)
        return asking.getresponse().read().decode()
    finally:
        asking.close()


def hammered(s, edit, gap, port="6995"):
    """Every datagram of an established flow arrives while edit() is called again and again."""
    ends = [["nsenter", "-t", str(s.host.engine.pid(name)), "-n", sys.executable, "-c"] for name in ("server", "client")]
    s.wait(lambda: str(s.spelled["port"]) in s.table(), "the policy does not come")
    before = s.host.log().count("host: table inet harborwall")
    with subprocess.Popen([*ends[0], HEAR, port], stdout=subprocess.PIPE, text=True) as hear:
        hear.stdout.readline()
        with subprocess.Popen([*ends[1], SEND, s.CLIENT_IP, s.SERVER_IP, port, "8"], stdout=subprocess.PIPE, text=True) as send:
            while send.poll() is None:
                edit()
                time.sleep(gap)
            sent = int(send.stdout.read())
        heard = int(hear.stdout.read())
    assert sent > 1000 and heard == sent, f"{sent - heard} of {sent} datagrams lost"
    assert s.host.log().count("host: table inet harborwall") > before + 10, "it hardly ever changed"
    assert "harborwall_meanwhile" not in wired.run("nft", "list", "tables")


def an_established_flow_loses_nothing_while_its_policy_is_spelled_otherwise(s):
    """Elements of hashed and of interval sets take each other's place; before Docker's raw drops every packet counts."""
    words = [{"port": 6995, "from": "client"}, {"port": "6990-6999", "from": "172.20.0.248/29"},
             {"port": "6991-7000", "from": "172.20.0.250/31"}]

    def edit():
        s.spelled = words[(words.index(s.spelled) + 1) % len(words)]
        s.write_by_rename()
    s.spelled = words[0]
    s.write_by_rename()
    hammered(s, edit, 0.15)


def an_established_flow_loses_nothing_while_the_table_is_made_anew(s):
    """So many policies more that no set has room for them, and so many less that they would be too roomy; as a range it
    stands in an interval set, which comes a moment later than the table."""
    many = [VPN, *({"selector": "server", "from": "client", "port": port} for port in range(20000, 20600))]

    def edit():
        s.random_policies = many if s.random_policies == [VPN] else [VPN]
        s.write_by_rename()
        if s.random_policies == [VPN]:  # so many go at once that the daemon holds it, if it has read them at all
            held = re.search(r"--accept ([0-9a-f]{16})", post(s, "/pass"))
            if held:
                post(s, f"/pass?accept={held[1]}")
    s.spelled = {"port": "6990-6999", "from": "172.20.0.248/29"}
    s.write_by_rename()
    hammered(s, edit, 0.25)


def what_docker_drops_before_its_filter_stands_again_is_let_through(s):
    """Docker 28 adds a raw drop for a container that connects, though all else was flushed and stays away."""
    wired.run("nft", "flush", "ruleset")
    s.wait(lambda: "closed" in s.table(), "it is not closed")
    right = next(n for n in s.host.engine.networks.values() if n["Name"] == "right")
    wired.run("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-d", s.SERVER_IP, "!", "-i", s.host.engine.bridge(right), "-j", "DROP")
    s.wait(lambda: "uncounted_allow" in s.table(), "the drop is not noticed")
    s.settled("the drop")
    s.host.assert_matrix(s.config)
    assert "table ip filter" not in wired.run("nft", "list", "tables")  # which nobody asked for


LEFT = """table inet harborwall {
chain meanwhile { type filter hook prerouting priority -305; meta mark set meta mark | 0x1000000; }
}"""


def what_was_added_to_our_table_while_no_daemon_ran_goes(s):
    s.host.kill_daemon()
    wired.run("nft", "-f", "-", stdin=LEFT)
    assert "meanwhile" in s.table()
    s.host.start_daemon()
    s.wait(lambda: "meanwhile" not in s.table(), "what was added stays")


if __name__ == "__main__":
    story.main(Found)
