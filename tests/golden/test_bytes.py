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


POLICY = st.fixed_dictionaries({}, optional={
    **{field: st.sampled_from(["a", "b", "c", "", "x" * 254, "é", 'q"', "\\", "\t", "\x7f", "~ "]) for field in
       ("service_name", "container_name", "selector", "from", "to", "name", "iface", "comment")},
    "port": st.integers(-2, 70000) | st.sampled_from(["80", "90-80", "80-90", "", [80, "90"], [], 80.5, 10**10, True]),
    "proto": st.sampled_from(["tcp", "udp", "any", ["tcp", "udp"], "tpc", None]),
    "nat": st.sampled_from(["dnat", "masquerade", "", False]), "to_port": st.integers(0, 70000), "log": st.booleans(),
    "mask": st.just({}), "masquerade": st.sampled_from(["auto", True, "false"])})
DECLARED = {"networks": {"n": {"subnet": "10.0.0.0/24"}},
            "ips": {f"10.0.0.{i + 2}": {"container_name": name} for i, name in enumerate("abc")}}


def spelled_otherwise(value):
    """The same JSON, no text or key of which is written as it sounds."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{spelled_otherwise(k)}:{spelled_otherwise(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(spelled_otherwise, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"'
    return json.dumps(value)


def understood(folder, text):
    """Everything that is said of a file, but where; and its rules."""
    path = folder / "spelled.json"
    path.write_text(text, encoding="utf-8")
    done = [subprocess.run([HARBORWALL, *verb, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           timeout=20, check=False) for verb in (["check", "--json"], ["rules", "-q"])]
    said = [{**d, "line": 0, "column": 0} for d in json.loads(done[0].stdout)["diagnostics"]]
    return sorted(map(json.dumps, said)), done[0].returncode, done[1].stdout, done[1].returncode


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies=st.lists(POLICY, max_size=3))
def test_a_file_means_the_same_however_it_is_spelled(tmp_path_factory, policies):
    folder, config = tmp_path_factory.getbasetemp(), {**DECLARED, "policies": policies}
    plain = understood(folder, json.dumps(config, indent=2, ensure_ascii=False))
    assert plain == understood(folder, spelled_otherwise(config))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_no_json_is_refused(tmp_path_factory, data):
    text = json.dumps({"networks": {}, "ips": {}, "policies": [{"selector": "a", "from": "b", "port": 8080, "comment": "a word"}, {"selector": "b"}]})
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 3))
    text = text[:at] + data.draw(st.text('{}[]",:\\08 eE.-+truefalsn\n\x01\x7fé', max_size=3)) + text[at + cut:]
    try:
        json.loads(text, parse_constant=int)
    except ValueError:
        path = tmp_path_factory.getbasetemp() / "wounded.json"
        path.write_text(text, encoding="utf-8")
        done = subprocess.run([HARBORWALL, "check", "-q", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=20, check=False, text=True)
        assert done.returncode == 1 and "error: " in done.stderr, text
