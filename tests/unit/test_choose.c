/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from what was seen on a host. */
#include "core/choose.h"
#include "unit/test.h"

#include <errno.h>

/* --- no Docker, or one that is away --- */

static bool absent(int code, bool asked_for, const struct filter_view *views,
		   const struct bridges_view *bridges, const char *device)
{
	AUTO_RELEASE struct arena a = {0};
	struct observed seen = {0};
	struct traces traces = {views, bridges, &seen};

	*list_add(&a, &seen.host_prefixes) = (struct host_prefix){.device = device};
	return engine_is_absent(code, asked_for, &traces);
}

TEST(a_socket_that_is_not_there_on_a_host_without_traces_is_no_docker_at_all)
{
	const struct filter_view views[VARIANT_LEGACY + 1] = {[VARIANT_NFT] = {.exists = true}};
	const struct bridges_view bridges = {0};

	assert_true(absent(ENOENT, false, views, &bridges, "eth0"));
	assert_true(absent(ECONNREFUSED, false, views, &bridges, "eth0"));
}

TEST(an_engine_that_stalls_refuses_or_was_named_is_not_absent)
{
	const struct filter_view views[VARIANT_LEGACY + 1] = {0};
	const struct bridges_view bridges = {0};
	const int codes[] = {ETIMEDOUT, ECONNRESET, EACCES, 500, -1, 0};

	for (size_t i = 0; i < COUNT_OF(codes); i++)
		assert_false(absent(codes[i], false, views, &bridges, "eth0"));
	assert_false(absent(ENOENT, true, views, &bridges, "eth0"));
}

TEST(an_engine_that_left_chains_tables_or_its_bridge_is_only_stopped)
{
	const struct filter_view none[VARIANT_LEGACY + 1] = {0};
	const struct filter_view legacy[] = {[VARIANT_LEGACY] = {.docker_isolation = true}};
	const struct filter_view nft[VARIANT_LEGACY + 1] = {[VARIANT_NFT] = {.docker_user = true}};
	const struct bridges_view no_bridges = {0}, bridges = {.drops = true};

	assert_false(absent(ENOENT, false, legacy, &no_bridges, "eth0"));
	assert_false(absent(ENOENT, false, nft, &no_bridges, "eth0"));
	assert_false(absent(ENOENT, false, none, &bridges, "eth0"));
	assert_false(absent(ENOENT, false, none, &no_bridges, "docker0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_socket_that_is_not_there_on_a_host_without_traces_is_no_docker_at_all),
		cmocka_unit_test(an_engine_that_stalls_refuses_or_was_named_is_not_absent),
		cmocka_unit_test(an_engine_that_left_chains_tables_or_its_bridge_is_only_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
