# SPDX-License-Identifier: GPL-2.0-or-later
"""What others do to a running daemon's work, told once for every way to run it: bare, in the image, from the package
under its unit's settings. Whether it heals, not how fast: that is test_heal.py's.

A daemon here is whatever has log(). It stands on the seed's containers and the widened file with TALKED_ABOUT."""
import engine
import seed

TALKED_ABOUT = {"selector": "smarthostloadbalancer", "from": "smarthostbackend-1", "port": 7001}
BALANCER = "172.18.103.2"
BALANCERS = [BALANCER, "fd18:103::2"]

LISTEN = f"""import socket
s = socket.create_server(("0.0.0.0", {TALKED_ABOUT["port"]}))
print("listening", file=__import__("sys").stderr, flush=True)
c, _ = s.accept()
while d := c.recv(99):
    c.sendall(d)
"""
TALK = f"""import socket, sys, time
s = socket.create_connection(("{BALANCER}", {TALKED_ABOUT["port"]}), 5)
s.settimeout(30)
while True:
    s.sendall(b"x")
    if not s.recv(1):
        break
    print(".", end="", file=sys.stderr, flush=True)
    time.sleep(0.02)
"""


def config():
    told = seed.widened()
    told["policies"].append(dict(TALKED_ABOUT))
    return seed.dual(told)


def other_user(bed, config):
    """A container of another user, which needs a route and is asked and asks."""
    bed.docker.create("other-user", user="1000")
    both = any("subnet6" in network for network in config["networks"].values())
    config["ips"]["172.18.104.9"] = {"container_name": "other-user", **({"ip6": "fd18:104::9"} if both else {})}
    config["policies"].append({"selector": "other-user", "from": "publicbackend", "port": 80})
    config["policies"].append({"selector": "smarthostloadbalancer", "from": "other-user", "port": 8080})
    return config


class Conversation:
    """One connection that talks all the time. What is lost while rules are wrong TCP sends again; the end of it would be
    the end of the talk."""

    def __init__(self, bed):
        self.server = self.spawn(bed, "smarthostloadbalancer", LISTEN)
        self.server.wait_log("listening")
        self.talk = self.spawn(bed, "smarthostbackend-1", TALK)
        self.assert_lives()

    def spawn(self, bed, container, program):
        pid = str(bed.docker.inspect(container)["State"]["Pid"])
        return bed.lab.spawn("nsenter", "-t", pid, "-n", "python3", "-c", program)

    def assert_lives(self):
        said = len(self.talk.log())
        assert engine.wait_for(lambda: len(self.talk.log()) > said + 5, timeout=20), "the established connection is dead"


def reaches(bed, port=80, timeout=0.1):
    """In every family that the file has; half of them is not enough, and too much where nothing may pass."""
    got = bed.prober.ask_all({"publicbackend": [[ip, "tcp", port] for ip in BALANCERS]}, timeout)
    return {answer is not None for answer in got.values()}


def right(bed):
    """Who is declared passes and, at the same moment, who is not stays out."""
    out = bed.prober.ask_all({"bystander": [[ip, "tcp", 80] for ip in BALANCERS]}, 0.1)
    return not any(out.values()) and reaches(bed) == {True}


def planned_nothing(bed):
    return bed.harborwall("plan", "-q").returncode == 0


def stands(bed, daemon, timeout=20):
    assert engine.wait_for(lambda: planned_nothing(bed), timeout, step=0.1), daemon.log() + bed.harborwall("plan").stdout


# --- the stories: each breaks or changes something, and ends when the packets are right ---

def table_deleted(bed):
    bed.lab.run("nft", "delete", "table", "inet", "harborwall")
    yield lambda: right(bed)


def hand_off_rule_deleted(bed):
    for tool in ("iptables", "ip6tables"):  # up to 26 there are none of IPv6
        bed.lab.run(tool, "-D", "DOCKER-USER", "1", check=tool == "iptables" or bed.lab.closes_ipv6)
    yield lambda: right(bed)


def element_deleted(bed):
    bed.lab.run("nft", "flush set inet harborwall allow; flush set inet harborwall allow6")
    yield lambda: right(bed)


def file_renamed(bed):
    first = bed.config["policies"][0]
    for port, other in ((443, 80), (80, 443)):
        first["port"] = port
        bed.write(bed.config)
        yield lambda port=port, other=other: reaches(bed, port) == {True} and reaches(bed, other) == {False}


def containers_restarted(bed):
    """One whose namespace needs a route, and the one that translates in its own."""
    bed.docker.restart("publicbackend")
    bed.docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    bed.prober.agents.pop("client").close()
    yield lambda: right(bed) and all(bed.prober.open("client", ip, "tcp", 80, 0.1) for ip in ("10.66.0.1", "fd66::1"))


def ruleset_flushed(bed):
    """Docker's own rules are gone with ours; a legacy variant's stand."""
    bed.lab.run("nft", "flush", "ruleset")
    yield lambda: right(bed)


HEALING = [table_deleted, hand_off_rule_deleted, element_deleted, file_renamed, containers_restarted, ruleset_flushed]


def assert_heals(bed, daemon, rounds=1):
    """The whole matrix before, between and after; a connection that was there before lives through all of it."""
    bed.prober.serve_at("publicbackend", "bystander", "smarthostloadbalancer", "client")
    bed.assert_matrix()
    talk = Conversation(bed)
    for story in HEALING:
        for _ in range(rounds):
            if story is ruleset_flushed:
                stands(bed, daemon)
                bed.assert_matrix()
            for healed in story(bed):
                assert engine.wait_for(healed, timeout=15), f"{story.__name__}: not healed\n{daemon.log()[-3000:]}"
            talk.assert_lives()
    stands(bed, daemon)
    bed.assert_matrix(bed.into_managed)
