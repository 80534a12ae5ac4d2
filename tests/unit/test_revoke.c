/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which live connections end when rules go, and that what rules admitted is read back out of them.
 */
#include "core/iptables/iptables.h"
#include "core/nft/nft.h"
#include "core/plan/revoke.h"
#include "unit/example.h"
#include "unit/scene.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static struct ip ip(const char *text)
{
	struct ip found;

	assert_true(ip_parse(&found, text));
	return found;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_true(prefix_parse(&p, text));
	return p;
}

/* --- the flows that rules admit --- */

static const char *const files[] = {"example",
				    "every_field",
				    "service_without_container",
				    "source_address_wins",
				    "masquerade_of_one_port",
				    "lists",
				    "two_families",
				    "host_as_source",
				    "types_of_icmp"};

/* As iptables-save and ip6tables-save print it. */
static void save_and_read(ipt_chains *have, struct example *x, const ipt_chains *chains)
{
	static const ipt_chains nothing;

	*have = (ipt_chains){0};
	each_family (family) {
		AUTO_BUF struct buf text = {0};
		struct ipt_changes changes = {0};

		ipt_diff(&text, &changes, VARIANT_NFT, family, chains, &nothing);
		ipt_decode(have, &x->arena, VARIANT_NFT, family, buf_text(&text));
	}
}

static bool knows(const struct admission *admission, const struct connection *c)
{
	static const struct flows nothing;
	const struct revocation r = {.flows = &nothing, .earlier = admission};

	return revocation_concerns(&r, c);
}

static void assert_same_answers(const struct admission *a, const struct admission *b,
				struct connection c, struct traffic match)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
	const uint16_t ports[] = {match.low, match.high, (uint16_t)(match.low - 1),
				  (uint16_t)(match.high + 1)};

	for (size_t i = 0; i < COUNT_OF(protocols); i++)
		for (size_t k = 0; k < COUNT_OF(ports); k++) {
			c.proto = protocols[i];
			c.dport = ports[k];
			if (ip_equal(c.dst, c.answers))
				c.answers_port = c.dport;
			assert_int_equal(knows(a, &c), knows(b, &c));
		}
}

/* Asked at the corners of every flow, and one step beyond them. */
static uint32_t compare_pair(const struct admission *meant, const struct admission *read,
			     struct prefix src, struct prefix dst, struct traffic match)
{
	const struct ip sources[] = {prefix_first(src), prefix_last(src),
				     ip_plus(prefix_last(src), 1)};

	for (size_t i = 0; i < COUNT_OF(sources); i++)
		assert_same_answers(
			meant, read,
			(struct connection){.src = sources[i], .dst = dst.ip, .answers = dst.ip},
			match);
	return 1;
}

static uint32_t compare(const struct flows *flows, const struct admission *meant,
			const struct admission *read)
{
	uint32_t n = 0;

	list_each (g, &flows->grants)
		for (uint32_t s = 0; s < g->from->n; s++)
			for (uint32_t d = 0; d < g->to->n; d++)
				for (uint32_t m = 0; m < g->n_matches; m++)
					n += compare_pair(meant, read, g->from->items[s].net,
							  g->to->items[d].net, g->matches[m]);
	list_each (t, &flows->translations) {
		const struct ip sources[] = {ip("10.1.2.3"), ip("192.0.2.2"), prefix_first(t->from),
					     prefix_last(t->from),
					     ip_plus(prefix_last(t->from), 1)};
		uint16_t port = t->to_port ? t->to_port : t->match.low;

		for (size_t i = 0; i < COUNT_OF(sources); i++)
			assert_same_answers(meant, read,
					    (struct connection){.src = sources[i],
								.dst = ip("192.0.2.1"),
								.answers = t->to,
								.answers_port = port},
					    t->match);
	}
	return n + flows->translations.n;
}

