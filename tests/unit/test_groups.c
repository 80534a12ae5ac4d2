/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists and services in the ruleset: every packet gets the verdict of the policies, one by one. */
#include "base/buf.h"
#include "core/nft/nft.h"
#include "core/program/groups.h"
#include "unit/evaluate.h"
#include "unit/scene.h"
#include "unit/test.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { PACKETS = 400 };

static bool is_in(const struct peers *peers, struct ip ip)
{
	for (uint32_t i = 0; i < peers->n; i++)
		if (prefix_contains(peers->items[i].net, ip))
			return true;
	return false;
}

static bool is_granted(const struct scene *s, const struct probe *p)
{
	bool has_ports = match_has_ports((struct traffic){.proto = p->proto});

	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t m = 0; m < s->grants[i].n_matches; m++) {
			const struct traffic *t = &s->grants[i].matches[m];

			if ((!s->grants[i].iface || s->grants[i].iface == p->in) &&
			    is_in(s->grants[i].from, p->src) && is_in(s->grants[i].to, p->dst) &&
			    (!t->proto || t->proto == p->proto) &&
			    (!t->proto || !has_ports ||
			     (p->dport >= t->low && p->dport <= t->high)))
				return true;
		}
	return false;
}

static struct probe some_packet(void)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 47};
	uint8_t family = some_family();

	return (struct probe){some_address(family, below(70)),
			      some_address(family, below(70)),
			      protos[below(4)],
			      (uint16_t)(78 + below(20)),
			      0,
			      below(2) ? interface_names[below(2)] : NULL,
			      NULL};
}

static void packets_meet_the_policies(uint64_t first, bool counted)
{
	uint32_t admitted = 0;

	seed = first;
	for (int round = 0; round < 400; round++) {
		struct scene s;

		random_scene(&s, counted);
		build(&s);
		for (int i = 0; i < PACKETS; i++) {
			struct probe p = some_packet();
			bool passes = probe_chain(&s.rs, "fresh", &p, 0) == ADMITTED;
			bool later = probe_chain(&s.rs, "later", &p, 0) == ADMITTED;
			struct probe back = {p.dst, p.src, p.proto, .sport = p.dport, .out = p.in};

			admitted += passes;
			if (passes == is_granted(&s, &p) && passes == later &&
			    passes == (probe_chain(&s.rs, "reply", &back, 0) == ADMITTED))
				continue;
			AUTO_BUF struct buf text = {0};

			nft_print(&text, &s.rs);
			fail_msg("round %d: %s to %s proto %u port %u: %d\n%s", round,
				 ip_format(p.src).s, ip_format(p.dst).s, p.proto, p.dport, passes,
				 buf_text(&text));
		}
		arena_release(&s.a);
	}
	assert_true(admitted > 10000);
}

TEST(random_lists_services_and_ranges_get_the_verdict_of_the_policies)
{
	packets_meet_the_policies(31, false);
}

TEST(the_same_where_every_policy_counts)
{
	packets_meet_the_policies(32, true);
}

/* Members of a service, one every other address. */
static const struct peers *members(struct arena *a, uint32_t first, uint32_t n)
{
	struct peers *peers = arena_new(a, struct peers);

	peers->items = arena_array(a, struct peer, n);
	for (uint32_t i = 0; i < n; i++) {
		peers->items[peers->n++] =
			(struct peer){prefix_of(ip_v4(first + 2 * i)), NONE, NONE};
		peers->hash = hash_more(peers->hash, &peers->items[i].net, sizeof(struct prefix));
	}
	return peers;
}

static uint32_t elements(const struct ruleset *rs)
{
	uint32_t n = 0;

	list_each (set, &rs->sets)
		n += set->n;
	return n;
}

/* Many ports for one list, and one for anybody. */
static void shop(struct scene *s)
{
	const struct peers *list = members(&s->a, 0x0a000000, 9),
			   *to = members(&s->a, 0x0b000000, 9);
	struct peers *anybody = arena_new(&s->a, struct peers);

	*anybody = (struct peers){.items = arena_array(&s->a, struct peer, 1), .n = 1};
	anybody->items[0] = (struct peer){{ip_v4(0), 0}, NONE, NONE};
	s->n = MOST_GRANTS;
	for (uint32_t i = 0; i < s->n; i++) {
		struct traffic *match = arena_new(&s->a, struct traffic);
		const uint16_t port = (uint16_t)(i ? 8000 + 2 * i : 80);

		*match = (struct traffic){IPPROTO_TCP, port, port};
		s->grants[i] = (struct grant){.from = i ? list : anybody,
					      .to = to,
					      .matches = match,
					      .n_matches = 1,
					      .origin = i};
	}
	build(s);
}

TEST(a_port_for_anybody_among_many_for_one_list_is_open_to_everybody)
{
	for (int counted = 0; counted < 2; counted++) {
		struct scene s = {.counted = counted};
		struct probe p = {
			ip_v4(0x08080808), ip_v4(0x0b000002), IPPROTO_TCP, 80, 0, NULL, NULL};

		shop(&s);
		assert_int_equal(probe_chain(&s.rs, "fresh", &p, 0), ADMITTED);
		p.dport = 8002;
		assert_int_not_equal(probe_chain(&s.rs, "fresh", &p, 0), ADMITTED);
		p.src = ip_v4(0x0a000002);
		assert_int_equal(probe_chain(&s.rs, "fresh", &p, 0), ADMITTED);
		arena_release(&s.a);
	}
}

static struct ruleset service_to_service(struct arena *a, uint32_t from, uint32_t to)
{
	static const struct traffic http = {IPPROTO_TCP, 80, 80};
	static const struct hooks hooks;
	struct grant *grant = arena_new(a, struct grant);
	struct ruleset rs = {.exists = true};
	struct builder b = {.rs = &rs, .a = a, .hooks = &hooks};
	grouped_list flows = {0};

	*grant = (struct grant){.from = members(a, 0x0a000000, from),
				.to = members(a, 0x0b000000, to),
				.from_name = "s1",
				.to_name = "s0"};
	*list_add(a, &flows) = (struct grouped){grant, http};
	add_chain(&b, "admit");
	build_groups(&b, &flows, WAY_NEW);
	dispatch_groups(&b, add_chain(&b, "fresh"), WAY_NEW);
	return rs;
}

/* Elements of want that have no equal in have. */
static uint32_t new_elements(const struct ruleset *want, const struct ruleset *have)
{
	uint32_t n = 0;

	list_each (set, &want->sets) {
		const struct set *old = ruleset_find_set(have, set->name);

		for (uint32_t i = 0; i < set->n; i++)
			n += !old || !set_has(old, set_element(set, i));
	}
	return n;
}

TEST(a_service_that_reaches_a_service_is_a_sum_and_a_member_more_is_one_element)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset one = service_to_service(&a, 1000, 1000);
	struct ruleset more = service_to_service(&a, 1000, 1001);
	struct ruleset source = service_to_service(&a, 1001, 1000);

	assert_int_equal(elements(&one), 2000);
	assert_int_equal(new_elements(&more, &one), 1);
	assert_int_equal(new_elements(&source, &one), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lists_services_and_ranges_get_the_verdict_of_the_policies),
		cmocka_unit_test(the_same_where_every_policy_counts),
		cmocka_unit_test(a_port_for_anybody_among_many_for_one_list_is_open_to_everybody),
		cmocka_unit_test(
			a_service_that_reaches_a_service_is_a_sum_and_a_member_more_is_one_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
