/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/explain.h"

#include "base/foreign.h"
#include "core/answers/words.h"

#include <string.h>

const char *const answer_names[] = {[ANSWER_ALLOWED] = "allowed",
				    [ANSWER_DENIED] = "denied",
				    [ANSWER_PARTLY] = "partly",
				    [ANSWER_LEFT] = "left to the host"};

enum { PARTS_MOST = 20 }; /* of an answer that is neither yes nor no */

/* In a strict network an address that no container of the file has gets nothing. */
static bool is_nobodys(const struct reach *reach, struct ip ip)
{
	uint32_t network = reach_network_of(reach, ip);

	return network != NONE &&
	       reach->config->networks.items[network].isolation == ISOLATION_STRICT &&
	       config_address_of(reach->config, ip) == NONE;
}

/*
 * Whether a policy can admit it, and none does: the source arrives where it is at home, and the
 * destination is in a network, or egress is what closes it.
 */
static bool can_be_admitted(const struct reach *reach, const struct reach_flow *flow)
{
	bool into_network =
		flow->dst.family && config_network_of(reach->config, prefix_of(flow->dst)) != NONE;

	if (reach_ask(reach, reach->open, flow)) /* others stop it, or translations form a loop */
		return false;
	if (flow->in == REACH_IN_LOCAL)
		return into_network && !is_nobodys(reach, flow->dst);
	return flow->src.family && (into_network || reach_is_denied(reach, flow->in)) &&
	       !is_nobodys(reach, flow->dst) && reach_ask(reach, reach->genuine, flow);
}

/* closed: nothing admits the example. */
static enum answer judge(const struct explained *e, bool closed)
{
	if (closed && e->path.allowed)
		return ANSWER_LEFT;
	if (!closed && e->path.allowed)
		return ANSWER_ALLOWED;
	/* a translation may lead where nothing admits the flow */
	return diagram_is_empty(e->answer.open) || diagram_is_empty(e->answer.closed)
		       ? ANSWER_DENIED
		       : ANSWER_PARTLY;
}

/* False: the question matches no flow of this family. */
static bool explain_in(struct explained *e, struct arena *a, const struct reach *reach,
		       const struct facts *facts, const struct observed *seen,
		       const struct reach_query *query, uint8_t family)
{
	struct reach_query part = *query;
	bool closed;

	*e = (struct explained){.family = family, .nearest = {NONE, NULL}};
	part.family = family;
	reach_query(&e->answer, reach, &part);
	closed = reach_example(&e->flow, reach, e->answer.closed);
	if (!closed && !reach_example(&e->flow, reach, e->answer.open))
		return false;
	reach_walk(&e->path, a, reach, facts, seen, &e->flow);
	e->verdict = judge(e, closed);
	if (!e->path.allowed && can_be_admitted(reach, &e->path.last)) {
		e->nearest = reach_nearest(a, reach, &e->path.last);
		e->remedy = reach_remedy(a, reach, &e->path.last);
	}
	return true;
}

static enum answer judge_both(const struct explained parts[N_FAMILIES])
{
	enum answer first = parts[0].verdict, second = parts[1].verdict;
	bool pass = parts[0].path.allowed && parts[1].path.allowed;

	if (first == second)
		return first;
	return pass && first != ANSWER_PARTLY && second != ANSWER_PARTLY ? ANSWER_LEFT
									 : ANSWER_PARTLY;
}

bool explain(struct explanation *x, struct arena *a, const struct reach *reach,
	     const struct facts *facts, const struct observed *seen,
	     const struct reach_query *query)
{
	*x = (struct explanation){.reach = reach, .query = query};
	each_family (family)
		if (explain_in(&x->parts[x->n], a, reach, facts, seen, query, family))
			x->n++;
	if (!x->n)
		return false;
	x->verdict = x->parts[0].verdict;
	if (x->n == 1)
		return true;
	if (diagram_equal(x->parts[0].answer.asked, x->parts[1].answer.asked)) {
		x->n = 1; /* between addresses of no family: the host's own */
		return true;
	}
	x->verdict = judge_both(x->parts);
	if (x->parts[0].path.allowed && !x->parts[1].path.allowed) {
		struct explained first = x->parts[1];

		x->parts[1] = x->parts[0];
		x->parts[0] = first;
	}
	return true;
}