TEST(what_rules_admit_reads_back_out_of_both_languages)
{
	uint32_t n = 0;

	for (size_t i = 0; i < COUNT_OF(files) * 2; i++) {
		enum backend backend = i % 2 ? BACKEND_IPTABLES : BACKEND_NFTABLES;
		struct example x = {0};

		load(&x, files[i / 2], backend);
		list_each (space, &x.want.spaces) {
			struct admission meant = {0}, read = {0};
			struct space stands = *space;

			if (backend == BACKEND_IPTABLES)
				save_and_read(&stands.chains, &x, &space->chains);
			admit_flows(&meant, &x.arena, space->flows);
			admit_rules(&read, &x.arena, &stands);
			n += compare(space->flows, &meant, &read);
		}
		arena_release(&x.arena);
	}
	assert_true(n > 20);
}

/* Lists, services, ranges: the rules are run as the kernel runs them. */
TEST(what_random_policies_admit_reads_back_out_of_the_rules)
{
	uint32_t n = 0;

	seed = 33;
	for (int round = 0; round < 200; round++) {
		struct scene scene;
		struct admission meant = {0}, read = {0};
		struct flows flows = {0};
		struct space space = {0};

		random_scene(&scene, round % 2);
		build(&scene);
		nft_encode_ruleset(&scene.rs, &scene.a);
		for (uint32_t i = 0; i < scene.n; i++)
			*list_add(&scene.a, &flows.grants) = scene.grants[i];
		space.ruleset = scene.rs;
		admit_flows(&meant, &scene.a, &flows);
		admit_rules(&read, &scene.a, &space);
		for (int i = 0; i < 400; i++) {
			struct ip dst = ip_v4(0x0a000000 | below(70));
			struct connection c = {.src = ip_v4(0x0a000000 | below(70)),
					       .dst = dst,
					       .answers = dst,
					       .proto = below(2) ? IPPROTO_TCP : IPPROTO_ICMP,
					       .dport = (uint16_t)(78 + below(20))};

			assert_int_equal(knows(&meant, &c), knows(&read, &c));
			n += knows(&read, &c);
		}
		arena_release(&scene.a);
	}
	assert_true(n > 5000);
}

/* --- fates --- */

static const struct peers *peers_of(struct arena *a, const char *net)
{
	struct peers *peers = arena_new(a, struct peers);

	*peers = (struct peers){.items = arena_new(a, struct peer), .n = 1, .network = NONE};
	peers->items[0] = (struct peer){prefix(net), NONE, NONE};
	return peers;
}

static void allow(struct arena *a, struct flows *flows, const char *src, const char *dst,
		  struct traffic match)
{
	struct traffic *matches = arena_new(a, struct traffic);

	*matches = match;
	*list_add(a, &flows->grants) = (struct grant){.from = peers_of(a, src),
						      .to = peers_of(a, dst),
						      .matches = matches,
						      .n_matches = 1,
						      .origin = NONE};
}

static struct connection direct(const char *src, const char *dst, uint8_t proto, uint16_t port)
{
	return (struct connection){ip(src), ip(dst), proto, port, ip(dst), port, 0, 0};
}

enum { ADMITTED_MARK = 0x2000000, BETWEEN_MARK = 0x3000000, MUTED = 0x1234 };

/* What the rules say now, and what they said. */
struct change {
	struct flows now, earlier;
	bool mutes, blind;
};

static enum fate fate(struct arena *a, const struct change *change, struct connection c)
{
	struct admission earlier = {0}, now = {0};
	const struct revocation r = {.flows = &change->now,
				     .now = &now,
				     .earlier = &earlier,
				     .blind = change->blind,
				     .mutes = change->mutes,
				     .admitted = ADMITTED_MARK,
				     .between = BETWEEN_MARK,
				     .muted = MUTED};

	admit_flows(&earlier, a, &change->earlier);
	admit_flows(&now, a, &change->now);
	return revocation_concerns(&r, &c) ? revocation_fate(&r, &c) : FATE_LIVES;
}

