# SPDX-License-Identifier: GPL-2.0-or-later
"""The schema, the manual and check are of one mind: the same fields, the same verdicts.

An independent validator reads every golden case, and policies, networks and addresses made at random. Of each object
of the file it must say what check says, right or wrong; what a schema can't say is listed below."""
import glob
import json
import os
import re
import shutil
import subprocess

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(ROOT, "build/harborwall"))
KINDS = {"network": "network_fields", "address": "address_fields", "policy": "policy_fields", "test": "test_fields"}

# Errors of check that no schema can find: they compare values, or follow names.
BEYOND_A_SCHEMA = [
    r"has host bits; write",
    r"overlaps .*; choose another",
    r"overlaps .*, which no container can use",  # a prefix so wide that it begins elsewhere
    r"lies outside the subnet",
    r"is the (network|broadcast|gateway) address of",
    r"is that of .* already; choose another",
    r"lies in no network of this file",
    r"in this network already",
    r"sends the same packets to",
    r"is more than \d+ addresses",
    r"is not a single address",
    r"a multicast address is no source or target",
    r"a link-local address does not pass a host",
    r"no packet has such an address",
    r"is not an address; write it as",
    r"the range .* is reversed",
    r"duplicate key",
    r"names of the outside world",
    r"the host itself begins",
    r"by which interface do the others come in",
    r"dnat of every port of the host would take",
    r"one number for all$",  # how many there are of port and to_port
    r"stands twice, and to_port",
    r"65535 is the last",
    r"one to one",
    r"mend or replace the file",  # a list's
    r" should be (open|closed), but ",  # a test of the file that fails
]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


