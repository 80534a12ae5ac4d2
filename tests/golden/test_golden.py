# SPDX-License-Identifier: GPL-2.0-or-later
"""Golden cases. check/NAME.json and what `check` says of it; rules/NAME.json and what `rules` prints.
ACCEPT=1 rewrites what comes out; the review reads it."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
HARBORWALL = os.environ.get("HARBORWALL", os.path.join(HERE, "../../build/harborwall"))


def cases(folder):
    return sorted(os.path.basename(p)[:-5] for p in glob.glob(f"{HERE}/{folder}/*.json"))


def run(tmp_path, folder, name, *verb):
    """With the file as networks.json in the working directory: no path of this machine gets out. Lists that it names
    stand in the folder NAME.d."""
    if os.path.isdir(f"{HERE}/{folder}/{name}.d"):
        shutil.copytree(f"{HERE}/{folder}/{name}.d", tmp_path, symlinks=True, dirs_exist_ok=True)
    with open(f"{HERE}/{folder}/{name}.json", "rb") as f:
        (tmp_path / "networks.json").write_bytes(f.read())
    return subprocess.run([HARBORWALL, *verb, "networks.json"], cwd=tmp_path, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20)


def assert_golden(path, text):
    if os.environ.get("ACCEPT"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        assert text == f.read()


@pytest.mark.parametrize("name", cases("check"))
def test_check(tmp_path, name):
    done = run(tmp_path, "check", name, "check", "-q" if name.startswith("error_") else "-v")
    assert_golden(f"{HERE}/check/{name}.stderr", done.stderr)
    assert done.returncode == (1 if " error: " in done.stderr else 0)
    if name.startswith("error_"):
        assert " error: " in done.stderr


def rules_of(tmp_path, name, *options):
    """Of every namespace, one behind the other: the host's, then those of the containers that it names."""
    done = run(tmp_path, "rules", name, "rules", *options)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "# container" not in text, "one namespace at a time"
    named = re.search(r" in containers \(--container NAME\): (.*)", done.stderr)
    for container in named[1].split(", ") if named else ():
        done = run(tmp_path, "rules", name, "rules", "-q", "--container", container, *options)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"# container {container}\n") and done.stdout.count("# container ") == 1
        text += done.stdout
    return text


@pytest.mark.parametrize("name", cases("rules"))
def test_rules(tmp_path, name):
    assert_golden(f"{HERE}/rules/{name}.nft", rules_of(tmp_path, name))


def test_a_container_without_rules_is_an_error_that_names_those_that_have_some(tmp_path):
    done = run(tmp_path, "rules", "every_field", "rules", "--container", "nobody")
    assert done.returncode == 1 and not done.stdout
    assert 'no rules into container "nobody", only in: ' in done.stderr and "vpn" in done.stderr


def test_strict_networks_take_nftables(tmp_path):
    done = run(tmp_path, "rules", "strict", "rules", "--backend", "iptables-nft")
    assert done.returncode == 1 and not done.stdout
    assert "network web is strict" in done.stderr and "HARBORWALL_BACKEND=nftables" in done.stderr


@pytest.mark.parametrize("name", ["every_field", "drivers_and_icc", "egress", "egress_audit", "logged", "logged_egress", "two_families", "host_as_source",
                                  "types_of_icmp"])
@pytest.mark.parametrize("engine", ["20", "28"])
@pytest.mark.parametrize("backend", ["nftables", "iptables-nft", "iptables-legacy"])
def test_rules_of_every_backend_side_by_side(tmp_path, backend, engine, name):
    text = rules_of(tmp_path, name, "--backend", backend, "--engine", engine)
    assert_golden(f"{HERE}/backends/{name}.{backend}.docker{engine}", text)


def test_neighbours_of_a_strict_network_are_not_looked_up_where_docker_drops_in_raw(tmp_path):
    assert_golden(f"{HERE}/backends/strict.nftables.docker28", rules_of(tmp_path, "strict", "--backend", "nftables", "--engine", "28"))


