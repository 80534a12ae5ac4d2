/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is understood of Docker's own nf_tables table, rule by rule, and what is missed in it. */
#include "core/foreign/bridges.h"
#include "core/nft/nlattr.h"
#include "unit/test.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

enum { MARK = 0x2000000 };

/* --- rules, as the kernel tells them --- */

struct writer {
	struct buf bytes;
	size_t element, data;
};

static void begin(struct writer *w, const char *expr)
{
	w->element = nla_begin(&w->bytes, NFTA_LIST_ELEM);
	nla_text(&w->bytes, NFTA_EXPR_NAME, expr);
	w->data = nla_begin(&w->bytes, NFTA_EXPR_DATA);
}

static void end(struct writer *w)
{
	nla_end(&w->bytes, w->data);
	nla_end(&w->bytes, w->element);
}

static void meta(struct writer *w, uint32_t key)
{
	begin(w, "meta");
	nla_be32(&w->bytes, NFTA_META_KEY, key);
	end(w);
}

static void compare(struct writer *w, uint32_t op, const void *value, size_t len)
{
	size_t data;

	begin(w, "cmp");
	nla_be32(&w->bytes, NFTA_CMP_OP, op);
	data = nla_begin(&w->bytes, NFTA_CMP_DATA);
	nla_bytes(&w->bytes, NFTA_DATA_VALUE, value, len);
	nla_end(&w->bytes, data);
	end(w);
}

static void interface(struct writer *w, uint32_t key, uint32_t op, const char *name)
{
	char text[IFNAMSIZ] = "";

	strncpy(text, name, sizeof(text) - 1);
	meta(w, key);
	compare(w, op, text, sizeof(text));
}

static void masked(struct writer *w, uint32_t mask)
{
	size_t data;

	begin(w, "bitwise");
	data = nla_begin(&w->bytes, NFTA_BITWISE_MASK);
	nla_bytes(&w->bytes, NFTA_DATA_VALUE, &mask, sizeof(mask));
	nla_end(&w->bytes, data);
	end(w);
}

static void mark_is(struct writer *w, uint32_t mask, uint32_t value)
{
	meta(w, NFT_META_MARK);
	if (mask != UINT32_MAX)
		masked(w, mask);
	compare(w, NFT_CMP_EQ, &value, sizeof(value));
}

