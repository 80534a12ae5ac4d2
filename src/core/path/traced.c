/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/path/traced.h"

#include "base/foreign.h"
#include "core/foreign/plain.h"

#include <linux/netfilter.h>
#include <string.h>

const char *const traced_verdicts[] = {
	[TRACED_UNKNOWN] = "unknown", [TRACED_PASSED] = "passed", [TRACED_STOPPED] = "stopped"};

enum traced_verdict traced_verdict(const struct traced *t)
{
	const struct trace_step *end = trace_end(&t->trace);

	if (t->unsent || (end && end->verdict == TRACE_TAKEN))
		return TRACED_UNKNOWN;
	return t->trace.place >= TRACE_RECEIVED ? TRACED_PASSED : TRACED_STOPPED;
}

enum traced_verdict traced_expected(const struct reach_path *path)
{
	list_each (hop, &path->hops) {
		if (hop->container || hop->kind == HOP_ARRIVES)
			return TRACED_PASSED;
		if (hop->kind == HOP_STOPS)
			return TRACED_STOPPED;
	}
	return TRACED_PASSED;
}

bool traced_agrees(const struct traced *t, const struct reach_path *path, bool predicted)
{
	enum traced_verdict verdict = traced_verdict(t);

	return verdict != TRACED_UNKNOWN && (!predicted || verdict == traced_expected(path));
}

/* --- rules as text --- */

/* "-A CHAIN …", the n-th rule of a chain; NULL if the tool does not list exactly `of` rules. */
static const char *saved_rule(struct arena *a, const char *save, const char *table,
			      const char *chain, uint32_t n, uint32_t of)
{
	size_t table_len = strlen(table), chain_len = strlen(chain);
	const char *found = NULL;
	bool here = false;
	uint32_t i = 0;

	for (size_t len; *save; save += len + (save[len] == '\n')) {
		len = strcspn(save, "\n");
		if (*save == '*')
			here = len == table_len + 1 && !memcmp(save + 1, table, table_len);
		if (!here || len < chain_len + 4 || memcmp(save, "-A ", 3) != 0 ||
		    memcmp(save + 3, chain, chain_len) != 0 || save[3 + chain_len] != ' ')
			continue;
		if (i++ == n)
			found = arena_strndup(a, save, len);
	}
	return i == of ? found : NULL;
}

static const struct rule *wanted_rule(const struct ruleset *want, const char *chain,
				      const struct rule *have)
{
	const struct chain *c = ruleset_find_chain(want, chain);

	if (c)
		list_each (rule, &c->rules)
			if (nft_same_rule(rule, have))
				return rule;
	return NULL;
}

static const char *nft_text(struct arena *a, const struct rule *rule)
{
	AUTO_BUF struct buf text = {0};

	nft_print_rule(&text, rule);
	return arena_strdup(a, buf_text(&text));
}

/* A rule that we do not decode has no text. */
static const char *foreign_text(struct arena *a, const struct rule *rule, const char *chain,
				uint8_t family)
{
	struct plain plain = plain_of_rule(rule, a, family);
	const char *text = plain_text(&plain, chain, a);

	return strcmp(plain.target, ANYTHING) != 0 &&
			       strncmp(text + 3 + strlen(chain), " …", 4) != 0
		       ? text
		       : NULL;
}

struct traced_rule traced_rule(struct arena *a, const struct ruleset *table,
			       const struct trace_step *step, const struct ruleset *want,
			       const char *save)
{
	const struct chain *chain = ruleset_find_chain(table, step->chain);
	struct traced_rule traced = {NULL, NONE};
	const struct rule *rule = chain ? chain->rules.items : NULL, *ours;
	uint32_t i = 0;

	while (chain && i < chain->rules.n && rule[i].handle != step->handle)
		i++;
	if (!chain || !step->handle || i == chain->rules.n)
		return traced;
	ours = want ? wanted_rule(want, step->chain, &rule[i]) : NULL;
	if (ours)
		return (struct traced_rule){nft_text(a, ours), ours->origin};
	if (save)
		traced.text = saved_rule(a, save, step->table, step->chain, i, chain->rules.n);
	if (!traced.text)
		traced.text = foreign_text(a, &rule[i], step->chain, step->family);
	return traced;
}

/* --- for people --- */

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_ARP:
		return "arp";
	case NFPROTO_NETDEV:
		return "netdev";
	case NFPROTO_IPV6:
		return "ip6";
	default:
		return "ip";
	}
}

