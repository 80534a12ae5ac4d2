/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy's ports, and those that they have at the target of a translation. */
#include "core/config/impl.h"

#include <stdlib.h>

/* Ports asked for, and as many at the target. */
struct pair_of_ports {
	struct port_range asked, there;
};
typedef LIST(struct pair_of_ports) port_pairs;

static bool is_single(struct port_range range)
{
	return range.low == range.high;
}

static uint32_t length(struct port_range range)
{
	return range.high - range.low + 1u;
}

static const char *words(const struct decoder *d, struct port_range range)
{
	return is_single(range) ? arena_printf(d->a, "%u", range.low)
				: arena_printf(d->a, "%u-%u", range.low, range.high);
}

enum { PLACES = 20 }; /* finding a place costs more, the later it is in the file */

/* "\"port\" (networks.json:3:20)" */
static const char *place_of_ports(const struct decoder *d, const char *file, uint32_t node)
{
	struct position p;

	if (d->diags->n_errors > PLACES)
		return "\"port\"";
	p = position_of(json_of(d)->text, d->text->len, json_of(d)->nodes[node].at);
	return arena_printf(d->a, "\"port\" (%s:%u:%u)", file, p.line, p.column);
}

static uint32_t item_at(const struct decoder *d, uint32_t node, uint32_t i)
{
	if (json_type_of(json_of(d), node) != JSON_TYPE_LIST)
		return node;
	json_each (item, json_of(d), node)
		if (!i--)
			return item;
	return node;
}

static void wrong_length(struct decoder *d, const struct pair_of_ports *pair, const char *asked,
			 uint32_t node)
{
	const uint32_t n = length(pair->asked), high = pair->there.low + n - 1;
	const char *quote = n == 1 ? "" : "\"";

	if (high > UINT16_MAX)
		wrong(d, node, "%s needs %u ports, and 65535 is the last; begin with a lower one",
		      asked, n);
	else
		wrong(d, node, "%s has %u, and this %u; write %s%s%s, or one number for all", asked,
		      n, length(pair->there), quote,
		      words(d, (struct port_range){pair->there.low, (uint16_t)high}), quote);
}

/* In the order of the file; empty, and said, where they do not fit. */
static port_pairs pair_up(struct decoder *d, const char *file, const range_list *ports,
			  uint32_t asked, const range_list *to_ports, uint32_t node)
{
	port_pairs pairs = {0};

	if (ports->n != to_ports->n) {
		wrong(d, node,
		      "%s has %u %s, and this %u; write one for each, or one number for all",
		      place_of_ports(d, file, asked), ports->n, ports->n == 1 ? "part" : "parts",
		      to_ports->n);
		return pairs;
	}
	for (uint32_t i = 0; i < ports->n; i++) {
		struct pair_of_ports *pair = list_add(d->scratch, &pairs);

		*pair = (struct pair_of_ports){ports->items[i], to_ports->items[i]};
		if (length(pair->asked) == length(pair->there))
			continue;
		wrong_length(d, pair, place_of_ports(d, file, asked), item_at(d, node, i));
		pairs.n = 0;
		return pairs;
	}
	return pairs;
}

static int by_port_asked(const void *left, const void *right)
{
	const struct pair_of_ports *a = left, *b = right;

	return a->asked.low != b->asked.low ? a->asked.low - b->asked.low
					    : a->there.low - b->there.low;
}

static bool goes_on(const struct pair_of_ports *pair, const struct pair_of_ports *next)
{
	return next->asked.low == pair->asked.high + 1 && next->there.low == pair->there.high + 1;
}

/* Sorts them, and joins what goes on; a port has one port at the target. */
static bool join_pairs(struct decoder *d, port_pairs *pairs, uint32_t node)
{
	uint32_t n = 0;

	qsort(pairs->items, pairs->n, sizeof(*pairs->items), by_port_asked);
	for (uint32_t i = 1; i < pairs->n; i++) {
		struct pair_of_ports *last = &pairs->items[n], *next = &pairs->items[i];

		if (next->asked.low <= last->asked.high) {
			wrong(d, node,
			      "%u stands twice, and to_port has a port for each; write it once",
			      next->asked.low);
			return false;
		}
		if (goes_on(last, next)) {
			last->asked.high = next->asked.high;
			last->there.high = next->there.high;
		} else {
			pairs->items[++n] = *next;
		}
	}
	pairs->n = n + 1;
	return true;
}

static void keep_ranges(struct decoder *d, struct config *config, struct policy *p,
			const range_list *ports)
{
	p->n_ports = (uint16_t)ports->n;
	if (p->n_ports == 1) {
		p->ports.port = ports->items[0];
		return;
	}
	p->ports.first = config->ranges.n;
	list_each (range, ports)
		*list_add(d->scratch, &config->ranges) = *range;
}

static void map_ports(struct decoder *d, struct config *config, struct policy *p, range_list *ports,
		      const range_list *to_ports, uint32_t policy)
{
	const uint32_t node = json_member(json_of(d), policy, "to_port");
	const uint32_t asked = json_member(json_of(d), policy, "port");
	port_pairs pairs;

	if (!ports->n) {
		wrong(d, node,
		      "each port has one of its own here, and \"port\" is missing; write it, or "
		      "one number for all");
		return;
	}
	pairs = pair_up(d, config->file, ports, asked, to_ports, node);
	if (!pairs.n || !join_pairs(d, &pairs, asked))
		return;
	ports->n = 0;
	list_each (pair, &pairs)
		*list_add(d->scratch, ports) = pair->asked;
	keep_ranges(d, config, p, ports);
	p->mapped = true;
	p->to_port = pairs.items[0].there.low;
	for (uint32_t i = 0; pairs.n > 1 && i < pairs.n; i++)
		*list_add(d->scratch, &config->ranges) = pairs.items[i].there;
}

void put_ports(struct decoder *d, struct config *config, struct policy *p, range_list *ports,
	       const range_list *to_ports, uint32_t policy)
{
	if (to_ports->n > 1 || (to_ports->n && !is_single(to_ports->items[0]))) {
		map_ports(d, config, p, ports, to_ports, policy);
		return;
	}
	if (to_ports->n)
		p->to_port = to_ports->items[0].low;
	join_ports(ports);
	keep_ranges(d, config, p, ports);
}