static void daddr6(struct writer *w, const char *text)
{
	struct ip ip = {0};

	assert_true(ip_parse(&ip, text));
	begin(w, "payload");
	nla_be32(&w->bytes, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nla_be32(&w->bytes, NFTA_PAYLOAD_OFFSET, 24);
	nla_be32(&w->bytes, NFTA_PAYLOAD_LEN, 16);
	end(w);
	compare(w, NFT_CMP_EQ, ip.bytes, 16);
}

static void daddr(struct writer *w, uint8_t first)
{
	const uint8_t ip[] = {first, 18, 103, 2};

	begin(w, "payload");
	nla_be32(&w->bytes, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
	nla_be32(&w->bytes, NFTA_PAYLOAD_OFFSET, 16);
	nla_be32(&w->bytes, NFTA_PAYLOAD_LEN, 4);
	end(w);
	compare(w, NFT_CMP_EQ, ip, sizeof(ip));
}

static void lookup(struct writer *w, const char *set, bool inverted, bool verdict)
{
	begin(w, "lookup");
	nla_text(&w->bytes, NFTA_LOOKUP_SET, set);
	if (verdict)
		nla_be32(&w->bytes, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	nla_be32(&w->bytes, NFTA_LOOKUP_FLAGS, inverted ? NFT_LOOKUP_F_INV : 0);
	end(w);
}

static void finish(struct writer *w, struct arena *a, struct chain *chain, uint32_t verdict)
{
	struct rule *rule = list_add(a, &chain->rules);

	begin(w, "counter");
	end(w);
	if (verdict <= NF_MAX_VERDICT) {
		size_t data, words;

		begin(w, "immediate");
		data = nla_begin(&w->bytes, NFTA_IMMEDIATE_DATA);
		words = nla_begin(&w->bytes, NFTA_DATA_VERDICT);
		nla_be32(&w->bytes, NFTA_VERDICT_CODE, verdict);
		nla_end(&w->bytes, words);
		nla_end(&w->bytes, data);
		end(w);
	}
	rule->handle = chain->rules.n;
	rule->exprs_len = (uint32_t)w->bytes.len;
	rule->exprs = memcpy(arena_alloc(a, w->bytes.len), w->bytes.data, w->bytes.len);
	buf_free(&w->bytes);
	*w = (struct writer){0};
}

enum { NO_VERDICT = NF_MAX_VERDICT + 1 };

/* --- a table of two bridges: br-web, and br-vault of an internal network --- */

static struct chain *chain(struct arena *a, struct ruleset *rs, const char *name, bool base,
			   uint32_t hook)
{
	struct chain *chain = list_add(a, &rs->chains);

	*chain = (struct chain){.name = name, .type = base ? "filter" : NULL, .hook = hook};
	return chain;
}

static void map(struct arena *a, struct ruleset *rs, const char *name, const char *const to[])
{
	struct set *set = list_add(a, &rs->sets);

	*set = (struct set){.name = name,
			    .key = {FIELD_IFNAME},
			    .n_key = 1,
			    .data = {FIELD_VERDICT},
			    .n_data = 1};
	for (; *to; to++) {
		struct verdict verdict = verdict_to(false, *to);
		uint8_t *at = set_add_read(set, a);

		set_note_verdict(set, a, verdict);
		memset(at, 0, IFNAMSIZ);
		memcpy(at, strstr(*to, "__") + 2, strlen(strstr(*to, "__") + 2));
		memcpy(at + IFNAMSIZ, &verdict.id, sizeof(verdict.id));
	}
	set_finish(set, a);
}

#define WEB_IN	  "filter-forward-in__br-web"
#define VAULT_IN  "filter-forward-in__br-vault"
#define VAULT_OUT "filter-forward-out__br-vault"

static struct ruleset docker(struct arena *a)
{
	static const char *const in[] = {WEB_IN, VAULT_IN, NULL};
	static const char *const out[] = {"filter-forward-out__br-web", VAULT_OUT, NULL};
	struct ruleset rs = {.exists = true, .handle = 7};
	struct writer w = {0};
	struct chain *c;

	map(a, &rs, "filter-forward-in-jumps", in);
	map(a, &rs, "filter-forward-out-jumps", out);
	c = chain(a, &rs, "filter-FORWARD", true, NF_INET_FORWARD);
	meta(&w, NFT_META_OIFNAME);
	lookup(&w, "filter-forward-in-jumps", false, true);
	finish(&w, a, c, NO_VERDICT);
	meta(&w, NFT_META_IIFNAME);
	lookup(&w, "filter-forward-out-jumps", false, true);
	finish(&w, a, c, NO_VERDICT);

	c = chain(a, &rs, "raw-PREROUTING", true, NF_INET_PRE_ROUTING);
	daddr(&w, 172);
	interface(&w, NFT_META_IIFNAME, NFT_CMP_NEQ, "br-web");
	finish(&w, a, c, NF_DROP);

	c = chain(a, &rs, WEB_IN, false, 0);
	mark_is(&w, MARK, MARK);
	finish(&w, a, c, NF_ACCEPT);
	interface(&w, NFT_META_IIFNAME, NFT_CMP_EQ, "br-web");
	finish(&w, a, c, NF_ACCEPT);
	finish(&w, a, c, NF_DROP);
	finish(&w, a, chain(a, &rs, "filter-forward-out__br-web", false, 0), NF_ACCEPT);

	c = chain(a, &rs, VAULT_IN, false, 0);
	interface(&w, NFT_META_IIFNAME, NFT_CMP_NEQ, "br-vault");
	finish(&w, a, c, NF_DROP);
	finish(&w, a, c, NF_ACCEPT);
	c = chain(a, &rs, VAULT_OUT, false, 0);
	interface(&w, NFT_META_OIFNAME, NFT_CMP_NEQ, "br-vault");
	finish(&w, a, c, NF_DROP);
	return rs;
}

static struct bridges_view look(struct arena *a, const struct ruleset *table)
{
	struct bridges_view view;

	bridges_view(&view, a, table, MARK);
	return view;
}

static struct chain *find(struct ruleset *rs, const char *name)
{
	return ruleset_find_chain(rs, name);
}

/* --- what stands --- */

TEST(a_table_that_is_whole_lacks_nothing)
{
	AUTO_RELEASE struct arena a = {0};
	const struct ruleset table = docker(&a);
	const struct bridges_view view = look(&a, &table);

	assert_true(view.exists && view.in && view.out && view.drops_direct && view.written);
	assert_int_equal(view.bridges.n, 2);
	assert_null(bridges_lack(&view, &a, "br-web", false));
	assert_null(bridges_lack(&view, &a, "br-vault", true));
	assert_non_null(bridges_lack(&view, &a, "br-unknown", false));
}

TEST(an_internal_network_takes_no_mark_and_does_not_count_against_the_others)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	struct bridges_view view = look(&a, &table);

	assert_true(bridges_take_mark(&view));
	assert_true(bridges_find(&view, "br-web")->takes_mark);
	assert_true(bridges_find(&view, "br-vault")->drops_foreign);
	assert_false(bridges_find(&view, "br-vault")->takes_mark);
	find(&table, WEB_IN)->rules.items[0] = find(&table, WEB_IN)->rules.items[1];
	view = look(&a, &table);
	assert_false(bridges_take_mark(&view));
}

TEST(a_mark_is_ours_if_its_rule_finds_our_bit)
{
	static const struct {
		uint32_t mask, value;
		bool takes;
	} cases[] = {{MARK, MARK, true},      {UINT32_MAX, MARK, true},
		     {0x3000000, MARK, true}, {0x6000000, 0x6000000, false},
		     {MARK, 0, false},	      {0x1000000, 0x1000000, false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct ruleset table = docker(&a);
		struct writer w = {0};
		struct bridges_view view;
		struct chain other = {0};

		mark_is(&w, cases[i].mask, cases[i].value);
		finish(&w, &a, &other, NF_ACCEPT);
		find(&table, WEB_IN)->rules.items[0] = other.rules.items[0];
		view = look(&a, &table);
		assert_int_equal(bridges_find(&view, "br-web")->takes_mark, cases[i].takes);
	}
}

TEST(direct_access_is_dropped_by_one_interface_or_several_and_not_by_a_loopback_rule)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	struct chain *raw = find(&table, "raw-PREROUTING");
	struct writer w = {0};

	raw->rules.n = 0;
	assert_false(look(&a, &table).drops_direct);
	daddr(&w, 127);
	interface(&w, NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
	finish(&w, &a, raw, NF_DROP);
	assert_false(look(&a, &table).drops_direct);
	daddr(&w, 172);
	meta(&w, NFT_META_IIFNAME);
	lookup(&w, "__set0", true, false);
	finish(&w, &a, raw, NF_DROP);
	assert_true(look(&a, &table).drops_direct);
	raw->type = NULL; /* a chain that nothing leads to */
	assert_false(look(&a, &table).drops_direct);
}

TEST(direct_access_of_ipv6_is_dropped_in_the_table_of_ipv6)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	struct chain *raw = find(&table, "raw-PREROUTING");
	struct writer w = {0};

	table.family = NFPROTO_IPV6;
	raw->rules.n = 0;
	assert_false(look(&a, &table).drops_direct);
	daddr6(&w, "::1");
	interface(&w, NFT_META_IIFNAME, NFT_CMP_NEQ, "lo");
	finish(&w, &a, raw, NF_DROP);
	assert_false(look(&a, &table).drops_direct);
	daddr6(&w, "fd18:103::2");
	interface(&w, NFT_META_IIFNAME, NFT_CMP_NEQ, "br-web");
	finish(&w, &a, raw, NF_DROP);
	assert_true(look(&a, &table).drops_direct);
}

/* --- what is missing --- */

static void flush_all(struct ruleset *rs)
{
	list_each (c, &rs->chains)
		c->rules.n = 0;
}

static void flush_forward(struct ruleset *rs)
{
	find(rs, "filter-FORWARD")->rules.n = 0;
}

static void unhook_forward(struct ruleset *rs)
{
	find(rs, "filter-FORWARD")->type = NULL;
}

static void flush_map(struct ruleset *rs)
{
	ruleset_find_set(rs, "filter-forward-in-jumps")->n = 0;
}

static void flush_in(struct ruleset *rs)
{
	find(rs, WEB_IN)->rules.n = 0;
}

static void delete_drop(struct ruleset *rs)
{
	find(rs, WEB_IN)->rules.n--;
}

static void accept_before(struct ruleset *rs)
{
	find(rs, WEB_IN)->rules.items[0] = find(rs, "filter-forward-out__br-web")->rules.items[0];
}

static void flush_vault_in(struct ruleset *rs)
{
	find(rs, VAULT_IN)->rules.n = 0;
}

static void flush_vault_out(struct ruleset *rs)
{
	find(rs, VAULT_OUT)->rules.n = 0;
}

static void flush_out_map(struct ruleset *rs)
{
	ruleset_find_set(rs, "filter-forward-out-jumps")->n = 0;
}

static void delete_table(struct ruleset *rs)
{
	*rs = (struct ruleset){0};
}

static void make_dormant(struct ruleset *rs)
{
	rs->flags = NFT_TABLE_F_DORMANT;
}

static const struct loss {
	const char *name;
	void (*lose)(struct ruleset *rs);
	const char *web, *vault; /* a word of what their bridges lack; NULL: nothing */
} losses[] = {
	{"every rule", flush_all, "filter-FORWARD", "filter-FORWARD"},
	{"the first chain", flush_forward, "filter-FORWARD", "filter-FORWARD"},
	{"its hook", unhook_forward, "filter-FORWARD", "filter-FORWARD"},
	{"the map", flush_map, "filter-forward-in-jumps", "filter-forward-in-jumps"},
	{"an in-chain", flush_in, "in__br-web of table ip docker-bridges lacks its drop", NULL},
	{"the drop of an in-chain", delete_drop, "lacks its drop", NULL},
	{"by an accept before it", accept_before, "lacks its drop", NULL},
	{"an internal network's in-chain", flush_vault_in, NULL, "in__br-vault"},
	{"an internal network's out-chain", flush_vault_out, NULL, "out__br-vault"},
	{"the map of the way out", flush_out_map, NULL, "filter-forward-out-jumps"},
	{"the table", delete_table, "is not there", "is not there"},
	{"all of it, asleep", make_dormant, "dormant", "dormant"},
};

static void assert_lack(const char *said, const char *word, const char *loss)
{
	if (!word != !said || (word && !strstr(said, word)))
		fail_msg("without %s: \"%s\", not \"%s\"", loss, said ? said : "",
			 word ? word : "");
}

TEST(each_partial_loss_is_noticed_for_the_bridges_that_it_opens_and_named)
{
	for (size_t i = 0; i < COUNT_OF(losses); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct ruleset table = docker(&a);
		struct bridges_view view;

		losses[i].lose(&table);
		view = look(&a, &table);
		assert_lack(bridges_lack(&view, &a, "br-web", false), losses[i].web,
			    losses[i].name);
		assert_lack(bridges_lack(&view, &a, "br-vault", true), losses[i].vault,
			    losses[i].name);
	}
}

/* --- the engine's networks --- */

static struct engine networks(struct arena *a)
{
	struct engine e = {.up = true};
	struct engine_network *web = list_add(a, &e.networks), *vault = list_add(a, &e.networks);

	*web = (struct engine_network){.name = "web", .bridge = "br-web"};
	*vault = (struct engine_network){.name = "vault", .bridge = "br-vault", .internal = true};
	e.networks.items[0].subnet.ip.family = e.networks.items[1].subnet.ip.family = 4;
	return e;
}

static interfaces devices_of(struct arena *a, const char *first, const char *second)
{
	interfaces devices = {0};

	*list_add(a, &devices) = first;
	*list_add(a, &devices) = second;
	interfaces_sort(&devices);
	return devices;
}

TEST(what_is_open_names_the_network_and_a_bridge_that_is_gone_needs_no_rules)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	const interfaces both = devices_of(&a, "br-web", "br-vault");
	const interfaces rest = devices_of(&a, "br-vault", "eth0");
	struct engine engine = networks(&a), none = {0};
	struct bridges_view view = look(&a, &table);

	assert_null(bridges_open(&view, &a, &engine, &both));
	flush_in(&table);
	view = look(&a, &table);
	assert_non_null(strstr(bridges_open(&view, &a, &engine, &both), "network \"web\""));
	assert_null(bridges_open(&view, &a, &engine, &rest));
	/* a dockerd that is gone can't be asked: the table itself says whose chains it has */
	assert_non_null(strstr(bridges_open(&view, &a, &none, &both), "bridge \"br-web\""));
}

TEST(a_network_that_was_meant_open_lacks_no_drop)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	const interfaces both = devices_of(&a, "br-web", "br-vault");
	struct engine engine = networks(&a);
	struct bridges_view view;

	*list_add(&a, &engine.networks.items[0].options) =
		(struct pair){"com.docker.network.bridge.gateway_mode_ipv4", "nat-unprotected"};
	flush_in(&table);
	view = look(&a, &table);
	assert_null(bridges_open(&view, &a, &engine, &both));
}

