# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in the way of a network that is to be made."""
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_errors import CONFIG, case, engine  # noqa: E402,F401

TUNNEL = ["link add tun9 type bridge", "addr add 10.9.9.1/24 dev tun9", "link set tun9 up"]


def ip(case, *commands):
    for command in commands:
        subprocess.run(["nsenter", "-t", str(case.holder.pid), "-n", "ip", *command.split()], check=True)


def made(engine):
    return {n["Name"] for n in engine.networks.values()} & set(CONFIG["networks"])


# what the host routes, and what apply says of "web" (172.18.103.0/24): the kind of finding and a word of it, or nothing
ROUTES = {
    "half of everything leads into a tunnel": ("route add 128.0.0.0/1 via 10.9.9.2", None),
    "everything private is dropped": ("route add blackhole 172.16.0.0/12", None),
    "everything private is refused": ("route add unreachable 172.16.0.0/12", None),
    "a wider route leads into a tunnel": ("route add 172.16.0.0/12 via 10.9.9.2", "note: networks.web: 172.16.0.0/12 leads to tun9"),
    "the same prefix leads into a tunnel": ("route add 172.18.103.0/24 via 10.9.9.2",
                                            "conflict: networks.web: subnet 172.18.103.0/24 overlaps 172.18.103.0/24 of the host, which leads to tun9"),
    "a part of it leads into a tunnel": ("route add 172.18.103.128/25 via 10.9.9.2", "conflict: networks.web: "),
    "one of its addresses is the host's": ("addr add 172.18.103.9/32 dev tun9", "conflict: networks.web: "),
    "a part of it leads by two ways": ("route add 172.18.103.128/25 nexthop via 10.9.9.2 nexthop via 10.9.9.3",
                                       "conflict: networks.web: subnet 172.18.103.0/24 overlaps 172.18.103.128/25 of the host, which leads to several interfaces"),
    "the same prefix is dropped": ("route add blackhole 172.18.103.0/24", "warning: networks.web: the blackhole route to 172.18.103.0/24"),
    "a part of it is prohibited": ("route add prohibit 172.18.103.128/25", "warning: networks.web: the prohibit route to 172.18.103.128/25"),
}


@pytest.mark.parametrize("name", ROUTES)
def test_only_a_route_that_takes_its_packets_elsewhere_keeps_a_network_from_being_made(case, engine, name):
    command, said = ROUTES[name]
    refused = bool(said) and said.startswith("conflict")
    ip(case, *TUNNEL, command)
    planned = [line for line in case.run("plan").stdout.splitlines() if ": networks.web: " in line]
    assert len(planned) == (1 if said else 0) and all(line.startswith(said) for line in planned), planned
    done = case.run("apply")
    assert made(engine) == ({"back"} if refused else {"web", "back"}), "one conflict does not stop the other network"
    assert "back" in engine.containers[engine.find(engine.containers, "api")]["ends"]
    assert done.returncode == (1 if refused else 0), done.stdout + done.stderr


def test_a_bridge_that_is_left_of_another_engine_is_no_conflict(case, engine):
    """Docker takes over a bridge of the name that it is told, with the addresses that are on it."""
    case.write({**CONFIG, "networks": {**CONFIG["networks"], "web": {"subnet": "172.18.103.0/24", "bridge_name": "hw-web"}}})
    ip(case, "link add hw-web type bridge", "addr add 172.18.103.1/24 dev hw-web", "link set hw-web up")
    assert case.run("apply").returncode == 0
    assert "web" in made(engine)
