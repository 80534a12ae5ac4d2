# SPDX-License-Identifier: GPL-2.0-or-later
"""What is true of the program and of the source as a whole: hardening, licences, bill of materials, tarball."""
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")


def text(*command, **options):
    return subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE, cwd=ROOT, **options).stdout


def test_the_program_is_hardened():
    headers, dynamic = text("readelf", "-hlW", HARBORWALL), text("readelf", "-dW", HARBORWALL)
    symbols = text("readelf", "--dyn-syms", "-W", HARBORWALL)
    assert re.search(r"Type:\s+DYN", headers) and "PIE" in dynamic, "PIE"
    assert "GNU_RELRO" in headers and "NOW" in dynamic, "RELRO, BIND_NOW"
    stack = re.search(r"GNU_STACK.*", headers).group()
    assert "RWE" not in stack, "a stack that can be executed"
    assert not re.search(r"LOAD.*RWE", headers), "memory that can be written and executed"
    assert "__stack_chk_fail" in symbols, "stack protector"
    assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", "")), "FORTIFY"
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
    if os.uname().machine == "x86_64":
        with open(HARBORWALL, "rb") as f:  # Debian's own start files bear no CET note, so the program bears none
            assert f.read().count(b"\xf3\x0f\x1e\xfa") > 100, "CET: endbr64 where calls land"


def test_every_file_says_its_licence():
    without = []
    for path in text("git", "ls-files").splitlines():
        if os.path.islink(f"{ROOT}/{path}") or not re.search(r"\.([ch]|py|in|yaml|service|bash|build)$|(^|/)(Makefile|Dockerfile|run)$|^"
                                                             r"scripts/|^packaging/|^debian/(rules|harborwall\.p)", path):
            continue
        with open(f"{ROOT}/{path}", encoding="utf-8") as f:
            if "SPDX-License-Identifier: GPL-2.0-or-later" not in "".join(f.readlines()[:3]):
                without.append(path)
    assert not without


# Who writes to a stream, and what: everybody else goes through these, for text of others may stand anywhere.
PRINTERS = {"src/app/console/color.c": "escaped by say.c", "src/app/change.c": "a constant, in a signal handler",
            "src/app/help.c": "our own words", "src/app/completion.c": "our own words", "src/app/parse.c": "the version",
            "src/app/main.c": "perror", "src/app/console/timings.c": "stages and times",
            "src/base/base.c": "out of memory", "src/base/log.c": "a line of escaped fields",
            "src/edge/netlink/netns.c": "perror, before it aborts"}


def test_text_of_others_is_printed_by_one_function():
    found = set()
    for path in text("git", "ls-files", "src/*.c").split():
        with open(f"{ROOT}/{path}", encoding="utf-8") as f:
            source = re.sub(r"/\*.*?\*/|//[^\n]*", "", f.read(), flags=re.S)
        if re.search(r"\b(v?f?printf|v?dprintf|fputs|fputc|puts|putchar|putc|fwrite|perror|psignal)\(|\bwrite\(STD", source):
            found.add(path)
    assert found == set(PRINTERS)


def test_the_bill_of_materials_names_what_is_linked():
    bill = json.loads(text("scripts/sbom", "1.2.3", HARBORWALL))
    assert bill["bomFormat"] == "CycloneDX" and bill["metadata"]["component"]["version"] == "1.2.3"
    names = [c["name"] for c in bill["components"]]
    assert {"libc6", "libcap-ng0", "libseccomp2", "libmnl0"} <= set(names) and "libjansson4" not in names and len(names) == len(set(names))
    assert all(c["version"] and c["purl"].startswith("pkg:deb/debian/") for c in bill["components"])


def test_the_tarball_builds_alone_and_knows_its_version(tmp_path):
    path = text("scripts/dist", str(tmp_path)).strip()
    subprocess.run(["tar", "-C", tmp_path, "-xzf", path], check=True)
    folder = path.removesuffix(".tar.gz")
    assert not os.path.exists(f"{folder}/.git")
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    # as a distribution builds, without our flags; the tests that read files are those that might miss one
    subprocess.run(["meson", "setup", "-Dbuildtype=plain", f"{folder}/b", folder], check=True, stdout=subprocess.DEVNULL, env=environment)
    done = subprocess.run(["ninja", "-C", f"{folder}/b"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0 and "warning:" not in done.stdout, done.stdout[-4000:]
    assert text("scripts/version").strip() in text(f"{folder}/b/harborwall", "--version")
    subprocess.run(["meson", "test", "-C", f"{folder}/b", "core", "revoke", "base"], check=True, stdout=subprocess.DEVNULL)
    again = tmp_path / "again"
    again.mkdir()
    second = text("scripts/dist", str(again)).strip()
    with open(path, "rb") as f, open(second, "rb") as g:
        assert f.read() == g.read(), "two tarballs of one commit differ"


@pytest.mark.parametrize("tool", [["analyze"], ["tidy", "quick"]], ids=" ".join)
def test_static_analysis_finds_nothing(tool):
    done = subprocess.run([f"{ROOT}/scripts/{tool[0]}", *tool[1:]], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
