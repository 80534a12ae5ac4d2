# SPDX-License-Identifier: GPL-2.0-or-later
"""What a story happens to: the host with its containers and its outside, the daemon, the traffic, and the comparisons
at the end."""
import contextlib
import difflib
import json
import os
import signal
import subprocess
import sys
import time

import oracle
import prober
import wired

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")
PEER, PEER_IP, HOST_IP = "peer", "192.0.2.2", "192.0.2.1"
PEER_IP6, HOST_IP6 = "2001:db8:2::2", "2001:db8:2::1"
CLIENT, CLIENT_IP, TUNNEL_IP = "client-of-vpn", "10.66.0.2", "10.66.0.1"
CLIENT_IP6, TUNNEL_IP6 = "fd66::2", "fd66::1"
TCP, UDP = [80, 81, 443, 8080], [53, 80]
PROTO = "104"  # of our routes


class Traffic(prober.Agent):
    """The process that sends without pause (traffic.py)."""

    def __init__(self):
        self.name, self.inbox = "traffic", b""
        self.process = subprocess.Popen([sys.executable, "-B", os.path.join(wired.HERE, "traffic.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def handoffs(rules):
    """Ours among other people's rules, each behind so many of them."""
    found, before = [], {}
    for line in rules:
        chain = line.split()[1]
        if "harborwall" in line:
            found.append(f"{before.get(chain, 0)}: {line}")
        else:
            before[chain] = before.get(chain, 0) + 1
    return found


class Host:
    def __init__(self, story, folder, cgroup):
        self.story, self.r, self.folder = story, story.r, folder
        self.file = f"{folder}/etc/networks.json"
        os.mkdir(f"{folder}/etc")
        self.engine_up, self.daemon, self.strace, self.stopped, self.deaths = False, None, False, False, 0
        self.roles = {}  # original name -> role in the traffic
        style, self.backend = self.r.choice([20, 28]), "nftables"
        # lost events are made good by the period alone; where none is lost, no period may be needed
        self.forgetful = self.r.random() < 0.3
        self.forwarding = self.r.random() < 0.2
        off = "disable_ipv6" if not story.dual else "forwarding accept_dad"  # nobody has the addresses: do not look for them
        wired.run("sh", "-c", f"echo {int(self.forwarding)} >/proc/sys/net/ipv4/ip_forward; ip link set lo up\n"
                  f"for i in all default; do for s in {off}; do echo {int(not story.dual)} >/proc/sys/net/ipv6/conf/$i/$s; done; done")
        self.engine = wired.Engine(folder, style, cgroup)
        self.engine.slow = lambda start, end: story.judge.trouble("stall", start, end)
        self.traffic = Traffic()
        self.outside = []
        self.story.say(f"engine {style}, forgetful {self.forgetful}, forwarding before {self.forwarding}")

    # -- the world --

    def begin(self):
        self.engine.begin()
        self.engine.listen()
        self.engine_up = True
        self.bystand()
        for name, network, running in self.story.containers():
            self.engine.create(name, network)
            if running:
                self.start(name)

    def namespace(self, *lines):
        process = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep 3600"],
                                   stdout=subprocess.PIPE)
        process.stdout.readline()
        self.outside.append(process)
        return process.pid

    def bystand(self):
        """The outside, and a container on a network that is none of ours."""
        peer = self.namespace()
        wired.ip(f"link add ext0 type veth peer name eth0 netns {peer}", f"addr add {HOST_IP}/24 dev ext0",
                 *([f"addr add {HOST_IP6}/64 dev ext0"] if self.story.dual else []), "link set ext0 up")
        wired.inside(peer, "ip", "-batch", "-", stdin=f"addr add {PEER_IP}/24 dev eth0\naddr add {PEER_IP6}/64 dev eth0 nodad\n"
                     f"link set eth0 up\nroute add default via {HOST_IP}\nroute add default via {HOST_IP6}\n")
        self.traffic.do("wire", name=PEER, pid=peer, tcp=TCP, udp=UDP)
        pools = [{"Subnet": "172.30.5.0/24"}, *([{"Subnet": "fd30:5::/64"}] if self.story.dual else [])]
        self.engine.post_network({"Name": "elsewhere", "EnableIPv6": self.story.dual, "IPAM": {"Config": pools}})
        self.engine.create("stranger", "elsewhere")
        self.start("stranger")
        self.tunnel_end = self.namespace()
        self.traffic.do("wire", name=CLIENT, pid=self.tunnel_end, tcp=[], udp=[])

    def start(self, name):
        self.engine.start(name)
        pid = self.engine.pid(name)
        if name == "vpn":
            wired.ip(f"link add hwtunnel type veth peer name wg0 netns {pid}", f"link set hwtunnel netns {self.tunnel_end}")
            wired.inside(pid, "ip", "-batch", "-", stdin=f"addr add {TUNNEL_IP}/24 dev wg0\n"
                         f"addr add {TUNNEL_IP6}/64 dev wg0 nodad\nlink set wg0 up\n")
            wired.inside(self.tunnel_end, "ip", "-batch", "-", stdin=f"addr add {CLIENT_IP}/24 dev hwtunnel\n"
                         f"addr add {CLIENT_IP6}/64 dev hwtunnel nodad\nlink set hwtunnel up\n")
        self.traffic.do("wire", name=name, pid=pid, tcp=TCP, udp=UDP, role=self.roles.get(name, ""))

    def stop(self, name):
        if name == "vpn":
            wired.inside(self.tunnel_end, "ip", "link", "del", "hwtunnel")
        self.traffic.do("unwire", name=name)
        self.engine.stop(name)

    def running(self, name):
        return self.engine.containers[self.engine.find(self.engine.containers, name)]["running"]

    def names(self):
        return sorted(c["name"] for c in self.engine.containers.values())

    def go(self):
        self.traffic.do("go", names={"client": "client", "server": "server", "stranger": "stranger", "peer": PEER},
                        client_ip=self.story.six(self.story.CLIENT_IP), server_ip=self.story.six(self.story.SERVER_IP))
        stranger = self.engine.containers[self.engine.find(self.engine.containers, "stranger")]["ends"]["elsewhere"]
        own = (stranger["ip6"], PEER_IP6) if self.story.dual else (stranger["ip"], PEER_IP)
        self.traffic.do("stranger", addresses=dict(zip(("stranger", "peer"), own)))

    # -- harborwall --

    def environment(self):
        return {"PATH": os.environ["PATH"], "DOCKER_HOST": self.engine.host, "HARBORWALL_STATE": f"{self.folder}/state.json",
                "HARBORWALL_LISTEN": f"{self.folder}/status", "HARBORWALL_BACKEND": self.backend,
                "WATCH_PERIOD_SECONDS": "2" if self.forgetful else "3600", "ASAN_OPTIONS": "detect_leaks=0"}

    def harborwall(self, verb, *options):
        return subprocess.run([HARBORWALL, verb, "-c", self.file, *options], text=True, capture_output=True,
                              env=self.environment(), timeout=60, check=False, stdin=subprocess.DEVNULL)

    def start_daemon(self, dies_at=None):
        """dies_at: killed before its so manieth message to the kernel or the engine."""
        tracer = [] if dies_at is None else [
            "strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=sendto,sendmsg",
            "-e", f"inject=sendto,sendmsg:signal=KILL:when={dies_at}"]
        with open(f"{self.folder}/log", "a", encoding="utf-8") as log:
            self.daemon = subprocess.Popen([*tracer, HARBORWALL, "run", "-c", self.file], stderr=log,
                                           stdin=subprocess.DEVNULL, env=self.environment())
        self.strace = bool(tracer)
        self.story.judge.trouble_ends("daemon", time.time())

    def daemon_pid(self):
        """None where it is dead."""
        if self.daemon.poll() is not None:
            return None
        if not self.strace:
            return self.daemon.pid
        with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children", encoding="ascii") as f:
            children = f.read().split()
        return int(children[0]) if children else None

    @staticmethod
    def holds_signals(pid):
        """Before that it is still the linker's, which a SIGHUP ends whatever the program does."""
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                blocked = next(line.split()[1] for line in f if line.startswith("SigBlk"))
        except (FileNotFoundError, ProcessLookupError):
            return False
        return bool(int(blocked, 16) & 1 << signal.SIGHUP - 1)

    def note_death(self, since):
        self.deaths += 1
        self.story.judge.trouble("daemon", since)

    def kill_daemon(self):
        since = time.time()
        while self.daemon.poll() is None and time.time() < since + 10:
            if pid := self.daemon_pid():
                with contextlib.suppress(ProcessLookupError):  # strace was quicker
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)  # strace needs a moment to begin, and to end
        self.note_death(since)
        self.daemon = None

    def watch_daemon(self):
        """One that was killed is started again, as a service manager would; one that ended is a failure."""
        if self.daemon and self.daemon.poll() is None:
            self.seen_alive = time.time()
            return
        if self.daemon:
            code = self.daemon.returncode
            if code != -signal.SIGKILL or not self.strace:
                raise AssertionError(f"the daemon ended: {code}")
            self.story.say("found it dead")
            self.note_death(self.seen_alive)
        self.story.say("the daemon starts")
        self.start_daemon()

    def end_daemon(self):
        self.daemon.send_signal(signal.SIGTERM)
        if self.daemon.wait(10) != 0:
            raise AssertionError(f"the daemon ends with {self.daemon.returncode}")

    def log(self):
        if not os.path.exists(f"{self.folder}/log"):
            return "none"
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def plan_text(self):
        try:
            done = self.harborwall("plan", "-v")
            return done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            return "none within 60 s"

    # -- the end --

    def world(self, family):
        containers, known = {}, set()
        for c in self.engine.containers.values():
            known.add(c["name"])
            if c["running"]:
                containers[c["name"]] = {n: ip for n, e in c["ends"].items() if (ip := e["ip" if family == 4 else "ip6"])}
        networks = {n["Name"]: (pool["Subnet"], pool["Gateway"])
                    for n in self.engine.networks.values() if (pool := self.engine.pool(n, family))}
        peer, client, tunnel = {4: ((PEER_IP, "ext0", HOST_IP), CLIENT_IP, TUNNEL_IP),
                                6: ((PEER_IP6, "ext0", HOST_IP6), CLIENT_IP6, TUNNEL_IP6)}[family]
        clients = {CLIENT: (client, "vpn", "wg0", tunnel)} if "vpn" in containers else {}
        return oracle.World(containers, networks, known, {PEER: peer}, clients, family=family)

    def questions(self, world):
        ports = [("tcp", p) for p in TCP] + [("udp", p) for p in UDP]
        everything = [ip for networks in world.containers.values() for ip in networks.values()]
        _, _, host = world.outside[PEER]
        asked = {name: [ip for ip in everything if ip not in networks.values()] + [host]
                 for name, networks in world.containers.items()}
        asked[PEER] = everything + [host]
        for name, (_, _, _, ip) in world.clients.items():
            asked[name] = [ip]
        return {name: [[ip, proto, port] for ip in ips for proto, port in ports] for name, ips in asked.items()}

    def assert_matrix(self, config):
        for family in (4, 6) if self.story.dual else (4,):
            self.assert_matrix_of(config, self.world(family))

    def assert_matrix_of(self, config, world):
        """Where Docker's own rules were flushed, what containers of one network do among themselves is up to the policy
        of FORWARD, if bridged packets pass iptables at all: not ours. Nor what vpn sends on to one of its neighbours."""
        judge = oracle.Oracle(config, world)
        asked = self.questions(world)
        stands = world.family in self.engine.laws and self.engine.laws[world.family].stands()
        managed = {name: [t for t in targets if t[0] in (HOST_IP, HOST_IP6) or t[0] in (TUNNEL_IP, TUNNEL_IP6) and stands
                          or (network := judge.config.network_of(t[0])) and (stands or network not in world.containers.get(name, ()))]
                   for name, targets in asked.items()}
        got = self.ask(managed, prober.TIMEOUT)
        # a busy machine may be late with an answer: those that are missing are asked once more, with patience
        again = {}
        for (name, *target), _ in prober.compare(judge.expected(got), got).missing:
            again.setdefault(name, []).append(target)
        got |= self.ask(again, 4) if again else {}
        words = [*judge.misplaced(), prober.explain(prober.compare(judge.expected(got), got))]
        if any(words):
            raise AssertionError("\n".join(w for w in words if w))

    def ask(self, questions, timeout):
        answers = self.traffic.do("matrix", questions=questions, timeout=timeout)
        return {(name, *t): tuple(a) if a else None for name, targets in questions.items()
                for t, a in zip(targets, answers[name])}

    def state(self):
        """What is ours, in every namespace, without counters and handles."""
        found = {"host": self.ours(None)}
        for c in self.engine.containers.values():
            if c["running"]:
                found[c["name"]] = self.ours(c["pid"])
        return found

    @staticmethod
    def ours(pid):
        def tool(*command):
            return wired.inside(pid, *command) if pid else wired.run(*command)
        table = [item for item in json.loads(tool("nft", "-j", "list", "ruleset"))["nftables"]
                 if "harborwall" in (next(iter(item.values())).get("table"), next(iter(item.values())).get("name"))]
        rules = [] if pid else [line for save in ("iptables-nft-save", "ip6tables-nft-save") for line in tool(save).splitlines()
                                if line.startswith("-A")]
        return {"objects": sorted(json.dumps(plain(i), sort_keys=True) for i in table if "rule" not in i),
                "rules": [json.dumps(plain(i), sort_keys=True) for i in
                          sorted((i for i in table if "rule" in i), key=lambda i: i["rule"]["chain"])],
                "hand-off": handoffs(rules),
                "copies": sum("harborwall" in line for line in rules), "routes": sorted(line.split(" dev ")[0] for family in ("-4", "-6")
                                 for line in tool("ip", family, "route", "show", "proto", PROTO).splitlines())}

    @staticmethod
    def forward_policy():
        drops = any(line.startswith(":FORWARD DROP") for line in wired.run("iptables-nft-save", "-t", "filter").splitlines())
        return "DROP" if drops else "ACCEPT"

    def assert_same_as_fresh(self):
        kept, stood = self.state(), self.engine.law.stands()
        policy = self.forward_policy()
        for verb in ("clear", "apply"):
            done = self.harborwall(verb)
            if done.returncode:
                raise AssertionError(f"{verb}: {done.returncode}\n{done.stdout}{done.stderr}")
            # clear gives back what the host had before us: apply is to find the surroundings of before
            if self.forward_policy() != policy:
                wired.run("iptables-nft", "-P", "FORWARD", policy)
            wired.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward" +
                      ("; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding" if self.story.dual else ""))
        if self.engine.law.stands() != stood:  # making the networks again, the engine made its own rules again: another world
            return
        fresh = self.state()
        for place in fresh:
            for what in fresh[place]:
                a, b = fresh[place][what], kept[place][what]
                if a != b:
                    lines = difflib.unified_diff(b, a, "kept", "fresh", lineterm="", n=1) if a and isinstance(a, list) else [b, a]
                    raise AssertionError(f"{place}: {what} as it was kept is not as a fresh apply makes it:\n" +
                                         "\n".join(map(str, lines)))

    def end(self):
        self.traffic.process.kill()
        if self.daemon and self.daemon_pid():
            os.kill(self.daemon_pid(), signal.SIGKILL)
        self.engine.end()
        for process in self.outside:
            process.kill()


def plain(item):
    if isinstance(item, dict):
        kept = {k: plain(v) for k, v in item.items() if k not in ("handle", "packets", "bytes", "index")}
        if isinstance(kept.get("elem"), list):
            kept["elem"] = sorted(kept["elem"], key=json.dumps)
        return kept
    return [plain(i) for i in item] if isinstance(item, list) else item
