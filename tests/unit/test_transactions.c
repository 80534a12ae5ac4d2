/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Transactions and this kernel, in a network namespace of their own. */
#include "core/nft/message.h"
#include "core/nft/nlattr.h"
#include "core/ruleset/ruleset.h"
#include "edge/firewall/nft.h"
#include "edge/netlink/netlink.h"
#include "unit/scene.h"
#include "unit/test.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum { MANY = 20000 };

struct example {
	struct arena arena;
	struct ns ns;
	struct nft_batch batch;
	struct error err;
};

static struct example begin(void)
{
	struct example x = {.ns = NS_INIT};

	assert_true(ns_open_host(&x.ns, &x.err));
	nft_batch_begin(&x.batch, &x.arena, 1);
	nft_add_table(&x.batch, &x.arena);
	return x;
}

static bool commit(struct example *x, uint32_t *origin)
{
	bool ok;

	nft_batch_end(&x->batch, &x->arena);
	ok = fw_nft_commit(&x->ns, &x->batch, origin, &x->err);
	buf_free(&x->batch.bytes);
	return ok;
}

static bool table_stands(struct example *x)
{
	struct ruleset have;
	struct error err = {0};

	assert_true(fw_nft_read(&have, &x->arena, &x->ns, NULL, &err));
	return have.exists;
}

/* The next one has to pass by the same socket; it leaves nothing. */
static void end(struct example *x)
{
	struct nft_batch batch = {0};
	uint32_t origin;

	x->err = (struct error){0};
	nft_batch_begin(&batch, &x->arena, 1);
	nft_add_table(&batch, &x->arena);
	nft_delete_table(&batch, &x->arena);
	nft_batch_end(&batch, &x->arena);
	assert_true(fw_nft_commit(&x->ns, &batch, &origin, &x->err));
	assert_false(table_stands(x));
	buf_free(&batch.bytes);
	ns_close(&x->ns);
	arena_release(&x->arena);
}

static void send_set(struct example *x, struct set *set, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		memcpy(set_add(set, &x->arena, i), &i, sizeof(i));
	set_finish(set, &x->arena);
	set->size = n;
	nft_add_set(&x->batch, &x->arena, set, 1);
	nft_add_elements(&x->batch, &x->arena, set, NULL);
}

static void send_rule(struct example *x, const char *chain, uint32_t origin)
{
	const struct chain in = {.name = chain};
	const struct rule rule = {.origin = origin};

	nft_add_rule(&x->batch, &x->arena, &in, &rule, NFT_AT_END);
}

static void send_chain(struct example *x)
{
	const struct chain chain = {.name = "there"};

	nft_add_chain(&x->batch, &x->arena, &chain);
}

TEST(what_is_taken_stands)
{
	struct set set = {.name = "s", .n_key = 1};
	struct example x = begin();
	struct ruleset have;
	uint32_t origin;

	send_chain(&x);
	send_rule(&x, "there", 7);
	send_set(&x, &set, MANY);
	assert_true(commit(&x, &origin));
	assert_int_equal(origin, NONE);
	assert_true(fw_nft_read(&have, &x.arena, &x.ns, NULL, &x.err));
	assert_int_equal(have.chains.items[0].rules.n, 1);
	assert_int_equal(have.sets.items[0].n, MANY);
	end(&x);
}

TEST(of_what_is_refused_nothing_stands_and_the_first_is_named)
{
	static const char *const chains[][3] = {{"there", "absent", "there"},
						{"absent", "there", "absent"},
						{"there", "there", "absent"}};
	static const uint32_t first[] = {8, 7, 9};

	for (size_t i = 0; i < COUNT_OF(first); i++) {
		struct example x = begin();
		uint32_t origin;

		send_chain(&x);
		for (uint32_t rule = 0; rule < 3; rule++)
			send_rule(&x, chains[i][rule], 7 + rule);
		assert_false(commit(&x, &origin));
		assert_int_equal(origin, first[i]);
		assert_int_equal(x.err.code, ENOENT);
		assert_false(table_stands(&x));
		end(&x);
	}
}

static bool give_up(void *context UNUSED, const struct nlmsghdr *message UNUSED, struct error *err)
{
	return error_set(err, ECANCELED, "that is enough");
}

