# SPDX-License-Identifier: GPL-2.0-or-later
"""A policy that was taken back lets no byte through, whoever goes on talking and however the network leads out."""
import time

import bed as beds
import pytest
import talks
from talks import Talk

MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
MODE = "com.docker.network.bridge.gateway_mode_ipv4"
# name -> (its options, internal)
NETWORKS = {"nat": ({}, False), "bare": ({MASQUERADE: "false"}, False), "inner": ({}, True)}
MODES = {"routed": ({MODE: "routed"}, False), "unprotected": ({MODE: "nat-unprotected"}, False)}  # Docker 28 has them
SILENCE_S = 9  # a server that gets no answer tries again after 0.2, 0.4, … 6.4 s
QUIET_S = 7


def world(version):
    networks = {**NETWORKS, **(MODES if version == "28" else {})}
    config = {"networks": {"callers": {"subnet": "172.18.120.0/24"}}, "ips": {"172.18.120.2": {"container_name": "caller"}},
              "policies": []}
    for i, (name, (options, internal)) in enumerate(networks.items()):
        config["networks"][name] = {"subnet": f"172.18.{110 + i}.0/24", "options": options, "internal": internal}
        config["ips"][f"172.18.{110 + i}.2"] = {"container_name": f"c-{name}"}
    return networks, config


def address(config, name):
    return next(ip for ip, a in config["ips"].items() if a["container_name"] == name)


def leave(bed, config, policies):
    """Only these policies stay. When that was done; there has been silence since, for what is still sent to show."""
    bed.write({**config, "policies": policies})
    bed.apply()
    ended = time.monotonic()
    time.sleep(SILENCE_S)
    return ended


@pytest.mark.parametrize("backend", ["nftables", "iptables-nft"])
@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "26", "28")], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_no_byte_passes_of_what_was_revoked_and_what_others_admit_goes_on(lab, backend):
    networks, config = world(lab.version)
    with beds.Bed(lab, env={"HARBORWALL_BACKEND": backend}) as bed:
        for name in ("caller", *(f"c-{n}" for n in networks)):
            bed.docker.create(name)
        gone, kept = [], []
        for name in networks:
            for source, ports in ((beds.OUTSIDE, {"tcp": ["7001", "7011"], "udp": ["7002"]}),
                                  ("caller", {"tcp": ["7003", "7013"], "udp": ["7004"]})):
                gone += [{"selector": f"c-{name}", "from": source, "port": p, "proto": proto} for proto, p in ports.items()]
            kept.append({"selector": f"c-{name}", "from": beds.OUTSIDE, "port": 7005})
        # translated on the way in, with the port that its masquerading would take on the way out
        gone.append({"selector": "c-nat", "nat": "dnat", "iface": "ext0", "to": "c-nat", "port": 7006})
        bed.write({**config, "policies": kept + gone})
        bed.apply()
        revoked, living = [], []
        for name in networks:
            ip = address(config, f"c-{name}")
            for client, ports in (("peer", (7001, 7002, 7011)), ("caller", (7003, 7004, 7013))):
                revoked += [Talk(bed, "tcp", client, f"c-{name}", ip, ports[0]), Talk(bed, "udp", client, f"c-{name}", ip, ports[1]),
                            Talk(bed, "tcp", client, f"c-{name}", ip, ports[2], quiet=QUIET_S)]
            living.append(Talk(bed, "tcp", "peer", f"c-{name}", ip, 7005))
            # what they begin themselves; Docker 28 drops the answers where nothing masquerades
            if name != "inner" and (name, lab.version) != ("bare", "28"):
                living.append(Talk(bed, "tcp", f"c-{name}", "peer", beds.PEER_IP, 7100 + len(living)))
        revoked.append(Talk(bed, "tcp", "peer", "c-nat", beds.HOST_IP, 7006))
        bare = address(config, "c-bare")
        talks.assert_stand([t for t in revoked + living if "quiet" not in t.name])
        ended = leave(bed, config, kept)
        assert not talks.still_heard(revoked, ended + 0.5)
        assert all(t.lives() for t in living), [(t.name, t.heard(ended)) for t in living]
        # nobody can begin anew, but where Docker itself opens the network
        bed.prober.serve_at("c-bare", "peer", "caller")
        assert not bed.prober.open("peer", bare, "tcp", 80)
        # the last policies go, too: no rule of any policy is left
        ended = leave(bed, config, [])
        own = [t for t in living if ", 7005" in t.name or t.name.endswith("/7005")]
        assert not talks.still_heard(revoked + own, ended + 0.5)
        assert all(t.lives() for t in living if t not in own)


@pytest.mark.parametrize("lab", [{"version": v} for v in ("20", "26", "28")], indirect=True, ids=lambda p: f"docker {p['version']}")
def test_no_byte_of_ipv6_passes_of_what_was_revoked(bed):
    config = {"networks": {"web": {"subnet": "172.18.110.0/24", "subnet6": "fd18:110::/64"},
                           "callers": {"subnet": "172.18.120.0/24", "subnet6": "fd18:120::/64"}},
              "ips": {"172.18.110.2": {"container_name": "shop", "ip6": "fd18:110::2"},
                      "172.18.120.2": {"container_name": "caller", "ip6": "fd18:120::2"}}}
    for name in ("shop", "caller"):
        bed.docker.create(name)
    gone = [{"selector": "shop", "from": source, "port": "7001-7004", "proto": ["tcp", "udp"]}
            for source in (beds.OUTSIDE6, "caller")]
    gone.append({"selector": "shop", "nat": "dnat", "iface": "ext0", "to": "shop", "port": 7003, "proto": ["tcp", "udp"]})
    kept = [{"selector": "shop", "from": [beds.OUTSIDE6, "caller"], "port": ["7005", "7006"]}]
    bed.write({**config, "policies": gone + kept})
    bed.apply()
    revoked = [Talk(bed, proto, client, "shop", ip, port)
               for client, ip, port in (("peer", "fd18:110::2", 7001), ("caller", "fd18:110::2", 7002), ("peer", beds.HOST_IP6, 7003))
               for proto in ("tcp", "udp")]
    revoked.append(Talk(bed, "tcp", "caller", "shop", "172.18.110.2", 7004))
    living = [Talk(bed, "tcp", client, "shop", "fd18:110::2", port) for client, port in (("peer", 7005), ("caller", 7006))]
    talks.assert_stand(revoked + living)
    ended = leave(bed, config, kept)
    assert not talks.still_heard(revoked, ended + 0.5)
    assert all(t.lives() for t in living), [(t.name, t.heard(ended)) for t in living]
