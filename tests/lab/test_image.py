# SPDX-License-Identifier: GPL-2.0-or-later
"""The image, run with the seed's own line: network host, pid host, NET_ADMIN, SYS_ADMIN, the engine's socket and the
config folder mounted. No registry: one is built by the Dockerfile on a base that mmdebstrap made, the others are the
closure of the program, imported."""
import json
import os
import shutil
import subprocess
import urllib.parse

import engine
import outside
import pytest
import seed
import stories
import test_package
from test_cells import assert_nobody_gets_in_with_a_borrowed_source

MAX_BYTES = 25 << 20


def import_image(lab, folder):
    """-> bytes of it. The program without what debuggers want, as the Dockerfile makes it."""
    root = f"{folder}/root-fs"
    subprocess.run(["strip", "-o", f"{folder}/harborwall", engine.HARBORWALL], check=True)
    subprocess.run([f"{engine.ROOT}/packaging/closure", root, f"{folder}/harborwall"], check=True)
    subprocess.run(["tar", "-C", root, "-cf", f"{folder}/image.tar", "."], check=True)
    subprocess.run(["curl", "-sf", "--unix-socket", f"{lab.folder}/docker.sock", "-X", "POST", "-H", "Content-Type: application/x-tar",
                    "--data-binary", f"@{folder}/image.tar", "http://docker/images/create?fromSrc=-&repo=harborwall&tag=latest"],
                   check=True, stdout=subprocess.DEVNULL)
    return os.path.getsize(f"{folder}/image.tar")


def post_tar(lab, path, query):
    done = subprocess.run(["curl", "-sS", "--unix-socket", f"{lab.folder}/docker.sock", "-X", "POST", "-H", "Content-Type: application/x-tar",
                           "--data-binary", f"@{path}", f"http://docker{query}"], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout


def import_base(lab, folder):
    """What stands for debian:bookworm-slim; the mirror of this machine may be an old one."""
    base = subprocess.run([test_package.DEBIAN, "tarball"], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    os.makedirs(f"{folder}/etc/apt/apt.conf.d")
    with open(f"{folder}/etc/apt/apt.conf.d/lab", "w", encoding="ascii") as f:
        f.write('Acquire::Check-Valid-Until "false";\n')
    shutil.copy(base, f"{folder}/base.tar")
    subprocess.run(["tar", "-C", folder, "-rf", f"{folder}/base.tar", "./etc/apt/apt.conf.d/lab"], check=True)
    post_tar(lab, f"{folder}/base.tar", "/images/create?fromSrc=-&repo=debian&tag=bookworm-slim")


def build_image(lab, folder):
    """As docker build --network host -f packaging/Dockerfile: the classic builder."""
    import_base(lab, folder)
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], check=True, cwd=engine.ROOT, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-C", engine.ROOT, "-cf", f"{folder}/context.tar", "-T", "-"], input=files, check=True)
    query = {"dockerfile": "packaging/Dockerfile", "t": "harborwall", "networkmode": "host", "version": "1",
             "buildargs": json.dumps({"http_proxy": outside.proxy(lab)})}
    said = post_tar(lab, f"{folder}/context.tar", "/build?" + urllib.parse.urlencode(query))
    assert "Successfully tagged harborwall" in said, said[-4000:]


def run_like_the_seed(bed, config_folder, more=()):
    body = {"Image": "harborwall", "Entrypoint": ["/usr/bin/harborwall"], "Env": ["PATH=/usr/sbin:/usr/bin",
            "WATCH_PERIOD_SECONDS=30", "DEBUG=false"],
            "HostConfig": {"NetworkMode": "host", "PidMode": "host", "CapAdd": ["NET_ADMIN", "SYS_ADMIN", *more],
                           "Binds": ["/run/docker.sock:/var/run/docker.sock", f"{config_folder}:/etc/user/config"]}}
    bed.docker.call("POST", "/containers/create?name=harborwall", body)
    bed.docker.start("harborwall")


def logs(bed):
    return bed.lab.run("sh", "-c", "curl -s --unix-socket /run/docker.sock --output - "
                       "'http://d/containers/harborwall/logs?stdout=1&stderr=1' | tr -cd '[:print:]\\n'").stdout


def in_container(bed, *argv):
    """As docker exec: (exit code, output)."""
    made = bed.docker.call("POST", "/containers/harborwall/exec", {"Cmd": ["/usr/bin/harborwall", *argv], "Tty": True,
                                                                   "AttachStdout": True, "AttachStderr": True})
    said = bed.lab.run("curl", "-s", "--max-time", "20", "--unix-socket", "/run/docker.sock", "--output", "-", "-X", "POST",
                       "-H", "Content-Type: application/json", "-d", '{"Tty": true}', f"http://d/exec/{made['Id']}/start").stdout
    return bed.docker.call("GET", f"/exec/{made['Id']}/json")["ExitCode"], said


def test_the_dockerfile_builds_an_image_that_does_the_job(lab, bed, tmp_path):
    test_package.need("mmdebstrap")
    test_package.timed("image built by the Dockerfile, its base and packages fetched", lambda: build_image(lab, str(tmp_path)))
    image = bed.docker.call("GET", "/images/harborwall/json")
    assert image["Size"] < MAX_BYTES, image["Size"]
    assert {"org.opencontainers.image.title": "harborwall", "org.opencontainers.image.licenses": "GPL-2.0-or-later"}.items() <= \
        image["Config"]["Labels"].items()
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "/usr/bin/harborwall", "status", "-q"]
    seed.containers(bed)
    bed.write(seed.widened())
    run_like_the_seed(bed, bed.folder.name)
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=20), logs(bed)
    bed.assert_matrix()
    assert in_container(bed, "status", "-q")[0] == 0
    bill = bed.docker.call("GET", "/containers/harborwall/archive?path=/usr/share/doc/harborwall/sbom.cdx.json", raw=True)
    assert b'"name": "libc6"' in bill


