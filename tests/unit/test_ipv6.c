/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of the host where flows are of IPv6, of IPv4, or of both. */
#include "core/foreign/handoff.h"
#include "core/nft/flows.h"
#include "core/nft/replay.h"
#include "core/program/program.h"
#include "unit/test.h"

#include <netinet/in.h>

struct scene {
	struct arena a;
	struct flows flows;
	struct buf text;
};

static struct prefix net(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse_any(&p, text));
	return p;
}

static const struct peers *peers(struct scene *s, const char *const *nets)
{
	struct peers *peers = arena_new(&s->a, struct peers);

	peers->items = arena_array(&s->a, struct peer, 16);
	for (; *nets; nets++) {
		peers->items[peers->n++] = (struct peer){net(*nets), NONE, NONE};
		peers->hash = hash_text(*nets) ^ peers->hash * 31;
	}
	return peers;
}

#define PEERS(s, ...) peers(s, (const char *const[]){__VA_ARGS__, NULL})

static void grant(struct scene *s, const struct peers *from, const struct peers *to, uint8_t proto,
		  uint16_t port)
{
	struct traffic *match = arena_new(&s->a, struct traffic);

	*match = (struct traffic){proto, port, port ? port : UINT16_MAX};
	*list_add(&s->a, &s->flows.grants) = (struct grant){.from = from,
							    .to = to,
							    .from_name = "office",
							    .to_name = "shop",
							    .matches = match,
							    .n_matches = 1};
}

static void declare(struct scene *s, const char *subnet, const char *bridge)
{
	struct bound_subnet bound = {.subnet = net(subnet), .bridge = bridge};

	*list_add(&s->a, &s->flows.bound) = bound;
	*list_add(&s->a, &s->flows.homes) = bound;
	*list_add(&s->a, &s->flows.between) = bridge;
	s->flows.ipv6 |= bound.subnet.ip.family == 6;
}

static struct ruleset table_of(struct scene *s)
{
	const struct hooks hooks = {.accept = 2, .between = 3, .raw = 1, .raw_drops = true};
	struct ruleset rs = {0};

	program_host(&rs, &s->a, &s->flows, &hooks);
	nft_encode_ruleset(&rs, &s->a);
	return rs;
}

static const char *print(struct scene *s)
{
	struct ruleset rs = table_of(s);

	buf_clear(&s->text);
	nft_print(&s->text, &rs);
	return buf_text(&s->text);
}

static void release(struct scene *s)
{
	buf_free(&s->text);
	arena_release(&s->a);
}

static void assert_says(const char *text, const char *words)
{
	assert_non_null(words);
	if (!strstr(text, words))
		fail_msg("\"%s\" is missing in\n%s", words, text);
}

static void assert_silent(const char *text, const char *words)
{
	assert_non_null(words);
	if (strstr(text, words))
		fail_msg("\"%s\" should not be in\n%s", words, text);
}

TEST(pairs_of_ipv6_are_in_a_set_of_their_own_which_is_asked_in_both_directions)
{
	struct scene s = {0};
	const char *text;

	declare(&s, "2001:db8:1::/64", "br-a");
	grant(&s, PEERS(&s, "2001:db8:1::2"), PEERS(&s, "2001:db8:2::3"), IPPROTO_TCP, 80);
	grant(&s, PEERS(&s, "2001:db8:1::2"), PEERS(&s, "2001:db8:2::3"), IPPROTO_ICMPV6, 0);
	text = print(&s);
	assert_says(text, "set allow6 {\n"
			  "\t\ttype ipv6_addr . ipv6_addr . inet_proto . inet_service");
	assert_says(text, "{ 2001:db8:1::2 . 2001:db8:2::3 . tcp . 80 }");
	assert_says(text, "{ 2001:db8:1::2 . 2001:db8:2::3 . ipv6-icmp }");
	assert_says(text,
		    "\t\tip6 saddr . ip6 daddr . meta l4proto . th dport @allow6 goto admit\n");
	assert_says(text,
		    "\t\tip6 daddr . ip6 saddr . meta l4proto . th sport @allow6 goto admit\n");
	release(&s);
}