/* Why the trace ended although no traced rule ended it. */
static const char *where_lost(const struct traced *t)
{
	static const char *const hooks[] = {
		[TRACE_NOWHERE] = NULL,
		[TRACE_ENTERED] = "prerouting",
		[TRACE_PREROUTED] = NULL,
		[TRACE_INPUT] = "input",
		[TRACE_FORWARD] = "forward",
		[TRACE_FORWARDED] = NULL,
		[TRACE_POSTROUTING] = "postrouting",
		[TRACE_RECEIVED] = NULL,
		[TRACE_LEFT] = NULL,
	};

	if (t->trace.place == TRACE_ENTERED && !t->sender)
		return "output";
	return hooks[t->trace.place];
}

/* Whether it is known what ended it: a traced rule, or our own drop. */
static bool end_is_known(const struct traced *t)
{
	return trace_end(&t->trace) || t->trace.place >= TRACE_RECEIVED;
}

static void print_lost(struct buf *out, const struct traced *t)
{
	const char *hook = where_lost(t);

	if (t->refused)
		buf_printf(out, "it never came out: %s", t->refused);
	else if (t->trace.place == TRACE_NOWHERE)
		buf_puts(out, "it never reached this host: its own namespace dropped it, or no "
			      "next hop answered");
	else if (!hook)
		buf_puts(out,
			 "lost between two hooks: there is no route, or the kernel refuses its "
			 "source (rp_filter) or to forward it");
	else if (t->legacy)
		buf_printf(out,
			   "dropped in %s by a rule of iptables-legacy, which the kernel does not "
			   "trace",
			   hook);
	else
		buf_printf(out, "lost in %s; nf_tables reports no rule for it", hook);
}

static void print_end(struct buf *out, const struct traced *t)
{
	const struct trace *trace = &t->trace;

	if (trace->place == TRACE_LEFT)
		buf_printf(out, "it would leave%s%s as %s -> %s", *t->out ? " by " : "", t->out,
			   ip_format(trace->src).s, ip_format(trace->dst).s);
	else if (trace->place == TRACE_RECEIVED)
		buf_printf(out, "this host would get it as %s -> %s", ip_format(trace->src).s,
			   ip_format(trace->dst).s);
	else if (!trace_end(trace))
		print_lost(out, t);
	else if (trace_end(trace)->verdict == TRACE_TAKEN)
		buf_puts(out, "a program took it from a queue and did not return it");
	else
		buf_puts(out, "dropped there");
	if (trace->place >= TRACE_RECEIVED && trace->port)
		buf_printf(out, " port %u", trace->port);
	if (trace->place >= TRACE_RECEIVED)
		buf_puts(out, "; harborwall dropped it there, it was not delivered");
}

/* Its name in the output of `nft -a`. */
static const char *rule_name(struct arena *a, const struct trace_step *step)
{
	return step->handle ? arena_printf(a, "rule %llu", (unsigned long long)step->handle)
			    : "policy";
}

static void print_step(struct buf *out, struct arena *a, const struct trace_step *step,
		       const struct traced_rule *rule, const size_t widths[3])
{
	const char *table = arena_printf(a, "%s %s", family_name(step->family), step->table);

	buf_printf(out, "  %-*s  %-*s  %-*s  ", (int)widths[0], table, (int)widths[1], step->chain,
		   (int)widths[2], rule_name(a, step));
	if (!rule->text && !step->to)
		buf_puts(out, trace_verdicts[step->verdict]);
	else
		buf_printf(out, "%-8s", trace_verdicts[step->verdict]);
	if (rule->text)
		buf_printf(out, "  %s", rule->text);
	if (step->to && (!rule->text || !strstr(rule->text, step->to))) /* by a verdict map */
		buf_printf(out, "  to %s", step->to);
	if (rule->policy != NONE)
		buf_printf(out, "  (policies[%u])", rule->policy);
	buf_puts(out, "\n");
}

const char *traced_end(struct arena *a, const struct traced *t)
{
	AUTO_BUF struct buf out = {0};
	const struct trace_step *step = trace_end(&t->trace);

	if (step) {
		const char *text = t->rules ? t->rules[step - t->trace.steps.items].text : NULL;

		buf_printf(&out, "%s %s %s, %s", family_name(step->family), step->table,
			   step->chain, rule_name(a, step));
		if (text)
			buf_printf(&out, " (%s)", text);
	} else {
		print_end(&out, t);
	}
	return arena_strdup(a, buf_text(&out));
}

static void widen(size_t *width, size_t len)
{
	*width = len > *width ? len : *width;
}