/* Traffic that passes without a policy is decided elsewhere: it has no remedy here. */
static bool is_predicted(const struct explained *e)
{
	return !e->path.allowed || e->path.policy != NONE;
}

static bool part_passes(const struct explained *e)
{
	if (e->traced && !is_predicted(e))
		return traced_verdict(e->traced) == TRACED_PASSED;
	return e->path.allowed && e->verdict != ANSWER_PARTLY;
}

bool explain_passes(const struct explanation *x)
{
	bool passes = true;

	for (uint32_t i = 0; i < x->n; i++)
		passes &= part_passes(&x->parts[i]);
	return passes;
}

bool explain_is_refuted(const struct explanation *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const struct explained *e = &x->parts[i];

		if (e->traced && !traced_agrees(e->traced, &e->path, is_predicted(e)))
			return true;
	}
	return false;
}

/* --- text --- */

static void print_asked(struct buf *out, const struct explanation *x)
{
	buf_printf(out, "%s -> %s ", x->query->from.name, x->query->to.name);
	print_matches(out, x->query->matches, x->query->n_matches);
}

static bool depends_on_interface(const struct explanation *x, const struct explained *e)
{
	struct diagram_pool *pool = x->reach->pool->diagrams;
	struct diagram open = diagram_forget(pool, e->answer.open, FLOW_IN);
	struct diagram closed = diagram_forget(pool, e->answer.closed, FLOW_IN);

	return !diagram_is_empty(diagram_combine(pool, open, closed, DIAGRAM_AND));
}

static void print_part(struct buf *out, const struct explanation *x, const struct explained *e,
		       struct diagram part, const char *word)
{
	const char *family = x->n == 1 ? "" : e->family == 6 ? " in IPv6" : " in IPv4";
	AUTO_RELEASE struct arena a = {0};
	flow_blocks blocks = {0};
	bool all;

	/* a source arrives where it is at home, and mostly no policy asks for more */
	if (x->query->from.kind != END_INTERFACE && !depends_on_interface(x, e))
		part = diagram_forget(x->reach->pool->diagrams, part, FLOW_IN);
	all = diagram_blocks(&blocks, &a, x->reach->pool->diagrams, part, PARTS_MOST);
	list_each (block, &blocks) {
		buf_printf(out, "  %-7s%s ", word, family);
		print_block(out, x->reach, block);
		buf_puts(out, "\n");
	}
	if (!all)
		buf_printf(out, "  %-7s%s …\n", word, family);
}

static void print_path(struct buf *out, const struct explanation *x, const struct reach_path *path)
{
	AUTO_RELEASE struct arena a = {0};
	size_t place = 4, stage = 0;

	list_each (hop, &path->hops) {
		size_t here = hop->container ? strlen(hop->container) : 4,
		       there = strlen(hop->stage);

		place = here > place ? here : place;
		stage = there > stage ? there : stage;
	}
	list_each (hop, &path->hops) {
		buf_printf(out, "  %-*s  %-*s  %-10s  ", (int)place,
			   hop->container ? hop->container : "host", (int)stage, hop->stage,
			   hop_words[hop->kind]);
		if (hop->policy != NONE && hop->kind != HOP_GOES_ON)
			buf_printf(out, "%s: ", policy_place(&a, x->reach->config, hop->policy));
		buf_printf(out, "%s\n", hop->text);
	}
}

/* What would open it in the other family, too, is said once. */
static bool remedy_follows(const struct explanation *x, const struct explained *e)
{
	return e + 1 < x->parts + x->n && e->remedy && e[1].remedy &&
	       !strcmp(e->remedy, e[1].remedy);
}

