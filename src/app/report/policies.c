/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/policies.h"

#include "base/foreign.h"

#include <string.h>

const char *const policy_states[N_POLICY_STATES] = {[POLICY_ENFORCED] = "enforced",
						    [POLICY_WAITING] = "waiting",
						    [POLICY_CONFLICT] = "conflict",
						    [POLICY_CANNOT] = "unenforceable"};

/* --- states --- */

static enum policy_state state_of(const struct finding *f)
{
	if (f->kind == FINDING_WAITING)
		return POLICY_WAITING;
	if (f->effect == POLICY_IS_VOID)
		return POLICY_CANNOT;
	if (f->kind != FINDING_CONFLICT)
		return POLICY_ENFORCED;
	return finding_cannot(f) ? POLICY_CANNOT : POLICY_CONFLICT;
}

/* The host's rules were refused as a whole: no policy is known to be enforced. */
static struct policy_fate fate_of_all(const struct report *r)
{
	return r->rules_failed ? (struct policy_fate){POLICY_CANNOT, r->error}
			       : (struct policy_fate){0};
}

struct fates policies_fates(struct arena *a, const struct report *r, const struct generation *g)
{
	uint32_t n = g ? g->config.policies.n : 0;
	struct policy_fate *items = arena_array(a, struct policy_fate, n + 1);
	struct fates fates = {.items = items, .n = n};

	for (uint32_t i = 0; i < n; i++)
		items[i] = fate_of_all(r);
	list_each (f, &r->findings.list) {
		enum policy_state state = state_of(f);

		if (f->origin < n && state > items[f->origin].state)
			items[f->origin] = (struct policy_fate){state, f->text};
	}
	for (uint32_t i = 0; i < n; i++)
		fates.in[items[i].state]++;
	return fates;
}

/* --- names --- */

static void add_word(struct buf *out, const char *before, const char *word)
{
	if (word)
		buf_printf(out, "%s%s", before, word);
}

static void add_traffic(struct buf *out, const struct config *config, const struct policy *p)
{
	const char *before = " ";

	for (unsigned proto = PROTO_TCP; proto < PROTO_END; proto <<= 1)
		if (p->protos & proto) {
			buf_printf(out, "%s%s", before, proto_name(proto));
			before = ",";
		}
	before = "/";
	for (uint32_t i = 0; i < p->n_ports; i++) {
		struct port_range range = policy_ports(config, p)[i];

		buf_printf(out, "%s%u", before, range.low);
		if (range.high != range.low)
			buf_printf(out, "-%u", range.high);
		before = ",";
	}
}

/* As the file says it: "smarthostloadbalancer from publicbackend tcp/80". */
static void name_policy(struct buf *out, const struct config *config, const struct policy *p)
{
	buf_clear(out);
	buf_puts(out, p->subject ? config_name(config, p->subject) : "?");
	add_word(out, " from ", config_name(config, p->from));
	if (p->nat != NAT_NO)
		add_word(out, " ", p->nat == NAT_DNAT ? "dnat" : "masquerade");
	add_word(out, " in ", config_name(config, p->name));
	add_word(out, " on ", config_name(config, p->iface));
	add_word(out, " to ", config_name(config, p->to));
	add_traffic(out, config, p);
}

/* --- lists --- */

static uint32_t listed(const struct generation *g)
{
	uint32_t n = g ? g->config.policies.n : 0;

	return n < MAX_LISTED ? n : MAX_LISTED;
}

bool policies_are_counted(const struct report *r, const struct generation *g)
{
	return g && r->counts->on && r->counts->digest == g->config.digest;
}

/* --- never hit --- */

enum { NAMED = 20 }; /* on a line for people */

static bool is_never_hit(const struct report *r, const struct generation *g,
			 const struct fates *fates, uint32_t i)
{
	const struct policy *p = &g->config.policies.items[i];

	return (p->from || p->to || p->nat != NAT_NO) && fates->items[i].state == POLICY_ENFORCED &&
	       !r->counts->packets[i];
}

uint32_t policies_never_hit(const struct report *r, const struct generation *g,
			    const struct fates *fates)
{
	uint32_t n = 0;

	for (uint32_t i = 0; policies_are_counted(r, g) && i < fates->n; i++)
		n += is_never_hit(r, g, fates, i);
	return n;
}

void policies_print_never_hit(struct buf *out, const struct report *r, const struct generation *g,
			      const struct fates *fates)
{
	uint32_t n = policies_never_hit(r, g, fates), named = 0;

	if (!n)
		return;
	buf_printf(out, "never hit  %u of %u policies:", n, fates->n);
	for (uint32_t i = 0; i < fates->n && named < NAMED; i++)
		if (is_never_hit(r, g, fates, i))
			buf_printf(out, "%s policies[%u]", named++ ? "," : "", i);
	buf_puts(out, n > NAMED ? " … (--json tells the packets of each)\n" : "\n");
}

/* --- for programs --- */

void policies_print_json(struct buf *out, const struct report *r, const struct generation *g,
			 const struct fates *fates)
{
	AUTO_BUF struct buf name = {0};
	uint32_t n = listed(g);

	buf_puts(out, ",\n  \"policy_list\": [");
	for (uint32_t i = 0; i < n; i++) {
		const struct policy *p = &g->config.policies.items[i];
		const struct policy_fate *fate = &fates->items[i];

		name_policy(&name, &g->config, p);
		buf_printf(out, "%s\n    {\"policy\": %u, \"name\": ", i ? "," : "", i);
		buf_json_string(out, buf_text(&name));
		if (p->comment)
			buf_json_member(out, ", ", "comment", policy_comment(&g->config, p));
		buf_printf(out, ", \"state\": \"%s\"", policy_states[fate->state]);
		if (fate->why) {
			buf_json_member(out, ", ", "why", fate->why);
		}
		if (policies_are_counted(r, g))
			buf_printf(out, ", \"packets\": %llu",
				   (unsigned long long)r->counts->packets[i]);
		buf_puts(out, "}");
	}
	buf_printf(out, "%s],\n  \"policies_not_listed\": %u", n ? "\n  " : "",
		   g ? g->config.policies.n - n : 0);
}

/* A label's value in the text format: UTF-8, with quotes and backslashes escaped. */
static void add_label(struct buf *out, const char *label)
{
	AUTO_BUF struct buf line = {0};

	buf_foreign(&line, label);
	for (const char *text = buf_text(&line); *text; text++) {
		if (*text == '\\' || *text == '"')
			buf_add(out, "\\", 1);
		buf_add(out, text, 1);
	}
}

void policies_print_metrics(struct buf *out, const struct report *r, const struct generation *g)
{
	AUTO_BUF struct buf name = {0};

	if (!policies_are_counted(r, g))
		return;
	buf_puts(out, "# HELP harborwall_policy_packets_total Packets that a policy let through "
		      "while their connection was new: one of most connections, more where the "
		      "first ones were not answered at once. Packets of established connections "
		      "are not counted. Only the first matching policy's counter increases.\n"
		      "# TYPE harborwall_policy_packets_total counter\n");
	for (uint32_t i = 0; i < listed(g); i++) {
		name_policy(&name, &g->config, &g->config.policies.items[i]);
		buf_printf(out, "harborwall_policy_packets_total{policy=\"policies[%u]\",name=\"",
			   i);
		add_label(out, buf_text(&name));
		buf_printf(out, "\"} %llu\n", (unsigned long long)r->counts->packets[i]);
	}
}
