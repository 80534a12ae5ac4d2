# SPDX-License-Identifier: GPL-2.0-or-later
"""The package, made and used in a fresh Debian 12 with nothing but apt, as a newcomer would (scripts/newcomer);
and its unit. Times are printed at the end of the run."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import time

import engine
import pytest
import seed
import stories
import unit
from test_cells import assert_nobody_gets_in_with_a_borrowed_source
from test_sandbox import assert_only_wanted

DEBIAN = os.path.join(engine.HERE, "debian")
UNIT = os.path.join(os.path.dirname(engine.HARBORWALL), "harborwall.service")
TIMES = {}
MAX_EXPOSURE = 3.5


def run(*command, check=True, **options):
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-6000:]}"
    return done


def need(tool):
    if os.geteuid():
        pytest.skip("needs root")
    if not shutil.which(tool):
        pytest.skip(f"{tool} is missing (scripts/deps all)")


def timed(what, function):
    started = time.monotonic()
    result = function()
    TIMES[what] = time.monotonic() - started
    return result


def folder_for_roots():
    """In memory where there is enough: on a disk its thousands of files took 25 s to delete alone."""
    with open("/proc/meminfo", encoding="ascii") as f:
        available = int(re.search(r"MemAvailable: *(\d+)", f.read()).group(1)) << 10
    free = os.statvfs("/dev/shm")
    return "/dev/shm" if min(free.f_bavail * free.f_frsize, available) > 6 << 30 else engine.BASE


class Root:
    """A fresh Debian 12 in a folder; use as a context."""

    def __init__(self, name):
        self.path = f"{folder_for_roots()}/harborwall-{name}-{os.getpid()}"

    def __enter__(self):
        run(DEBIAN, "unpack", self.path)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def copy_source(self, to):
        os.makedirs(f"{self.path}/{to}")
        files = run("git", "ls-files", "-co", "--exclude-standard", cwd=engine.ROOT).stdout
        subprocess.run(f"tar -C {engine.ROOT} -cf - -T - | tar -C {self.path}/{to} -xf -", shell=True, input=files, text=True, check=True)

    def run(self, command, check=True, unshare=()):
        return run(*(["unshare", *unshare] if unshare else []), DEBIAN, "in", self.path, "sh", "-c", command, check=check)


@pytest.fixture(scope="module")
def built():
    """A root in which the newcomer's script has run, demo included, and the source stands twice."""
    need("mmdebstrap")
    from conftest import need_engine
    need_engine("20")
    with Root("newcomer") as root:
        root.copy_source("src/harborwall")
        root.said = timed("newcomer: fresh Debian to .deb, installed, demo", lambda: root.run("cd /src/harborwall && scripts/newcomer")).stdout
        yield root


def package_of(root, folder="src"):
    return glob.glob(f"{root.path}/{folder}/harborwall_*.deb")[0]


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def test_a_newcomer_gets_from_apt_to_packets(built):
    for step in ("dpkg-buildpackage", "apt-get install ../harborwall", "harborwall check", "make demo"):
        assert f"newcomer: {step}" in built.said, built.said
    for line in re.findall(r"newcomer: (.*): (\d+) s", built.said):
        TIMES[f"newcomer: {line[0]}"] = float(line[1])


def test_the_package_holds_what_belongs_in_it(built):
    names = run("dpkg-deb", "-c", package_of(built)).stdout
    for path in ("/usr/bin/harborwall", "/lib/systemd/system/harborwall.service", "/usr/share/man/man8/harborwall.8.gz",
                 "/usr/share/man/man5/networks.json.5.gz", "/usr/share/bash-completion/completions/harborwall",
                 "/usr/share/zsh/vendor-completions/_harborwall", "/usr/share/fish/vendor_completions.d/harborwall.fish",
                 "/usr/share/harborwall/networks.schema.json", "/etc/user/config/", "/usr/share/doc/harborwall/copyright"):
        assert f".{path}\n" in names, (path, names)


def test_lintian_finds_nothing(built):
    need("lintian")
    changes = glob.glob(f"{built.path}/src/harborwall_*.changes")[0]
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", changes, check=False)
    assert done.returncode == 0 and not re.search(r"^[EW]:", done.stdout, re.M), done.stdout


def test_two_builds_give_the_same_bytes(built):
    built.copy_source("again/other-name")
    built.run("cd /again/other-name && dpkg-buildpackage -us -uc -b -j1")
    assert digest(package_of(built)) == digest(package_of(built, "again"))


RULES = """
nft list table inet harborwall >/dev/null 2>&1 && echo "rules stand" || echo "no rules"
"""


def test_install_upgrade_remove_leaves_rules_and_purge_clears_them(built, tmp_path):
    """In a network namespace of its own; no engine, so the daemon enforces what the file alone says."""
    newer = tmp_path / "newer"
    run("dpkg-deb", "-R", package_of(built), newer)
    control = newer / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*", "Version: 99.0-1", control.read_text(), flags=re.M))
    with Root("fresh") as root:
        shutil.copy(package_of(built), f"{root.path}/first.deb")
        run("dpkg-deb", "-b", "--root-owner-group", newer, f"{root.path}/second.deb")
        root.run("apt-get update && apt-get install -y --no-install-recommends /first.deb nftables")
        said = root.run(r"""set -e
        exec 2>/errors # dpkg warns of what stays
        cp /usr/share/doc/harborwall/examples/networks.json /etc/user/config/
        harborwall run >/log 2>&1 & daemon=$!
        for i in $(seq 100); do nft list table inet harborwall >/dev/null 2>&1 && break; sleep 0.1; done
        """ + RULES + r"""
        apt-get install -y /second.deb >/dev/null; dpkg-query -W -f '${Version}\n' harborwall
        """ + RULES + r"""
        kill $daemon; wait $daemon; """ + RULES + r"""
        apt-get remove -y harborwall >/dev/null; command -v harborwall || echo "no program"
        """ + RULES + r"""
        test -s /etc/user/config/networks.json && echo "file stays"
        apt-get purge -y harborwall >/dev/null 2>&1; """ + RULES + r"""
        test -e /var/lib/harborwall || echo "no state"; test -s /etc/user/config/networks.json && echo "file stays"
        """, unshare=["--net"]).stdout.splitlines()
    assert said == ["rules stand", "99.0-1", "rules stand", "rules stand", "no program", "rules stand", "file stays",
                    "no rules", "no state", "file stays"], said


