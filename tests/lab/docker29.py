# SPDX-License-Identifier: GPL-2.0-or-later
"""Docker's nftables backend where no engine 29 can be had: an engine 28 that writes no rules, and a proxy before its
socket that says that it is 29 and writes the tables of 29 behind every call that changes something. The engine itself
runs with DOCKER_FIREWALL_BACKEND=nftables, which makes it write `table ip docker-dns` into containers as 29 does.

The tables are those of 29.7.2, and so is what comes back of them after a flush: a container's start writes
raw-PREROUTING anew, a new network its own chains, both make what is missing of the maps (empty); filter-FORWARD is
written by dockerd's start alone."""
import contextlib
import http.client
import http.server
import json
import os
import re
import socketserver
import threading

import engine
import seed

TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
BRIDGE = "com.docker.network.bridge.name"
MODE = "com.docker.network.bridge.gateway_mode_ipv"
TABLES = {"ip": 4, "ip6": 6}  # families of nf_tables, and those of addresses
VERSION = {"Version": "29.7.2", "ApiVersion": "1.55", "MinAPIVersion": "1.40"}
FWMARK = "0x2000000/0x2000000"  # our mark, as --bridge-accept-fwmark takes it
OPTIONS = {"options": ["--iptables=false", "--ip6tables=false", "--userland-proxy=false", *seed.WITH_IPV6], "forward": True,
           "environment": ["DOCKER_FIREWALL_BACKEND=nftables"]}  # of the engine behind it


