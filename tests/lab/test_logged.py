# SPDX-License-Identifier: GPL-2.0-or-later
"""What "log": true says of new connections: who reached whom, and by which policy. One line at once for the first of a
flow, one with a count for those that follow, and none for anything else."""
import json
import shlex
import time

import bed as beds
import engine
import pytest
import seed

# seed.widened()'s own policies are 0 to 3: tcp/80, the translation in wireguardproxy, udp/53, the one on ext0
PAIR, INSIDE, SILENT, HOST, LIST = range(5)
LB, BACK, PUBLIC, PROXY = "172.18.103.2", "172.18.104.2", "172.18.104.3", "172.17.0.2"
EVERY_S = 10


def config():
    wanted = seed.widened()
    wanted["policies"].append({"selector": "smarthostloadbalancer", "from": ["publicbackend", "198.51.100.0/24"],
                               "port": ["8080", "9000-9010"]})
    for policy in (PAIR, INSIDE, HOST, LIST):
        wanted["policies"][policy]["log"] = True
    return seed.dual(wanted)


CELLS = [(version, backend) for version in ("28", "20") for backend in ("nftables", "iptables-nft", "iptables-legacy")]


@pytest.fixture(params=CELLS, ids=lambda cell: f"docker {cell[0]}, {cell[1]}")
def running(request):
    from conftest import need_engine
    version, backend = request.param
    need_engine(version)
    with engine.Lab("logged", version, legacy=backend == "iptables-legacy") as lab:
        lab.peer()
        with beds.Bed(lab, tcp=[80, 81, 8080, 9001], env={"HARBORWALL_BACKEND": backend}) as bed:
            seed.containers(bed)
            bed.write(config())
            bed.daemon = bed.run_daemon()
            bed.daemon.wait_log("following the engine")
            assert engine.wait_for(lambda: bed.harborwall("status", check=False).returncode == 0)
            bed.prober.serve_at("smarthostloadbalancer", "smarthostbackend-1", "publicbackend", "bystander", "wireguardproxy",
                                beds.PEER, beds.CLIENT)
            yield bed


def follow(bed):
    """The daemon does what the file says by now."""
    assert engine.wait_for(lambda: bed.harborwall("plan", check=False).returncode == 0), bed.harborwall("plan", check=False).stdout[-2000:]


def lines(bed, what="connection"):
    """Those of the log, in order, as dictionaries; the time is left out."""
    found = []
    for line in bed.daemon.log().splitlines():
        fields = dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)
        if fields.get("what") == what:
            found.append({k: v for k, v in fields.items() if k not in ("time", "level", "what")})
    return found


def line(policy, source, target, src, dst, proto, port, **more):
    return {"policy": f"policies[{policy}]", "from": source, "to": target, "src": src, "dst": dst, "proto": proto,
            "port": str(port), **more}


def said_after(bed, n, more=1, patience=2):
    """What is new behind the first n lines. Waits for what comes late."""
    engine.wait_for(lambda: len(lines(bed)) >= n + more, patience)
    return lines(bed)[n:]


def test_a_connection_is_one_line_that_names_its_policy_and_both_containers(running):
    bed = running
    lb, public = "smarthostloadbalancer", "publicbackend"
    asked = [  # who, whom, the line
        (public, (LB, "tcp", 80), line(PAIR, public, lb, PUBLIC, LB, "tcp", 80)),
        (public, (seed.six(LB), "tcp", 80), line(PAIR, public, lb, seed.six(PUBLIC), seed.six(LB), "tcp", 80)),
        (public, (LB, "tcp", 8080), line(LIST, public, lb, PUBLIC, LB, "tcp", 8080)),
        (public, (LB, "tcp", 9001), line(LIST, public, lb, PUBLIC, LB, "tcp", 9001)),
        (beds.PEER, (beds.HOST_IP, "tcp", 81), line(HOST, beds.PEER_IP, lb, beds.PEER_IP, LB, "tcp", 81)),
        (beds.PEER, (beds.HOST_IP6, "tcp", 81), line(HOST, beds.PEER_IP6, lb, beds.PEER_IP6, seed.six(LB), "tcp", 81))]
    for who, target, wanted in asked:
        n = len(lines(bed))
        assert bed.prober.open(who, *target), (who, target)
        assert said_after(bed, n) == [wanted], (who, target)
    n = len(lines(bed))
    assert bed.prober.open(beds.CLIENT, beds.TUNNEL_IP, "tcp", 80)
    [said] = said_after(bed, n)  # what a container translates is its own traffic to the host
    assert said["policy"] == f"policies[{INSIDE}]" and said["to"] == lb and said["dst"] == LB, said
    # a policy without log, what nobody lets through, and replies: not a word
    n = len(lines(bed))
    assert bed.prober.open("smarthostbackend-1", LB, "udp", 53)
    for who, target in [("bystander", (LB, "tcp", 80)), (public, (LB, "tcp", 81)), (beds.PEER, (LB, "tcp", 80))]:
        assert not bed.prober.open(who, *target, timeout=0.2), (who, target)
    bed.prober.spoof([("peer", PUBLIC, LB, "tcp", 80, lb)])
    time.sleep(0.3)
    assert lines(bed)[n:] == []


