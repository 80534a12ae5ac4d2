/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Prints a plan, for people and for programs. */
#include "base/foreign.h"
#include "core/plan/plan.h"
#include "core/state/facts.h"

#include <string.h>

static const struct {
	char sign;
	const char *word, *json;
} signs[] = {{'+', "to add", "add"}, {'~', "to change", "change"}, {'-', "to remove", "remove"}};

static uint32_t plan_count(const struct plan *plan, char sign)
{
	uint32_t n = 0;

	list_each (step, &plan->steps)
		n += step->sign == sign;
	return n;
}

static uint32_t change_origin(const struct nft_change *change, uint32_t i)
{
	if (change->object == NFT_RULE)
		return change->rule->origin;
	if (change->object == NFT_ELEMENTS && change->set->origins)
		return change->set->origins[change->first + i];
	return NONE;
}

static uint32_t change_size(const struct nft_change *change)
{
	return change->object == NFT_ELEMENTS ? change->n : 1;
}

void route_print(struct buf *out, const struct route *route)
{
	buf_printf(out, "%s via %s", prefix_format(route->dst).s,
		   route->via.family ? ip_format(route->via).s : "its own device");
	if (route->table != TABLE_MAIN)
		buf_printf(out, " table %u", route->table);
}

/* --- for people --- */

/* The policy's comment, if it has one. */
static void print_origin(struct buf *out, const struct config *config, uint32_t origin)
{
	const char *comment;

	if (origin == NONE || origin >= config->policies.n)
		return;
	comment = policy_comment(config, &config->policies.items[origin]);
	buf_printf(out, "  (policies[%u]%s%s)", origin, comment ? ": " : "",
		   comment ? comment : "");
}

static void print_changes(struct buf *out, const struct step *step, const struct config *config)
{
	list_each (change, &step->changes)
		for (uint32_t i = 0; i < change_size(change); i++) {
			size_t start = out->len;

			buf_printf(out, "    %c ", change->sign);
			nft_print_change(out, change, i);
			print_origin(out, config, change_origin(change, i));
			buf_end_line(out, start);
		}
}

static void print_routes(struct buf *out, const struct step *step, const struct config *config)
{
	list_each (route, &step->routes) {
		size_t start = out->len;

		buf_printf(out, "    %c ", step->sign);
		route_print(out, *route);
		print_origin(out, config, (*route)->origin);
		buf_end_line(out, start);
	}
}

static void print_ports(struct buf *out, const struct step *step)
{
	list_each (change, &step->port_changes) {
		size_t start = out->len;

		buf_printf(out, "    %c ", change->sign);
		port_change_print(out, change, step->ports->bridge);
		buf_end_line(out, start);
	}
}

static void print_findings(struct buf *out, const struct plan *plan)
{
	list_each (finding, &plan->findings.list)
		finding_print(out, finding);
}

void plan_print(struct buf *out, const struct plan *plan, const struct config *config, bool rules)
{
	const char *comma = "";

	if (plan->flows)
		buf_puts(out, plan->flows);

	list_each (step, &plan->steps) {
		size_t start = out->len;

		buf_printf(out, "%c %-10s %s", step->sign, step->object, step->text);
		if (step->why && *step->why)
			buf_printf(out, "  (%s)", step->why);
		buf_end_line(out, start);
		if (rules) {
			print_changes(out, step, config);
			print_routes(out, step, config);
			print_ports(out, step);
		}
	}
	print_findings(out, plan);
	if (!plan->steps.n) {
		buf_puts(out, "nothing to do\n");
		return;
	}
	for (size_t i = 0; i < COUNT_OF(signs); i++)
		if (plan_count(plan, signs[i].sign)) {
			buf_printf(out, "%s%u %s", comma, plan_count(plan, signs[i].sign),
				   signs[i].word);
			comma = ", ";
		}
	buf_puts(out, "\n");
}

/* --- for programs --- */

static void put_member(struct buf *out, const char *name, const char *text)
{
	if (text && *text)
		buf_json_member(out, ", ", name, text);
}

static void json_change(struct buf *out, char sign, const struct buf *text, uint32_t origin,
			const char *comma)
{
	buf_printf(out, "%s\n      {\"action\": \"%s\", \"text\": ", comma,
		   sign == '+'	 ? "add"
		   : sign == '~' ? "change"
				 : "remove");
	buf_json_string(out, buf_text(text));
	if (origin != NONE)
		buf_printf(out, ", \"policy\": %u", origin);
	buf_puts(out, "}");
}

static void json_changes(struct buf *out, const struct step *step)
{
	const char *comma = "";

	buf_puts(out, ", \"changes\": [");
	list_each (change, &step->changes)
		for (uint32_t i = 0; i < change_size(change); i++) {
			AUTO_BUF struct buf text = {0};

			nft_print_change(&text, change, i);
			json_change(out, change->sign, &text, change_origin(change, i), comma);
			comma = ",";
		}
	list_each (route, &step->routes) {
		AUTO_BUF struct buf text = {0};

		route_print(&text, *route);
		json_change(out, step->sign, &text, (*route)->origin, comma);
		comma = ",";
	}
	list_each (change, &step->port_changes) {
		AUTO_BUF struct buf text = {0};

		port_change_print(&text, change, step->ports->bridge);
		json_change(out, change->sign, &text, NONE, comma);
		comma = ",";
	}
	buf_puts(out, "]");
}

static void json_step(struct buf *out, const struct step *step)
{
	for (size_t i = 0; i < COUNT_OF(signs); i++)
		if (signs[i].sign == step->sign)
			buf_printf(out, "    {\"action\": \"%s\"", signs[i].json);
	put_member(out, "object", step->object);
	put_member(out, "text", step->text);
	put_member(out, "why", step->why);
	put_member(out, "network", step->network);
	put_member(out, "container", step->container);
	if (step->kind == STEP_FIREWALL || step->changes.n || step->routes.n ||
	    step->port_changes.n)
		json_changes(out, step);
	buf_puts(out, "}");
}

void plan_print_json(struct buf *out, const struct plan *plan, const struct observed *seen)
{
	const char *comma = "\n";

	buf_puts(out, "{\n  \"facts\": {\n");
	facts_print_json(out, seen->engine, seen->facts, "    ");
	buf_puts(out, "  },\n");
	if (plan->flows)
		buf_printf(out, "  \"flows\": {\n%s\n  },\n", plan->flows);
	buf_puts(out, "  \"steps\": [");
	list_each (step, &plan->steps) {
		buf_puts(out, comma);
		json_step(out, step);
		comma = ",\n";
	}
	buf_puts(out, "\n  ],\n  \"findings\": [");
	comma = "\n";
	list_each (finding, &plan->findings.list) {
		buf_printf(out, "%s    {\"kind\": \"%s\"", comma, finding_names[finding->kind]);
		put_member(out, "subject", finding->subject);
		put_member(out, "text", finding->text);
		if (finding->origin != NONE)
			buf_printf(out, ", \"policy\": %u", finding->origin);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_printf(out, "\n  ],\n  \"summary\": {\"add\": %u, \"change\": %u, \"remove\": %u}\n}\n",
		   plan_count(plan, '+'), plan_count(plan, '~'), plan_count(plan, '-'));
}
