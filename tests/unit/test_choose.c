/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What follows from what was seen on a host. */
#include "core/plan/choose.h"
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
	const struct bridges_view no_bridges = {0}, bridges = {.exists = true};

	assert_false(absent(ENOENT, false, legacy, &no_bridges, "eth0"));
	assert_false(absent(ENOENT, false, nft, &no_bridges, "eth0"));
	assert_false(absent(ENOENT, false, none, &bridges, "eth0"));
	assert_false(absent(ENOENT, false, none, &no_bridges, "docker0"));
}

/* --- the backend --- */

TEST(the_variant_is_the_one_that_docker_writes_and_else_the_one_in_use)
{
	const struct filter_view docker_on_legacy[] = {
		[VARIANT_NFT] = {.exists = true},
		[VARIANT_LEGACY] = {.exists = true, .docker_user = true, .docker_isolation = true}};
	const struct filter_view somebody[VARIANT_LEGACY + 1] = {[VARIANT_NFT] = {.exists = true}};
	const struct filter_view nobody[VARIANT_LEGACY + 1] = {0};
	const struct filter_view flushed[VARIANT_LEGACY + 1] = {
		[VARIANT_NFT] = {.raw_drops = true}};
	assert_int_equal(choose_variant(false, docker_on_legacy), VARIANT_LEGACY);
	assert_int_equal(choose_variant(true, docker_on_legacy), VARIANT_NONE);
	assert_int_equal(choose_variant(false, somebody), VARIANT_NFT);
	assert_int_equal(choose_variant(false, nobody), VARIANT_NONE);
	assert_int_equal(choose_variant(false, flushed), VARIANT_NFT);
}

