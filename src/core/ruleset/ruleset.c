/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of packed records, and finding one's way in a ruleset. */
#include "core/ruleset/ruleset.h"

#include "base/order.h"

#include <string.h>

const struct field_type field_types[] = {
	[FIELD_IP4] = {"ipv4_addr", 7, 4},     [FIELD_IP6] = {"ipv6_addr", 8, 16},
	[FIELD_PROTO] = {"inet_proto", 12, 1}, [FIELD_PORT] = {"inet_service", 13, 2},
	[FIELD_ETHER] = {"ether_addr", 9, 6},  [FIELD_IFNAME] = {"ifname", 41, 16},
	[FIELD_VERDICT] = {"verdict", 0, 8},
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
	if (set->stride)
		return set->stride;
	return set_key_len(set) * (set->interval ? 2 : 1) + set_data_len(set);
}

const uint8_t *set_element(const struct set *set, uint32_t i)
{
	return set->elements + (size_t)i * set_stride(set);
}

void set_reserve(struct set *set, struct arena *a, uint32_t more)
{
	set->stride = set_stride(set);
	set->elements = arena_take(a, (size_t)more * set->stride);
	set->origins = arena_take(a, more * sizeof(*set->origins));
	set->cap = more;
}

uint8_t *set_add(struct set *set, struct arena *a, uint32_t origin)
{
	uint32_t cap = set->cap;

	if (set->n == cap)
		set->origins = list_room(a, set->origins, set->n, &cap, sizeof(*set->origins));
	set->origins[set->n] = origin;
	return set_add_read(set, a);
}

uint8_t *set_add_read(struct set *set, struct arena *a)
{
	if (set->n == set->cap) {
		set->stride = set_stride(set);
		set->elements = list_room(a, set->elements, set->n, &set->cap, set->stride);
	}
	return set->elements + (size_t)set->n++ * set->stride;
}

/* Of records with the same key the first one stays. */
void set_finish(struct set *set, struct arena *a)
{
	AUTO_RELEASE struct arena scratch = {0};
	uint32_t stride = set_stride(set), n = 0;
	uint32_t unique = stride - set_data_len(set); /* a map has one answer per key */
	const uint32_t *order;
	uint32_t *origins = NULL;
	uint8_t *elements;

	if (!set->n)
		return;
	order = order_by_bytes(&scratch, set->elements, set->n, stride, stride);
	elements = arena_take(a, (size_t)set->n * stride);
	if (set->origins)
		origins = arena_take(a, set->n * sizeof(*origins));
	for (uint32_t i = 0; i < set->n; i++) {
		const uint8_t *element = set_element(set, order[i]);

		if (n && memcmp(elements + (size_t)(n - 1) * stride, element, unique) == 0)
			continue;
		memcpy(elements + (size_t)n * stride, element, stride);
		if (origins)
			origins[n] = set->origins[order[i]];
		n++;
	}
	set->cap = set->n;
	set->n = n;
	set->elements = elements;
	set->origins = origins;
}

struct set set_copy(const struct set *set, struct arena *a)
{
	struct set copy = *set;
	size_t bytes = (size_t)set->n * set_stride(set);

	copy.name = arena_strdup(a, set->name);
	copy.elements = bytes ? memcpy(arena_take(a, bytes), set->elements, bytes) : NULL;
	copy.cap = set->n;
	copy.origins = NULL;
	copy.verdicts = NULL;
	if (set->verdicts)
		list_each (verdict, &set->verdicts->list)
			set_note_verdict(&copy, a,
					 (struct verdict){verdict->id, verdict->go,
							  arena_strdup(a, verdict->chain)});
	return copy;
}

bool set_has(const struct set *set, const uint8_t *record)
{
	uint32_t stride = set_stride(set);
	uint32_t at = first_not_before(set->n, i, memcmp(set_element(set, i), record, stride) < 0);

	return at < set->n && !memcmp(set_element(set, at), record, stride);
}

struct verdict verdict_to(bool go, const char *chain)
{
	return (struct verdict){hash_word(hash_text(chain), go), go, chain};
}

const struct verdict *set_find_verdict(const struct set *set, uint64_t id)
{
	const struct verdicts *v = set->verdicts;
	uint32_t at = v ? hash_index_find(&v->by_id, id, i, v->list.items[i].id == id) : NONE;

	return at == NONE ? NULL : &v->list.items[at];
}

void set_note_verdict(struct set *set, struct arena *a, struct verdict verdict)
{
	struct verdicts *v = set->verdicts;

	if (set_find_verdict(set, verdict.id))
		return;
	if (!v)
		v = set->verdicts = arena_new(a, struct verdicts);
	*list_add(a, &v->list) = verdict;
	hash_index_grow(&v->by_id, a, &v->list, i, v->list.items[i].id);
}

void ruleset_index(struct ruleset *rs, struct arena *a)
{
	hash_index_names(&rs->sets_by_name.index, a, &rs->sets);
	rs->sets_by_name.n = rs->sets.n;
	hash_index_names(&rs->chains_by_name.index, a, &rs->chains);
	rs->chains_by_name.n = rs->chains.n;
}

#define find_by_name(list, by_name, wanted)                                                        \
	__extension__({                                                                            \
		uint32_t place_ = hash_index_find(&(by_name)->index, hash_text(wanted), k_,        \
						  !strcmp((list)->items[k_].name, wanted));        \
                                                                                                   \
		for (uint32_t i_ = (by_name)->n; place_ == NONE && i_ < (list)->n; i_++)           \
			if (!strcmp((list)->items[i_].name, wanted))                               \
				place_ = i_;                                                       \
		place_ == NONE ? NULL : &(list)->items[place_];                                    \
	})

struct set *ruleset_find_set(const struct ruleset *rs, const char *name)
{
	return find_by_name(&rs->sets, &rs->sets_by_name, name);
}

struct chain *ruleset_find_chain(const struct ruleset *rs, const char *name)
{
	return find_by_name(&rs->chains, &rs->chains_by_name, name);
}
