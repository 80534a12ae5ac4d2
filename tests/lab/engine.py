# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab seen from Python: its engine over the unix socket, commands inside it, harborwall in it.

There is no docker client: the API is spoken by http.client. Starting and ending is tests/lab/lab's.
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse

from standins import StandIns

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAB = os.path.join(HERE, "lab")
BASE = os.environ.get("HARBORWALL_LAB", "/var/tmp/harborwall-lab")
ADDRESS_OF = {4: "IPAddress", 6: "GlobalIPv6Address"}  # of an endpoint, by family
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(ROOT, "build", "harborwall"))


class LabError(Exception):
    pass


class ApiError(LabError):
    def __init__(self, status, message):
        super().__init__(f"{status} {message}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ipam(ip, ip6):
    return {**({"IPv4Address": ip} if ip else {}), **({"IPv6Address": ip6} if ip6 else {})}


class Docker:
    """The calls that tests need. Names are containers' or networks' names."""

    def __init__(self, path):
        self.path = path

    def call(self, method, path, body=None, timeout=30, raw=False):
        connection = UnixConnection(self.path, timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(answer.status, f"{method} {path}: {text.decode(errors='replace').strip()}")
        if raw:
            return text
        return json.loads(text) if text.strip() else None

    def create(self, name, network="bridge", start=True, privileged_net=False, ip=None, ip6=None, user="", publish=None, mac=None,
               command="sleep 3600 & wait $!", **config):
        """A container of "bb" whose first process repeats the command and ends at once on TERM. publish: {"port" or
        "address:port" of the host: its own, tcp}. config: of its endpoint, as the API has it."""
        host = {"NetworkMode": network}
        if publish:
            host["PortBindings"] = {f"{own}/tcp": [{"HostIp": at.rpartition(":")[0], "HostPort": at.rpartition(":")[2]}]
                                    for at, own in publish.items()}
        if privileged_net:
            host["CapAdd"] = ["NET_ADMIN"]
        body = {"Image": "bb", "HostConfig": host, "User": user,
                "Cmd": ["sh", "-c", f"trap 'exit 0' TERM; while :; do {command}; done"],
                "ExposedPorts": {port: {} for port in host.get("PortBindings", {})}}
        if ip or ip6:
            config["IPAMConfig"] = {**config.get("IPAMConfig", {}), **ipam(ip, ip6)}
        if mac:  # of the container before API 1.44, of the connection since
            (config if self.api >= (1, 44) else body)["MacAddress"] = mac
        if config:
            body["NetworkingConfig"] = {"EndpointsConfig": {network: config}}
        self.call("POST", f"/v{self.api[0]}.{self.api[1]}/containers/create?name={urllib.parse.quote(name)}", body)
        if start:
            self.start(name)

    @property
    def api(self):
        return tuple(map(int, self.call("GET", "/version")["ApiVersion"].split(".")))

    def start(self, name):
        self.call("POST", f"/containers/{name}/start")

    def stop(self, name):
        self.call("POST", f"/containers/{name}/stop?t=1")

    def restart(self, name):
        self.call("POST", f"/containers/{name}/restart?t=1")

    def remove(self, name):
        self.call("DELETE", f"/containers/{name}?force=1&v=1")

    def inspect(self, name):
        return self.call("GET", f"/containers/{name}/json")

    def containers(self):
        """name -> inspect, of all, running or not."""
        listed = self.call("GET", "/containers/json?all=1")
        return {c["Names"][0].lstrip("/"): self.inspect(c["Id"]) for c in listed}

    def addresses(self, name, family=4):
        """network name -> address, as declared or as given; a stopped container keeps declared ones."""
        found = {}
        for network, end in self.inspect(name)["NetworkSettings"]["Networks"].items():
            address = end.get(ADDRESS_OF[family]) or (end.get("IPAMConfig") or {}).get(f"IPv{family}Address")
            if address:
                found[network] = address
        return found

    def networks(self):
        """network name -> inspect."""
        return {n["Name"]: n for n in self.call("GET", "/networks")}

    def create_network(self, name, subnet=None, gateway=None, bridge=None, labels=None, subnet6=None, **more):
        body = {"Name": name, "CheckDuplicate": True, "Driver": "bridge", "Labels": labels or {}, **more}
        if subnet:
            body["IPAM"] = {"Config": [{"Subnet": subnet, **({"Gateway": gateway} if gateway else {})}]}
        if subnet6:
            body["EnableIPv6"] = True
            body.setdefault("IPAM", {"Config": []})["Config"].append({"Subnet": subnet6})
        if bridge:
            body.setdefault("Options", {})["com.docker.network.bridge.name"] = bridge
        self.call("POST", "/networks/create", body)

    def remove_network(self, name):
        self.call("DELETE", f"/networks/{name}")

    def connect(self, network, name, ip=None, ip6=None, **config):
        """config: more of the endpoint, as the API has it."""
        config.update({"IPAMConfig": ipam(ip, ip6)} if ip or ip6 else {})
        self.call("POST", f"/networks/{network}/connect", {"Container": name, "EndpointConfig": config})

    def disconnect(self, network, name):
        self.call("POST", f"/networks/{network}/disconnect", {"Container": name, "Force": True})


class Lab:
    """One throw-away engine. Use as a context: what it started ends with it."""

    def __init__(self, name, version="20", legacy=False, options=(), forward=False, firewalld=None, environment=()):
        """version "none": no engine; firewalld: the backend of one that is there before the engine; environment:
        "NAME=VALUE", dockerd's."""
        self.name, self.version, self.legacy, self.firewalld = name, str(version), legacy, firewalld
        self.options, self.forward, self.environment = list(options), forward, environment
        self.docker_host = "unix:///run/docker.sock"
        self.folder = os.path.join(BASE, "up", name)
        self.processes = []
        # whether the engine writes rules for IPv6, which close its networks: from 27 on, before it when it is told to
        self.closes_ipv6 = "--ip6tables" in self.options or self.version == "28" and "--ip6tables=false" not in self.options
        self.seeded = None  # what pool.py saw of it when the seed's containers had been made

    def __enter__(self):
        if self.name in lab_command("list").split():
            lab_command("stop", self.name)
        self.start()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        refused = self.refused()
        lab_command("stop", self.name)
        if refused:
            raise LabError("the sandbox is too small:\n" + "".join(refused))

    def refused(self):
        """System calls that programs in the sandbox were refused: a defect of the list, or worse."""
        found = []
        for n in range(len(self.processes)):
            with open(f"{self.folder}/spawned-{n}", encoding="utf-8", errors="replace") as f:
                found += [line for line in f if "system call refused" in line or "killed by signal 31" in line]
        return found

    def start(self):
        argv = ["start", self.name, self.version, *(["-l"] if self.legacy else []),
                *(["-f", self.firewalld] if self.firewalld else []),
                *(word for setting in self.environment for word in ("-e", setting)), "--", "-D", *self.options]
        lab_command(*argv, env={"LAB_FORWARD": "1" if self.forward else "0"})
        self.docker = StandIns(self) if self.version == "none" else Docker(os.path.join(self.folder, "docker.sock"))
        with open(os.path.join(self.folder, "init.pid"), encoding="ascii") as f:
            self.init = int(f.read())
        with open(os.path.join(self.folder, "path"), encoding="ascii") as f:
            self.path = f.read().strip()

    def engine(self, what, *options):
        lab_command("engine", self.name, what, *(["--", *options] if options else []))

    def start_firewalld(self, backend):
        lab_command("firewalld", self.name, backend)
        self.firewalld = backend

    def peer(self):
        lab_command("peer", self.name)

    def far(self):
        lab_command("far", self.name)

    def stand_in(self, *arguments):
        lab_command("stand-in", self.name, *arguments)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def posts(self):
        """How many writing calls the engine has answered so far (it runs with -D)."""
        return len(re.findall(r"Calling (?:POST|DELETE|PUT) ", self.log()))

    # -- commands inside --

    def argv(self, command, env=None):
        settings = {"HOME": "/root", "TERM": "dumb", "PATH": self.path, **(env or {})}
        if self.version != "none":
            settings.setdefault("DOCKER_HOST", self.docker_host)
        return ["nsenter", "-t", str(self.init), "-m", "-n", "-p", f"--wd={ROOT}", "--",
                "env", "-i", *(f"{k}={v}" for k, v in settings.items()), *command]

    def run(self, *command, check=True, stdin=None, env=None, timeout=60):
        """Runs a command inside; returns the finished process with its text."""
        done = subprocess.run(self.argv(command, env), input=stdin, text=True, capture_output=True,
                              timeout=timeout, stdin=None if stdin is not None else subprocess.DEVNULL)
        if check and done.returncode:
            raise LabError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def harborwall_clear(self):
        return self.run(HARBORWALL, "clear", "--networks", check=False)

    def spawn(self, *command, env=None):
        """A program that runs on inside."""
        log = f"{self.folder}/spawned-{len(self.processes)}"
        with open(log, "w", encoding="utf-8") as stderr:
            process = subprocess.Popen(self.argv(command, env), text=True, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=stderr)
        self.processes.append(process)
        return Spawned(process, log)

    def netns(self, endpoint):
        """A path to the network namespace of a container, of "host", or of a named one ("peer")."""
        root = f"/proc/{self.init}/root"
        if endpoint == "host":
            return f"/proc/{self.init}/ns/net"
        if os.path.exists(f"{root}/run/netns/{endpoint}"):
            return f"{root}/run/netns/{endpoint}"
        pid = self.docker.inspect(endpoint)["State"]["Pid"]
        if not pid:
            raise LabError(f"{endpoint} is not running")
        return f"{root}/proc/{pid}/ns/net"  # the lab's own numbering of processes

    def inside(self, container, *command, **options):
        """Runs a host's tool in a container's network namespace."""
        return self.run("nsenter", f"--net={self.own_netns(container)}", *command, **options)

    def own_netns(self, container):
        """The same path as netns(), as the inside sees it."""
        if self.version == "none":
            return f"/run/netns/{container}"
        return f"/proc/{self.docker.inspect(container)['State']['Pid']}/ns/net"

    def tunnel(self, container, iface, subnet="10.66.0", subnet6="fd66:"):
        """A client namespace wired to the container by iface: .1 is the container, .2 the client. The interface has IPv6
        where the container's networks have none, as a VPN's would."""
        netns = self.own_netns(container)
        enter = f"nsenter --net={netns}"
        self.run("sh", "-ec", f"""
            {enter} ip link del {iface} 2>/dev/null || true # with a namespace it goes some time later
            ip netns del client 2>/dev/null || true
            ip netns add client
            ip link add hwclient type veth peer name eth0 netns client
            ip link set hwclient netns {netns}
            ip -n client addr add {subnet}.2/24 dev eth0
            ip -n client addr add {subnet6}:2/64 dev eth0 nodad
            ip -n client link set eth0 up
            {enter} ip link set hwclient name {iface}
            {enter} ip addr add {subnet}.1/24 dev {iface}
            {enter} sh -c 'echo 0 >/proc/sys/net/ipv6/conf/{iface}/disable_ipv6'
            {enter} ip addr add {subnet6}:1/64 dev {iface} nodad
            {enter} ip link set {iface} up""")


class Spawned:
    """A program inside: nsenter, which waits, and its child, which is the program."""

    def __init__(self, process, path):
        self.process, self.path = process, path
        wait_for(self.children)

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
            return f.read().split()

    @property
    def pid(self):
        return int(self.children()[0])

    def send(self, number):
        os.kill(self.pid, number)

    def log(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_log(self, text, timeout=20, times=1):
        assert wait_for(lambda: self.log().count(text) >= times, timeout), f"no {text!r} in\n{self.log()}"

    def end(self, number=signal.SIGTERM, timeout=20):
        """Its exit code."""
        self.send(number)
        return self.process.wait(timeout)


def lab_command(*argv, env=None):
    done = subprocess.run([LAB, *argv], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, timeout=900)
    if done.returncode:
        raise LabError(f"lab {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def wait_for(claim, timeout=20, step=0.02):
    """For claims that come true at once on a machine that has nothing else to do. True once claim() holds; its last answer when time is up."""
    end = time.monotonic() + timeout
    while True:
        held = claim()
        if held or time.monotonic() > end:
            return held
        time.sleep(step)
