/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What no edit takes away from a table, as far as this kernel can't be made to show it. */
#include "core/nft/nft.h"
#include "core/nft/nlattr.h"
#include "unit/test.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

enum { OF_A_LATER_KERNEL = 60 }; /* an attribute that nobody knows yet */

struct example {
	struct arena a, loose;
	struct ruleset have;
	struct buf b;
	size_t message;
};

static void begin(struct example *x, uint8_t type)
{
	buf_clear(&x->b);
	x->message = nlmsg_begin(&x->b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, 1,
				 NFPROTO_INET, 0);
	nla_text(&x->b, 1, TABLE_NAME); /* the first attribute of every object */
}

static void end(struct example *x)
{
	struct error err = {0};

	nlmsg_end(&x->b, x->message);
	assert_true(nft_decode_message(&x->have, &x->a, &x->loose, x->b.data, &err));
}

static void release(struct example *x)
{
	arena_release(&x->a);
	arena_release(&x->loose);
	buf_free(&x->b);
}

static void assert_odd(struct example *x, const char *words)
{
	static const struct ruleset want = {.exists = true};

	x->have.exists = true;
	if (!words && x->have.odd)
		fail_msg("odd: %s", x->have.odd);
	assert_int_equal(nft_replaces_table(&want, &x->have), words != NULL);
	if (words)
		assert_string_equal(x->have.odd, words);
	release(x);
}

static void add_table(struct example *x, uint32_t flags, uint32_t owner)
{
	begin(x, NFT_MSG_NEWTABLE);
	nla_be32(&x->b, NFTA_TABLE_FLAGS, flags);
	if (owner)
		nla_be32(&x->b, NFTA_TABLE_OWNER, owner);
	nla_be32(&x->b, OF_A_LATER_KERNEL, 1);
	end(x);
}

TEST(a_table_with_flags_is_odd)
{
	struct example plain = {0}, dormant = {0}, owned = {0}, later = {0};

	add_table(&plain, 0, 0);
	assert_odd(&plain, NULL);
	add_table(&dormant, NFT_TABLE_F_DORMANT, 0);
	assert_odd(&dormant, "the table is dormant");
	add_table(&owned, NFT_TABLE_F_OWNER, 4711);
	assert_odd(&owned, "the table belongs to the process with netlink port 4711");
	add_table(&later, 8, 0);
	assert_odd(&later, "the table has flags 0x8");
}

TEST(an_object_and_a_flowtable_are_odd)
{
	struct example object = {0}, flowtable = {0};

	begin(&object, NFT_MSG_NEWOBJ);
	nla_text(&object.b, NFTA_OBJ_NAME, "c");
	end(&object);
	assert_odd(&object, "there is an object c");
	begin(&flowtable, NFT_MSG_NEWFLOWTABLE);
	nla_text(&flowtable.b, NFTA_FLOWTABLE_NAME, "fast");
	end(&flowtable);
	assert_odd(&flowtable, "there is a flowtable fast");
}

static void add_chain(struct example *x, uint32_t flags, uint16_t device)
{
	size_t hook;

	begin(x, NFT_MSG_NEWCHAIN);
	nla_text(&x->b, NFTA_CHAIN_NAME, "forward");
	hook = nla_begin(&x->b, NFTA_CHAIN_HOOK);
	nla_be32(&x->b, NFTA_HOOK_HOOKNUM, NF_INET_FORWARD);
	nla_be32(&x->b, NFTA_HOOK_PRIORITY, 0);
	if (device)
		nla_text(&x->b, device, "eth0");
	nla_end(&x->b, hook);
	nla_be32(&x->b, NFTA_CHAIN_FLAGS, flags);
	nla_be32(&x->b, OF_A_LATER_KERNEL, 1);
	end(x);
}

