# SPDX-License-Identifier: GPL-2.0-or-later
"""What the verbs say of a live host is what packets do there."""
import json

import bed as beds
import pytest
from talks import Talk, assert_stand

CONFIG = {
    "networks": {"front": {"subnet": "172.18.120.0/24"}, "back": {"subnet": "172.18.121.0/24"}},
    "ips": {"172.18.120.2": {"container_name": "web"}, "172.18.121.2": {"container_name": "db"}},
    "policies": [
        {"container_name": "db", "from": "web", "port": 5432},
        {"container_name": "web", "from": beds.OUTSIDE, "port": 80},
        {"container_name": "web", "nat": "dnat", "iface": "ext0", "to": "web", "port": 8080, "to_port": 81},
        {"container_name": "db", "from": beds.PEER_IP, "port": 5433, "proto": "udp"},
    ],
}
LABS = [{"version": "20"}, {"version": "28"}]


@pytest.fixture(params=["nftables", "iptables-nft"])
def host(request, lab):
    with beds.Bed(lab, tcp=[80, 5432, 5433], udp=[5433], env={"HARBORWALL_BACKEND": request.param}) as bed:
        for name in ("web", "db", "stranger"):
            bed.docker.create(name)
        bed.write(CONFIG)
        bed.apply()
        yield bed


def explain(bed, *words):
    done = bed.harborwall("explain", "--json", *words)
    assert done.returncode in (0, 2), done.stderr
    return done.returncode == 0, json.loads(done.stdout)


@pytest.mark.parametrize("lab", LABS, indirect=True, ids=lambda p: f"docker {p['version']}")
def test_live_connections_are_shown_with_their_policies(host):
    talks = [Talk(host, "tcp", "web", "db", "172.18.121.2", 5432), Talk(host, "tcp", "peer", "web", "172.18.120.2", 80),
             Talk(host, "tcp", "peer", "web", beds.HOST_IP, 8080, served=81), Talk(host, "udp", "peer", "db", "172.18.121.2", 5433),
             Talk(host, "tcp", "web", "peer", beds.PEER_IP, 7100)]  # that web begins itself: no policy's
    assert_stand(talks)

    def seen(*words):
        done = host.harborwall("flows", "--json", *words)
        assert done.returncode == 0, done.stderr
        return sorted((c.get("policy"), c["source"], c["target"], c["port"], c["protocol"]) for c in json.loads(done.stdout)["connections"])
    everything = [(0, "172.18.120.2", "172.18.121.2", 5432, "tcp"), (1, beds.PEER_IP, "172.18.120.2", 80, "tcp"),
                  (2, beds.PEER_IP, "172.18.120.2", 8080, "tcp"), (3, beds.PEER_IP, "172.18.121.2", 5433, "udp")]
    assert seen() == everything
    assert seen("--policy", "2") == everything[2:3] and seen("--from", "web") == everything[:1]
    assert seen("--to", "db") == [everything[0], everything[3]] and seen("--from", "outside") == everything[1:]
    lines = host.harborwall("flows").stdout.splitlines()
    assert lines[0].split() == ["SOURCE", "DESTINATION", "PORT", "POLICY", "AGE", "BYTES"] and len(lines) == 5
    assert any("web (172.18.120.2)" in li and "db (172.18.121.2)" in li and "policies[0]" in li for li in lines)
    wrong = host.harborwall("flows", "--policy", "4")
    assert wrong.returncode == 1 and "there is no policies[4]: the file has 4" in wrong.stderr


@pytest.mark.parametrize("lab", LABS, indirect=True, ids=lambda p: f"docker {p['version']}")
def test_what_is_explained_is_what_packets_do(host):
    host.prober.serve_at("web", "db", beds.PEER)
    for source, name, ip, port, proto in ((beds.PEER, "web", "172.18.120.2", 80, "tcp"), (beds.PEER, "db", "172.18.121.2", 5433, "udp"),
                                          (beds.PEER, "db", "172.18.121.2", 5433, "tcp"), ("web", "db", "172.18.121.2", 5432, "tcp"),
                                          ("db", "web", "172.18.120.2", 80, "tcp"), ("stranger", "db", "172.18.121.2", 5432, "tcp"),
                                          ("web", beds.PEER, beds.PEER_IP, 80, "tcp")):
        said, told = explain(host, beds.PEER_IP if source == beds.PEER else source, beds.PEER_IP if name == beds.PEER else name,
                             f"{port}/{proto}")
        assert said == bool(host.prober.open(source, ip, proto, port)), (source, name, port, proto, told)
    # a ban counts for what comes from outside, not between containers
    host.lab.run("iptables", "-I", "DOCKER-USER", "-s", beds.PEER_IP, "-j", "DROP")
    said, told = explain(host, beds.PEER_IP, "web", "80")
    assert not said and not host.prober.open(beds.PEER, "172.18.120.2", "tcp", 80)
    assert any("DOCKER-USER" in hop["text"] and hop["verdict"] == "dropped" for hop in told["path"]), told
    assert explain(host, "web", "db", "5432")[0] and explain(host, "192.0.2.77", "web", "80")[0]
    # so does one that asks for the interface, which is where the host's routes lead back
    host.lab.run("iptables", "-R", "DOCKER-USER", "1", "-i", beds.HOST_IFACE, "-j", "DROP")
    assert not explain(host, beds.PEER_IP, "web", "80")[0] and not host.prober.open(beds.PEER, "172.18.120.2", "tcp", 80)
    host.lab.run("iptables", "-R", "DOCKER-USER", "1", "-i", "other0", "-j", "DROP")
    assert explain(host, beds.PEER_IP, "web", "80")[0] and host.prober.open(beds.PEER, "172.18.120.2", "tcp", 80)