TEST(a_dump_that_is_given_up_is_not_in_the_way_of_the_next)
{
	struct set set = {.name = "s", .n_key = 1};
	struct example x = begin();
	struct error given_up = {0};
	struct buf request = {0};
	struct ruleset have;
	uint32_t origin;
	size_t message;

	send_set(&x, &set, MANY);
	assert_true(commit(&x, &origin));
	message = nlmsg_begin(&request, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM,
			      NLM_F_REQUEST | NLM_F_DUMP, 1, NFPROTO_INET, 0);
	nla_text(&request, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	nla_text(&request, NFTA_SET_ELEM_LIST_SET, set.name);
	nlmsg_end(&request, message);
	assert_false(
		netlink_dump(x.ns.nf_fd, request.data, request.len, 1, give_up, NULL, &given_up));
	assert_int_equal(given_up.code, ECANCELED);
	assert_true(fw_nft_read(&have, &x.arena, &x.ns, NULL, &x.err));
	assert_int_equal(have.sets.items[0].n, MANY);
	buf_free(&request);
	end(&x);
}

static bool take_any(void *context UNUSED, const struct nlmsghdr *message UNUSED,
		     struct error *err UNUSED)
{
	return true;
}

/* A dump of a routing table that is not there: the kernel says so in the message that ends it. */
TEST(an_error_in_the_last_message_of_a_dump_is_none_that_ended_well)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg body;
		struct rtattr attr;
		uint32_t table;
	} request = {.header = {.nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_GETROUTE,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = 1},
		     .body.rtm_family = AF_INET,
		     .attr = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = RTA_TABLE},
		     .table = 4711};
	struct example x = begin();
	struct error err = {0};

	assert_false(
		netlink_dump(x.ns.route_fd, &request, sizeof(request), 1, take_any, NULL, &err));
	assert_int_equal(err.code, ENOENT);
	assert_non_null(strstr(err.text, "table does not exist"));
	buf_free(&x.batch.bytes);
	ns_close(&x.ns);
	arena_release(&x.arena);
}

static bool counts(void *n, const struct nlmsghdr *message UNUSED)
{
	++*(uint32_t *)n;
	return false;
}

TEST(a_listener_that_is_flooded_is_left_for_what_else_there_is)
{
	static const int groups[] = {NFNLGRP_NFTABLES, 0};
	struct example x = begin();
	int ear = netlink_listen(NETLINK_NETFILTER, groups, &x.err);
	uint32_t n = 0, origin;

	assert_true(ear >= 0);
	buf_free(&x.batch.bytes);
	for (int i = 0; i < 400; i++) {
		const struct chain chain = {.name = arena_printf(&x.arena, "c%d", i)};

		nft_batch_begin(&x.batch, &x.arena, 1);
		nft_add_table(&x.batch, &x.arena);
		nft_add_chain(&x.batch, &x.arena, &chain);
		assert_true(commit(&x, &origin));
	}
	assert_int_equal(netlink_hear(ear, counts, &n), HEARD_TOO_MUCH);
	assert_true(n >= 200 && n < 800);
	netlink_forget(ear);
	assert_int_equal(netlink_hear(ear, counts, &n), HEARD_NOTHING);
	close(ear);
	end(&x);
}

static void read_back(struct example *x, struct ruleset *have)
{
	assert_true(fw_nft_read(have, &x->arena, &x->ns, NULL, &x->err));
}

/* What stands becomes what the scene wants; the next difference is empty. */
static void change_to(struct example *x, struct scene *s)
{
	struct ruleset have, after;
	struct nft_batch batch = {0}, again = {0};
	nft_changes changes = {0}, rest = {0};
	uint32_t origin;

	nft_encode_ruleset(&s->rs, &s->a);
	read_back(x, &have);
	nft_batch_begin(&batch, &x->arena, 1);
	nft_diff(&batch, &changes, &x->arena, &s->rs, &have);
	nft_batch_end(&batch, &x->arena);
	if (!fw_nft_commit(&x->ns, &batch, &origin, &x->err))
		fail_msg("refused: %s", x->err.text);
	read_back(x, &after);
	nft_batch_begin(&again, &x->arena, 1);
	nft_diff(&again, &rest, &x->arena, &s->rs, &after);
	nft_batch_end(&again, &x->arena);
	list_each (change, &rest) {
		AUTO_BUF struct buf text = {0};

		nft_print_change(&text, change, 0);
		print_message("%c %s\n", change->sign, buf_text(&text));
	}
	assert_int_equal(rest.n, 0);
	assert_true(nft_batch_is_empty(&again));
	buf_free(&batch.bytes);
	buf_free(&again.bytes);
}

