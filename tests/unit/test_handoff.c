/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is understood of Docker's filter, in both of its languages, and what of ours stands in it.
 */
#include "core/foreign/handoff.h"
#include "core/ruleset/ruleset.h"
#include "unit/test.h"

enum { MARK = 0x2000000 };

/* --- a filter, written down once and said twice --- */

struct line {
	const char *chain, *in, *out, *jump; /* jump: a chain, DROP, ACCEPT or RETURN */
	enum { FOREIGN, TOP, BEHIND } ours;
};

struct layout {
	const char *name;
	bool drops;	       /* policy of FORWARD */
	struct line lines[12]; /* the last one has no chain */
};

static const struct layout docker20 = {
	"docker 20",
	true,
	{{"FORWARD", NULL, NULL, "DOCKER-USER", FOREIGN},
	 {"FORWARD", NULL, NULL, "DOCKER-ISOLATION-STAGE-1", FOREIGN},
	 {"FORWARD", NULL, "br-a", "DOCKER", FOREIGN},
	 {"DOCKER-USER", NULL, NULL, "ACCEPT", TOP},
	 {"DOCKER-ISOLATION-STAGE-1", "br-a", NULL, "DOCKER-ISOLATION-STAGE-2", FOREIGN},
	 {"DOCKER-ISOLATION-STAGE-1", "br-b", NULL, "DOCKER-ISOLATION-STAGE-2", FOREIGN}},
};

static const struct layout docker28 = {
	"docker 28",
	false,
	{{"FORWARD", NULL, NULL, "DOCKER-USER", FOREIGN},
	 {"FORWARD", NULL, NULL, "DOCKER-FORWARD", FOREIGN},
	 {"DOCKER-USER", "eth9", NULL, "ACCEPT", FOREIGN},
	 {"DOCKER-USER", NULL, NULL, "ACCEPT", TOP},
	 {"DOCKER", NULL, "br-a", "DROP", FOREIGN},
	 {"DOCKER", NULL, "br-b", "DROP", FOREIGN}},
};

static const char *const chains[] = {"FORWARD", "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1",
				     "DOCKER"};

static const char *const comments[] = {
	[TOP] = "harborwall: what table inet harborwall admits",
	[BEHIND] = "harborwall: what table inet harborwall admits, behind foreign rules"};

static const char *ours_as_text(struct arena *a, const struct line *line)
{
	return line->ours ? arena_printf(a,
					 " -m mark --mark 0x2000000/0x2000000 -m comment "
					 "--comment \"%s\"",
					 comments[line->ours])
			  : "";
}

static const char *as_text(struct arena *a, const struct layout *l)
{
	const char *text = arena_printf(a, "*filter\n:FORWARD %s [0:0]\n:DOCKER-USER - [0:0]\n",
					l->drops ? "DROP" : "ACCEPT");

	for (const struct line *line = l->lines; line->chain; line++)
		text = arena_printf(a, "%s-A %s%s%s%s%s%s -j %s\n", text, line->chain,
				    line->in ? " -i " : "", line->in ? line->in : "",
				    line->out ? " -o " : "", line->out ? line->out : "",
				    ours_as_text(a, line), line->jump);
	return arena_printf(a, "%sCOMMIT\n", text);
}

static void add_term(struct rule *rule, struct arena *a, struct term term)
{
	*list_add(a, &rule->terms) = term;
}

static void add_rule(struct chain *chain, struct arena *a, const struct line *line)
{
	struct rule *rule = list_add(a, &chain->rules);

	if (line->in)
		add_term(rule, a, (struct term){.kind = TERM_IIFNAME, .name = line->in});
	if (line->out)
		add_term(rule, a, (struct term){.kind = TERM_OIFNAME, .name = line->out});
	if (line->ours) {
		add_term(rule, a, (struct term){.kind = TERM_MARK_HAS, .number = MARK});
		rule->comment = comments[line->ours];
	}
	add_term(rule, a, (struct term){.kind = TERM_COUNTER});
	if (!strcmp(line->jump, "DROP"))
		add_term(rule, a, (struct term){.kind = TERM_DROP});
	else if (!strcmp(line->jump, "ACCEPT"))
		add_term(rule, a, (struct term){.kind = TERM_ACCEPT});
	else if (!strcmp(line->jump, "RETURN"))
		add_term(rule, a, (struct term){.kind = TERM_RETURN});
	else
		add_term(rule, a, (struct term){.kind = TERM_JUMP, .name = line->jump});
}

static struct ruleset as_nft(struct arena *a, const struct layout *l)
{
	struct ruleset rs = {.exists = true};

	for (size_t i = 0; i < COUNT_OF(chains); i++) {
		struct chain *chain = list_add(a, &rs.chains);

		chain->name = chains[i];
		chain->drops = !i && l->drops;
		for (const struct line *line = l->lines; line->chain; line++)
			if (!strcmp(line->chain, chain->name))
				add_rule(chain, a, line);
	}
	nft_encode_ruleset(&rs, a);
	return rs;
}

