# SPDX-License-Identifier: GPL-2.0-or-later
"""Law 3: any bytes give a config, or at least one diagnostic whose place lies in the file."""
import json
import os
import re
import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = os.path.dirname(os.path.abspath(__file__))
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(HERE, "../../build/harborwall"))
FIELDS = ["networks", "ips", "policies", "subnet", "gateway", "ip", "container_name", "selector", "from", "to", "port",
          "proto", "nat", "name", "iface", "to_port", "ip_range", "isolation", "masquerade", "10.0.0.0/24", "10.0.0.2"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.floats() | st.text(max_size=5) | st.sampled_from(
        [*FIELDS, "dnat", "any", "tcp", "80-90", "90-80", "10.0.0.1/24", "::1", "10.0.0.255", "docker"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner, max_size=5),
    max_leaves=25)
SHAPED = st.fixed_dictionaries({}, optional={
    "networks": st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
    "ips": st.dictionaries(st.sampled_from(["10.0.0.2", "x"]), VALUES, max_size=3),
    "policies": st.lists(VALUES, max_size=4)})


def check(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_bytes(data)
    done = subprocess.run([HARBORWALL, "check", "-q", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=20, check=False)
    said = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 1), said
    assert "Sanitizer" not in said and "runtime error" not in said, said
    if done.returncode == 0:
        return
    lines = data.split(b"\n")
    places = re.findall(r"fuzz\.json:(\d+):(\d+): error: ", said)
    assert places, said
    for line, column in places:
        assert 1 <= int(line) <= len(lines), said
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1, said


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(config=SHAPED, indent=st.sampled_from([None, 1]))
def test_any_json(tmp_path_factory, config, indent):
    check(tmp_path_factory, json.dumps(config, indent=indent).encode())


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=60))
def test_any_bytes(tmp_path_factory, data):
    check(tmp_path_factory, data)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 4000), junk=st.binary(max_size=4), cut=st.integers(0, 30))
def test_an_example_with_a_wound(tmp_path_factory, at, junk, cut):
    with open(os.path.join(HERE, "check/ok_every_field.json"), "rb") as f:
        text = f.read()
    at %= len(text)
    check(tmp_path_factory, text[:at] + junk + text[at + cut:])
