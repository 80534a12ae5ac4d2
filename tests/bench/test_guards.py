# SPDX-License-Identifier: GPL-2.0-or-later
"""No stage gets slower unnoticed: instructions, not time, as callgrind counts them on fixed inputs.

Compared are ratios within one run, for compilers and C libraries differ: per policy at 5 000 policies
against 500, and against what the JSON library takes for the same file."""
import json
import os
import shutil

import guards
import pytest

BUILD = os.environ.get("HARBORWALL_BUILD", f"{guards.ROOT}/build")
MARGIN = 1.10  # against the stored figure
LINEAR = 1.25  # per policy, ten times the policies: sorting adds a little; what is stored above it is a debt


@pytest.fixture(scope="module")
def found():
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is missing: instructions are not counted")
    return guards.figures(BUILD)


@pytest.fixture(scope="module")
def stored():
    with open(guards.STORED, encoding="utf-8") as f:
        return json.load(f)


def beyond(found, limits):
    return [f"{stage}: {found[stage]:.2f}, limit {limit:.2f}" for stage, limit in limits.items() if found[stage] > limit]


def test_ten_times_the_policies_take_ten_times_the_instructions(found, stored):
    too_much = beyond(found["growth"], {stage: max(LINEAR, MARGIN * was) for stage, was in stored["growth"].items()})
    assert not too_much, f"per policy, times what {guards.SMALL} policies take: {'; '.join(too_much)}"


def test_no_stage_takes_more_than_it_did(found, stored):
    too_much = beyond(found["json"], {stage: MARGIN * was for stage, was in stored["json"].items()})
    assert not too_much, f"times what the JSON library takes: {'; '.join(too_much)} (guards.py --accept, if it must be)"


def test_every_stage_is_guarded(found, stored):
    assert set(found["growth"]) == set(stored["growth"]) and set(found["json"]) == set(stored["json"])
