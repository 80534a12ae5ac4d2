/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Diagrams of flows against a reading of the same sets one by one, over random sets. */
#include "base/base.h"
#include "core/flowset/diagram.h"
#include "unit/random.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { SETS = 12, RANGES = 3, SAMPLES = 200 };

/* Few values, so that sets overlap; ends of the fields among them. */
static flow_value some_value(int field)
{
	uint32_t v = below(12);

	if (v == 0)
		return 0;
	if (v == 11)
		return flow_most[field];
	return v;
}

struct scene {
	struct arena a;
	struct flow_set sets[SETS];
	uint32_t n;
};

static void random_scene(struct scene *s)
{
	*s = (struct scene){.n = below(SETS + 1)};
	for (uint32_t i = 0; i < s->n; i++) {
		s->sets[i].leaf = 1 + below(4);
		for (int f = 0; f < N_FLOW_FIELDS; f++) {
			uint32_t n = below(RANGES + 1);
			struct flow_range *ranges = arena_array(&s->a, struct flow_range, RANGES);

			for (uint32_t k = 0; k < n; k++) {
				flow_value one = some_value(f), other = some_value(f);

				ranges[k] = one < other ? (struct flow_range){one, other}
							: (struct flow_range){other, one};
			}
			s->sets[i].fields[f].ranges = ranges;
			s->sets[i].fields[f].n = n;
		}
	}
}

static void random_flow(flow_value flow[N_FLOW_FIELDS])
{
	for (int f = 0; f < N_FLOW_FIELDS; f++)
		flow[f] = some_value(f);
}

static bool holds(const struct flow_set *set, const flow_value flow[N_FLOW_FIELDS])
{
	for (int f = 0; f < N_FLOW_FIELDS; f++) {
		bool in = !set->fields[f].n;

		for (uint32_t k = 0; k < set->fields[f].n; k++)
			in |= flow[f] >= set->fields[f].ranges[k].low &&
			      flow[f] <= set->fields[f].ranges[k].high;
		if (!in)
			return false;
	}
	return true;
}

static uint32_t leaf_of(const struct scene *s, const flow_value flow[N_FLOW_FIELDS])
{
	for (uint32_t i = 0; i < s->n; i++)
		if (holds(&s->sets[i], flow))
			return s->sets[i].leaf;
	return 0;
}

TEST(a_diagram_says_of_every_flow_what_the_first_set_that_holds_it_says)
{
	seed = 20;
	for (int round = 0; round < 300; round++) {
		struct scene s;
		struct diagram d;
		struct diagram_pool *pool;

		random_scene(&s);
		pool = diagram_pool_new(&s.a);
		d = diagram_build(pool, s.sets, s.n);
		for (int i = 0; i < SAMPLES; i++) {
			flow_value flow[N_FLOW_FIELDS];

			random_flow(flow);
			assert_int_equal(diagram_ask(pool, d, flow), leaf_of(&s, flow));
		}
		arena_release(&s.a);
	}
}

/* Some range of some field is cut in two sets, or stands twice, or the order of equals changes. */
static void spell_otherwise(struct scene *s)
{
	uint32_t i = below(s->n);
	struct flow_set *cut = &s->sets[i];
	int f = (int)below(N_FLOW_FIELDS);
	struct flow_range *ranges = arena_array(&s->a, struct flow_range, RANGES + 2);
	uint32_t n = cut->fields[f].n;

	if (!n)
		ranges[n++] = (struct flow_range){0, flow_most[f]};
	else
		memcpy(ranges, cut->fields[f].ranges, n * sizeof(*ranges));
	if (ranges[0].low < ranges[0].high) {
		ranges[n] = (struct flow_range){ranges[0].low + 1, ranges[0].high};
		ranges[0].high = ranges[0].low;
	} else {
		ranges[n] = ranges[0];
	}
	cut->fields[f].ranges = ranges;
	cut->fields[f].n = n + 1;
}

TEST(two_spellings_of_one_set_are_one_diagram_and_other_sets_are_others)
{
	uint32_t different = 0;

	seed = 21;
	for (int round = 0; round < 300; round++) {
		struct scene s;
		struct diagram_pool *pool;
		struct diagram before, after;

		random_scene(&s);
		if (!s.n)
			continue;
		pool = diagram_pool_new(&s.a);
		before = diagram_build(pool, s.sets, s.n);
		spell_otherwise(&s);
		assert_true(diagram_equal(before, diagram_build(pool, s.sets, s.n)));
		s.sets[0] = s.sets[s.n - 1];
		after = diagram_build(pool, s.sets, s.n);
		for (int i = 0; i < SAMPLES; i++) {
			flow_value flow[N_FLOW_FIELDS];

			random_flow(flow);
			if (diagram_ask(pool, before, flow) != diagram_ask(pool, after, flow)) {
				different++;
				assert_false(diagram_equal(before, after));
			}
		}
		arena_release(&s.a);
	}
	assert_true(different > 1000);
}