enum { AS_NFT, AS_TEXT, N_LANGUAGES };

static struct filter_view look(struct arena *a, const struct layout *l, int language)
{
	static const struct ruleset no_raw;
	struct filter_view view;
	struct ruleset rs;

	if (language == AS_TEXT) {
		handoff_view_text(&view, a, 4, as_text(a, l), NULL);
		return view;
	}
	rs = as_nft(a, l);
	handoff_view_nft(&view, a, 4, &rs, &no_raw);
	return view;
}

static struct engine two_networks(struct arena *a)
{
	struct engine e = {.up = true};

	*list_add(a, &e.networks) = (struct engine_network){.name = "a", .bridge = "br-a"};
	*list_add(a, &e.networks) = (struct engine_network){.name = "b", .bridge = "br-b"};
	return e;
}

/* --- what is seen --- */

TEST(both_languages_show_the_same_filter)
{
	for (int language = 0; language < N_LANGUAGES; language++) {
		AUTO_RELEASE struct arena a = {0};
		struct filter_view old = look(&a, &docker20, language);
		struct filter_view new = look(&a, &docker28, language);

		assert_true(old.exists && old.docker_user && old.user_first);
		assert_true(old.docker_isolation && !old.drops_by_bridge && old.forward_drop);
		assert_int_equal(old.from.n, 2);
		assert_int_equal(old.to.n, 0);
		assert_true(new.docker_isolation &&new.drops_by_bridge && !new.forward_drop);
		assert_int_equal(new.from.n, 0);
		assert_true(interfaces_have(&new.to, "br-a") && interfaces_have(&new.to, "br-b"));
	}
}

TEST(ours_is_found_with_its_bits_and_its_place)
{
	for (int language = 0; language < N_LANGUAGES; language++) {
		AUTO_RELEASE struct arena a = {0};
		struct filter_view first = look(&a, &docker20, language);
		struct filter_view second = look(&a, &docker28, language);

		assert_int_equal(first.handoffs.n, 1);
		assert_string_equal(first.handoffs.items[0].chain, "DOCKER-USER");
		assert_int_equal(first.handoffs.items[0].bits, MARK);
		assert_true(first.handoffs.items[0].in_place);
		assert_int_equal(second.handoffs.n, 1);
		assert_false(second.handoffs.items[0].in_place); /* a foreign rule is before it */
	}
}

/* T and B: ours, at the top and behind; f: somebody's rule; r: the RETURN that ends the chain. */
static struct layout user_chain(const char *rules)
{
	struct layout l = {.name = rules};

	for (size_t i = 0; rules[i]; i++)
		l.lines[i] = (struct line){"DOCKER-USER", rules[i] == 'f' ? "eth9" : NULL, NULL,
					   rules[i] == 'f'   ? "DROP"
					   : rules[i] == 'r' ? "RETURN"
							     : "ACCEPT",
					   rules[i] == 'T'   ? TOP
					   : rules[i] == 'B' ? BEHIND
							     : FOREIGN};
	return l;
}

static bool in_place(const struct filter_view *view, bool behind)
{
	list_each (h, &view->handoffs)
		if (h->behind == behind)
			return h->in_place;
	return false;
}

