/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which live connections end when rules go, and that what rules admitted is read back out of them. */
#include "core/compile/compile.h"
#include "core/iptables/iptables.h"
#include "core/nft/nft.h"
#include "core/plan/revoke.h"
#include "unit/test.h"

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

static const char *const files[] = {"example", "every_field", "service_without_container",
				    "source_address_wins", "masquerade_of_one_port"};

struct example {
	struct arena arena;
	struct diags diags;
	struct config config;
	struct resolution resolution;
	struct engine engine;
	struct facts facts;
	struct findings findings;
	struct state want;
};

static void load(struct example *x, const char *name, enum backend backend)
{
	const char *path =
		arena_printf(&x->arena, "%s/golden/rules/%s.json", getenv("TESTS"), name);
	char text[1 << 16];
	FILE *f = fopen(path, "r");
	size_t len;

	assert_non_null(f);
	len = fread(text, 1, sizeof(text) - 1, f);
	text[len] = 0;
	fclose(f);
	x->diags.arena = &x->arena;
	x->facts = (struct facts){.variant = VARIANT_NFT,
				  .docker_user = true,
				  .docker_drops = true,
				  .ip_forward = 1,
				  .backend = backend,
				  .mark_accept = 0x2000000,
				  .mark_raw = 0x1000000};
	assert_true(config_decode(&x->config, &x->diags, &x->arena, name, text, len));
	resolve(&x->resolution, &x->diags, &x->arena, &x->config);
	compile(&x->want, &x->findings, &x->arena, &x->config, &x->resolution, &x->engine,
		&x->facts);
	list_each (space, &x->want.spaces)
		nft_encode_ruleset(&space->ruleset, &x->arena);
}

/* As iptables-save prints it. */
static void save_and_read(struct flows *flows, struct example *x, const ipt_chains *chains)
{
	AUTO_BUF struct buf text = {0};
	ipt_chains have = {0};

	ipt_print(&text, chains);
	ipt_decode(&have, &x->arena, VARIANT_NFT, buf_text(&text));
	ipt_read_flows(flows, &x->arena, &have);
}

static bool knows(struct arena *a, const struct flows *flows, const struct connection *c)
{
	const struct revocation r = {.now = flows, .earlier = flows};
	const struct admission admission = admission_of(a, flows);

	return revocation_concerns(&r, &admission, c);
}

static void assert_same_answers(struct example *x, const struct flows *a, const struct flows *b,
				struct connection c, struct traffic match)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	const uint16_t ports[] = {match.low, match.high, (uint16_t)(match.low - 1),
				  (uint16_t)(match.high + 1)};

	for (size_t i = 0; i < COUNT_OF(protocols); i++)
		for (size_t k = 0; k < COUNT_OF(ports); k++) {
			c.proto = protocols[i];
			c.dport = ports[k];
			if (ip_equal(c.dst, c.answers))
				c.answers_port = c.dport;
			assert_int_equal(knows(&x->arena, a, &c), knows(&x->arena, b, &c));
		}
}

/* Asked at the corners of every flow, and one step beyond them. */
static uint32_t compare(struct example *x, const struct flows *meant, const struct flows *read)
{
	list_each (flow, &meant->allows) {
		const struct ip sources[] = {prefix_first(flow->src), prefix_last(flow->src),
					     ip_plus(prefix_last(flow->src), 1)};

		for (size_t i = 0; i < COUNT_OF(sources); i++)
			assert_same_answers(x, meant, read,
					    (struct connection){.src = sources[i],
								.dst = flow->dst.ip,
								.answers = flow->dst.ip},
					    flow->match);
	}
	list_each (t, &meant->translations) {
		const struct ip sources[] = {ip("10.1.2.3"), ip("192.0.2.2")};
		uint16_t port = t->to_port ? t->to_port : t->match.low;

		for (size_t i = 0; i < COUNT_OF(sources); i++)
			assert_same_answers(x, meant, read,
					    (struct connection){.src = sources[i],
								.dst = ip("192.0.2.1"),
								.answers = t->to,
								.answers_port = port},
					    t->match);
	}
	return meant->allows.n + meant->translations.n;
}

TEST(what_rules_admit_reads_back_out_of_both_languages)
{
	uint32_t n = 0;

	for (size_t i = 0; i < COUNT_OF(files) * 2; i++) {
		enum backend backend = i % 2 ? BACKEND_IPTABLES : BACKEND_NFTABLES;
		struct example x = {0};

		load(&x, files[i / 2], backend);
		list_each (space, &x.want.spaces) {
			struct flows read = {0};

			if (backend == BACKEND_NFTABLES)
				nft_read_flows(&read, &x.arena, &space->ruleset);
			else
				save_and_read(&read, &x, &space->chains);
			n += compare(&x, space->flows, &read);
		}
		arena_release(&x.arena);
	}
	assert_true(n > 20);
}

/* --- fates --- */

static struct allow allow(const char *src, const char *dst, uint8_t proto, uint16_t low,
			  uint16_t high)
{
	return (struct allow){prefix(src), prefix(dst), {proto, low, high}, NONE, NONE, NONE};
}

static struct connection direct(const char *src, const char *dst, uint8_t proto, uint16_t port)
{
	return (struct connection){ip(src), ip(dst), proto, port, ip(dst), port, 0};
}

enum { ADMITTED = 0x2000000, BITS = 0x3000000, MUTED = 0x1234 };

