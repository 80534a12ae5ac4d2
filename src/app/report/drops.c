/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/report/drops.h"

#include "base/foreign.h"
#include "base/log.h"

/* As explain takes it: "80/tcp", "icmp". */
static const char *service(struct arena *a, const struct logged *l)
{
	const char *proto = logged_protocol(a, l);

	return l->port ? arena_printf(a, "%u/%s", l->port, proto) : proto;
}

const char *drop_text(struct arena *a, const struct config *config, const struct logged *l)
{
	return arena_printf(a, "no policy lets %s reach %s %s", logged_name(a, config, l->src),
			    logged_name(a, config, l->dst), service(a, l));
}

/* By addresses, which need no quotes. */
static const char *explain_command(struct arena *a, const struct logged *l)
{
	const char *src = arena_strdup(a, ip_format(l->src).s);

	return arena_printf(a, "harborwall explain %s %s %s", src, ip_format(l->dst).s,
			    protocol_has_name(l->proto) ? service(a, l) : "any");
}

void drops_print(struct buf *out, const struct journal *j, const struct config *config)
{
	AUTO_RELEASE struct arena a = {0};

	for (uint32_t i = 0; i < j->n_drops; i++) {
		const struct journal_entry *d = &j->drops[i];

		buf_line(out, "dropped: %s, %llu, last at %s: %s", drop_text(&a, config, &d->flow),
			 (unsigned long long)d->count, log_time(&a, d->last),
			 explain_command(&a, &d->flow));
	}
}

void drops_print_json(struct buf *out, const struct journal *j, const struct config *config)
{
	AUTO_RELEASE struct arena a = {0};

	buf_puts(out, "[");
	for (uint32_t i = 0; i < j->n_drops; i++) {
		const struct journal_entry *d = &j->drops[i];
		const struct logged *l = &d->flow;

		buf_printf(out, "%s\n    {\"source\": \"%s\"", i ? "," : "", ip_format(l->src).s);
		buf_printf(out, ", \"destination\": \"%s\"", ip_format(l->dst).s);
		buf_json_member(out, ", ", "source_name", logged_name(&a, config, l->src));
		buf_json_member(out, ", ", "destination_name", logged_name(&a, config, l->dst));
		buf_json_member(out, ", ", "protocol", logged_protocol(&a, l));
		buf_printf(out, ", \"port\": %u, \"count\": %llu", l->port,
			   (unsigned long long)d->count);
		buf_json_member(out, ", ", "first", log_time(&a, d->first));
		buf_json_member(out, ", ", "last", log_time(&a, d->last));
		buf_json_member(out, ", ", "explain", explain_command(&a, l));
		buf_puts(out, "}");
	}
	buf_puts(out, j->n_drops ? "\n  ]" : "]");
}
