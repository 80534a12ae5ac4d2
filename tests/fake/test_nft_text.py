# SPDX-License-Identifier: GPL-2.0-or-later
"""What `rules` prints is what nft takes."""
import glob
import os
import subprocess

import pytest

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "rules")


@pytest.mark.parametrize("path", sorted(glob.glob(f"{GOLDEN}/*.nft")), ids=os.path.basename)
def test_nft_takes_the_text(path):
    if os.geteuid():
        pytest.skip("needs root, for a network namespace")
    done = subprocess.run(["unshare", "-n", "nft", "-c", "-f", path], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
