/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/tests.h"

#include "core/reach/question.h"
#include "core/reach/words.h"

struct tester {
	struct arena *a;
	const struct reach *reach;
	const struct facts *facts;
	const struct observed *seen;
	const struct flow_test *test;
	LIST(struct traffic) matches;
};

static void add_matches(struct tester *t)
{
	for (uint32_t set = t->test->protos; set; set &= set - 1) {
		uint8_t proto = proto_number((enum proto)(set & -set));
		bool ports = match_has_ports((struct traffic){.proto = proto});

		list_each (range, &t->test->ports)
			if (ports)
				*list_add(t->a, &t->matches) =
					(struct traffic){proto, range->low, range->high};
		if (!ports || !t->test->ports.n)
			*list_add(t->a, &t->matches) = (struct traffic){proto, 0, UINT16_MAX};
	}
}

/* What decided about it. */
static const char *reason(struct tester *t, const struct reach_path *path)
{
	struct nearest near;
	const char *text;

	if (path->policy != NONE && path->allowed)
		return arena_printf(t->a, "%s, admits it",
				    policy_place(t->a, t->reach->config, path->policy));
	if (!path->hops.n)
		return "";
	/* what arrives is decided at the last hop */
	text = path->hops.items[path->hops.n - 1 - (path->allowed && path->hops.n > 1)].text;
	if (path->allowed)
		return text;
	near = reach_nearest(t->a, t->reach, &path->last);
	if (near.policy == NONE)
		return arena_printf(t->a, "no policy admits it, and %s", text);
	return arena_printf(t->a, "no policy admits it; %s, is the nearest: %s",
			    policy_place(t->a, t->reach->config, near.policy), near.why);
}

static const char *flow_text(struct tester *t, const struct reach_flow *flow)
{
	AUTO_BUF struct buf out = {0};
	struct traffic match = {flow->proto, flow->port, flow->port ? flow->port : UINT16_MAX};

	buf_printf(&out, "%s -> ", reach_name(t->a, t->reach, flow->src));
	buf_printf(&out, "%s ", reach_name(t->a, t->reach, flow->dst));
	print_matches(&out, &match, 1);
	return arena_strdup(t->a, buf_text(&out));
}

/* Why a flow may contradict the test; "": it does not. */
static const char *against(struct tester *t, const struct reach_flow *flow, bool closed)
{
	struct reach_path path = {0};

	reach_walk(&path, t->a, t->reach, t->facts, t->seen, flow);
	if (closed && path.allowed) /* nothing stops it, and no policy is about it */
		return arena_printf(t->a,
				    "%s is left to this host's own firewall: no file can test it",
				    flow_text(t, flow));
	if (path.allowed == t->test->open)
		return "";
	return arena_printf(t->a, "%s is %s: %s", flow_text(t, flow),
			    path.allowed ? "open" : "closed", reason(t, &path));
}

/* Why the test fails; "": it holds. */
static const char *judge(struct tester *t, const struct reach_query *query)
{
	struct reach_answer answer;
	struct reach_flow flow;
	const char *why = "";

	reach_query(&answer, t->reach, query);
	if (reach_example(&flow, t->reach, answer.closed))
		why = against(t, &flow, true);
	if (*why)
		return why;
	/* a translation may lead where nothing admits the flow */
	if (reach_example(&flow, t->reach, answer.open))
		return against(t, &flow, false);
	if (!reach_example(&flow, t->reach, answer.asked))
		return "no packet goes there: the two have no addresses, or no way";
	return "";
}

void reach_test(struct test_result *result, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct engine *engine, const struct observed *seen,
		const struct flow_test *test)
{
	static const struct engine unknown;
	AUTO_BUF struct buf what = {0};
	struct tester t = {.a = a, .reach = reach, .facts = facts, .seen = seen, .test = test};
	struct reach_query query;
	struct error err = {0};
	const char *nobody;

	engine = engine ? engine : &unknown;
	add_matches(&t);
	buf_printf(&what, "%s -> %s ", test->from, test->to);
	print_matches(&what, t.matches.items, t.matches.n);
	*result = (struct test_result){.what = arena_strdup(a, buf_text(&what)), .why = ""};
	query.matches = t.matches.items;
	query.n_matches = t.matches.n;
	nobody = !question_end(&query.from, a, reach, engine, test->from) ? test->from
		 : !question_end(&query.to, a, reach, engine, test->to)	  ? test->to
									  : NULL;
	if (nobody) {
		question_unknown(&err, reach, engine, nobody);
		result->why = arena_strdup(a, err.text);
	} else {
		result->why = judge(&t, &query);
	}
	result->holds = !*result->why;
}
