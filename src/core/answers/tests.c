/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/tests.h"

#include "core/answers/nearest.h"
#include "core/answers/question.h"
#include "core/answers/words.h"

struct tester {
	struct arena *a;
	const struct reach *reach;
	const struct facts *facts;
	const struct flow_test *test;
	LIST(struct traffic) matches;
};

static void add_matches(struct tester *t)
{
	for (uint32_t set = t->test->protos; set; set &= set - 1) {
		struct traffic every = traffic_of((enum proto)(set & -set));
		bool ports = match_has_ports(every);

		list_each (range, &t->test->ports)
			if (ports)
				*list_add(t->a, &t->matches) =
					(struct traffic){every.proto, range->low, range->high};
		if (!ports || !t->test->ports.n)
			*list_add(t->a, &t->matches) = every;
	}
}

/* A policy let it through, and then somebody else's rule did not. */
static bool is_stopped_behind(const struct reach_path *path)
{
	return !path->allowed && path->hops.n > 1 &&
	       path->hops.items[path->hops.n - 2].kind == HOP_ADMITS;
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
	if (path->allowed || is_stopped_behind(path))
		return text;
	near = reach_nearest(t->a, t->reach, &path->last);
	if (near.policy == NONE)
		return arena_printf(t->a, "no policy admits it, and %s", text);
	return arena_printf(t->a, "no policy admits it; %s, is the nearest: %s",
			    policy_place(t->a, t->reach->config, near.policy), near.why);
}

const char *reach_flow_text(struct arena *a, const struct reach *reach,
			    const struct reach_flow *flow)
{
	AUTO_BUF struct buf out = {0};
	struct traffic match = {flow->proto, flow->port, flow->port ? flow->port : UINT16_MAX};

	buf_printf(&out, "%s -> ", reach_sender(a, reach, flow));
	buf_printf(&out, "%s ", reach_name(a, reach, flow->dst));
	print_matches(&out, &match, 1);
	return arena_strdup(a, buf_text(&out));
}

/* Why a flow may contradict the test; "": it does not. */
static const char *against(struct tester *t, const struct reach_flow *flow, bool closed)
{
	struct reach_path path = {0};

	reach_walk(&path, t->a, t->reach, t->facts, NULL, flow);
	if (closed && path.allowed) /* nothing stops it, and no policy is about it */
		return arena_printf(t->a,
				    "%s is left to this host's own firewall; expect "
				    "\"untranslated\" where no policy shall take it",
				    reach_flow_text(t->a, t->reach, flow));
	if (path.allowed == (t->test->expect == EXPECT_OPEN))
		return "";
	return arena_printf(t->a, "%s is %s: %s", reach_flow_text(t->a, t->reach, flow),
			    path.allowed ? "open" : "closed", reason(t, &path));
}

/* What nothing translates is this host's own: the file can say no more about it. */
static const char *judge_untranslated(struct tester *t, const struct reach_answer *answer)
{
	struct reach_path path = {0};
	struct reach_flow flow;

	if (!reach_example(&flow, t->reach, answer->open))
		return "";
	reach_walk(&path, t->a, t->reach, t->facts, NULL, &flow);
	return arena_printf(t->a, "%s is translated: %s", reach_flow_text(t->a, t->reach, &flow),
			    reason(t, &path));
}

/* Why the test fails in one family; "": it holds. */
static const char *judge_answer(struct tester *t, const struct reach_answer *answer)
{
	struct reach_flow flow;
	const char *why = "";

	if (t->test->expect == EXPECT_UNTRANSLATED)
		return judge_untranslated(t, answer);
	if (reach_example(&flow, t->reach, answer->closed))
		why = against(t, &flow, true);
	if (*why)
		return why;
	/* a translation may lead where nothing admits the flow */
	return reach_example(&flow, t->reach, answer->open) ? against(t, &flow, false) : "";
}