@pytest.mark.parametrize("name", [name for name in cases("diff") if name != "old"])
def test_diff(tmp_path, name):
    for which in ("old", name):
        with open(f"{HERE}/diff/{which}.json", "rb") as f:
            (tmp_path / f"{'old' if which == 'old' else 'new'}.json").write_bytes(f.read())
    done = [subprocess.run([HARBORWALL, "diff", *files], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=20, check=False)
            for files in (("old.json", "new.json"), ("new.json", "old.json"), ("--json", "old.json", "new.json"))]
    same = name.startswith("same_")
    assert [d.returncode for d in done] == [0 if same else 2] * 3, [d.stderr for d in done]
    assert ("the same flows" in done[0].stdout) == same
    assert json.loads(done[2].stdout)["same"] == same
    # what one opens, the other way closes
    there, back = ([sorted(line.split("  (policies")[0].split(None, 1)[1] for line in d.stdout.splitlines()
                           if line.startswith(word)) for word in words]
                   for d, words in ((done[0], ("opens", "closes")), (done[1], ("closes", "opens"))))
    assert there == back
    assert_golden(f"{HERE}/diff/{name}.txt", done[0].stdout)


# What somebody asks, and how it ends.
QUESTIONS = {
    "a_policy": (["proxy", "api", "8080"], 0),
    "another_port": (["proxy", "api-1", "8081"], 2),
    "another_source": (["vpn", "db", "5432"], 2),
    "an_address_of_a_list": (["10.1.2.3", "db", "6005"], 0),
    "a_prefix_in_part": (["10.0.0.0/8", "db", "5432/tcp"], 2),
    "another_protocol": (["10.1.2.3", "db", "5432/udp"], 2),
    "one_network": (["api-1", "db", "5432"], 0),
    "out_of_a_network": (["proxy", "198.51.100.7", "53/udp"], 0),
    "out_of_an_internal_network": (["db", "outside", "443"], 2),
    "to_the_host": (["any", "host", "22"], 0),
    "translated_on_the_host": (["eth0", "host", "443"], 0),
    "not_let_in_to_a_container_that_translates": (["10.9.9.9", "vpn", "80"], 2),
    "from_anybody": (["any", "proxy", "443"], 0),
    "from_the_host": (["host", "db", "5432"], 0),
    "no_ports": (["proxy", "api", "icmp"], 2),
    "a_borrowed_address": (["proxy", "api", "8080", "--in", "eth0"], 2),
    "an_address_from_beyond_on_a_bridge": (["10.1.2.3", "db", "5432", "--in", "hw-0e06b1d869dd"], 2),
}


# The same of a file with both families.
IN_BOTH = {
    "in_both_families": (["web", "db", "5432"], 0),
    "in_one_of_both_families": (["web", "db", "5433"], 2),
    "denied_in_both_families": (["web", "db", "22"], 2),
    "an_echo_in_both_families": (["web", "db", "icmp"], 0),
    "an_address_of_ipv6_in_any_spelling": (["web", "FD00:0104:0::0002", "icmp"], 0),
    "a_container_of_ipv6_alone": (["web", "six", "80/udp"], 2),
    "the_host_translates_ipv6": (["eth0", "host", "8443"], 0),
}
# Of strict networks, which rules/strict.json has.
STRICT = {
    "strict_a_neighbour": (["shop", "till", "80"], 0),
    "strict_a_neighbour_that_stays_out": (["till", "shop", "80"], 2),
    "strict_out_of_another_network": (["proxy", "db", "5432"], 2),
    "strict_an_address_of_nobody": (["proxy", "172.18.103.77", "443"], 2),
    "strict_from_the_host": (["host", "till", "22"], 0),
    "strict_closed_to_the_host": (["host", "db", "6379"], 2),
    "strict_let_in_from_the_host": (["host", "db", "9201"], 0),
}
# Of networks with egress deny, which rules/egress.json has.
DENIED = {
    "egress_denied": (["shop", "203.0.113.9", "443"], 2),
    "egress_lifted": (["shop", "198.51.100.7", "443"], 0),
    "egress_denied_to_a_network": (["shop", "db", "22"], 2),
    "egress_denied_to_the_host": (["till", "host", "9100"], 2),
    "egress_lifted_to_the_host": (["shop", "host", "9100"], 0),
}
# Of translations in containers.
IN_CONTAINERS = {
    "a_container_translates": (["10.9.9.9", "vpn", "5432"], 0),
    "a_container_translates_what_comes_by_its_tunnel": (["10.9.9.9", "vpn", "8080"], 0),
    "translations_of_containers_form_a_loop": (["10.9.9.9", "left", "80"], 2),
    "a_policy_that_waits": (["10.9.9.9", "db", "873"], 2),
    "neither_end_is_in_a_network": (["10.9.9.9", "192.0.2.1", "80"], 0),
}
FILES = {"explain/families": IN_BOTH, "rules/strict": STRICT, "rules/egress": DENIED, "explain/containers": IN_CONTAINERS}
for questions in FILES.values():
    QUESTIONS |= questions


