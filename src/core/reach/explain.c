/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/reach/explain.h"

#include "base/foreign.h"
#include "core/reach/words.h"

#include <string.h>

const char *const answer_names[] = {[ANSWER_ALLOWED] = "allowed",
				    [ANSWER_DENIED] = "denied",
				    [ANSWER_PARTLY] = "partly",
				    [ANSWER_LEFT] = "left to the host"};

enum { PARTS_MOST = 20 }; /* of an answer that is neither yes nor no */

/*
 * Whether a policy can admit it: the source arrives where it is at home, and the destination is in
 * a network, or egress is what closes it.
 */
static bool can_be_admitted(const struct reach *reach, const struct reach_flow *flow)
{
	bool into_network =
		flow->dst.family && config_network_of(reach->config, prefix_of(flow->dst)) != NONE;

	return flow->src.family && (into_network || reach_is_denied(reach, flow->in)) &&
	       reach_ask(reach, reach->genuine, flow);
}

/* closed: nothing admits the example. */
static enum answer judge(const struct explanation *x, bool closed)
{
	if (closed && x->path.allowed)
		return ANSWER_LEFT;
	if (!closed && x->path.allowed)
		return ANSWER_ALLOWED;
	/* a translation may lead where nothing admits the flow */
	return diagram_is_empty(x->answer.open) || diagram_is_empty(x->answer.closed)
		       ? ANSWER_DENIED
		       : ANSWER_PARTLY;
}

bool explain(struct explanation *x, struct arena *a, const struct reach *reach,
	     const struct facts *facts, const struct observed *seen,
	     const struct reach_query *query)
{
	bool closed;

	*x = (struct explanation){.reach = reach, .query = query};
	reach_query(&x->answer, reach, query);
	closed = reach_example(&x->flow, reach, x->answer.closed);
	if (!closed && !reach_example(&x->flow, reach, x->answer.open))
		return false;
	reach_walk(&x->path, a, reach, facts, seen, &x->flow);
	x->verdict = judge(x, closed);
	x->nearest = (struct nearest){NONE, NULL};
	if (!x->path.allowed && can_be_admitted(reach, &x->path.last)) {
		x->nearest = reach_nearest(a, reach, &x->path.last);
		x->remedy = reach_remedy(a, reach, &x->path.last);
	}
	return true;
}

/* Traffic that passes without a policy is decided elsewhere: it has no remedy here. */
static bool is_predicted(const struct explanation *x)
{
	return !x->path.allowed || x->path.policy != NONE;
}

bool explain_passes(const struct explanation *x)
{
	if (x->traced && !is_predicted(x))
		return traced_verdict(x->traced) == TRACED_PASSED;
	return x->path.allowed && x->verdict != ANSWER_PARTLY;
}

bool explain_is_refuted(const struct explanation *x)
{
	return x->traced && !traced_agrees(x->traced, &x->path, is_predicted(x));
}

/* --- text --- */

static void print_asked(struct buf *out, const struct explanation *x)
{
	buf_printf(out, "%s -> %s ", x->query->from.name, x->query->to.name);
	print_matches(out, x->query->matches, x->query->n_matches);
}

static bool depends_on_interface(const struct explanation *x)
{
	struct diagram_pool *pool = x->reach->pool->diagrams;
	struct diagram open = diagram_forget(pool, x->answer.open, FLOW_IN);
	struct diagram closed = diagram_forget(pool, x->answer.closed, FLOW_IN);

	return !diagram_is_empty(diagram_combine(pool, open, closed, DIAGRAM_AND));
}

static void print_part(struct buf *out, const struct explanation *x, struct diagram part,
		       const char *word)
{
	AUTO_RELEASE struct arena a = {0};
	flow_blocks blocks = {0};
	bool all;

	/* a source arrives where it is at home, and mostly no policy asks for more */
	if (x->query->from.kind != END_INTERFACE && !depends_on_interface(x))
		part = diagram_forget(x->reach->pool->diagrams, part, FLOW_IN);
	all = diagram_blocks(&blocks, &a, x->reach->pool->diagrams, part, PARTS_MOST);
	list_each (block, &blocks) {
		buf_printf(out, "  %-7s ", word);
		print_block(out, x->reach, block);
		buf_puts(out, "\n");
	}
	if (!all)
		buf_printf(out, "  %-7s …\n", word);
}

