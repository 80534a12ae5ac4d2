# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripted engine with real wires: bridges, veths, containers that are network namespaces with one sleeping
process, and Docker's own iptables rules as engines 20 and 28 write them (read off real ones). It runs inside
the host that it serves: namespaces made for it (tests/chaos/run)."""
import ipaddress
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fake"))
import dockerd  # noqa: E402

BRIDGE_NAME = "com.docker.network.bridge.name"


def run(*command, stdin=None, check=True):
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{stdin or ''}")
    return done.stdout


def ip(*lines):
    return run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")


def inside(pid, *command, **options):
    return run("nsenter", "-t", str(pid), "-n", *command, **options)


def first_host(subnet):
    return str(next(ipaddress.ip_network(subnet).hosts()))


class Law:
    """Docker's own rules of one family. FORWARD, nat and raw hold other people's rules too: there only those change that are
    Docker's; its other chains are written anew. One restore, one transaction a table."""
    JUMPS = {20: ["DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"], 28: ["DOCKER-USER", "DOCKER-FORWARD"]}

    def __init__(self, style, family=4):
        self.style, self.family = style, family
        self.tool = {4: "iptables-nft", 6: "ip6tables-nft"}[family]
        self.written = set()  # lines in shared chains that may be ours to remove

    def stands(self):
        return f"-A FORWARD -j {self.JUMPS[self.style][1]}" in run(f"{self.tool}-save", "-t", "filter")

    def open(self):
        """Docker's own drops do not close its networks to the outside: harborwall's do."""
        return not self.stands() or (self.style == 20 and ":FORWARD ACCEPT" in run(f"{self.tool}-save", "-t", "filter"))

    def own_chains(self, bridges):
        """chain -> rules, of table filter."""
        into = {"DOCKER-ISOLATION-STAGE-1": [f"-i {b} ! -o {b} -j DOCKER-ISOLATION-STAGE-2" for b in bridges],
                "DOCKER-ISOLATION-STAGE-2": [f"-o {b} -j DROP" for b in bridges], "DOCKER": []}
        if self.style == 20:
            into["DOCKER-ISOLATION-STAGE-1"].append("-j RETURN")
            into["DOCKER-ISOLATION-STAGE-2"].append("-j RETURN")
            return into
        into["DOCKER"] = [f"! -i {b} -o {b} -j DROP" for b in bridges]
        into["DOCKER-BRIDGE"] = [f"-o {b} -j DOCKER" for b in bridges]
        into["DOCKER-CT"] = [f"-o {b} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" for b in bridges]
        into["DOCKER-FORWARD"] = ["-j DOCKER-CT", "-j DOCKER-ISOLATION-STAGE-1", "-j DOCKER-BRIDGE",
                                  *(f"-i {b} -j ACCEPT" for b in bridges)]
        return into

    def shared(self, bridges, pools, ends):
        """Lines in chains that are not Docker's alone, per table."""
        forward = [f"-A FORWARD -j {chain}" for chain in self.JUMPS[self.style]]
        if self.style == 20:
            for b in bridges:
                forward += [f"-A FORWARD -o {b} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                            f"-A FORWARD -o {b} -j DOCKER", f"-A FORWARD -i {b} ! -o {b} -j ACCEPT",
                            f"-A FORWARD -i {b} -o {b} -j ACCEPT"]
        nat = [f"-A POSTROUTING -s {subnet} ! -o {b} -j MASQUERADE" for b, subnet in pools]
        bits = {4: 32, 6: 128}[self.family]
        raw = [f"-A PREROUTING -d {address}/{bits} ! -i {b} -j DROP" for b, address in ends] if self.style == 28 else []
        return {"filter": forward, "nat": nat, "raw": raw}

    def write(self, bridges, pools, ends, again, drop=False):
        """again: as a dockerd that starts: its jumps go to the top of FORWARD, chains are made. Otherwise only
        what changed, and nothing where somebody flushed it all."""
        there = {"filter": [], "nat": [], "raw": []}
        for line in run(f"{self.tool}-save").splitlines():
            if line.startswith("*"):
                table = there.setdefault(line[1:], [])
            elif not line.startswith("#"):
                table.append(line)
        if not again and not any(line.startswith(":DOCKER-USER") for line in there["filter"]):
            return
        text = []
        for table, wanted in self.shared(bridges, pools, ends).items():
            lines = [f"*{table}"]
            if table == "filter":
                lines += [":FORWARD DROP [0:0]"] if drop else []
                lines += [f":{chain} - [0:0]" for chain in self.own_chains(bridges)]
                if not any(line.startswith(":DOCKER-USER") for line in there[table]):
                    lines += [":DOCKER-USER - [0:0]"]
                if again and self.style == 20:
                    lines += ["-A DOCKER-USER -j RETURN"]
            moved = again and table == "filter"
            lines += ["-D" + line[2:] for line in there[table] if line in self.written and (moved or line not in wanted)]
            if moved:
                lines += ["-I FORWARD" + line[len("-A FORWARD"):] for line in reversed(wanted)]
            else:
                lines += [line for line in wanted if line not in there[table]]
            if table == "filter":
                lines += [f"-A {chain} {rule}" for chain, rules in self.own_chains(bridges).items() for rule in rules]
            self.written |= set(wanted)
            if len(lines) > 1:
                text += [*lines, "COMMIT"]
        run(f"{self.tool}-restore", "--noflush", stdin="\n".join(text) + "\n")


