# SPDX-License-Identifier: GPL-2.0-or-later
"""Docker's nftables backend where no engine 29 can be had: an engine 28 that writes no rules, the tables
of 29 laid out by hand around it, and a proxy before its socket that says "nftables"."""
import http.server
import json
import os
import socketserver
import threading

import engine

TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"
BRIDGE = "com.docker.network.bridge.name"


class Proxy(http.server.BaseHTTPRequestHandler):
    """Hands everything on but GET /info and the stream of events, which ends where it begins."""
    protocol_version = "HTTP/1.1"
    upstream = None

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = engine.UnixConnection(self.upstream, 30)
        connection.request(self.command, self.path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if self.path.split("?")[0].endswith("/info"):
            text = json.dumps({**json.loads(text), "FirewallBackend": {"Driver": "nftables"}}).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        connection.close()

    do_GET = do_POST = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def serve(lab):
    """-> the path of a socket that the lab's inside reaches as DOCKER_HOST."""
    path = os.path.join(lab.folder, "docker29.sock")
    handler = type("Handler", (Proxy,), {"upstream": os.path.join(lab.folder, "docker.sock")})
    server = Server(path, handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server, f"unix://{path}"


def bridge_of(network):
    if network["Name"] == "bridge":
        return "docker0"
    return (network.get("Options") or {}).get(BRIDGE) or f"br-{network['Id'][:12]}"


def lay_out(bed, fwmark=None):
    """What Docker 29 writes for the networks and containers that are there now; fwmark: "MARK/MASK"."""
    networks = [n for n in bed.docker.networks().values() if n["Driver"] == "bridge"]
    mark = ""
    if fwmark:
        value, mask = fwmark.split("/")
        mark = f'meta mark & {mask} == {value} counter accept comment "ALLOW FW MARK"'
    ins, outs, chains, raw, nat = [], [], [], [], []
    ends = {}
    for name in bed.docker.containers():
        for network, ip in bed.docker.addresses(name).items():
            ends.setdefault(network, []).append(ip)
    for n in networks:
        br, pools = bridge_of(n), n["IPAM"]["Config"]
        ins.append(f'"{br}" : jump filter-forward-in__{br}')
        outs.append(f'"{br}" : jump filter-forward-out__{br}')
        chains.append(f"""
        chain filter-forward-in__{br} {{
            ct state established,related counter accept
            {mark}
            iifname "{br}" counter accept comment "ICC"
            counter drop comment "UNPUBLISHED PORT DROP"
        }}
        chain filter-forward-out__{br} {{
            ct state established,related counter accept
            counter accept comment "OUTGOING"
        }}""")
        trusted = [br, *filter(None, (n.get("Options") or {}).get(TRUSTED, "").split(":"))]
        names = ", ".join(f'"{t}"' for t in trusted)
        for ip in ends.get(n["Name"], []):
            raw.append(f'ip daddr {ip} iifname != {{ {names} }} counter drop comment "DROP DIRECT ACCESS"')
        nat.append(f'oifname != "{br}" ip saddr {pools[0]["Subnet"]} counter masquerade')
    text = "\n".join(["table ip docker-bridges", "delete table ip docker-bridges", "table ip docker-bridges {", *chains,
                      f"map filter-forward-in-jumps {{ type ifname : verdict\n elements = {{ {', '.join(ins)} }}\n }}",
                      f"map filter-forward-out-jumps {{ type ifname : verdict\n elements = {{ {', '.join(outs)} }}\n }}",
                      "chain filter-FORWARD { type filter hook forward priority filter",
                      "oifname vmap @filter-forward-in-jumps\niifname vmap @filter-forward-out-jumps\n}",
                      "chain nat-POSTROUTING { type nat hook postrouting priority srcnat", *nat, "}",
                      "chain raw-PREROUTING { type filter hook prerouting priority raw", *raw, "}", "}"])
    bed.lab.run("nft", "-f", "-", stdin=text)