class Proxy(http.server.BaseHTTPRequestHandler):
    """Hands everything on, in the engine's own version of the API."""
    protocol_version = "HTTP/1.1"
    upstream = tables = None

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def handle_any(self):
        try:
            self.hand_on()
        except OSError:
            self.close_connection = True  # the engine is dead, or who asked is gone

    def hand_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wanted = re.match(r"/v1\.(\d+)/", self.path)
        if wanted and not 40 <= int(wanted[1]) <= 55:
            self.answer(400, json.dumps({"message": f"API version 1.{wanted[1]} is not supported"}).encode())
            return
        path = self.path[len(wanted[0]) - 1:] if wanted else self.path
        connection = engine.UnixConnection(self.upstream, 600)
        try:
            if path.split("?")[0] == "/events":
                connection.request(self.command, path)
                self.stream(connection.getresponse())
                return
            with self.tables.gate:
                status, text = self.ask(connection, path, body)
        finally:
            connection.close()
        if path == "/version":
            text = json.dumps({**json.loads(text), **VERSION}).encode()
        if path == "/info" and wanted and int(wanted[1]) < 49:
            text = json.dumps({k: v for k, v in json.loads(text).items() if k != "FirewallBackend"}).encode()
        self.answer(status, text)

    def ask(self, connection, path, body):
        """What is written is there before anybody hears of the change."""
        write = self.tables.what_follows(self.command, path.split("?")[0], body)
        connection.request(self.command, path, body or None, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        if write and reply.status < 300:
            write()
        return reply.status, text

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def stream(self, reply):
        """As it comes, until one of them hangs up."""
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            while data := reply.read1(65536):
                with self.tables.gate:
                    self.wfile.write(data)
        except (OSError, http.client.HTTPException):
            pass

    do_GET = do_POST = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Engine:
    """The proxy, for as long as the context is: lab.docker and DOCKER_HOST (path) lead there."""

    def __init__(self, lab, fwmark=None, direct=False):
        self.lab, self.behind = lab, lab.docker
        self.tables = Tables(lab, fwmark, direct)
        self.path = os.path.join(lab.folder, "docker29.sock")

    def __enter__(self):
        handler = type("Handler", (Proxy,), {"upstream": self.behind.path, "tables": self.tables})
        self.server = Server(self.path, handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.tables.start_dockerd()
        self.lab.docker, self.lab.closes_ipv6 = engine.Docker(self.path), True
        self.lab.docker_host = f"unix://{self.path}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.lab.docker = self.behind

    def restart(self, fwmark=None, direct=False):
        """dockerd, with other options; its containers live on."""
        self.tables.fwmark, self.tables.direct = fwmark, direct
        self.tables.start_dockerd()


@contextlib.contextmanager
def lab_of(name, version, **arguments):
    """Any engine, and its peer. "29" is the stand-in, told to take our mark and to let what comes from outside ask
    containers directly; the other arguments are not for it."""
    if version != "29":
        with engine.Lab(name, version, **arguments) as lab:
            lab.peer()
            yield lab
        return
    with engine.Lab(name, "28", **OPTIONS) as lab:
        lab.version = "29"
        lab.peer()
        with Engine(lab, FWMARK, direct=True):
            yield lab


# --- the tables ---

MAPS = {"filter-forward-in-jumps": "filter-forward-in__", "filter-forward-out-jumps": "filter-forward-out__",
        "nat-postrouting-in-jumps": "nat-postrouting-in__", "nat-postrouting-out-jumps": "nat-postrouting-out__"}
BASE = {
    "filter-FORWARD": ("type filter hook forward priority filter; policy accept;",
                       ["oifname vmap @filter-forward-in-jumps", "iifname vmap @filter-forward-out-jumps"]),
    "nat-POSTROUTING": ("type nat hook postrouting priority srcnat; policy accept;",
                        ["iifname vmap @nat-postrouting-out-jumps", "oifname vmap @nat-postrouting-in-jumps"]),
    "nat-PREROUTING": ("type nat hook prerouting priority dstnat; policy accept;",
                       ["fib daddr type local counter jump nat-prerouting-and-output"]),
    "nat-OUTPUT": ("type nat hook output priority -100; policy accept;",
                   ["fib daddr type local counter jump nat-prerouting-and-output"]),
    "raw-PREROUTING": ("type filter hook prerouting priority raw; policy accept;", []),
    "nat-prerouting-and-output": ("", []),
}


def bridge_of(network):
    if network["Name"] == "bridge":
        return "docker0"
    return (network.get("Options") or {}).get(BRIDGE) or f"br-{network['Id'][:12]}"


def subnet_of(network, family):
    """None where it has none; one of IPv6 may stand there and be switched off."""
    pools = [pool["Subnet"] for pool in network["IPAM"]["Config"] or []]
    if family == 6 and not network["EnableIPv6"]:
        return None
    return next((subnet for subnet in pools if (":" in subnet) == (family == 6)), None)


def mode_of(network, family):
    return (network.get("Options") or {}).get(f"{MODE}{family}") or "nat"


class Tables:
    """What a dockerd 29 would have written; fwmark: its --bridge-accept-fwmark, direct: its --allow-direct-routing."""

    def __init__(self, lab, fwmark=None, direct=False):
        self.lab, self.docker, self.fwmark, self.direct = lab, lab.docker, fwmark, direct
        self.gate, self.lock = threading.RLock(), threading.Lock()

    def what_follows(self, method, path, body):
        """What dockerd writes when it has done what it is asked; None: nothing."""
        words = path.strip("/").split("/")
        if method == "POST" and path == "/networks/create":
            return lambda: self.make_network(json.loads(body)["Name"])
        if method == "DELETE" and words[0] == "networks":
            gone = [(table, bridge_of(n)) for table in TABLES for n in self.networks(table).values() if words[1] in (n["Name"], n["Id"])]
            return lambda: self.remove_network(gone)
        if (method == "POST" and words[-1] in ("start", "restart", "stop", "kill", "connect", "disconnect")
                or method == "DELETE" and words[0] == "containers"):
            return self.change_container
        return None

    # -- what dockerd does --

    def start_dockerd(self):
        """Everything, for the networks and containers that are there now."""
        text = []
        for table in TABLES:
            elements = {name: [f'"{br}" : jump {prefix}{br}' for br in self.bridges(table)] for name, prefix in MAPS.items()}
            text += [f"table {table} docker-bridges\ndelete table {table} docker-bridges", self.table(table, self.chains(table), elements)]
        self.nft(*text)

    def change_container(self):
        """The drops of direct access, and published ports: of the chains that they stand in, every rule."""
        for table in TABLES:
            touched = ["raw-PREROUTING"]
            for network, *_ in self.published(table):
                touched += [f"filter-forward-in__{bridge_of(network)}", "nat-prerouting-and-output"]
            self.write(table, touched)

    def make_network(self, name):
        """Its own chains, and the way to them."""
        for table in TABLES:
            if name in self.networks(table):
                br = bridge_of(self.networks(table)[name])
                self.write(table, [prefix + br for prefix in MAPS.values()],
                           {m: [f'"{br}" : jump {prefix}{br}'] for m, prefix in MAPS.items()})

    def remove_network(self, gone):
        """Whatever it had; where that fails, everything anew. gone: (table, bridge)"""
        text = []
        for table, br in gone:
            text += [f'delete element {table} docker-bridges {m} {{ "{br}" }}' for m in MAPS]
            text += [f"delete chain {table} docker-bridges {prefix}{br}" for prefix in MAPS.values()]
        try:
            self.nft(*text)
        except engine.LabError:
            self.start_dockerd()

    # -- how --

    def write(self, table, touched, elements=None):
        """Chains that are touched are flushed and written anew; maps are made where they are missing."""
        chains = {name: body for name, body in self.chains(table).items() if name in touched}
        self.nft(self.table(table, {name: (head, []) for name, (head, _) in chains.items()}, {}),
                 *(f"flush chain {table} docker-bridges {name}" for name in chains), self.table(table, chains, elements or {}))

    def nft(self, *text):
        with self.lock:
            self.lab.run("nft", "-f", "-", stdin="\n".join(text))

    @staticmethod
    def table(family, chains, elements):
        maps = [f"map {name} {{ type ifname : verdict\n" +
                (f"elements = {{ {', '.join(elements[name])} }}\n" if elements.get(name) else "") + "}" for name in MAPS]
        bodies = ["chain {} {{\n{}\n{}\n}}".format(name, head, "\n".join(rules)) for name, (head, rules) in chains.items()]
        # an element's chain must be there before it
        return "\n".join([f"table {family} docker-bridges {{", *bodies, *maps, "}"])

    def networks(self, table="ip"):
        """Those with an address of the table's family."""
        return {name: n for name, n in self.docker.networks().items() if n["Driver"] == "bridge" and subnet_of(n, TABLES[table])}

    def bridges(self, table):
        return [bridge_of(n) for n in self.networks(table).values()]

    def ends(self, table):
        """(network, address) of every running container."""
        networks = self.networks(table)
        for data in self.docker.containers().values():
            for name, end in data["NetworkSettings"]["Networks"].items():
                if data["State"]["Running"] and name in networks and (ip := end[engine.ADDRESS_OF[TABLES[table]]]):
                    yield networks[name], ip

    def published(self, table):
        """(network, address, its port, the host's address and port), on the network that the container was made on."""
        for data in self.docker.containers().values():
            mode = data["HostConfig"]["NetworkMode"]
            network = self.networks(table).get("bridge" if mode == "default" else mode)
            end = network and data["NetworkSettings"]["Networks"].get(network["Name"])
            if not end or not data["State"]["Running"]:
                continue
            for port, bindings in (data["HostConfig"]["PortBindings"] or {}).items():
                for host, host_port in ((b.get("HostIp") or None, b["HostPort"]) for b in bindings):
                    if not host or (":" in host) == (table == "ip6"):
                        yield network, end[engine.ADDRESS_OF[TABLES[table]]], port.split("/")[0], host, host_port

    def chains(self, table):
        """name -> (head, rules)"""
        family = TABLES[table]
        chains = {name: (head, list(rules)) for name, (head, rules) in BASE.items()}
        for n in self.networks(table).values():
            br = bridge_of(n)
            out = 'counter accept comment "OUTGOING"'
            if n["Internal"]:
                out = f'oifname != "{br}" counter drop comment "INTERNAL NETWORK EGRESS"'
            chains[f"filter-forward-in__{br}"] = ("", self.into(table, n, br))
            chains[f"filter-forward-out__{br}"] = ("", ["ct state established,related counter accept", out])
            chains[f"nat-postrouting-in__{br}"] = ("", [])
            masquerades = not n["Internal"] and mode_of(n, family) != "routed"
            chains[f"nat-postrouting-out__{br}"] = ("", [
                f'oifname != "{br}" {table} saddr {subnet_of(n, family)} counter masquerade comment "MASQUERADE"'] if masquerades else [])
        raw = chains["raw-PREROUTING"][1]
        for n, ip in self.ends(table):
            if not (self.direct or n["Internal"] or mode_of(n, family) != "nat"):
                trusted = [bridge_of(n), *filter(None, (n.get("Options") or {}).get(TRUSTED, "").split(":"))]
                # nft makes `iifname != "br"` of a set of one
                raw.append(f'{table} daddr {ip} iifname != {{ {", ".join(trusted)}, }} counter drop comment "DROP DIRECT ACCESS"')
        for n, ip, port, host, host_port in self.published(table):
            at_host = f"{table} daddr {host} " if host else ""
            target = f"[{ip}]" if table == "ip6" else ip
            chains["nat-prerouting-and-output"][1].append(
                f'{at_host}tcp dport {host_port} counter dnat to {target}:{port} comment "DNAT"')
            if host and host.startswith("127."):
                raw.append(f'iifname != lo ip daddr {host} tcp dport {host_port} counter drop comment "DROP REMOTE LOOPBACK"')
        return chains

    def into(self, table, n, br):
        established = "ct state established,related counter accept"
        if n["Internal"]:
            return [established, f'iifname != "{br}" counter drop comment "INTERNAL NETWORK INGRESS"',
                    'counter accept comment "ICC"']
        rules = [established]
        if self.fwmark:
            mark, _, mask = self.fwmark.partition("/")
            rules.append(f'meta mark {f"and {mask} == " if mask else ""}{mark} counter accept comment "ALLOW FW MARK"')
        rules.append(f'iifname == "{br}" counter accept comment "ICC"')
        rules += [f"{table} daddr {ip} tcp dport {port} counter accept"
                  for network, ip, port, _, _ in self.published(table) if network["Name"] == n["Name"]]
        if mode_of(n, TABLES[table]) == "nat-unprotected":
            return [*rules, 'counter accept comment "UNPROTECTED"']
        return [*rules, 'counter drop comment "UNPUBLISHED PORT DROP"']
