/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Several sources or targets of one policy. Each list is kept once, as names are. */
#include "core/config/impl.h"

#include <stdlib.h>
#include <string.h>

enum { MEMBERS_SHOWN = 4 }; /* a list that has no more is called by their names */

/* A list as it is read. */
struct reading_list {
	uint32_t n;		  /* members, as they stand in the list */
	uint32_t n_nets, n_names; /* prefixes (those of files included), and names */
	LIST(struct prefix) nets;
	LIST(struct listed_name) names;
	const char *shown[MEMBERS_SHOWN]; /* as they were written */
	bool wrong;
};

static void add_file(struct decoder *d, uint32_t node, struct json_string s,
		     struct reading_list *list)
{
	const struct file_nets *nets = nets_of_file(d, node, s);

	if (!nets) {
		list->wrong = true;
		return;
	}
	list_each (net, &nets->nets)
		*list_add(d->scratch, &list->nets) = *net;
	list->n_nets += nets->n;
}

static bool is_literal(struct prefix *prefix, struct json_string s)
{
	char text[IP_TEXT_LEN];

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.text, s.len);
	text[s.len] = '\0';
	return prefix_parse_any(prefix, text) && prefix_is_usable(*prefix);
}

static void add_member(struct decoder *d, uint32_t node, void *target)
{
	struct reading_list *list = target;
	struct json_string s = string_of(d, node);
	struct prefix prefix;

	if (!is_name(d, node, s) || !s.text) {
		list->wrong = true;
		return;
	}
	if (list->n < MEMBERS_SHOWN)
		list->shown[list->n] = arena_strndup(d->a, s.text, s.len);
	list->n++;
	if (*s.text == '@') {
		add_file(d, node, s, list);
	} else if (is_literal(&prefix, s)) {
		*list_add(d->scratch, &list->nets) = prefix;
		list->n_nets++;
	} else {
		*list_add(d->scratch, &list->names) =
			(struct listed_name){keep_name(d, s.text, s.len)->number, node};
		list->n_names++;
	}
}

static int by_prefix(const void *left, const void *right)
{
	return prefix_compare(*(const struct prefix *)left, *(const struct prefix *)right);
}