def test_what_follows_is_one_line_with_its_count_and_a_stream_that_nobody_answers_is_one_connection(running):
    bed = running
    wanted = config()
    wanted["policies"].append({"selector": "smarthostloadbalancer", "from": "publicbackend", "proto": "udp", "port": 514, "log": True})
    bed.write(wanted)
    follow(bed)
    assert bed.prober.open("publicbackend", LB, "tcp", 80)
    bed.lab.inside("publicbackend", "/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20): s.sendto(b"line", ("{LB}", 514))""")
    for _ in range(7):
        assert bed.prober.open("publicbackend", LB, "tcp", 80)
    assert engine.wait_for(lambda: any("count" in said for said in lines(bed)), EVERY_S + 3)
    of_80 = [said for said in lines(bed) if said["port"] == "80"]
    assert [said.get("count") for said in of_80] == [None, "7"]
    assert of_80[1]["first"] <= of_80[1]["last"] and of_80[1]["policy"] == f"policies[{PAIR}]"
    assert [said.get("count") for said in lines(bed) if said["port"] == "514"] == [None]


def test_what_egress_deny_stops_is_said_with_what_explains_it_and_what_policies_let_out_with_theirs(running):
    bed, public = running, "publicbackend"
    wanted = config()
    n = len(wanted["policies"])
    wanted["networks"]["smarthost_backend-1"]["egress"] = "deny"
    wanted["policies"] += [{"selector": public, "to": beds.PEER_IP, "port": 80, "log": True},
                           {"selector": public, "to": "host", "port": 7070, "log": True},
                           {"selector": public, "to": beds.PEER_IP, "port": 81}]
    bed.prober.agent("host").do("serve", tcp=[7070, 7071], udp=[], sctp=[])
    bed.write(wanted)
    follow(bed)
    for policy, target in ((n, beds.PEER_IP), (n + 1, beds.HOST_IP)):
        port = 80 if policy == n else 7070
        assert bed.prober.open(public, target, "tcp", port)
        assert engine.wait_for(lambda: lines(bed) and lines(bed)[-1]["policy"] == f"policies[{policy}]", 3), lines(bed)
        assert lines(bed)[-1] == line(policy, public, target, PUBLIC, target, "tcp", port)
    said = len(lines(bed))
    assert bed.prober.open(public, beds.PEER_IP, "tcp", 81)  # a policy without log
    assert not bed.prober.open(public, beds.PEER_IP, "tcp", 8080, timeout=0.3)
    assert not bed.prober.open(public, beds.HOST_IP, "tcp", 7071, timeout=0.3)
    assert engine.wait_for(lambda: len(lines(bed, "dropped")) >= 2, 3), bed.daemon.log()
    assert len(lines(bed)) == said
    dropped = {(d["from"], d["to"], d["dst"], d["port"], d["text"]) for d in lines(bed, "dropped")}
    assert dropped == {(public, ip, ip, port, f"no policy lets {public} reach {ip} {port}/tcp")
                       for ip, port in ((beds.PEER_IP, "8080"), (beds.HOST_IP, "7071"))}
    told = json.loads(bed.harborwall("status", "--json", check=False).stdout)["dropped"]
    assert {(d["source_name"], d["destination"], d["port"]) for d in told} == {(public, beds.PEER_IP, 8080), (public, beds.HOST_IP, 7071)}
    for drop in told:
        assert bed.harborwall(*drop["explain"].split()[1:], check=False).returncode == 2, drop


def cpu_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


FLOOD = """
import socket, struct, sys, time
src, dst, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
ends = socket.inet_aton(src) + socket.inet_aton(dst)
def udp(sport):
    return struct.pack("!BBHHHBBH", 69, 0, 28, 0, 0, 64, 17, 0) + ends + struct.pack("!HHHH", sport, port, 8, 0)
packets = [udp(sport) for sport in range(1024, 65536)]
begun, n = time.monotonic(), 0
while time.monotonic() - begun < seconds:
    for packet in packets[n % 60000:][:500]:
        try:
            s.sendto(packet, (dst, 0))
        except OSError:
            pass
    n += 500
print(n / (time.monotonic() - begun))
"""


def test_a_flood_of_connections_is_a_few_lines_and_hardly_any_time(running):
    bed, seconds = running, 4
    wanted = config()
    wanted["policies"].append({"selector": "smarthostloadbalancer", "from": "publicbackend", "proto": "udp", "log": True})
    bed.write(wanted)
    follow(bed)
    before, idle = len(lines(bed)), cpu_s(bed.daemon.pid)
    sent = float(bed.lab.inside("publicbackend", "/usr/bin/python3", "-c", FLOOD, PUBLIC, LB, "9", str(seconds)).stdout)
    took = cpu_s(bed.daemon.pid) - idle
    print(f"figures: {sent:.0f} connections a second cost the daemon {100 * took / seconds:.2f} % of a core")
    assert sent > 5000, "that is no flood"
    assert took <= 0.05 * seconds, "more than 5 % of a core"
    assert engine.wait_for(lambda: any("count" in said for said in lines(bed)), EVERY_S + 3)
    said = [said for said in lines(bed)[before:] if said["port"] == "9"]
    assert len(said) == 2 and int(said[1]["count"]) >= 1000, said
    assert engine.wait_for(lambda: lines(bed, "connections not counted"), EVERY_S)
    # who comes to many ports fills its own share, and hides nobody else
    bed.lab.inside("publicbackend", "/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1000, 1500): s.sendto(b"", ("{LB}", port))""")
    assert bed.prober.open(beds.PEER, beds.HOST_IP, "tcp", 81)
    assert engine.wait_for(lambda: any(said["src"] == beds.PEER_IP for said in lines(bed)))
    assert len([said for said in lines(bed) if said["src"] == PUBLIC]) < 80
    assert engine.wait_for(lambda: lines(bed, "connections not listed"), EVERY_S + 3)