TEST(lists_of_ipv6_are_cut_into_ranges_up_to_the_last_address)
{
	struct scene s = {0};
	const char *text;

	declare(&s, "2001:db8:1::/64", "br-a");
	grant(&s, PEERS(&s, "2001:db8::/32", "2001:db8:7::/48", "fd00::1", "fd00::2", "ff00::/8"),
	      PEERS(&s, "2001:db8:1::2", "2001:db8:1::3", "2001:db8:9::/64"), IPPROTO_TCP, 443);
	text = print(&s);
	assert_says(text, "elements = { 2001:db8::/32,\n\t\t\t     fd00::1-fd00::2,\n"
			  "\t\t\t     ff00::/8 }");
	assert_says(text, "map destinations6 {\n\t\ttype ipv6_addr : verdict");
	assert_says(text, "2001:db8:1::2 : jump to_shop");
	assert_says(text, "2001:db8:9::/64 : jump to_shop");
	assert_says(text, "\t\tip6 daddr vmap @destinations6\n");
	assert_says(text, "tcp dport 443 ip6 saddr @from_office goto admit");
	release(&s);
}

TEST(everybody_of_ipv6_is_one_range)
{
	struct scene s = {0};

	declare(&s, "2001:db8:1::/64", "br-a");
	grant(&s, PEERS(&s, "2001:db8:1::2"), PEERS(&s, "::/0", "ff00::/8"), IPPROTO_TCP, 443);
	assert_says(print(&s), "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff : jump to_shop");
	release(&s);
}

TEST(an_address_of_ipv6_counts_only_where_it_is_at_home_and_stays_what_it_is)
{
	struct scene s = {0};
	const char *text;

	declare(&s, "2001:db8:1::/64", "br-a");
	text = print(&s);
	assert_says(text, "set sources6 {");
	assert_says(text, "\t\tip6 saddr @sources6 fib saddr . iif oif missing return");
	assert_says(text,
		    "\t\tmeta nfproto ipv6 iifname @bridges fib saddr . iif oif missing return");
	assert_says(text, "ip6 saddr @sources6 ip6 daddr @sources6 snat ip6 to ip6 saddr");
	release(&s);
}

TEST(errors_of_icmp_pass_before_dockers_raw_drops)
{
	struct scene s = {0};

	declare(&s, "2001:db8:1::/64", "br-a");
	assert_says(print(&s), "\t\tmeta nfproto ipv6 icmpv6 type 1-4 meta mark set meta mark | "
			       "0x1 comment \"errors of ICMP\"");
	release(&s);
}

TEST(where_docker_closes_ipv4_alone_we_close_ipv6_alone)
{
	struct scene s = {0};
	const char *text;

	declare(&s, "172.18.1.0/24", "br-a");
	declare(&s, "2001:db8:1::/64", "br-a");
	*list_add(&s.a, &s.flows.closed6) = (struct closed){"br-a", true, false};
	text = print(&s);
	assert_says(text, "\t\tmeta nfproto ipv6 icmpv6 type 1-4 accept");
	assert_says(text, "\t\tmeta nfproto ipv6 icmpv6 type 133-137 accept");
	assert_says(text, "\t\tip6 saddr @sources6 fib saddr . iif oif missing oifname @closed6 "
			  "iifname . oifname != @inside6 drop");
	assert_says(text,
		    "\t\tmeta nfproto ipv6 oifname @closed6 iifname . oifname != @inside6 drop");
	assert_says(text,
		    "\t\tmeta nfproto ipv6 iifname @internal6 iifname . oifname != @inside6 drop");
	assert_silent(text, "ip saddr @sources fib saddr . iif oif missing oifname");
	assert_silent(text, "\t\toifname @closed ");
	release(&s);
}

TEST(translations_of_both_families_stand_side_by_side)
{
	struct scene s = {0};
	struct translation t = {
		.iface = "eth0", .match = {IPPROTO_TCP, 80, 80}, .masquerade = true};
	const char *text;

	declare(&s, "172.18.1.0/24", "br-a");
	declare(&s, "2001:db8:1::/64", "br-a");
	t.to = net("172.18.1.2").ip;
	*list_add(&s.a, &s.flows.translations) = t;
	t.to = net("2001:db8:1::2").ip;
	*list_add(&s.a, &s.flows.translations) = t;
	t.from = net("2001:db8:f::/48");
	t.to_port = 8080;
	*list_add(&s.a, &s.flows.translations) = t;
	text = print(&s);
	assert_says(text, "elements = { \"eth0\" . tcp . 80 : 172.18.1.2 . 80 }");
	assert_says(text, "elements = { \"eth0\" . tcp . 80 : 2001:db8:1::2 . 80 }");
	assert_says(text, "dnat ip6 to iifname . meta l4proto . th dport map @translations6");
	assert_says(text,
		    "ip6 saddr 2001:db8:f::/48 tcp dport 80 dnat ip6 to [2001:db8:1::2]:8080");
	assert_says(text, "iifname . ip6 daddr . meta l4proto . th dport @forwarded6 goto admit");
	assert_says(text,
		    "ct status dnat ip6 daddr . meta l4proto . th dport @masqueraded6 masquerade");
	release(&s);
}

