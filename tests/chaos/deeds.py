# SPDX-License-Identifier: GPL-2.0-or-later
"""What may happen in a story, each in a function of its own: the file is edited, containers come and go, the engine
misbehaves, the daemon dies, and (in rough stories) others undo what it wrote."""
import contextlib
import copy
import json
import os
import re
import signal
import time

import randomconfig
import wired

OTHERS = ["app-1", "app-2", "db", "web", "worker.1"]
TALKS = [7101, 7102, 7103]
TWINS = {"192.0.2.0/24": "2001:db8:2::/64", "172.20.0.248/29": "fd20::240/123"}  # the client is in both


MANY = [{"selector": "client", "from": "server", "port": 30000 + 2 * i} for i in range(600)]


class Deeds:
    CLIENT_IP, SERVER_IP = "172.20.0.251", "172.20.1.251"

    # -- the file --

    def files_begin(self):
        self.config = {"networks": {"left": {"subnet": "172.20.0.0/24"}, "right": {"subnet": "172.20.1.0/24"}},
                       "ips": {self.CLIENT_IP: {"container_name": "client"}, self.SERVER_IP: {"container_name": "server"}},
                       "policies": []}
        self.spelled = {"port": 7000, "from": "client"}
        self.talks = set(self.r.sample(TALKS, 2))
        self.random_policies, self.more = [], 0
        self.host.roles = {"client": "client", "server": "server"}
        for name in ["vpn", *OTHERS]:
            if name == "vpn" or self.r.random() < 0.7:
                self.declare(name)
        for _ in range(self.r.randint(2, 5)):
            randomconfig.add_policy(self.r, self.view())
        self.config["policies"] = self.policies()
        self.write_by_rename()

    def view(self):
        """The file without client and server: what random policies are about."""
        shown = {"networks": self.config["networks"], "ips": Shown(self.config["ips"], {self.CLIENT_IP, self.SERVER_IP}),
                 "policies": self.random_policies}
        return shown

    def declare(self, name):
        """On engines with raw drops a reply must leave by the network of its address: one network each there."""
        view = self.view()
        if self.host.engine.law.style == 28:
            view["networks"] = {key: view["networks"][key] for key in [self.r.choice(["left", "right"])]}
        randomconfig.declare(self.r, view, name)

    def policies(self):
        if self.host.engine.law.style == 28:  # … for which "any" gives no route
            for p in self.random_policies:
                p.update({"from": "192.0.2.0/24"} if p.get("from") == "any" else {})
        always = {"selector": "server", "proto": ["tcp", "udp"], **self.spelled}
        talks = [{"selector": "server", "from": "client", "port": port} for port in sorted(self.talks)]
        named = [a["container_name"] for a in self.config["ips"].values()]
        listed = [always, *talks, *(copy.deepcopy(p) for p in self.random_policies if named.count(p.get("to")) < 2)]
        if self.seed % 4 < 2:
            self.r.shuffle(listed)
            return listed
        return [*MANY[:300], *listed, *MANY[300:]]

    def text(self):
        self.config["policies"] = self.policies()
        return json.dumps(self.both(self.config), indent=1)

    def six(self, text):
        """An address or prefix in IPv6, on a host that has it: fd20:1::251 for 172.20.1.251."""
        if not self.dual or text in TWINS:
            return TWINS[text] if self.dual else text
        found = re.fullmatch(r"172\.(\d+)\.(\d+)\.(\d+)(/24|/32|)", text)
        if not found:
            return text
        high, low, last, bits = found.groups()
        return f"fd{high}:{low}::{last if bits != '/24' else ''}" + {"/24": "/64", "/32": "/128", "": ""}[bits]

    def both(self, config):
        """The file with IPv6 beside every IPv4."""
        if not self.dual:
            return config
        config = copy.deepcopy(config)
        for network in config["networks"].values():
            network["subnet6"] = self.six(network["subnet"])
        for ip, entry in config["ips"].items():
            entry["ip6"] = self.six(ip)
        for policy in config["policies"]:
            if isinstance(policy.get("from"), str) and self.six(policy["from"]) != policy["from"]:
                policy["from"] = [policy["from"], self.six(policy["from"])]
        return config

    def write_by_rename(self, text=None):
        path = self.host.file
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text or self.text())
        os.rename(path + ".new", path)

    def write_in_place(self, text=None):
        text = text or self.text()
        with open(self.host.file, "w", encoding="utf-8") as f:
            f.write(text[:len(text) // 2])
            f.flush()
            time.sleep(self.r.choice([0, 0.03]))
            f.write(text[len(text) // 2:])

    def write_by_symlink(self, text=None):
        self.more += 1
        target = f"{self.host.file}.{self.more}"
        with open(target, "w", encoding="utf-8") as f:
            f.write(text or self.text())
        os.symlink(target, self.host.file + ".link")
        os.rename(self.host.file + ".link", self.host.file)

    def write_again(self):
        text = self.text()
        os.unlink(self.host.file)
        time.sleep(self.r.choice([0, 0.2]))
        self.write_by_rename(text)

    def write_broken_first(self):
        text = self.text()
        self.write_by_rename(self.r.choice(["{", "", text[:-30], '{"policies": [{"port": 70000}]}']))
        time.sleep(self.r.choice([0, 0.2]))
        self.write_by_rename(text)

    def write(self):
        how = self.r.choice([self.write_by_rename, self.write_by_rename, self.write_in_place, self.write_by_symlink,
                             self.write_again, self.write_broken_first])
        self.say(f"  {how.__name__}")
        how()

    def change_policies(self):
        for _ in range(self.r.randint(1, 3)):
            if self.random_policies and self.r.random() < 0.5:
                self.random_policies.pop(self.r.randrange(len(self.random_policies)))
            else:
                randomconfig.add_policy(self.r, self.view())
        self.write()

    def change_talks(self):
        self.talks ^= {self.r.choice(TALKS)}
        self.say(f"  open: {sorted(self.talks)}")
        self.write()

    def spell_otherwise(self):
        """The policy of the traffic in other words: it must not miss a packet."""
        self.spelled = {"port": self.r.choice([7000, "7000", [7000], "6990-7000", [7000, "6000-6100"]]),
                        "from": self.r.choice(["client", self.CLIENT_IP, self.CLIENT_IP + "/32", "172.20.0.248/29"])}
        self.say(f"  {self.spelled}")
        self.write()

    def add_network(self):
        self.more += 1
        key = f"more{self.more}"
        self.config["networks"][key] = {"subnet": f"172.20.{10 + self.more}.0/24"}
        named = {a["container_name"] for a in self.config["ips"].values()}
        free = [n for n in OTHERS if n not in named or self.host.engine.law.style == 20]
        if not free:
            return self.write()
        name = self.r.choice(free)
        self.config["ips"][f"172.20.{10 + self.more}.{self.r.randint(2, 100)}"] = {
            "container_name": name, "selector": name}
        self.say(f"  {key} for {name}")
        return self.write()

    def remove_network(self):
        added = [key for key in self.config["networks"] if key.startswith("more")]
        if not added:
            return self.add_network()
        key = self.r.choice(added)
        base = self.config["networks"].pop(key)["subnet"].rsplit(".", 1)[0] + "."
        self.config["ips"] = {a: v for a, v in self.config["ips"].items() if not a.startswith(base)}
        self.say(f"  {key}")
        return self.write()

    def move_address(self):
        movable = [a for a, v in self.config["ips"].items() if v["container_name"] in OTHERS]
        if not movable:
            return self.add_network()
        old = self.r.choice(movable)
        base = old.rsplit(".", 1)[0]
        new = next(a for a in (f"{base}.{self.r.randint(2, 120)}" for _ in range(999)) if a not in self.config["ips"])
        self.config["ips"] = {new if a == old else a: v for a, v in self.config["ips"].items()}
        self.say(f"  {old} to {new}")
        return self.write()

    def open_talks(self):
        return self.talks

    # -- containers --

    def containers(self):
        for name in ["client", "server"]:
            yield name, self.r.choice(["bridge", "none"]), True
        yield "vpn", "bridge", True
        for name in OTHERS:
            yield name, self.r.choice(["bridge", "none", "elsewhere"]), self.r.random() < 0.8

    def other(self):
        return self.r.choice([n for n in self.host.names() if n.split("_")[0] in OTHERS + ["vpn"]])

    def start_or_stop(self, name=None):
        name = name or self.other()
        self.say(f"  {'stop' if self.host.running(name) else 'start'} {name}")
        (self.host.stop if self.host.running(name) else self.host.start)(name)

    def restart(self, name=None):
        name = name or self.other()
        self.say(f"  {name}")
        if self.host.running(name):
            self.host.stop(name)
        time.sleep(self.r.choice([0, 0.05]))
        self.host.start(name)

    def restart_an_end(self):
        """Client or server: its traffic begins anew."""
        since = time.time()
        self.restart(self.r.choice(["client", "server"]))
        self.host.traffic.do("forgive")
        self.judge.broke(since, time.time())

    def rename(self):
        name = self.r.choice([n for n in self.host.names() if n.split("_")[0] in OTHERS])
        new = name.split("_")[0] if "_" in name else name + "_old"
        self.say(f"  {name} to {new}")
        self.host.engine.rename(name, new)
        if self.host.running(new):
            self.host.traffic.do("rename", old=name, new=new)

    def recreate(self):
        name = self.other()
        self.say(f"  {name}")
        if self.host.running(name):
            self.host.stop(name)
        self.host.engine.remove(name)
        self.host.engine.create(name, "bridge")
        self.host.start(name)

    def others_connect(self):
        name = self.other()
        network = self.r.choice([n["Name"] for n in self.host.engine.networks.values()
                                 if n["Driver"] == "bridge" and n["Name"] not in ("left", "right")])
        self.say(f"  {name} to {network}: {self.host.engine.connect(network, name)[0]}")

    def others_disconnect(self):
        name = self.other()
        ends = self.host.engine.containers[self.host.engine.find(self.host.engine.containers, name)]["ends"]
        if not ends:
            return self.others_connect()
        network = self.r.choice(sorted(ends))
        return self.say(f"  {name} from {network}: {self.host.engine.disconnect(network, name)[0]}")

    # -- the engine --

    def misbehave(self):
        engine, r = self.host.engine, self.r
        reads = r.choice([r"/networks$", r"/containers/json", r"/containers/[^/]+/json", r"/info", r".*"])
        kind = r.choice(["stall", "cut", "refuse", "refuse writes", "done but refused", "done but cut", "nonsense", "break off",
                         "odd chunks"])
        now = time.time()
        self.say(f"  {kind} {reads}")
        if kind == "stall":
            delay = r.choice([0.1, 0.4, 0.8])
            engine.script("GET", reads, delay=delay)
            self.judge.trouble("stall", now, now + 1 + delay)
        elif kind == "cut":
            engine.script("GET", reads, cut=True, times=r.choice([1, 2]))
        elif kind == "refuse":
            engine.script("GET", reads, status=r.choice([500, 409]), message="out of luck", times=r.choice([1, 2]))
        elif kind == "refuse writes":
            engine.script(r.choice(["POST", "DELETE"]), ".*", status=r.choice([500, 409, 403]), message="not now", times=2)
        elif kind == "done but refused":
            engine.script("POST", ".*", status=500, message="context canceled", done=True)
        elif kind == "done but cut":
            engine.script("POST", ".*", cut=True, done=True)
        elif kind == "nonsense":
            engine.script("GET", reads, status=200, body=r.choice(["", "[", "<html>", '[{"Id": 1}]']))
        elif kind == "break off":
            engine.cut_streams(amid=r.choice([b"", b'{"Type":"contai', b"\n"]))
        else:
            size = r.choice([1, 3, 7, 64])
            engine.chunks = lambda data: [data[i:i + size] for i in range(0, len(data), size)]
        self.judge.trouble("engine", now, now + 1.5)

    def lie_about_pids(self):
        """A container's pid is one of another container, or of nobody, when it starts."""
        engine, name = self.host.engine, self.other()
        ident = engine.find(engine.containers, name)
        lie = self.r.choice([engine.pid("stranger"), 1, os.getpid(), 4194000, self.host.tunnel_end])
        self.say(f"  {name} has pid {lie}")
        engine.lies[ident] = lie
        self.restart(name)
        time.sleep(self.r.choice([0.05, 0.2, 0.4]))
        engine.lies.clear()

    def lose_events(self):
        if not self.host.forgetful:
            return self.misbehave()
        self.host.engine.deaf = True
        for deed in self.r.sample([self.restart, self.start_or_stop, self.rename, self.others_disconnect], 2):
            deed()
        self.host.engine.deaf = False
        return None

    def engine_down(self, meanwhile=2):
        """With live-restore: its containers run on."""
        self.judge.trouble("engine", time.time())
        self.host.engine.close()
        for _ in range(self.r.randint(0, meanwhile)):
            self.r.choice([self.change_policies, self.change_talks, self.send_hup, self.kill, self.spell_otherwise])()
            self.host.watch_daemon()
        time.sleep(self.r.choice([0, 0.1, 0.6]))
        self.engine_back()

    def engine_back(self):
        self.host.engine.begin()
        self.host.engine.listen()
        self.judge.trouble_ends("engine", time.time() + 1)  # a stream is tried again after half a second

    # -- the daemon --

    def send_hup(self):
        end = time.time() + 5
        while self.host.daemon and (pid := self.host.daemon_pid()):
            if self.host.holds_signals(pid) or time.time() > end:
                os.kill(pid, signal.SIGHUP)
                return
            time.sleep(0.001)

    def kill(self):
        """At a random moment of a pass that something gives reason for."""
        if self.r.random() < 0.7:
            self.r.choice([self.change_policies, self.change_talks, self.spell_otherwise, self.restart, self.recreate])()
            time.sleep(self.r.random() * 0.06)
        if self.host.daemon:
            self.host.kill_daemon()
        time.sleep(self.r.choice([0, 0, 0.2]))

    def kill_between_steps(self):
        """Exactly before one of its messages: to the kernel, or to the engine."""
        if self.host.daemon:
            self.host.kill_daemon()
        at = self.r.choice([self.r.randint(1, 60), self.r.randint(1, 400)])
        self.say(f"  before message {at}")
        self.host.start_daemon(dies_at=at)
        for deed in self.r.sample([self.change_policies, self.change_talks, self.recreate, self.add_network], 2):
            deed()

    def freeze(self):
        pid = self.host.daemon and self.host.daemon_pid()
        if not pid:
            return
        since = time.time()
        self.judge.trouble("daemon", since)
        os.kill(pid, signal.SIGSTOP)
        try:
            self.r.choice([self.change_policies, self.change_talks, self.restart, self.start_or_stop])()
            time.sleep(self.r.choice([0.05, 0.3]))
        finally:
            with contextlib.suppress(ProcessLookupError):  # strace had its death at hand: it came just before
                os.kill(pid, signal.SIGCONT)
        self.judge.trouble_ends("daemon", time.time())

    # -- what others break --

    def breaking(self, *command, pid=None, opens=False):
        opens = opens or not pid and self.host.engine.is_open(6 if self.dual else 4)
        since = time.time()
        self.say(f"  {' '.join(command)}")
        if pid:
            wired.inside(pid, *command, check=False)
        else:
            wired.run(*command, check=False)
        if opens:
            whole = command[:3] in (("nft", "flush", "ruleset"), ("nft", "delete", "table"))
            self.judge.opened(since, time.time(), command[0], whole)
        else:
            self.judge.broke(since, time.time())

    def tool(self):
        """What writes the rules that the traffic meets, where the engine has some."""
        return "ip6tables-nft" if self.dual and 6 in self.host.engine.laws else "iptables-nft"

    def delete_table(self):
        self.breaking("nft", "delete", "table", "inet", "harborwall")

    def flush_part(self):
        what = self.r.choice([("chain", "forward"), ("chain", "fresh"), ("chain", "admit"), ("chain", "postrouting"),
                              ("chain", "raw"), ("set", "allow"), ("set", "sources"), ("set", "allow_ranges_0")])
        # without the set of tied sources a borrowed address is one like any other, until it is put right
        name = what[1].replace("_ranges", "6_ranges") if self.dual and "_" in what[1] else what[1] + "6" * (self.dual and what[0] == "set")
        self.breaking("nft", "flush", what[0], "inet", "harborwall", name, opens=what[1] in ("sources", "raw"))

    def delete_handoff(self):
        table, chain = self.r.choice([("filter", "DOCKER-USER"), ("filter", "DOCKER-USER"), ("raw", "PREROUTING")])
        self.breaking(self.tool(), "-t", table, "-D", chain, "1")

    def flush_docker_user(self):
        self.breaking(self.tool(), "-F", "DOCKER-USER")

    def put_before(self):
        nobody = "2001:db8:ff::9" if self.tool() == "ip6tables-nft" else "203.0.113.9"
        self.breaking(self.tool(), "-I", self.r.choice(["DOCKER-USER", "FORWARD"]), "-s", nobody, "-j", "DROP")

    def flush_ruleset(self):
        time.sleep(self.r.choice([0, 0.3]))
        self.breaking("nft", "flush", "ruleset", opens=True)

    def flush_forward(self):
        """As some firewall scripts do; dockerd makes its rules again when it starts next."""
        self.breaking(self.tool(), "-F", "FORWARD", opens=True)

    def docker_again(self):
        since = time.time()
        self.host.engine.begin()
        self.judge.broke(since, time.time())

    def undo_in_container(self):
        name = self.r.choice(["client", "server", "vpn"])
        if not self.host.running(name):
            return
        command = self.r.choice([("ip", "-6" if self.dual else "-4", "route", "flush", "proto", "104"), ("nft", "flush", "ruleset"),
                                 ("nft", "delete", "table", "inet", "harborwall"),
                                 ("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")])
        self.say(f"  in {name}")
        self.breaking(*command, pid=self.host.engine.pid(name))

    def stop_forwarding(self):
        self.breaking("sh", "-c", f"echo 0 >/proc/sys/net/{'ipv6/conf/all/forwarding' if self.dual else 'ipv4/ip_forward'}")

    def engine_dies_with_its_containers(self):
        """Without live-restore: they are started again with it."""
        since = time.time()
        engine = self.host.engine
        self.judge.trouble("engine", since)
        engine.close()
        running = [n for n in self.host.names() if self.host.running(n)]
        for name in running:
            self.host.stop(name)
        time.sleep(self.r.choice([0, 0.3]))
        self.engine_back()
        for name in running:
            self.host.start(name)
        self.host.traffic.do("forgive")
        self.judge.broke(since, time.time())

    GENTLE = [change_policies, change_policies, change_talks, change_talks, spell_otherwise, spell_otherwise, add_network,
              remove_network, move_address, start_or_stop, restart, restart, restart_an_end, rename, recreate,
              others_connect, others_disconnect, misbehave, misbehave, misbehave, lie_about_pids, lose_events, engine_down,
              send_hup, kill, kill, kill_between_steps, kill_between_steps, freeze]
    ROUGH = [delete_table, flush_part, flush_part, delete_handoff, flush_docker_user, put_before, flush_ruleset,
             flush_ruleset, flush_forward, docker_again, docker_again, undo_in_container, undo_in_container,
             stop_forwarding, engine_dies_with_its_containers]

    def deed(self):
        known = self.GENTLE + (self.ROUGH if self.rough else [])
        what = self.r.choice(known)
        self.say(what.__name__)
        what(self)

    def make_peace(self):
        """The last event: from here on the daemon is left alone, and must get everything right."""
        self.say("peace")
        engine = self.host.engine
        engine.scripts.clear()
        engine.lies.clear()
        engine.deaf = False
        for name in ("client", "server"):
            if not self.host.running(name):
                self.host.start(name)
        if self.host.strace:
            self.host.watch_daemon()
            if self.host.strace:
                self.host.kill_daemon()
        self.host.watch_daemon()
        if not engine.law.stands() and (self.r.random() < 0.5 or self.lacks_networks()):
            self.docker_again()

    def lacks_networks(self):
        """An engine whose rules were flushed makes no networks."""
        there = {n["Name"] for n in self.host.engine.networks.values()}
        return any(n.get("network_name", key) not in there for key, n in self.config["networks"].items())


class Shown(dict):
    """A part of a mapping that writes through to the whole."""

    def __init__(self, whole, hidden):
        super().__init__({k: v for k, v in whole.items() if k not in hidden})
        self.whole = whole

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.whole[key] = value
