# SPDX-License-Identifier: GPL-2.0-or-later
"""The same rules, as people load them today: tools that harborwall is measured beside."""
import ctypes
import os
import sys
import time

from spaces import HERE, Namespace

EXECS = 1000  # rules loaded one process each; more are not waited for


def restore_text(flows):
    lines = ["*filter", ":BENCH - [0:0]"]
    lines += [f"-A BENCH -s {s}/32 -d {d}/32 -p tcp -m tcp --dport {p} -j ACCEPT" for s, d, p in flows]
    return "\n".join([*lines, "COMMIT", ""])


def nft_linear(flows):
    rules = "\n".join(f"ip saddr {s} ip daddr {d} tcp dport {p} accept" for s, d, p in flows)
    return f"table inet bench {{ chain c {{ type filter hook forward priority 0\n{rules}\n}}\n}}\n"


def nft_set(flows):
    elements = ", ".join(f"{s} . {d} . tcp . {p}" for s, d, p in flows)
    return ("table inet bench { set ok { type ipv4_addr . ipv4_addr . inet_proto . inet_service\n"
            f"elements = {{ {elements} }}\n}}\n chain c {{ type filter hook forward priority 0\n"
            "ip saddr . ip daddr . meta l4proto . th dport @ok accept\n}\n}\n")


def exec_script(flows, tool, enter=""):
    """As network-go did, with its nsenter where a rule lives in a container."""
    return "".join(f"{enter}{tool} -I BENCH -s {s} -d {d} -p tcp --dport {p} -j ACCEPT\n" for s, d, p in flows)


# name, the tool, the text it is given, the largest number of policies it is asked to load
BULK = [("iptables-legacy-restore", ["iptables-legacy-restore", "--noflush"], restore_text, 100000),
        ("iptables-nft-restore", ["iptables-nft-restore", "--noflush"], restore_text, 100000),
        ("nft -f, linear rules", ["nft", "-f", "-"], nft_linear, 10000),
        ("nft -f, one set", ["nft", "-f", "-"], nft_set, 100000),
        ("libnftables in process, one set", [sys.executable, "-B", f"{HERE}/rivals.py"], nft_set, 100000)]


def prepare(folder, flows):
    """Texts on disk, so that no pipe is measured: {name: path}."""
    paths = {}
    for name, _, text, most in BULK:
        if len(flows) <= most:
            paths[name] = f"{folder}/{len(paths)}.rules"
            with open(paths[name], "w", encoding="utf-8") as f:
                f.write(text(flows))
    return paths


def load(name, path):
    """ms of one load into a fresh namespace; libnftables counts its own time, without python's start."""
    argv = next(argv for n, argv, _, _ in BULK if n == name)
    with Namespace() as ns:
        took = ns.timed(*argv, stdin=path)
        return float(took.out) if "libnftables" in name else took.wall


def one_exec_per_rule(folder, flows, tool, enter=False):
    with Namespace() as ns:
        ns.run(tool, "-N", "BENCH")
        path = f"{folder}/execs.sh"
        with open(path, "w", encoding="utf-8") as f:
            f.write(exec_script(flows, tool, f"nsenter -t {ns.pid} -n " if enter else ""))
        return ns.timed("sh", "-e", stdin=path).wall


def main():
    """libnftables (Debian: libnftables1) as a program would call it, here, in this namespace."""
    lib = ctypes.CDLL("libnftables.so.1")
    lib.nft_ctx_new.restype = ctypes.c_void_p
    lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    text = sys.stdin.buffer.read()
    context = lib.nft_ctx_new(0)
    started = time.perf_counter()
    status = lib.nft_run_cmd_from_buffer(context, text)
    print(1000 * (time.perf_counter() - started))
    sys.stdout.flush()
    os._exit(status != 0)


if __name__ == "__main__":
    main()
