/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decodes tests: what the author expects of connections. */
#include "core/config/fields.h"

#include <string.h>

struct draft_test {
	struct json_string from, to;
	range_list ports;
	uint8_t protos;
	enum expect expect;
	const char *iface;
};

enum { FROM, TO, EXPECTED };

static const struct field test_fields[] = {
	[FROM] = FIELD(draft_test, from, decode_subject, EVERYWHERE),
	[TO] = FIELD(draft_test, to, decode_subject, EVERYWHERE),
	[EXPECTED] = NAMED(draft_test, "expect", expect, decode_expect, EVERYWHERE),
	NAMED(draft_test, "port", ports, decode_ports, EVERYWHERE),
	NAMED(draft_test, "proto", protos, decode_protos, EVERYWHERE),
	NAMED(draft_test, "iface", iface, decode_ifname, EVERYWHERE),
};

static const struct kind test_kind = {test_fields, COUNT_OF(test_fields)};

static const char *keep(struct decoder *d, struct json_string text)
{
	return arena_strndup(d->a, text.text, text.len);
}

void decode_test(struct decoder *d, struct config *config, uint32_t node)
{
	struct draft_test draft = {0};
	uint32_t errors = d->diags->n_errors;
	struct reading r = {.kind = &test_kind};
	struct flow_test *test;

	decode_object(d, &r, node, &draft);
	for (unsigned i = FROM; i <= EXPECTED && d->diags->n_errors == errors; i++)
		if (!is_given(&r, i))
			wrong(d, node,
			      "%s is missing: a test has from, to, expect, and mostly port",
			      test_fields[i].name);
	if (draft.ports.n && draft.protos &&
	    (draft.protos & PROTO_ANY || !(draft.protos & (uint8_t)~PROTOS_OF_ICMP)))
		wrong(d, node_of_field(d->text, node, "port"),
		      "icmp and any have no ports; leave port or proto out");
	if (d->diags->n_errors > errors)
		return;
	test = list_add(d->a, &config->tests);
	*test = (struct flow_test){.from = keep(d, draft.from),
				   .to = keep(d, draft.to),
				   .protos = draft.protos ? draft.protos : PROTO_TCP,
				   .expect = draft.expect,
				   .iface = draft.iface,
				   .at = json_of(d)->nodes[node].at,
				   .line = json_of(d)->nodes[node].line};
	list_each (range, &draft.ports)
		*list_add(d->a, &test->ports) = *range;
}