static void print_path(struct buf *out, const struct explanation *x)
{
	AUTO_RELEASE struct arena a = {0};
	size_t place = 4, stage = 0;

	list_each (hop, &x->path.hops) {
		size_t here = hop->container ? strlen(hop->container) : 4,
		       there = strlen(hop->stage);

		place = here > place ? here : place;
		stage = there > stage ? there : stage;
	}
	list_each (hop, &x->path.hops) {
		buf_printf(out, "  %-*s  %-*s  %-10s  ", (int)place,
			   hop->container ? hop->container : "host", (int)stage, hop->stage,
			   hop_words[hop->kind]);
		if (hop->policy != NONE && hop->kind != HOP_GOES_ON)
			buf_printf(out, "%s: ", policy_place(&a, x->reach->config, hop->policy));
		buf_printf(out, "%s\n", hop->text);
	}
}

void explain_print(struct buf *out, const struct explanation *x)
{
	AUTO_RELEASE struct arena a = {0};

	print_asked(out, x);
	buf_printf(out, ": %s\n", answer_names[x->verdict]);
	if (x->verdict == ANSWER_PARTLY) {
		print_part(out, x, x->answer.open, "allowed");
		print_part(out, x, x->answer.closed, "denied");
	}
	buf_printf(out, "\n%s -> %s", reach_name(&a, x->reach, x->flow.src),
		   reach_name(&a, x->reach, x->flow.dst));
	if (x->flow.port)
		buf_printf(out, " %u/%s", x->flow.port, protocol_name(x->flow.proto));
	else
		buf_printf(out, " %s", protocol_name(x->flow.proto));
	buf_puts(out, ":\n");
	print_path(out, x);
	if (x->nearest.policy != NONE)
		buf_printf(out, "\nnearest: %s: %s\n",
			   policy_place(&a, x->reach->config, x->nearest.policy), x->nearest.why);
	if (x->remedy)
		buf_printf(out, "\nto open it, add to \"policies\":\n  %s\n", x->remedy);
	if (x->traced)
		traced_print(out, x->traced, &x->path, is_predicted(x));
}

/* --- JSON --- */

static void print_hops_json(struct buf *out, const struct explanation *x)
{
	const char *comma = "\n";

	buf_puts(out, "  \"path\": [");
	list_each (hop, &x->path.hops) {
		buf_printf(out, "%s    {\"namespace\": ", comma);
		buf_json_string(out, hop->container ? hop->container : "host");
		buf_puts(out, ", \"stage\": ");
		buf_json_string(out, hop->stage);
		buf_printf(out, ", \"verdict\": \"%s\"", hop_words[hop->kind]);
		if (hop->policy != NONE)
			buf_printf(out, ", \"policy\": %u", hop->policy);
		buf_puts(out, ", \"text\": ");
		buf_json_string(out, hop->text);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]");
}

static void print_flow_json(struct buf *out, const struct reach_flow *flow)
{
	buf_puts(out, "  \"flow\": {\"source\": ");
	buf_json_string(out, flow->src.family ? ip_format(flow->src).s : "host");
	buf_puts(out, ", \"destination\": ");
	buf_json_string(out, flow->dst.family ? ip_format(flow->dst).s : "host");
	buf_printf(out, ", \"port\": %u, \"protocol\": \"%s\"},\n", flow->port,
		   protocol_name(flow->proto));
}

void explain_print_json(struct buf *out, const struct explanation *x)
{
	buf_puts(out, "{\n  \"source\": ");
	buf_json_string(out, x->query->from.name);
	buf_puts(out, ",\n  \"destination\": ");
	buf_json_string(out, x->query->to.name);
	buf_printf(out, ",\n  \"verdict\": \"%s\",\n", answer_names[x->verdict]);
	print_flow_json(out, &x->flow);
	if (x->path.policy != NONE)
		buf_printf(out, "  \"policy\": %u,\n", x->path.policy);
	if (x->nearest.policy != NONE) {
		buf_printf(out, "  \"nearest\": {\"policy\": %u, \"why\": ", x->nearest.policy);
		buf_json_string(out, x->nearest.why);
		buf_puts(out, "},\n");
	}
	if (x->remedy)
		buf_printf(out, "  \"remedy\": %s,\n", x->remedy);
	if (x->traced)
		traced_print_json(out, x->traced, &x->path, is_predicted(x));
	print_hops_json(out, x);
	buf_puts(out, "\n}\n");
}
