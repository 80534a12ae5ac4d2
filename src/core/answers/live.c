/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/answers/live.h"

#include "base/foreign.h"
#include "core/path/path.h"

#include <stdlib.h>
#include <string.h>

/* --- which policy admits it --- */

uint32_t live_policy(const struct reach *reach, const struct connection *c)
{
	bool translated = connection_is_translated(c);
	struct reach_flow flow = {.src = c->src,
				  .dst = c->answers,
				  .proto = c->proto,
				  .port = translated && !c->icmp_type ? c->answers_port
								      : connection_asks(c)};
	uint32_t home = reach_network_of(reach, c->src), leaf;

	list_each (t, &reach->spaces.items[0].flows->translations)
		if (translated && connection_is_of(c, t))
			return t->origin;
	list_each (t, &reach->spaces.items[0].flows->own)
		if (translated && connection_is_of(c, t))
			return t->origin;
	flow.in =
		home == NONE ? REACH_IN_OTHER : reach_interface(reach->pool, reach->bridges[home]);
	leaf = reach_ask(reach, reach->governed, &flow);
	/* an entry does not tell the interface: the first that a policy names and that fits */
	for (uint32_t i = 0; leaf < REACH_POLICY && home == NONE && i < reach->pool->interfaces.n;
	     i++) {
		flow.in = REACH_N_IN + i;
		leaf = reach_ask(reach, reach->governed, &flow);
	}
	return leaf >= REACH_POLICY ? leaf - REACH_POLICY : NONE;
}

static bool is_end(const struct reach_end *end, const struct reach *reach, struct ip ip)
{
	if (!end)
		return true;
	if (end->kind == END_OUTSIDE)
		return config_network_of(reach->config, prefix_of(ip)) == NONE;
	if (end->kind != END_PEERS)
		return end->kind == END_ANY;
	for (uint32_t i = 0; i < end->peers->n; i++)
		if (prefix_contains(end->peers->items[i].net, ip))
			return true;
	return false;
}

bool live_is_asked(const struct live_filter *filter, const struct reach *reach,
		   const struct live *live)
{
	return (filter->policy == NONE || filter->policy == live->policy) &&
	       is_end(filter->from, reach, live->tuple.src) &&
	       (is_end(filter->to, reach, live->tuple.answers) ||
		is_end(filter->to, reach, live->tuple.dst));
}

/* --- printing --- */

static int by_bytes(const void *left, const void *right)
{
	const struct live *a = left, *b = right;

	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	if (ip_compare(a->tuple.src, b->tuple.src))
		return ip_compare(a->tuple.src, b->tuple.src);
	return (a->sport > b->sport) - (a->sport < b->sport);
}

static void sort(live_list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), by_bytes);
}

static const char *age(struct arena *a, int64_t s)
{
	if (s < 0)
		return "-";
	return s < 120	    ? arena_printf(a, "%llds", (long long)s)
	       : s < 7200   ? arena_printf(a, "%lldm", (long long)s / 60)
	       : s < 172800 ? arena_printf(a, "%lldh", (long long)s / 3600)
			    : arena_printf(a, "%lldd", (long long)s / 86400);
}

static const char *amount(struct arena *a, const struct live *live)
{
	static const char units[] = "BkMGTP";
	double n = (double)live->bytes;
	size_t unit = 0;

	if (!live->counted)
		return "-";
	for (; n >= 1000 && units[unit + 1]; unit++)
		n /= 1000;
	return arena_printf(a, unit && n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
}

static const char *service(struct arena *a, const struct connection *c)
{
	const char *name = protocol_common_name(c->proto);

	return c->dport ? arena_printf(a, "%u/%s", c->dport, name) : name;
}

static const char *target(struct arena *a, const struct reach *reach, const struct connection *c)
{
	const char *answers = reach_name(a, reach, c->answers);

	if (!connection_is_translated(c))
		return answers;
	return arena_printf(a, "%s by %s", answers, arena_strdup(a, ip_format(c->dst).s));
}

enum { N_COLUMNS = 6 };

void live_print(struct buf *out, const struct reach *reach, live_list *list)
{
	AUTO_RELEASE struct arena a = {0};
	const char *(*rows)[N_COLUMNS];
	size_t widths[N_COLUMNS] = {0};

	sort(list);
	rows = arena_take(&a, (list->n + 1) * sizeof(*rows));
	memcpy(rows[0], (const char *[]){"SOURCE", "DESTINATION", "PORT", "POLICY", "AGE", "BYTES"},
	       sizeof(rows[0]));
	for (uint32_t i = 0; i < list->n; i++) {
		const struct live *live = &list->items[i];
		const char *row[] = {
			reach_name(&a, reach, live->tuple.src),
			target(&a, reach, &live->tuple),
			service(&a, &live->tuple),
			live->policy == NONE ? "-" : arena_printf(&a, "policies[%u]", live->policy),
			age(&a, live->age_s),
			amount(&a, live)};

		memcpy(rows[i + 1], row, sizeof(row));
	}
	for (uint32_t i = 0; i <= list->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			widths[c] = strlen(rows[i][c]) > widths[c] ? strlen(rows[i][c]) : widths[c];
	for (uint32_t i = 0; i <= list->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			buf_printf(out, "%-*s%s", c < N_COLUMNS - 1 ? (int)widths[c] : 0,
				   rows[i][c], c < N_COLUMNS - 1 ? "  " : "\n");
}

void live_print_json(struct buf *out, const struct reach *reach, live_list *list)
{
	AUTO_RELEASE struct arena a = {0};
	const char *comma = "\n";

	sort(list);
	buf_puts(out, "{\n  \"connections\": [");
	list_each (live, list) {
		const struct connection *c = &live->tuple;

		buf_printf(out, "%s    {\"source\": \"%s\", \"source_name\": ", comma,
			   ip_format(c->src).s);
		buf_json_string(out, reach_name(&a, reach, c->src));
		buf_printf(out, ", \"source_port\": %u, \"destination\": \"%s\"", live->sport,
			   ip_format(c->dst).s);
		buf_printf(out, ", \"target\": \"%s\", \"target_name\": ", ip_format(c->answers).s);
		buf_json_string(out, reach_name(&a, reach, c->answers));
		buf_printf(out, ", \"port\": %u, \"protocol\": \"%s\"", c->dport,
			   protocol_common_name(c->proto));
		if (live->policy != NONE)
			buf_printf(out, ", \"policy\": %u", live->policy);
		if (live->age_s >= 0)
			buf_printf(out, ", \"age\": %lld", (long long)live->age_s);
		if (live->counted)
			buf_printf(out, ", \"packets\": %llu, \"bytes\": %llu",
				   (unsigned long long)live->packets,
				   (unsigned long long)live->bytes);
		buf_puts(out, "}");
		comma = ",\n";
	}
	buf_puts(out, "\n  ]\n}\n");
}
