# SPDX-License-Identifier: GPL-2.0-or-later
"""Labs that are used again. A start with the seed's containers takes 8 s, putting one in order half a second.

A lab goes back only if nothing that we know to look at tells it from what it was when its containers had been made:
their links, addresses, rules and routes, and the host's. Else it ends, and the next test gets a new one."""
import os
import re
import signal
import subprocess

import bed as beds
import engine

MOST = 3  # that wait at a time
# What a namespace holds, but for what has other names or numbers after every restart.
LOOK = """ip -o rule; cat /proc/sys/net/ipv4/ip_forward
cat /proc/sys/net/ipv4/conf/all/rp_filter; ip route; ip -6 route
cat /proc/sys/net/ipv6/conf/all/forwarding; ip -o addr show scope global
for f in ip ip6; do [ ! -s /proc/self/net/${f}_tables_names ] || ${f}tables-legacy-save | grep -v "^#" | sed "s/ \\[.*//"; done"""
OF_A_CONTAINER, OF_THE_HOST = "; nft -s list ruleset", "; ls /run/netns; grep -s . /proc/sys/net/bridge/* /proc/sys/net/ipv4/conf/all/* /proc/sys/net/ipv6/conf/all/*"
UNSTEADY = re.compile(r"counter packets \d+ bytes \d+| valid_lft.*|^.*\bveth.*\n|(?<=eth)\d+|(?<=if)\d+|^\d+: |linkdown ?|src [\d.]+ ?|"
                      r"^fe80::/64 dev .*\n|^\*\w+$|^COMMIT$|^:\w+ ACCEPT$", re.M)
NETNS = """for pid in {pids}; do echo "-- $pid"; nsenter -t $pid -n sh -c '{look}'; done"""


def but_for_the_resolver(block):
    """Docker's rules for its own resolver stay in a container that once was on a network with names, and the tools of
    iptables make empty tables."""
    rules = [line for line in block[0].splitlines() if not re.search(r"^table|^\t(chain|\})|policy accept;$|^\}|^$", line)]
    return "" if all("127.0.0.11" in rule for rule in rules) else block[0]


def steady(text):
    text = re.sub(r"^table .*?^\}\n", but_for_the_resolver, text, flags=re.M | re.S)
    return sorted(filter(None, (line.strip() for line in UNSTEADY.sub("", text).splitlines())))


def picture(lab):
    """Everything that a test may have changed and not put back."""
    containers = lab.docker.containers()
    running = {name: data["State"]["Pid"] for name, data in containers.items() if data["State"]["Running"]}
    said = lab.run("sh", "-c", NETNS.format(pids=" ".join(map(str, running.values())), look=LOOK + OF_A_CONTAINER)).stdout
    inside = dict(zip(running, map(steady, re.split(r"^-- \d+\n", said, flags=re.M)[1:])))
    return {"containers": {name: (data["Config"]["User"], data["HostConfig"]["CapAdd"]) for name, data in containers.items()},
            "ends": {name: sorted(lab.docker.addresses(name)) for name in containers}, "inside": inside,
            "networks": {name: network["Id"] for name, network in lab.docker.networks().items()},
            "host": steady(lab.run("sh", "-c", LOOK + OF_THE_HOST, check=False).stdout), "rules": beds.rules_alone(beds.rule_dumps(lab)),
            "etc": lab.run("cat", "/etc/hosts", "/etc/resolv.conf", check=False).stdout}


def put_in_order(lab):
    """What tests may leave: a daemon, our rules and networks, containers and networks of their own, remembered
    connections."""
    for process in lab.processes:
        if process.poll() is None:
            engine.Spawned(process, "").send(signal.SIGKILL)  # the program: nsenter ends with it
            process.wait(20)
    if lab.harborwall_clear().returncode:
        return False
    for name in set(lab.docker.containers()) - set(lab.seeded["containers"]):
        lab.docker.remove(name)
    for name in set(lab.docker.networks()) - set(lab.seeded["networks"]):
        lab.docker.remove_network(name)
    if not lab.docker.inspect("smarthostbackend-1")["NetworkSettings"]["Networks"]:
        lab.docker.connect("none", "smarthostbackend-1")  # what it was on, and clear leaves it nowhere
    lab.tunnel("wireguardproxy", "wg0")
    lab.inside("wireguardproxy", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding")
    lab.run("sh", "-c", "rm -rf /var/lib/harborwall /run/harborwall*; conntrack -F 2>/dev/null; true")
    return True


class Pool:
    def __init__(self):
        self.waiting, self.started = [], 0

    def take(self, **arguments):
        for lab in self.waiting:
            if lab.arguments == arguments:
                self.waiting.remove(lab)
                return lab
        if len(self.waiting) >= MOST:
            self.waiting.pop(0).__exit__()
        self.started += 1
        lab = engine.Lab(f"pool{os.getpid()}-{self.started}", **arguments)
        lab.arguments = arguments
        lab.__enter__()
        lab.peer()
        return lab

    def give_back(self, lab):
        try:
            again = not lab.refused() and lab.seeded and put_in_order(lab) and picture(lab) == lab.seeded
        except (engine.LabError, OSError, IndexError, subprocess.TimeoutExpired):
            again = False
        if again:
            self.waiting.append(lab)
        else:
            lab.__exit__()

    def end(self):
        while self.waiting:
            self.waiting.pop().__exit__()
