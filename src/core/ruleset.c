/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of packed records, and finding one's way in a ruleset. */
#include "core/ruleset.h"

#include <stdlib.h>
#include <string.h>

const struct field_type field_types[] = {
	[FIELD_IP4] = {"ipv4_addr", 7, 4},     [FIELD_IP6] = {"ipv6_addr", 8, 16},
	[FIELD_PROTO] = {"inet_proto", 12, 1}, [FIELD_PORT] = {"inet_service", 13, 2},
	[FIELD_IFNAME] = {"ifname", 41, 16},
};

static uint32_t padded(const enum field *fields, uint8_t n)
{
	uint32_t len = 0;

	for (uint8_t i = 0; i < n; i++)
		len += (field_types[fields[i]].len + 3u) & ~3u;
	return len;
}

uint32_t set_key_len(const struct set *set)
{
	return padded(set->key, set->n_key);
}

uint32_t set_data_len(const struct set *set)
{
	return padded(set->data, set->n_data);
}

uint32_t set_stride(const struct set *set)
{
	return set_key_len(set) * (set->interval ? 2 : 1) + set_data_len(set);
}

const uint8_t *set_element(const struct set *set, uint32_t i)
{
	return set->elements + (size_t)i * set_stride(set);
}

uint8_t *set_add(struct set *set, struct arena *a, uint32_t origin)
{
	uint32_t stride = set_stride(set), cap = set->cap;

	set->elements = list_room(a, set->elements, set->n, &cap, stride);
	cap = set->cap;
	set->origins = list_room(a, set->origins, set->n, &cap, sizeof(*set->origins));
	set->cap = cap;
	set->origins[set->n] = origin;
	return set->elements + (size_t)set->n++ * stride;
}

/*
 * Sorting moves 4-byte indexes, not records. Keys are compared as big-endian words of the record's
 * first 16 bytes, which decides nearly always without a call.
 */
struct sort_key {
	uint64_t head, next;
	uint32_t index;
};

static const struct set *sorting; /* qsort has no argument for it; this room has one thread */

static uint64_t big_endian(const uint8_t *bytes, uint32_t len)
{
	uint64_t word = 0;

	for (uint32_t i = 0; i < 8; i++)
		word = word << 8 | (i < len ? bytes[i] : 0);
	return word;
}

static int by_record(const void *left, const void *right)
{
	const struct sort_key *a = left, *b = right;
	uint32_t stride;
	int order;

	if (a->head != b->head)
		return a->head < b->head ? -1 : 1;
	if (a->next != b->next)
		return a->next < b->next ? -1 : 1;
	stride = set_stride(sorting);
	order = stride > 16 ? memcmp(set_element(sorting, a->index) + 16,
				     set_element(sorting, b->index) + 16, stride - 16)
			    : 0;
	return order ? order : (a->index > b->index) - (a->index < b->index);
}

/* Of records with one key the first in order stays: no origin is asked, only the bytes. */
void set_finish(struct set *set, struct arena *a)
{
	uint32_t stride = set_stride(set), n = 0;
	uint32_t unique = stride - set_data_len(set); /* a map has one answer per key */
	struct sort_key *keys;
	uint32_t *origins;
	uint8_t *elements;

	if (set->n < 2)
		return;
	keys = arena_array(a, struct sort_key, set->n);
	for (uint32_t i = 0; i < set->n; i++) {
		const uint8_t *element = set_element(set, i);

		keys[i] = (struct sort_key){.head = big_endian(element, stride),
					    .next = stride > 8 ? big_endian(element + 8, stride - 8)
							       : 0,
					    .index = i};
	}
	sorting = set;
	qsort(keys, set->n, sizeof(*keys), by_record);
	elements = arena_alloc(a, (size_t)set->n * stride);
	origins = arena_array(a, uint32_t, set->n);
	for (uint32_t i = 0; i < set->n; i++) {
		const uint8_t *element = set_element(set, keys[i].index);

		if (n && memcmp(elements + (size_t)(n - 1) * stride, element, unique) == 0)
			continue; /* the index breaks ties: the first of equals stays */
		memcpy(elements + (size_t)n * stride, element, stride);
		origins[n++] = set->origins ? set->origins[keys[i].index] : NONE;
	}
	set->cap = set->n;
	set->n = n;
	set->elements = elements;
	set->origins = origins;
}

bool set_has(const struct set *set, const uint8_t *record)
{
	uint32_t stride = set_stride(set), low = 0, high = set->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = memcmp(set_element(set, middle), record, stride);

		if (!order)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

struct set *ruleset_find_set(const struct ruleset *rs, const char *name)
{
	list_each (set, &rs->sets)
		if (!strcmp(set->name, name))
			return set;
	return NULL;
}

struct chain *ruleset_find_chain(const struct ruleset *rs, const char *name)
{
	list_each (chain, &rs->chains)
		if (!strcmp(chain->name, name))
			return chain;
	return NULL;
}
