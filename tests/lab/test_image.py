# SPDX-License-Identifier: GPL-2.0-or-later
"""The image's last stage, run with the seed's own line: network host, pid host, NET_ADMIN, SYS_ADMIN, the
engine's socket and the config folder mounted. No registry: the closure of the program is imported."""
import os
import subprocess

import engine
import pytest
import seed

MAX_BYTES = 25 << 20


def import_image(lab, folder):
    """-> bytes of it."""
    root = f"{folder}/root-fs"
    subprocess.run([f"{engine.ROOT}/packaging/closure", root, engine.HARBORWALL], check=True)
    subprocess.run(["tar", "-C", root, "-cf", f"{folder}/image.tar", "."], check=True)
    subprocess.run(["curl", "-sf", "--unix-socket", f"{lab.folder}/docker.sock", "-X", "POST", "-H", "Content-Type: application/x-tar",
                    "--data-binary", f"@{folder}/image.tar", "http://docker/images/create?fromSrc=-&repo=harborwall&tag=latest"],
                   check=True, stdout=subprocess.DEVNULL)
    return os.path.getsize(f"{folder}/image.tar")


def run_like_the_seed(bed, config_folder):
    body = {"Image": "harborwall", "Entrypoint": ["/usr/bin/harborwall"], "Env": ["PATH=/usr/sbin:/usr/bin",
            "WATCH_PERIOD_SECONDS=30", "DEBUG=false"],
            "HostConfig": {"NetworkMode": "host", "PidMode": "host", "CapAdd": ["NET_ADMIN", "SYS_ADMIN"],
                           "Binds": ["/run/docker.sock:/var/run/docker.sock", f"{config_folder}:/etc/user/config"]}}
    bed.docker.call("POST", "/containers/create?name=harborwall", body)
    bed.docker.start("harborwall")


def logs(bed):
    return bed.lab.run("sh", "-c", "curl -s --unix-socket /run/docker.sock --output - "
                       "'http://d/containers/harborwall/logs?stdout=1&stderr=1' | tr -cd '[:print:]\\n'").stdout


@pytest.mark.parametrize("lab", [{"version": "20"}, {"version": "28"}, {"version": "20", "legacy": True}], indirect=True,
                         ids=["docker 20", "docker 28", "docker 20 legacy"])
def test_the_seeds_own_line_does_the_whole_job(lab, bed, tmp_path):
    assert import_image(lab, str(tmp_path)) < MAX_BYTES
    seed.containers(bed)
    bed.write(seed.widened())
    run_like_the_seed(bed, bed.folder.name)
    got = engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=8, step=0.2)
    assert got, logs(bed) + bed.harborwall("plan").stdout
    bed.assert_matrix()
    bed.docker.restart("wireguardproxy")
    bed.lab.tunnel("wireguardproxy", "wg0")
    assert engine.wait_for(lambda: bed.harborwall("plan", "-q").returncode == 0, timeout=5), logs(bed)
    bed.assert_matrix()
