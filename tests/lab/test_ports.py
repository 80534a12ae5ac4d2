# SPDX-License-Identifier: GPL-2.0-or-later
"""The ports of a strict network's bridge: put there by a pass, put back when somebody changes them, gone with the file."""
import json
import re
import signal
import subprocess
import time

import bed as beds
import engine
import pytest

WEB, WEB6 = "172.18.103", "fd18:103:"
NAMES = ("shop", "till", "db")
MOST_MS = 1000  # of one repair, on a busy machine; the figures say what it takes
every_engine = pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "26", "28")], indirect=True,
                                       ids=lambda p: f"docker {p['version']}")
two_engines = pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "28")], indirect=True, ids=lambda p: f"docker {p['version']}")


def file(isolation="strict"):
    return {"networks": {"web": {"subnet": f"{WEB}.0/24", "subnet6": f"{WEB6}:/64", "isolation": isolation}},
            "ips": {f"{WEB}.{2 + i}": {"ip6": f"{WEB6}:{2 + i}", "container_name": name} for i, name in enumerate(NAMES)}, "policies": []}


class World:
    def __init__(self, bed):
        self.bed, self.lab, self.docker = bed, bed.lab, bed.docker
        self.docker.create_network("web", f"{WEB}.0/24", f"{WEB}.1", subnet6=f"{WEB6}:/64")
        for i, name in enumerate(NAMES):
            self.docker.create(name, network="web", ip=f"{WEB}.{2 + i}", ip6=f"{WEB6}:{2 + i}")
        self.bridge = "br-" + self.docker.networks()["web"]["Id"][:12]

    def apply(self, isolation="strict"):
        self.bed.write(file(isolation))
        self.bed.apply()

    # -- what stands --

    def ports(self):
        """name -> its flags."""
        links = json.loads(self.lab.run("ip", "-d", "-j", "link", "show", "master", self.bridge).stdout or "[]")
        return {link["ifname"]: {flag: link["linkinfo"]["info_slave_data"][flag] for flag in ("isolated", "locked", "learning", "flood")} for link in links}

    def entries(self):
        """(port, address) of those that stay."""
        listed = json.loads(self.lab.run("bridge", "-j", "fdb", "show", "br", self.bridge).stdout)
        return {(e["ifname"], e["mac"]) for e in listed if e.get("state") == "static" and e.get("master") == self.bridge}

    def proxies(self):
        listed = [json.loads(self.lab.run("ip", f"-{f}", "-j", "neigh", "show", "proxy", "dev", self.bridge).stdout or "[]") for f in (4, 6)]
        return {e["dst"] for family in listed for e in family}

    def switches(self):
        return [self.lab.run("cat", f"/proc/sys/net/{path}").stdout.strip() for path in self.paths()]

    def paths(self):
        return [f"ipv4/conf/{self.bridge}/proxy_arp_pvlan", f"ipv4/neigh/{self.bridge}/proxy_delay",
                f"ipv6/conf/{self.bridge}/proxy_ndp", f"ipv6/neigh/{self.bridge}/proxy_delay"]

    def state(self):
        return self.ports(), self.entries(), self.proxies(), self.switches()

    def port_of(self, name):
        """The interface on the host whose other end is the container's."""
        index = self.lab.inside(name, "ip", "-o", "link", "show", "type", "veth").stdout
        peer = re.search(r"@if(\d+):", index).group(1)
        return next(line.split()[1].split("@")[0].rstrip(":") for line in self.lab.run("ip", "-o", "link").stdout.splitlines() if line.startswith(f"{peer}:"))

    def mac_of(self, name):
        return self.docker.inspect(name)["NetworkSettings"]["Networks"]["web"]["MacAddress"]

    def bound(self, names=NAMES):
        return {(self.port_of(name), self.mac_of(name)) for name in names}

    def is_closed(self, names=NAMES):
        ports = self.ports()
        return (ports and all(f == {"isolated": True, "locked": True, "learning": False, "flood": False} for f in ports.values())
                and self.entries() == self.bound(names) and self.switches() == ["1", "0", "1", "0"]
                and {f"{WEB6}:{2 + NAMES.index(n)}" for n in names} <= self.proxies())