def test_the_unit_is_ordered_and_hardened():
    need("systemd-analyze")
    with open(UNIT, encoding="utf-8") as f:
        unit = f.read()
    assert re.search(r"^Type=notify", unit, re.M) and re.search(r"^Before=docker.service$", unit, re.M)
    # what Docker waits for as well, or starts itself, would wait for Docker
    assert not re.search(r"^(After|Wants|Requires|Requisite|BindsTo|PartOf)=.*(docker|network-online)", unit, re.M)
    done = run("systemd-analyze", "security", "--offline=yes", f"--threshold={int(10 * MAX_EXPOSURE)}", UNIT, check=False)
    figure = re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)
    assert done.returncode == 0 and float(figure.group(1)) <= MAX_EXPOSURE, done.stdout
    TIMES["exposure of the unit (systemd-analyze security)"] = float(figure.group(1))


class Booted:
    """A root whose systemd runs as first process of namespaces of its own."""

    def __init__(self, root):
        self.root = root

    def __enter__(self):
        self.process = subprocess.Popen([DEBIAN, "boot", self.root.path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        assert engine.wait_for(lambda: self.run("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                               timeout=60, step=0.2), "systemd does not come up"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with open(f"{self.root.path}.cgroup", encoding="ascii") as f:
            top = f.read().strip()
        os.unlink(f"{self.root.path}.cgroup")
        engine.wait_for(lambda: run("find", top, "-depth", "-type", "d", "-delete", check=False).returncode == 0, timeout=5)

    def run(self, command, check=True):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            first = f.read().split()
        if not first:
            return run("false", check=False)
        return run("nsenter", "-t", first[0], "-m", "-p", "-n", "-C", "sh", "-c", command, check=check)

    def show(self, name):
        return self.run(f"systemctl show harborwall -p {name} --value").stdout.strip()


def test_systemd_starts_reloads_and_stops_the_daemon_and_the_rules_stay(built):
    shutil.copy(f"{engine.ROOT}/examples/networks.json", f"{built.path}/etc/user/config/networks.json")
    with Booted(built) as booted:
        assert booted.run("systemctl is-enabled harborwall").stdout.strip() == "enabled"
        assert engine.wait_for(lambda: booted.show("ActiveState") == "active", timeout=20), \
            booted.run("systemctl status harborwall; journalctl -u harborwall -o cat", check=False).stdout
        assert booted.show("StatusText"), "no word from the daemon"
        pid = booted.show("MainPID")
        status = dict(re.findall(r"^(\w+):\s*(\S+)", booted.run(f"cat /proc/{pid}/status").stdout, re.M))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert_only_wanted(status)
        assert booted.run("cat /proc/sys/net/ipv4/ip_forward").stdout == "1\n"  # written in spite of ProtectKernelTunables
        booted.run("systemctl reload harborwall")
        assert booted.show("MainPID") == pid and booted.show("ActiveState") == "active"
        booted.run("systemctl restart harborwall")
        assert booted.show("MainPID") != pid and booted.show("ActiveState") == "active"
        booted.run("systemctl stop harborwall")
        assert booted.show("Result") == "success"
        said = booted.run("journalctl -u harborwall -o cat").stdout
        assert "system call refused" not in said and "the rules stay" in said, said
        assert "inet harborwall" in booted.run("nft list tables || true").stdout + rules_of(booted)


def rules_of(booted):
    """The root need not have nft(8): this host's is asked in its network."""
    with open(f"/proc/{booted.process.pid}/task/{booted.process.pid}/children", encoding="ascii") as f:
        return run("nsenter", "-t", f.read().split()[0], "-n", "nft", "list", "tables").stdout


@pytest.mark.parametrize("lab", [{"version": v, "legacy": legacy, "options": seed.WITH_IPV6} for v, legacy in (("20", False), ("28", False), ("20", True))],
                         indirect=True,
                         ids=["docker 20", "docker 28", "docker 20 legacy"])
def test_under_its_unit_the_packaged_daemon_does_the_whole_job_and_heals(built, lab, bed, tmp_path):
    need("systemctl")
    seed.containers(bed)
    bed.write(stories.other_user(bed, stories.config()))
    with unit.Unit(bed, package_of(built), str(tmp_path)) as daemon:
        stories.stands(bed, daemon)
        assert_nobody_gets_in_with_a_borrowed_source(bed)
        stories.assert_heals(bed, daemon)
        status = dict(re.findall(r"^(\w+):\s*(\S+)", daemon.status(), re.M))
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert_only_wanted(status)
        assert daemon.show("NRestarts") == "0" and "system call refused" not in daemon.log()
