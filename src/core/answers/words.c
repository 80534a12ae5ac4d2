/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/words.h"

#include "base/foreign.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 4 }; /* parts of a list that are printed */

static bool is_every(const struct flow_ranges *ranges, enum flow_field field)
{
	return ranges->n == 1 && !ranges->items[0].low && ranges->items[0].high == flow_most[field];
}

/* --- ends --- */

/* What peers are of a family, as a diagram has it: sorted, with gaps between. */
static struct flow_ranges ranges_of(struct arena *a, const struct peers *peers, uint8_t family)
{
	range_list all = {0};
	struct flow_range *r;
	uint32_t n = 0;

	for (uint32_t i = 0; i < peers->n; i++)
		*list_add(a, &all) = flow_range_of_prefix(peers->items[i].net);
	all = ranges_of_family(a, &all, family);
	r = all.items;
	if (all.n)
		qsort(r, all.n, sizeof(*r), flow_range_by_low);
	for (uint32_t i = 0; i < all.n; i++)
		if (n && r[i].low <= r[n - 1].high + 1)
			r[n - 1].high = r[i].high > r[n - 1].high ? r[i].high : r[n - 1].high;
		else
			r[n++] = r[i];
	return (struct flow_ranges){r, n};
}

static bool same_ranges(const struct flow_ranges *a, const struct flow_ranges *b)
{
	if (a->n != b->n)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->items[i].low != b->items[i].low || a->items[i].high != b->items[i].high)
			return false;
	return true;
}

/* A single address is named after its container, even if the policy names it otherwise. */
static bool peers_are_one(const struct peers *peers)
{
	return peers->n == 1 && prefix_is_single(peers->items[0].net);
}

static const char *network_at(const struct config *config, struct flow_range range)
{
	for (uint32_t i = 0; i < config->n_by_subnet; i++) {
		struct flow_range subnet = flow_range_of_prefix(config->by_subnet[i].subnet);

		if (subnet.low == range.low && subnet.high == range.high)
			return config->networks.items[config->by_subnet[i].network].name;
	}
	return NULL;
}

/* The prefix with exactly this range, if there is one. */
static bool prefix_of_range(struct prefix *prefix, struct flow_range range)
{
	prefix->ip = flow_value_to_ip(range.low);
	for (prefix->len = 0; prefix->len < ip_bits(prefix->ip); prefix->len++) {
		struct flow_range r = flow_range_of_prefix(prefix_canonical(*prefix));

		if (r.low == range.low && r.high == range.high)
			return true;
	}
	return range.low == range.high;
}

/* The containers with these addresses, up to the first address without one. */
static uint32_t print_containers(struct buf *out, const struct config *config,
				 struct flow_range range)
{
	uint32_t n = 0;

	for (flow_value v = range.low; v <= range.high && n <= FEW; v++, n++) {
		const char *name = config_container_at(config, flow_value_to_ip(v));

		if (!name)
			break;
		buf_printf(out, "%s%s", n ? ", " : "", name);
	}
	return n;
}

static void print_range(struct buf *out, const struct config *config, struct flow_range range)
{
	const char *network = network_at(config, range);
	size_t before = out->len;
	struct prefix prefix;

	if (range.low == REACH_SELF && range.high == REACH_SELF) {
		buf_puts(out, "itself");
		return;
	}
	if (range.high - range.low < FEW &&
	    print_containers(out, config, range) == range.high - range.low + 1)
		return;
	buf_cut(out, before);
	if (network)
		buf_puts(out, network);
	else if (prefix_of_range(&prefix, range))
		buf_puts(out, prefix_format(prefix).s);
	else
		buf_printf(out, "%s-%s", ip_format(flow_value_to_ip(range.low)).s,
			   ip_format(flow_value_to_ip(range.high)).s);
}

static void print_ranges(struct buf *out, const struct config *config,
			 const struct flow_ranges *ranges)
{
	for (uint32_t i = 0; i < ranges->n && i < FEW; i++) {
		buf_puts(out, i ? ", " : "");
		print_range(out, config, ranges->items[i]);
	}
	if (ranges->n > FEW)
		buf_printf(out, " and %u more", ranges->n - FEW);
}

/* Both begin and end with the same values. */
static bool span(const struct flow_ranges *ranges, struct flow_range whole)
{
	return ranges->items[0].low == whole.low && ranges->items[ranges->n - 1].high == whole.high;
}

struct flow_range every_ip4(void)
{
	return flow_range_of_prefix((struct prefix){ip_v4(0), 0});
}