TEST(ours_are_in_place_at_the_top_and_behind_every_foreign_rule_that_is_reached)
{
	static const struct {
		const char *rules;
		bool top, behind;
	} cases[] = {
		{"TB", true, true},	{"TfB", true, true},   {"TfBr", true, true},
		{"TfBrf", true, true},	{"TBf", true, false},  {"TBfr", true, false},
		{"TfrB", true, false},	{"fTB", false, true},  {"rTB", false, false},
		{"BT", true, true},	{"TTfB", false, true}, {"TBB", true, false},
		{"TffBrr", true, true}, {"T", true, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (int language = 0; language < N_LANGUAGES; language++) {
			AUTO_RELEASE struct arena a = {0};
			struct layout l = user_chain(cases[i].rules);
			struct filter_view view = look(&a, &l, language);

			if (in_place(&view, false) != cases[i].top ||
			    in_place(&view, true) != cases[i].behind)
				fail_msg("%s, language %d", cases[i].rules, language);
		}
}

TEST(what_is_put_behind_gets_the_number_of_the_rule_that_ends_the_chain)
{
	static const struct {
		const char *rules, *put;
	} cases[] = {
		{"Tfr", "-I DOCKER-USER 3 "},	 {"TBfr", "-I DOCKER-USER 3 "},
		{"Tff", "-A DOCKER-USER "},	 {"r", "-I DOCKER-USER 1 "},
		{"TBBfrr", "-I DOCKER-USER 3 "},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		AUTO_BUF struct buf out = {0};
		struct layout l = user_chain(cases[i].rules);
		const struct handoff h = {
			.table = "filter", .chain = "DOCKER-USER", .behind = true, .bits = MARK};

		handoff_encode_text(&out, as_text(&a, &l), &h, true);
		if (!strstr(buf_text(&out), cases[i].put))
			fail_msg("%s:\n%s", cases[i].rules, buf_text(&out));
		assert_int_equal(strstr(buf_text(&out), "-D DOCKER-USER") != NULL,
				 strchr(cases[i].rules, 'B') != NULL);
	}
}

TEST(an_empty_kernel_shows_nothing)
{
	AUTO_RELEASE struct arena a = {0};
	const struct ruleset none = {0};
	struct filter_view view;

	handoff_view_text(&view, &a, 4, NULL, NULL);
	assert_false(view.exists || view.docker_user || view.docker_isolation || view.handoffs.n);
	handoff_view_nft(&view, &a, 4, &none, &none);
	assert_false(view.exists || view.docker_user || view.docker_isolation || view.handoffs.n);
}

TEST(only_a_drop_of_what_comes_from_elsewhere_is_a_raw_drop)
{
	static const struct {
		const char *rule;
		bool is;
	} cases[] = {{"-A PREROUTING -d 172.18.0.2/32 ! -i br-a -j DROP\n", true},
		     {"-A PREROUTING -d 172.18.0.2/32 -i br-a -j DROP\n", false},
		     {"-A PREROUTING -d 172.18.0.2/32 ! -i br-a -j ACCEPT\n", false},
		     {"-A OUTPUT -d 172.18.0.2/32 ! -i br-a -j DROP\n", false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_RELEASE struct arena a = {0};
		struct filter_view view;

		handoff_view_text(&view, &a, 4, as_text(&a, &docker28), cases[i].rule);
		assert_int_equal(view.raw_drops, cases[i].is);
	}
}

TEST(a_zone_chain_of_firewalld_is_noticed)
{
	const struct layout zones = {
		"firewalld", false, {{"FORWARD", NULL, NULL, "FORWARD_ZONES", FOREIGN}}};

	for (int language = 0; language < N_LANGUAGES; language++) {
		AUTO_RELEASE struct arena a = {0};

		assert_true(look(&a, &zones, language).firewalld);
		assert_false(look(&a, &docker20, language).firewalld);
	}
}

/* --- what it closes --- */

TEST(drops_that_name_every_bridge_close_and_one_that_is_left_out_opens)
{
	for (int language = 0; language < N_LANGUAGES; language++) {
		const struct layout *const layouts[] = {&docker20, &docker28};

		for (size_t i = 0; i < COUNT_OF(layouts); i++) {
			AUTO_RELEASE struct arena a = {0};
			struct filter_view view = look(&a, layouts[i], language);
			struct engine engine = two_networks(&a);

			assert_null(handoff_view_opens(&view, &engine, &a));
			*list_add(&a, &engine.networks) =
				(struct engine_network){.name = "c", .bridge = "br-c"};
			assert_non_null(strstr(handoff_view_opens(&view, &engine, &a), "\"c\""));
		}
	}
}

TEST(an_accepting_forward_opens_up_to_27_and_no_chain_of_dockers_opens_always)
{
	AUTO_RELEASE struct arena a = {0};
	struct engine engine = two_networks(&a), away = {0};
	struct filter_view nothing = {0}, view = look(&a, &docker20, AS_NFT);

	view.forward_drop = false;
	assert_non_null(strstr(handoff_view_opens(&view, &engine, &a), "ACCEPT"));
	assert_non_null(strstr(handoff_view_opens(&nothing, &engine, &a), "do not stand"));
	assert_non_null(strstr(handoff_view_opens(&nothing, &away, &a), "no Docker engine"));
}

TEST(a_network_that_was_meant_open_needs_no_drop_from_28_on)
{
	AUTO_RELEASE struct arena a = {0};
	struct filter_view view = look(&a, &docker28, AS_TEXT);
	struct engine engine = two_networks(&a);
	struct engine_network *c = list_add(&a, &engine.networks);

	*c = (struct engine_network){.name = "c", .bridge = "br-c"};
	*list_add(&a, &c->options) =
		(struct pair){"com.docker.network.bridge.gateway_mode_ipv4", "nat-unprotected"};
	assert_null(handoff_view_opens(&view, &engine, &a));
	c->options.items[0].value = "nat";
	assert_non_null(handoff_view_opens(&view, &engine, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_languages_show_the_same_filter),
		cmocka_unit_test(ours_is_found_with_its_bits_and_its_place),
		cmocka_unit_test(
			ours_are_in_place_at_the_top_and_behind_every_foreign_rule_that_is_reached),
		cmocka_unit_test(
			what_is_put_behind_gets_the_number_of_the_rule_that_ends_the_chain),
		cmocka_unit_test(an_empty_kernel_shows_nothing),
		cmocka_unit_test(only_a_drop_of_what_comes_from_elsewhere_is_a_raw_drop),
		cmocka_unit_test(a_zone_chain_of_firewalld_is_noticed),
		cmocka_unit_test(drops_that_name_every_bridge_close_and_one_that_is_left_out_opens),
		cmocka_unit_test(
			an_accepting_forward_opens_up_to_27_and_no_chain_of_dockers_opens_always),
		cmocka_unit_test(a_network_that_was_meant_open_needs_no_drop_from_28_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
