# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks and connections on real engines: what stands in the way of them, what they keep, what they are replaced by."""
import json
import re
import socket
import threading

import pytest

ENGINES = ["20", "26", "28"]
every_engine = pytest.mark.parametrize("lab", [{"version": v} for v in ENGINES], indirect=True, ids=ENGINES)

CONFIG = {
    "networks": {"web": {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
    "ips": {"172.18.103.2": {"container_name": "proxy"}, "172.18.104.2": {"container_name": "api"}},
    "policies": [{"selector": "api", "from": "proxy", "port": 80}],
}


def with_networks(**networks):
    return {**CONFIG, "networks": {**CONFIG["networks"], **networks}}


def containers(bed, *names):
    for name in names:
        bed.docker.create(name)


def assert_only_port_80(bed):
    """What the one policy admits passes, and nothing beside it."""
    bed.prober.serve_at("proxy", "api")
    assert bed.prober.open("proxy", "172.18.104.2", "tcp", 80) == ("api", "172.18.103.2")
    assert not bed.prober.open("proxy", "172.18.104.2", "tcp", 81)
    assert not bed.prober.open("api", "172.18.103.2", "tcp", 80)


@every_engine
def test_a_tunnel_that_takes_everything_stops_no_network_and_one_conflict_not_the_others(bed):
    """Half of everything into a tunnel, as VPN clients route; everything private dropped; a part of one subnet in use."""
    bed.lab.run("sh", "-ec", """
        ip link add tun9 type bridge; ip addr add 10.9.9.1/24 dev tun9; ip link set tun9 up
        ip route add 0.0.0.0/1 via 10.9.9.2; ip route add 128.0.0.0/1 via 10.9.9.2; ip route add blackhole 172.16.0.0/12
        ip route add 172.18.105.128/25 via 10.9.9.2""")
    containers(bed, "proxy", "api")
    bed.write(with_networks(taken={"subnet": "172.18.105.0/24"}))
    done = bed.harborwall("apply")
    assert done.returncode == 1 and "conflict: networks.taken: subnet 172.18.105.0/24 overlaps 172.18.105.128/25" in done.stdout
    assert {"web", "back"} < set(bed.docker.networks()) and "taken" not in bed.docker.networks()
    assert_only_port_80(bed)


# --- networks without a bridge ---

LAN = {"subnet": "192.0.2.0/24", "gateway": "192.0.2.254", "driver": "macvlan"}  # the peer's, whose wire to this host is ext0
BACKENDS = [("20", "nftables"), ("20", "iptables-legacy"), ("26", "iptables-nft"), ("28", "nftables"), ("28", "iptables-nft")]
every_backend = pytest.mark.parametrize(
    "lab, backend", [({"version": v, "legacy": b == "iptables-legacy"}, b) for v, b in BACKENDS], indirect=["lab"],
    ids=[f"docker {v}, {b}" for v, b in BACKENDS])


def with_lan(**lan):
    config = with_networks(lan={**LAN, **lan})
    return {**config, "ips": {**CONFIG["ips"], "192.0.2.50": {"container_name": "printer"}},
            "policies": [*CONFIG["policies"],
                         {"selector": "proxy", "nat": "dnat", "iface": "ext0", "to": "proxy", "port": 81},
                         {"selector": "printer", "from": "proxy", "port": 631}]}


def make_lan(bed):
    bed.docker.call("POST", "/networks/create", {
        "Name": "lan", "CheckDuplicate": True, "Driver": "macvlan", "Options": {"parent": "ext0"},
        "IPAM": {"Config": [{"Subnet": LAN["subnet"], "Gateway": LAN["gateway"]}]}})


def assert_the_lan_is_as_it_was(bed):
    """Who is on it reaches who is on it, comes in by the translation, and no other way."""
    bed.prober.serve_at("proxy", "printer", "peer")
    assert bed.prober.open("peer", "192.0.2.50", "tcp", 80) == ("printer", "192.0.2.2")
    assert bed.prober.open("printer", "192.0.2.2", "tcp", 80) == ("peer", "192.0.2.50")
    assert bed.prober.open("peer", "192.0.2.1", "tcp", 81) == ("proxy", "192.0.2.2")
    assert not bed.prober.open("peer", "192.0.2.1", "tcp", 80)
    assert not bed.prober.open("peer", "172.18.103.2", "tcp", 81)
    assert_only_port_80(bed)


@every_backend
def test_a_macvlan_network_is_neither_closed_nor_tied_to_a_bridge(bed, backend):
    bed.env["HARBORWALL_BACKEND"] = backend
    containers(bed, "proxy", "api", "printer")
    make_lan(bed)
    bed.write(with_lan())
    bed.apply()
    assert bed.docker.addresses("printer")["lan"] == "192.0.2.50"
    assert_the_lan_is_as_it_was(bed)
    assert "192.0.2.0/24" not in "".join(rules(bed)), "nothing of ours is about it"
    flush(bed, backend)  # nobody closes anything now, so we do
    bed.apply()
    assert_the_lan_is_as_it_was(bed)
    assert "192.0.2.0/24" not in "".join(rules(bed))


@pytest.mark.parametrize("lab", [{"version": "28"}], indirect=True)
def test_what_policies_can_do_for_a_macvlan_network_is_said_by_check_and_plan(bed):
    containers(bed, "proxy", "api", "printer")
    make_lan(bed)
    bed.write(with_lan())
    assert "lan has driver macvlan: what goes there does not pass this host" in bed.harborwall("check").stderr
    bed.write(with_lan(driver="bridge"))  # the engine knows better
    planned = bed.harborwall("plan").stdout
    assert 'warning: networks.lan: the Docker network "lan" has driver macvlan: its packets do not pass this host' in planned
    bed.apply()
    assert_the_lan_is_as_it_was(bed)
    strict = with_lan(driver="bridge")
    strict["networks"]["lan"]["isolation"] = "strict"
    bed.write(strict)
    planned = bed.harborwall("plan").stdout
    assert 'conflict: networks.lan: "strict" takes a network of the driver bridge' in planned


def rules(bed):
    """What stands of ours on the host, in whatever language."""
    nft = bed.lab.run("nft", "list", "ruleset").stdout
    saved = bed.lab.run("iptables-nft-save").stdout + bed.lab.run("iptables-legacy-save").stdout
    return [nft[nft.index("table inet harborwall"):]] if "table inet harborwall" in nft else \
        [line for line in saved.splitlines() if "HARBORWALL" in line]


def flush(bed, backend):
    if backend == "iptables-legacy":
        bed.lab.run("sh", "-ec", "for t in raw nat filter; do iptables-legacy -t $t -F; done; iptables-legacy -P FORWARD ACCEPT")
    else:
        bed.lab.run("nft", "flush", "ruleset")


# --- networks whose containers Docker keeps apart ---

ICC = "com.docker.network.bridge.enable_icc"
APART = {"networks": {"apart": {"subnet": "172.18.105.0/24", "options": {ICC: "false"}}},
         "ips": {"172.18.105.2": {"container_name": "db"}, "172.18.105.3": {"container_name": "app"},
                 "172.18.105.4": {"container_name": "other"}},
         "policies": [{"selector": "db", "from": "app", "port": 80}]}


def assert_kept_apart(bed):
    bed.prober.serve_at("db", "app", "other")
    for proto in ("tcp", "udp"):
        assert bool(bed.prober.open("app", "172.18.105.2", proto, 80)) == (proto == "tcp")
        assert not bed.prober.open("other", "172.18.105.2", proto, 80)
    assert not bed.prober.open("app", "172.18.105.2", "tcp", 81)
    assert not bed.prober.open("db", "172.18.105.3", "tcp", 80)


@every_backend
def test_policies_open_what_docker_closes_within_a_network_and_no_more(bed, backend):
    bed.env["HARBORWALL_BACKEND"] = backend
    containers(bed, "db", "app", "other")
    bed.write(APART)
    checked = bed.harborwall("check")
    assert "reach each other anyway" not in checked.stderr, checked.stderr
    bed.apply()
    assert_kept_apart(bed)
    flush(bed, backend)
    bed.apply()
    assert_kept_apart(bed)
    assert "nothing to do" in bed.apply().stdout


@every_engine
def test_a_network_that_was_made_with_icc_off_is_kept_apart_whatever_the_file_says(bed):
    containers(bed, "db", "app", "other")
    bed.docker.call("POST", "/networks/create", {
        "Name": "apart", "CheckDuplicate": True, "Options": {ICC: "false"}, "IPAM": {"Config": [{"Subnet": "172.18.105.0/24"}]}})
    bed.write({**APART, "networks": {"apart": {"subnet": "172.18.105.0/24"}}})
    bed.apply()
    assert_kept_apart(bed)


@every_engine
def test_where_bridges_pass_no_filter_the_open_network_is_told(bed):
    containers(bed, "db", "app", "other")
    bed.write(APART)
    bed.apply()
    assert_kept_apart(bed)
    told = "warning: networks.apart: its containers reach each other although it has enable_icc=false"
    assert told not in bed.harborwall("plan").stdout
    bed.lab.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0")
    assert bed.prober.open("other", "172.18.105.2", "tcp", 81)
    assert told in bed.harborwall("plan").stdout
    bed.lab.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    assert told not in bed.harborwall("plan").stdout
    assert_kept_apart(bed)


@every_engine
def test_a_network_that_stands_more_open_than_declared_is_a_conflict(bed):
    containers(bed, "db", "app", "other")
    bed.docker.create_network("apart", "172.18.105.0/24")
    bed.docker.create_network("in", "172.18.106.0/24")
    bed.write({**APART, "networks": {**APART["networks"], "in": {"subnet": "172.18.106.0/24", "internal": True}}})
    done = bed.harborwall("apply")
    assert done.returncode == 1
    assert 'conflict: networks.apart: the Docker network "apart" was created without enable_icc=false' in done.stdout
    assert 'conflict: networks.in: the Docker network "in" was created without internal' in done.stdout
    assert "apply --replace apart" in done.stdout and "apply --replace in" in done.stdout
    assert bed.docker.addresses("db")["apart"] == "172.18.105.2", "and used all the same"


@every_engine
def test_a_container_that_translates_reaches_a_neighbour_that_docker_closes(bed):
    containers(bed, "db", "app", "other")
    bed.docker.create("relay", privileged_net=True)
    bed.wire_tunnel("relay")
    bed.write({**APART, "ips": {**APART["ips"], "172.18.105.5": {"container_name": "relay"}},
               "policies": [*APART["policies"], {"selector": "db", "nat": "dnat", "name": "relay", "iface": "wg0", "to": "db", "port": 81}]})
    bed.apply()
    assert_kept_apart(bed)
    bed.prober.serve_at("client", "relay")
    assert bed.prober.open("client", "10.66.0.1", "tcp", 81) == ("db", "172.18.105.5")
    assert not bed.prober.open("relay", "172.18.105.2", "tcp", 80)


# --- connections that are made anew ---

SHOP = "shop_default"
MAC = "02:42:aa:bb:cc:01"
QUERY = r"""
import socket, struct, sys
name = b"".join(bytes([len(part)]) + part for part in sys.argv[1].encode().split(b".")) + b"\0"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1), ("127.0.0.11", 53))
answer = s.recv(512)
count = struct.unpack("!H", answer[6:8])[0]
print(socket.inet_ntoa(answer[-4:]) if count else "nobody")
"""


def resolve(bed, container, name):
    """What Docker's own resolver tells a container."""
    return bed.lab.inside(container, "/usr/bin/python3", "-c", QUERY, name).stdout.strip()


def interfaces(bed, container):
    """address -> MAC, as the kernel has them."""
    found = {}
    for link in json.loads(bed.lab.inside(container, "ip", "-j", "addr").stdout):
        found.update({a["local"]: link["address"] for a in link["addr_info"] if a["family"] == "inet"})
    return found


def compose(bed, subnet="172.18.103.0/24"):
    """As docker compose and docker run leave them: a project's network, a database with aliases, one who asks it."""
    docker = bed.docker
    body = {"Name": SHOP, "CheckDuplicate": True, "EnableIPv6": True, "Labels": {"com.docker.compose.network": "default"},
            "IPAM": {"Config": [{"Subnet": subnet}, {"Subnet": "fd00:103::/64"}]}}
    docker.call("POST", "/networks/create", body)
    docker.create("web-1", network=SHOP)
    rest = {"GwPriority": 5} if docker.api >= (1, 48) else {}
    docker.create("db-1", network=SHOP, mac=MAC, Aliases=["db", "data"], Links=["web-1:front"], DriverOpts={"com.example.x": "1"},
                  IPAMConfig={"IPv6Address": "fd00:103::77"}, **rest)
    return rest


def assert_kept(bed, rest, address, name="db-1"):
    end = bed.docker.inspect(name)["NetworkSettings"]["Networks"][SHOP]
    short = bed.docker.inspect(name)["Id"][:12]
    assert [a for a in end["Aliases"] if a != short] == ["db", "data"] and end["Links"] == ["web-1:front"]
    assert end["Aliases"].count(short) <= 1
    assert end["DriverOpts"]["com.example.x"] == "1"
    assert end["IPAMConfig"]["IPv6Address"] == end["GlobalIPv6Address"] == "fd00:103::77"
    assert end.get("GwPriority", 0) == rest.get("GwPriority", 0)
    bed.prober.serve_at("web-1", name)
    for alias in ("db", "data", name):
        assert resolve(bed, "web-1", alias) == address
    assert bed.prober.open("web-1", address, "tcp", 80)[0] == name
    assert not bed.prober.open("web-1", address, "tcp", 7)


@every_engine
def test_an_address_that_is_declared_for_a_container_costs_it_none_of_its_names(bed):
    rest = compose(bed)
    had = bed.docker.addresses("db-1")[SHOP]
    assert_kept(bed, rest, had)
    bed.write({"networks": {SHOP: {"subnet": "172.18.103.0/24"}},
               "ips": {"172.18.103.99": {"container_name": "db-1"}}, "policies": []})
    planned = next(li for li in bed.harborwall("plan").stdout.splitlines() if li.startswith("- connection db-1"))
    bed.apply()
    assert_kept(bed, rest, "172.18.103.99")
    mac = interfaces(bed, "db-1")["172.18.103.99"]
    assert ("another MAC address than " + MAC in planned) == (mac != MAC), planned
    assert (mac == MAC) == (bed.lab.version == "20"), "26 and 28 ignore it at connect"
    names = [li["ifname"] for li in json.loads(bed.lab.inside("db-1", "ip", "-j", "link").stdout)]
    assert ("another name" in planned) == ("eth0" not in names), planned
    bed.docker.restart("db-1")
    assert_kept(bed, rest, "172.18.103.99")
    assert "nothing to do" in bed.apply().stdout
    assert bed.harborwall("clear", "--networks").returncode == 0
    assert_kept(bed, rest, "172.18.103.99")


@every_engine
def test_a_stopped_container_keeps_its_names_too(bed):
    rest = compose(bed)
    bed.docker.stop("db-1")
    bed.write({"networks": {SHOP: {"subnet": "172.18.103.0/24"}},
               "ips": {"172.18.103.99": {"container_name": "db-1"}}, "policies": []})
    bed.apply()
    bed.docker.start("db-1")
    assert_kept(bed, rest, "172.18.103.99")


class Between:
    """A socket between harborwall and the engine: the first connection that is asked for ends the engine instead."""

    def __init__(self, bed):
        self.bed, self.path = bed, f"{bed.room.name}/between.sock"
        self.done = False
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.server.accept()
            engine_side = socket.socket(socket.AF_UNIX)
            try:
                engine_side.connect(self.bed.docker.path)
            except OSError:  # it is dead
                client.close()
                continue
            threading.Thread(target=self.pump, args=(client, engine_side, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(engine_side, client, False), daemon=True).start()

    def pump(self, source, sink, asking):
        try:
            while data := source.recv(65536):
                if asking and re.match(rb"POST \S+/connect ", data) and not self.done:
                    self.done = True
                    self.bed.lab.engine("kill9")
                    break
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other thread did


@every_engine
def test_an_engine_that_is_killed_between_the_two_calls_loses_nothing(bed):
    rest = compose(bed)
    bed.write({"networks": {SHOP: {"subnet": "172.18.103.0/24"}},
               "ips": {"172.18.103.99": {"container_name": "db-1"}}, "policies": []})
    between = Between(bed)
    done = bed.harborwall("apply", env={"DOCKER_HOST": f"unix://{between.path}"})
    assert between.done and done.returncode == 1
    bed.lab.engine("start")
    assert SHOP not in bed.docker.inspect("db-1")["NetworkSettings"]["Networks"]
    bed.apply()
    bed.prober.__exit__()
    for name in ("web-1", "db-1"):
        bed.docker.start(name)
    assert_kept(bed, rest, "172.18.103.99")


@every_engine
def test_an_address_that_the_engine_refuses_costs_a_container_nothing(bed):
    rest = compose(bed)
    had = bed.docker.addresses("db-1")[SHOP]
    bed.write({"networks": {SHOP: {"subnet": "172.18.103.0/24"}},
               "ips": {"172.18.103.99": {"container_name": "db-1"}}, "policies": []})
    bed.docker.create("late", network=SHOP, ip="172.18.103.99")
    done = bed.harborwall("apply")
    assert done.returncode == 1 and '172.18.103.99 is in use by container "late"' in done.stdout
    assert_kept(bed, rest, had)


# --- networks that are made anew ---

def crowd(bed):
    """A project's network with a subnet that is not the file's: who runs, who is stopped, who never ran, who is no business of
    the file's."""
    rest = compose(bed, "172.18.50.0/24")
    docker = bed.docker
    docker.create("api")
    docker.create("stopped-1", network=SHOP, Aliases=["st"])
    docker.stop("stopped-1")
    docker.create("never-1", network=SHOP, start=False, Aliases=["nv"])
    docker.create("fixed-1", network=SHOP, ip="172.18.50.40", Aliases=["fx"])
    docker.create("both-1")
    docker.connect(SHOP, "both-1", ip="172.18.50.41", Aliases=["bo"])
    bed.write({"networks": {SHOP: {"subnet": "172.18.103.0/24"}, "back": {"subnet": "172.18.104.0/24"}},
               "ips": {"172.18.103.99": {"container_name": "db-1"}, "172.18.104.2": {"container_name": "api"}},
               "policies": [{"selector": "api", "from": "db-1", "port": 80}]})
    return rest


EVERYBODY = {"web-1": None, "db-1": "db", "stopped-1": "st", "never-1": "nv", "fixed-1": "fx", "both-1": "bo"}


def assert_replaced(bed, rest):
    network = bed.docker.networks()[SHOP]
    assert network["Labels"] == {"com.docker.compose.network": "default", "io.harborwall.managed": "1"} and network["EnableIPv6"]
    assert [p["Subnet"] for p in network["IPAM"]["Config"]] == ["172.18.103.0/24", "fd00:103::/64"]
    assert {n for n, c in bed.docker.containers().items() if SHOP in c["NetworkSettings"]["Networks"]} == set(EVERYBODY)
    assert_kept(bed, rest, "172.18.103.99")
    for name in ("stopped-1", "never-1"):
        bed.docker.start(name)
    bed.docker.restart("fixed-1")
    for name, alias in EVERYBODY.items():
        address = bed.docker.addresses(name)[SHOP]
        assert address.startswith("172.18.103."), name
        assert resolve(bed, "web-1", alias or name) == address
    bed.prober.serve_at("api", "db-1", "web-1")
    assert bed.prober.open("db-1", "172.18.104.2", "tcp", 80) == ("api", "172.18.103.99")
    assert not bed.prober.open("db-1", "172.18.104.2", "tcp", 81)
    assert not bed.prober.open("web-1", "172.18.104.2", "tcp", 80)
    done = bed.apply()
    assert "nothing to do" in done.stdout, done.stdout


@every_engine
def test_a_conflict_names_replace_and_replace_loses_nobody(bed):
    rest = crowd(bed)
    done = bed.harborwall("apply")
    assert done.returncode == 1 and f"apply --replace {SHOP}" in done.stdout
    planned = bed.harborwall("plan", "--replace", SHOP)
    assert planned.returncode == 2
    for line in ("- connection web-1 from", f"- network    {SHOP} 172.18.50.0/24", f"+ network    {SHOP} 172.18.103.0/24",
                 f"+ connection db-1 to {SHOP} as 172.18.103.99", "172.18.50.40 is no longer free there"):
        assert line in planned.stdout, planned.stdout
    done = bed.harborwall("apply", "--replace", SHOP)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_replaced(bed, rest)
    again = bed.harborwall("apply", "--replace", SHOP)
    assert again.returncode == 1 and "there is nothing to replace" in again.stderr


@every_engine
def test_an_engine_that_is_killed_while_a_network_is_made_anew_loses_nobody(bed):
    """It is killed when the first one is to come back: the new network stands, and nobody is on it."""
    rest = crowd(bed)
    bed.harborwall("apply")
    between = Between(bed)
    done = bed.harborwall("apply", "--replace", SHOP, env={"DOCKER_HOST": f"unix://{between.path}"})
    assert between.done and done.returncode == 1
    bed.lab.engine("start")
    bed.apply()
    bed.prober.__exit__()
    for name in ("web-1", "db-1", "api", "fixed-1", "both-1"):
        bed.docker.start(name)
    bed.apply()
    assert_replaced(bed, rest)


@every_engine
def test_who_was_started_with_a_networks_id_keeps_it_from_being_made_anew(bed):
    """26 and 28 could never connect it to any network again."""
    crowd(bed)
    bed.docker.create("byid", network=bed.docker.networks()[SHOP]["Id"])
    done = bed.harborwall("apply", "--replace", SHOP)
    assert done.returncode == 1 and f'container "byid" was started with the id of network "{SHOP}"' in done.stderr
    assert bed.docker.networks()[SHOP]["IPAM"]["Config"][0]["Subnet"] == "172.18.50.0/24"
    assert "back" not in bed.docker.networks(), "nothing else is done either"