TEST(the_table_is_read_again_for_packets_of_both_families)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
		bool admitted;
	} packets[] = {
		{"2001:db8:7::9", "2001:db8:1::2", 443, true},
		{"2001:db9::9", "2001:db8:1::2", 443, false},
		{"2001:db8:7::9", "2001:db8:1::3", 443, false},
		{"2001:db8:7::9", "2001:db8:1::2", 444, false},
		{"2001:db8:5::1", "2001:db8:1::2", 80, true},
		{"2001:db8:5::1", "2001:db8:1::2", 81, false},
		{"32.1.13.184", "172.18.1.2", 443, false}, /* the first bytes of 2001:db8:: */
		{"10.1.2.3", "172.18.1.2", 443, true},
	};
	struct scene s = {0};
	const struct replay *replay;
	struct ruleset rs;

	declare(&s, "2001:db8:1::/64", "br-a");
	grant(&s, PEERS(&s, "2001:db8:7::/48", "fd00::/8"), PEERS(&s, "2001:db8:1::2"), IPPROTO_TCP,
	      443);
	grant(&s, PEERS(&s, "2001:db8:5::1"), PEERS(&s, "2001:db8:1::2"), IPPROTO_TCP, 80);
	grant(&s, PEERS(&s, "10.0.0.0/8"), PEERS(&s, "172.18.1.2"), IPPROTO_TCP, 443);
	rs = table_of(&s);
	replay = nft_replay_of(&s.a, &rs);
	assert_non_null(replay);
	for (size_t i = 0; i < COUNT_OF(packets); i++) {
		const struct replayed packet = {net(packets[i].src).ip, net(packets[i].dst).ip,
						IPPROTO_TCP, packets[i].port, NULL};

		if (nft_replay_admits(replay, &packet) != packets[i].admitted)
			fail_msg("%s to %s port %u", packets[i].src, packets[i].dst,
				 packets[i].port);
	}
	release(&s);
}

TEST(translations_of_ipv6_are_read_back_as_they_were_written)
{
	struct scene s = {0};
	struct translation plain = {.iface = "eth0", .match = {IPPROTO_TCP, 80, 80}}, one = plain;
	struct flows read = {0};
	struct ruleset rs;

	declare(&s, "2001:db8:1::/64", "br-a");
	plain.to = one.to = net("2001:db8:1::2").ip;
	one.from = net("2001:db8:f0::/44");
	one.to_port = 8080;
	*list_add(&s.a, &s.flows.translations) = plain;
	*list_add(&s.a, &s.flows.translations) = one;
	rs = table_of(&s);
	nft_read_translations(&read, &s.a, &rs);
	assert_int_equal(read.translations.n, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct translation *t = &read.translations.items[i];

		assert_true(ip_equal(t->to, plain.to));
		assert_int_equal(t->to_port, t->from.ip.family ? 8080 : 80);
		assert_true(!t->from.ip.family || !prefix_compare(t->from, one.from));
	}
	assert_true(read.translations.items[0].from.ip.family ||
		    read.translations.items[1].from.ip.family);
	release(&s);
}

TEST(a_list_of_sources_is_read_back_as_the_fewest_prefixes)
{
	static const char *const nets[] = {"2001:db8:1::/48", "2001:db8:2::1", "2001:db8:2::2",
					   "2001:db8:2::3",   "fd00::/8",      "ffff::/16"};
	struct scene s = {0};
	struct translation t = {.iface = "eth0", .match = {IPPROTO_TCP, 80, 80}};
	struct flows read = {0};
	struct ruleset rs;

	declare(&s, "2001:db8:1::/64", "br-a");
	t.to = net("2001:db8:1::2").ip;
	t.list = PEERS(&s, nets[0], nets[1], nets[2], nets[3], nets[4], nets[5]);
	t.list_name = "office";
	for (size_t i = 0; i < COUNT_OF(nets); i++) {
		t.from = net(nets[i]);
		*list_add(&s.a, &s.flows.translations) = t;
	}
	rs = table_of(&s);
	nft_read_translations(&read, &s.a, &rs);
	assert_int_equal(read.translations.n, 5);
	assert_string_equal(prefix_format(read.translations.items[0].from).s, nets[0]);
	assert_string_equal(prefix_format(read.translations.items[1].from).s, nets[1]);
	assert_string_equal(prefix_format(read.translations.items[2].from).s, "2001:db8:2::2/127");
	assert_string_equal(prefix_format(read.translations.items[3].from).s, nets[4]);
	assert_string_equal(prefix_format(read.translations.items[4].from).s, nets[5]);
	release(&s);
}