@pytest.fixture
def world(lab):
    with beds.Bed(lab) as bed:
        yield World(bed)


@every_engine
def test_apply_closes_the_ports_and_leaving_strict_puts_everything_back(world):
    world.apply("docker")
    before = world.state()
    assert before[0] and not before[1]
    world.bed.write(file())
    planned = world.bed.harborwall("plan", "--rules").stdout
    assert "+ ports      web: " in planned, planned
    for name in NAMES:
        assert f"+ port {world.port_of(name)}: address {world.mac_of(name)}" in planned, planned
    assert f"~ net.ipv4.conf.{world.bridge}.proxy_arp_pvlan = 1" in planned, planned
    world.bed.apply()
    assert world.is_closed(), world.state()
    again = world.bed.harborwall("plan")
    assert again.returncode == 0 and "nothing to do" in again.stdout, again.stdout

    world.apply("docker")
    assert world.state() == before, "left strict"
    world.apply()
    assert world.is_closed()
    cleared = world.bed.harborwall("clear")
    assert cleared.returncode == 0, cleared.stdout + cleared.stderr
    assert world.state() == before, "cleared"


@two_engines
def test_a_trial_that_nobody_confirms_leaves_the_ports_as_they_were(world):
    path = world.bed.folder.name + "/tried.json"
    for isolation, tried, sign in (("docker", "strict", "-"), ("strict", "docker", "+")):
        world.apply(isolation)
        before = world.state()
        with open(path, "w", encoding="utf-8") as f:
            json.dump(file(tried), f)
        done = world.bed.harborwall("apply", "--confirm", "1", path)
        assert done.returncode == 1 and "nobody confirmed in time" in done.stderr, done.stdout + done.stderr
        assert f"\n{sign} ports " in done.stdout, done.stdout  # the way back
        assert world.state() == before, (tried, world.state())


# -- what others change --

@pytest.fixture
def following(world):
    world.apply()
    world.bed.daemon = world.bed.run_daemon()
    world.bed.daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: world.bed.status().get("passes", 0) > 0)
    assert engine.wait_for(world.is_closed)
    time.sleep(0.5)
    yield world
    world.bed.daemon.end()


def changes(world):
    """What somebody may change: what it is called, how, and how to see that it is right again, cheaply."""
    bridge, port, mac = world.bridge, world.port_of("shop"), world.mac_of("shop")

    def number(path):
        return world.lab.run("cat", f"/proc/sys/net/{path}").stdout.strip()

    def sysctl(path, value):
        right = number(path)
        return ["sh", "-c", f"echo {value} >/proc/sys/net/{path}"], lambda: number(path) == right

    for flag, wrong in (("isolated", "off"), ("locked", "off"), ("learning", "on"), ("flood", "on")):
        yield flag, ["bridge", "link", "set", "dev", port, flag, wrong], lambda flag=flag, wrong=wrong: world.ports()[port][flag] is (wrong == "off")
    yield "entry removed", ["bridge", "fdb", "del", mac, "dev", port, "master"], lambda: (port, mac) in world.entries()
    foreign = (port, "02:00:00:00:00:99")
    yield "entry added", ["bridge", "fdb", "add", foreign[1], "dev", port, "master", "static"], lambda: foreign not in world.entries()
    yield "proxy removed", ["ip", "-6", "neigh", "del", "proxy", f"{WEB6}:2", "dev", bridge], lambda: f"{WEB6}:2" in world.proxies()
    for path, wrong in zip(world.paths(), (0, 80, 0, 80)):
        change, is_right = sysctl(path, wrong)
        yield path.replace(bridge, "BR"), change, is_right
    yield "port taken out and put back", ["sh", "-c", f"ip link set {port} nomaster; ip link set {port} master {bridge}"], world.is_closed


