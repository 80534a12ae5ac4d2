# SPDX-License-Identifier: GPL-2.0-or-later
"""Some of the fuzzer's inputs for every change; `make fuzz` tries new ones."""
import os
import subprocess


def test_any_bytes_are_read_or_refused():
    done = subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "run"), "--runs", "50000"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" inputs, ") == 4, done.stdout