/* Of a family; diagrams may say IPv4 with whatever is beside it. */
static bool span_everything(const struct flow_ranges *ranges)
{
	struct flow_range v4 = every_ip4();

	return ranges->items[0].low <= v4.low && ranges->items[ranges->n - 1].high >= v4.high;
}

static void print_gaps(struct buf *out, const struct config *config,
		       const struct flow_ranges *ranges)
{
	AUTO_RELEASE struct arena a = {0};
	struct flow_range v4 = every_ip4();
	range_list gaps = {0};

	for (uint32_t i = 0; i + 1 < ranges->n; i++) {
		struct flow_range gap = {ranges->items[i].high + 1, ranges->items[i + 1].low - 1};

		if (gap.low != v4.low || gap.high != v4.high) /* IPv6 stands around IPv4 */
			*list_add(&a, &gaps) = gap;
	}
	if (gaps.n)
		buf_puts(out, " but ");
	print_ranges(out, config, &(struct flow_ranges){gaps.items, gaps.n});
}

/* "any", "any but proxy", "front but proxy, vpn". */
static bool print_all_but(struct buf *out, const struct config *config,
			  const struct flow_ranges *ranges)
{
	struct prefix first = prefix_of(flow_value_to_ip(ranges->items[0].low));
	uint32_t network = ranges->n > 1 ? config_network_of(config, first) : NONE;
	enum family f = ip_family(first.ip);

	if (span_everything(ranges))
		buf_puts(out, "any");
	else if (network != NONE &&
		 span(ranges, flow_range_of_prefix(config->networks.items[network].ipam[f].subnet)))
		buf_puts(out, config->networks.items[network].name);
	else
		return false;
	print_gaps(out, config, ranges);
	return true;
}

void print_end(struct buf *out, const struct reach *reach, const struct flow_ranges *ranges,
	       const struct peers *peers, const char *name)
{
	AUTO_RELEASE struct arena a = {0};
	uint8_t family = flow_value_to_ip(ranges->items[0].low).family;
	struct flow_ranges meant = peers ? ranges_of(&a, peers, family) : (struct flow_ranges){0};

	if (name && peers && same_ranges(ranges, &meant) && !peers_are_one(peers))
		buf_puts(out, name);
	else if (!print_all_but(out, reach->config, ranges))
		print_ranges(out, reach->config, ranges);
}

/* --- ports and protocols --- */

static void print_protocols(struct buf *out, const struct flow_ranges *ranges)
{
	const char *plus = "";

	for (uint32_t i = 0; i < ranges->n; i++)
		for (flow_value v = ranges->items[i].low; v <= ranges->items[i].high; v++) {
			const char *name = protocol_common_name((uint8_t)v);

			if (!protocol_number(name))
				buf_printf(out, "%sprotocol %u", plus, (unsigned)v);
			else
				buf_printf(out, "%s%s", plus, name);
			plus = "+";
		}
}

/* An echo request, in either family. */
static bool is_echo(struct traffic match)
{
	return (match.proto == IPPROTO_ICMP && match.low == ECHO_REQUEST &&
		match.high == ECHO_REQUEST) ||
	       (match.proto == IPPROTO_ICMPV6 && match.low == ECHO_REQUEST6 &&
		match.high == ECHO_REQUEST6);
}

void print_traffic(struct buf *out, const struct flow_block *block)
{
	const struct flow_ranges *ports = &block->fields[FLOW_PORT];
	bool every_port = is_every(ports, FLOW_PORT);
	const struct flow_range *proto = block->fields[FLOW_PROTO].items;

	if (is_every(&block->fields[FLOW_PROTO], FLOW_PROTO) && every_port) {
		buf_puts(out, "everything");
		return;
	}
	if (ports->n == 1 && block->fields[FLOW_PROTO].n == 1 && proto->low == proto->high &&
	    is_echo((struct traffic){(uint8_t)proto->low, (uint16_t)ports->items->low,
				     (uint16_t)ports->items->high})) {
		buf_puts(out, proto_name(PROTO_ECHO));
		return;
	}
	if (ports->n == 2 && !ports->items[0].low && ports->items[1].high == UINT16_MAX &&
	    block->fields[FLOW_PROTO].n == 1 && proto->low == proto->high &&
	    is_echo((struct traffic){(uint8_t)proto->low, (uint16_t)(ports->items[0].high + 1),
				     (uint16_t)(ports->items[1].low - 1)})) {
		buf_printf(out, "icmp but %s", proto_name(PROTO_ECHO));
		return;
	}
	for (uint32_t i = 0; i < ports->n && !every_port; i++) {
		struct flow_range r = ports->items[i];

		buf_printf(out, r.low == r.high ? "%s%u" : "%s%u-%u", i ? "," : "", (unsigned)r.low,
			   (unsigned)r.high);
	}
	buf_puts(out, every_port ? "" : "/");
	if (is_every(&block->fields[FLOW_PROTO], FLOW_PROTO))
		buf_puts(out, "any protocol");
	else
		print_protocols(out, &block->fields[FLOW_PROTO]);
}

