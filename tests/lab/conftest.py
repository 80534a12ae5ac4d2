# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: an engine for every test, and a bed on it. A test that begins with the seed's containers and is marked
"shared" may get one that served before (pool.py)."""
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import bed as beds  # noqa: E402
import docker29  # noqa: E402
import engine  # noqa: E402
import pool  # noqa: E402


def fetched(version):
    """None, or why the engine can't be had."""
    try:
        engine.lab_command("fetch", version)
    except engine.LabError as e:
        return str(e)
    return None


def outside():
    """What this host itself holds: its firewall and its switch must not change."""
    def text(*command):
        return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout

    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        return {"ip_forward": f.read(), "nft": text("nft", "-s", "list", "ruleset"),
                "iptables": [li for li in text("iptables-save").splitlines() if not li.startswith("#")],
                "links": sorted(os.listdir("/sys/class/net")), "state": os.path.exists("/var/lib/harborwall")}


@pytest.fixture(scope="session", autouse=True)
def untouched():
    before = outside()
    yield
    assert outside() == before, "the tests changed this host"


WHY_NOT = {}  # engine -> why it can't be had


def need_engine(version):
    if os.geteuid():
        pytest.skip("lab tests need root")
    version = "28" if version == "29" else version  # docker29.py stands in for it
    if version not in WHY_NOT:
        WHY_NOT[version] = fetched(version)
    if WHY_NOT[version]:
        pytest.skip(f"no {'firewalld' if version == 'firewalld' else f'engine {version}'}: {WHY_NOT[version]}")


ENGINES = {"lab", "walled", "banning", "asking", "opened", "running", "running6", "placed"}  # fixtures that take one from the pool


def pytest_collection_modifyitems(items):
    """Beside Docker's nftables backend the iptables backends are refused (test_docker29.py): there is no such cell.
    Within a file those of one engine come behind each other: the pool keeps few of them."""
    items[:] = [item for item in items if not ("docker 29" in item.name and "iptables" in item.name)]
    first, order = {}, {}
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        of = [repr(value) for name, value in params.items() if name in ENGINES]
        order[item] = first.setdefault((item.path, *of), len(first))
    files = list(dict.fromkeys(item.path for item in items))
    items.sort(key=lambda item: (files.index(item.path), order[item]))


def pytest_configure(config):
    config.addinivalue_line("markers", "shared: an engine that served before will do")


@pytest.fixture(scope="session")
def labs(untouched):
    them = pool.Pool()
    yield them
    them.end()


@pytest.fixture
def lab(request, labs):
    """Parametrized indirectly with further arguments of docker29.lab_of; engine 20 unless they say otherwise."""
    arguments = {"version": "20", **getattr(request, "param", {})}
    need_engine(arguments["version"])
    if request.node.get_closest_marker("shared") or "standing" in request.fixturenames:
        lab = labs.take(**arguments)
        yield lab
        labs.give_back(lab)
        return
    with docker29.lab_of(f"test{os.getpid()}", **arguments) as lab:
        yield lab


@pytest.fixture
def bed(lab):
    with beds.Bed(lab) as bed:
        yield bed


def pytest_terminal_summary(terminalreporter):
    import test_cells
    asked = any(name in report.nodeid for reports in terminalreporter.stats.values() for report in reports
                if hasattr(report, "nodeid") for name in ("test_cells.py", "test_docker29.py"))
    for line in test_cells.table(test_cells.REPORT) if asked else ():
        terminalreporter.write_line(f"cells: {line}")
    for name, times in test_cells.RELOADS.items():
        terminalreporter.write_line("figures: healed: {}: firewalld reload of {:.0f} ms: {:.0f} ms after it the right packets, {:.0f} ms "
                                    "after it Docker's own, too".format(name, *times))
    import test_attacks
    for line in test_attacks.LINES:
        terminalreporter.write_line(f"figures: {line}")
    import test_firewalld
    for what, (median, worst) in test_firewalld.TIMES.items():
        terminalreporter.write_line(f"figures: healed: {what}: {median:.0f} ms (worst {worst:.0f})")
    import test_heal
    for what, (median, worst) in test_heal.TIMES.items():
        terminalreporter.write_line(f"figures: healed: {what}: {median:.0f} ms (median of {test_heal.ROUNDS}, worst {worst:.0f})")
    for what, ms in test_heal.ONCE.items():
        terminalreporter.write_line(f"figures: healed: {what}: {ms:.0f} ms")
    import test_package
    for what, figure in test_package.TIMES.items():
        terminalreporter.write_line(f"figures: shipped: {what}: {figure:.1f}")
