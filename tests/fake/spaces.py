# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted engine whose running containers are network namespaces with one sleeping process, each in a cgroup that
bears the container's id, as Docker makes them; without wires."""
import os
import subprocess

import dockerd

CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/pids", "/sys/fs/cgroup")


def make_cgroup(name):
    for root in CGROUPS:
        try:
            os.mkdir(f"{root}/{name}")
            return f"{root}/{name}"
        except OSError:
            continue
    raise OSError("no cgroup can be made under " + ", ".join(CGROUPS))


def sleeper():
    """A process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 3600"], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


class Engine(dockerd.Engine):
    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.cgroup, self.processes = make_cgroup(f"harborwall-fake-{os.getpid()}"), {}

    def __exit__(self, *_):
        super().__exit__()
        self.end()

    def end(self):
        for process in self.processes.values():
            end(process)
        for folder, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(folder)

    def boot(self, container):
        folder = f"{self.cgroup}/{container['id']}"
        os.makedirs(folder, exist_ok=True)
        process = self.processes[container["id"]] = sleeper()
        with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(process.pid))
        return process.pid

    def halt(self, container):
        end(self.processes.pop(container["id"]))

    def pid(self, name):
        return self.containers[self.find(self.containers, name)]["pid"]

    def inside(self, name, *command, pid=None, check=True, **options):
        return subprocess.run(["nsenter", "-t", str(pid or self.pid(name)), "-n", *command], text=True, capture_output=True,
                              check=check, **options).stdout
