#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many instructions each stage takes, counted by callgrind: the same on a busy machine and on an
idle one. guards.json holds what may not grow (test_guards.py); `guards.py --accept` writes it anew."""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STORED = f"{HERE}/guards.json"
SMALL, LARGE = 500, 5000
STAGES = ("json", "parse", "resolve", "engine", "compile", "encode", "first", "decode", "same", "one")
sys.path[:0] = [HERE, f"{ROOT}/tests/fake"]
import configs  # noqa: E402
import dockerd  # noqa: E402


def write_inputs(folder, config):
    """The file, and what an engine says on which all of it stands: arguments of bench_stages."""
    engine = configs.converge(dockerd.Engine(folder), config, running=True)
    answers = {"engine-networks": list(engine.networks.values()), "engine-containers": engine.list_containers()}
    paths = [configs.write(config, f"{folder}/networks.json")]
    for name, answer in answers.items():
        paths.append(configs.write(answer, f"{folder}/{name}.json"))
    return paths


def callgrind(folder, *argv):
    """The totals of every dump: {name or "": instructions}."""
    subprocess.run(["valgrind", "-q", "--tool=callgrind", *(["--instr-atstart=no"] if "bench_stages" in argv[0] else []),
                    f"--callgrind-out-file={folder}/counted", *argv], check=True, stdout=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL)
    found = {}
    for path in glob.glob(f"{folder}/counted*"):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        name = re.search(r"^desc: Trigger: Client Request: (\w+)", text, re.M)
        found[name[1] if name else ""] = int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])
    return found


def count(policies, build):
    """{stage: instructions}; check and rules are the whole program's."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_inputs(folder, configs.graph(policies))
        found = callgrind(folder, f"{build}/tests/bench_stages", *paths)
        for verb in ("check", "rules"):
            with tempfile.TemporaryDirectory() as other:
                found[verb] = callgrind(other, f"{build}/harborwall", verb, "-q", paths[0])[""]
    return {stage: found[stage] for stage in (*STAGES, "check", "rules")}


def figures(build=f"{ROOT}/build"):
    """What is guarded. growth: instructions per policy, LARGE against SMALL; 1 is linear. json: times
    what the JSON library takes to parse the file, at LARGE. Both are free of compilers' absolute numbers."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        small, large = pool.map(lambda n: count(n, build), (SMALL, LARGE))
    return {"growth": {stage: round(large[stage] * SMALL / (small[stage] * LARGE), 3) for stage in large},
            "json": {stage: round(large[stage] / large["json"], 3) for stage in large if stage != "json"},
            "instructions per policy": {stage: round(large[stage] / LARGE) for stage in large}}


if __name__ == "__main__":
    found = figures()
    print(json.dumps(found, indent=2))
    if "--accept" in sys.argv:
        with open(STORED, "w", encoding="utf-8") as f:
            f.write(json.dumps(found, indent=2) + "\n")