TEST(only_what_rules_that_went_admitted_ends_whatever_the_mark_says)
{
	AUTO_RELEASE struct arena a = {0};
	struct change r = {.mutes = true};
	struct connection foreign = direct("192.0.2.2", "172.18.1.9", IPPROTO_TCP, 80);
	struct connection gone = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct connection stays = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 81);

	*list_add(&a, &r.now.bound) = (struct bound_subnet){.subnet = prefix("172.18.1.0/24")};
	*list_add(&a, &r.now.homes) = (struct bound_subnet){.subnet = prefix("172.18.1.0/24")};
	allow(&a, &r.earlier, "192.0.2.0/24", "172.18.1.2/32",
	      (struct traffic){IPPROTO_TCP, 80, 90});
	allow(&a, &r.now, "192.0.2.2/32", "172.18.1.2/32", (struct traffic){IPPROTO_TCP, 81, 81});
	foreign.mark = ADMITTED_MARK;
	assert_int_equal(fate(&a, &r, foreign), FATE_LIVES);
	assert_int_equal(fate(&a, &r, stays), FATE_LIVES);
	assert_int_equal(fate(&a, &r, gone), FATE_MUTED); /* without any mark, too */
	gone.mark = MUTED;
	assert_int_equal(fate(&a, &r, gone), FATE_LIVES); /* it is so already */
	gone.mark = ADMITTED_MARK;
	r.mutes = false;
	assert_int_equal(fate(&a, &r, gone), FATE_ENDS);
}

/* An entry does not say which one its connection came in by. */
TEST(a_connection_ends_unless_each_interface_that_let_it_in_still_does)
{
	static const struct {
		const char *earlier[2], *now[2];
		enum fate fate;
	} cases[] = {
		{{"eth0"}, {"eth0"}, FATE_LIVES},
		{{"eth0"}, {"eth1"}, FATE_MUTED},
		{{"eth0"}, {"eth1", "eth0"}, FATE_LIVES},
		{{"eth0", "eth1"}, {"eth1"}, FATE_MUTED},
		{{"eth0"}, {""}, FATE_LIVES}, /* "": whatever the interface */
		{{""}, {"eth0"}, FATE_MUTED},
		{{"eth0"}, {NULL}, FATE_MUTED},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct change r = {.mutes = true};

		for (int k = 0; k < 2; k++) {
			const char *const named[] = {cases[i].earlier[k], cases[i].now[k]};
			struct flows *of[] = {&r.earlier, &r.now};

			for (size_t f = 0; f < COUNT_OF(of); f++) {
				if (!named[f])
					continue;
				allow(&a, of[f], "192.0.2.0/24", "172.18.1.2/32",
				      (struct traffic){IPPROTO_TCP, 80, 90});
				of[f]->grants.items[of[f]->grants.n - 1].iface =
					*named[f] ? named[f] : NULL;
			}
		}
		assert_int_equal(fate(&a, &r, direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80)),
				 cases[i].fate);
	}
}

TEST(of_icmp_what_is_of_a_type_that_no_policy_admits_any_more_ends)
{
	struct arena a = {0};
	struct change change = {0};
	struct connection ping = direct("192.0.2.9", "172.18.1.2", IPPROTO_ICMP, 0), asks = ping;

	ping.icmp_type = 8;
	asks.icmp_type = 13;
	allow(&a, &change.earlier, "192.0.2.9/32", "172.18.1.2/32",
	      (struct traffic){IPPROTO_ICMP, 0, UINT16_MAX});
	allow(&a, &change.now, "192.0.2.9/32", "172.18.1.2/32",
	      (struct traffic){IPPROTO_ICMP, 8, 8});
	assert_int_equal(fate(&a, &change, ping), FATE_LIVES);
	assert_int_equal(fate(&a, &change, asks), FATE_ENDS);
	arena_release(&a);
}

TEST(where_neither_end_can_begin_anything_the_entry_goes)
{
	AUTO_RELEASE struct arena a = {0};
	struct change r = {.mutes = true};
	struct connection c = direct("172.18.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct bound_subnet *callers;

	allow(&a, &r.earlier, "0.0.0.0/0", "172.18.1.2/32", (struct traffic){IPPROTO_TCP, 80, 80});
	*list_add(&a, &r.now.homes) = (struct bound_subnet){.subnet = prefix("172.18.1.0/24")};
	callers = list_add(&a, &r.now.homes);
	*callers = (struct bound_subnet){.subnet = prefix("172.18.2.0/24")};
	assert_int_equal(fate(&a, &r, c), FATE_ENDS);
	callers->open = true; /* gateway mode routed: the server may begin something there */
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
	assert_int_equal(fate(&a, &r, direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80)),
			 FATE_MUTED);
}

