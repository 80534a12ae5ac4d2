/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's table where networks are strict. */
#include "core/nft/nft.h"
#include "core/program/program.h"
#include "core/strict/senders.h"
#include "unit/test.h"

struct scene {
	struct arena a;
	struct flows flows;
	struct buf text;
};

static struct ip ip(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(&ip, text));
	return ip;
}

static struct sealed *add_network(struct scene *s, const char *subnet, const char *bridge)
{
	struct bound_subnet bound = {.bridge = bridge, .declared = true};
	struct sealed *sealed = list_add(&s->a, &s->flows.sealed);

	assert_true(prefix_parse_any(&bound.subnet, subnet));
	*list_add(&s->a, &s->flows.bound) = bound;
	*list_add(&s->a, &s->flows.homes) = bound;
	*list_add(&s->a, &s->flows.between) = bridge;
	*sealed = (struct sealed){.bridge = bridge};
	*list_add(&s->a, &sealed->subnets) = bound.subnet;
	s->flows.ipv6 |= bound.subnet.ip.family == 6;
	return sealed;
}

static void add_sender(struct scene *s, struct sealed *sealed, const char *address)
{
	struct sender sender = {{2, 0x42, 0xac, 0x12, 1, 2}, ip(address)};

	*list_add(&s->a, &sealed->senders) = sender;
	*list_add(&s->a, &sealed->declared) = sender.ip;
}

static struct ruleset *table_of(struct scene *s)
{
	const struct hooks hooks = {.accept = 2, .between = 3, .raw = 1, .raw_drops = true};
	struct ruleset *rs = arena_new(&s->a, struct ruleset);

	program_host(rs, &s->a, &s->flows, &hooks);
	nft_encode_ruleset(rs, &s->a);
	return rs;
}

static const char *print(struct scene *s, const struct ruleset *rs)
{
	buf_clear(&s->text);
	nft_print(&s->text, rs);
	return buf_text(&s->text);
}

static void end(struct scene *s)
{
	buf_free(&s->text);
	arena_release(&s->a);
}

TEST(who_may_send_is_a_bridge_a_mac_address_and_an_ip_address)
{
	struct scene s = {0};
	struct sealed *sealed = add_network(&s, "172.18.1.0/24", "br-a");
	const char *text;

	add_sender(&s, sealed, "172.18.1.2");
	text = print(&s, table_of(&s));
	assert_non_null(strstr(text, "{ \"br-a\" . 02:42:ac:12:01:02 . 172.18.1.2 }"));
	assert_non_null(strstr(text, "hook prerouting priority -450"));
	assert_non_null(strstr(text, "oifname @strict ip daddr != @declared goto unwanted"));
	assert_null(strstr(text, "fe80::/10")); /* without IPv6 nothing of it is needed */
	assert_null(strstr(text, "@alone"));
	end(&s);
}

TEST(neighbour_discovery_has_no_source_but_the_senders_own)
{
	struct scene s = {0};
	struct sealed *sealed = add_network(&s, "fd00:1::/64", "br-a");
	const char *text;

	add_sender(&s, sealed, "fd00:1::2");
	text = print(&s, table_of(&s));
	assert_non_null(strstr(text, "\"br-a\" . 02:42:ac:12:01:02 . ::,"));
	assert_non_null(strstr(text, "\"br-a\" . 02:42:ac:12:01:02 . fe80::42:acff:fe12:102 }"));
	assert_non_null(
		strstr(text, "icmpv6 type 133 iifname . ether saddr . ip6 saddr @stations"));
	assert_null(strstr(text, "fe80::/10"));
	end(&s);
}

TEST(what_leads_into_a_strict_network_ends_before_published_ports_are_accepted)
{
	struct scene s = {0};
	const char *text, *drop, *published;

	add_network(&s, "172.18.1.0/24", "br-a");
	*list_add(&s.a, &s.flows.closed) = (struct closed){.bridge = "br-a"};
	text = print(&s, table_of(&s));
	drop = strstr(text, "oifname @strict goto unwanted\n");
	published = strstr(text, "published ports");
	assert_true(drop && published && drop < published);
	assert_true(strstr(text, "ct state established,related accept") < drop);
	end(&s);
}

TEST(what_neighbours_say_is_marked_against_dockers_raw_drops_without_a_look_up)
{
	struct scene s = {0};
	const char *text, *marked;

	add_sender(&s, add_network(&s, "172.18.1.0/24", "br-a"), "172.18.1.2");
	text = print(&s, table_of(&s));
	marked =
		strstr(text, "iifname . ip daddr @neighbours meta mark set meta mark | 0x1 return");
	assert_true(marked && strstr(text, "hook prerouting priority -310") < marked);
	assert_true(marked < strstr(text, "fib saddr . iif oif missing return"));
	end(&s);
}

TEST(a_network_that_is_closed_to_the_host_is_asked_for_by_its_bridge)
{
	struct scene s = {0};

	add_network(&s, "172.18.1.0/24", "br-a");
	add_network(&s, "fd00:2::/64", "br-b")->closed_to_host = true;
	assert_non_null(strstr(print(&s, table_of(&s)), "oifname != @alone return"));
	end(&s);
}

TEST(without_an_engine_those_who_sit_there_stay)
{
	struct scene s = {0};
	struct sealed *sealed = add_network(&s, "fd00:1::/64", "br-a");
	struct ruleset *have, *want, kept;
	const struct set *set;

	add_sender(&s, sealed, "fd00:1::2");
	*list_add(&s.a, &sealed->published) = (struct published){8080, 6};
	have = table_of(&s);
	sealed->senders.n = sealed->published.n = 0;
	want = table_of(&s);
	assert_int_equal(ruleset_find_set(want, "senders6")->n, 0);
	kept = strict_keep_senders(&s.a, want, have);
	set = ruleset_find_set(&kept, "senders6");
	assert_int_equal(set->n, 1);
	assert_int_equal(set->origins[0], NONE);
	assert_int_equal(ruleset_find_set(&kept, "stations")->n, 2);
	assert_int_equal(ruleset_find_set(&kept, "served")->n, 1);
	assert_int_equal(ruleset_find_set(&kept, "declared6")->n, 1);
	assert_int_equal(ruleset_find_set(want, "senders6")->n, 0);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_send_is_a_bridge_a_mac_address_and_an_ip_address),
		cmocka_unit_test(neighbour_discovery_has_no_source_but_the_senders_own),
		cmocka_unit_test(
			what_leads_into_a_strict_network_ends_before_published_ports_are_accepted),
		cmocka_unit_test(
			what_neighbours_say_is_marked_against_dockers_raw_drops_without_a_look_up),
		cmocka_unit_test(a_network_that_is_closed_to_the_host_is_asked_for_by_its_bridge),
		cmocka_unit_test(without_an_engine_those_who_sit_there_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