/* Why the test fails; "": it holds. */
static const char *judge(struct tester *t, struct reach_query *query)
{
	bool untranslated = t->test->expect == EXPECT_UNTRANSLATED, somebody = untranslated;

	if (untranslated && query->to.kind != END_HOST && query->to.kind != END_INTERFACE)
		return "only what goes to the host can be untranslated; expect open or closed";
	each_family (family) {
		struct reach_answer answer;
		const char *why;

		query->family = family;
		reach_query(&answer, t->reach, query);
		somebody |= !diagram_is_empty(answer.asked);
		why = judge_answer(t, &answer);
		if (*why)
			return why;
	}
	return somebody ? "" : "no packet goes there: the two have no addresses, or no way";
}

/* "": both ends are somebody. */
static const char *ask(struct tester *t, struct reach_query *query, const struct engine *engine)
{
	const struct flow_test *test = t->test;
	struct error err = {0};
	const char *nobody;

	add_matches(t);
	query->matches = t->matches.items;
	query->n_matches = t->matches.n;
	query->bound = test->iface;
	query->in = test->iface ? reach_interface(t->reach->pool, test->iface) : 0;
	nobody = !question_end(&query->from, t->a, t->reach, engine, test->from) ? test->from
		 : !question_end(&query->to, t->a, t->reach, engine, test->to)	 ? test->to
										 : NULL;
	if (!nobody)
		return "";
	question_unknown(&err, t->reach, engine, nobody);
	return arena_strdup(t->a, err.text);
}

void reach_test(struct test_result *result, struct arena *a, const struct reach *reach,
		const struct facts *facts, const struct flow_test *test)
{
	static const struct engine unknown;
	AUTO_BUF struct buf what = {0};
	struct tester t = {.a = a, .reach = reach, .facts = facts, .test = test};
	struct reach_query query = {0};
	const char *why = ask(&t, &query, &unknown);

	buf_printf(&what, "%s%s%s -> %s ", test->from, test->iface ? " by " : "",
		   test->iface ? test->iface : "", test->to);
	print_matches(&what, t.matches.items, t.matches.n);
	if (!*why)
		why = judge(&t, &query);
	*result = (struct test_result){
		.holds = !*why, .what = arena_strdup(a, buf_text(&what)), .why = why};
}

/* --- on a host --- */

bool reach_test_tries(flow_list *flows, struct arena *a, const struct reach *reach,
		      const struct engine *engine, const struct flow_test *test)
{
	struct tester t = {.a = a, .reach = reach, .test = test};
	struct reach_query query = {0};

	if (test->expect ==
	    EXPECT_UNTRANSLATED) /* the kernel's answer is the host's own firewall's */
		return true;
	return *ask(&t, &query, engine) || reach_tries(flows, a, reach, engine, &query);
}

bool reach_test_example(struct reach_flow *flow, struct arena *a, const struct reach *reach,
			const struct engine *engine, const struct flow_test *test)
{
	struct tester t = {.a = a, .reach = reach, .test = test};
	struct reach_answer answer;
	struct reach_query query = {0};

	if (*ask(&t, &query, engine))
		return false;
	reach_query(&answer, reach, &query);
	if (reach_example(flow, reach, test->expect == EXPECT_OPEN ? answer.closed : answer.open))
		return true;
	return test->expect != EXPECT_UNTRANSLATED && reach_example(flow, reach, answer.asked);
}

bool reach_test_differs(const struct test_try *try)
{
	return traced_verdict(&try->traced) != TRACED_UNKNOWN &&
	       !traced_agrees(&try->traced, &try->path, true);
}

const char *reach_test_refuted(struct arena *a, const struct reach *reach,
			       const struct flow_test *test, const struct test_try *try)
{
	struct tester t = {.a = a, .reach = reach, .test = test};
	const char *flow = reach_flow_text(a, reach, &try->flow), *verdict;

	if (reach_test_differs(try)) {
		verdict = traced_verdict(&try->traced) == TRACED_PASSED ? "lets it through"
									: "stops it";
		return arena_printf(a, "%s should be %s, and the kernel %s: %s", flow,
				    try->path.allowed ? "open" : "closed", verdict,
				    traced_end(a, &try->traced));
	}
	if (try->path.allowed == (test->expect == EXPECT_OPEN))
		return NULL;
	return arena_printf(a, "%s is %s on this host: %s", flow,
			    try->path.allowed ? "open" : "closed", reason(&t, &try->path));
}
