# SPDX-License-Identifier: GPL-2.0-or-later
"""The way out for a build in a lab, whose network has none: an HTTP proxy that listens inside and asks outside."""
import ctypes
import http.server
import os
import shutil
import socket
import threading
import urllib.error
import urllib.request

CLONE_NEWNET = 0x40000000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        request = urllib.request.Request(self.path, headers={k: v for k, v in self.headers.items()
                                                             if k in ("Range", "If-Modified-Since", "If-Range", "Accept")})
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as e:
            answer = e
        with answer:
            self.send_response(answer.status)
            for name in ("Content-Type", "Content-Length", "Content-Range", "Last-Modified"):
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            if not answer.headers.get("Content-Length"):
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sock):
        super().__init__(sock.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock


def listen_in(netns, made):
    fd = os.open(netns, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) == 0:  # of this thread only
        made.append(socket.create_server(("127.0.0.1", 0)))
    os.close(fd)


def proxy(lab):
    """-> its address inside; it ends with the test run."""
    made = []
    thread = threading.Thread(target=listen_in, args=(lab.netns("host"), made))
    thread.start()
    thread.join()
    server = Server(made[0])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % made[0].getsockname()[1]