static void print_steps(struct buf *out, const struct traced *t)
{
	AUTO_RELEASE struct arena a = {0};
	const struct trace_step *first = t->trace.steps.items;
	size_t widths[3] = {0};

	list_each (step, &t->trace.steps) {
		widen(&widths[0], strlen(family_name(step->family)) + 1 + strlen(step->table));
		widen(&widths[1], strlen(step->chain));
		widen(&widths[2], strlen(rule_name(&a, step)));
	}
	list_each (step, &t->trace.steps)
		print_step(out, &a, step, &t->rules[step - first], widths);
}

static void print_judgement(struct buf *out, const struct traced *t, const struct reach_path *path,
			    bool predicted)
{
	enum traced_verdict verdict = traced_verdict(t);

	buf_printf(out, "\nthe kernel's answer: %s\n", traced_verdicts[verdict]);
	if (!predicted || verdict == TRACED_UNKNOWN || traced_agrees(t, path, predicted))
		return;
	buf_printf(out, "the prediction was wrong: the packet should have %s%s\n",
		   traced_expected(path) == TRACED_PASSED ? "passed" : "been stopped",
		   t->drifted ? "; the host is not as the file says, see harborwall plan" : "");
}

void traced_print(struct buf *out, const struct traced *t, const struct reach_path *path,
		  bool predicted)
{
	if (t->unsent) {
		buf_printf(out, "\nno packet was sent: %s\n", t->unsent);
		return;
	}
	buf_printf(out, "\na packet sent from %s as %s -> %s", t->sender ? t->sender : "this host",
		   ip_format(t->sent.src).s, ip_format(t->sent.dst).s);
	if (t->sent.dport)
		buf_printf(out, " port %u", t->sent.dport);
	if (*t->in)
		buf_printf(out, ", which came in by %s", t->in);
	buf_puts(out, ":\n");
	print_steps(out, t);
	buf_puts(out, "  ");
	print_end(out, t);
	buf_puts(out, "\n");
	if (t->legacy && end_is_known(t))
		buf_puts(out, "  not traced: the rules of iptables-legacy\n");
	print_judgement(out, t, path, predicted);
}

/* --- for programs --- */

static void print_step_json(struct buf *out, const struct trace_step *step,
			    const struct traced_rule *rule)
{
	buf_printf(out, "      {\"family\": \"%s\"", family_name(step->family));
	buf_json_member(out, ", ", "table", step->table);
	buf_json_member(out, ", ", "chain", step->chain);
	if (step->handle)
		buf_printf(out, ", \"handle\": %llu", (unsigned long long)step->handle);
	buf_json_member(out, ", ", "verdict", trace_verdicts[step->verdict]);
	if (step->to)
		buf_json_member(out, ", ", "to", step->to);
	if (rule->text)
		buf_json_member(out, ", ", "text", rule->text);
	if (rule->policy != NONE)
		buf_printf(out, ", \"policy\": %u", rule->policy);
	buf_puts(out, "}");
}

static void print_sent_json(struct buf *out, const struct traced *t)
{
	AUTO_BUF struct buf end = {0};

	buf_json_member(out, ", ", "sender", t->sender ? t->sender : "host");
	buf_json_member(out, ", ", "source", ip_format(t->sent.src).s);
	buf_json_member(out, ", ", "destination", ip_format(t->sent.dst).s);
	buf_printf(out, ", \"source_port\": %u, \"port\": %u", t->sent.sport, t->sent.dport);
	buf_json_member(out, ", ", "in", t->in);
	buf_json_member(out, ", ", "out", t->out);
	buf_printf(out, ", \"legacy_rules\": %s", t->legacy ? "true" : "false");
	print_end(&end, t);
	buf_json_member(out, ", ", "end", buf_text(&end));
}

void traced_print_json(struct buf *out, const struct traced *t, const struct reach_path *path,
		       bool predicted)
{
	const struct trace_step *first = t->trace.steps.items;
	const char *comma = "\n";

	buf_printf(out, "  \"packet\": {\"verdict\": \"%s\", \"agrees\": %s",
		   traced_verdicts[traced_verdict(t)],
		   traced_agrees(t, path, predicted) ? "true" : "false");
	if (t->unsent)
		buf_json_member(out, ", ", "unsent", t->unsent);
	else
		print_sent_json(out, t);
	buf_puts(out, ", \"trace\": [");
	list_each (step, &t->trace.steps) {
		buf_puts(out, comma);
		print_step_json(out, step, &t->rules[step - first]);
		comma = ",\n";
	}
	buf_printf(out, "%s]},\n", t->trace.steps.n ? "\n    " : "");
}