@two_engines
def test_what_others_change_is_put_back(following, capsys):
    figures, repaired = {}, following.bed.status()["drift_repaired"]
    for name, change, is_right in changes(following):
        assert is_right(), name
        following.lab.run(*change)
        start = time.monotonic()
        assert engine.wait_for(is_right, timeout=MOST_MS / 1000, step=0.002), f"{name}\n{following.bed.daemon.log()[-2000:]}"
        figures[name] = round(1000 * (time.monotonic() - start))
        assert engine.wait_for(following.is_closed), name
        time.sleep(0.3)
    assert following.bed.status()["drift_repaired"] >= repaired + len(figures), following.bed.status()
    print(f"figures: ports, put back within ms, docker {following.lab.version}: {figures}")


@two_engines
def test_a_daemon_that_starts_again_finds_nothing_to_do(following):
    before = following.state()
    following.bed.daemon.end()
    daemon = following.bed.daemon = following.bed.run_daemon()
    daemon.wait_log("following the engine")
    assert engine.wait_for(lambda: following.bed.status().get("passes", 0) > 1)
    assert "ports" not in daemon.log(), daemon.log()
    assert following.state() == before

    def is_calm():
        passes = following.bed.status()["passes"]
        time.sleep(1)
        return following.bed.status()["passes"] == passes
    assert engine.wait_for(is_calm), f"nothing happens, and it goes on\n{daemon.log()}"


@two_engines
def test_a_container_that_starts_again_has_its_port_again(following, capsys):
    following.docker.restart("shop")
    start = time.monotonic()
    bound = following.port_of("shop"), following.mac_of("shop")
    assert engine.wait_for(lambda: bound in following.entries(), step=0.002), following.state()
    print(f"figures: ports, bound after a restart within ms, docker {following.lab.version}: {round(1000 * (time.monotonic() - start))}")
    assert engine.wait_for(following.is_closed), following.state()
    following.docker.stop("till")
    assert engine.wait_for(lambda: following.is_closed(("shop", "db"))), following.state()


@two_engines
def test_what_a_killed_process_left_is_finished_by_the_next(world):
    world.apply("docker")
    before = world.state()
    for i, (isolation, is_right) in enumerate((("strict", world.is_closed), ("docker", lambda: world.state() == before)) * 4):
        world.bed.write(file(isolation))
        daemon = world.bed.run_daemon()
        time.sleep(0.02 * i)
        daemon.end(signal.SIGKILL)
        world.bed.apply()
        assert is_right(), (isolation, world.state())


# -- with frames --

# ARP of an address that is the neighbour's: a request that says so, sent again and again; and a neighbour advertisement
ATTACK = r"""
import socket, struct, sys
interface, own, ip, ip6, gateway_mac, what = sys.argv[1:]
mac = bytes.fromhex(own.replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((interface, 0))
to = bytes.fromhex(gateway_mac.replace(":", ""))
if what == "arp":
    a = socket.inet_aton(ip)
    for op, dst in ((1, b"\xff" * 6), (2, to)):
        s.send(dst + mac + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, op) + mac + a + to + a)
else:
    a = socket.inet_pton(socket.AF_INET6, ip6)
    body = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + a + b"\x02\x01" + mac
    dst = socket.inet_pton(socket.AF_INET6, "fd18:103::1")
    src = socket.inet_pton(socket.AF_INET6, sys.argv[4].rsplit(":", 1)[0] + ":3")  # till's own
    pseudo = src + dst + struct.pack("!II", len(body), 58) + body
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
    s.send(to + mac + struct.pack("!H", 0x86dd) + struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + src + dst + body)
"""


def neighbour(world, ip):
    """The MAC address by which the host knows it."""
    listed = json.loads(world.lab.run("ip", "-j", "neigh", "show", ip, "dev", world.bridge).stdout or "[]")
    return next((e.get("lladdr") for e in listed), None)


