# SPDX-License-Identifier: GPL-2.0-or-later
"""A firewalld that reloads under a daemon, and how long it takes until the packets are right again."""
import time

import bed as beds
import engine


def governed(bed, key):
    """After a reload Docker 20 and 26 forget their isolation, and 28 now and then everything but docker0
    (firewalld on iptables): what remains right is what we see to, so not what networks do among themselves."""
    inside = key[0] in ("publicbackend", "smarthostbackend-1") and key[1].startswith("172.18.104.")
    return bed.into_managed(key) and not inside


def reaches(bed, timeout=0.02):
    return bed.prober.open("publicbackend", "172.18.103.2", "tcp", 80, timeout=timeout)


def converged(bed):
    return bed.harborwall("plan", "-q").returncode == 0


def settled(bed):
    """Docker writes rule by rule, for seconds; nobody tells when it has done."""
    before = beds.rule_dumps(bed.lab)
    time.sleep(1)
    return converged(bed) and beds.rule_dumps(bed.lab) == before


def reload(bed, daemon, option):
    """-> (ms of the command itself, ms from its end to the first right packet, ms until Docker has done, too). The whole
    matrix is right then."""
    began = time.monotonic()
    bed.lab.run("firewall-cmd", option)
    ended = time.monotonic()
    assert engine.wait_for(lambda: reaches(bed), timeout=30, step=0.002), daemon.log()[-3000:]
    passed = time.monotonic()
    assert engine.wait_for(lambda: settled(bed), timeout=60), daemon.log()[-3000:] + bed.harborwall("plan").stdout
    quiet = time.monotonic()
    bed.assert_matrix(lambda key: governed(bed, key))
    return 1000 * (ended - began), 1000 * (passed - ended), 1000 * (quiet - ended)
