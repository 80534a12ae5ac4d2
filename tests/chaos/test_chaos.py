# SPDX-License-Identifier: GPL-2.0-or-later
"""Random stories of what may happen to a host (story.py), two at a time. CHAOS_SEEDS=N: how many; CHAOS_SEED=n: this
one. What a failed one prints is all that a person needs; tests/chaos/run SEED tells it again."""
import concurrent.futures
import importlib.machinery
import importlib.util
import json
import os
import re

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ONE = os.environ.get("CHAOS_SEED")
SEEDS = [int(ONE)] if ONE else list(range(1, 1 + int(os.environ.get("CHAOS_SEEDS", "20"))))
TOLD = []
with open(os.path.join(HERE, "found.py"), encoding="utf-8") as source:
    FOUND = [] if ONE else re.findall(r"^def (\w+)\(s\)", source.read(), re.M)


def load(name):
    loader = importlib.machinery.SourceFileLoader("chaos_run", os.path.join(HERE, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("chaos_run", loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def stories():
    if os.geteuid():
        pytest.skip("needs root, for namespaces of its own")
    run = load("run")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run.story, name) for name in [*FOUND, *SEEDS]}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", FOUND)
def test_found(stories, name):
    code, text = stories[name].result()
    assert code == 0, text


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_daemon_ends_with_what_the_file_says_and_lets_nothing_else_pass(stories, seed):
    code, text = stories[seed].result()
    assert code == 0, text
    TOLD.append(json.loads(text.splitlines()[-1]))
