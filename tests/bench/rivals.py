# SPDX-License-Identifier: GPL-2.0-or-later
"""The same rules, as people load them today: tools that harborwall is measured beside."""
import ctypes
import os
import sys
import tempfile
import time

from spaces import HERE, Namespace


def restore_text(flows):
    lines = ["*filter", ":BENCH - [0:0]"]
    lines += [f"-A BENCH -s {s if '/' in s else f'{s}/32'} -d {d}/32 -p tcp -m tcp --dport {p} -j ACCEPT" for s, d, p in flows]
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
        ("libnftables in process, one set", ["libnftables"], nft_set, 100000)]


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
    """(wall, processor) ms of one load into a fresh namespace."""
    with Namespace() as ns:
        return timed(ns, path, *next(argv for n, argv, _, _ in BULK if n == name))


def timed(ns, path, *argv):
    """(wall, processor) ms of a program from start to end, as a parent in the namespace sees it; of the library, of
    the call."""
    wall, cpu = ns.timed(sys.executable, "-B", f"{HERE}/rivals.py", *argv, stdin=path).out.split()
    return float(wall), float(cpu)


def one_exec_per_rule(flows, tool, enter, budget_s):
    """(wall, processor ms for all of them, how many were really loaded): the rest is taken to cost what these did,
    though each costs a little more than the one before."""
    done, wall, cpu, started = 0, 0, 0, time.monotonic()
    with Namespace() as ns, tempfile.NamedTemporaryFile("w") as script:
        ns.run(tool, "-N", "BENCH")
        while done < len(flows) and time.monotonic() - started < budget_s:
            part = flows[done:done + 50]
            script.truncate(0)
            script.seek(0)
            script.write(exec_script(part, tool, f"nsenter -t {ns.pid} -n " if enter else ""))
            script.flush()
            took = ns.timed("sh", "-e", stdin=script.name)
            wall, cpu, done = wall + took.wall, cpu + took.cpu, done + len(part)
    return wall * len(flows) / done, cpu * len(flows) / done, done


def libnftables():
    """As a program would call it (Debian: libnftables1), here, in this namespace."""
    lib = ctypes.CDLL("libnftables.so.1")
    lib.nft_ctx_new.restype = ctypes.c_void_p
    lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    text = sys.stdin.buffer.read()
    context = lib.nft_ctx_new(0)
    started, spent = time.perf_counter(), time.process_time()
    status = lib.nft_run_cmd_from_buffer(context, text)
    return time.perf_counter() - started, time.process_time() - spent, status


def program(argv):
    started = time.perf_counter()
    _, status, used = os.wait4(os.posix_spawnp(argv[0], argv, os.environ), 0)
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, status


def main(argv):
    wall, cpu, status = libnftables() if argv == ["libnftables"] else program(argv)
    print(1000 * wall, 1000 * cpu, flush=True)
    os._exit(status != 0)


if __name__ == "__main__":
    main(sys.argv[1:])
