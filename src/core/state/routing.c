/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/state/routing.h"

#include "base/hash.h"

/* --- rules --- */

/* Ports of a packet that are not known may be any: a rule for some does not hold for all. */
static bool fits_ports(uint16_t low, uint16_t high, uint16_t port)
{
	return !high || (port && port >= low && port <= high);
}

static bool fits(const struct ip_rule *rule, const struct leaving *p)
{
	bool holds = !rule->elsewhere && !(rule->mark & rule->mask) &&
		     (!rule->src.len || (p->src.family && prefix_contains(rule->src, p->src))) &&
		     (!rule->dst.len || prefix_contains(rule->dst, p->dst)) &&
		     (!rule->proto || rule->proto == p->proto) &&
		     fits_ports(rule->sport_low, rule->sport_high, p->sport) &&
		     fits_ports(rule->dport_low, rule->dport_high, p->dport);

	return holds != rule->inverted;
}

/* --- tables --- */

/* The longer prefix, then the smaller metric; an imagined one stands where a new one would. */
static bool is_better(const struct ip_route *path, const struct ip_route *than)
{
	if (!than || path->dst.len != than->dst.len)
		return !than || path->dst.len > than->dst.len;
	if (path->src.len != than->src.len)
		return path->src.len > than->src.len;
	return path->metric < than->metric;
}

static bool leads(const struct ip_route *path, uint32_t table, const struct leaving *p)
{
	return path->table == table && prefix_contains(path->dst, p->dst) &&
	       (!path->src.len || (p->src.family && prefix_contains(path->src, p->src)));
}

static const struct ip_route *look_up(const struct routing *r, uint32_t table,
				      const struct leaving *packet, const struct ip_route *imagined,
				      uint32_t n)
{
	const struct ip_route *best = NULL;

	list_each (path, &r->paths)
		if (!path->ours && leads(path, table, packet) && is_better(path, best))
			best = path;
	for (uint32_t i = 0; i < n; i++)
		if (leads(&imagined[i], table, packet) && is_better(&imagined[i], best))
			best = &imagined[i];
	return best;
}

/* Where a rule at `here` goes on; to the next one where there is none of that priority. */
static uint32_t place_of_priority(const struct routing *r, uint32_t priority, uint32_t here)
{
	for (uint32_t i = here; i < r->rules.n; i++)
		if (r->rules.items[i].priority == priority)
			return i;
	return here;
}

struct ip_outlet routing_find(const struct routing *r, const struct leaving *packet,
			      const struct ip_route *imagined, uint32_t n)
{
	uint32_t i = 0;

	while (i < r->rules.n) {
		const struct ip_rule *rule = &r->rules.items[i++];
		const struct ip_route *path;

		if (!fits(rule, packet) || rule->action == RULE_NOTHING)
			continue;
		if (rule->action == RULE_REFUSES)
			return (struct ip_outlet){.rule = rule};
		if (rule->action == RULE_GOTO) {
			i = place_of_priority(r, rule->table, i);
			continue;
		}
		path = look_up(r, rule->table, packet, imagined, n);
		if (!path || path->type == PATH_THROWS ||
		    (path->type != PATH_REFUSES && path->dst.len <= rule->suppresses))
			continue; /* a refusal is not suppressed */
		return (struct ip_outlet){path, rule};
	}
	return (struct ip_outlet){0};
}

uint32_t routing_device_of(const struct routing *r, struct ip address)
{
	list_each (path, &r->paths)
		if (path->type == PATH_LOCAL && prefix_is_single(path->dst) &&
		    ip_equal(path->dst.ip, address))
			return path->device;
	return 0;
}

uint32_t routing_usual_metric(const struct routing *r)
{
	return r->family == 6 ? USUAL_METRIC6 : 0;
}

const char *routing_device_name(const struct routing *r, uint32_t index)
{
	list_each (device, &r->devices)
		if (device->index == index)
			return device->name;
	return "?";
}

/* --- what most namespaces look like --- */

static bool has_only_the_usual_rules(const struct routing *r)
{
	static const struct {
		uint32_t priority, table;
	} usual[] = {{0, TABLE_LOCAL}, {32766, TABLE_MAIN}, {32767, 253}};

	if (r->rules.n != COUNT_OF(usual) - (r->family == 6)) /* IPv6 has no table "default" */
		return false;
	for (uint32_t i = 0; i < r->rules.n; i++) {
		const struct ip_rule *rule = &r->rules.items[i];

		if (rule->priority != usual[i].priority || rule->action != RULE_TABLE ||
		    rule->table != usual[i].table || rule->src.len || rule->dst.len || rule->mask ||
		    rule->proto || rule->sport_high || rule->dport_high || rule->elsewhere ||
		    rule->inverted || rule->suppresses >= 0)
			return false;
	}
	return true;
}

static uint32_t only_device(const struct routing *r)
{
	uint32_t found = 0;

	if (!has_only_the_usual_rules(r))
		return 0;
	list_each (path, &r->paths) {
		if (path->ours || path->table == TABLE_LOCAL)
			continue;
		if (path->type != PATH_LEAVES || (found && path->device != found))
			return 0;
		found = path->device;
	}
	return found;
}

void routing_finish(struct routing *r)
{
	uint64_t hash = HASH_START;

	r->only_device = only_device(r);
	r->digest = 0;
	if (r->only_device)
		return;
	list_each (rule, &r->rules) {
		hash = hash_word(hash, (uint64_t)rule->priority << 32 | rule->table);
		hash = hash_word(hash, (uint64_t)rule->action << 32 | rule->proto);
		hash = hash_more(hash, &rule->src, sizeof(rule->src));
		hash = hash_more(hash, &rule->dst, sizeof(rule->dst));
		hash = hash_word(hash, (uint64_t)rule->mark << 32 | rule->mask);
		hash = hash_word(hash, (uint64_t)rule->sport_low << 48 |
					       (uint64_t)rule->sport_high << 32 |
					       (uint64_t)rule->dport_low << 16 | rule->dport_high);
		hash = hash_word(hash, (uint64_t)(uint16_t)rule->suppresses << 2 |
					       (uint64_t)rule->inverted << 1 | rule->elsewhere);
	}
	list_each (path, &r->paths) {
		if (path->ours)
			continue;
		hash = hash_more(hash, &path->dst, sizeof(path->dst));
		hash = hash_more(hash, &path->src, sizeof(path->src));
		hash = hash_word(hash, (uint64_t)path->table << 32 | path->metric);
		hash = hash_word(hash, (uint64_t)path->device << 32 | (uint64_t)path->type);
	}
	r->digest = hash ? hash : 1;
}