TEST(combined_diagrams_hold_what_both_one_or_only_the_first_hold)
{
	seed = 22;
	for (int round = 0; round < 200; round++) {
		struct scene s, t;
		struct diagram_pool *pool;
		struct diagram a, b, both, either, only, unlike, flat, cared;

		random_scene(&s);
		random_scene(&t);
		pool = diagram_pool_new(&s.a);
		a = diagram_build(pool, s.sets, s.n);
		b = diagram_build(pool, t.sets, t.n);
		both = diagram_combine(pool, a, b, DIAGRAM_AND);
		either = diagram_combine(pool, a, b, DIAGRAM_OR);
		only = diagram_combine(pool, a, b, DIAGRAM_MINUS);
		unlike = diagram_combine(pool, a, b, DIAGRAM_UNLIKE);
		flat = diagram_relabel(pool, a, NULL);
		cared = diagram_restrict(pool, a, b);
		for (int i = 0; i < SAMPLES; i++) {
			flow_value flow[N_FLOW_FIELDS];
			uint32_t x, y;

			random_flow(flow);
			x = leaf_of(&s, flow);
			y = leaf_of(&t, flow);
			assert_int_equal(diagram_ask(pool, both, flow), y ? x : 0);
			assert_int_equal(diagram_ask(pool, either, flow), x ? x : y);
			assert_int_equal(diagram_ask(pool, only, flow), y ? 0 : x);
			assert_int_equal(diagram_ask(pool, unlike, flow), x == y ? 0 : x);
			assert_int_equal(diagram_ask(pool, flat, flow), x != 0);
			if (y)
				assert_int_equal(diagram_ask(pool, cared, flow), x);
		}
		assert_true(diagram_is_empty(diagram_combine(pool, a, a, DIAGRAM_MINUS)));
		/* what only one of them holds, and what both hold, is the whole of it */
		assert_true(diagram_equal(diagram_combine(pool, both, only, DIAGRAM_OR), a));
		arena_release(&t.a);
		arena_release(&s.a);
	}
}

static bool in_block(const struct flow_block *block, const flow_value flow[N_FLOW_FIELDS])
{
	for (int f = 0; f < N_FLOW_FIELDS; f++) {
		bool in = false;

		for (uint32_t k = 0; k < block->fields[f].n; k++)
			in |= flow[f] >= block->fields[f].items[k].low &&
			      flow[f] <= block->fields[f].items[k].high;
		if (!in)
			return false;
	}
	return true;
}

TEST(blocks_are_disjoint_and_are_the_whole_set)
{
	seed = 23;
	for (int round = 0; round < 100; round++) {
		struct scene s;
		struct diagram_pool *pool;
		flow_blocks blocks = {0}, few = {0};
		struct diagram d;

		random_scene(&s);
		pool = diagram_pool_new(&s.a);
		d = diagram_build(pool, s.sets, s.n);
		assert_true(diagram_blocks(&blocks, &s.a, pool, d, UINT32_MAX));
		for (int i = 0; i < SAMPLES; i++) {
			flow_value flow[N_FLOW_FIELDS];
			uint32_t in = 0, leaf = 0;

			random_flow(flow);
			list_each (block, &blocks)
				if (in_block(block, flow)) {
					in++;
					leaf = block->leaf;
				}
			assert_true(in <= 1);
			assert_int_equal(leaf, leaf_of(&s, flow));
		}
		if (blocks.n) {
			assert_false(diagram_blocks(&few, &s.a, pool, d, blocks.n - 1));
			assert_int_equal(few.n, blocks.n - 1);
		}
		arena_release(&s.a);
	}
}

/* Who comes from an own network's subnet comes in by its bridge: nobody needs to be told. */
TEST(what_nobody_asks_is_left_out)
{
	AUTO_RELEASE struct arena a = {0};
	struct diagram_pool *pool = diagram_pool_new(&a);
	const struct flow_range lan = {100, 199}, others[] = {{0, 99}, {200, flow_most[FLOW_SRC]}},
				bridge = {2, 2}, uplinks[] = {{0, 1}, {3, flow_most[FLOW_IN]}},
				port = {80, 80};
	const struct flow_set genuine[] = {
		{.fields = {[FLOW_SRC] = {&lan, 1}, [FLOW_IN] = {&bridge, 1}}, .leaf = 1},
		{.fields = {[FLOW_SRC] = {others, 2}, [FLOW_IN] = {uplinks, 2}}, .leaf = 1},
	};
	const struct flow_set anybody = {.fields = {[FLOW_PORT] = {&port, 1}}, .leaf = 5};
	struct diagram care = diagram_build(pool, genuine, 2), plain, told;

	plain = diagram_build(pool, &anybody, 1);
	told = diagram_combine(pool, plain, care, DIAGRAM_AND);
	assert_false(diagram_equal(told, plain));
	assert_true(diagram_equal(diagram_restrict(pool, told, care), plain));
}

