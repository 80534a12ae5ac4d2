# SPDX-License-Identifier: GPL-2.0-or-later
"""A Docker engine of lies: networks and containers that exist only here, spoken over a real socket.

It answers as Docker Engine 20.10 to 28 do (API 1.41 to 1.51), and on demand it refuses, stalls, cuts off, lies or
answers nonsense: script("POST", "/networks/create", status=403, message="Pool overlaps"). What is a record here can
be made real by who overrides the hooks plug, unplug, boot, halt, raise_network and drop_network (tests/chaos)."""
import http.server
import ipaddress
import itertools
import json
import os
import queue
import re
import socket
import socketserver
import threading
import time
import urllib.parse

# As Docker 20 lays out what matters to us; its own rules for networks are not in a packet's way here.
DOCKER_RULES = """*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
"""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # whoever asked is gone


class Engine:
    """Use as a context. host is its DOCKER_HOST."""

    def __init__(self, folder, version="20.10.24", api="1.41", api_min="1.12", firewall=None, server=None):
        self.path = os.path.join(folder, "docker.sock")
        self.host = f"unix://{self.path}"
        self.version, self.api, self.api_min, self.firewall = version, api, api_min, firewall
        self.server_header = server or f"Docker/{version} (linux)"
        self.networks, self.containers = {}, {}  # by id
        self.calls, self.scripts, self.streams, self.connections = [], [], [], []
        self.ids = itertools.count(1)
        self.lies = {}       # container id -> the pid that inspect tells instead of its own
        self.mac_address = ""  # that containers were started with
        self.deaf = False    # events are lost
        self.chunks = lambda data: [data]  # how the stream of events cuts what it sends
        self.lock = threading.RLock()
        for name in ("bridge", "host", "none"):
            self.add_network(name, "172.17.0.0/16" if name == "bridge" else None,
                             driver={"none": "null"}.get(name, name), bridge="docker0" if name == "bridge" else None)

    def __enter__(self):
        self.listen()
        return self

    def __exit__(self, *_):
        self.close()

    def listen(self):
        engine = self

        class Handler(RequestHandler):
            pass
        Handler.engine = engine
        self.server = Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        """As a dockerd that ends: the socket and every connection go."""
        self.server.shutdown()
        self.server.server_close()
        os.unlink(self.path)
        self.cut_streams()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself

    # -- what tests say --

    def script(self, method, path, status=None, message=None, body=None, delay=0, cut=False, times=1, done=False):
        """The next `times` requests whose path (without version) matches the regular expression.
        done: what was asked for is done all the same, only the answer is another one, or none."""
        if message is not None:
            body = json.dumps({"message": message})
        self.scripts.append([method, re.compile(path), status, body, delay, cut, times, done])

    def writes(self):
        return [c for c in self.calls if c[0] in ("POST", "DELETE")]

    # -- hooks --

    def raise_network(self, network):
        """A bridge network begins."""

    def drop_network(self, network):
        """… and ends."""

    def boot(self, container):
        """A container starts: its first process, its interfaces. -> its pid."""
        return container["pid"]

    def halt(self, container):
        pass

    def plug(self, container, end):
        """A running container gets a network."""

    def unplug(self, container, end):
        pass

    # -- the model --

    def new_id(self, kind):
        return f"{kind}{next(self.ids):08x}".ljust(64, "0")  # also in its first 12: bridges are named so

    def add_network(self, name, subnet=None, gateway=None, driver="bridge", bridge=None, labels=None, options=None, subnet6=None,
                    pools=None):
        """pools: of both families, as the API has them, instead of subnets."""
        ident = self.new_id("a")
        config = pools or [{"Subnet": s, **({"Gateway": g} if g else {})} for s, g in ((subnet, gateway), (subnet6, None)) if s]
        opts = dict(options or {})
        if bridge:
            opts["com.docker.network.bridge.name"] = bridge
        self.networks[ident] = {"Name": name, "Id": ident, "Created": "2024-01-01T00:00:00Z", "Scope": "local",
                                "Driver": driver, "EnableIPv6": bool(subnet6), "Internal": False, "Attachable": False,
                                "Ingress": False, "IPAM": {"Driver": "default", "Options": None, "Config": config},
                                "Containers": {}, "Options": opts, "Labels": labels or {}}
        if driver == "bridge" and subnet:
            self.raise_network(self.networks[ident])
        return ident

    @staticmethod
    def pool(network, family=4):
        """What the network has of a family; {}: nothing."""
        pools = [p for p in network["IPAM"]["Config"] if ipaddress.ip_network(p["Subnet"]).version == family]
        return pools[0] if pools and (family == 4 or network["EnableIPv6"]) else {}

    def add_container(self, name, network="bridge", ip=None, running=False, pid=0, config=None):
        """config: more of its endpoint, as the API has it: Aliases, Links, MacAddress, …"""
        ident = self.new_id("c")
        self.containers[ident] = {"id": ident, "name": name, "running": running, "pid": pid, "mode": network,
                                  "ends": {}}
        if network in ("host",) or network.startswith("container:"):
            return ident
        self.attach(ident, self.find(self.networks, network), ip, config or {})
        return ident

    def find(self, table, name):
        for ident, item in table.items():
            if ident == name or item.get("Name", item.get("name")) == name:
                return ident
        return None

    def attach(self, container, network, ip, config):
        n, c = self.networks[network], self.containers[container]
        end = c["ends"][n["Name"]] = {"network": network, "static": ip, "ip": "", "ip6": "", "config": config,
                                      "static6": (config.get("IPAMConfig") or {}).get("IPv6Address"),
                                      "opts": config.get("DriverOpts") or {}}
        if c["running"]:
            self.give_addresses(end)
            self.plug(c, end)

    def give_addresses(self, end):
        """What it asks for, had before, or what is free."""
        network = self.networks[end["network"]]
        end["ip"] = end["static"] or end["ip"] or self.free_address(network)
        if self.pool(network, 6):
            end["ip6"] = str(ipaddress.ip_address(end["static6"] or end["ip6"] or self.free_address(network, 6)))

    def free_address(self, network, family=4):
        pool = self.pool(network, family)
        if not pool:
            return ""
        taken = {ip for c in self.containers.values() for e in c["ends"].values() for ip in (e["ip"], e["ip6"])} | {pool.get("Gateway")}
        hosts = ipaddress.ip_network(pool.get("IPRange") or pool["Subnet"]).hosts()
        return next(str(h) for h in itertools.islice(hosts, 1, None) if str(h) not in taken)

    def start(self, name, pid=0):
        with self.lock:
            ident = self.find(self.containers, name)
            c = self.containers[ident]
            for end in c["ends"].values():
                self.give_addresses(end)
            c["pid"] = pid
            c["running"], c["pid"] = True, self.boot(c)
            for end in c["ends"].values():
                self.tell_connection("connect", ident, end["network"])
            self.tell("container", "start", ident, {"name": c["name"]})

    def stop(self, name):
        with self.lock:
            ident = self.find(self.containers, name)
            c = self.containers[ident]
            self.halt(c)
            c.update(running=False, pid=0)
            for end in c["ends"].values():
                self.tell_connection("disconnect", ident, end["network"])
                end["ip"] = end["ip6"] = ""
            self.tell("container", "die", ident, {"name": c["name"]})

    def tell_connection(self, action, container, network):
        self.tell("network", action, network, {"container": container, "name": self.networks[network]["Name"],
                                               "type": "bridge"})

    # -- answers --

    def list_containers(self):
        return [{"Id": c["id"], "Names": ["/" + c["name"]], "Image": "bb", "State": "running" if c["running"] else "exited",
                 "Status": "", "Labels": {}, "HostConfig": {"NetworkMode": self.mode(c)},
                 "NetworkSettings": {"Networks": self.ends(c)}} for c in self.containers.values()]

    @staticmethod
    def mode(c):
        return "default" if c["mode"] == "bridge" else c["mode"]

    def ends(self, c):
        """As lists have them."""
        found = {}
        for name, end in c["ends"].items():
            network = self.networks[end["network"]]
            asked = {f"IPv{family}Address": ip for family, ip in ((4, end["static"]), (6, end["static6"])) if ip}
            gateway, gateway6 = (self.pool(network, family).get("Gateway", "") if c["running"] else "" for family in (4, 6))
            found[name] = {"IPAMConfig": asked or None, "Links": None,
                           "Aliases": None, "NetworkID": end["network"], "EndpointID": "e" * 64,
                           "Gateway": gateway, "IPAddress": end["ip"], "IPPrefixLen": 24,
                           "IPv6Gateway": gateway6, "GlobalIPv6Address": end["ip6"], "GlobalIPv6PrefixLen": 64 if end["ip6"] else 0,
                           "MacAddress": end["config"].get("MacAddress", "") if c["running"] else "", "DriverOpts": end["opts"] or None}
        return found

    def whole_ends(self, c):
        """As inspect has them."""
        found = self.ends(c)
        for name, end in found.items():
            config = c["ends"][name]["config"]
            aliases = [*(config.get("Aliases") or []), *([c["id"][:12]] if self.api < "1.45" else [])]
            end.update({"Aliases": aliases or None, "Links": config.get("Links"), "GwPriority": config.get("GwPriority", 0),
                        "IPAMConfig": {**(config.get("IPAMConfig") or {}), **(end["IPAMConfig"] or {})} or None})
        return found

    def inspect_container(self, ident):
        c = self.containers[ident]
        return {"Id": ident, "Name": "/" + c["name"], "State": {"Status": "running" if c["running"] else "exited",
                "Running": c["running"], "Paused": False, "Restarting": False, "Pid": self.lies.get(ident, c["pid"])},
                "HostConfig": {"NetworkMode": self.mode(c)}, "Config": {"Labels": {}, "MacAddress": self.mac_address},
                "NetworkSettings": {"SandboxKey": "", "Networks": self.whole_ends(c)}}

    def tell(self, kind, action, ident, attributes):
        if self.deaf:
            return
        event = {"Type": kind, "Action": action, "Actor": {"ID": ident, "Attributes": attributes},
                 "scope": "local", "time": int(time.time()), "timeNano": time.time_ns(),
                 **({"id": ident, "status": action} if kind == "container" else {})}
        for stream in list(self.streams):
            stream.put(json.dumps(event).encode() + b"\n")

    def cut_streams(self, amid=b""):
        """amid: the beginning of a chunk that breaks off."""
        for stream in list(self.streams):
            stream.put((amid,))

    def answer(self, method, path, body):
        """(status, object or text)."""
        with self.lock:
            for pattern, handler in ROUTES:
                if (m := re.fullmatch(pattern, f"{method} {path}")):
                    return getattr(self, handler.__name__)(body, *m.groups())
        return 404, {"message": "page not found"}

    def get_version(self, _):
        return 200, {"Version": self.version, "ApiVersion": self.api, "MinAPIVersion": self.api_min, "Os": "linux"}

    def get_info(self, _):
        info = {"ID": "LIES", "ServerVersion": self.version, "Containers": len(self.containers)}
        if self.firewall:
            info["FirewallBackend"] = {"Driver": self.firewall}
        return 200, info

    def get_networks(self, _):
        return 200, list(self.networks.values())

    def get_network(self, _, name):
        ident = self.find(self.networks, urllib.parse.unquote(name))
        return (200, self.networks[ident]) if ident else (404, {"message": f"network {name} not found"})

    def get_containers(self, _):
        return 200, self.list_containers()

    def get_container(self, _, name):
        ident = self.find(self.containers, name)
        return (200, self.inspect_container(ident)) if ident else (404, {"message": f"No such container: {name}"})

    def post_network(self, body):
        for pool in (body.get("IPAM") or {}).get("Config") or []:
            for n in self.networks.values():
                for other in n["IPAM"]["Config"]:
                    if ipaddress.ip_network(pool["Subnet"]).overlaps(ipaddress.ip_network(other["Subnet"])):
                        return 403, {"message": "Pool overlaps with other one on this address space"}
        if self.find(self.networks, body["Name"]):
            return 409, {"message": f"network with name {body['Name']} already exists"}
        pools = body["IPAM"]["Config"]
        subnet6 = next((p["Subnet"] for p in pools if ":" in p["Subnet"]), None) if body.get("EnableIPv6") else None
        ident = self.add_network(body["Name"], pools[0]["Subnet"], labels=body.get("Labels"), options=body.get("Options"),
                                 subnet6=subnet6, pools=pools)
        self.networks[ident].update({k: body[k] for k in ("Internal", "Attachable") if k in body})
        self.tell("network", "create", ident, {"name": body["Name"], "type": "bridge"})
        return 201, {"Id": ident, "Warning": ""}

    def delete_network(self, _, name):
        ident = self.find(self.networks, urllib.parse.unquote(name))
        if not ident:
            return 404, {"message": f"network {name} not found"}
        if any(e["network"] == ident and c["running"] for c in self.containers.values() for e in c["ends"].values()):
            return 403, {"message": f"error while removing network: network {name} has active endpoints"}
        self.drop_network(self.networks.pop(ident))
        self.tell("network", "destroy", ident, {"name": name, "type": "bridge"})
        return 204, None

    def post_connect(self, body, name):
        network = self.find(self.networks, urllib.parse.unquote(name))
        container = self.find(self.containers, body["Container"])
        if not network or not container:
            return 404, {"message": f"No such {'container' if network else 'network'}"}
        c, n = self.containers[container], self.networks[network]
        if n["Name"] in c["ends"]:
            return 403, {"message": f"endpoint with name {c['name']} already exists in network {n['Name']}"}
        if "none" in c["ends"]:
            return 403, {"message": "container cannot be connected to multiple networks with one of the networks in "
                                    "private (none) mode"}
        config = body.get("EndpointConfig") or {}
        asked = config.get("IPAMConfig") or {}
        ip, ip6 = asked.get("IPv4Address"), asked.get("IPv6Address")
        if any(ip and e["ip"] == ip or ip6 and e["ip6"] == ip6 for c2 in self.containers.values() for e in c2["ends"].values()):
            return 403, {"message": "Address already in use"}
        self.attach(container, network, ip, config)
        if c["running"]:
            self.tell_connection("connect", container, network)
        return 200, None

    def post_disconnect(self, body, name):
        network = self.find(self.networks, urllib.parse.unquote(name))
        container = self.find(self.containers, body["Container"])
        if not network or not container:
            return 404, {"message": f"No such {'container' if network else 'network'}"}
        c, n = self.containers[container], self.networks[network]
        if n["Name"] not in c["ends"]:
            return 500, {"message": f"container {container} is not connected to network {n['Name']}"}
        end = c["ends"].pop(n["Name"])
        if c["running"]:
            self.unplug(c, end)
            self.tell_connection("disconnect", container, network)
        return 200, None


