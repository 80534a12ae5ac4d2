# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon gave up, asked of a program in the same sandbox and read back from the daemons that other tests
run: no call of theirs may be refused (see engine.Lab)."""
import os
import re
import signal
import subprocess

import engine
import pytest
import seed
import stories

SANDBOXED = os.path.join(os.path.dirname(engine.HARBORWALL), "tests", "sandboxed")
CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "DAC_READ_SEARCH": 2}
CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUSER, SIGCHLD = 0x40000000, 0x20000, 0x10000000, 17
AF_PACKET, AF_ALG, AF_VSOCK, AF_UNIX = 17, 38, 40, 1
DEADLY = ["kexec_load", "init_module", "finit_module", "delete_module", "bpf", "ptrace", "process_vm_writev", "keyctl",
          "userfaultfd", "open_by_handle_at", "mount", "umount2", "move_mount", "open_tree", "pivot_root", "chroot",
          "reboot", "perf_event_open", "pidfd_getfd"]


def sandboxed(*argv):
    if os.geteuid():
        pytest.skip("needs root")
    return subprocess.run([SANDBOXED, *map(str, argv)], text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)


@pytest.mark.parametrize("name,arguments", [("io_uring_setup", ()), ("syslog", ()), ("memfd_create", ()), ("shmget", ()),
                                            ("unshare", (CLONE_NEWNET,)), ("mknodat", ()), ("chown", ()), ("setuid", ()),
                                            ("execveat", ()), ("personality", (0x0040000,)),
                                            ("socket", (AF_PACKET, 3, 0)), ("socket", (AF_ALG, 5, 0)), ("socket", (AF_VSOCK, 1, 0)),
                                            ("setns", (0, CLONE_NEWNS)), ("setns", (0, 0)), ("clone", (CLONE_NEWUSER | SIGCHLD,))],
                         ids=lambda v: v if isinstance(v, str) else " ".join(map(hex, v)))
def test_a_call_off_the_list_is_refused_and_said_once(name, arguments):
    done = sandboxed("call", name, *arguments)
    assert done.stdout.split() == ["EPERM", "EPERM"] and done.returncode == 0, done
    said = [line for line in done.stderr.splitlines() if 'what="system call refused"' in line]
    assert len(said) == 1 and f"call={name}" in said[0], done.stderr


@pytest.mark.parametrize("name", DEADLY)
def test_a_dangerous_call_ends_the_process(name):
    if name == "ptrace" and "build-asan" in SANDBOXED:
        return
    done = sandboxed("call", name)
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, ""), done


def test_what_is_needed_passes_and_the_libc_is_told_to_fall_back():
    assert sandboxed("call", "getpid").stdout.split() == ["done", "done"]
    assert sandboxed("call", "socket", AF_UNIX, 1).stdout.split() == ["done", "done"]
    assert sandboxed("call", "setns", -1, CLONE_NEWNET).stdout.split() == ["EBADF", "EBADF"]
    fallback = sandboxed("call", "clone3")
    assert fallback.stdout.split() == ["ENOSYS", "ENOSYS"] and not fallback.stderr


def test_its_children_are_inside_too():
    assert sandboxed("run", "iptables-nft-save").returncode == 0
    done = sandboxed("run", "unshare", "--net", "true")
    assert done.returncode == 1 and "killed by signal 31" in done.stdout, done


def test_privileges_that_are_not_needed_are_absent():
    status = dict(re.findall(r"^(\w+):\s*(\S+)", sandboxed("status").stdout, re.M))
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert_only_wanted(status)


def assert_only_wanted(status):
    wanted = sum(1 << number for number in CAPABILITIES.values())
    for kind in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[kind], 16) & ~wanted == 0, (kind, status[kind])
    for kind in ("CapInh", "CapAmb"):
        assert int(status[kind], 16) == 0, (kind, status[kind])


@pytest.mark.parametrize("lab", [{"version": "20", "legacy": True}], indirect=True, ids=["docker 20 legacy"])
def test_the_daemon_is_inside_while_it_does_the_job(lab, bed):
    seed.containers(bed)
    bed.write(stories.other_user(bed, seed.widened()))
    daemon = bed.run_daemon()
    daemon.wait_log("what=pass", timeout=10)
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0), daemon.log()
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as f:
        status = dict(re.findall(r"^(\w+):\s*(\S+)", f.read(), re.M))
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert_only_wanted(status)
    bed.assert_matrix()


def test_an_engine_behind_a_name_is_looked_up_inside(lab, bed):
    bed.write({"networks": {}, "ips": {}, "policies": []})
    daemon = bed.run_daemon(env={"DOCKER_HOST": "tcp://engine.invalid:2375"})
    daemon.wait_log("the name does not resolve", timeout=20, times=2)  # by a call, and by the event stream
    assert not lab.refused()


@pytest.mark.parametrize("lab,backend", [({"version": "28"}, "nftables"), ({"version": "28"}, "iptables-nft"),
                                         ({"version": "20", "legacy": True}, "nftables"),
                                         ({"version": "20", "legacy": True}, "iptables-legacy")],
                         indirect=["lab"], ids=lambda v: v if isinstance(v, str) else f"docker {v['version']}")
def test_nothing_is_executed_but_save_and_restore(lab, bed, tmp_path, backend):
    seed.containers(bed)
    bed.write(seed.widened())
    bed.env = {"HARBORWALL_BACKEND": backend}
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", trace, engine.HARBORWALL]
    assert lab.run(*map(str, strace), "apply", "-c", bed.file, env=bed.env).returncode == 0
    ran = programs(trace)
    assert bed.harborwall("clear").returncode == 0
    daemon = lab.spawn(*map(str, strace), "run", "-c", bed.file, env=bed.env)
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=20), daemon.log()
    config = seed.example()
    bed.write(config)
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=20), daemon.log()
    lab.run("kill", trace.read_text().split()[0])
    assert daemon.process.wait(10) == 0
    ran += programs(trace)
    assert all(re.fullmatch(r"ip6?tables-(nft|legacy)-(save|restore)", name) for name in ran), sorted(set(ran))
    wanted = backend if backend != "nftables" else "iptables-legacy" if lab.legacy else None
    assert {name.rsplit("-", 1)[1] for name in ran if wanted and name.startswith(wanted)} == ({"save", "restore"} if wanted else set())


def programs(trace):
    """Names of what was executed, or tried, beside the first."""
    found = re.findall(r"execve(?:at)?\((.*?)\)\s*=|execve(?:at)?\((.*) <unfinished", trace.read_text())
    return [re.search(r'"([^"]*)"', a or b).group(1).rsplit("/", 1)[-1] for a, b in found][1:]