SCHEMA = json.loads(read("schema/networks.schema.json"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


# --- fields ---

def decoded():
    """kind -> names, from the tables in the source."""
    text = read("src/core/config/object.c") + read("src/core/config/policy.c") + read("src/core/config/test.c")
    found = {}
    for kind, table in KINDS.items():
        body = re.search(table + r"\[\] = \{(.*?)\n\};", text, re.S).group(1)
        found[kind] = set(re.findall(r"NAMED\(\w+, \"(\w+)\"", body)) | set(re.findall(r"FIELD\(\w+, (\w+)", body))
    return found


def test_the_schema_has_every_field_and_no_other():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    for kind, names in decoded().items():
        assert set(SCHEMA["definitions"][kind]["properties"]) - {"$schema"} == names


def test_the_manual_has_every_field():
    manual = read("man/networks.json.5.scd")
    for names in decoded().values():
        for name in names:
            assert f"*{name}*" in manual, name


# --- verdicts ---

def object_of(path):
    """policies[3].port -> ("policies", 3); of the file itself ()."""
    found = re.match(r'(networks|ips|policies|tests)(?:\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.([A-Za-z0-9_-]+))', path)
    if not found:
        return ()
    section, index, text, word = found.groups()
    return section, int(index) if index else json.loads(text) if text else word


def by_check(path):
    """Objects that are wrong by check; those of them that only check can see."""
    done = subprocess.run([HARBORWALL, "check", "--json", str(path)], stdout=subprocess.PIPE, timeout=20, check=False)
    answer = json.loads(done.stdout)
    errors = [d for d in answer["diagnostics"] if d["severity"] == "error"]
    told = [d for d in errors if "file" not in d]  # what a list says no schema of the configuration can see
    assert answer["valid"] == (not errors) == (done.returncode == 0)
    seen = {object_of(d["path"]) for d in told if not any(re.search(words, d["message"]) for words in BEYOND_A_SCHEMA)}
    return seen, {object_of(d["path"]) for d in told} - seen, errors


def place(error):
    path = tuple(error.absolute_path)
    return path + (error.instance,) if "propertyNames" in error.absolute_schema_path else path


def by_schema(config):
    return {place(e)[:2] if len(place(e)) > 1 else () for e in VALIDATOR.iter_errors(config)}


def assert_of_one_mind(path, config):
    seen, beyond, errors = by_check(path)
    found = by_schema(config)
    assert found - beyond == seen, f"only check: {seen - found}, only the schema: {found - seen - beyond}\n{errors}"


class NotJson(Exception):
    pass


def without_doubles(members):
    if len({k for k, _ in members}) < len(members):
        raise NotJson("a key stands twice")
    return dict(members)


CASES = [*sorted(glob.glob(f"{ROOT}/tests/golden/*/*.json")), f"{ROOT}/examples/networks.json"]


@pytest.mark.parametrize("path", CASES, ids=os.path.basename)
def test_check_and_the_schema_give_the_same_verdict(path, tmp_path):
    lists = path[:-len(".json")] + ".d"
    if os.path.isdir(lists):
        shutil.copytree(lists, tmp_path, symlinks=True, dirs_exist_ok=True)
        path = shutil.copy(path, tmp_path)
    with open(path, "rb") as f:
        data = f.read()
    try:
        config = json.loads(data.decode(), object_pairs_hook=without_doubles)
        if b"\0" in data or "too_deep" in path:
            raise NotJson
    except (ValueError, NotJson):
        assert by_check(path)[2]  # a schema is not asked about what is no JSON
        return
    assert_of_one_mind(path, config)


def test_the_readmes_file_is_right():
    text = re.search(r"```json\n(.*?)```", read("README.md"), re.S).group(1)
    assert not by_schema(json.loads(text))
    done = subprocess.run([HARBORWALL, "check", "--strict", "/dev/stdin"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


# --- at random ---

NAMES = ["a", "b", "front", "any", "10.0.0.2", "10.0.0.0/24", "10.9.0.1/16", "fd00::1", "10.0.0", "@file", "", " ", "é", "x" * 254,
         None, 7, ["a"], ["a", "b"], [], [""], {"a": 1}, True]
IFACES = ["eth0", "wg+", "+", "a b", "a\"b", "eth*", "..", ".", "x" * 15, "x" * 16, "eth0:1", "é", "", None, 0]
PORTS = [80, "80", "080", "80-90", "90-80", "0", 0, 65535, 65536, "65536", "1-65535", "000080", "-1", "80-", "80,81", [80, "90-91"], [],
         [80, None], [[80]], 1.5, True, None, "", "http"]
PROTOS = ["tcp", "udp", "icmp", "any", "TCP", ["tcp", "icmp"], ["icmp"], ["icmp", "icmp"], ["any", "tcp"], [], ["gre"], "", None, 6]
NATS = ["dnat", "dnat", "masquerade", "masquerade", "snat", "", None, False]
TRUTHS = [True, False, "true", "false", "auto", "yes", 1, 0, None, ""]
TEXTS = [{}, {"a": "b"}, {"a": ""}, {"": "b"}, {"a": 1}, [], None, {"com.docker.network.bridge.name": "+"}, {"_": "b"}]
NOTES = {"x-a": st.just(1), "_": st.just(None), "$schema": st.just("s"), "action": st.just("deny"), "X-a": st.just(1)}


def one(values):
    return st.sampled_from(values)


def likely(right, values):
    """Mostly right: so that what fields mean together is asked, too."""
    return st.one_of(*[one(right)] * 5, one(values))


POLICY = st.fixed_dictionaries({}, optional={
    "selector": likely(["a", "b"], NAMES), "container_name": likely(["a"], NAMES), "service_name": likely(["s"], NAMES),
    "from": likely(["a", "any"], NAMES), "to": likely(["a", "b"], NAMES), "name": likely(["a"], NAMES), "nat": likely(NATS[:4], NATS),
    "iface": likely(["eth0"], IFACES), "port": likely([80], PORTS), "proto": likely(["tcp", "icmp"], PROTOS),
    "to_port": likely([81, "80-90", [81, 82]], PORTS), "masquerade": likely([True, "auto"], TRUTHS), "comment": likely(["why"], NAMES),
    "log": likely([False], TRUTHS), **NOTES})
PREFIXES = ["10.0.0.0/24", "10.1.0.0/30", "10.1.0.0/31", "10.2.0.0/33", "10.3.0.1/24", "127.0.0.0/8", "0.0.0.0/0", "224.0.0.0/8",
            "240.0.0.0/8", "10.4.0.0", "010.5.0.0/16", "10.256.0.0/16", "fd00::/64", "", None, 24, []]
ADDRESSES = ["10.0.0.5", "10.0.0.05", "10.0.0", "fd00::5", "10.0.0.256", "", None, 5]
PREFIXES6 = ["fd00::/64", "FD00:0::/64", "fd00::1/64", "fe80::/64", "ff02::/64", "::/0", "fd00::/126", "fd00::/127", "fd00::/129", "fd00::/064",
             "fd00::", "1:2:3:4:5:6:7::/112", "1:2:3:4:5:6:7:8/126", "1:2:3:4:5:6:7:8:9/64", "fd00::1::/64", "fd00:12345::/64", "fd00::10.0.0.0/120",
             "::ffff:10.0.0.0/120", "10.0.0.0/24", "", None, 64, []]
ADDRESSES6 = ["fd00::5", "FD00:0:0::5", "fd00::10.0.0.5", "fd00::10.0.0.05", "fd00::5%eth0", "[fd00::5]", "fd00:::5", "fd00", "::", "1:2:3:4:5:6:7::",
              "1:2:3:4:5:6:7:8", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8", "1:2:3:4:5:6:10.0.0.1", "1:2:3:4:5:6:7:10.0.0.1", "fd00::5/64", "10.0.0.5", "", None, 5]
NETWORK = st.fixed_dictionaries({}, optional={
    "subnet": likely(["10.0.0.0/24"], PREFIXES), "subnet6": likely(["fd00::/64"], PREFIXES6), "gateway6": likely(["fd00::9"], ADDRESSES6),
    "ip_range6": likely(["fd00::8000:0:0:0/65"], PREFIXES6),
    "network_name": likely(["n"], ["n", "-n", "a b", "host", "bridge", "", None, 1, "é"]), "gateway": likely(["10.0.0.9"], ADDRESSES),
    "driver": likely(["bridge"], ["macvlan", "bridge", "", None]), "internal": one(TRUTHS), "mtu": likely([1400], [67, 68, 65535, 65536, "1400", None]),
    "labels": likely([{}], TEXTS), "options": likely([{}], TEXTS), "bridge_name": likely(["br0"], IFACES),
    "ip_range": likely(["10.0.0.128/25"], PREFIXES), "isolation": one(["docker", "open", "strict", "audit", "", None]), "host": likely([True, False], TRUTHS),
    "egress": one(["open", "deny", "audit", "", None]), **NOTES})
ADDRESS = st.fixed_dictionaries({}, optional={"ip": likely(["10.0.0.7", "fd00::7"], ADDRESSES), "ip6": likely(["fd00::8"], ADDRESSES6), "container_name": one(NAMES), "selector": one(NAMES),
                                              "service_name": one(NAMES), **NOTES})
NETWORK_KEYS = likely(["n"], ["n", "bridge", "-n", "a b", "", "é", "\x7f", "_n", "$schema", "x-n", "x_n"])
ADDRESS_KEYS = likely(["10.0.0.7", "fd00::7"], ["FD00:0::7", "fd00::07:", "1:2:3:4:5:6:7::", "10.0.0.8", "10.0.0.08", "key", "", "\n", "_k", "$schema", "x-k"])
BASE = {"networks": {"front": {"subnet": "10.250.0.0/24"}},
        "ips": {"10.250.0.2": {"container_name": "a", "service_name": "s"}, "10.250.0.3": {"container_name": "b", "service_name": "s"}},
        "policies": []}
SETTINGS = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def judge(folder, config):
    path = folder.getbasetemp() / "random.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    (folder.getbasetemp() / "file").write_text("198.51.100.0/24\n", encoding="utf-8")
    assert_of_one_mind(path, config)


@SETTINGS
@given(policy=POLICY)
@example(policy={"from": "any", "selector": "a", "iface": "eth0"})
@example(policy={"nat": "dnat", "iface": "eth0", "to": "a"})
@example(policy={"nat": "masquerade", "from": "any"})
def test_a_policy_is_right_or_wrong_by_both(tmp_path_factory, policy):
    judge(tmp_path_factory, {**BASE, "policies": [policy]})


@SETTINGS
@given(key=NETWORK_KEYS, network=st.one_of(NETWORK, NETWORK, NETWORK, one([None, [], "n", 1])))
def test_a_network_is_right_or_wrong_by_both(tmp_path_factory, key, network):
    judge(tmp_path_factory, {**BASE, "networks": {"other": {"subnet": "10.250.0.0/24"}, key: network}})


@SETTINGS
@given(key=ADDRESS_KEYS, address=st.one_of(ADDRESS, ADDRESS, ADDRESS, one([None, [], "a"])))
def test_an_address_is_right_or_wrong_by_both(tmp_path_factory, key, address):
    networks = {"front": {"subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "subnet6": "fd00::/64"}}
    judge(tmp_path_factory, {"networks": networks, "ips": {key: address}, "policies": []})


@SETTINGS
@given(config=st.fixed_dictionaries({}, optional={
    "networks": one([{}, [], None, BASE["networks"]]), "ips": one([{}, [], None]), "policies": one([[], {}, None, [None], ["a"]]),
    "ipss": one([{}]), "tests": one([[]]), **NOTES}))
def test_a_file_is_right_or_wrong_by_both(tmp_path_factory, config):
    judge(tmp_path_factory, config)