TEST(a_chain_of_a_device_or_in_hardware_is_odd)
{
	struct example plain = {0}, offloaded = {0}, bound = {0}, device = {0}, devices = {0};
	static const char words[] = "chain forward is of another kind";

	add_chain(&plain, NFT_CHAIN_BASE, 0);
	assert_odd(&plain, NULL);
	add_chain(&offloaded, NFT_CHAIN_BASE | NFT_CHAIN_HW_OFFLOAD, 0);
	assert_odd(&offloaded, words);
	add_chain(&bound, NFT_CHAIN_BINDING, 0);
	assert_odd(&bound, words);
	add_chain(&device, NFT_CHAIN_BASE, NFTA_HOOK_DEV);
	assert_odd(&device, words);
	add_chain(&devices, NFT_CHAIN_BASE, NFTA_HOOK_DEVS);
	assert_odd(&devices, words);
}

static void add_set(struct example *x)
{
	begin(x, NFT_MSG_NEWSET);
	nla_text(&x->b, NFTA_SET_NAME, "s");
	nla_be32(&x->b, NFTA_SET_FLAGS, 0);
	nla_be32(&x->b, NFTA_SET_KEY_TYPE, field_types[FIELD_IP4].id);
	nla_be32(&x->b, NFTA_SET_KEY_LEN, 4);
	nla_be32(&x->b, OF_A_LATER_KERNEL, 1);
	end(x);
}

static void add_element(struct example *x, uint16_t type)
{
	size_t list, element, key;

	begin(x, NFT_MSG_NEWSETELEM);
	nla_text(&x->b, NFTA_SET_ELEM_LIST_SET, "s");
	list = nla_begin(&x->b, NFTA_SET_ELEM_LIST_ELEMENTS);
	element = nla_begin(&x->b, NFTA_LIST_ELEM);
	key = nla_begin(&x->b, NFTA_SET_ELEM_KEY);
	nla_be32(&x->b, NFTA_DATA_VALUE, 0x0a000001);
	nla_end(&x->b, key);
	nla_be64(&x->b, type, 1000);
	nla_end(&x->b, element);
	nla_end(&x->b, list);
	end(x);
}

TEST(an_element_that_lasts_for_a_time_or_does_something_is_odd)
{
	static const uint16_t types[] = {NFTA_SET_ELEM_TIMEOUT, NFTA_SET_ELEM_EXPIRATION,
					 NFTA_SET_ELEM_OBJREF, NFTA_SET_ELEM_EXPR,
					 NFTA_SET_ELEM_EXPRESSIONS};

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct example x = {0};

		add_set(&x);
		add_element(&x, types[i]);
		assert_odd(&x, "set s has an element of another kind");
	}
}

TEST(what_a_later_kernel_says_of_an_element_or_an_expression_is_not_odd)
{
	struct example x = {0};
	struct rule want = {.family = 0}, have = {0};
	static const struct term term = {.kind = TERM_MASQUERADE};
	struct ruleset rs = {0};
	struct chain *chain;
	size_t element, data;

	add_set(&x);
	add_element(&x, NFTA_SET_ELEM_USERDATA);
	add_element(&x, OF_A_LATER_KERNEL);
	assert_null(x.have.odd);
	chain = list_add(&x.a, &rs.chains);
	*list_add(&x.a, &want.terms) = term;
	*list_add(&x.a, &chain->rules) = want;
	nft_encode_ruleset(&rs, &x.a);
	for (uint16_t type = NFTA_MASQ_FLAGS; type <= OF_A_LATER_KERNEL; type++) {
		buf_clear(&x.b);
		element = nla_begin(&x.b, NFTA_LIST_ELEM);
		nla_text(&x.b, NFTA_EXPR_NAME, "masq");
		data = nla_begin(&x.b, NFTA_EXPR_DATA);
		nla_be32(&x.b, type, 1);
		nla_end(&x.b, data);
		nla_end(&x.b, element);
		have.exprs = x.b.data;
		have.exprs_len = (uint32_t)x.b.len;
		assert_int_equal(nft_same_rule(&chain->rules.items[0], &have),
				 type > NFTA_MASQ_MAX);
	}
	release(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_with_flags_is_odd),
		cmocka_unit_test(an_object_and_a_flowtable_are_odd),
		cmocka_unit_test(a_chain_of_a_device_or_in_hardware_is_odd),
		cmocka_unit_test(an_element_that_lasts_for_a_time_or_does_something_is_odd),
		cmocka_unit_test(
			what_a_later_kernel_says_of_an_element_or_an_expression_is_not_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