TEST(dockers_own_tables_are_told_by_what_stands_and_its_word_decides_between)
{
	static const struct {
		enum docker_firewall says;
		uint32_t major;
		bool chains, tables, writes;
	} cases[] = {
		{DOCKER_FIREWALL_NFTABLES, 29, false, true, true},
		{DOCKER_FIREWALL_NFTABLES, 29, false, false, true}, /* flushed */
		{DOCKER_FIREWALL_NFTABLES, 29, true, true, true},   /* old rules of iptables */
		{DOCKER_FIREWALL_IPTABLES, 29, true, true, false},  /* an old table */
		{DOCKER_FIREWALL_NFTABLES, 28, true, false, false}, /* DOCKER_FIREWALL_BACKEND */
		{DOCKER_FIREWALL_NFTABLES, 28, false, false, false},
		{DOCKER_FIREWALL_UNKNOWN, 29, false, true, true}, /* /info is not to be had */
		{DOCKER_FIREWALL_UNKNOWN, 0, false, true, true},  /* the engine is dead */
		{DOCKER_FIREWALL_UNKNOWN, 26, true, false, false},
		{DOCKER_FIREWALL_IPTABLES, 28, false, false, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct engine engine = {.firewall = cases[i].says, .major = cases[i].major};
		const struct bridges_view bridges = {.exists = cases[i].tables};
		const struct filter_view views[VARIANT_LEGACY + 1] = {
			[VARIANT_LEGACY] = {.docker_isolation = cases[i].chains}};

		assert_int_equal(docker_writes_nftables(&engine, views, &bridges), cases[i].writes);
	}
}

TEST(a_backend_of_iptables_is_refused_beside_dockers_own_tables)
{
	const char *const asked[] = {"iptables-nft", "iptables-legacy"};

	for (size_t i = 0; i < COUNT_OF(asked); i++) {
		struct facts f = {.docker_nftables = true};
		struct error err = {0};

		assert_false(choose_backend(&f, asked[i], &err));
		assert_non_null(strstr(err.text, "would have no effect"));
		assert_non_null(strstr(err.text, "HARBORWALL_BACKEND=nftables"));
	}
}

TEST(the_backend_follows_from_the_kernel_the_wish_and_dockers_variant)
{
	static const struct {
		bool no_nf_tables;
		enum variant seen;
		const char *asked;
		enum backend backend;
		enum variant variant;
		const char *refused; /* a word of why */
	} cases[] = {
		{false, VARIANT_NFT, NULL, BACKEND_NFTABLES, VARIANT_NFT, NULL},
		{false, VARIANT_LEGACY, NULL, BACKEND_NFTABLES, VARIANT_LEGACY, NULL},
		{false, VARIANT_NONE, "nftables", BACKEND_NFTABLES, VARIANT_NONE, NULL},
		{false, VARIANT_NFT, "iptables-nft", BACKEND_IPTABLES, VARIANT_NFT, NULL},
		{false, VARIANT_NONE, "iptables-legacy", BACKEND_IPTABLES, VARIANT_LEGACY, NULL},
		{false, VARIANT_NFT, "iptables-legacy", 0, 0, "no effect"},
		{false, VARIANT_LEGACY, "iptables-nft", 0, 0, "no effect"},
		{true, VARIANT_LEGACY, NULL, BACKEND_IPTABLES, VARIANT_LEGACY, NULL},
		{true, VARIANT_NONE, NULL, BACKEND_IPTABLES, VARIANT_LEGACY, NULL},
		{true, VARIANT_LEGACY, "iptables-legacy", BACKEND_IPTABLES, VARIANT_LEGACY, NULL},
		{true, VARIANT_NONE, "nftables", 0, 0, "this kernel lacks"},
		{true, VARIANT_LEGACY, "iptables-nft", 0, 0, "this kernel lacks"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct facts f = {.no_nf_tables = cases[i].no_nf_tables, .variant = cases[i].seen};
		struct error err = {0};
		bool ok = choose_backend(&f, cases[i].asked, &err);

		assert_int_equal(ok, !cases[i].refused);
		if (ok) {
			assert_int_equal(f.backend, cases[i].backend);
			assert_int_equal(f.variant, cases[i].variant);
		} else {
			assert_non_null(strstr(err.text, cases[i].refused));
		}
	}
}

TEST(a_kernel_without_nf_tables_is_told_from_one_that_refuses)
{
	assert_true(nf_tables_is_absent(EINVAL) && nf_tables_is_absent(EPROTONOSUPPORT));
	assert_false(nf_tables_is_absent(EPERM) || nf_tables_is_absent(ETIMEDOUT) ||
		     nf_tables_is_absent(EBUSY));
}

TEST(an_engine_is_elsewhere_where_a_container_runs_on_a_bridge_and_no_bridge_is_here)
{
	static const struct {
		bool bridges, runs, on_bridge, here;
		enum whereabouts where;
	} cases[] = {
		{true, true, true, false, ENGINE_IS_ELSEWHERE},
		{true, true, true, true, ENGINE_IS_HERE},
		{true, false, true, false, ENGINE_MAY_BE_ELSEWHERE},
		{true, true, false, false, ENGINE_MAY_BE_ELSEWHERE},
		{false, true, true, false, ENGINE_IS_HERE},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct engine e = {.up = true};
		interfaces here = {0};
		struct error err = {0};
		const char *text;
		const char *networks = arena_printf(
			&a, "[{\"Id\":\"%064d\",\"Name\":\"bridge\",\"Driver\":\"%s\"}]", 1,
			cases[i].bridges ? "bridge" : "null");
		const char *containers =
			arena_printf(&a,
				     "[{\"Id\":\"%064d\",\"Names\":[\"/web\"],\"State\":\"%s\","
				     "\"NetworkSettings\":{\"Networks\":{\"%s\":{}}}}]",
				     2, cases[i].runs ? "running" : "exited",
				     cases[i].on_bridge ? "bridge" : "host");

		assert_true(engine_decode_networks(&e, &a, networks, strlen(networks), &err));
		assert_true(engine_decode_containers(&e, &a, containers, strlen(containers), &err));
		if (cases[i].here)
			*list_add(&a, &here) = "docker0";
		assert_int_equal(engine_whereabouts(&e, &here), cases[i].where);
		text = engine_whereabouts_text(&a, &e, cases[i].where);
		assert_int_equal(text != NULL, cases[i].where != ENGINE_IS_HERE);
		assert_true(!text || strstr(text, "docker run --network host"));
		assert_true(!text ||
			    !strstr(text, "\"web\"") == (cases[i].where != ENGINE_IS_ELSEWHERE));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_engine_is_elsewhere_where_a_container_runs_on_a_bridge_and_no_bridge_is_here),
		cmocka_unit_test(
			a_socket_that_is_not_there_on_a_host_without_traces_is_no_docker_at_all),
		cmocka_unit_test(an_engine_that_stalls_refuses_or_was_named_is_not_absent),
		cmocka_unit_test(an_engine_that_left_chains_tables_or_its_bridge_is_only_stopped),
		cmocka_unit_test(the_variant_is_the_one_that_docker_writes_and_else_the_one_in_use),
		cmocka_unit_test(
			dockers_own_tables_are_told_by_what_stands_and_its_word_decides_between),
		cmocka_unit_test(a_backend_of_iptables_is_refused_beside_dockers_own_tables),
		cmocka_unit_test(the_backend_follows_from_the_kernel_the_wish_and_dockers_variant),
		cmocka_unit_test(a_kernel_without_nf_tables_is_told_from_one_that_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