static void print_match(struct buf *out, struct traffic match)
{
	const char *name = match.proto ? protocol_common_name(match.proto) : "any protocol";

	if (is_echo(match))
		buf_puts(out, proto_name(PROTO_ECHO));
	else if (match_every_port(match))
		buf_puts(out, name);
	else if (match.low == match.high)
		buf_printf(out, "%u/%s", match.low, name);
	else
		buf_printf(out, "%u-%u/%s", match.low, match.high, name);
}

void print_matches(struct buf *out, const struct traffic *matches, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		buf_puts(out, i ? ", " : "");
		print_match(out, matches[i]);
	}
}

void print_policy_traffic(struct buf *out, const struct config *config, const struct policy *p)
{
	const struct port_range *ports = policy_ports(config, p);
	const char *slash = "/";

	if (!p->n_ports)
		buf_puts(out, "every port");
	for (uint32_t i = 0; i < p->n_ports; i++)
		buf_printf(out, ports[i].low == ports[i].high ? "%s%u" : "%s%u-%u", i ? "," : "",
			   ports[i].low, ports[i].high);
	for (uint32_t set = p->protos; set; set &= set - 1) {
		buf_printf(out, "%s%s", slash, proto_name((enum proto)(set & -set)));
		slash = "+";
	}
}

/* --- flows --- */

static bool is_bridge(const struct reach *reach, const char *name)
{
	for (uint32_t i = 0; i < reach->config->networks.n; i++)
		if (reach->bridges[i] && !strcmp(reach->bridges[i], name))
			return true;
	return false;
}

static bool has_interface(const struct flow_ranges *ranges, flow_value v)
{
	for (uint32_t i = 0; i < ranges->n; i++)
		if (v >= ranges->items[i].low && v <= ranges->items[i].high)
			return true;
	return false;
}

/* By interfaces that no file names, too: the named ones that are not among them. */
static void print_other_interfaces(struct buf *out, const struct reach *reach,
				   const struct flow_ranges *ranges)
{
	const char *before = " by any interface but ";

	list_each (interface, &reach->pool->interfaces) {
		uint32_t i = (uint32_t)(interface - reach->pool->interfaces.items);

		if (is_bridge(reach, interface->name) || has_interface(ranges, REACH_N_IN + i))
			continue;
		buf_printf(out, "%s%s", before, interface->name);
		before = ",";
	}
}

void print_interfaces(struct buf *out, const struct reach *reach, const struct flow_block *block)
{
	const struct flow_ranges *ranges = &block->fields[FLOW_IN];
	const char *before = " by ";

	if (is_every(ranges, FLOW_IN))
		return;
	if (has_interface(ranges, REACH_IN_OTHER)) {
		print_other_interfaces(out, reach, ranges);
		return;
	}
	list_each (interface, &reach->pool->interfaces) {
		uint32_t i = (uint32_t)(interface - reach->pool->interfaces.items);

		if (!has_interface(ranges, REACH_N_IN + i))
			continue;
		buf_printf(out, "%s%s", before, interface->name);
		before = ",";
	}
}

const char *policy_place(struct arena *a, const struct config *config, uint32_t policy)
{
	return arena_printf(a, "policies[%u], %s:%u", policy, config->file,
			    config->policies.items[policy].line);
}

void print_policy(struct buf *out, const struct reach *reach, uint32_t policy)
{
	AUTO_RELEASE struct arena a = {0};

	buf_printf(out, "  (%s)", policy_place(&a, reach->config, policy));
}

void print_block(struct buf *out, const struct reach *reach, const struct flow_block *block)
{
	print_end(out, reach, &block->fields[FLOW_SRC], NULL, NULL);
	print_interfaces(out, reach, block);
	buf_puts(out, " -> ");
	print_end(out, reach, &block->fields[FLOW_DST], NULL, NULL);
	buf_puts(out, " ");
	print_traffic(out, block);
	if (block->leaf >= REACH_POLICY)
		print_policy(out, reach, block->leaf - REACH_POLICY);
}