def explain(tmp_path, *words):
    file = [name for name, questions in FILES.items() if list(words[-3:]) in [asked for asked, _ in questions.values()]]
    with open(f"{HERE}/{(file or ['diff/old'])[0]}.json", "rb") as f:
        (tmp_path / "networks.json").write_bytes(f.read())
    return subprocess.run([HARBORWALL, "explain", "-c", "networks.json", "--engine", "28", *words], cwd=tmp_path, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)


@pytest.mark.parametrize("name", QUESTIONS)
def test_explain(tmp_path, name):
    words, status = QUESTIONS[name]
    text, told = explain(tmp_path, *words), explain(tmp_path, "--json", *words)
    assert (text.returncode, told.returncode) == (status, status), text.stderr + text.stdout
    answer = json.loads(told.stdout)
    assert f": {answer['verdict']}\n" in text.stdout
    for part in (answer, answer.get("other_family", answer)):
        assert all(hop["text"] in text.stdout for hop in part["path"])
    assert_golden(f"{HERE}/explain/{name}.txt", text.stdout)


@pytest.mark.parametrize("words, error", [
    (["prxy", "db", "80"], 'nothing is named "prxy" (did you mean "proxy"?)'),
    (["proxy", "qqqqqq", "80"], "expected a name from the file, an address"),
    (["proxy", "db", "0"], '"0" is not a port: expected 80'), (["proxy", "db", "80/icmp"], '"80/icmp" is not a port'),
    (["proxy", "db", "80", "--in", "eth9"], "there is no interface eth9"),
    (["any", "db", "80", "--in", "eth0"], "--in takes a source that has addresses, not any"),
    (["proxy", "db", "90-80"], '"90-80" is not a port'), (["proxy", "db", "65536"], '"65536" is not a port')])
def test_what_cannot_be_explained(tmp_path, words, error):
    done = explain(tmp_path, *words)
    assert done.returncode == 1 and error in done.stderr and not done.stdout, done