static enum fate fate(struct arena *a, const struct revocation *r, struct connection c)
{
	const struct admission earlier = admission_of(a, r->earlier);
	const struct admission now = admission_of(a, r->now);

	return revocation_concerns(r, &earlier, &c) ? revocation_fate(r, &now, &c) : FATE_LIVES;
}

TEST(only_what_rules_that_went_admitted_ends_whatever_the_mark_says)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows earlier = {0}, now = {0};
	struct revocation r = {.now = &now,
			       .earlier = &earlier,
			       .mutes = true,
			       .admitted = ADMITTED,
			       .bits = BITS,
			       .muted = MUTED};
	struct connection foreign = direct("192.0.2.2", "172.18.1.9", IPPROTO_TCP, 80);
	struct connection gone = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct connection stays = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 81);

	*list_add(&a, &now.tied) = (struct tied){.subnet = prefix("172.18.1.0/24")};
	*list_add(&a, &now.homes) = (struct tied){.subnet = prefix("172.18.1.0/24")};
	*list_add(&a, &earlier.allows) = allow("192.0.2.0/24", "172.18.1.2/32", IPPROTO_TCP, 80, 90);
	*list_add(&a, &now.allows) = allow("192.0.2.2/32", "172.18.1.2/32", IPPROTO_TCP, 81, 81);
	foreign.mark = ADMITTED;
	assert_int_equal(fate(&a, &r, foreign), FATE_LIVES);
	assert_int_equal(fate(&a, &r, stays), FATE_LIVES);
	assert_int_equal(fate(&a, &r, gone), FATE_MUTED); /* without any mark, too */
	gone.mark = MUTED;
	assert_int_equal(fate(&a, &r, gone), FATE_LIVES); /* it is so already */
	gone.mark = ADMITTED;
	r.mutes = false;
	assert_int_equal(fate(&a, &r, gone), FATE_ENDS);
}

TEST(where_neither_end_can_begin_anything_the_entry_goes)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows earlier = {0}, now = {0};
	struct revocation r = {
		.now = &now, .earlier = &earlier, .mutes = true, .muted = MUTED};
	struct connection c = direct("172.18.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct tied *callers;

	*list_add(&a, &earlier.allows) = allow("0.0.0.0/0", "172.18.1.2/32", IPPROTO_TCP, 80, 80);
	*list_add(&a, &now.homes) = (struct tied){.subnet = prefix("172.18.1.0/24")};
	callers = list_add(&a, &now.homes);
	*callers = (struct tied){.subnet = prefix("172.18.2.0/24")};
	assert_int_equal(fate(&a, &r, c), FATE_ENDS);
	callers->open = true; /* gateway mode routed: the server may begin something there */
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
	assert_int_equal(fate(&a, &r, direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80)),
			 FATE_MUTED);
}

TEST(datagrams_that_a_translation_leads_elsewhere_are_translated_anew)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows earlier = {0}, now = {0};
	struct revocation r = {
		.now = &now, .earlier = &earlier, .mutes = true, .muted = MUTED};
	struct translation t = {.iface = "ext0",
				.match = {IPPROTO_UDP, 53, 53},
				.to = ip("172.18.1.2"),
				.origin = NONE};
	struct connection c = {ip("192.0.2.2"), ip("192.0.2.1"), IPPROTO_UDP, 53,
			       ip("172.18.1.2"), 53,		 0};

	*list_add(&a, &earlier.translations) = t;
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
	t.to = ip("172.18.1.3");
	*list_add(&a, &now.translations) = t;
	assert_int_equal(fate(&a, &r, c), FATE_ENDS);
	c.proto = IPPROTO_TCP; /* its next packet would be no beginning */
	earlier.translations.items[0].match.proto = IPPROTO_TCP;
	now.translations.items[0].match.proto = IPPROTO_TCP;
	assert_int_equal(fate(&a, &r, c), FATE_MUTED);
}

TEST(where_nobody_knows_what_stood_the_mark_says_it_but_not_of_what_leads_elsewhere)
{
	AUTO_RELEASE struct arena a = {0};
	struct flows nothing = {0}, now = {0};
	struct revocation r = {.now = &now,
			       .earlier = &nothing,
			       .blind = true,
			       .mutes = true,
			       .admitted = ADMITTED,
			       .bits = BITS,
			       .muted = MUTED};
	struct connection in = direct("192.0.2.2", "172.18.1.2", IPPROTO_TCP, 80);
	struct connection out = direct("172.18.1.2", "192.0.2.2", IPPROTO_TCP, 443);

	*list_add(&a, &now.tied) = (struct tied){.subnet = prefix("172.18.1.0/24")};
	assert_int_equal(fate(&a, &r, in), FATE_LIVES);
	in.mark = out.mark = ADMITTED;
	assert_int_equal(fate(&a, &r, in), FATE_MUTED);
	assert_int_equal(fate(&a, &r, out), FATE_LIVES);
	in.mark = UINT32_MAX; /* a whole word of somebody's */
	assert_int_equal(fate(&a, &r, in), FATE_LIVES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_rules_admit_reads_back_out_of_both_languages),
		cmocka_unit_test(only_what_rules_that_went_admitted_ends_whatever_the_mark_says),
		cmocka_unit_test(where_neither_end_can_begin_anything_the_entry_goes),
		cmocka_unit_test(datagrams_that_a_translation_leads_elsewhere_are_translated_anew),
		cmocka_unit_test(
			where_nobody_knows_what_stood_the_mark_says_it_but_not_of_what_leads_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
