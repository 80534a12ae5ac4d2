/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/changes.h"

#include "base/foreign.h"
#include "core/answers/words.h"

static const struct peers *peers_of(const struct reach *reach, enum question question,
				    uint32_t name)
{
	return name ? reach->resolution->peers[question][name] : NULL;
}

static bool is_local(const struct flow_block *block)
{
	const struct flow_ranges *in = &block->fields[FLOW_IN];

	return in->n == 1 && in->items[0].low == REACH_IN_LOCAL &&
	       in->items[0].high == REACH_IN_LOCAL;
}

static void print_subjects_end(struct buf *out, const struct reach *reach,
			       const struct flow_ranges *ranges, const struct policy *p)
{
	print_end(out, reach, ranges, peers_of(reach, ASK_SUBJECT, p->subject),
		  config_name(reach->config, p->subject));
}

static void print_other_end(struct buf *out, const struct reach *reach,
			    const struct flow_ranges *ranges, const struct policy *p)
{
	uint32_t name = p->to ? p->to : p->from;

	print_end(out, reach, ranges,
		  peers_of(reach, p->to ? ASK_TARGETS : question_of_source(p), name),
		  config_name(reach->config, name));
}

static void print_flows(struct buf *out, const struct reach *reach, const struct policy *p,
			const struct change *change)
{
	const struct flow_block *block = &change->block;
	bool outwards = p->nat == NAT_NO && p->to;

	if (is_local(block)) {
		buf_puts(out, "host");
	} else {
		(outwards ? print_subjects_end : print_other_end)(out, reach,
								  &block->fields[FLOW_SRC], p);
		print_interfaces(out, reach, block);
	}
	buf_puts(out, " -> ");
	(outwards ? print_other_end : print_subjects_end)(out, reach, &block->fields[FLOW_DST], p);
	buf_puts(out, " ");
	print_traffic(out, block);
}

enum { PORTS_SHOWN = 8 };

/* " port 9000", " port 9000-9010,9443" */
static void print_target_ports(struct buf *out, const struct reach *reach, const struct policy *p,
			       const struct flow_ranges *asked)
{
	const struct port_range *ranges = policy_ports(reach->config, p);
	uint32_t n = 0;

	if (!p->mapped) {
		if (p->to_port)
			buf_printf(out, " port %u", p->to_port);
		return;
	}
	for (uint32_t r = 0; r < p->n_ports; r++)
		list_each (ask, asked) {
			uint16_t low =
				(uint16_t)(ask->low > ranges[r].low ? ask->low : ranges[r].low);
			uint16_t high =
				(uint16_t)(ask->high < ranges[r].high ? ask->high : ranges[r].high);

			if (low > high)
				continue;
			if (n++ == PORTS_SHOWN) {
				buf_puts(out, " and more");
				return;
			}
			low = policy_target_port(reach->config, p, r, low);
			high = policy_target_port(reach->config, p, r, high);
			buf_puts(out, n == 1 ? " port " : ",");
			buf_printf(out, low == high ? "%u" : "%u-%u", low, high);
		}
}

static void print_translation(struct buf *out, const struct reach *reach, const struct policy *p,
			      const struct change *change)
{
	const struct flow_block *block = &change->block;

	if (is_local(block)) {
		buf_puts(out, "host");
	} else {
		const struct peers *from = peers_of(reach, question_of_source(p), p->from);

		if (from && from->has_host) /* the name means more than these */
			from = NULL;
		print_end(out, reach, &block->fields[FLOW_SRC], from,
			  config_name(reach->config, p->from));
		print_interfaces(out, reach, block);
	}
	buf_printf(out, " -> %s ", change->container ? change->container : "this host");
	print_traffic(out, block);
	buf_printf(out, ", translated to %s", config_name(reach->config, p->to));
	print_target_ports(out, reach, p, &block->fields[FLOW_PORT]);
}