class InContainer:
    """The daemon of the image, for stories.py."""

    def __init__(self, bed, more=()):
        self.bed = bed
        run_like_the_seed(bed, bed.folder.name, more)

    def log(self):
        return logs(self.bed)


@pytest.mark.parametrize("lab", [{"version": v, "legacy": legacy, "options": seed.WITH_IPV6} for v, legacy in (("20", False), ("28", False), ("20", True))],
                         indirect=True,
                         ids=["docker 20", "docker 28", "docker 20 legacy"])
def test_the_seeds_own_line_does_the_whole_job_and_heals(lab, bed, tmp_path):
    assert import_image(lab, str(tmp_path)) < MAX_BYTES
    seed.containers(bed)
    bed.write(stories.config())
    daemon = InContainer(bed)
    stories.stands(bed, daemon)
    assert_nobody_gets_in_with_a_borrowed_source(bed)
    stories.assert_heals(bed, daemon)
    assert "system call refused" not in daemon.log()


@pytest.mark.parametrize("lab", [{"version": "28"}, {"version": "20", "legacy": True}], indirect=True,
                         ids=["docker 28", "docker 20 legacy"])
def test_a_container_of_another_user_is_entered_or_the_flag_to_add_is_named(lab, bed, tmp_path):
    """wireguardproxy translates in its own namespace; here it runs as user 1000."""
    import_image(lab, str(tmp_path))
    seed.containers(bed)
    bed.docker.remove("wireguardproxy")
    bed.docker.create("wireguardproxy", privileged_net=True, user="1000")
    bed.wire_tunnel("wireguardproxy")
    bed.write(seed.widened())
    run_like_the_seed(bed, bed.folder.name)
    assert engine.wait_for(lambda: "add --cap-add SYS_PTRACE" in logs(bed), timeout=20), logs(bed)
    assert "wireguardproxy" in next(line for line in logs(bed).splitlines() if "--cap-add SYS_PTRACE" in line)
    for verb, code in (("status", 2), ("doctor", 2)):
        status, said = in_container(bed, verb)
        assert status == code and "--cap-add SYS_PTRACE" in said, (verb, status, said)
    bed.docker.remove("harborwall")
    run_like_the_seed(bed, bed.folder.name, more=["SYS_PTRACE"])
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=20), logs(bed)
    bed.assert_matrix()
    assert in_container(bed, "status", "-q")[0] == 0