/* --- Docker's filter --- */

#define DOCKER_28                                                                                  \
	"*filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n:DOCKER-FORWARD - [0:0]\n"                 \
	":DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n"          \
	"-A DOCKER ! -i br-a -o br-a -j DROP\nCOMMIT\n"

TEST(whether_docker_closes_ipv6_is_asked_of_ip6tables_and_of_networks_that_have_it)
{
	struct arena a = {0};
	struct engine engine = {.up = true};
	struct filter_view view;

	*list_add(&a, &engine.networks) = (struct engine_network){
		.name = "a", .driver = "bridge", .bridge = "br-a", .ipv6 = true};
	*list_add(&a, &engine.networks) =
		(struct engine_network){.name = "b", .driver = "bridge", .bridge = "br-b"};
	handoff_view_text(&view, &a, 6, DOCKER_28, NULL);
	assert_null(handoff_view_opens_ipv6(&view, &engine, &a));
	engine.networks.items[1].ipv6 = true;
	assert_non_null(strstr(handoff_view_opens_ipv6(&view, &engine, &a), "\"b\""));
	handoff_view_text(&view, &a, 6, NULL, NULL);
	assert_non_null(strstr(handoff_view_opens_ipv6(&view, &engine, &a), "--ip6tables"));
	arena_release(&a);
}

TEST(the_hand_off_of_ipv6_stands_in_ip6tables)
{
	struct handoff handoff = {
		.family = 6, .table = "filter", .chain = "DOCKER-USER", .bits = 2};
	struct arena a = {0};
	struct nft_batch batch;
	struct ruleset table = {0};

	handoff_encode_nft(&batch, &a, &table, &handoff, true);
	assert_int_equal(batch.family, 10); /* NFPROTO_IPV6 */
	buf_free(&batch.bytes);
	handoff.family = 4;
	handoff_encode_nft(&batch, &a, &table, &handoff, true);
	assert_int_equal(batch.family, 2); /* NFPROTO_IPV4 */
	buf_free(&batch.bytes);
	arena_release(&a);
}

TEST(a_host_without_ipv6_has_no_word_of_it)
{
	struct scene s = {0};
	const char *text;

	declare(&s, "172.18.1.0/24", "br-a");
	grant(&s, PEERS(&s, "0.0.0.0/0"), PEERS(&s, "172.18.1.2"), IPPROTO_TCP, 80);
	*list_add(&s.a, &s.flows.closed) = (struct closed){"br-a", true, false};
	text = print(&s);
	assert_silent(text, "ip6");
	assert_silent(text, "ipv6");
	assert_says(text, "\t\tmeta nfproto ipv4 icmp type 3 meta mark set");
	assert_says(text, "\t\tmeta nfproto ipv4 icmp type 11-12 meta mark set");
	release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			pairs_of_ipv6_are_in_a_set_of_their_own_which_is_asked_in_both_directions),
		cmocka_unit_test(lists_of_ipv6_are_cut_into_ranges_up_to_the_last_address),
		cmocka_unit_test(everybody_of_ipv6_is_one_range),
		cmocka_unit_test(
			an_address_of_ipv6_counts_only_where_it_is_at_home_and_stays_what_it_is),
		cmocka_unit_test(errors_of_icmp_pass_before_dockers_raw_drops),
		cmocka_unit_test(where_docker_closes_ipv4_alone_we_close_ipv6_alone),
		cmocka_unit_test(translations_of_both_families_stand_side_by_side),
		cmocka_unit_test(the_table_is_read_again_for_packets_of_both_families),
		cmocka_unit_test(translations_of_ipv6_are_read_back_as_they_were_written),
		cmocka_unit_test(a_list_of_sources_is_read_back_as_the_fewest_prefixes),
		cmocka_unit_test(
			whether_docker_closes_ipv6_is_asked_of_ip6tables_and_of_networks_that_have_it),
		cmocka_unit_test(the_hand_off_of_ipv6_stands_in_ip6tables),
		cmocka_unit_test(a_host_without_ipv6_has_no_word_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