TEST(datagrams_that_a_translation_leads_elsewhere_are_translated_anew)
{
	AUTO_RELEASE struct arena a = {0};
	struct change r = {.mutes = true};
	struct translation t = {.iface = "ext0",
				.match = {IPPROTO_UDP, 53, 53},
				.to = ip("172.18.1.2"),
				.origin = NONE};
	struct connection c = {
		ip("192.0.2.2"), ip("192.0.2.1"), IPPROTO_UDP, 53, ip("172.18.1.2"), 53, 0, 0};

	*list_add(&a, &r.earlier.translations) = t;
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
	t.to = ip("172.18.1.3");
	*list_add(&a, &r.now.translations) = t;
	assert_int_equal(fate(&a, &r, c), FATE_ENDS);
	c.proto = IPPROTO_TCP; /* its next packet would be no beginning */
	r.earlier.translations.items[0].match.proto = IPPROTO_TCP;
	r.now.translations.items[0].match.proto = IPPROTO_TCP;
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
}

TEST(datagrams_that_went_untranslated_are_translated_once_a_translation_comes)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows flows = {0};
	const struct admission nothing = {0};
	const struct ip own = ip("192.0.2.1");
	struct revocation r = {.flows = &flows,
			       .now = &nothing,
			       .earlier = &nothing,
			       .mutes = true,
			       .translates = true,
			       .own = &own,
			       .n_own = 1};
	struct connection c = direct("192.0.2.2", "192.0.2.1", IPPROTO_UDP, 53);

	*list_add(&a, &flows.translations) = (struct translation){.iface = "ext0",
								  .match = {IPPROTO_UDP, 53, 53},
								  .to = ip("172.18.1.2"),
								  .origin = NONE};
	assert_true(revocation_concerns(&r, &c));
	assert_int_equal(revocation_fate(&r, &c), FATE_ENDS);
	c.dport = 54;
	assert_false(revocation_concerns(&r, &c));
	c = direct("192.0.2.2", "192.0.2.9", IPPROTO_UDP, 53); /* to somebody else */
	assert_false(revocation_concerns(&r, &c));
	c = direct("192.0.2.2", "192.0.2.1", IPPROTO_UDP, 53);
	c.answers = ip("172.18.1.3"); /* somebody else's translation */
	assert_false(revocation_concerns(&r, &c));
	flows.translations.items[0].match.proto = IPPROTO_TCP;
	c = direct("192.0.2.2", "192.0.2.1", IPPROTO_TCP, 53); /* the host's own */
	assert_false(revocation_concerns(&r, &c));
	r.translates = false;
	flows.translations.items[0].match.proto = IPPROTO_UDP;
	assert_false(revocation_concerns(
		&r, &(struct connection){ip("192.0.2.2"), own, IPPROTO_UDP, 53, own, 53, 0, 0}));
}