TEST(random_rules_stand_as_they_are_wanted_and_become_others)
{
	struct example x = begin();
	uint32_t origin;

	seed = 41;
	assert_true(commit(&x, &origin));
	for (int round = 0; round < 300; round++) {
		struct scene s;

		random_scene(&s, round & 4);
		build(&s);
		change_to(&x, &s);
		arena_release(&s.a);
		arena_release(&x.arena);
	}
	end(&x);
}

/* A host with Docker's raw drops: pairs are looked up first, the sources of one end behind them. */
static struct ruleset raw_ruleset(struct arena *a, uint32_t pair, uint32_t source)
{
	static const char *const names[] = {"allow", "from"};
	const uint32_t numbers[] = {pair, source};
	struct ruleset rs = {.exists = true};
	struct chain *chain;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct set *set = list_add(a, &rs.sets);

		*set = (struct set){.name = names[i],
				    .role = i ? SET_SOURCES : SET_ALLOW,
				    .key = {FIELD_IP4},
				    .n_key = 1};
		if (numbers[i])
			memcpy(set_add(set, a, NONE), &numbers[i], sizeof(numbers[i]));
		set_finish(set, a);
	}
	chain = list_add(a, &rs.chains);
	*chain = (struct chain){.name = "raw", .type = "filter", .hook = NF_INET_PRE_ROUTING};
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct rule *rule = list_add(a, &chain->rules);
		struct term *term;

		*rule = (struct rule){.family = 4, .origin = NONE};
		term = list_add(a, &rule->terms);
		*term = (struct term){
			.kind = TERM_LOOKUP, .name = names[i], .loads = {LOAD_SADDR}, .n_loads = 1};
		list_add(a, &rule->terms)->kind = TERM_RETURN;
	}
	return rs;
}

/* Of a packet that is between the two look-ups when the generation changes. */
TEST(what_moves_to_an_earlier_set_is_bridged)
{
	static const struct {
		uint32_t have[2], want[2]; /* pair, source */
		bool bridged;
	} cases[] = {{{0, 7}, {7, 0}, true}, {{8, 7}, {7, 7}, false}, {{0, 7}, {7, 7}, false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena a = {0};
		struct ruleset have = raw_ruleset(&a, cases[i].have[0], cases[i].have[1]);
		struct ruleset want = raw_ruleset(&a, cases[i].want[0], cases[i].want[1]);
		struct nft_batch batch = {0}, before = {0}, behind = {0};
		nft_changes changes = {0};

		nft_batch_begin(&batch, &a, 1);
		nft_diff(&batch, &changes, &a, &want, &have);
		nft_bridge_gap(&before, &behind, &a, &want, &have, &changes);
		assert_int_equal(before.bytes.len != 0, cases[i].bridged);
		assert_int_equal(behind.bytes.len != 0, cases[i].bridged);
		if (before.bytes.data) /* the pair, by its key */
			assert_non_null(
				memmem(before.bytes.data, before.bytes.len, "\x7\0\0\0", 4));
		buf_free(&batch.bytes);
		buf_free(&before.bytes);
		buf_free(&behind.bytes);
		arena_release(&a);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_stands),
		cmocka_unit_test(of_what_is_refused_nothing_stands_and_the_first_is_named),
		cmocka_unit_test(a_dump_that_is_given_up_is_not_in_the_way_of_the_next),
		cmocka_unit_test(a_listener_that_is_flooded_is_left_for_what_else_there_is),
		cmocka_unit_test(an_error_in_the_last_message_of_a_dump_is_none_that_ended_well),
		cmocka_unit_test(what_moves_to_an_earlier_set_is_bridged),
		cmocka_unit_test(random_rules_stand_as_they_are_wanted_and_become_others),
	};

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		perror("no network namespace can be made");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
