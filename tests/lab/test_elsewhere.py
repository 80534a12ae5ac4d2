# SPDX-License-Identifier: GPL-2.0-or-later
"""Run in another network namespace than the engine's, as a container without --network host is: nothing would be in
force there, so it is refused, and the flag is named."""
import bed as beds
import engine
import pytest
import seed

FLAG = "--network host"


@pytest.fixture(params=["20", "26", "28"], ids=lambda v: f"docker {v}")
def placed(request, labs):
    from conftest import need_engine
    need_engine(request.param)
    lab = labs.take(version=request.param)
    with beds.Bed(lab) as bed:
        seed.containers(bed)
        bed.write(seed.widened())
        lab.run("ip", "netns", "add", "other")
        yield bed
        lab.run("ip", "netns", "del", "other")
    labs.give_back(lab)


def there(bed, verb, *options, env=None):
    return bed.lab.run("nsenter", "--net=/run/netns/other", engine.HARBORWALL, verb, "-c", bed.file, *options, check=False,
                       env={"HARBORWALL_LISTEN": "/run/other.sock", **(env or {})}, timeout=20)


def test_in_another_namespace_than_the_engines_nothing_is_done_and_the_flag_is_named(placed):
    bed = placed
    posts, before = bed.lab.posts(), beds.rule_dumps(bed.lab)
    for verb in ("plan", "apply", "run", "clear"):
        done = there(bed, verb)
        assert done.returncode == 1 and FLAG in done.stderr and " runs on the bridge " in done.stderr, (verb, done.stdout + done.stderr)
    checked = there(bed, "doctor")
    assert checked.returncode == 2 and FLAG in checked.stdout, checked.stdout
    assert bed.lab.posts() == posts and beds.rule_dumps(bed.lab) == before
    assert not bed.lab.run("nsenter", "--net=/run/netns/other", "nft", "list", "ruleset").stdout
    bed.apply()
    bed.assert_matrix()


def test_where_no_container_runs_it_is_said_and_not_refused(placed):
    bed = placed
    for name in bed.docker.containers():
        bed.docker.stop(name)
    planned = there(bed, "plan")
    assert planned.returncode == 2 and "warning: host: " in planned.stdout and FLAG in planned.stdout, planned.stdout + planned.stderr
    assert FLAG not in bed.harborwall("plan").stdout
    bed.lab.seeded = None  # they do not run any more
