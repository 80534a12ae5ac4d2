# SPDX-License-Identifier: GPL-2.0-or-later
"""The package in a lab: unpacked over its /usr, and its unit, as it is, run by a systemd. A lab's first process is not
systemd, so it is one of root's own (systemd --user), which sets up the same sandbox."""
import os
import subprocess

import engine

UNITS, RUNTIME = "/run/harborwall-units", "/run/harborwall-manager"
# a user's StateDirectory= is below $XDG_CONFIG_HOME, or $XDG_STATE_HOME from systemd 254 on
ENVIRONMENT = {"XDG_RUNTIME_DIR": RUNTIME, "XDG_CONFIG_HOME": "/var/lib", "XDG_STATE_HOME": "/var/lib", "SYSTEMD_UNIT_PATH": UNITS}
# in groups of cgroups that go with the lab (tests/lab/lab: no_cgroups)
MANAGER = """
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/{systemd,unified}; do
    [ ! -e "$hierarchy/cgroup.procs" ] || {
        mkdir -p "$hierarchy/hwlab-$1/unit"
        echo $$ >"$hierarchy/hwlab-$1/unit/cgroup.procs"
    }
done
mkdir -pm 755 /run/systemd/system /run/systemd/inaccessible # the system's manager makes them
cd /run/systemd/inaccessible
touch reg
mkdir dir
mkfifo fifo
mknod chr c 0 0
mknod blk b 0 0
chmod 0 *
exec /lib/systemd/systemd --user --unit=harborwall.service
"""
LOG = "/run/harborwall.log"  # there is no journal
HERE = f"[Service]\nStandardError=append:{LOG}\n"


class Unit:
    """The daemon, for stories.py; use as a context. deb: the package; folder: where it may be unpacked."""

    def __init__(self, bed, deb, folder):
        self.lab = bed.lab
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        bed.lab.run("mount", "-t", "overlay", "-o", f"ro,lowerdir={folder}/usr:/usr", "overlay", "/usr")
        bed.lab.run("mkdir", "-p", "/etc/user/config", f"{UNITS}/harborwall.service.d", RUNTIME)
        bed.lab.run("mount", "--bind", bed.folder.name, "/etc/user/config")
        bed.lab.run("cp", f"{folder}/lib/systemd/system/harborwall.service", UNITS)
        bed.lab.run("tee", f"{UNITS}/harborwall.service.d/lab.conf", stdin=HERE)
        for target in ("basic", "shutdown"):  # an empty file would mask them
            bed.lab.run("tee", f"{UNITS}/{target}.target", stdin="[Unit]\n")
        self.manager = bed.lab.spawn("bash", "-ec", MANAGER, "manager", bed.lab.name, env=ENVIRONMENT)

    def __enter__(self):
        assert engine.wait_for(lambda: self.show("ActiveState") == "active", timeout=20), self.manager.log() + self.log()
        return self

    def __exit__(self, *_):
        self.systemctl("stop", "harborwall")  # its private /tmp is in this host's

    def systemctl(self, *words):
        return self.lab.run("systemctl", "--user", *words, env=ENVIRONMENT, check=False).stdout.strip()

    def show(self, name):
        return self.systemctl("show", "harborwall", "-p", name, "--value")

    def status(self):
        """/proc/PID/status of the daemon."""
        return self.lab.run("cat", f"/proc/{self.show('MainPID')}/status").stdout

    def log(self):
        path = f"/proc/{self.lab.init}/root{LOG}"
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
