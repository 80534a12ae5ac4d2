# SPDX-License-Identifier: GPL-2.0-or-later
"""What our messages say to the kernel is what nft makes of the text that `rules` prints: every term, every golden case,
on engines with and without raw drops and with none, and after one case has become another. nft reads both, so
that an error of ours in writing is not forgiven by the same error in reading."""
import glob
import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", f"{ROOT}/build/harborwall")
ENCODED = f"{os.path.dirname(HARBORWALL)}/tests/encoded"


def names_files(path):
    """Its lists stand in files of their own, which the program reads: lists.json has the same ones in its text."""
    with open(path, encoding="utf-8") as f:
        return '"@' in f.read()


CASES = [path for path in sorted(glob.glob(f"{ROOT}/tests/golden/rules/*.json")) if not names_files(path)]
ENGINES = ["0", "20", "28"]


def plain(value):
    """Without numbers that differ from time to time; elements sorted, for the kernel lists them by their hashes."""
    if isinstance(value, dict):
        value = {k: plain(v) for k, v in value.items() if k not in ("handle", "packets", "bytes")}
        if isinstance(value.get("elem"), list):
            value["elem"].sort(key=json.dumps)
        return value
    return [plain(v) for v in value] if isinstance(value, list) else value


def rules(listed):
    """Objects that may stand in any order, sorted; rules of a chain as they stand."""
    objects = [plain(o) for o in listed["nftables"] if "metainfo" not in o]
    free = [json.dumps(o, sort_keys=True) for o in objects if "rule" not in o]
    chains = {}
    for o in objects:
        if "rule" in o:
            chains.setdefault(o["rule"]["chain"], []).append(json.dumps(o, sort_keys=True))
    return {"objects": sorted(free), **chains}


def encoded(*arguments):
    if os.geteuid():
        pytest.skip("needs root, for network namespaces")
    done = subprocess.run([ENCODED, *arguments], text=True, capture_output=True, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_same(shown):
    for space in shown:
        sent, spelled = rules(space["sent"]), rules(space["spelled"])
        for chain in sorted({*sent, *spelled}):
            assert sent.get(chain) == spelled.get(chain), f"{space['of']}: {chain}"
        assert space["again"] == [], f"{space['of']}: what stands as we sent it is not recognised"


def test_every_term_is_what_nft_makes_of_its_words():
    shown = encoded("terms")
    assert_same(shown)
    assert len(rules(shown[0]["sent"])) == 7  # chains, and what is not a rule


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES, ids=os.path.basename)
def test_a_case_is_what_nft_makes_of_its_text(case, engine):
    shown = encoded(case, engine)
    assert_same(shown)
    assert shown


@pytest.mark.parametrize("case, other", zip(CASES, [*CASES[1:], CASES[0]]), ids=os.path.basename)
def test_a_case_that_becomes_another_one_is_that_one(case, other):
    for before, engine in (("20", "28"), ("28", "0")):
        assert_same(encoded(case, before, other, engine))
