# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a fresh engine for every test (it is up in a second), and a bed on it."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import bed as beds  # noqa: E402
import engine  # noqa: E402


def fetched(version):
    """None, or why the engine can't be had."""
    try:
        engine.lab_command("fetch", version)
    except engine.LabError as e:
        return str(e)
    return None


@pytest.fixture(scope="session")
def engine20():
    if os.geteuid():
        pytest.skip("lab tests need root")
    if why := fetched("20"):
        pytest.skip(f"no engine 20: {why}")
    return "20"


@pytest.fixture
def lab(engine20):
    with engine.Lab(f"test{os.getpid()}", engine20) as lab:
        lab.peer()
        yield lab


@pytest.fixture
def bed(lab):
    with beds.Bed(lab) as bed:
        yield bed