static void print_remedy(struct buf *out, const struct explanation *x, const struct explained *e)
{
	AUTO_RELEASE struct arena a = {0};

	if (e->nearest.policy != NONE)
		buf_printf(out, "\nnearest: %s: %s\n",
			   policy_place(&a, x->reach->config, e->nearest.policy), e->nearest.why);
	if (e->remedy)
		buf_printf(out, "\nto open it, add to \"policies\":\n  %s\n", e->remedy);
}

static void print_explained(struct buf *out, const struct explanation *x, const struct explained *e)
{
	AUTO_RELEASE struct arena a = {0};
	const uint16_t port = e->flow.port;
	const struct traffic match = {e->flow.proto, port, port ? port : UINT16_MAX};

	buf_printf(out, "\n%s -> %s ", reach_sender(&a, x->reach, &e->flow),
		   reach_name(&a, x->reach, e->flow.dst));
	print_matches(out, &match, 1);
	buf_puts(out, ":\n");
	print_path(out, x, &e->path);
	if (!remedy_follows(x, e))
		print_remedy(out, x, e);
	if (e->traced)
		traced_print(out, e->traced, &e->path, is_predicted(e));
}

void explain_print(struct buf *out, const struct explanation *x)
{
	print_asked(out, x);
	buf_printf(out, ": %s\n", answer_names[x->verdict]);
	for (uint32_t i = 0; x->verdict == ANSWER_PARTLY && i < x->n; i++)
		print_part(out, x, &x->parts[i], x->parts[i].answer.open, "allowed");
	for (uint32_t i = 0; x->verdict == ANSWER_PARTLY && i < x->n; i++)
		print_part(out, x, &x->parts[i], x->parts[i].answer.closed, "denied");
	for (uint32_t i = 0; i < x->n; i++)
		print_explained(out, x, &x->parts[i]);
}

/* --- JSON --- */

static void print_hops_json(struct buf *out, const struct reach_path *path)
{
	const char *comma = "\n";

	buf_puts(out, "  \"path\": [");
	list_each (hop, &path->hops) {
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
	buf_json_string(out, flow->src.family && flow->in != REACH_IN_LOCAL ? ip_format(flow->src).s
									    : "host");
	buf_puts(out, ", \"destination\": ");
	buf_json_string(out, flow->dst.family ? ip_format(flow->dst).s : "host");
	buf_printf(out, ", \"port\": %u, \"protocol\": \"%s\"},\n",
		   protocol_has_ports(flow->proto) ? flow->port : 0,
		   protocol_common_name(flow->proto));
}

static void print_explained_json(struct buf *out, const struct explained *e)
{
	print_flow_json(out, &e->flow);
	if (e->path.policy != NONE)
		buf_printf(out, "  \"policy\": %u,\n", e->path.policy);
	if (e->nearest.policy != NONE) {
		buf_printf(out, "  \"nearest\": {\"policy\": %u, \"why\": ", e->nearest.policy);
		buf_json_string(out, e->nearest.why);
		buf_puts(out, "},\n");
	}
	if (e->remedy)
		buf_printf(out, "  \"remedy\": %s,\n", e->remedy);
	if (e->traced)
		traced_print_json(out, e->traced, &e->path, is_predicted(e));
	print_hops_json(out, &e->path);
}

void explain_print_json(struct buf *out, const struct explanation *x)
{
	buf_puts(out, "{\n  \"source\": ");
	buf_json_string(out, x->query->from.name);
	buf_puts(out, ",\n  \"destination\": ");
	buf_json_string(out, x->query->to.name);
	buf_printf(out, ",\n  \"verdict\": \"%s\",\n", answer_names[x->verdict]);
	print_explained_json(out, &x->parts[0]);
	if (x->n > 1) {
		buf_printf(out, ",\n  \"other_family\": {\n  \"verdict\": \"%s\",\n",
			   answer_names[x->parts[1].verdict]);
		print_explained_json(out, &x->parts[1]);
		buf_puts(out, "\n  }");
	}
	buf_puts(out, "\n}\n");
}