class Engine(dockerd.Engine):
    def __init__(self, folder, style, cgroup):
        self.law, self.cgroup, self.processes, self.veths = Law(style), cgroup, {}, 0
        self.laws = {4: self.law, **({6: Law(style, 6)} if style == 28 else {})}  # 20 writes none of IPv6
        self.drop = False  # dockerd turned forwarding on, and so set the policy
        self.slow = lambda start, end: None  # is told of answers that took long
        version = {20: ("20.10.24", "1.41"), 28: ("28.5.2", "1.51")}[style]
        super().__init__(folder, version=version[0], api=version[1], firewall="iptables" if style == 28 else None)

    # -- rules --

    def is_open(self, family):
        """Harborwall alone closes it."""
        return family not in self.laws or self.laws[family].open()

    def lay_down(self, again=False):
        for family, law in self.laws.items():
            bridges = [n for n in self.networks.values() if n["Driver"] == "bridge" and self.pool(n, family)]
            names = {n["Id"]: self.bridge(n) for n in bridges}
            pools = [(names[n["Id"]], self.pool(n, family)["Subnet"]) for n in bridges]
            ends = [(names[e["network"]], e["ip" if family == 4 else "ip6"]) for c in self.containers.values() if c["running"]
                    for e in c["ends"].values() if e["network"] in names]
            if bridges or law.written:
                law.write(list(names.values()), pools, ends, again or not law.written, again and self.drop)

    def begin(self):
        """As a dockerd that starts."""
        with open("/proc/sys/net/ipv4/ip_forward", "r+", encoding="ascii") as f:
            self.drop = f.read().strip() == "0"
            f.write("1\n")
        with self.lock:
            self.lay_down(again=True)

    def answer(self, method, path, body):
        start = time.time()
        try:
            return super().answer(method, path, body)
        finally:
            if time.time() > start + 0.02:
                self.slow(start, time.time())

    def post_network(self, body):
        if not self.law.stands():  # somebody flushed them: so says dockerd until it starts anew
            return 500, {"message": "Failed to Setup IP tables: Unable to enable SKIP DNAT rule: iptables: No "
                                    "chain/target/match by that name."}
        return super().post_network(body)

    # -- wires --

    @staticmethod
    def bridge(network):
        return network["Options"].get(BRIDGE_NAME) or f"br-{network['Id'][:12]}"

    def raise_network(self, network):
        pools = [pool for family in (4, 6) if (pool := self.pool(network, family))]
        for pool in pools:
            pool.setdefault("Gateway", first_host(pool["Subnet"]))
        name = self.bridge(network)
        ip(f"link add {name} address {self.mac(pools[0]['Gateway'])} type bridge",
           *(f"addr add {pool['Gateway']}/{pool['Subnet'].split('/')[1]} dev {name}" for pool in pools), f"link set {name} up")
        if len(pools) > 1:
            run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
        if self.law.written:
            self.lay_down()

    def drop_network(self, network):
        ip(f"link del {self.bridge(network)}")
        self.lay_down()

    @staticmethod
    def mac(address):
        return "02:42:" + ":".join(f"{byte:02x}" for byte in ipaddress.ip_address(address).packed)

    def boot(self, container):
        folder = os.path.join(self.cgroup, container["id"])
        os.makedirs(folder, exist_ok=True)
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward\n"
                                    "ip link set lo up; echo; exec sleep 3600"], stdout=subprocess.PIPE)
        with open(os.path.join(folder, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(process.pid))
        process.stdout.readline()
        self.processes[container["id"]] = process
        container["pid"] = process.pid
        for end in container["ends"].values():
            self.plug(container, end)
        return process.pid

    def halt(self, container):
        for end in container["ends"].values():
            self.unplug(container, end, gone=True)
        process = self.processes.pop(container["id"])
        process.kill()
        process.wait()
        process.stdout.close()
        container["running"] = False
        if self.law.style == 28:
            self.lay_down()

    def plug(self, container, end):
        network = self.networks[end["network"]]
        if not network["IPAM"]["Config"]:
            return
        pool, pool6, pid = self.pool(network), self.pool(network, 6), container["pid"]
        self.veths += 1
        taken = {e.get("device") for e in container["ends"].values()}
        end["veth"], end["device"] = f"veth{self.veths}", next(d for d in (f"eth{i}" for i in range(9)) if d not in taken)
        device = end["device"]
        ip(f"link add {end['veth']} type veth peer name {device} address {self.mac(end['ip'])} netns {pid}",
           f"link set {end['veth']} master {self.bridge(network)} up")
        # the first network gives the default route: where there is one, the last line fails
        lines = [f"link set {device} up", f"addr add {end['ip']}/{pool['Subnet'].split('/')[1]} dev {device}",
                 f"route add default via {pool['Gateway']}"]
        if pool6:
            lines += [f"addr add {end['ip6']}/{pool6['Subnet'].split('/')[1]} dev {device} nodad",
                      f"route add default via {pool6['Gateway']}"]
        inside(pid, "ip", "-force", "-batch", "-", check=False, stdin="\n".join(lines) + "\n")
        if self.law.style == 28:
            self.lay_down()

    def unplug(self, container, end, gone=False):
        if "veth" not in end:
            return
        ip(f"link del {end.pop('veth')}")
        del end["device"]
        if gone:
            return
        left = [e for e in container["ends"].values() if "device" in e]
        if left:
            for family in (4, 6):
                if pool := self.pool(self.networks[left[0]["network"]], family):
                    inside(container["pid"], "ip", "route", "add", "default", "via", pool["Gateway"], check=False)
        if self.law.style == 28:
            self.lay_down()

    # -- what people do --

    def rename(self, old, new):
        with self.lock:
            ident = self.find(self.containers, old)
            self.containers[ident]["name"] = new
            self.tell("container", "rename", ident, {"name": new, "oldName": "/" + old})

    def remove(self, name):
        with self.lock:
            ident = self.find(self.containers, name)
            if self.containers[ident]["running"]:
                self.stop(name)
            del self.containers[ident]
            self.tell("container", "destroy", ident, {"name": name})

    def create(self, name, network="bridge"):
        with self.lock:
            ident = self.add_container(name, network)
            self.tell("container", "create", ident, {"name": name})

    def connect(self, network, name):
        with self.lock:
            return self.post_connect({"Container": self.find(self.containers, name)}, network)

    def disconnect(self, network, name):
        with self.lock:
            return self.post_disconnect({"Container": self.find(self.containers, name)}, network)

    def pid(self, name):
        return self.containers[self.find(self.containers, name)]["pid"]

    def end(self):
        """What runs in it ends with it; cgroups would stay behind."""
        for process in self.processes.values():
            process.kill()
            process.wait()
