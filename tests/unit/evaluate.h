/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a ruleset does with a new connection, read rule by rule as nf_tables would: an independent
 * reading, for tests. Knows the terms that decide what may pass, and no others.
 */
#pragma once

#include "core/ruleset/ruleset.h"

#include <stdlib.h>
#include <string.h>

struct probe {
	struct ip src, dst; /* of one family */
	uint8_t proto;
	uint16_t dport, sport;
	const char *in, *out; /* interfaces; NULL: some other one */
};

enum outcome { GOES_ON, ADMITTED, RETURNED };

static inline bool probe_is_named(const char *name, const char *wanted)
{
	return name && !strcmp(name, wanted);
}

/* The key of a lookup, each field padded to four bytes. */
static inline uint32_t probe_key(uint8_t *key, const struct term *t, const struct probe *p)
{
	const uint32_t address = ip_bits(p->src) / 8;
	uint32_t len = 0;

	memset(key, 0, MAX_KEY);
	for (uint8_t i = 0; i < t->n_loads; i++) {
		uint32_t field = 4;

		switch ((enum load)t->loads[i]) {
		case LOAD_SADDR:
			memcpy(key + len, p->src.bytes, field = address);
			break;
		case LOAD_DADDR:
			memcpy(key + len, p->dst.bytes, field = address);
			break;
		case LOAD_PROTO:
			key[len] = p->proto;
			break;
		case LOAD_DPORT:
			key[len] = (uint8_t)(p->dport >> 8);
			key[len + 1] = (uint8_t)p->dport;
			break;
		case LOAD_SPORT:
			key[len] = (uint8_t)(p->sport >> 8);
			key[len + 1] = (uint8_t)p->sport;
			break;
		case LOAD_IIFNAME:
		case LOAD_OIFNAME:
		case LOAD_ETHER_SADDR:
		case LOAD_ARP_ETHER:
		case LOAD_ARP_IP:
		case LOAD_ND_TARGET:
			abort();
		}
		len += field;
	}
	return len;
}

/* The data behind the element that holds the key; NULL: none does. */
static inline const uint8_t *probe_element(const struct set *set, const uint8_t *key, uint32_t len)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const uint8_t *low = set_element(set, i), *high = set->interval ? low + len : low;
		bool in = true;

		for (uint32_t f = 0, at = 0; f < set->n_key; f++) {
			uint32_t field = (field_types[set->key[f]].len + 3) & ~3U;

			in &= memcmp(key + at, low + at, field) >= 0 &&
			      memcmp(key + at, high + at, field) <= 0;
			at += field;
		}
		if (in)
			return high + len;
	}
	return NULL;
}

static inline enum outcome probe_chain(const struct ruleset *rs, const char *name,
				       const struct probe *p, int depth);

static inline enum outcome probe_jump(const struct ruleset *rs, const char *chain, bool go,
				      const struct probe *p, int depth)
{
	enum outcome out = probe_chain(rs, chain, p, depth + 1);

	return out == ADMITTED ? ADMITTED : go ? RETURNED : GOES_ON;
}

static inline enum outcome probe_vmap(const struct ruleset *rs, const struct term *t,
				      const struct probe *p, int depth)
{
	const struct set *map = ruleset_find_set(rs, t->name);
	const struct verdict *verdict;
	const uint8_t *data;
	uint8_t key[MAX_KEY];
	uint64_t id;

	data = probe_element(map, key, probe_key(key, t, p));
	if (!data)
		return GOES_ON;
	memcpy(&id, data, sizeof(id));
	verdict = set_find_verdict(map, id);
	if (!verdict)
		abort();
	return probe_jump(rs, verdict->chain, verdict->go, p, depth);
}

static inline enum outcome probe_rule(const struct ruleset *rs, const struct rule *rule,
				      const struct probe *p, int depth)
{
	if (rule->family && rule->family != p->src.family)
		return GOES_ON;
	list_each (t, &rule->terms) {
		uint8_t key[MAX_KEY];

		switch ((int)t->kind) { /* a subset: the others abort */
		case TERM_LOOKUP:
			if (!probe_element(ruleset_find_set(rs, t->name), key,
					   probe_key(key, t, p)))
				return GOES_ON;
			break;
		case TERM_IIFNAME:
			if (!probe_is_named(p->in, t->name))
				return GOES_ON;
			break;
		case TERM_OIFNAME:
			if (!probe_is_named(p->out, t->name))
				return GOES_ON;
			break;
		case TERM_SADDR:
			if (!prefix_contains(t->prefix, p->src))
				return GOES_ON;
			break;
		case TERM_DADDR:
			if (!prefix_contains(t->prefix, p->dst))
				return GOES_ON;
			break;
		case TERM_SPORT:
			if (p->sport < t->low || p->sport > t->high)
				return GOES_ON;
			break;
		case TERM_PROTO:
			if (t->number != p->proto)
				return GOES_ON;
			break;
		case TERM_DPORT:
			if (p->dport < t->low || p->dport > t->high)
				return GOES_ON;
			break;
		case TERM_COUNTER:
			break;
		case TERM_VMAP:
			return probe_vmap(rs, t, p, depth);
		case TERM_JUMP:
		case TERM_GOTO:
			return probe_jump(rs, t->name, t->kind == TERM_GOTO, p, depth);
		default:
			abort();
		}
	}
	return GOES_ON;
}

static inline enum outcome probe_chain(const struct ruleset *rs, const char *name,
				       const struct probe *p, int depth)
{
	const struct chain *chain = ruleset_find_chain(rs, name);

	if (!chain || depth > 8) /* the kernel takes 16 */
		abort();
	if (!strcmp(name, "admit"))
		return ADMITTED;
	list_each (rule, &chain->rules) {
		enum outcome out = probe_rule(rs, rule, p, depth);

		if (out != GOES_ON)
			return out;
	}
	return GOES_ON;
}