ROUTES = [(r"GET /version", Engine.get_version), (r"GET /info", Engine.get_info),
          (r"GET /networks", Engine.get_networks), (r"GET /networks/([^/]+)", Engine.get_network),
          (r"GET /containers/json", Engine.get_containers),
          (r"GET /containers/([^/]+)/json", Engine.get_container), (r"POST /networks/create", Engine.post_network),
          (r"DELETE /networks/([^/]+)", Engine.delete_network),
          (r"POST /networks/([^/]+)/connect", Engine.post_connect),
          (r"POST /networks/([^/]+)/disconnect", Engine.post_disconnect)]


class RequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = None

    def setup(self):
        super().setup()
        self.engine.connections.append(self.connection)

    def finish(self):
        self.engine.connections.remove(self.connection)
        try:
            super().finish()
        except OSError:
            pass  # nobody is there any more

    def version_string(self):
        return self.engine.server_header

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def scripted(self, path):
        with self.engine.lock:
            for entry in self.engine.scripts:
                method, pattern, *_, left, _ = entry
                if method == self.command and pattern.search(path) and left:
                    entry[6] -= 1
                    return entry
        return None

    def handle_any(self):
        path = re.sub(r"^/v\d+\.\d+", "", urllib.parse.urlsplit(self.path).path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.engine.calls.append((self.command, path, raw.decode(errors="replace")))
        entry = self.scripted(path)
        if entry:
            time.sleep(entry[4])
            if entry[7]:
                self.engine.answer(self.command, path, json.loads(raw) if raw else {})
            if entry[5]:
                self.close_connection = True
                return None
            if entry[2]:
                return self.send(entry[2], (entry[3] or "").encode())
        if path == "/events":
            return self.stream()
        status, answer = self.engine.answer(self.command, path, json.loads(raw) if raw else {})
        return self.send(status, b"" if answer is None else json.dumps(answer).encode())

    def send(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        lines = queue.Queue()
        self.engine.streams.append(lines)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            while isinstance(line := lines.get(), bytes):
                for chunk in self.engine.chunks(line):
                    self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    self.wfile.flush()
            if line[0]:
                self.wfile.write(b"fff\r\n" + line[0])
                self.wfile.flush()
        except OSError:
            pass
        self.engine.streams.remove(lines)
        self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = handle_any
