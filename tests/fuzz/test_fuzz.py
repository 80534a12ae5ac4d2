# SPDX-License-Identifier: GPL-2.0-or-later
"""Some of the fuzzer's inputs for every change; `make fuzz` tries new ones."""
import glob
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def test_any_bytes_are_read_or_refused():
    done = subprocess.run([f"{HERE}/run", "--runs", "15000"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    targets = {os.path.basename(path).removesuffix(".c") for path in glob.glob(f"{HERE}/*.c")}
    assert set(re.findall(r"^fuzz: (\w+): 15000 inputs, ", done.stdout, re.M)) == targets, done.stdout