@two_engines
def test_nobody_tells_the_host_that_a_neighbours_address_is_his(world):
    def attack(what):
        interface = world.lab.inside("till", "ip", "-o", "link", "show", "type", "veth").stdout.split()[1].split("@")[0]
        gateway = json.loads(world.lab.run("ip", "-j", "link", "show", world.bridge).stdout)[0]["address"]
        world.lab.inside("till", "/usr/bin/python3", "-c", ATTACK, interface, world.mac_of("till"), f"{WEB}.2", f"{WEB6}:2", gateway, what)
        time.sleep(0.2)
        return neighbour(world, f"{WEB}.2" if what == "arp" else f"{WEB6}:2")

    for isolation, owner in (("docker", "till"), ("strict", "shop")):
        world.apply(isolation)
        for what, ip in (("arp", f"{WEB}.2"), ("nd", f"{WEB6}:2")):
            world.lab.run("ip", "neigh", "flush", "dev", world.bridge)
            family = "AF_INET6" if ":" in ip else "AF_INET"
            world.lab.run("/usr/bin/python3", "-c", f"import socket; socket.socket(socket.{family}, socket.SOCK_DGRAM).sendto(b'x', ('{ip}', 9))")
            assert engine.wait_for(lambda: neighbour(world, ip), timeout=3), (isolation, what)
            assert neighbour(world, ip) == world.mac_of("shop"), (isolation, what)
            time.sleep(2)  # the kernel believes no other within a second
            assert attack(what) == world.mac_of(owner), (isolation, what)


@two_engines
def test_a_port_that_nobody_isolated_yet_is_closed_by_the_table(world):
    """The first moment, kept: no daemon runs, and a container starts."""
    world.apply("docker")
    frames = r"""
import socket, struct, sys
interface, dst = sys.argv[1:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((interface, 0))
mac, to = s.getsockname()[4], bytes.fromhex(dst.replace(":", ""))
a, b = socket.inet_aton("172.18.103.4"), socket.inet_aton("172.18.103.2")
a6, b6 = socket.inet_pton(socket.AF_INET6, "fd18:103::4"), socket.inet_pton(socket.AF_INET6, "fd18:103::2")
tail = b"harborwall"
head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tail), 1, 0, 64, 253, 0) + a + b
total = sum(struct.unpack("!10H", head))
total = (total & 0xffff) + (total >> 16)
head = head[:10] + struct.pack("!H", ~((total & 0xffff) + (total >> 16)) & 0xffff) + head[12:]
for kind in (to, b"\xff" * 6):
    s.send(kind + mac + b"\x08\x00" + head + tail)
    s.send(kind + mac + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(tail), 253, 64) + a6 + b6 + tail)
    s.send(kind + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + mac + a + b"\x00" * 6 + b + tail)
    s.send(kind + mac + b"\x88\xb5" + tail + b"raw" + b"\x00" * 40)
"""
    hear = r"""
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
s.settimeout(0.1)
found, until = set(), time.monotonic() + 1.5
print("ready", flush=True)
while time.monotonic() < until:
    try:
        f, at = s.recvfrom(2048)
    except TimeoutError:
        continue
    if b"harborwall" in f and at[2] != 4:
        found.add(f[12:14].hex())
print(sorted(found))
"""

    def interface(name):
        return world.lab.inside(name, "ip", "-o", "link", "show", "type", "veth").stdout.split()[1].split("@")[0]

    def heard(source, target):
        there = ["nsenter", f"--net={world.lab.netns(target)}", "/usr/bin/python3", "-c", hear, interface(target)]
        with subprocess.Popen(there, stdout=subprocess.PIPE, text=True) as ear:
            assert ear.stdout.readline() == "ready\n"
            world.lab.inside(source, "/usr/bin/python3", "-c", frames, interface(source), world.mac_of(target))
            return set(re.findall(r"'(\w+)'", ear.stdout.read()))

    everything = {"0800", "86dd", "0806", "88b5"}
    assert heard("db", "shop") == everything
    world.apply()
    world.docker.restart("db")  # nobody looks: its port is as the kernel makes it
    assert world.ports()[world.port_of("db")]["isolated"] is False
    assert heard("db", "shop") == set(), "from one that is new to one that is known: nothing"
    assert heard("shop", "db") == set()
    world.docker.restart("shop")
    assert heard("db", "shop") == {"88b5"}, "between two that are new: what is no packet"