/* A network of IPv4 alone has no rules in the table of IPv6; one of IPv6 alone has them only there.
 */
TEST(a_table_closes_the_networks_of_its_family)
{
	AUTO_RELEASE struct arena a = {0};
	struct ruleset table = docker(&a);
	const interfaces both = devices_of(&a, "br-web", "br-vault");
	struct engine engine = networks(&a);
	struct engine_network *web = &engine.networks.items[0];
	struct bridges_view view;
	const char *said;

	table.family = NFPROTO_IPV6;
	flush_in(&table);
	view = look(&a, &table);
	assert_null(bridges_open(&view, &a, &engine, &both));
	web->ipv6 = true;
	web->subnet = (struct prefix){0};
	said = bridges_open(&view, &a, &engine, &both);
	assert_non_null(strstr(said, "network \"web\""));
	assert_non_null(strstr(said, "table ip6 docker-bridges lacks its drop"));
	*list_add(&a, &web->options) =
		(struct pair){"com.docker.network.bridge.gateway_mode_ipv4", "nat-unprotected"};
	assert_non_null(bridges_open(&view, &a, &engine, &both));
	*list_add(&a, &web->options) =
		(struct pair){"com.docker.network.bridge.gateway_mode_ipv6", "nat-unprotected"};
	assert_null(bridges_open(&view, &a, &engine, &both));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_that_is_whole_lacks_nothing),
		cmocka_unit_test(
			an_internal_network_takes_no_mark_and_does_not_count_against_the_others),
		cmocka_unit_test(a_mark_is_ours_if_its_rule_finds_our_bit),
		cmocka_unit_test(
			direct_access_is_dropped_by_one_interface_or_several_and_not_by_a_loopback_rule),
		cmocka_unit_test(
			each_partial_loss_is_noticed_for_the_bridges_that_it_opens_and_named),
		cmocka_unit_test(
			what_is_open_names_the_network_and_a_bridge_that_is_gone_needs_no_rules),
		cmocka_unit_test(a_network_that_was_meant_open_lacks_no_drop),
		cmocka_unit_test(direct_access_of_ipv6_is_dropped_in_the_table_of_ipv6),
		cmocka_unit_test(a_table_closes_the_networks_of_its_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