TEST(addresses_of_both_families_are_values_and_back)
{
	static const char *const texts[] = {"0.0.0.0", "172.18.0.1", "255.255.255.255",
					    "::", "fd00::1"};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct ip ip;

		assert_true(ip_parse(&ip, texts[i]));
		assert_true(ip_equal(flow_value_to_ip(flow_value_of_ip(ip)), ip));
	}
}

TEST(a_service_that_reaches_a_service_is_no_product)
{
	AUTO_RELEASE struct arena a = {0};
	struct diagram_pool *pool = diagram_pool_new(&a);
	enum { MEMBERS = 1000 };
	static struct flow_range from[MEMBERS], to[MEMBERS];
	const struct flow_range port = {80, 80};
	struct flow_set set = {.leaf = 1};

	for (uint32_t i = 0; i < MEMBERS; i++) {
		from[i] = (struct flow_range){2 * i, 2 * i};
		to[i] = (struct flow_range){1000000 + 2 * i, 1000000 + 2 * i};
	}
	set.fields[FLOW_SRC].ranges = from;
	set.fields[FLOW_SRC].n = MEMBERS;
	set.fields[FLOW_DST].ranges = to;
	set.fields[FLOW_DST].n = MEMBERS;
	set.fields[FLOW_PORT].ranges = &port;
	set.fields[FLOW_PORT].n = 1;
	diagram_build(pool, &set, 1);
	assert_int_equal(diagram_pool_nodes(pool), 3);
}

/* 10 000 policies between 1 000 containers, and 10 000 prefixes that may reach one port. */
static void print_times(void)
{
	AUTO_RELEASE struct arena a = {0};
	struct diagram_pool *pool = diagram_pool_new(&a);
	enum { N = 10000 };
	struct flow_set *sets = arena_array(&a, struct flow_set, 2 * N);
	int64_t start = clock_us();
	flow_value flow[N_FLOW_FIELDS] = {0};
	uint32_t sum = 0;

	seed = 24;
	for (uint32_t i = 0; i < 2 * N; i++) {
		struct flow_range *r = arena_array(&a, struct flow_range, 3);
		flow_value src = i < N ? 1000 + below(1000) : 1 << 20 | i << 8;

		r[0] = i < N ? (struct flow_range){1000 + below(1000), 0}
			     : (struct flow_range){7, 7};
		r[0].high = r[0].low;
		r[1] = (struct flow_range){src, i < N ? src : src + 255};
		r[2] = (struct flow_range){below(65536), 0};
		r[2].high = r[2].low;
		for (int f = 0; f < 3; f++) {
			static const int fields[] = {FLOW_DST, FLOW_SRC, FLOW_PORT};

			sets[i].fields[fields[f]].ranges = &r[f];
			sets[i].fields[fields[f]].n = 1;
		}
		sets[i].leaf = i + 1;
	}
	start = clock_us();
	struct diagram one = diagram_build(pool, sets, N);
	printf("# build 10000 pairs: %lld us, %u nodes\n", (long long)(clock_us() - start),
	       diagram_pool_nodes(pool));
	start = clock_us();
	struct diagram two = diagram_build(pool, sets + N, N);
	printf("# build 10000 prefixes: %lld us\n", (long long)(clock_us() - start));
	start = clock_us();
	sets[5].fields[FLOW_PORT].n = 0;
	struct diagram edited = diagram_build(pool, sets, N);
	printf("# build it again: %lld us\n", (long long)(clock_us() - start));
	start = clock_us();
	diagram_combine(pool, diagram_relabel(pool, edited, NULL), diagram_relabel(pool, one, NULL),
			DIAGRAM_MINUS);
	printf("# difference: %lld us\n", (long long)(clock_us() - start));
	start = clock_us();
	for (uint32_t i = 0; i < 100000; i++) {
		flow[FLOW_DST] = 1000 + below(1000);
		flow[FLOW_SRC] = 1000 + below(1000);
		flow[FLOW_PORT] = below(65536);
		sum += diagram_ask(pool, one, flow) + diagram_ask(pool, two, flow);
	}
	printf("# ask: %lld ns (%u)\n", (long long)(clock_us() - start) / 200, sum);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_diagram_says_of_every_flow_what_the_first_set_that_holds_it_says),
		cmocka_unit_test(
			two_spellings_of_one_set_are_one_diagram_and_other_sets_are_others),
		cmocka_unit_test(combined_diagrams_hold_what_both_one_or_only_the_first_hold),
		cmocka_unit_test(blocks_are_disjoint_and_are_the_whole_set),
		cmocka_unit_test(what_nobody_asks_is_left_out),
		cmocka_unit_test(addresses_of_both_families_are_values_and_back),
		cmocka_unit_test(a_service_that_reaches_a_service_is_no_product),
	};

	if (getenv("TIMES"))
		print_times();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