def test_what_explain_says_to_write_opens_it(tmp_path):
    for words, status in QUESTIONS.values():
        answer = json.loads(explain(tmp_path, "--json", *words).stdout)
        if not status or "remedy" not in answer:
            continue
        flow = answer["flow"]
        config = json.loads((tmp_path / "networks.json").read_text())
        config["policies"].append(answer["remedy"])
        (tmp_path / "open.json").write_text(json.dumps(config))
        port = f"{flow['port']}/{flow['protocol']}" if flow["port"] else flow["protocol"]
        done = subprocess.run([HARBORWALL, "explain", "-c", "open.json", "--engine", "28", flow["source"], flow["destination"], port],
                              cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
        assert done.returncode == 0, (words, done.stdout + done.stderr)


def test_what_a_policy_opens_in_both_families_is_said_once(tmp_path):
    with open(f"{HERE}/explain/families.json", encoding="utf-8") as f:
        config = json.load(f)
    (tmp_path / "new.json").write_text(json.dumps(config))
    config["policies"] = [p for p in config["policies"] if p.get("proto") != "icmp"]
    (tmp_path / "old.json").write_text(json.dumps(config))
    done = subprocess.run([HARBORWALL, "diff", "old.json", "new.json"], cwd=tmp_path, text=True, stdout=subprocess.PIPE, timeout=20, check=False)
    assert done.stdout == "opens   web -> db icmp  (policies[1], new.json:1)\n"


def test_an_audited_network_is_as_open_and_explain_says_what_deny_would_refuse(tmp_path):
    def write(name, egress):
        (tmp_path / name).write_text(json.dumps({
            "networks": {"web": {"subnet": "172.18.103.0/24", **({"egress": egress} if egress else {})}},
            "ips": {"172.18.103.2": {"container_name": "shop"}},
            "policies": [{"container_name": "shop", "to": "192.0.2.1", "port": 80}, {"container_name": "shop", "to": "host", "port": 53}]}))

    def ask(*words):
        return subprocess.run([HARBORWALL, *words], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=20, check=False)
    for egress in (None, "audit", "deny"):
        write(f"{egress}.json", egress)
    assert ask("diff", "None.json", "audit.json").stdout == "the same flows\n"
    closes = ask("diff", "None.json", "deny.json").stdout.replace("None.json", "audit.json")
    assert "closes" in closes and ask("diff", "audit.json", "deny.json").stdout == closes
    # policies for an audited network are no mistake before deny comes; for an open one they are
    assert "warning" not in ask("check", "--strict", "audit.json").stdout.replace("0 warnings", "")
    assert "changes nothing" in ask("check", "None.json").stdout
    note = "egress of network web is audited: with deny this would be refused"
    for words, refused in ((("192.0.2.1", "80"), False), (("192.0.2.1", "81"), True), (("host", "53"), False), (("host", "22"), True)):
        done = ask("explain", "-c", "audit.json", "--engine", "28", "shop", *words)
        assert done.returncode == 0 and (note in done.stdout) == refused, done.stdout
        assert note not in ask("explain", "-c", "None.json", "--engine", "28", "shop", *words).stdout


def test_a_network_with_isolation_audit_is_as_open_as_docker_and_explain_says_what_strict_would_ask_for(tmp_path):
    def write(name, more):
        (tmp_path / name).write_text(json.dumps({
            "networks": {"web": {"subnet": "172.18.103.0/24", **more}, "back": {"subnet": "172.18.104.0/24"}},
            "ips": {"172.18.103.2": {"container_name": "shop"}, "172.18.103.3": {"container_name": "till"}, "172.18.104.2": {"container_name": "db"}},
            "policies": [{"container_name": "shop", "from": "db", "port": 80}, {"container_name": "shop", "from": "till", "port": 80},
                         {"container_name": "shop", "from": ["db", "till"], "port": [80, 81]}]}))

    def ask(*words):
        return subprocess.run([HARBORWALL, *words], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=20, check=False)
    write("docker.json", {})
    write("audit.json", {"isolation": "audit", "host": False})
    write("strict.json", {"isolation": "strict", "host": False})
    assert ask("diff", "docker.json", "audit.json").stdout == "the same flows\n"
    closes = ask("diff", "docker.json", "strict.json").stdout.replace("docker.json", "audit.json")
    assert "closes" in closes and ask("diff", "audit.json", "strict.json").stdout == closes
    # policies between neighbours are no mistake before strict comes; where nothing closes they are
    assert "reach each other anyway" not in ask("check", "audit.json").stdout
    assert "reach each other anyway" in ask("check", "docker.json").stdout
    for who, note in (("till", "isolation of network web is audited: with strict a policy would have to let it in"),
                      ("host", "isolation of network web is audited: with strict this would be refused")):
        done = ask("explain", "-c", "audit.json", "--engine", "28", who, "shop", "81")
        assert done.returncode == 0 and note in done.stdout, done.stdout
        assert note not in ask("explain", "-c", "docker.json", "--engine", "28", who, "shop", "81").stdout
    for form, word in (("dot", "strict audited"), ("json", '"strict": false')):
        assert word in ask("graph", "--format", form, "audit.json").stdout


README = f"{HERE}/../../README.md"


@pytest.mark.parametrize("form", ["dot", "mermaid", "json"])
@pytest.mark.parametrize("folder, name", [("diff", "old"), ("rules", "every_field"), ("explain", "containers")])
def test_graph(tmp_path, folder, name, form):
    done = run(tmp_path, folder, name, "graph", "--format", form)
    assert done.returncode == 0, done.stderr
    assert_golden(f"{HERE}/graph/{name}.{form}", done.stdout)
    if form == "dot" and shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg", "-o", "/dev/null"], input=done.stdout, text=True, check=True)
    if form == "json":
        graph = json.loads(done.stdout)
        assert all(graph["nodes"][e[end]] for e in graph["edges"] for end in ("from", "to"))


def test_the_picture_in_the_readme_is_of_the_example():
    done = subprocess.run([HARBORWALL, "graph", "-q", "--format", "mermaid", f"{HERE}/../../examples/networks.json"], text=True,
                          stdout=subprocess.PIPE, timeout=20, check=True)
    with open(README, encoding="utf-8") as f:
        text = f.read()
    before, rest = text.split("```mermaid\n", 1)
    shown, after = rest.split("```", 1)
    if os.environ.get("ACCEPT"):
        with open(README, "w", encoding="utf-8") as f:
            f.write(f"{before}```mermaid\n{done.stdout}```{after}")
    else:
        assert shown == done.stdout


def run_tests(tmp_path, name, *options):
    return run(tmp_path, "check", name, "test", *options)


def test_the_files_own_tests(tmp_path):
    good, bad = run_tests(tmp_path, "tests_that_hold"), run_tests(tmp_path, "error_tests_that_fail")
    assert good.returncode == 0 and good.stdout.count("\nok ") + 1 == 6 and "6 tests, 0 failed" in good.stdout, good
    assert bad.returncode == 2 and bad.stdout.count("FAILED") == 7 and "8 tests, 7 failed" in bad.stdout, bad
    told = json.loads(run_tests(tmp_path, "error_tests_that_fail", "--json").stdout)
    assert told["failed"] == 7 and [t["holds"] for t in told["tests"]].count(True) == 1
    assert run_tests(tmp_path, "error_tests").returncode == 1


def test_every_policy_that_goes_or_widens_is_caught_by_a_test(tmp_path):
    """The tests of a file say what is open and what is closed; its author's slips must not get past them."""
    with open(f"{HERE}/check/tests_that_hold.json", encoding="utf-8") as f:
        config = json.load(f)
    config["tests"] = [{"from": "proxy", "to": "api", "port": 8080, "expect": "open"},
                       {"from": "proxy", "to": "api", "port": "1-8079", "expect": "closed"},
                       {"from": "proxy", "to": "api", "port": "8081-65535", "expect": "closed"},
                       {"from": "10.1.0.0/16", "to": "db", "port": [5432, "6000-6010"], "expect": "open"},
                       {"from": "10.2.0.0/16", "to": "db", "expect": "closed"}, {"from": "10.1.0.0/16", "to": "db", "port": 5433, "expect": "closed"},
                       {"from": "outside", "to": "proxy", "port": [80, 443], "expect": "open"},
                       {"from": "outside", "to": "proxy", "port": 81, "expect": "closed"}]

    def holds(policies):
        (tmp_path / "networks.json").write_text(json.dumps({**config, "policies": policies}))
        return subprocess.run([HARBORWALL, "check", "-q", "networks.json"], cwd=tmp_path, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    policies = config["policies"]
    assert holds(policies)
    for i in range(3):
        assert not holds(policies[:i] + policies[i + 1:]), f"policy {i} goes"
        assert not holds(policies[:i] + [{**policies[i], "port": "1-65535"}] + policies[i + 1:]), f"ports of {i}"
    assert not holds([policies[0], {**policies[1], "from": "10.0.0.0/8"}] + policies[2:])