TEST(where_nobody_knows_what_stood_the_mark_says_it_but_not_of_what_leads_elsewhere)
{
	AUTO_RELEASE struct arena a = {0};
	struct change r = {.mutes = true, .blind = true};
	struct connection in = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct connection out = direct("172.18.1.2", "192.0.2.2", IPPROTO_TCP, 443);

	*list_add(&a, &r.now.bound) = (struct bound_subnet){.subnet = prefix("172.18.1.0/24")};
	assert_int_equal(fate(&a, &r, in), FATE_LIVES);
	in.mark = out.mark = ADMITTED_MARK;
	assert_int_equal(fate(&a, &r, in), FATE_MUTED);
	assert_int_equal(fate(&a, &r, out), FATE_LIVES);
	in.mark = UINT32_MAX; /* a whole word of somebody's */
	assert_int_equal(fate(&a, &r, in), FATE_LIVES);
	in.mark = BETWEEN_MARK; /* of what comes from outside, which never bears it */
	assert_int_equal(fate(&a, &r, in), FATE_LIVES);
	*list_add(&a, &r.now.homes) = (struct bound_subnet){.subnet = prefix("172.18.1.0/24")};
	*list_add(&a, &r.now.homes) = (struct bound_subnet){.subnet = prefix("172.18.2.0/24")};
	in = direct("172.18.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	in.mark = BETWEEN_MARK;
	assert_int_equal(fate(&a, &r, in), FATE_ENDS);
}

/* 172.18.1.0/24 is denied what no policy says; its container .2 may ask 192.0.2.2 and port 80 of
 * this host. */
static enum fate fate_denied(struct connection c, bool denied)
{
	AUTO_RELEASE struct arena a = {0};
	const struct ip own[] = {ip("172.18.1.1"), ip("192.0.2.1")};
	const struct traffic every = {0, 0, UINT16_MAX}, web = {IPPROTO_TCP, 80, 80};
	struct flows now = {0}, lifts = {0};
	struct admission none = {0}, lifted = {0};
	struct denied *d = list_add(&a, &now.denied);
	struct revocation r = {.flows = &now,
			       .now = &none,
			       .earlier = &none,
			       .mutes = true,
			       .muted = MUTED,
			       .lifted = denied ? &lifted : NULL,
			       .own = own,
			       .n_own = COUNT_OF(own)};

	*d = (struct denied){.bridge = "br-a"};
	*list_add(&a, &d->subnets) = prefix("172.18.1.0/24");
	*list_add(&a, &now.bound) =
		(struct bound_subnet){.subnet = prefix("172.18.1.0/24"), .declared = true};
	*list_add(&a, &now.homes) = now.bound.items[0];
	allow(&a, &lifts, "172.18.1.2/32", "192.0.2.2/32", every);
	admit_grants(&lifted, &a, lifts.grants.items, lifts.grants.n);
	allow(&a, &lifts, "172.18.1.2/32", "192.0.2.2/32", web);
	*list_add(&a, &now.to_host) = lifts.grants.items[1];
	now.to_host.items[0].to = NULL;
	return revocation_concerns(&r, &c) ? revocation_fate(&r, &c) : FATE_LIVES;
}

TEST(what_egress_deny_closes_is_muted_and_what_it_does_not_any_more_begins_anew)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
		enum fate fate; /* while it is denied */
	} cases[] = {
		{"172.18.1.3", "192.0.2.2", 80, FATE_MUTED},
		{"172.18.1.2", "192.0.2.2", 80, FATE_LIVES},
		{"172.18.1.2", "192.0.2.3", 80, FATE_MUTED},
		{"172.18.1.2", "172.18.1.1", 80, FATE_LIVES},
		{"172.18.1.2", "172.18.1.1", 22, FATE_MUTED},
		{"172.18.1.3", "192.0.2.1", 80, FATE_MUTED},
		{"172.18.1.3", "172.18.1.2", 80, FATE_LIVES}, /* in the network */
		{"172.18.1.1", "172.18.1.3", 80, FATE_LIVES}, /* the host's own */
		{"192.0.2.2", "172.18.1.3", 80, FATE_LIVES},  /* from outside */
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct connection c =
			direct(cases[i].src, cases[i].dst, IPPROTO_TCP, cases[i].port);

		assert_int_equal(fate_denied(c, true), cases[i].fate);
		assert_int_equal(fate_denied(c, false), FATE_LIVES);
		c.mark = MUTED;
		assert_int_equal(fate_denied(c, true) == FATE_ENDS,
				 (cases[i].fate == FATE_LIVES && i < 6 && i != 3) || i == 7);
	}
}

/*
 * 172.18.1.0/24 is strict: .2 may ask .3 for port 80, the host nobody if it is closed to it. Its
 * program at port 8080 serves what a container publishes.
 */
