# SPDX-License-Identifier: GPL-2.0-or-later
"""What `rules` prints for each namespace is what nft takes."""
import glob
import os
import re
import subprocess

import pytest

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "rules")


@pytest.mark.parametrize("path", sorted(glob.glob(f"{GOLDEN}/*.nft")), ids=os.path.basename)
def test_nft_takes_the_text(path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    with open(path, encoding="utf-8") as f:
        spaces = re.split(r"^# (?:host|container .*)$", f.read(), flags=re.M)[1:]
    assert spaces
    for text in spaces:
        done = subprocess.run(["unshare", "-n", "nft", "-c", "-f", "-"], input=text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