static void print_masquerade(struct buf *out, const struct reach *reach, const struct policy *p,
			     const struct change *change)
{
	const struct flow_block *block = &change->block;

	buf_puts(out, "masquerade of ");
	print_end(out, reach, &block->fields[FLOW_SRC],
		  p->from ? peers_of(reach, question_of_source(p), p->from)
			  : peers_of(reach, ASK_SUBJECT, p->subject),
		  config_name(reach->config, p->from ? p->from : p->subject));
	buf_puts(out, " -> ");
	print_end(out, reach, &block->fields[FLOW_DST], peers_of(reach, ASK_PEERS, p->to),
		  config_name(reach->config, p->to));
	print_interfaces(out, reach, block);
	buf_puts(out, " ");
	print_traffic(out, block);
	buf_printf(out, ", on %s", change->container ? change->container : "the host");
}

/* Without the verb and the policy. */
static void print_what(struct buf *out, const struct reach *reach, const struct change *change)
{
	const struct policy *p = &reach->config->policies.items[change->block.leaf];

	if (change->kind == CHANGE_NETWORK)
		buf_printf(out, "network %s: %s", change->network, change->text);
	else if (change->kind == CHANGE_FLOWS)
		print_flows(out, reach, p, change);
	else if (change->kind == CHANGE_TRANSLATION)
		print_translation(out, reach, p, change);
	else
		print_masquerade(out, reach, p, change);
}

void print_change_words(struct buf *out, const struct reach *reach, const struct change *change)
{
	print_what(out, reach, change);
	if (change->kind != CHANGE_NETWORK)
		print_policy(out, reach, change->block.leaf);
}

void print_change(struct buf *out, const struct reach *reach, const struct change *change)
{
	buf_puts(out, change->opens ? "opens   " : "closes  ");
	print_change_words(out, reach, change);
}

/* --- JSON --- */

static void print_ranges_json(struct buf *out, enum flow_field field,
			      const struct flow_ranges *ranges)
{
	struct flow_range v4 = every_ip4();
	const char *comma = "";

	buf_puts(out, "[");
	for (uint32_t i = 0; i < ranges->n; i++) {
		struct flow_range r = ranges->items[i];

		if (r.low <= v4.high && r.high >= v4.low) { /* whatever is beside it */
			r.low = r.low < v4.low ? v4.low : r.low;
			r.high = r.high > v4.high ? v4.high : r.high;
		}
		if (field == FLOW_PORT || field == FLOW_PROTO)
			buf_printf(out, "%s[%u, %u]", comma, (unsigned)r.low, (unsigned)r.high);
		else
			buf_printf(out, "%s[\"%s\", \"%s\"]", comma,
				   ip_format(flow_value_to_ip(r.low)).s,
				   ip_format(flow_value_to_ip(r.high)).s);
		comma = ", ";
	}
	buf_puts(out, "]");
}

void print_change_json(struct buf *out, const struct reach *reach, const struct change *change)
{
	static const char *const kinds[] = {[CHANGE_FLOWS] = "flows",
					    [CHANGE_TRANSLATION] = "translation",
					    [CHANGE_MASQUERADE] = "masquerade",
					    [CHANGE_NETWORK] = "network"};
	static const struct {
		const char *name;
		enum flow_field field;
	} fields[] = {{"sources", FLOW_SRC},
		      {"destinations", FLOW_DST},
		      {"protocols", FLOW_PROTO},
		      {"ports", FLOW_PORT}};
	AUTO_BUF struct buf text = {0};

	print_what(&text, reach, change);
	buf_printf(out, "{\"change\": \"%s\", \"kind\": \"%s\", \"text\": ",
		   change->opens ? "opens" : "closes", kinds[change->kind]);
	buf_json_string(out, buf_text(&text));
	if (change->kind == CHANGE_NETWORK) {
		buf_puts(out, ", \"network\": ");
		buf_json_string(out, change->network);
	} else {
		buf_printf(out, ", \"policy\": %u", change->block.leaf);
		for (size_t i = 0; i < COUNT_OF(fields); i++) {
			if (fields[i].field == FLOW_DST && change->kind == CHANGE_TRANSLATION)
				continue; /* the namespace's own addresses have no number */
			buf_printf(out, ", \"%s\": ", fields[i].name);
			print_ranges_json(out, fields[i].field,
					  &change->block.fields[fields[i].field]);
		}
	}
	if (change->container) {
		buf_puts(out, ", \"container\": ");
		buf_json_string(out, change->container);
	}
	buf_puts(out, "}");
}