static enum fate fate_strict(struct connection c, bool closed_to_host)
{
	AUTO_RELEASE struct arena a = {0};
	const struct ip own[] = {ip("172.18.1.1"), ip("192.0.2.1")};
	const struct traffic web = {IPPROTO_TCP, 80, 80};
	struct flows now = {0};
	struct admission none = {0}, admitted = {0};
	struct sealed *sealed = list_add(&a, &now.sealed);
	struct revocation r = {.flows = &now,
			       .now = &admitted,
			       .earlier = &none,
			       .mutes = true,
			       .muted = MUTED,
			       .own = own,
			       .n_own = COUNT_OF(own)};

	*sealed = (struct sealed){.bridge = "br-a", .closed_to_host = closed_to_host};
	*list_add(&a, &sealed->subnets) = prefix("172.18.1.0/24");
	*list_add(&a, &sealed->published) = (struct published){8080, IPPROTO_TCP};
	*list_add(&a, &now.bound) =
		(struct bound_subnet){.subnet = prefix("172.18.1.0/24"), .declared = true};
	*list_add(&a, &now.homes) = now.bound.items[0];
	allow(&a, &now, "172.18.1.2/32", "172.18.1.3/32", web);
	admit_grants(&admitted, &a, now.grants.items, now.grants.n);
	return revocation_concerns(&r, &c) ? revocation_fate(&r, &c) : FATE_LIVES;
}

TEST(what_no_policy_leads_into_a_strict_network_is_muted)
{
	static const struct {
		const char *src, *dst;
		uint16_t port;
		enum fate fate, closed; /* closed: to the host, too */
	} cases[] = {
		{"172.18.1.2", "172.18.1.3", 80, FATE_LIVES, FATE_LIVES},
		{"172.18.1.2", "172.18.1.3", 81, FATE_MUTED, FATE_MUTED},
		{"172.18.1.3", "172.18.1.2", 80, FATE_MUTED, FATE_MUTED},
		{"192.0.2.2", "172.18.1.3", 80, FATE_MUTED, FATE_MUTED},
		{"172.18.1.3", "192.0.2.2", 80, FATE_LIVES, FATE_LIVES},
		{"172.18.1.1", "172.18.1.3", 22, FATE_LIVES, FATE_MUTED},
		{"172.18.1.3", "172.18.1.1", 22, FATE_LIVES, FATE_LIVES},
		{"172.18.1.3", "172.18.1.1", 8080, FATE_MUTED, FATE_MUTED},
		{"192.0.2.2", "192.0.2.1", 8080, FATE_MUTED, FATE_MUTED},
		{"172.18.1.1", "192.0.2.1", 8080, FATE_LIVES, FATE_LIVES},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct connection c =
			direct(cases[i].src, cases[i].dst, IPPROTO_TCP, cases[i].port);

		assert_int_equal(fate_strict(c, false), cases[i].fate);
		assert_int_equal(fate_strict(c, true), cases[i].closed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_policy_leads_into_a_strict_network_is_muted),
		cmocka_unit_test(what_rules_admit_reads_back_out_of_both_languages),
		cmocka_unit_test(what_random_policies_admit_reads_back_out_of_the_rules),
		cmocka_unit_test(only_what_rules_that_went_admitted_ends_whatever_the_mark_says),
		cmocka_unit_test(a_connection_ends_unless_each_interface_that_let_it_in_still_does),
		cmocka_unit_test(of_icmp_what_is_of_a_type_that_no_policy_admits_any_more_ends),
		cmocka_unit_test(where_neither_end_can_begin_anything_the_entry_goes),
		cmocka_unit_test(datagrams_that_a_translation_leads_elsewhere_are_translated_anew),
		cmocka_unit_test(
			datagrams_that_went_untranslated_are_translated_once_a_translation_comes),
		cmocka_unit_test(
			where_nobody_knows_what_stood_the_mark_says_it_but_not_of_what_leads_elsewhere),
		cmocka_unit_test(
			what_egress_deny_closes_is_muted_and_what_it_does_not_any_more_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
