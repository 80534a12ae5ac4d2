# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon for a long time, beside a scripted engine, with 1 000 policies: what it costs to do nothing, and
whether memory grows with passes. Prints figures; ends with 1 when memory grew.

    soak.py idle SECONDS      processor time and wake-ups while nothing happens
    soak.py passes NUMBER     memory before and after, its clock made to run 50 times as fast"""
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dockerd  # noqa: E402
from test_errors import Case  # noqa: E402
from test_storm import Daemon, config, write  # noqa: E402

POLICIES = 1000
SPEED = 50
GROWTH_KB = 512  # what an allocator may add once, and not again

# Passes are paced by the clock: one that is fast makes ten thousand of them fit into minutes.
CLOCK = """
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t)
{
        static long long start;
        long result = syscall(SYS_clock_gettime, id, t);
        long long ns = t->tv_sec * 1000000000LL + t->tv_nsec;
        if (id != CLOCK_MONOTONIC)
                return (int)result;
        start = start ? start : ns;
        ns = start + (ns - start) * SPEED;
        t->tv_sec = ns / 1000000000;
        t->tv_nsec = ns % 1000000000;
        return (int)result;
}
int epoll_wait(int fd, struct epoll_event *events, int n, int ms)
{
        return (int)syscall(SYS_epoll_pwait, fd, events, n, ms <= 0 ? ms : ms / SPEED + 1, (void *)0, 8);
}
"""


def fast_clock(folder):
    with open(f"{folder}/clock.c", "w", encoding="utf-8") as f:
        f.write(CLOCK)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", f"-DSPEED={SPEED}", "-o", f"{folder}/clock.so", f"{folder}/clock.c"],
                   check=True)
    return f"{folder}/clock.so"


def processor_s(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def wakeups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(li.split()[1] for li in f if li.startswith("voluntary_ctxt")))


def idle(daemon, seconds):
    time.sleep(3)
    pid = daemon.process.pid
    before, woken, passes = processor_s(pid), wakeups(pid), daemon.status()["passes"]
    time.sleep(seconds)
    used, woken = processor_s(pid) - before, wakeups(pid) - woken
    print(f"idle {seconds} s: {1000 * used:.1f} ms of processor time, {100 * used / seconds:.4f} %, {woken} switches, "
          f"{daemon.status()['passes'] - passes} passes, RssAnon {daemon.memory_kb()} kB")
    return True


def disturb(daemon, n):
    engine = daemon.engine
    if n % 3 == 0:
        write(daemon.case, config(POLICIES - n % 7))
    elif n % 3 == 1:
        engine.stop("api")
        engine.start("api")
    else:
        os.kill(daemon.process.pid, signal.SIGHUP)


def passes(daemon, number):
    first, n, marks, started = daemon.status()["passes"], 0, [], time.monotonic()
    step = number // 10
    while (done := daemon.status()["passes"] - first) < number:
        for _ in range(20):
            disturb(daemon, n)
            n += 1
            time.sleep(0.004)
        if done >= step * (len(marks) + 1):
            marks.append(daemon.memory_kb())
            print(f"{done} passes: RssAnon {marks[-1]} kB", flush=True)
    daemon.wait(lambda s: s["healthy"])
    took = time.monotonic() - started
    print(f"{done} passes in {took:.0f} s: RssAnon {marks[0]} kB after the first tenth, {daemon.memory_kb()} kB at the end")
    return daemon.memory_kb() <= marks[0] + GROWTH_KB


def main():
    what, number = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        case = Case(folder)
        write(case, config(POLICIES))
        fast = {"LD_PRELOAD": fast_clock(folder)} if what == "passes" else {}
        with dockerd.Engine(folder) as engine:
            for name in ("proxy", "api"):
                engine.add_container(name)
            daemon = Daemon(case, **fast)
            daemon.engine = engine
            daemon.wait(lambda s: s.get("healthy"))
            print(f"{POLICIES} policies: RssAnon {daemon.memory_kb()} kB")
            fine = {"idle": idle, "passes": passes}[what](daemon, number)
            daemon.process.send_signal(signal.SIGTERM)
            fine &= daemon.process.wait(10) == 0
        case.end()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