static int by_listed_name(const void *left, const void *right)
{
	const struct listed_name *a = left, *b = right;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

/* Both sorted, each once. */
static void sort_members(struct reading_list *list)
{
	uint32_t n = 0;

	if (list->nets.n)
		qsort(list->nets.items, list->nets.n, sizeof(*list->nets.items), by_prefix);
	list_each (net, &list->nets)
		if (!n || prefix_compare(list->nets.items[n - 1], *net) != 0)
			list->nets.items[n++] = *net;
	list->nets.n = n;
	n = 0;
	if (list->names.n)
		qsort(list->names.items, list->names.n, sizeof(*list->names.items), by_listed_name);
	list_each (name, &list->names)
		if (!n || list->names.items[n - 1].name != name->name)
			list->names.items[n++] = *name;
	list->names.n = n;
}

/* "web, 10.0.0.0/8", "10000 networks", "500 networks and 2 names" */
static const char *title_of(struct decoder *d, const struct reading_list *list)
{
	const char *title = list->shown[0];

	if (list->n <= MEMBERS_SHOWN) {
		for (uint32_t i = 1; i < list->n; i++)
			title = arena_printf(d->a, "%s, %s", title, list->shown[i]);
		return title;
	}
	if (!list->n_names)
		return arena_printf(d->a, "%u networks", list->n_nets);
	if (!list->n_nets)
		return arena_printf(d->a, "%u names", list->n_names);
	return arena_printf(d->a, "%u network%s and %u name%s", list->n_nets,
			    list->n_nets == 1 ? "" : "s", list->n_names,
			    list->n_names == 1 ? "" : "s");
}

static const char *label_of(struct decoder *d, const struct reading_list *list)
{
	const char *first = list->shown[0] + (*list->shown[0] == '@');

	return list->n == 1 ? first : arena_printf(d->a, "%s_and_more", first);
}

static uint64_t hash_of_list(const struct reading_list *list, const char *title)
{
	uint64_t hash = hash_text(title);

	list_each (net, &list->nets)
		hash = hash_more(hash, net, sizeof(*net));
	list_each (name, &list->names)
		hash = hash_word(hash, name->name);
	return hash;
}

static bool is_list(const struct decoder *d, const struct member_list *known,
		    const struct reading_list *list, const char *title)
{
	if (known->nets.n != list->nets.n || known->names.n != list->names.n ||
	    strcmp(d->names.items[known->name], title) != 0)
		return false;
	for (uint32_t i = 0; i < list->nets.n; i++)
		if (prefix_compare(known->nets.items[i], list->nets.items[i]) != 0)
			return false;
	for (uint32_t i = 0; i < list->names.n; i++)
		if (known->names.items[i].name != list->names.items[i].name)
			return false;
	return true;
}

#define copy_list(a, to, from)                                                                     \
	do {                                                                                       \
		list_reserve((a), (to), (from)->n);                                                \
		list_each (item_, (from))                                                          \
			*list_add((a), (to)) = *item_;                                             \
	} while (0)

static uint32_t keep_listed(struct decoder *d, uint32_t node, struct reading_list *list)
{
	const char *title = title_of(d, list);
	uint64_t hash;
	uint32_t known;
	struct member_list *kept;

	sort_members(list);
	hash = hash_of_list(list, title);
	known = hash_index_find(&d->lists.by_hash, hash, i,
				is_list(d, &d->lists.list.items[i], list, title));
	if (known != NONE)
		return d->lists.list.items[known].name;
	if (list->n == list->n_nets + list->n_names)
		count_listed(d, node, list->n);
	if (!d->names.n)
		list_add(d->scratch, &d->names); /* number 0 means "no name" */
	kept = list_add(d->a, &d->lists.list);
	*kept = (struct member_list){.name = d->names.n,
				     .label = label_of(d, list),
				     .in_file = list->n == 1 && *list->shown[0] == '@'};
	copy_list(d->a, &kept->nets, &list->nets);
	copy_list(d->a, &kept->names, &list->names);
	*list_add(d->scratch, &d->names) = title;
	*list_add(d->scratch, &d->lists.hashes) = hash;
	hash_index_grow(&d->lists.by_hash, d->scratch, &d->lists.hashes, i,
			d->lists.hashes.items[i]);
	return d->names.n - 1;
}

/* A file that is a policy's only source is asked for often: its list is known by the file. */
static void decode_file(struct decoder *d, uint32_t node, struct json_string s, uint32_t *number)
{
	struct file_nets *nets = nets_of_file(d, node, s);
	struct reading_list list = {.n = 1};

	if (!nets)
		return;
	if (!nets->number) {
		list.shown[0] = arena_strndup(d->a, s.text, s.len);
		add_file(d, node, s, &list);
		nets->number = keep_listed(d, node, &list);
	}
	*number = nets->number;
}

void decode_peers(struct decoder *d, uint32_t node, void *target)
{
	struct json_string s = string_of(d, node);
	struct reading_list list = {0};

	if (s.len && *s.text == '@') {
		decode_file(d, node, s, target);
		return;
	}
	if (json_type_of(json_of(d), node) == JSON_TYPE_LIST && json_count(json_of(d), node) == 1 &&
	    json_type_of(json_of(d), node + 1) == JSON_TYPE_STRING) {
		decode_peers(d, node + 1, target); /* a list of one */
		return;
	}
	if (json_type_of(json_of(d), node) != JSON_TYPE_LIST) {
		decode_number(d, node, target);
		return;
	}
	decode_each(d, node, &list, add_member);
	if (list.n && !list.wrong)
		*(uint32_t *)target = keep_listed(d, node, &list);
}

const struct member_list *config_list(const struct config *config, uint32_t name)
{
	const struct member_list *lists = config->lists.items;
	uint32_t at =
		config->lists.n ? first_not_before(config->lists.n, i, lists[i].name < name) : 0;

	return at < config->lists.n && lists[at].name == name ? &lists[at] : NULL;
}

const char *config_label(const struct config *config, uint32_t name)
{
	const struct member_list *list = config_list(config, name);

	return list ? list->label : config_name(config, name);
}
